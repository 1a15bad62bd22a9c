"""Find similar users and similar items: their factors point in nearly the same direction."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sklearn_mf._prediction.fitted import FittedModel
from sklearn_mf._prediction.lists import Lists
from sklearn_mf._prediction.model import Model
from sklearn_mf._prediction.recommend import id_column
from sklearn_mf._prediction.top_items import Candidates, Excluded, top_items, unit_rows
from sklearn_mf._utils.threads import Threads

_FIELD_NAMES = "users", "items"


def find_similar(fitted: FittedModel, field: int, ids: ArrayLike, n: int, threads: Threads) -> Lists:
    """Find ids and cosines of the levels that are most similar to each of ``ids``, in the same field."""
    name, levels = _FIELD_NAMES[field], fitted.levels
    column = id_column(ids, name)
    rows, norms = unit_rows(fitted.model.factors[field].whole()[: levels.counts[field]])
    if not np.isfinite(norms).all():
        raise ValueError("factors_ are not finite, so similarities are not defined.")
    if rows.shape[1] == 0:
        raise ValueError(f"A model of rank=0 has no factors, so no {name} are similar. Fit it with a rank above 0.")
    n = min(n, len(rows) - 1)  # limited before arrays of this size are made; an id is not similar to itself
    found = np.full((len(column), n), -1, dtype=np.int32)
    cosines = np.full((len(column), n), np.nan)
    if len(column) == 0:
        return Lists(fitted, column, found, cosines, (field, field))
    own = levels.encode_field(field, column, threads)
    fitted.report_unknown([column], own[:, None], own < 0, f"similar_{name} was given", "They have no similar ids.")
    if n == 0:
        return Lists(fitted, column, found, cosines, (field, field))
    with_direction = np.flatnonzero(norms).astype(np.int32)
    place = np.cumsum(norms > 0) - 1
    asked = np.flatnonzero((own >= 0) & (norms[own] > 0))
    itself = np.arange(len(asked), dtype=np.int64)
    excluded = Excluded(itself, itself + 1, place[own[asked]].astype(np.int32))
    no_bias = np.zeros(len(rows), dtype=np.float32)
    pairs = np.column_stack([own[asked], own[asked]])
    directions = Model([rows, rows], [no_bias, no_bias], 0.0)
    found[asked], cosines[asked] = top_items(directions, pairs, Candidates(with_direction), excluded, n, threads)
    return Lists(fitted, column, found, np.clip(cosines, -1.0, 1.0, out=cosines), (field, field))
