"""Compare ratings learned one after another with the oracle, and with the least squares that they should be."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import online_oracle as oracle
from helpers.losses import every_loss
from sklearn_mf._kernel.online import update
from sklearn_mf._kernel.precision import N_SUMS, PrecisionRule
from sklearn_mf._kernel.rows import RowTable
from sklearn_mf._kernel.sgd import LOSS_CODES

SIZES = (9, 8, 5, 3)
DAMPING = ((1.0, 0.6), (0.7, 1.5), (1.2, 0.9))
INTERCEPT, UNIT = 2.0, 1.5


def make_rule(n_fields, loss="squared_error", parameter=0.0, positive=False, fit_bias=True):
    """A rule; the kernel measures mean squares itself, whatever those of the rule are."""
    of_loss = (LOSS_CODES[loss], parameter, parameter, positive)
    return PrecisionRule(0.03, 0.02, fit_bias, DAMPING, 0.8, loss == "poisson", (9.0,) * n_fields, *of_loss)


def make_model(n_fields, rank, positive=False, centered=True):
    """Arrays of a model; the first levels have no ratings and no partners."""
    rng, sizes = np.random.default_rng(n_fields + rank), SIZES[:n_fields]
    rows = [rng.normal(0, 0.6, (size, rank)) for size in sizes]
    sums = [np.column_stack([*rng.uniform(0, 20, (2, size)), rng.integers(0, 9, size)]) for size in sizes]
    for own in sums:
        own[0] = 0
    return SimpleNamespace(
        rows=[np.abs(r) for r in rows] if positive else rows,
        biases=[rng.normal(0, 0.3, size) for size in sizes],
        sums=sums,
        centers=[rng.normal(0, 0.3, (size, rank + 1)) * (sums[f][:, 2:] > 0) for f, size in enumerate(sizes[:2])]
        if centered
        else [None, None],
        coefficients=[rng.normal(0, 0.3, (size, rank + 1)) for size in sizes[1::-1]] if centered else [None, None],
        square_sums=rng.uniform(20, 60, n_fields) * rank,
        totals=np.array([70.0, 50.0]),
    )


def make_ratings(n_fields, n=60, weighted=False, replacing=False, counts=False):
    rng = np.random.default_rng(n_fields)
    y = rng.poisson(2.0, (2, n)) + 0.0 if counts else rng.normal(INTERCEPT, UNIT, (2, n))
    return SimpleNamespace(
        index=np.stack([rng.integers(size, size=n) for size in SIZES[:n_fields]], axis=1).astype(np.int32),
        y=y[0],
        y_old=np.where(rng.random(n) < 0.4, y[1], np.nan) if replacing else None,
        weight=rng.uniform(0.2, 3, n) if weighted else None,
        is_partner=rng.integers(2, size=(n, 2)).astype(np.uint8),
    )


def tables_of(model):
    """The model as the kernel takes it: versions in which every row may be written to."""

    def table(array):
        return None if array is None else RowTable(np.array(array, dtype=np.float32))

    return SimpleNamespace(
        factors=[table(a) for a in model.rows],
        biases=[table(a) for a in model.biases],
        sums=[table(a) for a in model.sums],
        centers=[table(a) for a in model.centers],
        coefficients=[table(a) for a in model.coefficients],
        rank=model.rows[0].shape[1],
    )


def learn(ratings, model, rule, intercept=INTERCEPT, unit=UNIT, forgetting=0.0):
    """Learn with the kernel; return the loss, the tables and what is known of all ratings."""
    tables, square_sums, totals = tables_of(model), model.square_sums.copy(), model.totals.copy()
    of_ratings = (ratings.index, ratings.y, ratings.y_old, ratings.weight, ratings.is_partner)
    loss = update(tables, rule, intercept, unit, forgetting, *of_ratings, square_sums, totals)
    return loss, tables, square_sums, totals


def assert_as_the_oracle(ratings, model, rule, loss, unit=UNIT, forgetting=0.0):
    found, tables, square_sums, totals = learn(ratings, model, rule, unit=unit, forgetting=forgetting)
    expected = copy.deepcopy(model)
    np.testing.assert_allclose(
        found, oracle.learn(ratings, expected, rule, loss, INTERCEPT, unit, forgetting), rtol=1e-4
    )
    np.testing.assert_allclose(square_sums, expected.square_sums, rtol=1e-4)
    np.testing.assert_allclose(totals, expected.totals, rtol=1e-4, atol=1e-4)
    for name, of_kernel in (
        ("rows", tables.factors), ("biases", tables.biases), ("sums", tables.sums), ("centers", tables.centers),
    ):  # fmt: skip
        for array, table in zip(getattr(expected, name), of_kernel, strict=True):
            if array is not None:
                np.testing.assert_allclose(table.whole(), array, rtol=5e-4, atol=5e-4, err_msg=name)
    for array, table in zip(model.coefficients, tables.coefficients, strict=True):
        assert array is None or (table.whole() == array.astype(np.float32)).all()
    return expected


@every_loss
@pytest.mark.parametrize("replacing", [False, True], ids=["", "replacing"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("n_fields", [2, 3, 4])
def test_updates_match_the_oracle(n_fields, weighted, replacing, loss, parameter):
    ratings = make_ratings(n_fields, weighted=weighted, replacing=replacing, counts=loss == "poisson")
    model, rule = make_model(n_fields, 4), make_rule(n_fields, loss, parameter)
    assert_as_the_oracle(ratings, model, rule, loss, unit=1.0 if loss == "poisson" else UNIT)


@pytest.mark.parametrize("rank", [0, 1, 7, 32])
@pytest.mark.parametrize("n_fields", [2, 3])
def test_updates_of_ranks(n_fields, rank):
    ratings = make_ratings(n_fields, n=30, replacing=True)
    assert_as_the_oracle(ratings, make_model(n_fields, rank), make_rule(n_fields), "squared_error")


@pytest.mark.parametrize("forgetting", [0.02, 0.5])
@pytest.mark.parametrize(("loss", "parameter"), [("squared_error", 0.0), ("poisson", 0.4)])
def test_updates_that_forget(forgetting, loss, parameter):
    ratings = make_ratings(3, replacing=True, counts=loss == "poisson")
    rule = make_rule(3, loss, parameter)
    assert_as_the_oracle(ratings, make_model(3, 4), rule, loss, 1.0 if loss == "poisson" else UNIT, forgetting)


@pytest.mark.parametrize("n_fields", [2, 3])
def test_positive_factors_stay_at_zero_or_above(n_fields):
    """They reach zero by their own steps and by those of their centers."""
    model = make_model(n_fields, 4, positive=True)
    for rows in model.rows:
        rows *= 0.2
    model.coefficients = [-5 * np.abs(rows) for rows in model.coefficients]
    expected = assert_as_the_oracle(make_ratings(n_fields), model, make_rule(n_fields, positive=True), "squared_error")
    assert all((rows >= 0).all() and (rows == 0).any() for rows in expected.rows[:2])


def test_updates_without_biases_leave_them_alone():
    model = make_model(2, 4)
    expected = assert_as_the_oracle(make_ratings(2), model, make_rule(2, fit_bias=False), "squared_error")
    for before, after in zip(model.biases, expected.biases, strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("missing", ["centers", "coefficients", "one side"])
def test_updates_without_centers(missing):
    """A side without one of both has no centers, and counts no partners."""
    model, whole = make_model(2, 4), make_model(2, 4)
    sides = [0] if missing == "one side" else [0, 1]
    for side in sides:
        for name in ("coefficients",) if missing == "coefficients" else ("centers",):
            getattr(model, name)[side] = None
    ratings = make_ratings(2)
    _, tables, *_ = learn(ratings, model, make_rule(2))
    for side in range(2):
        counted = (tables.sums[side].whole()[:, 2] != whole.sums[side][:, 2]).any()
        assert counted == (side not in sides)
    if missing == "coefficients":
        model.centers = [None, None]
    assert_as_the_oracle(ratings, model, make_rule(2), "squared_error")


def test_a_model_that_knows_nothing_learns():
    """The first rating of all meets no mean squares."""
    model = make_model(2, 4)
    model.square_sums[:], model.totals[:] = 0, 0
    for own in model.sums:
        own[:] = 0
    model.centers = [np.zeros_like(center) for center in model.centers]
    assert_as_the_oracle(make_ratings(2), model, make_rule(2), "squared_error")


def one_free_bias(n_items, damping):
    """A model of rank 0 in which all biases but that of one user are known, and its rule."""
    model = make_model(2, 0, centered=False)
    rng = np.random.default_rng(3)
    model.biases = [np.zeros(1), rng.normal(0, 0.5, n_items)]
    model.rows, model.sums = ([np.zeros((n, width)) for n in (1, n_items)] for width in (0, N_SUMS))
    known = ((1.0, damping), (1.0, 1e12), (1.0, 1.0))
    return model, PrecisionRule(0.0, 0.0, True, known, 1.0, False, (0.0, 0.0), 0, 0.0, 0.0, False)


def ratings_of_one_user(n, weights, y_old=None):
    y = np.random.default_rng(4).normal(INTERCEPT, UNIT, n)
    index = np.column_stack([np.zeros(n, np.int32), np.arange(n, dtype=np.int32)])
    return SimpleNamespace(index=index, y=y, y_old=y_old, weight=weights, is_partner=np.zeros((n, 2), np.uint8))


def ridge(model, ratings, y, damping):
    weight = np.ones(len(y)) if ratings.weight is None else ratings.weight
    return (weight * (y - INTERCEPT - model.biases[1][ratings.index[:, 1]])).sum() / (weight.sum() + damping)


@pytest.mark.parametrize("damping", [0.5, 4.0, 40.0])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_one_bias_is_the_ridge_regression_on_all_ratings(weighted, damping):
    """Learned one rating at a time."""
    model, rule = one_free_bias(100, damping)
    weights = np.random.default_rng(6).uniform(0.1, 4, 100) if weighted else None
    ratings = ratings_of_one_user(100, weights)
    _, tables, *_ = learn(ratings, model, rule)
    np.testing.assert_allclose(tables.biases[0].whole(), ridge(model, ratings, ratings.y, damping), rtol=1e-5)
    np.testing.assert_allclose(tables.biases[1].whole(), model.biases[1], rtol=1e-6)
    total = 100 if weights is None else weights.sum()
    np.testing.assert_allclose(tables.sums[0].whole()[0, 0], total, rtol=1e-5)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_replaced_ratings_of_one_bias_are_as_if_never_given(weighted):
    model, rule = one_free_bias(50, 4.0)
    weights = np.random.default_rng(6).uniform(0.1, 4, 50) if weighted else None
    ratings = ratings_of_one_user(50, weights)
    _, tables, _, totals = learn(ratings, model, rule)
    then = copy.deepcopy(model)
    then.biases[0], then.sums = tables.biases[0].whole(), [table.whole() for table in tables.sums]
    then.totals = totals
    new = ratings.y + np.random.default_rng(7).normal(0, 2, 50)
    replaced = ratings_of_one_user(50, weights, y_old=ratings.y)
    replaced.y = new
    _, tables, _, totals_after = learn(replaced, then, rule)
    np.testing.assert_allclose(tables.biases[0].whole(), ridge(model, ratings, new, 4.0), rtol=1e-4)
    np.testing.assert_array_equal(tables.sums[0].whole()[:, 0], then.sums[0][:, 0])
    assert totals_after[0] == totals[0]


@every_loss
@pytest.mark.parametrize("n_fields", [2, 3])
def test_a_rating_that_replaces_its_like_changes_nothing(n_fields, loss, parameter):
    ratings, model = make_ratings(n_fields, weighted=True, counts=loss == "poisson"), make_model(n_fields, 7)
    ratings.y_old, ratings.is_partner[:] = ratings.y.copy(), 0
    _, tables, square_sums, totals = learn(ratings, model, make_rule(n_fields, loss, parameter))
    before = tables_of(model)
    for name in ("factors", "biases", "sums"):
        for old, new in zip(getattr(before, name), getattr(tables, name), strict=True):
            np.testing.assert_array_equal(old.whole(), new.whole())
    np.testing.assert_array_equal(square_sums, model.square_sums)
    np.testing.assert_array_equal(totals, model.totals)


@pytest.mark.parametrize("n_fields", [2, 3])
def test_replacing_a_rating_brings_rows_to_where_it_alone_would(n_fields):
    """To first order in the steps: factors have moved when the second rating comes."""
    model, rule = make_model(n_fields, 4, centered=False), make_rule(n_fields)
    for own in model.sums:
        own[:, :2] += 20  # steps are short
    ratings = make_ratings(n_fields, n=1)

    def rows_after(y, y_old=None, model=model):
        ratings.y, ratings.y_old = np.array([y]), None if y_old is None else np.array([y_old])
        _, tables, square_sums, totals = learn(ratings, model, rule)
        return SimpleNamespace(
            **{**vars(model), "square_sums": square_sums, "totals": totals},
            **{"at": np.concatenate([t.whole()[i] for t, i in zip(tables.factors, ratings.index[0], strict=True)])},
        ), tables

    old, tables = rows_after(INTERCEPT + 2)
    new, _ = rows_after(INTERCEPT - 3)
    learned = copy.copy(old)
    learned.rows, learned.biases, learned.sums = (
        [table.whole().astype(np.float64) for table in kind] for kind in (tables.factors, tables.biases, tables.sums)
    )
    del learned.at
    replaced, after = rows_after(INTERCEPT - 3, INTERCEPT + 2, learned)
    assert np.abs(replaced.at - new.at).max() < 0.1 * np.abs(old.at - new.at).max()
    np.testing.assert_allclose(replaced.totals[0], new.totals[0])
    for before, now in zip(tables.sums, after.sums, strict=True):
        np.testing.assert_array_equal(before.whole()[:, 0], now.whole()[:, 0])


def test_versions_are_written_to_and_the_tables_before_are_not():
    """Over several chunks, of which the ratings touch some."""
    n, rank = 1300, 3
    rng = np.random.default_rng(0)
    index = rng.choice([5, 600, 601, 1299], (40, 2)).astype(np.int32)
    arrays = [rng.uniform(0.1, 1, shape).astype(np.float32) for shape in ((n, rank), (n,), (n, N_SUMS))]
    first = [[RowTable(array.copy()) for _ in range(2)] for array in arrays]
    levels = [np.unique(column) for column in index.T]
    second = [[t.version(own, n) for t, own in zip(kind, levels, strict=True)] for kind in first]
    results, y, partners = [], rng.normal(size=40), np.ones((40, 2), np.uint8)
    for factors, biases, sums in (second, [[RowTable(array.copy()) for _ in range(2)] for array in arrays]):
        none = [None, None]
        tables = SimpleNamespace(factors=factors, biases=biases, sums=sums, centers=none, coefficients=none, rank=rank)
        update(tables, make_rule(2), 0.0, 1.0, 0.0, index, y, None, None, partners, np.ones(2), np.ones(2))
        results.append([table.whole() for kind in (factors, biases, sums) for table in kind])
    for chunked, whole in zip(*results, strict=True):
        np.testing.assert_array_equal(chunked, whole)
    for kind, array in zip(first, arrays, strict=True):
        for table in kind:
            np.testing.assert_array_equal(table.whole(), array)


def table(*shape):
    return RowTable(np.ones(shape, dtype=np.float32))


@pytest.mark.parametrize(
    ("name", "bad", "error"),
    [
        ("factors", [table(9, 4)], "as many tables"),
        ("biases", [table(9)], "numbers of tables"),
        ("biases", [table(9), table(9)], "factors and biases"),
        ("factors", [table(9, 4), table(8, 3)], "factors and biases"),
        ("factors", [np.ones((9, 4), np.float32), table(8, 4)], "RowTable"),
        ("sums", [table(9, N_SUMS)], "as many tables"),
        ("sums", [table(9, N_SUMS), table(7, N_SUMS)], "factors and sums"),
        ("sums", [table(9, N_SUMS - 1), table(8, N_SUMS)], "factors and sums"),
        ("sums", [table(9, N_SUMS), np.ones((8, N_SUMS), np.float32)], "RowTable"),
        ("centers", [table(8, 5), table(8, 5)], "centers and coefficients"),
        ("centers", [table(9, 5), table(8, 4)], "centers and coefficients"),
        ("centers", [table(9, 5), np.ones((8, 5), np.float32)], "RowTable"),
        ("coefficients", [table(9, 5), table(9, 5)], "centers and coefficients"),
        ("coefficients", [table(8, 5), table(9, 6)], "centers and coefficients"),
        ("coefficients", [table(8, 5), np.ones((9, 5), np.float32)], "RowTable"),
        ("rank", 5, "rank is not"),
        ("rank", 3, "rank is not"),
    ],
)
def test_tables_that_do_not_fit_are_refused(name, bad, error):
    ratings, model = make_ratings(2), make_model(2, 4)
    tables = tables_of(model)
    of_ratings = (ratings.index, ratings.y, None, None, ratings.is_partner)
    given = make_rule(2), INTERCEPT, UNIT, 0.0, *of_ratings, model.square_sums, model.totals
    update(tables, *given)
    setattr(tables, name, bad)
    with pytest.raises((ValueError, TypeError), match=error):
        update(tables, *given)


@pytest.mark.parametrize(
    ("name", "bad", "error"),
    [
        ("index", np.full((60, 2), -1, np.int32), "below 0"),
        ("index", np.array([[0, 0]] * 59 + [[0, -1]], np.int32), "below 0"),
        ("index", np.array([[0, 0]] * 59 + [[9, 0]], np.int32), "beyond its 9 levels"),
        ("index", np.array([[0, 8]] + [[0, 0]] * 59, np.int32), "beyond its 8 levels"),
        ("index", np.full((60, 2), -(2**31), np.int32), "beyond its"),
        ("index", np.zeros((60, 3), np.int32), "as many tables"),
        ("index", np.zeros((61, 2), np.int32), "two numbers for each rating"),
        ("y", np.zeros(59), "index, y and y_old"),
        ("y_old", np.zeros(61), "index, y and y_old"),
        ("weight", np.ones(59), "index and weight"),
        ("is_partner", np.zeros((59, 2), np.uint8), "two numbers for each rating"),
        ("is_partner", np.zeros((60, 3), np.uint8), "two numbers for each rating"),
        ("square_sums", np.zeros(3), "square_sums needs"),
        ("totals", np.zeros(1), "square_sums needs"),
        ("rule", make_rule(3), "mean square for each field"),
        ("rule", make_rule(2)._replace(damping=DAMPING[:2]), "three dampings"),
        ("rule", make_rule(2)._replace(loss=5), "no loss"),
        ("rule", make_rule(2)._replace(loss=-1), "no loss"),
    ],
)
def test_ratings_that_do_not_fit_are_refused(name, bad, error):
    ratings, model = make_ratings(2), make_model(2, 4)
    given = {
        "tables": tables_of(model),
        "rule": make_rule(2),
        "intercept": INTERCEPT,
        "unit": UNIT,
        "forgetting": 0.0,
        **vars(ratings),
        "square_sums": model.square_sums,
        "totals": model.totals,
    }
    update(*given.values())
    with pytest.raises((ValueError, IndexError), match=error):
        update(*{**given, name: bad}.values())


def test_updates_by_no_rating_or_of_one_field_are_refused():
    ratings, model = make_ratings(2), make_model(2, 4)
    for name in ("index", "y", "is_partner"):
        setattr(ratings, name, getattr(ratings, name)[:0])
    with pytest.raises(ValueError, match="index, y and y_old"):
        learn(ratings, model, make_rule(2))
    for name in ("rows", "biases", "sums"):
        setattr(model, name, getattr(model, name)[:1])
    one, model.square_sums = make_ratings(1), np.zeros(1)
    with pytest.raises(ValueError, match="as many tables"):
        learn(one, model, make_rule(2))
