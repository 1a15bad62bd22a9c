"""Check that recommended lists become a ranking of what was held out."""

import datetime
import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.exceptions import UndefinedMetricWarning

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings
from sklearn_mf.metrics import (
    catalog_coverage,
    hit_rate_at_k,
    ndcg_at_k,
    novelty,
    precision_at_k,
    ranking_of_lists,
    recall_at_k,
)


def dcg(gains):
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


def of_lists(recommended, users, X_test, y_test):
    """For each user the gains in the order of ranks: the places of the list, then what is not in it."""
    held_out = {}
    for (user, item), rating in zip(X_test, y_test, strict=True):
        held_out.setdefault(user, {}).setdefault(item, []).append(rating)
    length = max(map(len, recommended))
    gains = {}
    for user, row in zip(users, recommended, strict=True):
        ratings = {item: np.mean(given) for item, given in held_out.get(user, {}).items()}
        listed = [ratings.pop(item, 0) for item in row] + [0] * (length - len(row))
        gains[user] = (listed, sorted(ratings.values()))
    return gains


@st.composite
def recommendations(draw):
    """Lists of different lengths, and pairs held out, some of users without a list and some twice."""
    users = draw(st.permutations(range(6)))[: draw(st.integers(1, 5))]
    lists = [draw(st.permutations(range(7)))[: draw(st.integers(0, 4))] for _ in users]
    lists[0] = lists[0] or [3]
    pairs = draw(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 7)), min_size=1, max_size=25))
    return lists, list(users), pairs, draw(st.lists(st.integers(0, 5), min_size=len(pairs), max_size=len(pairs)))


AS_IDS = {
    "ints": lambda ids: ids,
    "text": lambda ids: [f"id {9 - id_}" for id_ in ids],
    "floats": lambda ids: [id_ / 4 for id_ in ids],
    "days": lambda ids: [datetime.date(2024, 1, 1 + id_) for id_ in ids],
}


@pytest.mark.parametrize("kind", AS_IDS)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(recommendations())
def test_lists_are_ranked_before_all_that_is_held_out_and_not_in_them(kind, given_):
    as_ids = AS_IDS[kind]
    lists, users, pairs, y_test = given_
    lists, users = [as_ids(row) for row in lists], as_ids(users)
    pairs = list(zip(*(as_ids(column) for column in zip(*pairs, strict=True)), strict=True))
    ranking = ranking_of_lists(lists, users, pairs, y_test)
    groups = ranking.groups.astype("M8[D]") if kind == "days" else ranking.groups
    length = max(map(len, lists))
    for user, (listed, behind) in of_lists(lists, users, pairs, y_test).items():
        mine = groups == (np.datetime64(user) if kind == "days" else user)
        y_true, y_score = ranking.y_true[mine], ranking.y_score[mine]
        assert_allclose(y_true[np.argsort(-y_score, kind="stable")][:length], listed)
        assert_allclose(np.sort(y_true[y_score < y_score[0] - length + 1]), behind)
        assert len(set(y_score.tolist())) == length + bool(behind)
    assert len(ranking.y_true) == len(ranking.y_score) == len(ranking.groups)
    assert set(groups.tolist()) == set(users)


@pytest.mark.parametrize("fill", [-1, np.nan, None, "ragged"])
def test_a_place_without_an_item_is_no_hit_and_nothing_moves_up(fill):
    """What could not be recommended is not found, however short the list."""
    lists = [[1, 2, 3], [1]] if fill == "ragged" else [[1, 2, 3], [1, fill, fill]]
    if fill != "ragged":
        lists = np.array(lists, dtype=object if fill is None else None)
    X_test, y_test = [["a", 3], ["b", 1], ["b", 7], ["b", 8]], [5, 5, 5, 5]
    ranking = ranking_of_lists(lists, ["a", "b"], X_test, y_test)
    assert recall_at_k(**ranking, relevant=4, k=3) == pytest.approx((1 + 1 / 3) / 2)
    assert precision_at_k(**ranking, relevant=4, k=3) == pytest.approx(1 / 3)
    assert recall_at_k(**ranking, relevant=4, k=2) == pytest.approx((0 + 1 / 3) / 2)


