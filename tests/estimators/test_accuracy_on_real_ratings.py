"""Check the accuracy on real ratings, where they are found (see the contributing page)."""

import numpy as np
import pytest
from sklearn.model_selection import KFold

from sklearn_mf import MatrixFactorizationRegressor

pytestmark = pytest.mark.slow

BEST = {
    "rank": 128,
    "max_iter": 60,
    "learning_rate": 0.1,
    "alpha": 0.11,
    "alpha_implicit": 30.0,
}  # as docs/parts.md has it


def rmse(model, X, y, train, test):
    return float(np.sqrt(np.mean((model.fit(X[train], y[train]).predict(X[test]) - y[test]) ** 2)))


def splits(name, X):
    if name == "ml-100k":
        return KFold(5, shuffle=True, random_state=0).split(X)
    order = np.random.default_rng(0).permutation(len(X))
    return [(order[len(X) // 10 :], order[: len(X) // 10])]


@pytest.mark.parametrize(
    ("name", "parameters", "at_most"),
    [
        ("ml-100k", {}, 0.884),
        ("ml-100k", {"implicit_features": None, "alpha": 0.04, "learning_rate": 0.05}, 0.910),
        ("ml-100k", BEST, 0.879),
        ("ml-1m", {}, 0.823),
        ("ml-latest-small", {}, 0.820),
        ("ml-latest-small", BEST, 0.814),
        ("movietweetings-100k", {}, 1.497),
        ("movietweetings-100k", BEST, 1.490),
    ],
)
def test_accuracy(real_ratings, name, parameters, at_most):
    X, y = real_ratings(name)
    model = MatrixFactorizationRegressor(random_state=0, n_jobs=2, **parameters)
    assert np.mean([rmse(model, X, y, *split) for split in splits(name, X)]) <= at_most


def test_better_than_biases_and_the_same_on_any_number_of_threads(real_ratings):
    X, y = real_ratings("ml-100k")
    train, test = next(iter(splits("ml-100k", X)))
    models = [MatrixFactorizationRegressor(random_state=0, n_jobs=n_jobs) for n_jobs in (1, 2, 3, 8)]
    scores = [rmse(model, X, y, train, test) for model in models]
    assert len(set(scores)) == 1
    assert scores[0] < 0.98 * rmse(MatrixFactorizationRegressor(rank=0, random_state=0), X, y, train, test)
    for model in models[1:]:
        np.testing.assert_array_equal(model.user_factors_, models[0].user_factors_)


@pytest.mark.parametrize(
    ("name", "of_fit", "streamed"),
    [
        ("ml-100k", 0.875, 0.866),
        ("ml-latest-small", 0.826, 0.817),
        ("movietweetings-100k", 1.507, 1.493),
        ("ml-1m", 0.832, 0.8265),
    ],
)
def test_batches_that_come_later_make_a_model_better(real_ratings, name, of_fit, streamed):
    """Fit on 80 % of the training ratings, then the others in batches of 5,000: none raises the test error by 0.1 %."""
    X, y = real_ratings(name)
    train, test = splits("", X)[0]
    train = np.random.default_rng(1).permutation(train)
    n = len(train) * 8 // 10
    model = MatrixFactorizationRegressor(random_state=0, n_jobs=2).fit(X[train[:n]], y[train[:n]])

    def error():
        return float(np.sqrt(np.mean((model.predict(X[test]) - y[test]) ** 2)))

    errors = [error()]
    for start in range(n, len(train), 5000):
        batch = train[start : start + 5000]
        model.partial_fit(X[batch], y[batch])
        errors.append(error())
    assert errors[0] <= of_fit
    assert errors[-1] <= streamed
    assert np.max(np.diff(errors) / errors[:-1]) <= 0.001


@pytest.mark.parametrize(
    ("name", "likelihood"),
    [("ml-100k", 1.242), ("ml-1m", 1.186), ("ml-latest-small", 1.162), ("movietweetings-100k", 1.750)],
)
def test_deviations_hold_on_ratings_held_out(real_ratings, name, likelihood):
    X, y = real_ratings(name)
    train, test = splits("", X)[0]
    model = MatrixFactorizationRegressor(random_state=0, n_jobs=2).fit(X[train], y[train])
    predicted, std = model.predict(X[test], return_std=True)
    error = y[test] - predicted
    assert np.mean(0.5 * np.log(2 * np.pi * std**2) + 0.5 * (error / std) ** 2) <= likelihood
    is_covered = np.abs(error) < 1.6449 * std
    assert 0.89 <= is_covered.mean() <= 0.92
    counts = [dict(zip(*np.unique(X[train, f].tolist(), return_counts=True), strict=True)) for f in range(2)]
    activity = [np.array([counts[f].get(i, 0) for i in X[test, f].tolist()]) for f in range(2)]
    for order in (std, *activity):
        for part in np.array_split(np.argsort(order, kind="stable"), 5):
            assert 0.85 <= is_covered[part].mean() <= 0.95
    for part in np.array_split(np.argsort(std), 5):
        ratio = np.sqrt(np.mean(error[part] ** 2) / np.mean(std[part] ** 2))
        assert ratio == pytest.approx(1, abs=0.10 if name == "movietweetings-100k" else 0.08)
