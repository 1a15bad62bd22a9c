"""Who rated what: sums over partners, the regression that the centers come from, and what they are worth."""

import dataclasses
import itertools
import os
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn_mf._kernel.kernels import LANES, TIE_BIAS
from test_kernel import simd  # noqa: F401, a fixture
from test_training import HYPER, STANDARDISED, train

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf._kernel import kernels as _kernels
from sklearn_mf._training.centers import Centers, Partners, _eigen
from sklearn_mf._training.parameters import initial_parameters
from sklearn_mf._training.ratings import canonical_ratings, location_and_scale, make_grid
from sklearn_mf._utils.threads import Threads

ONE = Threads(1)
SIZES = (70, 50, 7)


def set_up(implicit_features="both", n_fields=2, n_groups=4, weighted=False, n=900, seed=0, **changed):
    """A grid, its parameters with random rows, and who rated what as a dense matrix in the order of the rows."""
    hyper = dataclasses.replace(HYPER, implicit_features=implicit_features, **changed)
    rng = np.random.default_rng(seed)
    sizes = SIZES[:n_fields]
    codes = [(size * rng.random(n) ** 2).astype(np.int32) for size in sizes]  # the first levels are popular
    for code, size in zip(codes, sizes, strict=True):
        code[:size] = np.arange(size)
    index = np.stack(codes, axis=1)
    weights = rng.uniform(0.1, 3, n) if weighted else None
    ratings = canonical_ratings(codes, rng.normal(size=n), weights, list(sizes), hyper.rank, rng, ONE, n_groups)
    grid = make_grid(ratings, *location_and_scale(ratings, hyper.fit_bias, ONE)[:2], ONE)
    parameters = initial_parameters(grid, hyper, rng, ONE)
    parameters.rows[:, : hyper.rank] = rng.normal(0, 0.5, (len(parameters.rows), hyper.rank))
    parameters.bias[:] = rng.normal(0, 0.5, len(parameters.rows))
    seen = np.zeros(sizes[:2])
    seen[grid.row_of[0][index[:, 0]], grid.row_of[1][index[:, 1]] - sizes[0]] = 1.0
    return grid, parameters, hyper, seen


def sides(parameters, hyper, grid, seen):
    """For users and for items: place of their rows, B, d of factors and of the bias."""
    n_users = len(seen)
    places = slice(0, n_users), slice(n_users, n_users + seen.shape[1])
    for place, who in zip(places, (seen, seen.T), strict=True):
        n = grid.row_weights[place]
        d = [alpha * n + hyper.damping for alpha in (hyper.alpha, hyper.alpha_bias)]
        yield place, who / np.sqrt(who.sum(axis=1, keepdims=True)), d


