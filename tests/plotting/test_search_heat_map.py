"""Check what is in the cells of heat maps of searches, and that it can be read."""

# ruff: noqa: E402

import pytest

matplotlib = pytest.importorskip("matplotlib")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from helpers.drawing import GRID, PAPER, X, Y, contrast, draw, overlapping, search_of
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, KFold, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.plotting import SearchHeatMapDisplay

pytestmark = pytest.mark.drawing

SMALL = (X[:400], Y[:400])


def test_a_grid_search_is_drawn_as_its_rmse():
    grid = {"rank": [8, 2], "learning_rate": [0.3, 0.05, 0.1]}
    search = GridSearchCV(
        MatrixFactorizationRegressor(max_iter=3, random_state=0),
        grid,
        scoring="neg_root_mean_squared_error",
        cv=KFold(2),
    ).fit(*SMALL)
    display = draw(SearchHeatMapDisplay.from_search(search))
    assert display.x_values == [0.05, 0.1, 0.3]
    assert display.y_values == [2, 8]
    expected = np.empty((2, 3))
    for candidate, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
        cell = display.y_values.index(candidate["rank"]), display.x_values.index(candidate["learning_rate"])
        expected[cell] = -score
    np.testing.assert_array_equal(display.im_.get_array(), expected)
    best = display.y_values[display.best[0]], display.x_values[display.best[1]]
    assert best == (search.best_params_["rank"], search.best_params_["learning_rate"])
    middle = display.best_.get_center()
    assert tuple(middle) == pytest.approx(display.best[::-1])
    for cell, text in np.ndenumerate(display.text_):
        assert text.get_position() == cell[::-1]
        assert float(text.get_text()) == pytest.approx(expected[cell], abs=1e-2)
    assert display.colorbar_.ax.get_ylabel() == "root mean squared error"
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["0.05", "0.1", "0.3"]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("learning_rate", "rank")
    assert display.im_.get_cmap().name == "viridis_r"


