"""Check that similar users and items have the largest cosines."""

import numpy as np
import pytest
from helpers.recommending import model
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize


@pytest.mark.parametrize("field", [0, 1])
def test_similar_rows_have_the_largest_cosines(fitted, field):
    ask = [fitted.similar_users, fitted.similar_items][field]
    ids, rows = fitted.categories_[field], fitted.factors_[field].astype(float)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    similar, cosines = ask(ids, 7)
    true = unit @ unit.T
    np.fill_diagonal(true, -2)
    assert_array_equal(similar, ids[np.argsort(-true, axis=1)[:, :7]])
    assert_allclose(cosines, -np.sort(-true, axis=1)[:, :7], atol=1e-6)
    one, _ = ask(ids[5:6], 7)
    assert_array_equal(one, similar[5:6])


def test_the_recipe_with_nearest_neighbors_finds_the_same(fitted):
    unit = normalize(fitted.item_factors_)
    neighbors = NearestNeighbors(metric="cosine").fit(unit)
    distances, places = neighbors.kneighbors(unit[:20], 6)
    similar, cosines = fitted.similar_items(fitted.categories_[1][:20], 5)
    assert_array_equal(fitted.categories_[1][places[:, 1:]], similar)
    assert_allclose(1 - distances[:, 1:], cosines, atol=1e-6)


def test_rows_without_a_direction_are_similar_to_none(ratings):
    fitted = model().fit(*ratings)
    users, items = fitted.factors_
    items = items.copy()
    items[[3, 8]] = 0
    fitted.factors_ = [users, items]
    similar, cosines = fitted.similar_items([3, 4], 89)
    assert np.isnan(cosines[0]).all()
    assert set(similar[0].tolist()) == {-1}
    assert set(similar[1].tolist()) == set(range(90)) - {3, 4, 8} | {-1}
    assert np.abs(cosines[1, :87]).max() <= 1
    assert np.isnan(cosines[1, 87:]).all()


def test_similar_to_what_is_not_known(ratings):
    fitted = model(handle_unknown="warn").fit(*ratings)
    with pytest.warns(UserWarning, match=r"similar_items was given .* 1 in items \(5000\)\. They have no similar ids"):
        similar, cosines = fitted.similar_items([5000, 1], 3)
    assert similar[0].tolist() == [-1, -1, -1]
    assert np.isnan(cosines[0]).all()
    assert np.isfinite(cosines[1]).all()
    with pytest.raises(ValueError, match=r"1 in users \(5000\)"):
        fitted.set_params(handle_unknown="error").similar_users([5000], 3)


def test_similar_refuses(ratings, fitted):
    with pytest.raises(ValueError, match="n_users == 0, must be >= 1"):
        fitted.similar_users([1], 0)
    with pytest.raises(ValueError, match="A model of rank=0 has no factors"):
        model(rank=0).fit(*ratings).similar_items([1])
