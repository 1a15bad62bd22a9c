"""A grid, its parameters and a descent over it, without an estimator: all that tests build of these by hand."""

import dataclasses
import warnings
from functools import partial
from types import SimpleNamespace

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn_mf._kernel.sgd import SGDKernel, UpdateRule

from sklearn_mf._training.centers import Centers
from sklearn_mf._training.grid import make_grid
from sklearn_mf._training.hyperparameters import Damping, Hyperparameters
from sklearn_mf._training.losses import Baseline
from sklearn_mf._training.parameters import initial_parameters
from sklearn_mf._training.progress import Callback
from sklearn_mf._training.ratings import CodedRatings, canonical_ratings
from sklearn_mf._training.run import TrainingRun
from sklearn_mf._training.scaling import TargetScale, mean_scale_and_range
from sklearn_mf._training.schedules import fixed_epochs, run_schedule
from sklearn_mf._training.sgd import SGDSolver
from sklearn_mf._training.shard import Shard
from sklearn_mf._training.tape import Tape
from sklearn_mf._utils.threads import Threads

HYPER = Hyperparameters(
    rank=4,
    learning_rate=0.05,
    alpha=0.04,
    alpha_bias=0.01,
    damping=Damping.of_sides(4.0, 4.0),
    implicit_features=None,
    alpha_implicit=25.0,
    fit_bias=True,
)
STANDARDIZED = Baseline(0.0, 0.5)  # of the squared loss
SIZES = [60, 50, 7]
ONE = Shard(Threads(1))


def grid_and_parameters(codes, values, weights, sizes, hyper, rng, n_groups):
    """A grid of the ratings given and initial parameters for it."""
    coded = CodedRatings(codes, values, weights, list(sizes))
    ratings = canonical_ratings(coded, hyper.rank, rng, ONE, n_groups)
    location, scale, _ = mean_scale_and_range(ratings, hyper.fit_bias, ONE)
    grid = make_grid(ratings, TargetScale(location, scale), ONE, hyper.learning_rate)
    return grid, initial_parameters(grid, hyper, rng, ONE)


def set_up(n_fields=2, n_groups=4, hyper=HYPER, n=2000):
    """A grid of random ratings, and its parameters."""
    rng = np.random.default_rng(0)
    sizes = SIZES[:n_fields]
    codes = [rng.integers(size, size=n).astype(np.int32) for size in sizes]
    return grid_and_parameters(codes, rng.normal(size=n), None, sizes, hyper, rng, n_groups)


class Steps(Callback):
    """Record the steps of a run."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def end_epoch(self, step, *told):
        self.steps.append(step)
        return False


def train(grid, parameters, hyper, rng, shard, max_iter=5, schedule="linear", callback=None):
    """Run a schedule to its end; return the losses seen, and warn as a fit does."""
    solver = SGDSolver(grid, parameters, hyper, STANDARDIZED, rng, shard, learn_centers=max_iter > 1)
    run = SimpleNamespace(solver=solver, loss_unit=1.0, _tape=Tape())
    run.epoch = partial(TrainingRun.epoch, run)
    history = (callback or Steps()).drive(run_schedule(run, fixed_epochs(schedule, max_iter)))
    if solver.warning:
        warnings.warn(solver.warning, ConvergenceWarning, stacklevel=2)
    return history.losses


def make_centers(grid, parameters, hyper, shard=ONE):
    return Centers(grid, parameters, hyper, (1.0, 1.0), np.random.default_rng(2), shard)


def make_kernel(grid, parameters):
    """A kernel for the squared loss, whose context rows take whole steps."""
    rule = UpdateRule(0.04, 0.01, True, 0, 0.0, 0.0, False, [(4.0, 4.0)] * 3)
    whole_steps = np.ones_like(grid.context_merge_weight)
    return SGDKernel(dataclasses.replace(grid, context_step_factor=whole_steps), parameters, rule)


def run_strata(grid, parameters, strata, limit=np.inf):
    """Run strata through the kernel; return what its threads share."""
    kernel = make_kernel(grid, parameters)
    sync_state = kernel.new_sync_state()
    kernel.run(np.array(strata), 0.1, limit, sync_state)
    return sync_state
