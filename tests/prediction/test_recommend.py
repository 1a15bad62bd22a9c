"""Check that recommend finds the best items, by id, with contexts, candidates and exclusions."""

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers.recommending import model
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.exceptions import NotFittedError

from sklearn_mf.datasets import make_ratings


def best_of_all(fitted, user, n, seen=(), candidates=None, context=()):
    """The slow and obvious way: explain every pair, sort by score, then by the order of items."""
    items = [i for i in fitted.categories_[1].tolist() if i not in seen and (candidates is None or i in candidates)]
    pairs = [[user, item, *context] for item in items]
    scores = fitted.explain(pairs).score if pairs else []
    order = sorted(range(len(items)), key=lambda e: -scores[e])[:n]
    return [items[e] for e in order], fitted.predict(pairs)[order] if pairs else []


def test_recommended_are_the_best_of_all_items_with_what_predict_gives(fitted):
    users = fitted.categories_[0][::7]
    items, predictions = fitted.recommend(users, 12)
    assert items.shape == predictions.shape == (len(users), 12)
    assert items.dtype == np.int64
    assert predictions.dtype == np.float64
    for user, own, predicted in zip(users.tolist(), items.tolist(), predictions, strict=True):
        true_items, true_predictions = best_of_all(fitted, user, 12)
        assert own == true_items
        assert_array_equal(predicted, true_predictions)


def test_exclude_takes_the_training_pairs_as_they_are(fitted, ratings):
    X, _ = ratings
    users = fitted.categories_[0][:20]
    items, _ = fitted.recommend(users, 10, exclude=X)
    for user, own in zip(users, items.tolist(), strict=True):
        assert own == best_of_all(fitted, user, 10, seen=set(X[X[:, 0] == user, 1]))[0]
    assert_array_equal(fitted.recommend(users, 10, exclude=X[::-1].tolist() * 2)[0], items)
    assert_array_equal(fitted.recommend(users, 10, exclude=np.column_stack([X, X]))[0], items)
    for nothing in (X[:0], []):
        assert_array_equal(fitted.recommend(users, 10, exclude=nothing)[0], fitted.recommend(users, 10)[0])


def test_candidates_restrict_the_items(fitted, ratings):
    X, _ = ratings
    candidates = [5, 80, 33, 7, 12]
    items, predictions = fitted.recommend([3, 4], 4, candidates=candidates)
    for user, own, predicted in zip([3, 4], items.tolist(), predictions, strict=True):
        true_items, true_predictions = best_of_all(fitted, user, 4, candidates=candidates)
        assert own == true_items
        assert_array_equal(predicted, true_predictions)
    for same in (candidates * 2, set(candidates), np.array(candidates[::-1]), pd.Series(candidates)):
        assert_array_equal(fitted.recommend([3, 4], 4, candidates=same)[0], items)
    both, _ = fitted.recommend([3], 4, candidates=candidates, exclude=X)
    assert set(both[0].tolist()) - {-1} == set(candidates) - set(X[X[:, 0] == 3, 1])


def test_the_same_whoever_else_is_asked_for_and_on_any_number_of_threads(ratings):
    X, y = make_ratings(1200, 700, 20_000, random_state=1, return_X_y=True)
    fitted = model(rank=20).fit(X, y)
    users = fitted.categories_[0]
    items, predictions = fitted.recommend(users, 10, exclude=X)
    for n_jobs in (2, 3, -1):
        again = fitted.set_params(n_jobs=n_jobs).recommend(users, 10, exclude=X)
        assert_array_equal(again[0], items)
        assert_array_equal(again[1], predictions)
    for part in (slice(3, 4), slice(10, 13), slice(100, 800)):
        again = fitted.recommend(users[part], 10, exclude=X)
        assert_array_equal(again[0], items[part])
        assert_array_equal(again[1], predictions[part])
    longer = fitted.recommend(users[:600], 300, exclude=X)
    assert_array_equal(longer[0][:, :10], items[:600])
    twice = fitted.recommend(np.repeat(users[:5], 2), 10, exclude=X)
    assert_array_equal(twice[0][::2], twice[0][1::2])


