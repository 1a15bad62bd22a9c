"""Search a grid in one library's environment; search.py runs it: python _library_search.py LIBRARY FOLDER N_FITS N_JOBS

It prints {"seconds", "fits", "rmse", "best"} as its last line. Fewer fits than the whole grid are the first learning
rates, each with all ranks.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

RANKS = [8, 16, 32, 64]
N_FOLDS = 5
FITS_PER_RATE = len(RANKS) * N_FOLDS
LEARNING_RATES = {"sklearn_mf": [0.05, 0.02, 0.1], "surprise": [0.005, 0.002, 0.01]}  # first its default
EPOCHS = 20


def search_ours(X, y, rates, n_jobs):
    from sklearn.model_selection import GridSearchCV, KFold

    from sklearn_mf import MatrixFactorizationRegressor

    parameters = json.loads(os.environ.get("SKLEARN_MF_PARAMETERS", "{}"))
    search = GridSearchCV(
        MatrixFactorizationRegressor(max_iter=EPOCHS, random_state=0, **parameters),
        {"rank": RANKS, "learning_rate": rates},
        scoring="neg_root_mean_squared_error",
        cv=KFold(N_FOLDS, shuffle=True, random_state=0),
        n_jobs=n_jobs,
        refit=False,
        error_score="raise",
    )
    start = time.perf_counter()
    search.fit(X, y)
    return time.perf_counter() - start, -search.best_score_, search.best_params_


def search_surprise(X, y, rates, n_jobs):
    import pandas as pd
    from surprise import SVD, Dataset, Reader
    from surprise.model_selection import GridSearchCV, KFold

    grid = {"n_factors": RANKS, "lr_all": rates, "n_epochs": [EPOCHS], "random_state": [0]}
    search = GridSearchCV(SVD, grid, measures=["rmse"], cv=KFold(N_FOLDS, random_state=0), n_jobs=n_jobs)
    start = time.perf_counter()
    frame = pd.DataFrame({"user": X[:, 0], "item": X[:, 1], "rating": y})
    search.fit(Dataset.load_from_df(frame, Reader(rating_scale=(y.min(), y.max()))))
    return time.perf_counter() - start, search.best_score["rmse"], search.best_params["rmse"]


def main():
    library, folder, n_fits, n_jobs = sys.argv[1:]
    X, y = (np.load(Path(folder) / f"{name}_train.npy") for name in ("X", "y"))
    rates = LEARNING_RATES[library][: int(n_fits) // FITS_PER_RATE]
    search = {"sklearn_mf": search_ours, "surprise": search_surprise}[library]
    seconds, error, best = search(X, y, rates, int(n_jobs))
    fits = len(rates) * FITS_PER_RATE
    print(json.dumps({"seconds": seconds, "fits": fits, "rmse": error, "best": str(best)}))


if __name__ == "__main__":
    main()
