"""Check that a ranker fitted by several shards is that of one, bit for bit."""

from copy import deepcopy
from dataclasses import astuple

import numpy as np
import pytest
from helpers.preferences import pairs
from helpers.shards import on_shards
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_mf import MatrixFactorizationRanker
from sklearn_mf._ranker import score_with
from sklearn_mf._training import choose_penalties, sections
from sklearn_mf._training.als import PreferenceHyperparameters
from sklearn_mf._training.fit_pairs import PreferenceState, assembled, begin_alternations, finished
from sklearn_mf._training.pairs import PairsBySide, distinct_pairs, pairs_of_items, weigh_pairs
from sklearn_mf._training.sections import Sections, add_counts, add_in_order

N_USERS, N_ITEMS = 60, 40
N_SHARDS = [2, 3, 5]
GIVEN = {"alpha": 0.01, "damping": 2.0}
AUTO = {"alpha": None, "damping": None}


@pytest.fixture(params=[1, 7, 25], ids=lambda n: f"sections_of_{n}")
def few_rows(request, monkeypatch):
    """Sections of a few rows, so that shards have many of them, or some shards none; quick choices of penalties."""
    monkeypatch.setattr(sections, "_MIN_ROWS", request.param)
    monkeypatch.setattr(choose_penalties, "_MOST_ROUNDS", 2)
    monkeypatch.setattr(choose_penalties, "_N_ITERATIONS", 2)


def hyper_of(**parameters):
    return PreferenceHyperparameters(
        **{"rank": 6, "unobserved_weight": 10.0, "max_iter": 4, "tol": 0.0, **GIVEN, **parameters}
    )


def repeated(seed=0):
    """Pairs, ratings and weights, with a third of the pairs there several times."""
    X, y = pairs(seed, N_USERS, N_ITEMS)
    rng = np.random.default_rng(seed)
    rows = np.concatenate([np.arange(len(X)), rng.integers(len(X) // 3, size=len(X))])
    return X[rows], rng.permutation(y[rows]), rng.uniform(0.1, 3, size=len(rows))


def own_rows(shard, n_rows, n_with_rows, seed=0):
    """Rows of X that a shard has at first: any, and on the last shards none."""
    owner = np.random.default_rng(seed).integers(min(n_with_rows, shard.n_shards), size=n_rows)
    return np.random.default_rng(shard.index).permutation(np.flatnonzero(owner == shard.index))


def begin(shard, hyper, X, y=None, weights=None, n_with_rows=99, seed=5):
    """Start a fit on a shard: its pairs by user, and the alternations."""
    rows = own_rows(shard, len(X), n_with_rows)
    codes = [column[rows].astype(np.int32) for column in X.T]
    own = [None if values is None else values[rows] for values in (y, weights)]
    n_levels = [N_USERS, N_ITEMS]
    coded, rule, scale = weigh_pairs(codes, *own, n_levels, 0.7, shard)
    by_user, unit = distinct_pairs(coded, shard)
    state, rng = PreferenceState(hyper, rule, scale, unit, 0.0, []), np.random.default_rng(seed)
    return by_user, begin_alternations(by_user, n_levels, state, rng, shard, score_with(shard.threads))


def fit(n_shards, hyper, *given_, n_steps=99, **options):
    """Pairs and model of all shards, put together; the alternations end after some, or by themselves."""

    def run(shard):
        by_user, steps = begin(shard, hyper, *given_, **options)
        step = next(steps)
        for _ in range(n_steps - 1):
            if step.is_last:
                break
            step = steps.send(False)
        return by_user, finished(steps)

    parts = on_shards(n_shards, run)
    return PairsBySide.joined([pairs_ for pairs_, _ in parts]), assembled([part for _, part in parts])


def flattened(value):
    """Arrays and numbers of nested dataclasses, tuples and lists."""
    if isinstance(value, (tuple, list)):
        return [leaf for part in value for leaf in flattened(part)]
    return flattened(astuple(value)) if hasattr(value, "__dataclass_fields__") else [value]


def assert_same(one, other):
    one, other = flattened(one), flattened(other)
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert type(a) is type(b)
        assert np.array_equal(a, b)


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("n_shards", N_SHARDS)
@pytest.mark.parametrize("has_y", [False, True], ids=["alike", "ratings"])
@pytest.mark.parametrize("has_weights", [False, True], ids=["unweighted", "weighted"])
def test_several_shards_learn_what_one_does(n_shards, has_y, has_weights):
    X, y, weights = repeated()
    table = X, y if has_y else None, weights if has_weights else None
    assert_same(fit(n_shards, hyper_of(), *table), fit(1, hyper_of(), *table))


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("n_shards", N_SHARDS)
def test_several_shards_choose_the_penalties_of_one(n_shards, monkeypatch):
    X, y, weights = repeated()
    monkeypatch.setattr(choose_penalties, "_MAX_USERS", 25)
    one, several = fit(1, hyper_of(**AUTO), X, y, weights), fit(n_shards, hyper_of(**AUTO), X, y, weights)
    assert_same(several, one)


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("n_with_rows", [1, 2])
def test_shards_without_rows_of_x(n_with_rows):
    X, y, weights = repeated()
    for table in ((X,), (X, y), (X, y, weights)):
        assert_same(fit(5, hyper_of(), *table, n_with_rows=n_with_rows), fit(1, hyper_of(), *table))


@pytest.mark.usefixtures("few_rows")
def test_shards_learn_what_the_ranker_does():
    X, y, weights = repeated()
    model = MatrixFactorizationRanker(rank=6, max_iter=4, tol=0.0, random_state=0).fit(X, y, weights)
    assert model.categories_[0].tolist() == list(range(N_USERS))
    seed = [np.random.RandomState(0).randint(np.iinfo(np.int32).max)]
    by_user, found = fit(3, hyper_of(**AUTO), X, y, weights, seed=seed)
    assert_same(found, model._preferences)
    assert np.array_equal(by_user.index, model._seen_pairs.index)


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("n_shards", N_SHARDS)
def test_shards_stop_at_the_same_alternation(n_shards):
    X, y, _ = repeated()
    hyper = hyper_of(max_iter=50, tol=1e-2)
    one, several = fit(1, hyper, X, y), fit(n_shards, hyper, X, y)
    assert 1 < len(one[1].objectives) < 50
    assert_same(several, one)
    assert len(fit(n_shards, hyper, X, y, n_steps=1)[1].objectives) == 1


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("n_shards", [1, 3])
def test_what_is_learned_on_the_way_is_that_of_a_fit_which_ends_there(n_shards):
    X, y, _ = repeated()

    def run(shard):
        _, steps = begin(shard, hyper_of(), X, y)
        on_the_way = []
        for n in range(4):
            step = next(steps) if n == 0 else steps.send(False)
            on_the_way.append(deepcopy(step.learned()))  # the next alternation changes its rows
            assert step.is_last == (n == 3)
            assert f"{step.objective:.5f}" in str(step)
        return on_the_way, finished(steps)

    told = on_shards(n_shards, run)
    for n in range(4):
        _, ended = fit(1, hyper_of(), X, y, n_steps=n + 1)
        assert_same(assembled([on_the_way[n] for on_the_way, _ in told]), ended)
    assert_same(assembled([part for _, part in told]), ended)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4), st.floats(1e-6, 1e6)), min_size=1, max_size=60),
    weighted=st.booleans(),
    n_shards=st.integers(1, 5),
    size=st.sampled_from([1, 2, 1024]),
)
def test_pairs_of_shards_are_those_of_one(rows, weighted, n_shards, size):
    X, weights = np.array([row[:2] for row in rows], dtype=np.int32), np.array([row[2] for row in rows])

    def run(shard):
        own = own_rows(shard, len(X), 4)
        given_ = [column[own] for column in X.T], None, weights[own] if weighted else None
        coded, _, _ = weigh_pairs(*given_, [7, 5], 0.7, shard)
        by_user, unit = distinct_pairs(coded, shard)
        by_item = pairs_of_items(by_user, [7, 5], shard)
        for side, n in zip((by_user, by_item), (7, 5), strict=True):
            part = Sections(n).own_rows(shard)
            assert side.n_rows == part.stop - part.start
        return by_user, by_item, unit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sections, "_MIN_ROWS", size)
        [(by_user, by_item, unit)] = on_shards(1, run)
        users, items, units = zip(*on_shards(n_shards, run), strict=True)
    assert set(units) == {unit}
    assert_same((PairsBySide.joined(users), PairsBySide.joined(items)), (by_user, by_item))
    assert np.array_equal(by_item.table(7).toarray(), by_user.table(5).toarray().T)


