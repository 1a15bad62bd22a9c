import dataclasses
import threading
from unittest import mock

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sklearn_mf import _kernels
from sklearn_mf._ratings import canonical_ratings, make_grid
from sklearn_mf._training import SCHEDULES, Hyperparameters, initial_parameters, levels_in_order, train

HYPER = Hyperparameters(
    rank=4,
    learning_rate=0.05,
    schedule="linear",
    alpha=0.04,
    alpha_bias=0.01,
    damping=4.0,
    fit_bias=True,
    max_iter=5,
)
SIZES = [60, 50, 7]


def set_up(n_fields=2, n_groups=4, hyper=HYPER, n=2000):
    rng = np.random.default_rng(0)
    sizes = SIZES[:n_fields]
    indices = np.stack([rng.integers(size, size=n) for size in sizes], axis=1).astype(np.int32)
    values = rng.normal(size=n)
    ratings = canonical_ratings(indices, values, None)
    grid = make_grid(ratings, ratings.values / ratings.values.std(), sizes, hyper.rank, rng, n_groups)
    row_weights = [np.bincount(ratings.indices[:, f], minlength=size) for f, size in enumerate(sizes)]
    return grid, initial_parameters(grid, row_weights, hyper, rng)


@pytest.mark.parametrize("n_fields", [2, 3])
@pytest.mark.parametrize("n_groups", [4, 9])
@pytest.mark.parametrize("n_threads", [2, 3, 8])
def test_threads_change_nothing(n_fields, n_groups, n_threads):
    """On a grid of four groups or more, forced on small data."""
    grid, parameters = set_up(n_fields, n_groups)
    rows, bias = parameters.rows.copy(), parameters.bias.copy()
    losses = train(grid, parameters, HYPER, np.random.default_rng(1))
    one_thread = parameters.rows.copy(), parameters.bias.copy()
    parameters.rows[:], parameters.bias[:] = rows, bias
    assert train(grid, parameters, HYPER, np.random.default_rng(1), n_threads) == losses
    np.testing.assert_array_equal(parameters.rows, one_thread[0])
    np.testing.assert_array_equal(parameters.bias, one_thread[1])


@pytest.mark.parametrize("n_threads", [2, 4])
def test_blocks_of_a_stratum_run_at_the_same_time(monkeypatch, n_threads):
    """Each stratum passes only when all threads are in it together."""
    barrier = threading.Barrier(n_threads)

    def wait_and_update(*arguments):
        barrier.wait(timeout=30)
        _kernels.update_blocks(*arguments)

    monkeypatch.setattr("sklearn_mf._training.update_blocks", wait_and_update)
    grid, parameters = set_up(n_groups=4)
    assert len(train(grid, parameters, HYPER, np.random.default_rng(1), n_threads)) == 5


@pytest.mark.parametrize("n_fields", [2, 20])
def test_interactions_start_small_whatever_the_number_of_columns(n_fields):
    grid = mock.Mock(row_of=[np.arange(500) + 500 * f for f in range(n_fields)])
    parameters = initial_parameters(grid, [np.ones(500)] * n_fields, HYPER, np.random.default_rng(0))
    rows = [parameters.rows[500 * f : 500 * (f + 1)] for f in range(n_fields)]
    interactions = sum((rows[f] * rows[g]).sum(axis=1) for g in range(n_fields) for f in range(g))
    assert np.std(interactions) == pytest.approx(0.09 / HYPER.rank**0.5, rel=0.2)


def test_number_of_groups_changes_little():
    """The grid is an order of visits: the loss ends where a single block ends."""
    final = []
    for n_groups in (1, 4, 9):
        grid, parameters = set_up(n_groups=n_groups)
        final.append(train(grid, parameters, dataclasses.replace(HYPER, max_iter=20), np.random.default_rng(1))[-1])
    assert max(final) - min(final) < 0.02 * final[0]


def test_initial_factors_do_not_depend_on_the_grid():
    drawn = []
    for n_groups in (1, 4):
        grid, _ = set_up(n_groups=n_groups)
        row_weights = [np.ones(size) for size in SIZES[:2]]
        parameters = initial_parameters(grid, row_weights, HYPER, np.random.default_rng(2))
        drawn.append(levels_in_order(grid, parameters, HYPER.rank)[0])
    for one, four in zip(*drawn, strict=True):
        np.testing.assert_array_equal(one, four)


@pytest.mark.parametrize(
    ("schedule", "steps"),
    [("linear", [1, 0.75, 0.5, 0.25]), ("constant", [1, 1, 1, 1]), ("invscaling", [t**-0.25 for t in (1, 2, 3, 4)])],
)
def test_schedule(schedule, steps):
    hyper = dataclasses.replace(HYPER, schedule=schedule, max_iter=4)
    grid, parameters = set_up(hyper=hyper)
    seen = []
    train(grid, parameters, hyper, np.random.default_rng(1), on_epoch=lambda epoch, step, loss: seen.append(step))
    np.testing.assert_allclose(seen, 0.05 * np.array(steps))
    assert set(SCHEDULES) == {"linear", "constant", "invscaling"}


def diverging_grid():
    """Adding the changes of all blocks to a shared row, instead of their mean, overshoots by the number of blocks."""
    grid, parameters = set_up(n_fields=3, n_groups=9, hyper=dataclasses.replace(HYPER, learning_rate=3.0))
    return dataclasses.replace(grid, share=np.full_like(grid.share, 9.0)), parameters


def test_divergence_is_taken_back_and_reported_once():
    grid, parameters = diverging_grid()
    hyper = dataclasses.replace(HYPER, learning_rate=3.0, max_iter=6)
    steps = []
    with pytest.warns(ConvergenceWarning, match=r"diverged in epoch \d+ at a step of .* learning_rate=") as warned:
        losses = train(
            grid, parameters, hyper, np.random.default_rng(1), on_epoch=lambda epoch, step, loss: steps.append(step)
        )
    assert len(warned) == 1
    assert len(losses) == 6
    assert max(losses) <= 1.0
    assert parameters.are_finite()
    assert min(steps) < 3.0 / 6, "the step was cut below what the schedule alone would give"


def test_an_epoch_that_starts_beyond_repair_is_pulled_towards_zero():
    grid, parameters = set_up()
    parameters.rows[:, : HYPER.rank] *= 1e6
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 1"):
        losses = train(grid, parameters, HYPER, np.random.default_rng(1))
    assert max(losses) <= 1.0
    assert parameters.are_finite()


def test_a_loss_that_can_not_be_mended_ends_in_an_error():
    grid, parameters = set_up()
    grid.target[0] = np.nan
    with pytest.raises(FloatingPointError, match="epoch 1 is nan"):
        train(grid, parameters, HYPER, np.random.default_rng(1))
