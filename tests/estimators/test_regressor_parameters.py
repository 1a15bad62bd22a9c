"""Check what the fitted regressor holds and what each parameter does."""

import pickle

import joblib
import numpy as np
import pytest

from sklearn_mf import MatrixFactorizationEncoder, MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings

FLOAT_TYPES = [float, np.float16, np.float32, np.float64, np.longdouble]


@pytest.fixture(scope="module")
def ratings():
    """Train and test part of generated ratings with rank-3 structure."""
    X, y = make_ratings(300, 200, 15_000, rank=3, noise=0.3, random_state=0, return_X_y=True)
    return X[:13_000], X[13_000:], y[:13_000], y[13_000:]


def rmse(a, b):
    return float(np.sqrt(np.mean((np.asarray(a) - b) ** 2)))


def fit(X, y, sample_weight=None, **parameters):
    return MatrixFactorizationRegressor(**{"random_state": 0, **parameters}).fit(X, y, sample_weight)


def test_worked_example():
    U = np.array([[1.1, 2.3], [0.6, 2.0], [2.5, 0.5]])
    V = np.array([[0.9, 0.2, 1.4, 2.0, 1.2], [1.7, 1.2, 1.2, -0.1, 2.1]])
    users, items = np.divmod(np.arange(15), 5)
    X = np.column_stack([users + 1, items + 1])
    model = fit(X, (U @ V).ravel(), rank=2, fit_bias=False, clip=False)
    model.factors_ = [U, V.T]
    np.testing.assert_allclose(model.predict([[1, 1], [1, 3]]), [4.9, 4.3], rtol=1e-6)
    np.testing.assert_allclose(model.predict(X), (U @ V).ravel(), rtol=1e-5)


def test_recovers_a_low_rank_matrix():
    rng = np.random.default_rng(0)
    M = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 100))
    X = np.argwhere(np.ones(M.shape, dtype=bool))
    seen = rng.random(len(X)) < 0.5
    model = fit(
        X[seen], M.ravel()[seen], rank=2, fit_bias=False, alpha=1e-6, damping=0, learning_rate=0.1, max_iter=100
    )
    hidden = M.ravel()[~seen]
    assert rmse(model.predict(X[~seen]), hidden) <= 0.02 * hidden.std()


def test_better_than_biases_better_than_the_mean(ratings):
    X, X_test, y, y_test = ratings
    factors, biases = (rmse(fit(X, y, rank=rank).predict(X_test), y_test) for rank in (8, 0))
    assert factors < 0.8 * biases < 0.8 * rmse(y.mean(), y_test)


def test_attributes_are_the_model(ratings):
    X, _, y, _ = ratings
    model = fit(X, y, rank=5, clip=False)
    users, items = (np.searchsorted(levels, X[:, f]) for f, levels in enumerate(model.categories_))
    formula = (
        model.intercept_
        + model.user_biases_[users]
        + model.item_biases_[items]
        + (model.user_factors_[users] * model.item_factors_[items]).sum(axis=1)
    )
    np.testing.assert_allclose(model.predict(X), formula, rtol=1e-5)
    assert model.intercept_ == pytest.approx(y.mean())
    assert model.user_factors_.shape == (len(model.categories_[0]), 5)
    assert model.user_factors_.dtype == model.user_biases_.dtype == np.float32
    assert model.predict(X).dtype == np.float64
    assert model.rating_range_ == (y.min(), y.max())
    assert model.n_iter_ == len(model.loss_curve_) == 20
    assert model.loss_curve_[-1] < 0.5 * model.loss_curve_[0]


def test_loss_curve_is_in_squared_units_of_y(ratings):
    X, _, y, _ = ratings
    assert fit(X, 10 * y, rank=0, learning_rate=1e-9).loss_curve_[0] == pytest.approx(50 * y.var(), rel=1e-4)


def test_context_columns_have_biases_and_factors_and_help():
    """Ratings that move with the context, and with the user's own taste in it."""
    rng = np.random.default_rng(0)
    n = 12_000
    X = np.column_stack([rng.integers(100, size=n), rng.integers(80, size=n), rng.integers(4, size=n)])
    taste, level = rng.normal(size=(100, 4)), rng.normal(size=4)
    y = level[X[:, 2]] + taste[X[:, 0], X[:, 2]] + 0.1 * rng.normal(size=n)
    model = fit(X[:10_000], y[:10_000], rank=8)
    assert [len(levels) for levels in model.categories_] == [100, 80, 4]
    assert model.factors_[2].shape == (4, 8)
    with_context = rmse(model.predict(X[10_000:]), y[10_000:])
    without = rmse(fit(X[:10_000, :2], y[:10_000], rank=8).predict(X[10_000:, :2]), y[10_000:])
    biases = rmse(fit(X[:10_000], y[:10_000], rank=0).predict(X[10_000:]), y[10_000:])
    assert with_context < 0.4 * biases < 0.4 * without


