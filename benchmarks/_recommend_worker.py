"""Time both libraries; recommend.py runs it in an environment that has both implicit and this project.

python _recommend_worker.py THREADS N_USERS N_ITEMS RANK REPEATS      seconds of all rounds of both, in turn
python _recommend_worker.py THREADS N_USERS N_ITEMS RANK memory       peak memory of ours, with what it returns
"""

import json
import sys
import tracemalloc

import numpy as np
from _clock import in_turn
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_array, csr_matrix

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import pairs_from_sparse

K = 10


def models(n_users, n_items, rank, threads):
    """Make both libraries' models with the same factors, and pairs that were seen, 50 for each user."""
    rng = np.random.default_rng(0)
    U, V = (rng.normal(size=(n, rank)).astype(np.float32) for n in (n_users, n_items))
    each = np.column_stack([np.arange(max(n_users, n_items)) % n for n in (n_users, n_items)])
    ours = MatrixFactorizationRegressor(rank=1, max_iter=1, implicit_features=None, clip=False, n_jobs=threads)
    ours.fit(each, np.arange(len(each)) % 5)  # so that it knows the ids
    ours.factors_, ours.biases_ = [U, V], [np.zeros(len(rows), np.float32) for rows in (U, V)]
    theirs = AlternatingLeastSquares(factors=rank, num_threads=threads)
    theirs.user_factors, theirs.item_factors = U, V
    seen = csr_array(
        (
            np.ones(50 * n_users, np.float32),
            (np.repeat(np.arange(n_users), 50), rng.integers(0, n_items, 50 * n_users)),
        ),
        shape=(n_users, n_items),
    )
    seen.sum_duplicates()
    return ours, theirs, seen


def main():
    threads, n_users, n_items, rank = map(int, sys.argv[1:5])
    ours, theirs, seen = models(n_users, n_items, rank, threads)
    users, exclude, matrix = np.arange(n_users), pairs_from_sparse(seen)[0], csr_matrix(seen)
    if sys.argv[5] == "memory":
        peaks = []
        for left_out in (None, exclude):
            tracemalloc.start()  # NumPy reports its arrays to it
            ours.recommend(users, K, exclude=left_out)
            peaks.append(tracemalloc.get_traced_memory()[1] / 1e6)
            tracemalloc.stop()
        print(json.dumps(peaks))
        return
    calls = {
        "ours": lambda: ours.recommend(users, K),
        "implicit": lambda: theirs.recommend(users, matrix, N=K, filter_already_liked_items=False),
        "ours, seen left out": lambda: ours.recommend(users, K, exclude=exclude),
        "implicit, seen left out": lambda: theirs.recommend(users, matrix, N=K, filter_already_liked_items=True),
    }
    same = np.mean([np.mean(calls[a]()[0] == calls[b]()[0]) for a, b in (list(calls)[:2], list(calls)[2:])])
    print(json.dumps({"same": same, **in_turn(calls, int(sys.argv[5]))}))


if __name__ == "__main__":
    main()
