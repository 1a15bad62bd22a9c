"""Splits of ratings into training and test parts, for ``cv=`` or to iterate over.

Column 0 of ``X`` has the users and column 1 the items, unless ``user_column`` and ``item_column`` say otherwise. The
random splits yield rows in random order, as :class:`~sklearn.model_selection.ShuffleSplit` does (so that the first part
of a training set is a random part, which learning curves rely on); the splits by time yield them in the order of ``X``.
No split depends on what ids are called.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit
from sklearn.utils import check_consistent_length, check_random_state, check_scalar

from sklearn_mf._ids.factorize import factorize
from sklearn_mf._ids.pick import check_column, pick_column
from sklearn_mf._ids.tables import split_column
from sklearn_mf._ids.times import NTimes, are_from, find_times, hint_of_units
from sklearn_mf._utils.threads import chunks
from sklearn_mf._utils.warnings import warn_user

_ENOUGH = 0.9  # of the ratings that test_size asks for; WarmShuffleSplit warns below
_CHUNK = 2**16  # rows looked at in Python at a time


class _RandomSplit(BaseShuffleSplit):
    """What the random splits share; a subclass says which rows are held out, given a random order of all."""

    _columns: ClassVar[list[str]] = ["user_column"]  # parameters that say which columns it looks at

    def __init__(
        self,
        n_splits: int = 5,
        *,
        test_size: float = 0.2,
        random_state: int | np.random.RandomState | None = None,
        user_column: int | str = 0,
    ):
        super().__init__(
            _check_count(n_splits, "n_splits"), test_size=_check_test_size(test_size), random_state=random_state
        )
        self.user_column = check_column(user_column, "user_column")

    def split(self, X: Any, y: ArrayLike | None = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the rows of training and test parts.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_ratings, n_columns)
            Users and items, in the columns that the constructor says.

        y : array-like of shape (n_ratings,), default=None
            Ignored, but for its length.

        groups : array-like of shape (n_ratings,), default=None
            Ignored, with a warning.

        Yields
        ------
        train, test : ndarray of shape (n_train,) and (n_test,), intp
            Numbers of rows, in random order; each row is in one of the two.

        Raises
        ------
        ValueError
            If ids are missing, or no rating can be held out.
        """
        _check_rows(self, X, y, groups)
        codes = _encode(self, X, self._columns)
        rng = check_random_state(self.random_state)
        for _ in range(self.n_splits):
            order = rng.permutation(len(codes[0]))
            is_test = self._held_out(order, *codes)[order]
            yield order[~is_test], order[is_test]

    @abstractmethod
    def _held_out(self, order: np.ndarray, *codes: np.ndarray) -> np.ndarray:
        """Whether each row is in the test part, given all rows in random order."""


