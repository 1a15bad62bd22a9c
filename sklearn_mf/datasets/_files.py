"""Read files of ratings as people have them."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from numbers import Integral
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklearn_mf.datasets._columns import choose_columns, choose_time, has_header, read_name
from sklearn_mf.datasets._messages import quote, shorten
from sklearn_mf.datasets._rows import Rows, split_rows
from sklearn_mf.datasets._times import find_nameless_times, look_like_times, read_times
from sklearn_mf.datasets._tokens import is_number, read_digits
from sklearn_mf.datasets._unpack import read_maybe_gzipped


def load_ratings(
    path: str | PathLike,
    *,
    columns: Sequence[int | str] | None = None,
    time: int | str | None = None,
    sep: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    return_X_y: bool = False,
) -> Any:
    r"""Read a file of ratings, one in each row.

    Parameters
    ----------
    path : str or path-like
        Text file, or the same compressed by gzip. Values may be in double quotes; a quoted value may hold separators
        and line ends, and quotes that are doubled or follow a backslash.

    columns : sequence of int or str, or None, default=None
        Places (from 0) or, with a header, names of the columns: user, item, any contexts, and last the rating. None
        takes the columns of a header whose names have the words for these (``userId``, ``movie_id``, ``Book-Rating``,
        ``stars``, ``rating:float``), in any order, and the first three if there is no header or it has no such words.
        Where the names leave it open, an error says so.

    time : int, str or None, default=None
        Place or name of the column of times. None finds it by the words of a header (``timestamp``, ``reviewTime``), or
        without a header by numbers that are seconds or milliseconds of the years 1985 to 2128.

    sep : str or None, default=None
        The text between the values. None finds ``"::"``, a tab, ``","``, ``";"``, ``"|"`` or a space by itself.

    header : bool or None, default=None
        Whether the first row holds names. None finds out by its words, and by numbers in the row that follows. If both
        may be, an error says so.

    encoding : str or None, default=None
        Encoding of the text. None reads UTF-8, UTF-16 with a byte order mark, or Latin-1 if the file is not valid
        UTF-8.

    return_X_y : bool, default=False
        Whether to return ``(X, y)`` only.

    Returns
    -------
    ratings : :class:`~sklearn.utils.Bunch` or tuple of (X, y)
        With

        * ``data`` (n_ratings, n_columns - 1): the ids, int64 when all id columns are ints, else object with Python ints
          and strings. A column is read as ints only if every value equals ``str(int(value))``: ``"0012"`` stays text;
        * ``target`` (n_ratings,) float64: the ratings;
        * ``times`` (n_ratings,) or None: when each was given, where the file says so: int64 or float64 as in the file,
          datetime64 (in UTC if there are zones) of dates as in ISO 8601, else the texts, as objects. Missing ones are
          NaN, NaT or empty;
        * ``feature_names`` (list of str): of the id columns, from the header or ``["user", "item", ...]``.

        Spaces around values are left out.

    Raises
    ------
    ValueError
        If a row has more or fewer values than the first, an empty id, a rating that is not a finite number, or a quote
        that does not end (the error names the line); if a column is missing or has no name; if it is not clear which
        columns hold users, items and ratings, or whether there is a header; if the ratings look like times; or if the
        file has no ratings.
    TypeError
        If ``path``, ``sep``, ``header`` or ``encoding`` is not of the type described above.
    OSError
        If the file cannot be opened, or is compressed by gzip and unpacks to far more than ratings do.

    See Also
    --------
    sklearn_mf.model_selection.LeaveLastOut : Split by ``times``.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sklearn_mf.datasets import load_ratings
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "ratings.csv"
    ...     _ = path.write_text("user,date,film,stars\nann,2020-03-01,12,4.5\nbob,2020-03-02,7,3\n")
    ...     ratings = load_ratings(path)
    >>> ratings.data
    array([['ann', 12],
           ['bob', 7]], dtype=object)
    >>> ratings.feature_names, ratings.target
    (['user', 'film'], array([4.5, 3. ]))
    >>> ratings.times
    array(['2020-03-01', '2020-03-02'], dtype='datetime64[D]')
    """
    is_list = hasattr(columns, "__getitem__") and hasattr(columns, "__len__") and not isinstance(columns, (str, dict))
    if columns is not None and not (is_list and len(columns) >= 3):
        raise ValueError(f"columns={quote(columns)} must name at least three columns: user, item and rating.")
    _check_types(path, sep, header, encoding)
    name = fspath(path)
    rows = split_rows(_read_text(Path(path), encoding), sep, name)
    if not rows.values:
        raise ValueError(f"{name} has no ratings: it is empty.")
    if header is None:
        header = isinstance(time, str) or has_header(rows, columns)
    start = 1 if header else 0  # the first row of ratings
    places = choose_columns(rows, columns, bool(header))
    if start == len(rows.line_numbers):
        raise ValueError(f"{name} has no ratings: it ends after the header.")

    y = _parse_ratings(rows, places[-1], start)
    _check_no_times(rows, places, start, y, columns)
    ids = [_parse_ids(rows, place, start) for place in places[:-1]]
    if all(isinstance(column, np.ndarray) for column in ids):
        X = np.stack(ids, axis=1)
    else:
        X = np.empty((len(y), len(ids)), dtype=object)
        for j, column in enumerate(ids):
            X[:, j] = column.tolist() if isinstance(column, np.ndarray) else column
    if return_X_y:
        return X, y
    names = rows.get_row(0)
    contexts = [f"context_{j}" for j in range(1, len(ids) - 1)]
    feature_names = [names[place] for place in places[:-1]] if start else ["user", "item", *contexts]
    return Bunch(data=X, target=y, times=_load_times(rows, time, places, start), feature_names=feature_names)


def _check_types(path: Any, sep: Any, header: Any, encoding: Any) -> None:
    """Refuse arguments of the wrong type before the file is read."""
    if not isinstance(path, (str, PathLike)):
        raise TypeError(f"path must be a str or path-like, the place of a file of ratings, not {type(path).__name__}.")
    for name, value in [("sep", sep), ("encoding", encoding)]:
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} must be a str or None, not {quote(value)}.")
    if header is not None and not isinstance(header, (bool, np.bool_, Integral)):
        raise TypeError(f"header must be a bool or None, not {quote(header)}.")
    if "\0" in str(fspath(path)):
        raise ValueError(f"path={quote(path)} has a NUL character, which no file has in its name.")


def _read_text(path: Path, encoding: str | None) -> str:
    """Read a text, and find its encoding if none is given."""
    data = read_maybe_gzipped(path, "Unpack it to read it all the same.")
    if encoding is None and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    try:
        if encoding is not None:
            return data.decode(encoding).removeprefix("\ufeff")
        if b"\0" in data:
            raise ValueError("it has NUL bytes. Is it UTF-16 (give encoding), or compressed other than by gzip?")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return data.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    except (LookupError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as text: {shorten(error)}") from error


def _check_no_times(rows: Rows, places: list[int], start: int, y: np.ndarray, columns: Any) -> None:
    """Refuse ratings that are times by their values, unless their column is given by name or named as ratings."""
    is_named = columns is not None and isinstance(columns[-1], str)
    if is_named or not look_like_times(y) or (start and read_name(rows.get_row(0)[places[-1]]).role == "rating"):
        return
    raise ValueError(
        f"{rows.locate(start)}: the ratings would be taken from column {places[-1]}, which holds times such as "
        f"{y[0]:.0f}. Give columns: user, item, any contexts, and last the rating; times are given by time, such as "
        f"time={places[-1]}."
    )


def _load_times(rows: Rows, time: int | str | None, places: list[int], start: int) -> np.ndarray | None:
    """Read the column of times; return None if there is none."""
    place = choose_time(rows, time, bool(start), places)
    if place is None and not start:
        found = find_nameless_times(rows, [*places[:2], places[-1]])
        if len(found) > 1:
            raise ValueError(
                f"{rows.locate(0)}: several columns look like times: {quote(found)}. Give time, such as "
                f"time={found[0]}; or return_X_y=True if times do not matter."
            )
        place = found[0] if found else None
    return None if place is None else read_times(rows.get_column(place, start))


def _parse_ratings(rows: Rows, place: int, start: int) -> np.ndarray:
    """Turn ratings into floats; each distinct token is parsed once."""
    tokens = rows.get_column(place, start)
    value_of = {token: float(token) if is_number(token) else np.nan for token in set(tokens)}
    wrong_rows = [tokens.index(token) for token, value in value_of.items() if not np.isfinite(value)]
    if wrong_rows:
        row = start + min(wrong_rows)
        hint = "" if row else " If the first row holds names, give header=True."
        raise ValueError(
            f"{rows.locate(row)}: the rating {quote(tokens[row - start].strip())} is not a finite number: "
            f"{rows.quote_row(row)}.{hint}"
        )
    return np.array(list(map(value_of.__getitem__, tokens)))


def _parse_ids(rows: Rows, place: int, start: int) -> np.ndarray | list[str]:
    """Turn ids into int64 if Python writes each int as its token, else keep the texts; parse each distinct one once."""
    tokens = rows.get_column(place, start)
    numbers = read_digits(tokens)
    if numbers is not None:
        return numbers
    id_of = {token: token.strip() for token in set(tokens)}
    empty_rows = [tokens.index(token) for token, id_ in id_of.items() if not id_]
    if empty_rows:
        row = start + min(empty_rows)
        raise ValueError(f"{rows.locate(row)}: an id is empty: {rows.quote_row(row)}.")
    try:
        int_of = {token: int(id_) for token, id_ in id_of.items()}
        if all(str(int_of[token]) == id_ for token, id_ in id_of.items()):
            return np.array(list(map(int_of.__getitem__, tokens)), dtype=np.int64)
    except (ValueError, OverflowError):
        pass
    return list(map(id_of.__getitem__, tokens))
