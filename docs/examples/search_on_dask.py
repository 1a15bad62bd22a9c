"""Search over rank and learning rate on a Dask cluster. It needs Dask: pip install distributed

python docs/examples/search_on_dask.py                             # starts a cluster of two processes on this machine
python docs/examples/search_on_dask.py --scheduler tcp://HOST:8786 # on a cluster that runs already

Workers must not start more threads than they have cores:

* Leave n_jobs of the model at None: a fit has one thread then.
* A worker runs one fit at a time for each of its threads: with threads_per_worker=1, one fit a process. The threads of
  all workers on a machine should be at most its cores.
* Dask's nanny starts each worker with OMP_NUM_THREADS=1, so that BLAS has one thread. Set it yourself where workers
  have no nanny. It does not limit n_jobs.
"""

import argparse

import joblib
from distributed import Client, LocalCluster
from sklearn.model_selection import GridSearchCV

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings
from sklearn_mf.model_selection import PerUserShuffleSplit

GRID = {"rank": [4, 8, 16], "learning_rate": [0.08, 0.15]}


def run_search(client, X, y):
    """Fit and score the whole grid on the workers; the last fit, with the best parameters, is done here."""
    search = GridSearchCV(
        MatrixFactorizationRegressor(random_state=0),
        GRID,
        scoring="neg_root_mean_squared_error",
        cv=PerUserShuffleSplit(3, random_state=0),
    )
    # Each worker gets X and y once, before the first fit.
    with joblib.parallel_config(backend="dask", client=client, scatter=[X, y]):
        return search.fit(X, y)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scheduler", metavar="ADDRESS", help="without it, a cluster is started")
    arguments = parser.parse_args()
    X, y = make_ratings(1000, 500, 50_000, rating_step=0.5, random_state=0, return_X_y=True)
    if arguments.scheduler:
        with Client(arguments.scheduler) as client:
            search = run_search(client, X, y)
    else:
        with (
            # Port 0 of the dashboard is any free one: Dask warns where its usual one is taken.
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
            Client(cluster) as client,
        ):
            search = run_search(client, X, y)
    for parameters, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
        print(", ".join(f"{name} {value}" for name, value in parameters.items()) + f": RMSE {-score:.4f}")
    print(f"best: {search.best_params_}")


# Worker processes import this file when they start; without this line, each would start a cluster.
if __name__ == "__main__":
    main()
