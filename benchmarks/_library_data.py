"""Write the splits of the sets to .npy files, ids as int64 codes from 0: python _library_data.py FOLDER SET...

It prints, as JSON, the number of splits of each set that was found. It is a process of its own, so that the memory of
the processes that are measured is not touched.
"""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from _real import FILES, real_sets, tenth

from sklearn_mf.datasets import make_ratings

GENERATED = (70_000, 10_700, 10_000_000)


def codes(X):
    """Turn each column into codes into its sorted ids."""
    return np.column_stack([np.unique(column, return_inverse=True)[1] for column in X.T]).astype(np.int64)


def wanted_sets(names):
    """Yield (name, X, y, splits) of those of ``names`` that are there."""
    if set(names) & set(FILES):
        for name, X, y, splits in real_sets():
            if name in names:
                yield name, X, y, splits
    if "generated" in names:
        X, y = make_ratings(*GENERATED, rank=10, random_state=0, return_X_y=True)
        yield "generated", X, y, [tenth(len(y))]


def write(folder, name, X, y, splits):
    X = codes(X)
    for i, (train, test) in enumerate(splits):
        split = folder / f"{name}-{i}"
        split.mkdir()
        for part, rows in ("train", train), ("test", test):
            np.save(split / f"X_{part}.npy", X[rows])
            np.save(split / f"y_{part}.npy", np.asarray(y[rows], dtype=np.float64))


def main():
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    n_splits = {}
    with redirect_stdout(sys.stderr):  # real_sets prints which set it does not find
        for name, X, y, splits in wanted_sets(names):
            write(folder, name, X, y, splits)
            n_splits[name] = len(splits)
    print(json.dumps(n_splits))


if __name__ == "__main__":
    main()
