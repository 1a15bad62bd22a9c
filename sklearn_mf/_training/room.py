"""Estimate how much memory or disk space the arrays of a fit take, before they are made."""

from __future__ import annotations

from sklearn_mf._kernel.sgd import LANES
from sklearn_mf._training.hyperparameters import Hyperparameters

_CODE, _NUMBER, _FLOAT = 4, 8, 4  # bytes
_GRID = 4.25  # bytes of a rating in the grid for the kernel; its weight takes another 4
_PARTNERS = 12  # bytes of a rating in the lists of distinct pairs
_LOSS = 24  # most bytes of a rating when another loss than the squared error sorts ratings


def bytes_of_fit(
    n_rows: int, n_levels: list[int], has_weights: bool, hyper: Hyperparameters, early_stopping: bool
) -> int:
    """Return the approximate maximum size of the arrays in the storage of a single shard."""
    has_centers, has_trial = hyper.implicit_features is not None, not hyper.loss.is_standardized
    as_they_came = _CODE * len(n_levels) + _NUMBER * (2 if has_weights else 1)
    in_blocks = _CODE * len(n_levels) + _NUMBER * 2  # merging gives weights to repeated ratings
    n_copies = 2 if early_stopping or has_trial else 1
    of_grid = _GRID + _FLOAT + (_PARTNERS if has_centers else 0)
    of_loss = 0 if hyper.loss.is_least_squares else _LOSS
    of_a_rating = max(2 * as_they_came, n_copies * in_blocks + 1 + max(of_grid, of_loss))

    width = _FLOAT * max(LANES, -(-hyper.rank // LANES) * LANES)
    of_rows = (3 if has_centers else 2) * width * sum(n_levels)
    of_sums = 3 * (width + _FLOAT * LANES) * max(n_levels[:2]) if has_centers else 0
    return int(of_a_rating * n_rows) + of_rows + of_sums