@pytest.mark.parametrize(
    ("convert", "fill"),
    [
        (lambda ids: ids, -1),
        (lambda ids: ids.astype(np.uint64) + np.uint64(2**63), np.iinfo(np.uint64).max),
        (lambda ids: ids + 0.5, np.nan),
        (lambda ids: np.array([f"film {i:03d}" for i in ids]), None),
        (lambda ids: np.array([b"%03d" % i for i in ids]), None),
        (lambda ids: np.datetime64("2024-01-01") + ids, np.datetime64("NaT", "D")),
    ],
    ids=["int", "uint64", "float", "text", "bytes", "datetime"],
)
def test_fewer_items_than_asked_for_are_marked(ratings, convert, fill):
    X, y = ratings
    films = convert(X[:, 1])
    frame = pd.DataFrame({"user": X[:, 0], "film": films})
    fitted = model().fit(frame, y)
    n_left = [90 - np.sum(X[:, 0] == user) for user in (0, 1)]
    items, predictions = fitted.recommend([0, 1], 100, exclude=frame)
    assert items.dtype == fitted.categories_[1].dtype
    for own, predicted, n in zip(items, predictions, n_left, strict=True):
        assert np.isfinite(predicted[:n]).all()
        assert np.isnan(predicted[n:]).all()
        assert (np.diff(predicted[:n]) <= 0).all()
        assert len(set(own[:n].tolist())) == n < 100
        assert all(
            last is fill if fill is None else last == fill or (fill != fill and last != last) for last in own[n:]
        )
    assert not set(items[0].tolist()) & set(films[X[:, 0] == 0].tolist())


def test_everything_excluded(fitted):
    items, predictions = fitted.recommend([3], 2, exclude=[[3, i] for i in fitted.categories_[1]])
    assert items.tolist() == [[-1, -1]]
    assert np.isnan(predictions).all()


def test_nobody_asked_for(fitted):
    for nobody in ([], np.array([]), pd.Series([], dtype=str)):
        items, predictions = fitted.recommend(nobody, 3)
        assert items.shape == predictions.shape == (0, 3)
        assert items.dtype == np.int64
        assert fitted.similar_items(nobody, 3)[0].shape == (0, 3)


def test_users_never_seen_get_the_items_with_the_highest_biases(fitted):
    by_bias = fitted.categories_[1][np.argsort(-fitted.item_biases_, kind="stable")]
    items, predictions = fitted.recommend([1, 5000, -7], 5)
    assert_array_equal(items[1:], [by_bias[:5]] * 2)
    assert_array_equal(predictions[1], fitted.predict([[5000, item] for item in by_bias[:5]]))
    seen = [[5000, by_bias[0]], [5000, by_bias[3]], [6000, by_bias[1]]]  # what they have seen is left out, too
    assert_array_equal(fitted.recommend([5000], 3, exclude=seen)[0], [by_bias[[1, 2, 4]]])


def test_users_never_seen_are_reported_as_handle_unknown_says(ratings):
    fitted = model(handle_unknown="warn").fit(*ratings)
    expected = fitted.recommend([1], 3)
    with pytest.warns(
        UserWarning, match=r"recommend was given ids not seen in fit, in 1 of 2 rows: 1 in users \(5000\)"
    ):
        items, predictions = fitted.recommend([1, 5000], 3)
    assert_array_equal(items[0], expected[0][0])
    with pytest.raises(ValueError, match=r"1 in users \(5000\). Leave these rows out"):
        fitted.set_params(handle_unknown="error").recommend([1, 5000], 3)
    nan_items, nan_predictions = fitted.set_params(handle_unknown="nan").recommend([1, 5000], 3)
    assert_array_equal(nan_items, items)
    assert_array_equal(nan_predictions, [predictions[0], [np.nan] * 3])


