"""Hold C and its typed boundary; the README of this folder has a line for each file."""

from sklearn_mf._kernel.simd import SIMD, select_simd

__all__ = ["SIMD", "select_simd"]
