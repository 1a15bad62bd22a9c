"""Going on from what is learned: a pass over a batch of ratings, and new levels solved exactly. Arrays, no ids.

Levels beyond those learned are new; what is learned grows for them. Centers of new levels are predicted from their
partners in the ratings given, by the coefficients of the last fit, which stay as they are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from sklearn_mf._kernel.kernels import TIE_BIAS
from sklearn_mf._training.fit import Learned, baseline_at, scales
from sklearn_mf._training.parameters import LARGEST, damping_per_rating, initial_parameters
from sklearn_mf._training.ratings import canonical_ratings, make_grid
from sklearn_mf._training.sgd import Descent, Hyperparameters
from sklearn_mf._utils.threads import Threads, chunks

_MOST_NUMBERS = 2**21  # of the matrices that are solved at once
_TOO_FAR = "Ratings in y or weights are far beyond those that the model began with. Rescale them as those were."
_SINGULAR = 1e-8  # relative to the largest eigenvalue


def pass_over(
    learned: Learned,
    codes: list[np.ndarray],
    y: np.ndarray,
    weights: np.ndarray | None,
    n_levels: list[int],
    hyper: Hyperparameters,
    factor: float,
    rng: np.random.Generator,
    threads: Threads,
) -> Learned:
    """Visit a batch of ratings once with a step of ``factor`` learning rates; only rows of its levels change."""
    n_old, loss, rank = [len(rows) for rows in learned.factors], hyper.loss, hyper.rank
    has_centers = any(centers is not None for centers in learned.centers[:2])
    hyper = replace(hyper, implicit_features="both" if has_centers else None)
    used, local = zip(*(np.unique(column, return_inverse=True) for column in codes), strict=True)
    local = [column.astype(np.int32) for column in local]
    n_used = [len(levels) for levels in used]
    ratings = canonical_ratings(local, y, weights, n_used, rank, rng, threads, weight_unit=learned.weight_unit)
    baseline = baseline_at(ratings, loss, learned.intercept, learned.scale)
    # Generous: what comes now may be quite unlike what was learned from.
    baseline = replace(baseline, loss=10.0 * (baseline.loss + 1.0))
    bounds = float(ratings.values.min()), float(ratings.values.max())
    if max(abs(bound - learned.intercept) for bound in bounds) / learned.scale > LARGEST:
        raise ValueError(_TOO_FAR)
    grid = make_grid(ratings, learned.intercept if loss.is_standardized else 0.0, learned.scale, threads)
    is_new = [levels >= n for levels, n in zip(used, n_old, strict=True)]
    parameters = initial_parameters(grid, hyper, rng, threads, is_new, baseline.curvature)
    grown = _grown(learned, n_levels)
    to_y = scales(rank, learned.scale)
    for f, (levels, row_of) in enumerate(zip(used, grid.row_of, strict=True)):
        new, known = is_new[f], ~is_new[f]
        parameters.rows[row_of[known], :rank] = grown.factors[f][levels[known]] / to_y[:rank]
        parameters.bias[row_of[known]] = grown.biases[f][levels[known]] / to_y[rank]
        grown.level_weights[f][levels] += grid.row_weights[row_of]
        parameters.scalars[row_of, 1] = damping_per_rating(hyper.damping_of(f), grown.level_weights[f][levels])
        if grown.centers[f] is None:
            continue
        if new.any():
            grown.centers[f][levels[new]] = _predicted_centers(learned.coefficients[f], codes, f, levels[new])
        centers = grown.centers[f][levels] / to_y
        parameters.centers[row_of, :rank] = centers[:, :rank]
        parameters.ties[row_of, TIE_BIAS[f]] = centers[:, rank]
        parameters.rows[row_of[new], :rank] += centers[new, :rank]
        parameters.bias[row_of[new]] += hyper.fit_bias * centers[new, rank]
        if hyper.positive:
            np.maximum(parameters.rows, 0.0, out=parameters.rows)

    descent = Descent(grid, parameters, hyper, baseline, rng, threads, has_centers=False)
    seen, _ = descent.epoch(factor)
    for f, (levels, row_of) in enumerate(zip(used, grid.row_of, strict=True)):
        grown.factors[f][levels] = parameters.rows[row_of, :rank] * to_y[:rank]
        grown.biases[f][levels] = parameters.bias[row_of] * to_y[rank]
    grown.rating_range = min(learned.rating_range[0], bounds[0]), max(learned.rating_range[1], bounds[1])
    grown.losses = [*learned.losses, seen * loss.unit(learned.scale)]
    grown.n_iter, grown.warning = learned.n_iter + 1, descent.warning
    return grown


def _grown(learned: Learned, n_levels: list[int]) -> Learned:
    """A copy with room for new levels, zero."""

    def grow(array: np.ndarray | None, n: int) -> np.ndarray | None:
        if array is None:
            return None
        return np.concatenate([array, np.zeros((n - len(array), *array.shape[1:]), dtype=array.dtype)])

    def grow_each(arrays: list[np.ndarray | None], n_levels: list[int]) -> list[np.ndarray | None]:
        return [grow(array, n) for array, n in zip(arrays, n_levels, strict=True)]

    return replace(
        learned,
        warning=None,
        factors=grow_each(learned.factors, n_levels),
        biases=grow_each(learned.biases, n_levels),
        level_weights=grow_each(learned.level_weights, n_levels),
        centers=grow_each(learned.centers, n_levels),
        coefficients=grow_each(learned.coefficients, n_levels[1::-1]),
    )


def _predicted_centers(
    coefficients: np.ndarray | None, codes: list[np.ndarray], f: int, levels: np.ndarray
) -> np.ndarray | float:
    """|N|^(-1/2) times the sum of the coefficients of the partners N that ``levels`` of field f have in ``codes``."""
    if coefficients is None:
        return 0.0
    is_wanted = np.isin(codes[f], levels)
    n_partners = int(codes[1 - f].max()) + 1
    place, partner = np.searchsorted(levels, codes[f][is_wanted]), codes[1 - f][is_wanted]
    place, partner = np.divmod(np.unique(place * n_partners + partner), n_partners)  # a pair counts once
    norm = 1 / np.sqrt(np.bincount(place, minlength=len(levels)))
    known = partner < len(coefficients)
    place, partner = place[known], partner[known]
    who_rated_what = csr_array((norm[place], (place, partner)), shape=(len(levels), len(coefficients)))
    return who_rated_what @ coefficients.astype(np.float64)


def solve_levels(
    learned: Learned,
    indices: np.ndarray,
    target_field: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray | None,
    n_levels: list[int],
    hyper: Hyperparameters,
) -> Learned:
    """Biases and factors of the levels in ``target_field`` of each row, everything else held as it is.

    For each level the minimum, over its bias b and factors v, of

        sum w/2 (y - c - b - <v, s>)^2 + (alpha n + damping)/2 |v - z|^2 + (alpha_bias n + damping)/2 (b - zb)^2

    on the standardized scale, with c what the other fields of a row predict and s the sum of their factors.
    """
    grown = _grown(learned, n_levels)
    weights = np.ones(len(y)) if weights is None else weights
    weights = weights / learned.weight_unit
    for f in np.unique(target_field).tolist():
        rows = target_field == f
        _solve_field(grown, f, indices[rows], y[rows], weights[rows], hyper)
    return grown


def _solve_field(
    grown: Learned, f: int, indices: np.ndarray, y: np.ndarray, weights: np.ndarray, hyper: Hyperparameters
) -> None:
    rank, n_fields = hyper.rank, indices.shape[1]
    to_y = scales(rank, grown.scale).astype(np.float64)
    # Sums always in the same order, whatever the order of the rows.
    order = np.lexsort((weights, y, *(indices[:, g] for g in range(n_fields) if g != f), indices[:, f]))
    indices, y, weights = indices[order], y[order], weights[order]
    levels, start = np.unique(indices[:, f], return_index=True)
    s, c = np.zeros((len(y), rank)), np.full(len(y), grown.intercept / to_y[rank])
    for g in range(n_fields):
        if g != f:
            v = grown.factors[g][indices[:, g]] / to_y[:rank]
            c += grown.biases[g][indices[:, g]] / to_y[rank] + np.einsum("ij,ij->i", s, v)
            s += v
    t = y / to_y[rank] - c
    if hyper.fit_bias:
        s = np.column_stack([s, np.ones(len(y))])
    n = np.add.reduceat(weights, start)
    if not (np.isfinite(n).all() and np.abs(t).max() < LARGEST):
        raise ValueError(_TOO_FAR)
    strength = np.repeat(np.array([[hyper.alpha] * rank + [hyper.alpha_bias]]), len(levels), axis=0)
    strength = np.minimum(strength * n[:, None] + hyper.damping_of(f), LARGEST)[:, : s.shape[1]]
    centers = np.zeros((len(levels), rank + 1))
    if grown.centers[f] is not None:
        centers[:] = _predicted_centers(grown.coefficients[f], [indices[:, 0], indices[:, 1]], f, levels)
        grown.centers[f][levels] = centers
    z = (centers / to_y)[:, : s.shape[1]]

    solved, ends = np.empty_like(z), np.append(start, len(y))
    with threadpool_limits(1, "blas"):  # the same sums on any number of threads
        for first, stop in chunks(len(levels), max(_MOST_NUMBERS // max(s.shape[1], 1) ** 2, 1)):
            gram, right = np.empty((stop - first, s.shape[1], s.shape[1])), np.empty((stop - first, s.shape[1]))
            for k in range(first, stop):
                rows = slice(ends[k], ends[k + 1])
                weighted = s[rows] * weights[rows, None]
                gram[k - first], right[k - first] = weighted.T @ s[rows], t[rows] @ weighted
            gram[:, range(s.shape[1]), range(s.shape[1])] += strength[first:stop]
            right += strength[first:stop] * z[first:stop]
            if strength[first:stop].all():
                solved[first:stop] = np.linalg.solve(gram, right[:, :, None])[:, :, 0]
            else:  # no penalty, and perhaps fewer ratings than factors: the shortest solution
                inverse = np.linalg.pinv(gram, _SINGULAR, hermitian=True)
                solved[first:stop] = np.einsum("kij,kj->ki", inverse, right)
    grown.factors[f][levels] = solved[:, :rank] * to_y[:rank]
    if hyper.fit_bias:
        grown.biases[f][levels] = solved[:, rank] * to_y[rank]
    grown.level_weights[f][levels] = n
