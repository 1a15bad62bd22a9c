"""Check that errors about ratings, weights and parameters come before any work and leave the estimator alone."""

import datetime

import numpy as np
import pandas as pd
import pytest
from helpers.four_ratings import X, Y, fit
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_mf import MatrixFactorizationRegressor


@pytest.mark.parametrize(("name", "value"), [("factors_", lambda m: m.factors_[:1]), ("biases_", lambda m: m.factors_)])
def test_parameters_that_a_user_put_in_and_do_not_fit(name, value):
    model = fit()
    setattr(model, name, value(model))
    with pytest.raises(ValueError, match="do not match categories_"):
        model.predict(X)
    model = fit()
    model.factors_ = [rows[:1] for rows in model.factors_]
    model.biases_ = [rows[:1] for rows in model.biases_]
    with pytest.raises(ValueError, match="do not match categories_"):
        model.predict(X)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([1, 2, np.nan, np.nan], "Input y contains NaN or infinity: 2 of 4 ratings, the first at row 2"),
        ([1, np.inf, 3, 4], "Input y contains NaN or infinity: 1 of 4 ratings, the first at row 1"),
        (["1", "2", "3", "4"], "y has text"),
        (np.array([1, "x", 3, 4], dtype=object), "y has text"),
        ([1, 2, 3], "inconsistent numbers of samples: 4 pairs and 3 ratings"),
        (np.ones((4, 2)), "y should be a 1d array"),
        (np.ma.array([1.0, 2, 3, 4], mask=[0, 0, 1, 0]), "1 masked ratings, the first at row 2"),
        (None, "requires y to be passed, but the target y is None"),
        ([1e-200, -1e-200, 0, 0], "spread of 7.07e-201, which is beyond single precision"),
        ([1e200, -1e200, 0, 0], "which is beyond single precision"),
    ],
)
def test_bad_ratings(bad, message):
    with pytest.raises(ValueError, match=message):
        fit(y=bad)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([1, -1, 1, 1], r"not negative: 1 of 4 weights are not, the first at row 1 \(-1.0\)"),
        ([1, 1, np.nan, 1], "must be finite .* the first at row 2"),
        ([0, 0, 0, 0], "Sample weights are all zero"),
        (["a", "b", "c", "d"], "sample_weight must be an array of numbers"),
        ([1, 1, 1], r"sample_weight.shape == \(3,\), expected \(4,\)"),
        (True, "sample_weight must be an array with a weight for each row, not True. If you mean another argument"),
        (np.array(False), "sample_weight must be an array with a weight for each row, not False"),
    ],
)
def test_bad_weights(bad, message):
    with pytest.raises(ValueError, match=message):
        fit(sample_weight=bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"rank": -1}, {"rank": 2.5}, {"learning_rate": 0}, {"schedule": "cosine"}, {"alpha": -1}, {"alpha_bias": -1},
        {"damping": -1}, {"fit_bias": "yes"}, {"max_iter": 0}, {"clip": None}, {"handle_unknown": "mean"},
        {"n_jobs": 0.5}, {"random_state": "x"}, {"verbose": -1},
    ],
    ids=str,
)  # fmt: skip
def test_bad_parameters(bad):
    name = next(iter(bad))
    with pytest.raises(InvalidParameterError, match=f"The {name!r} parameter of MatrixFactorizationRegressor"):
        MatrixFactorizationRegressor(**bad).fit(X, Y)


def test_not_fitted():
    with pytest.raises(NotFittedError):
        MatrixFactorizationRegressor().predict(X)
    assert not hasattr(MatrixFactorizationRegressor(), "user_factors_")


@pytest.mark.parametrize("failure", ["ratings", "columns", "interrupt"])
def test_a_fit_that_fails_leaves_the_estimator_as_it_was(failure, monkeypatch):
    model = fit()
    before, predictions = dict(vars(model)), model.predict(X)

    def interrupt(*arguments):
        raise KeyboardInterrupt

    if failure == "ratings":
        with pytest.raises(ValueError, match="single precision"):
            model.fit([[5, 6], [7, 8]], [1e200, -1e200])
    elif failure == "columns":
        with pytest.raises(ValueError, match="NaN"):
            model.fit([[5, 6, 7], [7, 8, 9]], [1, np.nan])
    else:
        monkeypatch.setattr("sklearn_mf._training.fit.run_schedule", interrupt)
        with pytest.raises(KeyboardInterrupt):
            model.fit([[5, 6], [7, 8]], [1, 2])
    assert vars(model) == before
    np.testing.assert_array_equal(model.predict(X), predictions)


@pytest.mark.parametrize("value", [10**400, {}, object(), datetime.date(2020, 1, 1), pd.NA])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "fold_in"])
def test_ratings_that_are_no_numbers_are_named_by_row(value, method):
    model = fit()
    with pytest.raises(ValueError, match=f"y must be an array of numbers .* row 2 has a {type(value).__name__}"):
        getattr(model, method)(X, [1, 2, value, 4])


@pytest.mark.parametrize(
    "weights", [10**400, [1, 10**400, 1, 1], [1, {}, 1, 1], [1, [2], 1, 1], np.ones(4, complex), [1, 1j, 1, 1]]
)
def test_weights_that_are_no_numbers(weights):
    with pytest.raises(ValueError, match="sample_weight must be an array of numbers"):
        MatrixFactorizationRegressor().fit(X, Y, weights)


@pytest.mark.parametrize("given", ["y", "sample_weight"])
def test_numbers_beyond_float64_are_infinite(given):
    numbers = np.array([1, 2, 3, 4], dtype=np.longdouble) * np.longdouble("1e4000")
    with pytest.raises(ValueError, match=r"infinity|must be finite"):
        MatrixFactorizationRegressor().fit(**{"X": X, "y": Y, given: numbers})
