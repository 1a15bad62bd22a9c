"""Check that the kernel runs the blocks of strata in order and stops at one that explodes."""

import numpy as np
import pytest
from helpers.descent import run_strata, set_up


@pytest.mark.parametrize("n_fields", [2, 3])
def test_blocks_run_in_the_order_of_the_strata(n_fields):
    """Two strata in one call are two calls of one stratum each, and not the same as the other way round."""
    results = []
    for calls in ([[2, 1]], [[2], [1]], [[1, 2]]):
        grid, parameters = set_up(n_fields)
        for strata in calls:
            state = run_strata(grid, parameters, strata)
            assert state.n_claimed >= 4 * len(strata)
        results.append(parameters.rows)
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])


def test_an_epoch_is_given_up_at_the_block_that_explodes():
    """The kernel leaves the blocks after it alone."""
    visited = {}
    for limit in (np.inf, 0.0):
        grid, parameters = set_up(n_groups=4)
        before = parameters.rows.copy()
        run_strata(grid, parameters, range(4), limit)
        visited[limit] = (parameters.rows != before).any(axis=1).sum()
    assert visited[np.inf] == len(before)
    assert 0 < visited[0.0] <= 0.3 * len(before)
