"""Download an archive and check it. An incomplete or wrong archive is removed."""

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
from typing import Any, BinaryIO, TypeVar
from urllib.error import ContentTooShortError, HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from sklearn_mf._utils.warnings import warn_user
from sklearn_mf.datasets._messages import quote, shorten

TIMEOUT = 30.0  # seconds in which the server must send something
_BLOCK_BYTES = 2**20  # bytes that are read at a time
_HOSTS = ("files.grouplens.org", "grouplens.org")  # allowed hosts of redirects, besides the requested host

# These are retried: request timeout, too many requests, and all codes from 500 on. A full disk is not.
_TEMPORARY_STATUS_CODES = (408, 429)
_TEMPORARY_ERRORS = (URLError, TimeoutError, ConnectionError, ssl.SSLError, HTTPException)

Answer = TypeVar("Answer")


class _GuardedRedirects(HTTPRedirectHandler):
    """Follow redirects only to https on the same or a listed host: never to plain http, files or internal networks."""

    def http_error_302(self, req: Request, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """Follow a redirect, and close the response if this fails."""
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except Exception:
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        """Return the next request, or raise an OSError, which is not retried."""
        asked, target = urlsplit(req.full_url), urlsplit(newurl)
        is_known = target.hostname in (asked.hostname, *_HOSTS) and target.port in (None, 443, asked.port)
        if target.scheme != "https" or not is_known:
            raise OSError(
                f"{shorten(req.full_url)} cannot be downloaded: it is redirected to {quote(newurl)}, which is not "
                f"https on the same host or on {' or '.join(_HOSTS)}. Get the file by other means."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open_url(url: str) -> Any:
    """Request ``url``."""
    return build_opener(_GuardedRedirects).open(url, timeout=TIMEOUT)


def download_archive(url: str, path: Path, md5: str | None, *, limit: int, n_retries: int, delay: float) -> None:
    """Download the zip archive at ``url``, which has at most ``limit`` bytes.

    ``path`` is only created once the archive is complete and has the checksum ``md5``, if one is given.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    advice = f"Try again later, or get the file by other means and put it into {path.parent}."
    part = path.with_name(f"{path.name}.part_{uuid.uuid4().hex}")  # unique, for parallel downloads
    try:
        with part.open("x+b") as file:
            found = _try_several_times(lambda: _copy_archive(url, file, limit), url, advice, n_retries, delay)
        if md5 is not None and found != md5:
            raise OSError(
                f"The download of {url} is damaged, or is another file: expected the MD5 checksum {md5}, found "
                f"{found}. The file was removed. Try again. If the error stays, check on grouplens.org whether the "
                f"data were replaced, or put your own archive into {path.parent}."
            )
        if not zipfile.is_zipfile(part):
            raise OSError(
                f"The answer of {url} is not a zip archive; the file was removed. Open the address in a browser."
            )
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def fetch_md5(url: str, *, n_retries: int, delay: float) -> str | None:
    """Download the MD5 checksum file of the publisher at ``url``; warn and return None if there is none."""

    def read_start() -> bytes:
        with _open_url(url) as response:
            return response.read(1000)

    consequence = "The archive is not compared with a checksum."
    try:
        text = _try_several_times(read_start, url, consequence, n_retries, delay).decode("latin-1").strip().lower()
    except OSError as error:
        warn_user(str(error), UserWarning)
        return None
    found = re.fullmatch(r"(?:md5 \(.*\) = )?([0-9a-f]{32})(?: [ *]\S+)?", text)  # written by md5 or md5sum
    if found is None:
        warn_user(f"The answer of {url} is not an MD5 checksum. {consequence}", UserWarning)
        return None
    return found[1]


def _try_several_times(attempt: Callable[[], Answer], url: str, advice: str, n_retries: int, delay: float) -> Answer:
    """Return the result of ``attempt``; retry after a temporary error. ``advice`` ends the error message."""
    problem: Exception | None = None
    for n_left in range(n_retries, -1, -1):
        try:
            return attempt()
        except HTTPError as error:
            error.close()
            if error.code < 500 and error.code not in _TEMPORARY_STATUS_CODES:  # a retry would give the same answer
                raise OSError(
                    f"{url} cannot be downloaded: the server answers {error.code} ({shorten(error.reason)}). {advice}"
                ) from error
            problem = error
        except _TEMPORARY_ERRORS as error:
            problem = error
        except ValueError as error:  # urllib raises it for redirects to invalid addresses
            raise OSError(f"{url} cannot be downloaded: {shorten(error)}. {advice}") from error
        if n_left:
            warn_user(f"Retry downloading from url: {url} ({shorten(problem)})", UserWarning)
            time.sleep(delay)
    raise OSError(
        f"{url} could not be downloaded in {n_retries + 1} attempts: {shorten(problem)}. {advice}"
    ) from problem


def _read_announced_length(response: Any) -> int | None:
    """Return the number of bytes that the server announces, or None; raise a temporary error if it is not a number."""
    announced = response.headers.get("Content-Length")
    if announced is None:
        return None
    if not re.fullmatch("[0-9]{1,18}", announced.strip()):
        raise URLError(f"the server announces {quote(announced)} as the number of bytes")
    return int(announced)


def _copy_archive(url: str, file: BinaryIO, limit: int) -> str:
    """Write the archive at ``url`` to ``file``, but no more than ``limit`` bytes; return its MD5 checksum."""
    file.seek(0)  # an earlier attempt may have written something
    file.truncate()
    digest, n_bytes = hashlib.md5(usedforsecurity=False), 0
    with _open_url(url) as response:
        announced = _read_announced_length(response)
        _check_size(url, announced or 0, limit)
        while block := response.read(_BLOCK_BYTES):
            n_bytes += len(block)
            _check_size(url, n_bytes, limit)
            file.write(block)
            digest.update(block)
    if announced is not None and n_bytes != announced:
        raise ContentTooShortError(f"{n_bytes} of {announced} bytes came", ("", response.headers))
    if announced is None and not zipfile.is_zipfile(file):
        raise ContentTooShortError(
            f"{n_bytes} bytes came, which are not a complete zip archive", ("", response.headers)
        )
    return digest.hexdigest()


def _check_size(url: str, n_bytes: int, limit: int) -> None:
    """Raise an OSError, which is not retried, for more bytes than the archive can have."""
    if n_bytes > limit:
        raise OSError(
            f"{url} sends more than {limit / 1e6:,.0f} MB, but the archive of the publisher is smaller. The download "
            "was removed. Open the address in a browser to see what is there."
        )
