"""Check that shards together do what one does alone, to the last bit, and that a fit can be taken up."""

import numpy as np
import pytest
from helpers.shards import on_shards
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf._base import generator_of
from sklearn_mf._regressor import hyperparameters_of, stopping_rule_of
from sklearn_mf._training import layout
from sklearn_mf._training.fit import fit_steps
from sklearn_mf._training.layout import assign_groups
from sklearn_mf._training.learned import assemble
from sklearn_mf._training.progress import EpochEnded, Mark
from sklearn_mf._training.ratings import CodedRatings
from sklearn_mf._training.tape import Tape

SIZES = 400, 250


@pytest.fixture(autouse=True)
def _several_sections(monkeypatch):
    """As if there were many more rows."""
    monkeypatch.setattr(layout, "_MIN_ROWS_OF_SECTION", 64)


def make_rows(n=12_000, seed=0):
    """Codes with a long tail, each level at least once, some pairs several times; ratings and weights."""
    rng = np.random.default_rng(seed)
    codes = [(size * rng.random(n) ** 2).astype(np.int32) for size in SIZES]
    for code, size in zip(codes, SIZES, strict=True):
        code[:size] = rng.permutation(size)
    U, V = (rng.standard_normal((size, 4)) for size in SIZES)
    y = 3.5 + 0.4 * np.einsum("ij,ij->i", U[codes[0]], V[codes[1]]) + 0.5 * rng.standard_normal(n)
    return codes, np.round(np.clip(y, 1, 5) * 2) / 2, rng.integers(0, 4, n) / 2.0


def fit(n_shards, weighted=False, tape=None, stop_after=None, cuts=None, **parameters):
    """What shards learn together; each begins with some of the rows. Shard 0 may stop after some epochs and save."""
    model = MatrixFactorizationRegressor(**{"max_iter": 6, "random_state": 0, "rank": 8, **parameters})
    codes, y, weights = make_rows()
    rows = np.random.default_rng(n_shards).permutation(len(y))
    cuts = np.linspace(0, len(y), n_shards + 1).astype(int) if cuts is None else cuts

    def program(shard):
        own = rows[cuts[shard.index] : cuts[shard.index + 1]]
        coded = CodedRatings([c[own] for c in codes], y[own], weights[own] if weighted else None, list(SIZES))
        of_shard = Tape() if tape is None else Tape(*tape)
        given = None, None, generator_of(model), shard, of_shard
        steps, n_epochs = fit_steps(coded, hyperparameters_of(model), stopping_rule_of(model), *given), 0
        stopped = None
        while True:
            try:
                event = steps.send(stopped)
            except StopIteration as end:
                run, history = end.value
                return run.part(history.losses, history.scores), run.places
            stopped = False
            n_epochs += isinstance(event, EpochEnded) or event is Mark.TRIAL_EPOCH_ENDED
            if n_epochs == stop_after:
                return of_shard.records, of_shard.saved()

    return on_shards(n_shards, program)


def learned(parts):
    """All arrays and numbers that were learned."""
    whole = assemble([part for part, _ in parts], parts[0][1])
    state, model = whole.state, whole.model
    tables = [*model.factors, *model.biases, *state.level_sums, *state.centers, *state.coefficients]
    known = state.knowledge
    numbers = model.intercept, state.scale, state.weight_unit, known.noise_sum, known.weight_sum, *known.square_sums
    arrays = [np.asarray(table) for table in tables if table is not None]
    return [*arrays, np.array(numbers), np.array(whole.losses), np.array(whole.scores)]


def assert_same(found, expected):
    for own, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(own, wanted)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"weighted": True},
        {"implicit_features": None},
        {"implicit_features": "user", "rank": 5},
        {"implicit_features": "item", "fit_bias": False},
        {"early_stopping": True, "max_iter": 20},
        {"early_stopping": True, "refit": False, "max_iter": 10, "weighted": True},
        {"tol": 1e-3, "schedule": "constant", "max_iter": 12},
        {"learning_rate": 8.0},
        {"rank": 0},
        {"positive": True},
        {"damping": (2.0, 9.0)},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Training diverged", "ignore:Training ended with a loss above")
def test_shards_learn_what_one_learns(parameters):
    alone = learned(fit(1, **parameters))
    for n_shards in (2, 3, 5):
        assert_same(learned(fit(n_shards, **parameters)), alone)


@pytest.mark.parametrize("parameters", [{"weighted": True}, {"early_stopping": True, "max_iter": 20}], ids=str)
def test_shards_visit_blocks_in_the_same_bands(monkeypatch, parameters):
    without_bands = learned(fit(1, **parameters))
    monkeypatch.setattr(layout, "_BYTES_OF_BAND_ROWS", 1000)
    alone = learned(fit(1, **parameters))
    assert not np.array_equal(alone[0], without_bands[0])
    for n_shards in (2, 3):
        assert_same(learned(fit(n_shards, **parameters)), alone)


def test_one_shard_alone_is_the_estimator():
    codes, y, weights = make_rows()
    model = MatrixFactorizationRegressor(rank=8, max_iter=6, random_state=0, n_jobs=3)
    model.fit(np.stack(codes, axis=1), y, weights)
    found = learned(fit(1, weighted=True))
    for own, wanted in zip(found, [*model.factors_, *model.biases_], strict=False):
        np.testing.assert_array_equal(own, wanted)


