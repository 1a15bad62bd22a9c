"""Check the kernel of alternating least squares against exact solutions, on all instruction sets."""

import numpy as np
import pytest
from helpers.preferences import solve_row
from scipy import sparse
from sklearn_mf._kernel.als import LANES, ALSSide, gram

from sklearn_mf._kernel import SIMD, select_simd

RANKS = [LANES, 2 * LANES, 3 * LANES, 64, 128, 144]
W0 = 0.05


@pytest.fixture(params=["baseline", "avx2", "avx512"])
def simd(request):
    try:
        yield select_simd(request.param)
    except ValueError:
        pytest.skip(f"{request.param} is not available here")
    finally:
        select_simd(SIMD)


def make_side(rank, weighted=True, n_rows=30, n_other=50, seed=0):
    """A side with rows of all lengths, among them none and more than a batch, and the table that it is made of."""
    rng = np.random.default_rng(seed)
    share = np.linspace(0, 0.9, n_rows)[:, None]
    table = sparse.csr_array((rng.random((n_rows, n_other)) < share) * (rng.random((n_rows, n_other)) + 0.5))
    table.data = (table.data if weighted else np.ones(table.nnz)).astype(np.float32)
    ridge = (0.1 + rng.random(n_rows)).astype(np.float32)
    other = rng.normal(0, 0.3, size=(n_other, rank)).astype(np.float32)
    weight = table.data if weighted else None
    side = ALSSide(table.indptr.astype(np.int64), table.indices.astype(np.int32), weight, ridge, n_other)
    return side, table.toarray().astype(np.float64), ridge, other


def held(other):
    return (W0 * other.T.astype(np.float64) @ other).astype(np.float32)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("weighted", [False, True])
def test_many_steps_solve_the_rows(rank, weighted, simd):
    side, table, ridge, other = make_side(rank, weighted)
    own = np.zeros((len(table), rank), dtype=np.float32)
    side.solve(0, len(table), held(other), other, own, 200, 1e-14)
    for row, weights, strength in zip(own, table, ridge, strict=True):
        expected = solve_row(weights, other.astype(np.float64), strength, W0)
        np.testing.assert_allclose(row, expected, rtol=0, atol=2e-5 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("rank", [LANES, 64, 144])
def test_a_step_is_that_of_conjugate_gradients(rank, simd):
    side, table, ridge, other = make_side(rank)
    own = np.random.default_rng(1).normal(0, 0.2, size=(len(table), rank)).astype(np.float32)
    start = own.astype(np.float64)
    side.solve(0, len(table), held(other), other, own, 2, 0.0)
    q = other.astype(np.float64)
    for row, x, weights, strength in zip(own, start, table, ridge, strict=True):
        matrix = W0 * q.T @ q + (q.T * weights) @ q + strength * np.eye(rank)
        residual = q.T @ weights - matrix @ x
        direction = residual.copy()
        for _ in range(2):
            length = residual @ residual / (direction @ matrix @ direction)
            x, before = x + length * direction, residual @ residual
            residual = residual - length * matrix @ direction
            direction = residual + residual @ residual / before * direction
        np.testing.assert_allclose(row, x, rtol=0, atol=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
def test_objective_decrease_and_penalty(weighted, simd):
    """What the kernel adds up is the objective of the rows before, and how far the steps have lowered it."""
    side, table, ridge, other = make_side(64, weighted)
    own = np.random.default_rng(1).normal(0, 0.2, size=(len(table), 64)).astype(np.float32)

    def total():
        scores = own.astype(np.float64) @ other.T
        return np.sum(table * (1 - scores) ** 2) + W0 * np.sum(scores**2) + ridge @ np.sum(own**2, axis=1)

    before = total()
    told, decrease, penalty = side.solve(0, len(table), held(other), other, own, 3, 0.0)
    assert told == pytest.approx(before, rel=1e-5)
    assert decrease == pytest.approx(before - total(), rel=1e-4)
    assert penalty == pytest.approx(ridge @ np.sum(own**2, axis=1), rel=1e-5)


def test_a_row_does_not_depend_on_those_beside_it(simd):
    side, table, _, other = make_side(128)
    n, gram_of_other = len(table), held(other)
    together, alone = (np.zeros((n, 128), dtype=np.float32) for _ in range(2))
    side.solve(0, n, gram_of_other, other, together, 3, 0.0)
    for r in reversed(range(n)):
        side.solve(r, r + 1, gram_of_other, other, alone, 3, 0.0)
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("n", [0, 1, 7, 256, 1000])
def test_gram(rank, n, simd):
    rows = np.random.default_rng(0).normal(size=(n, rank)).astype(np.float32)
    expected = rows.T.astype(np.float64) @ rows
    found = gram(rows)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * max(1, n) ** 0.5)
    assert np.array_equal(found, found.T)


@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1e10])
def test_rows_stay_finite_without_a_penalty(scale, simd):
    side, table, _, other = make_side(64)
    free = ALSSide(
        np.arange(len(table) + 1, dtype=np.int64), np.arange(len(table), dtype=np.int32), None,
        np.zeros(len(table), dtype=np.float32), 50,
    )  # fmt: skip
    other = (other * np.float32(scale)).astype(np.float32)
    own = np.zeros((len(table), 64), dtype=np.float32)
    for given in (side, free):
        given.solve(0, len(table), held(other), other, own, 50, 0.0)
        assert np.isfinite(own).all()


def test_what_does_not_fit_is_refused():
    side, table, ridge, other = make_side(64)
    own = np.zeros((len(table), 64), dtype=np.float32)
    start, index = np.array([0, 1, 2]), np.array([0, 1], dtype=np.int32)
    with pytest.raises(ValueError, match="do not fit each other"):
        ALSSide(start, index, None, ridge, 50)
    with pytest.raises(ValueError, match="do not fit each other"):
        ALSSide(start, index, np.ones(3, dtype=np.float32), ridge[:2], 50)
    for bad in ([0, 2, 1], [1, 1, 2], [0, 1, 3]):
        with pytest.raises(IndexError, match="start does not rise"):
            ALSSide(np.array(bad), index, None, ridge[:2], 50)
    for bad in (-1, 50):
        with pytest.raises(IndexError, match="beyond the 50 rows"):
            ALSSide(start, np.array([0, bad], dtype=np.int32), None, ridge[:2], 50)
    for last in (-1, len(table) + 1):
        with pytest.raises(IndexError, match="beyond"):
            side.solve(0, last, held(other), other, own, 1, 0.0)
    with pytest.raises(ValueError, match="same rank"):
        side.solve(0, 1, held(other), other, own[:, :48].copy(), 1, 0.0)
    with pytest.raises(ValueError, match="do not fit the two sides"):
        side.solve(0, 1, held(other), other[1:], own, 1, 0.0)
    with pytest.raises(ValueError, match="not a multiple"):
        gram(np.zeros((3, 5), dtype=np.float32))
