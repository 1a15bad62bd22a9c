"""Fit models on a Dask cluster."""

try:
    import dask  # noqa: F401
    import distributed  # noqa: F401
except ImportError as _error:
    raise ImportError(
        'sklearn_mf.dask needs dask and distributed. Install them with: pip install "sklearn-mf[dask]"'
    ) from _error

from sklearn_mf.dask._ranker import DaskMatrixFactorizationRanker
from sklearn_mf.dask._regressor import DaskMatrixFactorizationRegressor

__all__ = ["DaskMatrixFactorizationRanker", "DaskMatrixFactorizationRegressor"]
