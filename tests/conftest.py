"""What all tests need: SciPy with array API inputs, instruction sets, and real ratings where they are found."""
# ruff: noqa: E402

import os

# Before scipy is imported: scikit-learn's checks with array API inputs are skipped without it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import pytest

pytest.register_assert_rewrite("helpers")

from helpers.paths import REAL_DATA, REAL_SETS

from sklearn_mf._kernel import SIMD, select_simd
from sklearn_mf.datasets import load_ratings


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


@pytest.fixture(scope="session")
def real_ratings():
    """A function that loads real ratings by name, or skips the test where they are not on this machine."""
    loaded = {}

    def load(name):
        path = REAL_DATA / name / REAL_SETS[name]
        if not path.exists():
            pytest.skip(f"no real ratings at {path.parent}")
        if name not in loaded:
            loaded[name] = load_ratings(path, return_X_y=True)
        return loaded[name]

    return load
