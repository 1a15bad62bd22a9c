"""Check that features of the encoder are cross-fitted, turned onto each other and at home in pipelines."""

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline

from sklearn_mf import MatrixFactorizationEncoder, MatrixFactorizationRegressor
from sklearn_mf._base import fitted_model
from sklearn_mf._encoder import _features, _rotation
from sklearn_mf._ids.levels import Levels
from sklearn_mf._prediction.model import Model
from sklearn_mf.datasets import make_ratings


def encoder(cv=5, random_state=0, **parameters):
    regressor = MatrixFactorizationRegressor(**{"rank": 4, "max_iter": 10, "random_state": 0, **parameters})
    return MatrixFactorizationEncoder(regressor, cv=cv, random_state=random_state)


@pytest.fixture(scope="module")
def ratings():
    return make_ratings(120, 60, 4_000, random_state=0, return_X_y=True)


def test_new_rows_get_the_biases_and_factors_of_their_ids(ratings):
    X, y = ratings
    fitted = encoder().fit(X, y)
    model = fitted.regressor_
    users, items = X[:20].T
    expected = np.column_stack(
        [model.user_biases_[users], model.user_factors_[users], model.item_biases_[items], model.item_factors_[items]]
    )
    features = fitted.transform(X[:20])
    assert_allclose(features, expected)
    assert features.dtype == np.float64


def test_a_row_is_encoded_by_a_model_without_its_fold(ratings):
    X, y = ratings
    folds = KFold(3, shuffle=True, random_state=1)
    features = encoder(cv=folds).fit_transform(X, y)
    for train, test in folds.split(X):
        model = MatrixFactorizationRegressor(4, max_iter=10, random_state=0).fit(X[train], y[train])
        users, items = X[test].T  # all ids are in each fold
        assert_allclose(features[test, 0], model.user_biases_[users])
        assert_allclose(features[test, 5], model.item_biases_[items])
        interaction = (model.user_factors_[users] * model.item_factors_[items]).sum(axis=1)
        assert_allclose((features[test, 1:5] * features[test, 6:]).sum(axis=1), interaction, atol=1e-5)
    # Nor has its own rating any part in it, but for the basis of the factors, which comes from all rows.
    changed = y.copy()
    changed[7] += 3.0
    mine = next(test for _, test in folds.split(X) if 7 in test)
    again = encoder(cv=folds).fit_transform(X, changed)
    assert_array_equal(again[mine][:, [0, 5]], features[mine][:, [0, 5]])
    for factors in (slice(1, 5), slice(6, 10)):
        before, after = features[mine][:, factors], again[mine][:, factors]
        assert_allclose(after @ after.T, before @ before.T, atol=1e-12)
    assert not np.array_equal(encoder(cv=folds).fit(X, y).transform(X), features)


def test_factors_of_the_folds_have_one_basis():
    """Without the rotation, the same column of two fits has nothing in common."""
    X, y = make_ratings(200, 100, 12_000, rank=4, noise=0.1, random_state=0, return_X_y=True)
    whole = MatrixFactorizationRegressor(4, random_state=2).fit(X, y)
    rows = np.column_stack([np.arange(100), np.arange(100)])  # ids are indices here
    folds = [
        MatrixFactorizationRegressor(4, random_state=seed).fit(X[train], y[train])
        for seed, (train, _) in enumerate(KFold(2, shuffle=True, random_state=0).split(X))
    ]

    def agreement(rotations):
        a, b = (_features(fitted_model(fold), rows, rotation) for fold, rotation in zip(folds, rotations, strict=True))
        return np.mean([np.corrcoef(a[:, j], b[:, j])[0, 1] for j in (1, 2, 3, 4, 6, 7, 8, 9)])

    rotations = [_rotation(fitted_model(fold), whole.factors_, positive=False) for fold in folds]
    for rotation in rotations:
        assert_allclose(rotation @ rotation.T, np.eye(4), atol=1e-12)
    assert abs(agreement([np.eye(4)] * 2)) < 0.4
    assert agreement(rotations) > 0.8


