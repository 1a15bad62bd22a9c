"""Read the files of the MovieLens data sets from a folder or an archive: ratings, films and people."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
from sklearn.utils import Bunch

from sklearn_mf.datasets._messages import quote, shorten
from sklearn_mf.datasets._unpack import open_gzip, open_member


@dataclass(frozen=True)
class Layout:
    """Describe the files of a variant: their names, and how the values of a line of ratings are separated."""

    folder: str  # in the archive
    n_ratings: int  # as published, or an upper limit
    archive_bytes: int  # as published, or an upper limit
    ratings: str = "ratings.csv"
    movies: str = "movies.csv"
    users: str | None = None
    sep: bytes = b","
    header: bool = True


_DAT_FILES: dict[str, Any] = {"ratings": "ratings.dat", "movies": "movies.dat", "sep": b"::", "header": False}
LAYOUTS = {
    "100k": Layout("ml-100k", 100_000, 5_000_000, "u.data", "u.item", "u.user", b"\t", False),
    "1m": Layout("ml-1m", 1_000_209, 6_000_000, users="users.dat", **_DAT_FILES),
    "10m": Layout("ml-10M100K", 10_000_054, 66_000_000, **_DAT_FILES),
    "20m": Layout("ml-20m", 20_000_263, 199_000_000),
    "25m": Layout("ml-25m", 25_000_095, 262_000_000),
    "32m": Layout("ml-32m", 32_000_204, 239_000_000),
    "latest-small": Layout("ml-latest-small", 1_000_000, 10_000_000),  # ten times its current size, because it changes
}

# The flags of u.item in their order, from the README of 100k.
# fmt: off
_GENRES_100K = [
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
]
# fmt: on
_GENRES_OF_NONE = ("unknown", "(no genres listed)")

_LARGEST_LINE = 64  # largest mean size of a rating, in bytes; below 28 in the published files
_LARGEST_TABLE = 2**24  # bytes of films or of people; the publisher's have 4 MB at most
_LONGEST_LINE_SHOWN = 1000  # bytes that are decoded for a message, which shows fewer characters
_ADVICE = "Remove it. The next call downloads it again."

_BLOCK_BYTES = 2**24  # bytes of ratings parsed at a time
_DIGITS = b"0123456789"


def has_ratings(folder: Path, layout: Layout) -> bool:
    """Check whether a folder has the ratings of a variant, plain or compressed."""
    return any((folder / name).is_file() for name in (layout.ratings, f"{layout.ratings}.gz"))


def _open_file(location: Path, layout: Layout, name: str) -> BinaryIO | None:
    """Open a file of the archive or folder by its name; return None if it is not there."""
    limit = _LARGEST_LINE * layout.n_ratings if name == layout.ratings else _LARGEST_TABLE
    if not location.is_dir():
        return open_member(location, f"{layout.folder}/{name}", limit, _ADVICE)
    if (location / name).is_file():
        return (location / name).open("rb")
    compressed = location / f"{name}.gz"
    return open_gzip(compressed, limit, _ADVICE) if compressed.is_file() else None


def read_ratings(location: Path, layout: Layout) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Read ids, ratings and times, in the order of the file and block by block, because files may be large."""
    name = f"{location / layout.ratings}"
    file = _open_file(location, layout, layout.ratings)
    if file is None:
        raise OSError(f"{location} has no {layout.folder}/{layout.ratings}. {_ADVICE}")
    pairs: list[np.ndarray] = []
    ratings: list[np.ndarray] = []
    times: list[Any] = []  # an array for each block, or None
    n_lines, n_values = 0, 0
    with file:
        if layout.header:
            header = file.readline(_BLOCK_BYTES).decode("utf-8-sig", "replace").strip()
            if header not in ("userId,movieId,rating,timestamp", "userId,movieId,rating"):
                raise ValueError(f"{name}, line 1: {quote(header)} instead of 'userId,movieId,rating,timestamp'.")
            n_lines, n_values = 1, header.count(",") + 1
        while block := file.read(_BLOCK_BYTES):
            block += file.readline()  # up to the end of a line
            if not block.endswith(b"\n"):
                block += b"\n"
            if not n_values:
                n_values = 3 if block[: block.index(b"\n")].count(layout.sep) == 2 else 4
            numbers, stars = _parse_block(block, layout.sep, n_values, name, n_lines)
            pairs.append(np.ascontiguousarray(numbers[:, :2]))
            ratings.append(stars)
            times.append(numbers[:, 3].copy() if n_values == 4 else None)
            n_lines += len(stars)
    if not pairs:
        raise ValueError(f"{name} has no ratings.")
    return np.concatenate(pairs), np.concatenate(ratings), np.concatenate(times) if n_values == 4 else None


