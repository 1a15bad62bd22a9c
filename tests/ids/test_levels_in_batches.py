"""Check that levels learned batch by batch are those of all rows at once, bit for bit."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_mf._ids.batches import Categorical, Column, SlicedRatings
from sklearn_mf._ids.levels import Levels
from sklearn_mf._ids.merge import GrowingLevels
from sklearn_mf._utils.threads import Threads

UTC = datetime.timezone.utc
LABEL = "column 0 of X"


def in_batches(values, weights, cuts, has_zone=False):
    column = Column(LABEL, values, has_zone)
    growing = GrowingLevels([LABEL], Threads())
    for start, stop in zip([0, *cuts], [*cuts, len(column)], strict=True):
        rows = slice(start, stop)
        growing.add([column.rows(rows)], None if weights is None else weights[rows])
    return growing.finish()


def check_same(values, weights, cuts, has_zone=False):
    """Ids, their types, kinds and codes are those of ``Levels.fit``."""
    column = Column(LABEL, values, has_zone)
    whole, (codes,) = Levels.fit([column], weights, Threads())
    levels = in_batches(values, weights, cuts, has_zone)
    assert levels.ids[0].dtype == whole.ids[0].dtype
    assert list(map(type, levels.ids[0].tolist())) == list(map(type, whole.ids[0].tolist()))
    np.testing.assert_array_equal(levels.ids[0], whole.ids[0])
    assert levels.kinds == whole.kinds
    assert levels.sorters == [None]
    counted = np.ones(len(column), dtype=bool) if weights is None else weights > 0
    own = levels.encode([column], Threads())[:, 0]
    np.testing.assert_array_equal(own[counted], codes[counted])


numbers = st.one_of(
    st.integers(-5, 5),
    st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 2**62, 2**63 - 1, -(2**63), 2**63, 2**64 - 1]),
    st.sampled_from([0.5, -1.5, 1.0, 2.0**53, 2.0**62, 2.0**63, 1e300]),
    st.booleans(),
)
ONE_KIND = {
    "ints": st.integers(-(2**62), 2**62),
    "few ints": st.integers(0, 5),
    "floats": st.floats(allow_nan=False, allow_infinity=False),
    "whole floats and others": st.sampled_from([1.0, 2.0, 2.0**60, 2.0**63, 0.5, -0.0]),
    "numbers": numbers,
    "text": st.text(max_size=3),
    "bytes": st.binary(max_size=3),
    "dates and datetimes": st.one_of(
        st.dates(datetime.date(2000, 1, 1), datetime.date(2001, 1, 1)),
        st.datetimes(datetime.datetime(2000, 1, 1), datetime.datetime(2001, 1, 1)),
    ),
    "zoned": st.datetimes(datetime.datetime(2000, 1, 1), datetime.datetime(2001, 1, 1), timezones=st.just(UTC)),
}


@pytest.mark.parametrize("kind", ONE_KIND)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_lists_and_arrays_of_objects(kind, data):
    values = data.draw(st.lists(ONE_KIND[kind], min_size=2, max_size=12))
    weights = data.draw(st.none() | st.lists(st.sampled_from([0.0, 1.0, 2.5]), min_size=len(values), max_size=12))
    weights = None if weights is None else np.array(weights[: len(values)])
    cuts = sorted(data.draw(st.sets(st.integers(1, len(values) - 1))))
    for form in (list, lambda values: np.array([*values, None], dtype=object)[:-1]):
        check_same(form(values), weights, cuts)


ARRAYS = {
    "int64": [5, -3, 5, 2**40, 7, -3],
    "uint64": np.array([5, 1, 2**63 + 1, 7, 2**64 - 1, 5], dtype=np.uint64),
    "small uint64": np.array([5, 1, 1, 7, 9, 5], dtype=np.uint64),
    "int8": np.array([5, -1, 5, 7, 127, 5], dtype=np.int8),
    "bool": [True, False, True, True, True, False],
    "whole floats first": [1.0, 2.0**60, 2.0, 0.5, 1.0, 0.25],
    "whole floats last": [0.5, 0.25, 0.5, 2.0, 2.0**60, 1.0],
    "float32": np.array([0.1, 0.2, 3, 4, 0.1, 3], dtype=np.float32),
    "fixed text": np.array(["b", "a", "é", "b", "zz", ""]),
    "fixed bytes": np.array([b"b", b"a", b"c", b"b", b"zz", b""]),
    "days": np.array(["2020-01-03", "2020-01-01", "1969-01-01", "2020-01-03", "2021-01-01", "2020-01-01"], "M8[D]"),
    "nanoseconds": np.array([3, 1, 3, 2**40, 1, 7], "M8[ns]"),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("cuts", [[], [3], [1, 2, 3, 4, 5]])
@pytest.mark.parametrize("weights", [None, np.array([1, 0, 1, 0, 2, 0.5])])
def test_typed_arrays(name, cuts, weights):
    check_same(np.asarray(ARRAYS[name]), weights, cuts)


@pytest.mark.parametrize("cuts", [[], [3], [1, 2, 3, 4, 5]])
@pytest.mark.parametrize("weights", [None, np.array([1, 0, 1, 0, 2, 0.5])])
def test_categoricals_and_arrow_text(cuts, weights):
    codes = np.array([2, 0, 1, 2, 2, 0])
    for categories in (
        np.array(["c", "a", "b", "unused"], dtype=object),
        np.array([9, 3, 5, 0]),
        np.array([9.0, 0.5, 5.0, 0.25]),
        np.array([9, 0.5, 5], dtype=object),
        pd.to_datetime(["2020-01-02", "2020-01-01", "2020-01-05"], utc=True).to_numpy(),
    ):
        check_same(Categorical(categories, codes), weights, cuts)
    check_same(pa.array(["b", "é", "a", "b", "", "zz"]), weights, cuts)
    check_same(np.array([3, 1, 3, 2, 1, 7], "M8[ns]"), weights, cuts, has_zone=True)


def test_timestamps_keep_the_finest_unit():
    values = [datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1, 5), pd.Timestamp(7), pd.Timestamp(2020, 1, 1)]
    check_same(values, None, [1, 2, 3])


def test_many_batches_of_random_ids():
    rng = np.random.default_rng(0)
    for values in (rng.integers(0, 3000, 20_000), rng.integers(0, 3000, 20_000).astype(str).astype(object)):
        check_same(values, rng.integers(0, 3, 20_000).astype(float), list(range(150, 20_000, 150)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2, "a", "b"], r"^Column 0 of X mixes ids of different types, .*: number \(1\), text \('a'\)"),
        (["a", "b", 1.5, 2], r"mixes ids of different types, .*: number \(1.5\), text \('a'\)"),
        ([b"a", b"b", "a", "b"], r": bytes \(b'a'\), text \('a'\)"),
        ([1, 2, datetime.date(2020, 1, 1), datetime.date(2020, 1, 1)], r": datetime \(.*\), number \(1\)"),
        ([datetime.datetime(2020, 1, 1)] * 2 + [datetime.datetime(2020, 1, 1, tzinfo=UTC)] * 2, "without a time zone"),
        ([1, 2, None, 3], "missing ids in column 0 of X"),
        ([0.5, 2**64, 3, 3], "do not fit into 64 bits"),
        ([-1, -1, 2**64, 3], "do not fit into 64 bits"),
    ],
)
def test_ids_that_a_whole_column_must_not_have(values, message):
    for cuts in ([2], [1, 2, 3]):
        with pytest.raises(ValueError, match=message) as of_batches:
            in_batches(values, None, cuts)
    with pytest.raises(ValueError, match=message.replace("1.5", "(1.5|2)")) as of_whole:
        Levels.fit([Column(LABEL, values)], None, Threads())
    assert str(of_batches.value)[:40] == str(of_whole.value)[:40]


def test_slices_are_all_rows_in_order(monkeypatch):
    monkeypatch.setattr("sklearn_mf._ids.batches.ROWS_OF_A_BATCH", 4)
    y, weights = np.arange(10.0), np.arange(10)
    columns = [Column("a", list(range(10))), Column("b", Categorical(np.array(["x", "y"]), np.arange(10) % 2))]
    batches = list(SlicedRatings(columns, y, weights).batches())
    assert [len(batch.y) for batch in batches] == [4, 4, 2]
    assert batches[1].place == "rows 4 to 7 of X"
    assert [value for batch in batches for value in batch.columns[0].values] == list(range(10))
    np.testing.assert_array_equal(np.concatenate([batch.weights for batch in batches]), weights)
    assert batches[0].weights.dtype == np.float64
