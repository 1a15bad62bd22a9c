"""Read the text of a file, whole or in parts, and find its encoding."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sklearn_mf.datasets._messages import shorten
from sklearn_mf.datasets._unpack import open_maybe_gzipped

_CHARACTERS_OF_A_PART = 2**21  # about 2**18 rows of three short values, or somewhat more
_BYTES_OF_A_BLOCK = 2**20
_ADVICE = "To read it anyway, unpack it first."
_MARKS = "\ufeff", codecs.BOM_UTF8.decode("latin-1")  # byte order marks, which some programs write before a text


def read_text(path: Path, encoding: str | None) -> str:
    """Read a text, and find its encoding if none is given."""
    with open_maybe_gzipped(path, _ADVICE) as file:
        data = file.read()
    with _name_in_errors(path):
        return _without_mark(data.decode(encoding or _find_encoding([data])))


def find_encoding(path: Path, encoding: str | None) -> str:
    """Return the encoding that is given, or find that of a file."""
    if encoding is not None:
        return encoding
    with open_maybe_gzipped(path, _ADVICE) as file, _name_in_errors(path):
        return _find_encoding(iter(lambda: file.read(_BYTES_OF_A_BLOCK), b""))


def read_parts(path: Path, encoding: str) -> Iterator[str]:
    """Read a text part by part; each part ends at a line end, which may be within quotes."""
    with open_maybe_gzipped(path, _ADVICE) as file, _name_in_errors(path):
        reader = io.TextIOWrapper(file, encoding, newline="")
        pieces: list[str] = []
        is_first = True
        while text := reader.read(_CHARACTERS_OF_A_PART):
            text, is_first = _without_mark(text) if is_first else text, False
            # A carriage return at the end may be the first half of a line end.
            end = max(text.rfind("\n"), text.rfind("\r", 0, max(len(text) - 1, 0))) + 1
            if end:
                yield "".join([*pieces, text[:end]])
                pieces = []
            pieces.append(text[end:])
        if any(pieces):
            yield "".join(pieces)


def _find_encoding(blocks: Iterable[bytes]) -> str:
    """Find the encoding of a text: UTF-16 with a byte order mark, UTF-8 if it is valid, else Latin-1."""
    decoder, is_utf_8, is_first = codecs.getincrementaldecoder("utf-8")(), True, True
    for block in blocks:
        if is_first and block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        is_first = False
        if b"\0" in block:
            raise ValueError(
                "it has NUL bytes. If it is UTF-16, give encoding. If it is compressed, but not by gzip, unpack it."
            )
        try:
            if is_utf_8:
                decoder.decode(block)
        except UnicodeDecodeError:
            is_utf_8 = False
    try:
        decoder.decode(b"", final=is_utf_8)
    except UnicodeDecodeError:  # it ends within a character
        is_utf_8 = False
    return "utf-8" if is_utf_8 else "latin-1"


def _without_mark(text: str) -> str:
    """Remove a byte order mark at the beginning."""
    for mark in _MARKS:
        text = text.removeprefix(mark)
    return text


@contextmanager
def _name_in_errors(path: Path) -> Iterator[None]:
    """Add the name of the file to errors."""
    try:
        yield
    except (LookupError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as text: {shorten(error)}") from error
