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