def test_ratings_that_clip_made_equal_keep_the_order_of_the_model(ratings):
    X, y = ratings
    fitted = model(max_iter=20, damping=0.5).fit(X, np.clip(y, None, 3.5))
    items, predictions = fitted.recommend(fitted.categories_[0], 10)
    assert (predictions == 3.5).sum(axis=1).max() > 3
    users = np.repeat(fitted.categories_[0], 10)
    scores = fitted.explain(np.column_stack([users, items.ravel()])).score.reshape(-1, 10)
    assert (np.diff(scores) <= 1e-6).all()


def test_equal_predictions_are_in_the_order_of_items(ratings):
    fitted = model(rank=0).fit(*ratings)
    fitted.biases_ = [fitted.biases_[0], np.repeat([0.5, 0.0, 0.5], 30)]
    items, _ = fitted.recommend([1, 2, 3, 4, 5, 6], 70)
    assert_array_equal(items, [[*range(30), *range(60, 90), *range(30, 40)]] * 6)


def test_counts_are_ranked_by_their_expectation(ratings):
    X, y = ratings
    fitted = model(loss="poisson", clip=False).fit(X, np.round(y))
    items, predictions = fitted.recommend([7], 5)
    true_items, true_predictions = best_of_all(fitted, 7, 5)
    assert items[0].tolist() == true_items
    assert_array_equal(predictions[0], true_predictions)


def test_after_fold_in_new_users_and_items_are_there(ratings):
    X, y = ratings
    fitted = model().fit(X, y)
    fitted.fold_in([[-5, 3], [-5, 4]], [5.0, 1.0])
    fitted.fold_in([[1, -40], [2, -40], [3, -40]], [50.0, 50.0, 50.0])
    items, predictions = fitted.recommend([-5], 91)
    assert set(items[0].tolist()) == {*range(90), -40}
    assert_array_equal(predictions[0], fitted.predict([[-5, item] for item in items[0]]))
    everybody = fitted.categories_[0]  # more than a few: through the product of matrices
    all_items, _ = fitted.recommend(everybody, 7, exclude=X, candidates=[-40, *range(50)])
    for user in (-5, 3, 77):
        seen, among = set(X[X[:, 0] == user, 1].tolist()), {-40, *range(50)}
        assert all_items[everybody == user].tolist() == [best_of_all(fitted, user, 7, seen, among)[0]]
    assert -40 not in fitted.recommend([-5], 91, exclude=[[-5, -40]])[0][0, :90]
    assert fitted.recommend([-5], 2, candidates=[-40, 3])[0].tolist()[0] in ([-40, 3], [3, -40])


def test_factors_put_in_by_hand_are_used(ratings):
    fitted = model(rank=2, clip=False).fit(*ratings)
    fitted.factors_ = [np.ones((len(levels), 2)) for levels in fitted.categories_]
    fitted.biases_ = [np.zeros(150), np.arange(90)[::-1]]
    assert fitted.recommend([3], 3)[0].tolist() == [[0, 1, 2]]


def test_context_is_given_once_for_all(with_contexts):
    items, predictions = with_contexts.recommend([3, 9], 8, context=["sun", 2])
    for user, own, predicted in zip([3, 9], items.tolist(), predictions, strict=True):
        true_items, true_predictions = best_of_all(with_contexts, user, 8, context=["sun", 2])
        assert own == true_items
        assert_array_equal(predicted, true_predictions)


@pytest.mark.parametrize("table", [list, lambda rows: pd.DataFrame(rows, columns=["day", "week"])])
def test_context_is_given_for_each_user(with_contexts, table):
    contexts = [["sun", 2], ["mon", 0]]
    items, predictions = with_contexts.recommend([3, 3], 8, context=table(contexts))
    for context, own, predicted in zip(contexts, items.tolist(), predictions, strict=True):
        true_items, true_predictions = best_of_all(with_contexts, 3, 8, context=context)
        assert own == true_items
        assert_array_equal(predicted, true_predictions)
    assert items[0].tolist() != items[1].tolist()


