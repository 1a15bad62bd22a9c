"""Ratings files as people have them."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

_SEPARATORS = ("::", "\t", ",", ";", "|", " ")


def load_ratings(
    path: str | PathLike,
    *,
    columns: Sequence[int | str] = (0, 1, 2),
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
        What stands between the values: ``"::"``, a tab, ``","``, ``";"``, ``"|"`` or a space are found by themselves.

    header : bool or None, default=None
        Whether the first line holds names. None: it does when its rating is not a number.

    encoding : str or None, default=None
        None reads UTF-8, and Latin-1 where the file is not valid UTF-8.

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
        If a line has too few values, an empty id or a rating that is not a finite number (the error names the line),
        if a column is not there, or if the file has no ratings.

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
    lines, numbers = _read_lines(Path(path), encoding)
    if not lines:
        raise ValueError(f"{name} has no ratings: it is empty.")
    sep = _find_separator(lines[0]) if sep is None else sep
    if sep == " ":  # columns may be lined up by several
        lines = [" ".join(line.split()) for line in lines]
    names = _split(lines[0], sep)
    places = _find_columns(columns, names, name)
    if header is None:
        header = any(isinstance(column, str) for column in columns) or not _is_number(names[places[-1]])
    if header:
        lines, numbers = lines[1:], numbers[1:]
    if not lines:
        raise ValueError(f"{name} has no ratings: it ends after the header.")
    tokens = _columns_of(lines, numbers, sep, places, name)

    y = _parse_ratings(tokens[-1], lines, numbers, name)
    ids = []
    for token_column in tokens[:-1]:
        if "" in token_column:
            row = token_column.index("")
            raise ValueError(f"{name}, line {numbers[row]}: an id is empty: {lines[row]!r}.")
        ids.append(_parse_ids(token_column))
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
    """The lines that are not blank, and their numbers in the file, from 1."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if encoding is not None:
        text = data.decode(encoding)
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if all(map(str.strip, lines)):
        return lines, range(1, len(lines) + 1)
    kept = [(line, number) for number, line in enumerate(lines, 1) if line.strip()]
    return [line for line, _ in kept], [number for _, number in kept]


def _find_separator(line: str) -> str:
    for sep in _SEPARATORS:
        if line.count(sep) >= 2:
            return sep
    return ","


def _split(line: str, sep: str) -> list[str]:
    quoted = '"' in line and len(sep) == 1
    values = next(csv.reader(io.StringIO(line), delimiter=sep)) if quoted else line.split(sep)
    return list(map(str.strip, values))


def _find_columns(columns: Sequence[int | str], names: list[str], path: str) -> list[int]:
    places = []
    for column in columns:
        if isinstance(column, str):
            if column not in names:
                raise ValueError(f"{path}, line 1: no column {column!r} among {names}.")
            places.append(names.index(column))
        elif 0 <= column < len(names):
            places.append(int(column))
        else:
            raise ValueError(
                f"{path}, line 1: no column {column} among {names}; the line has {len(names)} values. "
                "Give sep or columns if the file is laid out otherwise."
            )
    return places


def _columns_of(lines: list[str], numbers: Sequence[int], sep: str, places: list[int], path: str) -> list[list[str]]:
    """The values of each of the columns asked for."""
    n_values = lines[0].count(sep) + 1
    quoted = len(sep) == 1 and any('"' in line for line in lines)
    if not quoted and all(line.count(sep) + 1 == n_values for line in lines) and max(places) < n_values:
        values = sep.join(lines).split(sep)  # one pass in C over the whole file
        return [list(map(str.strip, values[place::n_values])) for place in places]
    rows = [_split(line, sep) for line in lines]
    for row, number, line in zip(rows, numbers, lines, strict=True):
        if len(row) <= max(places):
            raise ValueError(
                f"{path}, line {number}: {len(row)} values between {sep!r} where {max(places) + 1} are needed: "
                f"{line!r}."
            )
    return [[row[place] for row in rows] for place in places]


def _parse_ratings(tokens: list[str], lines: list[str], numbers: Sequence[int], path: str) -> np.ndarray:
    try:
        y = np.array(list(map(float, tokens)))
    except ValueError:
        row = next(i for i, token in enumerate(tokens) if not _is_number(token))
    else:
        if np.isfinite(y).all():
            return y
        row = int(np.flatnonzero(~np.isfinite(y))[0])
    raise ValueError(f"{path}, line {numbers[row]}: the rating {tokens[row]!r} is not a finite number: {lines[row]!r}.")


def _parse_ids(tokens: list[str]) -> np.ndarray | list[str]:
    """int64 where every token is how Python writes that int, else the tokens as they are."""
    try:
        ints = list(map(int, tokens))
        if list(map(str, ints)) == tokens:
            return np.array(ints, dtype=np.int64)
    except (ValueError, OverflowError):
        pass
    return tokens


def _is_number(token: str) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True
