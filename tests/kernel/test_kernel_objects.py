"""Check that kernel objects refuse arrays whose lengths or indices do not fit, and run single blocks."""

import dataclasses

import numpy as np
import pytest
from helpers.descent import ONE, make_kernel, set_up
from sklearn_mf._kernel.effects import EffectSums
from sklearn_mf._kernel.grid import BATCH, RatingBlocks, RatingPartitioner
from sklearn_mf._kernel.hashing import (
    hash_bytes,
    hash_integers,
    hash_strings,
    integer_range,
    look_up_integers,
    mark_integers,
)
from sklearn_mf._kernel.partners import PartnerRuns, eigen, expand, project
from sklearn_mf._kernel.rows import RowTable
from sklearn_mf._kernel.selection import TileSelector, best
from sklearn_mf._kernel.sgd import SGDKernel, UpdateRule, predict

from sklearn_mf._prediction.top_items import Excluded
from sklearn_mf._training.layout import Bands, assign_groups


def shorter(array):
    return np.ascontiguousarray(array[:-1])


@pytest.mark.parametrize("n_fields", [2, 3])
@pytest.mark.parametrize(
    "name",
    [
        "target",
        "batch_kinds",
        "block_start",
        "first_row",
        "context_rows",
        "context_start",
        "context_merge_weight",
        "row_weights",
    ],
)
def test_a_kernel_refuses_lengths_that_do_not_fit(n_fields, name):
    grid, parameters = set_up(n_fields)
    if n_fields == 2 and name in ("context_rows", "context_merge_weight"):
        pytest.skip("empty without context columns")
    with pytest.raises((ValueError, IndexError)):
        make_kernel(dataclasses.replace(grid, **{name: shorter(getattr(grid, name))}), parameters)


@pytest.mark.parametrize("name", ["table", "scalars"])
def test_a_kernel_refuses_parameters_that_do_not_fit(name):
    grid, parameters = set_up()
    with pytest.raises(ValueError, match=name):
        make_kernel(grid, dataclasses.replace(parameters, **{name: shorter(getattr(parameters, name))}))
    ties = np.zeros((grid.n_pair_rows - 1, 8), dtype=np.float32)
    with pytest.raises(ValueError, match="shape"):
        make_kernel(grid, dataclasses.replace(parameters, ties=ties))


@pytest.mark.parametrize("n_fields", [2, 3])
@pytest.mark.parametrize("bad", [-1, -(2**31), 1000, 2**31 - 1])
def test_a_kernel_refuses_every_index_beyond_its_rows(n_fields, bad):
    for field in range(n_fields):
        for place in (0, 777, -1):
            grid, parameters = set_up(n_fields)
            grid.index[place, field] = bad
            with pytest.raises(IndexError, match="index of a rating"):
                make_kernel(grid, parameters)


def test_a_kernel_refuses_rows_of_other_groups():
    """They would be within the table, but threads would write them at once."""
    grid, parameters = set_up()
    block = 5
    user_group = block % grid.n_groups
    n_users = grid.first_row[user_group + 1, 0] - grid.first_row[user_group, 0]
    grid.index[grid.block_start[block], 0] = n_users
    with pytest.raises(IndexError, match="index of a rating"):
        make_kernel(grid, parameters)


@pytest.mark.parametrize("bad", [-1, 10**6])
def test_a_kernel_refuses_context_rows_beyond_the_table(bad):
    grid, parameters = set_up(3)
    grid.context_rows[2] = bad
    with pytest.raises(IndexError, match="context_rows"):
        make_kernel(grid, parameters)


def test_a_kernel_refuses_strata_and_blocks_that_there_are_not():
    grid, parameters = set_up()
    kernel = make_kernel(grid, parameters)
    for stratum in (-1, 4):
        with pytest.raises(IndexError, match="stratum"):
            kernel.run(np.array([stratum]), 0.1, np.inf, kernel.new_sync_state())
    for block in (-1, 16):
        with pytest.raises(IndexError, match="block"):
            kernel.run_block(block, 0.1)
    for other in (None, make_kernel(*set_up(n_groups=3)).new_sync_state()):
        with pytest.raises(ValueError, match="sync_state"):
            kernel.run(np.array([0]), 0.1, np.inf, other)
    with pytest.raises(TypeError):
        kernel.run(np.array([0]), 0.1, np.inf, np.zeros(12, dtype=np.int64))
    with pytest.raises(ValueError, match="two fields"):
        make_kernel(*set_up(3)).run_block(0, 0.1)


