"""Seconds of a fit and of its training loop, by nothing but the public interface."""

import contextlib
import io
import statistics
import time


class EpochClock(io.TextIOBase):
    """Note when a line of ``verbose=1`` is written, and drop it."""

    def __init__(self):
        self.times = []

    def write(self, text):
        if text.lstrip().startswith("Epoch"):
            self.times.append(time.perf_counter())
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
    start = time.perf_counter()
    with contextlib.redirect_stdout(clock):
        model.fit(X, y, **arguments)
    whole = time.perf_counter() - start
    return model, clock.loop_seconds(), whole


def seconds_of(function, *arguments, calls=1):
    """Measure the seconds of ``calls`` calls."""
    start = time.perf_counter()
    for _ in range(calls):
        function(*arguments)
    return time.perf_counter() - start


def alternated(functions, repeats, calls=1):
    """Give the median seconds of each of ``functions`` (name: function), called in turn; a first round is dropped."""
    seconds = {name: [] for name in functions}
    for _ in range(repeats + 1):
        for name, function in functions.items():
            seconds[name].append(seconds_of(function, calls=calls))
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}
