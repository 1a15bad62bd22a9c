"""Check that positive factors are positive, and compare them with NMF."""

import numpy as np
import pytest
from helpers.noisy_fits import fit
from sklearn.decomposition import NMF

from sklearn_mf import MatrixFactorizationRegressor


@pytest.mark.parametrize("n_columns", [2, 3])
@pytest.mark.parametrize("implicit_features", [None, "both"])
def test_positive(noisy_ratings, n_columns, implicit_features):
    X, _, y, _ = noisy_ratings
    X = np.column_stack([X, X[:, 0] % 5])[:, :n_columns]
    free, positive = (fit(X, y, positive=positive, implicit_features=implicit_features) for positive in (False, True))
    assert min(rows.min() for rows in free.factors_) < 0
    assert min(rows.min() for rows in positive.factors_) == 0
    assert min(bias.min() for bias in positive.biases_) < 0, "biases are free"
    assert positive.loss_curve_[-1] < positive.loss_curve_[0]


def test_positive_is_nmf_where_all_is_known():
    rng = np.random.default_rng(0)
    M = rng.exponential(size=(60, 4)) @ rng.exponential(size=(4, 50)) + 0.05 * rng.exponential(size=(60, 50))
    X = np.argwhere(np.ones_like(M))
    nmf = NMF(4, init="nndsvda", max_iter=3000, tol=1e-8, random_state=0)
    best = np.linalg.norm(M - nmf.fit_transform(M) @ nmf.components_)
    errors = []
    for seed in range(3):
        model = MatrixFactorizationRegressor(
            4, positive=True, fit_bias=False, implicit_features=None, alpha=0.0, damping=0.0, max_iter=1000,
            learning_rate=0.1, clip=False, random_state=seed,
        ).fit(X, M.ravel())  # fmt: skip
        assert min(rows.min() for rows in model.factors_) >= 0
        errors.append(np.linalg.norm(M - model.user_factors_ @ model.item_factors_.T))
    assert min(errors) < 1.02 * best
