"""Check coverage of the catalog and novelty of recommended lists."""

import math

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import UndefinedMetricWarning

from sklearn_mf.metrics import catalog_coverage, novelty


def test_coverage_is_the_share_of_the_catalog():
    catalog = np.arange(10)
    assert catalog_coverage(np.array([[0, 1, 2], [2, 3, 0]]), catalog=catalog) == 0.4
    assert catalog_coverage([[0, 1, 2], [3]], catalog=np.repeat(catalog, 2)) == 0.4
    assert catalog_coverage([[], [9]], catalog=catalog) == 0.1
    assert catalog_coverage(pd.DataFrame([[0, 1], [1, 2]]), catalog=pd.Series(catalog)) == 0.3
    assert catalog_coverage([np.array([0, 1]), np.array([5])], catalog=catalog) == 0.3


def test_novelty_is_the_mean_self_information_of_distinct_users():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(0, 40, 600), rng.integers(100, 130, 600)])
    recommended = rng.integers(100, 130, (25, 7))
    share = {i: len({u for u, j in X.tolist() if j == i}) / len(set(X[:, 0].tolist())) for i in range(100, 130)}
    expected = np.mean([-math.log2(share[i]) for i in recommended.ravel().tolist()])
    assert_allclose(novelty(recommended, X=X), expected)
    assert_allclose(novelty(recommended, X=np.column_stack([np.vstack([X, X]), np.arange(1_200)])), expected)
    as_text = np.char.add("i", recommended.astype(str)).astype(object)
    frame = pd.DataFrame({"user": X[:, 0], "item": [f"i{i}" for i in X[:, 1]]})
    assert_allclose(novelty(as_text, X=frame), expected)


DAYS = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], dtype="datetime64[ns]")


@pytest.mark.parametrize(
    ("catalog", "recommended"),
    [
        (["a", "b", "c"], np.array([["a", "b"], ["a", None]], dtype=object)),
        (["a", "b", "c"], [["a", "b"], ["a", None]]),
        (["a", "b", "c"], pd.DataFrame([["a", "b"], ["a", pd.NA]])),
        (["a", "b", "c"], np.array([["a", "b"], ["a", np.nan]], dtype=object)),
        (["a", "b", "c"], np.array([["a", "b"], ["a", "a"]])),
        ([1, 2, 3], np.array([[1, 2], [1, -1]])),
        ([1, 2, 3], [[1, 2], [1, -1]]),
        ([1, 2, 2**60 + 1], np.array([[1, 2**60 + 1], [1, -1]])),
        (np.array([1, 2, 2**63], "u8"), np.array([[1, 2**63], [1, 2**64 - 1]], "u8")),
        ([-1, 2, 3], np.array([[-1, 2]])),
        ([1.5, 2.5, 3.0], np.array([[1.5, 2.5], [1.5, np.nan]])),
        ([1, 2, 3], np.array([[1.0, 2], [1, np.nan]])),
        ([1, 2, 3], np.ma.masked_equal([[1, 2], [1, 9]], 9)),
        (DAYS, np.array([DAYS[:2], [DAYS[0], np.datetime64("NaT", "D")]])),
        (DAYS, [DAYS[:2], [DAYS[0]]]),
        (DAYS, np.array([DAYS[:2]]).astype("datetime64[D]")),
    ],
)
def test_what_fills_rows_is_skipped(catalog, recommended):
    assert catalog_coverage(recommended, catalog=catalog) == pytest.approx(2 / 3)
    each_by_one_of_three = list(zip([0, 1, 2], catalog, strict=True))
    assert novelty(recommended, X=each_by_one_of_three) == pytest.approx(math.log2(3))


def test_where_nothing_is_recommended_coverage_is_zero_and_novelty_undefined():
    assert catalog_coverage([[], []], catalog=[1, 2]) == 0
    assert catalog_coverage(np.full((2, 3), -1), catalog=[1, 2]) == 0
    for nothing in ([[], []], np.full((2, 3), -1), np.full((2, 3), np.nan), np.empty((2, 0))):
        with pytest.warns(UndefinedMetricWarning, match="novelty is undefined.*no item is recommended"):
            assert math.isnan(novelty(nothing, X=[[1, 2]]))


