"""Check what all displays have in common: axes, figures, keywords and the estimators that they take."""

# ruff: noqa: E402

import pytest

matplotlib = pytest.importorskip("matplotlib")

import copy
import doctest
import importlib
import pkgutil
import re

import matplotlib.pyplot as plt
import numpy as np
from helpers.drawing import DRAWN, PAPER, X, Y, draw
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from sklearn_mf import MatrixFactorizationRegressor, plotting
from sklearn_mf.plotting import (
    ErrorByActivityDisplay,
    IntervalDisplay,
    ItemMapDisplay,
    LossCurveDisplay,
    PredictedRatingsDisplay,
    SearchHeatMapDisplay,
)

pytestmark = pytest.mark.drawing


def axes_for(name, figure):
    """What a display takes as ``ax``, and axes beside it."""
    first, second, other = figure.subplots(1, 3)
    return [first, second] if name in ("activity", "intervals") else first, first, other


@pytest.mark.parametrize("part", [lambda figure: figure, lambda figure: figure.subfigures(1, 2)[0]], ids=["", "sub"])
@pytest.mark.parametrize("name", DRAWN)
def test_a_display_draws_into_the_axes_given_and_returns_itself(name, part):
    whole = plt.figure(layout="constrained", figsize=(12, 5))
    figure = part(whole)
    given, ax, other = axes_for(name, figure)
    display = DRAWN[name](ax=given)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert not other.has_data()
    assert plt.get_fignums() == [whole.number]
    draw(display)
    assert display.plot() is display
    assert display.ax_ is not ax
    assert display.ax_.get_title() == ""
    draw(display)


@pytest.mark.parametrize("name", DRAWN)
def test_figures_without_pyplot_do(name):
    draw(DRAWN[name](ax=axes_for(name, matplotlib.figure.Figure())[0]))
    assert plt.get_fignums() == []


@pytest.mark.parametrize("size", [None, PAPER])
@pytest.mark.parametrize("make", DRAWN.values(), ids=DRAWN)
def test_everything_lies_within_the_figure(make, size):
    with plt.rc_context({"figure.figsize": size, "font.size": 8} if size else {}):
        display = draw(make())
    figure = display.figure_.bbox
    for ax in display.figure_.axes:
        box = ax.get_tightbbox()
        assert figure.padded(1).contains(*box.min)
        assert figure.padded(1).contains(*box.max)


KEYWORDS = {
    "loss": {
        "line_kw": [{"lw": 5}, {"c": "red", "marker": "s"}],
        "validation_line_kw": [{"ls": ":"}],
        "best_kw": [{"ms": 9, "mfc": "none"}],
        "legend_kw": [{"ncol": 1}, {"ncols": 1}, {"handles": []}, {"loc": "best"}],
    },
    "map": {
        "scatter_kw": [
            *({name: "red"} for name in ("color", "c", "facecolors", "fc", "edgecolors", "edgecolor", "ec")),
            {"lw": 1}, {"linewidths": 1}, {"marker": "x"}, {"s": 99}, {"cmap": "Greys", "vmin": -9}, {"alpha": 0.5},
            {"c": np.arange(80.0)},
        ],
        "text_kw": [
            {"arrowprops": None}, {"arrowprops": {"lw": 2}}, {"arrowprops": {"color": "red"}}, {"size": 4},
            {"c": "red", "weight": "bold"}, {"path_effects": None}, {"bbox": {"fc": "red"}}, {"rotation": 30},
        ],
    },
    "predicted": {
        "box_kw": [
            {"patch_artist": False}, {"patch_artist": None}, {"boxprops": {"lw": 2}}, {"boxprops": {"color": "red"}},
            {"boxprops": {"fc": "red", "ec": "blue"}}, {"medianprops": {"c": "red"}}, {"meanprops": {"mfc": "red"}},
            {"showmeans": False}, {"showfliers": True, "flierprops": {"ms": 2}}, {"whiskerprops": {"ls": ":"}},
            {"patch_artist": False, "boxprops": {"c": "red"}}, {"showbox": False}, {"notch": True},
        ],
        "line_kw": [{"c": "C3"}, {"ls": ":"}],
        "legend_kw": [{"title": "Fit"}, {"handles": []}, {"loc": "best"}],
    },
    "hexbin": {
        "hexbin_kw": [
            {"gridsize": 5}, {"lw": 1}, {"linewidths": 1}, {"ec": "red"}, {"cmap": "viridis"}, {"bins": None},
            {"norm": matplotlib.colors.LogNorm()}, {"mincnt": 2}, {"vmin": 1, "vmax": 100},
        ],
        "line_kw": [{"c": "C3", "path_effects": None}],
    },
    "activity": {
        "errorbar_kw": [{"fmt": "s"}, {"fmt": "rs-"}, {"fmt": "none"}, {"ls": "-"}, {"c": "red"}, {"mfc": "red"}],
        "bar_kw": [{"fc": "red"}, {"facecolor": "red"}, {"color": "red"}, {"ec": "red", "lw": 1}, {"label": "n"}],
        "line_kw": [{"c": "red"}, {"lw": 4}, {"label": "Mean"}],
        "text_kw": [{"size": 3}, {"c": "red"}, {"va": "top", "ha": "left"}],
    },
    "intervals": {
        "errorbar_kw": [{"fmt": "s"}, {"fmt": "none"}, {"ls": "-"}, {"c": "red"}, {"mfc": "red"}],
        "line_kw": [{"c": "red"}, {"lw": 4}, {"label": "Right"}],
        "legend_kw": [{"title": "Fit"}, {"handles": []}, {"loc": "best"}, {"fontsize": 4}, {"ncol": 2}],
    },
    "search": {
        "imshow_kw": [{"cmap": "Greys"}, {"vmin": 0, "vmax": 9}, {"origin": "upper"}],
        "text_kw": [{"size": 3}, {"c": "red"}, {"ha": "left"}, {"fontproperties": "monospace:size=4"}],
        "best_kw": [{"ec": "red"}, {"color": "red"}, {"lw": 3}, {"ls": ":"}, {"fill": True, "fc": "none"}],
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "keyword", "value"),
    [(name, keyword, value) for name in KEYWORDS for keyword, values in KEYWORDS[name].items() for value in values],
    ids=lambda value: re.sub(r" object at 0x\w+", "", str(value)),  # no address: workers agree on ids
)
def test_keywords_of_matplotlib_are_taken_under_all_their_names(name, keyword, value):
    before = copy.deepcopy(value) if keyword != "hexbin_kw" else dict(value)
    if name == "loss":
        draw(LossCurveDisplay(loss_curve=[3, 2, 1], validation_scores=[1, 3, 2]).plot(**{keyword: value}))
    else:
        draw(DRAWN[name](ax=axes_for(name, matplotlib.figure.Figure())[0], **{keyword: value}))
    np.testing.assert_equal(value, before)


