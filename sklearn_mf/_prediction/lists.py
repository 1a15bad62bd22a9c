"""Hold the list for each requested id, and return the lists as arrays or as a data frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_mf._ids.factorize import factorize
from sklearn_mf._ids.tables import Column
from sklearn_mf._prediction.fitted import FittedModel


@dataclass(frozen=True)
class Lists:
    """Hold a list for each id of a column, best first."""

    fitted: FittedModel
    asked: Column
    found: np.ndarray  # int32 (n_asked, k): indices, -1 for none
    values: np.ndarray  # float64 (n_asked, k), NaN where there is none
    fields: tuple[int, int] = (0, 1)  # field of the requested ids, and field of the ids that were found

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids that were found, and their values."""
        return self.fitted.levels.decode(self.fields[1], self.found), self.values

    def frame(self, value_name: str, caller: str) -> Any:
        """Make a pandas DataFrame with a row for each id that was found, and its place from 1 on."""
        try:
            import pandas
        except ImportError as error:
            raise ImportError(f"{caller} with as_frame=True needs pandas: pip install pandas.") from error
        names = [self._name_of(field) for field in self.fields]
        if names[0] == names[1]:
            names[1] = f"similar_{names[0]}"
        taken = [name for name in names if name in ("place", value_name)]
        if taken:
            raise ValueError(
                f"as_frame=True adds a column {taken[0]!r}, but a column of fit has the same name. Rename that "
                "column before fit, or use as_frame=False."
            )
        rows, places = np.nonzero(self.found >= 0)
        levels, codes = factorize(self.asked)
        ids = self.fitted.levels.decode(self.fields[1], self.found[rows, places])
        columns = [levels[codes[rows]], ids, places + 1, self.values[rows, places]]
        return pandas.DataFrame(dict(zip([*names, "place", value_name], columns, strict=True)))

    def _name_of(self, field: int) -> str:
        """Return the name of a field in ``fit``, or "user" or "item" if it had no name."""
        if self.fitted.feature_names:
            return self.fitted.feature_names[field]
        return ("user", "item")[1 - field if self.fitted.is_mirrored else field]
