"""Download an archive so that it is on disk whole and checked, or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import time
import uuid
import zipfile
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.error import ContentTooShortError, HTTPError, URLError
from urllib.request import urlopen

from sklearn_mf._utils.warnings import warn_user

TIMEOUT = 30.0  # seconds in which the server must send something
_BLOCK_BYTES = 2**20  # read at a time

# Worth another try: request timeout and too many requests, besides all from 500 on; not a full disk.
_TEMPORARY_STATUS_CODES = (408, 429)
_TEMPORARY_ERRORS = (URLError, TimeoutError, ConnectionError, ssl.SSLError, HTTPException)

Answer = TypeVar("Answer")


def download_archive(url: str, path: Path, md5: str | None, *, n_retries: int, delay: float) -> None:
    """Download the zip archive at ``url``; ``path`` appears once it is whole and has the checksum ``md5``, if any."""
    path.parent.mkdir(parents=True, exist_ok=True)
    advice = f"Try again later, or get the file by other means and put it into {path.parent}."
    part = path.with_name(f"{path.name}.part_{uuid.uuid4().hex}")  # a unique name, as others may download the same
    try:
        with part.open("x+b") as file:
            found = _try_several_times(lambda: _copy_archive(url, file), url, advice, n_retries, delay)
        if md5 is not None and found != md5:
            raise OSError(
                f"The download of {url} is damaged or another file: expected the MD5 checksum {md5}, found {found}. "
                "The file was removed. Try again; if it stays so, look at grouplens.org whether the data were "
                f"replaced, or put an archive of your own into {path.parent}."
            )
        if not zipfile.is_zipfile(part):
            raise OSError(
                f"What {url} sends is not a zip archive; the file was removed. Open the address in a browser."
            )
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def fetch_md5(url: str, *, n_retries: int, delay: float) -> str | None:
    """Fetch the MD5 checksum in the small file of the publisher at ``url``; warn and return None if there is none."""

    def read_start() -> bytes:
        with urlopen(url, timeout=TIMEOUT) as response:
            return response.read(1000)

    consequence = "The archive is not compared with a checksum."
    try:
        text = _try_several_times(read_start, url, consequence, n_retries, delay).decode("latin-1").strip().lower()
    except OSError as error:
        warn_user(str(error), UserWarning)
        return None
    found = re.fullmatch(r"(?:md5 \(.*\) = )?([0-9a-f]{32})(?: [ *]\S+)?", text)  # written by md5 or md5sum
    if found is None:
        warn_user(f"What {url} sends is not an MD5 checksum. {consequence}", UserWarning)
        return None
    return found[1]


def _try_several_times(attempt: Callable[[], Answer], url: str, advice: str, n_retries: int, delay: float) -> Answer:
    """Return what ``attempt`` returns; try again after a temporary error. ``advice`` ends the message of an error."""
    for n_left in range(n_retries, -1, -1):
        try:
            return attempt()
        except HTTPError as error:
            error.close()
            if error.code < 500 and error.code not in _TEMPORARY_STATUS_CODES:  # the answer would be the same
                raise OSError(
                    f"{url} cannot be downloaded: the server answers {error.code} ({error.reason}). {advice}"
                ) from error
            problem: Exception = error
        except _TEMPORARY_ERRORS as error:
            problem = error
        if n_left:
            warn_user(f"Retry downloading from url: {url} ({problem})", UserWarning)
            time.sleep(delay)
    raise OSError(f"{url} could not be downloaded in {n_retries + 1} attempts: {problem}. {advice}") from problem


def _copy_archive(url: str, file: BinaryIO) -> str:
    """Write the archive at ``url`` to ``file``; return its MD5 checksum."""
    file.seek(0)  # an attempt before may have left something
    file.truncate()
    digest, n_bytes = hashlib.md5(usedforsecurity=False), 0
    with urlopen(url, timeout=TIMEOUT) as response:
        announced = response.headers.get("Content-Length")
        while block := response.read(_BLOCK_BYTES):
            file.write(block)
            digest.update(block)
            n_bytes += len(block)
    if announced is not None and n_bytes != int(announced):
        raise ContentTooShortError(f"{n_bytes} of {announced} bytes came", ("", response.headers))
    if announced is None and not zipfile.is_zipfile(file):
        raise ContentTooShortError(f"{n_bytes} bytes came, and they are no whole zip archive", ("", response.headers))
    return digest.hexdigest()
