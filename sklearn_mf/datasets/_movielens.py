"""The MovieLens data sets: found on disk or downloaded, and read."""

from __future__ import annotations

import csv
import gzip
import os
import re
import zipfile
import zlib
from dataclasses import dataclass
from itertools import compress
from numbers import Integral, Real
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
from sklearn.utils import Bunch, check_scalar

from sklearn_mf.datasets._download import download_archive, fetch_md5

ARCHIVE_URL = "https://files.grouplens.org/datasets/movielens/ml-{variant}.zip"

# MD5 checksums that GroupLens keeps beside its archives (ml-1m.zip.md5), as these repositories quote them from there:
# 100k: sathariels/SageRec (python/sagerec_download.py)
# 1m, 20m: mwnewlin/afit_mlperf_training (recommendation/verify_dataset.sh)
# 1m, 25m: numericalalgorithmsgroup/MLFirstSteps_Azure (ncf/verify_dataset.sh)
# Of 10m and 32m none was found that comes from GroupLens, and latest-small is replaced from time to time: theirs are
# fetched with the archive.
MD5 = {
    "100k": "0e33842e24a9c977be4e0107933c0723",
    "1m": "c4d9eecfca2ab87c1945afe126590906",
    "20m": "cd245b17a1ae2cc31bb14903e1204af3",
    "25m": "6b51fb2759a8657d3bfcbfc42b592ada",
}


@dataclass(frozen=True)
class _Layout:
    """Names of the files of a variant, and how the values of a line of ratings are separated."""

    folder: str  # in the archive
    ratings: str = "ratings.csv"
    movies: str = "movies.csv"
    users: str | None = None
    sep: bytes = b","
    header: bool = True


_DAT = {"ratings": "ratings.dat", "movies": "movies.dat", "sep": b"::", "header": False}
_LAYOUTS = {
    "100k": _Layout("ml-100k", "u.data", "u.item", "u.user", b"\t", False),
    "1m": _Layout("ml-1m", users="users.dat", **_DAT),
    "10m": _Layout("ml-10M100K", **_DAT),
    **{variant: _Layout(f"ml-{variant}") for variant in ("20m", "25m", "32m", "latest-small")},
}

# The flags of u.item in their order, from the README of 100k.
# fmt: off
_GENRES_100K = [
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
]
# fmt: on
_NO_GENRES = ("unknown", "(no genres listed)")

_BLOCK = 2**24  # bytes of ratings parsed at a time
_NUMBERS = b"0123456789"
_DESCR = """MovieLens {variant}: {n_ratings} ratings of films.

Source: GroupLens Research, University of Minnesota, https://grouplens.org/datasets/movielens/

License: for research. Acknowledge the data in publications, do not suggest that GroupLens or the university endorses
you, and make no commercial use without permission from GroupLens. Do not redistribute without permission (the README of
latest-small and of 32m allow it under the same terms). The README in the archive counts.

Citation: F. Maxwell Harper and Joseph A. Konstan, 2015. The MovieLens Datasets: History and Context. ACM Transactions
on Interactive Intelligent Systems 5(4), article 19. https://doi.org/10.1145/2827872
"""


