"""Check what random splits by user and warm splits hold out."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from helpers.splitting import RANDOM, SECONDS, USERS, pairs, seeds, small_model, splits, the_split
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from sklearn.model_selection import ShuffleSplit, learning_curve

from sklearn_mf.datasets import make_ratings
from sklearn_mf.model_selection import LeaveLastOut, PerUserShuffleSplit, WarmShuffleSplit


def n_test_of_user(test_size, n):
    """What the docstring promises."""
    if isinstance(test_size, int):
        return test_size if n > test_size else 0
    return min(math.floor(test_size * n + 0.5), n - 1)


@pytest.mark.filterwarnings("ignore:PerUserShuffleSplit holds out")
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


@pytest.mark.filterwarnings("ignore:PerUserShuffleSplit holds out")
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


def test_a_warm_split_needs_items():
    with pytest.raises(ValueError, match=r"X has 1 column\(s\), .* WarmShuffleSplit looks for item_column=1"):
        next(WarmShuffleSplit().split(USERS[:, :1]))
    the_split(LeaveLastOut(times=SECONDS), USERS[:, :1])


def test_a_test_part_far_from_what_was_asked_is_told():
    few = np.stack([np.repeat(np.arange(100), 3), np.arange(300)], axis=1)  # a third of three is the nearest
    with pytest.warns(UserWarning, match=r"PerUserShuffleSplit holds out 100 ratings instead of 60 \(test_size=0.2\)"):
        next(PerUserShuffleSplit(test_size=0.2).split(few))
    most_have_two = np.vstack([np.stack([np.repeat(np.arange(100), 2), np.arange(200)], axis=1), [[0, 300]] * 8])
    with pytest.warns(UserWarning, match="holds out 2 ratings instead of 42"):
        next(PerUserShuffleSplit(test_size=0.2).split(most_have_two))
    next(PerUserShuffleSplit(test_size=1 / 3).split(few))
    next(PerUserShuffleSplit(test_size=1).split(few))


@pytest.mark.parametrize("cls", [PerUserShuffleSplit, WarmShuffleSplit])
def test_a_share_in_place_of_the_number_of_splits(cls):
    with pytest.raises(TypeError, match=r"n_splits must be an int.* 0\.1\. To hold out a share, give test_size=0\.1"):
        cls(0.1)