def test_blocks_one_by_one_are_the_strata():
    results = []
    for run_strata in (True, False):
        grid, parameters = set_up()
        kernel, strata = make_kernel(grid, parameters), [2, 0, 3, 1]
        if run_strata:
            kernel.run(np.array(strata), 0.1, np.inf, kernel.new_sync_state())
            losses = kernel.losses.copy()
        else:
            losses = np.zeros(16)
            for stratum in strata:
                for a in (1, 3, 0, 2):  # any order: they share no row
                    losses[4 * stratum + a] = kernel.run_block(4 * stratum + a, 0.1)
        results.append((parameters.table.copy(), parameters.scalars.copy(), losses))
    for strata, blocks in zip(*results, strict=True):
        np.testing.assert_array_equal(strata, blocks)


def test_a_kernel_keeps_its_arrays():
    """The arrays live as long as the kernel does, whatever happens to the grid."""
    grid, parameters = set_up()
    kernel = make_kernel(grid, parameters)
    del grid
    kernel.run(np.arange(4), 0.1, np.inf, kernel.new_sync_state())
    assert np.isfinite(parameters.rows).all()
    assert (kernel.losses > 0).all()


@pytest.fixture
def layout():
    rng = np.random.default_rng(0)
    return assign_groups([20, 15, 3], [rng.permutation(20), rng.permutation(15)], 2, 1, ONE)


def codes_of(layout, n=100):
    rng = np.random.default_rng(1)
    return [rng.integers(size, size=n).astype(np.int32) for size in np.diff(layout.offset)]


@pytest.mark.parametrize("bad", [-1, 20, 2**31 - 1])
def test_a_partitioner_refuses_codes_beyond_the_levels(layout, bad):
    for field in range(3):
        codes = codes_of(layout)
        codes[field][7] = bad
        with pytest.raises(IndexError, match="code is beyond"):
            RatingPartitioner(codes, layout)


def test_a_partitioner_refuses_lengths_that_do_not_fit(layout):
    codes = codes_of(layout)
    with pytest.raises(ValueError, match="the same length"):
        RatingPartitioner([codes[0], shorter(codes[1]), codes[2]], layout)
    with pytest.raises(ValueError, match="fields"):
        RatingPartitioner(codes[:2], layout)
    partitioner = RatingPartitioner(codes, layout)
    for start, stop, n_blocks in ((0, 101, 4), (-1, 5, 4), (6, 5, 4), (0, 100, 3)):
        with pytest.raises(ValueError, match="do not fit the partitioner"):
            partitioner.count(start, stop, None, np.zeros(n_blocks, dtype=np.int64))
    with pytest.raises(ValueError, match="weights do not fit"):
        partitioner.count(0, 100, np.ones(99), np.zeros(4, dtype=np.int64))


def test_a_partitioner_writes_within_the_blocks_only(layout):
    """Places that were not counted are refused, before or behind the blocks."""
    codes, values = codes_of(layout), np.zeros(100)
    partitioner = RatingPartitioner(codes, layout)
    count = np.zeros(4, dtype=np.int64)
    partitioner.count(0, 100, None, count)
    assert count.sum() == 100
    start = np.append(0, np.cumsum(count))
    index = np.zeros((100, 3), dtype=np.int32)
    out = RatingBlocks(index, np.zeros(100), None, start)
    for shift in (-1, 1, 2**40, -(2**40)):
        with pytest.raises(IndexError, match="has no place"):
            partitioner.scatter(0, 100, values, None, 1.0, start[:-1] + shift, out)
    partitioner.scatter(0, 100, values, None, 1.0, start[:-1].copy(), out)
    with pytest.raises(ValueError, match="do not fit the rows"):
        partitioner.scatter(0, 100, values, np.ones(100), 1.0, start[:-1].copy(), out)


def blocks(index, n_blocks=1):
    n = len(index)
    start = np.linspace(0, n, n_blocks + 1).astype(np.int64)
    return RatingBlocks(np.array(index, dtype=np.int32), np.zeros(n), None, start)


def test_rating_blocks_refuse_what_does_not_fit():
    index, values = np.zeros((10, 2), dtype=np.int32), np.zeros(10)
    for start in ([0, 11], [1, 10], [0, 7, 5, 10]):
        with pytest.raises(ValueError, match="block_start"):
            RatingBlocks(index, values, None, np.array(start))
    with pytest.raises(ValueError, match="the same length"):
        RatingBlocks(index, values[:9], None, np.array([0, 10]))
    with pytest.raises(ValueError, match="the same length"):
        RatingBlocks(index, values, values[:9], np.array([0, 10]))
    for block in (1, -1):
        with pytest.raises(IndexError, match="There is no block"):
            blocks(index).order(np.array([block]), 0, Bands(0, 1, 1))
    for bands in (Bands(2, 1, 1), Bands(-1, 1, 1), Bands(0, 0, 1), Bands(0, 1, 0), Bands(0, 1, 2**31 + 1)):
        with pytest.raises(ValueError, match="no such bands"):
            blocks(index).order(np.array([0]), 0, bands)


