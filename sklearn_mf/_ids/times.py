"""Convert times of ratings to an array that can be sorted, and compare them with an instant."""

from __future__ import annotations

import datetime
import math
import re
import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, NoReturn

import narwhals as nw
import numpy as np

from sklearn_mf._ids.factorize import factorize
from sklearn_mf._ids.rows import refuse_other_index
from sklearn_mf._ids.tables import Column
from sklearn_mf._utils.warnings import warn_user

# Kinds of times, as messages name them.
_NUMBERS, _NAIVE, _AWARE = "numbers", "datetimes without a time zone", "datetimes with a time zone"

# Advice to convert ``at`` and ``times`` to the same kind, by their kinds.
_REMEDIES = {
    (_NAIVE, _NUMBERS): 'Convert times with pd.to_datetime(times, unit="s") if they are seconds since 1970, or give at '
    "in seconds: pd.Timestamp(...).timestamp().",
    (_AWARE, _NUMBERS): 'Convert times with pd.to_datetime(times, unit="s", utc=True) if they are seconds since 1970, '
    "or give at in seconds: pd.Timestamp(...).timestamp().",
    (_NUMBERS, _NAIVE): 'Give at as a datetime, such as np.datetime64("2020-01-01"). If it is in seconds since 1970, '
    'use pd.to_datetime(at, unit="s").',
    (_NUMBERS, _AWARE): 'Give at as a datetime, such as pd.Timestamp("2020-01-01", tz="UTC"). If it is in seconds '
    'since 1970, use pd.to_datetime(at, unit="s", utc=True).',
    (_AWARE, _NAIVE): 'Add a time zone to times, such as times.tz_localize("UTC") (times.dt.tz_localize for a pandas '
    "Series), or remove that of at with at.tz_localize(None).",
    (_NAIVE, _AWARE): 'Add a time zone to at, such as pd.Timestamp(at).tz_localize("UTC").',
}


class TimesPlaceholder:
    """Replace many times in a repr by their number."""

    def __init__(self, n_times: int):
        self.n_times = n_times

    def __repr__(self) -> str:
        return f"<{self.n_times} times>"


def choose_times(name: str, from_constructor: Any, from_split: Any, X: Any, n_rows: int) -> tuple[np.ndarray, str]:
    """Check the times of the rows of X. They come from the constructor of the splitter ``name``, or from ``split``."""
    if from_constructor is not None and from_split is not None:
        raise ValueError(
            f"times is given both to {name} and to split (or as metadata, unless "
            "set_split_request(times=False) is called). Give times only once."
        )
    if from_constructor is None and from_split is None:
        raise ValueError(
            f"{name} needs the time of each rating: {name}(times=times), or split(X, y, times=times). "
            "cross_validate takes params={'times': times}, and a search takes fit(X, y, times=times), both after "
            "sklearn.set_config(enable_metadata_routing=True)."
        )
    times = from_constructor if from_split is None else from_split
    values, kind = check_times(times, "times")
    if len(values) != n_rows:
        advice = "Give one time per row."
        if from_split is None:
            of_rows = "times.iloc[train]" if hasattr(times, "iloc") else "times[train]"
            advice = (
                f"If X has only some of the rows, such as a training part, give the times of these rows: "
                f"{name}(times={of_rows}). In nested cross-validation, pass "
                "times as metadata instead, which is split together with X: params={'times': times} or fit(X, y, "
                "times=times), after sklearn.set_config(enable_metadata_routing=True)."
            )
        raise ValueError(
            f"times and X have inconsistent numbers of samples: {len(values)} times and {n_rows} rows. {advice}"
        )
    refuse_other_index(times, X, "times")
    return values, kind


