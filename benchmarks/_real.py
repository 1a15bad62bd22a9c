"""Real ratings and the splits that figures are quoted on; made ratings of other kinds."""

import os
import re
from pathlib import Path

import numpy as np
from sklearn.model_selection import KFold

from sklearn_mf.datasets import load_ratings, make_ratings

FOLDER = Path(os.environ.get("SKLEARN_MF_DATA", Path(__file__).parents[2] / "shared" / "data"))
# The best setting known for the real sets together, by choose_settings.py.
BEST = {"rank": 128, "max_iter": 60, "learning_rate": 0.1, "alpha": 0.11, "alpha_implicit": 30.0}
# How pictures of the documentation look.
PICTURE_STYLE = Path(__file__).parents[1] / "docs" / "pictures" / "sklearn_mf.mplstyle"
FILES = {
    "ml-100k": "u.data",
    "ml-1m": "ratings.dat.gz",
    "ml-latest-small": "ratings.csv",
    "movietweetings-100k": "ratings.dat",
}
# The sets that lists are measured on, and the rating from which on a pair is relevant: None takes every pair.
RANKING_FILES = {
    **dict(zip(FILES, zip(FILES.values(), [4, 4, 4, 8], strict=True), strict=True)),
    "filmtrust": ("ratings.csv.gz", 4),
    "yelp": ("ratings.csv.gz", 4),
    "restaurants": ("ratings.csv.gz", 2),
    "flixster": ("ratings.csv.gz", 4),
    "coat": ("ratings.csv.gz", 4),
    "steam-hours": ("ratings.csv.gz", None),
}

# The same sets for ratings, and ml-100k once more with its published split.
RATING_SETS = ["ml-100k", "ml-100k u1", *list(RANKING_FILES)[1:]]


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


def ranking_sets(names=None):
    """Yield (name, X, y, relevant) of the sets for lists, X as int codes; of coat the ratings that people chose."""
    found = [name for name, (file, _) in RANKING_FILES.items() if (FOLDER / name / file).exists()]
    if not found:
        raise SystemExit(
            f"No ratings in {FOLDER}: name their folder in SKLEARN_MF_DATA (docs/contributing.md says more)."
        )
    for name in names or RANKING_FILES:
        file, relevant = RANKING_FILES[name]
        if name not in found:
            print(f"{name}: not found at {FOLDER / name / file} (SKLEARN_MF_DATA names the folder)")
            continue
        columns = ["user", "item", "part", "rating"] if name == "coat" else None
        X, y = load_ratings(FOLDER / name / file, columns=columns, return_X_y=True)
        if name == "coat":
            is_selected = X[:, 2] == "selected"
            X, y = X[is_selected, :2], y[is_selected]
        codes = [np.unique(ids, return_inverse=True)[1] for ids in X.T]
        yield name, np.column_stack(codes), y, relevant


def rating_sets(names=None):
    """Yield (name, X, y, train, tests) of the sets for ratings, X as int codes; tests by the name of what they measure.

    Flixster has its published test part, and "ml-100k u1" the first 20,000 rows, as published.
    Of coat a tenth of the ratings that people chose is held out; ratings of items drawn at random are a second test.
    """
    for name in names or RATING_SETS:
        folder = name.split()[0]
        path = FOLDER / folder / RANKING_FILES[folder][0]
        if not path.exists():
            print(f"{name}: not found at {path} (SKLEARN_MF_DATA names the folder, see docs/contributing.md)")
            continue
        columns = ["user", "item", "part", "rating"] if folder in ("coat", "flixster") else None
        X, y = load_ratings(path, columns=columns, return_X_y=True)
        codes = np.column_stack([np.unique(ids, return_inverse=True)[1] for ids in X.T[:2]])
        train, test, others = *tenth(len(y)), {}
        if name == "ml-100k u1":
            train, test = np.arange(20_000, len(y)), np.arange(20_000)
        elif name == "flixster":
            train, test = (np.flatnonzero(X[:, 2] == part) for part in ("train", "test"))
        elif name == "coat":
            chosen = np.flatnonzero(X[:, 2] == "selected")
            train, test = (chosen[rows] for rows in tenth(len(chosen)))
            others = {"coat, random part": np.flatnonzero(X[:, 2] == "random")}
        yield name, codes, y, train, {name: test, **others}


def generated_sets():
    """Yield (name, X, y): dense on -10..10; 0.05 % dense; a long tail on 1..100. Who rated what tells nothing."""
    kinds = {
        "made, dense": {"n_users": 2000, "n_items": 100, "n_ratings": 140_000, "noise": 4.0, "tail": 0.0},
        "made, sparse": {"n_users": 10_000, "n_items": 10_000, "n_ratings": 50_000},
        "made, long tail": {"n_users": 5000, "n_items": 3000, "n_ratings": 200_000, "noise": 15.0, "tail": 1.2},
    }
    kinds["made, dense"]["rating_range"] = (-10.0, 10.0)
    kinds["made, long tail"].update(rating_range=(1.0, 100.0), rating_step=1.0)
    for name, parameters in kinds.items():
        yield name, *make_ratings(**parameters, random_state=0, return_X_y=True)


def film_context(name, X):
    """Add two columns to the X of "ml-100k" or "ml-1m": the year of the film and its combination of genres."""
    file, separator = ("u.item", "|") if name == "ml-100k" else ("movies.dat", "::")
    year, genres = {}, {}
    for line in (FOLDER / name / file).read_text(encoding="latin-1").splitlines():
        item, title, *rest = line.split(separator)
        year[int(item)] = int(re.search(r"\((\d{4})\)", title + "(0000)")[1])
        genres[int(item)] = "".join(rest[3:] or rest)
    number = {combination: k for k, combination in enumerate(sorted(set(genres.values())))}
    context = [[year[item], number[genres[item]]] for item in X[:, 1].tolist()]
    return np.column_stack([X, context])


def splits(name, n):
    if name == "ml-100k":
        return list(KFold(5, shuffle=True, random_state=0).split(np.empty(n)))
    return [tenth(n)]


def tenth(n, seed=0):
    """Give rows to train on and rows to test on, the first n // 10 of a permutation."""
    order = np.random.default_rng(seed).permutation(n)
    return order[n // 10 :], order[: n // 10]


def rmse(a, b):
    return float(np.sqrt(np.mean((a - b) ** 2)))
