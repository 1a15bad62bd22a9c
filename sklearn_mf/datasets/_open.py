"""Open files of ratings that are larger than memory."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from numbers import Integral
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from sklearn_mf._ids.batches import Batch, RatingBatches
from sklearn_mf.datasets._changes import NotedFiles
from sklearn_mf.datasets._columns import check_arguments
from sklearn_mf.datasets._parquet import ParquetRatings, find_files, is_parquet, open_parquet
from sklearn_mf.datasets._text_batches import TextRatings, open_text

_SEVERAL_FILES = "To read several Parquet files, give their folder"


class RatingsFile(RatingBatches):
    """Represent the ratings of a file, which ``fit`` of a regressor reads in batches.

    :func:`open_ratings` returns it. Pass it to ``fit`` as X; it also has y and the weights. It is not a table.
    Functions that split tables or predict raise a TypeError for it.

    Parameters
    ----------
    ratings : object
        Reader of the file, chosen by :func:`open_ratings`.

    noted : object
        The state of the files when they were opened. If they have changed, reading them raises a ValueError.

    Attributes
    ----------
    feature_names : list of str or None
        Names of the id columns. None if the file has no header.

    n_columns : int
        Number of id columns.

    n_ratings : int
        Number of ratings when the file was opened.

    See Also
    --------
    open_ratings : Open a file.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sklearn_mf.datasets import open_ratings
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "ratings.csv"
    ...     _ = path.write_text("user,film,stars\\nann,12,4.5\\nbob,7,3\\n")
    ...     ratings = open_ratings(path)
    >>> ratings.feature_names, ratings.n_ratings
    (['user', 'film'], 2)
    """

    feature_names: list[str] | None
    labels: list[str]
    n_ratings: int

    def __init__(self, ratings: TextRatings | ParquetRatings, noted: NotedFiles):
        self._ratings, self._noted = ratings, noted
        self.feature_names, self.n_ratings = ratings.chosen.names, ratings.n_ratings
        names = [f" ({name!r})" for name in self.feature_names or []] or [""] * len(ratings.chosen.ids)
        self.labels = [f"column {j}{name} of X" for j, name in enumerate(names)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({fspath(self._ratings.path)!r}, {self.n_ratings} ratings)"

    def batches(self) -> Iterator[Batch]:
        """Yield all ratings in order, one batch at a time.

        Yields
        ------
        batch : object
            Consecutive ratings, with their ids and weights.
        """
        with self._noted.unchanged():
            yield from self._ratings.batches(self.labels)


def open_ratings(
    path: str | PathLike[str],
    *,
    columns: Sequence[int | str] | None = None,
    weight: int | str | None = None,
    sep: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
) -> RatingsFile:
    r"""Open a file of ratings that is larger than memory, so that ``fit`` reads it in batches.

    ``model.fit(open_ratings(path))`` gives the same model, bit for bit, as ``fit`` on the same ratings in memory. Only
    ``fit`` of :class:`~sklearn_mf.MatrixFactorizationRegressor` takes the result. To hold out ratings, write them to
    another file and load that file. Set ``memory_map`` of the regressor to keep its working arrays in files too.

    Parameters
    ----------
    path : str or path-like
        A text file, plain or compressed by gzip, as :func:`load_ratings` reads it; a Parquet file; or a folder of
        Parquet files, which are read in the order of their names. Files and folders whose names begin with ``"."`` or
        ``"_"`` are skipped, because other programs keep unfinished files there. Columns in folder names, such as
        ``year=2020``, are not read. Parquet needs pyarrow: ``pip install "sklearn-mf[parquet]"``.

    columns : sequence of int or str, or None, default=None
        Positions (from 0) or names of the columns: user, item, any contexts, and last the rating. None finds them as
        :func:`load_ratings` does.

    weight : int, str or None, default=None
        Position or name of the column of weights, at least 0 and not all 0. None gives all ratings the same weight.

    sep, header, encoding : as in :func:`load_ratings`, default=None
        How to read a text file. None finds it automatically.

    Returns
    -------
    ratings : RatingsFile
        The X for ``fit``. It does not store ratings; it reads the file each time. Ids have the types that
        :func:`load_ratings` finds: a text column has ints only if every value is an int. Parquet columns keep their
        types.

    Raises
    ------
    ValueError
        As in :func:`load_ratings`. A text file is read once here, and completely checked. For Parquet files, only
        the types of ratings and weights are checked here, and ``fit`` checks the rows. ``fit`` also raises it if a file
        has changed since it was opened.
    TypeError
        If an argument is not of the type described above.
    ImportError
        If the file is Parquet, and pyarrow is not installed.
    OSError
        If the file cannot be opened.

    See Also
    --------
    load_ratings : Read a file into memory.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sklearn_mf import MatrixFactorizationRegressor
    >>> from sklearn_mf.datasets import open_ratings
    >>> model = MatrixFactorizationRegressor(rank=2, memory_map=True, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "ratings.csv"
    ...     _ = path.write_text("user,film,stars\nann,12,4.5\nbob,7,3\nbob,12,4\n")
    ...     model = model.fit(open_ratings(path))
    >>> model.categories_
    [array(['ann', 'bob'], dtype=object), array([ 7, 12])]
    """
    _refuse_list(path)
    check_arguments(path, columns, sep, header, encoding)
    _refuse_pattern(path)
    if weight is not None and (isinstance(weight, bool) or not isinstance(weight, (Integral, str))):
        raise TypeError(f"weight must be the position (int) or name (str) of a column, or None, not {weight!r}.")
    file = Path(path)
    files = find_files(file)
    noted = NotedFiles(files)
    if not is_parquet(file):
        return RatingsFile(open_text(file, columns, weight, sep, header, encoding), noted)
    for name, given in [("sep", sep), ("header", header), ("encoding", encoding)]:
        if given is not None:
            raise ValueError(f"{name} is for text files, but {fspath(path)} is Parquet. Leave {name} out.")
    return RatingsFile(open_parquet(file, files, columns, weight), noted)


def _refuse_list(path: Any) -> None:
    """Raise a TypeError for a list of files."""
    if isinstance(path, (list, tuple, set, frozenset)):
        raise TypeError(f"path must be one str or path-like, not {type(path).__name__}. {_SEVERAL_FILES}.")


def _refuse_pattern(path: str | PathLike[str]) -> None:
    """Raise an error for a pattern of file names, unless a file has this name."""
    if any(sign in str(path) for sign in "*?[") and not Path(path).exists():
        raise FileNotFoundError(errno.ENOENT, f"There is no such file. {_SEVERAL_FILES}", fspath(path))
