"""Compare levels and codes of columns of ids with NumPy and plain Python."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_mf._ids.levels import Levels
from sklearn_mf._ids.tables import split_columns
from sklearn_mf._utils.threads import Threads

ONE = Threads()
common = settings(max_examples=100, deadline=None)


def check(X, expected_rows):
    """Levels and codes of every column of X are those of np.unique on the rows given as lists."""
    columns = split_columns(X, "name")
    levels, codes = Levels.fit(columns, None, ONE)
    for j, expected in enumerate(zip(*expected_rows, strict=True)):
        unique = sorted(set(expected))
        assert levels.ids[j].tolist() == unique
        assert [unique[code] for code in codes[j]] == list(expected)
        assert codes[j].dtype == np.int32
    np.testing.assert_array_equal(levels.encode(columns, ONE), np.stack(codes, axis=1))


@common
@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(-5, 5)), min_size=1, max_size=60))
def test_integers(rows):
    check(np.array(rows, dtype=np.int64), rows)


@common
@given(st.lists(st.tuples(st.text(max_size=40), st.text("ab", max_size=20)), min_size=1, max_size=60))
def test_strings(rows):
    array = np.empty((len(rows), 2), dtype=object)
    array[:] = rows
    check(array, rows)
    if not any(cell.endswith("\0") for row in rows for cell in row):
        check(np.array(rows), rows)  # of one width
    columns = [[row[j] for row in rows] for j in range(2)]
    for kind in (pa.string(), pa.large_string()):
        table = pa.table({name: pa.array(column, kind) for name, column in zip("ui", columns, strict=True)})
        check(table, rows)
        check(table.slice(1), rows[1:]) if len(rows) > 1 else None
        check(pa.concat_tables([table, table]), rows + rows)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u4", "i4", ">i4", "i8", ">i8", "u8", "f4", "f8", "f2", "?"])
def test_types_of_numbers(dtype):
    values = np.array([[0, 1], [1, 0], [1, 1], [0, 0]])
    check(values.astype(dtype), values.tolist())
    check(np.repeat(values.astype(dtype), 2, axis=1)[::-1, ::-2], values[::-1, ::-1].tolist())


def test_unknown_integers_are_minus_one():
    columns = split_columns(np.array([[5, 10**15], [7, -(10**15)], [9, 0]]), "name")
    levels, _ = Levels.fit(columns, None, ONE)
    asked = np.array([[5, 0], [6, 1], [4, 10**15 + 1], [10, 2**63 - 1], [-(2**63), -(2**63)]])
    expected = [[0, 1], [-1, -1], [-1, -1], [-1, -1], [-1, -1]]
    for repeats in (1, 100):  # by search, and by table
        for kind in (np.int64, object, float):
            rows = np.tile(asked, (repeats, 1)).astype(kind)
            found = levels.encode(split_columns(rows, "name"), ONE)
            assert found.tolist() == expected * repeats, (repeats, kind)


def test_integers_beyond_int64_are_not_wrapped():
    levels, _ = Levels.fit(split_columns(np.array([[-1, 0], [-2, 1]]), "name"), None, ONE)
    for dtype in (">u8", "<u8"):
        asked = split_columns(np.array([[2**64 - 1, 2**64 - 2]], dtype=dtype), "name")
        assert levels.encode(asked, ONE).tolist() == [[-1, -1]]


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize <= 8, reason="long double is double here")
def test_floats_wider_than_64_bits_are_refused():
    X = np.array([[2**53, 1], [2**53 + 1, 2]], dtype=np.longdouble)
    with pytest.raises(ValueError, match=r"Ids in column 0 of X are .*, wider than 64 bits. .* astype\(str\)"):
        Levels.fit(split_columns(X, "name"), None, ONE)
