"""Fit one model on a Dask cluster, and compare it with the model of one machine. Needs: pip install "sklearn-mf[dask]"

python docs/examples/fit_on_dask.py                             # starts a cluster of two processes on this machine
python docs/examples/fit_on_dask.py --scheduler tcp://HOST:8786 # on a cluster that runs already
"""

import argparse

import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client, LocalCluster

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.dask import DaskMatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings

N_RATINGS, N_PARTITIONS = 100_000, 6
PARAMETERS = {"rank": 8, "max_iter": 10, "random_state": 0}


def make_table():
    X, y = make_ratings(2000, 500, N_RATINGS, rating_step=0.5, random_state=0, return_X_y=True)
    return pd.DataFrame({"user": X[:, 0], "film": X[:, 1], "rating": y})


def fit_on_cluster(client, table):
    """Fit on all workers, print some predictions and lists, and give the model as one of this process."""
    # In truth: dd.read_parquet("ratings/*.parquet"), which the workers read.
    ratings = dd.from_pandas(table, npartitions=N_PARTITIONS)
    pairs = ratings[["user", "film"]]
    model = DaskMatrixFactorizationRegressor(**PARAMETERS, client=client).fit(pairs, ratings["rating"])

    expected = model.predict(pairs)  # lazy: nothing is computed yet
    error = ((ratings["rating"] - expected) ** 2).mean().compute() ** 0.5
    print(f"RMSE on the ratings of the fit, computed on the workers: {error:.4f}")

    users = dd.from_pandas(table["user"].drop_duplicates(), npartitions=2)
    lists = model.recommend(users, 3)  # lazy, too
    print(lists.head(6).to_string(index=False))
    return model.to_local()


def compare(model, local):
    """Print whether two models have the same bits."""
    arrays = zip([*model.factors_, *model.biases_], [*local.factors_, *local.biases_], strict=True)
    same = all(np.array_equal(ours, theirs) for ours, theirs in arrays)
    print(f"The model of one machine has the same bits: {same}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scheduler", metavar="ADDRESS", help="without it, a cluster is started")
    arguments = parser.parse_args()
    table = make_table()
    if arguments.scheduler:
        with Client(arguments.scheduler) as client:
            model = fit_on_cluster(client, table)
    else:
        with (
            # Port 0 of the dashboard is any free one: Dask warns where its usual one is taken.
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
            Client(cluster) as client,
        ):
            model = fit_on_cluster(client, table)
    compare(model, MatrixFactorizationRegressor(**PARAMETERS).fit(table[["user", "film"]], table["rating"]))


# Worker processes import this file when they start; without this line, each would start a cluster.
if __name__ == "__main__":
    main()
