"""Find the MovieLens data sets on disk or download them, and read them."""

from __future__ import annotations

import os
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch, check_scalar

from sklearn_mf.datasets._download import download_archive, fetch_md5
from sklearn_mf.datasets._messages import quote
from sklearn_mf.datasets._movielens_reading import LAYOUTS, has_ratings, read_movies, read_ratings, read_users

if TYPE_CHECKING:
    import pandas as pd

ARCHIVE_URL = "https://files.grouplens.org/datasets/movielens/ml-{variant}.zip"

# MD5 checksums that GroupLens publishes next to its archives (ml-1m.zip.md5), as quoted by these repositories:
# 100k: sathariels/SageRec (python/sagerec_download.py)
# 1m, 20m: mwnewlin/afit_mlperf_training (recommendation/verify_dataset.sh)
# 1m, 25m: numericalalgorithmsgroup/MLFirstSteps_Azure (ncf/verify_dataset.sh)
# No repository was found that quotes those of 10m and 32m, and latest-small changes from time to time. Their checksums
# are downloaded with the archive.
MD5 = {
    "100k": "0e33842e24a9c977be4e0107933c0723",
    "1m": "c4d9eecfca2ab87c1945afe126590906",
    "20m": "cd245b17a1ae2cc31bb14903e1204af3",
    "25m": "6b51fb2759a8657d3bfcbfc42b592ada",
}

Variant = Literal["latest-small", "100k", "1m", "10m", "20m", "25m", "32m"]
_LARGEST_GROWTH = 2  # largest allowed size of an archive, relative to its size in LAYOUTS

_DESCR = """MovieLens {variant}: {n_ratings} ratings of films.

Source: GroupLens Research, University of Minnesota, https://grouplens.org/datasets/movielens/

License: for research. Acknowledge the data in publications, do not suggest that GroupLens or the university endorses
you, and make no commercial use without permission from GroupLens. Do not redistribute without permission (the README of
latest-small and of 32m allow it under the same terms). The terms in the README of the archive apply.

Citation: F. Maxwell Harper and Joseph A. Konstan, 2015. The MovieLens Datasets: History and Context. ACM Transactions
on Interactive Intelligent Systems 5(4), article 19. https://doi.org/10.1145/2827872
"""