def test_lists_of_a_model_are_worth_what_counting_says():
    X, y = make_ratings(60, 40, 1_500, random_state=0, return_X_y=True)
    train, test = np.arange(1_500) % 4 > 0, np.arange(1_500) % 4 == 0
    model = MatrixFactorizationRegressor(random_state=0).fit(X[train], y[train])
    users = np.unique(X[test, 0])[::-1]
    items, _ = model.recommend(users, 5, exclude=X[train])
    ranking = ranking_of_lists(items, users, X[test], np.where(y[test] >= 4, y[test], 0))
    recalls, hits, ndcgs = [], [], []
    for user, row in zip(users, items, strict=True):
        liked = {i: r for (u, i), r in zip(X[test].tolist(), y[test].tolist(), strict=True) if u == user and r >= 4}
        if liked:
            recalls.append(len(liked.keys() & set(row.tolist())) / len(liked))
            hits.append(bool(liked.keys() & set(row.tolist())))
            best = dcg(sorted(liked.values(), reverse=True)[:5])
            ndcgs.append(dcg([liked.get(item, 0) for item in row.tolist()]) / best)
    assert 0 < np.mean(recalls) < 1
    assert_allclose(recall_at_k(**ranking, relevant=4, k=5), np.mean(recalls))
    assert_allclose(hit_rate_at_k(**ranking, relevant=4, k=5), np.mean(hits))
    assert_allclose(ndcg_at_k(**ranking, k=5), np.mean(ndcgs))


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_lists_and_pairs_may_come_as_frames(frame):
    X_test = frame({"user": ["b", "a", "b"], "film": ["x", "y", "z"]})
    expected = ranking_of_lists([["y", "x"], ["z", "x"]], ["a", "b"], [["b", "x"], ["a", "y"], ["b", "z"]], [3, 4, 5])
    lists = pd.DataFrame([["y", "x"], ["z", "x"]], index=[7, 7])
    found = ranking_of_lists(lists, pd.Series(["a", "b"], index=[3, 3], dtype="category"), X_test, pl.Series([3, 4, 5]))
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_where_nobody_has_anything_held_out_the_metrics_say_so():
    ranking = ranking_of_lists([[1, 2]], ["a"], [["b", 1]], [5])
    with pytest.warns(UndefinedMetricWarning, match="no group has a relevant rating"):
        assert math.isnan(recall_at_k(**ranking, relevant=4))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"users": ["a"]}, "recommended has 2 lists, but users has 1 ids. Give one list per user"),
        ({"users": ["a", "a"]}, "users has 'a' more than once. Give one list per user"),
        ({"users": [1, 2]}, "Ids in column 0 of X_test are text .* but users has number ids"),
        ({"recommended": [["x"], [7]]}, "Recommended mixes ids of different types"),
        ({"recommended": [[1], [7]]}, "Ids in recommended are numbers .* but X_test has text ids"),
        ({"recommended": [[], []]}, "recommended has no items: all lists are empty"),
        ({"recommended": ["x", "y"]}, "recommended must have a row of item ids for each"),
        ({"recommended": (np.array([[1]]), np.array([[4.5]]))}, "not the pair"),
        ({"recommended": [["x"], ["y", "x", "y"]]}, "an item more than once in a list: 'y' for user 'b'"),
        ({"X_test": [["a"], ["b"]]}, "X_test must have a row for each rating, with the columns user and item"),
        ({"X_test": np.empty((0, 2)), "y_test": []}, "X_test must have a row for each rating"),
        ({"X_test": [["a", "x"], ["b", None]]}, "missing ids in column 1 of X_test: 1 of 2 rows, the first at row 1"),
        ({"y_test": [1, 2, 3]}, "X_test and y_test have inconsistent numbers of samples: 2 pairs and 3 ratings"),
        ({"y_test": [1, np.nan]}, "Input y_test contains NaN"),
        ({"y_test": [1, -2]}, r"y_test must be at least 0, .* has ratings down to -2"),
    ],
)
def test_bad_lists_and_pairs_are_refused(bad, message):
    good = {"recommended": [["x"], ["y"]], "users": ["a", "b"], "X_test": [["a", "x"], ["b", "y"]], "y_test": [4, 5]}
    assert recall_at_k(**ranking_of_lists(**good), relevant=4) == 1
    with pytest.raises(ValueError, match=message):
        ranking_of_lists(**{**good, **bad})


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_columns_of_pairs_are_taken_by_name_in_any_order(frame):
    users, lists, y_test = [1, 2], [[2, 3], [1, 3]], [3, 4, 5]
    expected = ranking_of_lists(lists, users, [[2, 3], [1, 2], [2, 1]], y_test)
    turned = frame({"time": [0, 0, 0], "remainder__item": [3, 2, 1], "user": [2, 1, 2]})
    found = ranking_of_lists(lists, users, turned, y_test, user_column="user", item_column="item")
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize("series", [lambda ids: pd.Series(ids, name="user"), lambda ids: pl.Series("user", ids)])
def test_users_that_are_called_like_another_column_are_refused(series):
    turned, users = pd.DataFrame({"item": [3, 2, 1], "ct__user": [2, 1, 2]}), series([1, 2])
    message = (
        r"users has the name 'user', like column 1 of X_test, but the user column of X_test is column 0 \('item'\)"
    )
    with pytest.raises(ValueError, match=message):
        ranking_of_lists([[2, 3], [1, 3]], users, turned, [3, 4, 5])
    ranking_of_lists([[2, 3], [1, 3]], users, turned, [3, 4, 5], user_column="user", item_column="item")
    ranking_of_lists([[2, 3], [1, 3]], users, turned.iloc[:, ::-1], [3, 4, 5])
    ranking_of_lists([[2, 3], [1, 3]], users, turned.to_numpy(), [3, 4, 5])


