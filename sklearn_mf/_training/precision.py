"""Measure how precise the rows of a model are: statistics of the ratings of each level, and of all ratings.

_kernel/precision.h has the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sklearn_mf._kernel.precision import N_SUMS, PARTNERS, SQUARES, WEIGHTS, LeftOutErrors, PrecisionRule
from sklearn_mf._training.centers import Centers
from sklearn_mf._training.grid import BlockGrid
from sklearn_mf._training.hyperparameters import Hyperparameters
from sklearn_mf._training.losses import Baseline
from sklearn_mf._training.parameters import Parameters
from sklearn_mf._training.shard import Shard
from sklearn_mf._utils.threads import Threads, chunks

_MAX_RATINGS_SAMPLED, _MAX_CHUNK = 2**14, 2**10
_MAX_ROWS = 2**16  # rows that are squared at a time
LARGEST_SUM = 1e30  # largest sum that is stored in single precision
# Smallest share. Factors that are learned from single ratings are smaller than those of a fit, and take larger steps.
_DAMPING_WITHOUT_FIT = 0.4
# Of factors and of biases. With less damping, the uncertainty of rows with few ratings would have no bound.
SMALLEST_DAMPING = 1.0, 0.05


@dataclass(frozen=True)
class Knowledge:
    """Hold statistics of all ratings about the precision of rows, on the standardized scale."""

    weight_sum: float  # of all ratings
    fitted_weight: float  # of the ratings that a fit learned from
    noise_sum: float  # sum of w e^2 of all ratings, with leave-one-out errors e
    square_sums: np.ndarray  # float64 (n_fields,): of w |s - V_f|^2 of all ratings
    curvature: float  # average curvature of the loss of a rating
    penalty_units: tuple[float, float] = (1.0, 1.0)  # of factors and biases, relative to standardized targets
    offset: float = 0.0  # number that the loss adds to a prediction

    @property
    def noise(self) -> float:
        """Variance of a rating around its expected value."""
        return self.noise_sum / self.weight_sum if self.weight_sum > 0 else 0.0

    def rule(self, hyper: Hyperparameters, is_online: bool = False) -> PrecisionRule:
        """Return the rule of the precision of rows.

        Online, the damping is multiplied by the share of the ratings that a fit has learned.
        """
        share = 1.0
        if is_online and self.weight_sum > 0:
            share = max(self.fitted_weight / self.weight_sum, _DAMPING_WITHOUT_FIT)
        bounded = hyper.damping.at_least(*SMALLEST_DAMPING)
        alpha, alpha_bias, damping = hyper.strengths(self.penalty_units, share, bounded)
        loss, components = hyper.loss, self.weight_sum * hyper.rank
        return PrecisionRule(
            alpha,
            alpha_bias,
            hyper.fit_bias,
            damping,
            self.curvature,
            not loss.is_standardized,
            tuple((self.square_sums / components if components > 0 else np.zeros_like(self.square_sums)).tolist()),
            loss.code,
            loss.parameter,
            self.offset,
            hyper.positive,
        )

    def with_squares_of(self, factors: list, level_sums: list, unit: float) -> Knowledge:
        """Update the squares of rows after factors were replaced; ``factors`` are on the scale of y."""
        norms = []
        for rows, sums in zip(factors, level_sums, strict=True):
            rows = rows.whole().astype(np.float64)
            norms.append(float((np.einsum("ij,ij->i", rows, rows) * sums.whole()[:, WEIGHTS]).sum()) / unit)
        norms = np.nan_to_num(norms)  # factors that are not finite cannot predict anyway
        return replace(self, square_sums=norms.sum() - norms)


def measure_knowledge(
    grid: BlockGrid,
    parameters: Parameters,
    centers: Centers | None,
    hyper: Hyperparameters,
    baseline: Baseline,
    mean_loss: float,
    shard: Shard,
) -> tuple[np.ndarray, Knowledge]:
    """Compute the statistics of a training run: the sums of each row, float32 (n_rows, N_SUMS), and of all ratings.

    The row of an item is up to date only in the shard where it begins each sweep.
    """
    layout, weight, items = grid.layout, grid.total_weight, grid.sides[1]
    layout.share_items(parameters.of_items(items), shard)
    squares, curvature = _square_sums(grid, parameters, shard), hyper.loss.curvature(mean_loss)
    known = Knowledge(weight, weight, 0.0, squares, curvature, baseline.penalty_units, baseline.offset)
    errors = LeftOutErrors(grid, parameters, known.rule(hyper))
    gained = np.zeros(len(grid.block_start) - 1)

    def add(stratum: int, group: int) -> None:
        block = layout.block(stratum, group)
        gained[block] = errors.add_block(block)

    # Blocks of a stratum share no user or item. Only counts have sums for context rows, which blocks share.
    at_once = shard if grid.index.shape[1] == 2 or hyper.loss.is_standardized else Shard(Threads(1))
    at_once.visit_blocks(layout, range(grid.n_groups), [errors.squares[items]], add)
    sums = np.zeros((len(grid.row_weights), N_SUMS), dtype=np.float32)
    sums[:, WEIGHTS] = np.minimum(grid.row_weights, LARGEST_SUM)
    sums[:, SQUARES] = np.minimum(errors.squares, LARGEST_SUM)
    if centers is not None:
        for f, side in enumerate(grid.sides):
            sums[side, PARTNERS] = centers.n_partners(f)
    total = float(layout.of_all_blocks(gained, shard).sum())
    return sums, replace(known, noise_sum=total if hyper.loss.is_standardized else 0.0)


def _square_sums(grid: BlockGrid, parameters: Parameters, shard: Shard) -> np.ndarray:
    """Sum w |s - V_f|^2 over all ratings, for each field. With context columns, estimate it from every n-th rating."""
    rows, n, weight = parameters.rows, grid.row_weights, grid.total_weight
    if grid.index.shape[1] == 2:

        def norms_of(field: int) -> float:
            own, weights = rows[grid.sides[field]], n[grid.sides[field]]
            sums = [
                float((np.einsum("ij,ij->i", own[part], own[part], dtype=np.float64) * weights[part]).sum())
                for part in grid.parts(field, _MAX_ROWS)
            ]
            return float(shard.gather(np.array(sums)).sum())

        return np.array([norms_of(1), norms_of(0)])
    places = np.arange(0, len(grid.target), -(-len(grid.target) // _MAX_RATINGS_SAMPLED))
    total, weights = np.zeros(grid.index.shape[1]), 0.0
    for part in chunks(len(places), _MAX_CHUNK):
        sampled = places[part]
        block = np.searchsorted(grid.block_start, sampled, side="right") - 1
        index = grid.index[sampled].astype(np.int64)
        index[:, :2] += grid.first_row[block]
        index[:, 2:] = grid.context_rows[grid.context_start[block][:, None] + index[:, 2:]]
        own = rows[index].astype(np.float64)
        others = own.sum(axis=1, keepdims=True) - own
        w = np.ones(len(sampled)) if grid.weight is None else grid.weight[sampled].astype(np.float64)
        total += np.einsum("i,ijk,ijk->j", w, others, others)
        weights += float(w.sum())
    return total * (weight / weights if weights > 0 else 0.0)
