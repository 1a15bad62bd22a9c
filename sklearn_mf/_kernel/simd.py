"""Choose the instruction set that all kernels use, when the package is imported."""

import os

import sklearn_mf._kernel.als as als
import sklearn_mf._kernel.partners as partners
import sklearn_mf._kernel.precision as precision
import sklearn_mf._kernel.selection as selection
import sklearn_mf._kernel.sgd as sgd


def select_simd(name: str) -> str:
    """Use the instruction set ``name`` ("auto", "avx512", "avx2", "baseline") from now on; return the chosen one."""
    chosen = sgd.select_simd(name)
    if chosen is None:
        raise ValueError(
            f"SKLEARN_MF_SIMD={name!r} is not available on this processor and build. Use 'auto', 'avx512', 'avx2' or "
            "'baseline'."
        )
    partners.select_wide(chosen != "baseline")
    als.select_simd(chosen)
    precision.select_simd(chosen)
    selection.select_simd(chosen)
    return chosen


SIMD = select_simd(os.environ.get("SKLEARN_MF_SIMD") or "auto")
