import copy
import datetime
import math
import pickle
from collections import Counter, defaultdict

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, ShuffleSplit, cross_validate, learning_curve
from sklearn.pipeline import make_pipeline

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings
from sklearn_mf.model_selection import GlobalTimeSplit, LeaveLastOut, PerUserShuffleSplit, WarmShuffleSplit

RANDOM = [PerUserShuffleSplit, WarmShuffleSplit]
BY_TIME = [LeaveLastOut, GlobalTimeSplit]
UTC = datetime.timezone.utc

pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=2, max_size=40).map(np.array)
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def data():
    """Ratings and a time for each, by which they are not sorted and in which there are ties."""
    X, y = make_ratings(40, 30, 400, random_state=0, return_X_y=True)
    return X, y, np.random.default_rng(0).integers(0, 100, len(y))


def splits(cv, X, **params):
    return [(train.tolist(), test.tolist()) for train, test in cv.split(X, **params)]


def the_split(cv, X, **params):
    ((train, test),) = cv.split(X, **params)
    assert train.dtype == test.dtype == np.intp
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(len(X)))
    return train.tolist(), test.tolist()


def small_model(**params):
    return MatrixFactorizationRegressor(rank=2, max_iter=2, random_state=0, **params)


# Random splits


def n_test_of_user(test_size, n):
    """What the docstring promises."""
    if isinstance(test_size, int):
        return test_size if n > test_size else 0
    return min(math.floor(test_size * n + 0.5), n - 1)


@given(pairs, st.one_of(st.floats(0.05, 0.95), st.integers(1, 4)), seeds)
def test_per_user_split_holds_out_the_last_of_each_user_in_a_random_order(X, test_size, seed):
    order = np.random.RandomState(seed).permutation(len(X))
    rows_of = defaultdict(list)
    for row in order:
        rows_of[X[row, 0]].append(row)
    expected = [row for rows in rows_of.values() for row in rows[len(rows) - n_test_of_user(test_size, len(rows)) :]]
    cv = PerUserShuffleSplit(1, test_size=test_size, random_state=seed)
    if expected:
        train, test = the_split(cv, X)
        assert test == [row for row in order if row in expected]
        assert train == [row for row in order if row not in expected]
    else:
        with pytest.raises(ValueError, match="holds out no rating of any user"):
            next(cv.split(X))


@pytest.mark.parametrize(
    ("test_size", "held_out"),
    [(0.2, [0, 0, 1, 1, 1, 2]), (0.5, [0, 1, 2, 2, 3, 5]), (0.9, [0, 1, 2, 3, 4, 9]), (3, [0, 0, 0, 3, 3, 3])],
)
def test_rounding_of_the_share_of_each_user(test_size, held_out):
    n_ratings = [1, 2, 3, 4, 5, 10]
    users = np.repeat(np.arange(6), n_ratings)
    _, test = the_split(PerUserShuffleSplit(1, test_size=test_size, random_state=0), np.stack([users, users], axis=1))
    assert np.bincount(users[test], minlength=6).tolist() == held_out


@given(pairs, st.one_of(st.floats(0.05, 0.95), st.integers(1, 10)), seeds)
@pytest.mark.filterwarnings("ignore:WarmShuffleSplit holds out")
def test_warm_split_keeps_everybody_and_takes_what_it_can(X, test_size, seed):
    cv = WarmShuffleSplit(1, test_size=test_size, random_state=seed)
    n = len(X)
    asked = test_size if isinstance(test_size, int) else max(1, math.floor(test_size * n + 0.5))
    users, items = Counter(X[:, 0].tolist()), Counter(X[:, 1].tolist())
    if asked >= n and isinstance(test_size, int):
        with pytest.raises(ValueError, match="must be less than the number of ratings"):
            next(cv.split(X))
        return
    if not any(users[u] > 1 and items[i] > 1 for u, i in X.tolist()):
        with pytest.raises(ValueError, match="No rating can be held out"):
            next(cv.split(X))
        return
    train, test = the_split(cv, X)
    left_users, left_items = Counter(X[train, 0].tolist()), Counter(X[train, 1].tolist())
    assert left_users.keys() == users.keys()
    assert left_items.keys() == items.keys()
    assert len(test) <= asked
    if len(test) < asked:  # then no further rating can go
        assert not any(left_users[u] > 1 and left_items[i] > 1 for u, i in X[train].tolist())
    # Where a plain random sample leaves everybody a rating, it is that sample.
    order = np.random.RandomState(seed).permutation(n)
    rest = X[order[asked:]]
    if set(rest[:, 0]) == set(X[:, 0]) and set(rest[:, 1]) == set(X[:, 1]):
        assert test == order[:asked].tolist()


