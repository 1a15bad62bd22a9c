"""Draw models, ratings and searches with displays like those of scikit-learn. This needs matplotlib."""

from sklearn_mf.plotting._activity import ErrorByActivityDisplay
from sklearn_mf.plotting._intervals import IntervalDisplay
from sklearn_mf.plotting._item_map import ItemMapDisplay
from sklearn_mf.plotting._loss_curve import LossCurveDisplay
from sklearn_mf.plotting._predicted import PredictedRatingsDisplay
from sklearn_mf.plotting._search import SearchHeatMapDisplay

__all__ = [
    "ErrorByActivityDisplay",
    "IntervalDisplay",
    "ItemMapDisplay",
    "LossCurveDisplay",
    "PredictedRatingsDisplay",
    "SearchHeatMapDisplay",
]
