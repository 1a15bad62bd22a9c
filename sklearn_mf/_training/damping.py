"""Estimate the damping of biases of users and of items: the ratio of the noise of a rating to the variance of biases.

In a rating t = m + b_u + b_i + e, biases of users have variance v_u, biases of items v_i, and the noise has s^2. The
best biases are means that shrink to zero by the dampings d_u = s^2 / v_u and d_i = s^2 / v_i. Alternating sums give the
biases. One step of expectation-maximization per sweep gives the variances (Searle, Casella and McCulloch 1992):

    b_u = sum_i w (t - m - b_i) / (n_u + d_u),  and b_i in the same way
    s^2 = sum w (t - m - b_u - b_i)^2 / (N - sum_u n_u / (n_u + d_u) - sum_i n_i / (n_i + d_i))
    v_u = mean over users of b_u^2 + s^2 / (n_u + d_u),  and v_i in the same way

If the noise differs between rows, biases with these dampings fit the noise, and their leave-one-out error is large. In
this case, a search finds the dampings with the smallest leave-one-out error instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sklearn_mf._kernel.effects import EffectSums
from sklearn_mf._training.grid import BlockGrid
from sklearn_mf._training.hyperparameters import USUAL_DAMPING, Damping, Hyperparameters
from sklearn_mf._training.shard import Shard

_SMALLEST, _LARGEST = 0.05, 100.0
# For counts, limits are divided by the mean. Logs of rates hardly vary by more than 0.5. Pure noise has no upper limit.
_SMALLEST_OF_COUNTS, _LARGEST_OF_COUNTS = 4.0, 1e12
_RATINGS_PER_UNIT = 10.0  # ratings for each unit of damping: few ratings do not show that damping is large
_MAX_SWEEPS, _MAX_CHANGE = 30, 0.02  # sweeps end when an estimate changes by less than this share
_N_SWEEPS_OF_SEARCH = 4  # they start from the biases of the previous pair of dampings
_SEARCH_RATIO = 2.0
_SUSPICIOUS_ERROR = 0.85  # leave-one-out error, relative to the variance of ratings
_MIN_GAIN_OF_SEARCH = 0.05  # smallest relative gain of the usual dampings over the estimate that starts the search
_ROUNDING, _TINY = 1e-10, 1e-30  # smaller squares do not count as variance
_LARGEST_SHARE = 0.95  # largest share of a rating in its own prediction


def with_damping(hyper: Hyperparameters, grid: BlockGrid, shard: Shard) -> Hyperparameters:
    """Fill in the damping if it is None; the damping of biases is estimated."""
    if hyper.damping is not None:
        return hyper
    if not hyper.fit_bias:
        return replace(hyper, damping=Damping.of_sides(USUAL_DAMPING, USUAL_DAMPING))
    usual = USUAL_DAMPING, USUAL_DAMPING
    estimate = estimate_damping(grid, shard, not hyper.loss.is_standardized) or usual
    if hyper.n_usual_damping > 0:
        # Average the logarithms. Only ratings beyond the first of each level carry information about damping.
        n = max(grid.n_ratings - grid.n_rated_rows, 0)
        share = n / (hyper.n_usual_damping + n)
        estimate = np.exp((1.0 - share) * np.log(usual) + share * np.log(estimate)).tolist()
    return replace(hyper, damping=Damping.of_biases(*estimate))


def estimate_damping(grid: BlockGrid, shard: Shard, is_count: bool = False) -> tuple[float, float] | None:
    """Estimate the damping of the biases of users and of items; return None if all ratings are the same."""
    effects = _Effects(grid, shard, is_count)
    if effects.are_constant:
        return None
    usual = np.full(2, USUAL_DAMPING)
    estimate = effects.maximize_likelihood(usual)
    error = effects.left_out_error(estimate, n_sweeps=0)
    if error > _SUSPICIOUS_ERROR * effects.variance:
        least = effects.left_out_error(usual)
        if least < (1.0 - _MIN_GAIN_OF_SEARCH) * error:
            estimate = effects.search(usual, least)
    return tuple(estimate.tolist())


class _Effects:
    """Fit additive effects (biases) of users and items, for one pair of dampings after another.

    All shards have the current effects of all items.
    """

    def __init__(self, grid: BlockGrid, shard: Shard, is_count: bool = False):
        self._sums, self._shard, self._grid, self._layout = EffectSums(grid), shard, grid, grid.layout
        self._sides = grid.sides
        self._n = [grid.row_weights[side] for side in self._sides]
        self._total = grid.total_weight
        self._effects, self._intercept = np.zeros(grid.n_pair_rows), 0.0
        sums = self._residual_sums(0)
        self._intercept = self._sum(0, lambda part: sums[part]) / self._total
        self._user_sums = sums - self._intercept * self._n[0]  # of t - m
        self.squares = self._left_out_squares(np.zeros(grid.n_pair_rows))
        self.variance = self.squares / self._total
        self.are_constant = self.squares <= _ROUNDING * self._total * max(self._intercept**2, _TINY)
        self._bounds = _SMALLEST, min(_LARGEST, max(grid.n_ratings / _RATINGS_PER_UNIT, USUAL_DAMPING))
        if is_count:
            mean = max(self._intercept, _TINY)
            smallest = max(_SMALLEST_OF_COUNTS / mean, _SMALLEST)
            self._bounds = smallest, max(self._bounds[1], min(_LARGEST / mean, _LARGEST_OF_COUNTS), smallest)

    def maximize_likelihood(self, dampings: np.ndarray) -> np.ndarray:
        """Find the most likely dampings approximately, starting from the given ones."""
        for _ in range(_MAX_SWEEPS):
            before, squares = dampings, self._sweep(dampings)
            spent = sum(
                self._sum(f, lambda part, n=n, d=d: n[part] / (n[part] + d))
                for f, (n, d) in enumerate(zip(self._n, dampings, strict=True))
            )
            noise = squares / max(self._total - spent, 1e-12 * self._total)
            variances = np.array([self._variance(f, noise, d) for f, d in enumerate(dampings)])
            smallest, largest = self._bounds
            dampings = np.clip(noise / np.maximum(variances, noise / largest), smallest, largest)
            if np.abs(dampings / before - 1.0).max() < _MAX_CHANGE:
                break
        return dampings

    def left_out_error(self, dampings: np.ndarray, n_sweeps: int = _N_SWEEPS_OF_SEARCH) -> float:
        """Return the approximate leave-one-out mean squared error; start from the current biases."""
        for _ in range(n_sweeps):
            self._sweep(dampings)
        shares = [1.0 / (n + d) for n, d in zip(self._n, dampings, strict=True)]
        return self._left_out_squares(np.concatenate(shares)) / self._total

    def search(self, dampings: np.ndarray, least: float) -> np.ndarray:
        """Search the dampings with the lowest leave-one-out error, in factors of 2, one side after the other."""
        field, n_failures = 0, 0
        while n_failures < 4:  # until neither larger nor smaller values help on either side
            ratio = _SEARCH_RATIO if n_failures < 2 else 1 / _SEARCH_RATIO
            tried = dampings.copy()
            tried[field] = np.clip(tried[field] * ratio, *self._bounds)
            error = np.inf if tried[field] == dampings[field] else self.left_out_error(tried)
            if error < least:
                dampings, least, n_failures = tried, error, 0 if n_failures < 2 else 2
            else:
                field, n_failures = 1 - field, n_failures + 1
        return dampings

    def _sweep(self, dampings: np.ndarray) -> float:
        """Solve users and then items; return the sum of squared residuals."""
        squares = self.squares
        for field in range(2):
            sums, n = self._residual_sums(field), self._n[field]
            effects = self._effects[self._sides[field]]
            np.divide(sums, n + dampings[field], out=effects)
            # |x - b|^2 = |x|^2 - 2 <b, sums of x> + sum n b^2. For users x = t - m, for items x = t - m - b_u.
            of_targets = self._user_sums if field == 0 else sums

            def change(
                part: slice, effects: np.ndarray = effects, n: np.ndarray = n, sums: np.ndarray = of_targets
            ) -> np.ndarray:
                return effects[part] * (n[part] * effects[part] - 2.0 * sums[part])

            squares += self._sum(field, change)
            if field == 1:
                self._layout.share_items([effects], self._shard)
        return max(squares, 0.0)

    def _sum(self, field: int, function: Callable[[slice], np.ndarray]) -> float:
        """Sum over all rows of a side, section by section."""
        sums = [float(function(part).sum()) for part in self._grid.parts(field, len(self._n[field]) or 1)]
        return float(self._shard.gather(np.array(sums)).sum())

    def _variance(self, field: int, noise: float, damping: float) -> float:
        """Return the mean square of the effects of a side, including their uncertainty, over levels with ratings."""
        effects, n = self._effects[self._sides[field]], self._n[field]

        def squares(part: slice) -> np.ndarray:
            return (effects[part] ** 2 + noise / (n[part] + damping))[n[part] > 0]

        return self._sum(field, squares) / self._sum(field, lambda part: n[part] > 0)

    def _residual_sums(self, field: int) -> np.ndarray:
        """Sum w (t - m - effect of the other side) for each level of a side."""
        sums, layout = np.zeros(len(self._effects)), self._layout

        def add(blocks: np.ndarray) -> None:
            self._sums.add_residuals(blocks, field, self._effects, sums)

        # The ratings of a level are added in the same order on any number of threads and shards.
        if field == 0:
            self._shard.threads.map(add, layout.blocks_of_users)
        else:
            items = [sums[self._sides[1]]]
            self._shard.add_to_items(layout, items, lambda strata, groups: add(layout.block(strata, groups)))
        return sums[self._sides[field]] - self._intercept * self._n[field]

    def _left_out_squares(self, shares: np.ndarray) -> float:
        """Sum the squared leave-one-out errors, in the order of groups."""

        def of_group(blocks: np.ndarray) -> float:
            return self._sums.left_out_squares(blocks, self._intercept, self._effects, shares, _LARGEST_SHARE)

        of_groups = self._shard.threads.map(of_group, self._layout.blocks_of_users)
        return float(self._shard.gather(np.array(of_groups)).sum())