@overload
def fetch_movielens(
    variant: Variant = ...,
    *,
    data_home: str | os.PathLike[str] | None = ...,
    download_if_missing: bool = ...,
    return_X_y: Literal[False] = ...,
    as_frame: bool = ...,
    n_retries: int = ...,
    delay: float = ...,
) -> Bunch: ...
@overload
def fetch_movielens(
    variant: Variant = ...,
    *,
    data_home: str | os.PathLike[str] | None = ...,
    download_if_missing: bool = ...,
    return_X_y: Literal[True],
    as_frame: Literal[False] = ...,
    n_retries: int = ...,
    delay: float = ...,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...
@overload
def fetch_movielens(
    variant: Variant = ...,
    *,
    data_home: str | os.PathLike[str] | None = ...,
    download_if_missing: bool = ...,
    return_X_y: Literal[True],
    as_frame: Literal[True],
    n_retries: int = ...,
    delay: float = ...,
) -> tuple[pd.DataFrame, pd.Series]: ...
@overload
def fetch_movielens(
    variant: Variant = ...,
    *,
    data_home: str | os.PathLike[str] | None = ...,
    download_if_missing: bool = ...,
    return_X_y: bool,
    as_frame: bool = ...,
    n_retries: int = ...,
    delay: float = ...,
) -> Bunch | tuple[NDArray[np.int64], NDArray[np.float64]] | tuple[pd.DataFrame, pd.Series]: ...
def fetch_movielens(
    variant: Variant = "latest-small",
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
    n_retries: int = 3,
    delay: float = 1.0,
) -> Bunch | tuple[NDArray[np.int64], NDArray[np.float64]] | tuple[pd.DataFrame, pd.Series]:
    """Load ratings of films from MovieLens, and download them if they are not on disk.

    The data are for research and not part of this package. Acknowledge them, do not redistribute them, and do not use
    them commercially without permission from GroupLens [1]_. The README in each archive has the terms. (Those of
    latest-small and 32m allow redistribution under the same terms.)

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

    "latest-small" changes from time to time. To compare results, use another variant.

    Parameters
    ----------
    variant : {"latest-small", "100k", "1m", "10m", "20m", "25m", "32m"}, default="latest-small"
        Name of the data set.

    data_home : str, path-like or None, default=None
        Folder of data sets. None is scikit-learn's folder (:func:`sklearn.datasets.get_data_home`). The function looks
        in this folder, and in its subfolder ``movielens``, for the archive (such as ``ml-1m.zip``) or the unpacked
        folder (such as ``ml-1m``, its files plain or compressed by gzip). Downloads go to ``movielens``. You may also
        give the folder ``ml-1m`` itself.

    download_if_missing : bool, default=True
        Whether to download data that are not on disk. With False, missing data raise an OSError, and no folder is
        created.

    return_X_y : bool, default=False
        Whether to return ``(data, target)`` only.

    as_frame : bool, default=False
        Whether to return pandas objects: ``data``, ``movies`` and ``users`` as DataFrames, ``target`` and ``times`` as
        Series.

    n_retries : int, default=3
        How often a failed download is repeated, at least 0. If the server rejects the request (status codes from 400 to
        499, except 408 and 429), it is not repeated.

    delay : float, default=1.0
        Time between attempts, in seconds; at least 0.

    Returns
    -------
    ratings : :class:`~sklearn.utils.Bunch` or tuple of (X, y)
        Bunch with these attributes, in the order of the file:

        * ``data`` (n_ratings, 2) int64: ids of users and items, as in the files;
        * ``target`` (n_ratings,) float64: the ratings, in stars;
        * ``feature_names``: ``["user", "item"]``;
        * ``times`` (n_ratings,) int64: the time of each rating, in seconds since 1970 UTC. None if the file has no
          times. ``pd.to_datetime(ratings.times, unit="s")`` converts them to dates;
        * ``movies``: a Bunch with one entry per film in ``id`` (int64), ``title`` (object, str) and ``genres`` (object,
          str such as ``"Comedy|Drama"``, ``""`` for none). It includes films without ratings. None if the folder has no
          such file. ``dict(zip(movies.id, movies.title))`` gives the title of each id. Titles may repeat: in 100k,
          Chasing Amy (1997) has the ids 246 and 268;
        * ``users``: for 100k and 1m, a Bunch of ``id`` (int64), ``gender`` (object, "F" or "M"), ``age`` (int64; in 1m
          the lower end of a range, where 1 means under 18), ``occupation`` (object, str; in 1m a number that its README
          explains) and ``zip`` (object, str). None for other variants;
        * ``frame``: with ``as_frame=True`` a DataFrame of user, item, rating and, if known, time. Otherwise None;
        * ``DESCR``: source, license and citation.

    Raises
    ------
    ValueError
        If there is no such variant, or a line cannot be read (the error names it).
    OSError
        If the data are not on disk and ``download_if_missing=False``; if they cannot be downloaded; if the download is
        incomplete, has the wrong checksum, is much larger than the published archive, or is redirected to another
        host; if an archive is damaged or encrypted, or unpacks to much more data than expected. No part of a failed
        download stays on disk. An archive that was on disk before the call stays.
    ImportError
        If ``as_frame=True`` and pandas is not installed.

    See Also
    --------
    load_ratings : Read a file of ratings.
    make_ratings : Make ratings from a known model.

    Notes
    -----
    A download is compared with an MD5 checksum. This module has the checksums of 100k, 1m, 20m and 25m. GroupLens
    publishes them, and they were taken from public repositories that quote them. No such source was found for 10m and
    32m, and latest-small changes. For these three, the checksum file next to the archive (such as ``ml-10m.zip.md5``)
    is downloaded from GroupLens. If this fails, a warning says so, and the archive is used without a check. Archives
    found on disk are not checked again.

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
    if variant not in list(LAYOUTS):  # a list, because variant may not be hashable
        meant = variant.lower().removeprefix("ml-") if isinstance(variant, str) else ""
        hint = f" Did you mean {meant!r}?" if meant in LAYOUTS else ""
        raise ValueError(f"variant={quote(variant)} must be one of {', '.join(map(repr, LAYOUTS))}.{hint}")
    check_scalar(n_retries, "n_retries", Integral, min_val=0)
    check_scalar(delay, "delay", Real, min_val=0)
    if as_frame:
        _import_pandas()
    layout = LAYOUTS[variant]
    home = _choose_data_home(data_home)
    location = _find_on_disk(home, variant)
    is_new = location is None
    if location is None:
        if not download_if_missing:
            raise OSError(
                f"Data not found and `download_if_missing` is False: {home} and {home / 'movielens'} have "
                f"neither ml-{variant}.zip nor a folder ml-{variant} with {layout.ratings}."
            )
        location = _download(home / "movielens", variant, n_retries, delay)
    try:
        X, y, times = read_ratings(location, layout)
        movies = None if return_X_y else read_movies(location, layout)
        users = None if return_X_y else read_users(location, layout)
    except (OSError, ValueError):
        if is_new:  # the next call must not find it; an archive that was there before stays
            location.unlink(missing_ok=True)
        raise

    frame = None
    if as_frame:
        frame, X, y, times, movies, users = _convert_to_frames(X, y, times, movies, users)
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


def _choose_data_home(given: str | os.PathLike[str] | None) -> Path:
    """Return the given folder, or that of scikit-learn's ``get_data_home``; create no folder."""
    home = os.environ.get("SCIKIT_LEARN_DATA", os.path.join("~", "scikit_learn_data")) if given is None else given
    return Path(os.path.abspath(os.path.expanduser(home)))


def _find_on_disk(home: Path, variant: str) -> Path | None:
    """Find the archive of the variant, or a folder with its ratings."""
    layout = LAYOUTS[variant]
    names = (f"ml-{variant}", layout.folder)
    if home.name in names and has_ratings(home, layout):
        return home
    for folder in (home, home / "movielens"):
        archive = folder / f"ml-{variant}.zip"
        if archive.is_file():
            return archive
        for name in names:
            if has_ratings(folder / name, layout):
                return folder / name
    return None


def _download(folder: Path, variant: str, n_retries: int, delay: float) -> Path:
    """Download the archive of the variant into the folder, and return where it is."""
    url = ARCHIVE_URL.format(variant=variant)
    archive = folder / f"ml-{variant}.zip"
    md5 = MD5.get(variant) or fetch_md5(f"{url}.md5", n_retries=n_retries, delay=delay)
    limit = _LARGEST_GROWTH * LAYOUTS[variant].archive_bytes
    download_archive(url, archive, md5, limit=limit, n_retries=n_retries, delay=delay)
    return archive


def _import_pandas() -> Any:
    """Import pandas; raise an ImportError that says how to install it."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("as_frame=True needs pandas: pip install pandas") from error
    return pandas


def _convert_to_frames(
    X: np.ndarray, y: np.ndarray, times: np.ndarray | None, movies: Bunch | None, users: Bunch | None
) -> Any:
    """Turn all tables into pandas objects, and join the ratings in one frame."""
    pandas = _import_pandas()
    frame = pandas.DataFrame({"user": X[:, 0], "item": X[:, 1], "rating": y})
    if times is not None:
        frame["time"] = times
        times = frame["time"]
    movies, users = (None if table is None else pandas.DataFrame(dict(table)) for table in (movies, users))
    return frame, frame[["user", "item"]], frame["rating"], times, movies, users