def test_unknown_levels_contribute_nothing(ratings):
    X, _, y, _ = ratings
    model = fit(X, y, rank=4, clip=False)
    user_bias, item_bias = float(model.user_biases_[0]), float(model.item_biases_[0])
    user, item = model.categories_[0][0], model.categories_[1][0]
    np.testing.assert_allclose(
        model.predict([[user, -1], [-1, item], [-1, -1]]),
        [model.intercept_ + user_bias, model.intercept_ + item_bias, model.intercept_],
        rtol=1e-6,
    )
    plain = fit(X, y, rank=4, fit_bias=False, clip=False)
    assert plain.intercept_ == 0
    assert not plain.user_biases_.any()
    assert plain.predict([[user, -1]]) == [0.0]
    assert fit(X, y, rank=4, fit_bias=False).predict([[user, -1]]) == [y.min()]


def test_handle_unknown(ratings):
    X, _, y, _ = ratings
    asked = [[X[0, 0], X[0, 1]], [-1, X[0, 1]], [-1, -2]]
    ignoring = fit(X, y, rank=4).predict(asked)
    np.testing.assert_array_equal(np.isnan(fit(X, y, rank=4, handle_unknown="nan").predict(asked)), [False, True, True])
    warning = fit(X, y, rank=4, handle_unknown="warn")
    with pytest.warns(UserWarning, match=r"in 2 of 3 rows: 1 in column 0 of X \(-1\); 1 in column 1 of X \(-2\)"):
        np.testing.assert_array_equal(warning.predict(asked), ignoring)
    warning.predict(X[:5])


def test_clip(ratings):
    X, X_test, y, _ = ratings
    free, clipped = (fit(X, y, clip=clip, alpha=0.01, damping=0.5).predict(X_test) for clip in (False, True))
    assert free.max() > y.max()
    np.testing.assert_array_equal(clipped, np.clip(free, y.min(), y.max()))


@pytest.mark.parametrize(
    "changed",
    [
        {"learning_rate": 0.01}, {"schedule": "constant"}, {"schedule": "invscaling"}, {"alpha": 0.1},
        {"alpha_bias": 0.1}, {"damping": 20.0},
        {"implicit_features": None}, {"alpha_implicit": 5.0}, {"fit_bias": False}, {"max_iter": 5},
        {"rank": 2}, {"random_state": 1},
    ],
    ids=str,
)  # fmt: skip
def test_each_parameter_changes_the_model(ratings, changed):
    X, X_test, y, _ = ratings
    base = {"rank": 4, "random_state": 0}
    assert not np.allclose(fit(X, y, **base).predict(X_test), fit(X, y, **{**base, **changed}).predict(X_test))


@pytest.mark.parametrize(("name", "part"), [("alpha", "factors_"), ("alpha_bias", "biases_"), ("damping", "biases_")])
def test_penalties_shrink(ratings, name, part):
    X, _, y, _ = ratings
    norms = [
        sum(np.square(table).sum() for table in getattr(fit(X, y, rank=4, **{name: strength}), part))
        for strength in (0.01, 1.0, 100.0)
    ]
    assert norms[0] > norms[1] > norms[2]


@pytest.mark.parametrize(
    ("scale", "shift"), [(25.0, -25.0), (2.0, -20.0), (0.25, -0.25), (1e6, 0.0), (1e-25, 0.0), (1e25, 0.0)]
)
def test_the_scale_of_the_ratings_does_not_matter(ratings, scale, shift):
    X, X_test, y, _ = ratings
    scaled = fit(X, scale * y + shift, rank=4).predict(X_test)
    np.testing.assert_allclose((scaled - shift) / scale, fit(X, y, rank=4).predict(X_test), atol=1e-3)


def test_a_constant_far_from_zero(ratings):
    """What is left of a constant after rounding is no structure to learn."""
    X, _, y, _ = ratings
    for constant in (3.0, -1e15, 1e-200, 1e-310, 1e17):
        predictions = fit(X, np.full(len(y), constant), rank=2, clip=False).predict([*X[:5], [-1, -1]])
        np.testing.assert_allclose(predictions, constant, rtol=1e-12, atol=1e-25)
    almost = fit(X, 1e15 + y, rank=2, clip=False).predict(X)
    assert rmse(almost - 1e15, y) < y.std(), "a spread of a few units at 1e15 is still seen"


