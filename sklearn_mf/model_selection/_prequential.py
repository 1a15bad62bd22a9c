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
from sklearn_mf._ids.rows import refuse_other_index, warn_of_other_order
from sklearn_mf._ids.times import check_times
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
    """Predict each batch of ratings, then learn from it (prequential evaluation).

    Use it to measure a model that learns as ratings come in. Each rating is predicted before the model learns from it,
    so there is no leakage from the future [1]_. The errors are ``y - result.y_pred``.

    The given estimator does not change. A deep copy of it learns, and is returned.

    Parameters
    ----------
    estimator : estimator
        An estimator with ``fit``, ``partial_fit(X, y)`` and ``predict(X)``. Fit it on earlier ratings. If it is not
        fitted, it learns from the first batch without predicting it, so these predictions are NaN. Later batches
        usually have new users and items, so do not set ``handle_unknown="error"``.

    X : array-like or dataframe of shape (n_ratings, n_columns)
        Users, items and contexts, as in ``partial_fit``.

    y : array-like of shape (n_ratings,)
        Their ratings.

    batch_size : int, default=None
        Number of ratings in a batch, at least 1. Rows of X are taken in their order. The last batch may be smaller.

    batches : array-like of shape (n_ratings,), default=None
        A number or a datetime for each row of X, by position, such as the day of the rating. Rows with equal values
        form a batch. Batches are taken in increasing order of these values. Give either ``batches`` or ``batch_size``.

    sample_weight : array-like of shape (n_ratings,), default=None
        Weights, passed to ``partial_fit``. A batch whose weights are all 0 is predicted, but not learned.

    return_std : bool or str, default=False
        Whether to predict standard deviations too. The value is passed to ``predict`` as ``return_std``.

    Returns
    -------
    result : Bunch
        Bunch with these attributes:

        - ``y_pred``, ndarray of shape (n_ratings,), float64: predictions in the order of X; NaN where there was no
          model yet;
        - ``y_std``, ndarray of shape (n_ratings,), float64: their standard deviations; only with ``return_std``;
        - ``batches``, ndarray of shape (n_batches,): the value of each batch (datetimes with a time zone in UTC) or,
          with ``batch_size``, its first row;
        - ``batch_of_rows``, ndarray of shape (n_ratings,), intp: the number of the batch of each row of X, from 0;
        - ``predict_seconds``, ``learn_seconds``, ndarray of shape (n_batches,), float64: time of each batch in seconds;
          NaN if it was not predicted or not learned;
        - ``estimator``: the copy, which has learned from all batches.

    Raises
    ------
    TypeError
        If the estimator has no ``partial_fit``, or, with ``return_std``, if its ``predict`` has no ``return_std``; if
        ``batch_size`` is not an int; if X is not an array, a list or a data frame.
    ValueError
        If both or none of ``batch_size`` and ``batches`` are given; if lengths differ; if ratings are not finite
        numbers; if ``batches`` are missing or text, or X and ``batches`` have pandas indexes that differ; if
        weights are negative, not finite or all 0; if ``partial_fit`` or ``predict`` raises it.

    See Also
    --------
    GlobalTimeSplit : Split at one point in time, for models that do not learn afterwards.

    References
    ----------
    .. [1] Dawid, A. P., "Present position and potential developments: some personal views: statistical theory: the
       prequential approach", Journal of the Royal Statistical Society A 147, 1984.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mf import MatrixFactorizationRegressor
    >>> from sklearn_mf.datasets import make_ratings
    >>> from sklearn_mf.model_selection import prequential_predict
    >>> X, y = make_ratings(100, 50, 2_000, random_state=0, return_X_y=True)
    >>> model = MatrixFactorizationRegressor(rank=2, random_state=0)
    >>> model = model.fit(X[:1_000], y[:1_000])
    >>> result = prequential_predict(model, X[1_000:], y[1_000:], batch_size=400)
    >>> result.batches
    array([  0, 400, 800])
    >>> squared_errors = (y[1_000:] - result.y_pred) ** 2
    >>> counts = np.bincount(result.batch_of_rows)
    >>> rmse = np.sqrt(np.bincount(result.batch_of_rows, squared_errors) / counts)
    """
    _check_learns(estimator)
    n_rows = count_rows(_NAME, X, y)
    warn_of_other_order(X, sample_weight=sample_weight)
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
    """Raise a TypeError for an estimator that cannot learn from a batch."""
    if isinstance(estimator, type):
        raise TypeError(f"estimator is the class {estimator.__name__}. Give an instance: {estimator.__name__}().")
    if not hasattr(estimator, "partial_fit") or not hasattr(estimator, "predict"):
        inner = " Give the inner estimator." if hasattr(estimator, "steps") or hasattr(estimator, "estimator") else ""
        raise TypeError(
            f"{_NAME} needs an estimator with partial_fit and predict, but {type(estimator).__name__} does not have "
            f"both.{inner}"
        )


def _is_fitted(estimator: Any) -> bool:
    """Check whether an estimator can predict."""
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def _number_batches(X: Any, n_rows: int, batch_size: int | None, batches: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of the batches, and the number of each row's batch."""
    if (batch_size is None) == (batches is None):
        raise ValueError("Give either batch_size (batches in the order of the rows) or batches (one value per row).")
    if batch_size is not None:
        check_count(batch_size, "batch_size", "It is the number of ratings in a batch.")
        size = min(batch_size, n_rows)
        return np.arange(0, n_rows, size), np.arange(n_rows) // size
    values, _ = check_times(batches, "batches")
    if len(values) != n_rows:
        raise ValueError(
            f"batches and X have inconsistent numbers of samples: {len(values)} values and {n_rows} rows. Give one "
            "value per row."
        )
    refuse_other_index(batches, X, "batches")
    labels, batch_of_rows = np.unique(values, return_inverse=True)
    return labels, batch_of_rows.astype(np.intp, copy=False)


def _take_rows(X: Any, rows: np.ndarray) -> Any:
    """Return rows of a table, in a table of the same type: a list, an array or a data frame."""
    if isinstance(X, (list, tuple)):
        return [X[row] for row in rows.tolist()]
    try:
        if nw.dependencies.is_into_dataframe(X):
            return nw.from_native(X, eager_only=True)[rows].to_native()
        return X[rows] if hasattr(X, "shape") else np.asarray(X)[rows]
    except MemoryError:
        raise
    except Exception as error:  # libraries raise different errors
        raise TypeError(f"X must be an array, a list or a data frame, not {type(X).__name__}.") from error


def _predict(estimator: Any, X: Any, return_std: bool | str) -> tuple[Any, Any]:
    """Predict ratings, and deviations if wanted, else NaN."""
    return predict_with_std(estimator, X, _NAME, return_std) if return_std else (estimator.predict(X), np.nan)
