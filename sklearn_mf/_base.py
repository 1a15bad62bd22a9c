"""Provide helpers for all estimators: check input, return the fitted model, store learned values."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from operator import is_
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from sklearn_mf._ids.batches import RatingBatches
from sklearn_mf._ids.checks import check_ratings, check_weights, mean_weight, name_table_in_errors
from sklearn_mf._ids.levels import Levels, warn_of_continuous_columns, warn_of_ratings_in_columns
from sklearn_mf._ids.rows import warn_of_other_order
from sklearn_mf._ids.tables import Column, split_columns
from sklearn_mf._prediction.deviations import Uncertainty
from sklearn_mf._prediction.fitted import FittedModel
from sklearn_mf._prediction.model import Model, as_table
from sklearn_mf._prediction.own_contexts import no_own_contexts, with_ratings
from sklearn_mf._training.hyperparameters import Hyperparameters
from sklearn_mf._training.learned import Learned, TrainingState
from sklearn_mf._training.losses import Loss
from sklearn_mf._training.ratings import CodedRatings, HeldOut
from sklearn_mf._training.shard import Shard
from sklearn_mf._utils.threads import Threads
from sklearn_mf._utils.warnings import warn_user

if TYPE_CHECKING:
    from typing_extensions import Self

_MOST_COLUMNS = 30  # more columns are probably the items of a matrix; a check of scikit-learn fits on 30
Class = TypeVar("Class")
Request = bool | str | None  # what the methods of metadata routing take

_LEARNED_FROM_INPUT = "n_features_in_", "feature_names_in_", "_own_contexts", "_n_rows", "_n_fitted", "_mean_weight"
# Two attributes that scikit-learn sets during a fit, the parameters that were validated last, and a number that only
# serves to warn in the process of the fit.
_NOT_STORED = "_callback_fit_ctx", "_skl_callbacks_to_teardown", "_validated", "_n_fitted"


@dataclass(frozen=True)
class CheckedInput:
    """Hold the checked columns of a table of ids, with its ratings and weights."""

    columns: list[Column]
    y: Any  # ndarray (n_rows,); None if a ranker got none
    weights: np.ndarray | None  # (n_rows,)

    @property
    def labels(self) -> list[str]:
        """Names of the columns in messages."""
        return [column.label for column in self.columns]

    def those_that_count(self, codes: list[np.ndarray]) -> tuple[list[np.ndarray], Any, np.ndarray | None]:
        """Return codes, ratings and weights of the rows whose weight is not 0."""
        if self.weights is None or self.weights.all():
            return codes, self.y, self.weights
        rows = np.flatnonzero(self.weights)
        return [column[rows] for column in codes], None if self.y is None else self.y[rows], self.weights[rows]

    def fit_levels(self, shard: Shard) -> tuple[Levels, CodedRatings]:
        """Learn the levels; warn about columns that are unlikely to be categories."""
        levels, codes = Levels.fit(self.columns, self.weights, shard.threads)
        n_rows = len(self.y) if self.weights is None else int(np.count_nonzero(self.weights))
        warn_of_continuous_columns(self.columns, levels, n_rows)
        warn_of_ratings_in_columns(self.columns, levels, codes, self.y, self.weights)
        return levels, CodedRatings(codes, self.y, self.weights, levels.counts)

    def grow_levels(self, levels: Levels, threads: Threads) -> tuple[Levels, CodedRatings, np.ndarray]:
        """Add new levels; return all levels, the ratings of positive weight, and their rows in X."""
        rows, indices = self.rows_that_count(), levels.encode(self.columns, threads)
        if (indices if self.weights is None else indices[rows]).min(initial=0) >= 0:
            grown, codes = levels, list(indices.T)
        else:
            grown, codes = levels.grow(self.columns, self.weights, threads)
        codes, y, weights = self.those_that_count(codes)
        return grown, CodedRatings(codes, y, weights, grown.counts), rows

    def rows_that_count(self) -> np.ndarray:
        """Return the numbers of the rows whose weight is not 0."""
        return np.arange(len(self.columns[0])) if self.weights is None else np.flatnonzero(self.weights)


def frozen_copy(estimator: Any) -> Any:
    """Copy an estimator in its current state, for a method to work on.

    Methods that change an estimator replace the dictionary of its attributes in one step (see ``adopt``). So all
    attributes of a copy are from the same moment, whatever other threads do: before a change, or after it.
    """
    frozen = object.__new__(type(estimator))
    frozen.__dict__ = dict(vars(estimator))
    return frozen


def seed_of(estimator: Any) -> int:
    """Draw a seed from ``random_state``."""
    return int(check_random_state(estimator.random_state).randint(np.iinfo(np.int32).max))


def generator_of(estimator: Any, *count: int) -> np.random.Generator:
    """Return a random generator seeded by ``random_state``; with a different ``count`` it is another generator."""
    return np.random.default_rng([seed_of(estimator), *count])


def float_of(estimator: Any, name: str) -> float:
    """Return a parameter as a float, whatever type of number it is."""
    try:
        return float(getattr(estimator, name))
    except OverflowError:
        message = f"The '{name}' parameter of {type(estimator).__name__} is an int too large for a float."
        raise ValueError(message) from None


def validate_parameters(frozen: Any) -> None:
    """Validate the parameters of a copy of an estimator, unless they are the same as at the last validation."""
    own = vars(frozen)
    checked, values = own.get("_validated"), [own[name] for name in frozen._parameter_constraints]
    if checked is None or not all(map(is_, values, checked)):
        frozen._validate_params()
        frozen._validated = values


def named_without_class(cls: type[Class]) -> type[Class]:
    """Let Python's own errors about arguments name public methods, without the name of a private class."""
    for name, method in vars(cls).items():
        for function in (method, getattr(method, "__wrapped__", None)):
            if isinstance(function, FunctionType) and not name.startswith("_"):
                function.__qualname__ = name
    return cls


