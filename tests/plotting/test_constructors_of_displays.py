"""Check that constructors of displays refuse bad arrays and change nothing that is given."""

import numpy as np
import pytest

from sklearn_mf.datasets import make_ratings
from sklearn_mf.plotting import (
    ErrorByActivityDisplay,
    IntervalDisplay,
    ItemMapDisplay,
    LossCurveDisplay,
    PredictedRatingsDisplay,
    SearchHeatMapDisplay,
)

Y = [1.0, 2.0]


@pytest.mark.parametrize(
    ("display", "given", "message"),
    [
        (LossCurveDisplay, {"loss_curve": []}, "loss_curve is empty"),
        (LossCurveDisplay, {"loss_curve": [[1.0]]}, r"1D array of numbers, got an array of shape \(1, 1\)"),
        (LossCurveDisplay, {"loss_curve": [1.0, np.nan]}, "loss_curve has NaN or infinity, the first at epoch 2"),
        (
            LossCurveDisplay,
            {"loss_curve": [1.0], "validation_scores": [0.1, 0.2]},
            "validation_scores has 2 values, but loss_curve has 1",
        ),
        (
            PredictedRatingsDisplay,
            {"y_true": [], "y_pred": []},
            "y_true must be .* of at least one rating",
        ),
        (PredictedRatingsDisplay, {"y_true": 3, "y_pred": 3}, "y_true must be a list or array"),
        (PredictedRatingsDisplay, {"y_true": Y, "y_pred": [1.0]}, "y_true and y_pred have inconsistent numbers"),
        (
            PredictedRatingsDisplay,
            {"y_true": Y, "y_pred": [1.0, np.nan]},
            "y_pred has 1 of 2 predictions that are NaN or inf",
        ),
        (PredictedRatingsDisplay, {"y_true": Y, "y_pred": [None, 1]}, 'at row 0. A model with handle_unknown="nan"'),
        (PredictedRatingsDisplay, {"y_true": Y, "y_pred": [1.0, np.inf]}, "NaN or infinite, the first at row 1"),
        (PredictedRatingsDisplay, {"y_true": Y, "y_pred": ["a", "b"]}, "y_pred has text or dates"),
        (PredictedRatingsDisplay, {"y_true": Y, "y_pred": np.ma.array(Y, mask=[0, 1])}, "y_pred has 1 masked"),
        (PredictedRatingsDisplay, {"y_true": [1, np.nan], "y_pred": Y}, "y_true contains NaN .* Leave out rows"),
        (PredictedRatingsDisplay, {"y_true": ["a", "b"], "y_pred": Y}, "y_true has text or dates"),
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
        *(
            (IntervalDisplay, {"y_true": Y, "y_pred": Y, "y_std": Y, **given}, message)
            for given, message in [
                ({"y_pred": [1.0]}, "y_true and y_pred have inconsistent numbers"),
                ({"y_pred": [1.0, np.nan]}, "y_pred has 1 of 2 predictions that are NaN or inf"),
                ({"y_std": [1.0]}, r"y_std.shape == \(1,\), expected \(2,\): give one deviation for each rating"),
                ({"y_std": 1.0}, r"y_std.shape == \(\), expected \(2,\)"),
                (
                    {"y_std": [1.0, np.nan]},
                    r"1 of 2 deviations are missing, NaN or infinite, the first at row 1 \(nan\)",
                ),
                ({"y_std": np.ma.array(Y, mask=[0, 1])}, "1 of 2 deviations are missing"),
                ({"y_std": [0.0, -1.0]}, r"2 of 2 deviations are zero or negative, the first at row 0 \(0\)"),
                ({"y_std": ["a", "b"]}, "y_std must be an array of numbers"),
                ({"y_true": [1e200, 0.0]}, "so large that their squares overflow"),
                ({"y_std": [1e200, 1.0]}, "so large that their squares overflow"),
                *(
                    ({"confidence": value}, "confidence=.* must be a number above 0 and below 1")
                    for value in (0, 1, 90, -0.1, np.nan, True, None, "0.9")
                ),
                *(({"n_bins": value}, "n_bins=.* must be a whole number, 1 or more") for value in (0, 2.5, None, True)),
                ({"item_counts": [1]}, r"item_counts.shape == \(1,\), expected \(2,\)"),
                ({"user_counts": [1, -2]}, "user_counts must be whole numbers"),
            ]
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
            "labeled has 1 rows, but labels has 0 texts",
        ),
        (
            ItemMapDisplay,
            {"coordinates": np.eye(2), "explained_variance_ratio": [1, 0], "labeled": [2], "labels": ["a"]},
            "labeled has row 2, but coordinates has rows 0 to 1",
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


NO_NUMBERS = ["text", {}, [10**400], [[1.0], [1.0, 2.0]], [object()], ["a", "b"], [1j, 2.0]]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=[str(n) for n in range(len(NO_NUMBERS))])
@pytest.mark.parametrize(
    ("display", "name"),
    [
        (LossCurveDisplay, "loss_curve"),
        (ItemMapDisplay, "coordinates"),
        (ItemMapDisplay, "biases"),
        (ItemMapDisplay, "labeled"),
        (SearchHeatMapDisplay, "scores"),
        (SearchHeatMapDisplay, "spread"),
    ],
)
def test_what_holds_no_numbers_is_named(display, name, value):
    of_map = {"coordinates": np.eye(2), "explained_variance_ratio": [1, 0]}
    of_search = {"scores": [1.0], "x_values": [1], "x_name": "", "score_name": ""}
    given = {LossCurveDisplay: {}, ItemMapDisplay: of_map, SearchHeatMapDisplay: of_search}[display]
    with pytest.raises(ValueError, match=f"{name} must be an array of numbers"):
        display(**{**given, name: value})


@pytest.mark.parametrize("best", [(1,), (-1,), (0, 0), (0.5,), (None,), (2**70,)])
def test_places_of_the_best_that_are_none(best):
    with pytest.raises(ValueError, match=r"best=.* is no position in scores of shape \(1,\)"):
        SearchHeatMapDisplay(scores=[1.0], x_values=[1], x_name="", score_name="", best=best)


@pytest.mark.parametrize("name", ["x_values", "y_values", "best"])
def test_what_is_no_list(name):
    given = {"scores": [1.0], "x_values": [1], "x_name": "", "score_name": "", name: 5}
    with pytest.raises(TypeError, match=f"{name} must be a list or array, not int"):
        SearchHeatMapDisplay(**given)


@pytest.mark.parametrize("labeled", [[0.5], [np.nan]])
def test_labeled_rows_are_whole_numbers(labeled):
    with pytest.raises(ValueError, match="labeled must be whole numbers"):
        ItemMapDisplay(coordinates=np.eye(2), explained_variance_ratio=[1, 0], labeled=labeled, labels=["a"])
