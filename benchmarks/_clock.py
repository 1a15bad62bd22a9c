"""Seconds of a fit and of its training loop, by nothing but the public interface."""

import contextlib
import io
import os
import statistics
import time

# Set to 1, also for processes that are started: processor time of the process, for fits on one thread.
PROCESSOR_TIME = "SKLEARN_MF_PROCESSOR_TIME"


def clock_name():
    """Give the function of ``time`` that measures."""
    return "process_time" if os.environ.get(PROCESSOR_TIME) == "1" else "perf_counter"


def now():
    return getattr(time, clock_name())()


class EpochClock(io.TextIOBase):
    """Note when a line of ``verbose=1`` is written, and drop it."""

    def __init__(self):
        self.times = []

    def write(self, text):
        if text.lstrip().startswith("Epoch"):
            self.times.append(now())
        return len(text)

    def loop_seconds(self):
        """Give the seconds of all epochs. The first, whose start is not printed, is taken to be the mean of the others.

        NaN with fewer than two epochs.
        """
        n = len(self.times)
        return (self.times[-1] - self.times[0]) * n / (n - 1) if n > 1 else float("nan")


def timed_fit(model, X, y, **arguments):
    """Fit; return the model, the seconds of the training loop and those of the whole fit."""
    clock = EpochClock()
    model.set_params(verbose=1)
    start = now()
    with contextlib.redirect_stdout(clock):
        model.fit(X, y, **arguments)
    whole = now() - start
    return model, clock.loop_seconds(), whole


def seconds_of(function, *arguments, calls=1):
    """Measure the seconds of ``calls`` calls."""
    start = now()
    for _ in range(calls):
        function(*arguments)
    return now() - start


def in_turn(functions, repeats, calls=1):
    """Give the seconds of each round of ``functions`` (name: function), called in turn; a first round is dropped."""
    seconds = {name: [] for name in functions}
    for _ in range(repeats + 1):
        for name, function in functions.items():
            seconds[name].append(seconds_of(function, calls=calls))
    return {name: values[1:] for name, values in seconds.items()}


def alternated(functions, repeats, calls=1):
    """Give the median seconds of each of ``functions``, called in turn."""
    return {name: statistics.median(values) for name, values in in_turn(functions, repeats, calls).items()}