@named_without_class
class WholeStates(BaseEstimator):
    """Read the attributes of an estimator as of one moment, and change them in one step."""

    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __getstate__(self) -> dict[str, Any]:
        """Return a separate dictionary for pickle, copy and the like.

        By default, Python iterates over the dictionary of the estimator itself. This dictionary may change meanwhile,
        because scikit-learn stores its callback context there during a fit. A copy does not take part in that fit, so
        it does not get the context.
        """
        return {name: value for name, value in dict(vars(self)).items() if name not in _NOT_STORED}

    def set_params(self, **params: Any) -> Self:
        """Set parameters; set none of them if one is invalid.

        Parameters
        ----------
        **params : dict
            Parameters by name. ``fit`` checks their values.

        Returns
        -------
        self : estimator
            The estimator.

        Raises
        ------
        ValueError
            If there is no such parameter. No parameter is set in this case.
        """
        for name in params:
            outer, is_nested, _ = name.partition("__")
            if is_nested and not hasattr(params.get(outer, getattr(self, outer, self)), "set_params"):
                raise ValueError(f"Invalid parameter {name!r} for {type(self).__name__}: {outer} has no parameters.")
        frozen = frozen_copy(self)
        super(WholeStates, frozen).set_params(**params)  # pyright: ignore[reportAttributeAccessIssue]
        self.__dict__ = vars(frozen)
        return self


def check_shape(columns: list[Column], estimator_name: str, label: str = "X") -> None:
    """Raise a ValueError unless a table has at least two columns and one row."""
    n_columns, n_rows = len(columns), len(columns[0]) if columns else 0
    if n_columns < 2:
        raise ValueError(
            f"Found array with {n_columns} feature(s) (shape=({n_rows}, {n_columns})) while a minimum of 2 is "
            f"required by {estimator_name}: column 0 holds the users, column 1 the items."
        )
    if n_rows == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape=(0, {n_columns})) while a minimum of 1 is required by "
            f"{estimator_name}: {label} has no rows."
        )


def _warn_of_matrix(X: Any, name: str) -> None:
    """Warn if an array or a data frame has so many columns that they may be the items of a matrix."""
    shape: Any = () if sparse.issparse(X) else getattr(X, "shape", ())
    if len(shape) == 2 and shape[1] > _MOST_COLUMNS:
        warn_user(
            f"X has {shape[1]} columns. {name} takes a row for each pair, with the columns user and item. If X is a "
            "matrix of users x items, turn it into pairs. For a data frame: "
            "X.melt(ignore_index=False).dropna().reset_index() has the columns of users, items and ratings. For an "
            "array with 0 where there is no rating: X, y = "
            "sklearn_mf.datasets.pairs_from_sparse(scipy.sparse.csr_array(X)).",
            UserWarning,
        )


