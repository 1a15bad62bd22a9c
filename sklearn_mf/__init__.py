"""Matrix factorization for scikit-learn: learn user and item factors from (user, item) pairs and ratings."""

from sklearn_mf._regressor import MatrixFactorizationRegressor

__version__ = "0.1.0"
__all__ = ["MatrixFactorizationRegressor"]