@pytest.mark.filterwarnings("ignore:WarmShuffleSplit holds out")
@pytest.mark.parametrize("n_ratings", [600, 1200])
def test_warm_split_finds_nearly_all_that_could_be_held_out(n_ratings):
    """The most is known from the theory of graphs: Gallai's size of a minimum edge cover."""
    X, _ = make_ratings(300, 200, n_ratings, random_state=0, return_X_y=True)
    users, items = (np.unique(column, return_inverse=True)[1] for column in X.T)
    matched = maximum_bipartite_matching(coo_array((np.ones(n_ratings), (users, items))).tocsr(), perm_type="column")
    most = n_ratings - (users.max() + 1 + items.max() + 1 - (matched >= 0).sum())
    for _, test in WarmShuffleSplit(5, test_size=0.99, random_state=0).split(X):
        assert 0.92 * most < len(test) <= most


def test_warm_split_draws_evenly():
    """Every rating of a full table is as often in the test part, and one of two of a user somewhat less often."""
    X = np.array([(u, i) for u in range(4) for i in range(4)])
    counts = np.zeros(16)
    for _, test in WarmShuffleSplit(4000, test_size=4, random_state=0).split(X):
        counts[test] += 1
    expected = 4000 * 4 / 16
    assert ((counts - expected) ** 2 / expected).sum() < 38  # chi2 of 15 degrees, p < 0.001

    X = np.vstack([X, [(4, 0), (4, 1)]])
    counts = np.zeros(18)
    for _, test in WarmShuffleSplit(4000, test_size=4, random_state=0).split(X):
        counts[test] += 1
    # Each of the two alone as often as any, but never both, which a plain sample of 4 of 18 has with 4 * 3 / (18 * 17).
    assert counts[16:] / 4000 == pytest.approx([4 / 18 - 6 / (18 * 17)] * 2, abs=0.02)
    assert not any({16, 17} <= set(test) for _, test in WarmShuffleSplit(200, test_size=4, random_state=1).split(X))


def test_warm_split_says_when_much_is_missing():
    X = np.array([(0, 0), (0, 1), (1, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7)])
    cv = WarmShuffleSplit(1, test_size=0.5, random_state=0)
    with pytest.warns(UserWarning, match=r"holds out 2 ratings instead of 5 \(test_size=0.5\)") as caught:
        the_split(cv, X)
    assert caught[0].filename == __file__
    the_split(WarmShuffleSplit(1, test_size=0.2, random_state=0), X)  # without


@pytest.mark.parametrize("cls", RANDOM)
def test_random_state_is_that_of_scikit_learn(cls, data):
    X = data[0]
    cv = cls(3, random_state=7)
    first = splits(cv, X)
    assert first == splits(cv, X) == splits(cls(3, random_state=7), X)
    assert first != splits(cls(3, random_state=8), X)
    assert len({tuple(test) for _, test in first}) == 3
    rng = np.random.RandomState(7)
    cv = cls(3, random_state=rng)
    assert splits(cv, X) == first
    assert splits(cv, X) != first  # an instance goes on
    np.random.seed(7)  # noqa: NPY002
    assert splits(cls(3), X) == first  # None is NumPy's own


@pytest.mark.parametrize("cls", RANDOM)
def test_rows_come_in_random_order_as_those_of_shuffle_split(cls, data):
    """So that a learning curve, which trains on the first rows of a training set, sees all users early."""
    X, y, _ = data
    by_user = np.argsort(X[:, 0], kind="stable")
    train, test = next(cls(random_state=0).split(X[by_user]))
    for rows in (train, test):
        assert abs(np.corrcoef(rows, np.arange(len(rows)))[0, 1]) < 0.3
        assert rows.dtype == next(ShuffleSplit().split(X))[0].dtype
    sizes, *_ = learning_curve(small_model(), X, y, cv=cls(2, random_state=0), train_sizes=[0.2, 1.0])
    assert len(sizes) == 2


