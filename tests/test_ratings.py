import numpy as np
import oracle
import pytest

from sklearn_mf._ratings import canonical_ratings, choose_n_groups, make_grid


def random_rows(n, sizes, seed=0, n_values=4):
    rng = np.random.default_rng(seed)
    indices = np.stack([rng.integers(size, size=n) for size in sizes], axis=1).astype(np.int32)
    return indices, rng.integers(n_values, size=n).astype(float), rng.integers(0, 4, n).astype(float)


@pytest.mark.parametrize("sizes", [(5, 4), (30, 20), (5, 4, 3), (2, 2, 2, 2)])
def test_canonical_ratings_are_sorted_and_merged(sizes):
    indices, values, weights = random_rows(200, sizes)
    ratings = canonical_ratings(indices, values, weights)
    expected = oracle.merge_ratings(indices, values, weights)
    assert [(*row, value) for row, value in zip(ratings.indices.tolist(), ratings.values, strict=True)] == [
        key for key, _ in expected
    ]
    total = np.array([weight for _, weight in expected])
    np.testing.assert_array_equal(ratings.weights, total / total.mean())


def test_equal_weights_are_no_weights():
    indices, values, _ = random_rows(50, (50, 50))
    assert canonical_ratings(indices, values, np.full(50, 0.1)).weights is None
    assert canonical_ratings(indices, values, None).weights is None


def test_sort_key_of_many_columns_does_not_overflow():
    """30 columns of 100 levels are far more combinations than 64 bits hold."""
    indices, values, _ = random_rows(300, (100,) * 30)
    ratings = canonical_ratings(indices, values, None)
    assert ratings.indices.tolist() == sorted(indices.tolist())


def grid_of(sizes, n=3000, n_groups=None, seed=0, weighted=False):
    indices, values, weights = random_rows(n, sizes, seed, n_values=10**6)
    ratings = canonical_ratings(indices, values, weights + 1 if weighted else None)
    grid = make_grid(ratings, ratings.values, list(sizes), 4, np.random.default_rng(0), n_groups)
    return ratings, grid


def stacked_rows(grid, block):
    """Stacked row numbers of the ratings of a block."""
    ratings = slice(grid.block_start[block], grid.block_start[block + 1])
    local = grid.index[ratings].astype(np.int64)
    touched = grid.touched[grid.touched_start[block] : grid.touched_start[block + 1]]
    return np.concatenate([local[:, :2] + grid.first_row[block], touched[local[:, 2:]]], axis=1)


@pytest.mark.parametrize("sizes", [(40, 30), (40, 30, 6), (40, 30, 6, 50), (3, 500)])
@pytest.mark.parametrize("n_groups", [1, 2, 3])
def test_grid_holds_every_rating_once(sizes, n_groups):
    ratings, grid = grid_of(sizes, n_groups=n_groups)
    rows = np.concatenate([stacked_rows(grid, block) for block in range(n_groups**2)])
    places = np.stack([grid.row_of[f][ratings.indices[:, f]] for f in range(len(sizes))], axis=1)
    held = sorted(zip(rows.tolist(), grid.target.tolist(), strict=True))
    assert held == sorted(zip(places.tolist(), ratings.values.astype(np.float32).tolist(), strict=True))
    assert sorted(np.concatenate(grid.row_of)) == list(range(sum(sizes)))


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
            touched = slice(grid.touched_start[block], grid.touched_start[block + 1])
            rows = grid.touched[touched]
            np.testing.assert_allclose(grid.share[touched], weights[i, rows] / weights[:, rows].sum(axis=0), rtol=1e-5)


def test_number_of_groups():
    assert choose_n_groups(100_000, 943, 1682, 32) == 8
    assert choose_n_groups(100, 10, 1682, 32) == 1, "one side has fewer than 64 levels"
    assert choose_n_groups(9_000_000, 70_000, 10_700, 32) == 21, "a block's rows fit in the cache"
    assert choose_n_groups(1_000_000, 10**6, 10**6, 32) == 62, "blocks of a few ratings cost more than cache misses"
    assert choose_n_groups(10**9, 10**7, 5, 32) == 5
