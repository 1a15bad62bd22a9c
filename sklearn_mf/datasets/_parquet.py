"""Read ratings from Parquet files in batches, through pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import fspath
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from sklearn_mf._ids.batches import ROWS_OF_A_BATCH, Batch, Column
from sklearn_mf._ids.tables import split_column
from sklearn_mf.datasets._columns import ITEM, RATING, USER, Chosen, choose_columns, read_name
from sklearn_mf.datasets._messages import quote, shorten
from sklearn_mf.datasets._rows import Rows

_SUFFIXES = ".parquet", ".pq"
_BYTES_OF_A_BLOCK = 2**20  # bytes of a column that are read at a time, because row groups may be large
_MAGIC = b"PAR1"


class _Header(Rows):
    """Hold the names of columns, which have no line number."""

    WORD: ClassVar[str] = "columns"
    ADVICE: ClassVar[str] = "A file needs a user, an item and a rating, each in its own column."

    def locate(self, row: int) -> str:
        """Return the name of the file, for a message."""
        return self.path


@dataclass(frozen=True)
class ParquetRatings:
    """Hold which columns of Parquet files are read."""

    path: Path
    files: list[Path]
    chosen: Chosen
    all_names: list[str]
    n_ratings: int

    def batches(self, labels: list[str]) -> Iterator[Batch]:
        """Yield all ratings in order, one batch at a time."""
        chosen = self.chosen
        places = [*chosen.ids, chosen.rating, *([] if chosen.weight is None else [chosen.weight])]
        names = [self.all_names[place] for place in places]
        for file in self.files:
            start = 0
            for batch in _read(file, names):
                *ids, numbers, weights = (batch.column(name) for name in names + [names[-1]] * (chosen.weight is None))
                rows = f"rows {start} to {start + len(numbers) - 1} of {fspath(file)}"
                columns = [_id_column(column, label, file, start) for column, label in zip(ids, labels, strict=True)]
                y = _numbers(numbers, f"the rating in column {quote(names[len(ids)])}", file, start)
                w = None
                if chosen.weight is not None:
                    w = _numbers(weights, f"the weight in column {quote(names[-1])}", file, start, lowest=0.0)
                start += len(y)
                yield Batch(rows, columns, y, w)


def is_parquet(path: Path) -> bool:
    """Check whether a path is a folder or a Parquet file."""
    if path.is_dir() or path.suffix.lower() in _SUFFIXES:
        return True
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def find_files(path: Path) -> list[Path]:
    """Return the Parquet files of a folder in the order of their names, or the file itself.

    Hidden files are skipped, because other programs keep unfinished or deleted files there.
    """
    if not path.is_dir():
        return [path]
    found = (file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
    files = sorted(file for file in found if not _is_hidden(file.relative_to(path)))
    if not files:
        raise ValueError(f"The folder {fspath(path)} has no Parquet files (names that end in .parquet or .pq).")
    return files


def open_parquet(path: Path, files: list[Path], columns: Any, weight: Any) -> ParquetRatings:
    """Find out which columns to read."""
    _require_pyarrow()
    schemas, n_ratings = [], 0
    for file in files:
        schema, n_rows = _schema_and_rows(file)
        schemas.append(schema)
        n_ratings += n_rows
        missing = set(schemas[0].names).difference(schema.names)
        if missing:
            raise ValueError(f"{fspath(file)} has no column {quote(min(missing))}, but {files[0]} has it.")
    names = schemas[0].names
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ValueError(f"{fspath(path)} has several columns {quote(repeated[0])}. Give each column its own name.")
    if not n_ratings:
        raise ValueError(f"{fspath(path)} has no ratings: it has no rows.")
    chosen = _choose_columns(path, files, names, columns, weight)
    for file, schema in zip(files, schemas, strict=True):
        _check_number(schema, names[chosen.rating], "ratings", file)
        if chosen.weight is not None:
            _check_number(schema, names[chosen.weight], "weights", file)
    return ParquetRatings(path, files, chosen, names, n_ratings)


def _is_hidden(path: Path) -> bool:
    """Check whether a file within a folder is hidden, or lies in a hidden folder."""
    return any(part.startswith((".", "_")) for part in path.parts)


def _choose_columns(path: Path, files: list[Path], names: list[str], columns: Any, weight: Any) -> Chosen:
    """Choose the columns to read. Columns in folder names, such as year=2020, are not read, and errors say so."""
    parts = [part for file in files if file != path for part in file.relative_to(path).parts[:-1] if "=" in part]
    elsewhere = sorted({part.partition("=")[0] for part in parts}.difference(names))
    hint = (
        f"Columns in the names of folders are not read: {quote(elsewhere)}. Write the files with all columns in them."
    )
    try:
        chosen = choose_columns(_Header(fspath(path), ",", len(names), names, [1]), columns, True, weight)
    except ValueError as error:
        if not elsewhere:
            raise
        raise ValueError(f"{error} {hint}") from error
    read = map(read_name, elsewhere)
    if columns is None and any(name.is_plain and name.role in (USER, ITEM, RATING) for name in read):
        raise ValueError(
            f"{fspath(path)}: users, items or ratings may be missing in the columns {quote(names)}. {hint} Or "
            "set columns."
        )
    return chosen


def _check_number(schema: Any, name: str, what: str, file: Path) -> None:
    """Raise a ValueError unless a column is numeric or bool."""
    from pyarrow import types

    kind = schema.field(name).type
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind)):
        column = quote(name)
        raise ValueError(
            f"{fspath(file)}: column {column}, the {what}, is not numeric but {shorten(kind)}. Choose other "
            f"columns, or convert it. In pandas: table[{column}] = table[{column}].astype(float)."
        )


def _require_pyarrow() -> None:
    """Raise an ImportError that says what to install, if pyarrow is missing."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'open_ratings needs pyarrow for Parquet files. Install it with: pip install "sklearn-mf[parquet]"'
        ) from error


