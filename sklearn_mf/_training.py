"""Epochs, schedule and divergence: arrays and numbers, no ids and no estimator."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_mf._kernels import LANES, add_changes, update_blocks

if TYPE_CHECKING:
    from sklearn_mf._ratings import BlockGrid

_INITIAL_NORM = 0.3  # expected norm of an initial factor row of two columns, whatever the rank
_LARGEST = 1e12  # of steps and penalties: beyond, single precision overflows, and nothing is left of a row anyway
_MAX_FAILURES = 200  # in one epoch: 2**-200 of a row is zero in single precision
_EXPLODED = 1.0  # an epoch of this mean loss has diverged; the best constant has 1/2, as ratings are standardised

SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "linear": lambda epoch, max_iter: 1.0 - epoch / max_iter,
    "constant": lambda epoch, max_iter: 1.0,
    "invscaling": lambda epoch, max_iter: (epoch + 1) ** -0.25,
}


@dataclass(frozen=True)
class Hyperparameters:
    """What one training run is told; the names and meanings are the estimator's."""

    rank: int
    learning_rate: float
    schedule: str
    alpha: float
    alpha_bias: float
    damping: float
    fit_bias: bool
    max_iter: int


@dataclass
class Parameters:
    """Rows of all fields, stacked in the order of the grid and padded to the kernel's width."""

    rows: np.ndarray  # float32 (n_rows, width)
    bias: np.ndarray  # float32 (n_rows,)
    damping: np.ndarray  # float32 (n_rows,): damping / summed weight of the row's ratings

    def copy_from(self, other: Parameters) -> None:
        np.copyto(self.rows, other.rows)
        np.copyto(self.bias, other.bias)

    def halve(self) -> None:
        self.rows *= 0.5
        self.bias *= 0.5

    def are_finite(self) -> bool:
        return bool(np.isfinite(self.rows.sum(dtype=np.float64)) and np.isfinite(self.bias.sum(dtype=np.float64)))


