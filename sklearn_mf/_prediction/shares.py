"""Tell which of a user's own items a preference is due to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sklearn_mf._ids.tables import Column
from sklearn_mf._prediction.fitted import FittedModel
from sklearn_mf._prediction.seen import SeenPairs
from sklearn_mf._utils.threads import Threads, one_blas_thread

System = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def explain_pairs(
    fitted: FittedModel, columns: list[Column], seen: SeenPairs, system: System, n_items: int | None, threads: Threads
) -> dict[str, np.ndarray]:
    """Find the largest shares of the user's own items in each preference, as the ranker's ``explain`` says.

    ``system`` gives A and the rows q of a user's items: their row is A^-1 sum_j c_j q_j.
    """
    preference, indices = fitted.predict(columns, threads), fitted.levels.encode(columns, threads)
    rows = fitted.rows_of(indices)
    shares: list[tuple[np.ndarray, np.ndarray]] = [(np.empty(0, dtype=np.int32), np.empty(0))] * len(rows)
    for user in np.unique(indices[indices[:, 0] >= 0, 0]).tolist():
        asked = np.flatnonzero(indices[:, 0] == user)
        items, weights = seen.of_user(user)
        if not len(items):
            continue
        with one_blas_thread():
            matrix, q = system(items, weights)
            targets = fitted.model.factors[1][rows[asked, 1]].astype(np.float64)
            of_pairs = weights * (targets @ np.linalg.lstsq(matrix, q.T, rcond=None)[0])
        for row, own in zip(asked.tolist(), of_pairs, strict=True):
            order = np.argsort(-own, kind="stable")[:n_items]
            shares[row] = items[order], own[order]
    longest = max(len(own) for own, _ in shares)
    found, values = np.full((len(rows), longest), -1, dtype=np.int32), np.full((len(rows), longest), np.nan)
    for row, (items, own) in enumerate(shares):
        found[row, : len(items)], values[row, : len(items)] = items, own
    return {"items": fitted.levels.decode(1, found), "shares": values, "preference": preference}