@pytest.mark.parametrize("name", ["fc", "facecolor", "facecolors", "color", "c"])
def test_points_get_the_color_that_is_asked_for(name):
    display = DRAWN["map"](scatter_kw={name: "red"})
    assert display.colorbar_ is None
    np.testing.assert_allclose(display.scatter_.get_facecolor(), [[1, 0, 0, 1]])


def test_colors_of_edges_and_lines_are_those_asked_for():
    rings = DRAWN["map"](scatter_kw={"ec": "red", "lw": 2}).scatter_
    np.testing.assert_allclose(rings.get_edgecolor(), [[1, 0, 0, 1]])
    np.testing.assert_allclose(rings.get_linewidth(), [2])
    box = DRAWN["predicted"](box_kw={"boxprops": {"color": "red"}}).boxes_["boxes"][0]
    assert box.get_edgecolor() == (1, 0, 0, 1)
    assert box.get_facecolor()[:3] == pytest.approx([0.85] * 3)
    assert DRAWN["predicted"](box_kw={"patch_artist": False}).boxes_["boxes"][0].get_color() == (0, 0, 0)
    assert DRAWN["activity"](errorbar_kw={"fmt": "s"}).errorbars_[0][0].get_marker() == "s"
    assert DRAWN["loss"]().plot(legend_kw={"ncol": 1}).ax_
    assert LossCurveDisplay(loss_curve=[1], validation_scores=[1]).plot(legend_kw={"ncol": 1}).legend_._ncols == 1


@pytest.mark.parametrize("name", ["ha", "verticalalignment", "xytext"])
def test_places_of_labels_are_not_for_the_caller(name):
    with pytest.raises(ValueError, match=r"text_kw has .*: the display chooses the positions of labels"):
        DRAWN["map"](text_kw={name: "center"})
    assert plt.get_fignums() == []


def test_unfitted_estimators_are_refused():
    unfitted = MatrixFactorizationRegressor()
    for call in (
        lambda: LossCurveDisplay.from_estimator(unfitted),
        lambda: ItemMapDisplay.from_estimator(unfitted),
        lambda: PredictedRatingsDisplay.from_estimator(unfitted, X, Y),
        lambda: ErrorByActivityDisplay.from_estimator(unfitted, X, Y, X_train=X),
        lambda: IntervalDisplay.from_estimator(unfitted, X, Y),
        lambda: SearchHeatMapDisplay.from_search(GridSearchCV(unfitted, {"rank": [1]})),
    ):
        with pytest.raises(NotFittedError):
            call()
    assert plt.get_fignums() == []


def test_other_estimators_are_refused():
    ridge = Ridge().fit(X, Y)
    with pytest.raises(AttributeError, match="LossCurveDisplay needs loss_curve_, but Ridge does not have it"):
        LossCurveDisplay.from_estimator(ridge)
    with pytest.raises(AttributeError, match="categories_, item_factors_, item_biases_, but Ridge does not have it"):
        ItemMapDisplay.from_estimator(make_pipeline(ridge))
    with pytest.raises(TypeError, match=r"needs predict\(X, return_std=True\), but Ridge does not have it"):
        IntervalDisplay.from_estimator(make_pipeline(StandardScaler(), ridge).fit(X, Y), X, Y)
    with pytest.raises(AttributeError, match="needs cv_results_, but Ridge does not have it"):
        SearchHeatMapDisplay.from_search(ridge)


def test_the_model_within_a_pipeline_within_a_search_is_found():
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    pipeline = make_pipeline(encoder, MatrixFactorizationRegressor(rank=2, max_iter=3, random_state=0))
    search = GridSearchCV(pipeline, {"matrixfactorizationregressor__rank": [2]}, cv=2, error_score="raise").fit(X, Y)
    inner = search.best_estimator_[-1]
    np.testing.assert_array_equal(LossCurveDisplay.from_estimator(search).loss_curve, inner.loss_curve_)
    assert len(ItemMapDisplay.from_estimator(search).coordinates) == len(inner.item_factors_)


def test_docstring_examples():
    names = [name for _, name, _ in pkgutil.iter_modules(plotting.__path__, "sklearn_mf.plotting.")]
    results = [doctest.testmod(importlib.import_module(name)) for name in names]
    assert sum(result.attempted for result in results) > 20
    assert sum(result.failed for result in results) == 0
