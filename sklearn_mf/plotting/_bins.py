"""Sort held-out ratings into bins by numbers of training ratings, and compute the error of a bin."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearn_mf.plotting._shared import as_array, check_whole_number

_MIN_RATINGS_FOR_INTERVAL = 10  # with fewer, an interval is no better than a guess


def check_counts(counts: ArrayLike, n_rows: int, name: str) -> np.ndarray:
    """Check numbers of training ratings, one for each row, and return them as int64."""
    array = as_array(counts, name)
    if array.shape != (n_rows,):
        raise ValueError(f"{name}.shape == {array.shape}, expected {(n_rows,)}: give one count for each rating.")
    if array.dtype.kind not in "iu" or array.min() < 0:
        raise ValueError(f"{name} must be whole numbers of ratings, 0 or more, with an integer dtype.")
    return array.astype(np.int64)


def choose_bin_starts(counts: np.ndarray, bins: Any) -> np.ndarray:
    """Return the first number of each bin, for counts above 0."""
    if isinstance(bins, str):
        if bins != "log":
            raise ValueError(f"bins={bins!r} must be 'log', a number of bins, or a list of first numbers.")
        n_steps = 2 * len(str(counts.max(initial=1))) + 1
        return np.array([(1, 3)[step % 2] * 10 ** (step // 2) for step in range(n_steps)])
    starts = as_array(bins, "bins")
    if starts.ndim == 0:
        check_whole_number(bins, "bins", at_least=1)
        if not len(counts):
            return np.array([1])
        bins = min(bins, len(counts))
        inner = np.quantile(counts, np.arange(1, bins) / bins, method="higher")
        return np.unique(np.append(1, inner)).astype(np.int64)
    is_list = starts.ndim == 1 and len(starts) and starts.dtype.kind in "iu"
    if not is_list or starts[0] != 1 or (np.diff(starts) <= 0).any():
        raise ValueError(f"bins={bins!r} must be whole numbers, ascending from 1.")
    return starts


def rmse_with_error(squared_errors: np.ndarray) -> tuple[int, float, float]:
    """Compute the number of errors, their RMSE, and half the width of its 95 % interval."""
    n, rmse = len(squared_errors), float(np.sqrt(squared_errors.mean()))
    if n < _MIN_RATINGS_FOR_INTERVAL:
        return n, rmse, np.nan
    standard_error = squared_errors.std(ddof=1) / np.sqrt(n)  # of the mean squared error
    return n, rmse, 1.96 * standard_error / (2 * rmse) if rmse else 0.0  # d sqrt(m) / dm = 1 / (2 sqrt(m))


def label_bin(first: int, last: int) -> str:
    """Write the first and the last number of a bin."""
    return f"{first}" if first == last else f"{first}–{last}"  # noqa: RUF001