def fetch_movielens(
    variant: str = "latest-small",
    *,
    data_home: str | os.PathLike | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
) -> Any:
    """Load ratings of films from MovieLens, and download them if they are not on disk.

    The data are for research, not part of this package: acknowledge them, do not redistribute them and make no
    commercial use of them without permission from GroupLens [1]_. The README in each archive has the terms (those of
    latest-small and 32m allow redistribution under the same terms).

    ============== =========== ================ ============ ============================
    variant        ratings     download         scale        besides ratings and times
    ============== =========== ================ ============ ============================
    "latest-small" about 0.1 M 1 MB             0.5, 1 ... 5 titles, genres
    "100k"         100,000     5 MB             1, 2 ... 5   titles, genres, users
    "1m"           1,000,209   6 MB             1, 2 ... 5   titles, genres, users
    "10m"          10,000,054  66 MB            0.5, 1 ... 5 titles, genres
    "20m"          20,000,263  199 MB           0.5, 1 ... 5 titles, genres
    "25m"          25,000,095  262 MB           0.5, 1 ... 5 titles, genres
    "32m"          32,000,204  239 MB           0.5, 1 ... 5 titles, genres
    ============== =========== ================ ============ ============================

    "latest-small" is replaced from time to time: to compare results, use another.

    Parameters
    ----------
    variant : {"latest-small", "100k", "1m", "10m", "20m", "25m", "32m"}, default="latest-small"
        Which of the data sets.

    data_home : str, path-like or None, default=None
        Where data sets are kept. None is scikit-learn's folder (:func:`sklearn.datasets.get_data_home`). The archive
        (as ``ml-1m.zip``) or the folder it unpacks to (as ``ml-1m``, its files plain or compressed by gzip) is looked
        for there and in ``movielens`` below, which is where downloads go. The folder ``ml-1m`` itself will do too.

    download_if_missing : bool, default=True
        Whether to download what is not on disk, or to raise an OSError (and create no folder).

    return_X_y : bool, default=False
        Whether to return ``(data, target)`` only.

    as_frame : bool, default=False
        Whether to return pandas objects: ``data``, ``movies`` and ``users`` as DataFrames, ``target`` and ``times`` as
        Series.

    n_retries : int, default=3
        How often a failed download is tried again, at least 0. Requests that the server refuses (404 and the like, but
        not 408 and 429) are not.

    delay : float, default=1.0
        Seconds between attempts, at least 0.

    Returns
    -------
    ratings : :class:`~sklearn.utils.Bunch` or tuple of (X, y)
        With, in the order of the file,

        * ``data`` (n_ratings, 2) int64: ids of users and items, as in the files;
        * ``target`` (n_ratings,) float64: the ratings, in stars;
        * ``feature_names``: ``["user", "item"]``;
        * ``times`` (n_ratings,) int64: when each rating was given, in seconds since 1970 UTC; None where the file has
          no times. ``pd.to_datetime(ratings.times, unit="s")`` makes dates of them;
        * ``movies``: a Bunch with one entry per film in ``id`` (int64), ``title`` (object, str) and ``genres`` (object,
          str such as ``"Comedy|Drama"``, ``""`` for none). Films without ratings are among them. None where the folder
          has no such file. ``dict(zip(movies.id, movies.title))`` looks titles up. Titles may repeat: in 100k, Chasing
          Amy (1997) has the ids 246 and 268;
        * ``users``: for 100k and 1m a Bunch of ``id`` (int64), ``gender`` (object, "F" or "M"), ``age`` (int64; in 1m
          the lower end of a range, 1 is under 18), ``occupation`` (object, str; in 1m a number explained in its README)
          and ``zip`` (object, str); else None;
        * ``frame``: with ``as_frame=True`` a DataFrame of user, item, rating and, if known, time; else None;
        * ``DESCR``: source, license and citation.

    Raises
    ------
    ValueError
        If there is no such variant, or a line cannot be read (the error names it).
    OSError
        If the data are not on disk and ``download_if_missing=False``, if they cannot be downloaded, or if what came is
        cut short or has the wrong checksum. Nothing is left on disk then.
    ImportError
        If ``as_frame=True`` and pandas is not installed.

    Notes
    -----
    A download is compared with an MD5 checksum. Those of 100k, 1m, 20m and 25m are part of this module, as public
    repositories quote them from the files that GroupLens publishes. No such source was found for 10m and 32m, and
    latest-small changes: for these, GroupLens's file ``ml-10m.zip.md5`` next to the archive is fetched too; where no
    checksum comes, a warning says so and the archive is taken without. Archives found on disk are not compared again.

    References
    ----------
    .. [1] F. Maxwell Harper and Joseph A. Konstan, 2015. The MovieLens Datasets: History and Context. ACM Transactions
       on Interactive Intelligent Systems 5(4), article 19. https://doi.org/10.1145/2827872

    Examples
    --------
    >>> from sklearn_mf.datasets import fetch_movielens
    >>> ratings = fetch_movielens("1m")  # doctest: +SKIP
    >>> ratings.data.shape  # doctest: +SKIP
    (1000209, 2)
    >>> titles = dict(zip(ratings.movies.id, ratings.movies.title))  # doctest: +SKIP
    """
    if variant not in list(_LAYOUTS):  # a list compares what cannot be hashed
        meant = str(variant).lower().removeprefix("ml-")
        hint = f" Did you mean {meant!r}?" if meant in _LAYOUTS else ""
        raise ValueError(f"variant={variant!r} is none of {', '.join(map(repr, _LAYOUTS))}.{hint}")
    check_scalar(n_retries, "n_retries", Integral, min_val=0)
    check_scalar(delay, "delay", Real, min_val=0)
    if as_frame:
        _import_pandas()
    layout = _LAYOUTS[variant]
    home = _data_home(data_home)
    place = _find(home, variant)
    if place is None:
        if not download_if_missing:
            raise OSError(
                f"Data not found and `download_if_missing` is False: neither ml-{variant}.zip nor the folder "
                f"ml-{variant} with {layout.ratings} in it is in {home} or in {home / 'movielens'}."
            )
        place = _download(home / "movielens", variant, n_retries, delay)
    try:
        X, y, times = _read_ratings(place, layout)
        movies = None if return_X_y else _read_movies(place, layout)
        users = None if return_X_y else _read_users(place, layout)
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise OSError(f"{place} is damaged: {error}. Remove it to have it downloaded again.") from error

    frame = None
    if as_frame:
        frame, X, y, times, movies, users = _as_frames(X, y, times, movies, users)
    if return_X_y:
        return X, y
    return Bunch(
        data=X,
        target=y,
        feature_names=["user", "item"],
        times=times,
        movies=movies,  # not "items": ratings.items is a method of every Bunch
        users=users,
        frame=frame,
        DESCR=_DESCR.format(variant=variant, n_ratings=len(y)),
    )


