"""Check that the parts of an explanation add up to the prediction."""

import numpy as np
import pandas as pd
import pytest
from helpers.recommending import model
from numpy.testing import assert_allclose, assert_array_equal


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_explanations_add_up_to_the_prediction(ratings, loss):
    X, y = ratings
    fitted = model(loss=loss).fit(X, np.round(y))
    parts = fitted.explain(X[:50])
    assert list(parts) == ["intercept", "user_bias", "item_bias", "context", "interaction", "score", "rating"]
    users, items = X[:50].T
    assert_allclose(parts.user_bias, fitted.user_biases_[users])
    assert_allclose(parts.item_bias, fitted.item_biases_[items])
    assert_allclose(
        parts.interaction, (fitted.user_factors_[users] * fitted.item_factors_[items]).sum(axis=1), atol=1e-6
    )
    assert not parts.context.any()
    total = parts.intercept + parts.user_bias + parts.item_bias + parts.context + parts.interaction
    assert_allclose(parts.score, total)
    expected = np.clip(np.exp(total) if loss == "poisson" else total, *fitted.rating_range_)
    assert_allclose(parts.rating, expected, rtol=1e-6)
    assert_array_equal(parts.rating, fitted.predict(X[:50]))
    assert pd.DataFrame(parts).shape == (50, 7)


def test_explanations_with_contexts(with_contexts):
    rows = [[3, 5, "sun", 2], [4, 6, "mon", 7], [4, 6, "sun", 0]]  # week 7 was never seen
    parts = with_contexts.explain(rows)
    f, b = with_contexts.factors_, with_contexts.biases_
    for r, (user, item, day, week) in enumerate(rows):
        d = ["mon", "sun"].index(day)
        v = [f[0][user], f[1][item], f[2][d], f[3][week] if week < 4 else np.zeros(6)]
        bias = b[2][d] + (b[3][week] if week < 4 else 0)
        crossed = sum(v[i] @ v[j] for i in range(4) for j in range(i) if i >= 2)
        assert_allclose(parts.context[r], bias + crossed, atol=1e-6)
        assert_allclose(parts.interaction[r], v[0] @ v[1], atol=1e-6)
    assert_allclose(np.clip(parts.score, *with_contexts.rating_range_), with_contexts.predict(rows), atol=1e-6)


def test_explanations_of_what_is_not_known(fitted):
    parts = fitted.explain([[5000, 3], [1, 5000]])
    assert parts.user_bias[0] == parts.item_bias[1] == 0
    assert not parts.interaction.any()
    fitted.set_params(handle_unknown="nan")
    assert np.isnan(fitted.explain([[5000, 3]]).rating).all()
    fitted.set_params(handle_unknown="ignore")