# Splits by time


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


def test_global_split_by_number_and_of_two_cuts_as_near_the_earlier():
    X = np.zeros((6, 2), dtype=int)
    times = [5, 4, 3, 3, 3, 1]
    assert the_split(GlobalTimeSplit(test_size=2, times=times), X)[1] == [0, 1]
    assert the_split(GlobalTimeSplit(test_size=1, times=times), X)[1] == [0]
    assert the_split(GlobalTimeSplit(test_size=2, times=[2, 2, 2, 1, 1, 0]), X)[1] == [0, 1, 2]
    assert the_split(GlobalTimeSplit(test_size=3, times=[3, 2, 2, 2, 2, 1]), X)[1] == [0, 1, 2, 3, 4]  # 1 is as near


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=30), st.integers(-6, 6) | st.floats(-6, 6))
def test_global_split_at_a_point_in_time(times, at):
    X = np.zeros((len(times), 2), dtype=int)
    expected = [row for row, time in enumerate(times) if time >= at]
    cv = GlobalTimeSplit(at, times=np.array(times))
    if 0 < len(expected) < len(times):
        assert the_split(cv, X)[1] == expected
    else:
        with pytest.raises(ValueError, match=f"leaves the {'training' if expected else 'test'} part empty"):
            the_split(cv, X)


SECONDS = [1_600_000_000, 1_500_000_000, 1_400_000_000, 1_700_000_000, 1_550_000_000]
NAIVE = [datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=s) for s in SECONDS]
AWARE = [datetime.datetime.fromtimestamp(s, UTC) for s in SECONDS]
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
USERS = np.array([[1, 0], [1, 1], [2, 0], [2, 1], [3, 1]])


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
    assert the_split(GlobalTimeSplit(midnight + 1, times=times), X)[1] == [3, 4, 5]
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
        (["2020-01-01"] * 5, r"times holds text \(such as '2020-01-01'\).*pandas.to_datetime"),
        (np.array(["1", "2", "3", "4", "5"], dtype=object), r"times holds text.*astype\(float\)"),
        (pd.Series(["1", "2", "3", "4", "5"]), "times holds text"),
        (pl.Series(["1", "2", "3", "4", "5"]), "times holds text"),
        ([b"1"] * 5, "times holds text"),
        ([1, 2, 3, 4, NAIVE[0]], "all numbers or all datetimes, and holds 1 of type int among others"),
        ([NAIVE[0], "x", 3, 4, 5], "holds 'x' of type str among others such as datetime"),
        ([*NAIVE[:4], AWARE[4]], "mixes datetimes with and without a time zone"),
        (pd.Series(NAIVE).dt.to_period("D"), "of type Period"),
        (pd.Series(NAIVE) - NAIVE[0], "must be numbers or datetimes, got an array of timedelta64"),
        ([True] * 5, "must be numbers or datetimes, got an array of bool"),
        ([1j] * 5, "must be numbers or datetimes, got an array of complex128"),
        ([2**70, 1, 2, 3, 4], "must be numbers or datetimes, got an array of object"),
        (np.zeros((5, 1)), r"must be a 1D array, one time a row of X; got an array of shape \(5, 1\)"),
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
    with pytest.raises(ValueError, match=r"4 times and 5 rows\. Give one time a row\."):
        next(cls().split(USERS, times=SECONDS[:4]))
    with pytest.raises(
        ValueError, match=r"5 times and 3 rows\. Where X is a part of the rows.*enable_metadata_routing"
    ):
        next(cls(times=SECONDS).split(USERS[:3]))


@pytest.mark.parametrize("cls", BY_TIME)
def test_times_given_twice(cls):
    with pytest.raises(ValueError, match=f"given both to {cls.__name__} and to split.*give it to one of them"):
        next(cls(times=SECONDS).split(USERS, times=SECONDS))


