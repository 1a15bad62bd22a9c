"""Check what implicit features do to a fitted model, at extreme settings too."""

import itertools

import numpy as np
import pytest

from sklearn_mf import MatrixFactorizationRegressor


@pytest.mark.parametrize("alpha_implicit", [1e-3, 0.1, 3.0])
@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_pairs_apart_do_not_run_away(alpha_implicit, schedule):
    """A user and an item that have nothing but each other: where the ridge is weak, centers explain all of them.

    These ratings are noise, so that biases shrink to their centers nearly wholly; without the bound there is no end.
    """
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.integers(0, 100, (3000, 2)), 1000 + np.repeat(np.arange(30), 2).reshape(-1, 2)])
    y = rng.integers(1, 6, len(X))
    model = MatrixFactorizationRegressor(
        alpha_implicit=alpha_implicit, max_iter=100, schedule=schedule, clip=False, random_state=0
    )
    predictions = model.fit(X, y).predict(X[-30:])
    assert -6 < predictions.min() < predictions.max() < 12


def taste_by_choice(n_users=600, n_items=200, n=18_000, seed=0):
    """Users of four tastes mostly choose items of their own, and like these."""
    rng = np.random.default_rng(seed)
    taste, genre = rng.integers(4, size=n_users), rng.integers(4, size=n_items)
    users, items = rng.integers(n_users, size=4 * n), rng.integers(n_items, size=4 * n)
    match = taste[users] == genre[items]
    chosen = rng.random(4 * n) < np.where(match, 0.6, 0.1)
    X, first = np.unique(np.column_stack([users, items])[chosen], axis=0, return_index=True)
    y = 3 + np.where(match[chosen][first], 0.8, -0.4) + rng.normal(0, 1, len(X))
    return X, y


def test_choices_tell_tastes():
    X, y = taste_by_choice()
    held_out = np.random.default_rng(1).random(len(y)) < 0.2
    errors = {}
    for implicit_features in (None, "user", "item", "both"):
        model = MatrixFactorizationRegressor(8, implicit_features=implicit_features, random_state=0)
        model.fit(X[~held_out], y[~held_out])
        errors[implicit_features] = np.sqrt(np.mean((model.predict(X[held_out]) - y[held_out]) ** 2))
    assert errors["both"] < 0.98 * errors[None]
    assert errors["both"] < min(errors["user"], errors["item"]) < max(errors["user"], errors["item"]) < errors[None]


@pytest.mark.parametrize("rank", [0, 1, 9])
@pytest.mark.parametrize(
    "changed",
    [
        {"alpha": 0.0, "damping": 0.0, "alpha_bias": 0.0}, {"alpha": 0.0, "damping": 0.0}, {"alpha": 1e300},
        {"damping": 1e300}, {"alpha_implicit": 1e-300}, {"alpha_implicit": 1e300}, {"fit_bias": False},
        {"alpha": 1e-300, "damping": 0.0, "alpha_bias": 0.0}, {"max_iter": 1}, {"learning_rate": 1e6},
        {"alpha": 0.0, "damping": 0.0, "alpha_implicit": 1e-25}, {"alpha": 1e-30, "damping": 0.0, "alpha_bias": 1e300},
        {"learning_rate": 1e6, "schedule": "invscaling", "alpha_implicit": 1e-3}, {"damping": 1e6, "max_iter": 60},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("n_columns", [2, 3])
@pytest.mark.filterwarnings("ignore:Training ended with a loss above")  # a strength of 1e300 leaves steps of nothing
def test_extreme_parameters(rank, changed, n_columns):
    X, y = taste_by_choice(60, 30, 400)
    X = np.column_stack([X, X[:, 0] % 3])[:, :n_columns]
    model = MatrixFactorizationRegressor(rank, random_state=0).set_params(**changed)
    assert np.isfinite(model.fit(X, y).predict(X)).all()
    assert np.isfinite(np.concatenate([array.ravel() for array in (*model.factors_, *model.biases_)])).all()


@pytest.mark.parametrize("X", [[[0, 0]], [[0, 0], [0, 1]], [[0, 0], [1, 0]], [[0, 0], [1, 1]], [[5, 5]] * 3], ids=str)
def test_hardly_any_ratings(X):
    y = np.arange(len(X), dtype=float)
    assert np.isfinite(MatrixFactorizationRegressor(3, random_state=0).fit(X, y).predict(X)).all()


def test_a_strong_ridge_leaves_centers_at_zero():
    X, y = taste_by_choice(60, 30, 400)
    model = MatrixFactorizationRegressor(4, random_state=0)
    without = model.set_params(implicit_features=None).fit(X, y).predict(X)
    strong = model.set_params(implicit_features="both", alpha_implicit=1e9).fit(X, y).predict(X)
    np.testing.assert_allclose(strong, without, atol=1e-4)


def test_each_setting_is_a_model_of_its_own():
    X, y = taste_by_choice(60, 30, 400)
    settings = [{"implicit_features": value} for value in (None, "user", "item", "both")] + [{"alpha_implicit": 5.0}]
    predictions = [
        MatrixFactorizationRegressor(4, random_state=0, **setting).fit(X, y).predict(X) for setting in settings
    ]
    for a, b in itertools.combinations(predictions, 2):
        assert not np.allclose(a, b)
