"""What a fit of the regressor on a cluster takes: memory, bytes sent and seconds, measured and by a model.

    python benchmarks/cluster_model.py                 # measures, checks the model, prints the table
    python benchmarks/cluster_model.py --table-only    # the part that needs no run: memory, bytes and messages

The model knows the arrays by the source (_cluster_terms.py). Small runs give what the source does not say: memory
beside
these arrays, seconds of a rating, of a message and of a byte. A run that they have not seen checks it. Needs Linux.
"""

import argparse
import os
from dataclasses import replace

import numpy as np
from _cluster_runs import cluster_of, make, run_on_cluster, spread, timed, transfer_speed
from _cluster_terms import (
    Size,
    bytes_of_epoch,
    bytes_of_sums,
    bytes_of_sweep,
    memory_of_dealing,
    memory_of_training,
    messages_of_epoch,
)

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.dask import DaskMatrixFactorizationRegressor

EPOCHS = 8
# Ratings, users, items, rank, workers. As in the target, a user has 10 ratings and an item 100.
LEARNED_FROM = [(1_000_000, 100_000, 10_000, 64, 2), (2_000_000, 200_000, 20_000, 64, 2)]
CHECKED_ON = (5_000_000, 250_000, 60_000, 32, 3)
TARGET = (10**9, 10**8, 10**7, 64)
WORKERS_OF_TARGET = (8, 32, 62, 128)
NETWORK = 1e9  # bytes a second that a worker sends, in the table: ten gigabit


def parameters_of(size):
    implicit = "both" if size.with_centers else None
    return {"rank": size.rank, "max_iter": EPOCHS, "implicit_features": implicit, "random_state": 0}


def measure(size):
    """Fit on a cluster of its own, and on one thread of this process; return the size as it came out, and both."""
    X, y = make(size.n_ratings, size.n_users, size.n_items)
    n_users, n_items = (len(np.unique(column)) for column in X.T)
    with cluster_of(size.n_workers) as client:
        _, run = run_on_cluster(client, DaskMatrixFactorizationRegressor(**parameters_of(size)), *spread(client, X, y))
        speed = transfer_speed(client)
    local = timed(MatrixFactorizationRegressor(n_jobs=1, **parameters_of(size)), X, y)
    return replace(size, n_users=n_users, n_items=n_items), run, local[0], speed


def memory_by_terms(size):
    return max(sum(memory_of_dealing(size).values()), sum(memory_of_training(size).values()))


def line_through(sizes, numbers):
    """Fit a number by a constant and a part for each rating of a worker; neither is negative."""
    ratings = np.array([size.n_ratings * size.share for size in sizes])
    slope = max(np.polyfit(ratings, numbers, 1)[0], 0.0)
    return max(float(np.mean(numbers - slope * ratings)), 0.0), float(slope)


def learn_rates(measured):
    """Learn the rates from runs."""
    sizes = [size for size, *_ in measured]
    rest = np.array([run.peak.max() - memory_by_terms(size) for size, run, *_ in measured])
    floats = [size.n_ratings * size.row / 4 for size in sizes]
    of_epochs = [local / n for n, (_, _, local, _) in zip(floats, measured, strict=True)]
    build = np.array([run.build for _, run, *_ in measured])
    return line_through(sizes, rest), float(np.median(of_epochs)), line_through(sizes, build)


def predict(size, rates, speed, n_cores=None):
    """Give bytes of memory, bytes sent, seconds of an epoch (computing, sending) and of the build, of one worker."""
    memory, rating, build = rates
    n = size.n_ratings * size.share
    seconds_of_message, bytes_a_second = speed
    at_once = 1.0 if n_cores is None else max(size.n_workers / n_cores, 1.0)  # workers that share a core
    sending = bytes_of_epoch(size) / bytes_a_second + messages_of_epoch(size) * seconds_of_message
    return (
        memory_by_terms(size) + memory[0] + memory[1] * n,
        bytes_of_epoch(size),
        at_once * n * rating * size.row / 4,
        at_once * sending,
        at_once * (build[0] + build[1] * n),
    )


