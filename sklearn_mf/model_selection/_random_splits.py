"""Split ratings at random: within users, or with every user and item kept in training.

Rows are yielded in random order, as :class:`~sklearn.model_selection.ShuffleSplit` does, so that the first part of a
training set is a random part; learning curves rely on this.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from itertools import islice
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import BaseShuffleSplit
from sklearn.utils import check_random_state

from sklearn_mf._ids.pick import check_column
from sklearn_mf._utils.threads import chunks
from sklearn_mf.model_selection._shared import (
    check_count,
    check_rows,
    check_test_size,
    count_test_rows,
    encode_columns,
    mark_last_of_each,
    warn_of_test_size,
)

_ROWS_PER_CHUNK = 2**16  # turned into Python's integers at a time


class _RandomSplit(BaseShuffleSplit):
    """Split ratings at random; a subclass says which rows are held out, given a random order of all."""

    _column_parameters: ClassVar[list[str]] = ["user_column"]  # parameters that name the columns of X to look at

    def __init__(
        self,
        n_splits: int = 5,
        *,
        test_size: float = 0.2,
        random_state: int | np.random.RandomState | None = None,
        user_column: int | str = 0,
    ):
        n_splits = check_count(n_splits, "n_splits", f"To hold out a share, give test_size={n_splits}.")
        super().__init__(n_splits, test_size=check_test_size(test_size), random_state=random_state)
        self.user_column = check_column(user_column, "user_column")

    def split(self, X: Any, y: ArrayLike | None = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the rows of training and test parts.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_ratings, n_columns)
            Users and items, in the columns that the constructor names.

        y : array-like of shape (n_ratings,), default=None
            Ignored, except for its length.

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
        check_rows(self, X, y, groups)
        codes = encode_columns(self, X, self._column_parameters)
        rng = check_random_state(self.random_state)
        for _ in range(self.n_splits):
            order = rng.permutation(len(codes[0]))
            is_test = self._mark_test_rows(order, *codes)[order]
            yield order[~is_test], order[is_test]

    @abstractmethod
    def _mark_test_rows(self, order: np.ndarray, *codes: np.ndarray) -> np.ndarray:
        """Mark the rows of the test part, given all rows in random order and the codes of their ids."""


class PerUserShuffleSplit(_RandomSplit):
    """Hold out a random share of the ratings of each user.

    How well does the model predict further ratings of users that it knows? Every user has the same weight in the test
    part as in the data, as nearly as rounding allows (users with one or two ratings are not in it at all with
    ``test_size=0.2``). No user is lost from training [1]_.

    (:class:`~sklearn.model_selection.GroupShuffleSplit` with users as groups is another split: it holds out all
    ratings of a share of the users.)

    Parameters
    ----------
    n_splits : int, default=5
        Number of splits, at least 1, drawn independently of each other.

    test_size : float or int, default=0.2
        A float between 0 and 1 holds out that share of the n ratings of each user, rounded (half up) but never all:
        ``min(floor(test_size * n + 0.5), n - 1)``. So with 0.2, users with one or two ratings stay in training. An
        int, at least 1, holds out that many ratings of each user; users with as many or fewer stay in training. A
        ``UserWarning`` says if rounding makes the test part more than a tenth larger or smaller than the share of all.

    random_state : int, RandomState instance or None, default=None
        Seed; an int gives the same splits on every call.

    user_column : int or str, default=0
        Place of the column of X with the users, from 0; or, where X is a data frame, its name.

    See Also
    --------
    WarmShuffleSplit : Hold out a share of all ratings, and keep a rating of every item, too.
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

    def _mark_test_rows(self, order: np.ndarray, *codes: np.ndarray) -> np.ndarray:
        """Mark the last rows of each user in the random order."""
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
        if not isinstance(self.test_size, Integral):
            why = "shares of users with few ratings are rounded, and leave each a rating. Give a number, such as 1."
            warn_of_test_size(self, self.test_size, self.test_size * len(users), n_test.sum(), why)
        return mark_last_of_each(users, order, n_test)


class WarmShuffleSplit(_RandomSplit):
    """Hold out random ratings, and leave every user and every item a rating in training.

    How well does the model predict missing ratings of users and items that it knows? This is a
    :class:`~sklearn.model_selection.ShuffleSplit` without a cold start in the test part.

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
        Place or name of the column with the items.

    See Also
    --------
    PerUserShuffleSplit : Hold out the same share of each user's ratings.
    sklearn.model_selection.ShuffleSplit : Hold out random ratings; users and items may be lost from training.

    Notes
    -----
    Ratings are taken in random order until ``test_size`` are held out; a rating that is the last one left of its user
    or item stays in training. So the test part is a plain random sample as far as the condition allows. Ratings of
    users and items with few ratings are in it less often, and the only rating of a user or item never.

    If there are not enough such ratings, all that are found in that order are held out, with a ``UserWarning`` if
    these are less than 90 % of ``test_size``. No rating can be added to them, but a search over all ways to hold out
    ratings (a minimum edge cover) would find some more, up to 5 % on ratings with a long tail.

    Examples
    --------
    >>> from sklearn_mf.model_selection import WarmShuffleSplit
    >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["bob", "Brazil"], ["cem", "Casablanca"]]
    >>> for train, test in WarmShuffleSplit(2, test_size=2, random_state=0).split(X):
    ...     print([X[row] for row in test])
    [['bob', 'Alien'], ['ann', 'Brazil']]
    [['ann', 'Alien'], ['bob', 'Brazil']]
    """

    _column_parameters: ClassVar[list[str]] = ["user_column", "item_column"]

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

    def _mark_test_rows(self, order: np.ndarray, *codes: np.ndarray) -> np.ndarray:
        """Mark rows whose user and item keep another row."""
        n_rows = len(order)
        n_test = max(1, int(count_test_rows(self.test_size, n_rows) + 0.5))
        rows = np.fromiter(islice(_iterate_spare_rows(order, *codes), n_test), dtype=np.intp)
        if not len(rows):
            raise ValueError(
                f"No rating can be held out: each of the {n_rows} is the only one of its user or of its item. Use "
                "sklearn's ShuffleSplit to test on users and items that are not in training."
            )
        why = "with more, users or items would have no rating in training. Give a smaller test_size."
        warn_of_test_size(self, self.test_size, n_test, len(rows), why)
        is_test = np.zeros(n_rows, dtype=bool)
        is_test[rows] = True
        return is_test


def _iterate_spare_rows(order: np.ndarray, users: np.ndarray, items: np.ndarray) -> Iterator[int]:
    """Yield rows in this order that can be held out: their user and their item keep a row that is not yielded."""
    n_left_of_user, n_left_of_item = np.bincount(users).tolist(), np.bincount(items).tolist()
    for part in chunks(len(order), _ROWS_PER_CHUNK):
        rows = order[part]
        for row, user, item in zip(rows.tolist(), users[rows].tolist(), items[rows].tolist(), strict=True):
            if n_left_of_user[user] > 1 and n_left_of_item[item] > 1:
                n_left_of_user[user] -= 1
                n_left_of_item[item] -= 1
                yield row