# Where the data are


def _data_home(given: str | os.PathLike | None) -> Path:
    """The folder of scikit-learn's ``get_data_home``, which would create it."""
    home = os.environ.get("SCIKIT_LEARN_DATA", os.path.join("~", "scikit_learn_data")) if given is None else given
    return Path(os.path.abspath(os.path.expanduser(home)))


def _find(home: Path, variant: str) -> Path | None:
    """The archive of the variant, or a folder with its ratings."""
    layout = _LAYOUTS[variant]
    names = (f"ml-{variant}", layout.folder)
    if home.name in names and _has_ratings(home, layout):
        return home
    for folder in (home, home / "movielens"):
        archive = folder / f"ml-{variant}.zip"
        if archive.is_file():
            return archive
        for name in names:
            if _has_ratings(folder / name, layout):
                return folder / name
    return None


def _has_ratings(folder: Path, layout: _Layout) -> bool:
    return any((folder / name).is_file() for name in (layout.ratings, f"{layout.ratings}.gz"))


def _download(folder: Path, variant: str, n_retries: int, delay: float) -> Path:
    url = ARCHIVE_URL.format(variant=variant)
    archive = folder / f"ml-{variant}.zip"
    md5 = MD5.get(variant) or fetch_md5(f"{url}.md5", n_retries=n_retries, delay=delay)
    download_archive(url, archive, md5, n_retries=n_retries, delay=delay)
    return archive


def _open(place: Path, layout: _Layout, name: str) -> BinaryIO | None:
    """A file of the archive or folder by its name, or None if it is not there."""
    if place.is_dir():
        if (place / name).is_file():
            return (place / name).open("rb")
        packed = place / f"{name}.gz"
        return gzip.open(packed) if packed.is_file() else None
    with zipfile.ZipFile(place) as archive:
        member = f"{layout.folder}/{name}"
        return archive.open(member) if member in archive.namelist() else None


