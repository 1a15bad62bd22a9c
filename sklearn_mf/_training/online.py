"""Learn from later ratings, one after another. Rows with few ratings move more than rows with many ratings.

Unknown levels are added. The center of a new level is predicted from its partners in the given ratings, with the
coefficients of the last fit. These coefficients do not change. _kernel/online.h has the formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sklearn_mf._kernel.online import update
from sklearn_mf._kernel.precision import PARTNERS
from sklearn_mf._kernel.rows import RowTable
from sklearn_mf._training.centers import predict_centers, sorted_distinct
from sklearn_mf._training.hyperparameters import LARGEST_SAFE_NUMBER, Hyperparameters
from sklearn_mf._training.learned import OUT_OF_SCALE_MESSAGE, Learned
from sklearn_mf._training.parameters import small_norm
from sklearn_mf._training.ratings import CodedRatings
from sklearn_mf._utils.records import with_fields

_MAX_LOSSES = 10_000  # only so many losses are kept, because each call copies them
_MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)  # SplitMix64


@dataclass(frozen=True)
class Batch:
    """Hold ratings in canonical order, without repeats."""

    indices: np.ndarray  # int32 (n, n_fields)
    y: np.ndarray  # float64 (n,)
    y_old: np.ndarray | None  # float64 (n,): the rating that is replaced; NaN if there is none
    weights: np.ndarray | None  # float64 (n,), relative to the unit of the model


@dataclass(frozen=True)
class OnlineTables:
    """Hold the tables that the kernel writes to, and the coefficients that it reads."""

    factors: list[RowTable]
    biases: list[RowTable]
    sums: list[RowTable]
    centers: list[RowTable | None]
    coefficients: list[RowTable | None]
    rank: int


def update_on_batch(
    learned: Learned,
    coded: CodedRatings,
    y_old: np.ndarray | None,
    hyper: Hyperparameters,
    forgetting: float,
    make_rng: Callable[[], np.random.Generator],
) -> Learned:
    """Learn each rating of a batch once, in canonical order; return a new version of ``learned``.

    If ``y_old`` of a rating is not NaN, the rating replaces an earlier rating with the value ``y_old``.
    """
    hyper, known = hyper.with_damping_of(learned.state.hyper), learned.state.knowledge
    batch = _canonical(coded, y_old, learned.state.weight_unit)
    _check_scale(batch, learned)
    n_known = learned.model.n_levels
    levels = [sorted_distinct(column) for column in batch.indices.T]
    grown = learned.version(levels, coded.n_levels)
    new = [own[own >= n] for own, n in zip(levels, n_known, strict=True)]
    if any(map(len, new)):
        _start_new_levels(learned, grown, batch, new, hyper, make_rng())

    model, state = grown.model, grown.state
    square_sums, totals = known.square_sums.copy(), np.array([known.weight_sum, known.noise_sum])
    loss = update(
        OnlineTables(model.factors, model.biases, state.level_sums, state.centers, state.coefficients, model.rank),
        known.rule(hyper, is_online=True),
        model.intercept,
        state.scale,
        forgetting,
        batch.indices,
        batch.y,
        batch.y_old,
        batch.weights,
        _gained_partners(batch, n_known),
        square_sums,
        totals,
    )
    for tables in (model.factors, model.biases):
        if not all(table.are_finite(own) for table, own in zip(tables, levels, strict=True)):
            raise ValueError(OUT_OF_SCALE_MESSAGE)
    weight_sum, noise_sum = totals.tolist()
    known = with_fields(known, square_sums=square_sums, weight_sum=weight_sum, noise_sum=max(noise_sum, 0.0))
    low, high = learned.rating_range
    mean_loss = loss / (len(batch.y) if batch.weights is None else float(batch.weights.sum()))
    return with_fields(
        grown,
        state=with_fields(state, knowledge=known),
        rating_range=(min(low, float(batch.y.min())), max(high, float(batch.y.max()))),
        losses=[*learned.losses[1 - _MAX_LOSSES :], mean_loss * hyper.loss.unit(state.scale)],
        n_iter=learned.n_iter + 1,
    )


def _canonical(coded: CodedRatings, y_old: np.ndarray | None, weight_unit: float) -> Batch:
    """Put ratings into a pseudo-random order that depends only on the set of ratings; merge equal ratings."""
    indices, y = np.stack(coded.codes, axis=1).astype(np.int32, copy=False), coded.values.astype(np.float64)
    weights = coded.weights
    if weights is None and weight_unit != 1.0:
        weights = np.ones(len(y))
    if weights is not None:
        weights = weights.astype(np.float64) / weight_unit
    if len(y) == 1:
        return Batch(indices, y, y_old, weights)
    mixed = np.zeros(len(y), dtype=np.uint64)
    for column in indices.T:
        mixed = (mixed ^ column.astype(np.uint64)) * _MULTIPLIERS[0]
        for shift, multiplier in zip((30, 27), _MULTIPLIERS[1:], strict=True):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * multiplier
    same = [*indices.T, y] if y_old is None else [*indices.T, y, np.where(np.isnan(y_old), np.inf, y_old)]
    keys = [*same[::-1], mixed] if weights is None else [weights, *same[::-1], mixed]
    order = _order_of(keys)
    first = np.zeros(len(y), dtype=bool)
    first[0] = True
    for key in same:
        in_order = key[order]
        first[1:] |= in_order[1:] != in_order[:-1]
    if not first.all():
        merged = np.add.reduceat(np.ones(len(y)) if weights is None else weights[order], np.flatnonzero(first))
        order, weights = order[first], merged
    elif weights is not None:
        weights = weights[order]
    return Batch(np.ascontiguousarray(indices[order]), y[order], None if y_old is None else y_old[order], weights)


def _order_of(keys: list[np.ndarray]) -> np.ndarray:
    """Sort by several keys as ``np.lexsort`` does, the last key first. Most values of the last key are distinct."""
    order = np.argsort(keys[-1])
    in_order = keys[-1][order]
    is_next = in_order[1:] == in_order[:-1]
    tied = np.flatnonzero(np.concatenate([is_next, [False]]) | np.concatenate([[False], is_next]))
    if len(tied):
        rows = np.sort(order[tied])
        order[tied] = rows[np.lexsort([key[rows] for key in keys])]
    return order


def _check_scale(batch: Batch, learned: Learned) -> None:
    """Raise a ValueError if ratings or weights are too large for the model."""
    limits, weights = np.finfo(np.float32), batch.weights
    if weights is not None and weights.max() < limits.smallest_subnormal:
        raise ValueError(
            "The weights are too small for single precision, relative to the weights of the first call. Rescale them."
        )
    values = [batch.y] if batch.y_old is None else [batch.y, np.nan_to_num(batch.y_old, nan=learned.model.intercept)]
    size = max(float(np.abs(y - learned.model.intercept).max()) for y in values) / learned.state.scale
    if size > LARGEST_SAFE_NUMBER or (weights is not None and not weights.max() <= limits.max):
        raise ValueError(OUT_OF_SCALE_MESSAGE)


def _start_new_levels(
    learned: Learned,
    grown: Learned,
    batch: Batch,
    new: list[np.ndarray],
    hyper: Hyperparameters,
    rng: np.random.Generator,
) -> None:
    """Start the rows of new levels near their centers, in place. Rows of exact zeros would not move each other."""
    rank, model, state = hyper.rank, grown.model, grown.state
    unit, norm = grown.target_scale.row_unit(rank), small_norm(len(new))
    codes = [batch.indices[:, 0], batch.indices[:, 1]]
    for f, levels in enumerate(new):
        if not len(levels):
            continue
        factors = rng.standard_normal((len(levels), rank)) * (norm / max(rank, 1) ** 0.5 * unit[0])
        if state.centers[f] is not None:
            centers, counts = predict_centers(learned.state.coefficients[f], codes, f, levels)
            state.centers[f].put(levels, centers)
            sums = state.level_sums[f][levels]
            sums[:, PARTNERS] = counts
            state.level_sums[f].put(levels, sums)
            factors += centers[:, :rank] if np.ndim(centers) else centers
            if hyper.fit_bias:
                model.biases[f].put(levels, centers[:, rank] if np.ndim(centers) else centers)
        model.factors[f].put(levels, np.abs(factors) if hyper.positive else factors)


def _gained_partners(batch: Batch, n_known: list[int]) -> np.ndarray:
    """Find which ratings bring a new partner to their user and to their item, uint8 (n, 2).

    New levels do not gain here, because their partners are already counted. A rating that replaces another is not a new
    pair. A pair counts once per batch.
    """
    if len(batch.y) == 1:
        is_new_pair = batch.y_old is None or bool(np.isnan(batch.y_old[0]))
        pair = zip(batch.indices[0].tolist(), n_known, strict=False)
        return np.array([[is_new_pair and code < n for code, n in list(pair)[:2]]], dtype=np.uint8)
    users, items = batch.indices[:, 0].astype(np.int64), batch.indices[:, 1]
    is_first = np.ones(len(users), dtype=bool)
    if batch.indices.shape[1] == 2:  # ratings of a pair are adjacent
        is_first[1:] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
    else:
        is_first[:] = False
        is_first[np.unique(users * 2**31 + items, return_index=True)[1]] = True
    if batch.y_old is not None:
        is_first &= np.isnan(batch.y_old)
    gained = np.empty((len(users), 2), dtype=np.uint8)
    np.logical_and(is_first, users < n_known[0], out=gained[:, 0])
    np.logical_and(is_first, items < n_known[1], out=gained[:, 1])
    return gained
