"""Check the regressor's best users for an item, and lists for users who are not in the model."""

import pickle

import numpy as np
import pandas as pd
import pytest
from helpers.recommending import model

from sklearn_mf import MatrixFactorizationRanker, MostPopularRecommender
from sklearn_mf.datasets import make_ratings


@pytest.fixture(scope="module")
def data():
    return make_ratings(60, 40, 900, random_state=0, return_X_y=True)


@pytest.fixture(scope="module")
def fitted(data):
    return model().fit(*data)


def test_best_users_are_those_that_predict_says(fitted, data):
    X, _ = data
    users, ratings = fitted.recommend_users([7, 3], 5)
    for item, found, values in zip([7, 3], users, ratings, strict=True):
        every = fitted.predict(np.column_stack([fitted.categories_[0], np.full(len(fitted.categories_[0]), item)]))
        assert np.array_equal(values, np.sort(every)[::-1][:5])
        assert np.array_equal(fitted.predict(np.column_stack([found, np.full(5, item)])), values)
    users, ratings = fitted.recommend_users([7], 60, exclude=X)
    rated = set(X[X[:, 1] == 7, 0])
    assert set(users[0]) - {-1} == set(fitted.categories_[0]) - rated
    assert np.isnan(ratings[0, len(fitted.categories_[0]) - len(rated) :]).all()
    few, _ = fitted.recommend_users([7], 2, candidates=[4, 9, 11])
    assert set(few[0]) <= {4, 9, 11}


def test_messages_name_users_and_items(fitted):
    with pytest.raises(ValueError, match=r"Users not seen in fit: .*asarray\(candidates\)\[.*categories_\[0\]"):
        fitted.recommend_users([7], candidates=[999])
    with pytest.raises(ValueError, match=r"candidates is empty. Give the users"):
        fitted.recommend_users([7], candidates=[])
    with pytest.raises(ValueError, match="n_users == 0"):
        fitted.recommend_users([7], 0)


def test_best_users_in_a_context(data):
    X, y = data
    weeks = np.column_stack([X, X.sum(axis=1) % 3])
    fitted = model().fit(weeks, y)
    users, ratings = fitted.recommend_users([7], 5, context=[2])
    asked = np.column_stack([users[0], np.full(5, 7), np.full(5, 2)])
    assert np.array_equal(fitted.predict(asked), ratings[0])
    with pytest.raises(ValueError, match="needs a model of two columns"):
        fitted.recommend_from([[999, 7, 2]], [4.0])


@pytest.mark.parametrize("parameters", [{}, {"implicit_features": None}, {"fit_bias": False}, {"rank": 0}])
def test_visitors_get_what_fold_in_would_give(data, parameters):
    X, y = data
    fitted = model(**parameters).fit(X, y)
    before = pickle.dumps(fitted)
    new, ratings = np.array([[901, 3], [900, 4], [901, 8], [900, 12]]), [5.0, 4.0, 1.0, 5.0]
    users, items, values = fitted.recommend_from(new, ratings, n_items=6)
    assert pickle.dumps(fitted) == before
    expected = pickle.loads(before).fold_in(new, ratings).recommend([900, 901], 6, exclude=new)
    assert users.tolist() == [900, 901]
    assert np.array_equal(items, expected[0])
    assert np.array_equal(values, expected[1])
    named = [[{900: "ann", 901: "bob"}[user], item] for user, item in new.tolist()]
    assert np.array_equal(fitted.recommend_from(named, ratings, n_items=6)[1], items)


def test_visitors_need_ratings_and_known_items(fitted):
    with pytest.raises(ValueError, match="needs y"):
        fitted.recommend_from([[999, 3]])
    with pytest.raises(ValueError, match="items not seen in fit: 1 in column 1 of X \\(12345\\)"):
        fitted.recommend_from([[999, 12345]], [3.0])


