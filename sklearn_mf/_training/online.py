"""Learn from ratings that come later, by a pass over a batch. Arrays, no ids.

Levels beyond those learned are new; what is learned grows for them. Centers of new levels are predicted from their
partners in the ratings given, by the coefficients of the last fit, which stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sklearn_mf._training.centers import predict_centers
from sklearn_mf._training.damping import damping_of_batch
from sklearn_mf._training.grid import make_grid
from sklearn_mf._training.hyperparameters import LARGEST_SAFE_NUMBER, Hyperparameters
from sklearn_mf._training.learned import OUT_OF_SCALE_MESSAGE, Learned
from sklearn_mf._training.parameters import Parameters, initial_parameters, shares_of_ratings
from sklearn_mf._training.ratings import CodedRatings, canonical_ratings
from sklearn_mf._training.sgd import SGDSolver
from sklearn_mf._utils.threads import Threads

# A batch may be quite unlike the ratings before: it diverges at this many times the loss of the best constant.
_LOSS_ALLOWANCE = 10.0


def update_on_batch(
    learned: Learned,
    coded: CodedRatings,
    hyper: Hyperparameters,
    step_factor: float,
    rng: np.random.Generator,
    threads: Threads,
) -> Learned:
    """Visit a batch of ratings once with a step of ``step_factor`` learning rates; only rows of its levels change."""
    codes, scale = list(coded.codes), learned.target_scale
    has_centers = any(centers is not None for centers in learned.state.centers[:2])
    # Rows of both sides get room for a center; those of a side without centers stay at zero.
    hyper = replace(hyper, implicit_features="both" if has_centers else None)
    levels, local = zip(*(np.unique(column, return_inverse=True) for column in codes), strict=True)
    local = [column.astype(np.int32) for column in local]
    batch = CodedRatings(local, coded.values, coded.weights, [len(used) for used in levels])
    ratings = canonical_ratings(batch, hyper.rank, rng, threads, weight_unit=learned.state.weight_unit)
    _check_weights(ratings.weights)
    baseline = hyper.loss.baseline_at(learned.model.intercept, ratings.values, ratings.weights, scale.scale)
    units = learned.state.penalty_units
    baseline = replace(baseline, loss=_LOSS_ALLOWANCE * (baseline.loss + 1.0), penalty_units=units)
    low, high = float(ratings.values.min()), float(ratings.values.max())
    if max(abs(y - learned.model.intercept) for y in (low, high)) / scale.scale > LARGEST_SAFE_NUMBER:
        raise ValueError(OUT_OF_SCALE_MESSAGE)

    grid = make_grid(ratings, scale, threads)
    # A damping that is given is that of this batch alone: what is known stays.
    known, n_of_damping = learned.state.hyper, learned.state.n_of_damping
    if hyper.damping is None and n_of_damping is not None:
        damping, n_of_damping = damping_of_batch(hyper, grid, known.damping, n_of_damping, threads)
        known = replace(known, damping=damping)
    hyper = hyper.with_damping_of(known)
    is_new = [used >= n for used, n in zip(levels, learned.model.n_levels, strict=True)]
    parameters = initial_parameters(grid, hyper, rng, threads, is_new, baseline.curvature, few_visits=True)
    grown = learned.grown(coded.n_levels)
    grown = replace(grown, state=replace(grown.state, hyper=known, n_of_damping=n_of_damping))
    for f, (used, row_of) in enumerate(zip(levels, grid.row_of, strict=True)):
        batch_rows = _BatchRows(f, used, row_of, is_new[f])
        grown.state.level_weights[f][used] += grid.row_weights[row_of]
        _load_rows(parameters, grown, batch_rows, hyper)
        if grown.state.centers[f] is not None:
            new = used[is_new[f]]
            if len(new):
                grown.state.centers[f][new] = predict_centers(learned.state.coefficients[f], codes, f, new)
            _load_centers(parameters, grown, batch_rows, hyper)
    solver = SGDSolver(grid, parameters, hyper, baseline, rng, threads, learn_centers=False)
    loss, _ = solver.epoch(step_factor)
    for f, (used, row_of) in enumerate(zip(levels, grid.row_of, strict=True)):
        factors, bias = scale.to_y(parameters.rows[row_of, : hyper.rank], parameters.bias[row_of])
        grown.model.factors[f][used], grown.model.biases[f][used] = factors, bias
    return replace(
        grown,
        rating_range=(min(learned.rating_range[0], low), max(learned.rating_range[1], high)),
        losses=[*learned.losses, loss * hyper.loss.unit(scale.scale)],
        n_iter=learned.n_iter + 1,
        warning=solver.warning,
    )


def _check_weights(weights: np.ndarray | None) -> None:
    """Raise a ValueError if weights, relative to those that the model began with, vanish or overflow."""
    limits = np.finfo(np.float32)
    if weights is not None and weights.max() < limits.smallest_subnormal:
        raise ValueError("The weights are too small for single precision, relative to the first. Rescale them.")
    if weights is not None and not weights.max() <= limits.max:
        raise ValueError(OUT_OF_SCALE_MESSAGE)


@dataclass(frozen=True)
class _BatchRows:
    """Hold the levels of one field that a batch has, and where their rows are."""

    field: int
    levels: np.ndarray  # int64 (n,), of the model
    row_of: np.ndarray  # int64 (n,): stacked row of each
    is_new: np.ndarray  # bool (n,)


def _load_rows(parameters: Parameters, grown: Learned, batch: _BatchRows, hyper: Hyperparameters) -> None:
    """Put rows and strengths of known levels into ``parameters``."""
    f, known, scale = batch.field, ~batch.is_new, grown.target_scale
    rows, levels = batch.row_of[known], batch.levels[known]
    factors, bias = scale.from_y(grown.model.factors[f][levels], grown.model.biases[f][levels])
    parameters.rows[rows, : hyper.rank], parameters.bias[rows] = factors, bias
    n = grown.state.level_weights[f][batch.levels]
    parameters.per_rating[batch.row_of] = shares_of_ratings(n)


def _load_centers(parameters: Parameters, grown: Learned, batch: _BatchRows, hyper: Hyperparameters) -> None:
    """Put the centers of all levels into ``parameters``; rows of new levels start from theirs."""
    f, rank, new, row_of = batch.field, hyper.rank, batch.is_new, batch.row_of
    centers = grown.state.centers[f][batch.levels] / grown.target_scale.row_unit(rank)
    parameters.centers[row_of, :rank] = centers[:, :rank]
    parameters.bias_centers(f)[row_of] = centers[:, rank]
    parameters.rows[row_of[new], :rank] += centers[new, :rank]
    parameters.bias[row_of[new]] += hyper.fit_bias * centers[new, rank]
    if hyper.positive:
        np.maximum(parameters.rows, 0.0, out=parameters.rows)
