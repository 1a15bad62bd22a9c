"""Check tables of rows against arrays that are copied whole: what versions hold, share, and refuse."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn_mf._kernel.rows import CHUNK_BYTES, RowTable, all_finite

CHUNK = 512  # rows that end with a chunk, whatever a row is
SHAPES = [(), (1,), (3,), (0,), (200,)]  # of a row: a bias, factors, none, and one that is a chunk by itself


def values_of(n_rows, row=(3,), seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, *row)).astype(np.float32)


def changed(table, array, levels, n_rows, seed=1):
    """A version of a table with new values for some levels, and the array that it should equal."""
    levels = np.array(levels, dtype=np.int64)
    values = values_of(len(levels), array.shape[1:], seed)
    version = table.version(levels, n_rows)
    version.put(levels, values)
    expected = np.concatenate([array, np.zeros((n_rows - len(array), *array.shape[1:]), dtype=np.float32)])
    expected[levels] = values
    return version, expected


def assert_holds(table, array):
    assert table.shape == array.shape
    assert len(table) == len(array)
    for whole in (table.whole(), np.asarray(table), pickle.loads(pickle.dumps(table)).whole()):
        assert whole.dtype == np.float32
        np.testing.assert_array_equal(whole, array)
    ends = [level for level in (0, CHUNK - 1, CHUNK, 2 * CHUNK, len(array) - 1) if 0 <= level < len(array)]
    levels = np.array(ends[::-1] + ends, dtype=np.int64)  # any order, any number of times
    np.testing.assert_array_equal(table[levels], array[levels])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_versions_are_arrays_that_were_copied_whole(data):
    """Versions of any version; in the end each holds what it held when it was made."""
    row = data.draw(st.sampled_from(SHAPES))
    sizes = st.one_of(st.integers(0, 5), st.integers(CHUNK - 2, CHUNK + 2), st.integers(0, 3 * CHUNK))
    array = values_of(data.draw(sizes), row)
    made = [(RowTable(array.copy()), array)]
    for step in range(data.draw(st.integers(1, 6))):
        table, array = made[data.draw(st.integers(0, len(made) - 1))]
        n_rows = len(array) + data.draw(st.one_of(st.just(0), st.integers(0, 3), st.integers(0, CHUNK + 2)))
        known = data.draw(st.sets(st.integers(0, len(array) - 1), max_size=4)) if len(array) else set()
        levels = [*sorted(known), *range(len(array), n_rows)]
        made.append(changed(table, array, levels, n_rows, seed=step + 1))
    for table, array in made:
        assert_holds(table, array)


@pytest.mark.parametrize("row", SHAPES)
@pytest.mark.parametrize("n_rows", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
def test_a_table_grows_row_by_row_and_by_chunks(n_rows, row):
    array = values_of(n_rows, row)
    made = [(RowTable(array.copy()), array)]
    for grown in (n_rows + 1, n_rows + 2, n_rows + 2 * CHUNK, n_rows + 2 * CHUNK + 1):
        table, array = made[-1]
        made.append(changed(table, array, range(len(array), grown), grown))
    for table, array in made:
        assert_holds(table, array)


def test_versions_of_many_pages():
    """Rows that are chunks by themselves, so that 256 of them are a page."""
    array = values_of(1000, (200,))
    made = [(RowTable(array.copy()), array)]
    for levels, n_rows in (([0, 255, 256, 999], 1000), ([255, 700], 1000), (range(1000, 1300), 1300), ([1100], 1300)):
        made.append(changed(*made[-1], levels, n_rows, seed=len(made)))
    made.append(changed(*made[1], range(1000), 1000, seed=9))  # of a version that others came from, all rows
    for table, array in made:
        assert_holds(table, array)
    del made[1:4]
    for table, array in made:
        assert_holds(table, array)


@pytest.mark.parametrize("row", SHAPES)
def test_chunks_have_as_many_rows_as_are_in_a_kilobyte(row):
    table = RowTable(values_of(2000, row))
    version = table.version([700], 2000)
    n_bytes = 4 * int(np.prod(row))
    assert version.n_bytes_beside(table) == table.n_bytes_beside(version)
    assert max(n_bytes, CHUNK_BYTES // 2 if n_bytes else 0) <= version.n_bytes_beside(table) <= CHUNK_BYTES


def test_room_of_chunks_is_used_again():
    """Rows that were freed do not shine through."""
    table, array = RowTable(np.zeros((CHUNK, 3), dtype=np.float32)), np.zeros((CHUNK, 3), dtype=np.float32)
    for step in range(50):
        table, array = changed(table, array, [step, step + 100], len(array), seed=step)
        grown = table.version(np.arange(CHUNK, CHUNK + 70), CHUNK + 70)
        assert not grown.whole()[CHUNK:].any()
    np.testing.assert_array_equal(table.whole(), array)


@pytest.mark.parametrize("n_columns", [0, 1, 2, 33])
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_found(bad, n_columns):
    array = np.full((40, n_columns + 5), np.finfo(np.float32).max, dtype=np.float32)
    array[::2] = -0.0
    part = array[:, 2 : 2 + n_columns]
    array[:, :2] = bad  # beside the part
    assert all_finite(part)
    assert all_finite(part[:0])
    assert RowTable(part.copy()).are_finite([3, 0, 39])
    if n_columns:
        part[7, -1] = bad
        assert not all_finite(part)
        assert not all_finite(part[7:8])
        table = RowTable(part.copy()).version([0], 40)
        assert not table.are_finite([0, 7])
        assert table.are_finite([0, 6, 8])
    with pytest.raises(IndexError, match="beyond"):
        RowTable(part.copy()).are_finite([40])


def test_rows_that_do_not_follow_each_other_are_refused():
    with pytest.raises(ValueError, match="follow each other"):
        all_finite(np.zeros((4, 6), dtype=np.float32)[:, ::2])


def test_rows_are_added_up_in_order():
    array, rng = values_of(50), np.random.default_rng(0)
    table, array = changed(RowTable(array), array, [4, 20], 50)
    levels, places, weights = rng.integers(0, 50, 30), rng.integers(0, 5, 30), rng.normal(size=30)
    out = np.ones((5, 3))
    table.add_up(levels, weights, places, out)
    expected = np.ones((5, 3))
    for level, place, weight in zip(levels, places, weights, strict=True):
        expected[place] += weight * array[level].astype(np.float64)  # NumPy 1 would multiply in single precision
    np.testing.assert_allclose(out, expected, rtol=1e-14)
    for bad in ({"levels": [50]}, {"levels": [-1]}, {"places": [5]}, {"places": [-1]}):
        with pytest.raises(IndexError, match="beyond"):
            table.add_up(**{"levels": [0], "weights": np.ones(1), "places": [0], "out": out, **bad})
    for bad in ({"levels": [0, 1]}, {"places": []}, {"weights": np.ones(2)}, {"out": np.ones((5, 2))}):
        with pytest.raises(ValueError, match="do not fit"):
            table.add_up(**{"levels": [0], "weights": np.ones(1), "places": [0], "out": out, **bad})


def test_new_rows_are_zero_until_they_are_put():
    table = RowTable(np.ones((CHUNK - 1, 2), dtype=np.float32))
    grown = table.version(np.arange(CHUNK - 1, 2 * CHUNK), 2 * CHUNK)
    assert (grown.whole()[: CHUNK - 1] == 1).all()
    assert (grown.whole()[CHUNK - 1 :] == 0).all()


def test_tables_of_millions_of_rows_have_longer_chunks():
    n_rows = 4096 * CHUNK + 1000
    array = values_of(n_rows, ())
    table = RowTable(array)
    version, expected = changed(table, array, [0, CHUNK, 3 * CHUNK - 1, 3 * CHUNK, n_rows - 1, n_rows], n_rows + 1)
    np.testing.assert_array_equal(version.whole(), expected)
    levels = np.array([0, 1, CHUNK, 2 * CHUNK, n_rows - 1, n_rows])
    np.testing.assert_array_equal(version[levels], expected[levels])


def test_a_version_shares_the_chunks_that_it_does_not_change():
    """A table keeps the array that it is given: what is written into that is seen through the chunks shared with it."""
    array = np.zeros((4 * CHUNK, 2), dtype=np.float32)
    first = RowTable(array)
    second = first.version([CHUNK], 4 * CHUNK)
    third = second.version([2 * CHUNK + 5], 4 * CHUNK)
    array[:] = 1
    chunks = [table[np.arange(4) * CHUNK][:, 0].tolist() for table in (first, second, third)]
    assert chunks == [[1, 1, 1, 1], [1, 0, 1, 1], [1, 0, 0, 1]]
    second.put([CHUNK], 7.0)  # which third shares with second, and first with neither
    assert [table[[CHUNK]][0, 0] for table in (first, second, third)] == [1, 7, 7]


def test_a_version_without_levels_shares_everything():
    array = values_of(2 * CHUNK)
    version = RowTable(array).version([], 2 * CHUNK)
    assert np.shares_memory(version.whole(), array)
    assert not np.shares_memory(RowTable(array).version([3], 2 * CHUNK).whole(), array)


def test_a_version_outlives_the_tables_that_it_came_from():
    array = values_of(3 * CHUNK)
    table = RowTable(array.copy())
    for level in range(0, 3 * CHUNK, 100):
        table, array = changed(table, array, [level], len(array))
    np.testing.assert_array_equal(table.whole(), array)


@pytest.mark.parametrize("levels", [[], [3]])
def test_whole_cannot_be_written_to(levels):
    array = values_of(6)
    version = RowTable(array).version(levels, 6)
    for table in (RowTable(array), version):
        with pytest.raises(ValueError, match="read-only"):
            table.whole()[0] = 1
        with pytest.raises(ValueError, match="read-only"):
            np.asarray(table)[0] = 1
    array[0] = 5  # nor does the array that was given become one
    assert (version.whole()[0] == 5).all() == (not levels)


def test_an_array_of_a_table_can_be_copied_and_cast():
    array = values_of(6)
    table = RowTable(array)
    copied = np.array(table)
    copied[0] = 5
    np.testing.assert_array_equal(table.whole(), values_of(6))
    assert np.asarray(table, dtype=np.float64).dtype == np.float64
    assert np.shares_memory(np.asarray(table), array)


def test_tables_of_arrays_that_cannot_be_written_to():
    array = values_of(CHUNK + 3)
    array.flags.writeable = False
    version, expected = changed(RowTable(array), array, [1, CHUNK], CHUNK + 3)
    np.testing.assert_array_equal(version.whole(), expected)
    np.testing.assert_array_equal(array, values_of(CHUNK + 3))


def test_values_of_put_are_broadcast_and_cast():
    version = RowTable(values_of(5)).version([0, 2, 4], 5)
    version.put([4, 0], np.array([[1.0, 2.0, 3.0]]))  # any order
    version.put([2], 9)
    expected = values_of(5)
    expected[[0, 4]], expected[2] = [1, 2, 3], 9
    np.testing.assert_array_equal(version.whole(), expected)
    with pytest.raises(ValueError, match="broadcast"):
        version.put([0, 2], np.zeros((3, 3)))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 2)),
        np.zeros((4, 2), dtype=">f4"),
        np.zeros((4, 2), dtype=np.int32),
        np.zeros((4, 2), dtype=np.float32).T,
        np.zeros((4, 4), dtype=np.float32)[:, :2],
        np.zeros((4, 2, 1), dtype=np.float32),
        np.zeros((), dtype=np.float32),
    ],
    ids=["float64", "swapped", "int32", "transposed", "part", "three", "none"],
)
def test_other_arrays_are_refused(array):
    with pytest.raises(ValueError, match="contiguous float32 array"):
        RowTable(array)


@pytest.mark.parametrize("row", SHAPES)
@pytest.mark.parametrize("bad", [-1, CHUNK + 3, 2**31, -(2**62), 2**32])
def test_levels_beyond_the_rows_are_refused(bad, row):
    table = RowTable(values_of(CHUNK + 3, row))
    version = table.version([0, CHUNK], CHUNK + 3)
    levels = sorted([0, bad])
    with pytest.raises(IndexError, match=f"beyond the {CHUNK + 3} rows"):
        table[levels]
    with pytest.raises(IndexError, match=f"beyond the {CHUNK + 3} rows"):
        version.put(levels, 0.0)
    with pytest.raises(IndexError, match=f"beyond the {CHUNK + 3} rows"):
        table.version(levels, CHUNK + 3)
    np.testing.assert_array_equal(version.whole(), table.whole())


@pytest.mark.parametrize("levels", [[CHUNK, 0], [4, 3], [3, 3]])
def test_levels_that_do_not_rise_are_refused(levels):
    with pytest.raises(ValueError, match="do not rise"):
        RowTable(values_of(CHUNK + 3)).version(levels, CHUNK + 3)


@pytest.mark.parametrize("levels", [[], [3], [CHUNK - 1], [CHUNK], [CHUNK - 1, CHUNK + 1]])
def test_versions_without_all_new_rows_are_refused(levels):
    """A chunk without one of its rows would be no chunk."""
    with pytest.raises(ValueError, match="all new rows"):
        RowTable(values_of(CHUNK - 1)).version(levels, CHUNK + 2)


def test_versions_with_fewer_rows_are_refused():
    with pytest.raises(ValueError, match="no fewer rows"):
        RowTable(values_of(5)).version([], 4)


def test_shared_rows_are_not_written_to():
    array = values_of(2 * CHUNK)
    table = RowTable(array.copy())
    version = table.version([3], 2 * CHUNK)
    for shared, levels in ((table, [0]), (version, [CHUNK]), (version, [3, CHUNK])):
        with pytest.raises(ValueError, match="shared with other versions"):
            shared.put(levels, 0.0)
    np.testing.assert_array_equal(table.whole(), array)


def test_rows_that_the_version_before_made_are_not_written_to():
    """The next version shares their chunk."""
    table = RowTable(values_of(2 * CHUNK))
    version = table.version([3], 2 * CHUNK).version([CHUNK], 2 * CHUNK)
    version.put([CHUNK], 0.0)
    with pytest.raises(ValueError, match="shared with other versions"):
        version.put([3], 0.0)
