"""Check that partial_fit learns from batches and grows with their ids."""

import pickle

import numpy as np
import pandas as pd
import pytest
from helpers.continued_fits import both_models, make_like, make_model, rmse, state
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf._training.losses import make_loss
from sklearn_mf.datasets import make_ratings


@both_models
def test_the_first_call_is_a_fit(growing_ratings, implicit_features):
    X, _, y, _ = growing_ratings
    parameters = {"implicit_features": implicit_features, "damping": 3.0, "max_iter": 5}
    fitted, streamed = make_model(**parameters).fit(X, y), make_model(**parameters).partial_fit(X, y)
    for a, b in zip(state(fitted), state(streamed), strict=True):
        np.testing.assert_array_equal(a, b)
    assert streamed.n_iter_ == len(streamed.loss_curve_) == 5
    assert streamed.partial_fit(X[:7], y[:7]).n_iter_ == len(streamed.loss_curve_) == 6


@both_models
@pytest.mark.parametrize("size", [20, 500])
def test_no_batch_makes_a_model_worse(growing_ratings, implicit_features, size):
    """A fit of half the ratings, and then the others: on the way to what a fit of all gives."""
    X, X_test, y, y_test = growing_ratings
    order = np.random.default_rng(0).permutation(len(y))
    half, rest = order[: len(y) // 2], order[len(y) // 2 :]
    parameters = {"implicit_features": implicit_features, "alpha": 0.04}
    model, whole = make_model(**parameters).fit(X[half], y[half]), make_model(**parameters).fit(X, y)
    errors = [rmse(model, X_test, y_test)]
    for start in range(0, len(rest), size):
        batch = rest[start : start + size]
        errors.append(rmse(model.partial_fit(X[batch], y[batch]), X_test, y_test))
    assert np.max(np.diff(errors) / errors[:-1]) < 0.004, "of a few test ratings"
    assert errors[-1] < errors[0] - 0.6 * (errors[0] - rmse(whole, X_test, y_test))


def test_ratings_that_come_again_and_again(growing_ratings):
    """Each counts once more, and the model comes closer to them; a model from scratch, and in three passes."""
    X, X_test, y, y_test = growing_ratings
    model, errors = make_model(), []
    for _ in range(3):
        for start in range(0, len(y), 1000):
            model.partial_fit(X[start : start + 1000], y[start : start + 1000])
        errors.append(rmse(model, X_test, y_test))
    assert errors[0] < 0.8 * y_test.std()
    assert errors[2] < 1.001 * errors[1] < 1.002 * errors[0]


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


def test_learning_rate_and_schedule_have_no_part_in_it(growing_ratings):
    X, _, y, _ = growing_ratings
    model, other = make_model().fit(X[:5000], y[:5000]), make_model().fit(X[:5000], y[:5000])
    other.set_params(learning_rate=7.0, schedule="invscaling", max_iter=1, tol=0.1, early_stopping=True)
    model.partial_fit(X[5000:], y[5000:])
    other.partial_fit(X[5000:], y[5000:])
    np.testing.assert_array_equal(model.predict(X), other.predict(X))


def test_rows_that_know_much_move_little(growing_ratings):
    X, _, y, _ = growing_ratings
    model = make_model(implicit_features=None).fit(X, y)
    users, counts = np.unique(X[:, 0], return_counts=True)
    moves = []
    for user in users[np.argsort(counts)[[0, -1]]]:
        rows = np.column_stack([np.full(30, user), np.arange(30)])
        before = model.predict(rows)
        later = pickle.loads(pickle.dumps(model)).partial_fit([[user, 40]], model.predict([[user, 40]]) + 1.0)
        moves.append(np.abs(later.predict(rows) - before).mean())
    assert moves[1] < 0.5 * moves[0]


def test_partial_fit_after_fit_holds_what_centers_come_from(growing_ratings):
    X, _, y, _ = growing_ratings
    model = make_model().fit(X[:8000], y[:8000])
    coefficients = [rows.whole().copy() for rows in model._training_state.coefficients]
    centers = [rows.whole().copy() for rows in model._training_state.centers[:2]]
    newcomers = np.column_stack([np.full(30, 999), model.categories_[1][:30]])
    later = np.vstack([X[8000:], newcomers])
    model.partial_fit(later, np.append(y[8000:], np.full(30, 3.0)))
    for old, new in zip(coefficients, model._training_state.coefficients, strict=True):
        np.testing.assert_array_equal(new.whole()[: len(old)], old)
        assert not new.whole()[len(old) :].any()
    newcomer = np.flatnonzero(model.categories_[0] == 999)[0]
    expected = coefficients[0][:30].sum(axis=0, dtype=np.float64) / np.sqrt(30)
    np.testing.assert_allclose(model._training_state.centers[0].whole()[newcomer], expected, rtol=1e-4, atol=1e-6)
    # A known user gains partners: |N|^(1/2) z is the sum of their coefficients.
    user = later[0, 0]
    partners = [np.unique(part[part[:, 0] == user, 1]) for part in (X[:8000], later)]
    gained = np.searchsorted(model.categories_[1], partners[1])
    total = np.sqrt(len(partners[0])) * centers[0][user] + coefficients[0][gained].sum(axis=0)
    counted = len(partners[0]) + len(partners[1])  # a pair that was rated before is not known to be one
    expected = total / np.sqrt(counted)
    np.testing.assert_allclose(model._training_state.centers[0].whole()[user], expected, rtol=1e-3, atol=1e-5)


@both_models
def test_a_rating_that_replaces_another(growing_ratings, implicit_features):
    """A wrong rating is learned and then taken back: the model is about what it is with the right one at once."""
    X, _, y, _ = growing_ratings
    start = make_model(implicit_features=implicit_features).fit(X[:8000], y[:8000])
    rows, wrong = X[8000:8100], y[8000:8100] + 3.0
    n_before = start._training_state.knowledge.weight_sum

    def learned(*batches):
        model = pickle.loads(pickle.dumps(start))
        for y_batch, y_old in batches:
            model.partial_fit(rows, y_batch, y_old=y_old)
        return model

    right, mended = learned((y[8000:8100], None)), learned((wrong, None), (y[8000:8100], wrong))
    left, twice = learned((wrong, None)), learned((wrong, None), (y[8000:8100], None))
    off = [np.abs(model.predict(rows) - right.predict(rows)).mean() for model in (mended, left, twice)]
    assert off[0] < 0.25 * off[1]
    assert off[0] < 0.5 * off[2]
    assert mended._training_state.knowledge.weight_sum == n_before + 100
    assert twice._training_state.knowledge.weight_sum == n_before + 200
    same = learned((wrong, None), (wrong, wrong))
    np.testing.assert_allclose(same.predict(rows), left.predict(rows), atol=1e-6)
    some = np.where(np.arange(100) < 50, wrong, np.nan)
    assert learned((wrong, None), (wrong, some))._training_state.knowledge.weight_sum == n_before + 150


def test_what_can_be_replaced(growing_ratings):
    X, _, y, _ = growing_ratings
    model = make_model().fit(X, y)
    before = dict(vars(model))
    for batch, y_old, match in [
        (([[0, 1]], [3.0]), [np.inf], "y_old is infinite in 1 of 1 rows, the first at row 0"),
        (([[0, 1]], [3.0]), [1.0, 2.0], r"y_old.shape == \(2,\), expected \(1,\)"),
        (([[0, 1]], [3.0]), ["much"], "y_old must be an array of numbers"),
        (([[0, 1]], [3.0]), np.array([1j]), "y_old must be an array of numbers"),
        (([[0, 1], [7777, 1]], [3.0, 4.0]), [np.nan, 2.0], "whose user, item or context is new, the first at row 1"),
    ]:
        with pytest.raises(ValueError, match=match):
            model.partial_fit(*batch, y_old=y_old)
    with pytest.raises(ValueError, match="whose user, item or context is new, the first at row 2"):
        model.partial_fit([[0, 1], [1, 1], [7777, 1]], [3.0, 3.0, 4.0], [0.0, 1.0, 1.0], y_old=[np.nan, 2.0, 2.0])
    with pytest.raises(ValueError, match="all ratings in its y are the same"):
        make_model().partial_fit([[1, 1], [1, 2], [2, 1]], [3, 3, 5], [1, 1, 0])
    with pytest.raises(ValueError, match="has not learned any ratings yet"):
        make_model().partial_fit(X, y, y_old=y)
    with pytest.raises(ValueError, match="y_old has 1 negative values"):
        make_model(loss="poisson").fit(X, np.abs(y)).partial_fit(X[:2], [1, 2], y_old=[-1, np.nan])
    assert vars(model) == before
    model.partial_fit([[7777, 1], [0, 1]], [3.0, 4.0], y_old=[np.nan, 2.0])


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_forgetting_follows_tastes_that_drift(loss):
    """Items change places in the course of a stream: a model that forgets predicts the last ratings better."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(60, size=20_000), rng.integers(20, size=20_000)])
    angle = np.linspace(0, np.pi, len(X))
    direction = np.linspace(-1, 1, 20)[X[:, 1]]
    y = 4 + 3 * direction * np.cos(angle) + rng.normal(scale=0.3, size=len(X))
    y = np.maximum(y, 0)
    errors = {}
    for forgetting in (0.0, 0.02):
        model = make_model(rank=0, loss=loss, forgetting=forgetting).partial_fit(X[:2000], y[:2000])
        for start in range(2000, 20_000, 200):
            errors[forgetting] = rmse(model, X[start : start + 200], y[start : start + 200])
            model.partial_fit(X[start : start + 200], y[start : start + 200])
    assert errors[0.02] < 0.6 * errors[0.0]


def test_a_new_item_that_new_users_rate(growing_ratings):
    """Nobody of them is known: factors start off zero, so they can still move."""
    X, _, y, _ = growing_ratings
    model = make_model(implicit_features=None).fit(X, y)
    new = np.stack(np.meshgrid(np.arange(1000, 1020), np.arange(1000, 1010)), axis=-1).reshape(-1, 2)
    sign = np.where(new[:, 0] % 2, 1.0, -1.0) * np.where(new[:, 1] % 2, 1.0, -1.0)
    for _ in range(40):
        model.partial_fit(new, 3.0 + sign)
    assert np.corrcoef(model.predict(new), sign)[0, 1] > 0.9


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile", "poisson"])
def test_partial_fit_of_every_loss(growing_ratings, loss):
    X, X_test, y, y_test = growing_ratings
    y, y_test = np.abs(y).round(), np.abs(y_test).round()
    order = np.random.default_rng(0).permutation(len(y))
    half, errors = order[: len(y) // 2], []
    parameters = {"loss": loss, "implicit_features": None, "damping": 4.0}
    model, whole = make_model(**parameters).fit(X[half], y[half]), make_model(**parameters).fit(X, y)
    measure = make_loss(loss, epsilon=1.35, quantile=0.5)

    def error(of):
        f = of.predict(X_test) if loss != "poisson" else np.log(np.maximum(of.predict(X_test), 1e-3))
        return measure.values(y_test, f, 1.0).mean()

    errors = [error(model)]
    for start in range(len(half), len(y), 1000):
        batch = order[start : start + 1000]
        errors.append(error(model.partial_fit(X[batch], y[batch])))
    assert np.max(np.diff(errors) / errors[:-1]) < 0.004
    assert errors[-1] < errors[0] - 0.4 * (errors[0] - error(whole))


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
        ({"rank": 3}, "partial_fit continues .*: rank was 6, now 3"),
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
    with pytest.raises(ValueError, match="all ratings in its y are the same"):
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


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_columns", [2, 3, 4])
def test_gains_rest_on_the_gradients_of_the_fit(growing_ratings, n_columns, weighted):
    """The mean of |s - V_f|^2 over all ratings, for each column; without biases rows have a direction in common."""
    X, _, y, _ = growing_ratings
    X = np.column_stack([X, X[:, 0] % 5, X[:, 1] % 3])[:, :n_columns]
    w = np.random.default_rng(0).integers(1, 4, len(y)) if weighted else None
    model = make_model(fit_bias=False).fit(X, y, w)
    rows = np.stack(
        [model.factors_[f][np.searchsorted(model.categories_[f], X[:, f])] for f in range(n_columns)], axis=1
    )
    squares = ((rows.sum(axis=1, keepdims=True) - rows) ** 2).sum(axis=2) / model._training_state.scale
    known = model._training_state.knowledge
    np.testing.assert_allclose(known.square_sums / known.weight_sum, np.average(squares, axis=0, weights=w), rtol=1e-3)
