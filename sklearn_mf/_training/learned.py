"""Hold the result of training: the model, and the state from which training can continue."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sklearn_mf._kernel.rows import RowTable
from sklearn_mf._prediction.model import Model, as_table
from sklearn_mf._training.hyperparameters import Hyperparameters
from sklearn_mf._training.precision import Knowledge
from sklearn_mf._training.scaling import TargetScale
from sklearn_mf._utils.records import with_fields

OUT_OF_SCALE_MESSAGE = (
    "Ratings in y or weights are far beyond those that the model began with. Rescale them in the same way as the "
    "earlier ones."
)


@dataclass(frozen=True)
class TrainingState:
    """Hold the state that training needs to continue. Lists have a table for each field, on the scale of y.

    Arrays become tables here. Pickle stores them as arrays.
    """

    hyper: Hyperparameters
    scale: float  # scale of the targets
    weight_unit: float
    level_sums: list[RowTable]  # (n_levels, N_SUMS): weights, squares, partners; standardized
    centers: list[RowTable | None]  # (n_levels, rank + 1): centers of factors and bias; or None
    coefficients: list[RowTable | None]  # (levels of the other field, rank + 1): predict centers; or None
    knowledge: Knowledge

    def __post_init__(self) -> None:
        for name in ("level_sums", "centers", "coefficients"):
            tables = [None if rows is None else as_table(rows) for rows in getattr(self, name)]
            object.__setattr__(self, name, tables)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(vars(self))
        for name in ("level_sums", "centers", "coefficients"):
            state[name] = [None if rows is None else np.asarray(rows) for rows in state.get(name, [])]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if "knowledge" in state:  # a model of an older version can only predict
            self.__post_init__()

    def without_users(self) -> TrainingState:
        """Remove the state of all users, from a model of two fields."""

        def none_of(table: RowTable | None) -> RowTable | None:
            return None if table is None else as_table(np.empty((0, *table.shape[1:]), dtype=np.float32))

        return replace(
            self,
            level_sums=[none_of(self.level_sums[0]), self.level_sums[1]],
            centers=[none_of(self.centers[0]), self.centers[1]],
            coefficients=[self.coefficients[0], none_of(self.coefficients[1])],
        )

    def without_levels(self, field: int, levels: np.ndarray) -> TrainingState:
        """Remove the state of some levels of users (field 0) or items (1)."""

        def without(tables: list[RowTable | None], at: int) -> list[RowTable | None]:
            kept = list(tables)
            if kept[at] is not None:
                kept[at] = as_table(np.delete(kept[at].whole(), levels, axis=0))
            return kept

        return replace(
            self,
            level_sums=without(self.level_sums, field),
            centers=without(self.centers, field),
            coefficients=without(self.coefficients, 1 - field),
        )


@dataclass(frozen=True)
class Learned:
    """Hold a model on the scale of y, its training state and its history."""

    model: Model
    state: TrainingState
    rating_range: tuple[float, float]
    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    n_iter: int = 0
    warning: str | None = None

    @property
    def target_scale(self) -> TargetScale:
        """Conversion of ratings to the standardized scale."""
        location = self.model.intercept if self.state.hyper.loss.is_standardized else 0.0
        return TargetScale(location, self.state.scale)

    def version(self, levels: list[np.ndarray], n_levels: list[int]) -> Learned:
        """Return a version in which the rows of these levels can be written, by field. New rows are 0.

        ``levels`` are sorted and include all new levels. Other rows are shared with this object.
        """
        model, state = self.model, self.state

        def versions(tables: list[RowTable | None]) -> list[RowTable | None]:
            given = zip(tables, levels, n_levels, strict=False)
            return [None if table is None else table.version(own, n) for table, own, n in given]

        coefficients = list(state.coefficients)
        for f in range(2):  # these do not change, but need a row for each level
            if coefficients[f] is not None and len(coefficients[f]) < n_levels[1 - f]:
                new = levels[1 - f][levels[1 - f] >= len(coefficients[f])]
                coefficients[f] = coefficients[f].version(new, n_levels[1 - f])
        tables = {name: versions(getattr(state, name)) for name in ("level_sums", "centers")}
        return with_fields(
            self,
            model=with_fields(model, factors=versions(model.factors), biases=versions(model.biases)),
            state=with_fields(state, coefficients=coefficients, **tables),
            warning=None,
        )


@dataclass(frozen=True)
class LearnedPart:
    """Hold the learned rows that one shard owns, for each field, in the order of their places.

    If one shard has all rows, the rows may be in the order of levels.
    """

    factors: list[np.ndarray]
    biases: list[np.ndarray]
    level_sums: list[np.ndarray]
    centers: list[np.ndarray | None]
    coefficients: list[np.ndarray | None]
    whole: LearnedWhole


@dataclass(frozen=True)
class LearnedWhole:
    """Hold the learned values that are the same in all shards."""

    hyper: Hyperparameters
    target_scale: TargetScale
    intercept: float
    weight_unit: float
    knowledge: Knowledge
    rating_range: tuple[float, float]
    losses: list[float]
    scores: list[float]
    warning: str | None


def assemble(parts: list[LearnedPart], places: list[np.ndarray]) -> Learned:
    """Put the parts of all shards together. ``places`` has the place of each level by field."""

    def in_order(name: str, places: list[np.ndarray]) -> list[np.ndarray | None]:
        tables = zip(*[getattr(part, name) for part in parts], strict=True)
        return [
            None if own[0] is None else np.concatenate(own)[place] for own, place in zip(tables, places, strict=True)
        ]

    names = ("factors", "biases", "level_sums", "centers")
    tables = {name: in_order(name, places) for name in names}
    return learned_of(LearnedPart(**tables, coefficients=in_order("coefficients", places[1::-1]), whole=parts[0].whole))


def learned_of(part: LearnedPart) -> Learned:
    """Turn a part that has all rows in the order of levels into a ``Learned``."""
    whole = part.whole
    model = Model(part.factors, part.biases, whole.intercept)
    state = TrainingState(
        whole.hyper,
        whole.target_scale.scale,
        whole.weight_unit,
        part.level_sums,
        part.centers,
        part.coefficients,
        whole.knowledge,
    )
    n_iter = len(whole.losses)
    return Learned(model, state, whole.rating_range, whole.losses, whole.scores, n_iter, whole.warning)


@dataclass(frozen=True)
class Start:
    """Hold a model to start from, and the place in it of each level of the new fit; -1 if it has no such level."""

    learned: Learned
    places: list[np.ndarray]
