"""RMSE on ml-latest-small of models with and without biases; a random tenth of the ratings is held out.

    python benchmarks/without_biases.py

SKLEARN_MF_DATA names the folder of the ratings (docs/contributing.md says more).
"""

from _real import FOLDER, rmse
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import load_ratings


def regressor(**parameters):
    return MatrixFactorizationRegressor(**parameters, random_state=0)


def main():
    X, y = load_ratings(FOLDER / "ml-latest-small" / "ratings.csv", return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.1, random_state=0)
    plain = {"implicit_features": None, "alpha": 0.04}
    centered = TransformedTargetRegressor(
        regressor(fit_bias=False, clip=False, **plain), transformer=StandardScaler(with_std=False)
    )
    positive = {"positive": True, "fit_bias": False, "damping": 0, "implicit_features": None, "alpha": 0.01}
    models = {
        "defaults": regressor(),
        "as `SVD()`": regressor(**plain),
        "without biases, mean subtracted": centered,
        "without biases, ratings as they are": regressor(fit_bias=False, **plain),
        "`positive=True` with biases": regressor(positive=True, **plain),
        "`positive=True` without biases": regressor(**positive),
    }
    print("\n| model | RMSE |\n|---|---|")
    for name, model in models.items():
        error = rmse(model.fit(X_train, y_train).predict(X_test), y_test)
        print(f"| {name} | {error:.3f} |", flush=True)


if __name__ == "__main__":
    main()
