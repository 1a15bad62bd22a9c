"""Check what pictures of predicted deviations show."""

# ruff: noqa: E402

import pytest

matplotlib = pytest.importorskip("matplotlib")

from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import sklearn
from helpers.drawing import PAPER, WITH_DEVIATIONS, X_TEST, X_TRAIN, Y_TEST, Y_TRAIN, draw
from scipy.stats import binomtest, norm
from sklearn.base import BaseEstimator
from sklearn.linear_model import BayesianRidge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mf.plotting import IntervalDisplay

pytestmark = pytest.mark.drawing

Y_PRED, Y_STD = WITH_DEVIATIONS.predict(X_TEST, return_std=True)


def ratings(n=5_000, of_std=1.0, seed=0):
    """Ratings whose deviations are known, and deviations that are ``of_std`` times those."""
    rng = np.random.default_rng(seed)
    y_pred, y_std = rng.uniform(1, 5, n), rng.uniform(0.3, 1.5, n)
    return rng.normal(y_pred, y_std), y_pred, of_std * y_std


class WithDeviations(BaseEstimator):
    """Predict the mean, and the deviation of the ratings."""

    def fit(self, X, y):
        self.mean_, self.std_ = np.mean(y), np.std(y)
        return self

    def predict(self, X, return_std=False):
        y = np.full(len(X), self.mean_)
        return (y, np.full(len(X), self.std_)) if return_std else y


class WithoutDeviations(WithDeviations):
    """Take return_std, and return no deviations."""

    def predict(self, X, return_std=False):
        return np.full(len(X), self.mean_)


@pytest.mark.parametrize(("of_std", "confidence"), [(1.0, 0.9), (1.0, 0.5), (0.5, 0.9), (2.0, 0.9)])
def test_shares_and_errors_are_those_of_the_normal_distribution(of_std, confidence):
    display = IntervalDisplay.from_predictions(*ratings(20_000, of_std), confidence=confidence)
    z = norm.ppf((1 + confidence) / 2)
    assert display.z_ == pytest.approx(z)
    expected = norm.cdf(z * of_std) - norm.cdf(-z * of_std)
    assert display.coverage_ == pytest.approx(expected, abs=0.01)
    np.testing.assert_allclose(display.by_std_.coverage, expected, atol=0.025)
    np.testing.assert_allclose(display.by_std_.predicted_rmse / display.by_std_.rmse, of_std, rtol=0.05)
    assert display.predicted_rmse_ / display.rmse_ == pytest.approx(of_std, rel=0.03)


def test_tables_are_those_of_a_plain_loop():
    rows = np.vstack([X_TEST, [[10_000, X_TEST[0, 1]]]])
    y_true, y_pred, y_std = np.append(Y_TEST, 9.0), np.append(Y_PRED, 3.0), np.append(Y_STD, 0.7)
    display = IntervalDisplay.from_predictions(y_true, y_pred, y_std, X=rows, X_train=X_TRAIN, n_bins=4)
    of_user, of_item = (Counter(X_TRAIN[:, column].tolist()) for column in (0, 1))
    values = {
        "by_std_": y_std,
        "by_user_": np.array([of_user[id_] for id_ in rows[:, 0].tolist()]),
        "by_item_": np.array([of_item[id_] for id_ in rows[:, 1].tolist()]),
    }
    for name, of_rows in values.items():
        table, n_seen = getattr(display, name), 0
        assert (table.first[1:] > table.last[:-1]).all()
        for first, last, n, predicted, rmse, coverage in zip(*pd.DataFrame(table).to_numpy().T, strict=True):
            mine = [i for i, value in enumerate(of_rows) if first <= value <= last]
            inside = [abs(y_true[i] - y_pred[i]) <= 1.6448536269514722 * y_std[i] for i in mine]
            assert n == len(mine)
            assert predicted == pytest.approx(np.sqrt(np.mean([y_std[i] ** 2 for i in mine])))
            assert rmse == pytest.approx(np.sqrt(np.mean([(y_true[i] - y_pred[i]) ** 2 for i in mine])))
            assert coverage == pytest.approx(np.mean(inside))
            n_seen += n
        assert n_seen == len(rows)
    assert display.by_user_.last[0] == 0
    assert display.by_user_.n_ratings[0] == 1
    assert display.by_user_.first.dtype == np.int64
    np.testing.assert_array_equal(display.by_std_.n_ratings, [150, 150, 150, 151])


