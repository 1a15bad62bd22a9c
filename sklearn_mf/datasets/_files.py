"""Read files of ratings as people have them."""

from __future__ import annotations

import codecs
import csv
import gzip
from collections.abc import Sequence
from numbers import Integral
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

_SEPARATORS = ("::", "\t", ",", ";", "|", " ")  # that are found by themselves, the first ones first
_WORDS_FOR_MISSING = ("", "na", "n/a", "nan", "null", "none")  # of a rating: such a line is no header
_DEFAULT_COLUMNS = (0, 1, 2)


def load_ratings(
    path: str | PathLike,
    *,
    columns: Sequence[int | str] = _DEFAULT_COLUMNS,
    sep: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    return_X_y: bool = False,
) -> Any:
    r"""Read a file with one rating per line.

    Parameters
    ----------
    path : str or path-like
        Text file, or the same compressed by gzip.

    columns : sequence of int or str, default=(0, 1, 2)
        Places (from 0) or, with a header, names of the columns: user, item, any contexts, and last the rating.

    sep : str or None, default=None
        The text between the values. None finds ``"::"``, a tab, ``","``, ``";"``, ``"|"`` or a space by itself.

    header : bool or None, default=None
        Whether the first line holds names. With None it does if its rating is a word and its ids are not all numbers.

    encoding : str or None, default=None
        Encoding of the text. None reads UTF-8, or Latin-1 if the file is not valid UTF-8.

    return_X_y : bool, default=False
        Whether to return ``(X, y)`` only.

    Returns
    -------
    ratings : :class:`~sklearn.utils.Bunch` or tuple of (X, y)
        With ``data`` (n_ratings, n_columns - 1), the ids: int64 when all id columns are ints, else object with Python
        ints and strings; ``target`` (n_ratings,) float64, the ratings; ``feature_names`` (list of str) of the id
        columns, from the header or ``["user", "item", ...]``. A column is read as ints only if every value equals
        ``str(int(value))``: ``"0012"`` stays text.

    Raises
    ------
    ValueError
        If a line has more or fewer values than the first, an empty id or a rating that is not a finite number (the
        error names the line), if a column is missing or has no name, or if the file has no ratings.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sklearn_mf.datasets import load_ratings
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "ratings.csv"
    ...     _ = path.write_text("user,film,stars\nann,12,4.5\nbob,7,3\n")
    ...     ratings = load_ratings(path)
    >>> ratings.data
    array([['ann', 12],
           ['bob', 7]], dtype=object)
    >>> ratings.feature_names, ratings.target
    (['user', 'film'], array([4.5, 3. ]))
    """
    if len(columns) < 3:
        raise ValueError(f"columns={columns!r} must name at least three columns: user, item and rating.")
    name = fspath(path)
    lines, line_numbers = _read_lines(Path(path), encoding)
    if not lines:
        raise ValueError(f"{name} has no ratings: it is empty.")
    sep = _find_separator(lines[0]) if sep is None else sep
    if sep == " ":  # several spaces may line up columns
        lines = [" ".join(line.split()) for line in lines]
    names = _split_line(lines[0], sep)
    places = _find_columns(columns, names, name)
    if header is None:
        header = _has_header(columns, [names[place] for place in places])
    if header:
        _check_names(columns, places, names, name)
        lines, line_numbers = lines[1:], line_numbers[1:]
    if not lines:
        raise ValueError(f"{name} has no ratings: it ends after the header.")

    *id_tokens, rating_tokens = _take_columns(lines, line_numbers, sep, places, len(names), name)
    y = _parse_ratings(rating_tokens, lines, line_numbers, name)
    ids = [_parse_ids(tokens, lines, line_numbers, name) for tokens in id_tokens]
    if all(isinstance(column, np.ndarray) for column in ids):
        X = np.stack(ids, axis=1)
    else:
        X = np.empty((len(y), len(ids)), dtype=object)
        for j, column in enumerate(ids):
            X[:, j] = column.tolist() if isinstance(column, np.ndarray) else column
    if return_X_y:
        return X, y
    contexts = [f"context_{j}" for j in range(1, len(ids) - 1)]
    feature_names = [names[place] for place in places[:-1]] if header else ["user", "item", *contexts]
    return Bunch(data=X, target=y, feature_names=feature_names)


