"""Split ratings into training and test parts: by user, at random, or by time. Use the splitters as ``cv``.

Column 0 of ``X`` has the users and column 1 the items, unless ``user_column`` and ``item_column`` name other columns.
The random splits yield rows in random order, and the splits by time yield them in the order of ``X``. Splits do not
change if ids are renamed.

:func:`prequential_predict` predicts each batch of ratings, then learns from it.
"""

from sklearn_mf.model_selection._prequential import prequential_predict
from sklearn_mf.model_selection._random_splits import PerUserShuffleSplit, WarmShuffleSplit
from sklearn_mf.model_selection._time_splits import GlobalTimeSplit, LeaveLastOut

__all__ = ["GlobalTimeSplit", "LeaveLastOut", "PerUserShuffleSplit", "WarmShuffleSplit", "prequential_predict"]
