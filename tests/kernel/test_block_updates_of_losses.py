"""Compare updates of a block with the oracle and with the gradient of the objective, for every loss."""

import numpy as np
import pytest
from helpers import oracle
from helpers.blocks import center_tables, level_centers, make_block, run_kernel, tables
from helpers.losses import every_loss


def block_for(loss, *arguments, **parameters):
    block = make_block(*arguments, **parameters)
    if loss == "poisson":
        block["target"] = np.abs(block["target"] * 3).round()
    return block


@every_loss
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("rank", [0, 3, 32, 40])
@pytest.mark.parametrize("n_fields", [2, 3, 5])
@pytest.mark.parametrize("centered", [False, True], ids=["zero", "centered"])
def test_update_matches_the_oracle(simd, loss, parameter, positive, rank, n_fields, centered):
    block = block_for(loss, n_fields, rank, weighted=True, sizes=(40, 30, 40, 40, 9)[:n_fields], centered=centered)
    rows, biases, damping = tables(block, "rows", rank), tables(block, "bias"), tables(block, "damping")
    given = {"loss": loss, "parameter": parameter, "positive": positive}
    expected_loss = oracle.update_block(
        block["index"], block["target"], block["weight"], rows, biases, damping, 0.1, 0.03, 0.02, 1.0,
        **center_tables(block, rank), **given,
    )  # fmt: skip
    assert run_kernel(block, **given) == pytest.approx(expected_loss, rel=1e-4)
    np.testing.assert_allclose(block["rows"][:, :rank], np.concatenate(rows), rtol=5e-4, atol=5e-5)
    np.testing.assert_allclose(block["bias"], np.concatenate(biases), rtol=5e-4, atol=5e-5)
    assert not block["rows"][:, rank:].any(), "padding must stay zero"
    if positive and rank:
        visited = np.unique(block["index"][:, 0])
        assert block["rows"][visited].min() == 0


@every_loss
@pytest.mark.parametrize("n_fields", [2, 3])
def test_update_goes_down_the_gradient_of_the_objective(loss, parameter, n_fields):
    """With a small step, (new - old) / step is minus the finite-difference gradient of one rating's share."""
    rank, step, alpha, alpha_bias, shift = 3, 1e-4, 0.3, 0.2, 1e-5
    for seed in range(4):
        block = block_for(loss, n_fields, rank, weighted=True, n=1, seed=seed, centered=True)
        level = block["index"][0]

        def picked(name, block=block, level=level):
            return [t[i] for t, i in zip(tables(block, name, rank if name == "rows" else None), level, strict=True)]

        rows, biases, damping = picked("rows"), picked("bias"), picked("damping")
        y, w = float(block["target"][0]), float(block["weight"][0])
        centers = level_centers(block, level, rank)

        def objective(rows, biases, y=y, w=w, damping=damping, centers=centers):
            return oracle.rating_objective(
                y, w, rows, biases, damping, alpha, alpha_bias, **centers, loss=loss, parameter=parameter
            )

        run_kernel(block, step, alpha, alpha_bias, loss=loss, parameter=parameter)
        for f in range(n_fields):
            for j in range(rank):
                up, down = [v.copy() for v in rows], [v.copy() for v in rows]
                up[f][j], down[f][j] = up[f][j] + shift, down[f][j] - shift
                slope = (objective(up, biases) - objective(down, biases)) / (2 * shift)
                assert (picked("rows")[f][j] - rows[f][j]) / step == pytest.approx(-slope, rel=0.03, abs=0.01)
            up, down = list(biases), list(biases)
            up[f], down[f] = up[f] + shift, down[f] - shift
            slope = (objective(rows, up) - objective(rows, down)) / (2 * shift)
            assert (picked("bias")[f] - biases[f]) / step == pytest.approx(-slope, rel=0.03, abs=0.01)


@every_loss
@pytest.mark.parametrize("n_fields", [2, 4])
@pytest.mark.parametrize("step", [1e-3, 0.5, 1e6])
@pytest.mark.parametrize("size", [0.01, 0.3, 2.0])
@pytest.mark.parametrize("target", [0.1, 10.0, 1000.0])
def test_no_step_overshoots(loss, parameter, n_fields, step, size, target):
    """Visited once, a rating's own share of the objective does not grow, whatever the step, weight, rows and error."""
    for seed in range(10):
        block = block_for(loss, n_fields, 4, weighted=True, n=1, seed=seed)
        block["weight"] *= 10.0 ** (seed % 5)
        block["target"] *= target
        block["table"] *= size
        block["scalars"] *= size

        def objective(block=block):
            level = block["index"][0]
            names = ("rows", 4), ("bias", None), ("damping", None)
            picked = [[t[i] for t, i in zip(tables(block, *name), level, strict=True)] for name in names]
            return oracle.rating_objective(
                float(block["target"][0]), 1.0, *picked, 0.03, 0.02, loss=loss, parameter=parameter
            )

        before = objective()
        run_kernel(block, step, loss=loss, parameter=parameter)
        assert objective() <= before + 1e-5 * abs(before) + 1e-7
