"""One block of ratings, as arrays for the kernel and as tables for the oracle, and a run of the kernel over it."""

from types import SimpleNamespace

import numpy as np
from sklearn_mf._kernel.grid import BATCH, RatingBlocks
from sklearn_mf._kernel.sgd import BIAS_CENTER_COLUMNS, LANES, LOSS_CODES, SGDKernel, UpdateRule

N_ROWS = (7, 5, 4, 3, 2, 2, 2, 2, 2)
DAMPING = ((1.0, 0.6), (0.7, 1.5), (1.2, 0.9))  # of factors and biases: users, items, contexts
MANY_ROWS = (90, 80, 90, 90, 70, 90, 90, 90, 90)
FEW_CONTEXTS = (90, 80, 2, 3, 1, 2, 2, 4, 2)


def padded(rank):
    return max(LANES, -(-rank // LANES) * LANES)


def make_block(n_fields, rank, weighted, n=61, seed=0, sizes=N_ROWS, centered=False, pace=(1, 1)):
    """One block of ratings over small tables, as stacked arrays for the kernel and as tables for the oracle.

    Context rows take a part of each step that lies between the two of ``pace``.
    """
    rng = np.random.default_rng(seed)
    sizes = sizes[:n_fields]
    index = np.stack([rng.integers(size, size=n) for size in sizes], axis=1).astype(np.int32)
    width = padded(rank)
    table = np.zeros((sum(sizes), 2 * width if centered else width), dtype=np.float32)
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
        "pace": np.random.default_rng(seed).uniform(*pace, sum(sizes[2:])).astype(np.float32),
    }
    block["bias"], block["per_rating"] = block["scalars"].T  # views
    if centered:
        n_pairs = sizes[0] + sizes[1]
        table[:n_pairs, width : width + rank] = rng.normal(0, 0.5, (n_pairs, rank))
        block["ties"] = ties = rng.normal(0, 0.3, (n_pairs, LANES)).astype(np.float32)
        ties[sizes[0] :, BIAS_CENTER_COLUMNS[0]] = ties[: sizes[0], BIAS_CENTER_COLUMNS[1]] = 0
        block["centers"] = table[:, width:]
        block["bias_center"] = np.zeros(sum(sizes))
        block["bias_center"][: sizes[0]] = ties[: sizes[0], BIAS_CENTER_COLUMNS[0]]
        block["bias_center"][sizes[0] : n_pairs] = ties[sizes[0] :, BIAS_CENTER_COLUMNS[1]]
    return spread(block)


def spread(block):
    """Put the ratings into the order in which a grid would have them, and mark its batches."""
    n, sizes = len(block["target"]), block["sizes"]
    # Further fields are numbered together, here all their rows.
    local = block["index"].copy()
    for f in range(2, len(sizes)):
        local[:, f] += sum(sizes[2:f])
    place = np.arange(n, dtype=np.float64)
    block["batch_kinds"] = np.full(n // BATCH + 1, 255, dtype=np.uint8)
    n_rows = np.array([[sizes[0], sizes[1], sum(sizes[2:])]])
    blocks = RatingBlocks(local, place, None, np.array([0, n]))
    blocks.set_rows(n_rows)
    blocks.spread(np.array([0]), block["pace"], block["batch_kinds"])
    order = place.astype(int)
    assert sorted(order) == list(range(n))
    np.testing.assert_array_equal(local[:, :2], block["index"][order, :2])
    for name in ("index", "target", "weight"):
        block[name] = None if block[name] is None else np.ascontiguousarray(block[name][order])
    block["local"] = local
    return block


def tables(block, name, rank=None):
    ends = np.cumsum(block["sizes"])[:-1]
    if name == "damping":
        of_field = np.array([DAMPING[min(f, 2)] for f in range(len(block["sizes"]))])
        array = block["per_rating"].astype(np.float64)[:, None] * np.repeat(of_field, block["sizes"], axis=0)
    else:
        array = block[name].astype(np.float64)
    return np.split(array if rank is None else array[:, :rank], ends)


def run_kernel(
    block, step=0.1, alpha=0.03, alpha_bias=0.02, fit_bias=1.0, loss="squared_error", parameter=0.0, positive=False
):
    """Run the block through the kernel as the only block of a grid; rows and biases change in place."""
    rule = UpdateRule(alpha, alpha_bias, bool(fit_bias), LOSS_CODES[loss], parameter, parameter, positive, DAMPING)
    kernel = SGDKernel(grid_of_block(block), parameters_of(block), rule)
    kernel.run(np.array([0]), step, np.inf, kernel.new_sync_state())
    return kernel.losses[0]


def grid_of_block(block):
    """The block as the only one of a grid."""
    sizes, n = block["sizes"], len(block["target"])
    context_rows = np.arange(sizes[0] + sizes[1], sum(sizes), dtype=np.int32)
    return SimpleNamespace(
        n_groups=1,
        own_groups=range(1),
        n_users=sizes[0],
        n_pair_rows=sizes[0] + sizes[1],
        index=block["local"],
        target=block["target"],
        weight=block["weight"],
        batch_kinds=block["batch_kinds"],
        block_start=np.array([0, n]),
        first_row=np.array([[0, sizes[0]]]),
        context_rows=context_rows,
        context_start=np.array([0, len(context_rows)]),
        context_merge_weight=np.ones(len(context_rows), np.float32),
        context_step_factor=block["pace"],
        row_weights=np.ones(sum(sizes)),
    )


def parameters_of(block):
    return SimpleNamespace(table=block["table"], scalars=block["scalars"], ties=block["ties"])


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
