"""Fit a model to ratings: hold some out, train, and perhaps refit on all ratings. Works on arrays, not on ids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sklearn_mf._training.hyperparameters import Hyperparameters, StoppingRule
from sklearn_mf._training.learned import Learned, Start
from sklearn_mf._training.penalty_scale import with_penalty_scale
from sklearn_mf._training.progress import Callback, Message, Steps
from sklearn_mf._training.ratings import CodedRatings, HeldOut, Ratings, canonical_ratings, hold_out
from sklearn_mf._training.run import TrainingRun
from sklearn_mf._training.schedules import (
    TrainingHistory,
    centers_ever_move,
    fixed_epochs,
    run_schedule,
    search_schedule,
)
from sklearn_mf._training.shard import Shard
from sklearn_mf._training.tape import Tape

_RATINGS_OF_USUAL_DAMPING = 1000.0  # weight of the usual damping, in ratings, in the average with an estimate


def learn(steps: Steps[tuple[TrainingRun, TrainingHistory]], callback: Callback) -> Learned:
    """Run the steps of a fit to their end, and return the learned model."""
    run, history = callback.drive(steps)
    return run.learned(history.losses, history.scores)


def fit_steps(
    coded: CodedRatings,
    hyper: Hyperparameters,
    stopping: StoppingRule,
    held: HeldOut | None,
    start: Start | None,
    rng: np.random.Generator,
    shard: Shard,
    tape: Tape | None = None,
) -> Steps[tuple[TrainingRun, TrainingHistory]]:
    """Train on the ratings of a shard, epoch by epoch; return the run, and the losses and scores of its result.

    ``coded`` is used up. ``held`` has the ratings for early stopping. If it is None, early stopping holds out some of
    the ratings. A ``tape`` resumes an earlier fit.
    """
    tape = Tape() if tape is None else tape
    ratings = canonical_ratings(coded, hyper.rank, rng, shard)
    hyper = yield from with_penalty_scale(ratings, hyper, stopping, held, rng, shard, tape)
    if stopping.has_fixed_length:
        run = TrainingRun(ratings, hyper, start, rng, shard, tape, centers_ever_move(stopping.max_iter))
        return run, (yield from run_schedule(run, fixed_epochs(stopping.schedule, stopping.max_iter)))

    training, is_refitted = ratings, stopping.early_stopping and stopping.refit and held is None
    if stopping.early_stopping and held is None:
        training, held = _hold_out(ratings, stopping.validation_fraction, rng, shard)
    if not is_refitted:
        ratings = None  # to free memory
    run = TrainingRun(training, hyper, start, rng, shard, tape)
    history = yield from search_schedule(run, stopping, None if held is None else run.scorer(held))
    if is_refitted and not history.stopped:
        yield Message(f"Refit on all ratings, {len(history.epochs)} epochs")
        del run, training  # to free memory
        run = TrainingRun(ratings, hyper, start, rng, shard, tape)
        losses = (yield from run_schedule(run, history.epochs)).losses
        history = replace(history, losses=losses)
    return run, history


def fit_first_batch(
    coded: CodedRatings, hyper: Hyperparameters, stopping: StoppingRule, rng: np.random.Generator, shard: Shard
) -> Learned:
    """Fit the first of many batches. With few ratings, the estimated damping stays near the usual damping."""
    counted = coded.values if coded.weights is None else coded.values[coded.weights > 0]
    if counted.min() == counted.max():
        raise ValueError(
            "The first batch sets the mean and the scale of the ratings, but all ratings in its y are the "
            "same. Start with a batch of different ratings, or with fit."
        )
    hyper = replace(hyper, n_usual_damping=_RATINGS_OF_USUAL_DAMPING)
    return learn(fit_steps(coded, hyper, stopping, None, None, rng, shard), Callback())


def _hold_out(ratings: Ratings, fraction: float, rng: np.random.Generator, shard: Shard) -> tuple[Ratings, HeldOut]:
    """Hold out a part of the ratings; there must be at least two."""
    if shard.gather(np.array([len(ratings.values)])).sum() < 2:
        raise ValueError("early_stopping=True holds out ratings, but y has only 1 distinct rating. Give 2 or more.")
    return hold_out(ratings, fraction, rng, shard)
