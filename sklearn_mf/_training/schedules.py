"""Decide how long to train: run a schedule to its end, or choose the end by held-out ratings or the training loss.

A model has not settled while the step is still large. So in a search, the step stays constant until the score stops
improving. Then training goes back to the best epoch and continues with half the step. This repeats until the step is
small. A refit on all ratings runs the epochs that led to the result, with their steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from sklearn_mf._training.hyperparameters import StoppingRule
from sklearn_mf._training.progress import EpochEnded, Mark, Message, Steps
from sklearn_mf._training.run import TrainingRun

_SHARE_WITH_MOVING_CENTERS = 0.75  # of the epochs; in the last epochs, rows settle and centers hardly improve
_EPOCHS_A_MOVE = 2  # centers change slowly, so they move only in every second epoch
_SHARE_WITH_FALLING_STEP = 0.5  # in this last part of max_iter, the step falls to zero for every score
_PLATEAU_FACTOR = 0.5  # multiplies the step when the score stops improving
_MIN_STEP_FACTOR = 0.01  # of the learning rate: the search ends when the step would be smaller

# Step of epoch t of max_iter, as a part of the learning rate.
SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "linear": lambda epoch, max_iter: 1.0 - epoch / max_iter,
    "constant": lambda epoch, max_iter: 1.0,
    "invscaling": lambda epoch, max_iter: (epoch + 1) ** -0.25,
}


class Epoch(NamedTuple):
    """Describe an epoch."""

    step_factor: float  # part of the learning rate that is the step
    centers_move: bool


@dataclass
class TrainingHistory:
    """Hold the epochs that led to the result of one training run."""

    losses: list[float] = field(default_factory=list)  # on training ratings, during the epoch
    scores: list[float] = field(default_factory=list)  # on held-out ratings
    epochs: list[Epoch] = field(default_factory=list)
    stopped: bool = False  # by the callback

    def truncate(self, n_epochs: int) -> None:
        """Keep only the first ``n_epochs``."""
        del self.losses[n_epochs:], self.scores[n_epochs:], self.epochs[n_epochs:]


def centers_ever_move(max_iter: int) -> bool:
    """Return whether a schedule of this length is long enough for centers to move."""
    return max_iter * _SHARE_WITH_MOVING_CENTERS >= 1


def fixed_epochs(schedule: str, max_iter: int) -> list[Epoch]:
    """Return the epochs of a schedule that runs to its end."""
    step_factor = SCHEDULES[schedule]
    return [
        Epoch(
            step_factor(epoch, max_iter),
            epoch % _EPOCHS_A_MOVE == 0 and epoch + 1 <= _SHARE_WITH_MOVING_CENTERS * max_iter,
        )
        for epoch in range(max_iter)
    ]


def run_schedule(run: TrainingRun, epochs: list[Epoch]) -> Steps[TrainingHistory]:
    """Run the given epochs."""
    history = TrainingHistory()
    for epoch in epochs:
        yield from _run_epoch(run, epoch, None, history)
        if history.stopped:
            break
    run.solver.shrink_to_baseline(history.losses[-1])
    return history


def search_schedule(
    run: TrainingRun, stopping: StoppingRule, score: Callable[[], tuple[float, float]] | None
) -> Steps[TrainingHistory]:
    """Run epochs until the score stops improving; keep the best parameters. ``score=None`` uses the training loss."""
    solver, max_iter, n_patient = run.solver, stopping.max_iter, stopping.n_iter_no_change
    history, best_value, n_best = TrainingHistory(), -float("inf"), 0
    plateau_factor, n_stalled = 1.0, 0
    for t in range(max_iter):
        if stopping.schedule == "linear":
            factor = plateau_factor * min(1.0, (1.0 - t / max_iter) / _SHARE_WITH_FALLING_STEP)
        else:
            factor = SCHEDULES[stopping.schedule](t, max_iter)
        epoch = Epoch(factor, t % _EPOCHS_A_MOVE == 0 and factor >= 1 - _SHARE_WITH_MOVING_CENTERS)
        value = yield from _run_epoch(run, epoch, score, history)
        if t == 0 or value > best_value + (stopping.tol or 0.0):
            solver.keep_state()
            best_value, n_best, n_stalled = value, len(history.epochs), 0
            if not history.stopped:
                continue
        n_stalled += 1
        if history.stopped:
            break
        if n_stalled >= n_patient:
            plateau_factor, n_stalled = plateau_factor * _PLATEAU_FACTOR, 0
            solver.take_up_kept_state()
            history.truncate(n_best)
            yield Message(f"No better for {n_patient} epochs: back to the best model, after {n_best} epochs")
            if stopping.schedule != "linear" or plateau_factor < _MIN_STEP_FACTOR:
                break
    solver.take_up_kept_state()
    history.truncate(n_best)
    solver.shrink_to_baseline(history.losses[-1])
    return history


def _run_epoch(
    run: TrainingRun, epoch: Epoch, score: Callable[[], tuple[float, float]] | None, history: TrainingHistory
) -> Steps[float]:
    """Run one epoch; return the value that decides when to stop."""
    yield Mark.EPOCH_BEGINS
    found = run.epoch(epoch.step_factor, epoch.centers_move, score)
    history.losses.append(found.loss)
    history.epochs.append(epoch)
    if found.score is not None:
        history.scores.append(found.score)
    history.stopped = yield EpochEnded(
        found.step, found.loss * run.loss_unit, found.score, lambda: run.learned(history.losses, history.scores)
    )
    return found.value
