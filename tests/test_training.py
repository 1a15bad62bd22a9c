import dataclasses
import threading
import warnings
from unittest import mock

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sklearn_mf._kernel import kernels as _kernels
from sklearn_mf._training.parameters import initial_parameters, levels_in_order
from sklearn_mf._training.ratings import canonical_ratings, location_and_scale, make_grid
from sklearn_mf._training.schedules import SCHEDULES, fixed_path, follow_path
from sklearn_mf._training.sgd import Baseline, Descent, Hyperparameters
from sklearn_mf._utils.threads import Threads

HYPER = Hyperparameters(
    rank=4,
    learning_rate=0.05,
    alpha=0.04,
    alpha_bias=0.01,
    damping=4.0,
    implicit_features=None,
    alpha_implicit=25.0,
    fit_bias=True,
)
STANDARDISED = Baseline(0.0, 0.5)  # of the squared loss
SIZES = [60, 50, 7]


ONE = Threads(1)


def set_up(n_fields=2, n_groups=4, hyper=HYPER, n=2000):
    rng = np.random.default_rng(0)
    sizes = SIZES[:n_fields]
    codes = [rng.integers(size, size=n).astype(np.int32) for size in sizes]
    ratings = canonical_ratings(codes, rng.normal(size=n), None, sizes, hyper.rank, rng, ONE, n_groups)
    grid = make_grid(ratings, *location_and_scale(ratings, hyper.fit_bias, ONE)[:2], ONE)
    return grid, initial_parameters(grid, hyper, rng, ONE)


class Steps:
    """Watches a run for its steps."""

    def __init__(self):
        self.steps = []

    def begin_epoch(self):
        pass

    def tell(self, message):
        pass

    def end_epoch(self, step, losses, scores):
        self.steps.append(step)
        return False


def train(grid, parameters, hyper, rng, threads, max_iter=5, schedule="linear", watch=None):
    """Run a schedule to its end; return the losses seen, and warn as a fit does."""
    descent = Descent(grid, parameters, hyper, STANDARDISED, rng, threads, has_centers=max_iter > 1)
    course = follow_path(descent, fixed_path(schedule, max_iter), watch or Steps())
    if descent.warning:
        warnings.warn(descent.warning, ConvergenceWarning, stacklevel=2)
    return course.losses


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
        with Threads(n_threads) as threads:
            assert train(grid, parameters, HYPER, np.random.default_rng(1), threads) == losses
        np.testing.assert_array_equal(parameters.rows, one_thread[0])
        np.testing.assert_array_equal(parameters.scalars, one_thread[1])


@pytest.mark.parametrize("n_fields", [2, 3])
def test_blocks_run_in_the_order_of_the_strata(n_fields):
    """Two strata in one call are two calls of one stratum each, and not the same as the other way round."""
    results = []
    for calls in ([[2, 1]], [[2], [1]], [[1, 2]]):
        grid, parameters = set_up(n_fields)
        n_own = int(np.diff(grid.touched_start[::4]).max())
        own = np.empty((n_own, parameters.rows.shape[1]), np.float32), np.empty((n_own, 2), np.float32)
        for strata in calls:
            state = np.zeros(_kernels.state_size(4), np.int64)
            _kernels.run_strata(
                grid.index, grid.target, grid.weight, grid.group, grid.block_start, grid.first_row, grid.touched,
                grid.touched_start, grid.share, np.ones_like(grid.share), parameters.table, parameters.scalars, None,
                *own, np.array(strata), state, 0.1, 0.04, 0.01, 1.0, 0, 0.0, False, np.inf, np.zeros(16),
            )  # fmt: skip
            assert state[0] >= 4 * len(strata)
        results.append(parameters.rows)
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])


@pytest.mark.parametrize("n_threads", [2, 4])
def test_threads_run_an_epoch_together(monkeypatch, n_threads):
    """Each epoch passes only when all threads are in it."""
    barrier = threading.Barrier(n_threads)

    def wait_and_run(*arguments):
        barrier.wait(timeout=30)
        _kernels.run_strata(*arguments)

    monkeypatch.setattr("sklearn_mf._training.sgd.run_strata", wait_and_run)
    grid, parameters = set_up(n_groups=4)
    with Threads(n_threads) as threads:
        assert len(train(grid, parameters, HYPER, np.random.default_rng(1), threads)) == 5


