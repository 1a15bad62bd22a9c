"""Solve new levels exactly, with all other parameters held fixed. Works on arrays, not on ids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_mf._kernel.precision import N_SUMS, PARTNERS, SQUARES, WEIGHTS
from sklearn_mf._training.centers import predict_centers
from sklearn_mf._training.hyperparameters import LARGEST_SAFE_NUMBER, Hyperparameters
from sklearn_mf._training.learned import OUT_OF_SCALE_MESSAGE, Learned
from sklearn_mf._training.precision import LARGEST_SUM, SMALLEST_DAMPING
from sklearn_mf._training.ratings import CodedRatings
from sklearn_mf._utils.threads import chunks, one_blas_thread

_MAX_NUMBERS_AT_ONCE = 2**21  # numbers in the matrices that are solved together
_MIN_RELATIVE_EIGENVALUE = 1e-8  # relative to the largest; ratings do not determine directions with less


def fold_in_levels(learned: Learned, coded: CodedRatings, target_field: np.ndarray, hyper: Hyperparameters) -> Learned:
    """Solve bias and factors of the level in ``target_field`` of each rating, with all other parameters held fixed.

    For each level, its bias b and factors v minimize

        sum w/2 (y - c - b - <v, s>)^2 + k (alpha n + delta)/2 |v - z|^2 + (alpha_bias n + delta_b)/2 (b - zb)^2

    on the standardized scale. Here k is the scale of the penalties of factors. c is the prediction from the other
    fields of a rating, and s is the sum of their factors. z and zb are the centers.
    """
    hyper = hyper.with_damping_of(learned.state.hyper)
    indices, y = np.stack(coded.codes, axis=1), coded.values
    solved = [np.unique(column[target_field == f]) for f, column in enumerate(indices.T)]
    grown = learned.version(solved, coded.n_levels)
    weights = np.ones(len(y)) if coded.weights is None else coded.weights
    weights = weights / learned.state.weight_unit
    for f in np.unique(target_field).tolist():
        rows = target_field == f
        _fold_in_field(grown, f, _sorted_by_level(f, indices[rows], y[rows], weights[rows]), hyper)
    return grown


@dataclass(frozen=True)
class _SortedRatings:
    """Hold ratings in the order of the solved levels. Level k has the ratings ``bounds[k]:bounds[k + 1]``."""

    levels: np.ndarray
    bounds: np.ndarray
    indices: np.ndarray
    y: np.ndarray
    weights: np.ndarray


def _sorted_by_level(f: int, indices: np.ndarray, y: np.ndarray, weights: np.ndarray) -> _SortedRatings:
    """Sort ratings by the level of field f, then by all else, so that sums do not depend on the order of the rows."""
    others = (indices[:, g] for g in range(indices.shape[1]) if g != f)
    order = np.lexsort((weights, y, *others, indices[:, f]))
    levels, start = np.unique(indices[order, f], return_index=True)
    return _SortedRatings(levels, np.append(start, len(y)), indices[order], y[order], weights[order])


def _fold_in_field(grown: Learned, f: int, ratings: _SortedRatings, hyper: Hyperparameters) -> None:
    """Solve the levels of one field, in place."""
    rank, levels = hyper.rank, ratings.levels
    unit = grown.target_scale.row_unit(rank).astype(np.float64)
    s, t = _regression_of(grown, f, ratings, unit)
    if hyper.fit_bias:
        s = np.column_stack([s, np.ones(len(t))])
    with np.errstate(over="ignore"):  # an error is raised below
        n = np.add.reduceat(ratings.weights, ratings.bounds[:-1])
    if not (np.isfinite(n).all() and np.abs(t).max() < LARGEST_SAFE_NUMBER):
        raise ValueError(OUT_OF_SCALE_MESSAGE)
    factors, bias = hyper.damping.of(f)
    with np.errstate(over="ignore"):
        of_factors = (hyper.alpha * n + factors) * hyper.penalty_scale
        strength = np.column_stack([*[of_factors] * rank, hyper.alpha_bias * n + bias])
    strength = np.minimum(strength, LARGEST_SAFE_NUMBER)[:, : s.shape[1]]
    centers, n_partners = np.zeros((len(levels), rank + 1)), 0
    if grown.state.centers[f] is not None:
        codes = [ratings.indices[:, 0], ratings.indices[:, 1]]
        centers[:], n_partners = predict_centers(grown.state.coefficients[f], codes, f, levels)
        grown.state.centers[f].put(levels, centers)
    solved = _solve(s, t, ratings, strength, (centers / unit)[:, : s.shape[1]])
    grown.model.factors[f].put(levels, solved[:, :rank] * unit[:rank])
    if hyper.fit_bias:
        grown.model.biases[f].put(levels, solved[:, rank] * unit[rank])
    sums = np.zeros((len(levels), N_SUMS))
    sums[:, WEIGHTS], sums[:, PARTNERS] = n, n_partners
    sums[:, SQUARES] = _left_out_squares(s, t, ratings, strength, solved, rank)
    grown.state.level_sums[f].put(levels, np.minimum(sums, LARGEST_SUM))


def _left_out_squares(
    s: np.ndarray, t: np.ndarray, ratings: _SortedRatings, strength: np.ndarray, solved: np.ndarray, rank: int
) -> np.ndarray:
    """Sum w e^2 (1 + h) over the ratings of each level, with the h of each rating as if it had been left out.

    h is <s, P s>. P is the inverse of the diagonal precision: the penalty plus the sum of w s^2 over the other
    ratings of the level.
    """
    w, start = ratings.weights, ratings.bounds[:-1]
    of_rating = np.repeat(np.arange(len(solved)), np.diff(ratings.bounds))
    squares = w[:, None] * s**2
    others = np.add.reduceat(squares, start, axis=0)[of_rating] - squares + strength[of_rating]
    smallest = np.full(s.shape[1], SMALLEST_DAMPING[0])
    smallest[rank:] = SMALLEST_DAMPING[1]
    h = (s**2 / np.maximum(others, smallest)).sum(axis=1)
    e = t - np.einsum("ij,ij->i", solved[of_rating], s)
    return np.add.reduceat(w * e**2 * (1.0 + h), start)


def _regression_of(grown: Learned, f: int, ratings: _SortedRatings, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each rating, s (the summed factors of the other fields) and the standardized target y - c."""
    indices, y, rank = ratings.indices, ratings.y, len(unit) - 1
    s, c = np.zeros((len(y), rank)), np.full(len(y), grown.model.intercept / unit[rank])
    for g in range(indices.shape[1]):
        if g != f:
            v = grown.model.factors[g][indices[:, g]] / unit[:rank]
            c += grown.model.biases[g][indices[:, g]] / unit[rank] + np.einsum("ij,ij->i", s, v)
            s += v
    with np.errstate(over="ignore"):  # the caller raises an error
        return s, y / unit[rank] - c


