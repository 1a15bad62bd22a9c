"""Convert the texts of columns to ids, ratings and weights."""

from __future__ import annotations

import numpy as np

from sklearn_mf.datasets._columns import Chosen, read_name
from sklearn_mf.datasets._messages import NO_RATINGS, quote
from sklearn_mf.datasets._rows import Rows
from sklearn_mf.datasets._times import look_like_times
from sklearn_mf.datasets._tokens import is_number, read_digits


def parse_numbers(rows: Rows, place: int, start: int, what: str = "rating") -> np.ndarray:
    """Convert ratings or weights to floats; each distinct token is parsed once."""
    tokens = rows.get_column(place, start)
    value_of = {token: float(token) if is_number(token) else np.nan for token in set(tokens)}
    wrong_rows = [tokens.index(token) for token, value in value_of.items() if not np.isfinite(value)]
    if wrong_rows:
        row = start + min(wrong_rows)
        hint = " If the first row holds names, give header=True." if row == 0 and rows.n_lines_before == 0 else ""
        raise ValueError(
            f"{rows.locate(row)}: the {what} {quote(tokens[row - start].strip())} is not a finite number: "
            f"{rows.quote_row(row)}.{hint}"
        )
    return np.array(list(map(value_of.__getitem__, tokens)))


def parse_weights(rows: Rows, place: int, start: int) -> np.ndarray:
    """Convert weights to floats of at least 0."""
    weights = parse_numbers(rows, place, start, "weight")
    if weights.min(initial=0) < 0:
        row = start + int(np.argmax(weights < 0))
        raise ValueError(f"{rows.locate(row)}: the weight is below 0: {rows.quote_row(row)}.")
    return weights


def parse_ids(rows: Rows, place: int, start: int, as_text: bool = False) -> np.ndarray | list[str]:
    """Convert ids to int64 if each token equals ``str(int(token))``, otherwise keep the texts."""
    tokens = rows.get_column(place, start)
    numbers = None if as_text else read_digits(tokens)
    if numbers is not None:
        return numbers
    id_of = {token: token.strip() for token in set(tokens)}
    empty_rows = [tokens.index(token) for token, id_ in id_of.items() if not id_]
    if empty_rows:
        row = start + min(empty_rows)
        raise ValueError(f"{rows.locate(row)}: an id is empty: {rows.quote_row(row)}.")
    if not as_text:
        try:
            int_of = {token: int(id_) for token, id_ in id_of.items()}
            if all(str(int_of[token]) == id_ for token, id_ in id_of.items()):
                return np.array(list(map(int_of.__getitem__, tokens)), dtype=np.int64)
        except (ValueError, OverflowError):
            pass
    return list(map(id_of.__getitem__, tokens))


def check_no_times(
    rows: Rows, chosen: Chosen, y: np.ndarray, may_be_times: bool | None = None, takes_time: bool = False
) -> None:
    """Raise an error for ratings that look like times, unless their column is given by name or named as ratings.

    If ``y`` has only the first ratings, ``may_be_times`` says whether all look like times. ``takes_time`` says whether
    the caller has an argument ``time``.
    """
    if chosen.rating_is_named or not (look_like_times(y) if may_be_times is None else may_be_times):
        return
    if chosen.start and read_name(rows.get_row(0)[chosen.rating]).role == "rating":
        return
    times = f" For times, set time, such as time={chosen.rating}." if takes_time else ""
    raise ValueError(
        f"{rows.locate(chosen.start)}: the ratings would be taken from column {chosen.rating}, which has "
        f"times such as {y[0]:.0f}. Set columns: user, item, any contexts, and last the rating.{times} {NO_RATINGS}"
    )