def test_steps_of_a_pipeline_need_not_be_named():
    pipeline = make_pipeline(FunctionTransformer(), MatrixFactorizationRegressor(max_iter=2, random_state=0))
    prefix = "matrixfactorizationregressor__"
    grid = {f"{prefix}rank": [1, 2], f"{prefix}alpha": [0.05, 0.1]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(*SMALL)
    short = SearchHeatMapDisplay.from_search(search, x="alpha", y="rank")
    full = SearchHeatMapDisplay.from_search(search, x=f"{prefix}alpha", y=f"{prefix}rank")
    np.testing.assert_array_equal(short.scores, full.scores)
    assert short.greater_is_better
    assert short.ax_.get_xlabel() == "alpha"
    with pytest.raises(ValueError, match=f"x='learning_rate' did not vary .* These varied: .*{prefix}rank"):
        SearchHeatMapDisplay.from_search(search, x="learning_rate")
    chosen = SearchHeatMapDisplay.from_search(search)
    np.testing.assert_array_equal(chosen.scores, full.scores)
    assert (chosen.x_name, chosen.y_name) == ("alpha", "rank")


def test_names_that_fit_several_steps_are_refused():
    results = {"params": [{"one__a": 1, "two__a": 2, "b": 3}], "mean_test_score": [0.5]}
    with pytest.raises(ValueError, match=r"x='a' is not unique\. Give one of these names: one__a, two__a"):
        SearchHeatMapDisplay.from_search(search_of(results), x="a", y="b")
    assert SearchHeatMapDisplay.from_search(search_of(results), x="one__a", y="b").x_values == [1]


def test_cells_not_tried_stay_blank():
    results = {
        "params": [{"a": 1, "b": "u"}, {"a": 2, "b": None}, {"a": 3, "b": "u"}, {"a": 9}],
        "mean_test_score": [0.1, 0.2, np.nan, 5.0],
    }
    display = draw(SearchHeatMapDisplay.from_search(search_of(results), x="a", y="b"))
    assert display.x_values == [1, 2]
    assert display.y_values == ["u", None]
    np.testing.assert_array_equal(display.scores, [[0.1, np.nan], [np.nan, 0.2]])
    np.testing.assert_array_equal(np.ma.getmaskarray(display.im_.get_array()), [[False, True], [True, False]])
    assert display.text_[0, 1] is display.text_[1, 0] is None
    assert display.best == (1, 1)


@pytest.mark.parametrize(("scoring", "expected"), [(None, [[0.3, 0.2]]), ("neg_mean_squared_error", [[-0.3, -0.2]])])
def test_of_further_parameters_the_best_is_shown_and_named(scoring, expected):
    params = [{"a": a, "b": 1, "c__d": d, "e": 7} for a in (1, 2) for d in (5, 6)]
    results = {"params": params, "mean_test_score": [0.1, 0.3, 0.2, 0.0]}
    display = SearchHeatMapDisplay.from_search(search_of(results, scoring), x="a", y="b")
    np.testing.assert_array_equal(display.scores, expected)
    assert display.score_name.endswith("\n(best over d)")
    assert display.best == (0, 0)


@pytest.mark.parametrize(
    ("scoring", "column", "values", "kw", "shown", "greater", "name"),
    [
        ({"mse": "neg_mean_squared_error"}, "mean_test_mse", [-2, -1], {}, [2, 1], False, "mean squared error"),
        (["neg_max_error"], "mean_test_neg_max_error", [-2, -1], {}, [2, 1], False, "max error"),
        ({"ndcg": len}, "mean_test_ndcg", [0.5, 0.6], {}, [0.5, 0.6], True, "ndcg"),
        (len, "mean_test_score", [-2, -1], {"negate_score": True}, [2, 1], False, "score"),
        ("neg_max_error", "mean_test_score", [-2, -1], {"negate_score": False}, [-2, -1], True, "max error"),
        ("neg_max_error", "std_test_score", [2, 1], {}, [2, 1], False, "std test score"),
        ("neg_max_error", "mean_fit_time", [2, 1], {}, [2, 1], False, "mean fit time"),
        ("r2", "mean_train_score", [0.1, 0.2], {}, [0.1, 0.2], True, "r2"),
    ],
)  # fmt: skip
def test_which_scores_and_which_way_is_better(scoring, column, values, kw, shown, greater, name):
    results = {"params": [{"a": 1, "b": 2}, {"a": 3, "b": 2}], column: np.array(values, dtype=float)}
    display = SearchHeatMapDisplay.from_search(search_of(results, scoring), x="a", y="b", scores=column, **kw)
    np.testing.assert_array_equal(display.scores, [shown])
    assert display.greater_is_better is greater
    assert display.best == (0, 1)
    assert display.score_name == name
    assert display.im_.get_cmap().name == ("viridis" if greater else "viridis_r")


def test_several_metrics_at_once():
    search = GridSearchCV(
        MatrixFactorizationRegressor(max_iter=2, random_state=0),
        {"rank": [1, 2], "alpha": [0.1]},
        scoring={"rmse": "neg_root_mean_squared_error", "r2": "r2"},
        refit="rmse",
        cv=2,
    ).fit(*SMALL)
    for scores in (None, "rmse", "mean_test_rmse"):  # None: the metric of refit
        display = SearchHeatMapDisplay.from_search(search, x="alpha", scores=scores)
        np.testing.assert_array_equal(display.scores[:, 0], -search.cv_results_["mean_test_rmse"])
        assert display.score_name == "root mean squared error"
    display = SearchHeatMapDisplay.from_search(search, x="alpha", scores="r2")
    np.testing.assert_array_equal(display.scores[:, 0], search.cv_results_["mean_test_r2"])
    search.refit = False
    with pytest.raises(ValueError, match=r"'mean_test_score' is no column .* mean_test_rmse, mean_test_r2"):
        SearchHeatMapDisplay.from_search(search, x="alpha")
    with pytest.raises(ValueError, match="scores='params' is no column of numbers"):
        SearchHeatMapDisplay.from_search(search, x="alpha", scores="params")


class Guess(RegressorMixin, BaseEstimator):
    """Its score is a parameter."""

    def __init__(self, value=0, score_=0.0):
        self.value, self.score_ = value, score_

    def fit(self, X, y):
        return self

    def score(self, X, y):
        return self.score_


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([True, 1], ["True", "1"]),
        ([1, 0.5, True, None, "1"], ["None", "1", "0.5", "1", "True"]),
        ([np.array([1, 2]), np.array([3, 4]), np.array([1, 2, 3])], ["[1 2]", "[3 4]", "[1 2 3]"]),
        ([[np.array([1, 2])], [np.array([3, 4])]], ["[array([1, 2])]", "[array([3, 4])]"]),
        ([np.arange(2_000), np.arange(2_000) + (np.arange(2_000) == 1_000)], [str(np.arange(2_000))] * 2),
        ([pd.DataFrame([1]), pd.DataFrame([2])], ["0 0 1", "0 0 2"]),
        ([np.float64(0.1), 0.1, np.int64(2), 2], ["0.1", "2"]),
    ],
    ids=["bool", "mixed", "arrays", "lists of arrays", "long arrays", "frames", "scalars"],
)
def test_values_of_any_type_are_told_apart(values, labels):
    search = GridSearchCV(Guess(), {"value": values, "score_": [0.5]}, cv=2).fit(*SMALL)
    display = draw(SearchHeatMapDisplay.from_search(search, x="value", y="score_"))
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == labels
    assert display.scores.shape == (1, len(labels))


