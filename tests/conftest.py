import os
from pathlib import Path

# Before scipy is imported: scikit-learn's checks with array API inputs are skipped without it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import pytest

from sklearn_mf.datasets import load_ratings

ROOT = Path(__file__).parents[1]
REAL_DATA = Path(os.environ.get("SKLEARN_MF_DATA", ROOT.parent / "shared" / "data"))
REAL_SETS = {
    "ml-100k": "u.data",
    "ml-1m": "ratings.dat.gz",
    "ml-latest-small": "ratings.csv",
    "movietweetings-100k": "ratings.dat",
}


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
