"""Check what type checkers rely on: annotations of everything that objects store, and choices of parameters.

The script beside this file is also read by mypy and pyright (``bash .ci/run``).
"""

import runpy
from inspect import get_annotations, signature
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from helpers.dask_clusters import quick_processes
from sklearn.utils._param_validation import StrOptions

import sklearn_mf
from sklearn_mf import (
    MatrixFactorizationEncoder,
    MatrixFactorizationRanker,
    MatrixFactorizationRegressor,
    MostPopularRecommender,
)
from sklearn_mf.datasets import make_ratings, open_ratings
from sklearn_mf.datasets._movielens import Variant
from sklearn_mf.datasets._movielens_reading import LAYOUTS
from sklearn_mf.model_selection import GlobalTimeSplit, LeaveLastOut, PerUserShuffleSplit, WarmShuffleSplit

SCRIPT = Path(__file__).parent / "user_script.py"
X, Y = make_ratings(30, 20, 300, rating_step=1, random_state=0, return_X_y=True)


def annotated(thing):
    """Names with an annotation in the body of the class or of one of its bases, and parameters."""
    classes = type(thing).__mro__
    return {name for each in classes for name in get_annotations(each)} | set(signature(type(thing)).parameters)


def stored(thing):
    return {name for name in vars(thing) if not name.startswith("_")}


@pytest.mark.drawing
def test_the_script_of_a_user_runs():
    for name in ("matplotlib", "pandas"):
        pytest.importorskip(name)
    runpy.run_path(str(SCRIPT))["main"]()


def test_the_part_of_the_script_for_a_cluster_runs():
    for name in ("distributed", "pandas"):
        pytest.importorskip(name)
    with quick_processes():
        runpy.run_path(str(SCRIPT))["fit_on_a_cluster"](X, Y)


@pytest.mark.parametrize(
    "estimator",
    [
        MatrixFactorizationRegressor(rank=2),
        MatrixFactorizationRegressor(rank=2, early_stopping=True, loss="huber"),
        MatrixFactorizationRanker(rank=2),
        MatrixFactorizationEncoder(),
        MostPopularRecommender(),
    ],
    ids=["regressor", "regressor that stops early", "ranker", "encoder", "most popular"],
)
def test_every_fitted_attribute_has_a_type(estimator):
    frame = pytest.importorskip("pandas").DataFrame(X, columns=["user", "item"])
    fitted = estimator.fit(frame, Y)
    assert "feature_names_in_" in stored(fitted)
    assert stored(fitted) <= annotated(fitted)


@pytest.mark.parametrize(
    "splitter",
    [PerUserShuffleSplit(), WarmShuffleSplit(), LeaveLastOut(), GlobalTimeSplit(test_size=0.1)],
    ids=lambda splitter: type(splitter).__name__,
)
def test_everything_that_splitters_store_has_a_type(splitter):
    assert stored(splitter)
    assert stored(splitter) <= annotated(splitter)


def test_everything_that_a_file_of_ratings_stores_has_a_type(tmp_path):
    (tmp_path / "ratings.csv").write_text("user,item,rating\nann,1,4\nbob,2,5\n")
    ratings = open_ratings(tmp_path / "ratings.csv")
    assert stored(ratings) == {"feature_names", "labels", "n_ratings"}
    assert stored(ratings) <= annotated(ratings)


@pytest.mark.drawing
def test_everything_that_displays_store_has_a_type():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    plotting = pytest.importorskip("sklearn_mf.plotting")
    model = MatrixFactorizationRegressor(rank=2, early_stopping=True, random_state=0).fit(X, Y)
    displays = [
        plotting.LossCurveDisplay.from_estimator(model),
        plotting.ItemMapDisplay.from_estimator(model, n_labels=2),
        plotting.PredictedRatingsDisplay.from_estimator(model, X, Y),
        plotting.ErrorByActivityDisplay.from_estimator(model, X, Y, X_train=X),
        plotting.IntervalDisplay.from_estimator(model, X, Y, X_train=X),
        plotting.SearchHeatMapDisplay(scores=[1, 2], x_values=[3, 4], x_name="rank", score_name="score").plot(),
    ]
    pyplot.close("all")
    assert {type(display).__name__ for display in displays} == set(plotting.__all__)
    for display in displays:
        assert stored(display) <= annotated(display), type(display).__name__


@pytest.mark.parametrize("estimator", [MatrixFactorizationRegressor, MatrixFactorizationRanker])
def test_choices_of_parameters_are_those_that_fit_takes(estimator):
    hints, n_with_choices = get_type_hints(estimator.__init__), 0
    for name, constraints in estimator._parameter_constraints.items():
        choices = {text for each in constraints if isinstance(each, StrOptions) for text in each.options}
        n_with_choices += bool(choices)
        assert set(literals_of(hints[name])) == choices, name
    assert n_with_choices >= 3


def literals_of(hint):
    """Texts of all Literals in a type."""
    parts = get_args(hint)
    return [part for part in parts if isinstance(part, str)] + [t for part in parts for t in literals_of(part)]


def test_choices_of_movielens_are_its_variants():
    assert set(get_args(Variant)) == set(LAYOUTS)


def test_the_package_says_that_it_has_types():
    assert (Path(sklearn_mf.__file__).parent / "py.typed").is_file()
