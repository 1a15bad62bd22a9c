"""Check ranking scorers where scikit-learn takes a scorer."""

import functools
import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_regression
from sklearn.inspection import permutation_importance
from sklearn.linear_model import Ridge
from sklearn.metrics import get_scorer, make_scorer, ndcg_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings
from sklearn_mf.metrics import (
    auc_by_group,
    catalog_coverage,
    make_catalog_scorer,
    make_ranking_scorer,
    map_at_k,
    ndcg_at_k,
    novelty,
    precision_at_k,
    ranking_of_lists,
    recall_at_k,
)

FOLDS = KFold(3, shuffle=True, random_state=0)


@pytest.fixture(scope="module")
def ratings():
    return make_ratings(100, 60, 2_500, random_state=0, return_X_y=True)


def model(**parameters):
    return MatrixFactorizationRegressor(**{"rank": 2, "max_iter": 4, "random_state": 0, **parameters})


def with_routing():
    return sklearn.config_context(enable_metadata_routing=True)


@pytest.mark.parametrize(
    ("metric", "keywords"),
    [(ndcg_at_k, {"k": 5}), (precision_at_k, {"relevant": 4, "k": 5}), (auc_by_group, {"relevant": 4})],
)
def test_it_scores_the_order_of_predictions_within_users(ratings, metric, keywords):
    X, y = ratings
    fitted, weights = model().fit(X, y), np.arange(len(y)) % 3
    score = make_ranking_scorer(metric, **keywords)
    given = {"groups": X[:, 0], **keywords}
    assert score(fitted, X, y) == metric(y, fitted.predict(X), **given)
    expected = metric(y, fitted.predict(X), **given, sample_weight=weights)
    assert score(fitted, X, y, sample_weight=weights) == score(fitted, X, y, weights) == expected


@pytest.mark.parametrize("table", [pd.DataFrame, pl.DataFrame, np.array, list])
def test_the_users_are_a_column_by_place_or_by_name(table):
    X = table({"film": [7, 7, 8, 8], "user": ["a", "b", "a", "b"]} if table in (pd.DataFrame, pl.DataFrame) else [
        [7, "a"], [7, "b"], [8, "a"], [8, "b"]
    ])  # fmt: skip
    y, estimator = [5, 1, 1, 5], Fixed([2, 3, 1, 4])
    of_users, of_films = 1.0, 0.5  # right for a, b and 8, wrong for 7
    assert make_ranking_scorer(auc_by_group, relevant=3, user_column=1)(estimator, X, y) == of_users
    assert make_ranking_scorer(auc_by_group, relevant=3)(estimator, X, y) == of_films
    score = make_ranking_scorer(auc_by_group, relevant=3, user_column="user")
    if table in (pd.DataFrame, pl.DataFrame):
        assert score(estimator, X, y) == of_users
        wrong, message = (
            make_ranking_scorer(ndcg_at_k, user_column="usr"),
            "no column user_column='usr'.*'film', 'user'",
        )
    else:
        wrong, message = score, "user_column='user' is a name, but X is not a data frame"
    with pytest.raises(ValueError, match=message):
        wrong(estimator, X, y)
    with pytest.raises(ValueError, match=r"X has 2 column\(s\), counted from 0, and .* looks for user_column=2"):
        make_ranking_scorer(ndcg_at_k, user_column=2)(estimator, X, y)


class Fixed(RegressorMixin, BaseEstimator):
    """Predicts what it was made with."""

    def __init__(self, predictions=None):
        self.predictions = predictions

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.asarray(self.predictions, dtype=float)


# In scikit-learn's tools


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_search_selects_a_rank(n_jobs):
    # Without biases all of the order is in the factors: rank 0 knows nothing of it.
    made = make_ratings(150, 60, 4_000, rank=2, noise=0.1, rating_range=(0, 10), random_state=0)
    scoring = make_ranking_scorer(ndcg_at_k, k=10)
    estimator = MatrixFactorizationRegressor(implicit_features=None, fit_bias=False, alpha=0.01, random_state=0)
    search = GridSearchCV(estimator, {"rank": [0, 8]}, scoring=scoring, cv=FOLDS, n_jobs=n_jobs)
    search = clone(search).fit(made.data, made.target)
    assert search.best_params_ == {"rank": 8}
    best = search.cv_results_["mean_test_score"]
    assert best[0] + 0.02 < best[1] == search.best_score_ <= 1
    train, test = next(FOLDS.split(made.data))
    fitted = clone(estimator).set_params(rank=8).fit(made.data[train], made.target[train])
    expected = ndcg_at_k(made.target[test], fitted.predict(made.data[test]), groups=made.data[test, 0])
    assert search.cv_results_["split0_test_score"][1] == expected
    assert search.score(made.data, made.target) == scoring(search.best_estimator_, made.data, made.target)