def test_rating_blocks_refuse_indices_beyond_the_rows():
    for bad in (-1, 5):
        index = np.zeros((2 * BATCH, 3), dtype=np.int32)
        index[3, 0] = bad
        with pytest.raises(IndexError, match="beyond the rows"):
            blocks(index).set_rows(np.array([[5, 5, 1]]))
    index = np.zeros((8, 3), dtype=np.int32)
    index[2, 2] = 4
    scratch = np.empty(4, dtype=np.int32), np.empty(4)
    with pytest.raises(IndexError, match="stacked rows"):
        blocks(index).number_context_rows(0, *scratch)
    with pytest.raises(ValueError, match="set_rows"):
        blocks(index).spread(np.array([0]), np.ones(1, np.float32), np.zeros(3, dtype=np.uint8))
    numbered = blocks(np.zeros((8, 3)))
    numbered.set_rows(np.array([[5, 5, 2]]))
    with pytest.raises(ValueError, match="each context row"):
        numbered.spread(np.array([0]), np.ones(1, np.float32), np.zeros(3, dtype=np.uint8))
    weighed = blocks(np.zeros((8, 2)))
    weighed.set_rows(np.array([[5, 5, 0]]))
    with pytest.raises(IndexError, match="beyond 7"):
        weighed.add_row_weights(np.array([0]), np.array([[3, 3]]), 0, np.zeros(7))


def test_partner_runs_refuse_what_does_not_fit():
    grid, _ = set_up()
    n_rows = grid.layout.n_rows
    with pytest.raises(ValueError, match="two numbers"):
        PartnerRuns(grid, n_rows[:15])
    with pytest.raises(IndexError, match="beyond those of the grid"):
        PartnerRuns(grid, n_rows + 10)
    with pytest.raises(IndexError, match="index of a rating"):
        PartnerRuns(grid, np.ones((16, 2), dtype=np.int64))
    for bad in ([0, 4 * 10**8], [1, *grid.block_start[1:]]):
        with pytest.raises(ValueError, match="block"):
            PartnerRuns(dataclasses.replace(grid, block_start=np.array(bad)), n_rows[: len(bad) - 1])
    too_early = grid.first_row.copy()
    too_early[3, 1] = 40
    with pytest.raises(IndexError, match="beyond those of the grid"):
        PartnerRuns(dataclasses.replace(grid, first_row=too_early), n_rows)
    runs = PartnerRuns(grid, n_rows)
    given, out = np.zeros((50, 8), np.float32), np.zeros((60, 8), np.float32)
    runs.sum(np.array([0]), 0, given, out)
    for bad in ((given[:49], out), (given, out[:59]), (np.zeros((50, 16), np.float32), out)):
        with pytest.raises(ValueError, match="two sides"):
            runs.sum(np.array([0]), 0, *bad)
    with pytest.raises(IndexError, match="There is no block"):
        runs.sum(np.array([16]), 0, given, out)


def test_effect_sums_refuse_what_does_not_fit():
    grid, _ = set_up(3)
    for name in ("index", "target", "first_row"):
        with pytest.raises((ValueError, IndexError)):
            EffectSums(dataclasses.replace(grid, **{name: shorter(getattr(grid, name))}))
    with pytest.raises(ValueError, match="do not fit"):
        EffectSums(dataclasses.replace(grid, weight=np.ones(5, np.float32)))
    for bad in (-1, 60, 2**31 - 1):
        index = grid.index.copy()
        index[7, 0] = bad
        with pytest.raises(IndexError, match="beyond the rows"):
            EffectSums(dataclasses.replace(grid, index=index))
    late = grid.first_row.copy()
    late[2, 1] = grid.n_pair_rows - 1
    with pytest.raises(IndexError, match="beyond the rows"):
        EffectSums(dataclasses.replace(grid, first_row=late))
    sums, n = EffectSums(grid), grid.n_pair_rows
    blocks, rows = np.array([0, 5]), np.zeros(n)
    sums.add_residuals(blocks, 0, rows, rows.copy())
    for bad in ((np.zeros(n - 1), rows), (rows, np.zeros(n + 1))):
        with pytest.raises(ValueError, match="lengths"):
            sums.add_residuals(blocks, 0, *bad)
        with pytest.raises(ValueError, match="lengths"):
            sums.left_out_squares(blocks, 0.0, *bad, 0.9)
    for block in (-1, 16):
        with pytest.raises(IndexError, match="There is no block"):
            sums.add_residuals(np.array([block]), 0, rows, rows)
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        sums.add_residuals(blocks, 2, rows, rows)


