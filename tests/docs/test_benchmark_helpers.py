"""Check what the benchmarks compute from what they measure, without measuring."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.paths import ROOT

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings

# Two functions of one object and one of another; a call, whose cost is counted where the callee is.
COUNTED = """# callgrind format
positions: line
events: Ir
summary: 175

ob=(1) /lib/sklearn_mf/_kernel/sgd.so
fl=(1) sgd.c
fn=(1) update
16 100
+3 20
cob=(2) /lib/libc.so.6
cfn=(2) memcpy
calls=2 30
* 50
fn=(3) begin
- 5

ob=(2)
fn=(2)
30 50
totals: 175
"""


@pytest.fixture
def benchmark_module(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def test_instructions_are_counted_in_the_object_they_are_in(benchmark_module):
    found = benchmark_module("instructions").by_object(COUNTED)
    assert found == {"/lib/sklearn_mf/_kernel/sgd.so": 125, "/lib/libc.so.6": 50}


def test_an_epoch_is_the_difference_of_two_fits(benchmark_module):
    module = benchmark_module("instructions")
    short, long = module.EPOCHS
    n, sgd = module.N_RATINGS, module.loop.__file__

    def fit(epochs):
        return {sgd: n * (7 + 80 * epochs), "/x/sklearn_mf/grid.so": n * (30 + 5 * epochs), "/lib/libc.so.6": 10**9}

    assert module.counts_of(fit(short), fit(long)) == {"loop": 80.0, "epoch": 85.0, "preparation": 37.0}


@pytest.mark.parametrize(("now", "more"), [(101.9, []), (102.1, ["a fit: loop"]), (80.0, [])])
def test_more_than_the_tolerance_is_named(benchmark_module, now, more):
    recorded = {"a fit": {"loop": 100.0}}
    assert (
        benchmark_module("instructions").compare({"a fit": {"loop": now}, "new": {"loop": 9.0}}, recorded, 0.02) == more
    )


def test_the_bound_of_a_rating_is_that_of_the_slowest_unit(benchmark_module):
    module = benchmark_module("_machine")
    many = 1e15
    assert module.bound(32, module.Rates(1e9, 7e9, many, many)) == pytest.approx(1e9 / 32)
    assert module.bound(32, module.Rates(1e9, many, 4e9, many)) == pytest.approx(2e9 / 32)
    assert module.bound(64, module.Rates(1e9, many, many, 2e9)) == pytest.approx(1e9 / 64)


@pytest.mark.parametrize("n_epochs", [3, 8, 9, 20])
def test_an_epoch_of_a_cluster_has_half_a_move_of_the_centers(benchmark_module, n_epochs):
    """Epochs take 10, a move 4; one takes much longer."""
    took = [10 + 4 * (epoch % 2 == 0 and epoch + 1 <= 0.75 * n_epochs) for epoch in range(n_epochs)]
    slow = list(took)
    slow[0] += 100 * (n_epochs > 3)
    ends = np.cumsum([[0, *took[:-1]], [5, *slow[:-1]]], axis=1)
    assert benchmark_module("_cluster_terms").median_epoch(ends).tolist() == [12.0, 12.0]


def test_a_cluster_sends_sums_in_one_epoch_of_two(benchmark_module):
    terms = benchmark_module("_cluster_terms")
    sizes = [terms.Size(10**6, 10**5, 10**4, 64, 2, with_centers) for with_centers in (False, True)]
    (without, sent), moves = (terms.bytes_of_epoch(size) for size in sizes), terms.bytes_of_sums(sizes[1]).mean()
    assert sent - without == pytest.approx(moves / 2)


@pytest.mark.parametrize("n_columns", [2, 3])
def test_the_fit_of_variants_is_that_of_the_package(benchmark_module, n_columns):
    X, y = make_ratings(60, 40, 2000, random_state=0, return_X_y=True)
    X = np.column_stack([X, np.arange(2000) % 5])[:, :n_columns]
    theirs = MatrixFactorizationRegressor(random_state=0, max_iter=5).fit(X, y).predict(X)
    ours = benchmark_module("_inner_fit").InnerFit(random_state=0, max_iter=5).fit(X, y).predict(X)
    np.testing.assert_array_equal(ours, theirs)


def test_a_row_without_figures_says_why(benchmark_module):
    rows = benchmark_module("_speed_rows")
    options = SimpleNamespace(large=False, processor_time=False)
    (row,) = rows.hundred_million(options)
    cells = benchmark_module("speed").cells(row)
    assert cells[1] == ""
    assert cells[-1].startswith("left out: ")


def test_a_row_has_its_median_and_its_ends(benchmark_module):
    row = benchmark_module("_speed_rows").Row("a loop", "million ratings/s", [90.0, 110.0, 100.0], "at least 95")
    assert benchmark_module("speed").cells(row)[1] == "100 (90 to 110)"


def test_lists_of_the_most_popular_items_and_in_any_order(benchmark_module):
    module = benchmark_module("rankings")
    X, y = np.array([[0, 5], [1, 5], [2, 5], [0, 3], [1, 3], [2, 9]]), np.arange(6.0)
    assert module.most_popular(X, y).recommend([0, 2], 3)[0].tolist() == [[5, 3, 9], [5, 3, 9]]
    first, second = module.at_random(X, y).recommend([0, 2], 3)[0].tolist()
    assert first == second
