"""Draw the arguments of a call: all of them good, or, in a call that is meant to fail, some of them bad."""

from dataclasses import dataclass, field

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

SHARE_MEANT_TO_FAIL = 0.4
SHARE_OF_BAD_ARGUMENTS = 0.3  # of those that a call which is meant to fail has


@dataclass
class Call:
    """Hold one call of something public, and what must hold of its result."""

    name: str
    function: object
    args: tuple = ()
    kwargs: dict = field(default_factory=dict)
    subject: object = None  # what must be as before if the call fails
    check: object = lambda result: None
    more_errors: tuple = ()  # documented ones, beside those that any call may raise


class CannotBeFittedError(Exception):
    """Give the call that failed before the one that was wanted; it is judged in its place."""

    def __init__(self, call):
        self.call = call


class Chooser:
    """Choose by hypothesis what shapes a call, and by a generator with a drawn seed what fills it."""

    def __init__(self, draw):
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.is_meant_to_fail = self.chance(SHARE_MEANT_TO_FAIL)

    def chance(self, share):
        return self.rng.random() < share

    def pick(self, options):
        """One of these; of a mapping its value."""
        options = list(options.values()) if isinstance(options, dict) else options
        return self.draw(st.sampled_from(options))

    def integer(self, low, high):
        return self.draw(st.integers(low, high))

    def is_bad(self):
        return self.is_meant_to_fail and self.chance(SHARE_OF_BAD_ARGUMENTS)

    def argument(self, good, bad):
        """One of the good values, or of the bad ones; a generator of random numbers is a new one."""
        value = self.pick(bad if self.is_bad() else good)
        return np.random.RandomState(0) if isinstance(value, np.random.RandomState) else value

    def keywords(self, good, bad, share=0.2):
        """Some of the keywords that have good values, each with one of them or a bad one."""
        names = [name for name in good if self.chance(share) or (self.is_meant_to_fail and self.chance(0.02))]
        return {name: self.argument(good[name], bad.get(name, [object()])) for name in names}


@st.composite
def calls(draw, makers):
    """A call made by one of the ``makers``, functions of a Chooser."""
    make = draw(st.sampled_from(makers))
    try:
        return make(Chooser(draw))
    except CannotBeFittedError as error:
        return error.call


def for_each_call(makers, function, n_calls, seed=None):
    """Call ``function`` with so many calls: the same in every run, or those of a seed."""
    options = {"max_examples": n_calls, "database": None, "deadline": None, "phases": [Phase.generate]}

    @settings(**options, derandomize=seed is None, suppress_health_check=list(HealthCheck))
    @given(calls(makers))
    def each(call):
        function(call)

    (each if seed is None else hypothesis.seed(seed)(each))()
