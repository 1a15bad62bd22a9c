"""Check fits of equal ratings, of quantiles near the end and of large counts."""

import warnings

import numpy as np
import pytest
from helpers.losses import LOSSES, best_constant_loss, own_loss
from helpers.noisy_fits import fit
from sklearn.exceptions import ConvergenceWarning

from sklearn_mf import MatrixFactorizationRegressor


@pytest.mark.parametrize("value", [3, 9, 22, 34, 1e5])
@pytest.mark.parametrize("loss", LOSSES)
def test_equal_ratings(loss, value):
    X = np.random.default_rng(0).integers(30, size=(600, 2))
    for rows in (slice(0, 600), slice(0, 1)):
        model = MatrixFactorizationRegressor(4, loss=loss, clip=False, random_state=0)
        prediction = model.fit(X[rows], np.full(600, value)[rows]).predict(X)
        np.testing.assert_allclose(prediction, value, rtol=1e-6)


def test_a_quantile_near_the_end():
    X = np.random.default_rng(0).integers(30, size=(600, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        prediction = fit(X, X[:, 0] % 5 + 1.0, loss="quantile", quantile=0.999999).predict(X)
    assert np.isfinite(prediction).all()


@pytest.mark.parametrize("mean", [1e4, 1e6, 1e8])
@pytest.mark.parametrize("learning_rate", [1e-4, 0.15, 10.0])
def test_large_counts(mean, learning_rate):
    rng = np.random.default_rng(0)
    X, y = rng.integers(40, size=(3000, 2)), rng.poisson(mean, 3000).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if learning_rate == 10 else "error", ConvergenceWarning)
        model = MatrixFactorizationRegressor(4, loss="poisson", learning_rate=learning_rate, random_state=0).fit(X, y)
    assert own_loss("poisson", y, model.predict(X)) <= 1.005 * best_constant_loss("poisson", y)
    if learning_rate < 1:
        assert model.loss_curve_[-1] == pytest.approx(own_loss("poisson", y, model.predict(X)), rel=0.2)
    rate = np.exp(rng.normal(0, 0.3, 40))[X[:, 0]]
    y = rng.poisson(mean * rate)
    found = model.set_params(learning_rate=0.15, damping=0.0, alpha_bias=0.0).fit(X, y).predict(X)
    np.testing.assert_allclose(found, mean * rate, rtol=0.2)
