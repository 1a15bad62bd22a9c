"""Choose how strongly factors are penalized, by short fits that are judged on ratings which they do not train on.

Counts of a large mean tell much, unless they vary far more than Poisson's law says. What of their variance is noise
shows only when factors are fitted. So the penalties that standardized ratings would have are multiplied by the factor
whose fits have the least deviance. Standardized ratings need it less; it is done for them where ratings are held out
anyway, with early stopping.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sklearn_mf._training.hyperparameters import Hyperparameters, StoppingRule
from sklearn_mf._training.ratings import HeldOut, Ratings, hold_out
from sklearn_mf._training.run import TrainingRun
from sklearn_mf._training.schedules import fixed_epochs
from sklearn_mf._utils.threads import Threads


@dataclass(frozen=True)
class _Trial:
    """Say which scales are compared, and by what fits."""

    scales: tuple[float, ...]  # the first is chosen whose score is nearly the best
    tolerance: float  # what nearly is
    largest_rank: int
    has_centers: bool
    min_ratings: int  # above 0, of counts; with fewer the choice would be chance, and the first is taken


_OF_COUNTS = _Trial((4.0, 1.0, 0.25, 0.06, 0.015), 0.01, 16, False, 500)
_OF_EARLY_STOPPING = _Trial((1.0, 1.6, 0.6), 0.0, 32, True, 5000)
_HELD_OUT, _N_EPOCHS = 0.1, 12


def with_penalty_scale(
    ratings: Ratings,
    hyper: Hyperparameters,
    stopping: StoppingRule,
    held: HeldOut | None,
    rng: np.random.Generator,
    threads: Threads,
) -> Hyperparameters:
    """Choose the scale of the penalties of factors, for counts or with early stopping, where damping is estimated.

    Fits are judged on ``held``, or on a tenth of the ratings.
    """
    is_count = not hyper.loss.is_standardized
    n = np.count_nonzero(ratings.values > 0) if is_count else len(ratings.values)
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

    def score(scale: float) -> float:
        own_rng = np.random.default_rng(seed)
        training, judges = hold_out(ratings, _HELD_OUT if held is None else 0.0, own_rng)
        return _score(training, judges if held is None else held, replace(small, penalty_scale=scale), own_rng, threads)

    scores = np.array([score(scale) for scale in trial.scales])
    return replace(hyper, penalty_scale=trial.scales[int(np.argmax(scores >= scores.max() - trial.tolerance))])


def _score(
    training: Ratings, judges: HeldOut, hyper: Hyperparameters, rng: np.random.Generator, threads: Threads
) -> float:
    """Fit briefly; give 1 - loss / loss of the best constant on other ratings."""
    run = TrainingRun(training, hyper, None, rng, threads)
    for epoch in fixed_epochs("linear", _N_EPOCHS):
        run.solver.epoch(epoch.step_factor)
        if epoch.centers_move:
            run.solver.update_centers()
    score = run.scorer(judges)()[0]
    return score if np.isfinite(score) else -np.inf
