"""What is told while a fit goes on: lines of ``verbose``, and scikit-learn's callbacks where it has them (1.9)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sklearn_mf._training.fit import Learned

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:
        """Nothing."""

    def with_callbacks(method: Callable) -> Callable:
        """The method as it is."""
        return method


class FitTasks:
    """A fit and its epochs, as callbacks see them."""

    def __init__(self, estimator: Any, max_epochs: int | None):
        self._context, self._given, self.max_epochs = None, {"estimator": estimator}, max_epochs
        if hasattr(estimator, "_init_callback_context"):
            self._context = estimator._init_callback_context(max_subtasks=max_epochs)

    def begin(self, X: Any, y: Any, sample_weight: Any) -> None:
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._given |= {"X": X, "y": y, "metadata": metadata}
        if self._context is not None:
            self._context.call_on_fit_task_begin(**self._given)

    def begin_epoch(self) -> None:
        if self._context is not None:
            self._epoch = self._context.subcontext(task_name="epoch").call_on_fit_task_begin(**self._given)

    def end_epoch(self, attributes: Callable[[], dict[str, Any]]) -> bool:
        """``attributes`` gives those of an estimator fitted so far. Return whether a callback asks to stop."""
        if self._context is None:
            return False
        return self._epoch.call_on_fit_task_end(**self._given, reconstruction_attributes=attributes)

    def end(self, attributes: Callable[[], dict[str, Any]]) -> None:
        if self._context is not None:
            self._context.call_on_fit_task_end(**self._given, reconstruction_attributes=attributes)


def loss_line(name: str, loss: float) -> str:
    """A loss seen in training, as ``verbose`` has it."""
    return f"training RMSE {(2 * loss) ** 0.5:.4f}" if name == "squared_error" else f"training loss {loss:.4f}"


class Progress:
    """Tells of each epoch; what ``fit_ratings`` takes to watch it."""

    def __init__(self, verbose: int, loss: str, tasks: FitTasks, attributes: Callable[[Learned], dict[str, Any]]):
        self._verbose, self._loss, self._tasks, self._attributes = verbose, loss, tasks, attributes
        self._of = f"/{tasks.max_epochs}" if tasks.max_epochs else ""
        self._n_epochs, self._start = 0, time.perf_counter()

    def tell(self, message: str) -> None:
        if self._verbose:
            print(message)

    def begin_epoch(self) -> None:
        self._n_epochs += 1
        self._tasks.begin_epoch()

    def end_epoch(self, step: float, loss: float, score: float | None, learned: Callable[[], Learned]) -> bool:
        if self._verbose:
            held = "" if score is None else f"  held-out {'R' if self._loss == 'squared_error' else 'D'}^2 {score:.4f}"
            seconds = time.perf_counter() - self._start
            seen = loss_line(self._loss, loss)
            print(f"Epoch {self._n_epochs}{self._of}  step {step:.4g}  {seen}{held}  {seconds:.2f} s")
        return self._tasks.end_epoch(lambda: self._attributes(learned()))
