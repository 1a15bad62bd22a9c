"""Read text files of ratings in their usual formats."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from os import PathLike, fspath
from pathlib import Path
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from sklearn_mf.datasets._columns import Chosen, check_arguments, choose_columns, choose_time
from sklearn_mf.datasets._messages import quote
from sklearn_mf.datasets._rows import Layout, Rows, choose_escape, find_layout, split_rows
from sklearn_mf.datasets._text import read_text
from sklearn_mf.datasets._times import find_nameless_times, read_times
from sklearn_mf.datasets._values import check_no_times, parse_ids, parse_numbers


@overload
def load_ratings(
    path: str | PathLike[str],
    *,
    columns: Sequence[int | str] | None = ...,
    time: int | str | None = ...,
    sep: str | None = ...,
    header: bool | None = ...,
    encoding: str | None = ...,
    return_X_y: Literal[False] = ...,
) -> Bunch: ...
@overload
def load_ratings(
    path: str | PathLike[str],
    *,
    columns: Sequence[int | str] | None = ...,
    time: int | str | None = ...,
    sep: str | None = ...,
    header: bool | None = ...,
    encoding: str | None = ...,
    return_X_y: Literal[True],
) -> tuple[np.ndarray, NDArray[np.float64]]: ...
@overload
def load_ratings(
    path: str | PathLike[str],
    *,
    columns: Sequence[int | str] | None = ...,
    time: int | str | None = ...,
    sep: str | None = ...,
    header: bool | None = ...,
    encoding: str | None = ...,
    return_X_y: bool,
) -> Bunch | tuple[np.ndarray, NDArray[np.float64]]: ...
def load_ratings(
    path: str | PathLike[str],
    *,
    columns: Sequence[int | str] | None = None,
    time: int | str | None = None,
    sep: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[np.ndarray, NDArray[np.float64]]:
    r"""Read a text file of ratings, one in each row.

    Separator, header, encoding and columns are found automatically. If something is not clear, an error says so.

    Parameters
    ----------
    path : str or path-like
        Text file, plain or compressed by gzip. Values may be in double quotes. A quoted value may contain separators
        and line ends, and quotes that are doubled or follow a backslash.

    columns : sequence of int or str, or None, default=None
        Positions (from 0) or, with a header, names of the columns: user, item, any contexts, and last the rating. None
        finds the columns by words in the header (``userId``, ``movie_id``, ``Book-Rating``, ``stars``,
        ``rating:float``), in any order. If there is no header, or it has no such words, None takes the first three
        columns. If the header is not clear, an error says so.

    time : int, str or None, default=None
        Position or name of the column of times. None finds it by words in the header (``timestamp``, ``reviewTime``).
        Without a header, it finds ISO 8601 dates, and numbers that are seconds or milliseconds of the years 1985 to
        2128.

    sep : str or None, default=None
        Separator of the values. None finds ``"::"``, a tab, ``","``, ``";"``, ``"|"`` or a space.

    header : bool or None, default=None
        Whether the first row has column names. None finds out by its words, and by numbers in the second row. If this
        is not clear, an error says so.

    encoding : str or None, default=None
        Encoding of the text. None reads UTF-8, UTF-16 with a byte order mark, or Latin-1 if the file is not valid
        UTF-8.

    return_X_y : bool, default=False
        Whether to return ``(X, y)`` only.

    Returns
    -------
    ratings : :class:`~sklearn.utils.Bunch` or tuple of (X, y)
        Bunch with these attributes:

        * ``data`` (n_ratings, n_columns - 1): the ids. The dtype is int64 if all id columns are ints, otherwise object,
          with Python ints and strings. A column is read as ints only if every value equals ``str(int(value))``, so
          ``"0012"`` stays text;
        * ``target`` (n_ratings,) float64: the ratings;
        * ``times`` (n_ratings,) or None: the time of each rating, if the file has times. The dtype is int64 or float64
          for numbers, datetime64 for ISO 8601 dates (in UTC if they have time zones), otherwise object, with the texts.
          Missing times are NaN, NaT or empty;
        * ``feature_names`` (list of str): names of the id columns, from the header or ``["user", "item", ...]``.

        Spaces around values are removed.

    Raises
    ------
    ValueError
        If a row has more or fewer values than the first, an empty id, a rating that is not a finite number, or a quote
        that does not end (the error names the line); if a column is missing or has no name; if it is not clear which
        columns are users, items and ratings, or whether there is a header; if the ratings look like times; if the file
        has no ratings.
    TypeError
        If ``path``, ``sep``, ``header`` or ``encoding`` is not of the type described above.
    OSError
        If the file cannot be opened; if it is a gzip file that is damaged, or unpacks to far more than it should.

    See Also
    --------
    open_ratings : Read a file that is larger than memory, in batches.
    sklearn_mf.model_selection.LeaveLastOut : Split by ``times``.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sklearn_mf.datasets import load_ratings
    >>> text = "user,date,film,stars\nann,2020-03-01,12,4.5\nbob,2020-03-02,7,3\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "ratings.csv"
    ...     _ = path.write_text(text)
    ...     ratings = load_ratings(path)
    >>> ratings.data
    array([['ann', 12],
           ['bob', 7]], dtype=object)
    >>> ratings.feature_names, ratings.target
    (['user', 'film'], array([4.5, 3. ]))
    >>> ratings.times
    array(['2020-03-01', '2020-03-02'], dtype='datetime64[D]')
    """
    check_arguments(path, columns, sep, header, encoding)
    name = fspath(path)
    rows = _read_rows(Path(path), sep, encoding)
    if rows is None:
        raise ValueError(f"{name} has no ratings: it is empty.")
    is_headed = True if header is None and isinstance(time, str) else header
    chosen = choose_columns(rows, columns, is_headed, takes_time=True)
    start = chosen.start
    if start == len(rows.line_numbers):
        raise ValueError(f"{name} has no ratings: it ends after the header.")

    y = parse_numbers(rows, chosen.rating, start)
    check_no_times(rows, chosen, y, takes_time=True)
    ids = [parse_ids(rows, place, start) for place in chosen.ids]
    if all(isinstance(column, np.ndarray) for column in ids):
        X = np.stack(ids, axis=1)
    else:
        X = np.empty((len(y), len(ids)), dtype=object)
        for j, column in enumerate(ids):
            X[:, j] = column.tolist() if isinstance(column, np.ndarray) else column
    if return_X_y:
        return X, y
    contexts = [f"context_{j}" for j in range(1, len(ids) - 1)]
    feature_names = chosen.names or ["user", "item", *contexts]
    return Bunch(data=X, target=y, times=_load_times(rows, time, chosen), feature_names=feature_names)


def _read_rows(path: Path, sep: str | None, encoding: str | None) -> Rows | None:
    """Read all rows of a file; return None if there are none."""
    text = read_text(path, encoding)
    layout = find_layout([text], sep, fspath(path))

    @lru_cache
    def split(layout: Layout) -> list[Rows]:
        return list(split_rows([text], layout))

    return next(iter(split(choose_escape(layout, split))), None)


def _load_times(rows: Rows, time: int | str | None, chosen: Chosen) -> np.ndarray | None:
    """Read the column of times; return None if there is none."""
    start, places = chosen.start, [*chosen.ids, chosen.rating]
    place = choose_time(rows, time, bool(start), places)
    if place is None and not start:
        found = find_nameless_times(rows, [*places[:2], places[-1]])
        if len(found) > 1:
            raise ValueError(
                f"{rows.locate(0)}: several columns look like times: {quote(found)}. Set time to a position, such "
                f"as time={found[0]}. If times do not matter, use return_X_y=True."
            )
        place = found[0] if found else None
    return None if place is None else read_times(rows.get_column(place, start))
