"""Check how much memory a fit takes for each rating."""

import tracemalloc

import numpy as np
import pytest

from sklearn_mf import MatrixFactorizationRegressor

pytestmark = pytest.mark.slow


def duplicated(X, y):
    return np.concatenate([X, X[:1]]), np.concatenate([y, y[:1]])


@pytest.mark.parametrize("n_columns", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("implicit_features", [None, "both"])
@pytest.mark.parametrize(
    "change",
    [
        lambda X, y: (X, y),
        lambda X, y: (X.astype(np.int32), y.astype(np.float32)),
        lambda X, y: (X * 1.0, (10 * y).astype(int)),
        duplicated,
    ],
    ids=["int64", "int32 and float32", "float64 and int", "a rating twice"],
)
def test_memory_of_a_fit(n_columns, weighted, implicit_features, change):
    """Beyond X, y and two copies of the factors: 32 bytes a rating, 8 more for each further column and for weights."""
    n = 1_000_000
    rng = np.random.default_rng(0)
    X, y = change(rng.integers(2000, size=(n, n_columns)), rng.normal(size=n))
    w = rng.random(len(y)) if weighted else None
    tracemalloc.start()
    try:
        model = MatrixFactorizationRegressor(
            8, learning_rate=0.01, max_iter=2, implicit_features=implicit_features, random_state=0
        ).fit(X, y, w)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    factors = sum(array.nbytes for array in (*model.factors_, *model.biases_))
    assert peak - 2 * factors < (32 + 8 * (n_columns - 2) + 8 * weighted) * n
