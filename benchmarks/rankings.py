"""Rankings on ml-1m: NDCG@10 and recall@10 of the factorization, of biases only and of the most popular.

    python benchmarks/rankings.py [--set ml-100k] [--splits 3]

A random fifth of each user's ratings is held out. Two protocols, which ask two questions:

held-out pairs    the held-out ratings of a user are ranked: which of the films that somebody went on to rate did they
                  like best? Gains are the ratings; from 4 on a film is relevant.
whole catalog   all films that the user did not rate in training are ranked: how many of the ten recommended did they
                  go on to rate with 4 or more? Gains are the ratings from 4 on; all else is 0, unknown ratings too.
"""

import argparse

import numpy as np
from _real import BEST, real_sets, rmse

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.metrics import catalog_coverage, ndcg_at_k, novelty, ranking_of_lists, recall_at_k
from sklearn_mf.model_selection import PerUserShuffleSplit

RELEVANT, K = 4, 10
MODELS = {
    "factorization, defaults": {},
    "factorization, best for RMSE (rank 128, 60 epochs)": BEST,
    "without implicit features": {"implicit_features": None, "alpha": 0.04, "learning_rate": 0.05},
    "biases only": {"rank": 0, "implicit_features": None},
}


def most_popular(X, y):
    """Make a model that predicts, for everybody, how many ratings an item has."""
    model = MatrixFactorizationRegressor(rank=0, implicit_features=None, fit_bias=True, clip=False).fit(X, y)
    model.biases_[0][:] = 0
    model.biases_[1][:] = np.bincount(np.searchsorted(model.categories_[1], X[:, 1]))
    return model


def at_random(X, y):
    model = most_popular(X, y)
    model.biases_[1][:] = np.random.default_rng(0).permutation(len(model.biases_[1]))
    return model


def of_held_out_pairs(model, X, y):
    scores = model.predict(X)
    given = {"groups": X[:, 0], "k": K}
    return ndcg_at_k(y, scores, **given), recall_at_k(y, scores, relevant=RELEVANT, **given)


def of_catalog(model, X, y, X_train, candidates):
    users = np.unique(X[:, 0])
    items, _ = model.recommend(users, K, exclude=X_train, candidates=candidates)
    lists = ranking_of_lists(items, users, X, np.where(y >= RELEVANT, y, 0))
    return (
        ndcg_at_k(**lists, k=K),
        recall_at_k(**lists, k=K, relevant=RELEVANT),
        catalog_coverage(items, catalog=X_train[:, 1]),
        novelty(items, X=X_train),
    )


def figures(X, y, train, test):
    """Measure all models on one split; return what is in a row of the table, by name."""
    X_train, y_train = X[train], y[train]
    known = np.isin(X[test, 1], X_train[:, 1])
    X_test, y_test = X[test][known], y[test][known]
    items, counts = np.unique(X_train[:, 1], return_counts=True)
    often_rated = items[np.argsort(-counts)[: len(items) // 5]]
    rows = {}
    for name, given in MODELS.items():
        model = MatrixFactorizationRegressor(random_state=0, **given).fit(X_train, y_train)
        error = rmse(model.predict(X_test), y_test)
        rows[name] = [
            error,
            *of_held_out_pairs(model, X_test, y_test),
            *of_catalog(model, X_test, y_test, X_train, None),
        ]
        if given is BEST:
            of_few = of_catalog(model, X_test, y_test, X_train, often_rated)
            rows["the same, candidates: the fifth of items rated most"] = [np.nan] * 3 + list(of_few)
    for name, make in {"most popular (number of ratings)": most_popular, "one random order for all": at_random}.items():
        model = make(X_train, y_train)
        rows[name] = [
            np.nan,
            *of_held_out_pairs(model, X_test, y_test),
            *of_catalog(model, X_test, y_test, X_train, None),
        ]
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=["ml-100k", "ml-1m", "ml-latest-small"], default="ml-1m")
    parser.add_argument("--splits", type=int, default=3)
    arguments = parser.parse_args()
    X, y = next((X, y) for name, X, y, _ in real_sets() if name == arguments.set)
    splitter = PerUserShuffleSplit(arguments.splits, test_size=0.2, random_state=0)
    found = [figures(X, y, np.sort(train), np.sort(test)) for train, test in splitter.split(X)]
    print(f"{arguments.set}, means of {arguments.splits} splits")
    print("| | RMSE | held-out pairs: NDCG@10 | recall@10 | whole catalog: NDCG@10 | recall@10 | coverage | novelty |")
    print("|---|---|---|---|---|---|---|---|")
    digits = [4, 4, 4, 4, 4, 2, 1]
    for name in found[0]:
        means = np.mean([rows[name] for rows in found], axis=0)
        cells = ["" if np.isnan(mean) else f"{mean:.{n}f}" for mean, n in zip(means, digits, strict=True)]
        print(f"| {name} | " + " | ".join(cells) + " |")
    spread = max(np.std([rows[name][column] for rows in found]) for name in found[0] for column in (1, 3))
    print(f"largest standard deviation of an NDCG over the splits: {spread:.4f}")


if __name__ == "__main__":
    main()
