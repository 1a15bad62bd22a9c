"""Check that selection in tiles keeps the best scores of a row."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn_mf._kernel.selection import TileSelector, best

from sklearn_mf._prediction.top_items import Excluded


def select(scores, k, margin, n_slack, excluded=()):
    """The columns that the selection keeps of one row, fed in tiles of seven columns; None: too many."""
    excluded = Excluded(np.zeros(1, np.int64), np.array([len(excluded)]), np.array(excluded, dtype=np.int32))
    selector = TileSelector(k, np.full(1, margin, np.float32), excluded, n_slack)
    for first in range(0, len(scores), 7):
        selector.take(np.array(scores[None, first : first + 7], dtype=np.float32))
    kept, counts = selector.finish()
    return None if counts[0] < 0 else sorted(kept.tolist())


@settings(max_examples=300, deadline=None)
@given(
    scores=st.lists(st.integers(-20, 20), min_size=1, max_size=60),
    k=st.integers(1, 8),
    margin=st.sampled_from([0.5, 2.5]),
    extra=st.integers(1, 8),
    data=st.data(),
)
def test_selection_keeps_what_is_within_the_margin_of_the_best_or_says_that_it_cannot(scores, k, margin, extra, data):
    excluded = sorted(data.draw(st.sets(st.integers(0, len(scores) - 1))))
    scores = np.array(scores, dtype=np.float32)
    left = np.delete(np.arange(len(scores)), excluded)
    limit = np.sort(scores[left])[-k] - margin if len(left) >= k else -np.inf
    near = left[scores[left] > limit].tolist()
    kept = select(scores, k, margin, extra, excluded)
    if kept is None:
        assert len(left) >= 2 * k + extra - (k + extra) // 8  # of what its buffer has room for, some stays free
    else:
        assert kept == near
    assert select(scores, k, margin, len(scores) + 1, excluded) == near


def test_not_a_number_is_never_among_the_best():
    scores = np.array([1, np.nan, 3, -np.inf, np.inf, 2], dtype=np.float32)
    assert select(scores, 6, 0.1, 10) == [0, 2, 4, 5]


def test_the_best_of_unordered_entries():
    start = np.array([0, 4, 4, 6])
    columns = np.array([7, 2, 9, 4, 1, 0], dtype=np.int32)
    values = np.array([1.0, 5.0, 5.0, 5.0, -1.0, -1.0])
    found, kept = np.full((3, 3), -1, np.int32), np.full((3, 3), np.nan)
    best(3, start, columns, values, found, kept)
    assert found.tolist() == [[2, 4, 9], [-1, -1, -1], [0, 1, -1]]
    np.testing.assert_array_equal(kept, [[5, 5, 5], [np.nan] * 3, [-1, -1, np.nan]])
