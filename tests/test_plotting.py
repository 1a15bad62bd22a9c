"""What all displays have in common, and loss curves and predicted ratings: what is in the pictures."""
# ruff: noqa: E402

import pytest

matplotlib = pytest.importorskip("matplotlib")

import copy
import doctest
import importlib
import itertools
import pkgutil

import matplotlib.pyplot as plt
import numpy as np
from drawing import GRID, MODEL, PAPER, X_TEST, X_TRAIN, Y_TEST, X, Y, contrast, draw, search_of
from matplotlib.text import Text
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import Ridge
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from sklearn_mf import MatrixFactorizationRegressor, plotting
from sklearn_mf.plotting import (
    ErrorByActivityDisplay,
    ItemMapDisplay,
    LossCurveDisplay,
    PredictedRatingsDisplay,
    SearchHeatMapDisplay,
)


@pytest.fixture(autouse=True)
def _no_figure_stays_open():
    yield
    plt.close("all")


DRAWN = {
    "loss": lambda **kw: LossCurveDisplay.from_estimator(MODEL, **kw),
    "map": lambda **kw: ItemMapDisplay.from_estimator(MODEL, n_labels=5, **kw),
    "predicted": lambda **kw: PredictedRatingsDisplay.from_estimator(MODEL, X_TEST, Y_TEST, **kw),
    "hexbin": lambda **kw: PredictedRatingsDisplay.from_estimator(MODEL, X_TEST, Y_TEST, **{"kind": "hexbin"} | kw),
    "activity": lambda **kw: ErrorByActivityDisplay.from_estimator(MODEL, X_TEST, Y_TEST, X_train=X_TRAIN, **kw),
    "search": lambda **kw: SearchHeatMapDisplay.from_search(search_of(GRID), x="a", y="b", **kw),
}


def axes_for(name, figure):
    """What a display takes as ``ax``, and axes beside it."""
    first, second, other = figure.subplots(1, 3)
    return [first, second] if name == "activity" else first, first, other


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
    "search": {
        "imshow_kw": [{"cmap": "Greys"}, {"vmin": 0, "vmax": 9}, {"origin": "upper"}],
        "text_kw": [{"size": 3}, {"c": "red"}, {"ha": "left"}, {"fontproperties": "monospace:size=4"}],
        "best_kw": [{"ec": "red"}, {"color": "red"}, {"lw": 3}, {"ls": ":"}, {"fill": True, "fc": "none"}],
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "keyword", "value"),
    [(name, keyword, value) for name in KEYWORDS for keyword, values in KEYWORDS[name].items() for value in values],
    ids=str,
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
    with pytest.raises(ValueError, match=r"text_kw has .*: labels are given their places here"):
        DRAWN["map"](text_kw={name: "center"})
    assert plt.get_fignums() == []


# On backgrounds of all kinds

STYLES = ["default", "dark_background", "Solarize_Light2", {"figure.facecolor": "navy", "axes.facecolor": "none"}]
STYLES[3] |= {"text.color": "white"}


@pytest.fixture(params=STYLES, ids=["light", "dark", "colored", "transparent"])
def behind(request):
    """The color of the background."""
    with plt.style.context(request.param):
        is_transparent = plt.rcParams["axes.facecolor"] == "none"
        yield plt.rcParams["figure.facecolor" if is_transparent else "axes.facecolor"]


def assert_ink(behind, at_least, *colors):
    for color in colors:
        assert contrast(np.ravel(color)[:3] if not isinstance(color, str) else color, behind) > at_least, color


def halo(artist):
    (effect,) = artist.get_path_effects()
    return effect._gc["foreground"]


