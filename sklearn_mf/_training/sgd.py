"""One epoch after another, and what is done when one diverges: arrays and numbers, no ids and no estimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sklearn_mf._kernel.kernels import run_strata, state_size
from sklearn_mf._training.centers import Centers
from sklearn_mf._training.losses import Loss
from sklearn_mf._training.parameters import LARGEST, Parameters
from sklearn_mf._utils.threads import Threads

if TYPE_CHECKING:
    from sklearn_mf._training.ratings import BlockGrid

_MOST_HALVED = 50  # at the end: then nothing but the constant is left
_MAX_FAILURES = 200  # in one epoch: 2**-200 of a row is zero in single precision
_CONTEXT_DAMPING = 5.0  # relative to that of users and items
_LONGEST_WAY = 2.0  # of a context in an epoch: its visits times the step of each
_SUSPICIOUS = 0.9  # of the best constant's loss: above, the loss at the end is measured
_TOO_HIGH = 1.004  # of the best constant's loss, at the end
_FAR_TOO_HIGH = 1.1  # the same: worth a warning


@dataclass(frozen=True)
class Hyperparameters:
    """What one training run is told; the names and meanings are the estimator's."""

    rank: int
    learning_rate: float
    alpha: float
    alpha_bias: float
    damping: float
    implicit_features: str | None
    alpha_implicit: float
    fit_bias: bool
    loss: Loss = Loss()  # noqa: RUF009, it is frozen
    positive: bool = False

    def damping_of(self, field: int) -> float:
        """A context has to show itself in more ratings than a user or an item."""
        return self.damping * (1.0 if field < 2 else _CONTEXT_DAMPING)

    @property
    def identity(self) -> tuple:
        """What cannot change in a model that is gone on from."""
        return self.rank, self.fit_bias, self.positive, self.implicit_features, self.loss.identity


@dataclass(frozen=True)
class Baseline:
    """The best constant, as the model starts from it."""

    intercept: float  # on the scale of the loss: 0 where targets are centerd
    loss: float  # its mean loss
    curvature: float = 1.0  # of the loss, about: steps are divided by it


