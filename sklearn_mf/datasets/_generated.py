"""Make ratings from a known model."""

from __future__ import annotations

import sys
from numbers import Integral, Real
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch, check_random_state, check_scalar

_MAX_SHARE_DRAWN_IN_TURN = 0.05  # share of all pairs; above it, all pairs get a random key


@overload
def make_ratings(
    n_users: int = ...,
    n_items: int = ...,
    n_ratings: int = ...,
    *,
    rank: int = ...,
    noise: float = ...,
    tail: float = ...,
    rating_range: tuple[float, float] = ...,
    rating_step: float | None = ...,
    random_state: int | np.random.RandomState | None = ...,
    return_X_y: Literal[False] = ...,
) -> Bunch: ...
@overload
def make_ratings(
    n_users: int = ...,
    n_items: int = ...,
    n_ratings: int = ...,
    *,
    rank: int = ...,
    noise: float = ...,
    tail: float = ...,
    rating_range: tuple[float, float] = ...,
    rating_step: float | None = ...,
    random_state: int | np.random.RandomState | None = ...,
    return_X_y: Literal[True],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...
@overload
def make_ratings(
    n_users: int = ...,
    n_items: int = ...,
    n_ratings: int = ...,
    *,
    rank: int = ...,
    noise: float = ...,
    tail: float = ...,
    rating_range: tuple[float, float] = ...,
    rating_step: float | None = ...,
    random_state: int | np.random.RandomState | None = ...,
    return_X_y: bool,
) -> Bunch | tuple[NDArray[np.int64], NDArray[np.float64]]: ...
def make_ratings(
    n_users: int = 1000,
    n_items: int = 500,
    n_ratings: int = 50_000,
    *,
    rank: int = 5,
    noise: float = 0.5,
    tail: float = 0.8,
    rating_range: tuple[float, float] = (1.0, 5.0),
    rating_step: float | None = None,
    random_state: int | np.random.RandomState | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[NDArray[np.int64], NDArray[np.float64]]:
    r"""Make ratings from a low-rank model with biases, noise and a long tail of popularity.

    The rating of user u for item i is

    .. math:: \mu + b_u + b_i + \langle p_u, q_i \rangle + \epsilon .

    Here :math:`\mu` is the middle of ``rating_range``. Ratings are clipped to the range and, with ``rating_step``,
    rounded. The standard deviation of user biases is a tenth of the width of the range. It is an eighth for item
    biases, and a seventh for interactions. Pairs are distinct. The k-th most popular item (k from 0) is drawn with
    probability proportional to ``(k + 10) ** -tail``. The activity of users is lognormal.

    Parameters
    ----------
    n_users, n_items : int, default=1000 and 500
        Size of the matrix, each at least 1.

    n_ratings : int, default=50_000
        Number of distinct pairs, at least 1 and at most ``n_users * n_items``.

    rank : int, default=5
        Number of factors of the known model, at least 0.

    noise : float, default=0.5
        Standard deviation of the noise, in units of the ratings; at least 0.

    tail : float, default=0.8
        Exponent of the popularity of items, at least 0. With 0 all items are equally popular.

    rating_range : tuple of (float, float), default=(1.0, 5.0)
        Lowest and highest rating.

    rating_step : float or None, default=None
        Step between possible ratings, from the lowest one on; above 0. None keeps ratings continuous.

    random_state : int, RandomState instance or None, default=None
        Seed. Pass an int to get the same ratings on every call.

    return_X_y : bool, default=False
        Whether to return ``(X, y)`` only.

    Returns
    -------
    ratings : :class:`~sklearn.utils.Bunch` or tuple of (X, y)
        A Bunch with ``data`` (n_ratings, 2) int64, the user and item numbers; ``target`` (n_ratings,) float64, the
        ratings; ``expected`` (n_ratings,), the ratings before noise, clipping and rounding. It also has the known
        model: ``intercept``, ``user_biases`` (n_users,), ``item_biases`` (n_items,), ``user_factors`` (n_users, rank)
        and ``item_factors`` (n_items, rank).

    Raises
    ------
    ValueError
        If a number is out of its range; if there are fewer pairs than ``n_ratings``; if ``rating_range`` is empty or
        narrower than ``rating_step``.

    See Also
    --------
    fetch_movielens : Real ratings of films.

    Examples
    --------
    >>> from sklearn_mf.datasets import make_ratings
    >>> ratings = make_ratings(n_users=50, n_items=30, n_ratings=400, random_state=0)
    >>> ratings.data.shape, ratings.user_factors.shape
    ((400, 2), (50, 5))
    """
    for name, size in [("n_users", n_users), ("n_items", n_items), ("n_ratings", n_ratings)]:
        check_scalar(size, name, Integral, min_val=1)
    check_scalar(rank, "rank", Integral, min_val=0)
    for value, name in [(noise, "noise"), (tail, "tail")]:
        check_scalar(value, name, Real, min_val=0)
        if not value <= sys.float_info.max:
            raise ValueError(f"{name} must be finite.")
    if rating_step is not None:
        check_scalar(rating_step, "rating_step", Real, min_val=0, include_boundaries="neither")
        if not rating_step <= sys.float_info.max:
            raise ValueError("rating_step must be finite.")
    if n_ratings > n_users * n_items:
        raise ValueError(f"n_ratings={n_ratings} is more than the {n_users * n_items} pairs of users and items.")
    _check_range(rating_range, rating_step)
    rng = np.random.default_rng(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    low, high = rating_range
    width = high - low
    intercept = (low + high) / 2
    user_biases = rng.normal(0, width / 10, n_users)
    item_biases = rng.normal(0, width / 8, n_items)
    # Factors of standard deviation s give interactions of standard deviation s^2 sqrt(rank), here width / 7.
    deviation = (width / 7) ** 0.5 / max(rank, 1) ** 0.25
    user_factors = rng.normal(0, deviation, (n_users, rank))
    item_factors = rng.normal(0, deviation, (n_items, rank))

    log_popularity = rng.permutation(-tail * np.log(np.arange(n_items) + 10.0))
    log_activity = rng.normal(0, 1, n_users)
    users, items = _draw_pairs(log_activity, log_popularity, n_ratings, rng)
    expected = intercept + user_biases[users] + item_biases[items]
    for factor in range(rank):
        expected += user_factors[users, factor] * item_factors[items, factor]
    y = np.clip(expected + rng.normal(0, noise, n_ratings), low, high)
    if rating_step is not None:
        y = _round_to_steps(y, rating_range, rating_step)
    X = np.stack([users, items], axis=1)
    if return_X_y:
        return X, y
    return Bunch(
        data=X,
        target=y,
        expected=expected,
        intercept=intercept,
        user_biases=user_biases,
        item_biases=item_biases,
        user_factors=user_factors,
        item_factors=item_factors,
    )


def _check_range(rating_range: tuple[float, float], rating_step: float | None) -> None:
    """Raise a ValueError for a range that is empty or narrower than a step."""
    is_pair = np.iterable(rating_range) and len(rating_range) == 2
    if not is_pair or not all(isinstance(end, Real) for end in rating_range):
        raise ValueError(f"rating_range={rating_range!r} must be two numbers, the lowest and the highest rating.")
    low, high = rating_range
    if not abs(low) + abs(high) <= sys.float_info.max:
        raise ValueError(f"rating_range={rating_range!r} must be two finite numbers, not close to the largest float.")
    if not low < high:
        raise ValueError(f"rating_range={rating_range} is empty: the first number must be below the second.")
    if rating_step is not None and rating_step > high - low:
        raise ValueError(f"rating_step={rating_step} is more than the width of rating_range={rating_range}.")


def _round_to_steps(y: np.ndarray, rating_range: tuple[float, float], rating_step: float) -> np.ndarray:
    """Round ratings to the lowest rating plus a whole number of steps, within the range."""
    low, high = rating_range
    n_steps = np.floor((high - low) / rating_step + 1e-9)
    return low + np.minimum(np.round((y - low) / rating_step), n_steps) * rating_step


def _draw_pairs(
    log_activity: np.ndarray, log_popularity: np.ndarray, n_pairs: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw distinct pairs, with probability activity x popularity; return them in random order."""
    n_users, n_items = len(log_activity), len(log_popularity)
    pairs, n_drawn = np.empty(0, dtype=np.int64), 0
    # Draw in rounds if the share of all pairs is small: most drawn pairs are new. Stop if a few pairs take most draws.
    while len(pairs) < n_pairs <= _MAX_SHARE_DRAWN_IN_TURN * n_users * n_items and n_drawn < 10 * n_pairs:
        n_more = int(1.2 * (n_pairs - len(pairs))) + 100
        users = rng.choice(n_users, n_more, p=_probabilities(log_activity))
        items = rng.choice(n_items, n_more, p=_probabilities(log_popularity))
        drawn = np.concatenate([pairs, users * n_items + items])
        pairs = drawn[np.sort(np.unique(drawn, return_index=True)[1])]  # distinct, in the order drawn
        n_drawn += n_more
    if len(pairs) < n_pairs:
        # The pairs with the smallest exponential waiting times are a sample without replacement (Efraimidis and
        # Spirakis 2006).
        waiting = np.log(rng.standard_exponential((n_users, n_items)))
        waiting -= log_activity[:, None]
        waiting -= log_popularity
        # Sorted, because the order after argpartition differs between versions of NumPy.
        pairs = np.sort(np.argpartition(waiting.ravel(), n_pairs - 1)[:n_pairs])
    pairs = rng.permutation(pairs[:n_pairs])
    return pairs // n_items, pairs % n_items


def _probabilities(logarithms: np.ndarray) -> np.ndarray:
    """Turn logarithms of weights into probabilities."""
    weights = np.exp(logarithms - logarithms.max())
    return weights / weights.sum()