def check_times(times: Any, name: str) -> tuple[np.ndarray, str]:
    """Return a sortable array of times (in UTC if they have a time zone), and the kind of the times."""
    has_zone = False
    masked_rows = np.flatnonzero(np.ma.getmaskarray(times)) if np.ma.isMaskedArray(times) else ()
    if nw.dependencies.is_into_series(times):
        series = nw.from_native(times, series_only=True)
        has_zone = getattr(series.dtype, "time_zone", None) is not None
        times = series.to_numpy()
    try:
        values = np.asarray(times)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must be a 1D array, one time per row of X, but cannot be read as one: {error}."
        ) from error
    if isinstance(times, (list, tuple)):
        _refuse_rounded_ints(times, values, name)
    if values.ndim != 1:
        raise ValueError(f"{name} must be a 1D array, one time per row of X, not an array of shape {values.shape}.")
    if len(masked_rows):
        _raise_missing_times(masked_rows, len(values), name)
    if values.dtype.kind == "O":
        values, has_zone = _convert_objects(values.tolist(), name)
    if values.dtype.kind in "UST" and len(values):
        raise ValueError(
            f"{name} has text (such as {values[0].item()!r}), which does not sort by time. Convert numbers "
            "with astype(float), dates with pandas.to_datetime."
        )
    if values.dtype.kind not in "iufM":
        raise ValueError(f"{name} must be numbers or datetimes, not an array of {values.dtype}.")
    if values.dtype in (np.float16, np.float32):
        _check_digits(values, name)
    missing_rows = np.flatnonzero(~np.isfinite(values))  # NaT is not finite, either
    if len(missing_rows):
        _raise_missing_times(missing_rows, len(values), name)
    if values.dtype.kind != "M":
        return values, _NUMBERS
    return values, _AWARE if has_zone else _NAIVE


def are_at_or_after(times: np.ndarray, kind: str, at: Any) -> np.ndarray:
    """Find the times (from ``check_times``) that are at or after an instant; bool (n_rows,)."""
    shape = np.shape(np.asarray(at, dtype=object))
    if shape:
        raise ValueError(f"at must be a single number or datetime, not an array of shape {shape}.")
    if kind == _NUMBERS and isinstance(at, (float, np.floating)) and times.dtype.kind in "iu" and math.isfinite(at):
        at = math.ceil(at)  # the same result for ints, without rounding
    if isinstance(at, str):
        instant, at_kind = np.array([_parse_instant(at, kind)]), _NAIVE
    else:
        instant, at_kind = check_times([at], "at")
    if at_kind != kind:
        raise ValueError(
            f"at={at!r} cannot be compared with times: times are {kind}, but at is of another kind ({at_kind}). "
            f"{_REMEDIES[at_kind, kind]}"
        )
    if kind == _NUMBERS:
        return _are_at_or_after_number(times, instant)
    return _are_at_or_after_datetime(times, instant)


