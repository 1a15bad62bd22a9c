"""Checks of ratings and weights, before any work starts."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import column_or_1d


def check_ratings(y: Any, n_rows: int) -> np.ndarray:
    """``y`` as finite float64, one per row of X."""
    masked = np.flatnonzero(np.ma.getmaskarray(y)) if np.ma.isMaskedArray(y) else []
    if len(masked):
        raise ValueError(f"Input y has {len(masked)} masked ratings, the first at row {masked[0]}; leave them out.")
    y = column_or_1d(y, warn=True)
    if y.dtype.kind == "c":
        raise ValueError("Complex data not supported: ratings are real numbers.")
    is_text = y.dtype.kind in "USTMm" or (y.dtype.kind == "O" and any(isinstance(v, (str, bytes)) for v in y))
    if is_text:
        raise ValueError("y holds text or dates; ratings are numbers. Convert it, for example with y.astype(float).")
    if not _is_plain(y):  # what is plain is converted a part at a time
        y = y.astype(np.float64)
    if len(y) != n_rows:
        raise ValueError(
            f"X and y have inconsistent numbers of samples: {n_rows} pairs and {len(y)} ratings. Give one rating a row."
        )
    bad = _not_finite(y)
    if len(bad):
        raise ValueError(
            f"Input y contains NaN or infinity: {len(bad)} of {len(y)} ratings, the first at row {bad[0]}. "
            "An unknown rating is a row to leave out."
        )
    return y


def _is_plain(array: Any) -> bool:
    """Whether it is an array of numbers that need no conversion as a whole."""
    return type(array) in (np.ndarray, np.memmap) and array.dtype.kind in "iuf" and array.dtype.itemsize <= 8


def _not_finite(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):  # no temporary array for what is nearly always so
            return np.empty(0, dtype=np.intp)
    return np.flatnonzero(~np.isfinite(values))


def check_weights(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    """``sample_weight`` as finite float64 >= 0, not all zero, one per row of X."""
    if sample_weight is None or (isinstance(sample_weight, Real) and sample_weight > 0):
        return None
    try:
        weights = sample_weight if _is_plain(sample_weight) else np.ma.asarray(sample_weight, dtype=np.float64)
        weights = np.ma.filled(weights, np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sample_weight must be an array of numbers: {error}.") from error
    if weights.shape != (n_rows,):
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(n_rows,)}: one weight for each row of X.")
    bad = _not_finite(weights)
    if len(bad) == 0 and weights.min() < 0:
        bad = np.flatnonzero(weights < 0)
    if len(bad):
        raise ValueError(
            f"sample_weight must be finite and not negative: {len(bad)} of {n_rows} weights are not, the first at row "
            f"{bad[0]} ({weights[bad[0]]}). Use 0 to leave a rating out."
        )
    if not weights.any():
        raise ValueError("Sample weights are all zero: at least one rating must count.")
    return weights
