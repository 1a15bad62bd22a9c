"""Choose the scale of the penalties of factors, by short fits that are scored on held-out ratings.

Counts with a large mean carry much information, unless they vary far more than the Poisson distribution says. Only a
fit of factors shows how much of their variance is noise. So the penalties for standardized ratings are multiplied by
the scale whose fit has the lowest deviance. Standardized ratings need this less. It is done for them only with early
stopping, which holds out ratings anyway.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sklearn_mf._training.hyperparameters import Hyperparameters, StoppingRule
from sklearn_mf._training.progress import Mark, Steps
from sklearn_mf._training.ratings import HeldOut, Ratings, hold_out
from sklearn_mf._training.run import TrainingRun
from sklearn_mf._training.schedules import fixed_epochs
from sklearn_mf._training.shard import Shard
from sklearn_mf._training.tape import Tape
from sklearn_mf._utils.threads import chunks


@dataclass(frozen=True)
class _Trial:
    """Describe the scales to compare, and the fits that compare them."""

    scales: tuple[float, ...]  # the first scale with nearly the best score is chosen
    tolerance: float  # largest difference from the best score that counts as nearly the best
    largest_rank: int
    has_centers: bool
    min_ratings: int  # of counts, only those above 0; with fewer, the choice would be random, so the first is used


_OF_COUNTS = _Trial((4.0, 1.0, 0.25, 0.06, 0.015), 0.01, 16, False, 500)
_OF_EARLY_STOPPING = _Trial((1.0, 1.6, 0.6), 0.0, 32, True, 5000)
_HELD_OUT, _N_EPOCHS = 0.1, 12
_MAX_CHUNK = 2**18  # ratings that are counted at a time


def with_penalty_scale(
    ratings: Ratings,
    hyper: Hyperparameters,
    stopping: StoppingRule,
    held: HeldOut | None,
    rng: np.random.Generator,
    shard: Shard,
    tape: Tape,
) -> Steps[Hyperparameters]:
    """Choose the scale of the penalties of factors, for counts or with early stopping, if damping is estimated.

    Fits are scored on ``held``, or on a tenth of the ratings.
    """
    is_count = not hyper.loss.is_standardized
    n = _count(ratings.values, is_count, shard)
    trial = _OF_COUNTS if is_count else _OF_EARLY_STOPPING
    is_wanted = hyper.damping is None and hyper.rank > 0 and (is_count or stopping.early_stopping)
    if not is_wanted:
        return hyper
    if n < trial.min_ratings:
        return replace(hyper, penalty_scale=trial.scales[0])
    seed = int(rng.integers(2**63))
    small = replace(
        hyper,
        rank=min(hyper.rank, trial.largest_rank),
        implicit_features=hyper.implicit_features if trial.has_centers else None,
    )

    scores = []
    for scale in trial.scales:
        own_rng = np.random.default_rng(seed)
        training, judges = hold_out(ratings, _HELD_OUT if held is None else 0.0, own_rng, shard)
        run = TrainingRun(training, replace(small, penalty_scale=scale), None, own_rng, shard, tape)
        scores.append((yield from _score(run, judges if held is None else held)))
        del run, training, judges  # to free memory
    best = np.array(scores) >= max(scores) - trial.tolerance
    return replace(hyper, penalty_scale=trial.scales[int(np.argmax(best))])


def _count(values: np.ndarray, is_count: bool, shard: Shard) -> int:
    """Count the ratings of all shards; for counts, only those above 0."""
    own = len(values)
    if is_count:
        own = sum(np.count_nonzero(values[part] > 0) for part in chunks(len(values), _MAX_CHUNK))
    return int(shard.gather(np.array([own])).sum())


def _score(run: TrainingRun, judges: HeldOut) -> Steps[float]:
    """Fit briefly; return 1 - loss / loss of the best constant on other ratings."""
    score, epochs, value = run.scorer(judges), fixed_epochs("linear", _N_EPOCHS), -np.inf
    for number, epoch in enumerate(epochs, start=1):
        found = run.epoch(epoch.step_factor, epoch.centers_move, score if number == len(epochs) else None)
        value = found.value
        yield Mark.TRIAL_EPOCH_ENDED
    return value if np.isfinite(value) else -np.inf
