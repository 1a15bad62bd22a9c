"""Check what the ranker promises: its objective, its lists, and that the same pairs give the same bits."""

import pickle
import threading

import numpy as np
import pandas as pd
import pytest
from helpers.preferences import model, objective, pairs, ridges, solve_row, unobserved, weight_matrix
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.utils._param_validation import InvalidParameterError

import sklearn_mf._utils.threads
from sklearn_mf import MatrixFactorizationRanker
from sklearn_mf.model_selection import PerUserShuffleSplit

N_USERS, N_ITEMS = 60, 40


def rows_of(fitted):
    return fitted.user_factors_.astype(np.float64), fitted.item_factors_.astype(np.float64)


def test_users_are_solved_and_the_objective_falls():
    X, _ = pairs()
    fitted = model(max_iter=10, tol=0.0).fit(X)
    table = weight_matrix(X, None, N_USERS, N_ITEMS)
    users, items = rows_of(fitted)
    w0 = unobserved(table, fitted)
    for row, weights, ridge in zip(users, table, ridges(table, 0, fitted), strict=True):
        np.testing.assert_allclose(row, solve_row(weights, items, ridge, w0), atol=2e-6)
    curve = fitted.objective_curve_
    assert len(curve) == fitted.n_iter_ == 10
    assert (np.diff(curve) < 1e-6).all()
    assert curve[-1] * np.count_nonzero(table) == pytest.approx(objective(table, fitted, users, items), rel=1e-2)


def test_ratings_are_confidence():
    """A pair that was rated higher is fitted closer, and only the order of the ratings counts."""
    X, y = pairs()
    fitted = model().fit(X, y)
    same = model().fit(X, np.exp(3 * y) - 1000)
    assert np.array_equal(fitted.user_factors_, same.user_factors_)
    scores = fitted.predict(X)
    assert scores[y == 5].mean() > scores[y == 1].mean() + 0.05
    plain, constant = model(confidence=0.0).fit(X, y), model().fit(X, np.full(len(X), 7.0))
    for other in (plain, constant):
        assert np.array_equal(other.user_factors_, model().fit(X).user_factors_)


def test_same_bits_for_any_threads_and_order():
    X, y = pairs(n=3000, n_users=400, n_items=200)
    X = np.concatenate([X, X[:100]])
    y = np.concatenate([y, y[:100] + 1])
    weights = np.random.default_rng(0).random(len(X)) + 0.1
    order = np.random.default_rng(1).permutation(len(X))
    fitted = model(rank=20).fit(X, y, weights)
    for n_jobs in (2, 3, 8):
        other = model(rank=20, n_jobs=n_jobs).fit(X[order], y[order], weights[order])
        for one, two in zip(fitted.factors_, other.factors_, strict=True):
            assert np.array_equal(one, two)
        assert fitted.objective_curve_ == other.objective_curve_


def test_weights_mean_repetition():
    X, y = pairs()
    times = np.random.default_rng(0).integers(0, 4, size=len(X))
    users_and_items = X[times > 0]
    repeated = model().fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    weighted = model().fit(X, y, times)
    scaled = model().fit(X, y, 1e-3 * times)
    for other in (weighted, scaled):
        np.testing.assert_allclose(other.predict(users_and_items), repeated.predict(users_and_items), atol=1e-5)
    seen = [len(items) for items in model().fit(X, y, times).recommend(X[:1, 0], N_ITEMS)[0]]
    assert seen == [len(repeated.categories_[1])]


def test_lists_beat_the_most_popular_and_are_what_predict_says():
    X, _ = pairs(n=4000, n_users=200, n_items=80)
    train, test = next(PerUserShuffleSplit(1, test_size=0.2, random_state=0).split(X))
    fitted = model(rank=16, max_iter=10).fit(X[train])
    score = fitted.score(X[test])
    counts = np.bincount(X[train][:, 1], minlength=80)
    popular = model(rank=1).fit(X[train])
    popular._preferences.rows[0][:] = 1.0
    popular._preferences.rows[1][:-1, 0] = counts[popular.categories_[1]]
    assert score > 1.3 * popular.score(X[test])
    users = np.unique(X[test][:, 0])
    items, preferences = fitted.recommend(users, 10)
    for user, own, values in zip(users, items, preferences, strict=True):
        assert not set(own) & set(X[train][X[train][:, 0] == user, 1])
        assert np.array_equal(fitted.predict(np.column_stack([np.full(10, user), own])), values)