def test_labels_and_rings_of_the_map_are_seen(behind):
    display = draw(DRAWN["map"]())
    assert_ink(behind, 4, display.rings_.get_edgecolor())
    assert_ink(behind, 4, display.scatter_.get_edgecolor())
    far_from_background = [contrast(display.scatter_.cmap(x)[:3], behind) for x in (0.0, 1.0)]
    assert far_from_background[1] > far_from_background[0]
    for text in display.text_:
        assert_ink(behind, 4, text.get_color())
        np.testing.assert_allclose(halo(text), matplotlib.colors.to_rgb(behind))
        if text.arrow_patch:
            assert_ink(behind, 4, text.arrow_patch.get_edgecolor())
            np.testing.assert_allclose(halo(text.arrow_patch), matplotlib.colors.to_rgb(behind))


def test_boxes_and_the_diagonal_are_seen(behind):
    display = draw(DRAWN["predicted"]())
    assert_ink(behind, 4, display.line_.get_color(), *(line.get_color() for line in display.legend_.get_lines()[:1]))
    for name in ("whiskers", "caps", "medians"):
        assert_ink(behind, 4, *(line.get_color() for line in display.boxes_[name]))
    for box, mean in zip(display.boxes_["boxes"], display.boxes_["means"], strict=True):
        assert_ink(behind, 4, box.get_edgecolor(), mean.get_markerfacecolor())
        assert_ink(behind, 1.2, box.get_facecolor())
        assert_ink(box.get_facecolor()[:3], 3, mean.get_markerfacecolor())


def test_hexagons_of_a_single_rating_and_the_diagonal_over_them_are_seen(behind):
    display = draw(DRAWN["hexbin"]())
    shades = [contrast(display.hexbin_.cmap(x)[:3], behind) for x in np.linspace(0, 1, 9)]
    assert shades[0] > 1.2
    assert shades == sorted(shades)
    assert_ink(behind, 4, display.line_.get_color())
    assert_ink(display.hexbin_.cmap(1.0)[:3], 4, display.line_.get_path_effects()[0]._gc["foreground"])


def test_bars_and_their_numbers_are_seen(behind):
    display = draw(DRAWN["activity"]())
    assert_ink(behind, 1.3, *(bar.get_facecolor() for bars in display.bars_ for bar in bars))
    assert_ink(behind, 4.5, *(text.get_color() for texts in display.text_ for text in texts))
    assert_ink(behind, 3, *(line.get_color() for line in display.lines_))


def test_unfitted_estimators_are_refused():
    unfitted = MatrixFactorizationRegressor()
    for call in (
        lambda: LossCurveDisplay.from_estimator(unfitted),
        lambda: ItemMapDisplay.from_estimator(unfitted),
        lambda: PredictedRatingsDisplay.from_estimator(unfitted, X, Y),
        lambda: ErrorByActivityDisplay.from_estimator(unfitted, X, Y, X_train=X),
        lambda: SearchHeatMapDisplay.from_search(GridSearchCV(unfitted, {"rank": [1]})),
    ):
        with pytest.raises(NotFittedError):
            call()
    assert plt.get_fignums() == []


def test_other_estimators_are_refused():
    ridge = Ridge().fit(X, Y)
    with pytest.raises(AttributeError, match="LossCurveDisplay needs loss_curve_, which Ridge has not"):
        LossCurveDisplay.from_estimator(ridge)
    with pytest.raises(AttributeError, match="categories_, item_factors_, item_biases_, which Ridge has not"):
        ItemMapDisplay.from_estimator(make_pipeline(ridge))
    with pytest.raises(AttributeError, match="needs cv_results_, which Ridge has not"):
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


# LossCurveDisplay


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


# PredictedRatingsDisplay


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
    assert display.legend_.get_title().get_text() == f"n = 600, RMSE = {rmse:.3f}"
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
    assert display.legend_.get_title().get_text() == "n = 1, RMSE = 0.500"


def test_uneven_steps_do_not_overlap():
    y_true = np.repeat([0.0, 1.0, 1.5, 10.0], 5)
    display = PredictedRatingsDisplay.from_predictions(y_true, y_true, box_kw={"notch": False}, line_kw={"c": "C3"})
    edges = [box.get_path().get_extents() for box in display.boxes_["boxes"]]
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(edges))
    assert display.line_.get_color() == "C3"
