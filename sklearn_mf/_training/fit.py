"""From ratings to what is learned of them: hold out, standardize, train, perhaps once more on all. Arrays, no ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from sklearn_mf._kernel.kernels import TIE_BIAS
from sklearn_mf._kernel.kernels import predict as predict_kernel
from sklearn_mf._training.centers import FIELDS
from sklearn_mf._training.losses import Loss
from sklearn_mf._training.parameters import initial_parameters, levels_in_order
from sklearn_mf._training.ratings import HeldOut, Ratings, canonical_ratings, hold_out, location_and_scale, make_grid
from sklearn_mf._training.schedules import centers_ever_move, find_path, fixed_path, follow_path
from sklearn_mf._training.sgd import Baseline, Descent, Hyperparameters
from sklearn_mf._utils.threads import Threads, chunks

_CHUNK = 2**16  # pairs to predict a task
_STEPS_TO_CENTRES = 3  # after the only pass over a first batch


@dataclass(frozen=True)
class Control:
    """How long to train; the names and meanings are the estimator's."""

    schedule: str
    max_iter: int
    tol: float | None
    early_stopping: bool
    refit: bool
    n_iter_no_change: int
    validation_fraction: float


@dataclass
class Learned:
    """What training leaves: levels in order, on the scale of y. Lists have an array for each field."""

    factors: list[np.ndarray]  # float32 (n_levels, rank)
    biases: list[np.ndarray]  # float32 (n_levels,)
    intercept: float
    scale: float
    rating_range: tuple[float, float]
    hyper: Hyperparameters
    level_weights: list[np.ndarray]  # float64 (n_levels,): n, the summed weight of a level's ratings
    weight_unit: float
    centers: list[np.ndarray | None]  # float32 (n_levels, rank + 1): what factors and the bias shrink to; or None
    coefficients: list[np.ndarray | None]  # float32 (levels of the other field, rank + 1): what centers are summed of
    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    n_iter: int = 0
    warning: str | None = None


@dataclass(frozen=True)
class Start:
    """A model to start from, and where each level of the new one is in it, -1 for nowhere."""

    learned: Learned
    places: list[np.ndarray]


class FitWatch(Protocol):
    """Told of each epoch, with the loss on the scale of y and how to know what is learned by now."""

    def begin_epoch(self) -> None: ...

    def tell(self, message: str) -> None: ...

    def end_epoch(self, step: float, loss: float, score: float | None, learned: Callable[[], Learned]) -> bool:
        """Return whether to stop."""


def fit_ratings(
    codes: list[np.ndarray],
    y: np.ndarray,
    weights: np.ndarray | None,
    n_levels: list[int],
    hyper: Hyperparameters,
    control: Control,
    held: HeldOut | None,
    start: Start | None,
    rng: np.random.Generator,
    threads: Threads,
    watch: FitWatch,
) -> Learned:
    """Train on ratings; ``codes`` is used up. ``held`` has the ratings to stop by, or some are held out for it."""
    ratings = canonical_ratings(codes, y, weights, n_levels, hyper.rank, rng, threads)
    if not control.early_stopping and control.tol is None:
        has_centers = centers_ever_move(control.max_iter)
        run = _Run(ratings, hyper, start, rng, threads, has_centers)
        course = follow_path(run.descent, fixed_path(control.schedule, control.max_iter), _RunWatch(run, watch))
        return run.learned(course.losses)

    training, can_refit = ratings, control.early_stopping and control.refit and held is None
    if control.early_stopping and held is None:
        if len(ratings.values) < 2:
            raise ValueError("early_stopping=True holds ratings out of y, which has 1 distinct rating; give 2 or more.")
        training, held = hold_out(ratings, control.validation_fraction, rng)
    if not can_refit:
        ratings = None  # to make room
    run = _Run(training, hyper, start, rng, threads)
    course = find_path(
        run.descent,
        control.schedule,
        control.max_iter,
        control.n_iter_no_change,
        control.tol or 0.0,
        None if held is None else run.scorer(held),
        _RunWatch(run, watch),
    )
    losses, scores = course.losses, course.scores
    if can_refit and not course.stopped:
        watch.tell(f"Refit on all ratings, {len(course.path)} epochs")
        run = _Run(ratings, hyper, start, rng, threads)
        losses = follow_path(run.descent, course.path, _RunWatch(run, watch)).losses
    return run.learned(losses, scores)