def test_context_never_seen_adds_nothing_and_is_reported(with_contexts):
    own = best_of_all(with_contexts, 3, 4, context=["sat", 2])
    with pytest.warns(
        UserWarning, match=r"in 1 of 1 rows: 1 in column 0 of context \('sat'\)\. Items are ranked without"
    ):
        assert with_contexts.recommend([3], 4, context=["sat", 2])[0].tolist() == [own[0]]
    with_contexts.set_params(handle_unknown="error")
    with pytest.raises(ValueError, match=r"1 in column 0 of context \('sat'\)"):
        with_contexts.recommend([3], 4, context=["sat", 2])
    with_contexts.set_params(handle_unknown="ignore")


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (None, r"The model has 2 context columns\. Give context: one value for each column, or a table"),
        (["sun"], r"context has shape \(1,\), but the model has 2 context columns, and there are 2 users"),
        ("sun", r"context has shape \(1,\), but"),
        ([["sun", 2]], r"context has shape \(1, 2\), but"),
        ([["sun", 2, 1], ["sun", 2, 1]], r"context has shape \(2, 3\), but"),
        ([2, "sun"], "Ids in column 0 of context are numbers .* but the model was fitted on text"),
    ],
)
def test_wrong_context(with_contexts, context, message):
    with pytest.raises(ValueError, match=message):
        with_contexts.recommend([3, 4], context=context)


def test_context_of_a_single_column_for_each_user(ratings):
    X, y = ratings
    days = np.random.default_rng(0).integers(0, 3, len(y))
    fitted = model(implicit_features=None, alpha=0.01).fit(np.column_stack([X, days]), y + days)
    users = fitted.categories_[0][:30]
    contexts = np.arange(30) % 3
    items, predictions = fitted.recommend(users, 6, context=contexts[:, None], exclude=X)
    for own in (contexts, contexts.tolist(), pd.Series(contexts)):
        assert_array_equal(fitted.recommend(users, 6, context=own, exclude=X)[0], items)
    for user, context, own, predicted in zip(
        users.tolist(), contexts.tolist(), items.tolist(), predictions, strict=True
    ):
        true_items, true_predictions = best_of_all(fitted, user, 6, set(X[X[:, 0] == user, 1]), context=[context])
        assert own == true_items
        assert_array_equal(predicted, true_predictions)


def test_columns_of_a_context_frame_are_found_by_their_names(ratings):
    X, y = ratings
    frame = pd.DataFrame(X, columns=["user", "film"]).assign(day=X.sum(axis=1) % 7, week=X.sum(axis=1) % 5)
    fitted = model().fit(frame, y)
    context = frame[["day", "week"]][:2]
    assert fitted.recommend([1, 2], 3, context=context)[0].shape == (2, 3)
    expected = fitted.recommend([1, 2], 3, context=context)
    for other in (context[["week", "day"]], context.assign(more=1), context.add_prefix("remainder__")):
        for found, right in zip(fitted.recommend([1, 2], 3, context=other), expected, strict=True):
            np.testing.assert_array_equal(found, right)
    with pytest.raises(ValueError, match=r"context.*month"):
        fitted.recommend([1, 2], 3, context=context.rename(columns={"day": "month"}))


