import numpy as np
import oracle
import pytest

from sklearn_mf._kernel import kernels as _kernels

N_ROWS = (7, 5, 4, 3, 2, 2, 2, 2, 2)
MANY_ROWS = (90, 80, 90, 90, 70, 90, 90, 90, 90)


def padded(rank):
    return max(_kernels.LANES, -(-rank // _kernels.LANES) * _kernels.LANES)


def make_block(n_fields, rank, weighted, n=61, seed=0, sizes=N_ROWS, centerd=False, paced=False):
    """One block of ratings over small tables, as stacked arrays for the kernel and as tables for the oracle."""
    rng = np.random.default_rng(seed)
    sizes = sizes[:n_fields]
    index = np.stack([rng.integers(size, size=n) for size in sizes], axis=1).astype(np.int32)
    width = padded(rank)
    table = np.zeros((sum(sizes), 2 * width if centerd else width), dtype=np.float32)
    table[:, :rank] = rng.normal(0, 0.5, (sum(sizes), rank))
    scalars = np.stack([rng.normal(0, 0.3, sum(sizes)), rng.uniform(0, 2, sum(sizes))], axis=1)
    block = {
        "index": index,
        "target": rng.normal(size=n).astype(np.float32),
        "weight": rng.uniform(0.1, 3, n).astype(np.float32) if weighted else None,
        "table": table,
        "rows": table[:, :width],
        "ties": None,
        "scalars": scalars.astype(np.float32),
        "sizes": sizes,
        "pace": rng.uniform(0.1, 1, sum(sizes[2:])).astype(np.float32)
        if paced
        else np.ones(sum(sizes[2:]), np.float32),
    }
    block["bias"], block["damping"] = block["scalars"].T  # views
    if centerd:
        n_pairs = sizes[0] + sizes[1]
        table[:n_pairs, width : width + rank] = rng.normal(0, 0.5, (n_pairs, rank))
        block["ties"] = ties = rng.normal(0, 0.3, (n_pairs, _kernels.LANES)).astype(np.float32)
        ties[sizes[0] :, _kernels.TIE_BIAS[0]] = ties[: sizes[0], _kernels.TIE_BIAS[1]] = 0
        block["centers"] = table[:, width:]
        block["bias_center"] = np.zeros(sum(sizes))
        block["bias_center"][: sizes[0]] = ties[: sizes[0], _kernels.TIE_BIAS[0]]
        block["bias_center"][sizes[0] : n_pairs] = ties[sizes[0] :, _kernels.TIE_BIAS[1]]
    return spread(block)


def spread(block):
    """Put the ratings into the order in which a grid would have them, and mark its groups."""
    n, sizes = len(block["target"]), block["sizes"]
    # Further fields are numbered together, here all their rows.
    local = block["index"].copy()
    for f in range(2, len(sizes)):
        local[:, f] += sum(sizes[2:f])
    place = np.arange(n, dtype=np.float64)
    block["group"] = np.full(n // _kernels.GROUP + 1, 255, dtype=np.uint8)
    n_rows = np.array([[sizes[0], sizes[1], sum(sizes[2:])]])
    _kernels.spread_blocks(np.array([0]), np.array([0, n]), n_rows, local, place, None, block["group"])
    order = place.astype(int)
    assert sorted(order) == list(range(n))
    np.testing.assert_array_equal(local[:, :2], block["index"][order, :2])
    for name in ("index", "target", "weight"):
        block[name] = None if block[name] is None else np.ascontiguousarray(block[name][order])
    block["local"] = local
    return block


def tables(block, name, rank=None):
    ends = np.cumsum(block["sizes"])[:-1]
    array = block[name].astype(np.float64)
    return np.split(array if rank is None else array[:, :rank], ends)


def run_kernel(
    block, step=0.1, alpha=0.03, alpha_bias=0.02, fit_bias=1.0, loss="squared_error", parameter=0.0, positive=False
):
    """Run the block through the kernel as the only block of a grid; rows and biases change in place."""
    sizes, n = block["sizes"], len(block["target"])
    touched = np.arange(sizes[0] + sizes[1], sum(sizes), dtype=np.int32)
    n_own = len(touched)
    own_rows, own_scalars = np.empty((n_own, block["rows"].shape[1]), np.float32), np.empty((n_own, 2), np.float32)
    losses = np.zeros(1)
    _kernels.run_strata(
        block["local"], block["target"], block["weight"], block["group"], np.array([0, n]), np.array([[0, sizes[0]]]),
        touched, np.array([0, n_own]), np.ones(n_own, np.float32), block["pace"], block["table"],
        block["scalars"], block["ties"], own_rows, own_scalars, np.array([0]),
        np.zeros(_kernels.state_size(1), np.int64), step, alpha, alpha_bias, fit_bias, _kernels.LOSSES[loss],
        parameter, positive, np.inf, losses,
    )  # fmt: skip
    return losses[0]


def center_tables(block, rank):
    """What the oracle takes of centers and ties."""
    if block["ties"] is None:
        return {}
    return {
        "centers": tables(block, "centers", rank),
        "bias_centers": tables(block, "bias_center"),
        "ties": np.split(block["ties"].astype(np.float64), [block["sizes"][0]]),
    }


def level_centers(block, level, rank):
    """What the oracle's objective takes of centers and ties, of one rating."""
    given = center_tables(block, rank)
    if not given:
        return {}
    return {
        "centers": [t[i] for t, i in zip(given["centers"], level, strict=True)],
        "bias_centers": [t[i] for t, i in zip(given["bias_centers"], level, strict=True)],
        "own": given["ties"][0][level[0]] @ given["ties"][1][level[1]],
    }


def available(name):
    try:
        return _kernels.select_simd(name)
    except ValueError:
        return None
    finally:
        _kernels.select_simd(_kernels.SIMD)


@pytest.fixture(params=[name for name in ("baseline", "avx2", "avx512") if available(name)])
def simd(request):
    yield _kernels.select_simd(request.param)
    _kernels.select_simd(_kernels.SIMD)


@pytest.mark.parametrize("rank", [0, 1, 5, 8, 16, 32, 33, 64, 96])
@pytest.mark.parametrize("n_fields", [2, 3, 4, 5, 9])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("fit_bias", "alpha_bias"), [(0.0, 0.02), (1.0, 0.02), (1.0, 0.5)])
@pytest.mark.parametrize("sizes", [N_ROWS, MANY_ROWS], ids=["few rows", "many rows"])
@pytest.mark.parametrize("centerd", [False, True], ids=["zero", "centerd"])
def test_update_matches_the_oracle(simd, rank, n_fields, weighted, fit_bias, alpha_bias, sizes, centerd):
    """With few rows most ratings are visited one by one, with many rows four at a time."""
    block = make_block(n_fields, rank, weighted, sizes=sizes, centerd=centerd, paced=True)
    assert set(block["group"][:-1]) <= {0, 1, 2}
    if n_fields == 2:
        assert (sizes is N_ROWS) == bool((block["group"][:-1] == 2).any())
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
        **center_tables(block, rank),
    )
    loss = run_kernel(block, alpha_bias=alpha_bias, fit_bias=fit_bias)
    assert loss == pytest.approx(expected_loss, rel=1e-4)
    np.testing.assert_allclose(block["rows"][:, :rank], np.concatenate(rows), rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(block["bias"], np.concatenate(biases), rtol=2e-4, atol=2e-5)
    assert not block["rows"][:, rank:].any(), "padding must stay zero"


@pytest.mark.parametrize("n_fields", [2, 3, 4])
@pytest.mark.parametrize("centerd", [False, True], ids=["zero", "centerd"])
def test_update_goes_down_the_gradient_of_the_objective(n_fields, centerd):
    """With a small step, (new - old) / step is minus the finite-difference gradient of one rating's share."""
    rank, step, alpha, alpha_bias, shift = 3, 1e-4, 0.3, 0.2, 1e-5
    block = make_block(n_fields, rank, weighted=True, n=1, seed=1, centerd=centerd)
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
@pytest.mark.parametrize("centerd", [False, True], ids=["zero", "centerd"])
def test_no_step_overshoots(n_fields, step, fit_bias, size, target, centerd):
    """Visited once, a rating's own share of the objective does not grow, whatever the step, weight, rows and error."""
    for seed in range(10):
        block = make_block(n_fields, 4, weighted=True, n=1, seed=seed, centerd=centerd)
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


@pytest.mark.parametrize("rank", [0, 1, 7, 32])
@pytest.mark.parametrize("n_fields", [2, 3, 4])
def test_predict_matches_the_oracle(simd, rank, n_fields):
    block = make_block(n_fields, rank, weighted=False)
    rng = np.random.default_rng(2)
    index = np.where(rng.random(block["index"].shape) < 0.2, -1, block["index"]).astype(np.int32)
    rows = [np.ascontiguousarray(t, dtype=np.float32) for t in tables(block, "rows", rank)]
    biases = [t.astype(np.float32) for t in tables(block, "bias")]
    out = np.empty(len(index))
    _kernels.predict(index, rows, biases, 3.5, out)
    np.testing.assert_allclose(out, oracle.predict(index, rows, biases, 3.5), rtol=1e-5, atol=1e-5)


def test_unknown_instruction_set_is_refused():
    with pytest.raises(ValueError, match="SKLEARN_MF_SIMD='mmx' is not available"):
        _kernels.select_simd("mmx")