@pytest.mark.parametrize(
    ("at", "times", "message"),
    [
        ([1, 2], SECONDS, r"at must be a single number or datetime, got an array of shape \(2,\)"),
        ("2015-01-01", SECONDS, r"at='2015-01-01' is text, and times are numbers.*Timestamp\('2015-01-01'\).timestamp"),
        ("2015-01-01", AWARE, r"is text, and times have a time zone. Give pd.Timestamp\('2015-01-01', tz=\"UTC\"\)"),
        ("2015-01-01T00:00Z", NAIVE, r"is text that is no ISO 8601 date without a time zone.*pandas.to_datetime"),
        ("2015-01-01T00:00+02:00", NAIVE, "is no ISO 8601 date"),
        ("2015-13-01", NAIVE, "is no ISO 8601 date"),
        ("20150101", NAIVE, "is no ISO 8601 date"),  # the year 20150101, to NumPy
        ("1/1/2015", NAIVE, "is no ISO 8601 date"),
        ("today", NAIVE, "is no ISO 8601 date"),
        ("", NAIVE, "is no ISO 8601 date"),
        (b"2015-01-01", NAIVE, "at holds text"),
        (float("nan"), SECONDS, "at has missing"),
        (1.5e9, NAIVE, r"it is one of numbers, they are datetimes without a time zone. Give at.*np.datetime64\("),
        (1.5e9, AWARE, r"it is one of numbers, they are datetimes with a time zone. Give at.*utc=True\)"),
        (
            NAIVE[0],
            AWARE,
            r"one of datetimes without a time zone, they are datetimes with.*pd.Timestamp\(at\).tz_localize",
        ),
        (AWARE[0], NAIVE, r"one of datetimes with a time zone, they are datetimes without.*times.tz_localize\("),
        (NAIVE[0], SECONDS, r"they are numbers. Convert times, pd.to_datetime\(times, unit=\"s\"\).*timestamp\(\)"),
        (AWARE[0], SECONDS, r"they are numbers. Convert times, pd.to_datetime\(times, unit=\"s\", utc=True\)"),
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


def test_seconds_taken_for_nanoseconds_are_recognised():
    hint = 'All are within a month of 1970-01-01: seconds need unit="s"'
    for times in (pd.to_datetime(SECONDS), np.array(SECONDS, dtype="M8[ms]")):
        with pytest.raises(ValueError, match=f"leaves the test part empty.*{hint}"):
            next(GlobalTimeSplit("2015-01-01", times=times).split(USERS))
    with pytest.raises(ValueError, match=r"leaves the test part empty.*for the test\.$"):
        next(GlobalTimeSplit("2025-01-01", times=NAIVE).split(USERS))


def test_at_and_test_size_exclude_each_other():
    with pytest.raises(ValueError, match="at and test_size both say where to cut"):
        GlobalTimeSplit(3, test_size=0.2)


# All splits

ALL = [
    PerUserShuffleSplit(2, random_state=0),
    PerUserShuffleSplit(2, test_size=1, random_state=0),
    WarmShuffleSplit(2, random_state=0),
    LeaveLastOut(2),
    GlobalTimeSplit(),
    GlobalTimeSplit(50),
]


def with_times(cv, times):
    """A copy with times, where the splitter wants them."""
    cv = copy.copy(cv)
    if hasattr(cv, "times"):
        cv.times = times
    return cv


@pytest.mark.parametrize("cv", ALL, ids=repr)
def test_tables_and_names_of_ids_make_no_difference(cv, data):
    X, _, times = data
    cv = with_times(cv, times)
    expected = splits(cv, X)
    named = np.array([[f"u{(u * 7) % 41}", f"i{(i * 11) % 31}"] for u, i in X], dtype=object)  # sorted otherwise
    frame = pd.DataFrame(named, columns=["user", "item"], index=np.random.default_rng(0).permutation(len(X)))
    tables = [
        X.astype(float),
        X.tolist(),
        named,
        named.tolist(),
        frame,
        frame.astype("category"),
        pl.DataFrame(named.tolist(), schema=["user", "item"], orient="row"),
        pl.DataFrame(named.tolist(), schema=["user", "item"], orient="row").to_arrow(),
    ]
    for table in tables:
        assert splits(cv, table) == expected


@pytest.mark.parametrize("cv", ALL, ids=repr)
@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_other_columns_may_hold_anything(cv, make, data):
    """A pipeline may fill in what is missing in a context."""
    X, y, times = data
    cv = with_times(cv, times)
    table = make({"user": X[:, 0], "item": X[:, 1], "age": [None, 30.0] * (len(X) // 2)})
    assert splits(cv, table, y=y) == splits(cv, X)


@pytest.mark.parametrize("cv", ALL, ids=repr)
def test_nothing_of_the_user_is_changed(cv, data):
    X, y, times = (array.copy() for array in data)
    for array in (X, y, times):
        array.flags.writeable = False
    splits(with_times(cv, times), X, y=y)


@pytest.mark.parametrize("cv", ALL, ids=repr)
def test_copies_split_alike(cv, data):
    X, y, times = data
    cv = with_times(cv, times)
    for again in (pickle.loads(pickle.dumps(cv)), copy.deepcopy(cv), clone(GridSearchCV(small_model(), {}, cv=cv)).cv):
        assert again is not cv
        assert splits(again, X) == splits(cv, X)
    assert cv.get_n_splits() == cv.get_n_splits(X, y) == cv.get_n_splits(X, y, None) == len(splits(cv, X))


def test_repr():
    assert [repr(cv) for cv in ALL[1:5]] == [
        "PerUserShuffleSplit(n_splits=2, random_state=0, test_size=1, user_column=0)",
        "WarmShuffleSplit(item_column=1, n_splits=2, random_state=0, test_size=0.2,\n         user_column=0)",
        "LeaveLastOut(n=2, times=None, user_column=0)",
        "GlobalTimeSplit(at=None, test_size=None, times=None)",
    ]
    for times in (np.arange(1000), pd.Series(range(1000)), pl.Series(range(1000)), [*range(1000)]):
        cv = LeaveLastOut(times=times)
        assert repr(cv) == "LeaveLastOut(n=1, times=<1000 times>, user_column=0)"
        assert repr(GlobalTimeSplit(3, times=times)) == "GlobalTimeSplit(at=3, test_size=None, times=<1000 times>)"
        assert cv.times is times
    assert repr(LeaveLastOut(times=3)) == "LeaveLastOut(n=1, times=3, user_column=0)"


@pytest.mark.parametrize("cv", ALL, ids=repr)
@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        (np.zeros((0, 2)), None, ValueError, "X has no rows"),
        (USERS, [1, 2], ValueError, "inconsistent numbers of samples"),
        (5, None, TypeError, "Expected sequence or array-like"),
    ],
)
def test_tables_refused(cv, X, y, error, message):
    with pytest.raises(error, match=message):
        next(with_times(cv, SECONDS).split(X, y))


@pytest.mark.parametrize("cv", [cv for cv in ALL if not isinstance(cv, GlobalTimeSplit)], ids=repr)
@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (USERS[:, 0], ValueError, "Expected 2D array, got 1D array"),
        (coo_array(USERS), TypeError, "pairs_from_sparse"),
        (pd.DataFrame({"user": [1, 2, None, 4, 5], "item": 1}), ValueError, r"column 0 \('user'\) of X"),
        (pd.DataFrame([[1, 2, 3]] * 5, columns=["user", "item", "item"]), ValueError, "Names of columns of X repeat"),
        (np.zeros((5, 0)), ValueError, r"X has 0 column\(s\)"),
    ],
)
def test_ids_refused(cv, X, error, message):
    with pytest.raises(error, match=message):
        next(with_times(cv, SECONDS).split(X))


def test_a_warm_split_needs_items():
    with pytest.raises(ValueError, match=r"X has 1 column\(s\), .* WarmShuffleSplit looks for item_column=1"):
        next(WarmShuffleSplit().split(USERS[:, :1]))
    the_split(LeaveLastOut(times=SECONDS), USERS[:, :1])


# Where users and items are

OF_USERS = [PerUserShuffleSplit, WarmShuffleSplit, LeaveLastOut]


def placed(cls, user_column, item_column, times):
    """A splitter that looks for its columns there."""
    return {
        PerUserShuffleSplit: lambda: cls(2, random_state=0, user_column=user_column),
        WarmShuffleSplit: lambda: cls(2, random_state=0, user_column=user_column, item_column=item_column),
        LeaveLastOut: lambda: cls(2, times=times, user_column=user_column),
    }[cls]()


@pytest.mark.parametrize("cls", OF_USERS)
def test_users_and_items_may_be_in_any_column(cls, data):
    X, _, times = data
    expected = splits(placed(cls, 0, 1, times), X)
    rng = np.random.default_rng(0)
    age, hour = rng.integers(18, 60, len(X)), rng.integers(0, 24, len(X))
    table = np.column_stack([age, X[:, 1], hour, X[:, 0]])
    named = {"age": age, "film": X[:, 1], "hour": hour, "user": X[:, 0]}
    frame = pd.DataFrame(named)
    tables = [table, table.tolist(), frame, frame.astype({"user": "category"}), pl.DataFrame(named)]
    for any_table in [*tables, pl.DataFrame(named).to_arrow()]:
        assert splits(placed(cls, 3, 1, times), any_table) == expected
        assert splits(placed(cls, np.int64(3), np.int64(1), times), any_table) == expected
        assert splits(placed(cls, 0, 1, times), any_table) != expected
    for any_frame in tables[2:]:
        assert splits(placed(cls, "user", "film", times), any_frame) == expected
        with pytest.raises(ValueError, match="no column user_column='usr'; its columns are 'age', 'film', 'hour', 'u"):
            next(placed(cls, "usr", "film", times).split(any_frame))
    for any_table in tables:
        with pytest.raises(ValueError, match=rf"4 column\(s\), counted from 0, and {cls.__name__} .* user_column=4"):
            next(placed(cls, 4, 1, times).split(any_table))
    for no_frame in tables[:2]:
        with pytest.raises(ValueError, match="user_column='user' is a name, but X is no data frame"):
            next(placed(cls, "user", "film", times).split(no_frame))
    assert frame.columns.tolist() == ["age", "film", "hour", "user"]
    assert "user_column='user'" in repr(placed(cls, "user", "film", times))


def test_users_and_items_are_not_one_column():
    frame = pd.DataFrame(USERS, columns=["user", "film"])
    for X, user, item in [(USERS, 1, 1), (frame, "film", 1), (frame, 0, "user")]:
        with pytest.raises(ValueError, match="user_column and item_column of WarmShuffleSplit are both column"):
            next(WarmShuffleSplit(user_column=user, item_column=item).split(X))


@pytest.mark.parametrize("cls", OF_USERS)
@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        (True, TypeError, r"_column must be the place \(int\) or the name \(str\) of a column, not True"),
        (1.0, TypeError, r"_column must be the place \(int\) or the name \(str\) of a column, not 1.0"),
        (None, TypeError, "_column must be the place.*, not None"),
        (-1, ValueError, "_column == -1, must be >= 0: places are counted from the left, from 0"),
    ],
)
def test_places_refused(cls, column, error, message):
    with pytest.raises(error, match="user" + message):
        cls(user_column=column)
    if cls is WarmShuffleSplit:
        with pytest.raises(error, match="item" + message):
            cls(item_column=column)