@pytest.mark.parametrize(
    "metric", [lambda r: catalog_coverage(r, catalog=[1, 2]), lambda r: novelty(r, X=[[0, 1], [0, 2]])]
)
@pytest.mark.parametrize(
    ("recommended", "message"),
    [
        ([[1, 7], [9, 7]], r"recommended has ids that are not (in catalog|in X.*): 7, 9\."),
        ([[*range(10, 20)]], r"recommended has ids that are not .*: 10, 11, 12, 13, 14, \.\.\. \(10 in all\)\."),
        ([[-1, -2]], r"recommended has ids that are not .*: -2\."),
        ([["a"]], "Ids in recommended are text .* but (catalog|X) has number ids"),
        ([None], "recommended must have a row of item ids"),
        ([1, 2], r"recommended must have a row of item ids for each user.*\[\[\.\.\.\]\]"),
        (["ab", "cd"], "recommended must have a row of item ids"),
        (np.array([1, 2]), "recommended must have a row of item ids"),
        ([], "recommended must have a row of item ids"),
        (np.empty((0, 3)), "recommended must have a row of item ids"),
        ("ab", "recommended must have a row of item ids"),
        ((np.array([[1]]), np.array([[4.5]])), r"not the pair \(ids, ratings\) that recommend returns"),
    ],
)
def test_bad_recommendations_are_refused(metric, recommended, message):
    with pytest.raises(ValueError, match=message):
        metric(recommended)


def test_bad_catalogs_are_refused():
    with pytest.raises(TypeError, match="Recommended: argument must be a string or a number, not 'list'"):
        catalog_coverage([[1, [2]]], catalog=[1])
    with pytest.raises(ValueError, match="catalog is empty"):
        catalog_coverage([[1]], catalog=[])
    with pytest.raises(ValueError, match="catalog must be a list or 1D array"):
        catalog_coverage([[1]], catalog=np.ones((2, 2)))
    for X in (np.empty((0, 2)), [[1], [2]]):
        with pytest.raises(ValueError, match="X must have a row for each rating, with the columns user and item"):
            novelty([[1]], X=X)
    unknown = np.array([["2030-01-01"]], dtype="datetime64[ns]")
    with pytest.raises(ValueError, match="not in catalog: '2030-01-01"):
        catalog_coverage(unknown, catalog=DAYS)


@pytest.mark.parametrize("prefixes", [("", ""), ("pipeline__", "remainder__")])
def test_novelty_takes_columns_by_name_in_any_order(prefixes):
    rng = np.random.default_rng(0)
    names = [f"{prefix}{name}" for prefix, name in zip(prefixes, ["user", "item"], strict=True)]
    X = pd.DataFrame({name: rng.integers(0, 30, 400) for name in names})  # ids of both kinds alike
    recommended = rng.permutation(30).reshape(6, 5)
    expected = novelty(recommended, X=X)
    turned = X.iloc[:, ::-1].assign(time=None).iloc[:, [2, 0, 1]].assign(time=0.0)
    assert novelty(recommended, X=turned, user_column="user", item_column="item") == expected
    assert novelty(recommended, X=turned.to_numpy(), user_column=2, item_column=1) == expected
    assert novelty(recommended, X=X.iloc[:, ::-1]) != expected  # by place, without names


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user_column": "who"}, "X has no column user_column='who'; its columns are 'user', 'item'"),
        ({"item_column": 2}, r"X has 2 column\(s\), counted from 0, and novelty looks for item_column=2"),
        ({"item_column": "user"}, r"user_column and item_column of novelty are both column 0 \('user'\) of X"),
        ({"item_column": -1}, "item_column == -1, must be >= 0"),
    ],
)
def test_columns_that_are_not_there_are_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        novelty([[1]], X=pd.DataFrame({"user": [1], "item": [1]}), **columns)
    with pytest.raises(ValueError, match="user_column='user' is a name, but X is not a data frame"):
        novelty([[1]], X=[[1, 1]], user_column="user")


def test_unknown_ids_may_mean_another_order_of_columns():
    X = pd.DataFrame({"item": ["x", "y"], "user": ["a", "b"]})
    with pytest.raises(ValueError, match=r"not in X, .*: 'x'\. .* pass user_column and item_column\.$"):
        novelty([["x"]], X=X)
    with pytest.raises(ValueError, match=r"not in catalog: 'x'\.$"):
        catalog_coverage([["x"]], catalog=["a", "b"])
