"""Check what pictures of loss curves show."""

# ruff: noqa: E402

import pytest

matplotlib = pytest.importorskip("matplotlib")

import matplotlib.pyplot as plt
import numpy as np
from helpers.drawing import MODEL, PAPER, X, Y, draw
from matplotlib.text import Text

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.plotting import LossCurveDisplay

pytestmark = pytest.mark.drawing


def test_the_loss_is_drawn_by_epoch():
    display = draw(LossCurveDisplay.from_estimator(MODEL))
    np.testing.assert_array_equal(display.line_.get_xdata(), [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(display.line_.get_ydata(), MODEL.loss_curve_)
    assert display.validation_ax_ is display.best_ is display.legend_ is None
    assert all(tick == int(tick) for tick in display.ax_.get_xticks())


def test_the_best_epoch_is_marked():
    display = LossCurveDisplay(loss_curve=[3, 2, 1, 0.5], validation_scores=[0.1, 0.3, 0.2]).plot()
    draw(display)
    np.testing.assert_array_equal(display.validation_line_.get_xydata(), [[1, 0.1], [2, 0.3], [3, 0.2]])
    np.testing.assert_array_equal(display.best_.get_xydata(), [[2, 0.3]])
    assert display.text_.get_text() == "Best: 0.300, epoch 2"
    assert display.validation_ax_ is not display.ax_
    assert [text.get_text() for text in display.legend_.get_texts()] == ["Training", "Validation"]


def test_scores_of_early_stopping_are_drawn():
    model = MatrixFactorizationRegressor(rank=2, early_stopping=True, max_iter=30, random_state=0).fit(X, Y)
    display = LossCurveDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.validation_line_.get_ydata(), model.validation_scores_)
    np.testing.assert_allclose(display.best_.get_xydata(), [[model.n_iter_, model.best_validation_score_]])


@pytest.mark.parametrize("size", [None, PAPER])
def test_legend_and_text_keep_off_the_lines(size):
    epochs = np.arange(1, 31)
    with plt.rc_context({"figure.figsize": size, "font.size": 8} if size else {}):
        display = LossCurveDisplay(loss_curve=1 / epochs, validation_scores=1 - 1 / epochs).plot()
    draw(display)
    legend, text = display.legend_.get_window_extent(), Text.get_window_extent(display.text_)
    assert not legend.overlaps(text)
    for line in (display.line_, display.validation_line_):
        points = line.get_transform().transform(line.get_xydata())
        assert not any(box.contains(*point) for box in (legend, text) for point in points)


def test_one_epoch_is_seen():
    assert LossCurveDisplay(loss_curve=[1.0]).plot().line_.get_marker() == "o"


def test_keywords_reach_the_lines_under_any_of_their_names():
    kw = {"line_kw": {"lw": 5, "c": "red"}, "validation_line_kw": {"ls": ":"}, "best_kw": {"ms": 9}}
    display = LossCurveDisplay(loss_curve=[2, 1], validation_scores=[1, 2]).plot(**kw, legend_kw={"title": "Fit"})
    assert display.line_.get_linewidth() == 5
    assert display.line_.get_color() == "red"
    assert display.validation_line_.get_linestyle() == ":"
    assert display.best_.get_markersize() == 9
    assert display.legend_.get_title().get_text() == "Fit"


def test_small_differences_look_small():
    display = LossCurveDisplay(loss_curve=[0.500, 0.499, 0.4985], validation_scores=[0.8, 0.8005, 0.801]).plot()
    for ax, difference in ((display.ax_, 0.0015), (display.validation_ax_, 0.001)):
        low, high = ax.get_ylim()
        assert difference / (high - low) < 0.05