def test_exclude():
    X, _ = pairs()
    fitted = model().fit(X)
    users = [3, 5, 3, 999]
    seen, default = fitted.recommend(users, N_ITEMS, exclude=X), fitted.recommend(users, N_ITEMS)
    assert np.array_equal(seen[0], default[0])
    items, _ = fitted.recommend(users, N_ITEMS, exclude=None)
    assert (np.sort(items, axis=1) == fitted.categories_[1]).all()
    few = fitted.categories_[1][5:9]
    some, expected = (fitted.recommend(users, 4, exclude=e, candidates=few)[0] for e in ("seen", X))
    assert np.array_equal(some, expected)
    for exclude in ("seen", X):
        best = fitted.recommend_users([3, 5, 999], 7, exclude=exclude)
        assert np.array_equal(best[0], fitted.recommend_users([3, 5, 999], 7)[0])
    for switch, meant in [(True, "'seen'"), (np.True_, "'seen'"), (False, "None"), (np.False_, "None")]:
        with pytest.raises(ValueError, match=rf"exclude must be 'seen'.*Got {switch} instead\. Give {meant}\.$"):
            fitted.recommend([3], exclude=switch)
    with pytest.raises(ValueError, match=r"items is None\. .* For all items .* give model\.categories_\[1\]"):
        fitted.recommend_users(None)
    with pytest.raises(ValueError, match=r"exclude must be 'seen'.*Got 'all' instead\.$"):
        fitted.recommend([3], exclude="all")


def test_best_users_for_an_item():
    X, _ = pairs()
    fitted = model().fit(X)
    users, preferences = fitted.recommend_users([7], 5, exclude=None)
    every = fitted.predict(np.column_stack([fitted.categories_[0], np.full(N_USERS, 7)]))
    assert np.array_equal(preferences[0], np.sort(every)[::-1][:5])
    assert np.array_equal(users[0], fitted.categories_[0][np.argsort(-every, kind="stable")[:5]])


