"""Compare predictions of the kernel with those of the oracle."""

import numpy as np
import pytest
from helpers import oracle
from helpers.blocks import make_block, tables
from sklearn_mf._kernel.rows import RowTable
from sklearn_mf._kernel.sgd import predict


@pytest.mark.parametrize("rank", [0, 1, 7, 32])
@pytest.mark.parametrize("n_fields", [2, 3, 4])
def test_predict_matches_the_oracle(simd, rank, n_fields):
    block = make_block(n_fields, rank, weighted=False)
    rng = np.random.default_rng(2)
    index = np.where(rng.random(block["index"].shape) < 0.2, -1, block["index"]).astype(np.int32)
    rows = [np.ascontiguousarray(t, dtype=np.float32) for t in tables(block, "rows", rank)]
    biases = [t.astype(np.float32) for t in tables(block, "bias")]
    out = np.empty(len(index))
    predict(index, [RowTable(t) for t in rows], [RowTable(t) for t in biases], 3.5, out)
    np.testing.assert_allclose(out, oracle.predict(index, rows, biases, 3.5), rtol=1e-5, atol=1e-5)
