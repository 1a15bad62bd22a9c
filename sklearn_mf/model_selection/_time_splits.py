"""Split ratings by time: hold out the last ratings of each user, or all ratings from a point in time on.

Rows are yielded in the order of ``X``.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import BaseCrossValidator

from sklearn_mf._ids.pick import check_column
from sklearn_mf._ids.times import TimesPlaceholder, are_at_or_after, choose_times, hint_at_seconds
from sklearn_mf._utils.warnings import warn_user
from sklearn_mf.model_selection._shared import (
    check_count,
    check_rows,
    check_test_size,
    count_test_rows,
    encode_columns,
    mark_last_of_each,
    warn_of_test_size,
)


class _TimeSplit(BaseCrossValidator):
    """Split ratings by time, once; subclasses choose the test rows, given the times."""

    # As GroupKFold does for groups: with metadata routing, times are passed on without set_split_request.
    __metadata_request__split: ClassVar[dict] = {"times": True}

    times: Any

    def split(
        self, X: Any, y: ArrayLike | None = None, groups: Any = None, *, times: ArrayLike | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the rows of the training and the test part.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_ratings, n_columns)
            Users and items. Do not give times as a column of X: they would be a context.

        y : array-like of shape (n_ratings,), default=None
            Ignored, except for its length.

        groups : array-like of shape (n_ratings,), default=None
            Ignored, with a warning.

        times : array-like of shape (n_ratings,), default=None
            Time of each row of X, if the constructor has no times.

        Yields
        ------
        train, test : ndarray of shape (n_train,) and (n_test,), intp
            Row numbers, in the order of X. Each row is in one of the two.

        Raises
        ------
        ValueError
            If times are given twice or not at all; if their number differs from the number of rows; if they are
            missing, or neither numbers nor datetimes; if a part would be empty; if times and X have pandas indexes that
            differ.

        Warns
        -----
        UserWarning
            If times are float32 or float16 and so large that neighboring values are more than 1 apart; if the test part
            is more than a tenth larger or smaller than ``test_size``; if most users have equal times in both parts, so
            that the order of rows decides which ratings are the last.
        """
        n_rows = check_rows(self, X, y, groups)
        is_test = self._mark_test_rows(*choose_times(type(self).__name__, self.times, times, X, n_rows), X)
        yield np.flatnonzero(~is_test), np.flatnonzero(is_test)

    def get_n_splits(
        self, X: Any = None, y: ArrayLike | None = None, groups: Any = None, *, times: ArrayLike | None = None
    ) -> int:
        """Return the number of splits, which is 1.

        Parameters
        ----------
        X, y, groups, times : object
            Ignored.

        Returns
        -------
        n_splits : int
            Always 1.
        """
        return 1

    def __repr__(self) -> str:
        """Show the splitter as scikit-learn does, but with the length of ``times`` instead of its values."""
        shown = copy.copy(self)
        with suppress(TypeError):  # None has no length; other objects without a length are rejected by split
            shown.times = TimesPlaceholder(len(self.times))
        return super(_TimeSplit, shown).__repr__()

    @abstractmethod
    def _mark_test_rows(self, times: np.ndarray, kind: str, X: Any) -> np.ndarray:
        """Mark the rows of the test part, given times of this kind."""