def test_a_pipeline_that_picks_its_columns_is_split_by_the_same(data):
    X, y, times = data
    frame = pd.DataFrame({"age": X[:, 0] % 7, "hour": times % 24, "user": X[:, 0], "film": X[:, 1]})
    pipeline = make_pipeline(ColumnTransformer([("ids", "passthrough", ["user", "film"])]), small_model())
    cv = WarmShuffleSplit(2, random_state=0, user_column="user", item_column="film")
    found = cross_validate(pipeline, frame, y, cv=cv)["test_score"]
    expected = cross_validate(small_model(), X, y, cv=WarmShuffleSplit(2, random_state=0))["test_score"]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("cls", [*RANDOM, GlobalTimeSplit])
@pytest.mark.parametrize("test_size", [0, True, 0.0, 1.0, -1, 1.5, float("nan"), "0.2"])
def test_test_sizes_refused(cls, test_size):
    with pytest.raises(ValueError, match="must be a float between 0 and 1, a share of the ratings, or an int of"):
        cls(test_size=test_size)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: PerUserShuffleSplit(0), ValueError, "n_splits == 0, must be >= 1"),
        (lambda: WarmShuffleSplit(2.5), TypeError, "n_splits must be an instance of int"),
        (lambda: LeaveLastOut(0), ValueError, "n == 0, must be >= 1"),
        (lambda: PerUserShuffleSplit(True), TypeError, "n_splits must be an int, at least 1, not True"),
        (lambda: LeaveLastOut(True), TypeError, "n must be an int, at least 1, not True"),
        (lambda: LeaveLastOut([1, 2]), TypeError, "n must be an instance of int"),
    ],
)
def test_counts_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_test_part_of_everything_is_refused():
    with pytest.raises(ValueError, match="test_size=5 must be less than the number of ratings, 5"):
        next(GlobalTimeSplit(test_size=5, times=SECONDS).split(USERS))