def from_polars(frame):
    return pl.from_pandas(frame)


def with_categories(frame):
    return frame.astype({"user": "category", "item": "category"})


@pytest.mark.parametrize("convert", [lambda frame: frame, from_polars, with_categories, lambda frame: frame[::-1]])
@pytest.mark.parametrize("as_ids", [lambda ids: ids, lambda ids: ids.astype(str).astype(object)])
def test_frames_of_recommend_are_lists(convert, as_ids):
    X, y = make_ratings(60, 40, 900, random_state=0, return_X_y=True)
    X = pd.DataFrame({"user": as_ids(X[:, 0]), "item": as_ids(X[:, 1])})
    model = MatrixFactorizationRegressor(2, max_iter=3, random_state=0).fit(X[:600], y[:600])
    users = model.categories_[0][[7, 3, 30, 12]]
    lists, _ = model.recommend(users, 5, exclude=X[:600])
    frame = convert(model.recommend(users, 5, exclude=X[:600], as_frame=True))
    expected = ranking_of_lists(lists, users, X[600:], y[600:])
    found = ranking_of_lists(frame, users, X[600:], y[600:])
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    catalog = model.categories_[1]
    assert catalog_coverage(frame, catalog=catalog) == catalog_coverage(lists, catalog=catalog)
    assert novelty(frame, X=X[:600]) == novelty(lists, X=X[:600])


def test_users_without_a_row_in_a_frame_have_an_empty_list():
    frame = pd.DataFrame({"user": ["b", "b"], "item": ["x", "y"], "place": [1, 2], "rating": [4.0, 3.0]})
    pairs, ratings = [["a", "x"], ["b", "y"]], [5, 4]
    expected = ranking_of_lists([[None, None], ["x", "y"]], ["a", "b"], pairs, ratings)
    for name, values in ranking_of_lists(frame, ["a", "b"], pairs, ratings).items():
        np.testing.assert_array_equal(values, expected[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"place": [1, 1]}, "recommended has place 1 of user 'b' more than once"),
        ({"place": [0, 1]}, "'place' of recommended must have whole numbers from 1 on"),
        ({"place": [1.0, 2.0]}, "'place' of recommended must have whole numbers"),
        ({"user": ["b", "c"]}, "recommended has 1 user.s. that are not in users, such as 'c'"),
        ({"item": ["x", None]}, "missing ids in column 1"),
        ({"user": [1, 2]}, "Ids in .*user.* are numbers"),
    ],
)
def test_bad_frames_of_lists_are_refused(change, message):
    frame = pd.DataFrame({"user": ["b", "b"], "item": ["x", "y"], "place": [1, 2], **change})
    with pytest.raises(ValueError, match=message):
        ranking_of_lists(frame, ["a", "b"], [["a", "x"]], [5])
    with pytest.raises(ValueError, match="recommended has a column 'place'"):
        ranking_of_lists(frame[["user", "place", "item"]], ["a", "b"], [["a", "x"]], [5])
    with pytest.raises(ValueError, match="recommended has a column 'place', so it must have rows"):
        ranking_of_lists(frame[:0], ["a", "b"], [["a", "x"]], [5])


@pytest.mark.parametrize("to_frame", [pd.DataFrame, pl.DataFrame])
def test_frames_of_lists_with_another_order_of_columns_are_refused(to_frame):
    lists = to_frame({"user": [1, 1, 2], "item": [2, 1, 1], "place": [1, 2, 1], "rating": [4.0, 3.0, 5.0]})
    X, y = to_frame({"ct__user": [1, 2, 2], "item": [2, 1, 2]}), [4, 5, 3]
    expected, bits = ranking_of_lists(lists, [1, 2], X, y), novelty(lists, X=X)
    turned, names = X[["item", "ct__user"]], {"user_column": "user", "item_column": "item"}
    for wrong in ({"recommended": lists, "X": turned}, {"recommended": lists[["item", "user", "place"]], "X": X}):
        found, table = wrong.values()
        with pytest.raises(ValueError, match=r"^recommended begins with the columns .* X_test .*: user_column="):
            ranking_of_lists(found, [1, 2], table, y)
        with pytest.raises(ValueError, match=r"^recommended begins with the columns .* X .*: user_column="):
            novelty(found, X=table)
    for name, values in ranking_of_lists(lists, [1, 2], turned, y, **names).items():
        np.testing.assert_array_equal(values, expected[name])
    assert novelty(lists, X=turned, **names) == novelty(lists, X=turned, user_column=1, item_column=0) == bits