def test_cross_validation_takes_several(ratings):
    X, y = ratings
    scoring = {
        "ndcg": make_ranking_scorer(ndcg_at_k, k=5),
        "recall": make_ranking_scorer(recall_at_k, relevant=4, k=5),
        "rmse": "neg_root_mean_squared_error",
    }
    scores = cross_validate(model(), X, y, scoring=scoring, cv=FOLDS)
    for name, scorer in scoring.items():
        assert np.isfinite(scores[f"test_{name}"]).all()
        alone = cross_val_score(model(), X, y, scoring=scorer, cv=FOLDS)
        np.testing.assert_array_equal(scores[f"test_{name}"], alone)
    search = GridSearchCV(model(), {"rank": [1, 2]}, scoring=scoring, refit="ndcg", cv=FOLDS).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_recall"]).all()


def test_a_pipeline_is_scored_by_the_column_of_what_goes_in(ratings):
    X, y = ratings
    swap = FunctionTransformer(lambda X: X[:, ::-1])
    pipeline = make_pipeline(swap, model()).fit(X[:, ::-1], y)
    expected = ndcg_at_k(y, model().fit(X, y).predict(X), groups=X[:, 0])
    assert make_ranking_scorer(ndcg_at_k, user_column=1)(pipeline, X[:, ::-1], y) == expected


def test_permutation_importance_takes_it(ratings):
    X, y = ratings
    found = permutation_importance(
        model().fit(X, y), X, y, scoring=make_ranking_scorer(ndcg_at_k), n_repeats=2, random_state=0
    )
    assert found.importances_mean[1] > 0.01  # permuting items spoils the order


def test_errors_of_the_estimator_come_as_they_are(ratings):
    X, y = ratings
    frame = pd.DataFrame(X, columns=["user", "film"])
    score, fitted = make_ranking_scorer(ndcg_at_k, user_column="user"), model().fit(frame, y)
    swapped = frame[["film", "user"]]
    with pytest.raises(ValueError, match="feature names") as expected:
        fitted.predict(swapped)
    with pytest.raises(ValueError, match=re.escape(str(expected.value))):
        score(fitted, swapped, y)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        score(model(), frame, y)


def test_predictions_of_nan_are_refused(ratings):
    X, y = ratings
    fitted = model(handle_unknown="nan").fit(X, y)
    with pytest.raises(ValueError, match=r"Input y_score contains NaN .*handle_unknown='ignore'"):
        make_ranking_scorer(ndcg_at_k)(fitted, np.vstack([X, [[1000, 1]]]), np.append(y, 1))


def test_other_estimators_are_scored_too():
    X, y = make_regression(60, 3, random_state=0)
    X[:, 0] = np.arange(60) % 4
    search = GridSearchCV(
        Ridge(),
        {"alpha": [1e-3, 1e3]},
        scoring=make_ranking_scorer(auc_by_group, relevant=0.0),
        cv=FOLDS,
    ).fit(X, y)
    assert 0.9 < search.best_score_ <= 1


# The object


@pytest.mark.parametrize(
    ("scorer", "shown"),
    [
        (make_ranking_scorer(ndcg_at_k, k=10), "make_ranking_scorer(ndcg_at_k, k=10)"),
        (make_ranking_scorer(ndcg_at_k), "make_ranking_scorer(ndcg_at_k)"),
        (
            make_ranking_scorer(map_at_k, relevant=4, k=None, user_column="user"),
            "make_ranking_scorer(map_at_k, user_column='user', relevant=4, k=None)",
        ),
    ],
)
def test_repr_pickle_and_clone(scorer, shown):
    assert repr(scorer) == shown
    assert repr(pickle.loads(pickle.dumps(scorer))) == shown
    assert repr(clone(scorer, safe=False)) == shown
    assert repr(clone(GridSearchCV(model(), {}, scoring=scorer)).scoring) == shown
    assert get_scorer(scorer) is not None


