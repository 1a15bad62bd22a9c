"""Check that equal ratings are merged and put into one order, whatever the order of rows."""

import numpy as np
import pytest
from helpers import oracle
from helpers.descent import ONE
from helpers.grids import canonical, held, random_rows
from helpers.shards import shard_of

from sklearn_mf._training.scaling import mean_scale_and_range


@pytest.mark.parametrize("sizes", [(5, 4), (30, 20), (5, 4, 3), (2, 2, 2, 2)])
@pytest.mark.parametrize("n_groups", [None, 1, 2])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_canonical_ratings_are_merged(sizes, n_groups, n_threads):
    codes, values, weights = random_rows(200, sizes)
    with shard_of(n_threads) as shard:
        ratings = canonical(codes, values, weights, sizes, n_groups, shard)
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
    monkeypatch.setattr("sklearn_mf._training.ratings._MAX_CHUNK", 64)
    with shard_of(2) as shard:
        pieces = canonical(codes, values, weights, shard=shard)
        places = [mean_scale_and_range(ratings, True, shard) for ratings in (whole, pieces)]
    for name in ("index", "values", "block_start", "weights"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(pieces, name))
    assert places[0] == places[1]


def test_equal_weights_are_no_weights():
    codes, values, _ = random_rows(50, (50, 50))
    assert canonical(codes, values, np.full(50, 0.1)).weights is None
    assert canonical(codes, values).weights is None


def test_merged_ratings_are_scattered_like_given_ones():
    """Ten times the rows get more groups, unless they are the same ratings."""
    codes, values, _ = random_rows(30_000, (500, 400), n_values=5)
    more, more_values, _ = random_rows(300_000, (500, 400), n_values=10**6)
    once = canonical(codes, values, rank=4096)
    repeated = canonical([np.tile(c, 10) for c in codes], np.tile(values, 10), rank=4096)
    assert once.layout.n_groups == repeated.layout.n_groups
    assert once.layout.n_groups < canonical(more, more_values, rank=4096).layout.n_groups
    np.testing.assert_array_equal(once.index, repeated.index)
    np.testing.assert_array_equal(once.values, repeated.values)


def test_mean_scale_and_range():
    codes, values, weights = random_rows(500, (20, 20))
    ratings = canonical(codes, values, weights)
    mean = np.average(values, weights=weights)
    deviation = np.average((values - mean) ** 2, weights=weights) ** 0.5
    assert mean_scale_and_range(ratings, True, ONE)[:2] == pytest.approx((mean, deviation), rel=1e-12)
    root_mean_square = np.average(values**2, weights=weights) ** 0.5
    assert mean_scale_and_range(ratings, False, ONE)[:2] == pytest.approx((0.0, root_mean_square), rel=1e-12)
    assert mean_scale_and_range(ratings, False, ONE)[2] == (0.0, 3.0)


def test_weights_near_the_least_float():
    codes, values, weights = random_rows(200, (30, 20))
    for least in (1e-300, 1e-310, 5e-324):
        ratings = canonical(codes, values, weights * least)
        expected = canonical(codes, values, weights)
        np.testing.assert_allclose(ratings.weights, expected.weights, rtol=1e-12)
