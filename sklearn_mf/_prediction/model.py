"""Score pairs with a fitted model, given as tables of factors and biases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_mf._kernel.rows import RowTable
from sklearn_mf._kernel.sgd import predict
from sklearn_mf._utils.threads import Threads, chunks

MAX_CHUNK = 2**16  # rows that a thread scores at a time


@dataclass(frozen=True)
class Model:
    """Hold the factors, biases and intercept of a model. Lists have a table for each field. Arrays become tables."""

    factors: list[RowTable]  # (n_levels, rank)
    biases: list[RowTable]  # (n_levels,)
    intercept: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "factors", [as_table(rows) for rows in self.factors])
        object.__setattr__(self, "biases", [as_table(bias) for bias in self.biases])

    @property
    def rank(self) -> int:
        """Number of factors."""
        return self.factors[0].shape[1]

    @property
    def n_levels(self) -> list[int]:
        """Number of levels of each field."""
        return [len(rows) for rows in self.factors]

    def scores(self, indices: np.ndarray, threads: Threads, out: np.ndarray | None = None) -> np.ndarray:
        """Score rows of indices, int32 (n_rows, n_fields). -1 is an unknown level, which adds nothing.

        A score is intercept + sum_f b_f + sum_{f<g} <V_f, V_g>, float64 (n_rows,). If ``out`` is given, it is filled.
        """
        out = np.empty(len(indices)) if out is None else out

        def score_rows(part: slice) -> None:
            predict(indices[part], self.factors, self.biases, self.intercept, out[part])

        threads.map(score_rows, chunks(len(out), MAX_CHUNK))
        return out


def as_table(rows: np.ndarray | RowTable) -> RowTable:
    """Return rows as a table. A contiguous float32 array is not copied."""
    return rows if isinstance(rows, RowTable) else RowTable(np.ascontiguousarray(rows, dtype=np.float32))