class LeaveLastOut(_TimeSplit):
    """Hold out the last ratings of each user.

    Use it to measure how well a model predicts what users rate next. There is one split. Later ratings of other users
    are in training, so the model knows more than it would have known at the time. If this leakage matters, use
    :class:`GlobalTimeSplit` [1]_.

    For ranking metrics, use n > k. If no more than k ratings of a user are ranked, all of them are among the first k,
    so recall and hit rate are 1 for every model. The NDCG of a single rating is undefined.

    Parameters
    ----------
    n : int, default=1
        Number of ratings of each user to hold out, at least 1. Users with n ratings or fewer stay in training.

    times : array-like of shape (n_ratings,), default=None
        Time of each row of X, by position. Give numbers, such as seconds since 1970 (float32 has too few digits for
        these), or datetimes, all with or all without a time zone. If two times are equal, the rating in the later row
        counts as the later one. With None, pass times to ``split``, or by metadata routing.

    user_column : int or str, default=0
        Position of the user column in X, from 0. For a data frame also its name.

    See Also
    --------
    GlobalTimeSplit : Split at one point in time for all users.
    PerUserShuffleSplit : Hold out random ratings of each user.

    References
    ----------
    .. [1] Meng, Z., R. McCreadie, C. Macdonald and I. Ounis, "Exploring data splitting strategies for the evaluation
       of recommendation models", RecSys 2020 ("leave one last").

    Examples
    --------
    >>> from sklearn_mf.model_selection import LeaveLastOut
    >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
    ...      ["bob", "Casablanca"], ["cem", "Brazil"]]
    >>> times = [2021, 2019, 2020, 2022, 2020]
    >>> for train, test in LeaveLastOut(times=times).split(X):
    ...     print([X[row] for row in test])
    [['ann', 'Alien'], ['bob', 'Casablanca']]
    """

    n: int
    user_column: int | str

    def __init__(self, n: int = 1, *, times: ArrayLike | None = None, user_column: int | str = 0):
        self.n = check_count(n, "n", "It is a number of ratings. To hold out a share of all, use GlobalTimeSplit.")
        self.times = times
        self.user_column = check_column(user_column, "user_column")

    def _mark_test_rows(self, times: np.ndarray, kind: str, X: Any) -> np.ndarray:
        """Mark the last n rows of each user who has more than n rows."""
        (users,) = encode_columns(self, X, ["user_column"])
        n_ratings = np.bincount(users)
        n_test = np.where(n_ratings > self.n, min(self.n, len(users)), 0)
        if not n_test.any():
            raise ValueError(
                f"No user has more than n={self.n} ratings (the largest number is {n_ratings.max()}). So no user "
                "would keep a rating for training."
            )
        is_test = mark_last_of_each(users, np.argsort(times, kind="stable"), n_test)
        self._warn_of_ties(users, times, is_test, n_test > 0)
        return is_test

    def _warn_of_ties(self, users: np.ndarray, times: np.ndarray, is_test: np.ndarray, is_cut: np.ndarray) -> None:
        """Warn if, for most users in the test part, the last training rating is as late as the first test rating."""
        order = np.lexsort([is_test, times, users])
        first_in_test = np.flatnonzero(is_test[order] & ~np.roll(is_test[order], 1))
        users, times = users[order], times[order]
        is_tie = (times[first_in_test] == times[first_in_test - 1]) & (users[first_in_test] == users[first_in_test - 1])
        n_ties, n_cut = np.count_nonzero(is_tie), np.count_nonzero(is_cut)
        if n_ties > n_cut / 2 and n_ties > 1:
            warn_user(
                f"Of {n_cut} users with ratings in the test part, {n_ties} have ties in time: ratings in training and "
                "in the test part have the same time. The order of the rows decides which are the last. Give more "
                "precise times.",
                UserWarning,
            )


