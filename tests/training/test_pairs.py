"""Check that pairs are the same for any order of the rows, and how ratings become confidence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

import sklearn_mf._training.confidence
from sklearn_mf._training.confidence import ConfidenceRule, levels_and_masses
from sklearn_mf._training.pairs import CodedPairs, distinct_pairs, pairs_in_unit, pairs_of_items
from sklearn_mf._training.shard import Shard
from sklearn_mf._utils.threads import Threads

ALONE = Shard(Threads())


def coded(X, confidence=None, n_levels=(7, 5)):
    codes = [np.array(column, dtype=np.int32) for column in np.reshape(X, (-1, 2)).T]
    return CodedPairs(codes, None if confidence is None else np.array(confidence, dtype=np.float64), list(n_levels))


def tables(sides):
    """Both sides as tables of weights."""
    n_users, n_items = sides[0].n_rows, sides[1].n_rows
    of_users, of_items = np.zeros((n_users, n_items)), np.zeros((n_items, n_users))
    for side, table in zip(sides, (of_users, of_items), strict=True):
        for row in range(side.n_rows):
            part = slice(side.start[row], side.start[row + 1])
            assert (np.diff(side.index[part]) > 0).all()
            table[row, side.index[part]] = 1 if side.weight is None else side.weight[part]
    return of_users, of_items.T


def both_sides(pairs):
    by_user, unit = distinct_pairs(pairs, ALONE)
    assert pairs.codes == []
    return (by_user, pairs_of_items(by_user, pairs.n_levels, ALONE)), unit


rows = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 4), st.floats(1e-6, 1e6)), min_size=1, max_size=60
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(rows=rows, seed=st.integers(0, 1000), weighted=st.booleans())
def test_pairs_are_summed_in_any_order(rows, seed, weighted):
    X, values = np.array([row[:2] for row in rows]), np.array([row[2] for row in rows])
    values = values if weighted else None
    sides, unit = both_sides(coded(X, values))
    order = np.random.default_rng(seed).permutation(len(X))
    shuffled, other_unit = both_sides(coded(X[order], None if values is None else values[order]))
    assert unit == other_unit
    for one, other in zip(sides, shuffled, strict=True):
        assert np.array_equal(one.index, other.index)
        assert np.array_equal(one.weight, other.weight) if one.weight is not None else other.weight is None
    expected = np.zeros((7, 5))
    np.add.at(expected, tuple(X.T), 1 if values is None else values)
    by_user, by_item = tables(sides)
    assert np.array_equal(by_user, by_item)
    np.testing.assert_allclose(by_user, expected / expected[expected > 0].mean(), rtol=1e-5)
    assert by_user[by_user > 0].mean() == pytest.approx(1, rel=1e-5)


def test_equal_weights_are_none_and_a_unit_is_kept():
    X = [[0, 1], [2, 3], [4, 4]]
    for values in (None, [1, 1, 1], [0.1, 0.1, 0.1], [3e300, 3e300, 3e300], [1e-300] * 3):
        (by_user, by_item), unit = both_sides(coded(X, values))
        assert by_user.weight is None
        assert by_item.weight is None
        assert unit == pytest.approx(1.0 if values is None else values[0])
    assert pairs_in_unit(coded(X, [1, 2, 3]), 2.0).weight.tolist() == [0.5, 1.0, 1.5]
    assert pairs_in_unit(coded(X), 2.0).weight.tolist() == [0.5] * 3
    assert np.isfinite(pairs_in_unit(coded(X, [1e300, 1, 1]), 1e-10).weight).all()


@settings(max_examples=100, deadline=None)
@given(
    values=st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=200),
    strength=st.floats(0, 10),
)
def test_confidence_rises_with_the_rating_and_is_bounded(values, strength):
    y = np.array(values)
    levels, masses = levels_and_masses(y, None, ALONE)
    rule = ConfidenceRule.fit(strength, levels, masses)
    found = rule.of(levels)
    assert (np.diff(found) >= 0).all()
    assert found[0] >= np.exp(-3 * strength) * (1 - 1e-9)
    assert found[-1] <= np.exp(3 * strength) * (1 + 1e-9)
    assert rule.of(np.array([-np.inf, np.inf])).tolist() == [found[0], found[-1]]
    if len(levels) == 1:
        assert found.tolist() == [1.0]


@pytest.mark.parametrize("plays", [np.array([1, 1, 2, 3, 5, 8, 350_000.0]), np.arange(1.0, 20_000.0)])
def test_confidence_depends_on_the_order_of_ratings_alone(plays):
    levels, mass = levels_and_masses(plays, None, ALONE)
    rule, of_logs = (ConfidenceRule.fit(0.5, own, mass) for own in (levels, np.log(levels)))
    assert np.array_equal(rule.of(levels), of_logs.of(np.log(levels)))


def test_confidence_of_many_levels_is_kept_at_even_shares():
    levels = np.sort(np.random.default_rng(0).lognormal(0, 3, size=20_000))
    rule = ConfidenceRule.fit(0.6, levels, np.ones(len(levels)))
    assert len(rule.knots) <= 4096
    middle = (np.arange(20_000) + 0.5) / 20_000
    np.testing.assert_allclose(rule.of(levels), np.exp(0.6 * ndtri(middle).clip(-3, 3)), rtol=0.05)


@pytest.mark.parametrize("weights", [None, [0.1, 0.7, 1e-3, 5, 0.2, 3]])
def test_masses_have_no_order(weights, monkeypatch):
    monkeypatch.setattr(sklearn_mf._training.confidence, "_CHUNK", 4)
    ratings = np.array([1.5, 4.0, 1.5, -3.0, 4.0, 1.5])
    weights = None if weights is None else np.array(weights)
    levels, masses = levels_and_masses(ratings, weights, ALONE)
    assert levels.tolist() == [-3.0, 1.5, 4.0]
    of_rows = np.bincount([1, 2, 1, 0, 2, 1], weights)
    np.testing.assert_allclose(masses / masses.sum(), of_rows / of_rows.sum())
    assert np.isfinite(levels_and_masses(ratings, np.full(6, 1e308), ALONE)[1]).all()
    rule = ConfidenceRule.fit(0.6, levels, masses)
    confidence = rule.of_rows(ratings, weights)
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(6)
        shuffled = None if weights is None else weights[order]
        assert np.array_equal(levels_and_masses(ratings[order], shuffled, ALONE)[1], masses)
        assert np.array_equal(rule.of_rows(ratings[order], shuffled), confidence[order])
