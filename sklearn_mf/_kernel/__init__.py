"""Hold the C code and its typed interface. The README of this folder has a line for each file."""

from sklearn_mf._kernel.simd import SIMD, select_simd

__all__ = ["SIMD", "select_simd"]
