"""Hold the learned parameters in the layout of the kernel: rows of all fields, stacked in the order of the grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklearn_mf._kernel.rows import all_finite
from sklearn_mf._kernel.sgd import BIAS_CENTER_COLUMNS, LANES
from sklearn_mf._training.grid import BlockGrid
from sklearn_mf._training.hyperparameters import LARGEST_SAFE_NUMBER, Hyperparameters
from sklearn_mf._training.shard import Shard
from sklearn_mf._utils.threads import Threads, chunks, slices

_MAX_CHUNK = 2**14  # rows per task
# Initial standard deviation of the interactions of two columns, on the standardized scale. It is large, because small
# factors of levels with few ratings would grow slowly. If ratings do not confirm a factor, penalties shrink it. With
# short steps or few ratings the deviation is smaller.
_INITIAL_SPREAD, _STEP_OF_FULL_SPREAD, _RATINGS_OF_FULL_SPREAD = 0.4, 0.1, 1000.0
_SMALL_INITIAL_NORM = 0.3  # expected norm of a row with few visits, or of positive factors
_INITIAL_SHARE_OF_CONTEXTS = 0.1  # of the norm of a user; contexts have enough ratings to grow from small factors
_CACHE_LINE_FLOATS = 16


@dataclass
class Parameters:
    """Hold rows of all fields, stacked in the order of the grid and padded to the kernel's width.

    With centers, the center of a row is stored after the row, and users and items have ties. Ties hold the center of
    the bias, and the numbers that the kernel needs to leave the pair of a rating out of its own error. Only this class
    knows the meaning of the columns.
    """

    table: np.ndarray  # float32 (n_rows, width); with ties (n_rows, 2 * width), the center after the row
    scalars: np.ndarray  # float32 (n_rows, 2): bias; 1 / summed weight of the row's ratings
    ties: np.ndarray | None  # float32 (users and items, LANES), with the columns of sgd.h

    @property
    def width(self) -> int:
        """Number of floats in a row."""
        return self.table.shape[1] if self.ties is None else self.table.shape[1] // 2

    @property
    def rows(self) -> np.ndarray:
        """Factors, float32 (n_rows, width): a view."""
        return self.table[:, : self.width]

    @property
    def centers(self) -> np.ndarray:
        """With ties, centers that factors shrink to, float32 (n_rows, width): a view."""
        return self.table[:, self.width :]

    @property
    def bias(self) -> np.ndarray:
        """Biases, float32 (n_rows,): a view."""
        return self.scalars[:, 0]

    @property
    def per_rating(self) -> np.ndarray:
        """Share of each rating in the damping of its row, 1 / n, float32 (n_rows,): a view."""
        return self.scalars[:, 1]

    def bias_centers(self, field: int) -> np.ndarray:
        """With ties, centers of the biases of users (field 0) or items (1), float32 (users and items,): a view."""
        return self.ties[:, BIAS_CENTER_COLUMNS[field]]

    def pair_ties(self, field: int) -> np.ndarray:
        """Two columns of the ties, float32 (users and items, 2): a view.

        In rows of ``field`` they are the pull of the factors and of the bias. In rows of the other side they are the
        push of the factors and of the bias. A pair adds <ties of the user, ties of the item> to its own prediction,
        over the columns of both fields.
        """
        return self.ties[:, 2 * field : 2 * field + 2]

    def without_ties(self) -> Parameters:
        """Return the same rows, with all ties at zero."""
        return Parameters(self.table, self.scalars, None if self.ties is None else np.zeros_like(self.ties))

    def copy_from(self, other: Parameters, threads: Threads) -> None:
        """Copy the rows and scalars of other parameters."""

        def copy_part(part: slice) -> None:
            np.copyto(self.rows[part], other.rows[part])
            np.copyto(self.scalars[part], other.scalars[part])

        threads.map(copy_part, chunks(len(self.rows), _MAX_CHUNK))

    def of_items(self, items: slice) -> list[np.ndarray]:
        """Return views of the factors and biases of items, which blocks change."""
        return [self.rows[items], self.bias[items]]

    def halve(self) -> None:
        """Halve factors and biases."""
        np.multiply(self.rows, 0.5, out=self.rows)
        self.scalars[:, 0] *= 0.5

    def clear(self) -> None:
        """Set factors and biases to zero."""
        self.rows[:] = 0.0
        self.bias[:] = 0.0

    def are_finite(self, rows: list[slice]) -> bool:
        """Return whether all factors and biases of these rows are finite."""
        return all(all_finite(self.rows[own]) and all_finite(self.bias[own, None]) for own in rows)


def initial_parameters(
    grid: BlockGrid,
    hyper: Hyperparameters,
    rng: np.random.Generator,
    shard: Shard,
    curvature: float = 1.0,
) -> Parameters:
    """Make initial parameters: zero biases, and normal factors, drawn section by section in the order of places.

    Rows without ratings are zero, so they add nothing to predictions. With ``positive`` or a loss that is not
    standardized, factors are small. They are smaller for a higher ``curvature`` of the loss.
    """
    n_rows, rank = len(grid.row_weights), hyper.rank
    is_small = hyper.positive or not hyper.loss.is_standardized
    n_fields = grid.index.shape[1]
    norms = [small_norm(n_fields, curvature)] * n_fields if is_small else _usual_norms(grid, hyper)
    width, ties = max(LANES, -(-rank // LANES) * LANES), None
    if hyper.implicit_features is not None:
        width, ties = 2 * width, np.zeros((grid.n_pair_rows, LANES), dtype=np.float32)
    parameters = Parameters(_aligned_zeros(n_rows, width, shard), np.zeros((n_rows, 2), dtype=np.float32), ties)
    is_rated = grid.row_weights > 0
    parameters.per_rating[:] = shares_of_ratings(grid.row_weights)

    def draw(task: tuple[int, tuple[int, int], slice]) -> None:
        f, number, rows = task
        shape = rows.stop - rows.start, rank
        draws = np.random.default_rng([seed, f, *number]).standard_normal(shape, dtype=np.float32)
        if hyper.positive:
            np.abs(draws, out=draws)
        parameters.table[rows, :rank] = draws * np.float32(norms[f] / rank**0.5)

    seed = int(rng.integers(2**63))
    if rank:
        shard.threads.map(draw, [task for f in range(n_fields) for task in _parts_to_draw(grid, f)])
        parameters.rows[~is_rated] = 0.0
    return parameters


def _parts_to_draw(grid: BlockGrid, field: int) -> list[tuple[int, tuple[int, int], slice]]:
    """Cut a field into parts; return the field, the numbers (section, part of the section) and the rows of each."""
    layout = grid.layout
    first = int(layout.offset[field])
    if field >= 2:
        return [
            (field, (0, at), slice(first + part.start, first + part.stop))
            for at, part in enumerate(chunks(layout.n_levels[field], _MAX_CHUNK))
        ]
    return [
        (field, (section, at), slice(first + part.start, first + part.stop))
        for section, rows in zip(layout.own_sections, layout.parts(field, layout.n_levels[field]), strict=True)
        for at, part in enumerate(slices(rows, _MAX_CHUNK))
    ]


def small_norm(n_fields: int, curvature: float = 1.0) -> float:
    """Return the expected norm of an initial row that starts near zero.

    The sum of all n (n - 1) / 2 interactions then starts with the same variance for any number n of columns.
    """
    return _SMALL_INITIAL_NORM * (2 / (n_fields * (n_fields - 1) * max(curvature, 1.0))) ** 0.25


def _usual_norms(grid: BlockGrid, hyper: Hyperparameters) -> list[float]:
    """Return the expected norm of initial rows of each field, so that <p, q> has the intended spread."""
    n_ratings = grid.total_weight
    of_step = min(hyper.learning_rate / _STEP_OF_FULL_SPREAD, 1.0)
    of_ratings = min(n_ratings / _RATINGS_OF_FULL_SPREAD, 1.0) ** 0.5
    norm = (_INITIAL_SPREAD * of_step * of_ratings * hyper.rank**0.5) ** 0.5
    return [norm, norm, *[_INITIAL_SHARE_OF_CONTEXTS * norm] * (grid.index.shape[1] - 2)]


def shares_of_ratings(n: np.ndarray) -> np.ndarray:
    """Return 1 / n for levels whose ratings have a summed weight ``n``; 0 without ratings."""
    with np.errstate(over="ignore", divide="ignore"):
        return np.where(n > 0, np.minimum(1 / n, LARGEST_SAFE_NUMBER), 0.0)


def _aligned_zeros(n_rows: int, width: int, shard: Shard) -> np.ndarray:
    """Return zeros, aligned so that each row touches as few cache lines as possible."""
    buffer = shard.storage.zeros(n_rows * width + _CACHE_LINE_FLOATS, np.float32)
    begin = -buffer.ctypes.data % (4 * _CACHE_LINE_FLOATS) // 4
    return buffer[begin : begin + n_rows * width].reshape(n_rows, width)