# Ratings


def _read_ratings(place: Path, layout: _Layout) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Ids, ratings and times, in the order of the file, a block at a time: the text of 25 M ratings is large."""
    name = f"{place / layout.ratings}"
    file = _open(place, layout, layout.ratings)
    if file is None:
        raise OSError(f"{place} has no {layout.folder}/{layout.ratings}. Remove it to have it downloaded again.")
    pairs, ratings, times = [], [], []
    n_lines, n_values = 0, 0
    with file:
        if layout.header:
            header = file.readline().decode("utf-8-sig", "replace").strip()
            if header not in ("userId,movieId,rating,timestamp", "userId,movieId,rating"):
                raise ValueError(f"{name}, line 1: {header!r} instead of 'userId,movieId,rating,timestamp'.")
            n_lines, n_values = 1, header.count(",") + 1
        while block := file.read(_BLOCK):
            block += file.readline()  # up to the end of a line
            if not block.endswith(b"\n"):
                block += b"\n"
            if not n_values:
                n_values = 3 if block[: block.index(b"\n")].count(layout.sep) == 2 else 4
            numbers, stars = _parse(block, layout.sep, n_values, name, n_lines)
            pairs.append(np.ascontiguousarray(numbers[:, :2]))
            ratings.append(stars)
            times.append(numbers[:, 3].copy() if n_values == 4 else None)
            n_lines += len(stars)
    if not pairs:
        raise ValueError(f"{name} has no ratings.")
    return np.concatenate(pairs), np.concatenate(ratings), np.concatenate(times) if n_values == 4 else None


def _parse(block: bytes, sep: bytes, n_values: int, name: str, line: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of lines of user, item, rating and perhaps time as an int64 table; and the ratings as they are.

    A few passes in C over the block: with the point of "3.5" left out all numbers are ints, and what remains of the
    lines without digits tells whether each is as it should be, and which have a point.
    """
    whole = sep * (n_values - 1) + b"\n"
    halves = sep * 2 + b"." + sep * (n_values - 3) + b"\n"
    shape = block.translate(None, _NUMBERS + b"\r")
    n_rows = shape.count(b"\n")
    points = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("."))
    good = shape.replace(halves, whole) == whole * n_rows and _one_decimal(block, points)
    if good:
        text = block.translate(bytes.maketrans(sep[:1], b" "), b".")
        numbers = np.fromstring(text, dtype=np.int64, sep=" ")
        # A value that is empty makes it shorter, one beyond 64 bits becomes the largest.
        good = numbers.size == n_rows * n_values and numbers.max() < np.iinfo(np.int64).max
    if not good:
        _raise_bad_line(block, sep, n_values, name, line)
    numbers = numbers.reshape(n_rows, n_values)
    stars = numbers[:, 2].astype(np.float64)
    if len(points) == n_rows:
        stars /= 10
    elif len(points):
        shapes = np.frombuffer(shape, dtype=np.uint8)
        stars[np.searchsorted(np.flatnonzero(shapes == ord("\n")), np.flatnonzero(shapes == ord(".")))] /= 10
    return numbers, stars


def _one_decimal(block: bytes, points: np.ndarray) -> bool:
    """Whether there is a digit before each point, and after it one and no second; the block ends with a line."""
    characters = np.frombuffer(block, dtype=np.uint8)
    around = (characters[np.minimum(points + i, len(block) - 1)] for i in (-1, 1, 2))
    before, first, second = ((character >= ord("0")) & (character <= ord("9")) for character in around)
    return bool(np.all(before & first & ~second))


