"""Predict each batch of ratings, then learn from it."""

from __future__ import annotations

import copy
import time
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import NotFittedError
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from sklearn_mf._ids.checks import check_ratings, check_weights
from sklearn_mf._ids.times import check_index, check_times
from sklearn_mf._utils.deviations import predict_with_std
from sklearn_mf.model_selection._shared import check_count, count_rows

_NAME = "prequential_predict"


def prequential_predict(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    *,
    batch_size: int | None = None,
    batches: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    return_std: bool | str = False,
) -> Bunch:
    """Predict each batch of ratings, then learn from it.

    How well does a model predict that learns as ratings come in? Each rating is predicted before the model has seen it,
    and nothing of the future is known: this is prequential evaluation [1]_. The errors are ``y - result.y_pred``.

    The estimator itself learns nothing: a deep copy of it does, and is returned.

    Parameters
    ----------
    estimator : estimator
        With ``fit``, ``partial_fit(X, y)`` and ``predict(X)``. Fit it to what was known before, or give it unfitted.
        Then the first batch is only learned from, and its predictions are NaN. New users and items are in later batches
        as a rule, so do not set ``handle_unknown="error"``.

    X : array-like or dataframe of shape (n_ratings, n_columns)
        Users, items and contexts, as in ``partial_fit``.

    y : array-like of shape (n_ratings,)
        Their ratings.

    batch_size : int, default=None
        Number of ratings in a batch, at least 1. Rows of X are taken in their order; the last batch has what is left.

    batches : array-like of shape (n_ratings,), default=None
        What tells the batches apart: a number or a datetime for each row of X, by position, such as the day of the
        rating. Rows with equal values are a batch. Batches come in the order of these values, the least first. Give
        either ``batches`` or ``batch_size``.

    sample_weight : array-like of shape (n_ratings,), default=None
        Weights, passed to ``partial_fit``. A batch whose weights are all 0 is predicted and not learned from.

    return_std : bool or str, default=False
        Whether to predict standard deviations, too: what ``predict`` of the estimator takes as ``return_std``.

    Returns
    -------
    result : Bunch
        - ``y_pred``, ndarray of shape (n_ratings,), float64: predictions in the order of X, NaN where there was no
          model yet;
        - ``y_std``, ndarray of shape (n_ratings,), float64: their standard deviations, with ``return_std`` only;
        - ``batches``, ndarray of shape (n_batches,): the value of each batch (datetimes with a time zone in UTC) or,
          with ``batch_size``, its first row;
        - ``batch_of_rows``, ndarray of shape (n_ratings,), intp: the batch of each row of X, from 0;
        - ``predict_seconds``, ``learn_seconds``, ndarray of shape (n_batches,), float64: what each batch took, NaN
          where it was not predicted or not learned from;
        - ``estimator``: the copy, which has learned from all batches.

    Raises
    ------
    TypeError
        If the estimator has no ``partial_fit`` or, with ``return_std``, its ``predict`` no ``return_std``;
        if ``batch_size`` is not an int; if X is neither an array nor a list nor a data frame.
    ValueError
        If both or none of ``batch_size`` and ``batches`` are given; if lengths differ; if ratings are not finite
        numbers; if ``batches`` are missing, text, or of pandas with the labels of X in another order; if weights are
        negative, not finite or all 0; what ``partial_fit`` and ``predict`` raise.

    See Also
    --------
    GlobalTimeSplit : Split at one point in time, for models that do not learn afterwards.

    References
    ----------
    .. [1] A. P. Dawid, "Present position and potential developments: some personal views: statistical theory: the
       prequential approach", Journal of the Royal Statistical Society A 147, 1984.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mf import MatrixFactorizationRegressor
    >>> from sklearn_mf.datasets import make_ratings
    >>> from sklearn_mf.model_selection import prequential_predict
    >>> X, y = make_ratings(100, 50, 2_000, random_state=0, return_X_y=True)
    >>> model = MatrixFactorizationRegressor(rank=2, random_state=0).fit(X[:1_000], y[:1_000])
    >>> result = prequential_predict(model, X[1_000:], y[1_000:], batch_size=400)
    >>> result.batches
    array([  0, 400, 800])
    >>> squared_errors = (y[1_000:] - result.y_pred) ** 2
    >>> rmse_of_batches = np.sqrt([squared_errors[result.batch_of_rows == batch].mean() for batch in range(3)])
    """
    _check_learns(estimator)
    n_rows = count_rows(_NAME, X, y)
    labels, batch_of_rows = _number_batches(X, n_rows, batch_size, batches)
    y, weights = check_ratings(y, n_rows), check_weights(sample_weight, n_rows)
    estimator, is_fitted = copy.deepcopy(estimator), _is_fitted(estimator)
    y_pred, y_std = np.full(n_rows, np.nan), np.full(n_rows, np.nan)
    predict_seconds, learn_seconds = np.full(len(labels), np.nan), np.full(len(labels), np.nan)
    ends = np.cumsum(np.bincount(batch_of_rows))
    for batch, rows in enumerate(np.split(np.argsort(batch_of_rows, kind="stable"), ends[:-1])):
        X_batch = _take_rows(X, rows)
        if is_fitted:
            start = time.perf_counter()
            y_pred[rows], y_std[rows] = _predict(estimator, X_batch, return_std)
            predict_seconds[batch] = time.perf_counter() - start
        if weights is None or weights[rows].any():
            start = time.perf_counter()
            given = {} if weights is None else {"sample_weight": weights[rows]}
            estimator.partial_fit(X_batch, y[rows], **given)
            learn_seconds[batch], is_fitted = time.perf_counter() - start, True
    return Bunch(
        y_pred=y_pred,
        **({"y_std": y_std} if return_std else {}),
        batches=labels,
        batch_of_rows=batch_of_rows,
        predict_seconds=predict_seconds,
        learn_seconds=learn_seconds,
        estimator=estimator,
    )