def test_the_rotation_is_the_best_one():
    rng = np.random.default_rng(0)
    factors = [rng.normal(size=(20, 3)), rng.normal(size=(10, 3))]
    levels = Levels([np.arange(1, 21), np.arange(10)], [None, None])
    fold = SimpleNamespace(model=Model(factors, [np.zeros(20), np.zeros(10)], 0.0), levels=levels)
    true, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turned = [np.vstack([np.full((1, 3), 9.0), factors[0] @ true]), factors[1] @ true]
    assert_allclose(_rotation(fold, turned, positive=False), true, atol=1e-12)
    shuffled = [rows[:, [2, 0, 1]] for rows in (np.vstack([np.zeros((1, 3)), factors[0]]), factors[1])]
    assert_array_equal(factors[0] @ _rotation(fold, shuffled, positive=True), shuffled[0][1:])


def test_positive_factors_stay_positive(ratings):
    assert encoder(positive=True).fit_transform(*ratings)[:, [1, 2, 3, 4]].min() >= 0


def test_ridge_gains_nothing_on_shuffled_ratings(ratings):
    """Where y says nothing, features that had seen it would explain it in training."""
    X, y = ratings
    shuffled = np.random.default_rng(0).permutation(y)
    new, fresh = X[::4], np.random.default_rng(1).permutation(y)[::4]
    cross_fitted = encoder(alpha=0.0, damping=0.1, max_iter=30)
    features = cross_fitted.fit_transform(X, shuffled)
    honest = Ridge().fit(features, shuffled)
    assert honest.score(features, shuffled) < 0.005
    assert honest.score(cross_fitted.transform(new), fresh) < 0.01
    seen = cross_fitted.transform(X)
    assert Ridge().fit(seen, shuffled).score(seen, shuffled) > 0.02  # what cross-fitting prevents


def test_next_to_other_features_in_a_pipeline(ratings):
    X, y = ratings
    hour = np.random.default_rng(0).uniform(0, 24, len(y))
    frame = pd.DataFrame({"user": X[:, 0], "film": [f"film {i}" for i in X[:, 1]], "hour": hour})
    target = y + 0.2 * hour
    ids = ("ids", encoder(), ["user", "film"])
    pipeline = make_pipeline(ColumnTransformer([ids, ("hour", "passthrough", ["hour"])]), Ridge())
    both = cross_val_score(pipeline, frame, target, cv=KFold(3, shuffle=True, random_state=0)).mean()
    alone = cross_val_score(make_pipeline(ColumnTransformer([ids]), Ridge()), frame, target, cv=3).mean()
    assert both > 0.6 > alone
    search = GridSearchCV(pipeline, {"columntransformer__ids__regressor__rank": [0, 2]}, cv=2).fit(frame, target)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_names_of_features(ratings, output):
    X, y = ratings
    names = ["user_bias", "user_factor0", "user_factor1", "film_bias", "film_factor0", "film_factor1"]
    fitted = encoder(rank=2).fit(pd.DataFrame(X, columns=["user", "film"]), y)
    assert fitted.get_feature_names_out().tolist() == names
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        fitted.get_feature_names_out(["a", "b"])
    by_place = encoder(rank=2).fit(X, y)
    assert by_place.get_feature_names_out()[:4].tolist() == ["x0_bias", "x0_factor0", "x0_factor1", "x1_bias"]
    table = encoder(rank=2).set_output(transform=output).fit_transform(pd.DataFrame(X, columns=["user", "film"]), y)
    assert list(table.columns) == names
    assert type(table).__module__.split(".")[0] == output
    assert encoder(rank=0).fit_transform(X, y).shape == (len(y), 2)


