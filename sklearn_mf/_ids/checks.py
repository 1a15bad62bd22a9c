"""Check ratings, weights and new levels, before any work starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from typing import Any, NoReturn

import numpy as np
from sklearn.utils import column_or_1d


def check_ratings(y: Any, n_rows: int, name: str = "y", of: str = "X") -> np.ndarray:
    """Check that ratings are finite numbers, one per row of X; return them as an array."""
    masked = np.flatnonzero(np.ma.getmaskarray(y)) if np.ma.isMaskedArray(y) else []
    if len(masked):
        raise ValueError(
            f"Input {name} has {len(masked)} masked ratings, the first at row {masked[0]}. Leave these rows out."
        )
    if type(y) is list and set(map(type, y)) <= {float, int}:
        y = np.asarray(y)
    if not (_is_plain(y) and y.ndim == 1):
        y = column_or_1d(y, warn=True)
    if y.dtype.kind == "c":
        raise ValueError("Complex data not supported: ratings must be real numbers.")
    is_text = y.dtype.kind in "USTMm" or (y.dtype.kind == "O" and any(isinstance(v, (str, bytes)) for v in y))
    if is_text:
        raise ValueError(
            f"{name} has text or dates, but ratings must be numbers. Convert it, for example with {name}.astype(float)."
        )
    if not _is_plain(y):  # plain arrays are converted part by part, later
        y = _as_floats(y, name)
    if len(y) != n_rows:
        raise ValueError(
            f"{of} and {name} have inconsistent numbers of samples: {n_rows} pairs and {len(y)} ratings. Give "
            "one rating per row."
        )
    bad = _not_finite(y)
    if len(bad):
        raise ValueError(
            f"Input {name} contains NaN or infinity: {len(bad)} of {len(y)} ratings, the first at row "
            f"{bad[0]}. Leave out rows whose rating is unknown."
        )
    return y


def _as_floats(values: np.ndarray, name: str) -> np.ndarray:
    """Convert a 1D array to float64; the error names the first row that cannot be converted."""
    with np.errstate(over="ignore"):  # too large numbers become infinite, which raises an error
        try:
            return values.astype(np.float64)
        except (TypeError, ValueError, OverflowError):
            row = next(row for row, value in enumerate(values.tolist()) if not _is_number(value))
    raise ValueError(
        f"{name} must be an array of numbers that fit into float64, but row {row} has a "
        f"{type(values[row]).__name__}. Convert it, or leave the row out."
    )


def _is_number(value: Any) -> bool:
    """Check whether a value can be a float64."""
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _is_plain(array: Any) -> bool:
    """Check whether an array of numbers can stay as it is; parts of it are converted when they are used."""
    return type(array) in (np.ndarray, np.memmap) and array.dtype.kind in "iuf" and array.dtype.itemsize <= 8


def _not_finite(values: np.ndarray) -> np.ndarray:
    """Find the places of NaN and infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):  # the usual case, without a temporary array
            return np.empty(0, dtype=np.intp)
    return np.flatnonzero(~np.isfinite(values))


def as_single_number(value: Any) -> Any:
    """Return the number in an array without dimensions; return other values as they are."""
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def check_weights(
    sample_weight: Any, n_rows: int, name: str = "sample_weight", of: str = "X", may_all_be_zero: bool = False
) -> np.ndarray | None:
    """Check that weights are finite, at least 0 and not all 0, one per row of X; return them as an array, or None."""
    if sample_weight is None:
        return None
    number = as_single_number(sample_weight)
    if isinstance(number, (bool, np.bool_)):
        raise ValueError(
            f"{name} must be an array with a weight for each row, not {number}. If you mean another argument, give it "
            "by name, such as update_known=True in fold_in."
        )
    try:
        if isinstance(sample_weight, Real) and not isinstance(sample_weight, np.ndarray):
            sample_weight = np.full(n_rows, float(sample_weight))
        weights = sample_weight
        if not _is_plain(weights):
            if getattr(getattr(weights, "dtype", None), "kind", "") == "c":
                raise TypeError("they are complex")
            with np.errstate(over="ignore"):
                weights = np.ma.asarray(weights, dtype=np.float64)
        weights = np.ma.filled(weights, np.nan)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be an array of numbers: {error}.") from error
    if weights.shape != (n_rows,):
        raise ValueError(
            f"{name}.shape == {weights.shape}, expected {(n_rows,)}. Give one weight for each row of {of}."
        )
    bad = _not_finite(weights)
    if len(bad) == 0 and weights.min() < 0:
        bad = np.flatnonzero(weights < 0)
    if len(bad):
        raise ValueError(
            f"{name} must be finite and not negative: {len(bad)} of {n_rows} weights are not, the first at row "
            f"{bad[0]} ({weights[bad[0]]}). Use 0 to leave a rating out."
        )
    if not (may_all_be_zero or weights.any()):
        raise ValueError("Sample weights are all zero: at least one rating must count.")
    return weights