def _schema_and_rows(file: Path) -> tuple[Any, int]:
    """Return names and types of the columns of a file, and its number of rows."""
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as opened:
            return opened.schema_arrow, opened.metadata.num_rows
    except pyarrow.ArrowException as error:
        raise ValueError(f"{fspath(file)} cannot be read as Parquet: {shorten(error)}") from error


def _read(file: Path, names: list[str]) -> Iterator[Any]:
    """Yield batches of some columns; nothing is read ahead."""
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file, buffer_size=_BYTES_OF_A_BLOCK, pre_buffer=False) as opened:
            for batch in opened.iter_batches(ROWS_OF_A_BATCH, columns=names, use_threads=False):
                if batch.num_rows:
                    yield batch
    except pyarrow.ArrowException as error:
        raise ValueError(f"{fspath(file)} cannot be read as Parquet: {shorten(error)}") from error


def _id_column(values: Any, label: str, file: Path, start: int) -> Column:
    """Read a column of ids, none of which may be missing."""
    import pyarrow

    missing = values.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
    if pyarrow.types.is_floating(values.type):
        missing |= ~np.isfinite(values.to_numpy(zero_copy_only=False).astype(np.float64))
    if missing.any():
        raise ValueError(
            f"{fspath(file)}, row {start + int(missing.argmax())}: an id is missing, NaN or infinite in "
            f"{label}. Rows are counted from 0. Leave such rows out, or give them their own id."
        )
    return split_column(values, label)


def _numbers(values: Any, what: str, file: Path, start: int, lowest: float = -np.inf) -> np.ndarray:
    """Read ratings or weights, which must be finite; float64 (n_rows,)."""
    import pyarrow

    if pyarrow.types.is_boolean(values.type):
        values = values.cast(pyarrow.int8())
    numbers = values.cast(pyarrow.float64(), safe=False).to_numpy(zero_copy_only=False)
    wrong = ~np.isfinite(numbers) | (numbers < lowest)
    if wrong.any():
        row = int(wrong.argmax())
        problem = "is below 0" if np.isfinite(numbers[row]) else "is missing, NaN or infinite"
        raise ValueError(f"{fspath(file)}, row {start + row}: {what} {problem}. Rows are counted from 0.")
    return numbers
