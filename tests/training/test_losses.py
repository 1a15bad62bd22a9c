"""Compare the losses with scikit-learn's linear models, and check what each of them is for."""

import numpy as np
import pytest
from helpers.losses import every_loss
from scipy import sparse
from sklearn.linear_model import HuberRegressor, PoissonRegressor, QuantileRegressor, Ridge
from sklearn.metrics import mean_pinball_loss, mean_poisson_deviance
from sklearn_mf._kernel.sgd import LOSS_CODES

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf._training.losses import LOSSES, AbsoluteError, Quantile, make_loss


def small_ratings(n=3000, seed=0):
    """Ratings of 40 users and 30 items with biases and no interactions, and weights."""
    rng = np.random.default_rng(seed)
    X = (np.array([40, 30]) * rng.random((n, 2)) ** 1.5).astype(int)
    biases = rng.normal(0, 0.8, 40), rng.normal(0, 0.6, 30)
    y = 3 + biases[0][X[:, 0]] + biases[1][X[:, 1]] + rng.standard_t(3, n)
    return X, y, rng.integers(1, 4, n).astype(float)


def one_hot(X):
    rows = np.arange(len(X))
    blocks = [sparse.csr_array((np.ones(len(X)), (rows, X[:, f])), shape=(len(X), X[:, f].max() + 1)) for f in (0, 1)]
    return sparse.hstack(blocks).tocsr()


def linear(X, y, w, **parameters):
    """The model without factors, run to convergence: linear in the one-hot columns; its prediction and biases."""
    model = MatrixFactorizationRegressor(
        0, implicit_features=None, learning_rate=0.1, max_iter=400, clip=False, random_state=0, **parameters
    ).fit(X, y, w)
    return model, np.concatenate(model.biases_)


def strengths(X, w, alpha_bias, damping):
    w = w / w.mean()
    n = np.concatenate([np.bincount(X[:, f], w) for f in (0, 1)])
    return alpha_bias * n + damping, w


def test_squared_error_is_ridge():
    X, y, w = small_ratings()
    model, biases = linear(X, y, w, alpha_bias=0.03, damping=2.0)
    strength, w = strengths(X, w, 0.03, 2.0)
    scaled = one_hot(X) / np.sqrt(strength)  # columns scaled to the penalty of each
    ridge = Ridge(alpha=1.0, fit_intercept=False, tol=1e-10).fit(scaled, y - model.intercept_, w)

    def objective(prediction, coefficients):
        return (w * (y - model.intercept_ - prediction) ** 2).sum() + (coefficients**2).sum()

    best = objective(ridge.predict(scaled), ridge.coef_)
    assert best * (1 - 1e-6) <= objective(one_hot(X) @ biases, biases * np.sqrt(strength)) <= best * 1.001


@pytest.mark.parametrize(
    ("parameters", "q"), [({"loss": "absolute_error"}, 0.5), ({"loss": "quantile", "quantile": 0.8}, 0.8)]
)
def test_absolute_error_and_quantile_are_quantile_regression(parameters, q):
    X, y, w = small_ratings(800)
    model, biases = linear(X, y, w, alpha_bias=0.0, damping=0.0, **parameters)
    columns = one_hot(X)
    best = QuantileRegressor(quantile=q, alpha=0, fit_intercept=False).fit(columns, y - model.intercept_, w)
    ours, theirs = (
        mean_pinball_loss(y - model.intercept_, prediction, sample_weight=w, alpha=q)
        for prediction in (columns @ biases, best.predict(columns))
    )
    assert theirs * (1 - 1e-6) <= ours <= theirs * 1.005


# scikit-learn 1.6 with the newest SciPy.
@pytest.mark.filterwarnings("ignore:scipy.optimize. The `disp` and `iprint`")
def test_huber_is_huber_regression():
    X, y, w = small_ratings()
    columns, spread = one_hot(X), np.sqrt(np.average((y - np.average(y, weights=w)) ** 2, weights=w))
    center = np.average(y, weights=w)
    theirs = HuberRegressor(epsilon=1.35, alpha=0, fit_intercept=False, max_iter=2000, tol=1e-8)
    theirs.fit(columns, y - center, w)
    width = 1.35 * theirs.scale_  # errors above it count linearly
    model, biases = linear(X, y, w, alpha_bias=0.0, damping=0.0, loss="huber", epsilon=width / spread)

    def objective(prediction):
        e = np.abs(y - prediction)
        return (w * np.where(e > width, width * (e - width / 2), e**2 / 2)).sum()

    best = objective(center + theirs.predict(columns))
    assert best * (1 - 1e-4) <= objective(model.intercept_ + columns @ biases) <= best * 1.001