def test_ids_never_seen_are_average():
    X, _ = pairs()
    fitted = model().fit(X)
    users, items = rows_of(fitted)
    found = fitted.predict([[999, 3], [4, 999], [999, 999]])
    expected = [users.mean(axis=0) @ items[3], users[4] @ items.mean(axis=0), users.mean(axis=0) @ items.mean(axis=0)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.isnan(fitted.set_params(handle_unknown="nan").predict([[999, 3]])).all()
    with pytest.raises(ValueError, match="ids not seen in fit"):
        fitted.set_params(handle_unknown="error").predict([[999, 3]])
    with pytest.warns(UserWarning, match="ids not seen in fit"):
        fitted.set_params(handle_unknown="warn").recommend([999])


@pytest.mark.parametrize("rated", [False, True])
def test_fold_in_solves_new_users_and_items_exactly(rated):
    X, y = pairs()
    is_new = X[:, 0] >= 50
    known, new = X[~is_new], X[is_new]
    y_known, y_new = (y[~is_new], y[is_new]) if rated else (None, None)
    fitted = model(rank=10).fit(known, y_known)
    before = [rows.copy() for rows in fitted.factors_]
    grown = pickle.loads(pickle.dumps(fitted)).fold_in(new, y_new)
    assert np.array_equal(grown.user_factors_[:50], before[0])
    assert np.array_equal(grown.item_factors_, before[1])
    order = np.random.default_rng(0).permutation(len(new))
    shuffled = pickle.loads(pickle.dumps(fitted)).fold_in(new[order], None if y_new is None else y_new[order])
    assert np.array_equal(grown.predict(new), shuffled.predict(new))

    # A refit with the items held: the exact rows, from the weights and w0 of the fit.
    state, items = fitted._preferences.state, before[1].astype(np.float64)
    for user in range(50, N_USERS):
        mine = new[:, 0] == user
        weights = np.zeros(len(items))
        weights[np.searchsorted(fitted.categories_[1], new[mine, 1])] = (
            state.rule.of(y_new[mine]) / state.unit if rated else 1.0
        )
        ridge = fitted.alpha * (weights.sum() + state.w0 * len(items)) + fitted.damping
        expected = solve_row(weights, items, ridge, state.w0)
        np.testing.assert_allclose(grown.user_factors_[user], expected, rtol=1e-5, atol=1e-6)
    items, _ = grown.recommend([55], N_ITEMS)
    assert not set(items[0]) & set(new[new[:, 0] == 55, 1])

    users_of_item = np.column_stack([np.arange(40, 58), np.full(18, 777)])
    again = grown.fold_in(users_of_item, np.full(18, 4.0) if rated else None)
    assert again.categories_[1][-1] == 777
    assert 777 not in again.recommend([55], N_ITEMS)[0]
    assert 777 in again.recommend([3], N_ITEMS)[0]
    assert set(again.recommend_users([777], 100)[0][0]) - {-1} == set(range(40)) | {58, 59}


def test_update_known_users():
    X, _ = pairs()
    fitted = model().fit(X)
    with pytest.raises(ValueError, match="update_known=True"):
        fitted.fold_in([[3, 4]])
    fitted.fold_in([[3, 4], [3, 5]], update_known=True)
    items, _ = fitted.recommend([3], N_ITEMS)
    assert set(items[0]) - {-1} == set(range(N_ITEMS)) - {4, 5}


def test_fold_in_wants_ratings_as_fit_did():
    X, y = pairs()
    with pytest.raises(ValueError, match="fit had no y, but this call has y"):
        model().fit(X).fold_in([[999, 3]], [4.0])
    with pytest.raises(ValueError, match="fit had y, but this call has no y"):
        model().fit(X, y).fold_in([[999, 3]])


@pytest.mark.parametrize("rated", [False, True])
def test_explain_adds_up_to_the_preference(rated):
    X, y = pairs()
    fitted = model(rank=12).fit(X, y if rated else None)
    queries = np.array([[3, 4], [3, 7], [10, 20], [999, 4], [3, 999]])
    parts = fitted.explain(queries, n_items=None)
    np.testing.assert_allclose(np.nansum(parts.shares[[0, 1, 2, 4]], axis=1), parts.preference[[0, 1, 2, 4]], atol=1e-5)
    assert np.array_equal(parts.preference, fitted.predict(queries))
    assert np.isnan(parts.shares[3]).all()  # nobody: no items of their own
    for row in (0, 1, 2):
        own = parts["items"][row][~np.isnan(parts.shares[row])]
        assert set(own) == set(X[X[:, 0] == queries[row, 0], 1])
    two = fitted.explain(queries, n_items=2)
    assert np.array_equal(two["items"], parts["items"][:, :2])
    assert (np.diff(np.nan_to_num(parts.shares[:3], nan=-9.0), axis=1) <= 0).all()


def test_recommend_from_is_fold_in_on_a_copy():
    X, y = pairs()
    fitted = model().fit(X, y)
    before = pickle.dumps(fitted)
    new, ratings = np.array([[901, 3], [900, 4], [901, 8], [900, 12]]), [5.0, 4.0, 1.0, 5.0]
    users, items, preferences = fitted.recommend_from(new, ratings, n_items=5)
    assert pickle.dumps(fitted) == before
    assert users.tolist() == [900, 901]
    grown = clone(fitted).fit(X, y).fold_in(new, ratings)
    expected = grown.recommend(users, 5)
    assert np.array_equal(items, expected[0])
    assert np.array_equal(preferences, expected[1])
    named = fitted.recommend_from([["ann", 3], ["ann", 8]], [5.0, 1.0], n_items=5)  # ids of any kind
    assert np.array_equal(named[1][0], items[1])
    frame = fitted.recommend_from(new, ratings, n_items=5, as_frame=True)
    assert list(frame.columns) == ["user", "item", "place", "preference"]
    known = fitted.recommend_from([[3, 3], [3, 8]], [5.0, 1.0], n_items=5)  # a known user is a new one here
    assert np.array_equal(known[1][0], items[1])


def test_frames():
    X, _ = pairs()
    X = pd.DataFrame({"who": X[:, 0].astype(str), "what": X[:, 1]})
    fitted = model().fit(X)
    items, preferences = fitted.recommend(["3", "5"], 4)
    frame = fitted.recommend(["3", "5"], 4, as_frame=True)
    assert list(frame.columns) == ["who", "what", "place", "preference"]
    assert frame["who"].tolist() == ["3"] * 4 + ["5"] * 4
    assert np.array_equal(frame["what"].to_numpy().reshape(2, 4), items)
    assert np.array_equal(frame["preference"].to_numpy().reshape(2, 4), preferences)
    assert frame["place"].tolist() == [1, 2, 3, 4] * 2
    assert np.array_equal(fitted.predict(frame[["who", "what"]]), frame["preference"])
    assert list(fitted.recommend_users([3], as_frame=True).columns) == ["what", "who", "place", "preference"]
    assert list(fitted.similar_items([3], as_frame=True).columns) == ["what", "similar_what", "place", "similarity"]
    seen = fitted.recommend(["3"], N_ITEMS, as_frame=True)
    assert len(seen) == N_ITEMS - (X["who"] == "3").sum()


def test_a_model_that_keeps_no_pairs():
    X, y = pairs()
    fitted, kept = model(keep_pairs=False).fit(X, y), model().fit(X, y)
    assert len(pickle.dumps(fitted)) < len(pickle.dumps(kept)) - 4 * len(X)
    for call in (lambda: fitted.recommend([3]), lambda: fitted.explain([[3, 4]]), lambda: fitted.score(X, y)):
        with pytest.raises(ValueError, match="this model keeps none"):
            call()
    with pytest.raises(ValueError, match="make_catalog_scorer"):
        fitted.score(X, y)
    assert np.array_equal(fitted.recommend([3], exclude=X)[0], kept.recommend([3])[0])
    assert np.array_equal(fitted.fold_in([[999, 3]], [4.0]).recommend([999], exclude=None)[0].shape, (1, 10))


def test_pairs_take_few_bytes():
    X, y = pairs()
    clicks, rated, continuous = model().fit(X), model().fit(X, y), model().fit(X, np.arange(len(X)) * 1.0)
    assert clicks._seen_pairs.weight is None
    assert rated._seen_pairs.weight.dtype == np.uint8
    assert continuous._seen_pairs.weight.dtype == np.float32
    for fitted in (clicks, rated, continuous):
        assert fitted._seen_pairs.index.dtype == np.int32


def test_score_is_the_ndcg_of_the_catalog():
    X, y = pairs(n=2000)
    train, test = next(PerUserShuffleSplit(1, test_size=0.3, random_state=0).split(X))
    fitted = model(relevant=4).fit(X[train], y[train])
    discounts, total, n = 1 / np.log2(np.arange(2, 12)), 0.0, 0
    for user in np.unique(X[test][:, 0]):
        mine = X[test][(X[test][:, 0] == user) & (y[test] >= 4) & np.isin(X[test][:, 1], X[train][:, 1]), 1]
        if len(mine):
            hits = np.isin(fitted.recommend([user], 10)[0][0], mine)
            total, n = total + hits @ discounts / discounts[: len(mine)].sum(), n + 1
    assert fitted.score(X[test], y[test]) == pytest.approx(total / n)
    weights = (y[test] >= 4) * 2.0
    assert fitted.set_params(relevant=None).score(X[test], None, weights) == pytest.approx(total / n)


def test_score_says_whom_it_leaves_out():
    X, y = pairs()
    train, test = next(PerUserShuffleSplit(1, test_size=0.3, random_state=0).split(X))
    train = train[X[train, 0] < 50]
    fitted = model().fit(X[train], y[train])
    with pytest.warns(UserWarning, match="10 of 60 users to score have no pairs in training"):
        score = fitted.score(X[test], y[test])
    both = np.concatenate([test, train[:7]])
    both = both[X[both, 0] < 50]
    with pytest.warns(UserWarning, match=r"7 of .* pairs .* in training too\. .*The model was fitted on these"):
        assert fitted.score(X[both], y[both]) == score
    with pytest.warns(UndefinedMetricWarning), pytest.warns(UserWarning, match="these are the training pairs"):
        assert np.isnan(fitted.score(X[train], y[train]))
    with pytest.warns(UndefinedMetricWarning, match="no relevant held-out pair"):
        assert np.isnan(fitted.score([[3, 999]], [5.0]))
    with pytest.raises(ValueError, match=r"relevant=4\.0 needs y"):
        fitted.set_params(relevant=4).score(X)


def test_searches_over_ratings_and_clicks():
    X, y = pairs(n=1500)
    cv = PerUserShuffleSplit(2, test_size=0.2, random_state=0)
    for ratings, relevant in ((y, 4), (None, None)):
        search = GridSearchCV(model(relevant=relevant), {"rank": [2, 8]}, cv=cv).fit(X, ratings)
        assert 0 < search.best_score_ <= 1
        assert search.predict(X).shape == (len(X),)
    found = cross_validate(model(), X, cv=KFold(3, shuffle=True, random_state=0))
    assert (found["test_score"] > 0).all()


@pytest.mark.parametrize("X", [[[1, 2, 3]], np.zeros((4, 3)), pd.DataFrame({"a": [1], "b": [2], "c": [3]})])
def test_further_columns_are_refused(X):
    with pytest.raises(ValueError, match="takes two: users and items"):
        MatrixFactorizationRanker().fit(X)


def test_not_fitted():
    for method, arguments in [
        ("predict", ([[1, 2]],)), ("recommend", ([1],)), ("recommend_users", ([1],)), ("similar_items", ([1],)),
        ("fold_in", ([[1, 2]],)), ("recommend_from", ([[1, 2]],)), ("explain", ([[1, 2]],)), ("score", ([[1, 2]],)),
    ]:  # fmt: skip
        with pytest.raises(NotFittedError):
            getattr(MatrixFactorizationRanker(), method)(*arguments)


@settings(max_examples=60, deadline=None)
@given(
    rank=st.integers(1, 40),
    alpha=st.sampled_from([0.0, 1e-300, 0.01, 1.0, 1e30, 1e300]),
    damping=st.sampled_from([0.0, 1e-300, 2.0, 1e10, 1e300]),
    unobserved_weight=st.sampled_from([0.0, 1e-300, 1.0, 10.0, 1e10, 1e300]),
    confidence=st.sampled_from([0.0, 0.6, 5.0, 100.0]),
    weights=st.sampled_from([None, 1e-300, 1e300, "spread"]),
    seed=st.integers(0, 100),
)
def test_nothing_diverges(rank, alpha, damping, unobserved_weight, confidence, weights, seed):
    X, y = pairs(seed, n_users=12, n_items=8, n=60)
    if weights == "spread":
        weights = 10.0 ** np.random.default_rng(seed).uniform(-30, 30, size=len(X))
    elif weights is not None:
        weights = np.full(len(X), weights)
    fitted = model(
        rank=rank, alpha=alpha, damping=damping, unobserved_weight=unobserved_weight, confidence=confidence, tol=0.0
    ).fit(X, y, weights)
    assert np.isfinite(fitted.predict(X)).all()
    curve = np.array(fitted.objective_curve_)
    assert np.isfinite(curve).all()
    assert (np.diff(curve) <= 0.01 * np.abs(curve[:-1]) + 1e-6).all()  # unpenalized rows have few digits


@pytest.mark.parametrize("rated", [False, True])
@pytest.mark.parametrize("scale", [None, 10.0, 1e-60, 1e60, "spread"])
def test_fold_in_of_a_copy_of_a_user(rated, scale):
    """A new user with the pairs, ratings and weights of a known one has the same row."""
    X, y = pairs()
    y = y if rated else None
    weights = None if scale is None else np.full(len(X), scale if scale != "spread" else 1.0)
    if scale == "spread":
        weights = np.random.default_rng(0).random(len(X)) * 9 + 0.5
    fitted = model(rank=10).fit(X, y, weights)
    own = X[:, 0] == 7
    copied = X[own] + [[992, 0]]
    fitted.fold_in(copied, None if y is None else y[own], None if weights is None else weights[own])
    np.testing.assert_allclose(fitted.user_factors_[-1], fitted.user_factors_[7], atol=2e-6)


@pytest.mark.parametrize("weight", [1e-50, 1e200])
def test_fold_in_without_weights_where_those_of_fit_were_far_from_one(weight):
    X, y = pairs()
    for ratings in (None, y):
        fitted = model().fit(X, ratings, np.full(len(X), weight))
        with pytest.warns(UserWarning, match="weights of fit were .* on average, but this call has no sample_weight"):
            fitted.fold_in([[999, 3], [999, 4]], None if ratings is None else [4.0, 5.0])
        assert np.isfinite(fitted.predict([[999, 3]])).all()


def test_explain_adds_up_after_items_came_later():
    X, y = pairs()
    fitted = model(rank=10).fit(X, y).fold_in([[5, 900], [6, 900], [7, 900], [7, 901]], [5, 4, 5, 3])
    fitted.fold_in([[700, 900], [700, 3]], [4, 2]).fold_in([[5, 902]], [1])
    asked = np.array([[6, 900], [5, 3], [7, 901], [20, 900], [700, 900], [700, 902], [20, 5]])
    parts = fitted.explain(asked, None)
    np.testing.assert_allclose(np.nansum(parts.shares, axis=1), parts.preference, atol=1e-5)
    assert 900 not in parts["items"][0]  # user 6 was solved before it came
    assert 900 in parts["items"][4]


def test_fold_in_of_many_looks_for_blas_once(monkeypatch):
    made = []
    real = sklearn_mf._utils.threads.ThreadpoolController
    monkeypatch.setattr(sklearn_mf._utils.threads, "ThreadpoolController", lambda: made.append(1) or real())
    fitted = model().fit(pairs()[0])
    made.clear()
    fitted.fold_in([[1000 + i, i % 30] for i in range(50)])
    fitted.explain([[1000 + i, 3] for i in range(50)])
    assert len(made) <= 2


def test_visitors_whose_pairs_weigh_nothing_are_left_out():
    X, _ = pairs()
    fitted = model().fit(X)
    users, items, _ = fitted.recommend_from([[1, 2], [1, 3], [2, 5]], None, [1, 1, 0])
    assert users.tolist() == [1]
    assert len(items) == 1
    named = model().fit(X.astype(str).astype(object))
    assert named.recommend_from([["a", "2"], ["b", "3"]], None, [1, 0])[0].tolist() == ["a"]


def test_names_that_frames_need_are_told():
    X, _ = pairs()
    fitted = model().fit(pd.DataFrame(X, columns=["user", "place"]))
    with pytest.raises(ValueError, match="as_frame=True adds a column 'place'"):
        fitted.recommend([3], as_frame=True)


def test_callbacks_see_models_that_can_be_scored_and_end():
    callback = pytest.importorskip("sklearn.callback")
    X, y = pairs()
    plain = model().fit(X, y)
    bar = callback.ProgressBar()
    fitted = model().set_callbacks(bar).fit(X, y)
    assert np.array_equal(fitted.user_factors_, plain.user_factors_)
    assert not [thread for thread in threading.enumerate() if "RichProgress" in thread.name]
    assert "_callback_fit_ctx" not in vars(fitted)
    seen = []
    monitor = callback.ScoringMonitor(scoring=lambda e, X, y: seen.append(e.recommend([1], 1)) or {"zero": 0.0})
    fitted = model().set_callbacks(monitor).fit(X, y)
    assert len(seen) >= 5
    assert np.array_equal(fitted.user_factors_, plain.user_factors_)


@pytest.mark.parametrize("relevant", [np.nan, np.inf, "4"])
def test_relevant_is_a_finite_number(relevant):
    with pytest.raises(InvalidParameterError, match="'relevant' parameter"):
        model(relevant=relevant).fit(*pairs())
