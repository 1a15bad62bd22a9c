"""Turn sparse rating matrices into pairs and ratings, and back."""

from __future__ import annotations

from typing import Any, NoReturn

import narwhals as nw
import numpy as np
from scipy import sparse

from sklearn_mf._ids.checks import check_ratings
from sklearn_mf._ids.factorize import factorize
from sklearn_mf._ids.levels import find_ids
from sklearn_mf._ids.rows import warn_of_other_order
from sklearn_mf._ids.tables import Column, split_columns, split_ids
from sklearn_mf.datasets._messages import quote, shorten

# Formats in which a rating of 0 looks like an entry that is not stored, and what happens to zeros in them.
_FORMATS_WITHOUT_ZEROS = {
    "bsr": "which pads its blocks with zeros. They would become ratings of 0, and tocsr() does not remove them",
    "dia": "which stores whole diagonals. Ratings of 0 are lost in it, and tocsr() does not restore them",
}


def pairs_from_sparse(matrix: Any, *, users: Any = None, items: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Convert a sparse users x items matrix of ratings to pairs and ratings.

    Parameters
    ----------
    matrix : sparse matrix or sparse array of shape (n_users, n_items)
        Each stored entry is a rating, including stored zeros. Entries that are not stored are unknown. Each pair may
        occur only once. The format is CSR, CSC, COO, LIL or DOK. BSR and DIA cannot distinguish ratings of 0 from
        unknown ones.

    users, items : array-like of shape (n_users,) and (n_items,) or None, default=None
        Ids of the rows and columns, each once. None numbers them from 0.

    Returns
    -------
    X : ndarray of shape (n_ratings, 2), int64 or object
        Ids of user and item of each stored entry. The dtype is int64 if both are ints, otherwise object.

    y : ndarray of shape (n_ratings,)
        The stored values, in the dtype of the matrix.

    Raises
    ------
    TypeError
        If ``matrix`` is not sparse, or is in BSR or DIA format.
    ValueError
        If a pair occurs twice (scipy would add up such entries); if the number of ids differs from the number of rows
        or columns; if an id repeats or is missing; if ``matrix`` does not have two dimensions.

    See Also
    --------
    pairs_to_sparse : Convert pairs and ratings to a matrix.

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
    if matrix.format in _FORMATS_WITHOUT_ZEROS:
        raise TypeError(
            f"matrix is in {matrix.format.upper()} format, {_FORMATS_WITHOUT_ZEROS[matrix.format]}. Make a CSR matrix "
            "from the original ratings, for example csr_array((ratings, (rows, columns)))."
        )
    if matrix.ndim != 2:
        raise ValueError(f"matrix must have two dimensions, users and items, but has {matrix.ndim}.")
    n_users, n_items = matrix.shape
    user_ids = np.arange(n_users) if users is None else _check_ids(users, "users", n_users, "rows")
    item_ids = np.arange(n_items) if items is None else _check_ids(items, "items", n_items, "columns")
    entries = matrix.tocoo()
    ones = np.ones(len(entries.data), dtype=np.int8)
    if sparse.csr_array((ones, (entries.row, entries.col)), shape=matrix.shape).nnz < len(ones):  # sums repeats
        first, again = _find_repeat(entries.row, entries.col, n_items)
        pair = _format_pair(user_ids[entries.row[again]], item_ids[entries.col[again]])
        raise ValueError(
            f"matrix has the pair {pair} twice, in entries {first} and {again}, but each pair must have one rating. "
            "Add them up with matrix.sum_duplicates(), or make the matrix again with one of them."
        )
    both_ints = all(np.can_cast(ids.dtype, np.int64) and ids.dtype.kind in "iu" for ids in (user_ids, item_ids))
    X = np.empty((len(entries.data), 2), dtype=np.int64 if both_ints else object)
    X[:, 0] = _convert_to_cells(user_ids, X.dtype)[entries.row]
    X[:, 1] = _convert_to_cells(item_ids, X.dtype)[entries.col]
    return X, entries.data.copy()


def pairs_to_sparse(
    X: Any, y: Any, *, users: Any = None, items: Any = None
) -> tuple[sparse.csr_array, np.ndarray, np.ndarray]:
    """Convert pairs and ratings to a sparse users x items matrix.

    Parameters
    ----------
    X : array-like of shape (n_ratings, 2)
        Ids of user and item, in any table that ``fit`` takes. Each pair may occur only once.

    y : array-like of shape (n_ratings,)
        Ratings. Ratings of 0 are stored too.

    users, items : array-like of ids or None, default=None
        Ids of the rows and columns in the wanted order, each once. They may include ids without ratings. For rows that
        match ``model.user_factors_``, give ``model.categories_[0]``. None takes the ids in X, sorted.

    Returns
    -------
    matrix : csr_array of shape (n_users, n_items)
        The ratings, in the dtype of y (float64 if scipy cannot store that dtype).

    users, items : ndarray of shape (n_users,) and (n_items,)
        Ids of the rows and columns.

    Raises
    ------
    ValueError
        If a pair occurs twice; if an id is not among the given ``users`` or ``items``; if X does not have two columns;
        if ids or ratings are missing.

    See Also
    --------
    pairs_from_sparse : Convert a matrix to pairs and ratings.

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
            f"X has {len(columns)} columns, but a matrix takes two: user and item. Give these two columns, for example "
            "X[:, :2]."
        )
    warn_of_other_order(X, y=y)
    y = check_ratings(y, len(columns[0]))
    if y.dtype == np.float16 or not y.dtype.isnative:  # scipy cannot store these
        y = y.astype(np.float64)
    row, user_ids = _encode(columns[0], users, "users")
    col, item_ids = _encode(columns[1], items, "items")
    matrix = sparse.csr_array((y, (row, col)), shape=(len(user_ids), len(item_ids)))  # scipy adds up repeated pairs
    if matrix.nnz < len(y):
        first, again = _find_repeat(row, col, len(item_ids))
        raise ValueError(
            f"X has the pair {_format_pair(user_ids[row[again]], item_ids[col[again]])} twice, in rows {first} and "
            f"{again}, but a matrix has one rating per pair. Keep one of them, for example the last with "
            "drop_duplicates(keep='last') of pandas, or take their mean with groupby."
        )
    return matrix, user_ids, item_ids


def _raise_not_sparse(matrix: Any) -> NoReturn:
    """Raise a TypeError for a matrix that is not sparse, and say how to convert it."""
    if nw.dependencies.is_pandas_dataframe(matrix):
        what_to_do = (
            "turn a wide table of users x items into a long one with `long = matrix.stack().dropna().reset_index()`, "
            "and pass `long.iloc[:, :2]` and `long.iloc[:, 2]` as X and y"
        )
    elif isinstance(matrix, np.ndarray):
        what_to_do = (
            "if its zeros are unknown ratings, give csr_array(matrix). Otherwise load the ratings as a long table, one "
            "row for each rating"
        )
    else:
        what_to_do = "load the ratings as a long table, one row for each rating"
    raise TypeError(f"matrix must be a scipy sparse matrix or array, not {type(matrix).__name__}: {what_to_do}.")


def _check_ids(ids: Any, name: str, n_needed: int | None = None, needed_for: str = "") -> np.ndarray:
    """Return a new array of distinct ids: numbers or datetimes if possible, otherwise objects."""
    column = split_ids(ids, name)
    if n_needed is not None and len(column) != n_needed:
        raise ValueError(f"{name} has {len(column)} ids, but matrix has {n_needed} {needed_for}. Give one id for each.")
    levels, codes = factorize(column)
    if len(levels) < len(codes):
        first, again = _find_repeated_code(codes)
        raise ValueError(
            f"{name} has the id {_format_id(levels[codes[again]])} twice, at {first} and {again}. Give each id once."
        )
    if isinstance(column.values, np.ndarray) and column.values.dtype.kind in "iufM":
        return column.values.copy()
    return levels[codes]


def _convert_to_cells(ids: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert ids to cells of X.

    Object arrays get Python ints and floats. Datetimes stay those of NumPy, because Python's have no nanoseconds.
    """
    if dtype.kind != "O" or ids.dtype.kind == "O":
        return ids
    cells = np.empty(len(ids), dtype=object)
    cells[:] = list(ids) if ids.dtype.kind == "M" else ids.tolist()
    return cells


def _encode(column: Column, given: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix row (or column) of each rating, and the ids of all matrix rows (or columns)."""
    levels, codes = factorize(column)
    if given is None:
        return codes, levels
    ids = _check_ids(given, name)
    places = np.full(len(levels), -1)
    if len(ids) and len(levels):
        places = find_ids(column.label, levels, ids, f"{name} has")
    unknown_rows = np.flatnonzero(places[codes] < 0)
    if len(unknown_rows):
        row, n_unknown = unknown_rows[0], len(np.unique(codes[unknown_rows]))
        raise ValueError(
            f"In row {row}, {shorten(column.label)} has the id {_format_id(levels[codes[row]])}, which is not among "
            f"the {len(ids)} ids in {name} ({n_unknown} such ids in all). Add it there, or leave its ratings out."
        )
    return places[codes], ids


def _find_repeat(row: np.ndarray, col: np.ndarray, n_cols: int) -> tuple[int, int]:
    """Find the first entry whose row and column occurred before; return the places of both occurrences."""
    return _find_repeated_code(row.astype(np.int64) * n_cols + col)


def _find_repeated_code(codes: np.ndarray) -> tuple[int, int]:
    """Find the first code that occurred before; return the places of both occurrences."""
    order = np.argsort(codes, kind="stable")
    again = order[1:][codes[order[1:]] == codes[order[:-1]]].min()
    return int(np.flatnonzero(codes == codes[again])[0]), int(again)


def _format_pair(user: Any, item: Any) -> str:
    """Format a pair of ids for a message."""
    return f"({_format_id(user)}, {_format_id(item)})"


def _format_id(id_: Any) -> str:
    """Format an id for a message."""
    return str(id_) if isinstance(id_, np.datetime64) else quote(id_.item() if isinstance(id_, np.generic) else id_)