def own_metric(y_true, y_score, *, groups, sample_weight=None, at=1):
    return float(len(np.unique(groups)) + at)


def test_a_metric_of_ones_own(ratings):
    X, y = ratings
    score = make_ranking_scorer(own_metric, at=2)
    assert score(model().fit(X, y), X, y) == len(np.unique(X[:, 0])) + 2
    assert repr(score) == "make_ranking_scorer(own_metric, at=2)"


def test_a_partial_metric_is_that_metric_with_its_keywords(ratings):
    X, y = ratings
    partial, fitted = make_ranking_scorer(functools.partial(ndcg_at_k, k=3)), model().fit(X, y)
    assert partial(fitted, X, y) == make_ranking_scorer(ndcg_at_k, k=3)(fitted, X, y)
    assert repr(partial) == "make_ranking_scorer(ndcg_at_k, k=3)"
    assert repr(make_ranking_scorer(functools.partial(ndcg_at_k, k=3), k=5)) == "make_ranking_scorer(ndcg_at_k, k=5)"
    shifted = make_ranking_scorer(functools.partial(shifted_metric, 1))
    assert shifted(fitted, X, y) == ndcg_at_k(y, fitted.predict(X), groups=X[:, 0]) + 1
    assert repr(shifted) == "make_ranking_scorer(partial(shifted_metric, ...))"


def shifted_metric(shift, y_true, y_score, *, groups, sample_weight=None):
    return ndcg_at_k(y_true, y_score, groups=groups, sample_weight=sample_weight) + shift


@pytest.mark.parametrize(
    "no_metric",
    [
        ndcg_score,
        "ndcg_at_k",
        None,
        3,
        max,
        make_ranking_scorer(ndcg_at_k),
    ],
)
def test_what_is_no_metric_with_groups_is_refused(no_metric):
    with pytest.raises(TypeError, match=r"is not a metric that takes groups. Use a ranking metric"):
        make_ranking_scorer(no_metric)


@pytest.mark.parametrize(
    ("metric", "keywords", "error", "message"),
    [
        (
            recall_at_k,
            {},
            TypeError,
            "recall_at_k cannot be called with these arguments: missing a required.*'relevant'",
        ),
        (recall_at_k, {"relevant": 4, "n": 5}, TypeError, "recall_at_k cannot .* unexpected keyword argument 'n'"),
        (auc_by_group, {"relevant": 4, "k": 5}, TypeError, "auc_by_group cannot .* unexpected keyword argument 'k'"),
        (make_scorer(ndcg_score), {}, TypeError, r"make_scorer\(ndcg_score.* cannot be called with these arguments"),
        (recall_at_k, {"relevant": 4, "k": 0}, ValueError, "k == 0, must be >= 1"),
        (functools.partial(recall_at_k, k=0), {"relevant": 4}, ValueError, "k == 0, must be >= 1"),
        (functools.partial(recall_at_k, relevant="4"), {}, TypeError, "relevant must be a number"),
        (functools.partial(ndcg_at_k, groups=[1, 2]), {}, TypeError, "groups must not be given: the scorer passes it"),
        (functools.partial(ndcg_at_k, n=3), {}, TypeError, "ndcg_at_k cannot .* unexpected keyword argument 'n'"),
        (recall_at_k, {"relevant": "4"}, TypeError, "relevant must be a number"),
        (ndcg_at_k, {"shift": "min"}, TypeError, "shift must be a number"),
        (ndcg_at_k, {"gain": "log"}, ValueError, "gain='log' must be"),
        (ndcg_at_k, {"groups": [1, 2]}, TypeError, "groups must not be given: the scorer passes it"),
        (ndcg_at_k, {"sample_weight": [1, 2]}, TypeError, "sample_weight must not be given: the scorer passes it"),
        (ndcg_at_k, {"user_column": 1.0}, TypeError, r"user_column must be the position \(int\) or name"),
        (ndcg_at_k, {"user_column": True}, TypeError, r"user_column must be the position \(int\) or name"),
        (ndcg_at_k, {"user_column": -1}, ValueError, "user_column == -1, must be >= 0"),
    ],
)
def test_bad_keywords_are_refused_before_any_fit(metric, keywords, error, message):
    with pytest.raises(error, match=message):
        make_ranking_scorer(metric, **keywords)


