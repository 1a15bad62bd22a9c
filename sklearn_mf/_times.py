"""Times of ratings, as users have them, as an array that sorts."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from numbers import Real
from typing import Any, NoReturn

import narwhals as nw
import numpy as np

from sklearn_mf._columns import Column
from sklearn_mf._encoding import fit_columns
from sklearn_mf._threads import Threads


def find_times(name: str, own: Any, routed: Any, n_rows: int) -> tuple[np.ndarray, str]:
    """The times of the rows, from the constructor of a splitter or from ``split``, as ``check_times`` gives them."""
    if own is not None and routed is not None:
        raise ValueError(
            f"times is given both to {name} and to split (or as metadata, which set_split_request(times=False) keeps "
            "from it): give it to one of them."
        )
    if own is None and routed is None:
        raise ValueError(
            f"{name} needs the time of each rating: {name}(times=times), or split(X, y, times=times). In "
            "cross_validate or a search, the latter is params={'times': times} or fit(X, y, times=times), after "
            "sklearn.set_config(enable_metadata_routing=True)."
        )
    values, kind = check_times(own if routed is None else routed, "times")
    if len(values) != n_rows:
        advice = "Give one time a row."
        if routed is None:
            advice = (
                f"Where X is a part of the rows, as in nested cross-validation, give {name} no times, and pass them as "
                "metadata, which is cut along with X: params={'times': times} or fit(X, y, times=times), after "
                "sklearn.set_config(enable_metadata_routing=True)."
            )
        raise ValueError(
            f"times and X have inconsistent numbers of samples: {len(values)} times and {n_rows} rows. {advice}"
        )
    return values, kind


def check_times(times: Any, name: str) -> tuple[np.ndarray, str]:
    """A sortable array of times, in UTC if they have a time zone, and what it holds."""
    has_zone = False
    masked = np.flatnonzero(np.ma.getmaskarray(times)) if np.ma.isMaskedArray(times) else ()
    if nw.dependencies.is_into_series(times):
        series = nw.from_native(times, series_only=True)
        has_zone = getattr(series.dtype, "time_zone", None) is not None
        times = series.to_numpy()
    values = np.asarray(times)
    if values.ndim != 1:
        raise ValueError(f"{name} must be a 1D array, one time a row of X; got an array of shape {values.shape}.")
    if len(masked):
        _raise_missing_times(masked, len(values), name)
    if values.dtype.kind == "O":
        values, has_zone = _from_objects(values.tolist(), name)
    if values.dtype.kind in "UST" and len(values):
        raise ValueError(
            f"{name} holds text (such as {values[0].item()!r}), which is not ordered as time is. Convert it: numbers "
            "with astype(float), dates with pandas.to_datetime."
        )
    if values.dtype.kind not in "iufM":
        raise ValueError(f"{name} must be numbers or datetimes, got an array of {values.dtype}.")
    bad = np.flatnonzero(~np.isfinite(values))  # NaT is not finite, either
    if len(bad):
        _raise_missing_times(bad, len(values), name)
    if values.dtype.kind != "M":
        return values, "numbers"
    return values, "datetimes with a time zone" if has_zone else "datetimes without a time zone"


def _from_objects(values: list, name: str) -> tuple[np.ndarray, bool]:
    """Python numbers, texts or datetimes as a typed array, and whether it had time zones."""
    missing = [i for i, v in enumerate(values) if v is None or type(v).__name__ == "NAType" or v != v]
    if missing:
        _raise_missing_times(missing, len(values), name)
    for types in (Real, str, bytes):
        if all(isinstance(value, types) for value in values):
            return np.array(values), False
    other = next((v for v in values if not isinstance(v, (datetime.date, np.datetime64))), None)
    if other is not None:
        raise ValueError(
            f"{name} must be all numbers or all datetimes, and holds {other!r} of type {type(other).__name__} among "
            f"others such as {values[0]!r}."
        )
    has_zone = getattr(values[0], "tzinfo", None) is not None
    (levels,), (codes,) = fit_columns([Column(name, values)], Threads(1))
    return levels[codes], has_zone


def _raise_missing_times(rows: Sequence[int] | np.ndarray, n_rows: int, name: str) -> NoReturn:
    raise ValueError(
        f"{name} has missing or infinite values: {len(rows)} of {n_rows}, the first at row {rows[0]}. Leave these "
        "ratings out, or give them a time."
    )
