"""Check mistakes with times that would silently change a split: each gives an error or a warning."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers.splitting import AWARE, BY_TIME, NAIVE, SECONDS, USERS, the_split

from sklearn_mf.model_selection import GlobalTimeSplit, LeaveLastOut


def labels(index, values):
    return pd.Series(values, index=index)


@pytest.mark.parametrize("cls", BY_TIME)
@pytest.mark.parametrize(
    ("index", "advice"),
    [
        ([3, 4, 0, 2, 1], r"Give times\.loc\[X\.index\] if rows belong together by label"),
        (list("adbec"), r"Give times\.loc"),
        (pd.MultiIndex.from_tuples([(1, "b"), (1, "a"), (0, "b"), (0, "a"), (2, "a")]), r"Give times\.loc"),
        ([3, 1, 3, 0, 0], "Put times into the order of X if rows belong together by label"),
    ],
    ids=["ints", "text", "two levels", "repeated"],
)
def test_labels_of_times_in_another_order_than_those_of_rows(cls, index, advice):
    X, times = pd.DataFrame(USERS, columns=["user", "item"], index=index), labels(index, SECONDS)
    expected = the_split(cls(times=SECONDS), X)
    turned = times.iloc[::-1]
    message = rf"same index labels in different order: row 0 is .*{advice}.*times\.to_numpy\(\) if they belong together"
    with pytest.raises(ValueError, match=message):
        the_split(cls(times=turned), X)
    with pytest.raises(ValueError, match=message):
        the_split(cls(), X, times=turned)
    if X.index.is_unique:
        assert the_split(cls(times=turned.loc[X.index]), X) == expected
    for by_position in (times, times.to_numpy(), pd.Index(SECONDS), pl.Series(SECONDS)):
        assert the_split(cls(times=by_position), X) == expected
    assert the_split(cls(times=turned.to_numpy()), X) == the_split(cls(times=SECONDS[::-1]), X)
    assert the_split(cls(times=turned), USERS) == the_split(cls(times=SECONDS[::-1]), USERS)


@pytest.mark.parametrize("cls", BY_TIME)
def test_times_of_other_rows_are_refused(cls):
    """``times[train]`` of pandas looks up labels, so it may return the times of other rows."""
    frame = pd.DataFrame(USERS, columns=["user", "item"]).assign(time=SECONDS).sort_values("time", ascending=False)
    kept, train = frame[frame.index != 4], [0, 1, 2]
    X, times = kept[["user", "item"]].iloc[train], kept["time"]
    message = (
        r"times and X have different index labels: row \d is \d in X and .* in times\..*times\[train\] looks up "
        r"labels.*give times\.iloc\[train\].*give times\.to_numpy\(\)"
    )
    for other in (times[train], labels(range(10, 13), SECONDS[:3]), labels(list("abc"), SECONDS[:3])):
        with pytest.raises(ValueError, match=message):
            the_split(cls(times=other), X)
        with pytest.raises(ValueError, match=message):
            the_split(cls(), X, times=other)
    expected = the_split(cls(times=times.iloc[train].to_numpy()), X)
    assert the_split(cls(times=times.iloc[train]), X) == expected
    assert the_split(cls(times=times.iloc[train]), X.to_numpy()) == expected


@pytest.mark.parametrize("cls", BY_TIME)
@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (np.array, "times[train]"),
        (pl.Series, "times[train]"),
        (pd.Index, "times[train]"),
        (pd.Series, "times.iloc[train]"),
    ],
    ids=["array", "polars", "index", "pandas"],
)
def test_times_of_all_rows_with_a_part_of_the_rows(cls, make, advice):
    """The advice for a pandas Series takes rows by position."""
    with pytest.raises(ValueError, match=rf"{len(SECONDS)} times and 3 rows") as raised:
        the_split(cls(times=make(SECONDS)), USERS[:3])
    assert f"{cls.__name__}(times={advice}). In nested" in str(raised.value)
    assert ("iloc" in advice) != ("times[train]" in str(raised.value))


@pytest.mark.parametrize("test_size", [0.1, 80])
def test_an_instant_that_most_ratings_share_is_told_with_numbers(test_size):
    times = np.r_[np.arange(10), np.full(790, 1_000)]
    X = np.zeros((800, 2), dtype=int)
    message = rf"holds out 790 ratings instead of 80 \(test_size={test_size}\).* and 790 have the time 1000. Give at="
    with pytest.warns(UserWarning, match=message):
        _, test = the_split(GlobalTimeSplit(test_size=test_size, times=times), X)
    assert len(test) == 790
    with pytest.warns(UserWarning, match="holds out 10 ratings instead of 80 .* and 790 have the time -1000"):
        the_split(GlobalTimeSplit(test_size=test_size, times=-times), X)
    the_split(GlobalTimeSplit(1_000, times=times), X)  # which was asked for
    the_split(GlobalTimeSplit(test_size=0.1, times=np.arange(800) // 8), X)


def test_last_ratings_that_only_the_order_of_rows_tells():
    users = np.repeat(np.arange(100), 4)
    X, days = np.stack([users, users], axis=1), np.tile([1, 2, 2, 2], 100)
    with pytest.warns(UserWarning, match="Of 100 users .*, 100 have ties in time"):
        the_split(LeaveLastOut(times=days), X)
    the_split(LeaveLastOut(3, times=days), X)
    days[: 4 * 50] = np.tile([1, 2, 3, 4], 50)  # half of the users have finer times
    the_split(LeaveLastOut(times=days), X)


@pytest.mark.parametrize("cls", BY_TIME)
@pytest.mark.parametrize(
    "make", [np.array, pd.Series, pl.Series, lambda times: pd.Series(times, dtype="Float32"), list]
)
def test_floats_of_few_digits_lose_seconds(cls, make):
    times = make(np.array(SECONDS, dtype=np.float32))
    with pytest.warns(UserWarning, match="times has dtype float32, in which numbers near 17000000.. are 128 apart"):
        next(cls(times=times).split(USERS))
    next(cls(times=make(np.array([2014, 2015, 2016, 2017, 2018.5], dtype=np.float32))).split(USERS))
    with pytest.warns(UserWarning, match="dtype float16, in which numbers near 60000 are 32 apart"):
        next(cls(times=np.array([1, 2, 3, 4, 60_000], dtype=np.float16)).split(USERS))
    with (
        np.errstate(over="ignore"),
        pytest.raises(ValueError, match="times has dtype float16, whose largest value is 65504"),
    ):
        next(cls(times=np.array(SECONDS).astype(np.float16)).split(USERS))


def test_a_point_in_time_of_few_digits():
    with pytest.warns(UserWarning, match="at has dtype float32"):
        the_split(GlobalTimeSplit(np.float32(1.55e9), times=np.array(SECONDS, dtype=float)), USERS)


@pytest.mark.parametrize("cls", BY_TIME)
def test_ints_that_would_be_rounded_to_floats(cls):
    for times in ([2**60 + 1, 2**60, 1.5, 3, 4], [2**63 + 5, -1, 2, 3, 4], [1, 2, 3, 4.5, 10**40 + 1]):
        with pytest.raises(
            ValueError, match=r"times has .*the int .*, which does not fit into float64|must be numbers"
        ):
            next(cls(times=times).split(USERS))


def test_a_float_is_compared_exactly_with_large_ints():
    times = 2**60 + np.arange(5)
    X = np.zeros((5, 2), dtype=int)
    assert the_split(GlobalTimeSplit(2.0**60, times=times - 2), X)[1] == [2, 3, 4]
    assert the_split(GlobalTimeSplit(2.0**60, times=(times - 2).astype(np.uint64)), X)[1] == [2, 3, 4]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64])
def test_narrow_ints_are_not_run_over(dtype):
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    times = np.array([low, high, low + 1, high - 1, 7], dtype=dtype)
    assert the_split(LeaveLastOut(times=times), USERS)[1] == [1, 3]
    assert the_split(GlobalTimeSplit(test_size=2, times=times), USERS)[1] == [1, 3]
    assert the_split(GlobalTimeSplit(high - 1, times=times), USERS)[1] == [1, 3]
    assert the_split(GlobalTimeSplit(6.5, times=times), USERS)[1] == [1, 3, 4]
    for at, part in [(high + 1, "test"), (low - 1, "training")]:
        with pytest.raises(ValueError, match=f"leaves the {part} part empty|must be numbers"):
            the_split(GlobalTimeSplit(at, times=times), USERS)


@pytest.mark.parametrize("share", [0.1, 0.999, np.float32(0.2), np.float64(0.2)])
def test_a_share_in_place_of_an_instant(share):
    with pytest.raises(ValueError, match=r"at=.* must be an instant, but looks like a share.* use test_size="):
        GlobalTimeSplit(share)
    with pytest.raises(TypeError, match=r"n must be an int.* use GlobalTimeSplit"):
        LeaveLastOut(share)


@pytest.mark.parametrize("times", [SECONDS, NAIVE, AWARE])
def test_a_number_of_ratings_in_place_of_an_instant(times):
    with pytest.raises(ValueError, match=r"To hold out the last 2 ratings, give test_size=2\.$"):
        next(GlobalTimeSplit(2, times=times).split(USERS))


@pytest.mark.parametrize("splitter", BY_TIME)
def test_times_in_lists_of_different_lengths(splitter):
    with pytest.raises(ValueError, match="times must be a 1D array, one time per row of X, but cannot be read as one"):
        list(splitter(times=[1, [2, 3], 4, 5, 6]).split(USERS))
    with pytest.raises(ValueError, match=r"at must be a single number or datetime, not an array of shape \(2,\)"):
        list(GlobalTimeSplit(at=[1, [2, 3]], times=SECONDS).split(USERS))


def test_more_than_an_int_holds_is_more_than_anybody_has():
    with pytest.raises(ValueError, match="No user has more than"):
        next(LeaveLastOut(2**70, times=[1, 2, 3]).split([[0, 1], [0, 2], [1, 3]]))
