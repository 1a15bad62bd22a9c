"""Check the baseline of most popular items against slow counting, and where scikit-learn takes an estimator."""

import pickle
from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers.preferences import pairs
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

import sklearn_mf
from sklearn_mf import MatrixFactorizationRanker, MostPopularRecommender
from sklearn_mf.metrics import make_catalog_scorer, ndcg_at_k, ranking_of_lists, recall_at_k
from sklearn_mf.model_selection import LeaveLastOut, PerUserShuffleSplit

CV = PerUserShuffleSplit(2, test_size=0.2, random_state=0)


class TwoOfTheColumns(MostPopularRecommender):
    """Take the first two columns of wider tables, because the checks feed such tables."""

    def _take_fields(self, columns):
        return columns[:2]


# One of the checks scores what it fitted on.
@pytest.mark.filterwarnings("ignore:.* pairs to score are in training too", "ignore:The score of the catalog is undef")
@parametrize_with_checks([TwoOfTheColumns()])
def test_sklearn_checks(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:.* pairs to score are in training too", "ignore:The score of the catalog is undef")
def test_no_check_is_skipped():
    statuses = [result["status"] for result in check_estimator(TwoOfTheColumns(), on_fail=None)]
    assert len(statuses) >= 40
    assert set(statuses) == {"passed"}


def slow_lists(X, users, k, weights=None):
    """Lists by counting: most popular first, then in the order of ids, without items that the user has."""
    counts = Counter()
    for (_, item), weight in zip(X, np.ones(len(X)) if weights is None else weights, strict=True):
        counts[item] += weight
    best = sorted(counts, key=lambda item: (-counts[item], item))
    lists = []
    for user in users:
        own = {item for other, item in X if other == user}
        items = [item for item in best if item not in own][:k]
        lists.append((items, [counts[item] for item in items]))
    return lists


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("as_ids", [lambda X: X, lambda X: X.astype(str).astype(object)])
def test_lists_are_those_of_counting(weighted, as_ids):
    X = as_ids(pairs()[0])
    weights = np.random.default_rng(0).integers(1, 4, len(X)) if weighted else None
    fitted = MostPopularRecommender().fit(X, sample_weight=weights)
    users = [*fitted.categories_[0], as_ids(np.array([[999, 0]]))[0, 0]]
    items, popularity = fitted.recommend(users, 7)
    for row, values, (expected, counts) in zip(
        items, popularity, slow_lists(X.tolist(), users, 7, weights), strict=True
    ):
        assert row.tolist() == expected
        assert values.tolist() == counts
    asked = np.column_stack([np.repeat(users, 7), items.ravel()])
    assert_array_equal(fitted.predict(asked), popularity.ravel())
    assert_array_equal(fitted.recommend(users, 7, exclude=X)[0], items)


def test_ties_are_in_the_order_of_ids_for_any_order_of_rows():
    X = np.array([[u, i] for u in range(6) for i in range(9)])
    weights = np.tile([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], 6)
    shuffled = np.random.default_rng(0).permutation(len(X))
    for rows in (shuffled, shuffled[::-1]):
        fitted = MostPopularRecommender(keep_pairs=False).fit(X[rows])
        assert fitted.recommend([0, 99], 9, exclude=None)[0].tolist() == [list(range(9))] * 2
        weighted = MostPopularRecommender().fit(X[rows], sample_weight=weights[rows])
        assert_array_equal(weighted.popularity_, MostPopularRecommender().fit(X, sample_weight=weights).popularity_)


def test_what_is_left_out():
    X = [["ann", "x"], ["ann", "y"], ["bob", "x"], ["cem", "x"], ["cem", "y"], ["cem", "z"]]
    fitted = MostPopularRecommender().fit(X)
    assert fitted.recommend(["ann"], 3)[0].tolist() == [["z", None, None]]
    assert fitted.recommend(["ann"], 3, exclude=None)[0].tolist() == [["x", "y", "z"]]
    assert fitted.recommend(["ann"], 3, exclude=[["ann", "x"]])[0].tolist() == [["y", "z", None]]
    assert fitted.recommend(["bob"], 3, candidates=["z", "x"])[0].tolist() == [["z", None]]
    users, items, popularity = fitted.recommend_from([["new", "x"], ["ann", "z"]], n_items=2)
    assert users.tolist() == ["ann", "new"]
    assert items.tolist() == [["x", "y"], ["y", "z"]]
    assert popularity.tolist() == [[3, 2], [2, 1]]
    without = MostPopularRecommender(keep_pairs=False).fit(X)
    with pytest.raises(ValueError, match="exclude='seen' needs the pairs of fit"):
        without.recommend(["ann"])
    assert without.recommend(["ann"], 1, exclude=X)[0].tolist() == [["z"]]


def test_unknown_ids():
    X = [["ann", "x"], ["ann", "y"], ["bob", "x"]]
    asked = [["zoe", "x"], ["ann", "q"], ["bob", "y"]]
    assert MostPopularRecommender().fit(X).predict(asked).tolist() == [2, 0, 1]
    assert_array_equal(MostPopularRecommender(handle_unknown="nan").fit(X).predict(asked), [np.nan, np.nan, 1])
    with pytest.warns(UserWarning, match="ids not seen in fit, in 2 of 3 rows"):
        MostPopularRecommender(handle_unknown="warn").fit(X).predict(asked)
    with pytest.raises(ValueError, match="ids not seen in fit"):
        MostPopularRecommender(handle_unknown="error").fit(X).predict(asked)


def test_rows_of_weight_zero_and_repeated_rows():
    X = [["ann", "x"], ["ann", "x"], ["bob", "y"], ["bob", "z"]]
    assert MostPopularRecommender().fit(X).popularity_.tolist() == [2, 1, 1]
    fitted = MostPopularRecommender().fit(X, sample_weight=[1, 0, 3, 0])
    assert fitted.categories_[1].tolist() == ["x", "y"]
    assert fitted.popularity_.tolist() == [1, 3]
    assert fitted.recommend(["ann"], 2)[0].tolist() == [["y", None]]


@pytest.mark.parametrize("size", [1e-300, 5e-324, 1e300])
def test_weights_of_any_size(size):
    X, weights = [[0, 1], [0, 2], [1, 2], [2, 3]], size * np.array([3, 1, 1, 1])
    items, popularity = MostPopularRecommender().fit(X, sample_weight=weights).recommend([9], 3)
    assert items.tolist() == [[1, 2, 3]]
    np.testing.assert_allclose(popularity, size * np.array([[3.0, 2.0, 1.0]]), rtol=1e-7)
    with pytest.raises(ValueError, match="sample_weight is too large"):
        MostPopularRecommender().fit([[0, 1], [1, 1]], sample_weight=[1.7e308, 1.7e308])


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames(frame):
    X, y = pairs()
    table = frame({"who": X[:, 0].astype(str), "what": X[:, 1]})
    fitted = MostPopularRecommender().fit(table, y)
    found = fitted.recommend(["3", "5"], 4, as_frame=True)
    assert list(found.columns) == ["who", "what", "place", "popularity"]
    assert_array_equal(found["what"].to_numpy().reshape(2, 4), fitted.recommend(["3", "5"], 4)[0])
    assert fitted.feature_names_in_.tolist() == ["who", "what"]
    held_out = frame({"who": ["3", "5"], "what": found["what"].to_numpy()[[0, 4]]})
    assert recall_at_k(**ranking_of_lists(found, ["3", "5"], held_out, [1, 1]), relevant=1, k=1) == 1


def test_scorers_searches_and_splits_by_time():
    X, y = pairs(n=1500)
    scorer = make_catalog_scorer(ndcg_at_k, X=X, relevant=4)
    by_score = cross_val_score(MostPopularRecommender(relevant=4), X, y, cv=CV)
    assert_array_equal(cross_val_score(MostPopularRecommender(keep_pairs=False), X, y, scoring=scorer, cv=CV), by_score)
    assert ((by_score > 0) & (by_score < 1)).all()
    ranker = MatrixFactorizationRanker(8, alpha=0.01, damping=2, random_state=0, relevant=4)
    assert (cross_val_score(ranker, X, y, cv=CV) > by_score).all()
    last = LeaveLastOut(times=np.arange(len(X)))
    search = GridSearchCV(MostPopularRecommender(), {"relevant": [None, 4]}, cv=last).fit(X, y)
    assert 0 < search.best_score_ < 1


def test_clones_copies_and_refused_calls():
    X, y = pairs()
    model = MostPopularRecommender(relevant=4, handle_unknown="warn")
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        model.recommend([1])
    fitted = model.fit(X, y)
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(loaded.recommend([1, 2], 5)[0], fitted.recommend([1, 2], 5)[0])
    before = pickle.dumps(fitted)
    with pytest.raises(ValueError, match="takes two: users and items"):
        fitted.fit(np.column_stack([X, X]))
    with pytest.raises(ValueError, match="The 'handle_unknown' parameter"):
        clone(fitted).set_params(handle_unknown="mean").fit(X)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        fitted.fit(X, np.full(len(X), np.nan))
    assert pickle.dumps(fitted) == before
    skops_io = pytest.importorskip("skops.io")
    again = skops_io.loads(skops_io.dumps(fitted), trusted=sklearn_mf.TRUSTED_TYPES)
    assert_array_equal(again.predict(X), fitted.predict(X))
