"""Split ratings into training and test parts, for ``cv=`` or to iterate over: by user, at random, or by time.

Column 0 of ``X`` has the users and column 1 the items, unless ``user_column`` and ``item_column`` name other columns.
The random splits yield rows in random order, the splits by time in the order of ``X``. No split depends on what ids are
called.

:func:`prequential_predict` predicts each batch of ratings, then learns from it.
"""

from sklearn_mf.model_selection._prequential import prequential_predict
from sklearn_mf.model_selection._random_splits import PerUserShuffleSplit, WarmShuffleSplit
from sklearn_mf.model_selection._time_splits import GlobalTimeSplit, LeaveLastOut

__all__ = ["GlobalTimeSplit", "LeaveLastOut", "PerUserShuffleSplit", "WarmShuffleSplit", "prequential_predict"]
