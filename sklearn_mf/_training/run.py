"""Set up one training run: turn ratings into a solver, and the solver's parameters into a model on the scale of y."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sklearn_mf._prediction.model import Model
from sklearn_mf._training.centers import FIELDS_WITH_CENTERS
from sklearn_mf._training.damping import with_damping
from sklearn_mf._training.grid import make_grid
from sklearn_mf._training.hyperparameters import Hyperparameters
from sklearn_mf._training.learned import Learned, LearnedPart, LearnedWhole, Start, learned_of
from sklearn_mf._training.losses import Baseline
from sklearn_mf._training.parameters import initial_parameters
from sklearn_mf._training.precision import measure_knowledge
from sklearn_mf._training.ratings import HeldOut, Ratings, extremes
from sklearn_mf._training.scaling import TargetScale, mean_scale_and_range
from sklearn_mf._training.sgd import SGDSolver
from sklearn_mf._training.shard import Shard
from sklearn_mf._training.tape import Tape

_LARGEST_START = 1e17  # largest standardized factors and biases; their squares fit into single precision


@dataclass(frozen=True)
class EpochResult:
    """Hold the result of an epoch."""

    loss: float
    step: float
    value: float  # score for stopping: 1 - loss / loss of the best constant, on held-out or training ratings
    score: float | None  # on held-out ratings


class TrainingRun:
    """Train on ratings, which are used up. ``solver`` trains. ``learned`` returns the model at any time."""

    def __init__(
        self,
        ratings: Ratings,
        hyper: Hyperparameters,
        start: Start | None,
        rng: np.random.Generator,
        shard: Shard,
        tape: Tape,
        learn_centers: bool = True,
    ):
        self._shard, self._tape, self._weight_unit = shard, tape, ratings.weight_unit
        self._intercept, self._target_scale, baseline, self._rating_range = _find_scale(ratings, hyper, shard)
        self._grid = make_grid(ratings, self._target_scale, shard, hyper.learning_rate)
        self._hyper = hyper = with_damping(hyper, self._grid, shard)
        self._parameters = initial_parameters(self._grid, hyper, rng, shard, baseline.curvature)
        if start is not None:
            self._start_from(start)
        self.solver = SGDSolver(self._grid, self._parameters, hyper, baseline, rng, shard, learn_centers)
        if start is not None and self.solver.centers is not None:
            self.solver.centers.start_from(self._coefficients_of(start))

    @property
    def loss_unit(self) -> float:
        """Factor that turns a loss of the solver into one on the scale of y."""
        return self._hyper.loss.unit(self._target_scale.scale)

    def epoch(
        self, step_factor: float, centers_move: bool, score: Callable[[], tuple[float, float]] | None = None
    ) -> EpochResult:
        """Run an epoch, or take its result from the tape."""
        if self._tape.is_replaying:
            loss, step, value, found, *of_solver = self._tape.play()
            self.solver.skip_epoch(*of_solver)
            if not self._tape.is_replaying:
                self.solver.load(self._tape.take_arrays())
        else:
            loss, step = self.solver.epoch(step_factor)
            if centers_move:
                self.solver.update_centers()
            value, found = 1.0 - loss / (self.solver.baseline.loss or 1.0), np.nan
            if score is not None:
                value, found = score()
            self._tape.record(self.solver, loss, step, value, found, *self.solver.last_failure)
        return EpochResult(loss, step, value, None if score is None else found)

    def learned(self, losses: list[float], scores: list[float] | None = None) -> Learned:
        """Return the model so far, for a single shard. ``losses`` are those of the epochs that led to it."""
        return learned_of(self._part(losses, scores, self._grid.row_of))

    @property
    def places(self) -> list[np.ndarray]:
        """The place of each level by field, among those of all shards; int64 (n_levels,)."""
        return self._grid.layout.place_of

    def part(self, losses: list[float], scores: list[float] | None = None) -> LearnedPart:
        """Return the learned rows of this shard, on the scale of y, in the order of places."""
        return self._part(losses, scores, self._grid.rows_by_field)

    def _part(
        self, losses: list[float], scores: list[float] | None, rows: list[slice] | list[np.ndarray]
    ) -> LearnedPart:
        """Return the learned values of these stacked rows of each field."""
        grid, hyper, scale, centers = self._grid, self._hyper, self._target_scale, self.solver.centers
        sums, knowledge = measure_knowledge(
            grid, self._parameters, centers, hyper, self.solver.baseline, losses[-1] if losses else 1.0, self._shard
        )
        own = [self._rows_of(of_field) for of_field in rows]
        whole = LearnedWhole(
            hyper,
            scale,
            self._intercept,
            self._weight_unit,
            knowledge,
            self._rating_range,
            [float(loss * self.loss_unit) for loss in losses],
            list(scores or []),
            self.solver.warning,
        )
        return LearnedPart(
            [factors for factors, _ in own],
            [bias for _, bias in own],
            [sums[of_field] for of_field in rows],
            self._centers(rows),
            self._coefficients(rows),
            whole,
        )

    def scorer(self, held: HeldOut) -> Callable[[], tuple[float, float]]:
        """Return a function that scores the model on held-out ratings: the value for stopping, and the score to report.

        Both are 1 - loss / loss of the best constant. For stopping, it is the best constant of the training ratings.
        For the report, it is that of the held-out ratings, as in R^2.
        """
        loss, scale, grid, shard = self._hyper.loss, self._target_scale.scale, self._grid, self._shard
        trained, average, y, indices = (
            self.solver.baseline.loss or 1.0,
            held.average,
            held.values,
            held.rows_of(grid.layout),
        )

        def mean_loss(f: Callable[[slice], np.ndarray | float]) -> float:
            def losses(part: slice) -> np.ndarray:
                with np.errstate(over="ignore"):
                    return loss.values(y[part], f(part), scale)

            return average.of(losses, shard)

        lowest, highest = extremes(y, shard)
        least = 0.0
        if lowest < highest:
            if loss.is_least_squares:
                constant = average.of(lambda part: y[part], shard)
            else:
                constant = loss.constant(y, held.weights, scale, shard.storage)
            least = mean_loss(lambda part: constant)

        f = shard.storage.empty(len(y), np.float64)

        def score() -> tuple[float, float]:
            grid.layout.share_items(self._parameters.of_items(grid.sides[1]), shard)
            fields = range(indices.shape[1])
            rows = [self._rows_of(slice(*grid.layout.offset[f : f + 2])) for f in fields]
            model = Model([factors for factors, _ in rows], [bias for _, bias in rows], self._intercept)
            model.scores(indices, shard.threads, out=f)
            found = mean_loss(lambda part: f[part])
            return 1.0 - found / trained, 1.0 - found / least if least > 0 else float(found == 0)

        return score

    def _rows_of(self, rows: slice | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return factors and biases of stacked rows, on the scale of y."""
        factors = self._parameters.rows[rows, : self._hyper.rank]
        if isinstance(rows, slice):
            factors = factors.copy()
        if self._hyper.positive:  # rounding of merged changes may give values below 0
            np.maximum(factors, 0.0, out=factors)
        return self._target_scale.to_y(factors, self._parameters.bias[rows], out=factors)

    def _centers(self, rows: list[slice] | list[np.ndarray]) -> list[np.ndarray | None]:
        """Return, for each field, the centers of factors and biases of stacked rows, on the scale of y; or None."""
        parameters, rank = self._parameters, self._hyper.rank
        centers: list[np.ndarray | None] = [None] * len(rows)
        if self.solver.centers is not None:
            for f in FIELDS_WITH_CENTERS[self._hyper.implicit_features]:
                found = np.column_stack([parameters.centers[rows[f], :rank], parameters.bias_centers(f)[rows[f]]])
                centers[f] = np.multiply(found, self._target_scale.row_unit(rank), out=found)
        return centers

    def _coefficients(self, rows: list[slice] | list[np.ndarray]) -> list[np.ndarray | None]:
        """Return, for each field, the coefficients whose sums are its centers, as stacked rows of the other field."""
        unit, n_users = self._target_scale.row_unit(self._hyper.rank), self._grid.n_users
        if self.solver.centers is None:
            return [None, None]
        items = rows[1] - n_users if isinstance(rows[1], np.ndarray) else self._grid.layout.own_items
        others = items, rows[0]
        found = [self.solver.centers.coefficients(f, others[f]) for f in range(2)]
        return [None if own is None else np.multiply(own, unit, out=own) for own in found]

    def _start_from(self, start: Start) -> None:
        """Copy rows from the model to start from, for levels that have ratings."""
        scale, model = self._target_scale, start.learned.model
        for f, (row_of, place) in enumerate(zip(self._grid.row_of, start.places, strict=True)):
            known = (place >= 0) & (self._grid.row_weights[row_of] > 0)
            rows, place = row_of[known], place[known]
            with np.errstate(all="ignore"):
                factors, bias = scale.from_y(model.factors[f][place], model.biases[f][place])
            _check_of_same_scale(factors, bias)
            self._parameters.rows[rows, : self._hyper.rank], self._parameters.bias[rows] = factors, bias

    def _coefficients_of(self, start: Start) -> list[np.ndarray]:
        """Return the coefficients of the model to start from, in the order of the grid; zero for new levels."""
        rank, found = self._hyper.rank, []
        unit = self._target_scale.row_unit(rank)
        for f in range(2):
            other, row_of = start.places[1 - f], self._grid.row_of[1 - f]
            coefficients = np.zeros((len(other), rank + 1), dtype=np.float32)
            old = start.learned.state.coefficients[f]
            if old is not None:
                known = other >= 0
                with np.errstate(all="ignore"):
                    started = old[other[known]] / unit
                _check_of_same_scale(started)
                coefficients[(row_of - row_of.min())[known]] = started
            found.append(coefficients)
        return found


def _check_of_same_scale(*arrays: np.ndarray) -> None:
    """Raise a ValueError if standardized parameters to start from are so large that the loss is not finite."""
    if not all(np.abs(array).max(initial=0.0) <= _LARGEST_START for array in arrays):  # NaN fails this check, too
        raise ValueError(
            "warm_start continues from a model of ratings with a far larger spread than y. Rescale y like the earlier "
            "ratings, or set warm_start=False."
        )


def _find_scale(
    ratings: Ratings, hyper: Hyperparameters, shard: Shard
) -> tuple[float, TargetScale, Baseline, tuple[float, float]]:
    """Find the intercept, the scale of the targets, the best constant, and the range of the ratings."""
    loss, y = hyper.loss, ratings.values
    location, scale, rating_range = mean_scale_and_range(ratings, hyper.fit_bias, shard)
    intercept, scale, baseline = loss.find_baseline(y, ratings.weights, location, scale, hyper.fit_bias, shard.storage)
    if hyper.fit_bias and rating_range[0] == rating_range[1]:
        baseline = replace(baseline, loss=0.0)
    return intercept, TargetScale(intercept if loss.is_standardized else 0.0, scale), baseline, rating_range
