"""Check that the regressor works in scikit-learn's own tools."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor, StackingRegressor, VotingRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, OneHotEncoder, OrdinalEncoder
from sklearn.utils.fixes import parse_version

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings

GRID = {"rank": [0, 4], "learning_rate": [0.02, 0.1]}


@pytest.fixture(scope="module")
def ratings():
    return make_ratings(120, 80, 5_000, rank=3, noise=0.3, random_state=0, return_X_y=True)


@pytest.fixture(scope="module")
def frame(ratings):
    X, y = ratings
    users = np.array([f"user {u:03d}" for u in X[:, 0]])
    return pd.DataFrame({"user": users, "film": X[:, 1], "age": (X[:, 0] * 7) % 50 + 0.5}), pd.Series(y)


def model(**parameters):
    return MatrixFactorizationRegressor(**{"rank": 4, "random_state": 0, **parameters})


def test_clone_and_parameters(ratings):
    original = model(rank=7, alpha=0.3, n_jobs=2)
    copy = clone(original)
    assert copy.get_params() == original.get_params()
    assert repr(copy) == "MatrixFactorizationRegressor(alpha=0.3, n_jobs=2, random_state=0, rank=7)"
    assert not hasattr(copy, "factors_")


@pytest.mark.parametrize("how", ["pickle", "joblib", "joblib memory map"])
def test_saving(ratings, tmp_path, how):
    X, y = ratings
    fitted = model().fit(X, y)
    if how == "pickle":
        loaded = pickle.loads(pickle.dumps(fitted))
    else:
        joblib.dump(fitted, tmp_path / "model")
        loaded = joblib.load(tmp_path / "model", mmap_mode="r" if "map" in how else None)
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))


def test_pipeline_with_a_column_transformer_in_front(frame):
    X, y = frame
    to_fields = ColumnTransformer(
        [
            ("ids", "passthrough", ["user", "film"]),
            ("age", KBinsDiscretizer(4, encode="ordinal", strategy="uniform"), ["age"]),
        ]
    )
    pipeline = Pipeline([("fields", to_fields), ("mf", model())])
    assert pipeline.fit(X, y).score(X, y) > 0.5
    assert len(pipeline["mf"].categories_[2]) == 4
    assert cross_val_score(clone(pipeline).set_params(mf__rank=2), X, y, cv=3).min() > 0.2


@pytest.mark.parametrize("output", ["default", "pandas", "polars"])
def test_transform_output(frame, output):
    if output == "polars" and parse_version(sklearn.__version__) < parse_version("1.9"):
        polars = pytest.importorskip("polars")
        if not hasattr(polars.DataFrame, "__dataframe__"):
            pytest.skip("this scikit-learn cannot put this polars into a ColumnTransformer")
    X, y = frame
    with sklearn.config_context(transform_output=output):
        to_fields = ColumnTransformer(
            [
                ("user", OrdinalEncoder(), ["user"]),
                ("film", FunctionTransformer(feature_names_out="one-to-one"), ["film"]),
            ],
            verbose_feature_names_out=False,
        )
        pipeline = make_pipeline(to_fields, model()).fit(X, y)
        predictions = pipeline.predict(X)
    np.testing.assert_array_equal(predictions, model().fit(X[["user", "film"]], y).predict(X[["user", "film"]]))
    assert hasattr(pipeline[-1], "feature_names_in_") == (output != "default")


def test_grid_search(ratings):
    X, y = ratings
    search = GridSearchCV(model(), GRID, cv=3, scoring="neg_root_mean_squared_error").fit(X, y)
    assert search.best_params_ == {"rank": 4, "learning_rate": 0.1}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.slow
def test_searches_in_two_processes_find_the_same(ratings):
    X, y = ratings
    one, two = (GridSearchCV(model(), GRID, cv=3, n_jobs=n_jobs).fit(X, y).cv_results_ for n_jobs in (1, 2))
    np.testing.assert_array_equal(one["mean_test_score"], two["mean_test_score"])


def test_halving_search(ratings):
    X, y = ratings
    search = HalvingGridSearchCV(model(), GRID, cv=3, random_state=0, min_resources=1000).fit(X, y)
    assert search.best_params_["rank"] == 4
    by_epochs = HalvingGridSearchCV(
        model(), GRID, cv=3, random_state=0, resource="max_iter", min_resources=5, max_resources=20
    ).fit(X, y)
    assert by_epochs.best_estimator_.n_iter_ >= 10


def test_randomized_search(ratings):
    X, y = ratings
    search = RandomizedSearchCV(model(), {"rank": range(1, 9), "alpha": [0.01, 0.1]}, n_iter=4, cv=3, random_state=0)
    assert search.fit(X, y).best_score_ > 0.3


def test_cross_validate_with_routed_weights(ratings):
    X, y = ratings
    weights = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        weighted = model().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        results = cross_validate(weighted, X, y, cv=KFold(3), params={"sample_weight": weights})
    for score, (train, test) in zip(results["test_score"], KFold(3).split(X), strict=True):
        by_hand = model().fit(X[train], y[train], sample_weight=weights[train])
        assert score == by_hand.score(X[test], y[test], sample_weight=weights[test])
    with sklearn.config_context(enable_metadata_routing=True), pytest.raises(ValueError, match="sample_weight"):
        cross_validate(model(), X, y, params={"sample_weight": weights}, error_score="raise")


def test_weights_through_a_pipeline(ratings):
    X, y = ratings
    weights = np.arange(len(y)) % 3.0
    pipeline = make_pipeline(FunctionTransformer(), model())
    pipeline.fit(X, y, matrixfactorizationregressor__sample_weight=weights)
    np.testing.assert_array_equal(pipeline.predict(X), model().fit(X, y, weights).predict(X))


def test_learning_curve(ratings):
    X, y = ratings
    _, _, scores = learning_curve(model(), X, y, train_sizes=[0.2, 1.0], cv=3, shuffle=True, random_state=0)
    assert scores[1].mean() > scores[0].mean()


def test_bagging_averages_seeds(ratings):
    X, y = ratings
    bagging = BaggingRegressor(model(random_state=None), n_estimators=8, bootstrap=False, random_state=0)
    bagging.fit(X, y)
    singles = [single.predict(X) for single in bagging.estimators_]
    assert len({single[0] for single in singles}) == 8, "each has a seed of its own"
    np.testing.assert_allclose(bagging.predict(X), np.mean(singles, axis=0))


def test_voting_and_stacking(frame):
    X, y = frame
    linear = make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge())
    voting = VotingRegressor([("mf", model()), ("linear", linear)]).fit(X[["user", "film"]], y)
    stacking = StackingRegressor([("mf", model()), ("linear", linear)], cv=3).fit(X[["user", "film"]], y)
    assert min(voting.score(X[["user", "film"]], y), stacking.score(X[["user", "film"]], y)) > 0.5


def test_transformed_target(ratings):
    X, y = ratings
    on_logs = TransformedTargetRegressor(model(), func=np.log, inverse_func=np.exp).fit(X, y)
    np.testing.assert_allclose(on_logs.predict(X), np.exp(model().fit(X, np.log(y)).predict(X)))


def test_permutation_importance(frame):
    X, y = frame
    columns = X[["user", "film"]].assign(nothing=np.arange(len(X)) % 3)
    importance = permutation_importance(model().fit(columns, y), columns, y, n_repeats=3, random_state=0)
    assert importance.importances_mean[:2].min() > 0.1 > importance.importances_mean[2]


def test_cross_val_predict_and_scorers(ratings):
    X, y = ratings
    predictions = cross_val_predict(model(), X, y, cv=3)
    assert np.corrcoef(predictions, y)[0, 1] > 0.6
    scores = cross_validate(model(), X, y, cv=3, scoring=["r2", "neg_mean_absolute_error"])
    assert scores["test_r2"].min() > 0.3