class PerUserShuffleSplit(_RandomSplit):
    """Hold out a random share of the ratings of each user.

    How well does the model predict further ratings of users that it knows? Every user counts for as much in the test
    part as in the data, as nearly as rounding allows (with ``test_size=0.2``, users with one or two ratings not at
    all); none is lost from training [1]_.

    (:class:`~sklearn.model_selection.GroupShuffleSplit` with users as groups is another split: it holds out all
    ratings of a share of the users.)

    Parameters
    ----------
    n_splits : int, default=5
        Number of splits, at least 1, drawn independently of each other.

    test_size : float or int, default=0.2
        A float between 0 and 1 holds out that share of the n ratings of each user, rounded (half up) but never all:
        ``min(floor(test_size * n + 0.5), n - 1)``. So with 0.2, users with one or two ratings stay in training. An
        int, at least 1, holds out so many ratings of each user; users with so many or fewer stay in training.

    random_state : int, RandomState instance or None, default=None
        Seed; an int gives the same splits on every call.

    user_column : int or str, default=0
        Place of the column of X with the users, from 0; or, where X is a data frame, its name.

    See Also
    --------
    WarmShuffleSplit : Hold out a share of all ratings; keeps a rating of every item, too.
    LeaveLastOut : Hold out the last ratings of each user instead of random ones.

    References
    ----------
    .. [1] Z. Meng, R. McCreadie, C. Macdonald and I. Ounis, "Exploring data splitting strategies for the evaluation
       of recommendation models", RecSys 2020.

    Examples
    --------
    >>> from sklearn_mf.model_selection import PerUserShuffleSplit
    >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["ann", "Casablanca"], ["bob", "Alien"], ["bob", "Brazil"]]
    >>> cv = PerUserShuffleSplit(2, test_size=1, random_state=0)
    >>> for train, test in cv.split(X):
    ...     print([X[row] for row in test])
    [['ann', 'Brazil'], ['bob', 'Brazil']]
    [['ann', 'Brazil'], ['bob', 'Alien']]
    """

    def _held_out(self, order: np.ndarray, *codes: np.ndarray) -> np.ndarray:
        (users,) = codes
        n_ratings = np.bincount(users)
        if isinstance(self.test_size, Integral):
            n_test = np.where(n_ratings > self.test_size, self.test_size, 0)
        else:
            n_test = np.minimum(np.floor(self.test_size * n_ratings + 0.5).astype(int), n_ratings - 1)
        if not n_test.any():
            raise ValueError(
                f"test_size={self.test_size} holds out no rating of any user: the user with the most has "
                f"{n_ratings.max()}. With two or more, test_size=1 holds out one rating of each user."
            )
        return _last_of_each(users, order, n_test)


class WarmShuffleSplit(_RandomSplit):
    """Hold out random ratings, and leave every user and every item a rating in training.

    How well does the model predict missing ratings of users and items that it knows? As
    :class:`~sklearn.model_selection.ShuffleSplit`, without a cold start in the test part.

    Parameters
    ----------
    n_splits : int, default=5
        Number of splits, at least 1, drawn independently of each other.

    test_size : float or int, default=0.2
        A float between 0 and 1 is the share of all ratings to hold out, rounded (half up) to at least one; an int
        their number, at least 1 and less than all.

    random_state : int, RandomState instance or None, default=None
        Seed; an int gives the same splits on every call.

    user_column : int or str, default=0
        Place of the column of X with the users, from 0; or, where X is a data frame, its name.

    item_column : int or str, default=1
        The same of the items.

    See Also
    --------
    PerUserShuffleSplit : Hold out the same share of each user's ratings.
    sklearn.model_selection.ShuffleSplit : Hold out random ratings, whoever is lost from training by it.

    Notes
    -----
    Ratings are taken in random order, and each is held out unless it is the last one left of its user or item, until
    there are ``test_size``. So the test part is a plain random sample as far as the condition allows; ratings of users
    and items with few ratings are in it less often, and the only rating of a user or item never.

    Where there are not enough such ratings, all that are found in that order are held out, with a ``UserWarning`` if
    these are less than 90 % of ``test_size``. Nothing more can be added to them, but a search over all ways to hold
    out ratings (a minimum edge cover) would find some more, up to 5 % on ratings with a long tail.

    Examples
    --------
    >>> from sklearn_mf.model_selection import WarmShuffleSplit
    >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["bob", "Brazil"], ["cem", "Casablanca"]]
    >>> for train, test in WarmShuffleSplit(2, test_size=2, random_state=0).split(X):
    ...     print([X[row] for row in test])
    [['bob', 'Alien'], ['ann', 'Brazil']]
    [['ann', 'Alien'], ['bob', 'Brazil']]
    """

    _columns: ClassVar[list[str]] = ["user_column", "item_column"]

    def __init__(
        self,
        n_splits: int = 5,
        *,
        test_size: float = 0.2,
        random_state: int | np.random.RandomState | None = None,
        user_column: int | str = 0,
        item_column: int | str = 1,
    ):
        super().__init__(n_splits, test_size=test_size, random_state=random_state, user_column=user_column)
        self.item_column = check_column(item_column, "item_column")

    def _held_out(self, order: np.ndarray, *codes: np.ndarray) -> np.ndarray:
        n_rows = len(order)
        n_test = max(1, int(_n_test(self.test_size, n_rows) + 0.5))
        rows = np.fromiter(islice(_spare_rows(order, *codes), n_test), dtype=np.intp)
        if not len(rows):
            raise ValueError(
                f"No rating can be held out: each of the {n_rows} is the only one of its user or of its item. Use "
                "sklearn's ShuffleSplit to test on users and items that are not in training."
            )
        if len(rows) < _ENOUGH * n_test:
            warn_user(
                f"WarmShuffleSplit holds out {len(rows)} ratings instead of {n_test} (test_size={self.test_size}): "
                "with more, users or items would have no rating in training. Give a smaller test_size.",
                UserWarning,
            )
        is_test = np.zeros(n_rows, dtype=bool)
        is_test[rows] = True
        return is_test


