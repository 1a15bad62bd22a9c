"""Check that made ratings follow the truth that they are drawn from."""

import numpy as np
import pytest

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings


def test_made_ratings_follow_the_truth_they_were_drawn_from():
    made = make_ratings(200, 150, 5_000, rank=4, noise=0.1, rating_range=(-50, 50), random_state=0)
    users, items = made.data.T
    expected = made.intercept + made.user_biases[users] + made.item_biases[items]
    expected += (made.user_factors[users] * made.item_factors[items]).sum(axis=1)
    np.testing.assert_allclose(made.expected, expected)
    inside = np.abs(made.expected) < 49
    assert np.std((made.target - made.expected)[inside]) == pytest.approx(0.1, rel=0.1)
    assert made.user_factors.shape == (200, 4)
    assert made.item_factors.shape == (150, 4)


@pytest.mark.parametrize("n_ratings", [100, 500, 6_000, 10_000])
def test_made_pairs_are_distinct_and_as_many_as_asked(n_ratings):
    X, y = make_ratings(100, 100, n_ratings, random_state=0, return_X_y=True)
    assert len(np.unique(X, axis=0)) == len(X) == len(y) == n_ratings
    assert X.dtype == np.int64
    assert X.min() >= 0
    assert X.max() < 100
    assert 1 <= y.min() <= y.max() <= 5


def test_popularity_has_a_long_tail():
    counts = {}
    for tail in (0.0, 0.8):
        X, _ = make_ratings(5_000, 500, 50_000, tail=tail, random_state=0, return_X_y=True)
        counts[tail] = np.sort(np.bincount(X[:, 1], minlength=500))[::-1]
    assert counts[0.8][:50].sum() > 0.3 * 50_000
    assert counts[0.0][:50].sum() < 0.15 * 50_000


def test_an_extreme_tail_ends():
    X, y = make_ratings(100, 1_000, 4_000, tail=400, random_state=0, return_X_y=True)
    assert len(np.unique(X, axis=0)) == 4_000
    assert np.isfinite(y).all()


def test_rating_step_and_range():
    _, y = make_ratings(50, 50, 1_000, rating_range=(0.5, 5), rating_step=0.5, random_state=0, return_X_y=True)
    assert set(y) <= set(np.arange(1, 11) / 2)
    _, uneven = make_ratings(50, 50, 1_000, rating_range=(1, 5), rating_step=0.7, random_state=0, return_X_y=True)
    np.testing.assert_allclose(sorted(set(uneven)), 1 + 0.7 * np.arange(6))
    _, again = make_ratings(50, 50, 1_000, rating_range=(0.5, 5), rating_step=0.5, random_state=0, return_X_y=True)
    np.testing.assert_array_equal(y, again)


def test_noise_free_ratings_are_learned():
    made = make_ratings(300, 200, 30_000, rank=2, noise=0, random_state=0)
    X, y = made.data, made.target
    model = MatrixFactorizationRegressor(8, alpha=1e-3, damping=0.1, learning_rate=0.1, max_iter=50, random_state=0)
    model.fit(X[:25_000], y[:25_000])
    assert model.score(X[25_000:], y[25_000:]) > 0.97


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"n_users": 3, "n_items": 3, "n_ratings": 10}, "n_ratings=10 is more than the 9 pairs"),
        ({"rating_range": (5, 1)}, "empty"),
        ({"rating_step": 70}, "rating_step=70 is more than the width"),
        ({"noise": -1}, "noise == -1, must be >= 0"),
        ({"n_users": 0}, "n_users == 0, must be >= 1"),
    ],
)
def test_make_ratings_refuses(bad, message):
    with pytest.raises(ValueError, match=message):
        make_ratings(**bad)


@pytest.mark.parametrize("value", [None, 5, "ab", (1,), (1, 2, 3), ("a", "b"), [1, [2]]])
def test_ranges_that_are_no_two_numbers(value):
    with pytest.raises(ValueError, match="must be two numbers"):
        make_ratings(rating_range=value)


@pytest.mark.parametrize("value", [np.inf, np.nan, 10**400])
def test_numbers_that_are_not_finite(value):
    for given in ({"noise": value}, {"tail": value}, {"rating_range": (0, value)}, {"rating_step": value}):
        with pytest.raises(ValueError, match=r"must be (two )?finite"):
            make_ratings(5, 5, 5, **given)
    with pytest.raises(ValueError, match="must be two finite numbers, not close to the largest float"):
        make_ratings(rating_range=(-1e308, 1e308))