def test_the_picture_shows_the_tables():
    display = draw(IntervalDisplay.from_predictions(Y_TEST, Y_PRED, Y_STD, X=X_TEST, X_train=X_TRAIN))
    points, _, (bars,) = display.errorbars_[0]
    np.testing.assert_allclose(points.get_xdata(), display.by_std_.predicted_rmse)
    np.testing.assert_allclose(points.get_ydata(), display.by_std_.rmse)
    assert len(bars.get_segments()) == 5
    errorbars = display.errorbars_[1:]
    for errorbar, table in zip(errorbars, (display.by_std_, display.by_item_, display.by_user_), strict=True):
        np.testing.assert_allclose(errorbar[0].get_ydata(), 100 * table.coverage)
        for segment, share, n in zip(errorbar[2][0].get_segments(), table.coverage, table.n_ratings, strict=True):
            interval = binomtest(round(share * n), n).proportion_ci(method="wilson")
            np.testing.assert_allclose(segment[:, 1], 100 * np.array([interval.low, interval.high]), atol=0.01)
    np.testing.assert_allclose(errorbars[0][0].get_xdata(), np.array([10, 30, 50, 70, 90]) - 4.5)
    diagonal, asked, of_all = display.lines_
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    assert display.axes_[0].get_xlim() == display.axes_[0].get_ylim()
    assert asked.get_ydata()[0] == pytest.approx(90)
    assert of_all.get_ydata()[0] == pytest.approx(100 * display.coverage_)
    texts = [text.get_text() for text in display.legends_[1].get_texts()]
    assert texts == [
        "Asked for: 90 %",
        f"All: {100 * display.coverage_:.1f} %",
        "By deviation",
        "By item",
        "By user",
    ]
    assert display.legends_[0].get_title().get_text() == "n = 600"


@pytest.mark.parametrize("size", [None, PAPER])
def test_the_legend_covers_no_share(size):
    with plt.rc_context({"figure.figsize": size, "font.size": 8} if size else {}):
        display = IntervalDisplay.from_predictions(Y_TEST, Y_PRED, Y_STD, X=X_TEST, X_train=X_TRAIN)
        draw(display)
    ax, legend = display.axes_[1], display.legends_[1].get_window_extent()
    assert ax.get_window_extent().padded(1).contains(legend.x1, legend.y1)
    ends = np.concatenate([bars.get_segments() for _, _, (bars,) in display.errorbars_[1:]]).reshape(-1, 2)
    assert not any(legend.contains(*end) for end in ax.transData.transform(ends))
    heights = ax.transData.transform([[0, line.get_ydata()[0]] for line in display.lines_[1:]])[:, 1]
    assert not any(legend.y0 < height < legend.y1 for height in heights)
    first, of_first = display.axes_[0], display.legends_[0].get_window_extent()
    ends = np.concatenate([*display.errorbars_[0][2][0].get_segments(), display.lines_[0].get_xydata()])
    assert not any(of_first.contains(*end) for end in first.transData.transform(ends))
    for panel, of_panel in zip(display.axes_, display.legends_, strict=True):
        assert of_panel.get_window_extent().width <= panel.get_window_extent().width


def test_axes_are_wide_and_shares_end_at_a_hundred_percent():
    """So that a difference of one percent looks like one, also where a bin has few ratings."""
    y_true, y_pred, y_std = ratings(2_000)
    counts = np.append(0, np.full(1_999, 7))
    for given in ({}, {"item_counts": counts, "user_counts": counts}, {"confidence": 0.05}, {"confidence": 0.999}):
        display = IntervalDisplay(y_true=y_true, y_pred=y_pred, y_std=y_std, **given).plot()
        draw(display)
        low, high = display.axes_[1].get_ylim()
        assert high - low >= 39.9
        assert high <= 101
        assert low >= -2 or given
        ticks = display.axes_[1].get_yticks()
        assert ((ticks >= 0) & (ticks <= 100)).all()
        assert len([tick for tick in ticks if low <= tick <= high]) >= 3
    bottom, top = IntervalDisplay(y_true=y_true, y_pred=y_pred, y_std=y_std * 0 + 1.0).plot().ax_.get_ylim()
    assert top - bottom >= 0.1


