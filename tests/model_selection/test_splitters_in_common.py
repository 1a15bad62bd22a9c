"""Check what all splitters take and refuse: tables, ids, columns and sizes."""

import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers.splitting import ALL, RANDOM, SECONDS, USERS, small_model, splits, the_split, with_times
from scipy.sparse import coo_array
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline

from sklearn_mf.model_selection import GlobalTimeSplit, LeaveLastOut, PerUserShuffleSplit, WarmShuffleSplit


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
        (pd.DataFrame([[1, 2, 3]] * 5, columns=["user", "item", "item"]), ValueError, "Column names of X repeat"),
        (np.zeros((5, 0)), ValueError, r"X has 0 column\(s\)"),
    ],
)
def test_ids_refused(cv, X, error, message):
    with pytest.raises(error, match=message):
        next(with_times(cv, SECONDS).split(X))


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
    rng = np.random.default_rng(1)  # another seed than that of the times
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
        with pytest.raises(ValueError, match="user_column='user' is a name, but X is not a data frame"):
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
        (True, TypeError, r"_column must be the position \(int\) or name \(str\) of a column, not True"),
        (1.0, TypeError, r"_column must be the position \(int\) or name \(str\) of a column, not 1.0"),
        (None, TypeError, "_column must be the position.*, not None"),
        (-1, ValueError, "_column == -1, must be >= 0. Positions are counted from 0, from the left"),
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
    assert caught[0].filename == the_split.__code__.co_filename


@pytest.mark.parametrize("cv", ALL, ids=repr)
@pytest.mark.parametrize("X", [None, 5, iter([[1, 2]])], ids=["None", "a number", "an iterator"])
def test_what_is_no_table_is_refused(cv, X, data):
    with pytest.raises((TypeError, ValueError), match=r"X is|X must|[Ee]xpected"):
        next(with_times(cv, data[2]).split(X))
