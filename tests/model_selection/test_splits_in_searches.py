"""Check splitters in scikit-learn's searches, with routed times."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from helpers.splitting import ALL, BY_TIME, RANDOM, small_model, with_times
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline

from sklearn_mf.model_selection import GlobalTimeSplit, LeaveLastOut


@pytest.mark.parametrize("cv", ALL, ids=repr)
def test_in_a_search(cv, data):
    X, y, times = data
    cv = with_times(cv, times)
    search = GridSearchCV(small_model(), {"alpha": [0.05, 0.1]}, cv=cv, scoring="r2").fit(X, y)
    assert search.n_splits_ == cv.get_n_splits()
    train, test = next(cv.split(X))
    expected = small_model(alpha=0.05).fit(X[train], y[train]).score(X[test], y[test])
    assert search.cv_results_["split0_test_score"][0] == pytest.approx(expected)


@pytest.mark.parametrize("cls", BY_TIME)
@pytest.mark.parametrize("kind", [np.asarray, list, pd.Series])
def test_times_are_routed_without_being_asked_for(cls, kind, data):
    X, y, times = data
    expected = cross_validate(small_model(), X, y, cv=cls(times=times), return_indices=True)["indices"]
    with sklearn.config_context(enable_metadata_routing=True):
        for cv in (cls(), cls().set_split_request(times=True)):
            scores = cross_validate(small_model(), X, y, cv=cv, params={"times": kind(times)}, return_indices=True)
            np.testing.assert_array_equal(scores["indices"]["test"], expected["test"])
            search = GridSearchCV(small_model(), {"alpha": [0.05]}, cv=cv).fit(X, y, times=kind(times))
            assert search.cv_results_["mean_test_score"][0] == pytest.approx(search_score(cls(times=times), X, y))
        other = cls().set_split_request(times="when")
        scores = cross_validate(small_model(), X, y, cv=other, params={"when": times}, return_indices=True)
        np.testing.assert_array_equal(scores["indices"]["test"], expected["test"])


def search_score(cv, X, y):
    return cross_validate(small_model(alpha=0.05), X, y, cv=cv)["test_score"][0]


def test_only_splits_by_time_ask_for_metadata():
    for cls in BY_TIME:
        assert hasattr(cls, "set_split_request")
    for cls in RANDOM:
        assert not hasattr(cls, "set_split_request")


def test_nested_search_with_times(data):
    """The outer split cuts times along with X for the inner one, with which times in the constructor cannot do."""
    X, y, times = data
    model = make_pipeline(ColumnTransformer([("ids", "passthrough", [0, 1])]), small_model())
    grid = {"matrixfactorizationregressor__alpha": [0.05, 0.1]}
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(model, grid, cv=LeaveLastOut())
        nested = cross_validate(
            search, X, y, cv=GlobalTimeSplit(), params={"times": times}, return_estimator=True, return_indices=True
        )
        train = nested["indices"]["train"][0]
        alone = GridSearchCV(model, grid, cv=LeaveLastOut(times=times[train])).fit(X[train], y[train])
        found = nested["estimator"][0].cv_results_
        np.testing.assert_array_equal(found["mean_test_score"], alone.cv_results_["mean_test_score"])
    search = GridSearchCV(model, grid, cv=LeaveLastOut(times=times))
    with pytest.raises(ValueError, match="If X has only some of the rows"):
        cross_validate(search, X, y, cv=3, error_score="raise")


def test_without_times_a_search_says_how_to_give_them(data):
    X, y, _ = data
    with pytest.raises(ValueError, match="LeaveLastOut needs the time of each rating"):
        GridSearchCV(small_model(), {"alpha": [0.05]}, cv=LeaveLastOut()).fit(X, y)