@pytest.mark.parametrize("kind", [model, MatrixFactorizationRanker])
def test_number_of_visitors_items_is_no_weight(data, kind):
    fitted = kind(rank=2, random_state=0).fit(*data)
    new, ratings = [[901, 3], [901, 8]], [5.0, 1.0]
    needed = "^sample_weight must be an array with a weight for each row, not a single number."
    for number in (3, np.int64(3), np.array(3)):
        with pytest.raises(ValueError, match=needed + " For lists of 3 items, pass n_items=3.$"):
            fitted.recommend_from(new, ratings, number)
        with pytest.raises(ValueError, match=r"^y must be an array with a rating .* number\. For .*, pass n_items=3.$"):
            fitted.recommend_from(new, number)
    with pytest.raises(ValueError, match=needed + "$"):
        fitted.recommend_from(new, ratings, 0.5)
    assert fitted.recommend_from(new, ratings, [1, 3], n_items=3)[1].shape == (1, 3)


@pytest.mark.parametrize("kind", [model, MatrixFactorizationRanker, MostPopularRecommender])
def test_predict_takes_one_table_and_no_second_id(data, kind):
    fitted = kind().fit(*data)
    calls = [(1, 2), ("ann", "Alien"), (np.int64(1), np.int64(2)), ([1, 3], [2, 4]), (pd.Series([1]), pd.Series([2]))]
    for ids in calls:
        with pytest.raises((TypeError, ValueError), match=r"predict takes a table of pairs: .*user, item") as caught:
            fitted.predict(*ids)
        assert len(str(caught.value)) < 160
    assert fitted.predict([[1, 3]]).shape == fitted.predict(X=[[1, 3]]).shape == (1,)


@pytest.mark.parametrize("kind", [model, MatrixFactorizationRanker])
def test_update_known_is_no_weight(data, kind):
    fitted = kind(rank=2, random_state=0).fit(*data)
    for call in (fitted.fit, fitted.fold_in, fitted.recommend_from):
        with pytest.raises(ValueError, match=r"^sample_weight must be an array .*, not True.*update_known=True"):
            call(*data, True)


@pytest.mark.parametrize("kind", [model, MatrixFactorizationRanker])
def test_weights_that_are_left_out_after_weights_of_another_size(data, kind):
    X, y = data
    new, ratings = np.array([[901, 3], [901, 8]]), [5.0, 1.0]
    small = np.where(np.arange(len(y)) % 2, 0.01, 0.02)
    fitted = kind(rank=2, random_state=0).fit(X, y, sample_weight=small)
    message = (
        r"weights of fit were 0\.015 on average, but this call has no sample_weight.*numpy\.full\(len\(X\), 0\.015\)"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        fitted.recommend_from(new, ratings)
    assert len(caught) == 1
    with pytest.warns(UserWarning, match=message):
        fitted.fold_in(new, ratings)
    if hasattr(fitted, "partial_fit"):
        with pytest.warns(UserWarning, match=message):
            fitted.partial_fit(new, ratings)
    fitted.fold_in(new + np.array([1, 0]), ratings, np.full(2, 0.015))
    kind(rank=2, random_state=0).fit(X, y, sample_weight=100 * small).fold_in(new, ratings)  # 1.5 on average
    kind(rank=2, random_state=0).fit(X, y).fold_in(new, ratings)


def test_frames(data):
    X, y = data
    frame = pd.DataFrame({"who": X[:, 0].astype(str), "what": X[:, 1]})
    fitted = model().fit(frame, y)
    items, ratings = fitted.recommend(["3", "5"], 4, exclude=frame)
    found = fitted.recommend(["3", "5"], 4, exclude=frame, as_frame=True)
    assert list(found.columns) == ["who", "what", "place", "rating"]
    assert np.array_equal(found["what"].to_numpy().reshape(2, 4), items)
    assert np.array_equal(found["rating"].to_numpy().reshape(2, 4), ratings)
    assert np.array_equal(fitted.predict(found[["who", "what"]]), found["rating"])
    similar = fitted.similar_users(["3"], 2, as_frame=True)
    assert list(similar.columns) == ["who", "similar_who", "place", "similarity"]
    visitors = fitted.recommend_from(pd.DataFrame({"who": ["x"], "what": [3]}), [4.0], n_items=2, as_frame=True)
    assert visitors["who"].tolist() == ["x", "x"]


def test_frames_need_pandas(fitted, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ImportError, match="as_frame=True needs pandas"):
        fitted.recommend([3], as_frame=True)
