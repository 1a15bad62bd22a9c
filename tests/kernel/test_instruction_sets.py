"""Check that instruction sets are chosen by name and that one of them pins the bits of a fit."""

import os
import subprocess
import sys

import pytest

from sklearn_mf._kernel import SIMD, select_simd


def test_unknown_instruction_set_is_refused():
    with pytest.raises(ValueError, match="SKLEARN_MF_SIMD='mmx' is not available"):
        select_simd("mmx")


@pytest.mark.slow
def test_the_instruction_set_pins_the_bits(tmp_path):
    """Nothing in a fit comes from a library that chooses by the processor."""
    code = (
        "import numpy as np; from sklearn_mf import MatrixFactorizationRegressor as M; rng = np.random.default_rng(0);"
        "X = (np.array([300, 100]) * rng.random((4000, 2)) ** 2).astype(int); y = rng.normal(3, 1, 4000).round();"
        "m = M(8, random_state=0, max_iter=6).fit(X, y); print(m.factors_[0].tobytes().hex(), m.biases_[1].tolist())"
    )
    others = [{}, {"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "1"}]
    if SIMD != "baseline":
        others.append({"NPY_DISABLE_CPU_FEATURES": "AVX512_ICL X86_V4 AVX512_SKX"})
    found = set()
    for other in others:
        environment = {**os.environ, "SKLEARN_MF_SIMD": "baseline", **other, "PYTHONWARNINGS": "ignore"}
        run = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
        )
        if run.returncode == 0:  # NumPy refuses to turn off what this processor does not have
            found.add(run.stdout)
        else:
            assert "NPY_DISABLE_CPU_FEATURES" in other, run.stderr
    assert len(found) == 1