def _raise_bad_line(block: bytes, sep: bytes, n_values: int, name: str, line: int) -> NoReturn:
    lines = block.removesuffix(b"\n").split(b"\n")
    between = re.escape(sep)
    values = [rb"\d{1,18}", rb"\d{1,18}", rb"\d{1,17}(\.\d)?"]
    if n_values == 4:
        values.append(rb"\d{1,18}")
    good = re.compile(between.join(values) + rb"\r?")
    wrong = next(i for i, text in enumerate(lines) if not good.fullmatch(text))
    text = lines[wrong].decode("utf-8", "replace")
    raise ValueError(
        f"{name}, line {line + wrong + 1}: {text!r} is not {sep.decode()!r} between {len(values)} numbers: ids of user "
        "and item, a rating with at most one decimal" + (", and a time in seconds." if len(values) == 4 else ".")
    )


# Films and people


def _read_lines(place: Path, layout: _Layout, name: str) -> list[str] | None:
    file = _open(place, layout, name)
    if file is None:
        return None
    with file:
        data = file.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:  # 100k and 1m
        text = data.decode("latin-1")
    return [line for line in text.replace("\r\n", "\n").split("\n") if line]


def _read_movies(place: Path, layout: _Layout) -> Bunch | None:
    lines = _read_lines(place, layout, layout.movies)
    if lines is None:
        return None
    try:
        ids, titles, genres = _columns(_movie_rows(lines, layout.sep), 3)
        ids = np.array(list(map(int, ids)), dtype=np.int64)
    except (ValueError, IndexError, csv.Error) as error:
        raise ValueError(f"{place / layout.movies} cannot be read as a table of films: {error}.") from error
    genres = ["" if genre in _NO_GENRES else genre for genre in genres]
    return Bunch(id=ids, title=np.array(titles, dtype=object), genres=np.array(genres, dtype=object))


def _movie_rows(lines: list[str], sep: bytes) -> list:
    """Id, title and genres of each film."""
    if sep == b",":
        return list(csv.reader(lines))[1:]
    if sep == b"::":  # which a title may have in it
        return [(*line.split("::", 1)[:1], *line.split("::", 1)[1].rsplit("::", 1)) for line in lines]
    rows = [line.split("|") for line in lines]  # id, title, two dates, address, a flag for each genre
    return [(row[0], row[1], "|".join(compress(_GENRES_100K, map(int, row[5:])))) for row in rows]


def _read_users(place: Path, layout: _Layout) -> Bunch | None:
    lines = None if layout.users is None else _read_lines(place, layout, layout.users)
    if lines is None:
        return None
    sep, first, second = ("::", "gender", "age") if layout.sep == b"::" else ("|", "age", "gender")
    keys = ("id", first, second, "occupation", "zip")
    try:
        columns = dict(zip(keys, _columns([line.split(sep) for line in lines], len(keys)), strict=True))
        ids, ages = (np.array(list(map(int, columns.pop(key))), dtype=np.int64) for key in ("id", "age"))
    except ValueError as error:
        raise ValueError(f"{place / str(layout.users)} cannot be read as a table of users: {error}.") from error
    return Bunch(id=ids, age=ages, **{key: np.array(column, dtype=object) for key, column in columns.items()})


def _columns(rows: list, n: int) -> list[tuple]:
    for row in rows:
        if len(row) != n:
            raise ValueError(f"{row!r} has {len(row)} values instead of {n}")
    return list(zip(*rows, strict=True)) if rows else [()] * n


# pandas


def _import_pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ImportError("as_frame=True needs pandas: pip install pandas") from error
    return pandas


def _as_frames(
    X: np.ndarray, y: np.ndarray, times: np.ndarray | None, movies: Bunch | None, users: Bunch | None
) -> Any:
    pandas = _import_pandas()
    frame = pandas.DataFrame({"user": X[:, 0], "item": X[:, 1], "rating": y})
    if times is not None:
        frame["time"] = times
        times = frame["time"]
    movies, users = (None if table is None else pandas.DataFrame(dict(table)) for table in (movies, users))
    return frame, frame[["user", "item"]], frame["rating"], times, movies, users
