"""Check that nothing is made of the size that is asked for before it is compared with what there is."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from helpers.recommending import model
from numpy.testing import assert_array_equal

HUGE = 10**12


@pytest.mark.parametrize("size", [HUGE, 10**30, np.int64(2**62), np.uint8(200)])
def test_as_many_as_there_are(fitted, ratings, size):
    X, _ = ratings
    tracemalloc.start()
    for users in ([1, 2], list(range(40)), []):
        shape = len(users), 90
        assert [part.shape for part in fitted.recommend(users, size)] == [shape, shape]
        assert [part.shape for part in fitted.recommend(users, size, exclude=X)] == [shape, shape]
        assert fitted.recommend(users, size, candidates=[5, 7, 5, 7, 9])[0].shape == (len(users), 3)
        assert [part.shape for part in fitted.similar_users(users, size)] == [(len(users), min(size, 149))] * 2
        assert [part.shape for part in fitted.similar_items(users, size)] == [(len(users), 89)] * 2
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


@pytest.mark.parametrize("n_items", [1, 3, np.int8(3), np.uint64(3)])
def test_as_many_as_are_asked_for(fitted, n_items):
    assert fitted.recommend([1, 2], n_items)[0].shape == (2, n_items)
    assert fitted.similar_items([1, 2], n_items)[0].shape == (2, n_items)


def test_the_whole_list_begins_as_a_short_one(fitted):
    for method, name in ((fitted.recommend, "n_items"), (fitted.similar_users, "n_users")):
        everything, values = method(np.arange(20), **{name: HUGE})
        assert_array_equal(method(np.arange(20), **{name: 7})[0], everything[:, :7])
        assert np.isfinite(values).all()


def test_nothing_is_like_the_only_one():
    fitted = model(implicit_features=None).fit([[1, 7], [2, 7], [3, 7]], [1.0, 2.0, 4.0])
    assert [part.shape for part in fitted.similar_items([7, 7], 5)] == [(2, 0), (2, 0)]
    assert fitted.recommend([1, 2], HUGE)[0].tolist() == [[7], [7]]


@pytest.mark.parametrize("n", [True, False, np.True_, 2.0, 2.5, "3", None, 0, -1])
def test_what_is_no_number_of_items_is_refused(fitted, n):
    for call in (fitted.recommend, fitted.similar_items, fitted.similar_users):
        with pytest.raises((TypeError, ValueError), match=r"n_users|n_items"):
            call([1], n)


@pytest.mark.parametrize(
    "nothing",
    [[], np.empty((0, 2)), pd.DataFrame({"day": [], "week": []}), ["sun", 2]],
    ids=["list", "array", "frame", "for all"],
)
def test_contexts_of_nobody(with_contexts, nothing):
    assert with_contexts.recommend([], 3, context=nothing)[0].shape == (0, 3)


@pytest.mark.parametrize("unit", ["D", "s", "ns"])
def test_datetimes_as_a_context_for_all(ratings, unit):
    X, y = ratings
    days = np.array(["2024-01-01", "2024-01-02"], dtype=f"M8[{unit}]")
    rows = np.random.default_rng(0).integers(0, 2, len(y))
    fitted = model().fit(pd.DataFrame({"user": X[:, 0], "film": X[:, 1], "day": days[rows]}), y)
    expected = fitted.recommend([3], 5, context=pd.DataFrame({"day": days[1:]}))
    for context in (days[1], days[1:], [days[1]], np.array(days[1]), pd.Timestamp("2024-01-02")):
        assert_array_equal(fitted.recommend([3], 5, context=context)[0], expected[0])
