"""Compare how well rows are known with the oracle: errors with ratings left out, and variances of predictions."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import online_oracle as oracle
from helpers.descent import HYPER, ONE, SIZES, grid_and_parameters, set_up
from helpers.losses import every_loss
from sklearn_mf._kernel.precision import COUPLING, N_SUMS, LeftOutErrors, PrecisionRule, variances
from sklearn_mf._kernel.rows import RowTable
from sklearn_mf._kernel.sgd import LANES, LOSS_CODES, predict

OF_FIELDS = [*SIZES, 5]
DAMPING = ((1.0, 0.6), (0.7, 1.5), (1.2, 0.9))


def make_rule(n_fields, loss="squared_error", parameter=0.0, fit_bias=True):
    squares = tuple(0.2 + 0.1 * f for f in range(n_fields))
    of_loss = (LOSS_CODES[loss], parameter, parameter, False)
    return PrecisionRule(0.03, 0.02, fit_bias, DAMPING, 0.8, loss == "poisson", squares, *of_loss)


def random_grid(n_fields, rank=4, weighted=False, tied=False, n=150):
    """A grid of four blocks and parameters that are far from zero."""
    rng, sizes = np.random.default_rng(0), OF_FIELDS[:n_fields]
    pairs = np.unravel_index(rng.choice(sizes[0] * sizes[1], n, replace=False), sizes[:2])
    codes = [column.astype(np.int32) for column in (*pairs, *(rng.integers(size, size=n) for size in sizes[2:]))]
    weights = rng.integers(1, 4, n).astype(float) if weighted else None
    hyper = dataclasses.replace(HYPER, rank=rank)
    grid, parameters = grid_and_parameters(codes, rng.poisson(2.0, n) + 0.0, weights, sizes, hyper, rng, n_groups=2)
    table = parameters.table
    table[:, :rank] = rng.normal(0, 0.5, (len(table), rank))
    parameters.scalars[:, 0] = rng.normal(0, 0.3, len(table))
    if tied:
        ties = rng.normal(0, 0.3, (grid.n_pair_rows, LANES)).astype(np.float32)
        centers = rng.normal(size=table.shape).astype(np.float32)
        parameters = dataclasses.replace(parameters, table=np.hstack([table, centers]), ties=ties)
    return grid, parameters


def stacked(grid):
    """The stacked row of each rating in each field."""
    index = grid.index.astype(np.int64)
    for b, (lo, hi) in enumerate(zip(grid.block_start[:-1], grid.block_start[1:], strict=True)):
        index[lo:hi, :2] += grid.first_row[b]
        index[lo:hi, 2:] = grid.context_rows[grid.context_start[b] + index[lo:hi, 2:]]
    return index


def assert_left_out(grid, parameters, rule, loss, parameter=0.0, rank=4):
    """The squares of all rows, and what each block says that users gained, are those of the oracle."""
    errors = LeftOutErrors(grid, parameters, rule)
    totals = [errors.add_block(b) for b in range(len(grid.block_start) - 1)]
    index, n = stacked(grid), len(grid.target)
    added = oracle.left_out_squares(
        index,
        grid.target.astype(np.float64),
        np.ones(n) if grid.weight is None else grid.weight.astype(np.float64),
        parameters.table[:, :rank].astype(np.float64),
        parameters.scalars[:, 0].astype(np.float64),
        grid.row_weights,
        rule,
        loss,
        parameter,
        None if parameters.ties is None else parameters.ties.astype(np.float64),
    )
    np.testing.assert_allclose(totals, np.add.reduceat(added, grid.block_start[:-1]), rtol=2e-4)
    expected = np.zeros(len(parameters.table))
    for f in range(index.shape[1]):
        if f < 2 or rule.has_curvatures:
            np.add.at(expected, index[:, f], added)
    np.testing.assert_allclose(errors.squares, expected, rtol=2e-4, atol=1e-6)


@every_loss
@pytest.mark.parametrize("tied", [False, True], ids=["", "tied"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("n_fields", [2, 3, 4])
def test_left_out_errors_match_the_oracle(simd, n_fields, weighted, tied, loss, parameter):
    """Counts get curvatures, of all fields; the other losses squares, of users and items."""
    grid, parameters = random_grid(n_fields, weighted=weighted, tied=tied)
    if loss == "poisson":
        grid.target[:] = np.random.default_rng(1).poisson(2.0, len(grid.target))
    assert_left_out(grid, parameters, make_rule(n_fields, loss, parameter), loss, parameter)


@pytest.mark.parametrize("rank", [0, 1, 7, 32])
@pytest.mark.parametrize("n_fields", [2, 3])
def test_left_out_errors_of_ranks(simd, n_fields, rank):
    grid, parameters = random_grid(n_fields, rank, tied=True)
    assert_left_out(grid, parameters, make_rule(n_fields), "squared_error", rank=rank)


def test_left_out_errors_without_biases():
    grid, parameters = random_grid(2)
    assert_left_out(grid, parameters, make_rule(2, fit_bias=False), "squared_error")


def test_left_out_errors_without_penalties():
    """A row with one rating knows nothing without it, which is large and finite."""
    grid, parameters = random_grid(2)
    rule = make_rule(2)._replace(alpha=0.0, alpha_bias=0.0, damping=((0.0, 0.0),) * 3)
    assert (grid.row_weights == 1).any()
    assert_left_out(grid, parameters, rule, "squared_error")


def test_squares_of_a_mean_are_those_of_fits_without_each_rating():
    """With one user bias alone: e^2 (1 + h) is the product of the errors with the rating and without it."""
    y, damping, n = np.array([1.0, -2.0, 0.5, 3.0, 0.0]), 1.5, 5
    codes = [np.zeros(n, dtype=np.int32), np.arange(n, dtype=np.int32)]
    hyper = dataclasses.replace(HYPER, rank=0)
    grid, parameters = grid_and_parameters(codes, y, None, [1, n], hyper, np.random.default_rng(0), n_groups=1)
    target = grid.target.astype(np.float64)
    parameters.scalars[:, 0] = 0
    bias = parameters.scalars[0, 0] = target.sum() / (n + damping)
    known_items = ((1.0, damping), (1.0, 1e12), (1.0, 1.0))
    rule = PrecisionRule(0.0, 0.0, True, known_items, 1.0, False, (0.0, 0.0), 0, 0.0, 0.0, False)
    without = target - (target.sum() - target) / (n - 1 + damping)
    total = LeftOutErrors(grid, parameters, rule).add_block(0)
    np.testing.assert_allclose(total, ((target - bias) * without).sum(), rtol=1e-5)


def random_model(n_fields, rank, n_levels=9):
    """Tables of levels of which more and less is known; the first has no ratings."""
    rng = np.random.default_rng(n_fields + rank)
    rows = [rng.normal(0, 0.7, (n_levels - f, rank)).astype(np.float32) for f in range(n_fields)]
    biases = [rng.normal(0, 0.4, n_levels - f).astype(np.float32) for f in range(n_fields)]
    sums = [rng.uniform(0, 40, (n_levels - f, N_SUMS)).astype(np.float32) for f in range(n_fields)]
    for own in sums:
        own[0] = 0
    model = SimpleNamespace(factors=[RowTable(r) for r in rows], biases=[RowTable(b) for b in biases], intercept=3.5)
    return model, rows, sums


def random_index(n_fields, n=61, n_levels=9):
    """Rows with levels never seen among others, one or all of them."""
    rng = np.random.default_rng(5)
    index = np.stack([rng.integers(n_levels - f, size=n) for f in range(n_fields)], axis=1)
    index[rng.random(index.shape) < 0.2] = -1
    index[7] = -1
    return index.astype(np.int32)


@pytest.mark.parametrize("of_mean", [False, True], ids=["rating", "mean"])
@pytest.mark.parametrize("rank", [0, 1, 7, 32])
@pytest.mark.parametrize("n_fields", [2, 3, 4])
def test_variances_match_the_oracle(simd, n_fields, rank, of_mean):
    model, rows, sums = random_model(n_fields, rank)
    index, rule = random_index(n_fields), make_rule(n_fields)
    out, scores = np.empty(len(index)), np.full(len(index), np.nan)
    variances(index, model, [RowTable(s) for s in sums], rule, 2.5, 0.6, 15.0, of_mean, out, scores)
    rows, sums = ([a.astype(np.float64) for a in arrays] for arrays in (rows, sums))
    np.testing.assert_allclose(out, oracle.variances(index, rows, sums, rule, 2.5, 0.6, 15.0, of_mean), rtol=1e-5)
    assert np.isnan(scores).all() == (n_fields > 2)


@pytest.mark.parametrize("rank", [0, 1, 7, 8, 16, 32, 33])
@pytest.mark.parametrize("n", [1, 3, 4, 61])
def test_scores_of_pairs_are_those_of_predict_bit_for_bit(simd, rank, n):
    model, _, sums = random_model(2, rank)
    index = random_index(2)[-n:]
    out, scores, expected = np.empty(n), np.empty(n), np.empty(n)
    variances(index, model, [RowTable(s) for s in sums], make_rule(2), 2.5, 0.6, 15.0, True, out, scores)
    predict(index, model.factors, model.biases, model.intercept, expected)
    np.testing.assert_array_equal(scores, expected)


def test_variances_read_every_chunk_of_every_version():
    """A model in chunks of three versions gives what the same model in one piece gives."""
    rng, n = np.random.default_rng(0), 1300
    arrays = [rng.uniform(0.1, 3, shape).astype(np.float32) for shape in ((n, 5), (n,), (n, N_SUMS))]
    pieces, found = [], []
    for array in arrays:
        table = RowTable(array[:700].copy()).version(np.arange(700, n), n)
        table.put(np.arange(700, n), array[700:])
        table = table.version([3, 1290], n)
        array[3] = 0.5
        table.put([3], array[[3]])
        pieces.append(table)
    index = np.stack([rng.permutation(n), rng.permutation(n)], axis=1).astype(np.int32)
    for tables in (pieces, [RowTable(array) for array in arrays]):
        model = SimpleNamespace(factors=[tables[0]] * 2, biases=[tables[1]] * 2, intercept=0.5)
        out = np.empty((2, n))
        variances(index, model, [tables[2]] * 2, make_rule(2), 1.0, 0.6, 15.0, False, out[0], out[1])
        found.append(out)
    np.testing.assert_array_equal(*found)


def test_without_noise_there_is_no_variance():
    model, _, sums = random_model(2, 3)
    out = np.full(61, np.nan)
    for own in sums:
        own[:, 1] = 0
    tables = [RowTable(s) for s in sums]
    variances(random_index(2), model, tables, make_rule(2), 2.5, 0.0, 15.0, False, out, np.empty(61))
    assert (out == 0).all()


def test_the_coupling_is_that_of_the_oracle():
    assert pytest.approx(oracle.COUPLING) == COUPLING


@pytest.mark.parametrize(
    ("name", "bad", "error"),
    [
        ("index", random_index(3), "do not fit"),
        ("index", random_index(2) + 9, "beyond its"),
        ("index", random_index(2) - 1, "beyond its"),
        ("out", np.empty(60), "do not fit"),
        ("scores", np.empty(62), "do not fit"),
        ("sums", [RowTable(np.ones((9, N_SUMS), np.float32))], "do not fit"),
        ("sums", [RowTable(np.ones((n, N_SUMS), np.float32)) for n in (9, 7)], "factors and sums"),
        ("sums", [RowTable(np.ones((n, N_SUMS - 1), np.float32)) for n in (9, 8)], "factors and sums"),
        ("sums", [np.ones((n, N_SUMS), np.float32) for n in (9, 8)], "RowTable"),
        ("rule", make_rule(3), "do not fit"),
        ("rule", make_rule(2)._replace(damping=DAMPING[:2]), "three dampings"),
    ],
)
def test_variances_refuse_what_does_not_fit(name, bad, error):
    model, _, sums = random_model(2, 3)
    given = {
        "index": random_index(2),
        "model": model,
        "sums": [RowTable(s) for s in sums],
        "rule": make_rule(2),
        "unit": 1.0,
        "noise": 1.0,
        "prior_weight": 15.0,
        "of_mean": False,
        "out": np.empty(61),
        "scores": np.empty(61),
    }
    variances(*given.values())
    with pytest.raises((ValueError, IndexError, TypeError), match=error):
        variances(*{**given, name: bad}.values())


def test_variances_refuse_tables_that_do_not_fit():
    model, _, sums = random_model(2, 3)
    sums = [RowTable(s) for s in sums]

    def ask(factors, biases, index, sums, rule):
        of = SimpleNamespace(factors=factors, biases=biases, intercept=0.0)
        variances(index, of, sums, rule, 1.0, 1.0, 15.0, False, np.empty(61), np.empty(61))

    of_two = random_index(2), sums, make_rule(2)
    ask(model.factors, model.biases, *of_two)
    with pytest.raises(ValueError, match="do not fit each other"):
        ask(model.factors[:1], model.biases, *of_two)
    with pytest.raises(ValueError, match="factors and biases"):
        ask(model.factors, model.biases[::-1], *of_two)
    with pytest.raises(ValueError, match="mean square for each field"):
        ask(model.factors[:1], model.biases[:1], np.zeros((61, 1), np.int32), sums[:1], make_rule(1))


def shorter(array):
    return np.ascontiguousarray(array[:-1])


@pytest.mark.parametrize("n_fields", [2, 3])
@pytest.mark.parametrize("name", ["target", "block_start", "first_row", "context_rows", "context_start", "row_weights"])
def test_left_out_errors_refuse_lengths_that_do_not_fit(n_fields, name):
    grid, parameters = set_up(n_fields)
    changed = {name: shorter(getattr(grid, name))}
    if n_fields == 2 and name == "context_rows":
        changed = {name: np.zeros(1, np.int32)}
    LeftOutErrors(grid, parameters, make_rule(n_fields))
    with pytest.raises((ValueError, IndexError), match=r"do not fit|does not rise"):
        LeftOutErrors(dataclasses.replace(grid, **changed), parameters, make_rule(n_fields))


def test_left_out_errors_refuse_parameters_that_do_not_fit():
    grid, parameters = set_up()
    ties = np.zeros((grid.n_pair_rows, LANES), dtype=np.float32)
    for changed in (
        {"table": shorter(parameters.table)},
        {"scalars": shorter(parameters.scalars)},
        {"table": np.zeros((len(parameters.table), LANES - 1), np.float32)},
        {"ties": ties},  # without a center beside each row
        {"ties": shorter(ties), "table": np.hstack([parameters.table] * 2)},
        {"ties": shorter(ties.T).T.copy(), "table": np.hstack([parameters.table] * 2)},
    ):
        with pytest.raises(ValueError, match="do not fit"):
            LeftOutErrors(grid, dataclasses.replace(parameters, **changed), make_rule(2))
    with pytest.raises(ValueError, match="do not fit"):
        LeftOutErrors(dataclasses.replace(grid, weight=np.ones(5, np.float32)), parameters, make_rule(2))


def test_left_out_errors_refuse_rules_that_do_not_fit():
    grid, parameters = set_up()
    with pytest.raises(ValueError, match="do not fit"):
        LeftOutErrors(grid, parameters, make_rule(3))
    with pytest.raises(ValueError, match="three dampings"):
        LeftOutErrors(grid, parameters, make_rule(2)._replace(damping=DAMPING[:2]))
    for loss in (-1, 5):
        with pytest.raises(ValueError, match="no loss"):
            LeftOutErrors(grid, parameters, make_rule(2)._replace(loss=loss))


@pytest.mark.parametrize("n_fields", [2, 3])
@pytest.mark.parametrize("bad", [-1, -(2**31), 1000, 2**31 - 1])
def test_left_out_errors_refuse_every_index_beyond_its_rows(n_fields, bad):
    for field in range(n_fields):
        for place in (0, 777, -1):
            grid, parameters = set_up(n_fields)
            grid.index[place, field] = bad
            with pytest.raises(IndexError, match="index of a rating"):
                LeftOutErrors(grid, parameters, make_rule(n_fields))


@pytest.mark.parametrize("bad", [-1, 10**6, 2**63 - 1])
@pytest.mark.parametrize("side", [0, 1])
def test_left_out_errors_refuse_first_rows_beyond_the_rows(side, bad):
    grid, parameters = set_up()
    first_row = grid.first_row.copy()
    first_row[3, side] = bad
    with pytest.raises(IndexError, match="index of a rating"):
        LeftOutErrors(dataclasses.replace(grid, first_row=first_row), parameters, make_rule(2))


@pytest.mark.parametrize("bad", [-1, 10**6])
def test_left_out_errors_refuse_context_rows_beyond_the_table(bad):
    grid, parameters = set_up(3)
    grid.context_rows[2] = bad
    with pytest.raises(IndexError, match="context_rows"):
        LeftOutErrors(grid, parameters, make_rule(3))


def test_left_out_errors_refuse_grids_of_more_rows_than_parameters():
    grid, parameters = set_up()
    n = grid.n_pair_rows - 1
    grid = dataclasses.replace(grid, row_weights=grid.row_weights[:n].copy())
    parameters = dataclasses.replace(
        parameters, table=parameters.table[:n].copy(), scalars=parameters.scalars[:n].copy()
    )
    with pytest.raises(IndexError, match="index of a rating"):
        LeftOutErrors(grid, parameters, make_rule(2))


def test_left_out_errors_refuse_blocks_that_there_are_not():
    errors = LeftOutErrors(*set_up(), make_rule(2))
    for block in (-1, 16):
        with pytest.raises(IndexError, match="There is no block"):
            errors.add_block(block)


def test_left_out_errors_keep_their_arrays():
    """The arrays live as long as the object does, whatever happens to the grid; a block may be empty."""
    errors = LeftOutErrors(*random_grid(2, n=3), make_rule(2))
    totals = ONE.threads.map(errors.add_block, range(4))
    assert 0.0 in totals
    assert np.isfinite(errors.squares).all()
    assert sum(totals) > 0