def mean_weight(weights: np.ndarray | None) -> float:
    """Return the mean of the weights above 0, which never overflows; 1 if weights are None."""
    if weights is None:
        return 1.0
    largest = float(weights.max(initial=0))
    return largest * float((weights[weights > 0] / largest).mean()) if largest > 0 else 0.0


def check_old_ratings(y_old: Any, n_rows: int) -> np.ndarray | None:
    """Check ratings to replace: finite numbers, or NaN to replace nothing; return float64 (n_rows,), or None."""
    if y_old is None:
        return None
    try:
        if getattr(getattr(y_old, "dtype", None), "kind", "") == "c":
            raise TypeError("they are complex")
        values = np.ma.filled(np.ma.asarray(y_old, dtype=np.float64), np.nan)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"y_old must be an array of numbers, or NaN to replace nothing: {error}.") from error
    if values.shape != (n_rows,):
        raise ValueError(f"y_old.shape == {values.shape}, expected {(n_rows,)}. Give one value for each row of X.")
    bad = np.flatnonzero(np.isinf(values))
    if len(bad):
        raise ValueError(
            f"y_old is infinite in {len(bad)} of {n_rows} rows, the first at row {bad[0]}. Give finite numbers, or NaN."
        )
    return None if np.isnan(values).all() else values


def check_replaced_are_known(
    y_old: np.ndarray, is_new: np.ndarray, rows: np.ndarray, rating_range: tuple[float, float]
) -> None:
    """Raise a ValueError if a rating to replace cannot have been learned: new level, or rating out of range."""
    with np.errstate(invalid="ignore"):
        bad = np.flatnonzero((y_old < rating_range[0]) | (y_old > rating_range[1]))
    if len(bad):
        raise ValueError(
            f"y_old has {len(bad)} ratings outside the range that the model has learned, {rating_range[0]:g} "
            f"to {rating_range[1]:g}, the first at row {rows[bad[0]]} ({y_old[bad[0]]:g}). Give the ratings "
            "that the model learned, and NaN in all other rows."
        )
    bad = np.flatnonzero(~np.isnan(y_old) & is_new.any(axis=1))
    if len(bad):
        raise ValueError(
            f"y_old has a rating in {len(bad)} rows whose user, item or context is new, the first at row "
            f"{rows[bad[0]]}. These rows cannot have an earlier rating. Set y_old to NaN in these rows."
        )


def check_new_levels(is_new: np.ndarray, users: np.ndarray, rows: np.ndarray, update_known: bool) -> None:
    """Check rows for ``fold_in``: each must have exactly one new id, or with ``update_known`` at most one.

    ``is_new`` (n_rows, n_columns) and ``users`` (n_rows,) describe the rows of positive weight. ``rows`` has the
    numbers of these rows in X.
    """

    def fail(which: np.ndarray, what: str, what_to_do: str) -> NoReturn:
        shown = ", ".join(map(str, rows[which[:5]])) + (", ..." if len(which) > 5 else "")
        raise ValueError(f"{len(which)} of {len(is_new)} rows of X {what}, at rows {shown}. {what_to_do}")

    n_new = is_new.sum(axis=1)
    several, none = np.flatnonzero(n_new > 1), np.flatnonzero(n_new == 0)
    if len(several):
        fail(
            several,
            "have more than one new id",
            "First fold in new users, with their known items. Then fold in new items.",
        )
    if len(none) and not update_known:
        fail(
            none,
            "have no new id",
            "Leave them out. Or set update_known=True to solve their users again, and give all ratings of these users, "
            "because only the ratings of this call count.",
        )
    # One call cannot both solve the factors of a user and hold them fixed.
    solved = np.unique(users[(n_new == 0) | is_new[:, 0]])
    both = np.flatnonzero((n_new == 1) & ~is_new[:, 0] & np.isin(users, solved))
    if len(both):
        fail(both, "have a new item, but their user is also solved in this call", "Fold in users first, then items.")


@contextmanager
def name_table_in_errors(table: str) -> Iterator[None]:
    """Add the name of another table to errors, because their messages say X."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"In {table}: {error}") from error
