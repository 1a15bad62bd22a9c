"""Split ratings by time: the last of each user, or all from a point in time on.

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
    """Split ratings by time, once; a subclass says which rows are held out, given the times."""

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
            Users and items. Times are not a column of X, where they would be a context.

        y : array-like of shape (n_ratings,), default=None
            Ignored, except for its length.

        groups : array-like of shape (n_ratings,), default=None
            Ignored, with a warning.

        times : array-like of shape (n_ratings,), default=None
            Time of each row of X, if the constructor was given none.

        Yields
        ------
        train, test : ndarray of shape (n_train,) and (n_test,), intp
            Numbers of rows, in the order of X; each row is in one of the two.

        Raises
        ------
        ValueError
            If times are given twice or not at all, are not as many as the rows, are missing, or are neither numbers
            nor datetimes; if one of the parts would be empty; if times and X are of pandas and have the same labels in
            their index, in another order.

        Warns
        -----
        UserWarning
            If times are float32 or float16 and too large for whole numbers; if the test part is more than a tenth
            larger or smaller than ``test_size``; if ties in time leave it to the order of rows, for most users, which
            of their ratings are the last.
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
            1.
        """
        return 1

    def __repr__(self) -> str:
        """Show the splitter as scikit-learn does, with the number of times in place of the times."""
        shown = copy.copy(self)
        with suppress(TypeError):  # None has no length, nor has what split refuses
            shown.times = TimesPlaceholder(len(self.times))
        return super(_TimeSplit, shown).__repr__()

    @abstractmethod
    def _mark_test_rows(self, times: np.ndarray, kind: str, X: Any) -> np.ndarray:
        """Mark the rows of the test part, given times of this kind."""


