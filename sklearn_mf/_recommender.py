"""Provide the common part of all recommenders: predictions, and lists of users and items."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, cast, overload

import numpy as np
import sklearn
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Tags, check_scalar
from sklearn.utils.fixes import parse_version
from sklearn.utils.validation import check_is_fitted

from sklearn_mf._base import WholeStates, check_query, frozen_copy, levels_of, named_without_class
from sklearn_mf._ids.checks import as_single_number
from sklearn_mf._ids.levels import describe_unknown
from sklearn_mf._ids.names import column_names
from sklearn_mf._ids.tables import Column
from sklearn_mf._prediction.fitted import FittedModel
from sklearn_mf._prediction.model import MAX_CHUNK
from sklearn_mf._prediction.recommend import Question, recommend
from sklearn_mf._prediction.similar import find_similar
from sklearn_mf._utils.threads import Threads, count_threads

if TYPE_CHECKING:
    import pandas as pd

# Before 1.7.2, one of scikit-learn's common checks subtracts a float from integers in place. So it fails for every
# estimator with this tag. Nothing else reads the tag.
_CATEGORICAL_TAG = parse_version(sklearn.__version__) >= parse_version("1.7.2")


ONE_TABLE = "predict takes a table of pairs: predict([[user, item]])."
Method = TypeVar("Method", bound=Callable[..., Any])


def _of_one_table(predict: Method) -> Method:
    """Raise an error that shows how to call ``predict``, if it gets a user and an item as two arguments."""

    @wraps(predict)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        if len(args) > 1:
            raise TypeError(ONE_TABLE)
        return predict(self, *args, **kwargs)

    return cast(Method, checked)


@named_without_class
class Recommender(WholeStates):
    """Predict and recommend; subclasses learn the model."""

    categories_: list[np.ndarray]
    n_jobs: int | None
    _sorters: list[Any]
    _value_name: ClassVar[str]  # name of the predictions in data frames

    def _take_fields(self, columns: list[Column]) -> list[Column]:
        """Return the columns of a table that the model uses; raise an error for other columns."""
        return columns

    @abstractmethod
    def _view(self) -> FittedModel:
        """Return the fitted model for methods that do not change it; ``self`` is a copy of a fitted estimator."""

    def _view_for(self, question: Question) -> FittedModel:
        """Return the fitted model in the form that a request for lists needs."""
        return self._view()

    @abstractmethod
    def _learn_users(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Replace all users by those of X, learned from these pairs; ``self`` is a copy of the estimator."""

    @_of_one_table
    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict ratings (regressor), preferences (ranker) or popularity of pairs.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_pairs, n_columns)
            Ids, with the same columns and types as in ``fit``.

        Returns
        -------
        y : ndarray of shape (n_pairs,), float64
            Predicted ratings, preferences or popularity. ``handle_unknown`` says what happens to ids that ``fit`` has
            not seen.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If ids are missing, of another type than in ``fit`` or, with ``handle_unknown="error"``, unknown.

        See Also
        --------
        recommend : The items with the highest predictions.
        MatrixFactorizationRegressor.explain, MatrixFactorizationRanker.explain : The parts of a prediction.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRanker, MostPopularRecommender
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
        ...      ["bob", "Brazil"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRanker(rank=2, random_state=0).fit(X)
        >>> model.predict([["cem", "Alien"], ["zoe", "Brazil"]]).shape
        (2,)
        >>> MostPopularRecommender().fit(X).predict([["cem", "Alien"], ["zoe", "Brazil"]])
        array([2., 3.])
        """
        frozen = self._frozen()
        columns, fitted = frozen._take_fields(check_query(frozen, X)), frozen._view()
        with Threads(count_threads(self.n_jobs, len(columns[0]) > MAX_CHUNK)) as threads:
            return fitted.predict(columns, threads)

    @overload
    def recommend_from(
        self,
        X: Any,
        y: ArrayLike | None = ...,
        sample_weight: ArrayLike | None = ...,
        *,
        n_items: int = ...,
        candidates: ArrayLike | None = ...,
        as_frame: Literal[False] = ...,
    ) -> tuple[np.ndarray, np.ndarray, NDArray[np.float64]]: ...
    @overload
    def recommend_from(
        self,
        X: Any,
        y: ArrayLike | None = ...,
        sample_weight: ArrayLike | None = ...,
        *,
        n_items: int = ...,
        candidates: ArrayLike | None = ...,
        as_frame: Literal[True],
    ) -> pd.DataFrame: ...
    @overload
    def recommend_from(
        self,
        X: Any,
        y: ArrayLike | None = ...,
        sample_weight: ArrayLike | None = ...,
        *,
        n_items: int = ...,
        candidates: ArrayLike | None = ...,
        as_frame: bool,
    ) -> tuple[np.ndarray, np.ndarray, NDArray[np.float64]] | pd.DataFrame: ...
    def recommend_from(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        n_items: int = 10,
        candidates: ArrayLike | None = None,
        as_frame: bool = False,
    ) -> tuple[np.ndarray, np.ndarray, NDArray[np.float64]] | pd.DataFrame:
        """Recommend items to users who are not in the model, from a few of their pairs.

        The model does not change. It does not store these users. So ``predict`` treats them as unknown. For deviations,
        use ``fold_in`` on a copy of the model.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_pairs, 2)
            Users, with any ids, and items that the model knows. A known user is treated as a new user who has only
            these pairs. So give all pairs of a known user.

        y : array-like of shape (n_pairs,), default=None
            Ratings. The regressor needs them. The ranker needs them if its ``fit`` had them.

        sample_weight : array-like of shape (n_pairs,), default=None
            Weights, on the scale of those of ``fit``. None means a weight of 1 for each pair. So if ``fit`` had
            weights, give weights of the same size. A single number raises an error.

        n_items : int, default=10
            Number of items for each user, at least 1. Pass it by name: ``n_items=3``.

        candidates : array-like of shape (n_candidates,), default=None
            Ids of the items to choose from. None means all items that the model knows.

        as_frame : bool, default=False
            Whether to return a pandas DataFrame, as ``recommend`` does, instead of arrays.

        Returns
        -------
        users : ndarray of shape (n_users,)
            The users of X, sorted.

        items, values : ndarrays of shape (n_users, min(n_items, n_candidates))
            Items and predictions, as from ``recommend``. Items in the user's rows of X are left out.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If an item is unknown, if ``y`` or ``sample_weight`` is a single number, or as in ``fit`` and
            ``recommend``.

        See Also
        --------
        MatrixFactorizationRegressor.fold_in, MatrixFactorizationRanker.fold_in : Add new users to the model.
        recommend : The best items for users in the model.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRanker, MatrixFactorizationRegressor
        >>> from sklearn_mf import MostPopularRecommender
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
        ...      ["bob", "Brazil"], ["cem", "Casablanca"]]
        >>> visit = [["dora", "Alien"]]
        >>> model = MatrixFactorizationRegressor(rank=2, random_state=0).fit(X, [5, 4, 5, 4, 1])
        >>> users, items, ratings = model.recommend_from(visit, [5], n_items=1)
        >>> items
        array([['Brazil']], dtype=object)
        >>> model = MatrixFactorizationRanker(rank=2, random_state=0).fit(X)
        >>> model.recommend_from(visit, n_items=1)[1]
        array([['Brazil']], dtype=object)
        >>> MostPopularRecommender().fit(X).recommend_from(visit, n_items=1)[1]
        array([['Brazil']], dtype=object)
        """
        frozen, n_items = self._frozen(), check_count(n_items, "n_items")
        if frozen.n_features_in_ > 2:
            raise ValueError(
                f"recommend_from needs a model of two columns, but this one has {frozen.n_features_in_}. Instead, "
                "call fold_in on a copy (copy.deepcopy), then recommend with the contexts."
            )
        _check_no_number(y, "y", "rating")
        _check_no_number(sample_weight, "sample_weight", "weight")
        _check_items_known(frozen, check_query(frozen, X)[1])
        with _with_names_of(frozen, X):  # check_query has warned if its names are not those of fit
            frozen._learn_users(X, y, sample_weight)
        ids = np.sort(frozen.categories_[0], kind="stable")  # only users with pairs of positive weight
        question = Question(ids, n_items, exclude=X, candidates=candidates, caller="recommend_from")
        answer = frozen._answer(question, as_frame)
        return answer if as_frame else (ids, *answer)

    def _frozen(self) -> Any:
        """Copy the fitted estimator in its current state."""
        frozen = frozen_copy(self)
        if "categories_" not in vars(frozen):  # fitted estimators have it; scikit-learn's check is slower
            check_is_fitted(frozen)
        return frozen

    def _answer(self, question: Question, as_frame: bool) -> Any:
        """Compute the lists of a request; ``self`` is a copy of the estimator."""
        with Threads(count_threads(self.n_jobs)) as threads:
            lists = recommend(self._view_for(question), question, threads)
        return lists.frame(self._value_name, question.caller) if as_frame else lists.arrays()

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = _CATEGORICAL_TAG
        tags.input_tags.string = True
        return tags


@named_without_class
class FactorRecommender(Recommender):
    """Compute lists of users and similarities from factors. Subclasses learn the factors."""

    n_iter_: int

    if TYPE_CHECKING:

        @property
        def factors_(self) -> list[NDArray[np.float32]]: ...

    @overload
    def recommend_users(
        self,
        items: ArrayLike,
        n_users: int = ...,
        *,
        exclude: Any = ...,
        candidates: ArrayLike | None = ...,
        context: Any = ...,
        as_frame: Literal[False] = ...,
    ) -> tuple[np.ndarray, NDArray[np.float64]]: ...
    @overload
    def recommend_users(
        self,
        items: ArrayLike,
        n_users: int = ...,
        *,
        exclude: Any = ...,
        candidates: ArrayLike | None = ...,
        context: Any = ...,
        as_frame: Literal[True],
    ) -> pd.DataFrame: ...
    @overload
    def recommend_users(
        self,
        items: ArrayLike,
        n_users: int = ...,
        *,
        exclude: Any = ...,
        candidates: ArrayLike | None = ...,
        context: Any = ...,
        as_frame: bool,
    ) -> tuple[np.ndarray, NDArray[np.float64]] | pd.DataFrame: ...
    def recommend_users(
        self,
        items: ArrayLike,
        n_users: int = 10,
        *,
        exclude: Any = None,
        candidates: ArrayLike | None = None,
        context: Any = None,
        as_frame: bool = False,
    ) -> tuple[np.ndarray, NDArray[np.float64]] | pd.DataFrame:
        """Find the users with the highest predictions for each item.

        Parameters
        ----------
        items : array-like of shape (n_items,)
            Item ids. ``handle_unknown`` says how unknown items are reported.

        n_users : int, default=10
            Number of users for each item, at least 1.

        exclude : array-like or dataframe of shape (n_pairs, >= 2), default=None
            (user, item) pairs to leave out, users first, as in ``recommend``.

        candidates : array-like of shape (n_candidates,), default=None
            Ids of the users to choose from. None means all users seen in ``fit``.

        context : array-like, default=None
            For models with context columns, as in ``recommend``: one value for each context column, or a table with a
            row for each item.

        as_frame : bool, default=False
            Whether to return a pandas DataFrame with a row for each user, instead of arrays.

        Returns
        -------
        users : ndarray of shape (n_items, min(n_users, n_candidates))
            User ids, best first. Empty places at the end of a row are filled as in ``recommend``.

        values : ndarray of shape (n_items, min(n_users, n_candidates)), float64
            Predictions, equal to those of ``predict``; NaN where there is no user.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As ``recommend``.

        See Also
        --------
        recommend : The best items for each user.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRegressor
        >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"],
        ...      ["bob", "Casablanca"], ["cem", "Brazil"]]
        >>> model = MatrixFactorizationRegressor(rank=2, random_state=0)
        >>> model = model.fit(X, [5, 3, 4, 2, 4])
        >>> users, ratings = model.recommend_users(["Casablanca"], 1, exclude=X)
        >>> users
        array([['cem']], dtype=object)
        """
        frozen = self._frozen()
        n_users = check_count(n_users, "n_users")
        question = Question(items, n_users, exclude, candidates, context, field=1, caller="recommend_users")
        return frozen._answer(question, as_frame)

    @overload
    def similar_items(
        self, items: ArrayLike, n_items: int = ..., *, as_frame: Literal[False] = ...
    ) -> tuple[np.ndarray, NDArray[np.float64]]: ...
    @overload
    def similar_items(self, items: ArrayLike, n_items: int = ..., *, as_frame: Literal[True]) -> pd.DataFrame: ...
    @overload
    def similar_items(
        self, items: ArrayLike, n_items: int = ..., *, as_frame: bool
    ) -> tuple[np.ndarray, NDArray[np.float64]] | pd.DataFrame: ...
    def similar_items(
        self, items: ArrayLike, n_items: int = 10, *, as_frame: bool = False
    ) -> tuple[np.ndarray, NDArray[np.float64]] | pd.DataFrame:
        """Find the items with the most similar factors, by cosine similarity.

        Parameters
        ----------
        items : array-like of shape (n_queries,)
            Item ids. An unknown id has no similar items. ``handle_unknown`` says how unknown ids are reported.

        n_items : int, default=10
            Number of similar items for each item, at least 1. An item is not in its own list. So there are at most
            n_known - 1, where n_known is the number of items in the model.

        as_frame : bool, default=False
            Whether to return a pandas DataFrame with a row for each similar item, instead of arrays.

        Returns
        -------
        similar : ndarray of shape (n_queries, min(n_items, n_known - 1))
            Item ids, most similar first. Empty places at the end of a row are filled as in ``recommend``. An item whose
            factors are all zero is not similar to any item.

        similarities : ndarray of shape (n_queries, min(n_items, n_known - 1)), float64
            Cosines of the angle between the factors, from -1 to 1; NaN where there is no item.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the model has no factors (``rank=0``), or as in ``recommend``.

        See Also
        --------
        similar_users : The same for users.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRanker, MatrixFactorizationRegressor
        >>> from sklearn_mf.datasets import make_ratings
        >>> X, y = make_ratings(300, 100, 5_000, random_state=0, return_X_y=True)
        >>> regressor = MatrixFactorizationRegressor(rank=8, random_state=0).fit(X, y)
        >>> similar, cosines = regressor.similar_items([3, 14], 5)
        >>> similar.shape
        (2, 5)
        >>> ranker = MatrixFactorizationRanker(rank=8, random_state=0).fit(X, y)
        >>> ranker.similar_items([3, 14], 5)[0].shape
        (2, 5)
        """
        return self._find_similar(1, items, check_count(n_items, "n_items"), as_frame)

    @overload
    def similar_users(
        self, users: ArrayLike, n_users: int = ..., *, as_frame: Literal[False] = ...
    ) -> tuple[np.ndarray, NDArray[np.float64]]: ...
    @overload
    def similar_users(self, users: ArrayLike, n_users: int = ..., *, as_frame: Literal[True]) -> pd.DataFrame: ...
    @overload
    def similar_users(
        self, users: ArrayLike, n_users: int = ..., *, as_frame: bool
    ) -> tuple[np.ndarray, NDArray[np.float64]] | pd.DataFrame: ...
    def similar_users(
        self, users: ArrayLike, n_users: int = 10, *, as_frame: bool = False
    ) -> tuple[np.ndarray, NDArray[np.float64]] | pd.DataFrame:
        """Find the users with the most similar factors, by cosine similarity.

        Parameters
        ----------
        users : array-like of shape (n_queries,)
            User ids. An unknown id has no similar users. ``handle_unknown`` says how unknown ids are reported.

        n_users : int, default=10
            Number of similar users for each user, at least 1. A user is not in their own list. So there are at
            most n_known - 1, where n_known is the number of users in the model.

        as_frame : bool, default=False
            Whether to return a pandas DataFrame with a row for each similar user, instead of arrays.

        Returns
        -------
        similar : ndarray of shape (n_queries, min(n_users, n_known - 1))
            User ids, most similar first. Rows are as in :meth:`similar_items`.

        similarities : ndarray of shape (n_queries, min(n_users, n_known - 1)), float64
            Cosines of the angle between the factors; NaN where there is no user.

        Raises
        ------
        NotFittedError, ValueError
            As :meth:`similar_items`.

        See Also
        --------
        similar_items : The same for items.

        Examples
        --------
        >>> from sklearn_mf import MatrixFactorizationRanker, MatrixFactorizationRegressor
        >>> from sklearn_mf.datasets import make_ratings
        >>> X, y = make_ratings(300, 100, 5_000, random_state=0, return_X_y=True)
        >>> regressor = MatrixFactorizationRegressor(rank=8, random_state=0).fit(X, y)
        >>> similar, cosines = regressor.similar_users([15], 3)
        >>> cosines.shape
        (1, 3)
        >>> ranker = MatrixFactorizationRanker(rank=8, random_state=0).fit(X, y)
        >>> ranker.similar_users([15], 3)[1].shape
        (1, 3)
        """
        return self._find_similar(0, users, check_count(n_users, "n_users"), as_frame)

    def _find_similar(self, field: int, ids: ArrayLike, n: int, as_frame: bool) -> Any:
        """Find the most similar levels of a field."""
        frozen = self._frozen()
        with Threads(count_threads(self.n_jobs)) as threads:
            lists = find_similar(frozen._view(), field, ids, n, threads)
        return lists.frame("similarity", f"similar_{('users', 'items')[field]}") if as_frame else lists.arrays()

    @property
    def user_factors_(self) -> NDArray[np.float32]:
        """Factor rows of the users, ``factors_[0]``."""
        return self.factors_[0]

    @property
    def item_factors_(self) -> NDArray[np.float32]:
        """Factor rows of the items, ``factors_[1]``."""
        return self.factors_[1]


@contextmanager
def _with_names_of(frozen: Any, X: Any) -> Iterator[None]:
    """Give a copy of an estimator the column names of a table for a while, so that they are not compared again."""
    known, names = vars(frozen).pop("feature_names_in_", None), column_names(X)
    if names:
        frozen.feature_names_in_ = np.array(names, dtype=object)
    yield
    vars(frozen).pop("feature_names_in_", None)
    if known is not None:
        frozen.feature_names_in_ = known


def _check_no_number(value: Any, name: str, content: str) -> None:
    """Raise a ValueError for a number as y or sample_weight; it may be meant as n_items."""
    number = as_single_number(value)
    if not isinstance(number, Real) or isinstance(number, bool):  # check_weights refuses a bool
        return
    hint = f" For lists of {number} items, pass n_items={number}." if isinstance(number, Integral) else ""
    raise ValueError(f"{name} must be an array with a {content} for each row, not a single number.{hint}")


def _check_items_known(frozen: Any, column: Column) -> None:
    """Raise a ValueError if the model does not know an item."""
    with Threads(1) as threads:
        indices = levels_of(frozen).encode_field(1, column, threads)
    if (indices < 0).any():
        raise ValueError(
            f"recommend_from got items not seen in fit: {describe_unknown([column], indices[:, None])}. Leave out the "
            "rows of these items."
        )


def check_count(n: int, name: str) -> int:
    """Check the number of items or users asked for; a bool is rejected."""
    if getattr(n, "ndim", 0) > 0:
        raise TypeError(
            f"{name} must be an instance of int, not {type(n).__name__}. Give ids and a number, and no table of pairs: "
            "the model has learned from its pairs in fit."
        )
    check_scalar(n, name, Integral, min_val=1)
    if isinstance(n, bool):
        raise TypeError(f"{name} must be an instance of int, not bool: give a number.")
    return int(n)
