"""A grid, its parameters and a descent over it, without an estimator: all that tests build of these by hand."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_mf._kernel import kernels as _kernels
from sklearn_mf._training.centers import Centers
from sklearn_mf._training.parameters import initial_parameters
from sklearn_mf._training.ratings import canonical_ratings, location_and_scale, make_grid
from sklearn_mf._training.schedules import fixed_path, follow_path
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
STANDARDIZED = Baseline(0.0, 0.5)  # of the squared loss
SIZES = [60, 50, 7]
ONE = Threads(1)


def grid_and_parameters(codes, values, weights, sizes, hyper, rng, n_groups):
    """A grid of the ratings given and initial parameters for it."""
    ratings = canonical_ratings(codes, values, weights, list(sizes), hyper.rank, rng, ONE, n_groups)
    grid = make_grid(ratings, *location_and_scale(ratings, hyper.fit_bias, ONE)[:2], ONE)
    return grid, initial_parameters(grid, hyper, rng, ONE)


def set_up(n_fields=2, n_groups=4, hyper=HYPER, n=2000):
    """A grid of random ratings, and its parameters."""
    rng = np.random.default_rng(0)
    sizes = SIZES[:n_fields]
    codes = [rng.integers(size, size=n).astype(np.int32) for size in sizes]
    return grid_and_parameters(codes, rng.normal(size=n), None, sizes, hyper, rng, n_groups)


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
    descent = Descent(grid, parameters, hyper, STANDARDIZED, rng, threads, has_centers=max_iter > 1)
    course = follow_path(descent, fixed_path(schedule, max_iter), watch or Steps())
    if descent.warning:
        warnings.warn(descent.warning, ConvergenceWarning, stacklevel=2)
    return course.losses


def make_centers(grid, parameters, hyper, threads=ONE):
    return Centers(grid, parameters, hyper, STANDARDIZED, np.random.default_rng(2), threads)


def run_strata(grid, parameters, strata, limit=np.inf):
    """Run strata of a grid of four groups through the kernel; return the state that its threads share."""
    n_own = int(np.diff(grid.touched_start[::4]).max())
    state = np.zeros(_kernels.state_size(4), np.int64)
    _kernels.run_strata(
        grid.index, grid.target, grid.weight, grid.group, grid.block_start, grid.first_row, grid.touched,
        grid.touched_start, grid.share, np.ones_like(grid.share), parameters.table, parameters.scalars, None,
        np.empty((n_own, parameters.rows.shape[1]), np.float32), np.empty((n_own, 2), np.float32), np.array(strata),
        state, 0.1, 0.04, 0.01, 1.0, 0, 0.0, False, limit, np.zeros(16),
    )  # fmt: skip
    return state