def test_a_kernel_refuses_dampings_of_other_fields():
    grid, parameters = set_up()
    rule = UpdateRule(0.04, 0.01, True, 0, 0.0, 0.0, False, [(4.0, 4.0)] * 2)
    with pytest.raises(ValueError, match="dampings"):
        SGDKernel(grid, parameters, rule)


def test_products_refuse_matrices_that_do_not_fit():
    a, b, c = (np.zeros(shape, dtype=np.float32) for shape in ((5, 3), (5, 8), (3, 8)))
    project(a, b, c)
    expand(a, c, b)
    for function, *matrices in ((project, a, b[:4], c), (project, a, b, c[:2]), (expand, a, c[:2], b)):
        with pytest.raises(ValueError, match="do not fit"):
            function(*matrices)
    with pytest.raises(ValueError, match="square"):
        eigen(np.zeros((3, 3)), np.zeros((3, 2)))


@pytest.mark.parametrize("bad", [[4, 0], [0, 3], [-2, 0], [0, -(2**31)], [2**31 - 1, 0]])
def test_predict_refuses_indices_beyond_the_levels(bad):
    factors = [RowTable(np.ones((n, 2), np.float32)) for n in (4, 3)]
    biases = [RowTable(np.zeros(n, np.float32)) for n in (4, 3)]
    index = np.array([[0, 0]] * 6 + [[-1, -1], [3, 2]], dtype=np.int32)
    predict(index, factors, biases, 0.0, np.empty(8))
    for place in range(8):
        changed = index.copy()
        changed[place] = bad
        with pytest.raises(IndexError, match="beyond its"):
            predict(changed, factors, biases, 0.0, np.empty(8))
    with pytest.raises(ValueError, match="do not fit"):
        predict(index, factors, biases, 0.0, np.empty(7))
    with pytest.raises(ValueError, match="do not fit"):
        predict(index, factors, [biases[0], biases[0]], 0.0, np.empty(8))
    with pytest.raises(ValueError, match="numbers of tables"):
        predict(index, factors, biases[:1], 0.0, np.empty(8))
    with pytest.raises(ValueError, match="do not fit"):
        predict(index, [factors[0], RowTable(np.ones((3, 1), np.float32))], biases, 0.0, np.empty(8))
    with pytest.raises(TypeError, match="RowTable"):
        predict(index, [factors[0], np.ones((3, 2), np.float32)], biases, 0.0, np.empty(8))


def test_selection_refuses_what_does_not_fit():
    margin = np.zeros(2, np.float32)
    places = np.array([1, 3], dtype=np.int32)
    for start, stop in (([0, 0], [2, 3]), ([-1, 0], [0, 0]), ([2, 0], [1, 0])):
        with pytest.raises(IndexError, match="excluded"):
            TileSelector(2, margin, Excluded(np.array(start), np.array(stop), places), 4)
    with pytest.raises(ValueError, match="do not fit"):
        TileSelector(2, margin, Excluded.nothing(3), 4)
    with pytest.raises(ValueError, match="rows"):
        TileSelector(2, margin, Excluded.nothing(2), 4).take(np.zeros((3, 5), np.float32))
    found, values = np.zeros((1, 2), np.int32), np.zeros((1, 2))
    with pytest.raises(IndexError, match="beyond"):
        best(2, np.array([0, 4]), np.zeros(3, np.int32), np.zeros(3), found, values)
    with pytest.raises(ValueError, match="columns"):
        best(3, np.array([0, 3]), np.zeros(3, np.int32), np.zeros(3), found, values)


def test_a_kernel_refuses_losses_that_there_are_not():
    grid, parameters = set_up()
    for loss in (-1, 5):
        rule = UpdateRule(0.04, 0.01, True, loss, 0.0, 0.0, False, [(4.0, 4.0)] * 3)
        with pytest.raises(ValueError, match="no loss"):
            SGDKernel(grid, parameters, rule)


def test_hashing_refuses_what_does_not_fit():
    for values in (np.arange(3), np.zeros((3, 1), dtype=object)):
        with pytest.raises(TypeError, match="is not a column of objects"):
            hash_strings(values, np.empty(3, dtype=np.int32))
    assert integer_range(np.empty(0, dtype=np.int64)) == (0, -1)
    codes = np.empty(3, dtype=np.int32)
    with pytest.raises(ValueError, match="elements"):
        hash_integers(np.arange(4), codes)
    for offsets in ([0, 1, 2, 9], [0, 2, 1, 3], [-1, 1, 2, 3]):
        with pytest.raises(IndexError, match="offsets"):
            hash_bytes(np.zeros(3, np.uint8), np.array(offsets), codes)
    table = np.zeros(3, dtype=np.int32)
    mark_integers(np.array([5, 7, 8, 4, 2**62, -(2**63)]), 5, table)
    assert table.tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match="elements"):
        look_up_integers(np.arange(4), 0, table, codes)
