"""Displays where matplotlib is not installed, or not asked for."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from sklearn_mf import MatrixFactorizationRegressor, plotting
from sklearn_mf.datasets import make_ratings
from sklearn_mf.plotting import (
    ErrorByActivityDisplay,
    ItemMapDisplay,
    LossCurveDisplay,
    PredictedRatingsDisplay,
    SearchHeatMapDisplay,
)

Y = [1.0, 2.0]
PAIRS = [["ann", 1], ["bob", 2]]
DISPLAYS = {
    "loss": LossCurveDisplay(loss_curve=[1.0]),
    "map": ItemMapDisplay(coordinates=np.eye(2), explained_variance_ratio=[0.6, 0.4]),
    "predicted": PredictedRatingsDisplay(y_true=Y, y_pred=Y),
    "activity": ErrorByActivityDisplay(y_true=Y, y_pred=Y, item_counts=[1, 2], user_counts=[1, 2]),
    "search": SearchHeatMapDisplay(scores=[[1]], x_values=[1], y_values=[1], x_name="x", y_name="y", score_name="s"),
}


def test_importing_the_displays_does_not_import_matplotlib(tmp_path):
    code = "import sys, sklearn_mf.plotting; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


@pytest.mark.parametrize("display", DISPLAYS.values(), ids=DISPLAYS)
def test_plot_without_matplotlib_says_what_to_install(display, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=rf'{type(display).__name__} draws .* pip install "sklearn-mf\[plot\]"'):
        display.plot()


def test_without_matplotlib_nothing_is_computed(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    unfitted = MatrixFactorizationRegressor()
    for call in (
        lambda: LossCurveDisplay.from_estimator(unfitted),
        lambda: ItemMapDisplay.from_estimator(unfitted),
        lambda: PredictedRatingsDisplay.from_estimator(unfitted, PAIRS, Y),
        lambda: PredictedRatingsDisplay.from_predictions(Y, []),
        lambda: ErrorByActivityDisplay.from_estimator(unfitted, PAIRS, Y, X_train=PAIRS),
        lambda: ErrorByActivityDisplay.from_predictions(Y, [], X=PAIRS, X_train=PAIRS),
        lambda: SearchHeatMapDisplay.from_search(GridSearchCV(unfitted, {"rank": [1]})),
    ):
        with pytest.raises(ImportError, match="pip install"):
            call()


def test_all_names_are_there():
    assert sorted(plotting.__all__) == plotting.__all__
    assert {type(display).__name__ for display in DISPLAYS.values()} == set(plotting.__all__)


@pytest.mark.parametrize(
    ("display", "given", "message"),
    [
        (LossCurveDisplay, {"loss_curve": []}, "loss_curve is empty"),
        (LossCurveDisplay, {"loss_curve": [[1.0]]}, r"1D array of numbers, got an array of shape \(1, 1\)"),
        (LossCurveDisplay, {"loss_curve": [1.0, np.nan]}, "loss_curve has NaN or infinity, the first at epoch 2"),
        (
            LossCurveDisplay,
            {"loss_curve": [1.0], "validation_scores": [0.1, 0.2]},
            "validation_scores has 2 values and loss_curve 1",
        ),
        (PredictedRatingsDisplay, {"y_true": [], "y_pred": []}, "y_true must be a list or array of one rating or more"),
        (PredictedRatingsDisplay, {"y_true": 3, "y_pred": 3}, "y_true must be a list or array"),
        (PredictedRatingsDisplay, {"y_true": Y, "y_pred": [1.0]}, "y_true and y_pred have inconsistent numbers"),
        (
            PredictedRatingsDisplay,
            {"y_true": Y, "y_pred": [1.0, np.nan]},
            "y_pred has 1 of 2 predictions that are NaN or inf",
        ),
        (PredictedRatingsDisplay, {"y_true": Y, "y_pred": [None, 1]}, 'at row 0. A model with handle_unknown="nan"'),
        (PredictedRatingsDisplay, {"y_true": Y, "y_pred": [1.0, np.inf]}, "NaN or infinite, the first at row 1"),
        (PredictedRatingsDisplay, {"y_true": Y, "y_pred": ["a", "b"]}, "y_pred holds text"),
        (PredictedRatingsDisplay, {"y_true": Y, "y_pred": np.ma.array(Y, mask=[0, 1])}, "y_pred has 1 masked"),
        (PredictedRatingsDisplay, {"y_true": [1, np.nan], "y_pred": Y}, "y_true contains NaN .* a row to leave out"),
        (PredictedRatingsDisplay, {"y_true": ["a", "b"], "y_pred": Y}, "y_true holds text"),
        (
            ErrorByActivityDisplay,
            {"y_true": Y, "y_pred": Y, "item_counts": [1], "user_counts": [1, 2]},
            r"item_counts.shape == \(1,\), expected \(2,\)",
        ),
        (
            ErrorByActivityDisplay,
            {"y_true": Y, "y_pred": Y, "item_counts": [1, 2], "user_counts": [1, -2]},
            "user_counts must be whole numbers",
        ),
        (
            ErrorByActivityDisplay,
            {"y_true": Y, "y_pred": Y, "item_counts": [1.5, 2], "user_counts": [1, 2]},
            "item_counts must be whole numbers",
        ),
        (
            ItemMapDisplay,
            {"coordinates": np.eye(3), "explained_variance_ratio": [1, 0]},
            r"coordinates.shape == \(3, 3",
        ),
        (
            ItemMapDisplay,
            {"coordinates": np.eye(2), "explained_variance_ratio": [1, 0], "biases": [1]},
            r"biases.shape == \(1,\), expected \(2,\)",
        ),
        (
            ItemMapDisplay,
            {"coordinates": np.eye(2), "explained_variance_ratio": [1, 0], "labeled": [0]},
            "labeled has 1 rows and labels 0 texts",
        ),
        (
            ItemMapDisplay,
            {"coordinates": np.eye(2), "explained_variance_ratio": [1, 0], "labeled": [2], "labels": ["a"]},
            "labeled has 2, and coordinates the rows 0 to 1",
        ),
        (
            ItemMapDisplay,
            {"coordinates": [[0, 1], [np.nan, 1]], "explained_variance_ratio": [1, 0]},
            "coordinates has NaN or infinity, the first in row 1",
        ),
        (
            ItemMapDisplay,
            {"coordinates": np.eye(2), "explained_variance_ratio": [1, np.nan]},
            "explained_variance_ratio has NaN or infinity",
        ),
        (
            ItemMapDisplay,
            {"coordinates": np.eye(2), "explained_variance_ratio": [1, 0], "biases": [np.inf, 1]},
            "biases has NaN or infinity, the first in row 0",
        ),
        (
            SearchHeatMapDisplay,
            {"scores": [[1, 2]], "x_values": [1], "y_values": [1], "x_name": "", "y_name": "", "score_name": ""},
            r"scores.shape == \(1, 2\), expected \(1, 1\)",
        ),
        (
            SearchHeatMapDisplay,
            {"scores": [[np.nan]], "x_values": [1], "y_values": [1], "x_name": "", "y_name": "", "score_name": ""},
            "No cell has a score",
        ),
    ],
)
def test_constructors_refuse(display, given, message):
    with pytest.raises(ValueError, match=message):
        display(**given)


def test_constructors_change_nothing_that_is_given():
    X, y = make_ratings(20, 10, 50, random_state=0, return_X_y=True)
    y.flags.writeable = X.flags.writeable = False
    before = y.copy()
    display = PredictedRatingsDisplay(y_true=y, y_pred=y)
    np.testing.assert_array_equal(display.y_true, before)
    assert display.y_true is not y