class LeaveLastOut(_TimeSplit):
    """Hold out the last ratings of each user.

    How well does the model predict what users rate next? There is one split, as time has one end. Later ratings of
    other users are in training, so the model knows more than it would have known on the day; if that matters, use
    :class:`GlobalTimeSplit` [1]_.

    For rankings take n > k. If k or fewer ratings of a user are ranked, all of them are among the first k, so that
    recall and hit rate are 1 whatever the model. NDCG of a single rating is undefined.

    Parameters
    ----------
    n : int, default=1
        Ratings of each user to hold out, at least 1. Users with n ratings or fewer stay in training.

    times : array-like of shape (n_ratings,), default=None
        Time of each row of X, by position: numbers (such as seconds since 1970, for which float32 has too few
        digits), or datetimes, all with or all without a time zone. Of two equal times, the one in the lower row counts
        as the later one. With None, give them to ``split``, or by metadata routing.

    user_column : int or str, default=0
        Place of the column of X with the users, from 0; or, where X is a data frame, its name.

    See Also
    --------
    GlobalTimeSplit : Split at one point in time for all users.
    PerUserShuffleSplit : Hold out random ratings of each user.

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
        self.n = check_count(n, "n", "It is the number of ratings of each user; GlobalTimeSplit has a share of all.")
        self.times = times
        self.user_column = check_column(user_column, "user_column")

    def _mark_test_rows(self, times: np.ndarray, kind: str, X: Any) -> np.ndarray:
        """Mark the last rows of each user who has more."""
        (users,) = encode_columns(self, X, ["user_column"])
        n_ratings = np.bincount(users)
        n_test = np.where(n_ratings > self.n, min(self.n, len(users)), 0)
        if not n_test.any():
            raise ValueError(
                f"No user has more than n={self.n} ratings (the most is {n_ratings.max()}), so none can be held out "
                "with something left to train on."
            )
        is_test = mark_last_of_each(users, np.argsort(times, kind="stable"), n_test)
        self._warn_of_ties(users, times, is_test, n_test > 0)
        return is_test

    def _warn_of_ties(self, users: np.ndarray, times: np.ndarray, is_test: np.ndarray, is_cut: np.ndarray) -> None:
        """Warn if for most of the users who are cut the last rating in training is as late as the first in the test."""
        order = np.lexsort([is_test, times, users])
        first_in_test = np.flatnonzero(is_test[order] & ~np.roll(is_test[order], 1))
        users, times = users[order], times[order]
        is_tie = (times[first_in_test] == times[first_in_test - 1]) & (users[first_in_test] == users[first_in_test - 1])
        n_ties, n_cut = np.count_nonzero(is_tie), np.count_nonzero(is_cut)
        if n_ties > n_cut / 2 and n_ties > 1:
            warn_user(
                f"Of {n_cut} users with ratings in the test part, {n_ties} have more ratings at the instant where it "
                "begins than are held out: which are the last is told by the order of the rows. Give finer times.",
                UserWarning,
            )


class GlobalTimeSplit(_TimeSplit):
    """Train on the ratings before a point in time, the same for all users, and test on the later ones.

    How well would the model have predicted, on that day, the ratings that came after? Nothing of the future is in
    training [1]_, and so users and items that appeared later are unknown: the test part has cold starts.

    (:class:`~sklearn.model_selection.TimeSeriesSplit` cuts by the number of rows, in their order.)

    Parameters
    ----------
    at : number, datetime or str, default=None
        The first instant of the test part, of the kind of ``times``. For datetimes without a time zone it can also be
        text as in ISO 8601, such as "1998-03-01" or "1998-03-01T12:30". None finds it from ``test_size``. A number
        between 0 and 1 is refused, as it reads as a share.

    test_size : float or int, default=None
        A float between 0 and 1 is the share of all ratings to test on, the latest; an int is their number, at least 1
        and less than all. The same instant is never on both sides: the nearest cut between two instants is taken (of
        two equally near ones, the earlier), with a ``UserWarning`` if the test part is more than a tenth larger or
        smaller than asked. None is 0.2 without ``at``; give only one of the two.

    times : array-like of shape (n_ratings,), default=None
        Time of each row of X, by position: numbers (such as seconds since 1970, for which float32 has too few
        digits), or datetimes, all with or all without a time zone. With None, give them to ``split``, or by metadata
        routing.

    See Also
    --------
    LeaveLastOut : Hold out the last ratings of each user, whenever they were.

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
        if isinstance(at, Real) and 0 < at < 1:
            raise ValueError(
                f"at={at!r} is the instant to cut at, and reads as the share to hold out: give test_size={at!r}. (To "
                "cut times that run from 0 to 1, give them and at in a smaller unit.)"
            )
        if at is not None and test_size is not None:
            raise ValueError("at and test_size both say where to cut: give one of them.")
        self.at = at
        self.test_size = test_size if test_size is None else check_test_size(test_size)
        self.times = times

    def _mark_test_rows(self, times: np.ndarray, kind: str, X: Any) -> np.ndarray:
        """Mark rows from an instant on, or the last part of all rows."""
        if self.at is not None:
            return self._mark_from_instant(times, kind)
        ordered = np.sort(times)
        cuts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1  # numbers of rows that are earlier than all others
        if not len(cuts):
            raise ValueError(f"All {len(times)} ratings have the same time ({times[0]}): there is no before.")
        test_size = 0.2 if self.test_size is None else self.test_size
        n_asked = count_test_rows(test_size, len(times))
        cut = cuts[np.argmin(np.abs(cuts - (len(times) - n_asked)))]
        why = "no cut between two instants is nearer, as {} have the time {}. Give at=, or finer times."
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
                f"before it are for training, those from it on for the test.{hint_at_seconds(times)}"
                f"{self._hint_at_test_size()}"
            )
        return is_test

    def _hint_at_test_size(self) -> str:
        """Say what is for a number of ratings, if ``at`` could be one."""
        is_count = isinstance(self.at, Integral) and not isinstance(self.at, bool) and self.at > 0
        return f" To hold out the last {self.at} ratings, give test_size={self.at}." if is_count else ""