@pytest.mark.parametrize("width", [8, 16, 24, 32, 40, 72, 104])
@pytest.mark.parametrize("n_fields", [2, 3])
@pytest.mark.parametrize("n_groups", [1, 4])
def test_sums_over_partners(simd, width, n_fields, n_groups):  # noqa: F811
    """Pairs with several ratings count once."""
    grid, _, _, seen = set_up(n_fields=n_fields, n_groups=n_groups)
    assert seen.sum() < len(grid.target)
    rng = np.random.default_rng(1)
    for n_threads in (1, 3):
        with Threads(n_threads) as threads:
            partners = Partners(grid, threads)
            for to_field, who in enumerate((seen, seen.T)):
                given = rng.normal(size=(who.shape[1], width)).astype(np.float32)
                out = np.full((len(who), width), np.nan, dtype=np.float32)
                partners.sum(to_field, given, out, threads)
                np.testing.assert_allclose(out, who @ given, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n_fields", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("alpha", "damping"), [(0.04, 4.0), (0.3, 0.0), (0.0, 2.0)])
@pytest.mark.parametrize("alpha_implicit", [0.5, 25.0])
def test_centers_tend_to_the_ridge_regression(n_fields, weighted, alpha, damping, alpha_implicit):
    """Rows held fixed, the centers end where the normal equations say, biases included."""
    grid, parameters, hyper, seen = set_up(
        n_fields=n_fields, weighted=weighted, alpha=alpha, damping=damping, alpha_implicit=alpha_implicit
    )
    centers = Centers(grid, parameters, hyper, STANDARDISED, np.random.default_rng(2), ONE)
    assert not parameters.centers.any(), "zero until they follow"
    for _ in range(200):
        centers.follow()
    for field, (place, who, (d, d_bias)) in enumerate(sides(parameters, hyper, grid, seen)):
        for rows, strength, found in (
            (parameters.rows[place], d, parameters.centers[place]),
            (parameters.bias[place], d_bias, parameters.ties[place, TIE_BIAS[field]]),
        ):
            normal = who.T @ (strength[:, None] * who) + alpha_implicit * np.eye(who.shape[1])
            expected = who @ np.linalg.solve(normal, who.T @ (strength * rows.T).T)
            np.testing.assert_allclose(found, expected, atol=2e-3)
    assert not parameters.centers[sum(SIZES[:2]) :].any(), "only users and items have centers"
    assert not parameters.centers[:, hyper.rank :].any(), "padding must stay zero"


@pytest.mark.parametrize("n", [120, 900, 5000])
def test_every_step_goes_down(n):
    """The objective of the regression falls with each step, the most with the first."""
    grid, parameters, hyper, seen = set_up(n=n)
    centers = Centers(grid, parameters, hyper, STANDARDISED, np.random.default_rng(2), ONE)
    place, _, (d, _) = next(sides(parameters, hyper, grid, seen))

    def objective():
        coefficients = centers._sides[0].coefficients.astype(np.float64)[:, : hyper.rank]
        error = parameters.rows[place, : hyper.rank] - parameters.centers[place, : hyper.rank]
        return (d * (error.astype(np.float64).T ** 2)).sum() + hyper.alpha_implicit * (coefficients**2).sum()

    values = [objective()]
    for _ in range(6):
        centers.follow()
        values.append(objective())
    falls = -np.diff(values)
    assert (falls > -1e-6 * values[0]).all()
    assert falls[0] > 0.8 * (values[0] - values[-1]), "the preconditioner leaves little for the steps after the first"


def test_directions_are_the_leading_eigenvectors():
    grid, parameters, hyper, seen = set_up(n=3000)
    side = Centers(grid, parameters, hyper, STANDARDISED, np.random.default_rng(2), ONE)._sides[0]
    _, who, (d, _) = next(sides(parameters, hyper, grid, seen))
    normal = who.T @ (d[:, None] * who) + hyper.alpha_implicit * np.eye(who.shape[1])
    values, vectors = np.linalg.eigh(normal)
    np.testing.assert_allclose(side._directions.T @ side._directions, np.eye(16), atol=1e-4)
    assert abs(side._directions[:, -1] @ vectors[:, -1]) > 0.999
    # Relative to the least of its eigenvalues, the preconditioned matrix is far better conditioned.
    preconditioner = np.eye(len(normal)) + side._directions @ (side._gain * side._directions.T)
    conditioned = np.linalg.eigvals(preconditioner @ normal).real
    assert conditioned.max() / conditioned.min() < 0.2 * values[-1] / values[0]


def test_ties_are_what_the_own_pair_adds():
    """As the head of _implicit.py has it: factors and biases, both ways, with the part of both counted once."""
    grid, parameters, hyper, seen = set_up()
    centers = Centers(grid, parameters, hyper, STANDARDISED, np.random.default_rng(2), ONE)
    centers.follow()
    users, items = slice(0, SIZES[0]), slice(SIZES[0], sum(SIZES[:2]))
    (_, _, (d_u, d_bu)), (_, _, (d_i, d_bi)) = sides(parameters, hyper, grid, seen)
    rows, n = parameters.rows[:, : hyper.rank].astype(np.float64), grid.row_weights
    s, t = (side.coefficients[:, : hyper.rank] for side in centers._sides)
    s_bias, t_bias = (side.coefficients[:, -LANES] for side in centers._sides)

    def part(of, d, m, counts):
        return np.minimum(d / (d + n[of] * m) / counts, 0.5)

    def mean_square(of):
        return np.average((rows[of] ** 2).mean(axis=1), weights=n[of])

    counts_u, counts_i = seen.sum(axis=1), seen.sum(axis=0)
    f_u, f_i = part(users, d_u, mean_square(items), counts_u), part(items, d_i, mean_square(users), counts_i)
    pull_bu, pull_bi = part(users, d_bu, 1, counts_u) * counts_u**0.5, part(items, d_bi, 1, counts_i) * counts_i**0.5
    expected = np.outer(f_u * counts_u**0.5, (s * rows[items]).sum(axis=1) * (1 - f_i / 2)) + np.outer(pull_bu, s_bias)
    expected += np.outer((t * rows[users]).sum(axis=1) * (1 - f_u / 2), f_i * counts_i**0.5) + np.outer(t_bias, pull_bi)
    np.testing.assert_allclose(parameters.ties[users] @ parameters.ties[items].T, expected, rtol=1e-3, atol=1e-5)


def test_ties_are_what_a_fit_without_the_pair_lacks():
    """Against leaving pairs out: centers of the same coefficients without the pair; rows move by their share."""
    grid, parameters, hyper, seen = set_up(n=2500)
    centers = Centers(grid, parameters, hyper, STANDARDISED, np.random.default_rng(2), ONE)
    for _ in range(5):
        centers.follow()
        parameters.rows[: sum(SIZES[:2])] = parameters.centers[: sum(SIZES[:2])]  # rows that choices explain
    centers.follow()
    (_, _, (d_u, _)), (_, _, (d_i, _)) = sides(parameters, hyper, grid, seen)
    p, q = np.split(parameters.rows[: sum(SIZES[:2]), : hyper.rank].astype(np.float64), [SIZES[0]])
    n_u, n_i = np.split(grid.row_weights[: sum(SIZES[:2])], [SIZES[0]])
    s, t = (side.coefficients[:, : hyper.rank].astype(np.float64) for side in centers._sides)
    share_u = d_u / (d_u + n_u * np.average((q**2).mean(axis=1), weights=n_i))
    share_i = d_i / (d_i + n_i * np.average((p**2).mean(axis=1), weights=n_u))
    lacking, ties = [], []
    for u, i in zip(*np.nonzero(seen), strict=True):
        less_p = p[u] - share_u[u] * s[i] / np.sqrt(seen[u].sum())
        less_q = q[i] - share_i[i] * t[u] / np.sqrt(seen[:, i].sum())
        lacking.append(p[u] @ q[i] - less_p @ less_q)
        tie_u, tie_i = parameters.ties[u], parameters.ties[SIZES[0] + i]
        ties.append(tie_u[0] * tie_i[0] + tie_u[2] * tie_i[2])  # of factors
    assert np.corrcoef(lacking, ties)[0, 1] > 0.99
    assert np.polyfit(lacking, ties, 1)[0] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("alpha_implicit", [1e-3, 0.1, 3.0])
@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_pairs_apart_do_not_run_away(alpha_implicit, schedule):
    """A user and an item that have nothing but each other: where the ridge is weak, centers explain all of them."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.integers(0, 100, (3000, 2)), 1000 + np.repeat(np.arange(30), 2).reshape(-1, 2)])
    y = rng.integers(1, 6, len(X))
    model = MatrixFactorizationRegressor(
        alpha_implicit=alpha_implicit, max_iter=100, schedule=schedule, clip=False, random_state=0
    )
    predictions = model.fit(X, y).predict(X[-30:])
    assert -3 < predictions.min() < predictions.max() < 9


def test_eigenvalues():
    rng = np.random.default_rng(0)
    for spread in (0, 3, 12):
        half = rng.normal(size=(16, 16)) * 10.0 ** rng.uniform(-spread, 0, 16)
        symmetric = half.T @ half
        values, vectors = _eigen(symmetric)
        expected = np.linalg.eigvalsh(symmetric)
        np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-12 * expected[-1])
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(16), atol=1e-12)
        np.testing.assert_allclose(symmetric @ vectors, vectors * values, atol=1e-10 * expected[-1])
    values, vectors = _eigen(np.zeros((16, 16)))
    np.testing.assert_array_equal(values, 0)
    np.testing.assert_array_equal(vectors, np.eye(16))


@pytest.mark.parametrize(("implicit_features", "fields"), [("user", {0}), ("item", {1}), ("both", {0, 1})])
def test_whose_centers(implicit_features, fields):
    grid, parameters, hyper, _ = set_up(implicit_features)
    Centers(grid, parameters, hyper, STANDARDISED, np.random.default_rng(2), ONE).follow()
    users, items = slice(0, SIZES[0]), slice(SIZES[0], sum(SIZES[:2]))
    assert {f for f, place in enumerate((users, items)) if parameters.centers[place].any()} == fields
    assert {f for f, place in enumerate((users, items)) if parameters.ties[place, TIE_BIAS[f]].any()} == fields
    assert not parameters.ties[users, TIE_BIAS[1]].any()
    assert not parameters.ties[items, TIE_BIAS[0]].any()


def test_threads_change_nothing():
    results = []
    for n_threads in (1, 2, 5):
        grid, parameters, hyper, _ = set_up(n=4000)
        with Threads(n_threads) as threads:
            centers = Centers(grid, parameters, hyper, STANDARDISED, np.random.default_rng(2), threads)
            for _ in range(3):
                centers.follow()
        results.append(np.concatenate([parameters.centers.ravel(), parameters.ties.ravel()]))
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@pytest.mark.filterwarnings("ignore:Training ended with a loss above")  # one epoch on noise
def test_when_centers_move(monkeypatch):
    """After each of the first three quarters of the epochs."""
    for max_iter, n_moves in ((1, 0), (2, 1), (4, 3), (20, 15)):
        hyper = dataclasses.replace(HYPER, implicit_features="both")
        grid, parameters, *_ = set_up()
        calls = []
        monkeypatch.setattr(Centers, "follow", lambda self, calls=calls: calls.append(1))
        train(grid, parameters, hyper, np.random.default_rng(0), ONE, max_iter)
        assert len(calls) == n_moves


def test_divergence_with_centers():
    """Centers go back to zero with rows that can not be mended, so that training ends in a warning, not in an error."""
    grid, parameters, hyper, _ = set_up()

    class Wild(Centers):
        def follow(self):
            super().follow()
            parameters.ties *= 1e6

    with (
        mock.patch("sklearn_mf._training.sgd.Centers", Wild),
        pytest.warns(ConvergenceWarning, match="diverged in epoch 2"),
    ):
        losses = train(grid, parameters, hyper, np.random.default_rng(1), ONE, 8)
    assert max(losses) <= 1.0
    assert parameters.are_finite()


def taste_by_choice(n_users=600, n_items=200, n=18_000, seed=0):
    """Users of four tastes mostly choose items of their own, and like these."""
    rng = np.random.default_rng(seed)
    taste, genre = rng.integers(4, size=n_users), rng.integers(4, size=n_items)
    users, items = rng.integers(n_users, size=4 * n), rng.integers(n_items, size=4 * n)
    match = taste[users] == genre[items]
    chosen = rng.random(4 * n) < np.where(match, 0.6, 0.1)
    X, first = np.unique(np.column_stack([users, items])[chosen], axis=0, return_index=True)
    y = 3 + np.where(match[chosen][first], 0.8, -0.4) + rng.normal(0, 1, len(X))
    return X, y


def test_choices_tell_tastes():
    X, y = taste_by_choice()
    held_out = np.random.default_rng(1).random(len(y)) < 0.2
    errors = {}
    for implicit_features in (None, "user", "item", "both"):
        model = MatrixFactorizationRegressor(8, implicit_features=implicit_features, random_state=0)
        model.fit(X[~held_out], y[~held_out])
        errors[implicit_features] = np.sqrt(np.mean((model.predict(X[held_out]) - y[held_out]) ** 2))
    assert errors["both"] < 0.98 * errors[None]
    assert errors["both"] < min(errors["user"], errors["item"]) < max(errors["user"], errors["item"]) < errors[None]


def test_a_pair_counts_once_whatever_its_ratings_and_weights():
    grid, _, _, seen = set_up(weighted=True)
    counts = np.empty((SIZES[0], LANES), np.float32)
    Partners(grid, ONE).sum(0, np.ones((SIZES[1], LANES), np.float32), counts, ONE)
    np.testing.assert_array_equal(counts[:, 0], seen.sum(axis=1))
    assert seen.sum() < len(grid.target)


@pytest.mark.parametrize("rank", [0, 1, 9])
@pytest.mark.parametrize(
    "changed",
    [
        {"alpha": 0.0, "damping": 0.0, "alpha_bias": 0.0}, {"alpha": 0.0, "damping": 0.0}, {"alpha": 1e300},
        {"damping": 1e300}, {"alpha_implicit": 1e-300}, {"alpha_implicit": 1e300}, {"fit_bias": False},
        {"alpha": 1e-300, "damping": 0.0, "alpha_bias": 0.0}, {"max_iter": 1}, {"learning_rate": 1e6},
        {"alpha": 0.0, "damping": 0.0, "alpha_implicit": 1e-25}, {"alpha": 1e-30, "damping": 0.0, "alpha_bias": 1e300},
        {"learning_rate": 1e6, "schedule": "invscaling", "alpha_implicit": 1e-3}, {"damping": 1e6, "max_iter": 60},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("n_columns", [2, 3])
@pytest.mark.filterwarnings("ignore:Training ended with a loss above")  # a strength of 1e300 leaves steps of nothing
def test_extreme_parameters(rank, changed, n_columns):
    X, y = taste_by_choice(60, 30, 400)
    X = np.column_stack([X, X[:, 0] % 3])[:, :n_columns]
    model = MatrixFactorizationRegressor(rank, random_state=0).set_params(**changed)
    assert np.isfinite(model.fit(X, y).predict(X)).all()
    assert np.isfinite(np.concatenate([array.ravel() for array in (*model.factors_, *model.biases_)])).all()


@pytest.mark.parametrize("X", [[[0, 0]], [[0, 0], [0, 1]], [[0, 0], [1, 0]], [[0, 0], [1, 1]], [[5, 5]] * 3], ids=str)
def test_hardly_any_ratings(X):
    y = np.arange(len(X), dtype=float)
    assert np.isfinite(MatrixFactorizationRegressor(3, random_state=0).fit(X, y).predict(X)).all()


def test_a_strong_ridge_leaves_centers_at_zero():
    X, y = taste_by_choice(60, 30, 400)
    model = MatrixFactorizationRegressor(4, random_state=0)
    without = model.set_params(implicit_features=None).fit(X, y).predict(X)
    strong = model.set_params(implicit_features="both", alpha_implicit=1e9).fit(X, y).predict(X)
    np.testing.assert_allclose(strong, without, atol=1e-4)


def test_the_instruction_set_pins_the_bits(tmp_path):
    """Nothing in a fit comes from a library that chooses by the processor."""
    code = (
        "import numpy as np; from sklearn_mf import MatrixFactorizationRegressor as M; rng = np.random.default_rng(0);"
        "X = (np.array([300, 100]) * rng.random((4000, 2)) ** 2).astype(int); y = rng.normal(3, 1, 4000).round();"
        "m = M(8, random_state=0, max_iter=6).fit(X, y); print(m.factors_[0].tobytes().hex(), m.biases_[1].tolist())"
    )
    others = [{}, {"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "1"}]
    if _kernels.SIMD != "baseline":
        others.append({"NPY_DISABLE_CPU_FEATURES": "AVX512_ICL X86_V4 AVX512_SKX"})
    found = set()
    for other in others:
        environment = {**os.environ, "SKLEARN_MF_SIMD": "baseline", **other, "PYTHONWARNINGS": "ignore"}
        run = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
        )
        if run.returncode == 0:  # NumPy refuses to turn off what this processor does not have
            found.add(run.stdout)
        else:
            assert "NPY_DISABLE_CPU_FEATURES" in other, run.stderr
    assert len(found) == 1


def test_each_setting_is_a_model_of_its_own():
    X, y = taste_by_choice(60, 30, 400)
    settings = [{"implicit_features": value} for value in (None, "user", "item", "both")] + [{"alpha_implicit": 5.0}]
    predictions = [
        MatrixFactorizationRegressor(4, random_state=0, **setting).fit(X, y).predict(X) for setting in settings
    ]
    for a, b in itertools.combinations(predictions, 2):
        assert not np.allclose(a, b)
