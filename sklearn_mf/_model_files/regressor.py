"""Write a regressor as values and arrays, and read it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from sklearn_mf._base import adopt, frozen_copy, levels_of, model_of, state_of
from sklearn_mf._ids.levels import Levels
from sklearn_mf._kernel.precision import N_SUMS
from sklearn_mf._model_files.entries import Draft, Part
from sklearn_mf._model_files.ids import put_ids, take_levels
from sklearn_mf._model_files.parameters import put_parameters, take_parameters, validate
from sklearn_mf._prediction.model import Model
from sklearn_mf._regressor import MatrixFactorizationRegressor
from sklearn_mf._training.hyperparameters import Damping, Hyperparameters
from sklearn_mf._training.learned import Learned, TrainingState
from sklearn_mf._training.losses import LOSSES
from sklearn_mf._training.precision import Knowledge

_LARGEST_N_COLUMNS = 2**15
_OWNERS = {"user": 0, "item": 1}
_SMALLEST = 5e-324  # smallest number above 0


def put_names(draft: Draft, frozen: Any) -> None:
    """Add the number of columns of X, and their names."""
    names = vars(frozen).get("feature_names_in_")
    draft.values["n_columns"] = int(frozen.n_features_in_)
    draft.values["column_names"] = None if names is None else [str(name) for name in names]


def put_row_count(draft: Draft, frozen: Any) -> None:
    """Add how many rows an estimator has learned from, and the mean weight of ``fit``; None if it does not know."""
    own = vars(frozen)
    n_rows, mean = own.get("_n_rows"), own.get("_mean_weight")
    known = n_rows is not None and mean is not None
    draft.values["rows"] = {"n": int(n_rows), "mean_weight": float(mean)} if known else None


def take_names(part: Part, frozen: Any) -> int:
    """Store the number of columns of X, and their names, in an estimator; return the number."""
    n_columns = part.count("n_columns", 2, _LARGEST_N_COLUMNS)
    names = part.take_or_none("column_names", lambda name: part.texts(name, n_columns))
    frozen.n_features_in_ = n_columns
    if names is not None:
        frozen.feature_names_in_ = np.array(names, dtype=object)
    return n_columns


def take_row_count(part: Part, frozen: Any) -> None:
    """Store the number of rows and their mean weight in an estimator, if they are known."""
    rows = part.take_or_none("rows", part.part)
    if rows is not None:
        frozen._n_rows, frozen._mean_weight = rows.count("n", 1), rows.number("mean_weight", 0)
        rows.end()


def put_regressor(draft: Draft, model: MatrixFactorizationRegressor) -> None:
    """Add a regressor, fitted or not."""
    frozen = frozen_copy(model)
    put_parameters(draft, frozen)
    draft.values["is_fitted"] = "categories_" in vars(frozen)
    if not draft.values["is_fitted"]:
        return
    known, state = model_of(frozen), state_of(frozen)
    put_names(draft, frozen)
    put_row_count(draft, frozen)
    draft.values["intercept"] = known.intercept
    draft.values["n_iter"] = int(frozen.n_iter_)
    draft.values["rating_range"] = [float(bound) for bound in frozen.rating_range_]
    draft.put("losses", frozen.loss_curve_, "f8")
    draft.put("scores", frozen.validation_scores_, "f8")
    _put_state(draft.part("state"), state)
    draft.values["n_ratings"] = int(frozen._own_contexts["n_ratings"])
    levels = levels_of(frozen)
    for f in range(len(levels.ids)):
        column = draft.part(f"column{f}")
        put_ids(column, levels, f)
        column.put("factors", known.factors[f].whole(), "f4")
        column.put("biases", known.biases[f].whole(), "f4")
        column.put("sums", state.level_sums[f].whole(), "f4")
        if f < 2 and state.centers[f] is not None:
            column.put("centers", state.centers[f].whole(), "f4")
            column.put("coefficients", state.coefficients[f].whole(), "f4")
        for owner in _OWNERS if f >= 2 else ():
            values = frozen._own_contexts[owner][f - 2]
            if values is not None:
                column.put(f"of_{owner}", values, "i4")


def take_regressor(part: Part) -> MatrixFactorizationRegressor:
    """Return the regressor."""
    parameters = take_parameters(part, MatrixFactorizationRegressor)
    model = validate(part, MatrixFactorizationRegressor(**parameters))
    if part.flag("is_fitted"):
        _take_fit(part, model)
    part.end()
    return model


def _take_fit(part: Part, model: MatrixFactorizationRegressor) -> None:
    """Read what the model has learned."""
    frozen = frozen_copy(model)
    n_columns = take_names(part, frozen)
    take_row_count(part, frozen)
    columns = [part.part(f"column{f}") for f in range(n_columns)]
    levels = take_levels(columns)
    hyper, state = _take_state(part.part("state"), n_columns)
    tables: dict[str, list] = {name: [] for name in ("factors", "biases", "sums", "centers", "coefficients")}
    rank = None  # of factors; people may have replaced them by others
    for f, (column, n) in enumerate(zip(columns, levels.counts, strict=True)):
        tables["factors"].append(column.array("factors", "f4", (n, rank)))
        rank = tables["factors"][0].shape[1]
        tables["biases"].append(column.array("biases", "f4", (n,)))
        tables["sums"].append(column.array("sums", "f4", (n, N_SUMS)))
        has_centers = f < 2 and column.has("centers")
        tables["centers"].append(column.array("centers", "f4", (n, hyper.rank + 1)) if has_centers else None)
        if f < 2:
            shape = levels.counts[1 - f], hyper.rank + 1
            tables["coefficients"].append(column.array("coefficients", "f4", shape) if has_centers else None)
    frozen._own_contexts = {
        "n_ratings": part.count("n_ratings"),
        **{owner: [_take_owned(column, owner, f, levels) for f, column in enumerate(columns)][2:] for owner in _OWNERS},
    }
    for column in columns:
        column.end()
    low, high = part.numbers("rating_range", 2)
    if low > high:
        part.fail("rating_range", "begins above its end")
    learned = Learned(
        Model(tables["factors"], tables["biases"], part.number("intercept")),
        TrainingState(hyper, *state[:2], tables["sums"], tables["centers"], tables["coefficients"], state[2]),
        (low, high),
        part.array("losses", "f8", (None,), is_finite=False).tolist(),
        part.array("scores", "f8", (None,), is_finite=False).tolist(),
        part.count("n_iter"),
    )
    adopt(model, frozen, levels, learned)


def _take_owned(column: Part, owner: str, field: int, levels: Levels) -> np.ndarray | None:
    """Return the context value that each user, or item, always had; None if they had several."""
    if field < 2 or not column.has(f"of_{owner}"):
        return None
    return column.array(f"of_{owner}", "i4", (levels.counts[_OWNERS[owner]],), 0, levels.counts[field] - 1)


def _put_state(draft: Draft, state: TrainingState) -> None:
    """Add what later training needs, except its tables."""
    hyper, known = state.hyper, state.knowledge
    loss = {field.name: float(getattr(hyper.loss, field.name)) for field in fields(hyper.loss)}
    draft.values.update(
        rank=int(hyper.rank),
        learning_rate=float(hyper.learning_rate),
        alpha=float(hyper.alpha),
        alpha_bias=float(hyper.alpha_bias),
        damping_of_factors=list(map(float, hyper.damping.factors)),
        damping_of_biases=list(map(float, hyper.damping.biases)),
        implicit_features=hyper.implicit_features,
        alpha_implicit=float(hyper.alpha_implicit),
        fit_bias=bool(hyper.fit_bias),
        loss={"name": hyper.loss.name, **loss},
        positive=bool(hyper.positive),
        penalty_scale=float(hyper.penalty_scale),
        n_usual_damping=float(hyper.n_usual_damping),
        scale=float(state.scale),
        weight_unit=float(state.weight_unit),
        weight_sum=float(known.weight_sum),
        fitted_weight=float(known.fitted_weight),
        noise_sum=float(known.noise_sum),
        curvature=float(known.curvature),
        penalty_units=list(map(float, known.penalty_units)),
        offset=float(known.offset),
    )
    draft.put("square_sums", known.square_sums, "f8")


def _take_state(part: Part, n_columns: int) -> tuple[Hyperparameters, tuple[float, float, Knowledge]]:
    """Return the hyperparameters, the scale of targets, the unit of weights, and the statistics of all ratings."""
    loss = part.part("loss")
    loss_class = LOSSES[loss.choice("name", LOSSES)]
    parameters = {field.name: loss.number(field.name, 0) for field in fields(loss_class)}
    loss.end()
    hyper = Hyperparameters(
        part.count("rank", 0, 2**31 - 1),
        part.number("learning_rate", 0),
        part.number("alpha", 0),
        part.number("alpha_bias", 0),
        Damping(part.numbers("damping_of_factors", 3, 0), part.numbers("damping_of_biases", 3, 0)),
        part.choice("implicit_features", ["user", "item", "both", None]),
        part.number("alpha_implicit", 0),
        part.flag("fit_bias"),
        loss_class(**parameters),
        part.flag("positive"),
        part.number("penalty_scale", 0),
        part.number("n_usual_damping", 0),
    )
    scale, weight_unit = part.number("scale", _SMALLEST), part.number("weight_unit", 0)
    known = Knowledge(
        part.number("weight_sum", 0),
        part.number("fitted_weight", 0),
        part.number("noise_sum", 0),
        part.array("square_sums", "f8", (n_columns,)),
        part.number("curvature", 0),
        part.numbers("penalty_units", 2, 0),
        part.number("offset"),
    )
    part.end()
    return hyper, (scale, weight_unit, known)
