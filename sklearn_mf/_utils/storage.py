"""Provide large arrays, in memory or in memory-mapped files."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np


class Storage:
    """Provide arrays in memory."""

    folder: Path | None = None

    def empty(self, shape: int | tuple[int, ...], dtype: type | np.dtype) -> np.ndarray:
        """Return an array whose values are not set."""
        return np.empty(shape, dtype)

    def zeros(self, shape: int | tuple[int, ...], dtype: type | np.dtype) -> np.ndarray:
        """Return an array of zeros."""
        return np.zeros(shape, dtype)

    def require(self, n_bytes: int) -> None:
        """Raise an OSError if there is certainly not enough space for ``n_bytes``."""


class MappedStorage(Storage):
    """Provide arrays in files in a new folder. ``close`` removes the folder and all its files.

    A file is deleted as soon as it is mapped, if the system allows it. So a process that is killed leaves only an empty
    folder ``sklearn_mf_*``. The disk space is free again when the array is deleted.
    """

    def __init__(self, parent: str | os.PathLike | None = None):
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="sklearn_mf_", dir=parent))  # of mode 0700
        except OSError as error:
            where = "in the folder for temporary files" if parent is None else "there"
            message = f"memory_map: the fit cannot make its files {where} ({error.strerror})"
            raise OSError(error.errno, f"{message}. Name a folder where files can be made", error.filename) from error

    def empty(self, shape: int | tuple[int, ...], dtype: type | np.dtype) -> np.ndarray:
        """Return an array whose values are not set. Its disk space is reserved now."""
        shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        n_bytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if n_bytes == 0:
            return np.empty(shape, dtype)
        descriptor, name = tempfile.mkstemp(dir=self.folder)  # of mode 0600
        try:
            self._take_room(descriptor, n_bytes)
            with os.fdopen(descriptor, "r+b") as file:
                array = np.memmap(file, dtype=dtype, mode="r+", shape=shape)
        except BaseException:
            os.unlink(name)
            raise
        if os.name == "posix":
            os.unlink(name)
        return array

    def zeros(self, shape: int | tuple[int, ...], dtype: type | np.dtype) -> np.ndarray:
        """Return an array of zeros; new files contain zeros."""
        array = self.empty(shape, dtype)
        if not hasattr(os, "posix_fallocate"):
            array[...] = 0
        return array

    def require(self, n_bytes: int) -> None:
        """Raise an OSError if the disk has less free space than ``n_bytes``."""
        free = shutil.disk_usage(self.folder).free
        if free < n_bytes:
            raise _no_room(errno.ENOSPC, self.folder, n_bytes, free)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _take_room(self, descriptor: int, n_bytes: int) -> None:
        """Extend a file to its full size, so that a full disk raises an error now and not when the array is written."""
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, n_bytes)
            else:
                os.ftruncate(descriptor, n_bytes)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise _no_room(error.errno, self.folder, n_bytes, shutil.disk_usage(self.folder).free) from error


def _no_room(code: int, folder: Path, n_bytes: int, free: int) -> OSError:
    """Return the error to raise. Its code says which limit was reached."""
    what, limit, advice = {
        errno.ENOSPC: ("", f"which has {_megabytes(free)}", "make room"),
        errno.EDQUOT: ("", "where your quota is used up", "make room"),
        errno.EFBIG: ("a file of ", "where files are limited to less", "raise the limit (ulimit -f)"),
    }[code]
    return OSError(
        code,
        f"The fit needs {what}{_megabytes(n_bytes)} on the disk of memory_map, {limit}: {advice}, or name a folder on "
        "another disk",
        str(folder),
    )


def _megabytes(n_bytes: int) -> str:
    """Format a number of bytes."""
    return f"{n_bytes / 1e6:,.0f} MB"


@contextmanager
def storage_of(memory_map: str | os.PathLike | bool | None) -> Iterator[Storage]:
    """Provide arrays during a ``with`` block: in memory, or in files in the folder ``memory_map`` (True: temporary)."""
    if memory_map is None or memory_map is False:
        yield Storage()
        return
    storage = MappedStorage(None if memory_map is True else memory_map)
    try:
        yield storage
    finally:
        storage.close()
