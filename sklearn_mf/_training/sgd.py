"""Run stochastic gradient descent on a block grid, and undo epochs that diverge."""

from __future__ import annotations

import numpy as np

from sklearn_mf._kernel.sgd import SGDKernel, UpdateRule
from sklearn_mf._training.centers import Centers
from sklearn_mf._training.grid import BlockGrid
from sklearn_mf._training.hyperparameters import LARGEST_SAFE_NUMBER, Hyperparameters
from sklearn_mf._training.losses import Baseline
from sklearn_mf._training.parameters import Parameters
from sklearn_mf._training.shard import Shard

_MAX_FINAL_HALVINGS = 50  # at the end; after so many halvings, only the constant is left
_MAX_FAILURES_OF_EPOCH = 200  # 2**-200 of a row is zero in single precision
# Relative to the loss of the best constant:
_MAX_UNSUSPICIOUS_LOSS = 0.9  # above this, the loss at the end is measured
_MAX_FINAL_LOSS = 1.004  # above this, rows are halved at the end
_MAX_FINAL_LOSS_WITHOUT_WARNING = 1.1


class SGDSolver:
    """Run epochs on ``parameters``, in place. The result is the same for any number of threads and shards.

    Between calls, a shard has up-to-date rows only for the items that begin each sweep there.

    If the loss of an epoch explodes or is not finite, the epoch is undone and run again with half the step. This loop
    ends, because steps and rows tend to zero. If both are zero, the loss is that of the best constant.
    """

    def __init__(
        self,
        grid: BlockGrid,
        parameters: Parameters,
        hyper: Hyperparameters,
        baseline: Baseline,
        rng: np.random.Generator,
        shard: Shard,
        learn_centers: bool = True,
    ):
        self.grid, self.parameters, self.hyper, self.baseline = grid, parameters, hyper, baseline
        self._rng, self._shard = rng, shard
        rows_before = shard.storage.empty(parameters.rows.shape, np.float32)
        self._before = Parameters(rows_before, np.empty_like(parameters.scalars), None)
        self.centers = None
        if hyper.implicit_features is not None and learn_centers:
            of_factors, of_biases = baseline.penalty_units
            curvatures = baseline.curvature / (of_factors * hyper.penalty_scale), baseline.curvature / of_biases
            self.centers = Centers(grid, parameters, hyper, curvatures, rng, shard)
        self._kernel = self._make_kernel(parameters)
        self._divergence_threshold = baseline.loss + max(baseline.loss, 0.5)  # 1 for the squared loss
        self._divergence_factor = 1.0
        self._failures: list[tuple[int, float, float]] = []
        self._n_epochs, self._was_far_above = 0, False
        self._kept: list[np.ndarray] | None = None
        self.last_failure = 1.0, np.nan, np.nan  # see skip_epoch

    def epoch(self, factor: float) -> tuple[float, float]:
        """Visit all ratings once with a step of ``factor`` learning rates.

        Return the mean loss and the step. The loss of a rating is measured when the rating is visited.
        """
        parameters, before = self.parameters, self._before
        before.copy_from(parameters, self._shard.threads)
        strata = self._rng.permutation(self.grid.n_groups).astype(np.int64)
        self._n_epochs += 1
        n_failures = 0
        while True:
            step = self.hyper.learning_rate * self._divergence_factor * factor
            loss = self._run(self._kernel, strata, step / self.baseline.curvature, self._divergence_threshold)
            if loss <= self._divergence_threshold:  # False for NaN
                break
            self._divergence_factor, n_failures = self._divergence_factor / 2, n_failures + 1
            if n_failures > _MAX_FAILURES_OF_EPOCH:
                raise ValueError(
                    f"The loss of epoch {self._n_epochs} is {loss} with all parameters at zero. So ratings or weights "
                    "are beyond single precision, or far from those that the model began with. Rescale them."
                )
            if n_failures > 1:
                # Half the step did not help, so the rows were already too large before this epoch.
                before.halve()
                if self.centers is not None:
                    self.centers.reset()
            parameters.copy_from(before, self._shard.threads)
        failed = step * 2.0**n_failures
        self._note_failure(self._divergence_factor, *((failed, step) if n_failures else (np.nan, np.nan)))
        return loss, step

    def skip_epoch(self, divergence_factor: float, failed: float, used: float) -> None:
        """Skip an epoch that an earlier attempt has run; its parameters, or later ones, are loaded afterwards.

        After this epoch, all steps are multiplied by ``divergence_factor``. If the epoch diverged, ``failed`` is its
        first step and ``used`` its last one; otherwise both are NaN.
        """
        self._rng.permutation(self.grid.n_groups)
        self._n_epochs += 1
        self._note_failure(divergence_factor, failed, used)

    def _note_failure(self, divergence_factor: float, failed: float, used: float) -> None:
        """Record the steps of an epoch, and whether it diverged."""
        self.last_failure = divergence_factor, failed, used
        self._divergence_factor = divergence_factor
        if not np.isnan(failed):
            self._failures.append((self._n_epochs, failed, used))

    def update_centers(self) -> None:
        """Move the centers toward the rows as they are now."""
        if self.centers is not None:
            self.centers.update()

    def shrink_to_baseline(self, last_loss: float) -> None:
        """Halve factors and biases until their loss is not above that of the best constant."""
        if last_loss <= _MAX_UNSUSPICIOUS_LOSS * self.baseline.loss:
            return
        if self.baseline.loss == 0.0:  # all ratings are the same
            self.parameters.clear()
            return
        kernel = self._make_kernel(self.parameters.without_ties())
        for n_halvings in range(_MAX_FINAL_HALVINGS):
            loss = self._evaluate_loss(kernel)
            if loss <= _MAX_FINAL_LOSS * self.baseline.loss:
                return
            if n_halvings == 0:  # with few epochs or ratings, a slightly higher loss is normal
                self._was_far_above = not loss <= _MAX_FINAL_LOSS_WITHOUT_WARNING * self.baseline.loss
            self.parameters.halve()
        self.parameters.clear()

    def keep_state(self) -> None:
        """Keep the parameters as they are now."""
        self._kept = copy_arrays(self.state, self._kept)

    def take_up_kept_state(self) -> None:
        """Go back to the parameters that were kept."""
        copy_arrays(self._kept, self.state)

    def save(self) -> dict[str, np.ndarray]:
        """Return views of the parameters that this shard owns, by name: the current ones and the kept ones."""
        saved = {}
        for name, arrays in (("now", self.state), ("kept", self._kept or [])):
            for at, (array, fields) in enumerate(zip(arrays, self._fields_of_state, strict=False)):
                for field, rows in zip(fields, self._rows_of_state(fields), strict=True):
                    saved[f"{name}-{at}-{field}"] = array[rows]
        return saved

    def load(self, saved: dict[str, np.ndarray]) -> None:
        """Load parameters by name. Each array has the saved rows of all shards, one shard after another."""
        layout = self.grid.layout
        own = layout.own_users, slice(0, layout.n_levels[1])
        if "kept-0-0" in saved:
            self.keep_state()
        for name, arrays in (("now", self.state), ("kept", self._kept or [])):
            for at, (array, fields) in enumerate(zip(arrays, self._fields_of_state, strict=False)):
                first = 0
                for field in fields:
                    given = saved[f"{name}-{at}-{field}"][own[field]]
                    array[first : first + len(given)] = given
                    first += len(given)

    @property
    def state(self) -> list[np.ndarray]:
        """All arrays that training changes."""
        parameters = self.parameters
        ties = [] if parameters.ties is None else [parameters.ties]
        return [parameters.table, parameters.scalars, *ties, *([] if self.centers is None else self.centers.state)]

    @property
    def _fields_of_state(self) -> list[tuple[int, ...]]:
        """For each array of the state, the fields of its rows: users (0), items (1) or both."""
        of_parameters = [(0, 1)] * (2 if self.parameters.ties is None else 3)
        return of_parameters + ([] if self.centers is None else self.centers.fields_of_state)

    def _rows_of_state(self, fields: tuple[int, ...]) -> list[slice]:
        """Return the rows that this shard owns in an array with the rows of these fields."""
        users, items = self.grid.layout.own_pair_rows
        return [users, items] if len(fields) == 2 else [users if fields[0] == 0 else self.grid.layout.own_items]

    @property
    def warning(self) -> str | None:
        """Warning for the user if training diverged, else None."""
        if self._failures:
            epoch, failed, used = self._failures[0]
            rest = self.hyper.learning_rate * self._divergence_factor
            return (
                f"Training diverged in epoch {epoch} at a step of {failed:.3g}. The epoch was undone and run again "
                f"with a step of {used:.3g}. Later epochs ran as with learning_rate={rest:.3g}. Set learning_rate to "
                f"{rest:.3g} or less."
            )
        if self._was_far_above:
            return (
                "Training ended with a loss above that of the best constant: "
                f"learning_rate={self.hyper.learning_rate:.3g} is too high for these ratings, or max_iter is too low. "
                "Factors and biases were halved until the loss was lower."
            )
        return None

    def _make_kernel(self, parameters: Parameters) -> SGDKernel:
        """Return a kernel that updates ``parameters`` with the ratings of the grid."""
        hyper, loss = self.hyper, self.hyper.loss
        alpha, alpha_bias, damping = hyper.strengths(self.baseline.penalty_units)
        rule = UpdateRule(
            alpha,
            alpha_bias,
            hyper.fit_bias,
            loss.code,
            loss.parameter,
            self.baseline.offset,
            hyper.positive,
            damping,
        )
        return SGDKernel(self.grid, parameters, rule)

    def _evaluate_loss(self, kernel: SGDKernel) -> float:
        """Measure the mean loss of the ratings. Parameters do not change. No rating leaves out its own pair."""
        return self._run(kernel, np.arange(self.grid.n_groups, dtype=np.int64), 0.0, np.inf)

    def _run(self, kernel: SGDKernel, strata: np.ndarray, step: float, limit: float) -> float:
        """Run the strata of an epoch in this order. Return the mean loss, infinite if the loss or rows exploded."""
        grid, step = self.grid, min(step, LARGEST_SAFE_NUMBER)
        limit_of_block = limit * grid.total_weight  # losses are at least 0, so one block above it is enough
        if grid.layout.is_whole:
            threads, sync_state = self._shard.threads, kernel.new_sync_state()
            threads.map(
                lambda _: kernel.run(strata, step, limit_of_block, sync_state), range(min(threads.n, grid.n_groups))
            )
        else:
            self._shard.visit_blocks(
                grid.layout,
                strata,
                self.parameters.of_items(grid.sides[1]),
                lambda stratum, group: kernel.run_block(grid.layout.block(stratum, group), step),
            )
        is_finite = self.parameters.are_finite(grid.own_rows)
        losses = grid.layout.of_all_blocks(kernel.losses if is_finite else kernel.losses * np.nan, self._shard)
        if not losses.max() <= limit_of_block:
            return np.inf
        return float(losses.sum()) / grid.total_weight


def copy_arrays(arrays: list[np.ndarray], into: list[np.ndarray] | None = None) -> list[np.ndarray]:
    """Copy arrays; if ``into`` is given, copy into these arrays."""
    if into is None:
        return [array.copy() for array in arrays]
    for target, array in zip(into, arrays, strict=True):
        np.copyto(target, array)
    return into
