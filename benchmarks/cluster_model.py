"""What a fit of the regressor on a cluster takes: memory, bytes sent and processor seconds, by a model and measured.

    python benchmarks/cluster_model.py                 # measures, checks the model, prints the table
    python benchmarks/cluster_model.py --table-only    # without runs: memory, bytes and messages

The model has the arrays and messages of the source (_cluster_terms.py). Small runs give what the source does not say:
memory beside these arrays, and the processor seconds of a rating, of a message and of a byte. A run that the model has
not seen checks it. Seconds are those of a processor, so other work on the machine matters less. Needs Linux.
"""

import argparse
from dataclasses import dataclass, replace

import numpy as np
from _cluster_runs import cluster_of, cost_of_transfer, make, run_on_cluster, spread, timed
from _cluster_terms import (
    EPOCHS_A_MOVE,
    Size,
    bytes_of_epoch,
    bytes_of_sums,
    bytes_of_sweep,
    memory_of_dealing,
    memory_of_end,
    memory_of_training,
    memory_of_worker,
    messages_of_epoch,
)

from sklearn_mf import MatrixFactorizationRegressor
from sklearn_mf.dask import DaskMatrixFactorizationRegressor

EPOCHS = 8
RANK_OF_COMPARISON = 16  # local fits with this rank, too, say what of an update does not grow with the rank
# Ratings, users, items, rank, workers. As in the target, a user has 10 ratings and an item 100.
LEARNED_FROM = [(1_000_000, 100_000, 10_000, 64, 2), (2_000_000, 200_000, 20_000, 64, 2)]
CHECKED_ON = [(5_000_000, 250_000, 60_000, 32, 3), (3_000_000, 60_000, 30_000, 48, 3)]
TARGET = (10**9, 10**8, 10**7, 64)
WORKERS_OF_TARGET = (8, 32, 62, 128)
NETWORK = 1e9  # bytes a second that a worker sends in the table: about ten gigabit


@dataclass(frozen=True)
class Rates:
    """What small runs say. Pairs are what there is in any case, and for each rating of a worker."""

    memory: tuple[float, float]  # bytes beside the terms
    build: tuple[float, float]  # processor seconds before the first epoch
    update: tuple[float, float]  # processor seconds of a rating in any case, and for each float of a row
    epoch: float  # processor seconds of an epoch that nothing else explains
    message: float  # processor seconds
    byte: float

    def memory_of(self, size):
        return memory_of_worker(size) + self.memory[0] + self.memory[1] * size.n_ratings * size.share

    def build_of(self, size):
        return self.build[0] + self.build[1] * size.n_ratings * size.share

    def computing_of(self, size):
        return (self.update[0] + self.update[1] * size.row / 4) * size.n_ratings * size.share

    def epoch_of(self, size):
        sending = self.message * messages_of_epoch(size) + self.byte * bytes_of_epoch(size)
        return self.computing_of(size) + sending + self.epoch

    def __str__(self):
        return (
            f"memory beside the terms {self.memory[0] / 1e6:.0f} MB and {self.memory[1]:.1f} bytes a rating; build "
            f"{self.build[0]:.2f} s and {self.build[1] * 1e6:.2f} s a million ratings; {self.update[0] * 1e9:.0f} ns a "
            f"rating and {self.update[1] * 1e9:.2f} ns for each float of its rows; {self.epoch:.3f} s an epoch; "
            f"{self.message * 1e3:.2f} ms a message and {self.byte * 1e9:.2f} ns a byte"
        )


def measure(size):
    """Fit on a cluster and on one thread of this process; return the size as it came out, and what it took."""
    X, y = make(size.n_ratings, size.n_users, size.n_items)
    parameters = {
        "rank": size.rank,
        "max_iter": EPOCHS,
        "implicit_features": "both" if size.with_centers else None,
        "random_state": 0,
    }
    with cluster_of(size.n_workers) as client:
        _, run = run_on_cluster(client, DaskMatrixFactorizationRegressor(**parameters), *spread(client, X, y))
        transfer = cost_of_transfer(client)
    updates = []
    for rank in (RANK_OF_COMPARISON, size.rank):
        *_, of_epoch = timed(MatrixFactorizationRegressor(n_jobs=1, **{**parameters, "rank": rank}), X, y)
        updates.append((rank, of_epoch / size.n_ratings))
    n_users, n_items = (len(np.unique(column)) for column in X.T)
    return replace(size, n_users=n_users, n_items=n_items), run, updates, transfer


