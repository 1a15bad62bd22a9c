"""Compare the steps of the regression of centers with NumPy, in double precision."""

import numpy as np
import pytest
from sklearn_mf._kernel.partners import CenteredRows, move_coefficients, precondition, subtract_ridge
from sklearn_mf._kernel.sgd import LANES

SIZES = [0, 1, 3, 4, 9, 30]
WIDTHS = [8, 16, 40]
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def wide_rows(rng, n, width):
    """Factors, a bias, and zeros."""
    rows = rng.normal(size=(n, width + LANES)).astype(np.float32)
    rows[:, width + 1 :] = 0
    return rows


class Side:
    """Rows and centers as training has them: behind each other, biases in columns of other arrays."""

    def __init__(self, rng, n, width):
        self.table = rng.normal(size=(n, 2 * width)).astype(np.float32)
        self.scalars, self.ties = rng.normal(size=(n, 2)).astype(np.float32), rng.normal(size=(n, 8)).astype(np.float32)
        self.rows, self.centers = self.table[:, :width], self.table[:, width:]
        self.bias, self.bias_centers = self.scalars[:, 0], self.ties[:, 5]
        self.norm, self.strength, self.of_bias = rng.uniform(0.1, 1, (3, n)).astype(np.float32)
        self.kernel = CenteredRows(
            self.rows, self.centers, self.bias, self.bias_centers, self.norm, self.strength, self.of_bias
        )

    @property
    def strengths(self):
        """Of each column of wide rows."""
        own = np.repeat(self.strength[:, None], self.rows.shape[1] + LANES, axis=1).astype(np.float64)
        own[:, self.rows.shape[1]] = self.of_bias
        return own


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("n", SIZES)
def test_centers(simd, n, width):
    rng = np.random.default_rng(0)
    side, part = Side(rng, n, width), slice(n // 3, n)
    near, norm = wide_rows(rng, n, width), side.norm[:, None].astype(np.float64)
    expected = near.astype(np.float64)
    away = np.zeros((n, width + LANES))
    away[:, :width] = side.rows.astype(np.float64) - side.centers
    away[:, width] = side.bias.astype(np.float64) - side.bias_centers
    expected[part] = (norm * side.strengths * away)[part]
    side.kernel.weigh(part.start, part.stop, near)
    np.testing.assert_allclose(near, expected, **CLOSE)

    total = np.ones(width + LANES, dtype=np.float32)
    expected[part] *= norm[part]
    squares = 1 + (side.strengths * expected**2)[part].sum(axis=0)
    side.kernel.curve(part.start, part.stop, near, total)
    np.testing.assert_allclose(near, expected, **CLOSE)
    np.testing.assert_allclose(total, squares, **CLOSE)

    step = rng.normal(size=width + LANES).astype(np.float32)
    before = side.table.astype(np.float64), side.ties.astype(np.float64), side.scalars.copy()
    before[0][part, width:] += (step * expected)[part, :width]
    before[1][part, 5] += (step * expected)[part, width]
    side.kernel.move(part.start, part.stop, near, step)
    np.testing.assert_allclose(side.table, before[0], **CLOSE)
    np.testing.assert_allclose(side.ties, before[1], **CLOSE)
    np.testing.assert_array_equal(side.scalars, before[2])


@pytest.mark.parametrize("k", [1, 16])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("n", SIZES)
def test_directions(simd, n, width, k):
    rng = np.random.default_rng(1)
    directions, along = rng.normal(size=(n, k)).astype(np.float32), wide_rows(rng, k, width)
    ridge, x, residual = (
        rng.uniform(size=width + LANES).astype(np.float32),
        wide_rows(rng, n, width),
        wide_rows(rng, n, width),
    )
    out = np.ones((k, width + LANES), dtype=np.float32)
    expected = residual - ridge.astype(np.float64) * x
    subtract_ridge(directions, ridge, x, residual, out)
    np.testing.assert_allclose(residual, expected, **CLOSE)
    np.testing.assert_allclose(out, 1 + directions.T @ expected, **CLOSE)

    direction, sums = wide_rows(rng, n, width), np.ones((2, width + LANES), dtype=np.float32)
    wanted = expected + directions.astype(np.float64) @ along + 0.25 * direction
    precondition(directions, along, 0.25, residual, direction, *sums)
    np.testing.assert_allclose(direction, wanted, **CLOSE)
    np.testing.assert_allclose(
        sums, [1 + (wanted * expected).sum(axis=0), 1 + (wanted**2).sum(axis=0)], rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("n", SIZES)
def test_coefficients(simd, n, width):
    rng = np.random.default_rng(2)
    side, weight = Side(rng, n, width), rng.uniform(size=n)
    direction, x, step = (
        wide_rows(rng, n, width),
        wide_rows(rng, n, width),
        rng.normal(size=width + LANES).astype(np.float32),
    )
    expected, table = x + step.astype(np.float64) * direction, side.ties.copy()
    total = move_coefficients(direction, step, x, side.rows, side.ties[:, 2:4], weight)
    np.testing.assert_allclose(x, expected, **CLOSE)
    table[:, 2] = (expected[:, :width] * side.rows).sum(axis=1)
    table[:, 3] = expected[:, width]
    np.testing.assert_allclose(side.ties, table, **CLOSE)
    assert total == pytest.approx((weight * (side.rows.astype(np.float64) ** 2).sum(axis=1)).sum(), rel=1e-5)


def test_arrays_that_do_not_fit():
    rng = np.random.default_rng(3)
    side, near = Side(rng, 5, 8), wide_rows(rng, 5, 8)
    for start, stop, rows in [(-1, 3, near), (3, 2, near), (0, 6, near), (0, 3, near[:4])]:
        with pytest.raises(IndexError, match="no such rows"):
            side.kernel.weigh(start, stop, rows)
    with pytest.raises(ValueError, match="wide row"):
        side.kernel.weigh(0, 5, wide_rows(rng, 5, 16))
    for total in (np.zeros(8, np.float32), np.zeros(24, np.float32)):
        with pytest.raises(ValueError, match="wide row"):
            side.kernel.curve(0, 5, near, total)
        with pytest.raises(ValueError, match="wide row"):
            side.kernel.move(0, 5, near, total)
    given = side.rows, side.centers, side.bias, side.bias_centers, side.norm, side.strength, side.of_bias
    for at in range(7):
        with pytest.raises(ValueError, match="as many entries as rows"):
            CenteredRows(*[array[:4] if at == place else array for place, array in enumerate(given)])
    with pytest.raises(ValueError, match="one width"):
        CenteredRows(side.rows, side.table, *given[2:])
    with pytest.raises(ValueError, match="side by side"):
        CenteredRows(side.rows, side.table[:, ::2], *given[2:])

    directions, ridge, sums = np.ones((5, 2), np.float32), np.ones(16, np.float32), np.zeros((2, 16), np.float32)
    for wrong in [
        (directions, ridge[:8], near, near, sums),
        (directions, ridge, near[:4], near, sums),
        (directions, ridge, near, near[:4], sums),
        (directions, ridge, near, near, sums[:1]),
    ]:
        with pytest.raises(ValueError, match="do not fit"):
            subtract_ridge(*wrong)
    for wrong in [
        (directions, sums[:1], 0.0, near, near, *sums),
        (directions, sums, 0.0, near[:4], near, *sums),
        (directions, sums, 0.0, near, near[:4], *sums),
        (directions, sums, 0.0, near, near, sums[0], ridge[:8]),
    ]:
        with pytest.raises(ValueError, match="do not fit"):
            precondition(*wrong)
    weight, push = np.ones(5), side.ties[:, :2]
    for wrong in [
        (near[:4], ridge, near, side.rows, push, weight),
        (near, ridge, near, side.rows, push, weight[:4]),
        (near, ridge, near, side.rows, side.ties[:, :3], weight),
        (near, ridge[:8], near, side.rows, push, weight),
    ]:
        with pytest.raises(ValueError, match=r"of a move|do not fit"):
            move_coefficients(*wrong)
