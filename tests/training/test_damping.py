"""Check the damping that is estimated: against plain NumPy, its promises, and what each method does with it."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from helpers import oracle
from helpers.descent import HYPER, ONE, grid_and_parameters, train
from helpers.paths import REAL_DATA
from helpers.shards import shard_of
from sklearn.base import clone
from sklearn.metrics import d2_tweedie_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.utils._param_validation import InvalidParameterError

import sklearn_mf._training.damping
import sklearn_mf._training.fit
import sklearn_mf._training.penalty_scale
from sklearn_mf import MatrixFactorizationEncoder, MatrixFactorizationRegressor
from sklearn_mf._training.damping import _Effects, estimate_damping
from sklearn_mf._training.hyperparameters import Damping
from sklearn_mf._training.losses import LOSSES
from sklearn_mf._training.progress import Mark
from sklearn_mf.datasets import load_ratings, make_ratings

SIZES = (70, 50, 6)


def effects_data(n=3000, spreads=(0.5, 0.8), noise=1.0, seed=0, n_fields=2, sizes=SIZES):
    """Codes and values of additive effects with noise; the first levels are popular."""
    rng = np.random.default_rng(seed)
    codes = [(size * rng.random(n) ** 1.5).astype(np.int32) for size in sizes[:n_fields]]
    effects = [rng.normal(0, spread, size) for spread, size in zip(spreads, sizes, strict=False)]
    return codes, effects[0][codes[0]] + effects[1][codes[1]] + rng.normal(0, noise, n)


def grid_of(codes, values, weights=None, n_groups=4, sizes=SIZES):
    """The block grid of such data, and the rows of users and of items of each rating in it."""
    rng = np.random.default_rng(3)
    grid, _ = grid_and_parameters(codes, values, weights, sizes[: len(codes)], HYPER, rng, n_groups)
    block = np.repeat(np.arange(n_groups**2), np.diff(grid.block_start))
    return grid, [grid.index[:, f] + grid.first_row[block, f] for f in range(2)]


@pytest.mark.parametrize("n_fields", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("spreads", [(0.5, 0.8), (0.1, 1.0), (2.0, 2.0)])
def test_estimate_is_that_of_plain_numpy(n_fields, weighted, spreads):
    codes, values = effects_data(n_fields=n_fields, spreads=spreads)
    weights = np.random.default_rng(1).uniform(0.2, 3, len(values)) if weighted else None
    grid, rows = grid_of(codes, values, weights)
    found = estimate_damping(grid, ONE)
    t, w = grid.target.astype(float), np.ones(len(values)) if grid.weight is None else grid.weight.astype(float)
    assert found == pytest.approx(oracle.estimate_damping(rows[0], rows[1] - SIZES[0], t, w), rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_error_with_each_rating_left_out_is_that_of_plain_numpy(weighted):
    codes, values = effects_data(n=800)
    weights = np.random.default_rng(1).uniform(0.2, 3, len(values)) if weighted else None
    grid, (users, items) = grid_of(codes, values, weights)
    t, w = grid.target.astype(float), np.ones(len(values)) if grid.weight is None else grid.weight.astype(float)
    effects, d = _Effects(grid, ONE), np.array([3.0, 7.0])
    found = effects.left_out_error(d, n_sweeps=3)
    n, b = np.bincount(np.r_[users, items], np.r_[w, w], sum(SIZES[:2])), np.zeros(sum(SIZES[:2]))
    t = t - np.average(t, weights=w)
    for _ in range(3):
        for own, other, damping in ((users, items, d[0]), (items, users, d[1])):
            part = np.unique(own)
            b[part] = (np.bincount(own, w * (t - b[other]), len(b)) / (n + damping))[part]
    share = np.minimum(w * (1 / (n[users] + d[0]) + 1 / (n[items] + d[1])), 0.95)
    expected = (w * ((t - b[users] - b[items]) / (1 - share)) ** 2).sum() / w.sum()
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("spreads", "noise"), [((0.5, 0.25), 1.0), ((0.3, 1.0), 1.0), ((1.0, 1.0), 1.0)])
def test_estimate_finds_the_ratio_of_variances(spreads, noise):
    sizes = (2000, 1500)
    codes, values = effects_data(n=60_000, spreads=spreads, noise=noise, sizes=sizes)
    grid, _ = grid_of(codes, values, sizes=sizes)
    assert estimate_damping(grid, ONE) == pytest.approx([(noise / spread) ** 2 for spread in spreads], rel=0.15)


def test_few_ratings_do_not_make_a_damping_large():
    found = []
    for seed in range(8):
        codes, values = effects_data(150, spreads=(0.0, 0.0), seed=seed)
        found.append(max(estimate_damping(grid_of(codes, values)[0], ONE)))
    assert max(found) == 15.0


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("weighted", [False, True])
def test_ratings_that_are_all_the_same_have_the_usual_damping(loss, weighted):
    X, y = small_ratings(800)
    w = np.random.default_rng(0).uniform(0.1, 3, len(y)) if weighted else None
    np.testing.assert_array_equal(fit(X, np.full(len(y), 3.3), w, loss=loss).damping_[:, 1], [4, 4])


def test_estimate_has_the_same_bits_on_any_number_of_threads():
    codes, values = effects_data()
    grid, _ = grid_of(codes, values, n_groups=7)
    found = []
    for n in (1, 2, 3, 8):
        with shard_of(n) as shard:
            found.append(estimate_damping(grid, shard))
    assert len(set(found)) == 1


def fit(X, y, w=None, **parameters):
    return MatrixFactorizationRegressor(**{"rank": 3, "max_iter": 3, "random_state": 0, **parameters}).fit(X, y, w)


def small_ratings(n=600, seed=0):
    return make_ratings(60, 40, n, random_state=seed, return_X_y=True)


def test_estimate_keeps_the_promises_of_a_fit():
    X, y = small_ratings()
    w = np.random.default_rng(0).integers(0, 4, len(y)).astype(float)
    found = fit(X, y, w).damping_
    order = np.random.default_rng(1).permutation(len(y))
    repeated = np.repeat(np.arange(len(y)), w.astype(int))
    for other in (fit(X[order], y[order], w[order]), fit(X[repeated], y[repeated]), fit(X, y, w * 8), fit(X, y * 5, w)):
        np.testing.assert_array_equal(other.damping_, found)


def test_damping_as_given_is_reported():
    X, y = small_ratings()
    X3 = np.column_stack([X, X[:, 1] % 3])
    np.testing.assert_array_equal(fit(X, y, damping=3).damping_, np.full((2, 2), 3.0))
    pair = fit(X3, y, damping=(2.0, 6.0)).damping_
    np.testing.assert_array_equal(pair, [[2, 2], [6, 6], [20, 20]])
    found = fit(X3, y).damping_
    assert found.shape == (3, 2)
    np.testing.assert_array_equal(found[:, 0], [5, 7, 20])
    assert found[2, 1] == 20
    np.testing.assert_array_equal(fit(X, y, fit_bias=False).damping_, np.full((2, 2), 4.0))


def test_a_pair_is_one_for_users_and_one_for_items():
    X, y = small_ratings()
    same, number = fit(X, y, damping=(3.0, 3.0)), fit(X, y, damping=3.0)
    np.testing.assert_array_equal(same.predict(X), number.predict(X))
    biases = fit(X, y, damping=(1e9, 1.0), implicit_features=None, max_iter=20).biases_
    assert np.abs(biases[0]).max() < 1e-3 < np.abs(biases[1]).max()
    biases = fit(X, y, damping=np.array([1.0, 1e9]), implicit_features=None, max_iter=20).biases_
    assert np.abs(biases[1]).max() < 1e-3 < np.abs(biases[0]).max()


@pytest.mark.parametrize(
    "pair",
    [
        (np.float16(3), 6),
        (3.0, np.float32(6)),
        [np.int8(3), np.longdouble(6)],
        np.array([3, 6], dtype=np.float32),
        (Fraction(3), np.uint64(6)),
    ],
)
def test_a_pair_of_numbers_of_any_type(pair):
    X, y = small_ratings(50)
    np.testing.assert_array_equal(fit(X, y, damping=pair).damping_, [[3, 3], [6, 6]])


@pytest.mark.parametrize(
    "damping",
    [
        "Auto",
        "",
        (1.0,),
        (1.0, 2.0, 3.0),
        (-1.0, 2.0),
        (1.0, np.nan),
        (1.0, np.inf),
        (np.float32(np.inf), 1.0),
        (np.float16(np.nan), 1.0),
        (np.float32(-1), 1.0),
        ("a", 1.0),
        (None, 1),
        (10**400, 1),
        (-(10**400), 1),
    ],
)
def test_what_is_no_damping_is_named(damping):
    X, y = small_ratings(50)
    with pytest.raises(InvalidParameterError, match="'damping' parameter of MatrixFactorizationRegressor"):
        fit(X, y, damping=damping)


CASES = {
    "one rating a user": (np.column_stack([np.arange(300), np.arange(300) % 20]), np.arange(300) % 5),
    "one rating a user and an item": (np.column_stack([np.arange(50), np.arange(50)]), np.arange(50) % 4),
    "constant within users": (np.column_stack([np.arange(400) % 40, np.arange(400) % 37]), np.arange(400) % 40 % 5),
    "constant within both": (np.column_stack([np.arange(90) % 3, np.arange(90) % 9]), np.arange(90) % 3),
    "one item": (np.column_stack([np.arange(100) % 30, np.zeros(100, int)]), np.arange(100) % 7),
    "one user": (np.column_stack([np.zeros(100, int), np.arange(100) % 30]), np.arange(100) % 7),
    "all equal": (np.column_stack([np.arange(60) % 7, np.arange(60) % 11]), np.full(60, 3.0)),
    "two ratings": (np.array([[1, 1], [2, 2]]), np.array([1.0, 2.0])),
    "one rating": (np.array([[1, 1]]), np.array([1.0])),
}


@pytest.mark.parametrize("rank", [0, 3])
@pytest.mark.parametrize("case", CASES)
def test_estimate_is_within_bounds_where_there_is_little_to_estimate(case, rank):
    X, y = CASES[case]
    model = fit(X, y, rank=rank, max_iter=20)
    assert 0.05 <= model.damping_[:, 1].min() <= model.damping_[:, 1].max() <= 100
    assert np.isfinite(model.predict(X)).all()
    if case == "constant within users":
        assert model.damping_[0, 1] < 0.1
        np.testing.assert_allclose(model.predict(X), y, atol=0.1)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_every_loss_takes_the_estimate_of_the_squared_one(loss, positive):
    X, y = small_ratings()
    found, squared = (fit(X, y, loss=name, positive=positive).damping_ for name in (loss, "squared_error"))
    np.testing.assert_allclose(found, squared, rtol=1e-3)


@pytest.mark.parametrize("spreads", [(0.1, 1.0), (1.5, 0.2)])
def test_a_bad_estimate_is_searched_again(monkeypatch, spreads):
    """The search ends where neither half nor twice a damping has a lower error with each rating left out."""
    codes, values = effects_data(spreads=spreads, noise=3.0)
    grid, _ = grid_of(codes, values)
    likeliest = estimate_damping(grid, ONE)
    monkeypatch.setattr(_Effects, "maximize_likelihood", lambda self, start: np.array([0.05, 0.05]))
    found = np.array(estimate_damping(grid, ONE))

    def error(d):
        return _Effects(grid, ONE).left_out_error(np.array(d), n_sweeps=20)

    assert error(found) < error([0.05, 0.05])
    for ratio in ((2, 1), (0.5, 1), (1, 2), (1, 0.5)):
        assert error(found) < 1.001 * error((found * ratio).clip(0.05, 100))
    assert error(found) < 1.01 * error(likeliest)


def test_hours_played_differ_in_noise():
    """Likelihood takes the hours of a few who play most for a taste; users need a strong damping."""
    path = REAL_DATA / "steam-hours" / "ratings.csv.gz"
    if not path.exists():
        pytest.skip(f"no ratings at {path}")
    X, y = load_ratings(path, return_X_y=True)
    damping = fit(X, y, rank=0, max_iter=1).damping_
    assert damping[0, 1] >= 16


@pytest.mark.parametrize("scale", [1.0, 0.6])
def test_fold_in_uses_the_damping_of_the_fit(monkeypatch, scale):
    X, y = small_ratings(900)

    def with_penalty_scale(ratings, hyper, *_):
        yield Mark.TRIAL_EPOCH_ENDED
        return replace(hyper, penalty_scale=scale)

    monkeypatch.setattr(sklearn_mf._training.fit, "with_penalty_scale", with_penalty_scale)
    old, new = X[:, 0] < X[:, 0].max() - 10, X[:, 0] >= X[:, 0].max() - 10
    known = np.isin(X[:, 1], X[old, 1])
    model = fit(X[old], y[old], implicit_features=None, max_iter=10)
    found = model.damping_
    assert model.penalty_scale_ == scale
    assert found[0, 1] != found[1, 1]
    model.fold_in(X[new & known], y[new & known])
    np.testing.assert_array_equal(model.damping_, found)
    # Stationary: the gradient of the objective is zero in bias and factors of a new user.
    user = X[new & known, 0][0]
    rows = new & known & (X[:, 0] == user)
    unit = model._training_state.scale
    place = np.searchsorted(model.categories_[1], X[rows, 1])
    q, p = model.item_factors_[place] / unit**0.5, model.user_factors_[model.categories_[0] == user][0] / unit**0.5
    bias = model.user_biases_[model.categories_[0] == user][0] / unit
    error = (y[rows] - model.intercept_ - model.item_biases_[place]) / unit - bias - q @ p
    n = rows.sum()
    assert error.sum() == pytest.approx((model.alpha_bias * n + found[0, 1]) * bias, abs=1e-5)
    np.testing.assert_allclose(error @ q, (model.alpha * n + found[0, 0]) * scale * p, atol=1e-5)


def evidence(X):
    """What a batch counts as: ratings beyond one for each level."""
    return len(np.unique(X, axis=0)) - len(np.unique(X[:, 0])) - len(np.unique(X[:, 1]))


@pytest.mark.parametrize("n", [200, 2000, 12_000])
def test_a_first_batch_estimates_toward_the_usual_damping(n):
    """Logarithms are averaged; the usual damping counts as 1,000 ratings beyond one for each level."""
    X, y = make_ratings(300, 100, 12_000, random_state=0, return_X_y=True)
    X, first = np.unique(X, axis=0, return_index=True)
    order = np.random.default_rng(0).permutation(len(X))[:n]
    X, y = X[order], y[first][order]
    model = MatrixFactorizationRegressor(rank=2, random_state=0).partial_fit(X, y)
    share = max(evidence(X), 0) / (1000 + max(evidence(X), 0))
    estimate = fit(X, y, rank=0).damping_[:, 1]
    np.testing.assert_allclose(model.damping_[:, 1], 4 ** (1 - share) * estimate**share, rtol=1e-6)
    if n == 12_000:
        assert np.abs(np.log(model.damping_[:, 1] / 4)).max() > 0.1


@pytest.mark.parametrize("size", [1, 100])
def test_later_batches_change_no_damping(size):
    codes, y = effects_data(4000, sizes=(600, 300))
    X = np.column_stack(codes)
    model = MatrixFactorizationRegressor(rank=0, random_state=0).partial_fit(X[:2000], y[:2000])
    found = model.damping_
    for start in range(2000, 2000 + 20 * size, size):
        model.partial_fit(X[start : start + size], y[start : start + size])
    model.partial_fit(X[:1], y[:1], [1e12])
    np.testing.assert_array_equal(model.damping_, found)


def test_a_number_is_for_its_batch_alone():
    X, y = small_ratings()
    fitted = fit(X, y)
    before = fitted.damping_
    np.testing.assert_array_equal(fitted.partial_fit(X[:500], y[:500]).damping_, before)
    other = fit(X, y).partial_fit(X[:500], y[:500])
    other.set_params(damping=0.0).partial_fit(X[:50], y[:50])
    fitted.partial_fit(X[:50], y[:50])
    assert not np.array_equal(other.predict(X), fitted.predict(X))
    np.testing.assert_array_equal(other.set_params(damping="auto").partial_fit(X[:50], y[:50]).damping_, before)


@pytest.mark.parametrize("parameters", [{"warm_start": True}, {"early_stopping": True}])
def test_a_fit_estimates_anew(parameters):
    X, y = small_ratings(800)
    X_other, y_other = small_ratings(700, seed=5)
    found = fit(X, y).damping_
    model = fit(X_other, y_other, **parameters)
    assert not np.array_equal(model.damping_, found)
    np.testing.assert_array_equal(model.fit(X, y).damping_, found)


@pytest.mark.parametrize("given", [False, True])
def test_early_stopping_also_chooses_the_penalties_of_factors(monkeypatch, given):
    X, y = make_ratings(400, 300, 7000, random_state=0, return_X_y=True)
    held = {"X_val": X[6000:], "y_val": y[6000:]} if given else {}
    parameters = {"early_stopping": True, "max_iter": 6, "rank": 4, "random_state": 0}
    model = MatrixFactorizationRegressor(**parameters, n_jobs=1).fit(X[:6000], y[:6000], **held)
    order = np.random.default_rng(0).permutation(6000)
    other = MatrixFactorizationRegressor(**parameters, n_jobs=3).fit(X[:6000][order], y[:6000][order], **held)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    fixed = MatrixFactorizationRegressor(**parameters, damping=4.0).fit(X[:6000], y[:6000], **held)
    assert fixed.penalty_scale_ == 1.0

    n_judges = []

    def score(run, judges):
        n_judges.append(len(judges.values))
        yield Mark.TRIAL_EPOCH_ENDED
        return -abs(run.solver.hyper.penalty_scale - 0.6)

    monkeypatch.setattr(sklearn_mf._training.penalty_scale, "_score", score)
    chosen = MatrixFactorizationRegressor(**parameters).fit(X[:6000], y[:6000], **held)
    assert chosen.penalty_scale_ == 0.6
    assert len(n_judges) == 3
    assert (n_judges[0] == 1000) if given else (500 < n_judges[0] < 700)


def test_the_scale_multiplies_the_penalties_of_factors_alone():
    """Twice the scale is twice alpha and twice the damping of factors, to the last bit."""
    found = []
    for changed in (
        {"penalty_scale": 2.0},
        {"alpha": 2 * HYPER.alpha, "damping": Damping((8.0, 8.0, 40.0), (4.0, 4.0, 20.0))},
    ):
        codes, values = effects_data(n_fields=3)
        hyper, rng = replace(HYPER, **changed), np.random.default_rng(0)
        grid, parameters = grid_and_parameters(codes, values, None, SIZES, hyper, rng, 4)
        train(grid, parameters, hyper, rng, ONE)
        found.append(parameters)
    np.testing.assert_array_equal(found[0].rows, found[1].rows)
    np.testing.assert_array_equal(found[0].scalars, found[1].scalars)


def test_penalties_of_counts_are_those_of_standardized_counts():
    y = np.random.default_rng(0).gamma(2.0, 3.0, 500).round()
    w = np.random.default_rng(1).uniform(0.5, 2, 500)
    mean = np.average(y, weights=w)
    found = LOSSES["poisson"]().baseline_at(np.log(mean), y, w, 1.0).penalty_units
    assert found == pytest.approx((np.average((y - mean) ** 2, weights=w) ** 0.5, mean))


def counts(kind, n=16_000):
    """Counts with effects of users and items: with a taste, or scattering more than Poisson's, or rare."""
    rng = np.random.default_rng(0)
    X = np.column_stack([(300 * rng.random(n) ** 1.5).astype(int), (200 * rng.random(n) ** 1.5).astype(int)])
    rate = np.exp(rng.normal(0, 0.4, 300)[X[:, 0]] + rng.normal(0, 0.4, 200)[X[:, 1]])
    U, V = rng.normal(0, 1, (300, 2)), rng.normal(0, 1, (200, 2))
    if kind == "taste":
        rate = 30 * rate * np.exp(0.4 * np.einsum("ij,ij->i", U[X[:, 0]], V[X[:, 1]]))
    elif kind == "overdispersed":
        rate = 5 * rate * rng.gamma(0.4, 1 / 0.4, n)
    else:
        rate = 0.03 * rate
    return X, rng.poisson(rate).astype(float)


