"""Check prequential evaluation: each batch is predicted by what was learned from those before."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers.splitting import UTC, small_model
from sklearn.base import BaseEstimator
from sklearn.linear_model import BayesianRidge, SGDRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mf.model_selection import prequential_predict


class RunningMean(BaseEstimator):
    """Predict the weighted mean of what was learned from; the deviation is the number of batches."""

    def fit(self, X, y, sample_weight=None):
        self.batches_ = []
        return self.partial_fit(X, y, sample_weight)

    def partial_fit(self, X, y, sample_weight=None):
        y = np.asarray(y, dtype=float)
        weights = np.ones(len(y)) if sample_weight is None else sample_weight
        assert len(X) == len(y) == len(weights)
        self.batches_ = [*getattr(self, "batches_", []), (y, weights)]
        return self

    def predict(self, X, return_std=False):
        y, weights = (np.concatenate(parts) for parts in zip(*self.batches_, strict=True))
        mean = np.full(len(X), np.average(y, weights=weights))
        std = np.full(len(X), float(len(self.batches_)))
        return (mean, std if return_std is True else -std) if return_std else mean


PAIRS = [[1, 1], [1, 2], [2, 1], [2, 2], [3, 1]]
Y = [1.0, 2.0, 3.0, 4.0, 5.0]


def test_batches_of_a_size():
    result = prequential_predict(RunningMean(), PAIRS, Y, batch_size=2)
    np.testing.assert_array_equal(result.y_pred, [np.nan, np.nan, 1.5, 1.5, 2.5])
    np.testing.assert_array_equal(result.batches, [0, 2, 4])
    np.testing.assert_array_equal(result.batch_of_rows, [0, 0, 1, 1, 2])
    assert [len(y) for y, _ in result.estimator.batches_] == [2, 2, 1]
    assert "y_std" not in result
    assert np.isnan(result.predict_seconds[0])
    assert (result.predict_seconds[1:] >= 0).all()
    assert (result.learn_seconds >= 0).all()
    one = prequential_predict(RunningMean(), PAIRS, Y, batch_size=2**70)
    np.testing.assert_array_equal(one.batches, [0])


def test_a_fitted_estimator_predicts_the_first_batch_and_learns_nothing():
    model = RunningMean().fit([[0, 0]], [7.0])
    result = prequential_predict(model, PAIRS, Y, batch_size=2, return_std=True)
    np.testing.assert_allclose(result.y_pred, [7, 7, 10 / 3, 10 / 3, 17 / 5])
    np.testing.assert_array_equal(result.y_std, [1, 1, 2, 2, 3])
    assert len(model.batches_) == 1
    assert len(result.estimator.batches_) == 4
    assert np.isfinite(result.predict_seconds).all()


def test_what_return_std_is_reaches_predict():
    result = prequential_predict(RunningMean(), PAIRS, Y, batch_size=2, return_std="mean")
    np.testing.assert_array_equal(result.y_std, [np.nan, np.nan, -1, -1, -2])


DAYS = ["2024-03-02", "2024-03-01", "2024-03-02", "2024-02-29", "2024-03-01"]
ZONE = datetime.timezone(datetime.timedelta(hours=2))
LABELS = [
    [2, 1, 2, 0, 1],
    np.array([2, 1, 2, 0, 1]) / 4,
    np.array(DAYS, dtype="M8[D]"),
    pd.Series(pd.to_datetime(DAYS)),
    pd.Series(pd.to_datetime(DAYS)).dt.tz_localize("Europe/Rome"),
    pl.Series(DAYS).str.to_date(),
    pl.Series(DAYS).to_frame().select(pl.col("").str.to_date()).to_arrow().column(0),
    [datetime.date.fromisoformat(day) for day in DAYS],
    [datetime.datetime.fromisoformat(day).replace(tzinfo=UTC if day[-1] == "2" else ZONE) for day in DAYS],
]


@pytest.mark.parametrize("batches", LABELS, ids=range(len(LABELS)))
def test_batches_by_label_come_in_order(batches):
    result = prequential_predict(RunningMean(), PAIRS, Y, batches=batches)
    np.testing.assert_array_equal(result.batch_of_rows, [2, 1, 2, 0, 1])
    np.testing.assert_allclose(result.y_pred, [11 / 3, 4, 11 / 3, np.nan, 4])
    assert (np.diff(result.batches).astype(float) > 0).all()
    assert [y.tolist() for y, _ in result.estimator.batches_] == [[4], [2, 5], [1, 3]]


def test_weights_are_cut_and_a_batch_without_weight_is_not_learned():
    weights = [1, 3, 0, 0, 2]
    result = prequential_predict(RunningMean(), PAIRS, Y, batch_size=2, sample_weight=weights)
    np.testing.assert_allclose(result.y_pred, [np.nan, np.nan, 1.75, 1.75, 1.75])
    assert [w.tolist() for _, w in result.estimator.batches_] == [[1, 3], [2]]
    assert np.isnan(result.learn_seconds[1])
    result = prequential_predict(RunningMean(), PAIRS, Y, batch_size=1, sample_weight=[0, 1, 0, 0, 1])
    np.testing.assert_allclose(result.y_pred, [np.nan, np.nan, 2, 2, 2])


def test_the_regressor_is_that_of_a_loop(data):
    X, y, times = data
    known = times < 50
    model = small_model().fit(X[known], y[known])
    before = model.predict(X)
    result = prequential_predict(model, X[~known], y[~known], batches=times[~known] // 10)
    np.testing.assert_array_equal(model.predict(X), before)
    by_hand = small_model().fit(X[known], y[known])
    for decade in range(5, 10):
        rows = times // 10 == decade
        np.testing.assert_array_equal(result.y_pred[rows[~known]], by_hand.predict(X[rows]))
        by_hand.partial_fit(X[rows], y[rows])
    np.testing.assert_array_equal(result.estimator.predict(X), by_hand.predict(X))


def test_tables_make_no_difference(data):
    X, y, times = data
    expected = prequential_predict(small_model(), X, y, batches=times // 20).y_pred
    frame = pd.DataFrame(X, columns=["user", "item"], index=np.random.default_rng(0).permutation(len(X)))
    tables = {
        "lists": (X.tolist(), y.tolist()),
        "pandas": (frame, pd.Series(y, index=frame.index)),
        "categories": (frame.astype("category"), y),
        "polars": (pl.from_pandas(frame), pl.Series(y)),
        "arrow": (pl.from_pandas(frame).to_arrow(), pl.Series(y).to_arrow()),
    }
    for name, (X_, y_) in tables.items():
        result = prequential_predict(small_model(), X_, y_, batches=times // 20)
        np.testing.assert_array_equal(result.y_pred, expected, err_msg=name)


def test_frames_stay_frames():
    class Named(RunningMean):
        def partial_fit(self, X, y, sample_weight=None):
            assert isinstance(X, pd.DataFrame)
            self.feature_names_in_ = np.array(X.columns)
            return super().partial_fit(X, y)

    prequential_predict(Named(), pd.DataFrame(PAIRS, columns=["user", "item"]), Y, batch_size=2)


def test_estimators_of_scikit_learn():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    y = X @ [1.0, 2.0, 3.0]
    result = prequential_predict(SGDRegressor(random_state=0), X, y, batch_size=100)
    rmse = [np.sqrt(np.mean((y - result.y_pred)[result.batch_of_rows == batch] ** 2)) for batch in range(1, 6)]
    assert (np.diff(rmse) < 0).all()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"batch_size": None}, ValueError, "Give either batch_size"),
        ({"batches": [1] * 5}, ValueError, "Give either batch_size"),
        ({"batch_size": 0}, ValueError, "batch_size == 0, must be >= 1"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be an instance of int"),
        ({"batch_size": 0.5}, TypeError, "batch_size must be an int, at least 1"),
        ({"batch_size": None, "batches": [1, 2]}, ValueError, "inconsistent numbers of samples: 2 values and 5 rows"),
        ({"batch_size": None, "batches": DAYS}, ValueError, "batches has text"),
        ({"batch_size": None, "batches": [1, 2, 3, 4, np.nan]}, ValueError, "batches has missing or infinite values"),
        ({"y": Y[:-1]}, ValueError, "inconsistent numbers of samples"),
        ({"y": [1.0, 2.0, np.nan, 4.0, 5.0]}, ValueError, "Input y contains NaN or infinity: 1 of 5 ratings"),
        ({"X": [], "y": []}, ValueError, "X has no rows"),
        ({"X": dict.fromkeys("abcde")}, TypeError, "X must be an array, a list or a data frame, not dict"),
        ({"sample_weight": [1.0]}, ValueError, r"sample_weight.shape == \(1,\), expected \(5,\)"),
        ({"sample_weight": [0] * 5}, ValueError, "all zero"),
        ({"estimator": BayesianRidge()}, TypeError, "BayesianRidge does not have both.$"),
        ({"estimator": make_pipeline(StandardScaler(), SGDRegressor())}, TypeError, "Give the inner estimator"),
        ({"estimator": GridSearchCV(SGDRegressor(), {})}, TypeError, "Give the inner estimator"),
        ({"estimator": RunningMean}, TypeError, r"the class RunningMean. Give an instance: RunningMean\(\)"),
        (
            {"estimator": SGDRegressor(), "return_std": True},
            TypeError,
            r"prequential_predict needs predict\(X, return_std=True\), but SGDRegressor does not have it",
        ),
    ],
)
def test_what_is_refused(given, error, message):
    given = {"estimator": RunningMean(), "X": PAIRS, "y": Y, "batch_size": 2, **given}
    with pytest.raises(error, match=message):
        prequential_predict(**given)


def test_labels_of_pandas_in_another_order_are_refused():
    frame = pd.DataFrame(PAIRS, columns=["user", "item"])
    batches = pd.Series([1, 1, 2, 2, 3], index=[4, 3, 2, 1, 0])
    with pytest.raises(ValueError, match=r"batches and X have the same index labels .* Give batches.loc\[X.index\] if"):
        prequential_predict(RunningMean(), frame, Y, batches=batches)
    batches = pd.Series([1, 1, 2, 2, 3], index=range(5, 10))
    with pytest.raises(ValueError, match=r"batches and X have different index labels.*batches\.iloc\[train\]"):
        prequential_predict(RunningMean(), frame, Y, batches=batches)
