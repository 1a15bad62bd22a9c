"""Compare updates of a block with the oracle and with the gradient of the objective, for the squared loss."""

import numpy as np
import pytest
from helpers import oracle
from helpers.blocks import FEW_CONTEXTS, MANY_ROWS, N_ROWS, center_tables, level_centers, make_block, run_kernel, tables


@pytest.mark.parametrize("rank", [0, 1, 5, 8, 16, 32, 33, 64, 96])
@pytest.mark.parametrize("n_fields", [2, 3, 4, 5, 9])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("fit_bias", "alpha_bias"), [(0.0, 0.02), (1.0, 0.02), (1.0, 0.5)])
@pytest.mark.parametrize(
    ("sizes", "pace"),
    [(N_ROWS, (0.13, 1.0)), (MANY_ROWS, (0.13, 1.0)), (FEW_CONTEXTS, (0.02, 0.125))],
    ids=["few rows", "many rows", "few contexts of small steps"],
)
@pytest.mark.parametrize("centered", [False, True], ids=["zero", "centered"])
def test_update_matches_the_oracle(simd, rank, n_fields, weighted, fit_bias, alpha_bias, sizes, pace, centered):
    """With few rows most ratings are visited one by one, with many rows or small steps four at a time."""
    block = make_block(n_fields, rank, weighted, sizes=sizes, centered=centered, pace=pace)
    kinds = block["batch_kinds"][:-1]
    assert set(kinds) <= {0, 1, 2}
    if n_fields == 2 or sizes is not MANY_ROWS:
        assert (kinds == 2).any() == (sizes is N_ROWS)
    if sizes is FEW_CONTEXTS:
        assert (kinds == 0).mean() > 0.3
    rows, biases, damping = tables(block, "rows", rank), tables(block, "bias"), tables(block, "damping")
    weight = block["weight"] if weighted else np.ones(len(block["target"]))
    expected_loss = oracle.update_block(
        block["index"],
        block["target"],
        weight,
        rows,
        biases,
        damping,
        0.1,
        0.03,
        alpha_bias,
        fit_bias,
        pace=np.split(np.r_[np.ones(sum(sizes[:2])), block["pace"]], np.cumsum(sizes[: n_fields - 1])),
        batch_kinds=kinds,
        **center_tables(block, rank),
    )
    loss = run_kernel(block, alpha_bias=alpha_bias, fit_bias=fit_bias)
    assert loss == pytest.approx(expected_loss, rel=1e-4)
    np.testing.assert_allclose(block["rows"][:, :rank], np.concatenate(rows), rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(block["bias"], np.concatenate(biases), rtol=2e-4, atol=2e-5)
    assert not block["rows"][:, rank:].any(), "padding must stay zero"


@pytest.mark.parametrize("n_fields", [2, 3, 4])
@pytest.mark.parametrize("centered", [False, True], ids=["zero", "centered"])
def test_update_goes_down_the_gradient_of_the_objective(n_fields, centered):
    """With a small step, (new - old) / step is minus the finite-difference gradient of one rating's share."""
    rank, step, alpha, alpha_bias, shift = 3, 1e-4, 0.3, 0.2, 1e-5
    block = make_block(n_fields, rank, weighted=True, n=1, seed=1, centered=centered)
    level = block["index"][0]
    before = [t[i] for t, i in zip(tables(block, "rows", rank), level, strict=True)]
    biases = [t[i] for t, i in zip(tables(block, "bias"), level, strict=True)]
    damping = [t[i] for t, i in zip(tables(block, "damping"), level, strict=True)]
    y, w = float(block["target"][0]), float(block["weight"][0])

    def objective(rows, biases):
        return oracle.rating_objective(
            y, w, rows, biases, damping, alpha, alpha_bias, **level_centers(block, level, rank)
        )

    run_kernel(block, step, alpha, alpha_bias)
    after = [t[i] for t, i in zip(tables(block, "rows", rank), level, strict=True)]
    after_biases = [t[i] for t, i in zip(tables(block, "bias"), level, strict=True)]
    for f in range(n_fields):
        for j in range(rank):
            shifted = [[v.copy() for v in before] for _ in range(2)]
            shifted[0][f][j] += shift
            shifted[1][f][j] -= shift
            slope = (objective(shifted[0], biases) - objective(shifted[1], biases)) / (2 * shift)
            assert (after[f][j] - before[f][j]) / step == pytest.approx(-slope, rel=0.01, abs=0.01)
        up, down = list(biases), list(biases)
        up[f], down[f] = up[f] + shift, down[f] - shift
        slope = (objective(before, up) - objective(before, down)) / (2 * shift)
        assert (after_biases[f] - biases[f]) / step == pytest.approx(-slope, rel=0.01, abs=0.01)


@pytest.mark.parametrize("n_fields", [2, 3, 4])
@pytest.mark.parametrize("step", [1e-3, 0.05, 0.5, 10.0, 1e6])
@pytest.mark.parametrize("fit_bias", [0.0, 1.0])
@pytest.mark.parametrize("size", [0.01, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("target", [0.1, 10.0, 1000.0])
@pytest.mark.parametrize("centered", [False, True], ids=["zero", "centered"])
def test_no_step_overshoots(n_fields, step, fit_bias, size, target, centered):
    """Visited once, a rating's own share of the objective does not grow, whatever the step, weight, rows and error."""
    for seed in range(10):
        block = make_block(n_fields, 4, weighted=True, n=1, seed=seed, centered=centered)
        block["weight"] *= 10.0 ** (seed % 5)
        block["target"] *= target
        block["table"] *= size
        block["scalars"] *= size

        def objective(block=block):
            level = block["index"][0]
            picked = [
                [t[i] for t, i in zip(tables(block, name, 4 if name == "rows" else None), level, strict=True)]
                for name in ("rows", "bias", "damping")
            ]
            centers = level_centers(block, level, 4)
            if not fit_bias:  # they are constants, and so is their penalty
                y = float(block["target"][0]) - sum(picked[1])
                centers.pop("bias_centers", None)
                return oracle.rating_objective(y, 1.0, picked[0], [0.0] * n_fields, picked[2], 0.03, 0.02, **centers)
            return oracle.rating_objective(float(block["target"][0]), 1.0, *picked, 0.03, 0.02, **centers)

        before = objective()
        run_kernel(block, step, fit_bias=fit_bias)
        assert objective() <= before * (1 + 1e-5)


@pytest.mark.parametrize("n_fields", [3, 4, 8])
@pytest.mark.parametrize("step", [0.05, 0.5, 10.0, 1e6])
@pytest.mark.parametrize("size", [0.01, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("target", [0.1, 10.0, 1000.0])
def test_ratings_that_share_rows_do_not_overshoot_together(n_fields, step, size, target):
    """The largest steps that may be shared: eight ratings that see the same context rows and pull the same way."""
    for seed in range(10):
        sizes = (8, 8) + (1,) * (n_fields - 2)
        block = make_block(n_fields, 4, weighted=True, n=8, seed=seed, sizes=sizes, pace=(0.125, 0.125))
        block["local"][:, :2] = block["index"][:, :2] = np.arange(8)[:, None]
        block["batch_kinds"][:2] = 0
        block["weight"][:], block["target"][:] = 10.0 ** (seed % 5), target * block["target"][0]
        block["table"] *= size
        block["scalars"] *= size
        for first in (0, 8):  # users and items are all alike
            block["table"][first : first + 8] = block["table"][first]
            block["scalars"][first : first + 8] = block["scalars"][first]

        def objective(block=block):
            level = block["index"][0]
            picked = [
                [t[i] for t, i in zip(tables(block, name, 4 if name == "rows" else None), level, strict=True)]
                for name in ("rows", "bias", "damping")
            ]
            return oracle.rating_objective(float(block["target"][0]), 1.0, *picked, 0.03, 0.02)

        before = objective()
        run_kernel(block, step)
        assert objective() <= before * (1 + 1e-5)
