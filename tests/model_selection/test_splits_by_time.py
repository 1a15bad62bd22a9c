"""Check which ratings are the last, for times of every kind."""

import copy
import datetime
from collections import defaultdict

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers.splitting import AWARE, BY_TIME, NAIVE, SECONDS, USERS, pairs, the_split
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_mf.model_selection import GlobalTimeSplit, LeaveLastOut


@pytest.mark.filterwarnings("ignore:Of .* users with ratings")
@given(pairs, st.integers(1, 4), st.data())
def test_leave_last_out_is_the_last_of_each_user_by_time_then_row(X, n, draw):
    times = draw.draw(st.lists(st.integers(-3, 3), min_size=len(X), max_size=len(X)))
    rows_of = defaultdict(list)
    for row in sorted(range(len(X)), key=lambda row: (times[row], row)):
        rows_of[X[row, 0]].append(row)
    expected = sorted(row for rows in rows_of.values() if len(rows) > n for row in rows[-n:])
    if expected:
        train, test = the_split(LeaveLastOut(n, times=times), X)
        assert test == expected
        assert train == sorted(train)
    else:
        with pytest.raises(ValueError, match=f"No user has more than n={n} ratings"):
            the_split(LeaveLastOut(n, times=times), X)


def test_of_equal_times_the_row_further_down_is_later():
    X = np.zeros((1000, 2), dtype=int)  # NumPy's unstable sorts are stable on few rows
    assert the_split(LeaveLastOut(3, times=[0] * 1000), X)[1] == [997, 998, 999]
    assert the_split(LeaveLastOut(2, times=[1, 0] * 500), X)[1] == [996, 998]


@pytest.mark.filterwarnings("ignore:GlobalTimeSplit holds out")
@given(st.lists(st.integers(-5, 5), min_size=2, max_size=30), st.one_of(st.none(), st.floats(0.01, 0.99)))
def test_global_split_takes_the_cut_between_instants_nearest_to_the_share(times, test_size):
    X = np.zeros((len(times), 2), dtype=int)
    candidates = [[row for row, time in enumerate(times) if time >= at] for at in sorted(set(times))[1:]]
    cv = GlobalTimeSplit(test_size=test_size, times=times)
    if not candidates:
        with pytest.raises(ValueError, match=r"have the same time \("):
            the_split(cv, X)
        return
    share = 0.2 if test_size is None else test_size
    best = min(abs(len(rows) - share * len(times)) for rows in candidates)
    train, test = the_split(cv, X)
    assert abs(len(test) - share * len(times)) == pytest.approx(best)
    assert max(times[row] for row in train) < min(times[row] for row in test)
    assert test == sorted(test)


@pytest.mark.filterwarnings("ignore:GlobalTimeSplit holds out")
def test_global_split_by_number_and_of_two_cuts_as_near_the_earlier():
    X = np.zeros((6, 2), dtype=int)
    times = [5, 4, 3, 3, 3, 1]
    assert the_split(GlobalTimeSplit(test_size=2, times=times), X)[1] == [0, 1]
    assert the_split(GlobalTimeSplit(test_size=1, times=times), X)[1] == [0]
    assert the_split(GlobalTimeSplit(test_size=2, times=[2, 2, 2, 1, 1, 0]), X)[1] == [0, 1, 2]
    assert the_split(GlobalTimeSplit(test_size=3, times=[3, 2, 2, 2, 2, 1]), X)[1] == [0, 1, 2, 3, 4]  # 1 is as near


@given(
    st.lists(st.integers(-5, 5), min_size=2, max_size=30),
    st.integers(-6, 6) | st.floats(-6, 6).filter(lambda at: not 0 < at < 1),
)
def test_global_split_at_a_point_in_time(times, at):
    X = np.zeros((len(times), 2), dtype=int)
    expected = [row for row, time in enumerate(times) if time >= at]
    cv = GlobalTimeSplit(at, times=np.array(times))
    if 0 < len(expected) < len(times):
        assert the_split(cv, X)[1] == expected
    else:
        with pytest.raises(ValueError, match=f"leaves the {'training' if expected else 'test'} part empty"):
            the_split(cv, X)