@pytest.mark.parametrize("cv", ALL, ids=repr)
def test_groups_are_ignored_with_a_warning(cv, data):
    X, y, times = data
    cv = with_times(cv, times)
    with pytest.warns(UserWarning, match=f"groups parameter is ignored by {type(cv).__name__}") as caught:
        again = splits(cv, X, y=y, groups=X[:, 0])
    assert again == splits(cv, X)
    assert caught[0].filename == __file__


# In scikit-learn


@pytest.mark.parametrize("cv", ALL, ids=repr)
def test_in_a_search(cv, data):
    X, y, times = data
    cv = with_times(cv, times)
    search = GridSearchCV(small_model(), {"alpha": [0.05, 0.1]}, cv=cv, scoring="r2").fit(X, y)
    assert search.n_splits_ == cv.get_n_splits()
    train, test = next(cv.split(X))
    expected = small_model(alpha=0.05).fit(X[train], y[train]).score(X[test], y[test])
    assert search.cv_results_["split0_test_score"][0] == pytest.approx(expected)


@pytest.mark.parametrize("cls", BY_TIME)
@pytest.mark.parametrize("kind", [np.asarray, list, pd.Series])
def test_times_are_routed_without_being_asked_for(cls, kind, data):
    X, y, times = data
    expected = cross_validate(small_model(), X, y, cv=cls(times=times), return_indices=True)["indices"]
    with sklearn.config_context(enable_metadata_routing=True):
        for cv in (cls(), cls().set_split_request(times=True)):
            scores = cross_validate(small_model(), X, y, cv=cv, params={"times": kind(times)}, return_indices=True)
            np.testing.assert_array_equal(scores["indices"]["test"], expected["test"])
            search = GridSearchCV(small_model(), {"alpha": [0.05]}, cv=cv).fit(X, y, times=kind(times))
            assert search.cv_results_["mean_test_score"][0] == pytest.approx(search_score(cls(times=times), X, y))
        other = cls().set_split_request(times="when")
        scores = cross_validate(small_model(), X, y, cv=other, params={"when": times}, return_indices=True)
        np.testing.assert_array_equal(scores["indices"]["test"], expected["test"])