def test_without_a_color_bar_the_title_says_what_the_numbers_are():
    display = SearchHeatMapDisplay.from_search(search_of(GRID, "r2"), x="a", y="b", colorbar=False)
    assert display.ax_.get_title() == "r2"
    ax = plt.figure().subplots()
    ax.set_title("Mine")
    assert display.plot(ax=ax, colorbar=False).ax_.get_title() == "Mine"


def test_a_random_search_over_distributions():
    distributions = {"rank": [1, 2], "learning_rate": np.linspace(0.1, 0.101, 7)}
    search = RandomizedSearchCV(
        MatrixFactorizationRegressor(max_iter=2), distributions, n_iter=6, cv=2, random_state=0
    ).fit(*SMALL)
    with plt.rc_context({"figure.figsize": PAPER}):
        display = draw(SearchHeatMapDisplay.from_search(search))
    assert np.isfinite(display.scores).sum() == 6
    ticks = [tick.get_text() for tick in display.ax_.get_xticklabels()]
    assert len(set(ticks)) == len(ticks)
    assert overlapping(display.ax_.get_xticklabels()) == []


def test_halving_compares_candidates_with_the_most_resources():
    search = HalvingGridSearchCV(
        MatrixFactorizationRegressor(max_iter=2, random_state=0),
        {"rank": [1, 2, 4], "learning_rate": [0.05, 0.1]},
        cv=2,
        factor=3,
        random_state=0,
        min_resources=40,
    ).fit(*SMALL)
    display = SearchHeatMapDisplay.from_search(search)
    results = search.cv_results_
    assert len(results["params"]) > 6
    last = {}
    for candidate, score in zip(results["params"], results["mean_test_score"], strict=True):  # later: more resources
        last[candidate["rank"], candidate["learning_rate"]] = score
    for (rank, rate), score in last.items():
        assert display.scores[display.y_values.index(rank), display.x_values.index(rate)] == score
    best = search.best_params_
    assert display.y_values[display.best[0]] == best["rank"]
    assert display.x_values[display.best[1]] == best["learning_rate"]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.91230, 0.91231, 0.99], ["0.9123", "0.9123", "0.9900"]),
        ([1e-3, 2e-3, 3e-3], ["0.00100", "0.00200", "0.00300"]),
        ([100, 250, 900], ["100", "250", "900"]),
        ([0.5, 0.5, 0.5], ["0.5", "0.5", "0.5"]),
    ],
)
def test_numbers_have_as_many_decimals_as_a_hundredth_of_their_range(scores, expected):
    """More would be noise; the frame says which is the best."""
    kw = {"x_values": [1, 2, 3], "y_values": [1], "x_name": "x", "y_name": "y", "score_name": "s"}
    display = SearchHeatMapDisplay(scores=[scores], greater_is_better=False, **kw).plot()
    assert [text.get_text() for text in display.text_[0]] == expected
    assert display.text_[0, 0].get_fontweight() == "bold"
    assert display.plot(values_format=".1f").text_[0, 0].get_text() == f"{scores[0]:.1f}"


