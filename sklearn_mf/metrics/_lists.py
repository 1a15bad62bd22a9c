"""Lists of recommended ids, as users have them, taken apart; and as a ranking for the grouped metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from sklearn_mf._ids.checks import check_ratings
from sklearn_mf._ids.factorize import factorize
from sklearn_mf._ids.levels import find_levels
from sklearn_mf._ids.tables import Column, split_column, split_columns


def ranking_of_lists(recommended: Any, users: Any, X_test: Any, y_test: ArrayLike) -> Bunch:
    """Turn recommended lists and what was held out into a ranking, for the metrics with ``groups``.

    How much of what the users went on to rate do their lists have? Metrics get it as keywords, see the example. All
    items that are not in a list are behind it, so that the whole catalog is ranked, and what is not rated counts 0.

    Parameters
    ----------
    recommended : array-like of shape (n_users, n_items), or list of lists
        Ids of the items recommended to each user, best first, as ``recommend`` returns them; lists may differ in
        length. A place without an item (None, NaN, NaT, or the -1 that fills rows of int ids) counts 0.

    users : array-like of shape (n_users,)
        Ids of the users that the lists are for, each once.

    X_test : array-like or dataframe of shape (n_ratings, >= 2)
        Held-out pairs: column 0 the user, column 1 the item. Those of users without a list are not looked at; a pair
        that is there several times counts once, with the mean of its ratings.

    y_test : array-like of shape (n_ratings,)
        Ratings of these pairs, at least 0. As unrated items count 0, 0 says as much as no rating.

    Returns
    -------
    ranking : :class:`~sklearn.utils.Bunch`
        What the metrics take, a row for each place of the lists and for each held-out pair of these users that is not
        recommended:

        y_true : ndarray of shape (n_rows,), float64
            The held-out rating, or 0.
        y_score : ndarray of shape (n_rows,), float64
            0, -1, -2, ... for the places of a list, and the same lower score for all that is not recommended.
        groups : ndarray of shape (n_rows,)
            The user.

    Raises
    ------
    ValueError
        If there is not a list for each user, a user is there twice, a held-out item is twice in a list, ids are
        missing or of different kinds, or a rating is negative or not finite.

    Notes
    -----
    Give the metrics a ``k`` of at most the length of the longest list: what is behind the lists is in no order.
    ``relevant`` must be above 0. :func:`auc_by_group` has no meaning here, as most of the catalog is not in the
    table.

    Users without held-out pairs are in the ranking; metrics leave them out, but for :func:`precision_at_k`, where they
    count 0. To leave them out there, give only lists of users that are in ``X_test``.

    NDCG takes the ratings as gains, so that a low one is worth more than none; for ``np.where(y_test >= 4, y_test, 0)``
    instead of ``y_test``, only items rated with 4 or more are worth something.

    References
    ----------
    Cremonesi, Koren and Turrin (2010). "Performance of recommender algorithms on top-N recommendation tasks." RecSys.

    Examples
    --------
    >>> from sklearn_mf.metrics import ndcg_at_k, ranking_of_lists, recall_at_k
    >>> users, recommended = ["ann", "bob"], [["Alien", "Heat"], ["Ran", None]]
    >>> X_test, y_test = [["ann", "Heat"], ["ann", "Brazil"], ["bob", "Ran"]], [5, 4, 3]
    >>> ranking = ranking_of_lists(recommended, users, X_test, y_test)
    >>> ranking.y_true, ranking.y_score
    (array([0., 5., 3., 0., 4.]), array([ 0., -1.,  0., -1., -2.]))
    >>> recall_at_k(**ranking, relevant=3, k=2)
    0.75
    >>> round(ndcg_at_k(**ranking, k=2), 3)
    0.71
    """
    lists, users = flat_lists(recommended), split_column(users, "users")
    if lists.n_rows != len(users):
        raise ValueError(f"recommended has {lists.n_rows} lists, and users {len(users)} ids: give one list a user.")
    if not lists.length:
        raise ValueError("recommended has no items: all lists are empty.")
    user_levels, user_codes = factorize(users)
    if len(user_levels) < len(users):
        repeated = user_levels[np.bincount(user_codes) > 1]
        raise ValueError(f"users has {repeated.tolist()[0]!r} more than once: give each user one list.")
    columns = split_columns(X_test, "ranking_of_lists", "X_test")
    if len(columns) < 2 or not len(columns[0]):
        raise ValueError("X_test must have a row for each rating, and the columns user and item.")
    ratings = check_ratings(y_test, len(columns[0]), "y_test", of="X_test")
    if ratings.min() < 0:
        raise ValueError(f"y_test has negative ratings (down to {ratings.min()}), which are no better than none.")

    list_of_level = np.argsort(user_codes)
    levels, codes = factorize(columns[0])
    place = find_levels(columns[0].label, levels, user_levels, None, "users has")
    held_lists = np.where(place < 0, -1, list_of_level[place])[codes]
    items, item_codes = factorize(columns[1])
    # A pair as one number, list * n_items + item.
    asked = held_lists >= 0
    pairs, inverse = np.unique(held_lists[asked] * len(items) + item_codes[asked], return_inverse=True)
    held_out = np.bincount(inverse, ratings[asked]) / np.bincount(inverse)

    y_true = np.zeros((lists.n_rows, lists.length))
    found = _find_pairs(lists, items, pairs)
    hit = found >= 0
    y_true[lists.rows[hit], lists.places[hit]] = held_out[found[hit]]
    times = np.bincount(found[hit], minlength=len(pairs))
    if (times > 1).any():
        row, item = divmod(pairs[np.argmax(times)], len(items))
        user, item = user_levels.tolist()[user_codes[row]], items.tolist()[item]
        raise ValueError(f"recommended has an item more than once in a list: {item!r} for user {user!r}.")
    missed = times == 0
    rows = np.concatenate([np.repeat(np.arange(lists.n_rows), lists.length), pairs[missed] // len(items)])
    scores = np.tile(np.arange(0.0, -lists.length, -1), lists.n_rows)
    return Bunch(
        y_true=np.concatenate([y_true.ravel(), held_out[missed]]),
        y_score=np.append(scores, np.full(missed.sum(), -float(lists.length))),
        groups=user_levels[user_codes[rows]],
    )


@dataclass(frozen=True)
class Lists:
    """The ids of all lists, without None, NaN and NaT, and where they were."""

    ids: np.ndarray | list
    rows: np.ndarray
    places: np.ndarray
    n_rows: int
    length: int  # of the longest


def flat_lists(recommended: Any) -> Lists:
    """Take an array of ids, or a list of lists of them, apart."""
    if isinstance(recommended, tuple) and all(getattr(part, "ndim", 1) == 2 for part in recommended):
        raise ValueError(
            "recommended must be the ids only, not the pair (ids, ratings) that recommend returns: give its first."
        )
    if isinstance(recommended, Sequence) and not isinstance(recommended, str):
        return _of_sequences(list(recommended))
    table = np.ma.asanyarray(recommended)
    if table.ndim != 2 or not len(table):
        raise _shape_error()
    kept = ~np.ma.getmaskarray(table)
    table = np.ma.getdata(table)
    if table.dtype.kind == "O":
        kept &= np.reshape([not _is_missing(id_) for id_ in table.ravel().tolist()], table.shape)
    elif table.dtype.kind in "fM":
        kept &= table == table
    return Lists(table[kept], *np.nonzero(kept), *table.shape)


def _of_sequences(rows: list) -> Lists:
    if not rows or any(isinstance(row, (str, bytes)) or not np.iterable(row) for row in rows):
        raise _shape_error()
    rows = [list(row) for row in rows]
    lengths = np.array([len(row) for row in rows])
    ids = [id_ for row in rows for id_ in row]
    kept = np.array([not _is_missing(id_) for id_ in ids], dtype=bool)
    places = np.arange(len(ids)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return Lists(
        [id_ for id_, keep in zip(ids, kept.tolist(), strict=True) if keep],
        np.repeat(np.arange(len(rows)), lengths)[kept],
        places[kept],
        len(rows),
        int(lengths.max()),
    )


def _is_missing(id_: Any) -> bool:
    return id_ is None or type(id_).__name__ == "NAType" or id_ != id_


def _shape_error() -> ValueError:
    return ValueError(
        "recommended must have a row of item ids for each of one or more users; for a single user give [[...]]."
    )


def _find_pairs(lists: Lists, items: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """For each recommended id its place among the sorted ``pairs``, or -1."""
    if not len(lists.ids) or not len(pairs):
        return np.full(len(lists.ids), -1)
    levels, codes = factorize(Column("recommended", lists.ids))
    item = find_levels("recommended", levels, items, None, "X_test has")[codes]
    wanted = np.where(item < 0, -1, lists.rows * len(items) + item)
    place = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    return np.where(pairs[place] == wanted, place, -1)
