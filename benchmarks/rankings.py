"""Lists on ten sets of real ratings: rankers, the regressor, the most popular, any order.

    python benchmarks/rankings.py [--sets ml-1m coat ...] [--splits 3]

A random fifth of each user's ratings is held out; of these, the items that training has are looked for. Two protocols,
which ask two questions:

whole catalog     all items that the user did not have in training are ranked: how many of the ten recommended did they
                  go on to like? The gain of a relevant held-out item is 1, of all else 0, unknown ratings too.
held-out pairs    the held-out ratings of a user are ranked: which of the items that somebody went on to rate did they
                  like best? Gains are the ratings.

Relevant is what is rated 4 or more (movietweetings 8, restaurants 2; of steam-hours every pair). Users without a
relevant held-out item are left out of the first protocol.
"""

import argparse
import sys
import warnings

import numpy as np
from _real import RANKING_FILES, ranking_sets

from sklearn_mf import MatrixFactorizationRanker, MatrixFactorizationRegressor
from sklearn_mf.metrics import catalog_coverage, ndcg_at_k, novelty, ranking_of_lists, recall_at_k
from sklearn_mf.model_selection import PerUserShuffleSplit

K = 10
# Titles of the tables and the digits of their figures, in the order of `figures`.
TABLES = {
    "whole catalog: NDCG@10": 4,
    "whole catalog: recall@10": 4,
    "whole catalog: coverage": 2,
    "whole catalog: novelty": 1,
    "held-out pairs: NDCG@10": 4,
}


def most_popular(X, y):
    """Make a model that predicts, for everybody, how many ratings an item has."""
    model = MatrixFactorizationRegressor(rank=0, implicit_features=None, fit_bias=True, clip=False).fit(X, y)
    return with_item_biases(model, np.bincount(np.searchsorted(model.categories_[1], X[:, 1])))


def with_item_biases(model, biases):
    """Give the items these biases, and the users none."""
    model.biases_ = [np.zeros(len(model.categories_[0])), np.asarray(biases, dtype=np.float64)]
    return model


def at_random(X, y):
    model = most_popular(X, y)
    return with_item_biases(model, np.random.default_rng(0).permutation(len(model.categories_[1])))


MODELS = {
    "ranker": lambda X, y: MatrixFactorizationRanker(random_state=0).fit(X, y),
    "ranker without y": lambda X, y: MatrixFactorizationRanker(random_state=0).fit(X),
    "ranker with rank=256": lambda X, y: MatrixFactorizationRanker(256, random_state=0).fit(X, y),
    "regressor": lambda X, y: MatrixFactorizationRegressor(random_state=0).fit(X, y),
    "most popular (number of ratings)": most_popular,
    "one random order for all": at_random,
}


def catalog_figures(items, users, X, relevant, X_train):
    """Measure lists over the whole catalog; ``relevant`` says which of the held-out pairs are."""
    ranking = ranking_of_lists(items, users, X[relevant], np.ones(np.count_nonzero(relevant)))
    return [
        ndcg_at_k(**ranking, k=K),
        recall_at_k(**ranking, k=K, relevant=1),
        catalog_coverage(items, catalog=X_train[:, 1]),
        novelty(items, X=X_train),
    ]


def figures(X, y, relevant, train, test):
    """Measure all models on one split; return a figure for each table, by name."""
    X_train, y_train = X[train], y[train]
    known = np.isin(X[test, 1], X_train[:, 1])
    X_test, y_test = X[test][known], y[test][known]
    is_relevant = y_test >= (-np.inf if relevant is None else relevant)
    users = np.unique(X_test[is_relevant, 0])
    rows = {}
    for name, fit in MODELS.items():
        model = fit(X_train, y_train)
        items, _ = model.recommend(users, K, exclude=X_train)
        of_pairs = ndcg_at_k(y_test, model.predict(X_test), groups=X_test[:, 0], k=K)
        rows[name] = [*catalog_figures(items, users, X_test, is_relevant, X_train), of_pairs]
    return rows


def measure(X, y, relevant, n_splits):
    """Return means over the splits, by the name of the model, and the largest standard deviation of an NDCG."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PerUserShuffleSplit holds out", UserWarning)  # users with few ratings
        splits = list(PerUserShuffleSplit(n_splits, test_size=0.2, random_state=0).split(X))
    found = [figures(X, y, relevant, np.sort(train), np.sort(test)) for train, test in splits]
    means = {name: np.mean([rows[name] for rows in found], axis=0) for name in MODELS}
    spread = max(np.std([rows[name][0] for rows in found]) for name in MODELS)
    return means, spread


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", choices=list(RANKING_FILES), nargs="+")
    parser.add_argument("--splits", type=int, default=3)
    arguments = parser.parse_args()
    found = {}
    for name, X, y, relevant in ranking_sets(arguments.sets):
        found[name] = measure(X, y, relevant, arguments.splits)
        print(f"{name} is measured", file=sys.stderr, flush=True)
    for place, (title, digits) in enumerate(TABLES.items()):
        print(f"\n{title}, means of {arguments.splits} splits\n\n| | " + " | ".join(found) + " |")
        print("|---" * (len(found) + 1) + "|")
        for model in MODELS:
            cells = [f"{means[model][place]:.{digits}f}" for means, _ in found.values()]
            print(f"| {model} | " + " | ".join(cells) + " |")
    spreads = [f"{name} {spread:.4f}" for name, (_, spread) in found.items()]
    print("\nlargest standard deviation of an NDCG of lists over the splits: " + ", ".join(spreads))


if __name__ == "__main__":
    main()
