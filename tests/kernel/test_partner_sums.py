"""Compare sums over who rated what with products of dense matrices."""

import numpy as np
import pytest
from helpers.choices import SIZES, set_up
from helpers.descent import ONE
from helpers.shards import shard_of
from sklearn_mf._kernel.sgd import LANES

from sklearn_mf._training.partners import Partners


@pytest.mark.parametrize("width", [8, 16, 24, 32, 40, 72, 104])
@pytest.mark.parametrize("n_fields", [2, 3])
@pytest.mark.parametrize("n_groups", [1, 4])
def test_sums_over_partners(simd, width, n_fields, n_groups):
    """Pairs with several ratings count once."""
    grid, _, _, seen = set_up(n_fields=n_fields, n_groups=n_groups)
    assert seen.sum() < len(grid.target)
    rng = np.random.default_rng(1)
    for n_threads in (1, 3):
        with shard_of(n_threads) as shard:
            partners = Partners(grid, shard)
            for to_field, who in enumerate((seen, seen.T)):
                given = rng.normal(size=(who.shape[1], width)).astype(np.float32)
                out = np.full((len(who), width), np.nan, dtype=np.float32)
                partners.sum(to_field, given, out)
                np.testing.assert_allclose(out, who @ given, rtol=1e-4, atol=1e-4)


def test_a_pair_counts_once_whatever_its_ratings_and_weights():
    grid, _, _, seen = set_up(weighted=True)
    counts = np.empty((SIZES[0], LANES), np.float32)
    Partners(grid, ONE).sum(0, np.ones((SIZES[1], LANES), np.float32), counts)
    np.testing.assert_array_equal(counts[:, 0], seen.sum(axis=1))
    assert seen.sum() < len(grid.target)
