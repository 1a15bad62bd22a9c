"""Check the standard deviations of predictions, and lists that are ranked by bounds."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings


def make_model(**parameters):
    return MatrixFactorizationRegressor(**{"rank": 6, "random_state": 0, "clip": False, **parameters})


def noisy(n_users=400, n_items=200, n=40_000, seed=0):
    """Ratings whose noise depends on the user and the item, training and test rows, and what users and items have."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([(n_users * rng.random(n) ** 2).astype(int), (n_items * rng.random(n) ** 2).astype(int)])
    X = np.unique(X, axis=0)
    X = X[rng.permutation(len(X))]
    P, Q = rng.normal(size=(n_users, 4)), rng.normal(size=(n_items, 4))
    noise_u, noise_i = np.exp(0.3 * rng.normal(size=n_users)), np.exp(0.3 * rng.normal(size=n_items))
    mean = 3 + 0.4 * (P[X[:, 0]] * Q[X[:, 1]]).sum(axis=1)
    sigma = 0.7 * noise_u[X[:, 0]] * noise_i[X[:, 1]]
    y = mean + sigma * rng.normal(size=len(X))
    test = np.arange(len(X)) % 10 == 0
    return X, y, mean, sigma, test


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
@pytest.mark.parametrize("implicit_features", [None, "both"])
def test_deviations_are_those_of_ratings_not_seen(loss, implicit_features):
    X, y, mean, sigma, test = noisy()
    model = make_model(loss=loss, implicit_features=implicit_features).fit(X[~test], y[~test])
    predicted, std = model.predict(X[test], return_std=True)
    same, of_mean = model.predict(X[test], return_std="mean")
    np.testing.assert_array_equal(predicted, same)
    np.testing.assert_array_equal(predicted, model.predict(X[test]))
    z = (y[test] - predicted) / std
    assert np.mean(z**2) == pytest.approx(1, abs=0.12)
    assert np.mean(np.abs(z) < 1.645) == pytest.approx(0.9, abs=0.02)
    assert (of_mean < std).all()
    assert np.corrcoef(np.log(std), np.log(sigma[test]))[0, 1] > 0.6
    for part in np.array_split(np.argsort(std), 5):
        found = np.sqrt(np.mean((y[test] - predicted)[part] ** 2))
        assert found == pytest.approx(np.sqrt(np.mean(std[part] ** 2)), rel=0.15)
    few = np.argsort(of_mean)
    off = np.abs(predicted - mean[test])
    assert off[few[: len(few) // 5]].mean() < 0.7 * off[few[-len(few) // 5 :]].mean()


def test_more_ratings_make_surer():
    """Of the same user, by partial_fit, by fold_in and by fit; the noise of a rating itself stays."""
    X, y, *_ = noisy()
    model = make_model().fit(X, y)
    new, items = 9999, np.arange(40)
    pairs = np.column_stack([np.full(40, new), items])
    rng, sure = np.random.default_rng(1), []
    for n in (0, 1, 5, 40):
        if n:
            rows = pairs[:n] if n < 40 else pairs
            later = MatrixFactorizationRegressor.__new__(MatrixFactorizationRegressor)
            later.__setstate__(model.__getstate__())
            later.partial_fit(rows, 3 + 0.7 * rng.normal(size=len(rows)))
        else:
            later = model
        of_rating, of_mean = (later.predict(pairs, return_std=kind)[1].mean() for kind in (True, "mean"))
        sure.append((of_rating, of_mean))
    of_ratings, of_means = np.array(sure).T
    assert (np.diff(of_means) < 0).all()
    assert of_means[-1] < 0.6 * of_means[0]
    assert of_ratings[-1] > 0.5
    folded = make_model().fit(X, y).fold_in(pairs, 3 + 0.7 * rng.normal(size=40))
    assert folded.predict(pairs, return_std="mean")[1].mean() == pytest.approx(of_means[-1], rel=0.25)


def test_ids_never_seen_are_the_least_sure():
    X, y, *_ = noisy()
    model = make_model().fit(X, y)
    known = model.predict(X[:2000], return_std="mean")[1]
    unknown = {
        name: model.predict(np.column_stack(pairs), return_std="mean")[1]
        for name, pairs in {
            "user": (np.full(2000, -5), X[:2000, 1]),
            "item": (X[:2000, 0], np.full(2000, -5)),
            "both": (np.full(2000, -5), np.full(2000, -5)),
        }.items()
    }
    for name in ("user", "item"):
        assert unknown[name].mean() > 1.3 * known.mean(), name
    assert unknown["both"].mean() > np.maximum(unknown["user"].mean(), unknown["item"].mean())
    assert (
        model.predict(X[:9], return_std=True)[1].mean() < model.predict(np.full((9, 2), -1), return_std=True)[1].mean()
    )


def test_deviations_are_on_the_scale_of_y():
    X, y, *_ = noisy(n=8000)
    one, other = make_model().fit(X, y), make_model().fit(X, 100 * y - 7)
    for kind in (True, "mean"):
        np.testing.assert_allclose(
            other.predict(X, return_std=kind)[1], 100 * one.predict(X, return_std=kind)[1], rtol=1e-3
        )


def test_deviations_of_contexts_weights_and_options():
    X, y, *_ = noisy(n=8000)
    with_context = np.column_stack([X, X[:, 0] % 3])
    for parameters in [{}, {"fit_bias": False}, {"positive": True}, {"rank": 0}, {"implicit_features": None}]:
        for table in (X, with_context):
            model = make_model(**parameters).fit(table, y)
            predicted, std = model.predict(table, return_std=True)
            np.testing.assert_array_equal(predicted, model.predict(table))
            assert (std > 0.3).all()
            ratio = np.mean((y - predicted) ** 2) / np.mean(std**2)
            assert 0.5 < ratio < 1.05, "ratings of the fit are predicted better"
    repeated = make_model().fit(np.repeat(X, 2, axis=0), np.repeat(y, 2))
    weighted = make_model().fit(X, y, np.full(len(y), 2.0))
    plain = make_model().fit(X, y)
    for other in (repeated, weighted):
        np.testing.assert_array_equal(other.predict(X, return_std=True), plain.predict(X, return_std=True))


def test_deviations_do_not_depend_on_order_threads_and_names():
    X, y, *_ = noisy(n=8000)
    order = np.random.default_rng(0).permutation(len(y))
    expected = make_model().fit(X, y).predict(X, return_std=True)
    model = make_model(n_jobs=3).fit(X[order], y[order])
    np.testing.assert_array_equal(model.predict(X, return_std=True), expected)
    named = make_model().fit(np.char.add("id", np.char.zfill(X.astype(str), 6)).astype(object), y)
    np.testing.assert_array_equal(
        named.predict(np.char.add("id", np.char.zfill(X.astype(str), 6)).astype(object), return_std=True), expected
    )


@pytest.mark.parametrize("handle_unknown", ["ignore", "warn", "nan", "error"])
def test_unknown_ids(handle_unknown):
    X, y, *_ = noisy(n=4000)
    model = make_model(handle_unknown=handle_unknown).fit(X, y)
    query = np.vstack([X[:2], [[-3, 0]]])
    if handle_unknown == "error":
        with pytest.raises(ValueError, match="not seen in fit"):
            model.predict(query, return_std=True)
        return
    if handle_unknown == "warn":
        with pytest.warns(UserWarning, match="ids not seen in fit"):
            result = model.predict(query, return_std=True)
    else:
        result = model.predict(query, return_std=True)
    assert all(np.isnan(part[2]) == (handle_unknown == "nan") for part in result)
    assert np.isfinite([part[:2] for part in result]).all()


def test_what_has_no_deviations():
    X, y, *_ = noisy(n=4000)
    for loss in ("quantile", "poisson"):
        model = make_model(loss=loss).fit(X, np.abs(y).round())
        with pytest.raises(ValueError, match=f"need loss='squared_error', .* but this model has loss='{loss}'"):
            model.predict(X, return_std=True)
        with pytest.raises(ValueError, match="Standard deviations need"):
            model.recommend([1], by="lower")
    model = make_model().fit(X, y)
    for bad in ("std", None, 2, np.array([True])):
        with pytest.raises(ValueError, match="return_std must be True, False or 'mean'"):
            model.predict(X, return_std=bad)
    for bad in ("best", None, 1, ["lower"]):
        with pytest.raises(ValueError, match="by must be one of 'rating', 'lower', 'upper'"):
            model.recommend([1], by=bad)


def test_deviations_of_ratings_that_are_all_the_same():
    X = np.stack(np.meshgrid(np.arange(5), np.arange(5)), axis=-1).reshape(-1, 2)
    predicted, std = make_model().fit(X, np.full(25, 4.0)).predict(X, return_std=True)
    np.testing.assert_array_equal(predicted, 4.0)
    np.testing.assert_allclose(std, 0.0, atol=1e-12)


def test_in_pipelines_and_searches():
    X, y, *_ = noisy(n=4000)
    frame = pd.DataFrame(X, columns=["user", "film"])
    pipeline = make_pipeline(FunctionTransformer(), make_model()).fit(frame, y)
    expected = make_model().fit(frame, y).predict(frame, return_std=True)
    np.testing.assert_array_equal(pipeline.predict(frame, return_std=True), expected)
    search = GridSearchCV(make_model(max_iter=2), {"rank": [2]}, cv=2).fit(X, y)
    assert len(search.best_estimator_.predict(X, return_std=True)) == 2
    with sklearn.config_context(enable_metadata_routing=True):
        routed = Pipeline([("model", make_model().set_predict_request(return_std=True))]).fit(X, y)
        predicted, std = routed.predict(X, return_std=True)
        assert predicted.shape == std.shape


@pytest.mark.parametrize("with_context", [False, True])
def test_lists_by_bounds(with_context):
    X, y = make_ratings(150, 90, 4_000, random_state=0, return_X_y=True)
    table = np.column_stack([X, np.arange(len(y)) % 3]) if with_context else X
    model = make_model().fit(table, y)
    users, seen = [1, 2, 149, -4], table[:400]
    more = {"context": [1]} if with_context else {}
    for by, sign in (("rating", 0.0), ("lower", -1.0), ("upper", 1.0)):
        items, ratings = model.recommend(users, 7, by=by, exclude=seen, **more)
        for user, found, values in zip(users, items, ratings, strict=True):
            left = np.setdiff1d(model.categories_[1], seen[seen[:, 0] == user, 1])
            pairs = np.column_stack([np.full(len(left), user), left, *[np.full(len(left), 1)] * with_context])
            predicted, std = model.predict(pairs, return_std="mean")
            best = np.argsort(-(predicted + sign * std), kind="stable")[:7]
            np.testing.assert_array_equal(found, left[best])
            np.testing.assert_array_equal(values, predicted[best])
    if not with_context:
        everybody = np.append(model.categories_[0], [-4, -5])
        for by in ("lower", "upper"):
            many = model.recommend(everybody, 7, by=by, exclude=seen)  # candidates come from products of matrices
            for start in range(0, len(everybody), 5):
                few = model.recommend(everybody[start : start + 5], 7, by=by, exclude=seen)  # every item is scored
                for found, expected in zip(many, few, strict=True):
                    np.testing.assert_array_equal(found[start : start + 5], expected)
        careful = model.recommend([5], 90, by="lower")[0][0]
        exploring = model.recommend([5], 90, by="upper")[0][0]
        std = [
            model.predict([[5, item] for item in found[:10]], return_std="mean")[1] for found in (careful, exploring)
        ]
        assert std[0].mean() < std[1].mean()


@pytest.mark.parametrize("parameters", [{"damping": 0}, {"damping": (0, 0), "alpha": 0.0}, {"damping": 1e-3}])
def test_models_without_damping_have_deviations_too(parameters):
    X, y, _, _, test = noisy()
    model = make_model(**parameters).fit(X[~test], y[~test])
    for _ in range(2):
        predicted, std = model.predict(X[test], return_std=True)
        assert np.sqrt(np.mean((y[test] - predicted) ** 2)) == pytest.approx(np.sqrt(np.mean(std**2)), rel=0.35)
        model.fold_in([[-1, 0], [-1, 1], [-2, 1]], [3.0, 4.0, 1.0], update_known=True)
        model.partial_fit([[-3, 2]], [3.0])


def test_wrong_old_ratings_leave_the_deviations():
    X, y = make_ratings(500, 300, 20_000, random_state=0, return_X_y=True)
    model = make_model().fit(X[:10_000], y[:10_000])
    known = np.isin(X[10_000:], model.categories_[0]).all(axis=1)
    before = model.predict(X, return_std=True)[1].mean()
    with pytest.raises(ValueError, match="y_old has 1 ratings outside the range that the model has learned"):
        model.partial_fit(X[:1], y[:1], y_old=[300.0])
    later = X[10_000:][known]
    model.partial_fit(later, y[10_000:][known], y_old=np.full(len(later), y[:10_000].min()))  # nobody rated them
    assert model.predict(X, return_std=True)[1].mean() > 0.9 * before


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_lists_by_bounds_on_any_scale(scale):
    X, y = make_ratings(60, 40, 2_000, random_state=0, return_X_y=True)
    one, other = make_model().fit(X, y), make_model().fit(X, scale * y)
    for by in ("lower", "upper"):
        expected, found = (model.recommend(one.categories_[0], 5, by=by)[0] for model in (one, other))
        assert (expected == found).mean() > 0.97, "but for rounding"