class GlobalTimeSplit(_TimeSplit):
    """Train on the ratings before a point in time, the same for all users, and test on the later ones.

    Use it to measure how well the model would have predicted later ratings at that time. The training part has no
    later ratings [1]_, so there is no leakage. Users and items that appeared later are unknown: the test part has cold
    starts.

    :class:`~sklearn.model_selection.TimeSeriesSplit` is different: it splits by the number of rows, in their order.

    Parameters
    ----------
    at : number, datetime or str, default=None
        First instant of the test part, of the same type as ``times``. For datetimes without a time zone it may be ISO
        8601 text, such as "1998-03-01" or "1998-03-01T12:30". None chooses it by ``test_size``. A number between 0 and
        1 raises an error, because it looks like a share.

    test_size : float or int, default=None
        A float between 0 and 1 is the share of all ratings to test on, the latest ones. An int is their number, at
        least 1 and less than all. Ratings with equal times are never on both sides. So the split is at the nearest
        change of time (the earlier one of two that are equally near). If the test part is more than a tenth larger or
        smaller than asked, a ``UserWarning`` says so. None means 0.2 if ``at`` is None. Give only one of ``at`` and
        ``test_size``.

    times : array-like of shape (n_ratings,), default=None
        Time of each row of X, by position. Give numbers, such as seconds since 1970 (float32 has too few digits for
        these), or datetimes, all with or all without a time zone. With None, pass times to ``split``, or by metadata
        routing.

    See Also
    --------
    LeaveLastOut : Hold out the last ratings of each user, whenever they were.

    References
    ----------
    .. [1] Campos, P. G., F. Díez and I. Cantador, "Time-aware recommender systems: a comprehensive survey and analysis
       of existing evaluation protocols", User Modeling and User-Adapted Interaction 24, 2014.

    Examples
    --------
    >>> from sklearn_mf.model_selection import GlobalTimeSplit
    >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
    ...      ["bob", "Casablanca"], ["cem", "Brazil"]]
    >>> times = [2021, 2019, 2020, 2022, 2020]
    >>> for train, test in GlobalTimeSplit(at=2021, times=times).split(X):
    ...     print([X[row] for row in test])
    [['ann', 'Alien'], ['bob', 'Casablanca']]
    """

    at: Any
    test_size: float | None

    def __init__(self, at: Any = None, *, test_size: float | None = None, times: ArrayLike | None = None):
        if isinstance(at, Real) and 0 < float(at) < 1:
            raise ValueError(
                f"at={at!r} must be an instant, but looks like a share. To hold out a share, use test_size={at!r}. (If "
                "times run from 0 to 1, give times and at in a smaller unit.)"
            )
        if at is not None and test_size is not None:
            raise ValueError("at and test_size both say where to split. Give only one of them.")
        self.at = at
        self.test_size = test_size if test_size is None else check_test_size(test_size)
        self.times = times

    def _mark_test_rows(self, times: np.ndarray, kind: str, X: Any) -> np.ndarray:
        """Mark rows from an instant on, or the last part of all rows."""
        if self.at is not None:
            return self._mark_from_instant(times, kind)
        ordered = np.sort(times)
        cuts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1  # possible numbers of training rows
        if not len(cuts):
            raise ValueError(f"All {len(times)} ratings have the same time ({times[0]}), so they cannot be split.")
        test_size = 0.2 if self.test_size is None else self.test_size
        n_asked = count_test_rows(test_size, len(times))
        cut = cuts[np.argmin(np.abs(cuts - (len(times) - n_asked)))]
        why = "ratings with equal times stay together, and {} have the time {}. Give at=, or more precise times."
        around = [ordered[cut - 1], ordered[cut]]
        n_at = [np.count_nonzero(times == instant) for instant in around]
        why = why.format(max(n_at), around[int(np.argmax(n_at))])
        warn_of_test_size(self, test_size, n_asked, len(times) - cut, why)
        return times >= ordered[cut]

    def _mark_from_instant(self, times: np.ndarray, kind: str) -> np.ndarray:
        """Mark the rows of the test part from ``at`` on."""
        try:
            is_test = are_at_or_after(times, kind, self.at)
        except ValueError as error:
            raise ValueError(f"{error}{self._hint_at_test_size()}") from error
        if is_test.all() or not is_test.any():
            part = "training" if is_test.all() else "test"
            raise ValueError(
                f"at={self.at!r} leaves the {part} part empty: times are from {times.min()} to {times.max()}. Ratings "
                f"before this instant are the training part, the others are the test part.{hint_at_seconds(times)}"
                f"{self._hint_at_test_size()}"
            )
        return is_test

    def _hint_at_test_size(self) -> str:
        """Return a hint for users who gave ``at`` a number of ratings, or an empty text."""
        is_count = isinstance(self.at, Integral) and not isinstance(self.at, bool) and int(self.at) > 0
        return f" To hold out the last {self.at} ratings, give test_size={self.at}." if is_count else ""
