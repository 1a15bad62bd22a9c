"""Check that partial_fit learns from batches and grows with their ids."""

import numpy as np
import pandas as pd
import pytest
from helpers.continued_fits import both_models, make_like, make_model, rmse, state
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings


@both_models
def test_a_million_in_batches(implicit_features):
    """Here a tenth of that, in batches of 1,000; benchmarks/streaming.py has the million. Without implicit features."""
    X, y = make_ratings(1000, 500, 60_000, rank=4, random_state=0, return_X_y=True)
    test = np.arange(len(y)) % 10 == 0
    X_train, y_train = X[~test], y[~test]
    parameters = {"implicit_features": implicit_features, "alpha": 0.03, "damping": 2.0}
    whole = make_model(learning_rate=0.05, **parameters).fit(X_train, y_train)
    model, rng = make_model(learning_rate=0.1, schedule="invscaling", **parameters), np.random.default_rng(0)
    for _ in range(20):
        order = rng.permutation(len(y_train))
        for start in range(0, len(order), 1000):
            rows = order[start : start + 1000]
            model.partial_fit(X_train[rows], y_train[rows])
    assert rmse(model, X[test], y[test]) < (1.01 if implicit_features is None else 1.03) * rmse(whole, X[test], y[test])
    assert model.n_iter_ == len(model.loss_curve_) == 20 * 54


@both_models
def test_partial_fit_grows(growing_ratings, implicit_features):
    X, _, y, _ = growing_ratings
    old = (X[:, 0] < 200) & (X[:, 1] >= 30)
    model = make_model(implicit_features=implicit_features).fit(X[old], y[old])
    intercept, users = model.intercept_, model.categories_[0]
    known = model.predict(X[old])
    model.partial_fit(X[~old][::-1], y[~old][::-1])
    assert model.intercept_ == intercept
    np.testing.assert_array_equal(model.categories_[0][: len(users)], users)
    assert (model.categories_[0][len(users) :] >= 200).all()
    np.testing.assert_array_equal(model.categories_[1][-30:], np.arange(30))  # arrived later, though they sort first
    new = X[:, 0] >= 200
    constant = np.sqrt(np.mean((y[new] - intercept) ** 2))
    assert rmse(model, X[new], y[new]) < 0.97 * constant
    assert not np.array_equal(model.predict(X[old]), known), "known rows learn from the batch too"
    for _ in range(30):
        model.partial_fit(X[~old], y[~old])
    assert rmse(model, X[new], y[new]) < 0.8 * constant


def test_rows_that_a_batch_does_not_have_stay(growing_ratings):
    X, _, y, _ = growing_ratings
    model = make_model().fit(X, y)
    factors, biases = state(model)[:2], state(model)[2:4]
    batch = (X[:, 0] < 50) & (X[:, 1] < 50)
    model.partial_fit(X[batch], y[batch])
    for f in range(2):
        np.testing.assert_array_equal(model.factors_[f][50:], factors[f][50:])
        np.testing.assert_array_equal(model.biases_[f][50:], biases[f][50:])
        visited = np.unique(X[batch, f])
        assert (model.factors_[f][visited] != factors[f][visited]).any(axis=1).all()


