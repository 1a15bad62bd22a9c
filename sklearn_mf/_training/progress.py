"""Report the progress of a fit: print lines (``verbose``), and call scikit-learn's callbacks (from 1.9 on)."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeVar

from sklearn_mf._training.losses import Loss, SquaredError

Attributes = Callable[[Any], dict[str, Any]]
Result = TypeVar("Result")


class Mark(Enum):
    """Signal that an epoch begins, or that an epoch of a trial fit, which only chooses penalties, has ended."""

    EPOCH_BEGINS = "epoch begins"
    TRIAL_EPOCH_ENDED = "trial epoch ended"


@dataclass(frozen=True)
class Message:
    """Send a message between epochs."""

    text: str


@dataclass(frozen=True)
class EpochEnded:
    """Describe the result of an epoch."""

    step: float
    loss: float  # on the scale of y
    score: float | None  # on held-out ratings
    learned: Callable[[], Any] | None  # returns the model so far, if available

    def without_model(self) -> EpochEnded:
        """Return the numbers alone."""
        return replace(self, learned=None)


Event = Mark | Message | EpochEnded
Steps = Generator[Event, bool, Result]  # a fit; after each epoch it receives whether to stop


class Callback:
    """Report a fit and its epochs. Without an estimator it reports nothing and never stops a fit.

    The caller sets ``attributes``, a function that turns learned values into attributes of an estimator, for callbacks.

    Parameters
    ----------
    estimator : estimator or None
        Its ``verbose`` and its callbacks say which reports are wanted.

    loss : Loss or None
        Loss of the fit; its units are used in reports. None means the squared error.

    max_epochs : int or None
        The number of epochs, if it is known.

    epoch_name : str, default="Epoch"
        The name of an epoch for ``verbose``.
    """

    def __init__(
        self,
        estimator: Any = None,
        loss: Loss | None = None,
        max_epochs: int | None = None,
        epoch_name: str = "Epoch",
    ):
        self._estimator, self._loss, self._max_epochs = estimator, loss or SquaredError(), max_epochs
        self._epoch_name = epoch_name
        self._verbose = 0 if estimator is None else estimator.verbose
        self._n_epochs, self._start = 0, time.perf_counter()
        self._fit_context = self._epoch_context = None
        self._given: dict[str, Any] = {}
        self.attributes: Attributes = lambda learned: {}
        if self.may_stop and hasattr(estimator, "_init_callback_context"):
            self._fit_context = estimator._init_callback_context(max_subtasks=max_epochs)

    @property
    def may_stop(self) -> bool:
        """Whether the estimator has callbacks, which could stop the fit."""
        return bool(getattr(self._estimator, "_skl_callbacks", None))

    def begin_fit(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Report that a fit begins."""
        self._start = time.perf_counter()
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._given = {"estimator": self._estimator, "X": X, "y": y, "metadata": metadata}
        if self._fit_context is not None:
            self._fit_context.call_on_fit_task_begin(**self._given)

    def begin_epoch(self) -> None:
        """Report that an epoch begins."""
        self._n_epochs += 1
        if self._fit_context is not None:
            self._epoch_context = self._fit_context.subcontext(task_name="epoch")
            self._epoch_context = self._epoch_context.call_on_fit_task_begin(**self._given)

    def drive(self, steps: Steps[Result]) -> Result:
        """Run a fit to its end and report its events; return its result."""
        try:
            event = next(steps)
            while True:
                event = steps.send(self.take(event))
        except StopIteration as end:
            return end.value

    def take(self, event: Event) -> bool:
        """Report an event; return whether a callback asks to stop."""
        if event is Mark.EPOCH_BEGINS:
            self.begin_epoch()
        elif isinstance(event, Message):
            self.tell(event.text)
        elif isinstance(event, EpochEnded):
            return self.end_epoch(event.step, event.loss, event.score, event.learned)
        return False

    def end_epoch(self, step: float, loss: float, score: float | None, learned: Callable[[], Any]) -> bool:
        """Report an epoch, with the loss on the scale of y; return whether a callback asks to stop."""
        held_out = "" if score is None else f"  held-out {self._loss.score_name} {score:.4f}"
        return self.end_round(lambda: f"step {step:.4g}  {self._loss.training_line(loss)}{held_out}", learned)

    def end_round(self, describe: Callable[[], str], learned: Callable[[], Any]) -> bool:
        """Report an epoch by the text of ``describe``; return whether a callback asks to stop."""
        if self._verbose:
            total = f"/{self._max_epochs}" if self._max_epochs else ""
            seconds = time.perf_counter() - self._start
            print(f"{self._epoch_name} {self._n_epochs}{total}  {describe()}  {seconds:.2f} s")
        if self._fit_context is None:
            return False
        return self._epoch_context.call_on_fit_task_end(
            **self._given, reconstruction_attributes=lambda: self.attributes(learned())
        )

    def end_fit(self, learned: Any) -> None:
        """Report that the fit ends."""
        if self._fit_context is not None:
            self._fit_context.call_on_fit_task_end(
                **self._given, reconstruction_attributes=lambda: self.attributes(learned)
            )

    def tell(self, message: str) -> None:
        """Print a message between epochs, if ``verbose``."""
        if self._verbose:
            print(message)
