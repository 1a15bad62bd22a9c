"""Check that fold_in solves for new users, items and contexts without a refit."""

import numpy as np
import pytest
from helpers.continued_fits import both_models, make_like, make_model, rmse, state
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from sklearn_mf.datasets import make_ratings


def new_users(growing_ratings, n_old=200):
    """A model of some users, and the others' ratings of items that it knows, to learn from and to predict."""
    X, X_test, y, y_test = growing_ratings
    old = X[:, 0] < n_old
    return X[old], y[old], X[~old], y[~old], X_test[X_test[:, 0] >= n_old], y_test[X_test[:, 0] >= n_old]


def solve(model, partners, y, w, center, field=0):
    """The regularized least squares of one level, spelled out."""
    state = model._training_state
    scale, other = state.scale, 1 - field
    place = np.searchsorted(model.categories_[other], partners)
    rows = model.factors_[other][place].astype(np.float64) / np.sqrt(scale)
    t = (y - model.intercept_ - model.biases_[other][place]) / scale
    w = w / state.weight_unit
    design = np.column_stack([rows, np.ones(len(t))])
    strength = np.r_[np.full(rows.shape[1], model.alpha * w.sum()), model.alpha_bias * w.sum()] + model.damping
    z = center / np.r_[np.full(rows.shape[1], np.sqrt(scale)), scale]
    solved = np.linalg.solve(design.T @ (w[:, None] * design) + np.diag(strength), design.T @ (w * t) + strength * z)
    return solved[:-1] * np.sqrt(scale), solved[-1] * scale


@both_models
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("field", [0, 1])
def test_fold_in_is_the_exact_solution(growing_ratings, implicit_features, weighted, field):
    X_old, y_old, X_new, y_new, *_ = new_users(growing_ratings)
    rng = np.random.default_rng(0)
    w_old, w_new = rng.integers(1, 5, len(y_old)) * 1.0, rng.integers(1, 5, len(y_new)) * 1.0
    if field == 1:
        X_old, X_new = X_old[:, ::-1], X_new[:, ::-1]
    model = make_model(implicit_features=implicit_features, damping=2.0, alpha=0.07)
    model.fit(X_old, y_old, w_old if weighted else None)
    coefficients = model._training_state.coefficients[field]
    assert model.fold_in(X_new, y_new, w_new if weighted else None) is model
    for level in np.unique(X_new[:, field])[:7]:
        rows = X_new[:, field] == level
        partners, center = X_new[rows, 1 - field], np.zeros(7)
        if implicit_features:
            place = np.searchsorted(model.categories_[1 - field], np.unique(partners))
            center = coefficients[place].sum(axis=0, dtype=np.float64) / np.sqrt(len(place))
        factors, bias = solve(
            model, partners, y_new[rows], w_new[rows] if weighted else np.ones(rows.sum()), center, field
        )
        at = np.flatnonzero(model.categories_[field] == level)[0]
        np.testing.assert_allclose(model.factors_[field][at], factors, rtol=1e-4, atol=1e-5)
        assert model.biases_[field][at] == pytest.approx(bias, rel=1e-4, abs=1e-5)


@both_models
def test_fold_in_is_as_good_as_a_fit(growing_ratings, implicit_features):
    X_old, y_old, X_new, y_new, X_test, y_test = new_users(growing_ratings)
    model = make_model(implicit_features=implicit_features).fit(X_old, y_old)
    unknown = rmse(model, X_test, y_test)
    folded = rmse(model.fold_in(X_new, y_new), X_test, y_test)
    whole = make_model(implicit_features=implicit_features).fit(np.vstack([X_old, X_new]), np.append(y_old, y_new))
    assert folded < 1.1 * rmse(whole, X_test, y_test) < 0.9 * unknown