def test_small_differences_look_small():
    scores = np.array([0.900, 0.9045, 0.902])
    kw = {"x_values": [1, 2, 3], "x_name": "x", "score_name": "s"}
    line = SearchHeatMapDisplay(scores=scores, **kw).plot()
    cells = SearchHeatMapDisplay(scores=scores[None], y_values=[1], y_name="y", **kw).plot()
    points = SearchHeatMapDisplay(scores=scores, y_values=[1, 2, 3], y_name="y", **kw).plot()
    for low, high in (line.ax_.get_ylim(), cells.im_.get_clim(), points.scatter_.get_clim()):
        assert low < 0.9
        assert high > 0.9045
        assert np.ptp(scores) / (high - low) < 0.06
    assert cells.plot(imshow_kw={"vmin": 0.9, "vmax": 0.91}).im_.get_clim() == (0.9, 0.91)
    assert points.plot(scatter_kw={"vmin": 0.9, "vmax": 0.91}).scatter_.get_clim() == (0.9, 0.91)


@pytest.mark.parametrize("cmap", ["viridis", "Greys", "coolwarm"])
def test_numbers_are_read_in_color_and_in_gray(cmap):
    scores = np.linspace(0, 1, 20).reshape(4, 5)
    kw = {"x_values": range(5), "y_values": range(4), "x_name": "x", "y_name": "y", "score_name": "s"}
    display = SearchHeatMapDisplay(scores=scores, **kw).plot(imshow_kw={"cmap": cmap})
    for cell, text in np.ndenumerate(display.text_):
        rgb = np.array(display.im_.cmap(display.im_.norm(scores[cell]))[:3])
        gray = np.full(3, rgb @ [0.299, 0.587, 0.114])
        assert contrast(text.get_color(), rgb) > 4.5
        assert contrast(text.get_color(), gray) > 3


@pytest.mark.parametrize("size", [None, PAPER])
@pytest.mark.parametrize("shape", [(2, 3), (6, 8)])
def test_numbers_lie_within_their_cells(shape, size):
    scores = np.random.default_rng(0).uniform(0.9, 0.95, shape)
    kw = {"x_values": range(shape[1]), "y_values": range(shape[0]), "x_name": "x", "y_name": "y", "score_name": "s"}
    with plt.rc_context({"figure.figsize": size, "font.size": 8} if size else {}):
        display = draw(SearchHeatMapDisplay(scores=scores, **kw).plot(colorbar=size is None))
    for (row, column), text in np.ndenumerate(display.text_):
        low, high = display.ax_.transData.transform([[column - 0.46, row - 0.46], [column + 0.46, row + 0.46]])
        box = text.get_window_extent()
        assert (box.min >= low).all()
        assert (box.max <= high).all()


def test_numbers_that_nobody_could_read_are_left_out():
    kw = {"x_values": range(60), "y_values": [0], "x_name": "x", "y_name": "y", "score_name": "s"}
    display = SearchHeatMapDisplay(scores=[np.linspace(0.1, 0.2, 60)], **kw).plot()
    assert not display.ax_.texts
    assert set(display.text_.flat) == {None}
    display = SearchHeatMapDisplay(scores=[np.linspace(0.1, 0.2, 60)], **kw).plot(include_values=False, colorbar=False)
    assert display.colorbar_ is None


def test_keywords_reach_the_heat_map():
    display = SearchHeatMapDisplay.from_search(
        search_of(GRID), x="a", y="b", imshow_kw={"vmin": 0, "vmax": 9}, text_kw={"size": 3}, best_kw={"ec": "red"}
    )
    assert display.im_.get_clim() == (0, 9)
    assert display.text_[0, 0].get_fontsize() == 3
    assert display.best_.get_edgecolor() == (1, 0, 0, 1)


