"""Check that the grid holds every rating once, in blocks that do not meet."""

from itertools import pairwise

import numpy as np
import pytest
from helpers.grids import canonical, grid_of, random_rows, stacked_rows
from sklearn_mf._kernel.grid import BATCH

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf._training import layout
from sklearn_mf._training.layout import Bands, choose_bands, choose_n_groups


@pytest.mark.parametrize("sizes", [(40, 30), (40, 30, 6), (40, 30, 6, 50), (3, 500), (40, 30, 2, 2, 2, 2, 2, 2, 2, 2)])
@pytest.mark.parametrize("n_groups", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_grid_holds_every_rating_once(sizes, n_groups, weighted):
    ratings, grid = grid_of(sizes, n_groups=n_groups, weighted=weighted)
    rows = np.concatenate([stacked_rows(grid, block) for block in range(n_groups**2)])
    weight = np.ones(len(rows)) if grid.weight is None else grid.weight
    in_grid = sorted(zip(rows.tolist(), grid.target.tolist(), weight.tolist(), strict=True))
    expected = sorted(
        ([int(grid.row_of[f][level]) for f, level in enumerate(row[:-1])], float(np.float32(row[-1])), np.float32(w))
        for row, w in ratings
    )
    assert in_grid == expected
    assert sorted(np.concatenate(grid.row_of)) == list(range(sum(sizes)))
    totals = np.bincount(rows.ravel(), np.repeat(weight, len(sizes)), minlength=sum(sizes))
    np.testing.assert_allclose(grid.row_weights, totals, rtol=1e-5)


@pytest.mark.parametrize("sizes", [(400, 300), (60, 50), (400, 300, 100), (400, 300, 3), (1, 500)])
@pytest.mark.parametrize("learning_rate", [0.01, 0.05])
def test_batches_are_marked_as_they_are(sizes, learning_rate):
    """Rows of small steps may be in common."""
    _, grid = grid_of(sizes, n_groups=1, learning_rate=learning_rate)
    rows = stacked_rows(grid, 0)
    is_shared = np.isin(rows, grid.context_rows[grid.context_step_factor <= 1 / (2 * BATCH)])
    assert is_shared.any() == (sizes == (400, 300, 3) and learning_rate == 0.05)
    rows = np.where(is_shared, -1 - np.arange(rows.size).reshape(rows.shape), rows).tolist()  # none like another
    size = BATCH
    seen = []
    for g in range(len(rows) // size):
        here, before = rows[g * size : g * size + size], rows[max(0, g * size - size) : g * size]
        together = all(set(a).isdisjoint(b) for i, a in enumerate(here) for b in here[:i])
        apart = all(set(a).isdisjoint(b) for a in here for b in before)
        seen.append(2 if not together else 0 if apart else 1)
    assert grid.batch_kinds[: len(seen)].tolist() == seen
    if sizes == (400, 300):
        assert np.mean(np.array(seen) == 0) > 0.95, "ratings of one row are moved apart"


@pytest.mark.parametrize("n_groups", [4, 7])
def test_blocks_of_a_stratum_share_no_user_and_no_item(n_groups):
    _, grid = grid_of((40, 30), n_groups=n_groups)
    for stratum in range(n_groups):
        seen = [set(), set()]
        for block in range(stratum * n_groups, (stratum + 1) * n_groups):
            rows = stacked_rows(grid, block)
            for f in range(2):
                assert seen[f].isdisjoint(rows[:, f])
                seen[f].update(rows[:, f])


@pytest.mark.parametrize("weighted", [False, True])
def test_shares_of_a_context_row_are_its_weight_in_the_block(weighted):
    _, grid = grid_of((40, 30, 6), n_groups=4, weighted=weighted)
    weight = np.ones(len(grid.target)) if grid.weight is None else grid.weight
    for stratum in range(4):
        blocks = range(stratum * 4, stratum * 4 + 4)
        weights = np.zeros((4, 76))
        for i, block in enumerate(blocks):
            of_block = slice(grid.block_start[block], grid.block_start[block + 1])
            np.add.at(weights[i], stacked_rows(grid, block)[:, 2], weight[of_block])
        for i, block in enumerate(blocks):
            own = slice(grid.context_start[block], grid.context_start[block + 1])
            rows = grid.context_rows[own]
            np.testing.assert_allclose(
                grid.context_merge_weight[own], weights[i, rows] / weights[:, rows].sum(axis=0), rtol=1e-5
            )


def test_number_of_groups():
    assert choose_n_groups(100_000, 943, 1682, 32) == 8
    assert choose_n_groups(100, 10, 1682, 32) == 1, "one side has fewer than 64 levels"
    assert choose_n_groups(30_000_000, 70_000, 10_700, 32) == 21, "a block's rows fit in the cache"
    assert choose_n_groups(9_000_000, 70_000, 10_700, 32) == 18, "each row is visited six times in a block"
    assert choose_n_groups(1_000_000, 10**6, 10**6, 32) == 8
    assert choose_n_groups(100_000, 1000, 500, 4096) == 11, "blocks of a few ratings cost more than cache misses"
    assert choose_n_groups(10**9, 10**7, 5, 32) == 5
    assert choose_n_groups(3_000_000, 3000, 50, 32) == 4, "ordering a block takes little memory"


def test_number_of_bands():
    assert choose_bands(6040, 3706, 8, 32) == Bands(0, 755, 1)
    assert choose_bands(70_000, 10_700, 18, 32) == Bands(0, 3889, 1), "less than two bands"
    assert choose_bands(480_000, 17_800, 30, 32) == Bands(0, 2667, 6)
    assert choose_bands(17_800, 480_000, 30, 32) == Bands(1, 2667, 6), "the side with more rows"
    assert choose_bands(1, 1, 1, 10**6) == Bands(0, 1, 1), "a row is never cut"


@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_are_sorted_by_band(monkeypatch, weighted):
    codes, values, weights = random_rows(3000, (40, 90), seed=1, n_values=10**6)
    weights = weights + 1.0 if weighted else None
    of_rows = {}
    for n_bands in (1, 5):
        monkeypatch.setattr("sklearn_mf._training.ratings.choose_bands", lambda *_, n=n_bands: Bands(1, -(-30 // n), n))
        ratings = canonical([column.copy() for column in codes], values.copy(), weights, n_groups=3)
        of_rows[n_bands] = [ratings.index[lo:hi] for lo, hi in pairwise(ratings.block_start)]
    for whole, banded in zip(of_rows[1], of_rows[5], strict=True):
        band = banded[:, 1] // 6
        assert len(np.unique(band)) == 5
        assert (np.diff(band) >= 0).all()
        by_band = np.argsort(whole[:, 1] // 6, kind="stable")  # within a band the order is that of the hash
        np.testing.assert_array_equal(whole[by_band], banded)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_bands_keep_the_promises_of_a_fit(monkeypatch, early_stopping):
    """The model does not depend on the order of rows, on threads or on repeated rows in place of a weight."""
    codes, values, weights = random_rows(4000, (200, 100), seed=2, n_values=5)
    X, weights = np.column_stack(codes), weights + 1.0
    parameters = {"max_iter": 3, "early_stopping": early_stopping, "random_state": 0}
    few = MatrixFactorizationRegressor(rank=8, n_jobs=1, **parameters)
    whole = few.fit(X, values, sample_weight=weights).predict(X)
    monkeypatch.setattr(layout, "_BYTES_OF_BAND_ROWS", 500)
    expected = few.fit(X, values, sample_weight=weights).predict(X)
    assert not np.array_equal(whole, expected)
    order = np.random.default_rng(0).permutation(len(X))
    shuffled = few.set_params(n_jobs=3).fit(X[order], values[order], sample_weight=weights[order])
    np.testing.assert_array_equal(shuffled.predict(X), expected)
    repeated = np.repeat(np.arange(len(X)), weights.astype(int))
    np.testing.assert_array_equal(few.fit(X[repeated], values[repeated]).predict(X), expected)


def test_where_integers_have_32_bits(monkeypatch):
    """NumPy 1 on Windows."""
    arange = np.arange
    monkeypatch.setattr("numpy.arange", lambda *args, dtype=np.int32: arange(*args, dtype=dtype))
    ratings, grid = grid_of((40, 30, 6), n_groups=3)
    assert len(ratings) == len(grid.target)
    assert grid.block_start.dtype == grid.first_row.dtype == np.int64