def _are_at_or_after_number(times: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Compare numbers exactly; NumPy 1 compares signed with unsigned integers as floats."""
    if {times.dtype.kind, at.dtype.kind} == {"i", "u"}:
        instant, bounds = int(at[0]), np.iinfo(times.dtype)
        if not bounds.min <= instant <= bounds.max:
            return np.full(len(times), instant < bounds.min)
        at = at.astype(times.dtype)
    return times >= at


def _are_at_or_after_datetime(times: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Compare datetimes in the coarser of their two units, because NumPy may overflow in the finer unit."""
    times, at = _in_plain_unit(times), _in_plain_unit(at)
    if np.can_cast(at.dtype, times.dtype, "safe"):
        return times.astype(at.dtype) >= at
    # For times in whole units, ``at`` may be rounded up to whole units.
    just_before = at - np.timedelta64(1, np.datetime_data(at.dtype)[0])
    return times >= just_before.astype(times.dtype) + np.timedelta64(1, np.datetime_data(times.dtype)[0])


def _in_plain_unit(times: np.ndarray) -> np.ndarray:
    """Convert weeks to days and units of 25 seconds to seconds, so that each unit is a multiple of finer ones."""
    unit, _ = np.datetime_data(times.dtype)
    return times.astype(f"M8[{'D' if unit == 'W' else unit}]", copy=False)


def _parse_instant(at: str, kind: str) -> np.datetime64:
    """Read an ISO 8601 instant, for times without a time zone."""
    if kind == _NUMBERS:
        raise ValueError(
            f"at={at!r} is text, but times are numbers. If they are seconds since 1970, give "
            f"pd.Timestamp({at!r}).timestamp()."
        )
    if kind == _AWARE:
        raise ValueError(f'at={at!r} is text, and times have a time zone. Give pd.Timestamp({at!r}, tz="UTC").')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy warns about time zones, which it drops
            instant = np.datetime64(at) if re.match(r"\d{4}(-|$)", at) else None
    except (ValueError, Warning):
        instant = None
    if instant is None:
        raise ValueError(
            f"at={at!r} is not an ISO 8601 date without a time zone, such as '1998-03-01' or "
            "'1998-03-01T12:30'. Convert it with pandas.to_datetime."
        )
    return instant


def hint_at_seconds(times: np.ndarray) -> str:
    """Return a hint if the times look like seconds that were read in a smaller unit, otherwise an empty string."""
    if times.dtype.kind == "M" and np.abs(times.astype("M8[D]").astype(np.int64)).max() <= 30:
        return ' All are within a month of 1970-01-01: seconds need unit="s", as in pd.to_datetime(times, unit="s").'
    return ""


def _convert_objects(values: list, name: str) -> tuple[np.ndarray, bool]:
    """Convert Python numbers, texts or datetimes to a typed array; also return whether they have time zones."""
    missing_rows = [i for i, v in enumerate(values) if v is None or type(v).__name__ == "NAType" or v != v]
    if missing_rows:
        _raise_missing_times(missing_rows, len(values), name)
    for types in (Real, str, bytes):
        if all(isinstance(value, types) for value in values):
            array = np.array(values)
            _refuse_rounded_ints(values, array, name)
            return array, False
    other = next((v for v in values if not isinstance(v, (datetime.date, np.datetime64))), None)
    if other is not None:
        unlike = next((v for v in values if type(v) is not type(other)), None)
        second = "" if unlike is None else f" and {unlike!r} of type {type(unlike).__name__}"
        raise ValueError(
            f"{name} must be all numbers or all datetimes, but has {other!r} of type {type(other).__name__}{second}."
        )
    has_zone = getattr(values[0], "tzinfo", None) is not None
    levels, codes = factorize(Column(name, values))
    return levels[codes], has_zone


def _refuse_rounded_ints(given: Sequence, array: np.ndarray, name: str) -> None:
    """Reject lists of ints and floats in which NumPy rounds an int."""
    if array.dtype.kind != "f":
        return
    rounded = next((value for value in given if isinstance(value, Integral) and int(float(value)) != value), None)
    if rounded is not None:
        raise ValueError(
            f"{name} has floats and the int {rounded}, which does not fit into float64. Give only ints, as int64 or "
            "uint64."
        )


def _check_digits(values: np.ndarray, name: str) -> None:
    """Reject float16 that has overflowed. Warn if short floats are so large that nearby times become equal."""
    if values.dtype == np.float16 and np.isinf(values).any():
        raise ValueError(
            f"{name} has dtype float16, whose largest value is 65504. Use int64 or float64 when you read the data."
        )
    largest = np.abs(values[np.isfinite(values)]).max(initial=0)
    step = float(np.spacing(largest))
    if step > 1:
        warn_user(
            f"{name} has dtype {values.dtype}, in which numbers near {float(largest):.10g} are {step:g} "
            "apart. Times closer than that become equal. Use int64 or float64 when you read the data, "
            "because lost digits cannot be restored.",
            UserWarning,
        )


def _raise_missing_times(rows: Sequence[int] | np.ndarray, n_rows: int, name: str) -> NoReturn:
    """Raise a ValueError for times that are missing or infinite."""
    raise ValueError(
        f"{name} has missing or infinite values: {len(rows)} of {n_rows}, the first at row {rows[0]}. Leave these "
        "ratings out, or give them a time."
    )