def _read_lines(path: Path, encoding: str | None) -> tuple[list[str], Sequence[int]]:
    """Read the lines that are not blank, and their numbers in the file, from 1."""
    data = path.read_bytes()
    try:
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        data = data.removeprefix(codecs.BOM_UTF8)
        if encoding is not None:
            text = data.decode(encoding)
        else:
            if b"\0" in data:
                raise ValueError("it has NUL bytes. Is it UTF-16 (give encoding), or compressed other than by gzip?")
            try:
                text = data.decode("utf-8")
            except UnicodeDecodeError:
                text = data.decode("latin-1")
    except (EOFError, OSError, LookupError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as text: {error}") from error
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if all(map(str.strip, lines)):
        return lines, range(1, len(lines) + 1)
    kept = [(line, number) for number, line in enumerate(lines, 1) if line.strip()]
    return [line for line, _ in kept], [number for _, number in kept]


def _find_separator(line: str) -> str:
    """Find the separator that makes at least three values of a line; a comma if there is none."""
    for sep in _SEPARATORS:
        if line.count(sep) >= 2:
            return sep
    return ","


def _split_line(line: str, sep: str) -> list[str]:
    """Split a line into its values, some of which may be quoted."""
    if '"' in line and len(sep) == 1:
        return list(map(str.strip, next(csv.reader([line], delimiter=sep, skipinitialspace=True))))
    return list(map(str.strip, line.split(sep)))


def _find_columns(columns: Sequence[int | str], names: list[str], path: str) -> list[int]:
    """Find the places of columns that are given by place or by name."""
    places = []
    for column in columns:
        if isinstance(column, str):
            if column not in names:
                raise ValueError(f"{path}, line 1: no column {column!r} among {names}.")
            places.append(names.index(column))
        elif isinstance(column, Integral) and 0 <= column < len(names):
            places.append(int(column))
        else:
            raise ValueError(
                f"{path}, line 1: no column {column!r} (counted from 0) among the {len(names)} values {names}. A line "
                "needs a user, an item and a rating; give sep or columns if the file is laid out otherwise."
            )
    if len(set(places)) < len(places):
        raise ValueError(f"columns={columns!r} names a column twice.")
    return places


def _has_header(columns: Sequence[int | str], first_values: list[str]) -> bool:
    """Tell whether the values of the first line are names: its rating is a word, and its ids are not all numbers."""
    if any(isinstance(column, str) for column in columns):
        return True
    *ids, rating = first_values
    if _is_number(rating) or rating.lower() in _WORDS_FOR_MISSING:
        return False
    return not all(map(_is_number, ids))


def _check_names(columns: Sequence[int | str], places: list[int], names: list[str], path: str) -> None:
    """Refuse columns without a name, and default columns if the ratings are in another one."""
    picked = [names[place] for place in places]
    if "" in picked:
        raise ValueError(
            f"{path}, line 1: column {places[picked.index('')]} has no name among {names}. Was the table written with "
            "its index? Give columns."
        )
    lower = [name.lower() for name in names]
    if tuple(columns) == _DEFAULT_COLUMNS and "rating" in lower and lower.index("rating") != places[-1]:
        raise ValueError(
            f"{path}, line 1: the ratings would be taken from {picked[-1]!r}, but there is a column "
            f"{names[lower.index('rating')]!r} among {names}. Give columns, by name or place: user, item, ..., rating."
        )


def _take_columns(
    lines: list[str], line_numbers: Sequence[int], sep: str, places: list[int], n_values: int, path: str
) -> list[list[str]]:
    """Return the values of each of the columns at these places."""
    has_quotes = len(sep) == 1 and any('"' in line for line in lines)
    if not has_quotes and all(line.count(sep) + 1 == n_values for line in lines):
        values = "\n".join(lines).replace(sep, "\n").split("\n")  # passes in C over the whole file
        return [values[place::n_values] for place in places]
    rows = [_split_line(line, sep) for line in lines]
    for row, number, line in zip(rows, line_numbers, lines, strict=True):
        if len(row) != n_values:
            raise ValueError(
                f"{path}, line {number}: {len(row)} instead of {n_values} values between {sep!r}: {line!r}."
            )
    return [[row[place] for row in rows] for place in places]


def _parse_ratings(tokens: list[str], lines: list[str], line_numbers: Sequence[int], path: str) -> np.ndarray:
    """Turn ratings into floats; each distinct token is parsed once."""
    value_of = {token: float(token) if _is_number(token) else np.nan for token in set(tokens)}
    wrong_rows = [tokens.index(token) for token, value in value_of.items() if not np.isfinite(value)]
    if wrong_rows:
        row = min(wrong_rows)
        raise ValueError(
            f"{path}, line {line_numbers[row]}: the rating {tokens[row].strip()!r} is not a finite number: "
            f"{lines[row]!r}."
        )
    return np.array(list(map(value_of.__getitem__, tokens)))


def _parse_ids(tokens: list[str], lines: list[str], line_numbers: Sequence[int], path: str) -> np.ndarray | list[str]:
    """Turn ids into int64 if Python writes each int as its token, else keep the texts; parse each distinct one once."""
    id_of = {token: token.strip() for token in set(tokens)}
    empty_rows = [tokens.index(token) for token, id_ in id_of.items() if not id_]
    if empty_rows:
        row = min(empty_rows)
        raise ValueError(f"{path}, line {line_numbers[row]}: an id is empty: {lines[row]!r}.")
    try:
        int_of = {token: int(id_) for token, id_ in id_of.items()}
        if all(str(int_of[token]) == id_ for token, id_ in id_of.items()):
            return np.array(list(map(int_of.__getitem__, tokens)), dtype=np.int64)
    except (ValueError, OverflowError):
        pass
    return list(map(id_of.__getitem__, tokens))


def _is_number(token: str) -> bool:
    """Tell whether a token is a number, also NaN or infinity."""
    try:
        float(token)
    except ValueError:
        return False
    return "_" not in token  # Python reads 1_0 as 10