@both_models
def test_fold_in_changes_no_other_prediction(growing_ratings, implicit_features):
    X_old, y_old, X_new, y_new, *_ = new_users(growing_ratings)
    model = make_model(implicit_features=implicit_features).fit(X_old, y_old)
    before, arrays = model.predict(X_old), [model.user_factors_.copy(), model.item_factors_.copy()]
    order = np.random.default_rng(0).permutation(len(y_new))
    other = make_model(implicit_features=implicit_features).fit(X_old, y_old).fold_in(X_new[order], y_new[order])
    model.fold_in(X_new, 100 * y_new)  # beyond the range of the ratings, too
    np.testing.assert_array_equal(model.predict(X_old), before)
    np.testing.assert_array_equal(model.user_factors_[: len(arrays[0])], arrays[0])
    np.testing.assert_array_equal(model.item_factors_, arrays[1])
    same = make_model(implicit_features=implicit_features).fit(X_old, y_old).fold_in(X_new, y_new)
    for a, b in zip(state(same), state(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_new_items_and_contexts_and_without_bias(growing_ratings):
    X, X_test, y, y_test = growing_ratings
    old = X[:, 1] < 100
    model = make_model().fit(X[old], y[old]).fold_in(X[~old], y[~old])
    new = X_test[:, 1] >= 100
    assert rmse(model, X_test[new], y_test[new]) < 0.9 * y_test[new].std()
    context = np.column_stack([X, X[:, 0] % 4])
    y_context = y + 2.0 * (context[:, 2] == 3)
    old = context[:, 2] < 3
    model = make_model(implicit_features=None, clip=False).fit(context[old], y_context[old])
    # Users of the fourth context are new with it: bring them with a context that is known, then the context.
    known = context[~old].copy()
    known[:, 2] = 0
    model.fold_in(known, y[~old]).fold_in(context[~old], y_context[~old])
    assert model.biases_[2][-1] > 1.0
    plain = make_model(fit_bias=False, clip=False).fit(X[X[:, 0] < 200], y[X[:, 0] < 200])
    plain.fold_in(X[X[:, 0] >= 200], y[X[:, 0] >= 200])
    assert not plain.user_biases_.any()
    rest = X_test[:, 0] >= 200
    assert rmse(plain, X_test[rest], y_test[rest]) < 0.5 * np.sqrt(np.mean(y_test[rest] ** 2))


@both_models
@pytest.mark.parametrize("fit_bias", [False, True])
def test_fold_in_without_factors(growing_ratings, implicit_features, fit_bias):
    X_old, y_old, X_new, y_new, *_ = new_users(growing_ratings)
    model = make_model(rank=0, fit_bias=fit_bias, implicit_features=implicit_features).fit(X_old, y_old)
    model.fold_in(X_new, y_new)
    assert model.user_biases_[-50:].all() == fit_bias


def test_update_known(growing_ratings):
    X_old, y_old, X_new, y_new, *_ = new_users(growing_ratings)
    model = make_model().fit(X_old, y_old)
    at_once = make_model().fit(X_old, y_old).fold_in(X_new, y_new)
    first = np.arange(len(y_new)) % 2 == 0
    model.fold_in(X_new[first], y_new[first])
    others = model.predict(X_old)
    with pytest.raises(
        ValueError, match=r"have no new id, at rows 0, 1, 2, 3, 4, \.\.\.\. Leave them out\. Or set update_known=True"
    ):
        model.fold_in(X_new, y_new)
    model.fold_in(X_new, y_new, update_known=True)
    np.testing.assert_array_equal(model.predict(X_old), others)
    for user in (205, 299):
        one, other = (np.flatnonzero(m.categories_[0] == user)[0] for m in (model, at_once))
        np.testing.assert_allclose(model.user_factors_[one], at_once.user_factors_[other], rtol=1e-5, atol=1e-6)


def test_fold_in_names_the_rows_at_fault(growing_ratings):
    X, _, y, _ = growing_ratings
    model = make_model().fit(X, y)
    before = dict(vars(model))
    with pytest.raises(
        ValueError, match=r"1 of 2 rows of X have more than one new id, at rows 1. First fold in new users"
    ):
        model.fold_in([[900, 1], [901, 902]], [3, 3])
    with pytest.raises(ValueError, match="have no new id, at rows 0"):
        model.fold_in([[1, 1], [901, 2]], [3, 3])
    with pytest.raises(
        ValueError, match=r"new item, but their user is also solved in this call, at rows 1. Fold in users first"
    ):
        model.fold_in([[1, 1], [1, 902]], [3, 3], update_known=True)
    with pytest.raises(ValueError, match=r"fold_in and recommend_from need .*Got loss='huber'"):
        make_model(loss="huber").fit(X, y).fold_in([[900, 1]], [3])
    with pytest.raises(ValueError, match="positive=True"):
        make_model(positive=True).fit(X, y).fold_in([[900, 1]], [3])
    with pytest.raises(ValueError, match="Input y contains NaN"):
        model.fold_in([[900, 1]], [np.nan])
    with pytest.raises(NotFittedError):
        make_model().fold_in([[900, 1]], [3])
    assert vars(model) == before
    with pytest.raises(ValueError, match="have no new id, at rows 2"):  # rows are counted as they were given
        model.fold_in([[901, 902], [900, 1], [1, 1]], [3, 3, 3], [0, 1, 1])
    model.fold_in([[900, 1], [901, 902]], [3, 3], [1, 0])  # a weight of zero is absence
    assert 900 in model.categories_[0]
    assert 901 not in model.categories_[0]


def test_without_penalty_the_shortest_solution():
    X, y = make_ratings(60, 40, 1500, random_state=0, return_X_y=True)
    model = make_model(alpha=0.0, damping=0.0, alpha_bias=0.0, implicit_features=None, clip=False).fit(X, y)
    for user, n in enumerate((2, 4, 5), start=99):
        pairs = np.column_stack([np.full(n, user), np.arange(1, n + 1)])
        model.fold_in(pairs, np.arange(n) + 1.0)
        np.testing.assert_allclose(model.predict(pairs), np.arange(n) + 1.0, atol=0.05)
        assert np.linalg.norm(model.user_factors_[-1]) < 20


def test_attributes_that_were_put_in_place_are_gone_on_from(growing_ratings):
    X, _, y, _ = growing_ratings
    model = make_model(implicit_features=None).fit(X, y)
    model.biases_ = [model.biases_[0], np.zeros(len(model.biases_[1]))]
    model.intercept_ = 100.0
    model.fold_in([[900, 1]], [5.0])
    assert not model.item_biases_.any()
    assert model.intercept_ == 100.0
    assert model.user_biases_[-1] < -5


@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_unit_of_weights_is_kept(growing_ratings, early_stopping):
    X, _, y, _ = growing_ratings
    old, biases = X[:, 0] < 290, []
    for unit in (1.0, 10.0):
        model = make_model(early_stopping=early_stopping, refit=False, max_iter=10).fit(
            X[old], y[old], np.full(old.sum(), unit)
        )
        for given in (unit, np.full((~old).sum(), unit)):  # a number is the weight of each
            folded = make_like(model)
            biases.append(folded.fold_in(X[~old], y[~old], given).user_biases_[-10:])
    for other in biases[1:]:
        np.testing.assert_allclose(other, biases[0], rtol=1e-6)


def test_a_warning_is_given_once():
    rng = np.random.default_rng(0)
    X, y = rng.integers(300, size=(60_000, 2)), rng.normal(size=60_000)
    model = make_model(learning_rate=10, max_iter=1)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    model.fold_in([[900, 1]], [5.0])


@pytest.mark.parametrize("strength", [1e300, 10**300])
def test_strengths_and_weights_beyond_floats(growing_ratings, strength):
    """What a penalty and a weight come to is bounded, as in fit."""
    X, _, y, _ = growing_ratings
    model = make_model(alpha=strength, alpha_bias=strength).fit(X, y)
    model.fold_in([[-1, X[0, 1]], [-1, X[1, 1]]], [1, 2], [1e30, 1e-30])
    assert np.isfinite(model.predict([[-1, X[0, 1]]])).all()


def test_weights_that_add_up_beyond_floats(growing_ratings):
    X, _, y, _ = growing_ratings
    with pytest.raises(ValueError, match="far beyond those that the model began with"):
        make_model().fit(X, y).fold_in([[-1, X[0, 1]], [-1, X[1, 1]]], [1, 2], [1e308, 1e308])


def test_ratings_beyond_the_scale_of_the_fit(growing_ratings):
    X, _, y, _ = growing_ratings
    with pytest.raises(ValueError, match="far beyond those that the model began with"):
        make_model().fit(X, y * 1e-3).fold_in([[-1, X[0, 1]], [-1, X[1, 1]]], [-1e308, 1e308])


@pytest.mark.filterwarnings("error")
def test_weights_beyond_single_precision(growing_ratings):
    """Sums of weights are kept in single precision, and nothing is told of those beyond."""
    X_old, y_old, X_new, y_new, *_ = new_users(growing_ratings)
    model = make_model().fit(X_old, y_old).fold_in(X_new, y_new, np.full(len(y_new), 1e300))
    predicted, std = model.predict(X_new, return_std=True)
    assert np.isfinite(predicted).all()
    assert (std > 0).all()
    before = model.user_biases_
    model.partial_fit(X_new[:50], y_new[:50] + 3)
    assert np.isfinite(model.predict(X_new)).all()
    np.testing.assert_allclose(model.user_biases_, before, atol=0.05)  # they know all there is to know
