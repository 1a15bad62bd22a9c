"""Compute how much each of a user's own items adds to a preference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sklearn_mf._ids.tables import Column
from sklearn_mf._prediction.fitted import FittedModel
from sklearn_mf._prediction.seen import SeenPairs
from sklearn_mf._utils.threads import Threads, one_blas_thread

# Takes a user, the items that the model keeps for the user, and their weights. Returns the equations of the user, an
# object with ``items`` and the method ``shares``, which takes the rows of other items (UserSystem in fit_pairs.py).
System = Callable[[int, np.ndarray, np.ndarray], Any]


def explain_pairs(
    fitted: FittedModel, columns: list[Column], seen: SeenPairs, system: System, n_items: int | None, threads: Threads
) -> dict[str, np.ndarray]:
    """Find the largest shares of the user's own items in each preference, as ``explain`` of the ranker documents."""
    preference, indices = fitted.predict(columns, threads), fitted.levels.encode(columns, threads)
    rows, factors = fitted.rows_of(indices), fitted.model.factors[1]
    shares: list[tuple[np.ndarray, np.ndarray]] = [(np.empty(0, dtype=np.int32), np.empty(0))] * len(rows)
    order = np.argsort(indices[:, 0], kind="stable")
    users, first = np.unique(indices[order, 0], return_index=True)
    groups = [group for group in zip(users.tolist(), np.split(order, first[1:]), strict=True) if group[0] >= 0]

    def explain_user(group: tuple[int, np.ndarray]) -> None:
        user, asked = group
        own = system(user, *seen.of_user(user))
        if not len(own.items):
            return
        for row, values in zip(asked.tolist(), own.shares(factors[rows[asked, 1]]), strict=True):
            best = np.argsort(-values, kind="stable")[:n_items]
            shares[row] = own.items[best], values[best]

    with one_blas_thread():
        threads.map(explain_user, groups)
    longest = max(len(own) for own, _ in shares)
    found, values = np.full((len(rows), longest), -1, dtype=np.int32), np.full((len(rows), longest), np.nan)
    for row, (items, own) in enumerate(shares):
        found[row, : len(items)], values[row, : len(items)] = items, own
    return {"items": fitted.levels.decode(1, found), "shares": values, "preference": preference}