@both_models
@pytest.mark.parametrize("n_jobs", [1, 3])
def test_rows_of_a_batch_can_come_in_any_order(growing_ratings, implicit_features, n_jobs):
    X, _, y, _ = growing_ratings
    rng, models = np.random.default_rng(0), []
    for _ in range(2):
        model = make_model(implicit_features=implicit_features, n_jobs=n_jobs if models else None)
        for start in (0, 3000, 6000):
            rows = start + rng.permutation(3000)
            model.partial_fit(X[rows], y[rows])
        models.append(model)
    for a, b in zip(state(models[0]), state(models[1]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_in_batches_are_repetition_and_zero_is_absence(growing_ratings):
    X, _, y, _ = growing_ratings
    w = np.random.default_rng(0).integers(0, 3, 2000)
    first, second = slice(0, 1000), slice(1000, 2000)
    weighted, repeated = make_model(implicit_features=None), make_model(implicit_features=None)
    for part in (first, second):
        weighted.partial_fit(X[part], y[part], w[part])
        repeated.partial_fit(np.repeat(X[part], w[part], axis=0), np.repeat(y[part], w[part]))
    for a, b in zip(state(weighted), state(repeated), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_scale_of_weights_is_that_of_the_first_batch(growing_ratings):
    X, _, y, _ = growing_ratings
    ones, models = np.ones(1000), []
    for first, second in ((1.0, 4.0), (2.0, 8.0), (1.0, 1.0)):
        model = make_model(implicit_features=None).partial_fit(X[:1000], y[:1000], first * ones)
        models.append(model.partial_fit(X[1000:2000], y[1000:2000], second * ones))
    np.testing.assert_array_equal(models[0].user_biases_, models[1].user_biases_)
    assert np.abs(models[0].user_biases_).sum() > np.abs(models[2].user_biases_).sum()


def test_steps_of_batches(growing_ratings):
    """ "invscaling" falls with the batches, "constant" and "linear" do not."""
    X, _, y, _ = growing_ratings
    models = {
        schedule: make_model(schedule=schedule, implicit_features=None)
        for schedule in ("linear", "constant", "invscaling")
    }
    for start in range(0, 5000, 100):
        for model in models.values():
            model.partial_fit(X[start : start + 100], y[start : start + 100])
    before = {schedule: model.user_biases_ for schedule, model in models.items()}
    for model in models.values():
        model.partial_fit(X[:100], y[:100])
    moved = {s: np.abs(model.user_biases_ - before[s]).sum() for s, model in models.items()}
    assert moved["linear"] == moved["constant"]
    assert moved["invscaling"] < 0.6 * moved["constant"]


def test_partial_fit_after_fit_holds_what_centers_come_from(growing_ratings):
    X, _, y, _ = growing_ratings
    model = make_model().fit(X[:8000], y[:8000])
    coefficients = [array.copy() for array in model._training_state.coefficients]
    centers = [array.copy() for array in model._training_state.centers[:2]]
    newcomers = np.column_stack([np.full(30, 999), model.categories_[1][:30]])
    model.partial_fit(np.vstack([X[8000:], newcomers]), np.append(y[8000:], np.full(30, 3.0)))
    for old, new in zip(coefficients, model._training_state.coefficients, strict=True):
        np.testing.assert_array_equal(new[: len(old)], old)
        assert not new[len(old) :].any()
    for old, new in zip(centers, model._training_state.centers[:2], strict=True):
        np.testing.assert_array_equal(new[: len(old)], old)
    newcomer = np.flatnonzero(model.categories_[0] == 999)[0]
    expected = coefficients[0][:30].sum(axis=0, dtype=np.float64) / np.sqrt(30)
    np.testing.assert_allclose(model._training_state.centers[0][newcomer], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile", "poisson"])
def test_partial_fit_of_every_loss(growing_ratings, loss):
    X, X_test, y, y_test = growing_ratings
    y, y_test = np.abs(y).round(), np.abs(y_test).round()
    model = make_model(loss=loss, implicit_features=None, learning_rate=0.05)
    for _ in range(10):
        for start in range(0, len(y), 2500):
            model.partial_fit(X[start : start + 2500], y[start : start + 2500])
    assert model.loss_curve_[-1] < 0.95 * model.loss_curve_[0]
    assert np.isfinite(model.predict(X_test)).all()


@pytest.mark.parametrize(
    ("first", "second", "dtype"),
    [
        ([1, 5], [3, 7], np.int64),
        ([1.5, 2.0], [3, 7], np.float64),
        ([1, 5], [2.5, 7], np.float64),
        ([2**62, 5], [0.5, 7], object),
        ([2**63 + 5, 2**63], [1, 7], np.uint64),
        (["b", "d"], ["a", "c"], object),
        (np.array(["2024-01-02", "2024-01-05"], "M8[D]"), np.array(["2024-01-03T01", "2024-01-01T00"], "M8[h]"), None),
    ],
    ids=str,
)
def test_kinds_of_ids_that_grow(first, second, dtype):
    frames = [pd.DataFrame({"u": np.asarray(ids), "i": [1, 2]}) for ids in (first, second)]
    if dtype is object and not isinstance(first[0], str):
        frames = [pd.DataFrame({"u": np.asarray(ids, dtype=object), "i": [1, 2]}) for ids in (first, second)]
    model = make_model(rank=2, handle_unknown="error").partial_fit(frames[0], [1.0, 4.0])
    model.partial_fit(frames[1], [2.0, 3.0]).partial_fit(frames[0].iloc[::-1], [1.0, 2.0])
    assert len(model.categories_[0]) == 4
    if dtype is not None:
        assert model.categories_[0].dtype == dtype
    both = pd.concat(frames, ignore_index=True)
    both["i"] = 1
    one_by_one = [model.predict(frame.assign(i=1).iloc[k : k + 1])[0] for frame in frames for k in range(2)]
    assert len(set(one_by_one)) == 4
    if len({frame["u"].dtype for frame in frames}) == 1:
        np.testing.assert_array_equal(model.predict(both), one_by_one)


def test_partial_fit_refuses(growing_ratings):
    X, _, y, _ = growing_ratings
    model = make_model().partial_fit(X, y)
    before = dict(vars(model))
    for change, match in [
        ({"rank": 3}, "partial_fit goes on .*: rank was 6, now 3"),
        ({"loss": "huber"}, r"was squared_error, now huber, epsilon=1.35"),
        ({"implicit_features": None}, "implicit_features was both, now None"),
        ({"fit_bias": False}, "fit_bias was True, now False"),
        ({"positive": True}, "positive was False, now True"),
    ]:
        with pytest.raises(ValueError, match=match):
            make_like(model, **change).partial_fit(X, y)
    make_like(model, epsilon=7.0, quantile=0.1).partial_fit(X, y)  # not of this loss
    with pytest.raises(ValueError, match="Ids in column 1 of X are text"):
        model.partial_fit([[1, "a"]], [3])
    with pytest.raises(ValueError, match="Rescale"):
        model.partial_fit(X[:5], np.full(5, 1e300))
    with pytest.raises(ValueError, match="too small for single precision"):
        model.partial_fit(X[:5], y[:5], np.full(5, 1e-300))
    with pytest.raises(ValueError, match="Rescale them"):
        model.fold_in([[900, 1]], [1e300])
    with pytest.raises(ValueError, match="all of its ratings in y are the same"):
        make_model().partial_fit([[1, 2], [1, 3]], [4, 4])
    with pytest.raises(ValueError, match=r"X has 3 features, but .* is expecting 2"):
        model.partial_fit(np.column_stack([X, X[:, 0]]), y)
    assert vars(model) == before


@both_models
def test_all_in_turn(growing_ratings, implicit_features):
    """fit, fold_in, partial_fit, fold_in, warm fit: each goes on from the one before."""
    X, X_test, y, y_test = growing_ratings
    users = X[:, 0]
    model = make_model(implicit_features=implicit_features, learning_rate=0.05, warm_start=True)
    model.fit(X[users < 100], y[users < 100])
    for low, method in ((100, "fold_in"), (150, "partial_fit"), (200, "fold_in"), (250, "partial_fit")):
        rows = (users >= low) & (users < low + 50)
        getattr(model, method)(X[rows], y[rows])
    assert len(model.categories_[0]) == len(np.unique(users))
    grown = rmse(model, X_test, y_test)
    model.fit(X, y)
    np.testing.assert_array_equal(model.categories_[0], np.unique(users))
    assert rmse(model, X_test, y_test) < grown


def test_later_batches_of_counts_can_be_zeros():
    rng = np.random.default_rng(0)
    X, y = rng.integers(20, size=(400, 2)), rng.poisson(1.0, 400)
    model = make_model(loss="poisson").partial_fit(X, y)
    before = model.predict(X).mean()
    model.partial_fit(X, np.zeros(400))
    assert model.predict(X).mean() < before
    with pytest.raises(ValueError, match="are the same"):
        make_model(loss="poisson").partial_fit(X, np.zeros(400))


@both_models
@pytest.mark.parametrize("weight", [1e-300, 1e-60])
def test_weights_that_vanish_beside_the_first(implicit_features, weight):
    """All of a batch, which leaves nothing to learn from; some of a batch are as good as 0."""
    X, y = make_ratings(20, 10, 100, random_state=0, return_X_y=True)
    model = make_model(implicit_features=implicit_features).partial_fit(X, y)
    with pytest.raises(ValueError, match="too small for single precision"):
        model.partial_fit(X, y, np.full(len(y), weight))
    model.partial_fit(X, y, np.where(np.arange(len(y)) < 5, 1.0, weight))
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("name", ["schedule", "rank", "alpha", "n_jobs", "handle_unknown"])
def test_parameters_of_a_later_batch_are_checked(name):
    X, y = np.array([[0, 1], [1, 0], [2, 1]]), np.array([1.0, 2.0, 3.0])
    model = MatrixFactorizationRegressor(rank=2, random_state=0).partial_fit(X, y)
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter"):
        model.set_params(**{name: "later"}).partial_fit(X, y)
