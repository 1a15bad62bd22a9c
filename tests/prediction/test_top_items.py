"""Compare the best items of many rows with predictions of every pair and a sort."""

import time
import tracemalloc
from threading import Barrier, Thread

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from sklearn_mf._prediction.model import Model
from sklearn_mf._prediction.top_items import Candidates, Excluded, top_items, unit_rows
from sklearn_mf._utils.threads import Threads, one_blas_thread


def every_pair(model, indices, candidates, excluded, k):
    """The slow and obvious way: predict each pair, sort by (prediction, index)."""
    items = candidates.items
    found = np.full((len(indices), k), -1, dtype=np.int32)
    values = np.full((len(indices), k), np.nan)
    for r, row in enumerate(indices):
        places = np.setdiff1d(np.arange(len(items)), excluded.place[excluded.start[r] : excluded.stop[r]])
        pairs = np.tile(row, (len(places), 1))
        pairs[:, 1] = items[places]
        for field, levels in candidates.contexts.items():
            pairs[:, field] = levels[places]
        predictions = model.scores(pairs, Threads(1))
        order = sorted(range(len(places)), key=lambda e: (-predictions[e], items[places[e]]))[:k]
        found[r, : len(order)] = items[places][order]
        values[r, : len(order)] = predictions[order]
    return found, values


def random_problem(rng, n_rows, n_items, rank, n_fields, values, share_excluded, by_item=(), spread=0.0):
    """A model, indices (some -1), a part of the items with levels of fields by item, and pairs that are excluded.

    Rows of factors are multiplied by numbers whose logarithms have the deviation ``spread``.
    """
    sizes = [max(1, n_rows // 2), n_items, 3, 4][:n_fields]
    model = Model(
        [
            (rng.choice(values, (size, rank)) * np.exp(spread * rng.normal(size=(size, 1)))).astype(np.float32)
            for size in sizes
        ],
        [rng.choice(values, size).astype(np.float32) for size in sizes],
        float(rng.normal()),
    )
    indices = np.column_stack([rng.integers(-1, size, n_rows) for size in sizes]).astype(np.int32)
    items = np.sort(rng.permutation(n_items)[: rng.integers(1, n_items + 1)]).astype(np.int32)
    own = [np.flatnonzero(rng.random(len(items)) < share_excluded) for _ in range(n_rows)]
    stop = np.cumsum([len(places) for places in own])
    start = stop - [len(places) for places in own]
    contexts = {f: rng.integers(-1, sizes[f], len(items)).astype(np.int32) for f in by_item if f < n_fields}
    excluded = Excluded(start, stop, np.concatenate(own).astype(np.int32))
    return model, indices, Candidates(items, contexts), excluded


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    n_rows=st.sampled_from([1, 4, 5, 30, 700]),
    n_items=st.sampled_from([1, 7, 300, 900]),
    rank=st.sampled_from([0, 1, 5, 17]),
    n_fields=st.sampled_from([2, 2, 3, 4]),
    k=st.sampled_from([1, 3, 10, 400]),
    with_ties=st.booleans(),
    share_excluded=st.sampled_from([0.0, 0.1, 0.9, 1.0]),
    by_item=st.sampled_from([(), (2,), (3,), (2, 3)]),
    spread=st.sampled_from([0.0, 0.0, 1.0, 4.0]),
)
def test_the_best_are_those_of_predicting_every_pair(
    simd, seed, n_rows, n_items, rank, n_fields, k, with_ties, share_excluded, by_item, spread
):
    rng = np.random.default_rng(seed)
    values = [-1.0, 0.0, 1.0] if with_ties else rng.normal(size=1000)
    problem = random_problem(rng, n_rows, n_items, rank, n_fields, values, share_excluded, by_item, spread)
    found, predictions = top_items(*problem, k, Threads(1))
    few = slice(0, None, max(1, n_rows // 20))
    model, indices, candidates, excluded = problem
    true_found, true_predictions = every_pair(model, indices[few], candidates, excluded.part(few), k)
    np.testing.assert_array_equal(found[few], true_found)
    np.testing.assert_array_equal(predictions[few], true_predictions)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e15])
@pytest.mark.parametrize("rank", [9, 64, 200])
@pytest.mark.parametrize("n_alike", [100, 2000])  # as many as a buffer holds, and more
def test_items_apart_by_the_last_bits_are_in_the_order_of_the_kernel(scale, rank, n_alike, simd):
    """Sums of the same products in another order: equal on paper, and apart by rounding only."""
    rng = np.random.default_rng(0)
    users = np.repeat(rng.uniform(0.1, 2, size=(40, 1)), rank, axis=1).astype(np.float32) * np.float32(scale)
    one = np.abs(rng.normal(size=rank)).astype(np.float32)
    items = np.array([rng.permutation(one) for _ in range(2000)])
    items[rng.permutation(2000)[n_alike:]] *= 0.5
    model = Model([users, items], [np.zeros(40, np.float32), np.zeros(2000, np.float32)], 0.0)
    indices = np.column_stack([np.arange(40), np.full(40, -1)]).astype(np.int32)
    problem = model, indices, Candidates(np.arange(2000, dtype=np.int32)), Excluded.nothing(40)
    pairs = np.column_stack([np.repeat(np.arange(40), 2000), np.tile(np.arange(2000), 40)]).astype(np.int32)
    rounded = [len(np.unique(p)) for p in model.scores(pairs, Threads(1)).reshape(40, 2000)]
    assert max(rounded) > (3 if n_alike == 2000 else 5)  # halves are rounded alike
    found, predictions = top_items(*problem, 10, Threads(1))
    true_found, true_predictions = every_pair(*problem, 10)
    np.testing.assert_array_equal(found, true_found)
    np.testing.assert_array_equal(predictions, true_predictions)


@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e12])
@pytest.mark.parametrize("by_item", [(2,), (2, 3)])
def test_items_apart_by_the_last_bits_in_their_contexts(scale, by_item):
    """An item and its contexts change places: their sums are equal on paper, and apart by rounding only."""
    rng = np.random.default_rng(5)
    rank, rows = 33, rng.normal(size=(3, 33)).astype(np.float32) * np.float32(scale)
    model = Model(
        [rng.normal(size=(40, rank)).astype(np.float32), np.repeat(rows, 200, axis=0), rows[::-1].copy(), rows],
        [np.zeros(n, dtype=np.float32) for n in (40, 600, 3, 3)],
        0.0,
    )
    own = np.repeat(np.arange(3, dtype=np.int32), 200)
    levels = {2: (2 - (own + 1) % 3).astype(np.int32), 3: (own + 2) % 3}
    indices = np.column_stack([np.arange(40), np.full(40, -1), np.full(40, -1), np.full(40, 1)]).astype(np.int32)
    candidates = Candidates(np.arange(600, dtype=np.int32), {field: levels[field] for field in by_item})
    problem = model, indices, candidates, Excluded.nothing(40)
    for a, b in zip(top_items(*problem, 250, Threads(1)), every_pair(*problem, 250), strict=True):
        np.testing.assert_array_equal(a, b)


