"""Check that columns are matched by name, in any order and behind prefixes."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklearn_mf._ids.names import column_names, find_columns, order_columns
from sklearn_mf._ids.tables import split_columns


@pytest.mark.parametrize(
    ("names", "expected", "places"),
    [
        (["item", "user"], ["user", "item"], [1, 0]),
        (["time", "item", "user"], ["user", "item"], [2, 1]),
        (["remainder__item", "pipeline__user"], ["user", "item"], [1, 0]),
        (["item", "user"], ["pipeline__user", "remainder__item"], [1, 0]),
        (["left__item", "right__user"], ["pipeline__user", "remainder__item"], [1, 0]),
        (["old__user", "user", "item"], ["user", "item"], [1, 2]),  # the closest
        (["b__id", "a__id"], ["a__id", "b__id"], [1, 0]),
        (["x__b__id", "x__a__id"], ["a__id", "b__id"], [1, 0]),
        (["a__user", "b__user", "item"], ["user", "item"], None),
        (["user", "film"], ["user", "item"], None),
        (["User", "item"], ["user", "item"], None),
        (["user"], ["user", "item"], None),
        (["user"], ["a__user", "b__user"], None),  # one column is not two
        ([], ["user"], None),
    ],
)
def test_places_of_names(names, expected, places):
    assert find_columns(names, expected) == places


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, lambda data: pl.DataFrame(data).to_arrow()])
def test_columns_come_in_the_order_of_the_names(frame):
    X = frame({"when": [0, 0], "film": ["x", "y"], "who": [1, 2]})
    columns = order_columns(split_columns(X, "Model", "exclude"), X, ["who", "film"], "exclude")
    assert [column.label for column in columns] == ["column 2 ('who') of exclude", "column 1 ('film') of exclude"]
    with pytest.raises(
        ValueError, match=r"exclude has the columns \['when', 'film', 'who'\].* but needs \['user', 'item'\]"
    ):
        order_columns(columns, X, ["user", "item"], "exclude")


@pytest.mark.parametrize("X", [np.zeros((1, 2)), [[0, 0]], pd.DataFrame([[0, 0]]), pd.DataFrame({"user": [0], 1: [0]})])
def test_without_names_columns_stay_in_place(X):
    columns = split_columns(X, "Model")
    assert column_names(X) == []
    assert order_columns(columns, X, ["user", "item"], "X") == columns
    assert order_columns(columns, pd.DataFrame({"a": [1], "b": [2]}), [], "X") == columns
