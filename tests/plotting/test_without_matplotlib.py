"""Check displays where matplotlib is not installed, or not asked for."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from sklearn_mf import MatrixFactorizationRegressor, plotting
from sklearn_mf.plotting import (
    ErrorByActivityDisplay,
    IntervalDisplay,
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
    "intervals": IntervalDisplay(y_true=Y, y_pred=Y, y_std=Y),
    "search": SearchHeatMapDisplay(scores=[[1]], x_values=[1], y_values=[1], x_name="x", y_name="y", score_name="s"),
}


@pytest.mark.slow
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
        lambda: IntervalDisplay.from_estimator(unfitted, PAIRS, Y),
        lambda: IntervalDisplay.from_predictions(Y, [], []),
        lambda: SearchHeatMapDisplay.from_search(GridSearchCV(unfitted, {"rank": [1]})),
    ):
        with pytest.raises(ImportError, match="pip install"):
            call()


def test_all_names_are_there():
    assert sorted(plotting.__all__) == plotting.__all__
    assert {type(display).__name__ for display in DISPLAYS.values()} == set(plotting.__all__)