@pytest.mark.parametrize("n_fields", [2, 20])
def test_interactions_start_small_whatever_the_number_of_columns(n_fields):
    grid = mock.Mock(row_of=[np.arange(500) + 500 * f for f in range(n_fields)], row_weights=np.ones(500 * n_fields))
    parameters = initial_parameters(grid, HYPER, np.random.default_rng(0), ONE)
    rows = [parameters.rows[500 * f : 500 * (f + 1)] for f in range(n_fields)]
    interactions = sum((rows[f] * rows[g]).sum(axis=1) for g in range(n_fields) for f in range(g))
    assert np.std(interactions) == pytest.approx(0.09 / HYPER.rank**0.5, rel=0.2)


def test_number_of_groups_changes_little():
    """The grid is an order of visits: the loss ends where a single block ends."""
    final = []
    for n_groups in (1, 4, 9):
        grid, parameters = set_up(n_groups=n_groups)
        final.append(train(grid, parameters, HYPER, np.random.default_rng(1), ONE, max_iter=20)[-1])
    assert max(final) - min(final) < 0.02 * final[0]


def test_initial_factors_do_not_depend_on_the_grid():
    drawn = []
    for n_groups in (1, 4):
        grid, _ = set_up(n_groups=n_groups)
        parameters = initial_parameters(grid, HYPER, np.random.default_rng(2), ONE)
        drawn.append(levels_in_order(grid, parameters, HYPER.rank)[0])
    for one, four in zip(*drawn, strict=True):
        np.testing.assert_array_equal(one, four)


@pytest.mark.parametrize(
    ("schedule", "steps"),
    [("linear", [1, 0.75, 0.5, 0.25]), ("constant", [1, 1, 1, 1]), ("invscaling", [t**-0.25 for t in (1, 2, 3, 4)])],
)
def test_schedule(schedule, steps):
    grid, parameters = set_up()
    watch = Steps()
    train(grid, parameters, HYPER, np.random.default_rng(1), ONE, 4, schedule, watch)
    np.testing.assert_allclose(watch.steps, 0.05 * np.array(steps))
    assert set(SCHEDULES) == {"linear", "constant", "invscaling"}


def diverging_grid():
    """Adding many times the changes of all blocks to a shared row, instead of their mean, overshoots."""
    grid, parameters = set_up(n_fields=3, n_groups=9, hyper=dataclasses.replace(HYPER, learning_rate=3.0))
    return dataclasses.replace(grid, share=np.full_like(grid.share, 2000.0)), parameters


def test_divergence_is_taken_back_and_reported_once():
    grid, parameters = diverging_grid()
    hyper = dataclasses.replace(HYPER, learning_rate=3.0)
    watch = Steps()
    with pytest.warns(
        ConvergenceWarning, match=r"diverged in epoch \d+ at a step of .* run again with a step of .* learning_rate="
    ) as warned:
        losses = train(grid, parameters, hyper, np.random.default_rng(1), ONE, 6, watch=watch)
    assert len(warned) == 1
    assert len(losses) == 6
    assert max(losses) <= 1.0
    assert parameters.are_finite()
    assert min(watch.steps) < 3.0 / 6, "the step was cut below what the schedule alone would give"


def test_an_epoch_that_starts_beyond_repair_is_pulled_toward_zero():
    grid, parameters = set_up()
    parameters.rows[:, : HYPER.rank] *= 1e6
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 1"):
        losses = train(grid, parameters, HYPER, np.random.default_rng(1), ONE)
    assert max(losses) <= 1.0
    assert parameters.are_finite()


def test_a_loss_that_can_not_be_mended_ends_in_an_error():
    grid, parameters = set_up()
    grid.target[0] = np.nan
    with pytest.raises(ValueError, match="epoch 1 is inf"):
        train(grid, parameters, HYPER, np.random.default_rng(1), ONE)
