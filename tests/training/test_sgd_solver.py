"""Check that threads and groups of the grid do not change what the solver learns."""

import threading

import numpy as np
import pytest
from helpers.descent import HYPER, ONE, set_up, train
from helpers.shards import shard_of
from sklearn_mf._kernel.sgd import SGDKernel


@pytest.mark.parametrize("n_fields", [2, 3])
@pytest.mark.parametrize("n_groups", [4, 9])
@pytest.mark.parametrize("n_threads", [2, 3, 8])
def test_threads_change_nothing(n_fields, n_groups, n_threads):
    """On a grid of four groups or more, forced on small data."""
    grid, parameters = set_up(n_fields, n_groups)
    rows, scalars = parameters.rows.copy(), parameters.scalars.copy()
    losses = train(grid, parameters, HYPER, np.random.default_rng(1), ONE)
    one_thread = parameters.rows.copy(), parameters.scalars.copy()
    for _ in range(5):
        parameters.rows[:], parameters.scalars[:] = rows, scalars
        with shard_of(n_threads) as shard:
            assert train(grid, parameters, HYPER, np.random.default_rng(1), shard) == losses
        np.testing.assert_array_equal(parameters.rows, one_thread[0])
        np.testing.assert_array_equal(parameters.scalars, one_thread[1])


@pytest.mark.parametrize("n_threads", [2, 4])
def test_threads_run_an_epoch_together(monkeypatch, n_threads):
    """Each epoch passes only when all threads are in it."""
    barrier = threading.Barrier(n_threads)

    class WaitingKernel(SGDKernel):
        def run(self, *arguments):
            barrier.wait(timeout=30)
            super().run(*arguments)

    monkeypatch.setattr("sklearn_mf._training.sgd.SGDKernel", WaitingKernel)
    grid, parameters = set_up(n_groups=4)
    with shard_of(n_threads) as shard:
        assert len(train(grid, parameters, HYPER, np.random.default_rng(1), shard)) == 5


def test_number_of_groups_changes_little():
    """The grid is an order of visits: the loss ends where a single block ends."""
    final = []
    for n_groups in (1, 4, 9):
        grid, parameters = set_up(n_groups=n_groups)
        final.append(train(grid, parameters, HYPER, np.random.default_rng(1), ONE, max_iter=20)[-1])
    assert max(final) - min(final) < 0.02 * final[0]
