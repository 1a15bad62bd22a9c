"""Write and read named arrays as a ``.npz`` file: a zip archive of ``.npy`` files, without pickle and compression.

Numbers are little-endian on every machine. The archive has no times, so the same arrays give the same bytes.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import IOBase, TextIOBase
from math import prod
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

_MAGIC = b"\x93NUMPY\x01\x00"
_DTYPES = {"|u1", "<i4", "<i8", "<u8", "<f4", "<f8"}
_HEADER = re.compile(
    r"\{'descr': '([|<][a-z]\d)', 'fortran_order': False, 'shape': \((\d{1,18}),(?: (\d{1,18}))?\), \} *\n"
)
# Pickles, and pickles that joblib has compressed with zlib or gzip.
_STARTS_OF_PICKLES = b"\x80", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda", b"\x1f\x8b"
_PART = 2**24  # bytes that are read or written at a time
_LONGEST_TEXT = 1000  # characters of a message
_OF_A_BROKEN_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    IndexError,
    OverflowError,
)


def write_arrays(file: Any, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays to a path or to a binary file object; a file at that path is replaced in one step."""
    if not isinstance(file, (str, os.PathLike)):
        is_for_reading = isinstance(file, IOBase) and not file.writable()
        if not hasattr(file, "write") or is_for_reading or isinstance(file, TextIOBase):
            raise TypeError(f"file must be a path or a file object that is open in mode 'wb', not {file!r}.")
        _write_archive(file, arrays)
        return
    path = Path(os.path.realpath(file))  # so that a link stays a link
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "There is no such folder", str(path.parent))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "This is a folder. Give the name of a file", str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "This is a device or a pipe, which must not be replaced by a file", str(path))
    new = path.with_name(f"{path.name[:50]}.{secrets.token_hex(4)}.new")  # a character may have four bytes
    try:
        with open(new, "xb") as opened:
            if path.exists():
                shutil.copymode(path, new)  # before there is content that others could read
            _write_archive(opened, arrays)
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(new)
        raise


def read_arrays(file: Any) -> tuple[str, dict[str, np.ndarray]]:
    """Read arrays from a path or a binary file object; return the name of the file in messages, and the arrays.

    Arrays are one- or two-dimensional, and have the byte order of the machine.
    """
    if isinstance(file, (str, os.PathLike)):
        with open(file, "rb") as opened:
            return repr(os.fspath(file)), _read_archive(opened, repr(os.fspath(file)))
    if not (hasattr(file, "read") and hasattr(file, "seek")) or not isinstance(file.read(0), bytes):
        raise TypeError(f"file must be a path or a file object that is open in mode 'rb', not {file!r}.")
    name = getattr(file, "name", None)
    label = repr(name) if isinstance(name, str) else "The file"
    return label, _read_archive(file, label)


def refuse(label: str, what: str, entry: str | None = None) -> NoReturn:
    """Raise the ValueError for a file that is not a proper model. Long texts, which may be of the file, are cut off."""
    what = what[:_LONGEST_TEXT]
    raise ValueError(f"{label} {what}." if entry is None else f"{label}: its entry {entry[:_LONGEST_TEXT]!r} {what}.")


def as_bytes(array: np.ndarray) -> np.ndarray:
    """Return the bytes of a contiguous array as an array, without a copy."""
    return array.reshape(-1).view(np.uint8)


def little_endian(array: np.ndarray) -> np.ndarray:
    """Return a contiguous array of little-endian numbers; nothing is copied if it is one already."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))


def _write_archive(file: IO[bytes], arrays: dict[str, np.ndarray]) -> None:
    """Write the archive."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            array = little_endian(array)
            text = f"{{'descr': '{array.dtype.str}', 'fortran_order': False, 'shape': {array.shape!r}, }}"
            text += " " * (-(len(_MAGIC) + 2 + len(text) + 1) % 64) + "\n"
            header = _MAGIC + struct.pack("<H", len(text)) + text.encode("latin1")
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o644 << 16  # the same on every system
            info.file_size = len(header) + array.nbytes
            with archive.open(info, "w") as entry:
                entry.write(header)
                content = as_bytes(array)
                for start in range(0, len(content), _PART):
                    entry.write(content[start : start + _PART].data)


def _read_archive(file: IO[bytes], label: str) -> dict[str, np.ndarray]:
    """Read all arrays of an archive."""
    file.seek(0)
    if file.read(2).startswith(_STARTS_OF_PICKLES):
        refuse(
            label,
            "is not a file of save_model, but probably of joblib or pickle. If you trust its source, load it with "
            "joblib.load or pickle.load",
        )
    size = file.seek(0, os.SEEK_END)
    with _errors_named(label):
        archive = zipfile.ZipFile(file)
    with archive:
        _check_listing(archive.infolist(), size, label)
        return {info.filename[:-4]: _read_array(archive, info, label) for info in archive.infolist()}


@contextmanager
def _errors_named(label: str, entry: str | None = None) -> Iterator[None]:
    """Turn the errors of zipfile into a ValueError that names the file."""
    what = "is not a model file, or is damaged" if entry is None else "is damaged"
    try:
        yield
    except _OF_A_BROKEN_ARCHIVE as error:
        reason = f"{what} ({type(error).__name__}: {error})"
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: the archive names a place before the start of the file
            raise
        reason = what
    else:
        return
    refuse(label, reason, entry)


def _check_listing(infos: list[zipfile.ZipInfo], size: int, label: str) -> None:
    """Check the list of entries, so that no entry can be larger than the file."""
    known: set[str] = set()
    for info in infos:
        name = info.filename
        if not name.endswith(".npy"):
            refuse(label, "is not an array (.npy)", name)
        if name in known:
            refuse(label, "is there twice", name)
        known.add(name)
        if info.flag_bits & 1 or info.compress_type != zipfile.ZIP_STORED:
            refuse(label, "is compressed or encrypted. save_model writes neither", name)
        if info.compress_size != info.file_size or not 0 <= info.header_offset < size:
            refuse(label, "has a wrong size or place", name)
    if sum(info.file_size for info in infos) > size:
        refuse(label, "is damaged: its entries are larger than the file")


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, label: str) -> np.ndarray:
    """Read an array; its header must state exactly the size that the entry has."""
    name = info.filename[:-4]
    with _errors_named(label, name):
        entry = archive.open(info)
    with entry:
        with _errors_named(label, name):
            start = entry.read(len(_MAGIC) + 2)
            n_header = struct.unpack("<H", start[len(_MAGIC) :])[0] if start.startswith(_MAGIC) else 0
            text = entry.read(n_header).decode("latin1")
        found = _HEADER.fullmatch(text)
        if found is None or found[1] not in _DTYPES:
            refuse(label, "has no header of an array of plain numbers with one or two dimensions", name)
        dtype, shape = np.dtype(found[1]), tuple(int(n) for n in found.groups()[1:] if n is not None)
        n_bytes = prod(shape) * dtype.itemsize
        if len(start) + n_header + n_bytes != info.file_size:
            refuse(label, f"says that its shape is {shape}, but has another size", name)
        content, n_read = np.empty(n_bytes, dtype=np.uint8), 0
        with _errors_named(label, name):
            while n_read < n_bytes:
                part = entry.read(min(_PART, n_bytes - n_read))
                if not part:
                    raise EOFError("the file ends too early")
                content[n_read : n_read + len(part)] = np.frombuffer(part, dtype=np.uint8)
                n_read += len(part)
            array = content.view(dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)