def print_check(size, run, rates, speed):
    """Print what was predicted of a run and what was measured."""
    memory, n_bytes, computing, sending, build = predict(size, rates, speed, os.cpu_count())
    rows = [
        ("memory of a worker, MB", memory / 1e6, run.peak.max() / 1e6),
        ("the same in training, MB", sum(memory_of_training(size).values()) / 1e6, run.training.max() / 1e6),
        ("sent by a worker and epoch, MB", n_bytes / 1e6, run.n_bytes.mean() / 1e6),
        ("messages of a worker and epoch", messages_of_epoch(size), run.n_messages.mean()),
        ("seconds of an epoch", computing + sending, run.epoch),
        ("seconds before the first epoch", build, run.build),
    ]
    for name, predicted, found in rows:
        print(f"| {name} | {predicted:,.2f} | {found:,.2f} | {predicted / found:.2f} |")


def print_terms(size):
    """Print where the memory of a worker goes."""
    for what, terms in (("dealing", memory_of_dealing(size)), ("training", memory_of_training(size))):
        parts = ", ".join(f"{name} {value / 1e9:.1f}" for name, value in terms.items())
        print(f"* {what}, {sum(terms.values()) / 1e9:.1f} GB: {parts}")


def print_target(with_centers, rates, speed):
    """Print the table of the target."""
    print(
        "| workers | with ratings | groups of a worker | memory, GB | GB sent by a worker and epoch | messages", end=""
    )
    print(" | computing, s, one thread | sending, s |\n" + "|---" * 8 + "|")
    for n_workers in WORKERS_OF_TARGET:
        size = Size(*TARGET, n_workers, with_centers)
        own = size.groups_of_workers
        n_bytes = (bytes_of_sweep(size) + bytes_of_sums(size)).max()
        memory, computing = memory_by_terms(size), np.nan
        if rates is not None:
            found = predict(size, rates, (speed[0], NETWORK))
            memory, computing = found[0], found[2]
        sending = n_bytes / NETWORK + (messages_of_epoch(size) * speed[0] if speed else 0.0)
        print(
            f"| {n_workers} | {len(own)} | {own.min()} to {own.max()} | {memory / 1e9:.0f} | {n_bytes / 1e9:.1f} | "
            f"{messages_of_epoch(size):,} | {computing:.0f} | {sending:.0f} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table-only", action="store_true")
    arguments = parser.parse_args()
    for with_centers in (False, True):
        print(f"\n## implicit_features={'both' if with_centers else None}", flush=True)
        rates = speed = None
        if not arguments.table_only:
            measured = [measure(Size(*numbers, with_centers)) for numbers in LEARNED_FROM]
            rates, speed = learn_rates(measured), tuple(np.median([m[3] for m in measured], axis=0))
            print(f"beside the terms {rates[0][0] / 1e6:.0f} MB and {rates[0][1]:.1f} bytes a rating; ", end="")
            print(f"{rates[1] * 1e9:.2f} ns a rating and float; build {rates[2][0]:.2f} s and ", end="")
            print(f"{rates[2][1] * 1e6:.2f} s a million ratings; a message {speed[0] * 1e3:.2f} ms, ", end="")
            print(f"{speed[1] / 1e6:.0f} MB/s between workers")
            for name, (size, run, *_) in zip(
                ("learned", "learned", "checked"), [*measured, measure(Size(*CHECKED_ON, with_centers))], strict=True
            ):
                print(f"\n{name}: {size}\n\n| | predicted | measured | ratio |\n|---|---|---|---|")
                print_check(size, run, rates, speed)
        print(f"\n{Size(*TARGET, 8, with_centers)}\n")
        print_terms(Size(*TARGET, 8, with_centers))
        print()
        print_target(with_centers, rates, speed)


if __name__ == "__main__":
    main()
