"""Fits that overfit when they run long, and their errors."""

import numpy as np

from sklearn_mf import MatrixFactorizationRegressor


def fit(X, y, sample_weight=None, X_val=None, y_val=None, sample_weight_val=None, **parameters):
    defaults = {"implicit_features": None, "alpha": 0.01, "damping": 1.0, "learning_rate": 0.1, "random_state": 0}
    model = MatrixFactorizationRegressor(8, **{**defaults, **parameters})
    return model.fit(X, y, sample_weight, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val)


def rmse(model, X, y):
    return np.sqrt(np.mean((model.predict(X) - y) ** 2))


def same_model(a, b):
    return all(np.array_equal(x, y) for x, y in zip([*a.factors_, *a.biases_], [*b.factors_, *b.biases_], strict=True))
