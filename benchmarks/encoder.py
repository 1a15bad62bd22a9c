"""RMSE on MovieLens 100K of the regressor, and of two models on the features of the encoder; five folds.

    python benchmarks/encoder.py

The encoder encodes training rows by models of other folds, and test rows by a model of all training rows.
"""

import numpy as np
from _real import real_sets, rmse
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from sklearn_mf import MatrixFactorizationEncoder, MatrixFactorizationRegressor

RANK = 8


def main():
    _, X, y, folds = next(sets for sets in real_sets() if sets[0] == "ml-100k")
    regressor = MatrixFactorizationRegressor(rank=RANK, random_state=0)
    encoder = MatrixFactorizationEncoder(regressor, random_state=0)
    models = {
        "the regressor": regressor,
        "trees on its features": make_pipeline(encoder, HistGradientBoostingRegressor(random_state=0)),
        "`Ridge` on its features": make_pipeline(encoder, Ridge()),
    }
    print("\n| model | RMSE |\n|---|---|")
    for name, model in models.items():
        errors = [rmse(model.fit(X[train], y[train]).predict(X[test]), y[test]) for train, test in folds]
        print(f"| {name} | {np.mean(errors):.3f} |", flush=True)


if __name__ == "__main__":
    main()
