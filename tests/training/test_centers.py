"""Compare centers and ties with the regression that defines them."""

import dataclasses
from unittest import mock

import numpy as np
import pytest
from helpers.choices import SIZES, set_up, sides
from helpers.descent import HYPER, ONE, make_centers, train
from helpers.shards import shard_of
from sklearn.exceptions import ConvergenceWarning
from sklearn_mf._kernel.sgd import LANES

from sklearn_mf._training.centers import _RELAXATION, Centers, _eigen
from sklearn_mf._training.hyperparameters import Damping


@pytest.mark.parametrize("n_fields", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("alpha", "damping"), [(0.04, (4.0, 4.0)), (0.3, (0.0, 0.0)), (0.0, (2.0, 7.0))])
@pytest.mark.parametrize("alpha_implicit", [0.5, 25.0])
def test_centers_tend_to_the_ridge_regression(n_fields, weighted, alpha, damping, alpha_implicit):
    """Rows held fixed, the centers end where the normal equations say, biases included."""
    grid, parameters, hyper, seen = set_up(
        n_fields=n_fields,
        weighted=weighted,
        alpha=alpha,
        damping=Damping.of_sides(*damping),
        alpha_implicit=alpha_implicit,
    )
    centers = make_centers(grid, parameters, hyper)
    assert not parameters.centers.any(), "zero until they follow"
    for _ in range(200):
        centers.update()
    for field, (place, who, (d, d_bias)) in enumerate(sides(parameters, hyper, grid, seen)):
        more = max(damping[field] / 4, 1)
        for rows, strength, ridge, found in (
            (parameters.rows[place], d, alpha_implicit, parameters.centers[place]),
            (parameters.bias[place], d_bias, alpha_implicit * more, parameters.bias_centers(field)[place]),
        ):
            normal = who.T @ (strength[:, None] * who) + ridge * np.eye(who.shape[1])
            expected = who @ np.linalg.solve(normal, who.T @ (strength * rows.T).T)
            np.testing.assert_allclose(found, expected, atol=2e-3)
    assert not parameters.centers[sum(SIZES[:2]) :].any(), "only users and items have centers"
    assert not parameters.centers[:, hyper.rank :].any(), "padding must stay zero"


@pytest.mark.parametrize("n", [120, 900, 5000])
def test_every_step_goes_down(n):
    """The objective of the regression falls with each step, the most with the first.

    A step c times as long as the best one gains c (2 - c) of what that gains.
    """
    grid, parameters, hyper, seen = set_up(n=n)
    centers = make_centers(grid, parameters, hyper)
    place, _, (d, _) = next(sides(parameters, hyper, grid, seen))

    def objective():
        coefficients = centers._sides[0].coefficients.astype(np.float64)[:, : hyper.rank]
        error = parameters.rows[place, : hyper.rank] - parameters.centers[place, : hyper.rank]
        return (d * (error.astype(np.float64).T ** 2)).sum() + hyper.alpha_implicit * (coefficients**2).sum()

    values = [objective()]
    for _ in range(6):
        centers.update()
        values.append(objective())
    falls = -np.diff(values)
    assert (falls > -1e-6 * values[0]).all()
    best = falls[0] / (_RELAXATION * (2.0 - _RELAXATION))
    assert best > 0.8 * (values[0] - values[-1]), "the preconditioner would leave little for the steps after the first"


def test_directions_are_the_leading_eigenvectors():
    grid, parameters, hyper, seen = set_up(n=3000)
    side = make_centers(grid, parameters, hyper)._sides[0]
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
    """As the head of centers.py has it: factors and biases, both ways, with the part of both counted once."""
    grid, parameters, hyper, seen = set_up()
    centers = make_centers(grid, parameters, hyper)
    centers.update()
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
    centers = make_centers(grid, parameters, hyper)
    for _ in range(5):
        centers.update()
        parameters.rows[: sum(SIZES[:2])] = parameters.centers[: sum(SIZES[:2])]  # rows that choices explain
    centers.update()
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
    make_centers(grid, parameters, hyper).update()
    users, items = slice(0, SIZES[0]), slice(SIZES[0], sum(SIZES[:2]))
    assert {f for f, place in enumerate((users, items)) if parameters.centers[place].any()} == fields
    assert {f for f, place in enumerate((users, items)) if parameters.bias_centers(f)[place].any()} == fields
    assert not parameters.bias_centers(1)[users].any()
    assert not parameters.bias_centers(0)[items].any()


def test_threads_change_nothing():
    results = []
    for n_threads in (1, 2, 5):
        grid, parameters, hyper, _ = set_up(n=4000)
        with shard_of(n_threads) as shard:
            centers = make_centers(grid, parameters, hyper, shard)
            for _ in range(3):
                centers.update()
        results.append(np.concatenate([parameters.centers.ravel(), parameters.ties.ravel()]))
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@pytest.mark.filterwarnings("ignore:Training ended with a loss above")  # one epoch on noise
def test_when_centers_move(monkeypatch):
    """After every second of the first three quarters of the epochs."""
    for max_iter, n_moves in ((1, 0), (2, 1), (4, 2), (20, 8)):
        hyper = dataclasses.replace(HYPER, implicit_features="both")
        grid, parameters, *_ = set_up()
        calls = []
        monkeypatch.setattr(Centers, "update", lambda self, calls=calls: calls.append(1))
        train(grid, parameters, hyper, np.random.default_rng(0), ONE, max_iter)
        assert len(calls) == n_moves


def test_divergence_with_centers():
    """Centers go back to zero with rows that can not be mended, so that training ends in a warning, not in an error."""
    grid, parameters, hyper, _ = set_up()

    class Wild(Centers):
        def update(self):
            super().update()
            parameters.ties *= 1e6

    with (
        mock.patch("sklearn_mf._training.sgd.Centers", Wild),
        pytest.warns(ConvergenceWarning, match="diverged in epoch 2"),
    ):
        losses = train(grid, parameters, hyper, np.random.default_rng(1), ONE, 8)
    assert max(losses) <= 1.0
    assert parameters.are_finite([slice(None)])
