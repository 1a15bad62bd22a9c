"""
One fit on a Dask cluster
=========================

Fit one model with all workers of a Dask cluster, and compare it with a model that was
fitted on one machine. Both have the same bits. The script needs ``pip install
"sklearn-mf[dask]"``. Without arguments, the script starts a cluster of two processes:

.. code-block:: sh

   python docs/examples/fit_on_dask.py
   python docs/examples/fit_on_dask.py --scheduler tcp://HOST:8786
"""

# %%
# The ratings
# -----------
# A data frame with a row for each rating. On a real cluster the workers would read the
# ratings themselves: ``dd.read_parquet("ratings/*.parquet")``.

import argparse
import importlib.util
from contextlib import ExitStack

import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client, LocalCluster

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.dask import DaskMatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings

SETTINGS = {"rank": 8, "max_iter": 10, "random_state": 0}


def make_table(n_ratings):
    X, y = make_ratings(
        2000, 500, n_ratings, rating_step=0.5, random_state=0, return_X_y=True
    )
    return pd.DataFrame({"user": X[:, 0], "film": X[:, 1], "rating": y})


# %%
# Fit, predict and recommend on the workers
# -----------------------------------------
# ``predict`` and ``recommend`` return Dask collections. Nothing is computed before
# ``compute`` or ``head``. ``to_local`` gives the model as an estimator of this process.


def fit_on_cluster(client, table):
    ratings = dd.from_pandas(table, npartitions=6)
    pairs = ratings[["user", "film"]]
    model = DaskMatrixFactorizationRegressor(**SETTINGS, client=client)
    model.fit(pairs, ratings["rating"])

    squares = (ratings["rating"] - model.predict(pairs)) ** 2
    print(f"RMSE on the ratings of the fit: {squares.mean().compute() ** 0.5:.4f}")

    users = dd.from_pandas(table["user"].drop_duplicates(), npartitions=2)
    print(model.recommend(users, 3).head(6).to_string(index=False))
    return model.to_local()


# %%
# Compare with one machine
# ------------------------


def compare(model, table):
    local = MatrixFactorizationRegressor(**SETTINGS)
    local.fit(table[["user", "film"]], table["rating"])
    arrays = zip(
        [*model.factors_, *model.biases_],
        [*local.factors_, *local.biases_],
        strict=True,
    )
    same = all(np.array_equal(ours, theirs) for ours, theirs in arrays)
    print(f"same bits as a fit on one machine: {same}")
    return local


# %%
# Run it
# ------
# Processes of a local cluster import this file when they start. Without the line
# ``if __name__ == "__main__":`` each of them would start a cluster, too.

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="One fit on a Dask cluster.")
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="address of a running cluster"
    )
    parser.add_argument("--ratings", type=int, default=100_000)
    arguments = parser.parse_args()

    table = make_table(arguments.ratings)
    with ExitStack() as stack:
        address = arguments.scheduler or stack.enter_context(
            LocalCluster(2, threads_per_worker=1, dashboard_address="127.0.0.1:0")
        )
        client = stack.enter_context(Client(address))
        model = fit_on_cluster(client, table)
    local = compare(model, table)

    if importlib.util.find_spec("matplotlib"):
        import matplotlib.pyplot as plt

        from sklearn_mf.plotting import PredictedRatingsDisplay

        PredictedRatingsDisplay.from_estimator(
            model, table[["user", "film"]], table["rating"]
        )
        plt.show()
