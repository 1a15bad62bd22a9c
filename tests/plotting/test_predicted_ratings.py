"""Check what pictures of predicted against true ratings show."""

# ruff: noqa: E402

import pytest

matplotlib = pytest.importorskip("matplotlib")

import itertools

import matplotlib.pyplot as plt
import numpy as np
from helpers.drawing import MODEL, PAPER, X_TEST, Y_TEST, draw
from sklearn.metrics import root_mean_squared_error

from sklearn_mf.plotting import PredictedRatingsDisplay

pytestmark = pytest.mark.drawing


def test_each_step_of_the_ratings_gets_a_box():
    display = draw(PredictedRatingsDisplay.from_estimator(MODEL, X_TEST, Y_TEST))
    predicted = MODEL.predict(X_TEST)
    steps = np.unique(Y_TEST)
    for i, step in enumerate(steps):
        mine = predicted[step == Y_TEST]
        np.testing.assert_allclose(display.boxes_["medians"][i].get_ydata(), np.median(mine))
        np.testing.assert_allclose(display.boxes_["means"][i].get_xydata(), [[step, mine.mean()]])
        ends = [display.boxes_["caps"][j].get_ydata()[0] for j in (2 * i, 2 * i + 1)]
        inside = mine[(mine >= np.percentile(mine, 5)) & (mine <= np.percentile(mine, 95))]
        np.testing.assert_allclose(ends, [inside.min(), inside.max()])
    np.testing.assert_array_equal(display.line_.get_xydata(), [[steps[0]] * 2, [steps[-1]] * 2])
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["1", "2", "3", "4", "5"]
    rmse = root_mean_squared_error(Y_TEST, predicted)
    assert display.legend_.get_title().get_text() == f"n = 600\nRMSE = {rmse:.3f}"
    assert display.hexbin_ is None


def test_many_distinct_ratings_become_a_histogram():
    rng = np.random.default_rng(0)
    y_true = rng.normal(size=5_000)
    display = draw(PredictedRatingsDisplay.from_predictions(y_true, y_true + rng.normal(size=5_000)))
    assert display.boxes_ is None
    assert display.hexbin_.get_array().sum() == 5_000
    assert display.hexbin_.get_array().min() >= 1
    assert isinstance(display.hexbin_.norm, matplotlib.colors.LogNorm)
    np.testing.assert_array_equal(display.line_.get_xdata(), [y_true.min(), y_true.max()])
    assert display.colorbar_.ax.get_ylabel() == "Number of ratings"


def test_the_kind_can_be_chosen():
    display = PredictedRatingsDisplay.from_predictions([1, 2, 3], [1, 2, 3], kind="hexbin", hexbin_kw={"gridsize": 5})
    assert display.boxes_ is None
    display = PredictedRatingsDisplay.from_predictions(np.arange(30), np.arange(30), kind="box")
    assert len(display.boxes_["boxes"]) == 30
    with pytest.raises(ValueError, match="kind='violin' must be"):
        PredictedRatingsDisplay.from_predictions([1], [1], kind="violin")


def test_a_single_rating_can_be_drawn():
    display = draw(PredictedRatingsDisplay.from_predictions([3], [3.5]))
    assert display.legend_.get_title().get_text() == "n = 1\nRMSE = 0.500"


def test_uneven_steps_do_not_overlap():
    y_true = np.repeat([0.0, 1.0, 1.5, 10.0], 5)
    display = PredictedRatingsDisplay.from_predictions(y_true, y_true, box_kw={"notch": False}, line_kw={"c": "C3"})
    edges = [box.get_path().get_extents() for box in display.boxes_["boxes"]]
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(edges))
    assert display.line_.get_color() == "C3"


SHAPES = {
    "close": lambda y, rng: y + 0.3 * rng.normal(size=len(y)),
    "constant": lambda y, rng: 3 + 0.2 * rng.normal(size=len(y)),
    "all over": lambda y, rng: rng.uniform(0.5, 5.5, len(y)),
    "turned": lambda y, rng: 6 - y + 0.3 * rng.normal(size=len(y)),
}


@pytest.mark.parametrize("size", [None, PAPER])
@pytest.mark.parametrize("kind", ["box", "hexbin"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_legend_covers_neither_boxes_nor_points(shape, kind, size):
    rng = np.random.default_rng(0)
    y = rng.integers(1, 6, 600).astype(float)
    with plt.rc_context({"figure.figsize": size, "font.size": 8} if size else {}):
        display = draw(PredictedRatingsDisplay.from_predictions(y, SHAPES[shape](y, rng), kind=kind))
    if kind == "box":
        whiskers = [whisker.get_xydata() for whisker in display.boxes_["whiskers"]]
        boxes = [box.get_path().vertices for box in display.boxes_["boxes"]]
        points = np.concatenate(whiskers + boxes)
    else:
        points = np.column_stack([display.y_true, display.y_pred])
    points = display.ax_.transData.transform(np.vstack([points, display.line_.get_xydata()]))
    legend = display.legend_.get_window_extent()
    assert not any(legend.contains(*point) for point in points)
    assert display.ax_.get_window_extent().padded(1).contains(legend.x0, legend.y0)


def test_a_place_that_is_asked_for_is_kept():
    y = np.repeat(np.arange(1.0, 6.0), 20)
    display = PredictedRatingsDisplay.from_predictions(y, 6 - y, legend_kw={"loc": "lower right"})
    assert display.legend_._loc == 4
