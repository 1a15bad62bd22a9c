"""Check that tiny and extreme input fits and gives finite predictions."""

import numpy as np
import pytest
from helpers.four_ratings import X, fit

from sklearn_mf import MatrixFactorizationRegressor


@pytest.mark.parametrize(
    ("X", "y"),
    [
        ([[1, 1]], [3.0]),  # one rating
        ([[1, 1], [1, 2], [1, 3]], [1, 2, 3]),  # one user
        ([[1, 1], [2, 1], [3, 1]], [1, 2, 3]),  # one item
        (X, [2.5, 2.5, 2.5, 2.5]),  # a constant
        (X, [0.0, 0.0, 0.0, 0.0]),
        (X, [0.1 + 0.2, 0.3, 0.3, 0.3]),  # a constant but for rounding
        ([[1, 1], [1, 1], [1, 1]], [1, 2, 5]),  # one pair, several ratings
    ],
)
@pytest.mark.parametrize("rank", [0, 1, 50])
@pytest.mark.parametrize("fit_bias", [True, False])
def test_small_input_fits(X, y, rank, fit_bias):
    model = MatrixFactorizationRegressor(rank=rank, fit_bias=fit_bias, random_state=0).fit(X, y)
    predictions = model.predict(X)
    assert np.isfinite(predictions).all()
    assert predictions.min() >= min(y)
    assert predictions.max() <= max(y)


@pytest.mark.parametrize("extreme", ["learning_rate", "alpha", "alpha_bias", "damping"])
@pytest.mark.parametrize("value", [1e6, 1e39, 1e300])
def test_extreme_parameters_end_and_are_finite(extreme, value):
    model = fit(**{extreme: value})
    assert np.isfinite(model.predict(X)).all()


def test_extreme_weights_end_and_are_finite():
    assert np.isfinite(fit(sample_weight=[1e308] * 4).predict(X)).all()
    assert np.isfinite(fit(sample_weight=[1, 1e-300, 1, 1e29]).predict(X)).all()