def _spare_rows(order: np.ndarray, users: np.ndarray, items: np.ndarray) -> Iterator[int]:
    """Rows, in this order, that leave their user and their item another row when they and those before are taken."""
    user_rows, item_rows = np.bincount(users).tolist(), np.bincount(items).tolist()
    for part in chunks(len(order), _CHUNK):
        rows = order[part]
        for row, user, item in zip(rows.tolist(), users[rows].tolist(), items[rows].tolist(), strict=True):
            if user_rows[user] > 1 and item_rows[item] > 1:
                user_rows[user] -= 1
                item_rows[item] -= 1
                yield row


class _TimeSplit(BaseCrossValidator):
    """What the splits by time share: where times come from, and one split."""

    # As GroupKFold asks for groups: with metadata routing, times are passed on without set_split_request.
    __metadata_request__split: ClassVar[dict] = {"times": True}

    times: ArrayLike | None

    def split(
        self, X: Any, y: ArrayLike | None = None, groups: Any = None, *, times: ArrayLike | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the rows of the training and the test part.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_ratings, n_columns)
            Users and items. Times are no column of it: they would be a context.

        y : array-like of shape (n_ratings,), default=None
            Ignored, but for its length.

        groups : array-like of shape (n_ratings,), default=None
            Ignored, with a warning.

        times : array-like of shape (n_ratings,), default=None
            Time of each row of X, where the constructor had none.

        Yields
        ------
        train, test : ndarray of shape (n_train,) and (n_test,), intp
            Numbers of rows, in the order of X; each row is in one of the two.

        Raises
        ------
        ValueError
            If times are given twice or not at all, are not as many as rows, missing, or neither numbers nor
            datetimes; if one of the parts would be empty.
        """
        n_rows = _check_rows(self, X, y, groups)
        is_test = self._held_out(*find_times(type(self).__name__, self.times, times, n_rows), X)
        yield np.flatnonzero(~is_test), np.flatnonzero(is_test)

    def get_n_splits(
        self, X: Any = None, y: ArrayLike | None = None, groups: Any = None, *, times: ArrayLike | None = None
    ) -> int:
        """Number of splits: 1.

        Parameters
        ----------
        X, y, groups, times : object
            Ignored.

        Returns
        -------
        n_splits : int
            1.
        """
        return 1

    def __repr__(self) -> str:
        """As scikit-learn's, with the number of times in place of the times."""
        shown = copy.copy(self)
        with suppress(TypeError):  # None, or what split refuses
            shown.times = NTimes(len(self.times))
        return super(_TimeSplit, shown).__repr__()

    @abstractmethod
    def _held_out(self, times: np.ndarray, kind: str, X: Any) -> np.ndarray:
        """Whether each row is in the test part."""