def _solve(
    s: np.ndarray, t: np.ndarray, ratings: _SortedRatings, strength: np.ndarray, centers: np.ndarray
) -> np.ndarray:
    """Minimize sum w (t - <v, s>)^2 + sum_j strength_j (v_j - center_j)^2 for each level, (n_levels, n_features)."""
    n_features, bounds = s.shape[1], ratings.bounds
    solved = np.empty_like(centers)
    with one_blas_thread():  # the same sums on any number of threads
        for part in chunks(len(solved), max(_MAX_NUMBERS_AT_ONCE // max(n_features, 1) ** 2, 1)):
            n_levels = part.stop - part.start
            gram, right = np.empty((n_levels, n_features, n_features)), np.empty((n_levels, n_features))
            for k in range(n_levels):
                rows = slice(bounds[part.start + k], bounds[part.start + k + 1])
                weighted = s[rows] * ratings.weights[rows, None]
                gram[k], right[k] = weighted.T @ s[rows], t[rows] @ weighted
            gram[:, range(n_features), range(n_features)] += strength[part]
            right += strength[part] * centers[part]
            solved[part] = _solve_each(gram, right, is_regular=bool(strength[part].all()))
    return solved


def _solve_each(gram: np.ndarray, right: np.ndarray, is_regular: bool) -> np.ndarray:
    """Solve a system for each level. If there is no penalty or hardly any, return the shortest solution."""
    if is_regular:
        try:
            return np.linalg.solve(gram, right[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:  # the penalty is smaller than the rounding of the ratings
            pass
    inverse = np.linalg.pinv(gram, _MIN_RELATIVE_EIGENVALUE, hermitian=True)
    return np.einsum("kij,kj->ki", inverse, right)
