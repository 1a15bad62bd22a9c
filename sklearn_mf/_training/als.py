"""Solve users and items in turn: a few steps for one side, while the other side is held fixed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sklearn_mf._kernel.als import LANES, ALSSide, gram
from sklearn_mf._training.pairs import PairsBySide
from sklearn_mf._training.sections import Sections, add_counts, add_in_order
from sklearn_mf._training.shard import Shard

_N_STEPS = 2  # steps of conjugate gradients in an alternation; a third step takes time but does not improve lists
_MAX_FINAL_STEPS = 100  # largest number of steps for users at the end
_TOLERANCE = 1e-12  # relative squared residual at which a row is solved; lower values are only rounding
_START_LENGTH = 0.1  # length of an item's row before the first alternation
_CHUNK_WORK = 2**18  # work of a task, in pairs; see _chunks_of_work
_LARGEST_RIDGE = 1e12  # with more, single precision overflows, and rows are almost zero anyway


@dataclass(frozen=True)
class PreferenceHyperparameters:
    """Hold the penalties of a preference model, and how long to train. Names are those of the ranker."""

    rank: int
    alpha: float | None  # None: choose_penalties replaces it before the solver is made
    damping: float | None
    unobserved_weight: float
    max_iter: int
    tol: float

    def ridges(self, masses: np.ndarray, unobserved: float) -> np.ndarray:
        """Return the penalty of each row, alpha (n + w0 n_other) + damping, float32.

        ``unobserved`` is w0 n_other, the weight of all unobserved pairs of a row.
        """
        with np.errstate(over="ignore"):
            ridges = self.alpha * (masses + unobserved) + self.damping
        return np.minimum(ridges, _LARGEST_RIDGE).astype(np.float32)

    def weight_of_unobserved(self, n_pairs: int, n_users: int, n_items: int) -> float:
        """Return w0, the weight of each pair: ``unobserved_weight`` times the share of observed pairs."""
        return min(self.unobserved_weight * n_pairs / (n_users * n_items), _LARGEST_RIDGE)


class ALSSolver:
    """Hold the rows of users and items, and run alternations. Each shard solves its own rows and stores all rows.

    Parameters
    ----------
    sides : tuple of PairsBySide
        Observed pairs of this shard's users, and of its items.

    n_levels : list of int
        Number of users and of items.

    hyper : PreferenceHyperparameters
        Penalties.

    rng : numpy.random.Generator
        Draws the initial rows of items, the same on all shards.

    shard : Shard
        The result is the same for any number of shards and threads.

    Attributes
    ----------
    n_pairs : int
        Number of pairs of all shards.

    w0 : float
        Weight of each pair.
    """

    def __init__(
        self,
        sides: tuple[PairsBySide, PairsBySide],
        n_levels: list[int],
        hyper: PreferenceHyperparameters,
        rng: np.random.Generator,
        shard: Shard,
    ):
        self._shard, self._rank = shard, hyper.rank
        self._sections = [Sections(n) for n in n_levels]
        self.n_pairs = add_counts(len(sides[0].index), shard)
        self.w0 = hyper.weight_of_unobserved(self.n_pairs, *n_levels)
        self._width = -(-hyper.rank // LANES) * LANES
        self._rows = [np.zeros((n, self._width), dtype=np.float32) for n in n_levels]
        start = rng.standard_normal((n_levels[1], hyper.rank), dtype=np.float32)
        self._rows[1][:, : hyper.rank] = start * np.float32(_START_LENGTH / hyper.rank**0.5)
        self._sides, self._ridges, self._chunks = [], [], []
        for f, side in enumerate(sides):
            n_other = n_levels[1 - f]
            ridges = hyper.ridges(side.masses, self.w0 * n_other)
            self._sides.append(ALSSide(side.start, side.index, side.weight, ridges, n_other))
            self._ridges.append(ridges)
            sections = enumerate(self._sections[f].own_slices(shard))
            self._chunks.append([(n, part) for n, rows in sections for part in _chunks_of_work(side.start, rows)])

    def alternate(self) -> tuple[float, float]:
        """Solve users and then items. Return the objective between the two, and its decrease in both together."""
        users = self._solve(0, _N_STEPS)
        items = self._solve(1, _N_STEPS)
        return float(items[0] + users[2]), float(users[1] + items[1])

    @contextmanager
    def users_solved(self, is_last: bool = True) -> Iterator[None]:
        """Solve the users to single precision for a ``with`` block. Undo this afterwards unless it is the last step."""
        before = None if is_last else self._rows[0].copy()
        self._solve(0, _MAX_FINAL_STEPS)
        yield
        if before is not None:
            self._rows[0] = before

    def solved_users(self, asked: np.ndarray, pairs: PairsBySide) -> np.ndarray:
        """Solve some of this shard's users from ``pairs``, as ``users_solved`` does; float32 (n_asked, rank)."""
        other, held = self._rows[1], self._held(1)
        side = ALSSide(pairs.start, pairs.index, pairs.weight, self._ridges[0][asked], len(other))
        own = self._rows[0][self._sections[0].own_rows(self._shard)][asked]

        def solve_part(rows: slice) -> None:
            side.solve(rows.start, rows.stop, held, other, own, _MAX_FINAL_STEPS, _TOLERANCE)

        self._shard.threads.map(solve_part, _chunks_of_work(pairs.start, slice(0, len(asked))))
        return own[:, : self._rank]

    @property
    def is_first_shard(self) -> bool:
        """Whether this is the first of all shards."""
        return self._shard.index == 0

    def set_rows(self, rows: list[np.ndarray]) -> None:
        """Continue from rows of users and of items, float32 (n_rows, rank)."""
        for own, given in zip(self._rows, rows, strict=True):
            own[:, : self._rank] = given

    def own_rows(self, field: int) -> np.ndarray:
        """Return this shard's rows of a side, float32 (n_own, rank). The next alternation changes them."""
        return self.rows(field)[self._sections[field].own_rows(self._shard)]

    def rows(self, field: int) -> np.ndarray:
        """Return all rows of a side, float32 (n_rows, rank)."""
        return self._rows[field][:, : self._rank]

    def gram(self, field: int) -> np.ndarray:
        """Return the Gram matrix of the rows of a side, float64 (rank, rank)."""
        return self._gram(field)[: self._rank, : self._rank]

    def _gram(self, field: int) -> np.ndarray:
        """Return the Gram matrix of the stored rows, padded with zeros beyond the rank."""
        sections = self._sections[field]
        own, parts = self._rows[field][sections.own_rows(self._shard)], sections.own_slices(self._shard)
        grams = np.empty((len(parts), self._width, self._width))

        def fill_in(n: int) -> None:
            grams[n] = gram(own[parts[n]])

        self._shard.threads.map(fill_in, range(len(parts)))
        return add_in_order(grams, self._shard)

    def _held(self, field: int) -> np.ndarray:
        """Return w0 times the Gram matrix of a side, in the form for the kernel."""
        return (self.w0 * self._gram(field)).astype(np.float32)

    def _solve(self, field: int, n_steps: int) -> np.ndarray:
        """Take steps with the rows of a side; return the summed results of the kernel."""
        side, sections, other = self._sides[field], self._sections[field], self._rows[1 - field]
        own = self._rows[field][sections.own_rows(self._shard)]
        held = self._held(1 - field)

        def solve_part(task: tuple[int, slice]) -> tuple[float, float, float]:
            return side.solve(task[1].start, task[1].stop, held, other, own, n_steps, _TOLERANCE)

        sums = np.zeros((len(sections.own_numbers(self._shard)), 3))
        told = self._shard.threads.map(solve_part, self._chunks[field])
        for (n, _), numbers in zip(self._chunks[field], told, strict=True):
            sums[n] += numbers
        self._shard.share([self._rows[field]], sections.starts(self._shard))
        return add_in_order(sums, self._shard)


def _chunks_of_work(start: np.ndarray, rows: slice) -> list[slice]:
    """Cut the rows of a section into tasks of about equal work; they depend only on the pairs of the section."""
    start = start[rows.start : rows.stop + 1] - start[rows.start]
    n_rows = rows.stop - rows.start
    work = start + 64 * np.arange(n_rows + 1)  # a row without pairs costs about as much as 64 of them
    n_tasks = max(1, -(-int(work[-1]) // _CHUNK_WORK))
    ends = np.searchsorted(work, np.linspace(0, work[-1], n_tasks + 1)[1:-1])
    bounds = rows.start + np.unique([0, *ends, n_rows])
    return [slice(int(a), int(b)) for a, b in pairwise(bounds)]
