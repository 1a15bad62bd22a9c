"""Lists of this project's ranker and of other libraries on ten sets of real ratings, in the same protocol.

    python benchmarks/ranking_libraries.py [--sets ml-1m coat ...] [--parts ours ease implicit] [--results FILE]

The protocol is that of rankings.py: NDCG@10 over the whole catalog but what the user had in training. Every library is
installed in its own environment and fitted at its defaults. As libraries differ in what they make of ratings, each is
given several forms of them (`Problem.matrix` of _ranking_problem.py), and the table has the form that did best on the
held-out items themselves, which favors the others. Steck's EASE (2019) is a few lines here; its ridge is chosen on a
fifth of the training rows of the first split.

Figures are kept in the file of results, and what is there is not measured again.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from _environments import CACHE, create, python_of
from _ranking_problem import K, Problem
from _real import RANKING_FILES, ranking_sets
from scipy.linalg import lapack

from sklearn_mf import MatrixFactorizationRanker
from sklearn_mf.metrics import ndcg_at_k, ranking_of_lists
from sklearn_mf.model_selection import PerUserShuffleSplit

HERE = Path(__file__).resolve().parent
N_SPLITS = 3
RIDGES = [20, 50, 100, 200, 500, 1000, 2000, 5000]
EASE_FORMS = ["pairs", "relevant", "strengths"]
REQUIREMENTS = {
    "implicit": ["implicit==0.7.3"],
    "cornac": ["cornac==3.0.1", "tensorflow-cpu==2.21.0"],  # its WMF imports TensorFlow without requiring it
    "lightfm": ["lightfm==1.17"],
}


def split_rows(X, n_splits, seed):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PerUserShuffleSplit holds out", UserWarning)  # users with few ratings
        splitter = PerUserShuffleSplit(n_splits, test_size=0.2, random_state=seed)
        return [(np.sort(train), np.sort(test)) for train, test in splitter.split(X)]


def make_problem(X, y, relevant, train, test):
    """Make the problem of a split, and the held-out pairs and ratings that its lists are measured with."""
    levels = [np.unique(ids) for ids in X[train].T]
    known = np.all([np.isin(ids, level) for ids, level in zip(X[test].T, levels, strict=True)], axis=0)
    codes = np.column_stack([np.searchsorted(level, ids) for level, ids in zip(levels, X.T, strict=True)])
    held_out = codes[test][known], y[test][known]
    users = np.unique(held_out[0][:, 0])
    shape = tuple(len(level) for level in levels)
    return Problem(codes[train], y[train], users, shape, -np.inf if relevant is None else relevant), held_out


def measure(lists, problem, held_out):
    """Give NDCG@10 with what is relevant, and with every held-out pair."""
    X, y = held_out
    found = []
    for threshold in (problem.relevant, -np.inf):
        pairs = X[y >= threshold]
        ranking = ranking_of_lists(lists, problem.users, pairs, np.ones(len(pairs)))
        found.append(ndcg_at_k(**ranking, k=K))
    return found


# What runs in this process


def ease(matrix, ridge):
    """Solve EASE in float32, on the smaller side; give scores of rows of users, right for items they do not have."""
    is_wide = matrix.shape[0] < matrix.shape[1]
    gram = (matrix @ matrix.T if is_wide else matrix.T @ matrix).toarray(order="F")
    gram[np.diag_indices_from(gram)] += ridge
    inverse = lapack.spotri(lapack.spotrf(gram, overwrite_a=1)[0], overwrite_c=1)[0]
    upper = np.triu(inverse, 1)
    inverse = upper + upper.T + np.diag(np.diag(inverse))
    if is_wide:  # X (X'X + r)^-1 = (XX' + r)^-1 X
        projected = np.asarray((matrix.T @ inverse).T)
        diagonal = (1 - np.asarray(matrix.multiply(projected).sum(axis=0)).ravel()) / ridge
        return lambda users: projected[users] / -diagonal
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return lambda users: matrix[users] @ weights


def choose_ridge(problem, form):
    """Take the ridge with the highest NDCG@10 on a fifth of the training rows; on a large set walk from the middle."""
    ((train, test),) = split_rows(problem.X, 1, 1)
    inner, held_out = make_problem(problem.X, problem.y, problem.relevant, train, test)
    matrix, scores = inner.matrix(form), {}

    def score(place):
        if not 0 <= place < len(RIDGES):
            return -1.0
        if place not in scores:
            scores[place] = measure(inner.lists(ease(matrix, RIDGES[place]), matrix), inner, held_out)[0]
        return scores[place]

    if min(matrix.shape) < 4000:
        return RIDGES[max(range(len(RIDGES)), key=score)]
    place = len(RIDGES) // 2
    step = 1 if score(place + 1) > score(place) else -1
    while score(place + step) > score(place):
        place += step
    return RIDGES[place]


def ours(problem, form):
    model = MatrixFactorizationRanker(random_state=0)
    model.fit(problem.X, None if form == "pairs" else problem.y)
    return model.recommend(problem.users, K)[0]


def most_popular(problem, form):
    counts = np.bincount(problem.X[:, 1])
    return problem.lists(lambda users: np.tile(counts, (len(users), 1)))


def measure_ours(problems, arguments):
    """Measure this project and the most popular: a figure of each split, by method and form."""
    methods = [("sklearn-mf", "ratings", ours), ("sklearn-mf", "pairs", ours), ("most popular", "pairs", most_popular)]
    return {
        f"{method}|{form}": [measure(find(p, form), p, held_out) for p, held_out in problems]
        for method, form, find in methods
    }


def measure_ease(problems, arguments):
    found = {}
    for form in EASE_FORMS:
        if form in problems[0][0].forms():
            ridge = choose_ridge(problems[0][0], form)
            print(f"EASE, {form}: ridge {ridge}", file=sys.stderr, flush=True)
            matrices = [p.matrix(form) for p, _ in problems]
            found[f"EASE|{form}"] = [
                measure(p.lists(ease(matrix, ridge), matrix), p, held_out)
                for matrix, (p, held_out) in zip(matrices, problems, strict=True)
            ]
    return found


# Other libraries


def environment(library, folder):
    """Give the interpreter of a library's environment, made if it is not there."""
    folder = folder.expanduser() / f"ranking-{library}"
    if not python_of(folder).exists():
        print(f"installing {library} in {folder}", file=sys.stderr, flush=True)
        if library != "lightfm":
            return create(folder, REQUIREMENTS[library])
        # Its setup.py runs in the namespace of an old pip only.
        python = create(folder, ["setuptools<70", "wheel", "pip<24", "numpy<2", "scipy", "requests", "scikit-learn"])
        options = ["--no-build-isolation", "--no-use-pep517"]
        subprocess.run([str(python), "-m", "pip", "install", "-q", *options, *REQUIREMENTS[library]], check=True)
    return python_of(folder)


