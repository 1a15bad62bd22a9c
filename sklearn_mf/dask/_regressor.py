"""Define the regressor that is fitted on a Dask cluster."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from distributed import Client
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval

from sklearn_mf._base import adopt, attributes_of, frozen_copy, seed_of
from sklearn_mf._prediction.own_contexts import no_own_contexts
from sklearn_mf._regressor import MatrixFactorizationRegressor, hyperparameters_of, stopping_rule_of
from sklearn_mf._training.learned import assemble
from sklearn_mf._training.progress import Callback, EpochEnded
from sklearn_mf._utils.callbacks import keep_type, with_callbacks
from sklearn_mf.dask._estimators import DaskEstimator
from sklearn_mf.dask._programs import RegressorTask, fit_regressor

if TYPE_CHECKING:
    from typing_extensions import Self

CLUSTER_CONSTRAINTS: dict[str, list] = {
    "client": [Client, None],
    "checkpoint_every": [Interval(Integral, 1, None, closed="left"), None],
    "checkpoint_folder": [str, PathLike, None],
    "timeout": [Interval(Real, 1, None, closed="left")],
}


class DaskMatrixFactorizationRegressor(DaskEstimator, MatrixFactorizationRegressor):  # type: ignore[misc]
    """Fit a :class:`~sklearn_mf.MatrixFactorizationRegressor` on a Dask cluster, with the same result.

    If the workers and the client use the same instruction set, the fitted model equals a local fit of the same rows,
    bit for bit. The number of workers does not matter.

    Each worker keeps the ratings and factors of some groups of users. The factors of items move from worker to worker,
    over the connections of Dask. If a worker dies, the fit takes longer but does not fail. The other workers take over
    its ratings.

    Parameters
    ----------
    rank, ... : as in :class:`~sklearn_mf.MatrixFactorizationRegressor`
        All its parameters. ``n_jobs=None`` uses the threads of each worker. ``loss`` must be "squared_error",
        ``warm_start`` False and ``memory_map`` None.

    client : dask.distributed.Client or None, default=None
        Client of the cluster. None means the default client of Dask.

    checkpoint_every : int or None, default=None
        Number of epochs between checkpoints of the factors, at least 1. If a worker is lost, the fit continues from
        the last checkpoint. With None, it starts again from the beginning.

    checkpoint_folder : str, path-like or None, default=None
        Folder for the checkpoints, which the client and all workers must share. The files are removed at the end. None
        keeps the checkpoints in the memory of the client.

    timeout : float, default=30
        Seconds without news from a worker, at least 1. After this time, the fit asks the worker whether it is alive.
        If there is no answer within another ``timeout`` seconds (at most 20), the worker counts as dead. It is then
        stopped, because the cluster would wait for it. If it has a nanny, the nanny starts it again.

    Attributes
    ----------
    factors_, ... : as in :class:`~sklearn_mf.MatrixFactorizationRegressor`
        All attributes of the local class, stored at the client.

    See Also
    --------
    sklearn_mf.MatrixFactorizationRegressor : The same model on one machine.
    sklearn_mf.dask.DaskMatrixFactorizationRanker : Top-N lists instead of ratings.

    Notes
    -----
    Ratings are divided into blocks as in [1]_. The number of workers that take part is limited. It is at most one for
    each 4,096 users and items, or one for each half a million ratings, whichever is more.

    References
    ----------
    .. [1] Gemulla, R., E. Nijkamp, P. J. Haas and Y. Sismanis, "Large-scale matrix factorization with distributed
       stochastic gradient descent", KDD 2011.

    Examples
    --------
    >>> import dask.array as da
    >>> from dask.distributed import Client
    >>> from sklearn_mf.dask import DaskMatrixFactorizationRegressor
    >>> from sklearn_mf.datasets import make_ratings
    >>> X, y = make_ratings(50, 30, 900, random_state=0, return_X_y=True)
    >>> lazy_X, lazy_y = da.from_array(X, chunks=(300, 2)), da.from_array(y, chunks=300)
    >>> model = DaskMatrixFactorizationRegressor(rank=4, max_iter=5, random_state=0)
    >>> settings = {"processes": False, "dashboard_address": ":0"}
    >>> with Client(n_workers=2, threads_per_worker=1, **settings) as client:
    ...     local = model.set_params(client=client).fit(lazy_X, lazy_y).to_local()
    >>> local.predict(X[:2]).shape
    (2,)
    """

    if TYPE_CHECKING:

        def to_local(self) -> MatrixFactorizationRegressor: ...

    local_class: ClassVar[Any] = MatrixFactorizationRegressor
    _parameter_constraints: ClassVar[dict[str, list]] = {
        **MatrixFactorizationRegressor._parameter_constraints,
        **CLUSTER_CONSTRAINTS,
    }

    @with_callbacks
    @keep_type(_fit_context(prefer_skip_nested_validation=True))
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # type: ignore[override]
        """Learn from the ratings of all partitions.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame of shape (n_ratings, 2)
            Ids: column 0 the user, column 1 the item. Partitions may be empty, and their lengths may be unknown.

        y : dask.array.Array or dask.dataframe.Series of shape (n_ratings,)
            Ratings, finite numbers, with the same partitions as X.

        sample_weight : dask.array.Array or dask.dataframe.Series of shape (n_ratings,), default=None
            Weights, at least 0 and not all 0, with the same partitions as X.

        Returns
        -------
        self : DaskMatrixFactorizationRegressor
            The fitted estimator. If the fit fails or is interrupted, the estimator stays as it was, and the workers
            keep nothing of the fit after their current step.

        Raises
        ------
        TypeError
            If X, y or sample_weight is not a Dask collection.
        ValueError
            If X does not have two columns; if partitions do not match; if ids are missing or of several types; if
            ratings or weights are not finite; if a parameter has a value that only the local class takes; if the
            workers have different versions or instruction sets, or there is no client.
        ImportError
            If a worker does not have the package.
        TimeoutError
            If a worker does not answer before the fit begins.
        RuntimeError
            If all workers are lost, or workers are lost in each of several attempts.
        NotImplementedError
            If a callback of scikit-learn asks for the model before the end of the fit.

        See Also
        --------
        to_local : The fitted model without a cluster.
        """
        hyper, stopping = hyperparameters_of(self), stopping_rule_of(self)
        self._refuse_local_parameters()
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None. Pass ratings.")
        callback = Callback(self, hyper.loss, stopping.max_iter if stopping.has_fixed_length else None)
        frozen = frozen_copy(self)
        fit, form = self._cluster_fit(frozen, X, y, sample_weight)
        callback.begin_fit(X, y, sample_weight)

        def tell(events: list[Any]) -> bool:
            told = [replace(e, learned=no_model) if isinstance(e, EpochEnded) else e for e in events]
            stops = [callback.take(event) for event in told]
            return any(stops)

        task = RegressorTask(form, hyper, stopping, [seed_of(self)])
        results = fit.run(fit_regressor, task, tell, callback.may_stop, self._guard())
        learned = assemble([part for part, _ in results], results[0][1])
        frozen._n_rows, frozen._n_fitted, frozen._mean_weight = fit.n_rows, fit.n_counted, fit.mean_weight
        frozen._own_contexts = {**no_own_contexts(2), "n_ratings": fit.n_counted}
        callback.attributes = lambda learned: attributes_of(frozen, fit.levels, learned)
        callback.end_fit(learned)
        return adopt(self, frozen, fit.levels, learned)

    def _refuse_local_parameters(self) -> None:
        """Raise a ValueError for parameter values that a fit on a cluster does not support."""
        wanted = {"loss": "squared_error", "warm_start": False, "memory_map": None}
        for name, value in wanted.items():
            given = getattr(self, name)
            if given != value and not (name == "memory_map" and given is False):
                raise ValueError(
                    f"A fit on a cluster needs {name}={value!r}. Got {name}={given!r}. Only "
                    "MatrixFactorizationRegressor, on one machine, supports this value."
                )


def no_model() -> NoReturn:
    """Raise an error if a callback asks for the model."""
    raise NotImplementedError(
        "During a fit on a cluster, the model is spread over the workers. It is available only after the fit."
    )