def initial_parameters(
    grid: BlockGrid, row_weights: list[np.ndarray], hyper: Hyperparameters, rng: np.random.Generator
) -> Parameters:
    """Biases zero, factors normal; drawn level by level, so that the grid has no say in them."""
    n_rows, n_fields = sum(map(len, row_weights)), len(row_weights)
    # n (n - 1) / 2 interactions: their sum starts with the same variance whatever the number of columns.
    norm = _INITIAL_NORM * (2 / (n_fields * (n_fields - 1))) ** 0.25
    rows = _aligned_zeros(n_rows, max(LANES, -(-hyper.rank // LANES) * LANES))
    damping = np.empty(n_rows, dtype=np.float32)
    for place, weight in zip(grid.row_of, row_weights, strict=True):
        draws = rng.standard_normal((len(place), hyper.rank), dtype=np.float32)
        rows[place, : hyper.rank] = draws * np.float32(norm / max(hyper.rank, 1) ** 0.5)
        damping[place] = np.minimum(hyper.damping / weight, _LARGEST)
    return Parameters(rows, np.zeros(n_rows, dtype=np.float32), damping)


def _aligned_zeros(n_rows: int, width: int) -> np.ndarray:
    """Zeros whose rows do not straddle more cache lines than they must."""
    buffer = np.zeros(n_rows * width + 16, dtype=np.float32)
    begin = -buffer.ctypes.data % 64 // 4
    return buffer[begin : begin + n_rows * width].reshape(n_rows, width)


def train(
    grid: BlockGrid,
    parameters: Parameters,
    hyper: Hyperparameters,
    rng: np.random.Generator,
    n_threads: int = 1,
    on_epoch: Callable[[int, float, float], None] | None = None,
) -> list[float]:
    """Run ``max_iter`` epochs on ``parameters``, in place; return the mean loss that each epoch saw.

    An epoch whose loss explodes or is not finite is taken back and run again with half the step. That ends: steps and
    rows tend to zero, and with both at zero the loss is that of the best constant.
    """
    n_weights = len(grid.target) if grid.weight is None else float(grid.weight.sum(dtype=np.float64))
    before = Parameters(np.empty_like(parameters.rows), np.empty_like(parameters.bias), parameters.damping)
    losses: list[float] = []
    factor, first_failure = 1.0, None
    with _block_runner(grid, parameters, hyper, n_threads) as run_epoch:
        for epoch in range(hyper.max_iter):
            before.copy_from(parameters)
            strata = rng.permutation(grid.n_groups)
            n_failures = 0
            while True:
                step = hyper.learning_rate * factor * SCHEDULES[hyper.schedule](epoch, hyper.max_iter)
                loss = run_epoch(strata, step) / n_weights
                if loss <= _EXPLODED and parameters.are_finite():  # False for NaN
                    break
                first_failure = first_failure or (epoch + 1, step)
                factor, n_failures = factor / 2, n_failures + 1
                if n_failures > _MAX_FAILURES:
                    raise FloatingPointError(f"The loss of epoch {epoch + 1} is {loss} with all parameters at zero.")
                if n_failures > 1:
                    # Half the step did not help: the last epoch had left the rows too large already.
                    before.halve()
                parameters.copy_from(before)
            losses.append(float(loss))
            if on_epoch is not None:
                on_epoch(epoch, step, loss)
    if first_failure is not None:
        _warn_of_divergence(*first_failure, hyper.learning_rate * factor)
    return losses


def _warn_of_divergence(epoch: int, step: float, learning_rate: float) -> None:
    warnings.warn(
        f"Training diverged in epoch {epoch} at a step of {step:.3g}; the epoch was taken back and training went on "
        f"as with learning_rate={learning_rate:.3g}. Set learning_rate to that value or below.",
        ConvergenceWarning,
        stacklevel=6,
    )


@contextmanager
def _block_runner(
    grid: BlockGrid, parameters: Parameters, hyper: Hyperparameters, n_threads: int
) -> Iterator[Callable[[np.ndarray, float], float]]:
    """Give a function that runs the strata of an epoch, in the order given, and returns the summed loss."""
    n_groups = grid.n_groups
    n_threads = min(n_threads, n_groups)
    loss = np.zeros(n_groups**2)
    stratum_start = grid.touched_start[::n_groups]
    n_own = int(np.diff(stratum_start).max())
    own_rows = np.empty((n_own, parameters.rows.shape[1]), dtype=np.float32)
    own_bias, own_damping = np.empty(n_own, dtype=np.float32), np.empty(n_own, dtype=np.float32)

    def run_share(stratum: int, thread: int, step: float) -> None:
        update_blocks(
            grid.index, grid.target, grid.weight, grid.block_start, grid.first_row,
            parameters.rows, parameters.bias, parameters.damping,
            grid.touched, grid.touched_start, own_rows, own_bias, own_damping, stratum_start[stratum],
            stratum * n_groups + thread, (stratum + 1) * n_groups, n_threads,
            min(step, _LARGEST), min(hyper.alpha, _LARGEST), min(hyper.alpha_bias, _LARGEST), float(hyper.fit_bias),
            loss,
        )  # fmt: skip

    def run_epoch(strata: np.ndarray, step: float, each: Callable) -> float:
        for stratum in strata:
            # Blocks of a stratum have no user and no item in common: any order, any thread, the same bits.
            each(lambda thread, stratum=stratum: run_share(stratum, thread, step))
            start, stop = stratum_start[stratum], stratum_start[stratum + 1]
            add_changes(grid.touched, grid.share, own_rows, own_bias, start, stop, parameters.rows, parameters.bias)
        return float(loss.sum())

    if n_threads == 1:
        yield lambda strata, step: run_epoch(strata, step, lambda run: run(0))
    else:
        with ThreadPoolExecutor(n_threads) as pool:
            # list() waits for all threads and raises what one of them raised
            yield lambda strata, step: run_epoch(strata, step, lambda run: list(pool.map(run, range(n_threads))))


def levels_in_order(grid: BlockGrid, parameters: Parameters, rank: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Factors (n_levels, rank) and biases (n_levels,) per field, levels in index order, padding gone."""
    factors = [np.ascontiguousarray(parameters.rows[place, :rank]) for place in grid.row_of]
    return factors, [parameters.bias[place] for place in grid.row_of]