# Ratings that are no gains


@pytest.mark.parametrize("keywords", [{"shift": 10}, {"shift": 10, "gain": "exponential"}])
def test_a_search_on_negative_ratings(ratings, keywords):
    X, y = ratings
    y = 4 * (y - 3)
    assert y.min() < 0
    grid = {"rank": [0, 2]}
    search = GridSearchCV(model(), grid, scoring=make_ranking_scorer(ndcg_at_k, **keywords), cv=FOLDS).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert repr(search.scorer_).startswith("make_ranking_scorer(ndcg_at_k, shift=10")
    failing = GridSearchCV(model(), grid, scoring=make_ranking_scorer(ndcg_at_k), cv=FOLDS, error_score="raise")
    with pytest.raises(ValueError, match=r"at least shift=.* make_ranking_scorer\(ndcg_at_k, shift="):
        failing.fit(X, y)


# Weights


def test_weights_are_routed_to_the_scorer_that_asks_for_them(ratings):
    X, y = ratings
    weights = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    with with_routing():
        estimator = model().set_fit_request(sample_weight=False)
        weighted = make_ranking_scorer(ndcg_at_k).set_score_request(sample_weight=True)
        plain = make_ranking_scorer(ndcg_at_k).set_score_request(sample_weight=False)
        scores = cross_validate(
            estimator, X, y, scoring={"weighted": weighted, "plain": plain}, cv=FOLDS, params={"sample_weight": weights}
        )
        alone = cross_val_score(estimator, X, y, scoring=weighted, cv=FOLDS, params={"sample_weight": weights})
        search = GridSearchCV(estimator, {"rank": [2]}, scoring=weighted, cv=FOLDS).fit(X, y, sample_weight=weights)
    for i, (train, test) in enumerate(FOLDS.split(X)):
        fitted = model().fit(X[train], y[train])
        given = {"y_true": y[test], "y_score": fitted.predict(X[test]), "groups": X[test, 0]}
        expected = ndcg_at_k(**given, sample_weight=weights[test])
        assert scores["test_weighted"][i] == alone[i] == search.cv_results_[f"split{i}_test_score"][0] == expected
        assert scores["test_plain"][i] == ndcg_at_k(**given) != expected


def test_weights_can_have_another_name(ratings):
    X, y = ratings
    with with_routing():
        scorer = make_ranking_scorer(ndcg_at_k).set_score_request(sample_weight="importance")
        scores = cross_val_score(
            model(), X, y, scoring=scorer, cv=FOLDS, params={"importance": (X[:, 0] < 50).astype(float)}
        )
        copy = clone(GridSearchCV(model(), {}, scoring=scorer)).scoring
        assert copy.get_metadata_routing().score.requests == {"sample_weight": "importance"}
        assert pickle.loads(pickle.dumps(scorer)).get_metadata_routing().score.requests == {
            "sample_weight": "importance"
        }
    assert not np.array_equal(scores, cross_val_score(model(), X, y, scoring=scorer, cv=FOLDS))


def test_weights_that_nobody_asked_for_are_an_error_that_names_the_scorer(ratings):
    X, y = ratings
    with (
        with_routing(),
        pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match=r"make_ranking_scorer\(ndcg_at_k\)"),
    ):
        cross_val_score(
            model().set_fit_request(sample_weight=False),
            X,
            y,
            scoring=make_ranking_scorer(ndcg_at_k),
            params={"sample_weight": np.ones(len(y))},
        )


def test_requests_need_routing_and_a_sensible_alias():
    scorer = make_ranking_scorer(ndcg_at_k)
    with pytest.raises(RuntimeError, match="only available when metadata routing is enabled"):
        scorer.set_score_request(sample_weight=True)
    with with_routing():
        with pytest.raises(ValueError, match="alias"):
            scorer.set_score_request(sample_weight=3)
        assert scorer.set_score_request(sample_weight=True) is scorer
        assert scorer.set_score_request().get_metadata_routing().score.requests == {"sample_weight": True}


