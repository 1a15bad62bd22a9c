"""From ratings to a tuned model: split, search over rank and learning rate, compare, predict new pairs, save.

python docs/examples/quickstart.py                       # on ratings it makes itself
python docs/examples/quickstart.py --ratings ratings.csv # on yours: user, item, rating on each line
"""

import argparse
import time
from pathlib import Path

import joblib
import numpy as np
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import GridSearchCV, train_test_split

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import load_ratings, make_ratings

RANKS = [4, 16, 64]
LEARNING_RATES = [0.05, 0.1, 0.2]


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", metavar="FILE", help="a ratings file; without it, ratings are made")
    parser.add_argument("--save", metavar="FILE", default="quickstart_model.joblib", help="where the model goes")
    arguments = parser.parse_args()
    if arguments.ratings and not Path(arguments.ratings).exists():
        parser.error(f"there is no file {arguments.ratings}")
    return arguments


def print_scores(search):
    """Mean cross-validated RMSE, a row for each rank and a column for each learning rate."""
    results = search.cv_results_
    scores = {
        (p["rank"], p["learning_rate"]): -score
        for p, score in zip(results["params"], results["mean_test_score"], strict=True)
    }
    print("\nRMSE by rank (rows) and learning rate (columns), mean of 3 folds:")
    print("      " + "".join(f"{rate:>9}" for rate in LEARNING_RATES))
    for rank in RANKS:
        print(f"{rank:>6}" + "".join(f"{scores[rank, rate]:>9.4f}" for rate in LEARNING_RATES))
    print(f"best: {search.best_params_}")


def new_pairs(X, rng, n=5):
    """Pairs of known users and items that have no rating."""
    rated = {tuple(pair) for pair in X.tolist()}
    users, items = sorted({user for user, _ in rated}), sorted({item for _, item in rated})
    pairs = []
    for _ in range(1000 * n):
        pair = (users[rng.integers(len(users))], items[rng.integers(len(items))])
        if pair not in rated and len(pairs) < n:
            pairs.append(pair)
            rated.add(pair)
    return pairs


def main():
    arguments = read_arguments()
    start = time.perf_counter()
    if arguments.ratings:
        X, y = load_ratings(arguments.ratings, return_X_y=True)
    else:
        X, y = make_ratings(2000, 1000, 100_000, rating_step=0.5, random_state=0, return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.1, random_state=0)
    print(f"{len(y)} ratings, {len(y_train)} to train on; the first: user {X[0, 0]}, item {X[0, 1]}, rating {y[0]:g}\n")

    search = GridSearchCV(
        MatrixFactorizationRegressor(random_state=0),
        {"rank": RANKS, "learning_rate": LEARNING_RATES},
        scoring="neg_root_mean_squared_error",
        cv=3,
        verbose=2,  # a line for each fit
    )
    search.fit(X_train, y_train)
    print_scores(search)

    model = search.best_estimator_
    biases = MatrixFactorizationRegressor(rank=0, implicit_features=None, random_state=0).fit(X_train, y_train)
    print("\nRMSE on the held-out tenth:")
    print(f"  global mean    {root_mean_squared_error(y_test, np.full(len(y_test), y_train.mean())):.4f}")
    print(f"  biases only    {root_mean_squared_error(y_test, biases.predict(X_test)):.4f}")
    print(f"  factorization  {root_mean_squared_error(y_test, model.predict(X_test)):.4f}")

    pairs = new_pairs(X, np.random.default_rng(0))
    if pairs:
        print("\nPairs nobody rated:")
        for (user, item), rating in zip(pairs, model.predict(pairs), strict=True):
            print(f"  user {user}, item {item}: {rating:.2f}")

    joblib.dump(model, arguments.save)
    print(f"\nmodel saved to {arguments.save}; {time.perf_counter() - start:.1f} s in all")


if __name__ == "__main__":
    main()
