"""Check that warm_start goes on from the last fit by ids."""

import numpy as np
import pytest
from helpers.continued_fits import both_models, make_model


@both_models
def test_warm_start_goes_on(growing_ratings, implicit_features):
    X, _, y, _ = growing_ratings
    parameters = {"implicit_features": implicit_features, "learning_rate": 0.05, "max_iter": 5}
    cold = make_model(**parameters).fit(X, y)
    again = make_model(**parameters).fit(X, y)
    warm = make_model(warm_start=True, **parameters).fit(X, y)
    assert warm.loss_curve_ == cold.loss_curve_, "the first fit starts from nothing"
    warm.fit(X, y)
    assert again.fit(X, y).loss_curve_ == cold.loss_curve_
    assert warm.loss_curve_[0] < cold.loss_curve_[1]
    assert warm.n_iter_ == 5


@both_models
def test_warm_start_matches_ids_not_places(growing_ratings, implicit_features):
    X, _, y, _ = growing_ratings
    model = make_model(warm_start=True, implicit_features=implicit_features, max_iter=20).fit(X, y)
    users = {user: model.user_biases_[k] for k, user in enumerate(model.categories_[0])}
    some = X[:, 0] % 3 > 0  # a third of the users is gone
    before = model.predict(X[some])
    model.set_params(learning_rate=1e-9, max_iter=2).fit(np.vstack([X[some], [[-5, X[0, 1]]]]), np.append(y[some], 3.0))
    assert model.categories_[0][0] == -5
    for k, user in enumerate(model.categories_[0][1:], start=1):
        assert model.user_biases_[k] == pytest.approx(users[user], abs=1e-4)
    np.testing.assert_allclose(model.predict(X[some]), before, atol=0.02)  # but for the mean, which is that of y


def test_warm_start_refuses_another_model(growing_ratings):
    X, _, y, _ = growing_ratings
    model = make_model(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="warm_start continues from a model with other parameters: rank was 6, now 7"):
        model.set_params(rank=7).fit(X, y)
    with pytest.raises(ValueError, match="absolute_error"):
        model.set_params(rank=6, loss="absolute_error").fit(X, y)
    with pytest.raises(ValueError, match="Ids in column 0 of X are text"):
        model.set_params(loss="squared_error").fit(X.astype(str), y)
    with pytest.raises(ValueError, match="of 2 columns, but X has 3"):
        model.fit(np.column_stack([X, X[:, 0] % 3]), y)
    model.set_params(rank=7, warm_start=False).fit(X, y)
    assert model.user_factors_.shape[1] == 7


@both_models
@pytest.mark.parametrize("unit", [0.0, 1e-25])
def test_ratings_that_spread_far_less_than_before(growing_ratings, implicit_features, unit):
    """Factors of before would overflow single precision; nothing is divided, and the model stays."""
    X, _, y, _ = growing_ratings
    model = make_model(warm_start=True, implicit_features=implicit_features).fit(X, y)
    before = model.predict(X)
    with pytest.raises(ValueError, match="warm_start continues from a model of ratings with a far larger spread"):
        model.fit(X, y * unit)
    with pytest.raises(ValueError, match="warm_start continues from a model of ratings with a far larger spread"):
        model.fit(X[:1], [6e-302])
    np.testing.assert_array_equal(model.predict(X), before)
