"""Check that a search on a Dask cluster finds what it finds without one, bit for bit."""

import os
from unittest import mock

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from helpers.dask_clusters import quick_processes
from helpers.splitting import ALL, ratings_with_times, small_model, with_times
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_mf import MatrixFactorizationRanker
from sklearn_mf._utils.threads import count_threads
from sklearn_mf.datasets import make_ratings
from sklearn_mf.metrics import make_catalog_scorer, make_ranking_scorer, ndcg_at_k, recall_at_k
from sklearn_mf.model_selection import PerUserShuffleSplit

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.slow

X, Y = make_ratings(60, 40, 1000, rating_step=1, random_state=0, return_X_y=True)
PER_USER = PerUserShuffleSplit(2, random_state=0)


@pytest.fixture(scope="module")
def client():
    with (
        mock.patch.dict(os.environ),  # Dask leaves variables for its workers there
        quick_processes(),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def on_cluster(client, search, X, y, *, scatter=None, **params):
    with joblib.parallel_config(backend="dask", client=client, scatter=scatter):
        return clone(search).fit(X, y, **params)


def assert_same_results(search, expected):
    assert search.best_params_ == expected.best_params_
    scores = {name for name in expected.cv_results_ if "_test_" in name}
    assert len(scores) >= 3  # a split or more, their mean and the rank
    for name in scores:
        np.testing.assert_array_equal(search.cv_results_[name], expected.cv_results_[name], err_msg=name)
    np.testing.assert_array_equal(search.best_estimator_.user_factors_, expected.best_estimator_.user_factors_)
    np.testing.assert_array_equal(search.best_estimator_.item_factors_, expected.best_estimator_.item_factors_)


def test_fits_are_on_the_workers(client):
    def process(*_):
        return os.getpid()

    search = GridSearchCV(small_model(), {"alpha": [0.05, 0.1]}, cv=PER_USER, scoring=process, refit=False)
    found = on_cluster(client, search, X, Y).cv_results_["split0_test_score"]
    assert set(found) <= set(client.run(os.getpid).values())


@pytest.mark.parametrize("cv", [KFold(3, shuffle=True, random_state=0), *ALL], ids=repr)
def test_regressor(cv, client):
    X, y, times = ratings_with_times()
    grid = {"alpha": [0.05, 0.1], "rank": [1, 3]}
    search = GridSearchCV(small_model(), grid, cv=with_times(cv, times), scoring="neg_root_mean_squared_error")
    assert_same_results(on_cluster(client, search, X, y), search.fit(X, y))


def test_a_fit_has_the_threads_that_it_is_told(client):
    """Not as many as the cluster has cores, which joblib counts."""
    asked = [None, 1, 2, 7, -1]
    with joblib.parallel_config(backend="dask", client=client):
        here = [count_threads(n_jobs) for n_jobs in asked]
        there = joblib.Parallel()(joblib.delayed(count_threads)(n_jobs) for n_jobs in asked)
    assert here == there == [1, 1, 2, 7, joblib.cpu_count()]


@pytest.mark.parametrize("n_jobs", [None, 1, 2, -1])
def test_threads_of_a_fit_do_not_change_the_results(n_jobs, client):
    search = GridSearchCV(small_model(n_jobs=n_jobs), {"alpha": [0.05, 0.1]}, cv=PER_USER)
    assert_same_results(on_cluster(client, search, X, Y), search.fit(X, Y))


@pytest.mark.parametrize("scoring", [None, make_catalog_scorer(recall_at_k, X=X, relevant=4, k=5)])
def test_ranker(scoring, client):
    model = MatrixFactorizationRanker(2, alpha=0.1, damping=1.0, max_iter=2, relevant=4, n_jobs=1, random_state=0)
    search = GridSearchCV(model, {"rank": [2, 4], "confidence": [0.3, 0.7]}, cv=PER_USER, scoring=scoring)
    assert_same_results(on_cluster(client, search, X, Y), search.fit(X, Y))


def test_several_scorers(client):
    scoring = {"ndcg": make_ranking_scorer(ndcg_at_k, k=5), "rmse": "neg_root_mean_squared_error"}
    search = GridSearchCV(small_model(), {"alpha": [0.05, 0.1]}, cv=PER_USER, scoring=scoring, refit="ndcg")
    assert_same_results(on_cluster(client, search, X, Y), search.fit(X, Y))


@pytest.mark.parametrize("is_frame", [False, True])
def test_scattered_data(client, is_frame):
    """Ratings of its own: Dask names what is scattered by its bytes, and may be freeing the same ones just now."""
    own, y = make_ratings(60, 40, 1000, rating_step=1, random_state=1 + is_frame, return_X_y=True)
    given, before = pd.DataFrame(own, columns=["user", "item"]) if is_frame else own, y.copy()
    search = GridSearchCV(small_model(), {"alpha": [0.05, 0.1]}, cv=PER_USER)
    assert_same_results(on_cluster(client, search, given, y, scatter=[given, y]), clone(search).fit(own, y))
    np.testing.assert_array_equal(y, before)


def test_routed_weights(client):
    weights = np.random.default_rng(0).uniform(0.1, 5, len(Y))
    with sklearn.config_context(enable_metadata_routing=True):
        model = small_model().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(model, {"alpha": [0.05, 0.1]}, cv=PER_USER)
        found = on_cluster(client, search, X, Y, sample_weight=weights)
        assert_same_results(found, clone(search).fit(X, Y, sample_weight=weights))
        without = search.fit(X, Y)
    assert (found.cv_results_["mean_test_score"] != without.cv_results_["mean_test_score"]).all()


def test_times_are_routed_to_the_splitter(client):
    X, y, times = ratings_with_times()
    with sklearn.config_context(enable_metadata_routing=True):
        for cv in ALL[3:]:
            search = GridSearchCV(small_model(), {"alpha": [0.05, 0.1]}, cv=cv)
            assert_same_results(on_cluster(client, search, X, y, times=times), search.fit(X, y, times=times))