def test_ids_never_seen(ratings):
    X, y = ratings
    rows = [[5000, 3], [3, 5000]]
    features = encoder().fit(X, y).transform(rows)
    assert not features[0, :5].any()
    assert features[0, 5:].all()
    assert not features[1, 5:].any()
    missing = encoder(handle_unknown="nan").fit(X, y).transform(rows)
    assert_array_equal(np.isnan(missing), features == 0)
    with pytest.warns(UserWarning, match=r"1 in column 0 of X \(5000\).* Their features are zero"):
        encoder(handle_unknown="warn").fit(X, y).transform(rows)
    with pytest.raises(ValueError, match="ids not seen in fit"):
        encoder(handle_unknown="error").fit(X, y).transform(rows)
    once = np.vstack([X, [[777, 3]]])  # in one fold only: unknown to the model that encodes it
    assert not encoder(handle_unknown="error").fit_transform(once, np.append(y, 3.0))[-1, :5].any()


def test_a_seed_determines_everything(ratings):
    X, y = ratings
    unseeded = MatrixFactorizationEncoder(MatrixFactorizationRegressor(3, max_iter=5), random_state=0)
    first = unseeded.fit_transform(X, y)
    assert_array_equal(clone(unseeded).fit_transform(X, y), first)
    assert unseeded.regressor.random_state is None
    assert not np.array_equal(clone(unseeded).set_params(random_state=1).fit_transform(X, y), first)
    assert_array_equal(clone(unseeded).set_params(regressor__n_jobs=2).fit_transform(X, y), first)
    frame = pd.DataFrame({"user": [f"{u:04d}" for u in X[:, 0]], "film": X[:, 1]})
    assert_array_equal(clone(unseeded).fit_transform(frame, y), first)


def test_weights(ratings):
    X, y = ratings
    weights = np.arange(len(y)) % 3
    whole = encoder().fit(X, y, sample_weight=weights)
    assert_array_equal(whole.transform(X), encoder().fit(np.repeat(X, weights, 0), np.repeat(y, weights)).transform(X))
    even, odd = np.arange(0, len(y), 2), np.arange(1, len(y), 2)
    features = encoder(cv=[(odd, even), (even, odd)]).fit_transform(X, y, sample_weight=weights + 1.0)
    of_odd = MatrixFactorizationRegressor(4, max_iter=10, random_state=0).fit(X[odd], y[odd], weights[odd] + 1.0)
    assert_allclose(features[even, 0], of_odd.user_biases_[of_odd.categories_[0].searchsorted(X[even, 0])])


def test_a_warning_of_all_rows_is_not_repeated_for_each_fold(ratings):
    X, y = ratings
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoder().fit_transform(np.column_stack([X, np.arange(len(y))]), y)
    assert ["looks like an identifier of rows" in str(warning.message) for warning in caught] == [True]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"cv": 1}, "The 'cv' parameter of MatrixFactorizationEncoder must be an int in the range"),
        ({"regressor": Ridge()}, "The 'regressor' parameter .* must be an instance of .*MatrixFactorizationRegressor"),
        ({"cv": ShuffleSplit(3, random_state=0)}, "The test parts of cv must contain each row once, but row"),
        ({"cv": None}, "The 'cv' parameter of MatrixFactorizationEncoder must be"),
        ({"cv": [(np.arange(4000), np.arange(4000))]}, "cv has row 0 in both the training and the test part of a fold"),
        ({"cv": [(np.arange(9), np.arange(9, 20))]}, "row 0 is in 0 of them"),
        ({"cv": 5000}, "Cannot have number of splits n_splits=5000 greater"),
    ],
)
def test_bad_parameters(ratings, parameters, message):
    with pytest.raises(ValueError, match=message):
        MatrixFactorizationEncoder(**parameters).fit_transform(*ratings)


def test_bad_input(ratings):
    X, y = ratings
    with pytest.raises(NotFittedError):
        encoder().transform(X)
    with pytest.raises(ValueError, match="y"):
        encoder().fit_transform(X, np.where(y > 4, np.nan, y))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        encoder().fit_transform(X, y[:-1])
    with pytest.raises(ValueError, match="Ids in column 0 of X are text"):
        encoder().fit(X, y).transform([["a", 1]])
    with pytest.raises(ValueError, match="feature names"):
        encoder().fit(pd.DataFrame(X, columns=["u", "i"]), y).transform(pd.DataFrame(X[:, ::-1], columns=["i", "u"]))
