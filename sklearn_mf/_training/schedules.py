"""How long to train: a schedule that runs to its end, or one that the held-out ratings or the training loss find.

Stopping in the middle of a falling step leaves a model that never settled. So where the end is to be found, the step
stays as it is until the score stalls; then the best epoch is taken up again with half the step, and so on until the
step is small. The epochs that led to the result, and their steps, are the schedule that a refit runs on all ratings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from sklearn_mf._training.sgd import Descent, copy_arrays

_CENTRES_MOVE = 0.75  # of the epochs; in the last ones rows settle, and centers would gain little more
_TAIL = 0.5  # of max_iter: from there on the step falls to zero, whatever the score does
_CUT = 0.5  # of the step, when the score stalls
_SMALLEST = 0.01  # of the learning rate: the score has stalled for the last time

SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "linear": lambda epoch, max_iter: 1.0 - epoch / max_iter,
    "constant": lambda epoch, max_iter: 1.0,
    "invscaling": lambda epoch, max_iter: (epoch + 1) ** -0.25,
}


@dataclass
class Course:
    """The epochs that led to the result of one training run."""

    losses: list[float] = field(default_factory=list)  # seen in training
    scores: list[float] = field(default_factory=list)  # on held-out ratings
    path: list[tuple[float, bool]] = field(default_factory=list)  # part of the learning rate, whether centers moved
    stopped: bool = False  # by the one who watched

    def take_back(self, n_epochs: int) -> None:
        """Leave the first ``n_epochs``."""
        del self.losses[n_epochs:], self.scores[n_epochs:], self.path[n_epochs:]


class Watch(Protocol):
    """Told of each epoch."""

    def begin_epoch(self) -> None: ...

    def tell(self, message: str) -> None: ...

    def end_epoch(self, step: float, losses: list[float], scores: list[float]) -> bool:
        """``losses`` and ``scores`` of the epochs that led here; return whether to stop."""


def centers_ever_move(max_iter: int) -> bool:
    """Whether a schedule of that length leaves time for it."""
    return max_iter * _CENTRES_MOVE >= 1


def fixed_path(schedule: str, max_iter: int) -> list[tuple[float, bool]]:
    """A schedule that runs to its end."""
    return [(SCHEDULES[schedule](epoch, max_iter), epoch + 1 <= _CENTRES_MOVE * max_iter) for epoch in range(max_iter)]


def follow_path(descent: Descent, path: list[tuple[float, bool]], watch: Watch) -> Course:
    """Run the epochs of ``path``."""
    course = Course()
    for factor, centers_move in path:
        _run_epoch(descent, factor, centers_move, None, watch, course)
        if course.stopped:
            break
    descent.settle(course.losses[-1])
    return course


def find_path(
    descent: Descent,
    schedule: str,
    max_iter: int,
    n_iter_no_change: int,
    tol: float,
    score: Callable[[], tuple[float, float]] | None,
    watch: Watch,
) -> Course:
    """Run epochs until the score, or without one the training loss, stalls; leave the parameters of the best."""
    course, best, best_value, n_best = Course(), None, -float("inf"), 0
    cut, n_stalled = 1.0, 0
    for epoch in range(max_iter):
        if schedule == "linear":
            factor = cut * min(1.0, (1.0 - epoch / max_iter) / _TAIL)
        else:
            factor = SCHEDULES[schedule](epoch, max_iter)
        value = _run_epoch(descent, factor, factor >= 1 - _CENTRES_MOVE, score, watch, course)
        if best is None or value > best_value + tol:
            best, best_value, n_best, n_stalled = copy_arrays(descent.state, best), value, len(course.path), 0
            if not course.stopped:
                continue
        n_stalled += 1
        if course.stopped:
            break
        if n_stalled >= n_iter_no_change:
            cut, n_stalled = cut * _CUT, 0
            copy_arrays(best, descent.state)
            course.take_back(n_best)
            watch.tell(f"No better for {n_iter_no_change} epochs: back to the best, after {n_best} that led to it")
            if schedule != "linear" or cut < _SMALLEST:
                break
    copy_arrays(best, descent.state)
    course.take_back(n_best)
    descent.settle(course.losses[-1])
    return course


def _run_epoch(
    descent: Descent,
    factor: float,
    centers_move: bool,
    score: Callable[[], tuple[float, float]] | None,
    watch: Watch,
    course: Course,
) -> float:
    """Return what to stop by: 1 - loss / loss of the best constant, held out or in training."""
    watch.begin_epoch()
    loss, step = descent.epoch(factor)
    if centers_move:
        descent.follow()
    course.losses.append(loss)
    course.path.append((factor, centers_move))
    value = 1.0 - loss / (descent.baseline.loss or 1.0)
    if score is not None:
        value, found = score()
        course.scores.append(found)
    course.stopped = watch.end_epoch(step, course.losses, course.scores)
    return value
