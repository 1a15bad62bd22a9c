"""Epochs, schedule and divergence: arrays and numbers, no ids and no estimator."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_mf._implicit import Centres
from sklearn_mf._kernels import LANES, run_strata, state_size
from sklearn_mf._threads import Threads, chunks

if TYPE_CHECKING:
    from sklearn_mf._ratings import BlockGrid

_CHUNK = 2**14  # rows a task
_INITIAL_NORM = 0.3  # expected norm of an initial factor row of two columns, whatever the rank
_LARGEST = 1e12  # of steps and penalties: beyond, single precision overflows, and nothing is left of a row anyway
_MAX_FAILURES = 200  # in one epoch: 2**-200 of a row is zero in single precision
_CENTRES_MOVE = 0.75  # of the epochs; in the last ones rows settle, and centres would gain little more
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
    implicit_features: str | None
    alpha_implicit: float
    fit_bias: bool
    max_iter: int


@dataclass
class Parameters:
    """Rows of all fields, stacked in the order of the grid and padded to the kernel's width."""

    table: np.ndarray  # float32 (n_rows, width); with ties (n_rows, 2 * width), what a row shrinks to behind it
    scalars: np.ndarray  # float32 (n_rows, 2): bias; damping / summed weight of the row's ratings
    ties: np.ndarray | None  # float32 (users and items, LANES), of implicit features

    @property
    def rows(self) -> np.ndarray:
        """Factors, float32 (n_rows, width): a view."""
        return self.table if self.ties is None else self.table[:, : self.table.shape[1] // 2]

    @property
    def centres(self) -> np.ndarray:
        """With ties, what factors shrink to, float32 (n_rows, width): a view."""
        return self.table[:, self.table.shape[1] // 2 :]

    @property
    def bias(self) -> np.ndarray:
        """Biases, float32 (n_rows,): a view."""
        return self.scalars[:, 0]

    def copy_from(self, other: Parameters, threads: Threads) -> None:
        def copy_part(piece: tuple[int, int]) -> None:
            part = slice(*piece)
            np.copyto(self.rows[part], other.rows[part])
            np.copyto(self.scalars[part], other.scalars[part])

        threads.map(copy_part, chunks(len(self.rows), _CHUNK))

    def halve(self) -> None:
        np.multiply(self.rows, 0.5, out=self.rows)
        self.scalars[:, 0] *= 0.5

    def are_finite(self) -> bool:
        return bool(np.isfinite(self.rows.sum(dtype=np.float64)) and np.isfinite(self.bias.sum(dtype=np.float64)))


def initial_parameters(
    grid: BlockGrid, hyper: Hyperparameters, rng: np.random.Generator, threads: Threads
) -> Parameters:
    """Biases zero, factors normal; drawn level by level, so that the grid has no say in them."""
    n_rows, n_fields, rank = len(grid.row_weights), len(grid.row_of), hyper.rank
    # n (n - 1) / 2 interactions: their sum starts with the same variance whatever the number of columns.
    norm = _INITIAL_NORM * (2 / (n_fields * (n_fields - 1))) ** 0.25
    width, ties = max(LANES, -(-rank // LANES) * LANES), None
    if hyper.implicit_features is not None:
        width, ties = 2 * width, np.zeros((len(grid.row_of[0]) + len(grid.row_of[1]), LANES), dtype=np.float32)
    parameters = Parameters(_aligned_zeros(n_rows, width), np.zeros((n_rows, 2), dtype=np.float32), ties)
    with np.errstate(over="ignore"):
        parameters.scalars[:, 1] = np.minimum(hyper.damping / grid.row_weights, _LARGEST)

    def draw(task: tuple[np.ndarray, int]) -> None:
        place, seed = task
        draws = np.random.default_rng(seed).standard_normal((len(place), rank), dtype=np.float32)
        parameters.table[place, :rank] = draws * np.float32(norm / rank**0.5)

    if rank:
        parts = [place[slice(*piece)] for place in grid.row_of for piece in chunks(len(place), _CHUNK)]
        threads.map(draw, zip(parts, rng.integers(2**63, size=len(parts)).tolist(), strict=True))
    return parameters


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
    threads: Threads,
    on_epoch: Callable[[int, float, float], None] | None = None,
) -> list[float]:
    """Run ``max_iter`` epochs on ``parameters``, in place; return the mean loss that each epoch saw.

    The result is the same for any number of ``threads``.

    An epoch whose loss explodes or is not finite is taken back and run again with half the step. That ends: steps and
    rows tend to zero, and with both at zero the loss is that of the best constant.
    """
    n_weights = len(grid.target) if grid.weight is None else float(grid.weight.sum(dtype=np.float64))
    before = Parameters(np.empty(parameters.rows.shape, np.float32), np.empty_like(parameters.scalars), None)
    centres = None
    if hyper.implicit_features is not None and _CENTRES_MOVE * hyper.max_iter >= 1:
        centres = Centres(grid, parameters, hyper, rng, threads)
    run_epoch = _epoch_runner(grid, parameters, hyper, threads)
    losses: list[float] = []
    factor, first_failure = 1.0, None
    for epoch in range(hyper.max_iter):
        before.copy_from(parameters, threads)
        strata = rng.permutation(grid.n_groups).astype(np.int64)
        n_failures = 0
        while True:
            step = hyper.learning_rate * factor * SCHEDULES[hyper.schedule](epoch, hyper.max_iter)
            loss = run_epoch(strata, step) / n_weights
            if loss <= _EXPLODED and (epoch + 1 < hyper.max_iter or parameters.are_finite()):  # False for NaN
                break
            first_failure = first_failure or (epoch + 1, step)
            factor, n_failures = factor / 2, n_failures + 1
            if n_failures > _MAX_FAILURES:
                raise FloatingPointError(f"The loss of epoch {epoch + 1} is {loss} with all parameters at zero.")
            if n_failures > 1:
                # Half the step did not help: the last epoch had left the rows too large already.
                before.halve()
                if centres is not None:
                    centres.reset()
            parameters.copy_from(before, threads)
        losses.append(float(loss))
        if centres is not None and epoch + 1 <= _CENTRES_MOVE * hyper.max_iter:
            centres.follow()
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


def _epoch_runner(
    grid: BlockGrid, parameters: Parameters, hyper: Hyperparameters, threads: Threads
) -> Callable[[np.ndarray, float], float]:
    """Give a function that runs the strata of an epoch, in the order given, and returns the summed loss."""
    loss = np.zeros(grid.n_groups**2)
    n_own = int(np.diff(grid.touched_start[:: grid.n_groups]).max())
    own_rows = np.empty((n_own, parameters.rows.shape[1]), dtype=np.float32)
    own_scalars = np.empty((n_own, 2), dtype=np.float32)

    def run_epoch(strata: np.ndarray, step: float) -> float:
        state = np.zeros(state_size(grid.n_groups), dtype=np.int64)  # shared by the threads of this epoch

        def share_of_epoch(_: int) -> None:
            run_strata(
                grid.index, grid.target, grid.weight, grid.group, grid.block_start, grid.first_row,
                grid.touched, grid.touched_start, grid.share, parameters.table, parameters.scalars, parameters.ties,
                own_rows, own_scalars, strata, state,
                min(step, _LARGEST), min(hyper.alpha, _LARGEST), min(hyper.alpha_bias, _LARGEST),
                float(hyper.fit_bias), loss,
            )  # fmt: skip

        threads.map(share_of_epoch, range(min(threads.n, grid.n_groups)))
        return float(loss.sum())

    return run_epoch


def levels_in_order(grid: BlockGrid, parameters: Parameters, rank: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Factors (n_levels, rank) and biases (n_levels,) per field, levels in index order, padding gone."""
    factors = [np.ascontiguousarray(parameters.rows[place, :rank]) for place in grid.row_of]
    return factors, [parameters.bias[place] for place in grid.row_of]