def line_through(x, y):
    """Fit y by a constant and a part for each x; neither is negative."""
    slope = max(float(np.polyfit(x, y, 1)[0]), 0.0)
    return max(float(np.mean(np.array(y) - slope * np.array(x))), 0.0), slope


def learn_rates(measured):
    """Learn the rates from small runs."""
    n_ratings = np.array([size.n_ratings * size.share for size, *_ in measured])
    rest = np.array([run.peak.max() - memory_of_worker(size) for size, run, *_ in measured])
    build = np.array([run.build.max() for _, run, *_ in measured])
    update = line_through(*np.concatenate([updates for *_, updates, _ in measured]).T)
    message, byte = np.median([transfer for *_, transfer in measured], axis=0).tolist()
    rates = Rates(line_through(n_ratings, rest), line_through(n_ratings, build), update, 0.0, message, byte)
    more = np.mean([run.processor.mean() - rates.epoch_of(size) for size, run, *_ in measured])
    return replace(rates, epoch=max(float(more), 0.0))


def print_check(what, size, run, rates):
    """Print what was predicted of a run and what was measured."""
    print(f"\n{what}: {size}\n\n| of a worker | predicted | measured | ratio |\n|---|---|---|---|")
    rows = [
        ("memory at most, MB", rates.memory_of(size) / 1e6, run.peak.max() / 1e6),
        ("in training, MB", sum(memory_of_training(size).values()) / 1e6, run.training.max() / 1e6),
        ("sent in an epoch, MB", bytes_of_epoch(size) / 1e6, run.n_bytes.mean() / 1e6),
        ("messages in an epoch", messages_of_epoch(size), run.n_messages.mean()),
        ("processor seconds of an epoch", rates.epoch_of(size), run.processor.mean()),
        ("processor seconds before", rates.build_of(size), run.build.mean()),
    ]
    for name, predicted, found in rows:
        print(f"| {name} | {predicted:,.2f} | {found:,.2f} | {predicted / found:.2f} |", flush=True)


def print_target(with_centers, rates):
    """Print where the memory goes, and the table of the target."""
    size = Size(*TARGET, WORKERS_OF_TARGET[0], with_centers)
    print(f"\n{size}: {size.n_groups} groups, {size.n_sections} sections\n")
    for terms in (memory_of_dealing, memory_of_training, memory_of_end):
        parts = ", ".join(f"{name} {value / 1e9:.1f}" for name, value in terms(size).items())
        print(f"* {terms.__name__}, {sum(terms(size).values()) / 1e9:.1f} GB: {parts}")
    print(
        "\n| workers | with ratings | groups of each | memory, GB | GB sent in an epoch | messages | sending, s", end=""
    )
    print(" | computing, s | build, s |\n" + "|---" * 9 + "|")
    for n_workers in WORKERS_OF_TARGET:
        size = Size(*TARGET, n_workers, with_centers)
        own, n_bytes = size.groups_of_workers, (bytes_of_sweep(size) + bytes_of_sums(size) / EPOCHS_A_MOVE).max()
        seconds = " | " if rates is None else f"{rates.computing_of(size):.0f} | {rates.build_of(size):.0f}"
        memory = memory_of_worker(size) if rates is None else rates.memory_of(size)
        print(
            f"| {n_workers} | {len(own)} | {own.min()} to {own.max()} | {memory / 1e9:.0f} | {n_bytes / 1e9:.1f} | "
            f"{messages_of_epoch(size):,} | {n_bytes / NETWORK:.0f} | {seconds} |",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table-only", action="store_true")
    arguments = parser.parse_args()
    for with_centers in (False, True):
        print(f"\n## implicit_features={'both' if with_centers else None}", flush=True)
        rates = None
        if not arguments.table_only:
            measured = [measure(Size(*numbers, with_centers)) for numbers in LEARNED_FROM]
            rates = learn_rates(measured)
            print(rates)
            for size, run, *_ in measured:
                print_check("learned from", size, run, rates)
            for numbers in CHECKED_ON:
                size, run, *_ = measure(Size(*numbers, with_centers))
                print_check("checked on", size, run, rates)
        print_target(with_centers, rates)


if __name__ == "__main__":
    main()
