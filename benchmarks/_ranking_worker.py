"""Fit the models of one library and write their lists; ranking_libraries.py runs it in the library's environment.

python _ranking_worker.py LIBRARY FOLDER N_SPLITS THREADS      FOLDER/0.npz, ... are problems; writes LIBRARY.npz there
"""

import os
import sys
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # implicit asks for it: its threads are those of the rows

import numpy as np
from _ranking_problem import Problem

BINARY = ["pairs", "relevant"]  # forms for models that take nothing but which pairs there are


def of_products(users, items):
    return lambda rows: users[rows] @ items.T


def implicit_als(matrix, threads):
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(num_threads=threads, random_state=0)
    model.fit(matrix, show_progress=False)
    return of_products(model.user_factors, model.item_factors)


def implicit_bpr(matrix, threads):
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(num_threads=threads, random_state=0)
    model.fit(matrix, show_progress=False)
    return of_products(model.user_factors, model.item_factors)  # with a column of biases


def cornac_wmf(matrix, threads):
    from cornac.data import Dataset
    from cornac.models import WMF

    coo = matrix.tocoo()
    triplets = list(zip(coo.row.tolist(), coo.col.tolist(), coo.data.tolist(), strict=True))
    data = Dataset.from_uir(triplets)
    model = WMF(verbose=False, seed=0).fit(data)
    users, items = (np.zeros((n, model.k), np.float32) for n in matrix.shape)
    users[np.fromiter(data.uid_map, int)] = model.U
    items[np.fromiter(data.iid_map, int)] = model.V
    return of_products(users, items)


def lightfm_warp(matrix, threads):
    """Fit WARP with 64 factors and 30 epochs: by default it makes 10 factors, and one epoch."""
    from lightfm import LightFM

    model = LightFM(64, loss="warp", random_state=0).fit(matrix.tocoo(), epochs=30, num_threads=threads)
    (user_biases, users), (item_biases, items) = model.get_user_representations(), model.get_item_representations()
    del user_biases  # the same for all items
    return lambda rows: users[rows] @ items.T + item_biases


# Of each library: its models, and which forms of the input make a difference to them (None: all).
MODELS = {
    "implicit": {"implicit ALS": (implicit_als, None), "implicit BPR": (implicit_bpr, BINARY)},
    "cornac": {"cornac WMF": (cornac_wmf, None)},
    "lightfm": {"lightfm WARP": (lightfm_warp, BINARY)},
}


def main():
    library, folder, n_splits, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    found = {}
    for split in range(n_splits):
        problem = Problem.load(folder / f"{split}.npz")
        for name, (fit, forms) in MODELS[library].items():
            for form in problem.forms():
                if forms is None or form in forms:
                    matrix = problem.matrix(form)
                    found[f"{name}|{form}|{split}"] = problem.lists(fit(matrix, threads), matrix)
    np.savez(folder / f"{library}.npz", **found)


if __name__ == "__main__":
    main()