def check_input(frozen: Any, X: Any, y: Any, sample_weight: ArrayLike | None, loss: Loss, reset: bool) -> CheckedInput:
    """Check the input of ``fit``; store the names of the columns in ``frozen``, a copy of the estimator."""
    name = type(frozen).__name__
    if reset:
        _warn_of_matrix(X, name)
    columns = split_columns(X, name)
    if reset or y is None or not _is_as_in_fit(frozen, X, columns):
        checks = [
            lambda: check_shape(columns, name),
            lambda: validate_data(frozen, X, y, reset=reset, skip_check_array=True),
        ]
        for check in checks if reset else checks[::-1]:  # so that scikit-learn reports a wrong number of columns
            check()
    warn_of_other_order(X, y=y, sample_weight=sample_weight)
    y = check_ratings(y, len(columns[0]))
    weights = check_weights(sample_weight, len(columns[0]))
    loss.check_targets(y, weights)
    _count_rows(frozen, len(y), weights, reset)
    return CheckedInput(columns, y, weights)


def check_pairs(frozen: Any, X: Any, y: ArrayLike | None, sample_weight: ArrayLike | None, reset: bool) -> CheckedInput:
    """Check pairs and, if given, their ratings; store the column names in ``frozen``, a copy of the estimator."""
    name = type(frozen).__name__
    if reset:
        _warn_of_matrix(X, name)
    columns = split_columns(X, name)
    checks = [
        lambda: check_shape(columns, name),
        lambda: validate_data(frozen, X, reset=reset, skip_check_array=True),
    ]
    for check in checks if reset else checks[::-1]:  # so that scikit-learn reports a wrong number of columns
        check()
    warn_of_other_order(X, y=y, sample_weight=sample_weight)
    y = None if y is None else check_ratings(y, len(columns[0]))
    columns, weights = frozen._take_fields(columns), check_weights(sample_weight, len(columns[0]))
    _count_rows(frozen, len(columns[0]), weights, reset)
    return CheckedInput(columns, y, weights)


def _count_rows(frozen: Any, n_rows: int, weights: np.ndarray | None, reset: bool) -> None:
    """Store in ``frozen`` how many rows it learns from, and the mean weight of ``fit``.

    ``_n_rows`` counts all rows that it ever got. ``_n_fitted`` counts the rows of positive weight in the last ``fit``.
    A model that changed after ``fit`` does not have it.
    Warn if ``fit`` had weights of another size than 1, and a later call has none.
    """
    if reset:
        frozen._n_rows, frozen._mean_weight = n_rows, mean_weight(weights)
        frozen._n_fitted = n_rows if weights is None else int(np.count_nonzero(weights))
        return
    vars(frozen).pop("_n_fitted", None)
    mean = vars(frozen).get("_mean_weight")
    if mean is None:  # a model of an older version, or of a fit in batches
        return
    frozen._n_rows += n_rows
    if weights is None and not 0.5 <= mean <= 2:
        warn_user(
            f"The weights of fit were {mean:g} on average, but this call has no sample_weight, so each row has weight "
            f"1. Give weights of the same size as in fit, such as numpy.full(len(X), {mean:g}).",
            UserWarning,
        )


def add_rows_of(before: Any, frozen: Any) -> None:
    """Add the rows that an estimator had learned from before a warm start. If they are not known, the sum is not."""
    n_before = vars(before).get("_n_rows")
    if n_before is None:
        vars(frozen).pop("_n_rows", None)
        vars(frozen).pop("_mean_weight", None)
    elif "_n_rows" in vars(frozen):
        frozen._n_rows += n_before


def check_query(frozen: Any, X: Any) -> list[Column]:
    """Check the input of ``predict``; return its columns."""
    name = type(frozen).__name__
    columns = split_columns(X, name)
    if not _is_as_in_fit(frozen, X, columns):
        validate_data(frozen, X, reset=False, skip_check_array=True)
        check_shape(columns, name)
    return columns


def _is_as_in_fit(frozen: Any, X: Any, columns: list[Column]) -> bool:
    """Check whether a plain table has as many columns as the X of ``fit``, and neither of them has column names.

    If so, nothing else needs checking. Calling scikit-learn's check would take as long as predicting a rating.
    """
    own = vars(frozen)
    if type(X) not in (np.ndarray, list) or "feature_names_in_" in own:
        return False
    return 2 <= len(columns) == own.get("n_features_in_") and len(columns[0]) > 0


