"""Check the input of splitters, encode the columns they use, and mark the last rows of each user."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length, check_scalar

from sklearn_mf._ids.factorize import factorize
from sklearn_mf._ids.pick import pick_column
from sklearn_mf._ids.rows import warn_of_other_order
from sklearn_mf._ids.tables import split_column
from sklearn_mf._utils.warnings import warn_user

_LARGEST_ERROR_WITHOUT_WARNING = 0.1  # share of the ratings that test_size asks for


def check_count(count: Any, name: str, advice_on_shares: str) -> int:
    """Check an int of at least 1, and return it; the advice is for users who give a share."""
    if isinstance(count, bool):
        raise TypeError(f"{name} must be an int, at least 1, not {count!r}.")
    if isinstance(count, Real) and 0 < float(count) < 1:
        raise TypeError(f"{name} must be an int, at least 1, not {count!r}. {advice_on_shares}")
    return check_scalar(count, name, Integral, min_val=1)


def check_test_size(test_size: Any) -> Any:
    """Check the share or number of ratings to hold out, and return it."""
    is_number = isinstance(test_size, Integral) and not isinstance(test_size, bool) and int(test_size) >= 1
    is_share = isinstance(test_size, Real) and 0 < float(test_size) < 1
    if not (is_number or is_share):
        raise ValueError(
            f"test_size={test_size!r} must be a float between 0 and 1, a share of the ratings, or an int of at least 1."
        )
    return test_size


def warn_of_test_size(splitter: Any, test_size: float, n_asked: float, n_test: int, why: str) -> None:
    """Warn if the number of ratings held out differs by more than a tenth from ``test_size``."""
    if abs(n_test - n_asked) > max(_LARGEST_ERROR_WITHOUT_WARNING * n_asked, 1):
        warn_user(
            f"{type(splitter).__name__} holds out {n_test} ratings instead of {n_asked:.0f} (test_size={test_size}): "
            f"{why}",
            UserWarning,
        )


def count_test_rows(test_size: float, n_rows: int) -> float:
    """Compute how many rows ``test_size`` asks for, not rounded."""
    if isinstance(test_size, Integral) and test_size >= n_rows:
        raise ValueError(f"test_size={test_size} must be less than the number of ratings, {n_rows}.")
    return test_size if isinstance(test_size, Integral) else test_size * n_rows


def check_rows(splitter: Any, X: Any, y: Any, groups: Any) -> int:
    """Check that X and y have the same number of rows, and return it."""
    check_consistent_length(X, y, groups)
    if groups is not None:
        warn_user(f"The groups parameter is ignored by {type(splitter).__name__}.", UserWarning)
    return count_rows(type(splitter).__name__, X, y)


def count_rows(name: str, X: Any, y: Any) -> int:
    """Check that X and y have the same number of rows, at least one, and return it."""
    check_consistent_length(X, y)
    if not hasattr(X, "shape") and not hasattr(X, "__len__"):
        raise ValueError(f"{name} splits the rows of X, but X is {X!r}. Give a table.")
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    if not n_rows:
        raise ValueError("X has no rows to split.")
    warn_of_other_order(X, y=y)
    return n_rows


def encode_columns(splitter: Any, X: Any, parameters: list[str]) -> list[np.ndarray]:
    """Encode the columns of X that these parameters of the splitter name: return the codes of their ids."""
    name = type(splitter).__name__
    picked = [pick_column(X, getattr(splitter, parameter), parameter, name) for parameter in parameters]
    columns = [split_column(ids, label) for label, ids in picked]
    if len({column.label for column in columns}) < len(columns):
        raise ValueError(f"{' and '.join(parameters)} of {name} are both {columns[0].label}. They must differ.")
    return [factorize(column)[1] for column in columns]


def mark_last_of_each(codes: np.ndarray, order: np.ndarray, n_last: np.ndarray) -> np.ndarray:
    """Mark the last ``n_last[code]`` rows of each code, for rows in this order; bool (n_rows,)."""
    by_code = order[np.argsort(codes[order], kind="stable")]
    counts = np.bincount(codes)
    place_from_end = np.repeat(np.cumsum(counts), counts) - np.arange(len(codes))  # 1 is the last
    is_last = np.zeros(len(codes), dtype=bool)
    is_last[by_code[place_from_end <= np.repeat(n_last, counts)]] = True
    return is_last