def _check_learns(estimator: Any) -> None:
    """Refuse what cannot learn from a batch."""
    if isinstance(estimator, type):
        raise TypeError(f"estimator is the class {estimator.__name__}: give an object of it, {estimator.__name__}().")
    if not hasattr(estimator, "partial_fit") or not hasattr(estimator, "predict"):
        inner = " Give what it ends in." if hasattr(estimator, "steps") or hasattr(estimator, "estimator") else ""
        raise TypeError(
            f"{_NAME} learns from each batch by partial_fit and predicts by predict, and {type(estimator).__name__} "
            f"has not both.{inner}"
        )


def _is_fitted(estimator: Any) -> bool:
    """Tell whether an estimator can predict."""
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def _number_batches(X: Any, n_rows: int, batch_size: int | None, batches: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return what batches are called, and the number of each row's batch."""
    if (batch_size is None) == (batches is None):
        raise ValueError("Give either batch_size, for batches in the order of the rows, or batches, a value a row.")
    if batches is None:
        check_count(batch_size, "batch_size", "It is the number of ratings in a batch.")
        size = min(batch_size, n_rows)
        return np.arange(0, n_rows, size), np.arange(n_rows) // size
    values, _ = check_times(batches, "batches")
    if len(values) != n_rows:
        raise ValueError(
            f"batches and X have inconsistent numbers of samples: {len(values)} values and {n_rows} rows. Give one "
            "value a row."
        )
    check_index(batches, X, "batches")
    labels, batch_of_rows = np.unique(values, return_inverse=True)
    return labels, batch_of_rows.astype(np.intp, copy=False)


def _take_rows(X: Any, rows: np.ndarray) -> Any:
    """Take rows of a table, which stays what it is: a list, an array or a data frame."""
    if isinstance(X, (list, tuple)):
        return [X[row] for row in rows.tolist()]
    try:
        if nw.dependencies.is_into_dataframe(X):
            return nw.from_native(X, eager_only=True)[rows].to_native()
        return X[rows] if hasattr(X, "shape") else np.asarray(X)[rows]
    except MemoryError:
        raise
    except Exception as error:  # libraries raise what they like
        raise TypeError(
            f"Rows of X cannot be taken, as it is a {type(X).__name__}: give an array, a list or a data frame."
        ) from error


def _predict(estimator: Any, X: Any, return_std: bool | str) -> tuple[Any, Any]:
    """Predict ratings and, if they are asked for, deviations; else NaN."""
    return predict_with_std(estimator, X, _NAME, return_std) if return_std else (estimator.predict(X), np.nan)