def test_large_weights_and_wide_tables_do_not_diverge(ratings):
    X, _, y, _ = ratings
    heavy = np.where(np.arange(len(y)) % 100 == 0, 1e4, 1.0)
    model = fit(X, y, heavy, rank=8)
    assert rmse(model.predict(X[::100]), y[::100]) < 0.5 * y.std()
    rng = np.random.default_rng(0)
    wide = np.column_stack([X, rng.integers(50, size=(len(y), 28))])
    model = fit(wide, y, rank=8, learning_rate=0.5)
    assert max(model.loss_curve_) < y.var()
    assert rmse(model.predict(wide), y) < y.std()


def test_random_state(ratings):
    X, X_test, y, _ = ratings
    np.testing.assert_array_equal(fit(X, y, rank=4).predict(X_test), fit(X, y, rank=4).predict(X_test))
    state = np.random.RandomState(0)
    first, second = (fit(X, y, rank=4, random_state=state).predict(X_test) for _ in range(2))
    assert not np.array_equal(first, second), "a RandomState moves on"


def test_verbose(ratings, capsys):
    X, _, y, _ = ratings
    fit(X, y, rank=2, max_iter=3)
    assert capsys.readouterr().out == ""
    fit(X, y, rank=2, max_iter=3, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("Epoch 1/3  step 0.15  training RMSE ")


def test_n_jobs_follows_joblib(ratings, monkeypatch):
    X, _, y, _ = ratings
    asked = []

    def epoch(solver, factor):
        asked.append(solver._shard.threads.n)
        return 0.1, 1.0

    monkeypatch.setattr("sklearn_mf._training.sgd.SGDSolver.epoch", epoch)
    fit(X, y, n_jobs=None, max_iter=1)
    fit(X, y, n_jobs=3, max_iter=1)
    with joblib.parallel_config("threading", n_jobs=2):
        fit(X, y, max_iter=1)
    assert asked == [1, 3, 2]


def test_no_ratings_are_kept(ratings):
    X, _, y, _ = ratings
    model = fit(X, y, rank=2)
    arrays = [value for value in vars(model).values() if isinstance(value, np.ndarray)]
    arrays += [array for value in vars(model).values() if isinstance(value, list) for array in value]
    assert all(np.size(array) < len(y) for array in arrays)


def test_fitted_state_stands_once(ratings):
    """After factors_ are replaced, the old ones are nowhere; what can be derived is not kept."""
    X, _, y, _ = ratings
    model = fit(X, y, rank=16, implicit_features=None)
    size = len(pickle.dumps(model))
    marked = [np.full_like(rows, 7.25) for rows in model.factors_]
    model.factors_ = marked
    assert len(pickle.dumps(model)) == size
    model.factors_ = [rows[:, :0] for rows in marked]
    n_floats = sum(rows.size for rows in marked)
    assert len(pickle.dumps(model)) < size - 4 * n_floats + 1000


@pytest.mark.parametrize("bad", [{"rang": 1}, {"": 1}, {"rank__x": 1}, {"regressor__rang": 1}, {"regressor__": 1}])
@pytest.mark.parametrize("cls", [MatrixFactorizationRegressor, MatrixFactorizationEncoder])
def test_set_params_sets_all_or_none(cls, bad):
    """Whatever the place of the name that is refused."""
    model = cls(random_state=0)
    if cls is MatrixFactorizationEncoder:
        model.set_params(regressor=MatrixFactorizationRegressor())
    before = repr(model)
    with pytest.raises(ValueError, match="Invalid parameter"):
        model.set_params(random_state=1, **bad)
    with pytest.raises(ValueError, match="Invalid parameter"):
        model.set_params(**bad, random_state=1)
    assert repr(model) == before
    assert model.set_params(random_state=1) is model
    assert model.random_state == 1


@pytest.mark.parametrize("rank", [2**31, 10**14, 2**70])
def test_ranks_that_nothing_can_hold(rank):
    with pytest.raises(ValueError, match="The 'rank' parameter"):
        MatrixFactorizationRegressor(rank=rank).fit([[1, 2], [2, 3]], [1, 2])


@pytest.mark.parametrize("value", [np.inf, 10**400])
@pytest.mark.parametrize("name", ["learning_rate", "alpha", "alpha_bias", "damping", "alpha_implicit", "tol"])
def test_numbers_beyond_floats_are_refused(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        MatrixFactorizationRegressor(**{name: value}).fit([[1, 2], [2, 3]], [1, 2])


def test_parameters_may_be_of_any_float_type():
    X, y = make_ratings(20, 10, 100, random_state=0, return_X_y=True)
    names = ["learning_rate", "alpha", "alpha_bias", "damping", "alpha_implicit", "tol"]
    whole = [MatrixFactorizationRegressor(random_state=0, **dict.fromkeys(names, kind(0.5))) for kind in FLOAT_TYPES]
    for model in whole[1:]:
        np.testing.assert_array_equal(model.fit(X, y).predict(X), whole[0].fit(X, y).predict(X))
