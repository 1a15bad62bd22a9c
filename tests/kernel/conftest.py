"""Fixtures of the tests of the kernel."""

import pytest

from sklearn_mf._kernel import SIMD, select_simd


def available(name):
    try:
        return select_simd(name)
    except ValueError:
        return None
    finally:
        select_simd(SIMD)


@pytest.fixture(params=[name for name in ("baseline", "avx2", "avx512") if available(name)])
def simd(request):
    yield select_simd(request.param)
    select_simd(SIMD)