def fit_first_batch(
    codes: list[np.ndarray],
    y: np.ndarray,
    weights: np.ndarray | None,
    n_levels: list[int],
    hyper: Hyperparameters,
    rng: np.random.Generator,
    threads: Threads,
) -> Learned:
    """One pass; then centers are learned from the rows that it leaves."""
    ratings = canonical_ratings(codes, y, weights, n_levels, hyper.rank, rng, threads)
    if ratings.values.min() == ratings.values.max():
        raise ValueError(
            "The first batch fixes the mean and the scale of the ratings, but all of its ratings in y are the same. "
            "Begin with a batch of ratings that differ, or with fit."
        )
    run = _Run(ratings, hyper, None, rng, threads)
    loss, _ = run.descent.epoch(1.0)
    for _ in range(_STEPS_TO_CENTRES):
        run.descent.follow()
    return run.learned([loss])


class _Run:
    """One training run on ratings, which are used up."""

    def __init__(
        self,
        ratings: Ratings,
        hyper: Hyperparameters,
        start: Start | None,
        rng: np.random.Generator,
        threads: Threads,
        has_centers: bool = True,
    ):
        self.hyper, self._threads = hyper, threads
        location, self.scale, self.rating_range = location_and_scale(ratings, hyper.fit_bias, threads)
        self._weight_unit, self._has_centers = ratings.weight_unit, has_centers
        location, self.scale, baseline = _baseline(ratings, location, self.scale, hyper)
        self.intercept = location
        self._grid = make_grid(ratings, location if hyper.loss.is_standardized else 0.0, self.scale, threads)
        self._parameters = initial_parameters(self._grid, hyper, rng, threads, curvature=baseline.curvature)
        if start is not None:
            self._start_from(start)
        self.descent = Descent(self._grid, self._parameters, hyper, baseline, rng, threads, has_centers)
        if start is not None and self.descent.centers is not None:
            self.descent.centers.start_from(self._coefficients_of(start))

    def _start_from(self, start: Start) -> None:
        for f, (row_of, place) in enumerate(zip(self._grid.row_of, start.places, strict=True)):
            known = (place >= 0) & (self._grid.row_weights[row_of] > 0)
            rows, place = row_of[known], place[known]
            self._parameters.rows[rows, : self.hyper.rank] = start.learned.factors[f][place] / self.scale**0.5
            self._parameters.bias[rows] = start.learned.biases[f][place] / self.scale

    def _coefficients_of(self, start: Start) -> list[np.ndarray | None]:
        """Those of the model to start from, in the order of the grid; zero for new levels."""
        found = []
        for f in range(2):
            other, row_of = start.places[1 - f], self._grid.row_of[1 - f]
            coefficients = np.zeros((len(other), self.hyper.rank + 1), dtype=np.float32)
            old = start.learned.coefficients[f]
            if old is not None:
                known = other >= 0
                coefficients[(row_of - row_of.min())[known]] = old[other[known]] / scales(self.hyper.rank, self.scale)
            found.append(coefficients)
        return found

    def learned(self, losses: list[float], scores: list[float] | None = None) -> Learned:
        """What is learned by now; ``losses`` of the epochs that led to it."""
        grid, rank, scale = self._grid, self.hyper.rank, self.scale
        factors, biases = self._tables()
        centers: list[np.ndarray | None] = [None] * len(grid.row_of)
        coefficients: list[np.ndarray | None] = [None, None]
        if self.descent.centers is not None:
            for f in FIELDS[self.hyper.implicit_features]:
                row_of, other = grid.row_of[f], grid.row_of[1 - f]
                bias = self._parameters.ties[row_of, TIE_BIAS[f]]
                centers[f] = np.column_stack([self._parameters.centers[row_of, :rank], bias]) * scales(rank, scale)
                found = self.descent.centers.coefficients(f)
                if found is not None:
                    coefficients[f] = found[other - other.min()] * scales(rank, scale)
        return Learned(
            factors,
            biases,
            self.intercept,
            scale,
            self.rating_range,
            self.hyper,
            [grid.row_weights[row_of] for row_of in grid.row_of],
            self._weight_unit,
            centers,
            coefficients,
            [float(loss * self.hyper.loss.unit(scale)) for loss in losses],
            list(scores or []),
            len(losses),
            self.descent.warning,
        )

    def _tables(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Factors and biases, back on the scale of y: a product of two factor rows takes sqrt(scale) from each."""
        factors, biases = levels_in_order(self._grid, self._parameters, self.hyper.rank)
        if self.hyper.positive:  # rounding of merged changes
            factors = [np.maximum(rows, 0.0) for rows in factors]
        factors = [rows * np.float32(self.scale**0.5) for rows in factors]
        return factors, [bias * np.float32(self.scale) for bias in biases]

    def scorer(self, held: HeldOut) -> Callable[[], tuple[float, float]]:
        """Give a function for what to stop by on held-out ratings, and for the score.

        Both are 1 - loss / loss of the best constant: the one of the training ratings, and that of the held-out ratings
        themselves, as R^2 has it.
        """
        loss, scale, trained = self.hyper.loss, self.scale, self.descent.baseline.loss or 1.0
        least, f = loss.least(held.values, scale, held.weights), np.empty(len(held.values))

        def score() -> tuple[float, float]:
            factors, biases = self._tables()

            def predict_rows(piece: tuple[int, int]) -> None:
                part = slice(*piece)
                predict_kernel(held.index[part], factors, biases, self.intercept, f[part])

            self._threads.map(predict_rows, chunks(len(f), _CHUNK))
            found = loss.mean(held.values, f, scale, held.weights)
            return 1.0 - found / trained, 1.0 - found / least if least > 0 else float(found == 0)

        return score


class _RunWatch:
    """Tells a ``FitWatch`` of the epochs of a run."""

    def __init__(self, run: _Run, watch: FitWatch):
        self._run, self._watch = run, watch
        self.begin_epoch, self.tell = watch.begin_epoch, watch.tell

    def end_epoch(self, step: float, losses: list[float], scores: list[float]) -> bool:
        loss = losses[-1] * self._run.hyper.loss.unit(self._run.scale)
        score = scores[-1] if scores else None
        return self._watch.end_epoch(step, loss, score, lambda: self._run.learned(losses, scores))


def scales(rank: int, scale: float) -> np.ndarray:
    """From the standardized scale to that of y, for rows of factors and bias: float32 (rank + 1,)."""
    return np.append(np.full(rank, scale**0.5), scale).astype(np.float32)


def _baseline(ratings: Ratings, location: float, scale: float, hyper: Hyperparameters) -> tuple[float, float, Baseline]:
    """Intercept, scale, and the best constant; ``location`` and ``scale`` are those of the squared loss."""
    loss, y = hyper.loss, ratings.values
    is_constant = hyper.fit_bias and bool(y.min() == y.max())
    if loss.name == "squared_error":
        return location, scale, Baseline(0.0, 0.0 if is_constant else 0.5)
    if not loss.is_standardized:
        scale = 1.0
        if not y.max() > 0:
            raise ValueError(
                "loss='poisson' needs a value above 0 in y, and in what early_stopping leaves of it: the log of the "
                "mean is where it starts."
            )
    intercept = loss.constant(y, ratings.weights, scale) if hyper.fit_bias else 0.0
    baseline = baseline_at(ratings, loss, intercept, scale)
    return intercept, scale, replace(baseline, loss=0.0) if is_constant else baseline


def baseline_at(ratings: Ratings, loss: Loss, intercept: float, scale: float) -> Baseline:
    """What predicting ``intercept`` for all costs."""
    mean_loss = loss.mean(ratings.values, intercept, scale, ratings.weights)
    if loss.is_standardized:
        return Baseline(0.0, mean_loss)
    return Baseline(intercept, mean_loss, float(np.exp(intercept)))
