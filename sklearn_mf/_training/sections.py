"""Cut the rows of a side into sections, which belong to shards, and add up numbers in the order of sections."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from sklearn_mf._training.shard import Shard

_MIN_ROWS = 2**10  # smallest section, if there is more than one
_MOST_SECTIONS = 64  # more sections share work more evenly, but each needs memory for a Gram matrix


@dataclass(frozen=True)
class Sections:
    """Cut rows into sections of consecutive rows. The cuts depend only on the number of rows."""

    n_rows: int

    @property
    def bounds(self) -> np.ndarray:
        """Return the first row of each section and the end of the last, int64 (n_sections + 1,)."""
        n = min(-(-self.n_rows // _MIN_ROWS), _MOST_SECTIONS)
        return np.arange(n + 1) * self.n_rows // n

    def own_numbers(self, shard: Shard) -> range:
        """Return the numbers of a shard's sections."""
        return shard.part(len(self.bounds) - 1)

    def own_slices(self, shard: Shard) -> list[slice]:
        """Return the rows of each section of a shard, counted from the first row of the shard."""
        bounds = self.bounds - self.starts(shard)[shard.index]
        return [slice(int(bounds[n]), int(bounds[n + 1])) for n in self.own_numbers(shard)]

    def starts(self, shard: Shard) -> np.ndarray:
        """Return the first row of each shard and the end of the last, int64 (n_shards + 1,)."""
        owners = shard.owners(len(self.bounds) - 1)
        return self.bounds[np.searchsorted(owners, np.arange(shard.n_shards + 1))]

    def own_rows(self, shard: Shard) -> slice:
        """Return the rows of a shard."""
        start = self.starts(shard)
        return slice(int(start[shard.index]), int(start[shard.index + 1]))

    def send_to_owners(self, rows: np.ndarray, arrays: list[np.ndarray], shard: Shard) -> list[np.ndarray]:
        """Send each entry of the arrays to the shard that owns its row; return this shard's entries, in any order."""
        if shard.n_shards == 1:
            return arrays
        owner = np.searchsorted(self.starts(shard), rows, side="right") - 1
        order = np.argsort(owner, kind="stable")
        parts = np.split(order, np.searchsorted(owner[order], np.arange(1, shard.n_shards)))
        received = shard.exchange([[array[part] for array in arrays] for part in parts])
        return [np.concatenate(column) for column in zip(*received, strict=True)]


def add_in_order(of_sections: np.ndarray, shard: Shard) -> np.ndarray:
    """Add up the numbers of all sections, in the order of sections; all shards get the same sums.

    ``of_sections`` has the sections of this shard in its first dimension. Each shard adds up some of the columns.
    """
    shape = of_sections.shape[1:]
    columns = np.array_split(of_sections.reshape(len(of_sections), prod(shape)), shard.n_shards, axis=1)
    received = shard.exchange([[part] for part in columns])
    # The order of np.sum would depend on the shape.
    return shard.gather(sum(section for (part,) in received for section in part)).reshape(shape)


def add_counts(n: int, shard: Shard) -> int:
    """Add up one number from each shard."""
    return int(shard.gather(np.array([n])).sum())