def measure_library(library, problems, arguments):
    """Fit a library in its environment: a figure of each split, by method and form; or why there is none."""
    try:
        python = environment(library, arguments.environments)
    except (RuntimeError, subprocess.CalledProcessError) as error:
        return {"failed": f"not installed: {str(error)[-200:]}"}
    with tempfile.TemporaryDirectory() as folder:
        for split, (problem, _) in enumerate(problems):
            problem.save(Path(folder) / f"{split}.npz")
        command = [python, HERE / "_ranking_worker.py", library, folder, len(problems), arguments.threads]
        try:
            done = subprocess.run(
                list(map(str, command)), capture_output=True, text=True, timeout=arguments.timeout, env=os.environ
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"not done in {arguments.timeout} seconds"}
        if done.returncode:
            return {"failed": done.stderr.strip().splitlines()[-1]}
        found = {}
        with np.load(Path(folder) / f"{library}.npz") as lists:
            for name in lists.files:
                method, form, split = name.split("|")
                found.setdefault(f"{method}|{form}", []).append(measure(lists[name], *problems[int(split)]))
    return found


# Tables


def best_form(figures, method, forms, place):
    """Give the mean over the splits, and the form, of the best form of a method."""
    means = {
        form: np.mean([split[place] for split in figures[f"{method}|{form}"]])
        for form in forms
        if f"{method}|{form}" in figures
    }
    return max(((mean, form) for form, mean in means.items()), default=None)


def print_table(title, found, rows, place):
    """Print a row for each (name, method, forms): the NDCG of its best form, and which one if there are several."""
    print(f"\n{title}\n\n| | " + " | ".join(found) + " |\n" + "|---" * (len(found) + 1) + "|")
    for name, method, forms in rows:
        best = [best_form(figures, method, forms, place) for figures in found.values()]
        marks = [f" {cell[1][:2]}" if cell and len(forms) > 1 else "" for cell in best]
        cells = [f"{cell[0]:.4f}{mark}" if cell else "" for cell, mark in zip(best, marks, strict=True)]
        if any(cells):
            print(f"| {name} | " + " | ".join(cells) + " |")


def print_tables(stored):
    found = {name: {k: v for part in parts.values() for k, v in part.items()} for name, parts in stored.items()}
    others = ["implicit ALS", "implicit BPR", "cornac WMF", "lightfm WARP"]
    forms = ["pairs", "ratings", "relevant", "strengths"]
    rows = [
        ("sklearn-mf", "sklearn-mf", ["ratings"]),
        ("sklearn-mf without y", "sklearn-mf", ["pairs"]),
        *((f"EASE, {form}", "EASE", [form]) for form in EASE_FORMS),
        *((f"{method}, best form", method, forms) for method in others),
        ("most popular", "most popular", ["pairs"]),
    ]
    print_table(
        "With ratings; relevant from the threshold on. Letters name the form: pairs, ratings, relevant, strengths",
        found, rows, 0,
    )  # fmt: skip
    clicks = [(method, method, ["pairs"]) for method in ["sklearn-mf", "EASE", *others, "most popular"]]
    print_table("As clicks, 1 for each training pair; relevant as above", found, clicks, 0)
    print_table("As clicks, and every held-out pair is relevant", found, clicks, 1)
    for name, parts in stored.items():
        for library, figures in parts.items():
            if "failed" in figures:
                print(f"\n{library} on {name}: {figures['failed']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", choices=list(RANKING_FILES), nargs="+")
    parts = ["ours", "ease", *REQUIREMENTS]
    parser.add_argument("--parts", choices=parts, nargs="*", default=parts)
    parser.add_argument("--environments", type=Path, default=CACHE)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--timeout", type=int, default=None, help="seconds that a library may take for a set")
    parser.add_argument("--results", type=Path, default=CACHE / "ranking_libraries.json")
    arguments = parser.parse_args()
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    for name, X, y, relevant in ranking_sets(arguments.sets):
        problems = [make_problem(X, y, relevant, *rows) for rows in split_rows(X, N_SPLITS, 0)]
        for part in arguments.parts:
            stored = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
            if part in stored.get(name, {}):
                continue
            here = {"ours": measure_ours, "ease": measure_ease}
            found = here[part](problems, arguments) if part in here else measure_library(part, problems, arguments)
            stored = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
            stored.setdefault(name, {})[part] = found
            arguments.results.write_text(json.dumps(stored, indent=1))
            print(f"{name}: {part} is measured", file=sys.stderr, flush=True)
    stored = json.loads(arguments.results.read_text())
    print_tables({name: stored[name] for name in RANKING_FILES if name in stored})


if __name__ == "__main__":
    main()