@pytest.mark.parametrize("mean", [0.1, 2.0, 500.0])
@pytest.mark.filterwarnings("ignore:scipy.optimize. The `disp` and `iprint`")
def test_poisson_is_poisson_regression(mean):
    X, y, w = small_ratings()
    y = np.random.default_rng(1).poisson(mean * np.exp(0.3 * np.clip(y - 3, -4, 4)))
    model, biases = linear(X, y, w, alpha_bias=0.03, damping=2.0, loss="poisson")
    assert np.exp(model.intercept_) == pytest.approx(np.average(y, weights=w))
    strength, w = strengths(X, w, 0.03, 2.0)
    mean = np.exp(model.intercept_)
    strength = strength * mean  # in the unit of the curvature of the loss
    scaled = one_hot(X) / np.sqrt(strength)
    # Without an intercept to start from, ratings are divided by their mean and weights multiplied by it.
    theirs = PoissonRegressor(alpha=1 / (w * mean).sum(), fit_intercept=False, tol=1e-8, max_iter=2000)
    theirs.fit(scaled, y / mean, w * mean)

    def objective(prediction, coefficients):
        deviance = mean_poisson_deviance(y / mean, prediction / mean, sample_weight=w * mean)
        return (w * mean).sum() * deviance / 2 + (coefficients**2).sum() / 2

    best = objective(mean * theirs.predict(scaled), theirs.coef_)
    assert best * (1 - 1e-6) <= objective(model.predict(X), biases * np.sqrt(strength)) <= best * 1.003


@every_loss
@pytest.mark.parametrize("weighted", [False, True])
def test_the_intercept_is_the_best_constant(loss, parameter, weighted):
    rng = np.random.default_rng(0)
    y = rng.poisson(3, 501).astype(float)
    w = rng.integers(1, 4, 501).astype(float) if weighted else None
    named = make_loss(loss, epsilon=0.7, quantile=0.8)
    best = named.constant(y, w, 1.7)
    losses = [np.average(named.values(y, best + shift, 1.7), weights=w) for shift in (-0.01, 0.0, 0.01)]
    assert losses[1] <= min(losses) + 1e-12
    assert losses[1] >= 0
    X = rng.integers(20, size=(501, 2))
    model = MatrixFactorizationRegressor(2, loss=loss, epsilon=0.7 * 1.7 / y.std(), quantile=0.8, random_state=0)
    if not weighted:
        assert model.fit(X, y).intercept_ == pytest.approx(best, abs=1e-6)


def test_quantiles_of_few_and_of_repeated_values():
    assert AbsoluteError().constant(np.array([4.0, 1.0, 2.0, 3.0]), None, 1.0) == 2.5
    assert AbsoluteError().constant(np.array([1.0, 3.0]), np.array([1.0, 3.0]), 1.0) == 3.0
    assert Quantile(quantile=0.9).constant(np.arange(10.0), None, 1.0) == 8.5
    rng = np.random.default_rng(0)
    y, w = rng.normal(size=200), rng.integers(1, 5, 200)
    for q in (0.1, 0.5, 0.77):
        named = Quantile(quantile=q)
        assert named.constant(y, w.astype(float), 1.0) == named.constant(np.repeat(y, w), None, 1.0)


def noisy(noise, n=12_000, seed=0):
    """Ratings of rank 2, and the truth behind them."""
    rng = np.random.default_rng(seed)
    X = rng.integers([150, 100], size=(n, 2))
    U, V = rng.normal(size=(150, 2)), rng.normal(size=(100, 2))
    truth = (U[X[:, 0]] * V[X[:, 1]]).sum(axis=1)
    return X, truth, truth + noise(rng, n)