class Descent:
    """Runs epochs on ``parameters``, in place; the result is the same for any number of ``threads``.

    An epoch whose loss explodes or is not finite is taken back and run again with half the step. That ends: steps and
    rows tend to zero, and with both at zero the loss is that of the best constant.
    """

    def __init__(
        self,
        grid: BlockGrid,
        parameters: Parameters,
        hyper: Hyperparameters,
        baseline: Baseline,
        rng: np.random.Generator,
        threads: Threads,
        has_centers: bool = True,
    ):
        self.grid, self.parameters, self.hyper, self.baseline = grid, parameters, hyper, baseline
        self._rng, self._threads = rng, threads
        self._n_weights = len(grid.target) if grid.weight is None else float(grid.weight.sum(dtype=np.float64))
        if not self._n_weights > 0:
            raise ValueError("The weights are too small for single precision, relative to the first. Rescale them.")
        self._before = Parameters(np.empty(parameters.rows.shape, np.float32), np.empty_like(parameters.scalars), None)
        self.centers = None
        if hyper.implicit_features is not None and has_centers:
            self.centers = Centers(grid, parameters, hyper, baseline, rng, threads)
        n_own = int(np.diff(grid.touched_start[:: grid.n_groups]).max())
        self._own_rows = np.empty((n_own, parameters.rows.shape[1]), dtype=np.float32)
        self._own_scalars = np.empty((n_own, 2), dtype=np.float32)
        self._pace = pace_of_contexts(grid, hyper.learning_rate)
        self._losses = np.zeros(grid.n_groups**2)
        self._exploded = baseline.loss + max(baseline.loss, 0.5)  # 1 for the squared loss
        self._cut = 1.0
        self._failures: list[tuple[int, float, float]] = []
        self._n_epochs, self._was_far_above = 0, False

    def epoch(self, factor: float) -> tuple[float, float]:
        """Visit all ratings once with a step of ``factor`` learning rates.

        Return the mean loss seen, each rating's as it was when the rating was visited, and the step.
        """
        parameters, before = self.parameters, self._before
        before.copy_from(parameters, self._threads)
        strata = self._rng.permutation(self.grid.n_groups).astype(np.int64)
        self._n_epochs += 1
        n_failures = 0
        while True:
            step = self.hyper.learning_rate * self._cut * factor
            loss = self._run(strata, step / self.baseline.curvature, self._exploded, parameters.ties)
            if loss <= self._exploded and parameters.are_finite():  # False for NaN
                break
            self._cut, n_failures = self._cut / 2, n_failures + 1
            if n_failures > _MAX_FAILURES:
                raise ValueError(
                    f"The loss of epoch {self._n_epochs} is {loss} with all parameters at zero: ratings or weights are "
                    "beyond single precision, or far from those that the model began with. Rescale them."
                )
            if n_failures > 1:
                # Half the step did not help: the last epoch had left the rows too large already.
                before.halve()
                if self.centers is not None:
                    self.centers.reset()
            parameters.copy_from(before, self._threads)
        if n_failures:
            self._failures.append((self._n_epochs, step * 2.0**n_failures, step))
        return loss, step

    def follow(self) -> None:
        """Move the centers toward the rows as they are now."""
        if self.centers is not None:
            self.centers.follow()

    def settle(self, last_loss: float) -> None:
        """Make sure that what was learned is no worse on the ratings than the best constant."""
        if last_loss <= _SUSPICIOUS * self.baseline.loss:
            return
        if self.baseline.loss == 0.0:  # all ratings are the same
            self.parameters.clear()
            return
        for n_halved in range(_MOST_HALVED):
            loss = self._loss_at_rest()
            if loss <= _TOO_HIGH * self.baseline.loss:
                return
            if n_halved == 0:  # a little above is what few epochs or few ratings leave
                self._was_far_above = not loss <= _FAR_TOO_HIGH * self.baseline.loss
            self.parameters.halve()
        self.parameters.clear()

    @property
    def state(self) -> list[np.ndarray]:
        """All arrays that training changes."""
        parameters = self.parameters
        ties = [] if parameters.ties is None else [parameters.ties]
        return [parameters.table, parameters.scalars, *ties, *([] if self.centers is None else self.centers.state)]

    @property
    def warning(self) -> str | None:
        """What a user has to know of how it went."""
        if self._failures:
            epoch, failed, used = self._failures[0]
            return (
                f"Training diverged in epoch {epoch} at a step of {failed:.3g}; the epoch was taken back and run again "
                f"with a step of {used:.3g}, and the rest as with "
                f"learning_rate={self.hyper.learning_rate * self._cut:.3g}. Set learning_rate to that value or below."
            )
        if self._was_far_above:
            return (
                "Training ended with a loss above that of the best constant: "
                f"learning_rate={self.hyper.learning_rate:.3g} is too high for these ratings, or max_iter too low. "
                "Factors and biases were halved until it was not."
            )
        return None

    def _loss_at_rest(self) -> float:
        """Mean loss of the ratings, none of them changing anything."""
        ties = None if self.parameters.ties is None else np.zeros_like(self.parameters.ties)
        return self._run(np.arange(self.grid.n_groups, dtype=np.int64), 0.0, np.inf, ties)

    def _run(self, strata: np.ndarray, step: float, limit: float, ties: np.ndarray | None) -> float:
        """Run the strata of an epoch, in the order given; return the mean loss, infinite where it exploded."""
        grid, hyper, parameters = self.grid, self.hyper, self.parameters
        state = np.zeros(state_size(grid.n_groups), dtype=np.int64)  # shared by the threads of this epoch
        limit_of_block = limit * self._n_weights  # no block has less than zero, so one above it is enough

        def share_of_epoch(_: int) -> None:
            run_strata(
                grid.index, grid.target, grid.weight, grid.group, grid.block_start, grid.first_row,
                grid.touched, grid.touched_start, grid.share, self._pace, parameters.table, parameters.scalars, ties,
                self._own_rows, self._own_scalars, strata, state,
                min(step, LARGEST), min(hyper.alpha, LARGEST), min(hyper.alpha_bias, LARGEST), float(hyper.fit_bias),
                hyper.loss.code, hyper.loss.parameter(self.baseline.intercept), hyper.positive, limit_of_block,
                self._losses,
            )  # fmt: skip

        self._threads.map(share_of_epoch, range(min(self._threads.n, grid.n_groups)))
        if not self._losses.max() <= limit_of_block:
            return np.inf
        return float(self._losses.sum()) / self._n_weights


def pace_of_contexts(grid: BlockGrid, learning_rate: float) -> np.ndarray:
    """Part of each step that rows of further fields take, float32, as ``grid.touched``.

    Far more ratings visit a context than a user or an item, and with whole steps it would follow the last of them. An
    epoch moves it by the mean of what ``n_groups`` blocks make of it, as ``row_weights / n_groups`` visits would.
    """
    visits = np.maximum(grid.row_weights[grid.touched] / grid.n_groups, 1e-300)
    return np.minimum(_LONGEST_WAY / (visits * learning_rate), 1.0).astype(np.float32)


def copy_arrays(arrays: list[np.ndarray], into: list[np.ndarray] | None = None) -> list[np.ndarray]:
    """Copies, in ``into`` where it is given."""
    if into is None:
        return [array.copy() for array in arrays]
    for target, array in zip(into, arrays, strict=True):
        np.copyto(target, array)
    return into
