"""Read lists of recommended ids, and turn them into a ranking for the metrics with ``groups``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any, NoReturn

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from sklearn_mf._ids.checks import check_ratings
from sklearn_mf._ids.factorize import factorize
from sklearn_mf._ids.kinds import kind_of_column
from sklearn_mf._ids.levels import find_levels
from sklearn_mf._ids.names import column_names, find_columns
from sklearn_mf._ids.pick import split_pairs
from sklearn_mf._ids.rows import warn_of_other_order
from sklearn_mf._ids.tables import Column, split_columns, split_ids
from sklearn_mf.metrics._hints import metric_of_lists


@metric_of_lists
def ranking_of_lists(
    recommended: Any,
    users: Any,
    X_test: Any,
    y_test: ArrayLike,
    *,
    user_column: int | str = 0,
    item_column: int | str = 1,
) -> Bunch:
    """Turn recommended lists and held-out ratings into a ranking, for the metrics with ``groups``.

    Use it to measure how many of the held-out items are in the lists. The metrics take the ranking as keyword arguments
    (see the example). The whole catalog is ranked: items that are not in a list come after it. Unrated items count 0.

    Parameters
    ----------
    recommended : array-like of shape (n_users, n_items), list of lists, or dataframe
        Ids of the items recommended to each user, best first, as ``recommend`` returns them. Lists may differ in
        length. A place without an item (None, NaN, NaT, or the -1 that fills rows of int ids) counts 0. It can
        also be the data frame of ``recommend(..., as_frame=True)``: the first column has the users, the second has the
        items, and the column "place" has the places from 1 on.

    users : array-like of shape (n_users,)
        Ids of the users of the lists, each once. If ``recommended`` is a data frame with a column "place", its users
        are matched by id, and users without a row have an empty list.

    X_test : array-like or dataframe of shape (n_ratings, >= 2)
        Held-out pairs of user and item. Pairs of users without a list are ignored. A repeated pair counts once, with
        the mean of its ratings.

    y_test : array-like of shape (n_ratings,)
        Ratings of these pairs, at least 0. Unrated items count 0, so a rating of 0 is the same as no rating.

    user_column, item_column : int or str, default=0 and 1
        Positions of the user and item columns in X_test, from 0. For a data frame also their names, with or without the
        prefix of a ``ColumnTransformer``.

    Returns
    -------
    ranking : :class:`~sklearn.utils.Bunch`
        Keyword arguments of the metrics. They have a row for each place of the lists, and for each held-out pair of
        these users that is not recommended:

        y_true : ndarray of shape (n_rows,), float64
            The held-out rating, or 0.
        y_score : ndarray of shape (n_rows,), float64
            0, -1, -2, ... for the places of a list, and one lower score for all items that are not recommended.
        groups : ndarray of shape (n_rows,)
            The user.

    Raises
    ------
    ValueError
        If users do not have exactly one list each; if a held-out item is twice in a list; if a data frame has a place
        twice for a user, or places below 1; if ids are missing or of another type; if a rating is negative or not
        finite; if X_test has no such column; if ``users`` is a Series with the name of another column of X_test than
        the user column; if a data frame of lists has the names of other columns of X_test.

    See Also
    --------
    make_catalog_scorer : The same as a scorer, for cross-validation and search.

    Notes
    -----
    Use a ``k`` of at most the length of the longest list, because items after the lists are in no order.
    ``relevant`` must be above 0. Do not use :func:`auc_by_group` here, because most of the catalog is not in the table.

    The ranking includes users without held-out pairs. The metrics leave them out, except :func:`precision_at_k`, where
    they count 0. To leave them out there as well, give only lists of users that are in ``X_test``.

    NDCG uses the ratings as gains, so a low rating counts more than no rating. To count only items rated 4 or more,
    pass ``np.where(y_test >= 4, y_test, 0)`` instead of ``y_test``.

    References
    ----------
    Cremonesi, Koren and Turrin (2010). "Performance of recommender algorithms on top-N recommendation tasks." RecSys.

    Examples
    --------
    >>> from sklearn_mf.metrics import ndcg_at_k, ranking_of_lists, recall_at_k
    >>> users, recommended = ["ann", "bob"], [["Alien", "Heat"], ["Ran", None]]
    >>> X_test = [["ann", "Heat"], ["ann", "Brazil"], ["bob", "Ran"]]
    >>> ranking = ranking_of_lists(recommended, users, X_test, [5, 4, 3])
    >>> ranking.y_true, ranking.y_score
    (array([0., 5., 3., 0., 4.]), array([ 0., -1.,  0., -1., -2.]))
    >>> recall_at_k(**ranking, relevant=3, k=2)
    0.75
    >>> round(ndcg_at_k(**ranking, k=2), 3)
    0.71
    """
    lists = flatten_lists(recommended)
    user_levels, user_codes, kind = _factorize_users(users, lists)
    if lists.owners is not None:
        lists = _in_order_of_users(lists, lists.owners, user_levels, user_codes, kind)
    pairs = split_pairs(X_test, user_column, item_column, "ranking_of_lists", "X_test")
    _check_name_of_users(users, X_test, user_column)
    check_names_of_lists(recommended, X_test, (user_column, item_column), "X_test")
    warn_of_other_order(X_test, "X_test", y_test=y_test)
    held_out = _find_held_out(pairs, y_test, user_levels, np.argsort(user_codes), kind)
    pair_of_id = _find_pairs(lists, held_out)
    is_hit = pair_of_id >= 0
    n_hits = np.bincount(pair_of_id[is_hit], minlength=len(held_out.pairs))
    if (n_hits > 1).any():
        row, item = divmod(held_out.pairs[np.argmax(n_hits)], len(held_out.items))
        user, item = user_levels.tolist()[user_codes[row]], held_out.items.tolist()[item]
        raise ValueError(f"recommended has an item more than once in a list: {item!r} for user {user!r}.")

    y_true = np.zeros((lists.n_rows, lists.max_length))
    y_true[lists.rows[is_hit], lists.places[is_hit]] = held_out.ratings[pair_of_id[is_hit]]
    is_missed = n_hits == 0
    missed_rows = held_out.pairs[is_missed] // len(held_out.items)
    rows = np.concatenate([np.repeat(np.arange(lists.n_rows), lists.max_length), missed_rows])
    scores = np.tile(np.arange(0.0, -lists.max_length, -1), lists.n_rows)
    return Bunch(
        y_true=np.concatenate([y_true.ravel(), held_out.ratings[is_missed]]),
        y_score=np.append(scores, np.full(len(missed_rows), -float(lists.max_length))),
        groups=user_levels[user_codes[rows]],
    )


@dataclass(frozen=True)
class FlatLists:
    """Hold the ids of all lists, without None, NaN and NaT, and their places."""

    ids: np.ndarray | list
    rows: np.ndarray  # number of the list of each id
    places: np.ndarray  # place of each id in its list, from 0
    n_rows: int
    max_length: int
    owners: Column | None = None  # user of each id, if lists are a data frame, where lists are in sorted order of users


def flatten_lists(recommended: Any) -> FlatLists:
    """Flatten an array of ids, a list of lists of ids, or the data frame of ``recommend``."""
    if nw.dependencies.is_into_dataframe(recommended) and "place" in column_names(recommended):
        return _flatten_frame(recommended)
    if isinstance(recommended, tuple) and all(getattr(part, "ndim", 1) == 2 for part in recommended):
        raise ValueError(
            "recommended must be the ids only, not the pair (ids, ratings) that recommend returns. Give its first part."
        )
    if isinstance(recommended, Sequence) and not isinstance(recommended, str):
        return _flatten_sequences(list(recommended))
    table = np.ma.asanyarray(recommended)
    if table.ndim != 2 or not len(table):
        _raise_wrong_shape()
    is_kept = ~np.ma.getmaskarray(table)
    table = np.ma.getdata(table)
    if table.dtype.kind == "O":
        is_kept &= np.reshape([not _is_missing(id_) for id_ in table.ravel().tolist()], table.shape)
    elif table.dtype.kind in "fM":
        is_kept &= table == table
    rows, places = np.nonzero(is_kept)
    return FlatLists(table[is_kept], rows, places, *table.shape)


def _flatten_frame(recommended: Any) -> FlatLists:
    """Flatten a data frame with a row for each recommended item: user, item, place."""
    at, frame = column_names(recommended).index("place"), nw.from_native(recommended, eager_only=True)
    if at < 2 or not len(frame):
        raise ValueError(
            "recommended has a column 'place', so it must have rows, with the user in the first column and the item in "
            "the second one, as recommend(..., as_frame=True) returns them."
        )
    columns = split_columns(frame[:, [0, 1, at]].to_native(), "recommended", "recommended")
    (users, rows), (items, codes) = map(factorize, columns[:2])
    places = np.asarray(columns[2].values)
    if places.dtype.kind not in "iu" or places.min() < 1:
        raise ValueError(
            "Column 'place' of recommended must have whole numbers from 1 on: 1 is the best item of a user."
        )
    order = np.lexsort([places, rows])
    is_repeated = (np.diff(rows[order]) == 0) & (np.diff(places[order]) == 0)
    if is_repeated.any():
        row = order[np.argmax(is_repeated)]
        raise ValueError(f"recommended has place {places[row]} of user {users[rows[row]]!r} more than once.")
    return FlatLists(items[codes], rows, places - 1, len(users), int(places.max()), columns[0])


def _in_order_of_users(
    lists: FlatLists, users: Column, user_levels: np.ndarray, user_codes: np.ndarray, kind: str
) -> FlatLists:
    """Put the lists of a data frame into the order of users; users without a row get an empty list."""
    owners, _ = factorize(users)
    kinds = kind_of_column(users, owners), kind
    places = find_levels(users.label, owners, user_levels, None, "users has", kinds)
    if (places < 0).any():
        unknown = owners[places < 0].tolist()
        raise ValueError(
            f"recommended has {len(unknown)} user(s) that are not in users, such as {unknown[0]!r}. Give all users of "
            "the data frame as users."
        )
    return replace(lists, rows=np.argsort(user_codes)[places][lists.rows], n_rows=len(user_codes))


def _flatten_sequences(rows: list) -> FlatLists:
    """Flatten a list of lists of ids."""
    if not rows or any(isinstance(row, (str, bytes)) or not np.iterable(row) for row in rows):
        _raise_wrong_shape()
    rows = [list(row) for row in rows]
    lengths = np.array([len(row) for row in rows])
    ids = [id_ for row in rows for id_ in row]
    is_kept = np.array([not _is_missing(id_) for id_ in ids], dtype=bool)
    places = np.arange(len(ids)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return FlatLists(
        list(compress(ids, is_kept.tolist())),
        np.repeat(np.arange(len(rows)), lengths)[is_kept],
        places[is_kept],
        len(rows),
        int(lengths.max()),
    )


def _is_missing(id_: Any) -> bool:
    """Check whether a place of a list has no item."""
    return id_ is None or type(id_).__name__ == "NAType" or id_ != id_


def _raise_wrong_shape() -> NoReturn:
    """Raise a ValueError because ``recommended`` is not a table of ids."""
    raise ValueError("recommended must have a row of item ids for each user; for a single user give [[...]].")


def _factorize_users(users: Any, lists: FlatLists) -> tuple[np.ndarray, np.ndarray, str]:
    """Check that each user has one list; return sorted user ids, the place of each list, and the kind of the ids."""
    column = split_ids(users, "users")
    if lists.n_rows != len(column) and lists.owners is None:
        raise ValueError(
            f"recommended has {lists.n_rows} lists, but users has {len(column)} ids. Give one list per user."
        )
    if not lists.max_length:
        raise ValueError("recommended has no items: all lists are empty.")
    levels, codes = factorize(column)
    if len(levels) < len(column):
        repeated = levels[np.bincount(codes) > 1]
        raise ValueError(f"users has {repeated.tolist()[0]!r} more than once. Give one list per user.")
    return levels, codes, kind_of_column(column, levels)


def _check_name_of_users(users: Any, X_test: Any, user_column: int | str) -> None:
    """Raise a ValueError if users are a Series with the name of another column of X_test."""
    name, names = getattr(users, "name", None), column_names(X_test)
    if not isinstance(name, str) or isinstance(user_column, str):
        return
    places = find_columns(names, [name])
    if places is not None and places != [user_column]:
        raise ValueError(
            f"users has the name {name!r}, like column {places[0]} of X_test, but the user column of X_test is column "
            f"{user_column} ({names[user_column]!r}). Name both columns: user_column={name!r}, item_column=..."
        )


def check_names_of_lists(recommended: Any, X: Any, columns: tuple[int | str, int | str], table: str) -> None:
    """Raise a ValueError if a data frame of lists has the names of other columns than those taken from X."""
    expected = column_names(recommended)
    if "place" not in expected or any(isinstance(column, str) for column in columns):
        return
    expected = expected[:2]
    places = find_columns(column_names(X), expected)
    if places is not None and places != list(columns):
        user, item = expected
        raise ValueError(
            f"recommended begins with the columns {user!r} and {item!r}, but in {table} these are the columns "
            f"{places[0]} and {places[1]}, not {columns[0]} and {columns[1]}. If {user!r} has the users, name both "
            f"columns of {table}: user_column={user!r}, item_column={item!r}. If not, put the users first in "
            "recommended."
        )


@dataclass(frozen=True)
class _HeldOut:
    """Hold the held-out pairs of users with a list, each once, and their mean ratings."""

    items: np.ndarray  # (n_items,) sorted ids of the held-out items of all users
    pairs: np.ndarray  # (n_pairs,) sorted; a pair is one number, list * n_items + item
    ratings: np.ndarray  # (n_pairs,)


def _find_held_out(
    columns: list[Column], y_test: ArrayLike, user_levels: np.ndarray, list_of_level: np.ndarray, kind: str
) -> _HeldOut:
    """Check the held-out ratings, and keep those of users with a list."""
    ratings = check_ratings(y_test, len(columns[0]), "y_test", of="X_test")
    if ratings.min() < 0:
        raise ValueError(f"y_test must be at least 0, like unrated items, but has ratings down to {ratings.min()}.")
    levels, codes = factorize(columns[0])
    kinds = kind_of_column(columns[0], levels), kind
    places = find_levels(columns[0].label, levels, user_levels, None, "users has", kinds)
    lists = np.where(places < 0, -1, list_of_level[places])[codes]
    items, item_codes = factorize(columns[1])
    has_list = lists >= 0
    pairs, inverse = np.unique(lists[has_list] * len(items) + item_codes[has_list], return_inverse=True)
    return _HeldOut(items, pairs, np.bincount(inverse, ratings[has_list]) / np.bincount(inverse))


def _find_pairs(lists: FlatLists, held_out: _HeldOut) -> np.ndarray:
    """Find the place of each recommended id among the held-out pairs, -1 for ids that are not held out."""
    pairs, n_items = held_out.pairs, len(held_out.items)
    if not len(lists.ids) or not len(pairs):
        return np.full(len(lists.ids), -1)
    levels, codes = factorize(Column("recommended", lists.ids))
    items = find_levels("recommended", levels, held_out.items, None, "X_test has")[codes]
    wanted = np.where(items < 0, -1, lists.rows * n_items + items)
    places = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    return np.where(pairs[places] == wanted, places, -1)
