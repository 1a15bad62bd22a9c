"""Read the times of a file of ratings."""

from __future__ import annotations

import re

import numpy as np

from sklearn_mf.datasets._rows import Rows
from sklearn_mf.datasets._tokens import is_number, read_digits

# Seconds since 1970 in the years 1985 to 2128, to recognize times in files without a header.
_SECONDS = (5 * 10**8, 5 * 10**9)
_MISSING = ("", "na", "n/a", "nan", "nat", "null", "none")
_DATETIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(?: ?(?:(Z|UTC)|([+-])(\d\d):?(\d\d)))?)?"
)


def look_like_times(values: np.ndarray) -> bool:
    """Check whether all are datetimes, or whole numbers that are seconds or milliseconds of the years 1985 to 2128."""
    if values.dtype.kind not in "if" or not len(values):
        return values.dtype.kind == "M"
    if not np.all(values == np.floor(values)):
        return False
    low, high = values.min(), values.max()
    return any(unit * _SECONDS[0] <= low and high < unit * _SECONDS[1] for unit in (1, 1000))


def find_nameless_times(rows: Rows, others: list[int]) -> list[int]:
    """Find columns, except the given ones, that look like times in a file without a header."""
    places = [place for place in range(rows.n_values) if place not in others]
    likely = [
        place for place in places if look_like_times(read_times([rows.values[place]]))
    ]  # checked in the first row
    return [place for place in likely if look_like_times(read_times(rows.get_column(place, 0)))]


def read_times(tokens: list[str]) -> np.ndarray:
    """Convert times to int64, float64 or datetime64 (UTC if they have zones); otherwise keep the texts, as objects.

    Missing ones are NaN or NaT.
    """
    numbers = read_digits(tokens)
    if numbers is not None:
        return numbers
    tokens = [token.strip() for token in tokens]
    is_missing = [token.lower() in _MISSING for token in tokens]
    known = [token for token, missing in zip(tokens, is_missing, strict=True) if not missing]
    if known and all(map(is_number, known)):
        filled = ["nan" if missing else token for token, missing in zip(tokens, is_missing, strict=True)]
        if not any(is_missing) and all(re.fullmatch(r"[+-]?\d{1,18}", token) for token in known):
            return np.array(list(map(int, tokens)), dtype=np.int64)
        return np.array(list(map(float, filled)))
    datetimes = _read_datetimes(tokens, is_missing) if known else None
    return np.array(tokens, dtype=object) if datetimes is None else datetimes


def _read_datetimes(tokens: list[str], is_missing: list[bool]) -> np.ndarray | None:
    """Read ISO 8601 datetimes, all with a zone or all without; return None if one has another format."""
    texts, shifts, zones = [], [], set()
    for token, missing in zip(tokens, is_missing, strict=True):
        match = _DATETIME.fullmatch(token)
        if missing:
            texts.append("NaT")
            shifts.append(0)
            continue
        if match is None:
            return None
        day, time, utc, sign, hours, minutes = match.groups()
        texts.append(f"{day}T{time}" if time else day)
        zones.add(bool(utc or sign))
        shifts.append((int(f"{sign}1") * (60 * int(hours) + int(minutes))) if sign else 0)
    if len(zones) > 1:
        return None
    try:
        datetimes = np.array(texts, dtype="M8")  # in the finest of their units
    except ValueError:  # a 13th month
        return None
    return datetimes - np.array(shifts, dtype="m8[m]") if any(shifts) else datetimes