def test_one_parameter_is_not_two():
    with pytest.raises(ValueError, match=r"x='a' and y='a' are the same parameter. These varied: a, b"):
        SearchHeatMapDisplay.from_search(search_of(GRID), x="a", y="a")
    results = {"params": [{"a": 1}, {"b": 2}], "mean_test_score": [1, 2]}
    with pytest.raises(ValueError, match="No candidate with a value of a and b"):
        SearchHeatMapDisplay.from_search(search_of(results), x="a", y="b")


# What varied


def search_over(seed=0, n=30, **values):
    """A search with a made-up score for each of n candidates, and its spread over folds."""
    rng = np.random.default_rng(seed)
    candidates = [{name: choose(rng) for name, choose in values.items()} for _ in range(n)]
    results = {"params": candidates, "mean_test_score": rng.normal(size=n), "std_test_score": rng.uniform(1, 2, n)}
    return search_of(results, "r2")


LOG_UNIFORM = {"alpha": lambda rng: 10 ** rng.uniform(-4, 0), "rate": lambda rng: rng.uniform(0.001, 0.2)}


def test_one_parameter_is_a_line_with_the_spread_over_folds():
    search = GridSearchCV(
        make_pipeline(MatrixFactorizationRegressor(max_iter=3, random_state=0)),
        {"matrixfactorizationregressor__alpha": [0.3, 0.001, 0.1], "matrixfactorizationregressor__rank": [2]},
        scoring="neg_root_mean_squared_error",
        cv=KFold(3),
    ).fit(*SMALL)
    display = draw(SearchHeatMapDisplay.from_search(search))
    results = search.cv_results_
    order = [1, 2, 0]
    assert (display.kind, display.x_values, display.y_values) == ("line", [0.001, 0.1, 0.3], None)
    np.testing.assert_array_equal(display.scores, -results["mean_test_score"][order])
    np.testing.assert_array_equal(display.spread, results["std_test_score"][order])
    line, _, (bars,) = display.errorbar_
    np.testing.assert_array_equal(line.get_data(), [display.x_values, display.scores])
    np.testing.assert_allclose([np.ptp(bar[:, 1]) / 2 for bar in bars.get_segments()], display.spread)
    best = order.index(search.best_index_)
    assert display.best == (best,)
    np.testing.assert_array_equal(display.best_.get_data(), [[display.x_values[best]], [display.scores[best]]])
    assert display.ax_.get_xscale() == "log"
    assert display.ax_.get_xlabel() == "alpha"
    assert display.ax_.get_ylabel() == "root mean squared error\n(bars: standard deviation over folds)"
    assert display.im_ is display.text_ is display.scatter_ is display.colorbar_ is None
    for given in ({"x": "alpha"}, {"y": "alpha"}, {"x": "alpha", "kind": "line"}):
        again = SearchHeatMapDisplay.from_search(search, **given)
        assert (again.kind, again.x_name, again.x_values) == ("line", "alpha", display.x_values)
    heat_map = SearchHeatMapDisplay.from_search(search, x="alpha", y="rank")  # as it was asked for
    np.testing.assert_array_equal(heat_map.scores, [display.scores])


@pytest.mark.parametrize("column", ["mean_fit_time", "split0_test_score"])
def test_without_folds_to_compare_there_are_no_bars(column):
    results = {"params": [{"a": 1}, {"a": 2}], "mean_test_score": [0.1, 0.2], "std_test_score": [0.0, 0.0]}
    display = draw(SearchHeatMapDisplay.from_search(search_of(results)))  # a single fold
    assert display.spread is None
    assert not display.errorbar_.has_yerr
    display = SearchHeatMapDisplay.from_search(search_of(results | {column: [2.0, 1.0]}), scores=column)
    assert display.spread is None
    assert "bars" not in display.ax_.get_ylabel()