def outlier(rows):
    rows[7] *= 1e6
    return rows


def column_of_outliers(rows):
    rows[:, 3] *= 1e3
    return rows


@pytest.mark.parametrize(
    ("of_users", "of_items", "of_biases"),
    [
        (lambda rows: rows, lambda rows: rows, 1e5),
        (lambda rows: 1e-4 * rows, lambda rows: 1e-3 * rows, 1.0),
        (np.abs, np.abs, 0.0),
        (lambda rows: 1 + 0.01 * rows, lambda rows: 1 + 0.01 * rows, 0.0),
        (lambda rows: np.exp(3 * rows), lambda rows: rows * np.exp(3 * rows[:, :1]), 0.0),
        (lambda rows: rows, outlier, 0.0),
        (lambda rows: rows, column_of_outliers, 0.0),
        (lambda rows: 0 * rows, lambda rows: rows, 1.0),
        (lambda rows: 0 * rows, lambda rows: rows, 0.0),
        (lambda rows: rows, lambda rows: rows[np.arange(len(rows)) % 20], 0.0),
        (lambda rows: 1e-30 * rows, lambda rows: 1e-30 * rows, 0.0),
        (lambda rows: 1e-25 * rows, lambda rows: 1e25 * rows, 0.0),
        (lambda rows: 1e18 * rows, lambda rows: 1e18 * rows, 0.0),
        (lambda rows: 1e3 * rows, lambda rows: 1e33 * rows, 0.0),
    ],
    ids=["biases", "whole biases", "positive", "flat", "spread", "an outlier", "a column of outliers", "zero users",
         "ties", "items alike", "tiny", "unlike", "large", "huge"],
)  # fmt: skip
@pytest.mark.parametrize("k", [1, 10, 1500])
def test_factors_of_all_kinds(of_users, of_items, of_biases, k, simd):
    rng = np.random.default_rng(8)
    users, items = (make(rng.normal(size=(n, 24))) for make, n in ((of_users, 30), (of_items, 1500)))
    biases = [np.zeros(30, np.float32), np.rint(of_biases * rng.normal(size=1500)).astype(np.float32)]
    model = Model([users.astype(np.float32), items.astype(np.float32)], biases, 0.0)
    indices = np.column_stack([np.arange(30), np.full(30, -1)]).astype(np.int32)
    problem = model, indices, Candidates(np.arange(1500, dtype=np.int32))
    found = top_items(*problem, Excluded.nothing(30), k, Threads(1))
    for a, b in zip(found, every_pair(model, indices[:6], problem[2], Excluded.nothing(6), k), strict=True):
        np.testing.assert_array_equal(a[:6], b)


