"""What is learned, as the kernel keeps it: rows of all fields, stacked in the order of the grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sklearn_mf._kernel.kernels import LANES
from sklearn_mf._utils.threads import Threads, chunks

if TYPE_CHECKING:
    from sklearn_mf._training.ratings import BlockGrid
    from sklearn_mf._training.sgd import Hyperparameters

_CHUNK = 2**14  # rows a task
_INITIAL_NORM = 0.3  # expected norm of an initial factor row of two columns, whatever the rank
LARGEST = 1e12  # of steps and penalties: beyond, single precision overflows, and nothing is left of a row anyway


@dataclass
class Parameters:
    """Rows of all fields, stacked in the order of the grid and padded to the kernel's width."""

    table: np.ndarray  # float32 (n_rows, width); with ties (n_rows, 2 * width), what a row shrinks to behind it
    scalars: np.ndarray  # float32 (n_rows, 2): bias; damping / summed weight of the row's ratings
    ties: np.ndarray | None  # float32 (users and items, LANES), of implicit features

    @property
    def rows(self) -> np.ndarray:
        """Factors, float32 (n_rows, width): a view."""
        return self.table if self.ties is None else self.table[:, : self.table.shape[1] // 2]

    @property
    def centers(self) -> np.ndarray:
        """With ties, what factors shrink to, float32 (n_rows, width): a view."""
        return self.table[:, self.table.shape[1] // 2 :]

    @property
    def bias(self) -> np.ndarray:
        """Biases, float32 (n_rows,): a view."""
        return self.scalars[:, 0]

    def copy_from(self, other: Parameters, threads: Threads) -> None:
        def copy_part(piece: tuple[int, int]) -> None:
            part = slice(*piece)
            np.copyto(self.rows[part], other.rows[part])
            np.copyto(self.scalars[part], other.scalars[part])

        threads.map(copy_part, chunks(len(self.rows), _CHUNK))

    def halve(self) -> None:
        np.multiply(self.rows, 0.5, out=self.rows)
        self.scalars[:, 0] *= 0.5

    def clear(self) -> None:
        self.rows[:] = 0.0
        self.bias[:] = 0.0

    def are_finite(self) -> bool:
        return bool(np.isfinite(self.rows.sum(dtype=np.float64)) and np.isfinite(self.bias.sum(dtype=np.float64)))


def initial_parameters(
    grid: BlockGrid,
    hyper: Hyperparameters,
    rng: np.random.Generator,
    threads: Threads,
    is_new: list[np.ndarray] | None = None,
    curvature: float = 1.0,
) -> Parameters:
    """Biases zero, factors normal; drawn level by level, so that the grid has no say in them.

    Rows without ratings are zero: they contribute nothing. ``is_new`` says for each field which levels to draw.
    The higher the ``curvature`` of the loss, the smaller they start.
    """
    n_rows, n_fields, rank = len(grid.row_weights), len(grid.row_of), hyper.rank
    # n (n - 1) / 2 interactions: their sum starts with the same variance whatever the number of columns.
    norm = _INITIAL_NORM * (2 / (n_fields * (n_fields - 1) * max(curvature, 1.0))) ** 0.25
    width, ties = max(LANES, -(-rank // LANES) * LANES), None
    if hyper.implicit_features is not None:
        width, ties = 2 * width, np.zeros((len(grid.row_of[0]) + len(grid.row_of[1]), LANES), dtype=np.float32)
    parameters = Parameters(_aligned_zeros(n_rows, width), np.zeros((n_rows, 2), dtype=np.float32), ties)
    is_rated = grid.row_weights > 0
    for f, place in enumerate(grid.row_of):
        parameters.scalars[place, 1] = damping_per_rating(hyper.damping_of(f), grid.row_weights[place])

    def draw(task: tuple[np.ndarray, int]) -> None:
        place, seed = task
        draws = np.random.default_rng(seed).standard_normal((len(place), rank), dtype=np.float32)
        if hyper.positive:
            np.abs(draws, out=draws)
        parameters.table[place, :rank] = draws * np.float32(norm / rank**0.5)

    if rank:
        drawn = [place if is_new is None else place[is_new[f]] for f, place in enumerate(grid.row_of)]
        parts = [place[slice(*piece)] for place in drawn for piece in chunks(len(place), _CHUNK)]
        threads.map(draw, zip(parts, rng.integers(2**63, size=len(parts)).tolist(), strict=True))
        if not is_rated.all():
            parameters.rows[~is_rated] = 0.0
    return parameters


def damping_per_rating(damping: float, n: np.ndarray) -> np.ndarray:
    """What the damping of a level adds to the strength of each of its ratings, of summed weight ``n``."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return np.where(n > 0, np.minimum(damping / n, LARGEST), 0.0)


def _aligned_zeros(n_rows: int, width: int) -> np.ndarray:
    """Zeros whose rows do not straddle more cache lines than they must."""
    buffer = np.zeros(n_rows * width + 16, dtype=np.float32)
    begin = -buffer.ctypes.data % 64 // 4
    return buffer[begin : begin + n_rows * width].reshape(n_rows, width)


def levels_in_order(grid: BlockGrid, parameters: Parameters, rank: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Factors (n_levels, rank) and biases (n_levels,) per field, levels in index order, padding gone."""
    factors = [np.ascontiguousarray(parameters.rows[place, :rank]) for place in grid.row_of]
    return factors, [parameters.bias[place] for place in grid.row_of]
