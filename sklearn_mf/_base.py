"""What the methods of the estimator share: checks of input, ids to indices, what is kept."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from sklearn_mf._ids.checks import check_counts, check_ratings, check_weights, naming, warn_user
from sklearn_mf._ids.encoding import (
    decode_unknown,
    drop_unused_levels,
    encode_columns,
    find_levels,
    fit_columns,
    grow_levels,
    warn_of_continuous_columns,
)
from sklearn_mf._ids.tables import Column, split_columns
from sklearn_mf._training.fit import Learned
from sklearn_mf._training.losses import Loss
from sklearn_mf._training.ratings import HeldOut
from sklearn_mf._training.sgd import Hyperparameters
from sklearn_mf._utils.threads import Threads

if TYPE_CHECKING:
    from typing_extensions import Self

_ALONE = Threads(1)


class FittedMixin:
    """The estimator's parameters and fitted attributes are used by their names."""

    @property
    def user_factors_(self) -> np.ndarray:
        """Factor rows of the users, ``factors_[0]``."""
        return self.factors_[0]

    @property
    def item_factors_(self) -> np.ndarray:
        """Factor rows of the items, ``factors_[1]``."""
        return self.factors_[1]

    @property
    def user_biases_(self) -> np.ndarray:
        """Biases of the users, ``biases_[0]``."""
        return self.biases_[0]

    @property
    def item_biases_(self) -> np.ndarray:
        """Biases of the items, ``biases_[1]``."""
        return self.biases_[1]

    def _check_shape(self, columns: list[Column], label: str = "X") -> None:
        name = type(self).__name__
        n_columns, n_rows = len(columns), len(columns[0]) if columns else 0
        if n_columns < 2:
            raise ValueError(
                f"Found array with {n_columns} feature(s) (shape=({n_rows}, {n_columns})) while a minimum of 2 is "
                f"required by {name}: column 0 holds the users, column 1 the items."
            )
        if n_rows == 0:
            raise ValueError(
                f"Found array with 0 sample(s) (shape=(0, {n_columns})) while a minimum of 1 is required by {name}: "
                f"{label} has no rows."
            )

    def _check_input(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None, reset: bool
    ) -> tuple[Self, list[Column], np.ndarray, np.ndarray | None]:
        """Columns, ratings and weights, and a copy of the estimator to work on: one that fails stays as it was."""
        columns = split_columns(X, type(self).__name__)
        fitted = copy(self)
        checks = [
            lambda: self._check_shape(columns),
            lambda: validate_data(fitted, X, y, reset=reset, skip_check_array=True),
        ]
        for check in checks if reset else checks[::-1]:  # the number of columns is told as scikit-learn does
            check()
        n_rows = len(columns[0])
        y = check_ratings(y, n_rows)
        weights = check_weights(sample_weight, n_rows)
        if self.loss == "poisson":
            check_counts(y, weights)
        return fitted, columns, y, weights

    def _check_validation(
        self, fitted: Self, n_columns: int, X_val: Any, y_val: Any, sample_weight_val: Any
    ) -> tuple[list[Column], np.ndarray, np.ndarray | None] | None:
        if X_val is None and y_val is None and sample_weight_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val go together: give both, or neither of them and no sample_weight_val.")
        if not self.early_stopping:
            raise ValueError("X_val and y_val are there to stop by: set early_stopping=True, or leave them out.")
        columns = split_columns(X_val, type(self).__name__)
        self._check_shape(columns, "X_val")
        if len(columns) != n_columns:
            raise ValueError(f"X_val has {len(columns)} columns and X has {n_columns}; give it the same ones.")
        with naming("X_val"):
            validate_data(fitted, X_val, reset=False, skip_check_array=True)
        y_val = check_ratings(y_val, len(columns[0]), "y_val", "X_val")
        weights = check_weights(sample_weight_val, len(y_val), "sample_weight_val", "X_val")
        if self.loss == "poisson":
            check_counts(y_val, weights, "y_val")
        return columns, y_val.astype(np.float64), weights

    def _fit_levels(self, columns: list[Column], weights: np.ndarray | None, threads: Threads) -> list[np.ndarray]:
        """Set ``categories_``; return the indices of the rows, column by column."""
        levels, codes = fit_columns(columns, threads)
        if weights is not None and not weights.all():
            levels, codes = drop_unused_levels(levels, codes, weights)
        n_rows = len(columns[0]) if weights is None else np.count_nonzero(weights)
        warn_of_continuous_columns(columns, levels, n_rows)
        self.categories_, self._sorters = levels, [None] * len(levels)
        return codes

    def _grow(
        self, columns: list[Column], y: np.ndarray, weights: np.ndarray | None, threads: Threads
    ) -> tuple[list[np.ndarray], np.ndarray, np.ndarray | None, np.ndarray]:
        """Add new levels to ``categories_``; return indices, ratings and weights of the rows that count, and which."""
        self.categories_, self._sorters, codes = grow_levels(columns, self.categories_, self._sorters, weights, threads)
        counts = np.arange(len(y)) if weights is None else np.flatnonzero(weights)
        if len(counts) < len(y):
            codes, y, weights = [column[counts] for column in codes], y[counts], weights[counts]
        return codes, y, weights, counts

    def _encode(self, columns: list[Column], threads: Threads = _ALONE) -> np.ndarray:
        """Indices of the rows among ``categories_``, int32 (n_rows, n_columns); -1 where an id is not one of them."""
        return encode_columns(columns, self.categories_, self._sorters, threads)

    def _encode_held_out(
        self, columns: list[Column], y: np.ndarray, weights: np.ndarray | None, threads: Threads
    ) -> HeldOut:
        with naming("X_val"):
            indices = self._encode(columns, threads)
        n_known = np.count_nonzero((indices[:, :2] >= 0).all(axis=1))
        if n_known < len(y) / 2:
            warn_user(
                f"In {len(y) - n_known} of {len(y)} rows of X_val the user or the item is not in X: what is judged "
                "there is how well new ones are predicted. To judge known ones, hold out ratings of theirs.",
                UserWarning,
            )
        return HeldOut(indices, y, weights)

    def _places_of(self, columns: list[Column], levels: list[np.ndarray]) -> list[np.ndarray]:
        """Where levels are among those that the estimator has, -1 for nowhere."""
        if len(columns) != len(self.categories_):
            raise ValueError(
                f"warm_start goes on from a model of {len(self.categories_)} columns, and X has {len(columns)}. Give "
                "it the same ones, or fit anew with warm_start=False."
            )
        given = zip(columns, levels, self.categories_, self._sorters, strict=True)
        return [find_levels(column.label, new, old, sorter) for column, new, old, sorter in given]

    def _hyperparameters(self) -> Hyperparameters:
        return Hyperparameters(
            int(self.rank),
            self.learning_rate,
            self.alpha,
            self.alpha_bias,
            self.damping,
            self.implicit_features,
            self.alpha_implicit,
            bool(self.fit_bias),
            Loss(self.loss, self.epsilon, self.quantile),
            bool(self.positive),
        )

    def _rng(self, *count: int) -> np.random.Generator:
        return np.random.default_rng([check_random_state(self.random_state).randint(np.iinfo(np.int32).max), *count])

    def _learned_now(self, method: str) -> Learned:
        """What was learned, with the factors and biases that the attributes have now."""
        factors, biases = self._tables()
        names = ("rank", "fit_bias", "positive", "implicit_features", "loss and its parameter")
        then, now = (replace(self._learned.hyper, rank=factors[0].shape[1]).identity, self._hyperparameters().identity)
        changed = [f"{name} was {a}, now {b}" for name, a, b in zip(names, then, now, strict=True) if a != b]
        if changed:
            raise ValueError(
                f"{method} goes on from a model with other parameters: {'; '.join(changed)}. Set them back, or call "
                "fit with warm_start=False."
            )
        return replace(
            self._learned,
            factors=factors,
            biases=biases,
            intercept=float(self.intercept_),
            rating_range=tuple(self.rating_range_),
        )

    def _adopt(self, fitted: Self, learned: Learned) -> Self:
        """Become ``fitted``, with what was learned."""
        self.__dict__ = {**fitted.__dict__, **fitted._attributes(learned)}
        if learned.warning is not None:
            warn_user(learned.warning, ConvergenceWarning)
        return self

    def _attributes(self, learned: Learned) -> dict[str, Any]:
        names = {name: vars(self)[name] for name in ("n_features_in_", "feature_names_in_") if name in vars(self)}
        return {
            **names,
            "factors_": learned.factors,
            "biases_": learned.biases,
            "intercept_": learned.intercept,
            "rating_range_": learned.rating_range,
            "loss_curve_": learned.losses,
            "validation_scores_": learned.scores,
            "best_validation_score_": max(learned.scores, default=None),
            "n_iter_": learned.n_iter,
            "categories_": self.categories_,
            "_sorters": self._sorters,
            "_learned": learned,
        }

    def _tables(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Factors and biases as the kernel needs them: a user may have put others in their place."""
        factors = [np.ascontiguousarray(rows, dtype=np.float32) for rows in self.factors_]
        biases = [np.ascontiguousarray(bias, dtype=np.float32) for bias in self.biases_]
        shapes = [rows.shape for rows in factors], [bias.shape for bias in biases]
        n_levels, rank = [len(levels) for levels in self.categories_], factors[0].shape[-1] if factors else 0
        if shapes != ([(n, rank) for n in n_levels], [(n,) for n in n_levels]):
            raise ValueError(
                f"factors_ and biases_ have shapes {shapes[0]} and {shapes[1]}, which do not fit categories_: each "
                f"needs a row for each level, {n_levels} by column, and all factors the same rank."
            )
        return factors, biases

    def _report_unknown(
        self,
        columns: list[Column],
        indices: np.ndarray,
        unknown: np.ndarray,
        what: str = "X has",
        then: str = "They are predicted from the other columns.",
    ) -> None:
        if self.handle_unknown in ("ignore", "nan") or not unknown.any():
            return
        found = f"{np.count_nonzero(unknown)} of {len(unknown)} rows: {self._unknown_ids(columns, indices)}."
        message = f"{what} ids not seen in fit, in {found}"
        if self.handle_unknown == "error":
            raise ValueError(message + " Leave these rows out, or set handle_unknown to 'ignore', 'warn' or 'nan'.")
        warn_user(f"{message} {then}", UserWarning)

    def _unknown_ids(self, columns: list[Column], indices: np.ndarray) -> str:
        return "; ".join(
            f"{len(ids)} in {label} ({', '.join(repr(i) for i in ids[:5].tolist())}{', ...' if len(ids) > 5 else ''})"
            for label, ids in decode_unknown(columns, indices)
        )

    def _to_ratings(self, scores: np.ndarray) -> None:
        """Scores become ratings, in place: through the link of the loss, and clipped."""
        scores[...] = self._learned.hyper.loss.expected(scores)
        if self.clip:
            np.clip(scores, *self.rating_range_, out=scores)