def _parse_block(
    block: bytes, sep: bytes, n_values: int, name: str, n_lines_before: int
) -> tuple[np.ndarray, np.ndarray]:
    """Parse lines of user, item, rating and perhaps time into an int64 table and the ratings.

    This takes a few passes in C over the block. If the point of "3.5" is removed, all numbers are ints (35 in the
    table). If the digits are removed, the rest of the lines shows whether each line has the right shape, and which
    lines have a point.
    """
    shape_of_whole = sep * (n_values - 1) + b"\n"  # a line whose rating is a whole number
    shape_with_point = sep * 2 + b"." + sep * (n_values - 3) + b"\n"
    shapes = block.translate(None, _DIGITS + b"\r")
    n_rows = shapes.count(b"\n")
    points = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("."))
    is_good = len(shapes) >= n_rows * len(shape_of_whole)  # otherwise comparing needs too much memory
    is_good = is_good and shapes.replace(shape_with_point, shape_of_whole) == shape_of_whole * n_rows
    is_good = is_good and _have_one_decimal(block, points)
    if is_good:
        text = block.translate(bytes.maketrans(sep[:1], b" "), b".")
        numbers = np.fromstring(text, dtype=np.int64, sep=" ")
        # An empty value makes the array shorter. A value beyond 64 bits becomes the largest int64.
        is_good = numbers.size == n_rows * n_values and numbers.max() < np.iinfo(np.int64).max
    if not is_good:
        _raise_bad_line(block, sep, n_values, name, n_lines_before)
    numbers = numbers.reshape(n_rows, n_values)
    stars = numbers[:, 2].astype(np.float64)
    if len(points) == n_rows:
        stars /= 10
    elif len(points):
        characters = np.frombuffer(shapes, dtype=np.uint8)
        ends_of_lines, points = np.flatnonzero(characters == ord("\n")), np.flatnonzero(characters == ord("."))
        stars[np.searchsorted(ends_of_lines, points)] /= 10
    return numbers, stars


def _have_one_decimal(block: bytes, points: np.ndarray) -> bool:
    """Check whether each point has a digit before it and one digit after it; the block ends with a line end."""
    characters = np.frombuffer(block, dtype=np.uint8)
    around = (characters[np.minimum(points + i, len(block) - 1)] for i in (-1, 1, 2))
    before, first, second = ((character >= ord("0")) & (character <= ord("9")) for character in around)
    return bool(np.all(before & first & ~second))


def _raise_bad_line(block: bytes, sep: bytes, n_values: int, name: str, n_lines_before: int) -> NoReturn:
    """Find the first invalid line of a block, and raise an error that names it."""
    values = [rb"\d{1,18}", rb"\d{1,18}", rb"\d{1,17}(\.\d)?"]
    if n_values == 4:
        values.append(rb"\d{1,18}")
    good_line = re.compile(re.escape(sep).join(values) + rb"\r?")
    # Read line by line, because a list of millions of short lines would need many times the memory of the block.
    lines = (line.removesuffix(b"\n") for line in io.BytesIO(block))
    wrong, line = next((i, line) for i, line in enumerate(lines) if not good_line.fullmatch(line))
    text = quote(line[:_LONGEST_LINE_SHOWN].decode("utf-8", "replace"))
    raise ValueError(
        f"{name}, line {n_lines_before + wrong + 1}: {text} must be {len(values)} numbers with {sep.decode()!r} "
        "between them: ids of user and item, a rating with at most one decimal"
        + (", and a time in seconds." if len(values) == 4 else ".")
    )


def _read_text(location: Path, layout: Layout, name: str) -> str | None:
    """Read a text file; return None if it is not there."""
    file = _open_file(location, layout, name)
    if file is None:
        return None
    with file:
        data = file.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:  # 100k and 1m
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n")


def _split_lines(text: str) -> list[str]:
    """Split a text into its lines, without empty ones."""
    return re.findall("[^\n]+", text)


def read_movies(location: Path, layout: Layout) -> Bunch | None:
    """Read the table of films; return None if it is not there."""
    text = _read_text(location, layout, layout.movies)
    if text is None:
        return None
    try:
        columns = _transpose(_split_movies(text, layout.sep), 3)
        ids = np.array(list(map(int, columns[0])), dtype=np.int64)
    except (ValueError, OverflowError, IndexError, csv.Error) as error:
        raise ValueError(f"{location / layout.movies} cannot be read as a table of films: {shorten(error)}.") from error
    genres = ["" if genre in _GENRES_OF_NONE else genre for genre in columns[2]]
    return Bunch(id=ids, title=np.array(columns[1], dtype=object), genres=np.array(genres, dtype=object))


def _split_movies(text: str, sep: bytes) -> list:
    """Split the table of films into id, title and genres; only the format with commas has quotes and a header."""
    if sep == b",":
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
        if rows and rows[0] != ["movieId", "title", "genres"]:
            raise ValueError(f"line 1 is {quote(rows[0])} instead of movieId,title,genres")
        return rows[1:]
    lines = _split_lines(text)
    if sep == b"::":  # titles may contain the separator
        return [(*line.split("::", 1)[:1], *line.split("::", 1)[1].rsplit("::", 1)) for line in lines]
    rows = [line.split("|") for line in lines]  # id, title, two dates, address, a flag for each genre
    return [(row[0], row[1], "|".join(compress(_GENRES_100K, map(int, row[5:])))) for row in rows]


def read_users(location: Path, layout: Layout) -> Bunch | None:
    """Read the table of people; return None if the variant has none or it is not there."""
    text = None if layout.users is None else _read_text(location, layout, layout.users)
    if text is None:
        return None
    sep, first, second = ("::", "gender", "age") if layout.sep == b"::" else ("|", "age", "gender")
    keys = ("id", first, second, "occupation", "zip")
    try:
        rows = [line.split(sep) for line in _split_lines(text)]
        columns = dict(zip(keys, _transpose(rows, len(keys)), strict=True))
        ids, ages = (np.array(list(map(int, columns.pop(key))), dtype=np.int64) for key in ("id", "age"))
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{location / str(layout.users)} cannot be read as a table of users: {shorten(error)}."
        ) from error
    return Bunch(id=ids, age=ages, **{key: np.array(column, dtype=object) for key, column in columns.items()})


def _transpose(rows: list, n_columns: int) -> list[tuple]:
    """Turn rows into columns; raise an error for a row that has more or fewer values."""
    for row in rows:
        if len(row) != n_columns:
            raise ValueError(f"{quote(row)} has {len(row)} values instead of {n_columns}")
    return list(zip(*rows, strict=True)) if rows else [()] * n_columns
