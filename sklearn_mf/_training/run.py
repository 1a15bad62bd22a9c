"""Set up one training run: ratings to a solver, and from the solver to what is learned on the scale of y."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sklearn_mf._prediction.model import Model
from sklearn_mf._training.centers import FIELDS_WITH_CENTERS
from sklearn_mf._training.damping import with_damping
from sklearn_mf._training.grid import make_grid
from sklearn_mf._training.hyperparameters import Hyperparameters
from sklearn_mf._training.learned import Learned, Start, TrainingState
from sklearn_mf._training.losses import Baseline
from sklearn_mf._training.parameters import initial_parameters
from sklearn_mf._training.precision import measure_knowledge
from sklearn_mf._training.ratings import HeldOut, Ratings
from sklearn_mf._training.scaling import TargetScale, mean_scale_and_range
from sklearn_mf._training.sgd import SGDSolver
from sklearn_mf._utils.threads import Threads

_LARGEST_START = 1e17  # of standardized factors and biases; their squares are within single precision


class TrainingRun:
    """Train on ratings, which are used up: ``solver`` does it, ``learned`` gives the result at any time."""

    def __init__(
        self,
        ratings: Ratings,
        hyper: Hyperparameters,
        start: Start | None,
        rng: np.random.Generator,
        threads: Threads,
        learn_centers: bool = True,
    ):
        self._threads, self._weight_unit = threads, ratings.weight_unit
        self._intercept, self._target_scale, baseline, self._rating_range = _find_scale(ratings, hyper, threads)
        self._grid = make_grid(ratings, self._target_scale, threads)
        self._hyper = hyper = with_damping(hyper, self._grid, threads)
        self._parameters = initial_parameters(self._grid, hyper, rng, threads, baseline.curvature)
        if start is not None:
            self._start_from(start)
        self.solver = SGDSolver(self._grid, self._parameters, hyper, baseline, rng, threads, learn_centers)
        if start is not None and self.solver.centers is not None:
            self.solver.centers.start_from(self._coefficients_of(start))

    @property
    def loss_unit(self) -> float:
        """What turns a loss of the solver into one on the scale of y."""
        return self._hyper.loss.unit(self._target_scale.scale)

    def learned(self, losses: list[float], scores: list[float] | None = None) -> Learned:
        """Give what is learned by now; ``losses`` of the epochs that led to it."""
        return Learned(
            self._model(),
            self._state(losses[-1] if losses else 1.0),
            self._rating_range,
            [float(loss * self.loss_unit) for loss in losses],
            list(scores or []),
            len(losses),
            self.solver.warning,
        )

    def scorer(self, held: HeldOut) -> Callable[[], tuple[float, float]]:
        """Give a function that returns what to stop by on held-out ratings, and the score to report.

        Both are 1 - loss / loss of the best constant: the one of the training ratings, and that of the held-out ratings
        themselves, as R^2 has it.
        """
        loss, scale = self._hyper.loss, self._target_scale.scale
        trained = self.solver.baseline.loss or 1.0
        least = loss.smallest_mean(held.values, scale, held.weights)

        def score() -> tuple[float, float]:
            f = self._model().scores(held.indices, self._threads)
            found = loss.mean(held.values, f, scale, held.weights)
            return 1.0 - found / trained, 1.0 - found / least if least > 0 else float(found == 0)

        return score

    def _model(self) -> Model:
        """Give factors and biases, back on the scale of y."""
        scale = self._target_scale
        factors, biases = self._parameters.in_order(self._grid.row_of, self._hyper.rank)
        if self._hyper.positive:  # rounding of merged changes
            factors = [np.maximum(rows, 0.0) for rows in factors]
        pairs = [scale.to_y(rows, bias) for rows, bias in zip(factors, biases, strict=True)]
        return Model([rows for rows, _ in pairs], [bias for _, bias in pairs], self._intercept)

    def _state(self, mean_loss: float) -> TrainingState:
        """Give what training that goes on from here needs, and what predictions are not sure of."""
        grid, parameters, rank = self._grid, self._parameters, self._hyper.rank
        unit = self._target_scale.row_unit(rank)
        centers: list[np.ndarray | None] = [None] * len(grid.row_of)
        coefficients: list[np.ndarray | None] = [None, None]
        if self.solver.centers is not None:
            for f in FIELDS_WITH_CENTERS[self._hyper.implicit_features]:
                row_of, other = grid.row_of[f], grid.row_of[1 - f]
                bias_centers = parameters.bias_centers(f)[row_of]
                centers[f] = np.column_stack([parameters.centers[row_of, :rank], bias_centers]) * unit
                found = self.solver.centers.coefficients(f)
                if found is not None:
                    coefficients[f] = found[other - other.min()] * unit
        level_sums, knowledge = measure_knowledge(
            grid, parameters, self.solver.centers, self._hyper, self.solver.baseline, mean_loss, self._threads
        )
        return TrainingState(
            self._hyper, self._target_scale.scale, self._weight_unit, level_sums, centers, coefficients, knowledge
        )

    def _start_from(self, start: Start) -> None:
        """Take over the rows of levels that the model to start from has, where they have ratings."""
        scale, model = self._target_scale, start.learned.model
        for f, (row_of, place) in enumerate(zip(self._grid.row_of, start.places, strict=True)):
            known = (place >= 0) & (self._grid.row_weights[row_of] > 0)
            rows, place = row_of[known], place[known]
            with np.errstate(all="ignore"):
                factors, bias = scale.from_y(model.factors[f][place], model.biases[f][place])
            _check_of_same_scale(factors, bias)
            self._parameters.rows[rows, : self._hyper.rank], self._parameters.bias[rows] = factors, bias

    def _coefficients_of(self, start: Start) -> list[np.ndarray]:
        """Give those of the model to start from, in the order of the grid; zero for new levels."""
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
    """Raise a ValueError if standardized parameters to start from are too large for the loss to be finite."""
    if not all(np.abs(array).max(initial=0.0) <= _LARGEST_START for array in arrays):  # NaN is none, either
        raise ValueError(
            "warm_start goes on from a model of ratings that spread far more than those in y. Rescale y as those were, "
            "or fit anew with warm_start=False."
        )


def _find_scale(
    ratings: Ratings, hyper: Hyperparameters, threads: Threads
) -> tuple[float, TargetScale, Baseline, tuple[float, float]]:
    """Find the intercept, the scale of the targets, the best constant, and the range of the ratings."""
    loss, y = hyper.loss, ratings.values
    location, scale, rating_range = mean_scale_and_range(ratings, hyper.fit_bias, threads)
    intercept, scale, baseline = loss.find_baseline(y, ratings.weights, location, scale, hyper.fit_bias)
    if hyper.fit_bias and rating_range[0] == rating_range[1]:
        baseline = replace(baseline, loss=0.0)
    return intercept, TargetScale(intercept if loss.is_standardized else 0.0, scale), baseline, rating_range
