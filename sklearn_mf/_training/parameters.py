"""Keep what is learned as the kernel takes it: rows of all fields, stacked in the order of the grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_mf._kernel.sgd import BIAS_CENTER_COLUMNS, LANES
from sklearn_mf._training.grid import BlockGrid
from sklearn_mf._training.hyperparameters import LARGEST_SAFE_NUMBER, Hyperparameters
from sklearn_mf._utils.threads import Threads, chunks

_MAX_CHUNK = 2**14  # rows a task
# Standard deviation of the interactions of two columns at the start, on the standardized scale: factors of levels with
# few ratings grow slowly from small ones, and penalties take away what ratings do not confirm. Short steps and few
# ratings take less.
_INITIAL_SPREAD, _STEP_OF_FULL_SPREAD, _RATINGS_OF_FULL_SPREAD = 0.4, 0.1, 1000.0
_SMALL_INITIAL_NORM = 0.3  # expected norm of a row that is visited few times, or whose factors cannot change sign
_INITIAL_SHARE_OF_CONTEXTS = 0.1  # of the norm of a user: their levels have ratings enough to grow from little
_CACHE_LINE_FLOATS = 16


@dataclass
class Parameters:
    """Hold rows of all fields, stacked in the order of the grid and padded to the kernel's width.

    With centers, a row's center stands behind the row, and users and items have ties: what the kernel needs to leave a
    rating's own pair out of its error, and the center of the bias. Columns of the arrays have names here only.
    """

    table: np.ndarray  # float32 (n_rows, width); with ties (n_rows, 2 * width), the center behind the row
    scalars: np.ndarray  # float32 (n_rows, 2): bias; 1 / summed weight of the row's ratings
    ties: np.ndarray | None  # float32 (users and items, LANES), laid out as sgd.h says

    @property
    def width(self) -> int:
        """Floats of a row."""
        return self.table.shape[1] if self.ties is None else self.table.shape[1] // 2

    @property
    def rows(self) -> np.ndarray:
        """Factors, float32 (n_rows, width): a view."""
        return self.table[:, : self.width]

    @property
    def centers(self) -> np.ndarray:
        """With ties, what factors shrink to, float32 (n_rows, width): a view."""
        return self.table[:, self.width :]

    @property
    def bias(self) -> np.ndarray:
        """Biases, float32 (n_rows,): a view."""
        return self.scalars[:, 0]

    @property
    def per_rating(self) -> np.ndarray:
        """Part of a row's damping that each of its ratings carries, 1 / n, float32 (n_rows,): a view."""
        return self.scalars[:, 1]

    def bias_centers(self, field: int) -> np.ndarray:
        """With ties, what biases of users (field 0) or items (1) shrink to, float32 (users and items,): a view."""
        return self.ties[:, BIAS_CENTER_COLUMNS[field]]

    def pair_ties(self, field: int) -> np.ndarray:
        """Two columns of the ties, float32 (users and items, 2): a view.

        In rows of ``field`` they are the pull of factors and of bias, in rows of the other side the push of both; what
        a pair adds to its own prediction is <ties of the user, ties of the item> over the columns of both fields.
        """
        return self.ties[:, 2 * field : 2 * field + 2]

    def without_ties(self) -> Parameters:
        """Give the same rows with all ties at zero."""
        return Parameters(self.table, self.scalars, None if self.ties is None else np.zeros_like(self.ties))

    def copy_from(self, other: Parameters, threads: Threads) -> None:
        """Take over the rows and scalars of others."""

        def copy_part(part: slice) -> None:
            np.copyto(self.rows[part], other.rows[part])
            np.copyto(self.scalars[part], other.scalars[part])

        threads.map(copy_part, chunks(len(self.rows), _MAX_CHUNK))

    def halve(self) -> None:
        """Halve factors and biases."""
        np.multiply(self.rows, 0.5, out=self.rows)
        self.scalars[:, 0] *= 0.5

    def clear(self) -> None:
        """Set factors and biases to zero."""
        self.rows[:] = 0.0
        self.bias[:] = 0.0

    def are_finite(self) -> bool:
        """Return whether no factor and no bias is NaN or infinite."""
        return bool(np.isfinite(self.rows.sum(dtype=np.float64)) and np.isfinite(self.bias.sum(dtype=np.float64)))

    def in_order(self, row_of: list[np.ndarray], rank: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Give factors (n_levels, rank) and biases (n_levels,) per field, levels in the order of their codes."""
        factors = [np.ascontiguousarray(self.rows[place, :rank]) for place in row_of]
        return factors, [self.bias[place] for place in row_of]


def initial_parameters(
    grid: BlockGrid,
    hyper: Hyperparameters,
    rng: np.random.Generator,
    threads: Threads,
    curvature: float = 1.0,
) -> Parameters:
    """Start with biases at zero and normal factors, drawn level by level, so that the grid has no say in them.

    Rows without ratings are zero: they contribute nothing. The higher the ``curvature`` of the loss, the smaller they
    start.
    """
    n_rows, rank = len(grid.row_weights), hyper.rank
    is_small = hyper.positive or not hyper.loss.is_standardized
    n_fields = len(grid.row_of)
    norms = [small_norm(n_fields, curvature)] * n_fields if is_small else _usual_norms(grid, hyper)
    width, ties = max(LANES, -(-rank // LANES) * LANES), None
    if hyper.implicit_features is not None:
        width, ties = 2 * width, np.zeros((grid.n_pair_rows, LANES), dtype=np.float32)
    parameters = Parameters(_aligned_zeros(n_rows, width), np.zeros((n_rows, 2), dtype=np.float32), ties)
    is_rated = grid.row_weights > 0
    parameters.per_rating[:] = shares_of_ratings(grid.row_weights)

    def draw(task: tuple[tuple[int, np.ndarray], int]) -> None:
        (f, place), seed = task
        draws = np.random.default_rng(seed).standard_normal((len(place), rank), dtype=np.float32)
        if hyper.positive:
            np.abs(draws, out=draws)
        parameters.table[place, :rank] = draws * np.float32(norms[f] / rank**0.5)

    if rank:
        parts = [(f, place[part]) for f, place in enumerate(grid.row_of) for part in chunks(len(place), _MAX_CHUNK)]
        threads.map(draw, zip(parts, rng.integers(2**63, size=len(parts)).tolist(), strict=True))
        if not is_rated.all():
            parameters.rows[~is_rated] = 0.0
    return parameters


def small_norm(n_fields: int, curvature: float = 1.0) -> float:
    """Give the expected norm of an initial row that starts near zero.

    The sum of n (n - 1) / 2 interactions starts with the same variance, whatever the number n of columns.
    """
    return _SMALL_INITIAL_NORM * (2 / (n_fields * (n_fields - 1) * max(curvature, 1.0))) ** 0.25


def _usual_norms(grid: BlockGrid, hyper: Hyperparameters) -> list[float]:
    """Give the expected norm of an initial row of each field, such that <p, q> has the spread wanted."""
    n_ratings = float(grid.row_weights[grid.row_of[0]].sum())
    of_step = min(hyper.learning_rate / _STEP_OF_FULL_SPREAD, 1.0)
    of_ratings = min(n_ratings / _RATINGS_OF_FULL_SPREAD, 1.0) ** 0.5
    norm = (_INITIAL_SPREAD * of_step * of_ratings * hyper.rank**0.5) ** 0.5
    return [norm, norm, *[_INITIAL_SHARE_OF_CONTEXTS * norm] * (len(grid.row_of) - 2)]


def shares_of_ratings(n: np.ndarray) -> np.ndarray:
    """Give 1 / n for levels whose ratings have a summed weight ``n``; 0 without ratings."""
    with np.errstate(over="ignore", divide="ignore"):
        return np.where(n > 0, np.minimum(1 / n, LARGEST_SAFE_NUMBER), 0.0)


def _aligned_zeros(n_rows: int, width: int) -> np.ndarray:
    """Give zeros whose rows do not straddle more cache lines than they must."""
    buffer = np.zeros(n_rows * width + _CACHE_LINE_FLOATS, dtype=np.float32)
    begin = -buffer.ctypes.data % (4 * _CACHE_LINE_FLOATS) // 4
    return buffer[begin : begin + n_rows * width].reshape(n_rows, width)
