"""Check that errors about ids say which are wrong, where and what to do."""

from datetime import datetime, timezone

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers.four_ratings import X, fit
from scipy import sparse


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            np.array([[1.0, 2], [3, np.nan]]),
            r"NaN, infinite or missing ids in column 1 of X: 1 of 2 rows, the first at row 1",
        ),
        (
            np.array([[1.0, 2], [np.inf, 4]]),
            r"NaN, infinite or missing ids in column 0 of X: 1 of 2 rows, the first at row 1",
        ),
        ([[None, 2], [3, 4]], "missing ids in column 0 of X: 1 of 2 rows, the first at row 0"),
        ([["a", 2], [float("nan"), 4]], "missing ids in column 0 of X: 1 of 2 rows, the first at row 1"),
        ([["a", 2], [pd.NA, 4]], "missing ids in column 0"),
        (np.array([["2024", "2025"], ["NaT", "2024"]], dtype="datetime64[D]"), "missing ids in column 0"),
        (pd.DataFrame({"u": ["a", None], "i": [1, 2]}), r"missing ids in column 0 \('u'\)"),
        (pd.DataFrame({"u": pd.Categorical(["a", None]), "i": [1, 2]}), r"missing ids in column 0 \('u'\)"),
        (pd.DataFrame({"u": [1, 2], "i": pd.array([1, None], dtype="Int64")}), r"missing ids in column 1 \('i'\)"),
        (pd.DataFrame({"u": [1, 2], "i": pd.to_datetime(["2024", None])}), r"missing ids in column 1 \('i'\)"),
        (pl.DataFrame({"u": ["a", None], "i": [1, 2]}), r"missing ids in column 0 \('u'\)"),
        (pl.DataFrame({"u": [1.0, float("nan")], "i": [1, 2]}), r"missing ids in column 0 \('u'\)"),
        (
            [[1, "a"], ["b", "c"]],
            r"Column 0 of X mixes ids of different kinds.*number \(1\), text \('b'\).*astype\(str\)",
        ),
        (
            [[datetime(2024, 1, 1), 1], [datetime(2024, 1, 1, tzinfo=timezone.utc), 2]],
            "Column 0 of X mixes datetimes with and without a time zone",
        ),
        (
            np.ma.array([[1, 2], [3, 4]], mask=[[0, 0], [0, 1]]),
            "missing ids in column 1 of X: 1 of 2 rows, the first at row 1",
        ),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["u", "u"]), "Names of columns of X repeat"),
        ([[2**64, 1], [1, 2]], "Column 0 of X has integers beyond 64 bits; convert the column to text"),
        ([[1, 2], [1, 2, 3]], "Row 1 of X has 3 values and row 0 has 2"),
        ([1, 2], "Expected 2D array, got 1D array instead.*Reshape your data"),
        (np.zeros((2, 2, 2)), "Expected 2D array, got 3D array"),
        ([[1], [2]], r"1 feature\(s\) \(shape=\(2, 1\)\) while a minimum of 2 is required"),
        (pd.DataFrame({"u": [1, 2]}), r"1 feature\(s\)"),
        (np.empty((0, 2)), r"0 sample\(s\) \(shape=\(0, 2\)\) while a minimum of 1 is required"),
        (pd.DataFrame({"u": [], "i": []}), r"0 sample\(s\)"),
        ([], "Expected 2D array"),
        (np.array([[1j, 2], [3, 4]]), "Complex data not supported"),
    ],
)
def test_bad_ids(bad, message):
    with pytest.raises(ValueError, match=message):
        fit(bad, [1.0, 2.0])


def test_lazy_frames_are_to_be_collected():
    with pytest.raises(TypeError, match=r"give `X.collect\(\)`"):
        fit(pl.LazyFrame({"u": [1, 2], "i": [3, 4]}), [1.0, 2.0])


@pytest.mark.parametrize("bad", [np.array([["1", "2"], ["3", "4"]], dtype="m8[s]"), [[1, {2}], [3, 4]]])
def test_ids_that_are_neither_number_nor_text(bad):
    with pytest.raises(TypeError, match=r"Column \d of X: argument must be a string or a number"):
        fit(bad, [1.0, 2.0])


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix, sparse.coo_array])
def test_sparse_input_names_the_helper(container):
    matrix = container([[1, 0], [0, 2]])
    with pytest.raises(TypeError, match=r"Sparse X is not supported .*pairs_from_sparse\(matrix\)"):
        fit(matrix, [1.0, 2.0])
    with pytest.raises(TypeError, match="pairs_from_sparse"):
        fit().predict(matrix)


def test_unknown_ids_as_errors_say_which_and_how_many():
    model = fit(handle_unknown="error")
    model.predict(X)
    with pytest.raises(ValueError, match=r"in 2 of 3 rows: 1 in column 0 of X \(7\); 2 in column 1 of X \(30, 40\)"):
        model.predict([[1, 10], [7, 30], [2, 40]])
