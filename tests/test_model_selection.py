import copy
import math
import pickle
from collections import Counter, defaultdict

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, ShuffleSplit, cross_validate, learning_curve
from sklearn.pipeline import make_pipeline
from splitting import BY_TIME, RANDOM, SECONDS, USERS, pairs, ratings_with_times, seeds, small_model, splits, the_split

from sklearn_mf.datasets import make_ratings
from sklearn_mf.model_selection import GlobalTimeSplit, LeaveLastOut, PerUserShuffleSplit, WarmShuffleSplit


@pytest.fixture(scope="module")
def data():
    return ratings_with_times()


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
    assert caught[0].filename == the_split.__code__.co_filename
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
    assert caught[0].filename == the_split.__code__.co_filename


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