def test_values_that_are_no_numbers_are_not_joined():
    results = {"params": [{"loss": "huber"}, {"loss": "squared"}, {"loss": None}], "mean_test_score": [0.1, 0.3, 0.2]}
    display = draw(SearchHeatMapDisplay.from_search(search_of(results)))
    assert display.errorbar_[0].get_linestyle() == "None"
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["huber", "squared", "None"]
    np.testing.assert_array_equal(display.errorbar_[0].get_xdata(), [0, 1, 2])


def test_a_random_search_is_points():
    display = draw(SearchHeatMapDisplay.from_search(search_over(**LOG_UNIFORM)))
    results = search_over(**LOG_UNIFORM).cv_results_
    assert (display.kind, display.x_name, display.y_name) == ("scatter", "alpha", "rate")
    assert (display.ax_.get_xscale(), display.ax_.get_yscale()) == ("log", "log")
    expected = {
        (c["alpha"], c["rate"]): score for c, score in zip(results["params"], results["mean_test_score"], strict=True)
    }
    found = dict(zip(map(tuple, display.scatter_.get_offsets().tolist()), display.scatter_.get_array(), strict=True))
    assert found == expected
    best = max(expected, key=expected.get)
    np.testing.assert_array_equal(display.best_.get_xydata(), [best])
    assert display.colorbar_.ax.get_ylabel() == "r2"
    heat_map = SearchHeatMapDisplay.from_search(search_over(**LOG_UNIFORM), kind="heatmap")
    assert heat_map.scores.shape == (30, 30)
    assert heat_map.text_.shape == (30, 30)


def test_points_of_values_that_are_no_numbers():
    search = search_over(n=40, loss=lambda rng: ["a", "b", None][rng.integers(3)], rate=lambda rng: rng.uniform(1, 2))
    display = draw(SearchHeatMapDisplay.from_search(search, kind="scatter"))
    assert {tick.get_text() for tick in display.ax_.get_xticklabels()} == {"a", "b", "None"}
    assert SearchHeatMapDisplay.from_search(search).kind == "heatmap"


def test_of_three_parameters_it_must_be_said_which():
    three = {**LOG_UNIFORM, "max_iter": lambda rng: int(rng.integers(1, 4))}
    search = search_over(**three)
    with pytest.raises(ValueError, match=r"3 .*: alpha, rate, max_iter\. Choose which .* x='alpha', y='rate'"):
        SearchHeatMapDisplay.from_search(search)
    with pytest.raises(ValueError, match=r"2 parameters varied .*: alpha, max_iter\. Choose which .*y='alpha'"):
        SearchHeatMapDisplay.from_search(search, x="rate")
    with pytest.raises(ValueError, match=r"3 parameters varied .* for example x='alpha'"):
        SearchHeatMapDisplay.from_search(search, kind="line")
    display = draw(SearchHeatMapDisplay.from_search(search, x="alpha", y="rate"))
    assert display.score_name == "r2\n(best over max_iter)"
    results = search.cv_results_
    line = draw(SearchHeatMapDisplay.from_search(search, x="max_iter", kind="line"))
    for value, score, spread in zip(line.x_values, line.scores, line.spread, strict=True):
        of_value = [i for i, candidate in enumerate(results["params"]) if candidate["max_iter"] == value]
        best = max(of_value, key=lambda i: results["mean_test_score"][i])
        assert (score, spread) == (results["mean_test_score"][best], results["std_test_score"][best])
    usual = search_over(
        rank=lambda rng: int(rng.integers(4)), m__learning_rate=lambda rng: rng.uniform(), **LOG_UNIFORM
    )
    display = SearchHeatMapDisplay.from_search(usual)
    assert (display.x_name, display.y_name) == ("learning_rate", "rank")
    assert SearchHeatMapDisplay.from_search(usual, x="rate").y_name == "rank"


def test_names_that_only_steps_tell_apart_are_written_in_full():
    results = {"params": [{"one__a": 1, "two__a": 1}, {"one__a": 2, "two__a": 2}], "mean_test_score": [0.5, 0.6]}
    display = SearchHeatMapDisplay.from_search(search_of(results))
    assert (display.x_name, display.y_name) == ("one__a", "two__a")


