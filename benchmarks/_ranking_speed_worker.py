"""Measure both libraries; ranking_speed.py runs it in an environment that has both implicit and this project.

python _ranking_speed_worker.py make FOLDER NAME N_USERS N_ITEMS N_PAIRS   write the pairs and the matrix of a set
python _ranking_speed_worker.py seconds FOLDER RANK THREADS N1 N2 REPEATS   seconds of fits of N1 and N2 alternations
python _ranking_speed_worker.py memory FOLDER RANK THREADS LIBRARY   MB that a fit adds to the peak of the process
python _ranking_speed_worker.py lists RANK THREADS FORM ...   NDCG@10 of both on ml-1m, the mean of three splits
"""

import json
import resource
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

from sklearn_mf import MatrixFactorizationRanker


def make(folder, name, n_users, n_items, n_pairs):
    """Write X, y, and the same as a matrix of ones: codes of users and items that are there."""
    from _real import ranking_sets

    from sklearn_mf.datasets import make_ratings

    if name == "made":
        X, y = make_ratings(int(n_users), int(n_items), int(n_pairs), random_state=0, return_X_y=True)
        X = np.column_stack([np.unique(ids, return_inverse=True)[1] for ids in X.T])
    else:
        ((_, X, y, _),) = ranking_sets([name])
    matrix = csr_matrix((np.ones(len(y), np.float32), tuple(X.T)))
    arrays = {"X": X, "y": y, "data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
    for part, array in arrays.items():
        np.save(Path(folder) / f"{part}.npy", array)
    return {"n_pairs": len(y), "shape": matrix.shape}


def load(folder, *parts):
    return [np.load(Path(folder) / f"{part}.npy") for part in parts]


def fit_ours(X, y, rank, threads, n_alternations):
    model = MatrixFactorizationRanker(rank, max_iter=n_alternations, tol=0, n_jobs=threads, random_state=0)
    return model.fit(X, y)


def fit_implicit(matrix, rank, threads, n_alternations):
    model = AlternatingLeastSquares(rank, iterations=n_alternations, num_threads=threads, random_state=0)
    model.fit(matrix, show_progress=False)
    return model


def clocks(function, *arguments):
    """Measure a call: seconds that passed, and seconds of all threads on processors."""
    start = time.perf_counter(), time.process_time()
    function(*arguments)
    return time.perf_counter() - start[0], time.process_time() - start[1]


def seconds(folder, rank, threads, n1, n2, repeats):
    """Time fits of n1 and n2 alternations of both in turn; give medians, and those of the differences."""
    X, y, *parts = load(folder, "X", "y", "data", "indices", "indptr")
    matrix = csr_matrix(tuple(parts))
    fits = {
        "ours": lambda n: fit_ours(X, y, rank, threads, n),
        "implicit": lambda n: fit_implicit(matrix, rank, threads, n),
    }
    taken = {library: [] for library in fits}
    for fit in fits.values():  # so that pages and threads are there
        fit(1)
    for _ in range(repeats):
        for library, fit in fits.items():
            taken[library].append([clocks(fit, n) for n in (n1, n2)])
    found = {}
    for library, rounds in taken.items():
        for place, clock in enumerate(["wall", "cpu"]):
            each = statistics.median((long[place] - short[place]) / (n2 - n1) for short, long in rounds)
            short = statistics.median(short[place] for short, _ in rounds)
            found[f"{library} {clock}"] = {"alternation": each, "fit": short + (16 - n1) * each}
    return found


def peak_memory():
    """Measure the peak resident memory of this process so far, in MB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def memory(folder, rank, threads, library):
    """Give what one fit adds to the peak, beyond imports, a first tiny fit and the input."""
    tiny = np.column_stack([np.arange(20) % 5, np.arange(20) // 5])
    fit_ours(tiny, None, 2, threads, 1)
    fit_implicit(csr_matrix((np.ones(20, np.float32), tuple(tiny.T))), 2, threads, 1)
    given = (
        load(folder, "X", "y") if library == "ours" else [csr_matrix(tuple(load(folder, "data", "indices", "indptr")))]
    )
    before = peak_memory()
    model = (fit_ours if library == "ours" else fit_implicit)(*given, rank, threads, 1)
    return {"memory": peak_memory() - before, "model": type(model).__name__}


def lists(rank, threads, forms):
    """Give NDCG@10 of both over the splits of ranking_libraries.py, with all else at the defaults."""
    from _ranking_worker import of_products
    from _real import ranking_sets
    from ranking_libraries import N_SPLITS, make_problem, measure, split_rows

    ((_, X, y, relevant),) = ranking_sets(["ml-1m"])
    found = {}
    for rows in split_rows(X, N_SPLITS, 0):
        problem, held_out = make_problem(X, y, relevant, *rows)
        ours = MatrixFactorizationRanker(rank, n_jobs=threads, random_state=0).fit(problem.X, problem.y)
        found.setdefault("ours", []).append(measure(ours.recommend(problem.users)[0], problem, held_out)[0])
        for form in forms:
            model = fit_implicit(problem.matrix(form), rank, threads, 15)
            scores_of = of_products(model.user_factors, model.item_factors)
            found.setdefault(form, []).append(measure(problem.lists(scores_of), problem, held_out)[0])
    return {name: statistics.mean(values) for name, values in found.items()}


def main():
    mode, *given = sys.argv[1:]
    if mode == "make":
        found = make(*given)
    elif mode == "seconds":
        found = seconds(given[0], *map(int, given[1:]))
    elif mode == "memory":
        found = memory(given[0], *map(int, given[1:3]), given[3])
    else:
        found = lists(*map(int, given[:2]), given[2:])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
