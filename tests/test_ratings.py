import numpy as np
import oracle
import pytest

from sklearn_mf._kernel import kernels as _kernels
from sklearn_mf._training.ratings import canonical_ratings, choose_n_groups, location_and_scale, make_grid
from sklearn_mf._utils.threads import Threads

ONE = Threads(1)


def random_rows(n, sizes, seed=0, n_values=4):
    rng = np.random.default_rng(seed)
    codes = [rng.integers(size, size=n).astype(np.int32) for size in sizes]
    return codes, rng.integers(n_values, size=n).astype(float), rng.integers(0, 4, n).astype(float)


def canonical(codes, values, weights=None, sizes=None, n_groups=None, threads=ONE, rank=4):
    sizes = sizes or [int(column.max()) + 1 for column in codes]
    return canonical_ratings(
        list(codes), values, weights, list(sizes), rank, np.random.default_rng(0), threads, n_groups
    )


def levels(ratings):
    """The level of each rating in each field, back from the places in the grid."""
    level_of = np.empty(int(ratings.deal.offset[-1]), dtype=int)
    for row_of in ratings.deal.row_of:
        level_of[row_of] = np.arange(len(row_of))
    rows = ratings.index.astype(np.int64)
    rows[:, :2] += np.repeat(ratings.first_row, np.diff(ratings.block_start), axis=0)
    return level_of[rows]


def held(ratings, weights=None):
    weights = np.ones(len(ratings.values)) if weights is None else weights
    rows = zip(levels(ratings).tolist(), ratings.values, weights, strict=True)
    return sorted(((*row, value), weight) for row, value, weight in rows)


@pytest.mark.parametrize("sizes", [(5, 4), (30, 20), (5, 4, 3), (2, 2, 2, 2)])
@pytest.mark.parametrize("n_groups", [None, 1, 2])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_canonical_ratings_are_merged(sizes, n_groups, n_threads):
    codes, values, weights = random_rows(200, sizes)
    with Threads(n_threads) as threads:
        ratings = canonical(codes, values, weights, sizes, n_groups, threads)
    expected = oracle.merge_ratings(np.stack(codes, axis=1), values, weights)
    total = np.array([weight for _, weight in expected])
    assert [key for key, _ in held(ratings)] == [key for key, _ in expected]
    np.testing.assert_array_equal([w for _, w in held(ratings, ratings.weights)], total / total.mean())


