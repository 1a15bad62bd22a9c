"""What the tests of splits share."""

import copy
import datetime

import numpy as np
from hypothesis import strategies as st

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings
from sklearn_mf.model_selection import GlobalTimeSplit, LeaveLastOut, PerUserShuffleSplit, WarmShuffleSplit

RANDOM = [PerUserShuffleSplit, WarmShuffleSplit]
BY_TIME = [LeaveLastOut, GlobalTimeSplit]
ALL = [
    PerUserShuffleSplit(2, random_state=0),
    PerUserShuffleSplit(2, test_size=1, random_state=0),
    WarmShuffleSplit(2, random_state=0),
    LeaveLastOut(2),
    GlobalTimeSplit(),
    GlobalTimeSplit(50),
]
UTC = datetime.timezone.utc

SECONDS = [1_600_000_000, 1_500_000_000, 1_400_000_000, 1_700_000_000, 1_550_000_000]
NAIVE = [datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=s) for s in SECONDS]
AWARE = [datetime.datetime.fromtimestamp(s, UTC) for s in SECONDS]
USERS = np.array([[1, 0], [1, 1], [2, 0], [2, 1], [3, 1]])

pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=2, max_size=40).map(np.array)
seeds = st.integers(0, 2**32 - 1)


def ratings_with_times():
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


def with_times(cv, times):
    """A copy with times, where the splitter wants them."""
    cv = copy.copy(cv)
    if hasattr(cv, "times"):
        cv.times = times
    return cv