KINDS = {
    "ints": SECONDS,
    "int array": np.array(SECONDS, dtype=np.int32),
    "uint array": np.array(SECONDS, dtype=np.uint64),
    "float array": np.array(SECONDS, dtype=np.float64),
    "object array of ints": np.array(SECONDS, dtype=object),
    "pandas ints": pd.Series(SECONDS, index=[5, 3, 3, 2, 1]),
    "pandas nullable ints": pd.Series(SECONDS, dtype="Int64"),
    "polars ints": pl.Series(SECONDS),
    "datetimes": NAIVE,
    "datetime64": np.array(NAIVE, dtype="M8[s]"),
    "object array of datetimes": np.array(NAIVE, dtype=object),
    "dates": [time.date() for time in NAIVE],
    "dates and datetimes": [NAIVE[0].date(), *NAIVE[1:]],
    "pandas datetimes": pd.Series(NAIVE),
    "pandas index": pd.DatetimeIndex(NAIVE),
    "pandas arrow datetimes": pd.Series(NAIVE, dtype="timestamp[us][pyarrow]"),
    "polars datetimes": pl.Series(NAIVE),
    "polars dates": pl.Series([time.date() for time in NAIVE]),
    "datetimes with a zone": AWARE,
    "datetimes of several zones": [
        time.astimezone(datetime.timezone(datetime.timedelta(hours=hours)))
        for time, hours in zip(AWARE, [0, 12, -11, -7, 5], strict=True)
    ],
    "pandas datetimes with a zone": pd.Series(AWARE).dt.tz_convert("Asia/Tokyo"),
    "pandas index with a zone": pd.DatetimeIndex(AWARE).tz_convert("Asia/Tokyo"),
    "polars datetimes with a zone": pl.Series(AWARE).dt.convert_time_zone("Asia/Tokyo"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_times(kind):
    times = KINDS[kind]
    before = copy.deepcopy(times)
    assert the_split(LeaveLastOut(times=times), USERS)[1] == [0, 3]
    assert the_split(LeaveLastOut(), USERS, times=times)[1] == [0, 3]
    assert the_split(GlobalTimeSplit(test_size=2, times=times), USERS)[1] == [0, 3]
    assert the_split(GlobalTimeSplit(list(times)[4], times=times), USERS)[1] == [0, 3, 4]
    np.testing.assert_array_equal(np.asarray(times), np.asarray(before))
    assert type(times) is type(before)


def test_units_of_datetimes_may_differ():
    times = np.array(["1969-12-31T23:59:59.7", "1970-01-01T00:00:00.2", "2024-01-01"], dtype="M8[ns]")
    X = USERS[:3]
    assert the_split(GlobalTimeSplit(np.datetime64("1970-01-01"), times=times), X)[1] == [1, 2]
    assert the_split(GlobalTimeSplit(np.datetime64("1970"), times=times), X)[1] == [1, 2]
    assert the_split(GlobalTimeSplit(np.datetime64("1969-12-31T23:59:59.8"), times=times), X)[1] == [1, 2]
    assert the_split(GlobalTimeSplit(np.datetime64("1970-01-01T00:00:00.3", "ps"), times=times), X)[1] == [2]
    days = times.astype("M8[D]")
    assert the_split(GlobalTimeSplit(pd.Timestamp("1970-01-01T12"), times=days), X)[1] == [2]
    with pytest.raises(ValueError, match="leaves the test part empty: times are from 1969"):
        the_split(GlobalTimeSplit(datetime.date(2600, 1, 1), times=times), X)  # 2015, were it put into nanoseconds


TICKS_A_DAY = {"D": 1, "h": 24, "s": 86_400, "ms": 86_400 * 10**3, "us": 86_400 * 10**6, "ns": 86_400 * 10**9}
UNITS = ["Y", "M", "W", *TICKS_A_DAY]


def nanoseconds(time):
    """Since 1970, as an int of Python, which does not overflow."""
    unit, _ = np.datetime_data(time.dtype)
    if unit not in TICKS_A_DAY:
        time, unit = time.astype("M8[D]"), "D"
    return int(time.astype(np.int64)) * (TICKS_A_DAY["ns"] // TICKS_A_DAY[unit])


@st.composite
def instants(draw):
    """Some times of one unit, and one of another, in the years that both can hold."""
    unit, at_unit = draw(st.sampled_from(UNITS)), draw(st.sampled_from(UNITS))
    first = dict.fromkeys(UNITS, datetime.datetime(1500, 1, 1)) | {"ns": datetime.datetime(1678, 1, 1)}
    last = dict.fromkeys(UNITS, datetime.datetime(2600, 1, 1)) | {"ns": datetime.datetime(2262, 1, 1)}
    at = np.datetime64(draw(st.datetimes(first[at_unit], last[at_unit])), at_unit)
    times = draw(st.lists(st.datetimes(first[unit], last[unit]), min_size=1, max_size=5))
    times = np.array(times, dtype=f"M8[{unit}]")
    if "ns" not in (unit, at_unit):  # and some that are near
        times = np.concatenate([times, at.astype(times.dtype) + np.arange(-1, 2)])
    return times, at


@given(instants())
@settings(max_examples=300, derandomize=True)
def test_times_of_any_unit_are_compared_as_instants(drawn):
    times, at = drawn
    expected = [row for row, time in enumerate(times) if nanoseconds(time) >= nanoseconds(at)]
    cv = GlobalTimeSplit(at, times=times)
    if 0 < len(expected) < len(times):
        assert the_split(cv, np.zeros((len(times), 2)))[1] == expected
    else:
        with pytest.raises(ValueError, match=f"leaves the {'training' if expected else 'test'} part empty"):
            next(cv.split(np.zeros((len(times), 2))))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_beyond_what_the_unit_of_at_can_hold(unit):
    times = np.array(["1500-01-01", "2019-01-01", "2020-01-01", "2020-01-02", "2600-01-01", "9999-12-31"], "M8[D]")
    X = np.zeros((6, 2), dtype=int)
    midnight = np.datetime64("2020-01-01", unit)
    assert the_split(GlobalTimeSplit(midnight, times=times), X)[1] == [2, 3, 4, 5]
    assert the_split(GlobalTimeSplit(midnight + np.timedelta64(1, unit), times=times), X)[1] == [3, 4, 5]
    assert the_split(GlobalTimeSplit(pd.Timestamp(midnight), times=times), X)[1] == [2, 3, 4, 5]
    for first, rows in [("1500-01-02", [1, 2, 3, 4, 5]), ("2600-01-01", [4, 5]), ("9999-01-01", [5])]:
        assert the_split(GlobalTimeSplit(np.datetime64(first, "D"), times=times), X)[1] == rows


def test_units_that_are_no_multiples_of_each_other():
    months = np.array(["2020-01", "2020-02", "2020-03"], dtype="M8[M]")
    assert the_split(GlobalTimeSplit(np.datetime64("2020-02-06", "W"), times=months), USERS[:3])[1] == [2]
    times = np.array(["1970-01-01T00:00:50", "1970-01-01T00:01:15", "1970-01-01T00:01:40"], dtype="M8[25s]")
    assert the_split(GlobalTimeSplit(np.datetime64("1970-01-01T00:01"), times=times), USERS[:3])[1] == [1, 2]
    at = np.datetime64("1970-01-01T00:01:16").astype("M8[38s]")
    assert the_split(GlobalTimeSplit(at, times=times), USERS[:3])[1] == [2]


def test_large_ints_are_compared_exactly():
    times = np.array([2**60 + 1, 2**60, 2**60 + 2], dtype=object)
    assert the_split(GlobalTimeSplit(2**60 + 1, times=times), USERS[:3])[1] == [0, 2]


@pytest.mark.parametrize("cls", BY_TIME)
@pytest.mark.parametrize(
    ("times", "message"),
    [
        (None, r"needs the time of each rating: \w+\(times=times\), or split\(X, y, times=times\)"),
        ([1, 2, np.nan, 4, np.nan], "times has missing or infinite values: 2 of 5, the first at row 2"),
        ([1, 2, 3, 4, np.inf], "1 of 5, the first at row 4"),
        ([1, 2, 3, None, 5], "1 of 5, the first at row 3"),
        (pd.Series([1, pd.NA, 3, 4, 5], dtype="Int64"), "1 of 5, the first at row 1"),
        (np.array([1, pd.NA, 3, 4, 5], dtype=object), "1 of 5, the first at row 1"),
        (pl.Series([1, None, 3, 4, 5]), "1 of 5, the first at row 1"),
        (pd.Series([*NAIVE[:4], None]), "1 of 5, the first at row 4"),
        ([*NAIVE[:4], pd.NaT], "1 of 5, the first at row 4"),
        (pl.Series([*AWARE[:4], None]), "1 of 5, the first at row 4"),
        (np.array([*NAIVE[:4], "NaT"], dtype="M8[s]"), "1 of 5, the first at row 4"),
        (np.ma.array(SECONDS, mask=[0, 0, 1, 0, 0]), "1 of 5, the first at row 2"),
        (["2020-01-01"] * 5, r"times has text \(such as '2020-01-01'\).*pandas.to_datetime"),
        (np.array(["1", "2", "3", "4", "5"], dtype=object), r"times has text.*astype\(float\)"),
        (pd.Series(["1", "2", "3", "4", "5"]), "times has text"),
        (pl.Series(["1", "2", "3", "4", "5"]), "times has text"),
        ([b"1"] * 5, "times has text"),
        ([1, 2, 3, 4, NAIVE[0]], "all numbers or all datetimes, but has 1 of type int and datetime"),
        ([NAIVE[0], "x", 3, 4, 5], "has 'x' of type str and datetime"),
        ([*NAIVE[:4], AWARE[4]], "mixes datetimes with and without a time zone"),
        (pd.Series(NAIVE).dt.to_period("D"), "of type Period"),
        (pd.Series(NAIVE) - NAIVE[0], "must be numbers or datetimes, not an array of timedelta64"),
        ([True] * 5, "must be numbers or datetimes, not an array of bool"),
        ([1j] * 5, "must be numbers or datetimes, not an array of complex128"),
        ([2**70, 1, 2, 3, 4], "must be numbers or datetimes, not an array of object"),
        (np.zeros((5, 1)), r"must be a 1D array, one time per row of X, not an array of shape \(5, 1\)"),
        (np.array([], dtype=str), "must be numbers or datetimes"),
        (3, r"must be a 1D array.*shape \(\)"),
    ],
)
def test_times_refused(cls, times, message):
    with pytest.raises(ValueError, match=message):
        next(cls(times=times).split(USERS))
    with pytest.raises(ValueError, match=message):
        next(cls().split(USERS, times=times))


@pytest.mark.parametrize("cls", BY_TIME)
def test_times_of_another_length(cls):
    with pytest.raises(ValueError, match=r"4 times and 5 rows\. Give one time per row\."):
        next(cls().split(USERS, times=SECONDS[:4]))
    of_rows = rf"5 times and 3 rows\. If X has only some of the rows.*{cls.__name__}\(times=times\[train\]\)"
    with pytest.raises(ValueError, match=of_rows + ".*enable_metadata_routing"):
        next(cls(times=SECONDS).split(USERS[:3]))


@pytest.mark.parametrize("cls", BY_TIME)
def test_times_given_twice(cls):
    with pytest.raises(ValueError, match=f"given both to {cls.__name__} and to split.*Give times only once"):
        next(cls(times=SECONDS).split(USERS, times=SECONDS))


@pytest.mark.parametrize(
    ("at", "times", "message"),
    [
        ([1, 2], SECONDS, r"at must be a single number or datetime, not an array of shape \(2,\)"),
        ("2015-01-01", SECONDS, r"at='2015-01-01' is text, but times are numbers.*Timestamp\('2015-01-01'\).timestamp"),
        ("2015-01-01", AWARE, r"is text, and times have a time zone. Give pd.Timestamp\('2015-01-01', tz=\"UTC\"\)"),
        ("2015-01-01T00:00Z", NAIVE, r"is not an ISO 8601 date without a time zone.*pandas.to_datetime"),
        ("2015-01-01T00:00+02:00", NAIVE, "is not an ISO 8601 date"),
        ("2015-13-01", NAIVE, "is not an ISO 8601 date"),
        ("20150101", NAIVE, "is not an ISO 8601 date"),  # the year 20150101, to NumPy
        ("1/1/2015", NAIVE, "is not an ISO 8601 date"),
        ("today", NAIVE, "is not an ISO 8601 date"),
        ("", NAIVE, "is not an ISO 8601 date"),
        (b"2015-01-01", NAIVE, "at has text"),
        (float("nan"), SECONDS, "at has missing"),
        (
            1.5e9,
            NAIVE,
            r"times are datetimes without a time zone, but at is of another kind \(numbers\)\. .*np.datetime64\(",
        ),
        (
            1.5e9,
            AWARE,
            r"times are datetimes with a time zone, but at is of another kind \(numbers\)\. Give at.*utc=True\)",
        ),
        (
            NAIVE[0],
            AWARE,
            r"times are datetimes with a time zone, but at .*without a time zone.*pd.Timestamp\(at\).tz_localize",
        ),
        (AWARE[0], NAIVE, r"times are datetimes without a time zone, but at .*with a time zone.*times.tz_localize\("),
        (
            NAIVE[0],
            SECONDS,
            r"times are numbers, but at .* Convert times with pd.to_datetime\(times, unit=\"s\"\).*timestamp\(\)",
        ),
        (
            AWARE[0],
            SECONDS,
            r"times are numbers, but at .* Convert times with pd.to_datetime\(times, unit=\"s\", utc=True\)",
        ),
        (0, SECONDS, "at=0 leaves the training part empty: times are from 1400000000 to 1700000000"),
        (2e9, SECONDS, "leaves the test part empty"),
    ],
)
def test_points_in_time_refused(at, times, message):
    with pytest.raises(ValueError, match=message):
        next(GlobalTimeSplit(at, times=times).split(USERS))


def test_what_a_message_advises_works():
    at, naive, aware = pd.Timestamp(NAIVE[4]), pd.Series(NAIVE), pd.Series(AWARE)
    for instant, times in [
        (at, pd.to_datetime(SECONDS, unit="s")),
        (at.timestamp(), SECONDS),
        (at.tz_localize("UTC"), pd.to_datetime(SECONDS, unit="s", utc=True)),
        (pd.to_datetime(SECONDS[4], unit="s"), naive),
        (pd.to_datetime(SECONDS[4], unit="s", utc=True), aware),
        (at.tz_localize("UTC"), naive.dt.tz_localize("UTC")),
        (at.tz_localize("UTC"), pd.DatetimeIndex(naive).tz_localize("UTC")),
        (at.tz_localize("UTC").tz_localize(None), naive),
        (pd.Timestamp(str(at), tz="UTC"), aware),
        (pd.Timestamp(str(at)).timestamp(), SECONDS),
    ]:
        assert the_split(GlobalTimeSplit(instant, times=times), USERS)[1] == [0, 3, 4]


@pytest.mark.parametrize("text", ["2019", "2019-03", "2019-03-01", "2019-03-01T12:30", "2019-03-01 12:30:15.5"])
def test_at_may_be_text_as_in_iso_8601(text):
    years = np.arange("2015", "2023", dtype="M8[Y]")
    X = np.zeros((8, 2), dtype=int)
    expected = [4, 5, 6, 7] if text == "2019" else [5, 6, 7]
    for times in (years, years.astype("M8[ns]"), pd.Series(years.astype("M8[s]"))):
        cv = GlobalTimeSplit(text, times=times)
        assert the_split(cv, X)[1] == expected
        assert cv.at == text


def test_seconds_taken_for_nanoseconds_are_recognized():
    hint = 'All are within a month of 1970-01-01: seconds need unit="s"'
    for times in (pd.to_datetime(SECONDS), np.array(SECONDS, dtype="M8[ms]")):
        with pytest.raises(ValueError, match=f"leaves the test part empty.*{hint}"):
            next(GlobalTimeSplit("2015-01-01", times=times).split(USERS))
    with pytest.raises(ValueError, match=r"leaves the test part empty.*the others are the test part\.$"):
        next(GlobalTimeSplit("2025-01-01", times=NAIVE).split(USERS))


def test_at_and_test_size_exclude_each_other():
    with pytest.raises(ValueError, match="at and test_size both say where to split"):
        GlobalTimeSplit(3, test_size=0.2)
