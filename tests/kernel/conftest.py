"""Fixtures of the tests of the kernel."""

import pytest

from sklearn_mf._kernel import kernels as _kernels


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
