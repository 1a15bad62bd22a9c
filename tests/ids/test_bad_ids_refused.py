"""Check that errors about ids say which are wrong, where and what to do."""

import datetime as dt
from collections import namedtuple
from datetime import datetime, timezone
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
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
            r"Column 0 of X mixes ids of different types.*number \(1\), text \('b'\).*astype\(str\)",
        ),
        (
            [[datetime(2024, 1, 1), 1], [datetime(2024, 1, 1, tzinfo=timezone.utc), 2]],
            "Column 0 of X mixes datetimes with and without a time zone",
        ),
        (
            np.ma.array([[1, 2], [3, 4]], mask=[[0, 0], [0, 1]]),
            "missing ids in column 1 of X: 1 of 2 rows, the first at row 1",
        ),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["u", "u"]), "Column names of X repeat"),
        ([[2**64, 1], [1, 2]], "Column 0 of X has integers that do not fit into 64 bits. Convert the column to text"),
        ([[1, 2], [1, 2, 3]], "Row 1 of X has 3 values, but row 0 has 2"),
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
    with pytest.raises(TypeError, match=r"Give `X.collect\(\)`"):
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


def arrow_column(*arguments):
    return pd.Series(arguments[0], dtype=pd.ArrowDtype(arguments[1]))


NO_IDS = {
    "polars struct": lambda: pl.Series([{"a": 1}, {"a": 2}]),
    "polars list": lambda: pl.Series([[1], [2]]),
    "polars array": lambda: pl.Series([[1], [2]], dtype=pl.Array(pl.Int64, 1)),
    "polars Int128": lambda: pl.Series([1, 2], dtype=pl.Int128),
    "polars decimal": lambda: pl.Series([Decimal("1.5"), Decimal(2)]),
    "polars object": lambda: pl.Series([object(), object()], dtype=pl.Object),
    "polars duration": lambda: pl.Series([dt.timedelta(1), dt.timedelta(2)]),
    "polars time": lambda: pl.Series([dt.time(1), dt.time(2)]),
    "polars null": lambda: pl.Series([None, None]),
    "pandas period": lambda: pd.Series(pd.period_range("2020", periods=2)),
    "pandas interval": lambda: pd.Series(pd.interval_range(0, 2)),
    "pandas timedelta": lambda: pd.Series(pd.to_timedelta([1, 2], unit="s")),
    "pandas complex": lambda: pd.Series([1j, 2]),
    "pandas sparse with NaN": lambda: pd.Series(pd.arrays.SparseArray([np.nan, 1.0])),
    "pandas Int64 with NA": lambda: pd.Series([1, None], dtype="Int64"),
    "pandas Float64 with NA": lambda: pd.Series([1, None], dtype="Float64"),
    "pandas boolean with NA": lambda: pd.Series([True, None], dtype="boolean"),
    "pandas text with NA": lambda: pd.Series(["a", None], dtype="string"),
    "categories of NaN": lambda: pd.Series(pd.Categorical([np.nan, np.nan])),
    "categories, tuples": lambda: pd.Series(pd.Categorical([(1, 2), (3, 4)])),
    "categories, intervals": lambda: pd.Series(pd.cut([1, 2], 2)),
    "categories, periods": lambda: pd.Series(pd.period_range("2020", periods=2)).astype("category"),
    "categories, complex": lambda: pd.Series(pd.Categorical([1j, 2])),
    "lists": lambda: pd.Series([[1], [2]]),
    "dicts": lambda: pd.Series([{}, {}]),
    "sets": lambda: pd.Series([{1}, {2}]),
    "arrays": lambda: pd.Series([np.arange(2), np.arange(2)]),
    "0-d arrays": lambda: pd.Series([np.array(1), np.array(2)], dtype=object),
    "decimals": lambda: pd.Series([Decimal(1), Decimal(2)]),
    "fractions": lambda: pd.Series([Fraction(1, 2), 1]),
    "bytearrays": lambda: pd.Series([bytearray(b"a"), bytearray(b"b")], dtype=object),
    "times": lambda: pd.Series([dt.time(1), dt.time(2)]),
    "classes": lambda: pd.Series([int, str]),
    "integers beyond a float": lambda: pd.Series([10**400, 2.5], dtype=object),
    "NaT": lambda: pd.Series([np.datetime64("NaT", "s"), np.datetime64("2020")], dtype=object),
    "pandas pyarrow struct": lambda: arrow_column([{"a": 1}, {"a": 2}], pa.struct([("a", pa.int64())])),
    "pandas pyarrow list": lambda: arrow_column([[1], [2]], pa.list_(pa.int64())),
    "pandas pyarrow decimal": lambda: arrow_column([Decimal(1), Decimal(2)], pa.decimal128(5, 2)),
    "pandas pyarrow null": lambda: arrow_column([None, None], pa.null()),
    "pyarrow struct": lambda: pa.array([{"a": 1}, {"a": 2}]),
    "pyarrow list": lambda: pa.array([[1], [2]]),
    "pyarrow map": lambda: pa.array([[("a", 1)], [("b", 2)]], pa.map_(pa.string(), pa.int64())),
    "pyarrow decimal": lambda: pa.array([Decimal(1), Decimal(2)]),
    "pyarrow wide decimal": lambda: pa.array([Decimal(1), Decimal(2)], pa.decimal256(50, 2)),
    "pyarrow duration": lambda: pa.array([1, 2], pa.duration("s")),
    "pyarrow time": lambda: pa.array([1, 2], pa.time32("s")),
    "pyarrow null": lambda: pa.array([None, None]),
    "pyarrow interval": lambda: pa.array([(1, 2, 3), (1, 2, 4)], pa.month_day_nano_interval()),
    "pyarrow union": lambda: pa.UnionArray.from_sparse(
        pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]
    ),
    "pyarrow dictionary of structs": lambda: pa.DictionaryArray.from_arrays(
        pa.array([0, 1]), pa.array([{"a": 1}, {"a": 2}])
    ),
    "pyarrow dictionary of decimals": lambda: pa.array([Decimal(1), Decimal(2)]).dictionary_encode(),
    "pyarrow dictionary with a missing value": lambda: pa.DictionaryArray.from_arrays([0, 1], pa.array(["a", None])),
}


