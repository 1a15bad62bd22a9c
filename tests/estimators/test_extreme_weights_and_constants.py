"""Check that constant ratings, vanishing weights and penalties end in finite models or in errors of ours."""

import warnings

import numpy as np
import pytest

from sklearn_mf import MatrixFactorizationEncoder, MatrixFactorizationRegressor

rng = np.random.default_rng(0)
X = rng.integers(0, 20, size=(300, 2))
y = rng.integers(1, 6, size=300).astype(float)
NEWCOMERS = X + np.array([100, 0])
EXTREME_WEIGHTS = [5e-324, 1e-300, 1e-38, 1e38, 1e100, 1e300, 1.7e308]


def make(**parameters):
    return MatrixFactorizationRegressor(**{"rank": 4, "max_iter": 3, "random_state": 0, **parameters})


@pytest.mark.parametrize("constant", [1e54, -1e54, 1e308, -1e308, 1e-300, 5e-324, 0.0, 3.0])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile", "poisson"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_constant_is_predicted_or_refused(constant, loss, early_stopping):
    model = make(loss=loss, early_stopping=early_stopping)
    if loss == "poisson" and not 0 < constant < 1e38:
        with pytest.raises(ValueError, match="loss='poisson'"):
            model.fit(X, np.full(300, constant))
        return
    model.fit(X, np.full(300, constant))
    np.testing.assert_allclose(model.predict(X), constant, rtol=1e-6, atol=0)
    assert np.isfinite(model.loss_curve_).all()


@pytest.mark.parametrize("weight", EXTREME_WEIGHTS)
@pytest.mark.parametrize("first", [1.0, *EXTREME_WEIGHTS])
@pytest.mark.parametrize("method", ["partial_fit", "fold_in"])
def test_weights_far_from_those_of_the_fit(weight, first, method):
    model = make().fit(X, y, np.full(300, first))
    before = dict(vars(model))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            getattr(model, method)(NEWCOMERS, y, np.full(300, weight))
    except ValueError as error:
        assert "weights" in str(error).lower()  # noqa: PT017
        assert vars(model) == before
    assert np.isfinite(model.predict(NEWCOMERS)).all()


@pytest.mark.parametrize("damping", [0.0, 1e-300, 1e-30, 1e-12])
@pytest.mark.parametrize("alpha", [0.0, 1e-300, 1e-30])
@pytest.mark.parametrize("n", [40, 300])
def test_fold_in_with_hardly_a_penalty(damping, alpha, n):
    """With fewer ratings than factors the systems are singular: the shortest solution is taken."""
    model = make(rank=16, implicit_features=None).fit(X, y)
    model.set_params(alpha=alpha, alpha_bias=alpha, damping=damping)
    model.fold_in(NEWCOMERS[:n], y[:n])
    assert np.isfinite(model.predict(NEWCOMERS[:n])).all()
    assert np.abs(model.predict(NEWCOMERS[:n]) - y[:n]).mean() < np.abs(y.mean() - y[:n]).mean()


@pytest.mark.parametrize("outlier", [1e30, -1e30, 1e29, 1e100, 1e308])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_an_outlier_is_fitted_or_refused(outlier, loss):
    changed = y.copy()
    changed[7] = outlier
    if abs(outlier) > 1e31:
        with pytest.raises(ValueError, match="have a spread of"):
            make(loss=loss).fit(X, changed)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isfinite(make(loss=loss).fit(X, changed).predict(X)).all()


def test_no_threads_at_all():
    model = make().fit(X, y)
    with pytest.raises(ValueError, match="n_jobs == 0"):
        make(n_jobs=0).fit(X, y)
    model.set_params(n_jobs=0)
    calls = {
        "predict": (X,), "recommend": ([1],), "similar_items": ([1],), "similar_users": ([1],), "explain": (X,),
        "partial_fit": (X, y), "fold_in": (NEWCOMERS, y),
    }  # fmt: skip
    for method, arguments in calls.items():
        with pytest.raises(ValueError, match="n_jobs == 0"):
            getattr(model, method)(*arguments)


def test_parameters_of_a_regressor_that_there_is_not():
    with pytest.raises(ValueError, match="regressor__rank cannot be set while regressor is None"):
        MatrixFactorizationEncoder().set_params(regressor__rank=3)
    encoder = MatrixFactorizationEncoder(make()).set_params(regressor__rank=3)
    assert encoder.regressor.rank == 3
    encoder = MatrixFactorizationEncoder().set_params(regressor=make(), regressor__rank=2)
    assert encoder.regressor.rank == 2


@pytest.mark.parametrize("learning_rate", [1e-300, 1e-30])
@pytest.mark.filterwarnings("ignore:Training ended with a loss above")
def test_steps_of_contexts_that_vanish(learning_rate):
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 5, size=(19, 4)), rng.integers(1, 6, size=19).astype(float)
    weights = np.tile([1e30, 1e-30], 10)[:19]
    model = MatrixFactorizationRegressor(1, learning_rate=learning_rate, max_iter=1, random_state=0)
    assert np.isfinite(model.fit(X, y, weights).predict(X)).all()