@pytest.mark.parametrize(
    ("kind", "gain", "least"), [("taste", 0.3, 0.8), ("overdispersed", -0.02, 0.07), ("rare", -0.02, -0.03)]
)
def test_poisson_defaults_serve_all_kinds_of_counts(kind, gain, least):
    X, y = counts(kind)
    train, test = slice(1600, None), slice(0, 1600)
    scores = []
    for rank in (0, 16):
        model = MatrixFactorizationRegressor(rank, loss="poisson", random_state=0).fit(X[train], y[train])
        found = model.predict(X[test])
        scores.append(d2_tweedie_score(y[test], found, power=1))
    assert scores[1] > scores[0] + gain
    assert scores[1] > least
    assert found.max() < 0.9 * y.max(), "no prediction is cut off"
    assert (model.penalty_scale_ < 1) == (kind == "taste")


def test_a_number_times_the_mean_penalizes_biases_of_counts():
    """Fifty times the counts, with a damping that is given: the same rates, fifty times as large."""
    X, y = counts("overdispersed", n=3000)
    first, scaled = (
        fit(X, y * k, rank=0, loss="poisson", implicit_features=None, damping=3.0, max_iter=20) for k in (1, 50)
    )
    np.testing.assert_allclose(scaled.predict(X) / 50, first.predict(X), rtol=0.03)


def test_folds_of_the_encoder_estimate_anew(monkeypatch):
    sizes = []

    def estimate(grid, *arguments):
        sizes.append(len(grid.target))
        return estimate_damping(grid, *arguments)

    monkeypatch.setattr(sklearn_mf._training.damping, "estimate_damping", estimate)
    X, y = make_ratings(60, 40, 800, random_state=0, return_X_y=True)
    model = MatrixFactorizationRegressor(rank=3, max_iter=3, random_state=0)
    MatrixFactorizationEncoder(model, cv=2).fit_transform(X, y)
    assert max(sizes) == 800
    assert sorted(sizes)[:2] == [400, 400]


def test_a_search_takes_every_kind_of_damping():
    X, y = small_ratings(800)
    model, values = MatrixFactorizationRegressor(rank=3, max_iter=3, random_state=0), ["auto", 2.0, (1.0, 8.0)]
    search = GridSearchCV(model, {"damping": values}, cv=KFold(3, shuffle=True, random_state=0)).fit(X, y)
    assert search.best_params_["damping"] in values
    found = clone(search.best_estimator_).fit(X, y).damping_
    np.testing.assert_array_equal(found, search.best_estimator_.damping_)
