"""Split ratings at random: within users, or with every user and item kept in training.

Rows are yielded in random order, as :class:`~sklearn.model_selection.ShuffleSplit` does. So the first rows of a
training set are a random sample of it. Learning curves rely on this.
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

_ROWS_PER_CHUNK = 2**16  # rows that are converted to Python integers at a time


class _RandomSplit(BaseShuffleSplit):
    """Split ratings at random; subclasses choose the test rows, given a random order of all rows."""

    n_splits: int
    test_size: Any  # a share, or a number of ratings
    train_size: None
    random_state: int | np.random.RandomState | None
    user_column: int | str
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
            Row numbers, in random order. Each row is in one of the two.

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

    Use it to measure predictions for known users. Each user has the same weight in the test part as in the data, up to
    rounding. With ``test_size=0.2``, users with one or two ratings are not in the test part. Every user keeps ratings
    in training [1]_.

    :class:`~sklearn.model_selection.GroupShuffleSplit` with users as groups is a different split: it holds out all
    ratings of some users.

    Parameters
    ----------
    n_splits : int, default=5
        Number of splits, at least 1. They are drawn independently.

    test_size : float or int, default=0.2
        A float between 0 and 1 is the share of the n ratings of each user to hold out. The number is rounded (half up),
        but one rating always stays in training: ``min(floor(test_size * n + 0.5), n - 1)``. So with 0.2, users with one
        or two ratings stay in training. An int, at least 1, is the number of ratings of each user to hold out. Users
        with this number of ratings or fewer stay in training. If rounding makes the test part more than a tenth larger
        or smaller than this share of all ratings, a ``UserWarning`` says so.

    random_state : int, RandomState instance or None, default=None
        Seed. Pass an int to get the same splits on every call.

    user_column : int or str, default=0
        Position of the user column in X, from 0. For a data frame also its name.

    See Also
    --------
    WarmShuffleSplit : Hold out a share of all ratings, and keep a rating of every item too.
    LeaveLastOut : Hold out the last ratings of each user instead of random ones.

    References
    ----------
    .. [1] Meng, Z., R. McCreadie, C. Macdonald and I. Ounis, "Exploring data splitting strategies for the evaluation
       of recommendation models", RecSys 2020.

    Examples
    --------
    >>> from sklearn_mf.model_selection import PerUserShuffleSplit
    >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["ann", "Casablanca"],
    ...      ["bob", "Alien"], ["bob", "Brazil"]]
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
            n_test = np.where(n_ratings > self.test_size, int(self.test_size), 0)
        else:
            n_test = np.minimum(np.floor(self.test_size * n_ratings + 0.5).astype(int), n_ratings - 1)
        if not n_test.any():
            raise ValueError(
                f"test_size={self.test_size} holds out no rating of any user, because no user has more than "
                f"{n_ratings.max()} ratings. Use test_size=1 to hold out one rating of each user with two or more."
            )
        if not isinstance(self.test_size, Integral):
            why = "shares are rounded for each user, and each user keeps a rating. Use an int test_size, such as 1."
            warn_of_test_size(self, self.test_size, self.test_size * len(users), n_test.sum(), why)
        return mark_last_of_each(users, order, n_test)


class WarmShuffleSplit(_RandomSplit):
    """Hold out random ratings, and keep at least one rating of every user and item in training.

    Use it to measure predictions for known users and items. It is a :class:`~sklearn.model_selection.ShuffleSplit`
    without cold start in the test part.

    Parameters
    ----------
    n_splits : int, default=5
        Number of splits, at least 1. They are drawn independently.

    test_size : float or int, default=0.2
        A float between 0 and 1 is the share of all ratings to hold out, rounded (half up) to at least one. An int is
        the number of ratings to hold out, at least 1 and less than all.

    random_state : int, RandomState instance or None, default=None
        Seed. Pass an int to get the same splits on every call.

    user_column : int or str, default=0
        Position of the user column in X, from 0. For a data frame also its name.

    item_column : int or str, default=1
        Position or name of the item column.

    See Also
    --------
    PerUserShuffleSplit : Hold out the same share of each user's ratings.
    sklearn.model_selection.ShuffleSplit : Hold out random ratings; users and items may be missing from training.

    Notes
    -----
    Ratings are taken in random order until ``test_size`` are held out. The last remaining rating of a user or
    item stays in training. Apart from this condition, the test part is a random sample. Ratings of users and items with
    few ratings are in it less often. The only rating of a user or item is never in it.

    If fewer ratings than ``test_size`` can be held out, the test part is smaller. If it has less than 90 % of
    ``test_size``, a ``UserWarning`` says so. No rating can then be added to the test part. A search over all possible
    test parts (a minimum edge cover) would find a larger one, by up to 5 % on ratings with a long tail.

    Examples
    --------
    >>> from sklearn_mf.model_selection import WarmShuffleSplit
    >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
    ...      ["bob", "Brazil"], ["cem", "Casablanca"]]
    >>> for train, test in WarmShuffleSplit(2, test_size=2, random_state=0).split(X):
    ...     print([X[row] for row in test])
    [['bob', 'Alien'], ['ann', 'Brazil']]
    [['ann', 'Alien'], ['bob', 'Brazil']]
    """

    item_column: int | str
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
        """Mark rows whose user and item keep another row in training."""
        n_rows = len(order)
        n_test = max(1, int(count_test_rows(self.test_size, n_rows) + 0.5))
        rows = np.fromiter(islice(_iterate_spare_rows(order, *codes), n_test), dtype=np.intp)
        if not len(rows):
            raise ValueError(
                f"No rating can be held out: each of the {n_rows} ratings is the only one of its user or of its item. "
                "To test on users and items that are not in training, use sklearn's ShuffleSplit."
            )
        why = "with more, users or items would have no rating in training. Use a smaller test_size."
        warn_of_test_size(self, self.test_size, n_test, len(rows), why)
        is_test = np.zeros(n_rows, dtype=bool)
        is_test[rows] = True
        return is_test


def _iterate_spare_rows(order: np.ndarray, users: np.ndarray, items: np.ndarray) -> Iterator[int]:
    """Yield, in this order, rows that can be held out: their user and item keep a row that is not yielded."""
    n_left_of_user, n_left_of_item = np.bincount(users).tolist(), np.bincount(items).tolist()
    for part in chunks(len(order), _ROWS_PER_CHUNK):
        rows = order[part]
        for row, user, item in zip(rows.tolist(), users[rows].tolist(), items[rows].tolist(), strict=True):
            if n_left_of_user[user] > 1 and n_left_of_item[item] > 1:
                n_left_of_user[user] -= 1
                n_left_of_item[item] -= 1
                yield row
