"""Read compressed files up to a limit, so that they cannot fill the memory. All damage raises an OSError."""

from __future__ import annotations

import errno
import gzip
import io
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from sklearn_mf.datasets._messages import shorten

# Largest ratio of unpacked to compressed bytes, for files of unknown size. Ratings shrink to between a third and a
# tenth, and gzip cannot shrink data to much less than a thousandth.
_LARGEST_RATIO = 50
_ALWAYS_UNPACKED = 2**26  # bytes that any file may unpack to, because small repetitive files shrink a lot


class _BoundedReader(io.RawIOBase):
    """Read a compressed file up to a number of bytes.

    Damaged, encrypted or unsupported data raises an OSError that names the file. Decompressors raise errors of many
    types for such data: zipfile alone has six.
    """

    def __init__(self, file: Any, name: str, limit: int, advice: str):
        self.file, self.name, self.limit, self.advice, self.n_read = file, name, limit, advice, 0

    def readable(self) -> bool:
        """Return True, because the file can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes; raise an OSError beyond the limit, or if the data are damaged."""
        try:
            data = self.file.read(len(buffer))
        except Exception as error:
            raise_damaged(self.name, error, self.advice)
        self.n_read += len(data)
        if self.n_read > self.limit:
            raise OSError(
                f"{self.name} unpacks to more than {_in_megabytes(self.limit)}, too much for a file of ratings. "
                f"{self.advice}"
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file that is read."""
        if not self.closed:
            self.file.close()
        super().close()


def open_gzip(path: Path, limit: int, advice: str) -> BinaryIO:
    """Open a file compressed by gzip; it may unpack to ``limit`` bytes, or more if it is large itself."""
    limit = max(limit, _LARGEST_RATIO * path.stat().st_size)
    return io.BufferedReader(_BoundedReader(gzip.open(path), str(path), limit, advice), 2**20)


def open_maybe_gzipped(path: Path, advice: str) -> BinaryIO:
    """Open a file, and unpack it if it is compressed by gzip."""
    file = path.open("rb")
    if file.read(2) == b"\x1f\x8b":
        file.close()
        return open_gzip(path, _ALWAYS_UNPACKED, advice)
    file.seek(0)
    return file


def open_member(archive: Path, member: str, limit: int, advice: str) -> BinaryIO | None:
    """Open a file of a zip archive, which may unpack to ``limit`` bytes; return None if it is not there."""
    try:
        with zipfile.ZipFile(archive) as opened:
            if member not in opened.namelist():
                return None
            file = opened.open(member)
    except Exception as error:
        raise_damaged(str(archive), error, advice)
    return io.BufferedReader(_BoundedReader(file, str(archive), limit, advice), 2**20)


def raise_damaged(name: str, error: Exception, advice: str) -> NoReturn:
    """Raise an OSError about a file that cannot be unpacked; errors of the disk stay as they are.

    EINVAL is not an error of the disk: it means that a damaged zip directory points to a place before the file.
    """
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
        raise error
    raise OSError(f"{name} is damaged: {shorten(error)}. {advice}") from error


def _in_megabytes(n_bytes: int) -> str:
    """Format a number of bytes for a message."""
    return f"{n_bytes / 1e6:,.0f} MB"
