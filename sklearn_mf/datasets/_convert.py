"""Between sparse rating matrices and pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse


def pairs_from_sparse(matrix: Any) -> tuple[np.ndarray, np.ndarray]:
    """Turn a sparse users x items matrix of ratings into pairs and ratings.

    Parameters
    ----------
    matrix : sparse matrix or sparse array of shape (n_users, n_items)
        Every stored entry is a rating, stored zeros too; entries that are not stored are unknown.

    Returns
    -------
    X : ndarray of shape (n_ratings, 2), int64
        Row (user) and column (item) number of each stored entry.

    y : ndarray of shape (n_ratings,)
        The stored values, in the dtype of the matrix.

    Raises
    ------
    TypeError
        If ``matrix`` is not sparse.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from sklearn_mf.datasets import pairs_from_sparse
    >>> X, y = pairs_from_sparse(csr_array([[5, 0, 3], [0, 4, 0]]))
    >>> X
    array([[0, 0],
           [0, 2],
           [1, 1]])
    >>> y
    array([5, 3, 4])
    """
    if not sparse.issparse(matrix):
        raise TypeError(f"matrix must be a scipy sparse matrix or array, not {type(matrix).__name__}.")
    if matrix.ndim != 2:
        raise ValueError(f"matrix must have two dimensions, users and items, and has {matrix.ndim}.")
    entries = matrix.tocoo()
    return np.stack([entries.row, entries.col], axis=1).astype(np.int64), entries.data.copy()
