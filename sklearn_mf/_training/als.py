"""Solve users and items in turns, a few steps for each side with the other one held."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sklearn_mf._kernel.als import LANES, ALSSide, gram
from sklearn_mf._training.pairs import PairsBySide
from sklearn_mf._utils.threads import Threads, chunks

_N_STEPS = 2  # of conjugate gradients in an alternation: a third takes time and makes lists no better
_MAX_FINAL_STEPS = 100  # of the users at the end
_TOLERANCE = 1e-12  # of the squared residual of a row: what is below is rounding
_START_LENGTH = 0.1  # of the row of an item before the first alternation
_GRAM_CHUNK = 2**14  # rows; the order of sums depends on their number alone
_CHUNK_WORK = 2**18  # of a task, in pairs; a row counts as some more
_LARGEST_RIDGE = 1e12  # beyond, single precision overflows, and nothing is left of a row anyway


@dataclass(frozen=True)
class PreferenceHyperparameters:
    """Say what a model of preferences minimizes, and how long to train. Names are the ranker's."""

    rank: int
    alpha: float | None  # None is chosen on held-out pairs, before a solver is told
    damping: float | None
    unobserved_weight: float
    max_iter: int
    tol: float

    def ridges(self, masses: np.ndarray, unobserved: float) -> np.ndarray:
        """Give the strength of each row's penalty, alpha (n + w0 n_other) + damping, float32.

        ``unobserved`` is w0 n_other, the weight of all pairs of a row that were not observed.
        """
        with np.errstate(over="ignore"):
            ridges = self.alpha * (masses + unobserved) + self.damping
        return np.minimum(ridges, _LARGEST_RIDGE).astype(np.float32)

    def weight_of_unobserved(self, n_pairs: int, n_users: int, n_items: int) -> float:
        """Give w0, the weight of every pair: ``unobserved_weight`` times the observed ones, spread over all."""
        return min(self.unobserved_weight * n_pairs / (n_users * n_items), _LARGEST_RIDGE)


class ALSSolver:
    """Hold the rows of users and items, and run alternations.

    Parameters
    ----------
    sides : tuple of PairsBySide
        Observed pairs by user and by item.

    hyper : PreferenceHyperparameters
        Strengths.

    rng : numpy.random.Generator
        Draws the rows of items that the first alternation starts from.

    threads : Threads
        They share the rows; the result is that of one.
    """

    def __init__(
        self,
        sides: tuple[PairsBySide, PairsBySide],
        hyper: PreferenceHyperparameters,
        rng: np.random.Generator,
        threads: Threads,
    ):
        n_users, n_items = sides[0].n_rows, sides[1].n_rows
        self._threads, self._n_pairs = threads, len(sides[0].index)
        self.w0 = hyper.weight_of_unobserved(self._n_pairs, n_users, n_items)
        width = -(-hyper.rank // LANES) * LANES
        self._rank = hyper.rank
        self._rows = [np.zeros((n, width), dtype=np.float32) for n in (n_users, n_items)]
        start = rng.standard_normal((n_items, hyper.rank), dtype=np.float32)
        self._rows[1][:, : hyper.rank] = start * np.float32(_START_LENGTH / hyper.rank**0.5)
        self._sides, self._chunks = [], []
        for side, n_other in zip(sides, (n_items, n_users), strict=True):
            ridges = hyper.ridges(side.masses, self.w0 * n_other)
            self._sides.append(ALSSide(side.start, side.index, side.weight, ridges, n_other))
            self._chunks.append(_chunks_of_work(side.start))

    def alternate(self) -> tuple[float, float]:
        """Solve users and then items; return the objective before the items, and its decrease in both."""
        users = self._solve(0, _N_STEPS)
        items = self._solve(1, _N_STEPS)
        return float(items[0] + users[2]), float(users[1] + items[1])

    @contextmanager
    def users_solved(self, is_last: bool = True) -> Iterator[None]:
        """Solve the users until single precision ends it; where it is not the last step, take that back afterwards."""
        before = None if is_last else self._rows[0].copy()
        self._solve(0, _MAX_FINAL_STEPS)
        yield
        if before is not None:
            self._rows[0] = before

    def rows(self, field: int) -> np.ndarray:
        """Give the rows of a side, float32 (n_rows, rank)."""
        return self._rows[field][:, : self._rank]

    def gram(self, field: int) -> np.ndarray:
        """Give the sum of the products of each row of a side with itself, float64 (rank, rank)."""
        return self._gram(field)[: self._rank, : self._rank]

    def _gram(self, field: int) -> np.ndarray:
        """Give the Gram matrix of rows as they are kept, with zeros beyond the rank."""
        rows = self._rows[field]
        parts = self._threads.map(lambda part: gram(rows[part]), chunks(len(rows), _GRAM_CHUNK))
        return np.sum(parts, axis=0)

    def _solve(self, field: int, n_steps: int) -> np.ndarray:
        """Solve the rows of a side; return what the kernel tells, added up."""
        side, own, other = self._sides[field], self._rows[field], self._rows[1 - field]
        held = (self.w0 * self._gram(1 - field)).astype(np.float32)

        def solve_part(part: slice) -> tuple[float, float, float]:
            return side.solve(part.start, part.stop, held, other, own, n_steps, _TOLERANCE)

        return np.sum(self._threads.map(solve_part, self._chunks[field]), axis=0)


def _chunks_of_work(start: np.ndarray) -> list[slice]:
    """Cut rows into tasks of about the same work; they depend on the pairs alone."""
    n_rows = len(start) - 1
    work = start + 64 * np.arange(n_rows + 1)  # a row without pairs costs about as much as 64 of them
    n_tasks = max(1, -(-int(work[-1]) // _CHUNK_WORK))
    ends = np.searchsorted(work, np.linspace(0, work[-1], n_tasks + 1)[1:-1])
    bounds = np.unique([0, *ends, n_rows])
    return [slice(int(a), int(b)) for a, b in pairwise(bounds)]