def test_intervals_of_the_errors_are_those_of_errors_by_activity():
    display = IntervalDisplay.from_predictions(*ratings(500), n_bins=1)
    e2 = (display.y_true - display.y_pred) ** 2
    half = 1.96 * np.std(e2, ddof=1) / np.sqrt(500) / (2 * display.rmse_)
    (segment,) = display.errorbars_[0][2][0].get_segments()
    np.testing.assert_allclose(segment[:, 1], [display.rmse_ - half, display.rmse_ + half])


@pytest.mark.parametrize("n", [1, 2, 7])
def test_few_ratings_can_be_drawn(n):
    display = draw(IntervalDisplay.from_predictions(*ratings(n)))
    assert display.by_std_.n_ratings.sum() == n
    assert len(display.by_std_.n_ratings) == min(n, 5)


def test_right_predictions_can_be_drawn():
    y = np.arange(20.0)
    display = draw(IntervalDisplay.from_predictions(y, y, np.full(20, 1e-9)))
    assert display.rmse_ == 0
    assert display.coverage_ == 1


def test_equal_deviations_stay_together():
    y = np.arange(100.0)
    display = draw(IntervalDisplay.from_predictions(y, y + 1, np.ones(100)))
    np.testing.assert_array_equal(display.by_std_.n_ratings, [100])
    display = IntervalDisplay.from_predictions(y, y + 1, np.repeat([1.0, 2.0], [70, 30]))
    np.testing.assert_array_equal(display.by_std_.n_ratings, [70, 30])


def test_estimators_pipelines_and_searches():
    given = {"X": X_TEST, "y": Y_TEST, "X_train": X_TRAIN}
    expected = IntervalDisplay.from_predictions(Y_TEST, Y_PRED, Y_STD, X=X_TEST, X_train=X_TRAIN)
    direct = IntervalDisplay.from_estimator(WITH_DEVIATIONS, **given)
    search = GridSearchCV(BayesianRidge(), {"alpha_1": [1e-6]}, cv=2).fit(X_TRAIN, Y_TRAIN)
    for display in (direct, IntervalDisplay.from_estimator(search, **given)):
        np.testing.assert_array_equal(display.y_std, Y_STD)
        for name in ("by_std_", "by_item_", "by_user_"):
            np.testing.assert_equal(dict(getattr(display, name)), dict(getattr(expected, name)))
    pipeline = make_pipeline(StandardScaler(), BayesianRidge())
    for model in (pipeline, GridSearchCV(pipeline, {"bayesianridge__alpha_1": [1e-6]}, cv=2)):
        display = IntervalDisplay.from_estimator(model.fit(X_TRAIN, Y_TRAIN), X_TEST, Y_TEST)
        inner = getattr(model, "best_estimator_", model)
        np.testing.assert_array_equal(
            display.y_std, inner[-1].predict(inner[:-1].transform(X_TEST), return_std=True)[1]
        )
        assert display.by_item_ is display.by_user_ is None
        assert len(display.errorbars_) == 2


def test_pipelines_with_metadata_routing():
    with sklearn.config_context(enable_metadata_routing=True):
        model = WithDeviations().set_predict_request(return_std=True)
        pipeline = make_pipeline(StandardScaler(), model).fit(X_TRAIN, Y_TRAIN)
        display = IntervalDisplay.from_estimator(pipeline, X_TEST, Y_TEST)
    assert display.predicted_rmse_ == pytest.approx(np.std(Y_TRAIN))


def test_frames_are_matched_by_name():
    train = pd.DataFrame(X_TRAIN, columns=["user", "item"])
    test = pd.DataFrame(X_TEST, columns=["user", "item"])
    model = WithDeviations().fit(train, Y_TRAIN)
    expected = IntervalDisplay.from_estimator(model, X_TEST, Y_TEST, X_train=X_TRAIN)
    display = IntervalDisplay.from_estimator(model, test, Y_TEST, X_train=train.iloc[:, ::-1])
    np.testing.assert_array_equal(display.item_counts, expected.item_counts)
    np.testing.assert_array_equal(display.user_counts, expected.user_counts)


def test_estimators_without_deviations_are_refused():
    model = WithoutDeviations().fit(X_TRAIN, Y_TRAIN)
    with pytest.raises(TypeError, match="of WithoutDeviations returned a ndarray, but IntervalDisplay needs a tuple"):
        IntervalDisplay.from_estimator(model, X_TEST, Y_TEST)
    with pytest.raises(ValueError, match="give both or none"):
        IntervalDisplay.from_predictions(Y_TEST, Y_PRED, Y_STD, X=X_TEST)
    assert plt.get_fignums() == []
