"""Tables of ratings for fits on a Dask cluster, and what such a fit must agree in with a local one."""

import numpy as np
import pandas as pd

N_USERS, N_ITEMS, N_RATINGS = 12_000, 9_000, 30_000  # enough levels for five shards


def make_table(n_ratings=N_RATINGS, n_users=N_USERS, n_items=N_ITEMS):
    """Ids, ratings and weights, some of them zero; the last rows repeat the first."""
    rng = np.random.default_rng(5)
    X = np.stack([rng.integers(n_users, size=n_ratings), rng.integers(n_items, size=n_ratings)], axis=1)
    X[-n_ratings // 20 :] = X[: n_ratings // 20]
    return X, rng.integers(1, 6, n_ratings) / 2, rng.integers(0, 3, n_ratings) / 2


def make_frame(n_ratings=N_RATINGS):
    """The same with text ids, in a frame."""
    X, y, weights = make_table(n_ratings)
    users, items = ([f"{name}{code}" for code in column] for name, column in zip("ui", X.T, strict=True))
    return pd.DataFrame({"user": users, "item": items, "rating": y, "weight": weights})


def assert_same_regressor(found, expected, X, y):
    """Check bits of what was learned, of predictions, and of what is learned later."""
    assert found._n_rows == expected._n_rows
    np.testing.assert_allclose(found._mean_weight, expected._mean_weight)
    for name in ("factors_", "biases_", "categories_"):
        for own, wanted in zip(getattr(found, name), getattr(expected, name), strict=True):
            np.testing.assert_array_equal(own, wanted, err_msg=name, strict=name != "categories_")
    for name in (
        "intercept_",
        "loss_curve_",
        "validation_scores_",
        "n_iter_",
        "rating_range_",
        "damping_",
        "penalty_scale_",
    ):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    for own, wanted in zip(found.predict(X, return_std=True), expected.predict(X, return_std=True), strict=True):
        np.testing.assert_array_equal(own, wanted)
    assert_same_lists(found, expected)
    found.partial_fit(X[:50], y[:50])
    expected.partial_fit(X[:50], y[:50])
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))


def assert_same_lists(found, expected):
    """Check bits of the lists of some users."""
    users = expected.categories_[0][:20]
    for own, wanted in zip(found.recommend(users, 5), expected.recommend(users, 5), strict=True):
        np.testing.assert_array_equal(own, wanted)
