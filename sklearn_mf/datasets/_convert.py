"""Between sparse rating matrices and pairs."""

from __future__ import annotations

from typing import Any, NoReturn

import narwhals as nw
import numpy as np
from scipy import sparse

from sklearn_mf._ids.checks import check_ratings
from sklearn_mf._ids.factorize import factorize
from sklearn_mf._ids.levels import find_ids
from sklearn_mf._ids.tables import Column, split_column, split_columns

# Formats in which an entry that is not stored and a rating of 0 are alike, and what comes of it.
_DENSE_FORMATS = {
    "bsr": "which pads its blocks with zeros: these would become ratings of 0, after tocsr() too",
    "dia": "which stores whole diagonals: ratings of 0 are lost in it, and do not come back with tocsr()",
}


def pairs_from_sparse(matrix: Any, *, users: Any = None, items: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Turn a sparse users x items matrix of ratings into pairs and ratings.

    Parameters
    ----------
    matrix : sparse matrix or sparse array of shape (n_users, n_items)
        Every stored entry is a rating, stored zeros too; entries that are not stored are unknown. No pair twice. In
        CSR, CSC, COO, LIL or DOK format: BSR and DIA cannot tell ratings of 0 from unknown ones.

    users, items : array-like of shape (n_users,) and (n_items,) or None, default=None
        Ids of the rows and of the columns, each once. None takes their numbers, from 0.

    Returns
    -------
    X : ndarray of shape (n_ratings, 2), int64 or object
        Ids of user and item of each stored entry: int64 when both are ints, else object, each as given.

    y : ndarray of shape (n_ratings,)
        The stored values, in the dtype of the matrix.

    Raises
    ------
    TypeError
        If ``matrix`` is not sparse, or in BSR or DIA format.
    ValueError
        If a pair is there twice (to scipy, its value is the sum of such entries), there are more or fewer ids than rows
        or columns, or an id repeats or is missing.

    See Also
    --------
    pairs_to_sparse : The way back.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from sklearn_mf.datasets import pairs_from_sparse
    >>> matrix = csr_array([[5, 0, 3], [0, 4, 0]])
    >>> X, y = pairs_from_sparse(matrix)
    >>> X
    array([[0, 0],
           [0, 2],
           [1, 1]])
    >>> y
    array([5, 3, 4])
    >>> pairs_from_sparse(matrix, users=["ann", "bob"], items=[12, 7, 9])[0]
    array([['ann', 12],
           ['ann', 9],
           ['bob', 7]], dtype=object)
    """
    if not sparse.issparse(matrix):
        _raise_not_sparse(matrix)
    if matrix.format in _DENSE_FORMATS:
        raise TypeError(
            f"matrix is in {matrix.format.upper()} format, {_DENSE_FORMATS[matrix.format]}. Make a CSR matrix of the "
            "ratings it was made from, for example csr_array((ratings, (rows, columns)))."
        )
    if matrix.ndim != 2:
        raise ValueError(f"matrix must have two dimensions, users and items, and has {matrix.ndim}.")
    n_users, n_items = matrix.shape
    user_ids = np.arange(n_users) if users is None else _check_ids(users, "users", n_users, "rows")
    item_ids = np.arange(n_items) if items is None else _check_ids(items, "items", n_items, "columns")
    entries = matrix.tocoo()
    ones = np.ones(len(entries.data), dtype=np.int8)
    if sparse.csr_array((ones, (entries.row, entries.col)), shape=matrix.shape).nnz < len(ones):  # it sums them
        _raise_repeat(
            entries.row,
            entries.col,
            user_ids,
            item_ids,
            "matrix has",
            "entries",
            "Take their sum with matrix.sum_duplicates(), or make the matrix anew with one of them.",
        )
    both_ints = all(np.can_cast(ids.dtype, np.int64) and ids.dtype.kind in "iu" for ids in (user_ids, item_ids))
    X = np.empty((len(entries.data), 2), dtype=np.int64 if both_ints else object)
    X[:, 0] = _as_cells(user_ids, X.dtype)[entries.row]
    X[:, 1] = _as_cells(item_ids, X.dtype)[entries.col]
    return X, entries.data.copy()


def pairs_to_sparse(
    X: Any, y: Any, *, users: Any = None, items: Any = None
) -> tuple[sparse.csr_array, np.ndarray, np.ndarray]:
    """Turn pairs and ratings into a sparse users x items matrix.

    Parameters
    ----------
    X : array-like of shape (n_ratings, 2)
        Ids of user and item, in any table that ``fit`` takes. No pair twice.

    y : array-like of shape (n_ratings,)
        Ratings. Those of 0 are stored too.

    users, items : array-like of ids or None, default=None
        Ids of the rows and of the columns in the order wanted, each once, those without ratings too; for example
        ``model.categories_[0]`` for rows that belong to ``model.user_factors_``. None takes the ids in X, sorted.

    Returns
    -------
    matrix : csr_array of shape (n_users, n_items)
        The ratings, in the dtype of y (float64 where it is no number that scipy stores).

    users, items : ndarray of shape (n_users,) and (n_items,)
        Ids of the rows and of the columns.

    Raises
    ------
    ValueError
        If a pair is there twice, an id is not among the ``users`` or ``items`` given, X has not two columns, or ids or
        ratings are missing.

    See Also
    --------
    pairs_from_sparse : The way back.

    Examples
    --------
    >>> from sklearn_mf.datasets import pairs_to_sparse
    >>> X = [["ann", 12], ["bob", 7], ["ann", 9]]
    >>> matrix, users, items = pairs_to_sparse(X, [5.0, 4.0, 3.0])
    >>> matrix.toarray()
    array([[0., 3., 5.],
           [4., 0., 0.]])
    >>> users, items
    (array(['ann', 'bob'], dtype=object), array([ 7,  9, 12]))
    """
    columns = split_columns(X, "pairs_to_sparse")
    if len(columns) != 2:
        raise ValueError(
            f"X has {len(columns)} columns, and a matrix has room for two, user and item: give those two columns, for "
            "example X[:, :2]."
        )
    y = check_ratings(y, len(columns[0]))
    if y.dtype == np.float16 or not y.dtype.isnative:  # which scipy does not store
        y = y.astype(np.float64)
    (row, user_ids), (col, item_ids) = (
        _encode(column, ids, name)
        for column, ids, name in zip(columns, (users, items), ("users", "items"), strict=True)
    )
    shape = len(user_ids), len(item_ids)
    matrix = sparse.csr_array((y, (row, col)), shape=shape)  # sums entries of one place
    if matrix.nnz < len(y):
        _raise_repeat(
            row,
            col,
            user_ids,
            item_ids,
            "X has",
            "rows",
            "Keep one of them, for example the last with pandas' drop_duplicates(keep='last'), or take their mean with "
            "groupby.",
        )
    return matrix, user_ids, item_ids


def _raise_not_sparse(matrix: Any) -> NoReturn:
    if nw.dependencies.is_pandas_dataframe(matrix):
        what_to_do = (
            "make a long table of a wide one of users x items with `long = matrix.stack().dropna().reset_index()`, and "
            "give `long.iloc[:, :2]` and `long.iloc[:, 2]` as X and y"
        )
    elif isinstance(matrix, np.ndarray):
        what_to_do = (
            "if its zeros are unknown ratings, give csr_array(matrix); else load the ratings as a long table, one row "
            "for each rating"
        )
    else:
        what_to_do = "load the ratings as a long table, one row for each rating"
    raise TypeError(f"matrix must be a scipy sparse matrix or array, not {type(matrix).__name__}: {what_to_do}.")


def _raise_repeat(
    row: np.ndarray, col: np.ndarray, users: np.ndarray, items: np.ndarray, table: str, places: str, what_to_do: str
) -> NoReturn:
    first, again = _find_repeat(row.astype(np.int64) * len(items) + col)
    raise ValueError(
        f"{table} the pair ({_shown(users[row[again]])}, {_shown(items[col[again]])}) twice, in {places} {first} and "
        f"{again}, and a matrix has one rating for a pair. {what_to_do}"
    )


def _check_ids(ids: Any, name: str, n: int | None = None, what: str = "") -> np.ndarray:
    """A new array of ids, each once: of numbers or datetimes if they are all such, else of objects."""
    column = split_column(ids, name)
    if n is not None and len(column) != n:
        raise ValueError(f"{name} has {len(column)} ids, but matrix has {n} {what}: give one id for each.")
    levels, codes = factorize(column)
    if len(levels) < len(codes):
        first, again = _find_repeat(codes)
        raise ValueError(
            f"{name} has the id {_shown(levels[codes[again]])} twice, at {first} and {again}: give it once."
        )
    if isinstance(column.values, np.ndarray) and column.values.dtype.kind in "iufM":
        return column.values.copy()
    return levels[codes]


def _as_cells(ids: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Ids as cells of X: Python's ints and floats among objects, but datetimes as NumPy's, to the nanosecond."""
    if dtype.kind != "O" or ids.dtype.kind == "O":
        return ids
    cells = np.empty(len(ids), dtype=object)
    cells[:] = list(ids) if ids.dtype.kind == "M" else ids.tolist()
    return cells


def _encode(column: Column, given: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Place of the id of each row of X among the ids of the matrix, and these ids."""
    levels, codes = factorize(column)
    if given is None:
        return codes, levels
    ids = _check_ids(given, name)
    places = (
        find_ids(column.label, levels, ids, f"{name} has") if len(ids) and len(levels) else np.full(len(levels), -1)
    )
    unknown = np.flatnonzero(places[codes] < 0)
    if len(unknown):
        raise ValueError(
            f"In row {unknown[0]}, {column.label} has the id {_shown(levels[codes[unknown[0]]])}, which is not among "
            f"the {len(ids)} ids in {name} ({len(np.unique(codes[unknown]))} such ids in all). Add it there, or leave "
            "its ratings out."
        )
    return places[codes], ids


def _find_repeat(codes: np.ndarray) -> tuple[int, int]:
    """Where the first code that was there before is, after where that was first."""
    order = np.argsort(codes, kind="stable")
    again = order[1:][codes[order[1:]] == codes[order[:-1]]].min()
    return int(np.flatnonzero(codes == codes[again])[0]), int(again)


def _shown(id_: Any) -> str:
    return str(id_) if isinstance(id_, np.datetime64) else repr(id_.item() if isinstance(id_, np.generic) else id_)
