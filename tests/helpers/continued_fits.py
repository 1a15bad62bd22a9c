"""Models to go on from, and what is in them."""

import numpy as np
import pytest

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings

both_models = pytest.mark.parametrize("implicit_features", [None, "both"])


def make_model(**parameters):
    return MatrixFactorizationRegressor(**{"rank": 6, "random_state": 0, **parameters})


def rmse(model, X, y):
    return np.sqrt(np.mean((model.predict(X) - y) ** 2))


def split_ratings():
    """Training and test rows."""
    X, y = make_ratings(300, 150, 12_000, random_state=0, return_X_y=True)
    test = np.arange(len(y)) % 6 == 0
    return X[~test], X[test], y[~test], y[test]


def state(model):
    """All arrays of a model, copied."""
    return [array.copy() for array in (*model.factors_, *model.biases_, *model.categories_)]


def make_like(model, **change):
    other = make_model(**change)
    other.__dict__ = {**vars(model), **other.get_params()}
    return other