@pytest.mark.parametrize("n_shards", [2, 4])
def test_shards_that_begin_without_rows(n_shards):
    cuts = [0] * n_shards + [12_000]
    assert_same(learned(fit(n_shards, cuts=cuts, weighted=True)), learned(fit(1, weighted=True)))


def test_more_shards_than_sections(monkeypatch):
    """The others have no groups, and nothing to do."""
    monkeypatch.setattr(layout, "_MIN_ROWS_OF_SECTION", 300)
    assert_same(learned(fit(5)), learned(fit(1)))


@pytest.mark.parametrize(("before", "after"), [(1, 2), (3, 1), (2, 3)])
@pytest.mark.parametrize(
    ("parameters", "n_epochs"),
    [
        ({}, 3),
        ({"learning_rate": 8.0, "implicit_features": None}, 5),
        ({"early_stopping": True, "max_iter": 20}, 7),  # a trial of penalties
        ({"early_stopping": True, "max_iter": 20}, 36 + 9),  # the search for the end
        ({"early_stopping": True, "max_iter": 20}, 36 + 18),  # further on, or the refit
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Training diverged", "ignore:Training ended with a loss above")
def test_a_fit_that_is_taken_up_ends_as_it_would_have(parameters, n_epochs, before, after):
    """On another number of shards."""
    saved = fit(before, stop_after=n_epochs, **parameters)
    assert len(saved[0][0]) == n_epochs
    arrays = {name: np.concatenate([own[name] for _, own in saved]) for name in saved[0][1]}
    found = fit(after, tape=(saved[0][0], arrays), **parameters)
    assert_same(learned(found), learned(fit(1, **parameters)))


def make_layout(shard, n_groups, n_sections):
    rng = np.random.default_rng(0)
    return assign_groups([40, 30], [rng.permutation(40), rng.permutation(30)], n_groups, n_sections, shard)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_each_item_meets_the_blocks_of_a_sweep_in_order(data):
    """Whatever strata, shards and threads: rows of items hold the number of the block that they met last."""
    n_groups = data.draw(st.integers(1, 7))
    n_shards, n_threads = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 2))
    n_sections = data.draw(st.integers(1, n_groups))
    strata = data.draw(st.lists(st.integers(0, n_groups - 1), max_size=6))
    met = {}

    def program(shard):
        places = make_layout(shard, n_groups, n_sections)
        last, count = np.full(30, -1), np.zeros((30, 2))
        last[places.own_items] = 0

        def visit(stratum, group):
            item_group = (group + stratum) % n_groups
            rows = slice(places.item_start[item_group], places.item_start[item_group + 1])
            assert (last[rows] >= 0).all()
            met.setdefault(item_group, []).append((stratum, group))
            last[rows] = last[rows] * 31 % 1009 + stratum * n_groups + group
            count[rows] += 1

        shard.visit_blocks(places, strata, [last, count], visit)
        return last[places.own_items], count[places.own_items]

    parts = on_shards(n_shards, program, n_threads)
    expected = np.zeros(30, dtype=int)
    places = on_shards(1, lambda shard: make_layout(shard, n_groups, n_sections))[0]
    for stratum in strata:
        for group in range(n_groups):
            item_group = (group + stratum) % n_groups
            rows = slice(places.item_start[item_group], places.item_start[item_group + 1])
            expected[rows] = expected[rows] * 31 % 1009 + stratum * n_groups + group
    np.testing.assert_array_equal(np.concatenate([last for last, _ in parts]), expected)
    assert all((count == len(strata)).all() for _, count in parts)
    assert all([stratum for stratum, _ in blocks] == strata for blocks in met.values())


@pytest.mark.parametrize("n_shards", [1, 2, 3, 5])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_sums_to_items_are_in_the_order_of_user_groups(n_shards, n_threads):
    """Single precision, in which another order gives another sum."""
    given = np.random.default_rng(1).standard_normal(7).astype(np.float32) ** 3

    def program(shard):
        places = make_layout(shard, 7, 5)
        sums = np.full((30, 2), np.nan, dtype=np.float32)

        def add(strata, groups):
            for stratum, group in zip(strata, groups, strict=True):
                item_group = (group + stratum) % 7
                sums[places.item_start[item_group] : places.item_start[item_group + 1]] += given[group]

        shard.add_to_items(places, [sums], add)
        return sums[places.own_items]

    expected = np.float32(0.0)
    for number in given:
        expected += number
    np.testing.assert_array_equal(np.concatenate(on_shards(n_shards, program, n_threads)), expected)


@pytest.mark.parametrize("n_shards", [2, 3])
def test_what_shards_tell_each_other_is_in_their_order(n_shards):
    def program(shard):
        rows = np.zeros((6, 2))
        starts = np.arange(n_shards + 1) * 6 // n_shards
        rows[starts[shard.index] : starts[shard.index + 1]] = shard.index + 1
        shard.share([rows], starts)
        exchanged = shard.exchange([[np.array([shard.index, other])] for other in range(n_shards)])
        return shard.gather(np.full(2, shard.index)), rows[:, 0], [array.tolist() for (array,) in exchanged]

    for index, (gathered, rows, exchanged) in enumerate(on_shards(n_shards, program)):
        np.testing.assert_array_equal(gathered, np.repeat(np.arange(n_shards), 2))
        np.testing.assert_array_equal(rows, np.repeat(np.arange(n_shards), 6 // n_shards) + 1)
        assert exchanged == [[other, index] for other in range(n_shards)]