@pytest.mark.parametrize("several", [False, True])
def test_without_routing_a_search_weighs_the_fit_and_from_scikit_learn_1_7_on_the_score(ratings, several):
    X, y = ratings
    weights = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    scoring = make_ranking_scorer(ndcg_at_k)
    if several:
        scoring = {"n": scoring, "rmse": "neg_root_mean_squared_error"}
    search = GridSearchCV(model(), {"rank": [1]}, scoring=scoring, refit="n" if several else True, cv=FOLDS)
    search.fit(X, y, sample_weight=weights)
    scores_are_weighted = tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 7)
    expected = []
    for train, test in FOLDS.split(X):
        fitted = model(rank=1).fit(X[train], y[train], sample_weight=weights[train])
        given = {"y_true": y[test], "y_score": fitted.predict(X[test]), "groups": X[test, 0]}
        expected.append(ndcg_at_k(**given, sample_weight=weights[test] if scores_are_weighted else None))
    assert search.best_score_ == pytest.approx(np.mean(expected), rel=1e-12)


def test_the_place_of_the_users_is_that_of_fit(ratings):
    """An estimator that takes columns by name is given them in any order."""
    X, y = ratings
    X = pd.DataFrame(X, columns=["user", "item"])
    pipeline = make_pipeline(ColumnTransformer([("ids", "passthrough", ["user", "item"])]), model()).fit(X, y)
    scorer = make_ranking_scorer(ndcg_at_k)
    assert scorer(pipeline, X.iloc[:, ::-1], y) == scorer(pipeline, X, y)
    assert make_ranking_scorer(ndcg_at_k, user_column="user")(pipeline, X.iloc[:, ::-1], y) == scorer(pipeline, X, y)
    with pytest.raises(ValueError, match="X has no column user_column='who'"):
        make_ranking_scorer(ndcg_at_k, user_column="who")(pipeline, X, y)


def test_a_name_of_the_users_may_have_a_prefix(ratings):
    X, y = ratings
    scorer, fitted = make_ranking_scorer(ndcg_at_k, user_column="user"), model().fit(X, y)
    expected = scorer(Silent(fitted), pd.DataFrame(X, columns=["user", "item"]), y)
    assert scorer(Silent(fitted), pd.DataFrame(X, columns=["pipeline__user", "remainder__item"]), y) == expected


class Silent:
    """A model that does not mind names."""

    def __init__(self, model):
        self.model = model

    def predict(self, X):
        return self.model.predict(X.to_numpy())


AS_SCORING = "As scoring, give "
OF_METRICS = AS_SCORING + r"make_ranking_scorer\({0}, .*make_catalog_scorer\({0}, X=X"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        *[(metric, OF_METRICS) for metric in (ndcg_at_k, recall_at_k, map_at_k, auc_by_group)],
        *[(metric, AS_SCORING + r".*{0} with the lists") for metric in (catalog_coverage, novelty, ranking_of_lists)],
        (make_ranking_scorer, r"{0} makes scorers, .*give the scorer that it returns, such as {0}\(ndcg_at_k\)"),
        (make_catalog_scorer, r"{0} makes scorers, .*, such as {0}\(ndcg_at_k, X=X\)"),
    ],
)
def test_functions_that_are_no_scorers_name_what_to_give_as_scoring(ratings, function, message):
    """Scikit-learn makes NaN of the error, and shows it in a warning."""
    X, y = ratings
    message = message.format(function.__name__)
    with pytest.warns(UserWarning, match="(?s)Scoring failed.*" + message):
        assert np.isnan(cross_val_score(model(), X, y, scoring=function, cv=2)).all()
    with pytest.raises(TypeError, match=message):
        GridSearchCV(model(), {"rank": [1]}, scoring=function, cv=2, error_score="raise").fit(X, y)


def test_a_metric_without_groups_names_the_scorers_of_this_package(ratings):
    X, y = ratings
    message = r"^ndcg_at_k needs groups: .* " + OF_METRICS.format("ndcg_at_k")
    with pytest.raises(TypeError, match=message):
        ndcg_at_k(y, y)
    with pytest.raises(TypeError, match=message):
        make_scorer(ndcg_at_k)(model().fit(X, y), X, y)
