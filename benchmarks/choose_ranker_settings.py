"""How the ranker's defaults were chosen: settings around them, on held-out parts of the training rows of ten sets.

    python benchmarks/choose_ranker_settings.py [--sets ml-1m coat ...]

The test rows of the first split of rankings.py are never looked at. A tenth of each user's other pairs is held out, and
NDCG@10 over the whole catalog is taken there. A setting is judged by the mean over sets of the log of its NDCG relative
to that of the defaults; a last column has the setting that is best on the nine other sets, for each set.
"""

import argparse
import warnings

import numpy as np
from _real import RANKING_FILES, ranking_sets

from sklearn_mf import MatrixFactorizationRanker
from sklearn_mf.model_selection import PerUserShuffleSplit

SETTINGS = {
    "defaults": {},
    "rank=64": {"rank": 64},
    "rank=256": {"rank": 256},
    "confidence=0": {"confidence": 0.0},
    "confidence=0.4": {"confidence": 0.4},
    "confidence=1": {"confidence": 1.0},
    "unobserved_weight=5": {"unobserved_weight": 5.0},
    "unobserved_weight=20": {"unobserved_weight": 20.0},
    "alpha=0.007, damping=1.4": {"alpha": 0.007, "damping": 1.4},
    "alpha=0.01, damping=2": {"alpha": 0.01, "damping": 2.0},
    "alpha=0.014, damping=2.8": {"alpha": 0.014, "damping": 2.8},
    "max_iter=8": {"max_iter": 8},
    "max_iter=32": {"max_iter": 32},
}
N_SEEDS_OF_SMALL_SETS, SMALL = 3, 50_000  # splits of sets with fewer pairs, and what is few


def held_out_parts(X, y):
    """Give training rows and held-out rows, all of them from the training part of the first split."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shares of users with few pairs are rounded
        train = next(PerUserShuffleSplit(1, test_size=0.2, random_state=0).split(X))[0]
        splitter = PerUserShuffleSplit(N_SEEDS_OF_SMALL_SETS if len(y) < SMALL else 1, test_size=0.1, random_state=1)
        return [(train[kept], train[held]) for kept, held in splitter.split(X[train])]


def ndcg(X, y, relevant, parts, setting):
    """Give the mean NDCG@10 of a setting over the held-out parts."""
    scores = []
    for kept, held in parts:
        model = MatrixFactorizationRanker(random_state=0, relevant=relevant, **setting).fit(X[kept], y[kept])
        scores.append(model.score(X[held], y[held]))
    return np.mean(scores)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=list(RANKING_FILES), default=list(RANKING_FILES))
    names, found = [], []
    for name, X, y, relevant in ranking_sets(parser.parse_args().sets):
        parts = held_out_parts(X, y)
        names.append(name)
        found.append([ndcg(X, y, relevant, parts, setting) for setting in SETTINGS.values()])
        print(f"{name} is measured", flush=True)
    found = np.array(found).T
    relative = np.log(found / found[0])
    print("\n| | " + " | ".join(names) + " | mean of logs, % |\n|---" + "|---" * (len(names) + 1) + "|")
    for setting, scores, logs in zip(SETTINGS, found, relative, strict=True):
        print(f"| {setting} | " + " | ".join(f"{score:.4f}" for score in scores) + f" | {100 * logs.mean():+.2f} |")
    for left_out, name in enumerate(names):
        best = np.delete(relative, left_out, axis=1).mean(axis=1).argmax()
        gain = 100 * relative[best, left_out]
        print(f"best on the others without {name}: {list(SETTINGS)[best]}, {gain:+.2f} % there")


if __name__ == "__main__":
    main()