def fitted(loss, X, y, **parameters):
    parameters = {"implicit_features": None, "alpha": 0.02, "damping": 1.0, "max_iter": 40, **parameters}
    return MatrixFactorizationRegressor(4, loss=loss, clip=False, random_state=0, **parameters).fit(X, y)


def test_robust_losses_withstand_outliers():
    X, truth, y = noisy(lambda rng, n: rng.normal(0, 0.3, n) + 30 * (rng.random(n) < 0.03))
    errors = {
        loss: np.sqrt(np.mean((fitted(loss, X, y, epsilon=0.1).predict(X) - truth) ** 2))
        for loss in ("squared_error", "absolute_error", "huber")
    }
    assert errors["absolute_error"] < 0.6 * errors["squared_error"]
    assert errors["huber"] < 0.6 * errors["squared_error"]


@pytest.mark.parametrize("q", [0.1, 0.9])
def test_quantiles_are_covered(q):
    X, _, y = noisy(lambda rng, n: rng.exponential(2.0, n))
    held_out = np.arange(len(y)) % 4 == 0
    model = fitted("quantile", X[~held_out], y[~held_out], quantile=q, alpha=0.05)
    assert np.mean(y[held_out] <= model.predict(X[held_out])) == pytest.approx(q, abs=0.05)


def test_counts():
    X, truth, _ = noisy(lambda rng, n: np.zeros(n))
    y = np.random.default_rng(1).poisson(np.exp(0.5 * truth))
    held_out = np.arange(len(y)) % 4 == 0
    model = fitted("poisson", X[~held_out], y[~held_out])
    deviance = mean_poisson_deviance(y[held_out], model.predict(X[held_out]))
    constant = mean_poisson_deviance(y[held_out], np.full(held_out.sum(), y[~held_out].mean()))
    perfect = mean_poisson_deviance(y[held_out], np.exp(0.5 * truth[held_out]))
    assert deviance < perfect + 0.5 * (constant - perfect)
    assert model.predict(X).min() > 0
    assert model.predict([[-1, -1]]) == pytest.approx(y[~held_out].mean())


@pytest.mark.parametrize(
    ("loss", "power"), [("squared_error", 2), ("huber", 2), ("absolute_error", 1), ("quantile", 1)]
)
def test_the_scale_of_ratings_does_not_matter(loss, power):
    X, _, y = noisy(lambda rng, n: rng.normal(0, 0.5, n), 2000)
    one, other = fitted(loss, X, y), fitted(loss, X, 32 * y + 640)
    np.testing.assert_allclose(other.predict(X), 32 * one.predict(X) + 640, rtol=1e-3, atol=0.05)
    np.testing.assert_allclose(other.loss_curve_, 32.0**power * np.array(one.loss_curve_), rtol=1e-3)


@every_loss
@pytest.mark.parametrize("implicit_features", [None, "both"])
def test_the_loss_curve_is_of_the_loss(loss, parameter, implicit_features):
    """At the end it is nearly the mean loss of what is predicted."""
    X, _, y = noisy(lambda rng, n: rng.normal(0, 0.5, n), 8000)
    y = np.exp(0.3 * y).round() if loss == "poisson" else y
    model = fitted(loss, X, y, quantile=0.8, implicit_features=implicit_features, alpha=0.1, learning_rate=0.05)
    prediction, e = model.predict(X), y - model.predict(X)
    width = 1.35 * y.std()
    value = {
        "squared_error": e**2 / 2,
        "absolute_error": np.abs(e),
        "huber": np.where(np.abs(e) > width, width * (np.abs(e) - width / 2), e**2 / 2),
        "quantile": np.maximum(0.8 * e, -0.2 * e),
        "poisson": prediction if loss != "poisson" else mean_poisson_deviance(y, prediction) / 2,
    }[loss]
    assert model.loss_curve_[-1] == pytest.approx(np.mean(value), rel=0.05)
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_every_loss_has_its_function_in_the_kernel():
    assert set(LOSSES) == set(LOSS_CODES)
    assert len({make_loss(name, epsilon=1.0, quantile=0.5).code for name in LOSSES}) == len(LOSSES)