@pytest.mark.parametrize(
    ("params", "given", "message"),
    [
        ([{"a": 1}], {}, r"No parameter has several values in this search \(of a\), and there is nothing to draw"),
        ([{}], {}, r"No parameter has several values in this search \(of nothing\)"),
        ([{"a": 1}, {"a": 2}], {"kind": "heatmap"}, 'One parameter has .*kind="heatmap" needs two: give x and y'),
        ([{"a": 1}, {"a": 2}], {"kind": "scatter", "x": "a"}, 'kind="scatter" needs two'),
        ([{"a": 1}, {"a": 2}], {"kind": "line", "y": "a"}, "has one parameter: leave out y, or give x='a'"),
        ([{"a": 1}, {"a": 2}], {"kind": "bar"}, "kind='bar' must be"),
        ([{"a": 1}, {"a": 2}], {"imshow_kw": {"alpha": 1}}, 'imshow_kw is not used for kind="line". Give errorbar_kw'),
        ([{"a": 1}, {"a": 2}], {"scatter_kw": {"s": 1}}, 'scatter_kw is not used for kind="line"'),
        ([{"a": 1, "b": 2}, {"a": 2, "b": 1}], {"errorbar_kw": {"fmt": "s"}}, "Give imshow_kw or text_kw"),
    ],
)
def test_what_cannot_be_drawn_is_refused(params, given, message):
    search = search_of({"params": params, "mean_test_score": np.arange(len(params)) / 10})
    with pytest.raises(ValueError, match=message):
        SearchHeatMapDisplay.from_search(search, **given)


@pytest.mark.parametrize("size", [None, PAPER])
@pytest.mark.parametrize("kind", ["line", "scatter"])
def test_lines_and_points_in_a_figure(kind, size):
    search = search_over(**LOG_UNIFORM)
    with plt.rc_context({"figure.figsize": size, "font.size": 8} if size else {}):
        display = draw(SearchHeatMapDisplay.from_search(search, x="alpha", kind=kind))
    for ax in display.figure_.axes:
        box = ax.get_tightbbox()
        assert display.figure_.bbox.padded(1).contains(*box.min)
        assert display.figure_.bbox.padded(1).contains(*box.max)
    display.plot(ax=plt.figure().subplots(), colorbar=False)
    assert display.colorbar_ is None
    assert display.ax_.get_title() == (display.score_name if kind == "scatter" else "")


@pytest.mark.parametrize(
    ("kind", "keywords"),
    [
        ("line", {"errorbar_kw": {"fmt": "s:"}}),
        ("line", {"errorbar_kw": {"c": "red", "lw": 3}, "best_kw": {"ms": 20, "mec": "red"}}),
        ("line", {"errorbar_kw": {"ls": ""}}),
        ("scatter", {"scatter_kw": {"cmap": "Greys", "vmin": -1, "s": 9}}),
        ("scatter", {"scatter_kw": {"c": "red"}, "best_kw": {"marker": "s"}}),
        ("scatter", {"scatter_kw": {"facecolor": "none", "ec": "red"}}),
    ],
)
def test_keywords_reach_lines_and_points(kind, keywords):
    draw(SearchHeatMapDisplay.from_search(search_over(**LOG_UNIFORM), x="alpha", kind=kind, **keywords))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scores": [1, 2], "x_values": [1]}, r"scores.shape == \(2,\), expected \(1,\): one for each of x_values"),
        ({"scores": [1, 2], "x_values": [1, 2], "y_values": [1]}, "y_values has 1 values and x_values 2"),
        (
            {"scores": [1, 2], "x_values": [1, 2], "spread": [1]},
            r"spread.shape == \(1,\): .* one value for each of x_values",
        ),
        ({"scores": [[1]], "x_values": [1], "y_values": [1], "spread": [[1]]}, "spread is for a line"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        SearchHeatMapDisplay(x_name="x", y_name="y", score_name="s", **given)