def check_validation(
    frozen: Any, n_columns: int, X_val: Any, y_val: Any, sample_weight_val: Any, loss: Loss
) -> CheckedInput | None:
    """Check the ratings for early stopping; return None if there are none."""
    if X_val is None and y_val is None and sample_weight_val is None:
        return None
    if isinstance(X_val, RatingBatches):
        raise TypeError(
            f"X_val={X_val!r} is not a table. Load the file with load_ratings, and pass X as X_val and y as y_val."
        )
    if X_val is None or y_val is None:
        raise ValueError("X_val and y_val must be given together, and sample_weight_val only with them.")
    if not frozen.early_stopping:
        raise ValueError("X_val and y_val are only used for early stopping: set early_stopping=True, or omit them.")
    name = type(frozen).__name__
    columns = split_columns(X_val, name)
    check_shape(columns, name, "X_val")
    if len(columns) != n_columns:
        raise ValueError(f"X_val has {len(columns)} columns, but X has {n_columns}. They need the same columns.")
    with name_table_in_errors("X_val"):
        validate_data(frozen, X_val, reset=False, skip_check_array=True)
    warn_of_other_order(X_val, "X_val", y_val=y_val, sample_weight_val=sample_weight_val)
    y_val = check_ratings(y_val, len(columns[0]), "y_val", "X_val")
    weights = check_weights(sample_weight_val, len(y_val), "sample_weight_val", "X_val")
    loss.check_targets(y_val, weights, "y_val")
    if "_n_rows" in vars(frozen):
        frozen._n_rows += len(y_val)
    return CheckedInput(columns, y_val.astype(np.float64), weights)


def encode_validation(given: CheckedInput, levels: Levels, threads: Threads) -> HeldOut:
    """Encode the ratings for early stopping; warn if the user or the item of most of them is not in X."""
    with name_table_in_errors("X_val"):
        indices = levels.encode(given.columns, threads)
    n_rows, n_known = len(indices), np.count_nonzero((indices[:, :2] >= 0).all(axis=1))
    if n_known < n_rows / 2:
        warn_user(
            f"In {n_rows - n_known} of {n_rows} rows of X_val the user or the item is not in X. So early stopping "
            "mostly measures predictions for unknown ids. To measure known ids, hold out ratings of users and items "
            "in X.",
            UserWarning,
        )
    return HeldOut(indices, given.y, given.weights)


def levels_of(frozen: Any) -> Levels:
    """Return the levels that a fitted estimator knows."""
    return Levels(frozen.categories_, frozen._sorters, frozen._kinds)


def model_of(frozen: Any) -> Model:
    """Return the model of a fitted estimator; check the shapes, because users may have replaced its arrays."""
    factors = [as_table(rows) for rows in frozen._factors]
    biases = [as_table(bias) for bias in frozen._biases]
    shapes = [rows.shape for rows in factors], [bias.shape for bias in biases]
    n_levels, rank = [len(ids) for ids in frozen.categories_], factors[0].shape[-1] if factors else 0
    if shapes != ([(n, rank) for n in n_levels], [(n,) for n in n_levels]):
        raise ValueError(
            f"factors_ and biases_ have shapes {shapes[0]} and {shapes[1]}, which do not match categories_. Each "
            f"array needs a row for each category ({n_levels} by column), and all factors need the same rank."
        )
    return Model(factors, biases, float(frozen.intercept_))


def learn_own_contexts(frozen: Any, coded: CodedRatings, goes_on: bool = False) -> None:
    """Store in ``frozen`` which context values belong to users or items. Call it before training, which uses up codes.

    A model of an older version does not store these values. It is left as it is.
    """
    known = vars(frozen).get("_own_contexts") if goes_on else no_own_contexts(len(coded.codes))
    if known is not None:
        frozen._own_contexts = with_ratings(known, coded.codes, coded.weights, coded.n_levels)


def fitted_model(frozen: Any) -> FittedModel:
    """Return the fitted model for methods that do not change it; ``frozen`` is a copy of a fitted regressor."""
    return FittedModel(
        levels_of(frozen),
        model_of(frozen),
        frozen.handle_unknown,
        list(getattr(frozen, "feature_names_in_", [])),
        type(frozen).__name__,
        frozen._training_state.hyper.loss.inverse_link,
        tuple(frozen.rating_range_) if frozen.clip else None,
        vars(frozen).get("_own_contexts"),
    )


