"""Define fits as programs. The shards of a team run a program together, one epoch at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sklearn_mf._ids.levels import Levels
from sklearn_mf._ranker import score_with
from sklearn_mf._training.fit import fit_steps
from sklearn_mf._training.fit_pairs import PreferenceState, begin_alternations
from sklearn_mf._training.hyperparameters import Hyperparameters, StoppingRule
from sklearn_mf._training.pairs import distinct_pairs, weigh_pairs
from sklearn_mf._training.progress import EpochEnded, Mark
from sklearn_mf._training.ratings import CodedRatings
from sklearn_mf._training.shard import Shard
from sklearn_mf._training.tape import Tape
from sklearn_mf.dask._partitions import Partition, TableForm, encode

Arrays = dict[str, np.ndarray]
Steps = Generator[tuple[list[Any], Callable[[], Arrays]], bool, Any]


@dataclass(frozen=True)
class RegressorTask:
    """Describe a fit of a regressor."""

    form: TableForm
    hyper: Hyperparameters
    stopping: StoppingRule
    seed: list[int]


@dataclass(frozen=True)
class RankerTask:
    """Describe a fit of a ranker."""

    form: TableForm
    state: PreferenceState
    confidence: float
    keep_pairs: bool
    seed: list[int]


def fit_regressor(
    shard: Shard, task: RegressorTask, parts: list[Partition], levels: Levels, saved: list[Arrays], was_stopped: bool
) -> Steps:
    """Fit to the ratings of all partitions.

    ``saved`` has the arrays that an earlier attempt saved; it is empty if there are none. ``was_stopped`` says whether
    that attempt was told to stop after its last saved epoch.

    Yields the events of each epoch, and a function that saves the parameters after the epoch. Returns the rows that
    this shard has learned; shard 0 also returns the places of all levels.
    """
    coded = CodedRatings(*encode(parts, levels, task.form, shard.threads), levels.counts)
    tape = _tape_of(saved, shard)
    n_before, n_epochs, events = tape.n_epochs, 0, []
    rng = np.random.default_rng(task.seed)
    steps, is_stopped = fit_steps(coded, task.hyper, task.stopping, None, None, rng, shard, tape), None
    del parts, levels, saved, coded  # to free memory

    def save() -> Arrays:
        """Copy the parameters; shard 0 also returns the results of the epochs."""
        return {**tape.saved(), "records": tape.records if shard.index == 0 else tape.records[:0]}

    while True:
        try:
            event = steps.send(is_stopped)
        except StopIteration as end:
            run, history = end.value
            return run.part(history.losses, history.scores), run.places if shard.index == 0 else None
        is_stopped = False
        is_epoch = isinstance(event, EpochEnded) or event is Mark.TRIAL_EPOCH_ENDED
        events.append(event.without_model() if isinstance(event, EpochEnded) else event)
        if is_epoch:
            n_epochs += 1
            is_stopped = (yield events, save) if n_epochs > n_before else was_stopped and n_epochs == n_before
            events = []


def _tape_of(saved: list[Arrays], shard: Shard) -> Tape:
    """Return the tape of an earlier attempt, or an empty one."""
    return Tape(saved[0]["records"], saved[0]) if saved else Tape()


def fit_ranker(
    shard: Shard, task: RankerTask, parts: list[Partition], levels: Levels, saved: list[Arrays], was_stopped: bool
) -> Steps:
    """Fit to the pairs of all partitions. The arguments are those of ``fit_regressor``.

    Returns the rows of this shard and, if the ranker keeps pairs, the pairs of its users.
    """
    coded = encode(parts, levels, task.form, shard.threads)
    pairs, rule, weight_scale = weigh_pairs(*coded, levels.counts, task.confidence, shard)
    by_user, unit = distinct_pairs(pairs, shard)
    state = replace(task.state, rule=rule, weight_scale=weight_scale, unit=unit)
    rng, start = np.random.default_rng(task.seed), saved[0] if saved else None
    steps = begin_alternations(by_user, levels.counts, state, rng, shard, score_with(shard.threads), start, was_stopped)
    is_stopped = None
    del parts, levels, saved, coded, pairs, start  # to free memory
    while True:
        try:
            step = steps.send(is_stopped)
        except StopIteration as end:
            return end.value, by_user if task.keep_pairs else None
        is_stopped = yield [replace(step, learned=None, save=None)], step.save
