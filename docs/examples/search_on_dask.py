"""
Hyperparameter search on a Dask cluster
=======================================

Run the fits of a grid search on the workers of a Dask cluster. The script needs ``pip
install distributed``. Without arguments, the script starts a cluster of two processes:

.. code-block:: sh

   python docs/examples/search_on_dask.py
   python docs/examples/search_on_dask.py --scheduler tcp://HOST:8786

Do not start more threads than there are cores:

* Leave ``n_jobs`` of the model at None. Each fit then has one thread.
* A worker runs one fit at a time for each of its threads. With
  ``threads_per_worker=1``, one worker runs one fit.
* Dask starts its workers with ``OMP_NUM_THREADS=1``, so that BLAS has one thread. Set
  this variable yourself if workers start without Dask's nanny. It does not limit
  ``n_jobs``.
"""

# %%
# The search
# ----------
# It is a ``GridSearchCV`` of scikit-learn. joblib sends its fits to Dask. ``scatter``
# sends the ratings to each worker once. The last fit, with the best settings, runs in
# this process.

import argparse
import importlib.util
from contextlib import ExitStack

import joblib
from distributed import Client, LocalCluster
from sklearn.model_selection import GridSearchCV

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.datasets import make_ratings
from sklearn_mf.model_selection import PerUserShuffleSplit

GRID = {"rank": [2, 4, 8], "learning_rate": [0.08, 0.15]}


def run_search(client, X, y):
    search = GridSearchCV(
        MatrixFactorizationRegressor(random_state=0),
        GRID,
        scoring="neg_root_mean_squared_error",
        cv=PerUserShuffleSplit(3, random_state=0),
    )
    with joblib.parallel_config(backend="dask", client=client, scatter=[X, y]):
        return search.fit(X, y)


# %%
# Run it
# ------
# Processes of a local cluster import this file when they start. Without the line
# ``if __name__ == "__main__":`` each of them would start a cluster, too.

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A search on a Dask cluster.")
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="address of a running cluster"
    )
    parser.add_argument("--ratings", type=int, default=50_000)
    arguments = parser.parse_args()

    X, y = make_ratings(
        1000, 500, arguments.ratings, rating_step=0.5, random_state=0, return_X_y=True
    )
    with ExitStack() as stack:
        address = arguments.scheduler or stack.enter_context(
            LocalCluster(2, threads_per_worker=1, dashboard_address="127.0.0.1:0")
        )
        search = run_search(stack.enter_context(Client(address)), X, y)

    results = search.cv_results_
    for settings, score in zip(
        results["params"], results["mean_test_score"], strict=True
    ):
        text = ", ".join(f"{name} {value}" for name, value in settings.items())
        print(f"{text}: RMSE {-score:.4f}")
    print(f"best: {search.best_params_}")

    if importlib.util.find_spec("matplotlib"):
        import matplotlib.pyplot as plt

        from sklearn_mf.plotting import SearchHeatMapDisplay

        SearchHeatMapDisplay.from_search(search)
        plt.show()