def test_threads_and_company_change_nothing():
    rng = np.random.default_rng(1)
    model, indices, items, excluded = random_problem(rng, 1500, 1200, 24, 3, rng.normal(size=5000), 0.05)
    one = top_items(model, indices, items, excluded, 10, Threads(1))
    for n in (2, 3, 8):
        with Threads(n) as threads:
            for a, b in zip(one, top_items(model, indices, items, excluded, 10, threads), strict=True):
                np.testing.assert_array_equal(a, b)
    for part in (slice(0, 1), slice(600, 604), slice(700, 1400)):
        own = top_items(model, indices[part], items, excluded.part(part), 10, Threads(1))
        for a, b in zip(one, own, strict=True):
            np.testing.assert_array_equal(a[part], b)


def test_the_matrix_of_scores_is_never_in_memory():
    rng = np.random.default_rng(2)
    n_rows, n_items = 6_000, 8_000  # 192 MB of scores
    model = Model(
        [rng.normal(size=(n, 8)).astype(np.float32) for n in (n_rows, n_items)],
        [np.zeros(n, np.float32) for n in (n_rows, n_items)],
        0.0,
    )
    indices = np.column_stack([np.arange(n_rows), np.full(n_rows, -1)]).astype(np.int32)
    tracemalloc.start()
    top_items(model, indices, Candidates(np.arange(n_items, dtype=np.int32)), Excluded.nothing(n_rows), 10, Threads(1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


def test_ties_are_not_in_memory_either():
    """Users never seen, in a model without biases: all items are the same to them."""
    model = Model(
        [np.ones((1, 4), np.float32), np.ones((5_000, 4), np.float32)],
        [np.zeros(n, np.float32) for n in (1, 5_000)],
        0.0,
    )
    indices = np.full((3_000, 2), -1, dtype=np.int32)
    indices[::2, 0] = 0
    tracemalloc.start()
    found, _ = top_items(
        model, indices, Candidates(np.arange(5_000, dtype=np.int32)), Excluded.nothing(3_000), 10, Threads(1)
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(found, np.tile(np.arange(10), (3_000, 1)))
    assert peak < 10e6


def test_ties_of_a_model_that_is_zero():
    sizes = 1, 5_000
    model = Model([np.zeros((n, 3), np.float32) for n in sizes], [np.zeros(n, np.float32) for n in sizes], 0.0)
    indices = np.zeros((20, 2), dtype=np.int32)
    candidates = Candidates(np.arange(5_000, dtype=np.int32))
    found, values = top_items(model, indices, candidates, Excluded.nothing(20), 10, Threads(1))
    np.testing.assert_array_equal(found, np.tile(np.arange(10), (20, 1)))
    assert not values.any()


def test_blas_has_its_threads_back_when_all_calls_are_done():
    before = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    inside = Barrier(3)

    def call(first):
        with one_blas_thread():
            inside.wait(timeout=10)  # all are in before the first leaves
            time.sleep(0.05 * first)

    callers = [Thread(target=call, args=(n,)) for n in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"] == before


@pytest.mark.parametrize("intercept", [0.0, 1e13])
def test_ties_of_rounding_are_in_the_order_of_items(intercept):
    rng = np.random.default_rng(3)
    model, indices, items, excluded = random_problem(rng, 60, 500, 4, 3, rng.normal(size=1000), 0.0)
    problem = Model(model.factors, model.biases, intercept), indices, items, excluded
    for a, b in zip(top_items(*problem, 10, Threads(1)), every_pair(*problem, 10), strict=True):
        np.testing.assert_array_equal(a, b)


def test_unit_rows():
    rows, norms = unit_rows(np.array([[3, 4], [0, 0], [1e-30, 0]], dtype=np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0], [1, 0]], rtol=1e-6)
    np.testing.assert_allclose(norms, [5, 0, 1e-30])