def state_of(frozen: Any) -> TrainingState:
    """Return the training state of a fitted estimator."""
    state = frozen._training_state
    if not hasattr(state, "knowledge"):
        raise ValueError(
            f"This {type(frozen).__name__} was saved by an older version, which stored less. It can predict. For "
            "standard deviations, or to learn from more ratings, fit it again."
        )
    return state


def uncertainty_of(frozen: Any) -> Uncertainty:
    """Return the statistics of a fitted regressor for standard deviations."""
    state = state_of(frozen)
    loss = state.hyper.loss
    if not loss.has_deviations:
        raise ValueError(
            "Standard deviations need loss='squared_error', 'huber' or 'absolute_error', but this model has "
            f"loss={loss.name!r}. Fit with one of these losses."
        )
    known = state.knowledge
    return Uncertainty(known.rule(state.hyper), state.level_sums, state.scale, known.noise)


def replace_rows(estimator: Any, name: str, arrays: list[np.ndarray]) -> None:
    """Replace tables by these arrays in one step, and update the values that depend on factors.

    Arrays of wrong shape are stored as they are. ``model_of`` raises an error when they are used.
    """
    frozen = frozen_copy(estimator)
    setattr(frozen, name, [np.array(rows, dtype=np.float32) for rows in arrays])
    if "_training_state" in vars(frozen):
        with suppress(ValueError, TypeError):
            model, state = model_of(frozen), state_of(frozen)
            known = state.knowledge.with_squares_of(model.factors, state.level_sums, state.scale)
            frozen._factors, frozen._biases = model.factors, model.biases
            frozen._training_state = replace(state, knowledge=known)
    estimator.__dict__ = vars(frozen)


def learned_so_far(frozen: Any, hyper: Hyperparameters, method: str) -> Learned:
    """Return the learned values of an estimator, from which ``method`` continues with ``hyper``."""
    model, state = model_of(frozen), state_of(frozen)
    if model.rank != state.hyper.rank:
        raise ValueError(
            f"{method} cannot continue: the model was fitted with rank={state.hyper.rank}, but its factors_ were "
            f"replaced by factors of rank {model.rank}. The model can predict. To learn from more ratings, fit again."
        )
    if not hyper.has_structure_of(state.hyper):
        then, now = state.hyper.structure, hyper.structure
        changed = [f"{name} was {then[name]}, now {now[name]}" for name in then if then[name] != now[name]]
        raise ValueError(
            f"{method} continues from a model with other parameters: {'; '.join(changed)}. Set the parameters back, "
            "or call fit with warm_start=False."
        )
    return Learned(
        model,
        state,
        tuple(frozen.rating_range_),
        frozen.loss_curve_,
        frozen.validation_scores_,
        frozen.n_iter_,
    )


def attributes_of(frozen: Any, levels: Levels, learned: Learned) -> dict[str, Any]:
    """Return the attributes of an estimator with these learned values; ``frozen`` has the names of the columns."""
    own = vars(frozen)
    return {
        **{name: own[name] for name in _LEARNED_FROM_INPUT if name in own},
        "_factors": learned.model.factors,
        "_biases": learned.model.biases,
        "intercept_": learned.model.intercept,
        "damping_": learned.state.hyper.damping_table(len(levels.ids)),
        "penalty_scale_": learned.state.hyper.penalty_scale,
        "rating_range_": learned.rating_range,
        "loss_curve_": learned.losses,
        "validation_scores_": learned.scores,
        "best_validation_score_": max(learned.scores, default=None),
        "n_iter_": learned.n_iter,
        "categories_": levels.ids,
        "_sorters": levels.sorters,
        "_kinds": levels.kinds,
        "_training_state": learned.state,
    }


def adopt(estimator: Any, frozen: Any, levels: Levels, learned: Learned) -> Any:
    """Store the learned values in ``estimator``, in one step at the very end; ``frozen`` is the changed copy of it.

    If warnings are errors, the error is raised before anything has changed.
    """
    if learned.warning is not None:
        warn_user(learned.warning, ConvergenceWarning)
    estimator.__dict__ = {**vars(frozen), **attributes_of(frozen, levels, learned)}
    return estimator
