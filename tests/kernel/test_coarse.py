"""Compare bounds of scores from rounded factors with slow and obvious NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn_mf._kernel.selection import CoarseItems, TileSelector, can_round

from sklearn_mf._prediction.top_items import Excluded

pytestmark = pytest.mark.skipif(not can_round(1), reason="needs a processor with AVX512-VNNI")


def kept_by_kernel(rows, items, constant, k, margin, n_slack):
    selector = TileSelector(k, np.full(len(rows), margin, np.float32), Excluded.nothing(len(rows)), n_slack)
    selector.take_all(rows, CoarseItems(items, constant))
    places, counts = selector.finish()
    return np.split(places, np.cumsum(np.maximum(counts, 0))[:-1]), counts


def whole(rows):
    """Unit, integers, and the lengths of the integers and of what they are off by."""
    unit = np.maximum(np.abs(rows).max(axis=1) / 127, 2.0**-100)
    integers = np.rint(rows / unit[:, None])
    return unit, integers, np.linalg.norm(integers, axis=1), np.linalg.norm(rows / unit[:, None] - integers, axis=1)


def bounds(rows, items, constant, more):
    """Bounds of all scores; margins are ``more`` times as wide, and a little."""
    (s, P, length, error), (t, Q, item_length, item_error) = whole(rows), whole(items)
    panels = np.arange(len(items)) // 64
    item_length, item_error = (
        np.array([values[panels == p].max() for p in panels]) for values in (item_length + item_error, item_error)
    )
    off = more * (error[:, None] * item_length + length[:, None] * item_error) + (more - 1) * 100
    units = s[:, None] * t
    return units * (P @ Q.T - off) + constant, units * (P @ Q.T + off) + constant


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_rows=st.sampled_from([1, 5, 6, 20]),
    n_items=st.sampled_from([1, 63, 64, 500]),
    rank=st.sampled_from([1, 2, 3, 4, 17, 64, 300]),
    k=st.sampled_from([1, 10, 100]),
    spread=st.sampled_from([0.0, 1.0, 4.0]),
    of_constants=st.sampled_from([0.0, 1.0, 1e4]),
)
def test_what_may_be_among_the_best_is_kept_and_little_else(seed, n_rows, n_items, rank, k, spread, of_constants):
    rng = np.random.default_rng(seed)
    rows, items = (
        (rng.normal(size=(n, rank)) * np.exp(spread * rng.normal(size=(n, 1)))).astype(np.float32)
        for n in (n_rows, n_items)
    )
    constant = (of_constants * rng.normal(size=n_items)).astype(np.float32)
    k = min(k, n_items)
    scores = rows.astype(np.float64) @ items.T.astype(np.float64) + constant
    size = (np.linalg.norm(rows, axis=1) * np.linalg.norm(items, axis=1).max() + np.abs(constant).max()).max()
    margin = np.float32(1e-6 * size)
    kept, counts = kept_by_kernel(rows, items, constant, k, margin, 2 * n_items)
    assert (counts >= k).all()
    lower, upper = bounds(rows, items, constant, 1.01)
    for r, places in enumerate(kept):
        assert set(np.flatnonzero(scores[r] >= np.sort(scores[r])[-k])) <= set(places)
        limit = np.sort(lower[r])[-k] - 3 * margin
        assert set(places) <= set(np.flatnonzero(upper[r] > limit))


def test_few_are_kept_of_random_factors():
    rng = np.random.default_rng(0)
    rows, items = (rng.normal(size=(n, 64)).astype(np.float32) for n in (100, 5000))
    _, counts = kept_by_kernel(rows, items, np.zeros(5000, np.float32), 10, 1e-3, 128)
    assert counts.min() >= 10
    assert counts.mean() < 30


def test_a_row_with_too_many_says_so():
    rows, items = np.ones((7, 3), np.float32), np.ones((900, 3), np.float32)
    rows[3] = 0.0
    items[:4] = 2.0
    kept, counts = kept_by_kernel(rows, items, np.zeros(900, np.float32), 4, 1e-3, 50)
    assert counts.tolist() == [4, 4, 4, -1, 4, 4, 4]
    assert all(sorted(places) == [0, 1, 2, 3] for places, n in zip(kept, counts, strict=True) if n > 0)


def test_columns_left_out():
    rng = np.random.default_rng(1)
    rows, items = (rng.normal(size=(n, 8)).astype(np.float32) for n in (2, 300))
    best = np.argsort(-(rows @ items.T), axis=1)
    out = np.sort(best[:, :5], axis=1).astype(np.int32)
    excluded = Excluded(np.array([0, 5]), np.array([5, 10]), out.ravel())
    selector = TileSelector(3, np.full(2, 1e-3, np.float32), excluded, 300)
    selector.take_all(rows, CoarseItems(items, np.zeros(300, np.float32)))
    places, counts = selector.finish()
    for r, kept in enumerate(np.split(places, counts.cumsum()[:-1])):
        assert set(best[r, 5:8]) <= set(kept)
        assert not set(out[r]) & set(kept)


def test_what_does_not_fit_is_refused():
    items = CoarseItems(np.ones((9, 2), np.float32), np.ones(9, np.float32))
    for factors, constant in (((9, 0), 9), ((9, 5000), 9), ((0, 2), 0), ((9, 2), 8)):
        with pytest.raises(ValueError, match="do not fit"):
            CoarseItems(np.ones(factors, np.float32), np.ones(constant, np.float32))
    for shape in ((2, 3), (3, 2)):
        selector = TileSelector(1, np.ones(2, np.float32), Excluded.nothing(2), 1)
        with pytest.raises(ValueError, match="factors are not"):
            selector.take_all(np.ones(shape, np.float32), items)
    selector.take(np.ones((2, 1), np.float32))
    with pytest.raises(ValueError, match="before"):
        selector.take_all(np.ones((2, 2), np.float32), items)


def test_it_belongs_to_an_instruction_set(simd):
    assert can_round(64) == (simd == "avx512")
    assert not can_round(0)
    assert not can_round(5000)
