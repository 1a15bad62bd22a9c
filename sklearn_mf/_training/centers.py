r"""Learn the centers that rows of users and items shrink to, from who rated what. Works on arrays, not on ids.

The center of a row is predicted from the set N of its partners: the items that a user rated, or the users who rated an
item:

    z_u = |N(u)|^(-1/2) sum_{j in N(u)} s_j        z_i = |N(i)|^(-1/2) sum_{v in N(i)} t_v

This is SVD++ (Koren 2008) on both sides ("flipped" in Rendle, Zhang and Koren 2019). If the rows are given, the
coefficients S come from a ridge regression of the rows on B, the normalized matrix of who rated what. Agarwal and Chen
(2009) alternate in the same way:

    minimize  sum_u d_u |p_u - z_u|^2 + beta sum_j |s_j|^2,    d_u = alpha n_u + delta.

Here beta is alpha_implicit. For biases, it is alpha_implicit times max(delta / 4, 1).

The matrix G = B^T D B + alpha_implicit stays the same during a fit. Only the rows move. So after every second epoch S
takes one step, and z is computed again. A step needs two sums over the distinct pairs for each side. It combines two
directions. The first is the residual r of the normal equations, preconditioned by the leading eigenvectors of G
(Frangella, Tropp and Udell 2023). The second is the direction x of the previous step (Polyak 1964):

    x <- M r + 0.4 x,    S <- S + 1.7 t x,    where t is the best length for each column

The rows follow the centers in the next epochs. So it is better to go beyond the best length: the step then ends closer
to where rows and centers will be. Any factor below 2 lowers the objective.

In training, the pair of a rating is in both sets N. For an unknown rating, it is not. So the error leaves out o, the
part of the prediction that comes from the pair itself. Item i moves the center of u by |N(u)|^(-1/2) s_i. The row of u
follows by the share d_u / (d_u + n_u m) of this move. Here m is the mean square of a factor of an item over all
ratings. To first order,

    o = pull_u push_i + push_u pull_i,    pull_u = |N(u)|^(-1/2) d_u / (d_u + n_u m),    push_i = <s_i, q_i>.

The same holds for biases, with m = 1.

This counts the product of both moves twice. On average, the pair contributes the part f_u = share / |N(u)| of p_u. To
correct for this, the factors of o are multiplied by 1 - f_i / 2 and 1 - f_u / 2. f is limited to 1/2. Otherwise a row
with a single partner would come from this partner alone, and the error would no longer limit the row.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sklearn_mf._kernel.partners import (
    CenteredRows,
    eigen,
    expand,
    move_coefficients,
    precondition,
    project,
    subtract_ridge,
)
from sklearn_mf._kernel.rows import RowTable
from sklearn_mf._kernel.sgd import LANES
from sklearn_mf._training.grid import BlockGrid
from sklearn_mf._training.hyperparameters import LARGEST_SAFE_NUMBER, USUAL_DAMPING, Hyperparameters
from sklearn_mf._training.parameters import Parameters
from sklearn_mf._training.partners import Partners
from sklearn_mf._training.shard import Shard

# Fields whose rows have centers.
FIELDS_WITH_CENTERS: dict[str | None, list[int]] = {None: [], "user": [0], "item": [1], "both": [0, 1]}
_MAX_CHUNK = 2**13  # rows per task: they stay in the cache
_N_DIRECTIONS = 16  # number of eigenvectors in the preconditioner; a multiple of LANES
_MIN_RELATIVE_EIGENVALUE = 1e-6  # relative to the largest; smaller ones are lost in single precision
_MAX_PART_OF_A_ROW = 0.5  # largest part of a row that comes from one pair
_MOMENTUM, _RELAXATION = 0.4, 1.7  # chosen on ten real data sets and three generated ones
_TINY = 1e-300


class Centers:
    """Move the centers of users and items in ``parameters``; they are zero until ``update`` is called."""

    def __init__(
        self,
        grid: BlockGrid,
        parameters: Parameters,
        hyper: Hyperparameters,
        curvatures: tuple[float, float],
        rng: np.random.Generator,
        shard: Shard,
    ):
        partners = Partners(grid, shard)
        self._grid, self._parameters, self._shard = grid, parameters, shard
        shape = max(partners.n_rows), parameters.width + LANES
        work = [shard.storage.zeros(shape, np.float32) for _ in range(2)]
        sides = [
            CenterRegression(field, partners, parameters, grid, hyper, curvatures, work, shard)
            for field in FIELDS_WITH_CENTERS[hyper.implicit_features]
        ]
        self._sides = [side for side in sides if side.has_effect]
        for side in self._sides:
            side.build_preconditioner(rng)

    def update(self) -> None:
        """Move the centers toward the rows as they are now."""
        for side in self._sides:
            side.update()
        if len(self._sides) == 2:
            for side, other in zip(self._sides, self._sides[::-1], strict=True):
                side.push[:, 0] *= 1.0 - 0.5 * other.pair_part
        self.share()

    def share(self) -> None:
        """Send the data of items that blocks read to all shards."""
        items = self._grid.sides[1]
        arrays = [self._parameters.ties[items]]
        if any(side.field == 1 for side in self._sides):
            arrays.append(self._parameters.centers[items])
        self._grid.layout.share_items(arrays, self._shard)

    def reset(self) -> None:
        """Set all centers to zero."""
        for side in self._sides:
            side.reset()

    @property
    def state(self) -> list[np.ndarray]:
        """Arrays that ``update`` changes besides ``parameters``."""
        return [array for side in self._sides for array in (side.coefficients, side.direction)]

    @property
    def fields_of_state(self) -> list[tuple[int]]:
        """The field whose rows each array of the state has."""
        return [(1 - side.field,) for side in self._sides for _ in range(2)]

    def start_from(self, coefficients: list[np.ndarray | None]) -> None:
        """Start from given coefficients for users and for items, (n_other, rank + 1) each: factors and bias."""
        for side in self._sides:
            side.start_from(coefficients[side.field])

    def n_partners(self, field: int) -> np.ndarray | float:
        """Return the number of partners of each row of a field, in the order of the grid; 0 without centers.

        For items, only the rows that begin each sweep in this shard are up to date.
        """
        return next((side.n_partners for side in self._sides if side.field == field), 0.0)

    def coefficients(self, field: int, others: slice | np.ndarray) -> np.ndarray | None:
        """Copy the coefficients of ``others`` that predict the centers of a field, (n_others, rank + 1)."""
        for side in self._sides:
            if side.field == field:
                return side.without_padding(side.coefficients, others)
        return None


class CenterRegression:
    """Predict the rows of one field, users (0) or items (1), by a ridge regression on their partners.

    There is a row of coefficients for each level of the other field. Arrays with factors and a bias have the shape
    (n, width + LANES): factors, bias, zeros.
    """

    def __init__(
        self,
        field: int,
        partners: Partners,
        parameters: Parameters,
        grid: BlockGrid,
        hyper: Hyperparameters,
        curvatures: tuple[float, float],
        work: list[np.ndarray],
        shard: Shard,
    ):
        other = 1 - field
        self.field, self._partners, self._rank, self._shard, self._grid = field, partners, hyper.rank, shard, grid
        self._curvatures = curvatures  # of the loss, in the unit of the penalties of factors and of biases
        n_own, n_other = partners.n_rows[field], partners.n_rows[other]
        own, others = grid.sides[field], grid.sides[other]
        self._rows, self._bias = parameters.rows[own], parameters.bias[own]
        self._centers, self._bias_center = parameters.centers[own], parameters.bias_centers(field)[own]
        self._pull, self.push = parameters.pair_ties(field)[own], parameters.pair_ties(field)[others]
        self._other_rows = parameters.rows[others]
        self._n, self._n_other = grid.row_weights[own], grid.row_weights[others]

        ones, counts = np.ones((n_other, LANES), np.float32), np.zeros((n_own, LANES), np.float32)
        partners.sum(field, ones, counts)
        # |N|^(-1/2); rows without ratings may have any number. The last bits of a power depend on the processor.
        self._norm = 1 / np.sqrt(np.maximum(counts[:, :1], 1.0))
        self.n_partners = counts[:, 0].copy()
        # d of factors and of the bias, for two regressions. Only the ratio of d to the ridge strength matters.
        strengths = zip((hyper.alpha, hyper.alpha_bias), hyper.damping.of(field), strict=True)
        self._strength = [
            np.where(self._n > 0, self._n * min(alpha, LARGEST_SAFE_NUMBER) + min(damping, LARGEST_SAFE_NUMBER), 0.0)
            for alpha, damping in strengths
        ]
        largest = shard.gather(np.array([[d.max(initial=0.0) for d in self._strength]])).max(axis=0).tolist()
        self.has_effect = max(largest) > 0.0
        if not self.has_effect:
            return
        width = self._rows.shape[1]
        columns_of_d = slice(0, width), slice(width, width + 1)
        self._relative_strength = [
            (columns, (d / (most or 1.0)).astype(np.float32)[:, None])
            for columns, d, most in zip(columns_of_d, self._strength, largest, strict=True)
        ]
        self._ridge = np.ones(width + LANES, dtype=np.float32)
        for columns, most, ridge in zip(columns_of_d, largest, ridge_strengths(hyper, field), strict=True):
            self._ridge[columns] = min(ridge / (most or 1.0), LARGEST_SAFE_NUMBER)
        of_rows, of_bias = (strength[:, 0] for _, strength in self._relative_strength)
        self._own_rows = CenteredRows(
            self._rows, self._centers, self._bias, self._bias_center, self._norm.ravel(), of_rows, of_bias
        )
        self.coefficients = np.zeros((n_other, width + LANES), dtype=np.float32)
        self.direction = shard.storage.zeros(self.coefficients.shape, np.float32)  # of the previous step
        self._row_buffer, self._residual = work[0][:n_own], work[1][:n_other]

    def build_preconditioner(self, rng: np.random.Generator) -> None:
        """Find approximate leading eigenvectors U of G, and g such that I + U diag(g) U^T is a preconditioner of G.

        The method is the Nystroem approximation G V (V^T G V)^-1 (G V)^T, where V is an orthonormal basis of the range
        of G.
        """
        n_other, seed = len(self.coefficients), int(rng.integers(2**63))
        inner = np.zeros((len(self._norm), _N_DIRECTIONS), dtype=np.float32)
        inner_strength = self._norm**2 * self._relative_strength[0][1]

        def times_g(x: np.ndarray) -> np.ndarray:
            out = np.zeros_like(x)
            self._partners.sum(self.field, x, inner)
            np.multiply(inner, inner_strength, out=inner)
            self._partners.sum(1 - self.field, inner, out)
            out += self._ridge[0] * x
            return out

        x, sections = np.zeros((n_other, _N_DIRECTIONS), dtype=np.float32), self._grid.layout.own_sections
        for section, rows in zip(sections, self._grid.parts(1 - self.field, n_other), strict=True):
            draws = np.random.default_rng([seed, section])
            x[rows] = draws.standard_normal((rows.stop - rows.start, _N_DIRECTIONS), dtype=np.float32)
        x = times_g(x)
        basis = self._times(x, _inverse_root(self._gram(x, x)))
        x = times_g(basis)
        root = _inverse_root(self._gram(basis, x))
        values, turn = _eigen(np.einsum("ji,jk,kl->il", root, self._gram(x, x), root))
        kept = values > _MIN_RELATIVE_EIGENVALUE * values[-1]
        values = np.where(kept, values, values[kept].min(initial=values[-1]))
        back = np.einsum("ij,jk->ik", root, np.where(kept, turn / np.sqrt(np.maximum(values, _TINY)), 0.0))
        self._directions = self._times(x, back)
        self._gain = np.where(kept, values[0] / np.maximum(values, _TINY) - 1.0, 0.0)[:, None]

    def reset(self) -> None:
        """Set coefficients, direction, centers and ties to zero."""
        for array in (self.coefficients, self.direction, self._centers, self._bias_center, self._pull, self.push):
            array[...] = 0.0

    def start_from(self, coefficients: np.ndarray) -> None:
        """Start from given coefficients and their centers."""
        rank = self._rank
        self.coefficients[:, :rank], self.coefficients[:, -LANES] = coefficients[:, :rank], coefficients[:, rank]
        self._partners.sum(self.field, self.coefficients, self._row_buffer)
        self._row_buffer *= self._norm
        self._centers[:], self._bias_center[:] = self._row_buffer[:, :-LANES], self._row_buffer[:, -LANES]

    def without_padding(self, rows: np.ndarray, places: slice | np.ndarray) -> np.ndarray:
        """Copy factors and bias of some padded rows, (n, rank + 1)."""
        return np.column_stack([rows[places, : self._rank], rows[places, -LANES]])

    def update(self) -> None:
        """Take one preconditioned step of the regression, and move the centers and ties with it."""
        own, other = self.field, 1 - self.field
        self._map(own, self._weigh_residuals)
        self._partners.sum(other, self._row_buffer, self._residual)
        along = (self._gain * self._total(other, self._subtract_ridge)).astype(np.float32)
        slope, length = self._total(other, lambda part: self._precondition(part, along))
        self._partners.sum(own, self.direction, self._row_buffer)
        curvature = self._total(own, self._curvature) + self._ridge * length
        best = np.divide(slope, curvature, out=np.zeros_like(slope), where=curvature > 0.0)  # for each column
        step = (_RELAXATION * best).astype(np.float32)
        self._map(own, lambda part: self._move_centers(part, step))
        squares = self._total(other, lambda part: self._move_coefficients(part, step))

        m = float(squares) / self._grid.total_weight / max(self._rank, 1)
        norm = self._norm[:, 0]
        of_pair = m * self._curvatures[0], self._curvatures[1]
        for column, (d, curvature) in enumerate(zip(self._strength, of_pair, strict=True)):
            share = d / np.maximum(d + self._n * curvature, _TINY)
            part = np.minimum(share * norm**2, _MAX_PART_OF_A_ROW)
            self._pull[:, column] = part / norm
            if column == 0:
                self.pair_part = part

    def _map(self, field: int, function: Callable[[slice], np.ndarray | float | None]) -> list:
        """Cut the rows of a field that this shard sums over into parts, and call a function with each part."""
        return self._shard.threads.map(function, self._grid.parts(field, _MAX_CHUNK))

    def _total(self, field: int, function: Callable[[slice], np.ndarray | float]) -> np.ndarray:
        """Sum the results of a function over the rows of a field in all shards, in double precision."""
        return np.sum(self._shard.gather(np.array(self._map(field, function))), axis=0, dtype=np.float64)

    def _weigh_residuals(self, part: slice) -> None:
        """Fill the buffer with |N|^(-1/2) D (p - z)."""
        self._own_rows.weigh(part.start, part.stop, self._row_buffer)

    def _subtract_ridge(self, part: slice) -> np.ndarray:
        """Turn sums over partners into the residual of the normal equations; return U^T times the residual."""
        directions = self._directions[part]
        out = np.zeros((directions.shape[1], len(self._ridge)), dtype=np.float32)
        subtract_ridge(directions, self._ridge, self.coefficients[part], self._residual[part], out)
        return out

    def _precondition(self, part: slice, along: np.ndarray) -> np.ndarray:
        """Find the direction of the step; return its product with the residual and with itself, by column."""
        sums = np.zeros((2, len(self._ridge)), dtype=np.float32)
        precondition(self._directions[part], along, _MOMENTUM, self._residual[part], self.direction[part], *sums)
        return sums.astype(np.float64)

    def _curvature(self, part: slice) -> np.ndarray:
        """Turn sums over partners into the move of centers for a step of 1; return the sum of d times its square."""
        total = np.zeros(len(self._ridge), dtype=np.float32)
        self._own_rows.curve(part.start, part.stop, self._row_buffer, total)
        return total.astype(np.float64)

    def _move_centers(self, part: slice, step: np.ndarray) -> None:
        """Move centers of factors and biases by the step."""
        self._own_rows.move(part.start, part.stop, self._row_buffer, step)

    def _move_coefficients(self, part: slice, step: np.ndarray) -> float:
        """Move coefficients by the step, and update the push; return the sum of n |q|^2 of the other side's rows q."""
        own = self._other_rows[part], self.push[part], self._n_other[part]
        return move_coefficients(self.direction[part], step, self.coefficients[part], *own)

    def _gram(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Multiply left^T by right."""
        return self._total(1 - self.field, lambda part: self._project(left[part], right[part]))

    def _project(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Multiply left^T by right, in one chunk of rows."""
        out = np.zeros((left.shape[1], right.shape[1]), dtype=np.float32)
        project(left, right, out)
        return out

    def _times(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Multiply left by right."""
        out = np.zeros((len(left), right.shape[1]), dtype=np.float32)
        right = np.ascontiguousarray(right, dtype=np.float32)
        self._map(1 - self.field, lambda part: expand(left[part], right, out[part]))
        return out


def ridge_strengths(hyper: Hyperparameters, field: int) -> tuple[float, float]:
    """Return the ridge strengths of the regressions of factors and of biases.

    Biases with a large damping hardly vary, so their coefficients should hardly vary either.
    """
    return hyper.alpha_implicit, hyper.alpha_implicit * max(hyper.damping.of(field)[1] / USUAL_DAMPING, 1.0)


def predict_centers(
    coefficients: RowTable | None, codes: list[np.ndarray], field: int, levels: np.ndarray
) -> tuple[np.ndarray | float, np.ndarray]:
    """Predict the centers of ``levels`` of a field from their partners N in ``codes``.

    Return the centers, (n_levels, rank + 1), and the sizes |N|, (n_levels,). A center is |N|^(-1/2) times the sum of
    the coefficients of the partners. Partners without coefficients add nothing. With ``coefficients=None``, all centers
    are 0.
    """
    n_partners = int(codes[1 - field].max()) + 1
    place = np.minimum(np.searchsorted(levels, codes[field]), len(levels) - 1)
    is_wanted = levels[place] == codes[field]
    place, partner = place[is_wanted], codes[1 - field][is_wanted].astype(np.int64)
    place, partner = np.divmod(sorted_distinct(place * n_partners + partner), n_partners)  # a pair counts once
    counts = np.bincount(place, minlength=len(levels))
    if coefficients is None:
        return 0.0, counts
    known = partner < len(coefficients)
    place, partner = place[known], partner[known]
    centers = np.zeros((len(levels), coefficients.shape[1]))
    coefficients.add_up(partner, 1 / np.sqrt(counts[place]), place, centers)
    return centers, counts


def sorted_distinct(codes: np.ndarray) -> np.ndarray:
    """Return the sorted distinct codes, int64. It sorts, which is faster than the hashing of ``np.unique``."""
    codes = np.sort(codes).astype(np.int64, copy=False)
    return codes if len(codes) < 2 else codes[np.concatenate([[True], codes[1:] != codes[:-1]])]


def _eigen(symmetric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find eigenvalues, the largest last, and eigenvectors as columns."""
    matrix, vectors = symmetric.copy(), np.empty_like(symmetric)
    eigen(matrix, vectors)
    order = np.argsort(np.diagonal(matrix), kind="stable")
    return np.diagonal(matrix)[order], vectors[:, order]


def _inverse_root(symmetric: np.ndarray) -> np.ndarray:
    """Find R with R^T A R = I; R is zero in directions in which A is nearly zero."""
    values, turn = _eigen(symmetric)
    kept = values > _MIN_RELATIVE_EIGENVALUE * values[-1]
    return np.where(kept, turn / np.sqrt(np.where(kept, values, 1.0)), 0.0)
