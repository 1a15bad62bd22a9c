"""Record the results of epochs, so that an interrupted fit can resume where its parameters were saved."""

from __future__ import annotations

from typing import Protocol
from weakref import ref

import numpy as np


class Solver(Protocol):
    """Run the epochs of a fit."""

    def save(self) -> dict[str, np.ndarray]:
        """Return the parameters, by name."""


class Tape:
    """Hold the results of the epochs of a fit, and the epoch at which it resumes.

    A fit that resumes takes the results of its earlier epochs from the tape instead of running them. After the last of
    these epochs, it loads the parameters that were saved then. From there it runs as usual.

    Parameters
    ----------
    records : float64 array (n_epochs, n_numbers) or None
        Results of earlier epochs. None means that there are none.

    arrays : dict of arrays or None
        The parameters after these epochs.
    """

    def __init__(self, records: np.ndarray | None = None, arrays: dict[str, np.ndarray] | None = None):
        self._records = [] if records is None else [tuple(record) for record in records.tolist()]
        self._arrays, self._n_played = arrays, 0
        self._solver: ref[Solver] | None = None  # weak, so that the tape does not keep a finished solver

    @property
    def n_epochs(self) -> int:
        """Number of epochs that were run."""
        return len(self._records)

    @property
    def is_replaying(self) -> bool:
        """Whether the next epoch was run before."""
        return self._n_played < len(self._records)

    @property
    def records(self) -> np.ndarray:
        """Results of the epochs, float64 (n_epochs, n_numbers)."""
        return np.array(self._records, dtype=np.float64)

    def play(self) -> tuple[float, ...]:
        """Return the result of the next epoch."""
        self._n_played += 1
        return self._records[self._n_played - 1]

    def take_arrays(self) -> dict[str, np.ndarray]:
        """Return the parameters after the earlier epochs, and forget them."""
        arrays, self._arrays = self._arrays, None  # to free memory
        return arrays

    def record(self, solver: Solver, *numbers: float) -> None:
        """Record the result of an epoch of a solver."""
        self._records.append(numbers)
        self._n_played, self._solver = len(self._records), ref(solver)

    def saved(self) -> dict[str, np.ndarray]:
        """Copy the parameters after the last epoch, by name."""
        return {name: np.array(array) for name, array in self._solver().save().items()}