class LeaveLastOut(_TimeSplit):
    """Hold out the last ratings of each user.

    How well does the model predict what users rate next? One split, as time has one end. Other users' later ratings
    are in training, so the model knows more than it would on the day; where that matters, use
    :class:`GlobalTimeSplit` [1]_.

    For rankings take n > k: where k or fewer ratings of a user are ranked, all of them are among the first k, so that
    recall and hit rate are 1 whatever the model; NDCG of a single rating is undefined.

    Parameters
    ----------
    n : int, default=1
        Ratings of each user to hold out, at least 1. Users with n ratings or fewer stay in training.

    times : array-like of shape (n_ratings,), default=None
        Time of each row of X, by position: numbers (such as seconds since 1970), or datetimes, all with or all
        without a time zone. Of equal times, the row further down counts as the later one. None leaves them to
        ``split``, and to metadata routing.

    user_column : int or str, default=0
        Place of the column of X with the users, from 0; or, where X is a data frame, its name.

    See Also
    --------
    GlobalTimeSplit : One point in time for all users.
    PerUserShuffleSplit : Random ratings of each user.

    References
    ----------
    .. [1] Z. Meng, R. McCreadie, C. Macdonald and I. Ounis, "Exploring data splitting strategies for the evaluation
       of recommendation models", RecSys 2020 ("leave one last").

    Examples
    --------
    >>> from sklearn_mf.model_selection import LeaveLastOut
    >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["bob", "Casablanca"], ["cem", "Brazil"]]
    >>> times = [2021, 2019, 2020, 2022, 2020]
    >>> for train, test in LeaveLastOut(times=times).split(X):
    ...     print([X[row] for row in test])
    [['ann', 'Alien'], ['bob', 'Casablanca']]
    """

    def __init__(self, n: int = 1, *, times: ArrayLike | None = None, user_column: int | str = 0):
        self.n = _check_count(n, "n")
        self.times = times
        self.user_column = check_column(user_column, "user_column")

    def _held_out(self, times: np.ndarray, kind: str, X: Any) -> np.ndarray:
        (users,) = _encode(self, X, ["user_column"])
        n_ratings = np.bincount(users)
        n_test = np.where(n_ratings > self.n, self.n, 0)
        if not n_test.any():
            raise ValueError(
                f"No user has more than n={self.n} ratings (the most is {n_ratings.max()}), so none can be held out "
                "with something left to train on."
            )
        return _last_of_each(users, np.argsort(times, kind="stable"), n_test)


class GlobalTimeSplit(_TimeSplit):
    """Train on the ratings before a point in time, the same for all users, and test on those from it on.

    How well would the model have predicted, on that day, the ratings that came after? Nothing of the future is in
    training [1]_, and so users and items that appeared later are unknown: the test part has cold starts.

    (:class:`~sklearn.model_selection.TimeSeriesSplit` cuts by the number of rows, in their order.)

    Parameters
    ----------
    at : number, datetime or str, default=None
        The first instant of the test part, of the kind of ``times``; for datetimes without a time zone also text as in
        ISO 8601, such as "1998-03-01" or "1998-03-01T12:30". None finds it from ``test_size``.

    test_size : float or int, default=None
        A float between 0 and 1 is the share of all ratings to test on, the latest; an int their number, at least 1
        and less than all. The same instant is never on both sides: of all the cuts between two instants, the one that
        comes nearest is taken (of two as near, the earlier). None is 0.2 without ``at``; with it, leave it out.

    times : array-like of shape (n_ratings,), default=None
        Time of each row of X, by position: numbers (such as seconds since 1970), or datetimes, all with or all
        without a time zone. None leaves them to ``split``, and to metadata routing.

    See Also
    --------
    LeaveLastOut : The last ratings of each user, whenever they were.

    References
    ----------
    .. [1] P. G. Campos, F. Díez and I. Cantador, "Time-aware recommender systems: a comprehensive survey and analysis
       of existing evaluation protocols", User Modeling and User-Adapted Interaction 24, 2014.

    Examples
    --------
    >>> from sklearn_mf.model_selection import GlobalTimeSplit
    >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["bob", "Casablanca"], ["cem", "Brazil"]]
    >>> times = [2021, 2019, 2020, 2022, 2020]
    >>> for train, test in GlobalTimeSplit(at=2021, times=times).split(X):
    ...     print([X[row] for row in test])
    [['ann', 'Alien'], ['bob', 'Casablanca']]
    """

    def __init__(self, at: Any = None, *, test_size: float | None = None, times: ArrayLike | None = None):
        if at is not None and test_size is not None:
            raise ValueError("at and test_size both say where to cut: give one of them.")
        self.at = at
        self.test_size = test_size if test_size is None else _check_test_size(test_size)
        self.times = times

    def _held_out(self, times: np.ndarray, kind: str, X: Any) -> np.ndarray:
        if self.at is not None:
            return self._from_instant(times, kind)
        ordered = np.sort(times)
        cuts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1  # numbers of rows that are earlier than all others
        if not len(cuts):
            raise ValueError(f"All {len(times)} ratings have the same time ({times[0]}): there is no before.")
        n_train = len(times) - _n_test(0.2 if self.test_size is None else self.test_size, len(times))
        return times >= ordered[cuts[np.argmin(np.abs(cuts - n_train))]]

    def _from_instant(self, times: np.ndarray, kind: str) -> np.ndarray:
        is_test = are_from(times, kind, self.at)
        if is_test.all() or not is_test.any():
            part = "training" if is_test.all() else "test"
            raise ValueError(
                f"at={self.at!r} leaves the {part} part empty: times are from {times.min()} to {times.max()}. Ratings "
                f"before it are for training, those from it on for the test.{hint_of_units(times)}"
            )
        return is_test


