"""Define the ranker that is fitted on a Dask cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import dask
from sklearn.base import _fit_context

from sklearn_mf._base import float_of, frozen_copy, seed_of
from sklearn_mf._prediction.seen import SeenPairs
from sklearn_mf._ranker import MatrixFactorizationRanker, attributes_of, hyperparameters_of
from sklearn_mf._training.fit_pairs import PreferenceState, assembled
from sklearn_mf._training.pairs import PairsBySide
from sklearn_mf._training.progress import Callback
from sklearn_mf._utils.callbacks import keep_type, with_callbacks
from sklearn_mf.dask._estimators import DaskEstimator
from sklearn_mf.dask._programs import RankerTask, fit_ranker
from sklearn_mf.dask._regressor import CLUSTER_CONSTRAINTS, no_model

if TYPE_CHECKING:
    from typing_extensions import Self


class DaskMatrixFactorizationRanker(DaskEstimator, MatrixFactorizationRanker):
    """Fit a :class:`~sklearn_mf.MatrixFactorizationRanker` on a Dask cluster, with the same result.

    If the workers and the client use the same instruction set, the fitted model equals a local fit of the same rows,
    bit for bit. The number of workers does not matter. Each worker solves some of the users and items, and stores the
    factors of all users and items.

    Parameters
    ----------
    rank, ... : as in :class:`~sklearn_mf.MatrixFactorizationRanker`
        All its parameters. ``n_jobs=None`` uses the threads of each worker.

    client, checkpoint_every, checkpoint_folder, timeout : as in DaskMatrixFactorizationRegressor
        The cluster, and how the fit is protected if workers are lost.

    Attributes
    ----------
    user_factors_, ... : as in :class:`~sklearn_mf.MatrixFactorizationRanker`
        All attributes of the local class, stored at the client.

    See Also
    --------
    sklearn_mf.MatrixFactorizationRanker : The same model on one machine.
    sklearn_mf.dask.DaskMatrixFactorizationRegressor : Ratings instead of top-N lists.

    Notes
    -----
    The number of workers that take part is at most 64. It is at most one for each 1,024 users, or one for each 1,024
    items, whichever is more.

    Examples
    --------
    >>> import dask.array as da
    >>> from dask.distributed import Client
    >>> from sklearn_mf.dask import DaskMatrixFactorizationRanker
    >>> from sklearn_mf.datasets import make_ratings
    >>> X, y = make_ratings(50, 30, 900, random_state=0, return_X_y=True)
    >>> lazy_X, lazy_y = da.from_array(X, chunks=(300, 2)), da.from_array(y, chunks=300)
    >>> model = DaskMatrixFactorizationRanker(rank=4, max_iter=3, random_state=0)
    >>> settings = {"processes": False, "dashboard_address": ":0"}
    >>> with Client(n_workers=2, threads_per_worker=1, **settings) as client:
    ...     local = model.set_params(client=client).fit(lazy_X, lazy_y).to_local()
    >>> items, preferences = local.recommend([0, 1], 3)
    >>> items.shape
    (2, 3)
    """

    if TYPE_CHECKING:

        def to_local(self) -> MatrixFactorizationRanker: ...

    local_class: ClassVar[Any] = MatrixFactorizationRanker
    _parameter_constraints: ClassVar[dict[str, list]] = {
        **MatrixFactorizationRanker._parameter_constraints,
        **CLUSTER_CONSTRAINTS,
    }

    @with_callbacks
    @keep_type(_fit_context(prefer_skip_nested_validation=True))
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from the pairs of all partitions.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame of shape (n_pairs, 2)
            Ids: column 0 the user, column 1 the item. Partitions may be empty, and their lengths may be unknown.

        y : dask.array.Array or dask.dataframe.Series of shape (n_pairs,), default=None
            Ratings, numbers of plays or amounts: finite numbers, with the same partitions as X. None gives all pairs
            the same confidence.

        sample_weight : dask.array.Array or dask.dataframe.Series of shape (n_pairs,), default=None
            Weights, at least 0 and not all 0, with the same partitions as X.

        Returns
        -------
        self : DaskMatrixFactorizationRanker
            The fitted estimator. If the fit fails or is interrupted, the estimator stays as it was, and the workers
            keep nothing of the fit after their current step.

        Raises
        ------
        TypeError
            If X, y or sample_weight is not a Dask collection.
        ValueError, ImportError, TimeoutError, RuntimeError, NotImplementedError
            As in ``fit`` of DaskMatrixFactorizationRegressor.

        See Also
        --------
        to_local : The fitted model without a cluster.
        """
        hyper = hyperparameters_of(self)
        callback = Callback(self, None, int(self.max_iter), "Iteration")
        frozen = frozen_copy(self)
        fit, form = self._cluster_fit(frozen, X, y, sample_weight)
        callback.begin_fit(X, y, sample_weight)

        def tell(events: list[Any]) -> bool:
            callback.begin_epoch()
            [event] = events
            return callback.end_round(lambda: str(event), no_model)

        state = PreferenceState(hyper, None, 1.0, 1.0, 0.0, [])
        task = RankerTask(form, state, float_of(self, "confidence"), bool(self.keep_pairs), [seed_of(self)])
        results = fit.run(fit_ranker, task, tell, callback.may_stop, self._guard())
        frozen._n_rows, frozen._n_fitted, frozen._mean_weight = fit.n_rows, fit.n_counted, fit.mean_weight
        preferences, seen = assembled([part for part, _ in results]), None
        if self.keep_pairs:
            pairs = PairsBySide.joined([pairs for _, pairs in results])
            seen = SeenPairs.of_pairs(pairs.start, pairs.index, pairs.weight)
        callback.attributes = lambda preferences: attributes_of(frozen, fit.levels, preferences, seen)
        callback.end_fit(preferences)
        self.__dict__ = {**vars(frozen), **attributes_of(frozen, fit.levels, preferences, seen)}
        return self

    def _given_to_score(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        """Bring lazy tables to the client, which scores the lists over the whole catalog."""
        given = X, y, sample_weight
        are_lazy = any(dask.is_dask_collection(table) for table in given)
        return dask.compute(*given, traverse=False) if are_lazy else given
