"""What the tests of displays share: ratings, a model, a search, each display, and measures of what was drawn."""
# ruff: noqa: E402

import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.model_selection import GridSearchCV

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings
from sklearn_mf.plotting import (
    ErrorByActivityDisplay,
    IntervalDisplay,
    ItemMapDisplay,
    LossCurveDisplay,
    PredictedRatingsDisplay,
    SearchHeatMapDisplay,
)

X, Y = make_ratings(150, 80, 3_000, rating_step=1, random_state=0, return_X_y=True)
X_TRAIN, Y_TRAIN, X_TEST, Y_TEST = X[:2_400], Y[:2_400], X[2_400:], Y[2_400:]
MODEL = MatrixFactorizationRegressor(rank=4, max_iter=5, random_state=0).fit(X_TRAIN, Y_TRAIN)
WITH_DEVIATIONS = BayesianRidge().fit(X_TRAIN, Y_TRAIN)
PAPER = (3.4, 2.55)


def draw(display):
    """Lay out and draw everything, without pixels, in the whole figure of a subfigure too."""
    display.figure_.figure.draw_without_rendering()
    return display


def overlapping(texts):
    """Pairs of texts whose boxes have something in common."""
    boxes = [Text.get_window_extent(text) for text in texts]
    return [(i, j) for j in range(len(boxes)) for i in range(j) if boxes[i].overlaps(boxes[j])]


def linear(rgb):
    """Light of the three colors of a screen."""
    rgb = np.asarray(rgb)
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(a, b):
    """Of two colors, from 1 to 21, by WCAG 2."""
    dark, light = sorted(float(linear(to_rgb(color)) @ [0.2126, 0.7152, 0.0722]) for color in (a, b))
    return (light + 0.05) / (dark + 0.05)


GRID = {"params": [{"a": 1, "b": 2}, {"a": 3, "b": 2}], "mean_test_score": [0.1, 0.2]}


def search_of(results, scoring=None):
    """A fitted search with these results."""
    results = dict(results)
    names = dict.fromkeys(name for candidate in results["params"] for name in candidate)
    for name in names:
        column = np.ma.masked_all(len(results["params"]), dtype=object)
        for i, candidate in enumerate(results["params"]):
            if name in candidate:
                column[i] = candidate[name]
        results[f"param_{name}"] = column
    search = GridSearchCV(Ridge(), {}, scoring=scoring)
    search.cv_results_ = results
    return search


DRAWN = {
    "loss": lambda **kw: LossCurveDisplay.from_estimator(MODEL, **kw),
    "map": lambda **kw: ItemMapDisplay.from_estimator(MODEL, n_labels=5, **kw),
    "predicted": lambda **kw: PredictedRatingsDisplay.from_estimator(MODEL, X_TEST, Y_TEST, **kw),
    "hexbin": lambda **kw: PredictedRatingsDisplay.from_estimator(MODEL, X_TEST, Y_TEST, **{"kind": "hexbin"} | kw),
    "activity": lambda **kw: ErrorByActivityDisplay.from_estimator(MODEL, X_TEST, Y_TEST, X_train=X_TRAIN, **kw),
    "intervals": lambda **kw: IntervalDisplay.from_estimator(WITH_DEVIATIONS, X_TEST, Y_TEST, X_train=X_TRAIN, **kw),
    "search": lambda **kw: SearchHeatMapDisplay.from_search(search_of(GRID), x="a", y="b", **kw),
}