def _last_of_each(codes: np.ndarray, order: np.ndarray, n_last: np.ndarray) -> np.ndarray:
    """Whether a row is among the last ``n_last[code]`` of its code, the rows being in this order; bool (n_rows,)."""
    by_code = order[np.argsort(codes[order], kind="stable")]
    counts = np.bincount(codes)
    from_end = np.repeat(np.cumsum(counts), counts) - np.arange(len(codes))  # 1 is the last
    is_last = np.zeros(len(codes), dtype=bool)
    is_last[by_code[from_end <= np.repeat(n_last, counts)]] = True
    return is_last


# Checks


def _check_count(count: int, name: str) -> int:
    if isinstance(count, bool):
        raise TypeError(f"{name} must be an int, at least 1, not {count!r}.")
    return check_scalar(count, name, Integral, min_val=1)


def _check_test_size(test_size: Any) -> Any:
    is_number = isinstance(test_size, Integral) and not isinstance(test_size, bool) and test_size >= 1
    is_share = isinstance(test_size, Real) and 0 < test_size < 1
    if not (is_number or is_share):
        raise ValueError(
            f"test_size={test_size!r} must be a float between 0 and 1, a share of the ratings, or an int of at least 1."
        )
    return test_size


def _n_test(test_size: float, n_rows: int) -> float:
    """How many of the rows are asked for, not rounded."""
    if isinstance(test_size, Integral) and test_size >= n_rows:
        raise ValueError(f"test_size={test_size} must be less than the number of ratings, {n_rows}.")
    return test_size if isinstance(test_size, Integral) else test_size * n_rows


def _check_rows(splitter: Any, X: Any, y: Any, groups: Any) -> int:
    """Number of rows of X, as many as y has."""
    check_consistent_length(X, y, groups)
    if groups is not None:
        warn_user(f"The groups parameter is ignored by {type(splitter).__name__}.", UserWarning)
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    if not n_rows:
        raise ValueError("X has no rows: there is nothing to split.")
    return n_rows


def _encode(splitter: Any, X: Any, parameters: list[str]) -> list[np.ndarray]:
    """Codes of the columns that these parameters of the splitter say."""
    name = type(splitter).__name__
    picked = [pick_column(X, getattr(splitter, parameter), parameter, name) for parameter in parameters]
    columns = [split_column(ids, label) for label, ids in picked]
    if len({column.label for column in columns}) < len(columns):
        raise ValueError(f"{' and '.join(parameters)} of {name} are both {columns[0].label}: give each its own.")
    return [factorize(column)[1] for column in columns]