@pytest.mark.parametrize("sizes", [(5, 4), (300, 200), (5, 4, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_order_of_rows_is_gone(sizes, weighted):
    """2,000 rows over 20 pairs: long runs of equal ids, which are sorted by value and weight."""
    codes, values, weights = random_rows(2000, sizes, n_values=10**6)
    weights = weights + np.random.default_rng(1).random(2000) if weighted else None
    order = np.random.default_rng(2).permutation(2000)
    ratings = [
        canonical(codes, values, weights, sizes),
        canonical([c[order] for c in codes], values[order], None if weights is None else weights[order], sizes),
    ]
    for name in ("index", "values", "block_start", "weights"):
        np.testing.assert_array_equal(*[getattr(r, name) for r in ratings])


def test_rows_in_several_chunks(monkeypatch):
    codes, values, weights = random_rows(1000, (40, 30, 5))
    whole = canonical(codes, values, weights)
    monkeypatch.setattr("sklearn_mf._training.ratings._CHUNK", 64)
    with Threads(2) as threads:
        pieces = canonical(codes, values, weights, threads=threads)
        places = [location_and_scale(ratings, True, threads) for ratings in (whole, pieces)]
    for name in ("index", "values", "block_start", "weights"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(pieces, name))
    assert places[0] == places[1]


def test_equal_weights_are_no_weights():
    codes, values, _ = random_rows(50, (50, 50))
    assert canonical(codes, values, np.full(50, 0.1)).weights is None
    assert canonical(codes, values).weights is None


def test_merged_ratings_are_dealt_like_given_ones():
    """Ten times the rows get more groups, unless they are the same ratings."""
    codes, values, _ = random_rows(30_000, (500, 400), n_values=5)
    more, more_values, _ = random_rows(300_000, (500, 400), n_values=10**6)
    once = canonical(codes, values, rank=4096)
    repeated = canonical([np.tile(c, 10) for c in codes], np.tile(values, 10), rank=4096)
    assert once.deal.n_groups == repeated.deal.n_groups
    assert once.deal.n_groups < canonical(more, more_values, rank=4096).deal.n_groups
    np.testing.assert_array_equal(once.index, repeated.index)
    np.testing.assert_array_equal(once.values, repeated.values)


def test_location_and_scale():
    codes, values, weights = random_rows(500, (20, 20))
    ratings = canonical(codes, values, weights)
    mean = np.average(values, weights=weights)
    deviation = np.average((values - mean) ** 2, weights=weights) ** 0.5
    assert location_and_scale(ratings, True, ONE)[:2] == pytest.approx((mean, deviation), rel=1e-12)
    root_mean_square = np.average(values**2, weights=weights) ** 0.5
    assert location_and_scale(ratings, False, ONE)[:2] == pytest.approx((0.0, root_mean_square), rel=1e-12)
    assert location_and_scale(ratings, False, ONE)[2] == (0.0, 3.0)


def grid_of(sizes, n=3000, n_groups=None, seed=0, weighted=False):
    codes, values, weights = random_rows(n, sizes, seed, n_values=10**6)
    ratings = canonical(codes, values, weights + 1 if weighted else None, sizes, n_groups)
    before = held(ratings, ratings.weights)
    return before, make_grid(ratings, 0.0, 1.0, ONE)


def stacked_rows(grid, block):
    """Stacked row numbers of the ratings of a block."""
    ratings = slice(grid.block_start[block], grid.block_start[block + 1])
    local = grid.index[ratings].astype(np.int64)
    touched = grid.touched[grid.touched_start[block] : grid.touched_start[block + 1]]
    return np.concatenate([local[:, :2] + grid.first_row[block], touched[local[:, 2:]]], axis=1)


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
def test_groups_are_marked_as_they_are(sizes):
    _, grid = grid_of(sizes, n_groups=1)
    rows = stacked_rows(grid, 0).tolist()
    size = _kernels.GROUP
    seen = []
    for g in range(len(rows) // size):
        here, before = rows[g * size : g * size + size], rows[max(0, g * size - size) : g * size]
        together = all(set(a).isdisjoint(b) for i, a in enumerate(here) for b in here[:i])
        apart = all(set(a).isdisjoint(b) for a in here for b in before)
        seen.append(2 if not together else 0 if apart else 1)
    assert grid.group[: len(seen)].tolist() == seen
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
            touched = slice(grid.touched_start[block], grid.touched_start[block + 1])
            rows = grid.touched[touched]
            np.testing.assert_allclose(grid.share[touched], weights[i, rows] / weights[:, rows].sum(axis=0), rtol=1e-5)


def test_number_of_groups():
    assert choose_n_groups(100_000, 943, 1682, 32) == 8
    assert choose_n_groups(100, 10, 1682, 32) == 1, "one side has fewer than 64 levels"
    assert choose_n_groups(30_000_000, 70_000, 10_700, 32) == 21, "a block's rows fit in the cache"
    assert choose_n_groups(9_000_000, 70_000, 10_700, 32) == 18, "each row is visited six times in a block"
    assert choose_n_groups(1_000_000, 10**6, 10**6, 32) == 8
    assert choose_n_groups(100_000, 1000, 500, 4096) == 11, "blocks of a few ratings cost more than cache misses"
    assert choose_n_groups(10**9, 10**7, 5, 32) == 5
    assert choose_n_groups(3_000_000, 3000, 50, 32) == 4, "ordering a block takes little memory"


def test_where_integers_have_32_bits(monkeypatch):
    """NumPy 1 on Windows."""
    arange = np.arange
    monkeypatch.setattr("numpy.arange", lambda *args, dtype=np.int32: arange(*args, dtype=dtype))
    ratings, grid = grid_of((40, 30, 6), n_groups=3)
    assert len(ratings) == len(grid.target)
    assert grid.block_start.dtype == grid.first_row.dtype == np.int64


def test_weights_near_the_least_float():
    codes, values, weights = random_rows(200, (30, 20))
    for least in (1e-300, 1e-310, 5e-324):
        ratings = canonical(codes, values, weights * least)
        expected = canonical(codes, values, weights)
        np.testing.assert_allclose(ratings.weights, expected.weights, rtol=1e-12)
