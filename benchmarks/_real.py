"""Real ratings and the splits that figures are quoted on."""

import os
from pathlib import Path

import numpy as np
from sklearn.model_selection import KFold

from sklearn_mf.datasets import load_ratings

FOLDER = Path(os.environ.get("SKLEARN_MF_DATA", Path(__file__).parents[2] / "shared" / "data"))
FILES = {
    "ml-100k": "u.data",
    "ml-1m": "ratings.dat.gz",
    "ml-latest-small": "ratings.csv",
    "movietweetings-100k": "ratings.dat",
}


def real_sets():
    """Yield (name, X, y, splits): five folds for ml-100k, a random tenth held out for the others."""
    if not any((FOLDER / name / file).exists() for name, file in FILES.items()):
        raise SystemExit(
            f"No ratings in {FOLDER}: name their folder in SKLEARN_MF_DATA (docs/contributing.md says more)."
        )
    for name, file in FILES.items():
        path = FOLDER / name / file
        if not path.exists():
            print(f"{name}: not found at {path} (SKLEARN_MF_DATA names the folder, see docs/contributing.md)")
            continue
        X, y = load_ratings(path, return_X_y=True)
        yield name, X, y, splits(name, len(y))


def splits(name, n):
    if name == "ml-100k":
        return list(KFold(5, shuffle=True, random_state=0).split(np.empty(n)))
    return [tenth(n)]


def tenth(n, seed=0):
    """(train, test): the first n // 10 rows of a permutation are the test set."""
    order = np.random.default_rng(seed).permutation(n)
    return order[n // 10 :], order[: n // 10]


def rmse(a, b):
    return float(np.sqrt(np.mean((a - b) ** 2)))
