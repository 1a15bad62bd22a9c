"""Each error says what, where and what to do, and is raised before any work."""

from datetime import datetime, timezone

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_mf import MatrixFactorizationRegressor

X = [[1, 10], [2, 20], [1, 20], [3, 10]]
Y = [1.0, 2.0, 3.0, 4.0]


def fit(X=X, y=Y, sample_weight=None, **parameters):
    return MatrixFactorizationRegressor(rank=2, random_state=0, **parameters).fit(X, y, sample_weight)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            np.array([[1.0, 2], [3, np.nan]]),
            r"NaN, infinite or missing ids in column 1 of X: 1 of 2 rows, the first at row 1",
        ),
        (
            np.array([[1.0, 2], [np.inf, 4]]),
            r"NaN, infinite or missing ids in column 0 of X: 1 of 2 rows, the first at row 1",
        ),
        ([[None, 2], [3, 4]], "missing ids in column 0 of X: 1 of 2 rows, the first at row 0"),
        ([["a", 2], [float("nan"), 4]], "missing ids in column 0 of X: 1 of 2 rows, the first at row 1"),
        ([["a", 2], [pd.NA, 4]], "missing ids in column 0"),
        (np.array([["2024", "2025"], ["NaT", "2024"]], dtype="datetime64[D]"), "missing ids in column 0"),
        (pd.DataFrame({"u": ["a", None], "i": [1, 2]}), r"missing ids in column 0 \('u'\)"),
        (pd.DataFrame({"u": pd.Categorical(["a", None]), "i": [1, 2]}), r"missing ids in column 0 \('u'\)"),
        (pd.DataFrame({"u": [1, 2], "i": pd.array([1, None], dtype="Int64")}), r"missing ids in column 1 \('i'\)"),
        (pd.DataFrame({"u": [1, 2], "i": pd.to_datetime(["2024", None])}), r"missing ids in column 1 \('i'\)"),
        (pl.DataFrame({"u": ["a", None], "i": [1, 2]}), r"missing ids in column 0 \('u'\)"),
        (pl.DataFrame({"u": [1.0, float("nan")], "i": [1, 2]}), r"missing ids in column 0 \('u'\)"),
        (
            [[1, "a"], ["b", "c"]],
            r"Column 0 of X mixes ids of different kinds.*number \(1\), text \('b'\).*astype\(str\)",
        ),
        (
            [[datetime(2024, 1, 1), 1], [datetime(2024, 1, 1, tzinfo=timezone.utc), 2]],
            "Column 0 of X mixes datetimes with and without a time zone",
        ),
        (
            np.ma.array([[1, 2], [3, 4]], mask=[[0, 0], [0, 1]]),
            "missing ids in column 1 of X: 1 of 2 rows, the first at row 1",
        ),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["u", "u"]), "Names of columns of X repeat"),
        ([[2**64, 1], [1, 2]], "Column 0 of X has integers beyond 64 bits; convert the column to text"),
        ([[1, 2], [1, 2, 3]], "Row 1 of X has 3 values and row 0 has 2"),
        ([1, 2], "Expected 2D array, got 1D array instead.*Reshape your data"),
        (np.zeros((2, 2, 2)), "Expected 2D array, got 3D array"),
        ([[1], [2]], r"1 feature\(s\) \(shape=\(2, 1\)\) while a minimum of 2 is required"),
        (pd.DataFrame({"u": [1, 2]}), r"1 feature\(s\)"),
        (np.empty((0, 2)), r"0 sample\(s\) \(shape=\(0, 2\)\) while a minimum of 1 is required"),
        (pd.DataFrame({"u": [], "i": []}), r"0 sample\(s\)"),
        ([], "Expected 2D array"),
        (np.array([[1j, 2], [3, 4]]), "Complex data not supported"),
    ],
)
def test_bad_ids(bad, message):
    with pytest.raises(ValueError, match=message):
        fit(bad, [1.0, 2.0])


def test_lazy_frames_are_to_be_collected():
    with pytest.raises(TypeError, match=r"give `X.collect\(\)`"):
        fit(pl.LazyFrame({"u": [1, 2], "i": [3, 4]}), [1.0, 2.0])


@pytest.mark.parametrize(("name", "value"), [("factors_", lambda m: m.factors_[:1]), ("biases_", lambda m: m.factors_)])
def test_parameters_that_a_user_put_in_and_do_not_fit(name, value):
    model = fit()
    setattr(model, name, value(model))
    with pytest.raises(ValueError, match="do not fit categories_"):
        model.predict(X)
    model = fit()
    model.factors_ = [rows[:1] for rows in model.factors_]
    model.biases_ = [rows[:1] for rows in model.biases_]
    with pytest.raises(ValueError, match="do not fit categories_"):
        model.predict(X)


@pytest.mark.parametrize("bad", [np.array([["1", "2"], ["3", "4"]], dtype="m8[s]"), [[1, {2}], [3, 4]]])
def test_ids_that_are_neither_number_nor_text(bad):
    with pytest.raises(TypeError, match=r"Column \d of X: argument must be a string or a number"):
        fit(bad, [1.0, 2.0])


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix, sparse.coo_array])
def test_sparse_input_names_the_helper(container):
    matrix = container([[1, 0], [0, 2]])
    with pytest.raises(TypeError, match=r"Sparse X is not supported .*pairs_from_sparse\(matrix\)"):
        fit(matrix, [1.0, 2.0])
    with pytest.raises(TypeError, match="pairs_from_sparse"):
        fit().predict(matrix)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([1, 2, np.nan, np.nan], "Input y contains NaN or infinity: 2 of 4 ratings, the first at row 2"),
        ([1, np.inf, 3, 4], "Input y contains NaN or infinity: 1 of 4 ratings, the first at row 1"),
        (["1", "2", "3", "4"], "y holds text"),
        (np.array([1, "x", 3, 4], dtype=object), "y holds text"),
        ([1, 2, 3], "inconsistent numbers of samples: 4 pairs and 3 ratings"),
        (np.ones((4, 2)), "y should be a 1d array"),
        (np.ma.array([1.0, 2, 3, 4], mask=[0, 0, 1, 0]), "1 masked ratings, the first at row 2"),
        (None, "requires y to be passed, but the target y is None"),
        ([1e-200, -1e-200, 0, 0], "spread by 7.07e-201, beyond what factors"),
        ([1e200, -1e200, 0, 0], "beyond what factors in single precision hold"),
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


def test_unknown_ids_as_errors_say_which_and_how_many():
    model = fit(handle_unknown="error")
    model.predict(X)
    with pytest.raises(ValueError, match=r"in 2 of 3 rows: 1 in column 0 of X \(7\); 2 in column 1 of X \(30, 40\)"):
        model.predict([[1, 10], [7, 30], [2, 40]])


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
        monkeypatch.setattr("sklearn_mf._training.fit.follow_path", interrupt)
        with pytest.raises(KeyboardInterrupt):
            model.fit([[5, 6], [7, 8]], [1, 2])
    assert vars(model) == before
    np.testing.assert_array_equal(model.predict(X), predictions)
