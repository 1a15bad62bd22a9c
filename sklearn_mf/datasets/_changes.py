"""Detect that files have changed since they were opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import fspath
from pathlib import Path


class NotedFiles:
    """Store size and time of files, to detect later changes.

    Parameters
    ----------
    files : iterable of Path
        The files. Their state is stored when the object is made, so make it before the files are read.
    """

    def __init__(self, files: Iterable[Path]):
        self._marks = {file: _mark(file) for file in files}

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Raise a ValueError if a file changes before or during a reading.

        This replaces an error of the reading itself, which would be misleading.
        """
        self._check()
        try:
            yield
        except Exception as error:
            self._check(error)
            raise
        self._check()

    def _check(self, error: Exception | None = None) -> None:
        """Raise a ValueError if a file has changed; ``error`` is the error that reading it raised."""
        for file, mark in self._marks.items():
            problem, cause = "", error
            try:
                is_same = _mark(file) == mark
            except (FileNotFoundError, NotADirectoryError) as missing:
                is_same, problem, cause = False, ": it is not there any more", error or missing
            if not is_same:
                raise ValueError(f"{fspath(file)} has changed since it was opened{problem}. Open it again.") from cause


def _mark(file: Path) -> tuple[int, int]:
    """Return size and time of a file."""
    status = file.stat()
    return status.st_size, status.st_mtime_ns