@settings(max_examples=50, deadline=None)
@given(n_rows=st.integers(1, 300), n_shards=st.integers(1, 5), size=st.sampled_from([1, 3, 50]))
def test_sections_cut_rows_for_shards(n_rows, n_shards, size):
    rows = np.random.default_rng(n_rows).integers(n_rows, size=50)

    def run(shard):
        cut = Sections(n_rows)
        part, own = cut.own_rows(shard), np.flatnonzero(np.arange(50) % n_shards == shard.index)
        numbers = [[[n, 1e16 * (-1) ** n, 1.0]] for n in cut.own_numbers(shard)]
        total = add_in_order(np.array(numbers, dtype=np.float64).reshape(-1, 1, 3), shard)
        received = cut.send_to_owners(rows[own], [rows[own], own], shard)
        assert ((part.start <= received[0]) & (received[0] < part.stop)).all()
        assert np.array_equal(rows[received[1]], received[0])
        own_slices = [np.arange(part.start, part.stop)[s] for s in cut.own_slices(shard)]
        return np.concatenate([*own_slices, np.arange(0)]), total, add_counts(len(received[0]), shard)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sections, "_MIN_ROWS", size)
        [(_, total, _)] = on_shards(1, run)
        several = on_shards(n_shards, run)
        n_sections = len(Sections(n_rows).bounds) - 1
    assert np.array_equal(np.concatenate([own for own, _, _ in several]), np.arange(n_rows))
    for _, sums, n in several:
        assert np.array_equal(sums, total)
        assert n == 50
    assert n_sections <= 64
    assert total[0, 0] == n_sections * (n_sections - 1) / 2