# Bad input


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_items": 0}, ValueError, "n_items == 0, must be >= 1"),
        ({"n_items": 2.5}, TypeError, "n_items must be an instance of int"),
        ({"n_items": 10.0}, TypeError, "n_items must be an instance of int"),
        ({"n_items": True}, TypeError, "n_items must be an instance of int, not bool"),
        ({"n_items": np.True_}, TypeError, "n_items must be an instance of int"),
        ({"users": 3}, ValueError, r"users must be a list or 1D array of ids, not the single id 3. Give \[3\]"),
        ({"users": [[3]]}, ValueError, "users must be a list of ids, but contains lists"),
        ({"users": ["ann"]}, ValueError, "Ids in users are text .* but the model was fitted on number"),
        ({"users": [None]}, ValueError, "missing ids in users: 1 of 1 rows"),
        ({"candidates": [1, 777, 888]}, ValueError, r"not seen in fit: 2 in candidates \(777, 888\)\. Leave them out"),
        (
            {"candidates": np.arange(90) > 40},
            ValueError,
            r"candidates is a mask of bools. Give the ids instead, .* ids\[mask\]",
        ),
        ({"users": pd.Series([True, False])}, ValueError, "users is a mask of bools"),
        ({"users": {1, 2}}, ValueError, "users must be a list or 1D array of ids"),
        ({"users": None}, ValueError, r"users is None\. .* For all users of the model, give model\.categories_\[0\]"),
        ({"exclude": "seen"}, ValueError, "a table of user and item pairs, or None. Got 'seen' instead.*exclude=X"),
        ({"exclude": True}, ValueError, "exclude must be a table of user and item pairs, or None. Got True"),
        ({"exclude": [1, 2]}, ValueError, "Expected 2D array, got 1D array instead: exclude needs one row per rating"),
        ({"exclude": pl.LazyFrame({"a": [1], "b": [2]})}, TypeError, "exclude is a polars LazyFrame"),
        ({"candidates": []}, ValueError, "candidates is empty. Give the items to choose from, or None for all"),
        ({"candidates": ["a"]}, ValueError, "Ids in candidates are text"),
        ({"exclude": [[1], [2]]}, ValueError, "exclude has 1 columns. Give users and items"),
        ({"exclude": [["a", 1]]}, ValueError, "Ids in column 0 of exclude are text"),
        ({"exclude": [[1, "a"]]}, ValueError, "Ids in column 1 of exclude are text"),
        ({"exclude": sparse.csr_array(np.eye(3))}, TypeError, "pairs_from_sparse"),
        ({"context": [1]}, ValueError, "context is given, but the model has no context columns"),
    ],
)
def test_recommend_refuses(fitted, arguments, error, message):
    with pytest.raises(error, match=message):
        fitted.recommend(**{"users": [1], **arguments})


def test_columns_of_excluded_pairs_are_found_by_their_names(ratings):
    X, y = ratings
    for frame in (pd.DataFrame(X, columns=["user", "film"]), pl.DataFrame(X, schema=["user", "film"])):
        fitted = model().fit(frame, y)
        assert len(fitted.recommend(frame["user"][:3], 4, exclude=frame)[0]) == 3
        if not hasattr(fitted, "feature_names_in_"):  # of polars, in older scikit-learn
            continue
        expected = fitted.recommend([1, 2], exclude=frame)
        prefixed = nw.from_native(frame).rename({"user": "ids__user", "film": "ids__film"}).to_native()
        for other in (frame[["film", "user"]], prefixed):
            for found, right in zip(fitted.recommend([1, 2], exclude=other), expected, strict=True):
                np.testing.assert_array_equal(found, right)
        with pytest.raises(ValueError, match=r"exclude.*customer"):
            fitted.recommend([1], exclude=nw.from_native(frame).rename({"user": "customer"}).to_native())
        with pytest.raises(ValueError, match="feature names"):
            fitted.explain(frame[["film", "user"]])


def test_only_a_fitted_model_is_asked():
    for ask in (
        lambda m: m.recommend([1]),
        lambda m: m.similar_items([1]),
        lambda m: m.similar_users([1]),
        lambda m: m.explain([[1, 2]]),
    ):
        with pytest.raises(NotFittedError):
            ask(model())


def test_factors_that_are_not_finite_are_refused(ratings):
    for bad in (np.inf, np.nan):
        fitted = model().fit(*ratings)
        items = fitted.item_factors_.copy()
        items[3] = bad
        fitted.factors_ = [fitted.user_factors_, items]
        for users in ([1], fitted.categories_[0]):
            with pytest.raises(ValueError, match="factors_ or biases_ are not finite, or too large"):
                fitted.recommend(users, 3)
    with pytest.raises(ValueError, match="factors_ are not finite"):
        fitted.similar_items([10], 2)