def search_score(cv, X, y):
    return cross_validate(small_model(alpha=0.05), X, y, cv=cv)["test_score"][0]


def test_only_splits_by_time_ask_for_metadata():
    for cls in BY_TIME:
        assert hasattr(cls, "set_split_request")
    for cls in RANDOM:
        assert not hasattr(cls, "set_split_request")


def test_nested_search_with_times(data):
    """The outer split cuts times along with X for the inner one, with which times in the constructor cannot do."""
    X, y, times = data
    model = make_pipeline(ColumnTransformer([("ids", "passthrough", [0, 1])]), small_model())
    grid = {"matrixfactorizationregressor__alpha": [0.05, 0.1]}
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(model, grid, cv=LeaveLastOut())
        nested = cross_validate(
            search, X, y, cv=GlobalTimeSplit(), params={"times": times}, return_estimator=True, return_indices=True
        )
        train = nested["indices"]["train"][0]
        alone = GridSearchCV(model, grid, cv=LeaveLastOut(times=times[train])).fit(X[train], y[train])
        found = nested["estimator"][0].cv_results_
        np.testing.assert_array_equal(found["mean_test_score"], alone.cv_results_["mean_test_score"])
    search = GridSearchCV(model, grid, cv=LeaveLastOut(times=times))
    with pytest.raises(ValueError, match="Where X is a part of the rows"):
        cross_validate(search, X, y, cv=3, error_score="raise")


def test_without_times_a_search_says_how_to_give_them(data):
    X, y, _ = data
    with pytest.raises(ValueError, match="LeaveLastOut needs the time of each rating"):
        GridSearchCV(small_model(), {"alpha": [0.05]}, cv=LeaveLastOut()).fit(X, y)
