"""Provide the common part of the Dask estimators: parameters, lazy predictions and lists, local copies."""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress
from copy import deepcopy
from inspect import signature
from typing import Any, ClassVar

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client, get_client
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_mf._base import frozen_copy
from sklearn_mf._recommender import Recommender
from sklearn_mf.dask._check import find_client
from sklearn_mf.dask._cluster_fit import ClusterFit, Guard
from sklearn_mf.dask._partitions import Partitions, TableForm

CLUSTER_PARAMETERS = ("client", "checkpoint_every", "checkpoint_folder", "timeout")


class DaskEstimator(Recommender):
    """Fit the model of ``local_class`` on a cluster. For lazy input, predictions and lists are lazy."""

    local_class: ClassVar[Any]

    def __init__(
        self,
        *args: Any,
        client: Client | None = None,
        checkpoint_every: int | None = None,
        checkpoint_folder: str | os.PathLike[str] | None = None,
        timeout: float = 30.0,
        **parameters: Any,
    ):
        super().__init__(*args, **parameters)
        self.client = client
        self.checkpoint_every = checkpoint_every
        self.checkpoint_folder = checkpoint_folder
        self.timeout = timeout

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give ``__init__`` a signature with the parameters of the local class and those of the cluster."""
        super().__init_subclass__(**kwargs)
        own = [signature(DaskEstimator.__init__).parameters[name] for name in CLUSTER_PARAMETERS]
        local = list(signature(cls.local_class.__init__).parameters.values())

        def __init__(self: Any, *args: Any, **parameters: Any) -> None:  # noqa: N807, the name is part of the signature
            DaskEstimator.__init__(self, *args, **parameters)

        init: Any = __init__
        init.__signature__ = signature(cls.local_class.__init__).replace(parameters=[*local, *own])
        cls.__init__ = init  # type: ignore[method-assign]

    def to_local(self) -> Any:
        """Return the fitted model as an estimator of the local class, which needs no cluster.

        Returns
        -------
        estimator : estimator
            A :class:`~sklearn_mf.MatrixFactorizationRegressor` or a :class:`~sklearn_mf.MatrixFactorizationRanker` with
            the same parameters. It equals a local fit of the same rows with the workers' instruction set, bit for bit.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        """
        check_is_fitted(self)
        local: Any = object.__new__(self.local_class)
        local.__dict__ = {name: value for name, value in vars(self).items() if name not in CLUSTER_PARAMETERS}
        return deepcopy(local)

    def __sklearn_clone__(self) -> Any:
        """Copy all parameters except the client, which is a connection; the clone uses the same client."""
        frozen = frozen_copy(self)
        frozen.client = None
        copied = super(DaskEstimator, frozen).__sklearn_clone__()  # pyright: ignore[reportAttributeAccessIssue]
        copied.client = self.client
        return copied

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the client, which is a connection of this process."""
        return {**super().__getstate__(), "client": None}

    def predict(self, X: Any, **options: Any) -> Any:
        """Predict ratings or preferences of pairs, lazily if X is lazy.

        Parameters
        ----------
        X : dask.array.Array, dask.dataframe.DataFrame, or what the local class takes
            Ids, with the same columns and types as in ``fit``.

        **options : dict
            More arguments of ``predict`` of the local class. They are allowed only if X is not lazy.

        Returns
        -------
        y : dask.array.Array, dask.dataframe.Series or ndarray of shape (n_pairs,), float64
            Predictions, with the partitions of X. If there is a client, the model is stored on its cluster. So compute
            lazy predictions on this cluster, with ``client.compute``.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            As in the local class. Errors about the values of partitions are raised when they are computed.

        See Also
        --------
        to_local : The same model without a cluster.
        """
        check_is_fitted(self)
        if not dask.is_dask_collection(X):
            return super().predict(X, **options)
        self._check_lazy("X", X, 2)
        if options:
            raise ValueError(
                f"predict does not take {', '.join(options)} for a Dask collection. Use map_partitions to call "
                "predict of to_local() on each partition."
            )
        model = self._model_for_tasks()
        if hasattr(X, "columns"):
            return X.map_partitions(_predict, model, meta=pd.Series(dtype=np.float64))
        X = X.rechunk({1: -1})
        return X.map_blocks(_predict, model, drop_axis=1, dtype=np.float64, meta=np.empty(0))

    def recommend(self, users: Any, n_items: int = 10, **options: Any) -> Any:
        """Find the items with the highest predictions for each user, lazily if ``users`` is lazy.

        Parameters
        ----------
        users : dask.array.Array, dask.dataframe.Series, or array-like
            User ids.

        n_items : int, default=10
            Number of items for each user, at least 1.

        **options : dict
            More arguments of ``recommend`` of the local class. With lazy users, the result is always a data frame.

        Returns
        -------
        lists : dask.dataframe.DataFrame, or what the local class returns
            A row for each recommended item: user, item, place (from 1 on) and rating or preference. Each partition of
            users gives one partition.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            As in the local class. Errors about the values of partitions are raised when they are computed.

        See Also
        --------
        to_local : The same model without a cluster.
        """
        check_is_fitted(self)
        if not dask.is_dask_collection(users):
            return super().recommend(users, n_items, **options)  # pyright: ignore[reportAttributeAccessIssue]
        self._check_lazy("users", users, 1)
        if isinstance(users, da.Array):
            users = dd.from_dask_array(users)
        options = {**options, "as_frame": True}
        empty = _recommend(users._meta, self.to_local(), n_items, options)
        return users.map_partitions(_recommend, self._model_for_tasks(), n_items, options, meta=empty)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Score as the local class does, with lazy or local tables.

        Parameters
        ----------
        X : dask.array.Array, dask.dataframe.DataFrame, or what the local class takes
            Ids.

        y : dask.array.Array, dask.dataframe.Series or array-like
            Ratings.

        sample_weight : dask.array.Array, dask.dataframe.Series or array-like, default=None
            Weights.

        Returns
        -------
        score : float
            R^2 for the regressor, which predicts lazy pairs on the cluster. NDCG@10 for the ranker, which first brings
            lazy pairs to the client.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            As in ``predict``, and in the local class.

        See Also
        --------
        to_local : The same model without a cluster.
        """
        client = self._running_client()
        with nullcontext() if client is None else client.as_current():
            given = self._given_to_score(X, y, sample_weight)
            return super().score(*given)  # pyright: ignore[reportAttributeAccessIssue]

    def _given_to_score(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        """Return the tables for ``score`` of the local class. Its predictions of lazy pairs are lazy."""
        return X, y, sample_weight

    def _model_for_tasks(self) -> Any:
        """Return the local estimator for tasks. It is sent once to each worker, not with each task."""
        client = self._running_client()
        if client is None:
            return dask.delayed(self.to_local(), pure=False)
        return client.scatter(self.to_local(), hash=False)

    def _running_client(self) -> Client | None:
        """Return the client of the cluster, or None if no client is running."""
        client = self.client
        if client is None:
            with suppress(ValueError):
                client = get_client()
        return None if client is None or client.status != "running" else client

    def _check_lazy(self, name: str, collection: Any, n_dimensions: int) -> None:
        """Check a lazy input as far as possible without computing anything."""
        if collection.ndim != n_dimensions:
            raise ValueError(
                f"{name} has {collection.ndim} dimension(s). Pairs are a table of two columns. Users are one column, "
                'such as df["user"].'
            )
        if n_dimensions == 2:
            empty: Any = collection._meta if hasattr(collection, "columns") else np.empty((0, collection.shape[1]))
            validate_data(self, empty, reset=False, skip_check_array=True)

    def _cluster_fit(self, frozen: Any, X: Any, y: Any, sample_weight: Any) -> tuple[ClusterFit, TableForm]:
        """Check the tables of a fit, before any work; store column names in ``frozen``, a copy of the estimator."""
        name = self.local_class.__name__
        partitions = Partitions.of(X, y, sample_weight, name)
        validate_data(frozen, partitions.empty, reset=True, skip_check_array=True)
        if frozen.n_features_in_ != 2:
            raise ValueError(
                f"X has {frozen.n_features_in_} columns. A fit on a cluster takes two columns: user and item. For "
                "context columns, use MatrixFactorizationRegressor."
            )
        labels = partitions.names or range(2)
        form = TableForm(
            [f"column {label!r} of X" if partitions.names else f"column {label} of X" for label in labels],
            partitions.names,
            y is not None,
            sample_weight is not None,
            name,
        )
        return ClusterFit(find_client(self.client), partitions, form), form

    def _guard(self) -> Guard:
        """Return how the fit is protected if workers are lost."""
        return Guard(self.n_jobs, self.checkpoint_every, self.checkpoint_folder, float(self.timeout))


def _predict(X: Any, model: Any) -> Any:
    """Predict one partition."""
    found = model.predict(X) if len(X) else np.empty(0)
    return pd.Series(found, index=X.index) if hasattr(X, "index") else found


def _recommend(users: pd.Series, model: Any, n_items: int, options: dict[str, Any]) -> pd.DataFrame:
    """Compute the lists of one partition."""
    return model.recommend(users.to_numpy(), n_items, **options)