@pytest.mark.parametrize("name", NO_IDS)
def test_columns_of_every_library_that_are_no_ids(name):
    column = NO_IDS[name]()
    other = {pl.Series: pl.DataFrame, pd.Series: pd.DataFrame}.get(type(column), pa.table)
    table = other({"u": column, "i": [1, 2]})
    with pytest.raises((ValueError, TypeError), match=r"(?i)column 0 \('u'\) of X") as raised:
        fit(table, [1.0, 2.0])
    assert type(raised.value) in (ValueError, TypeError), "those of other libraries are subclasses"


def test_a_dictionary_of_a_dictionary_is_text():
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", "b"]).dictionary_encode())
    assert fit(pa.table({"u": column, "i": [1, 2]}), [1.0, 2.0]).categories_[0].tolist() == ["a", "b"]


Pair = namedtuple("Pair", "user item")
NO_TABLES = {
    "set": (lambda: {(1, 2), (3, 4)}, r"X is a set. Give the rows in order, as list\(X\)"),
    "generator": (lambda: (row for row in [(1, 2), (3, 4)]), r"X is a generator. .* list\(X\)"),
    "zip": (lambda: zip([1, 2], [3, 4], strict=True), r"X is a zip. .* list\(X\)"),
    "view": (lambda: {1: 2, 3: 4}.items(), r"X is a dict_items. .* list\(X\)"),
    "dict": (lambda: {"u": [1, 2], "i": [3, 4]}, r"X is a dict. .* pandas.DataFrame\(X\)"),
    "recarray": (lambda: np.rec.fromarrays([[1, 2], [3, 4]], names="u,i"), r"fields 'u', 'i' .* pandas.DataFrame"),
    "structured": (lambda: np.array([(1, 2), (3, 4)], dtype=[("u", int), ("i", int)]), "fields 'u', 'i'"),
    "records": (lambda: list(np.rec.fromarrays([[1, 2], [3, 4]], names="u,i")), "fields 'u', 'i'"),
    "rows and ids": (lambda: [[1, 2], 5], "X cannot be read as ids, .* rows that differ: give each row as many"),
    "rows and text": (
        lambda: [("a", "b"), "cd"],
        "X cannot be read as ids, .* rows that differ: give each row as many",
    ),
    "rows of dicts": (lambda: [{"u": 1, "i": 2}, {"u": 2, "i": 3}], "X .*Reshape your data"),
    "groups": (lambda: pd.DataFrame({"u": [1, 2], "i": [3, 4]}).groupby("u"), "X cannot be read as ids"),
    "text": (lambda: "ab", "X needs one row per rating"),
    "None": (lambda: None, "X needs one row per rating"),
    "0-d arrays": (lambda: [np.array(1), np.array(2)], "X needs one row per rating"),
    "column": (lambda: pd.Series([1, 2]), "X needs one row per rating"),
}


@pytest.mark.parametrize("name", NO_TABLES)
def test_what_is_no_table(name):
    make, message = NO_TABLES[name]
    with pytest.raises((ValueError, TypeError), match=message) as raised:
        fit(make(), [1.0, 2.0])
    assert type(raised.value) in (ValueError, TypeError)


def test_what_is_a_table():
    for table in (np.array([[1, 2], [3, 4]]).view(np.matrix), [Pair(1, 2), Pair(3, 4)], ([1, 2], np.array([3, 4]))):
        assert [ids.tolist() for ids in fit(table, [1.0, 2.0]).categories_] == [[1, 3], [2, 4]]


class _Fails:
    """Stands for a table of a library that raises errors of its own kind."""

    def __array__(self, *arguments, **keywords):
        raise KeyError("x" * 10_000)


def test_errors_of_other_libraries_are_told_in_short():
    with pytest.raises(TypeError, match=r"X cannot be read as ids, because it is a _Fails\. Convert it") as raised:
        fit(_Fails(), [1.0, 2.0])
    assert len(str(raised.value)) < 500
