"""Choose how strongly factors of counts are penalized, by short fits without some of the ratings.

Counts of a large mean tell much, unless they vary far more than Poisson's law says. What of their variance is noise
shows only when factors are fitted. So the penalties that standardized ratings would have are multiplied by the factor
whose fits have the least deviance on ratings that are held out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sklearn_mf._training.hyperparameters import Hyperparameters
from sklearn_mf._training.ratings import Ratings, hold_out
from sklearn_mf._training.run import TrainingRun
from sklearn_mf._training.schedules import fixed_epochs
from sklearn_mf._utils.threads import Threads

_SCALES = 1.0, 4.0, 0.25, 0.06, 0.015  # the first is kept where no other is better
_HELD_OUT = 0.1
_LARGEST_RANK, _N_EPOCHS = 16, 12
_MIN_POSITIVE = 50  # ratings above 0; with fewer, the scale is 1


def with_penalty_scale(
    ratings: Ratings, hyper: Hyperparameters, rng: np.random.Generator, threads: Threads
) -> Hyperparameters:
    """Choose the scale of the penalties of factors where y is not standardized and the damping is estimated."""
    is_fixed = hyper.loss.is_standardized or hyper.damping is not None or hyper.rank == 0
    if is_fixed or np.count_nonzero(ratings.values > 0) < _MIN_POSITIVE:
        return hyper
    seed, small = int(rng.integers(2**63)), replace(hyper, rank=min(hyper.rank, _LARGEST_RANK), implicit_features=None)

    def score(scale: float) -> float:
        return _held_out_score(ratings, replace(small, penalty_scale=scale), np.random.default_rng(seed), threads)

    return replace(hyper, penalty_scale=max(_SCALES, key=score))


def _held_out_score(ratings: Ratings, hyper: Hyperparameters, rng: np.random.Generator, threads: Threads) -> float:
    """Fit briefly without a tenth of the ratings; give 1 - loss / loss of the best constant there."""
    training, held = hold_out(ratings, _HELD_OUT, rng)
    run = TrainingRun(training, hyper, None, rng, threads)
    for epoch in fixed_epochs("linear", _N_EPOCHS):
        run.solver.epoch(epoch.step_factor)
        if epoch.centers_move:
            run.solver.update_centers()
    score = run.scorer(held)()[0]
    return score if np.isfinite(score) else -np.inf
