"""Rankings on ml-1m: NDCG@10 and recall@10 of the factorization, of biases only and of the most popular.

    python benchmarks/rankings.py [--set ml-100k]

A random fifth of each user's ratings is held out. Two protocols, which ask two questions:

held-out pairs    the held-out ratings of a user are ranked: which of the films that somebody went on to rate did they
                  like best? Gains are the ratings; from 4 on a film is relevant.
whole catalogue   all films that the user did not rate in training are ranked: how many of the ten recommended did they
                  go on to rate with 4 or more? Gains are the ratings from 4 on; all else is 0, unknown ratings too.
"""

import argparse

import numpy as np
from _real import BEST, real_sets, rmse

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.metrics import catalog_coverage, ndcg_at_k, novelty, recall_at_k
from sklearn_mf.model_selection import PerUserShuffleSplit

RELEVANT, K = 4, 10
MODELS = {
    "factorization, defaults": {},
    "factorization, best for RMSE": BEST,
    "without implicit features": {"implicit_features": None, "alpha": 0.04, "learning_rate": 0.05},
    "biases only": {"rank": 0, "implicit_features": None},
}


def most_popular(X, y):
    """A model that predicts, for everybody, how many ratings an item has."""
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


def of_catalogue(model, X, y, X_train, candidates):
    """Pairs to rank: those recommended, in their order, and behind them those held out but not recommended."""
    users = np.unique(X[:, 0])
    items, _ = model.recommend(users, K, exclude=X_train, candidates=candidates)
    held_out = {
        pair: rating for pair, rating in zip(map(tuple, X.tolist()), y.tolist(), strict=True) if rating >= RELEVANT
    }
    pairs = [(user, item) for user, row in zip(users.tolist(), items.tolist(), strict=True) for item in row]
    missed = list(set(held_out) - set(pairs))
    gains = [held_out.get(pair, 0.0) for pair in pairs + missed]
    scores = np.concatenate([np.tile(-np.arange(K), len(users)), np.full(len(missed), -K)])
    given = {"groups": [user for user, _ in pairs + missed], "k": K}
    return (
        ndcg_at_k(gains, scores, **given),
        recall_at_k(gains, scores, relevant=RELEVANT, **given),
        catalog_coverage(items, catalog=X_train[:, 1]),
        novelty(items, X=X_train),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=["ml-100k", "ml-1m", "ml-latest-small"], default="ml-1m")
    wanted = parser.parse_args().set
    X, y = next((X, y) for name, X, y, _ in real_sets() if name == wanted)
    train, test = next(PerUserShuffleSplit(1, test_size=0.2, random_state=0).split(X))
    train, test = np.sort(train), np.sort(test)
    X_train, y_train = X[train], y[train]
    known = np.isin(X[test, 1], X_train[:, 1])
    X_test, y_test = X[test][known], y[test][known]
    print(
        f"{wanted}: {len(train)} ratings to train on, {len(y_test)} held out ({(~known).sum()} of new items left out)"
    )
    print(
        "| | RMSE | held-out pairs: NDCG@10 | recall@10 | "
        "whole catalogue: NDCG@10 | recall@10 | coverage | novelty, bits |"
    )
    print("|---|---|---|---|---|---|---|---|")
    makers = {name: MatrixFactorizationRegressor(random_state=0, **given).fit for name, given in MODELS.items()}
    makers["best, from the fifth of items rated most"] = makers["factorization, best for RMSE"]
    items, counts = np.unique(X_train[:, 1], return_counts=True)
    for name, make in {**makers, "most popular": most_popular, "at random": at_random}.items():
        model = make(X_train, y_train)
        candidates = items[np.argsort(-counts)[: len(items) // 5]] if "fifth" in name else None
        figures = [*of_held_out_pairs(model, X_test, y_test), *of_catalogue(model, X_test, y_test, X_train, candidates)]
        error = f"{rmse(model.predict(X_test), y_test):.4f}" if name in MODELS else ""
        print(f"| {name} | {error} | " + " | ".join(f"{figure:.4f}" for figure in figures) + " |", flush=True)


if __name__ == "__main__":
    main()
