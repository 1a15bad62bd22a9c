"""What a fitted model is asked beside ratings: recommendations, similar rows, what a prediction is made of."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import narwhals as nw
import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils import Bunch, check_scalar
from sklearn.utils.validation import check_is_fitted

from sklearn_mf._base import FittedMixin
from sklearn_mf._ids.encoding import encode_columns, factorize
from sklearn_mf._ids.tables import Column, split_column, split_columns
from sklearn_mf._prediction.top_items import Excluded, Tables, predict_indices, top_items, unit_rows
from sklearn_mf._utils.threads import Threads

_FILL = {"i": -1, "u": np.iinfo(np.uint64).max, "f": np.nan, "M": np.datetime64("NaT"), "O": None}


class RecommendingMixin(FittedMixin):
    """The methods of the estimator that need nothing but a fitted model."""

    def recommend(
        self,
        users: ArrayLike,
        n_items: int = 10,
        *,
        exclude: Any = None,
        candidates: ArrayLike | None = None,
        context: Any = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the items with the highest predicted ratings for each user.

        Parameters
        ----------
        users : array-like of shape (n_users,)
            User ids. A user never seen in ``fit`` gets the items with the highest biases, and is reported as
            ``handle_unknown`` says ("nan": their ratings are NaN; contexts never seen likewise). An empty list gives
            empty arrays.

        n_items : int, default=10
            How many items for each user, at least 1.

        exclude : array-like or dataframe of shape (n_pairs, >= 2), default=None
            (user, item) pairs not to recommend: the X of ``fit``, to leave out what was rated. Ids that are not known
            are no error. Further columns are not looked at. It takes about 11 bytes of memory a pair.

        candidates : array-like of shape (n_candidates,), default=None
            Ids of the items to choose from. None: all that were seen in ``fit``.

        context : array-like, default=None
            For models with context columns: one value for each, of shape (n_columns - 2,), for all users, or a table of
            shape (n_users, n_columns - 2); of a single context column also (n_users,). Contexts that belong to the item
            (its genre) cannot be given so: there, ``predict`` the pairs.

        Returns
        -------
        items : ndarray of shape (n_users, n_items)
            Item ids, best first. What is predicted the same is in the order of ``categories_[1]``. Where fewer items
            are left, the end of the row is filled with -1 (ids that are int; the largest number if unsigned 64 bit),
            NaN (float), NaT (datetimes) or None (text). Where that may be an id itself, leave fills out by another
            mark: their ratings are NaN.

        ratings : ndarray of shape (n_users, n_items), float64
            What ``predict`` gives for these pairs, NaN where there is no item. The order is that of the model, also
            among ratings that ``clip`` made equal.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a candidate is not known, ids are of another kind than in ``fit``, ``n_items`` is below 1, context is
            missing, or with ``handle_unknown="error"`` a user is not known.

        Notes
        -----
        Scores of blocks of users come from a product of matrices, which chooses items that may be among the best; they
        are then ordered by what ``predict`` computes. So the result does not depend on ``n_jobs`` or on who else is
        asked for. ``n_jobs`` threads share the users, and BLAS has one thread in each.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRegressor
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["bob", "Casablanca"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRegressor(rank=2, random_state=0).fit(X, [5, 3, 4, 2, 4])
        >>> items, ratings = model.recommend(["bob", "cem"], 2, exclude=X)
        >>> items
        array([['Brazil', None],
               ['Alien', 'Casablanca']], dtype=object)
        """
        check_is_fitted(self)
        check_scalar(n_items, "n_items", Integral, min_val=1)
        column, levels = _id_column(users, "users"), self.categories_
        contexts = self._context_columns(context, len(column))
        left_out = None if exclude is None else self._pair_columns(exclude)
        with Threads(effective_n_jobs(self.n_jobs)) as threads:
            places = self._candidate_indices(candidates, threads)
            if len(column) == 0:
                return self._named(1, np.empty((0, n_items), dtype=np.int32)), np.empty((0, n_items))
            indices = np.full((len(column), len(levels)), -1, dtype=np.int32)
            for field, one in [(0, column), *enumerate(contexts, 2)]:
                encoded = encode_columns([one], [levels[field]], [self._sorters[field]], threads)
                indices[:, field] = encoded[:, 0]
            asked = [column, *contexts]
            unknown = (np.delete(indices, 1, axis=1) < 0).any(axis=1)
            if self.handle_unknown != "ignore":
                told = np.delete(indices, 1, axis=1)
                self._report_unknown(asked, told, unknown, "recommend was given", "Items are ranked without them.")
            excluded = Excluded.nothing(len(column))
            if left_out is not None:
                excluded = self._excluded(left_out, column, places, threads)
            tables = Tables(*self._tables(), float(self.intercept_))
            found, ratings = top_items(tables, indices, places, excluded, int(n_items), threads)
        self._to_ratings(ratings)
        if self.handle_unknown == "nan":
            ratings[unknown] = np.nan
        return self._named(1, found), ratings

    def similar_items(self, items: ArrayLike, n_items: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """Find the items whose factors point in the most similar direction.

        Parameters
        ----------
        items : array-like of shape (n_queries,)
            Item ids. An id never seen in ``fit`` is reported as ``handle_unknown`` says and has no similar items.

        n_items : int, default=10
            How many for each, at least 1. An item is not similar to itself.

        Returns
        -------
        similar : ndarray of shape (n_queries, n_items)
            Item ids, most similar first, filled as those of :meth:`recommend`. Items whose factors are all zero are
            similar to none.

        similarities : ndarray of shape (n_queries, n_items), float64
            Cosines of the angle between the factors, -1 to 1; NaN where there is no item.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the model has no factors (``rank=0``), or as in :meth:`recommend`.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRegressor
        >>> from sklearn_mf.datasets import make_ratings
        >>> X, y = make_ratings(300, 100, 5_000, random_state=0, return_X_y=True)
        >>> model = MatrixFactorizationRegressor(rank=8, random_state=0).fit(X, y)
        >>> similar, cosines = model.similar_items([3, 14], 5)
        >>> similar.shape
        (2, 5)
        """
        return self._similar(1, items, n_items, "items", "n_items")

    def similar_users(self, users: ArrayLike, n_users: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """Find the users whose factors point in the most similar direction.

        Parameters
        ----------
        users : array-like of shape (n_queries,)
            User ids. An id never seen in ``fit`` is reported as ``handle_unknown`` says and has no similar users.

        n_users : int, default=10
            How many for each, at least 1. A user is not similar to themselves.

        Returns
        -------
        similar : ndarray of shape (n_queries, n_users)
            User ids, most similar first, as the items of :meth:`similar_items`.

        similarities : ndarray of shape (n_queries, n_users), float64
            Cosines, NaN where there is no user.

        Raises
        ------
        NotFittedError, ValueError
            As :meth:`similar_items`.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRegressor
        >>> from sklearn_mf.datasets import make_ratings
        >>> X, y = make_ratings(300, 100, 5_000, random_state=0, return_X_y=True)
        >>> model = MatrixFactorizationRegressor(rank=8, random_state=0).fit(X, y)
        >>> similar, cosines = model.similar_users([15], 3)
        >>> cosines.shape
        (1, 3)
        """
        return self._similar(0, users, n_users, "users", "n_users")

    def explain(self, X: Any) -> Bunch:
        """Take predictions apart.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_pairs, n_columns)
            Ids, as for ``predict``.

        Returns
        -------
        parts : :class:`~sklearn.utils.Bunch` of ndarrays of shape (n_pairs,), float64
            ``intercept``, ``user_bias``, ``item_bias``, ``context`` (all that context columns bring: their biases, and
            their factors with those of user, item and each other), ``interaction`` (user factors times item factors),
            ``score`` (the sum of these), and ``rating``: what ``predict`` returns, that is the score, its exponential
            with ``loss="poisson"``, within the range of the ratings with ``clip``. An id never seen adds 0.
            ``pandas.DataFrame(parts)`` makes a table of it.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            As in ``predict``.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRegressor
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["bob", "Casablanca"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRegressor(rank=2, random_state=0).fit(X, [5, 3, 4, 2, 4])
        >>> parts = model.explain([["cem", "Alien"]])
        >>> [f"{name} {values[0]:.2f}" for name, values in parts.items()]  # doctest: +ELLIPSIS
        ['intercept 3.60', 'user_bias 0...', 'item_bias 0...', 'context 0.00', ...]
        """
        rating = self.predict(X)  # with its checks, and what it reports
        columns = split_columns(X, type(self).__name__)
        with Threads(effective_n_jobs(self.n_jobs)) as threads:
            indices = self._encode(columns, threads)
            factors, biases = self._tables()
            known = [np.append(bias, np.float32(0))[column] for bias, column in zip(biases, indices.T, strict=True)]
            without = [np.zeros_like(bias) for bias in biases]
            interaction = predict_indices(
                Tables(factors[:2], without[:2], 0.0), np.ascontiguousarray(indices[:, :2]), threads
            )
            context = np.zeros(len(rating))
            if len(columns) > 2:
                context = predict_indices(Tables(factors, without, 0.0), indices, threads) - interaction
                context += np.sum(known[2:], axis=0, dtype=np.float64)
        parts = {
            "intercept": np.full(len(rating), float(self.intercept_)),
            "user_bias": known[0].astype(np.float64),
            "item_bias": known[1].astype(np.float64),
            "context": context,
            "interaction": interaction,
        }
        return Bunch(**parts, score=np.sum(list(parts.values()), axis=0), rating=rating)

    def _similar(self, field: int, ids: ArrayLike, n: int, what: str, name: str) -> tuple[np.ndarray, np.ndarray]:
        check_is_fitted(self)
        check_scalar(n, name, Integral, min_val=1)
        column = _id_column(ids, what)
        rows, norms = unit_rows(self._tables()[0][field])
        if not np.isfinite(norms).all():
            raise ValueError("factors_ are not finite: nothing can be compared.")
        if rows.shape[1] == 0:
            raise ValueError(f"A model of rank=0 has no factors: no {what} are similar. Fit it with a rank above 0.")
        if len(column) == 0:
            return self._named(field, np.empty((0, n), dtype=np.int32)), np.empty((0, n))
        with Threads(effective_n_jobs(self.n_jobs)) as threads:
            own = encode_columns(
                [column], self.categories_[field : field + 1], self._sorters[field : field + 1], threads
            )
            if self.handle_unknown != "ignore":
                self._report_unknown([column], own, own[:, 0] < 0, f"similar_{what} was given", "Nothing is like them.")
            places = np.flatnonzero(norms).astype(np.int32)
            place = np.cumsum(norms > 0) - 1
            asked = np.flatnonzero((own[:, 0] >= 0) & (norms[own[:, 0]] > 0))
            itself = np.arange(len(asked), dtype=np.int64)
            excluded = Excluded(itself, itself + 1, place[own[asked, 0]].astype(np.int32))
            none = np.zeros(len(rows), dtype=np.float32)
            pairs = np.column_stack([own[asked], own[asked]])
            found = np.full((len(column), n), -1, dtype=np.int32)
            cosines = np.full((len(column), n), np.nan)
            tables = Tables([rows, rows], [none, none], 0.0)
            found[asked], cosines[asked] = top_items(tables, pairs, places, excluded, int(n), threads)
        return self._named(field, found), np.clip(cosines, -1.0, 1.0, out=cosines)

    def _named(self, field: int, indices: np.ndarray) -> np.ndarray:
        """Ids of indices, the fill where they are -1."""
        levels = self.categories_[field]
        fill = np.full(1, _FILL[levels.dtype.kind], dtype=levels.dtype)
        return np.concatenate([levels, fill])[indices]

    def _context_columns(self, context: Any, n_users: int) -> list[Column]:
        """Columns of the context, a row for each user."""
        n_contexts = len(self.categories_) - 2
        if n_contexts == 0:
            if context is not None:
                raise ValueError("context was given, but the model has no context columns. Leave it out.")
            return []
        if context is None:
            raise ValueError(
                f"The model has {n_contexts} context columns: give context, one value for each of them, or a table "
                "with a row for each user."
            )
        is_frame = nw.dependencies.is_into_dataframe(context)
        is_table = is_frame or np.ndim(np.asarray(context, dtype=object)) == 2
        if is_frame:
            self._check_names(context, slice(2, None), "context")
        if is_table:
            columns = split_columns(context, type(self).__name__, "context")
        elif n_contexts == 1 and n_users > 1 and np.size(np.asarray(context, dtype=object)) == n_users:
            is_table, columns = True, [split_column(context, "context")]
        else:  # one row for all
            values = np.asarray(context, dtype=object)
            if values.ndim == 0:
                values = values[None]
            columns = [Column(f"column {j} of context", [value] * n_users) for j, value in enumerate(values.tolist())]
        n_rows = len(columns[0]) if columns else 0
        if len(columns) != n_contexts or n_rows != n_users:
            shape = (n_rows, len(columns)) if is_table else (len(columns),)
            raise ValueError(
                f"context has shape {shape}, but the model has {n_contexts} context columns and there are {n_users} "
                "users: give one value for each column, or a table with a row for each user."
            )
        return columns

    def _pair_columns(self, exclude: Any) -> list[Column]:
        """User and item columns of ``exclude``; a frame must have them in the order of ``fit``."""
        if isinstance(exclude, (list, tuple)) and len(exclude) == 0:
            exclude = np.empty((0, 2), dtype=np.int64)
        columns = split_columns(exclude, type(self).__name__, "exclude")
        if len(columns) < 2:
            raise ValueError(f"exclude has {len(columns)} columns: give users and items, as the X of fit has them.")
        if nw.dependencies.is_into_dataframe(exclude):
            self._check_names(exclude, slice(2), "exclude")
        return columns[:2]

    def _check_names(self, frame: Any, fields: slice, table: str) -> None:
        """Columns of a frame have the names, in the order, of these fields in fit; further ones are not looked at."""
        fitted = list(getattr(self, "feature_names_in_", [])[fields])
        names = nw.from_native(frame, eager_only=True).columns[: len(fitted)]
        if names != fitted:
            raise ValueError(
                f"The columns of {table} are {names}, and those of fit were {fitted}. Give the same, in that order, or "
                "rename them."
            )

    def _candidate_indices(self, candidates: ArrayLike | None, threads: Threads) -> np.ndarray:
        """Indices of the items to choose from, in order."""
        levels = self.categories_[1]
        if candidates is None:
            return np.arange(len(levels), dtype=np.int32)
        ids = _id_column(list(candidates) if isinstance(candidates, (set, frozenset)) else candidates, "candidates")
        if len(ids) == 0:
            raise ValueError("candidates is empty: give the items to choose from, or None for all.")
        found = encode_columns([ids], [levels], [self._sorters[1]], threads)
        if (found < 0).any():
            raise ValueError(
                f"Items not seen in fit: {self._unknown_ids([ids], found)}. Leave them out, as nothing is known "
                "of them: candidates[numpy.isin(candidates, model.categories_[1])] has the others."
            )
        return np.unique(found)

    def _excluded(self, pairs: list[Column], users: Column, items: np.ndarray, threads: Threads) -> Excluded:
        """Pairs to leave out, for each row of ``users``: matched by id, so that users never seen have theirs too."""
        if len(pairs[0]) == 0:
            return Excluded.nothing(len(users))
        levels, codes = factorize(users)
        rows = encode_columns(pairs[:1], [levels], [None], threads)[:, 0]
        at = encode_columns(pairs[1:], [self.categories_[1]], [self._sorters[1]], threads)[:, 0]
        place = np.full(len(self.categories_[1]) + 1, -1, dtype=np.int32)  # -1, an unknown item, is at its end
        place[items] = np.arange(len(items), dtype=np.int32)
        at = place[at]
        counts = (rows >= 0) & (at >= 0)
        if not counts.all():
            rows, at = rows[counts], at[counts]
        table = sparse.csr_array((np.ones(len(rows), dtype=bool), (rows, at)), shape=(len(levels), len(items)))
        table.sort_indices()
        start = table.indptr.astype(np.int64)
        return Excluded(start[codes], start[codes + 1], table.indices.astype(np.int32, copy=False))


def _id_column(ids: Any, label: str) -> Column:
    column = split_column(ids, label)
    if isinstance(column.values, np.ndarray) and column.values.dtype.kind == "b":
        raise ValueError(f"{label} is a mask of bools: give the ids, for example ids[mask].")
    return column
