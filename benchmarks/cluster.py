"""A fit on a cluster of processes of this machine against a local fit with as many threads.

    python benchmarks/cluster.py [--ratings 10000000] [--workers 2] [--rank 64] [--epochs 8]

Ratings are made, and lie on the workers before the fit begins. Seconds of an epoch are medians; local fits and those on
the cluster take turns. Bytes are those that a worker sends in an epoch, in the mean of the workers: counted, and as
_cluster_terms.py has them. Needs Linux.
"""

import argparse

import numpy as np
from _cluster_runs import cluster_of, make, run_on_cluster, spread, timed
from _cluster_terms import Size, bytes_of_epoch

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.dask import DaskMatrixFactorizationRegressor

RATINGS_OF_A_USER, RATINGS_OF_AN_ITEM = 140, 1000


def have_same_bits(model, other):
    pairs = zip([*model.factors_, *model.biases_], [*other.factors_, *other.biases_], strict=True)
    return all(np.array_equal(ours, theirs) for ours, theirs in pairs)


def compare(client, data, arguments, implicit_features):
    """Fit both ways, in turn; print a row of the table."""
    X, y, lazy_X, lazy_y, n_levels = data
    parameters = {
        "rank": arguments.rank,
        "max_iter": arguments.epochs,
        "implicit_features": implicit_features,
        "random_state": 0,
    }
    local_seconds, runs = [], []
    for _ in range(arguments.repeats):
        local = MatrixFactorizationRegressor(n_jobs=arguments.workers, **parameters)
        local_seconds.append(timed(local, X, y))
        model, run = run_on_cluster(client, DaskMatrixFactorizationRegressor(**parameters), lazy_X, lazy_y)
        runs.append(run)
    epoch, whole, _ = np.median(local_seconds, axis=0)
    cluster_epoch, cluster_whole = (np.median([getattr(run, name) for run in runs]) for name in ("epoch", "whole"))
    size = Size(len(y), *n_levels, arguments.rank, arguments.workers, implicit_features is not None)
    print(
        f"| {implicit_features} | {epoch:.2f} | {cluster_epoch:.2f} | {cluster_epoch / epoch:.2f} | {whole:.1f} | "
        f"{cluster_whole:.1f} | {cluster_whole / whole:.2f} | {have_same_bits(model, local)} | "
        f"{runs[-1].n_bytes.mean() / 1e6:.1f} | {bytes_of_epoch(size) / 1e6:.1f} |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=int, default=10_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    X, y = make(arguments.ratings, arguments.ratings // RATINGS_OF_A_USER, arguments.ratings // RATINGS_OF_AN_ITEM)
    n_levels = [len(np.unique(column)) for column in X.T]
    print(
        f"{len(y):,} ratings, {n_levels[0]:,} users, {n_levels[1]:,} items, {arguments.workers} workers of one thread"
    )
    print(
        "| implicit features | epoch, local, s | on the cluster, s | ratio | fit, local, s | on the cluster, s | ratio",
        end="",
    )
    print(" | same bits | MB sent by a worker and epoch | expected |\n" + "|---" * 10 + "|")
    with cluster_of(arguments.workers) as client:
        data = X, y, *spread(client, X, y), n_levels
        for implicit_features in (None, "both"):
            compare(client, data, arguments, implicit_features)


if __name__ == "__main__":
    main()
