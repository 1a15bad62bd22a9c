"""Fits on a cluster of processes of this machine, and what their workers send and hold."""

import time
import warnings
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import dask.array as da
import numpy as np
from _clock import EpochClock
from _cluster_terms import median_epoch
from distributed import Client, LocalCluster, wait

from sklearn_mf.dask._recovery import run_with_recovery
from sklearn_mf.dask._transport import WorkerShard
from sklearn_mf.datasets import make_ratings

PARTITIONS_OF_A_WORKER = 4
BYTES_OF_TRANSFER, N_TRANSFERS = 2**24, 9


class Watch:
    """Note at the start of each sweep what the shard of this process has sent, its memory and its processor seconds."""

    def __init__(self):
        self.n_bytes, self.n_messages, self.sweeps = 0, 0, []

    def start(self):
        send, visit_blocks = WorkerShard.send, WorkerShard.visit_blocks

        def counted_send(shard, to, tag, arrays):
            self.n_bytes += sum(array.nbytes for array in arrays)
            self.n_messages += 1
            send(shard, to, tag, arrays)

        def counted_visit(shard, *arguments):
            self.sweeps.append((self.n_bytes, self.n_messages, memory("VmRSS"), time.process_time()))
            visit_blocks(shard, *arguments)

        WorkerShard.send, WorkerShard.visit_blocks = counted_send, counted_visit

    def reset(self):
        """Forget all; give the memory of the process and its processor seconds."""
        self.n_bytes, self.n_messages, self.sweeps = 0, 0, []
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
        return memory("VmRSS"), time.process_time()

    def found(self):
        return self.sweeps, memory("VmHWM")


WATCH = Watch()


def start_watch():
    WATCH.start()


def reset_watch():
    return WATCH.reset()


def watched():
    return WATCH.found()


def memory(name):
    """Bytes of this process: VmRSS, now, or VmHWM, at most."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


@contextmanager
def cluster_of(n_workers):
    """Give a client of workers of one thread, which are watched."""
    with (
        LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(n_workers)
        client.run(start_watch)
        yield client


@dataclass
class ClusterRun:
    """What a fit took: seconds, and numbers of each worker, of epochs what `median_epoch` gives."""

    epoch: float  # seconds
    whole: float
    n_bytes: np.ndarray  # sent in an epoch
    n_messages: np.ndarray
    processor: np.ndarray  # processor seconds of an epoch
    build: np.ndarray  # processor seconds before the first epoch
    peak: np.ndarray  # bytes of memory beyond what the process had with its ratings
    training: np.ndarray  # the same in the second epoch


class ProcessorClock(EpochClock):
    """Note the processor seconds of this process, too."""

    def __init__(self):
        super().__init__()
        self.processor = []

    def write(self, text):
        n = super().write(text)
        self.processor += [time.process_time()] * (len(self.times) - len(self.processor))
        return n


def spread(client, X, y):
    """Put ratings on the workers, and wait for them."""
    n_partitions = PARTITIONS_OF_A_WORKER * len(client.nthreads())
    size = -(-len(y) // n_partitions)
    with warnings.catch_warnings():  # Dask prefers that workers read them
        warnings.filterwarnings("ignore", message="Sending large graph")
        collections = da.from_array(X, chunks=(size, 2)).persist(), da.from_array(y, chunks=size).persist()
    wait(collections)
    return collections


def run_on_cluster(client, model, X, y):
    """Fit to ratings that lie on the workers; return the model and what it took."""
    before = client.run(reset_watch)
    epoch, whole, _ = timed(model.set_params(client=client), X, y)
    found = client.run(watched)
    base, processor = np.array([before[worker] for worker in found]).T
    sweeps = np.array([found[worker][0][: model.max_iter] for worker in found])
    n_bytes, n_messages, _, of_epochs = median_epoch(np.moveaxis(sweeps, 1, 2)).T
    peak = np.array([found[worker][1] for worker in found])
    build, training = sweeps[:, 0, 3] - processor, sweeps[:, 1, 2] - base
    return model, ClusterRun(epoch, whole, n_bytes, n_messages, of_epochs, build, peak - base, training)


def timed(model, X, y):
    """Fit; return the seconds of an epoch, those of the whole, and the processor seconds of an epoch."""
    clock, start = ProcessorClock(), time.perf_counter()
    with redirect_stdout(clock):
        model.set_params(verbose=1).fit(X, y)
    whole = time.perf_counter() - start
    return float(median_epoch(clock.times)), whole, float(median_epoch(clock.processor))


def make(n_ratings, n_users, n_items):
    return make_ratings(n_users, n_items, n_ratings, rank=10, random_state=0, return_X_y=True)


def exchange_arrays(shard, n_bytes):
    """Measure the processor seconds of an exchange between all workers: a program for ``run_with_recovery``."""
    values, seconds = np.zeros(n_bytes, dtype=np.uint8), []
    for _ in range(N_TRANSFERS):
        start = time.process_time()
        shard.exchange([[values]] * shard.n_shards)
        seconds.append(time.process_time() - start)
    yield None, None
    return float(np.median(seconds[1:]))


def cost_of_transfer(client):
    """Measure the processor seconds of a worker for sending and receiving a message, and for each byte of it."""
    seconds = [
        max(
            run_with_recovery(
                client, lambda team, _, n=n: [(n,)] * len(team.addresses), exchange_arrays, lambda _: False
            )
        )
        for n in (1, BYTES_OF_TRANSFER)
    ]
    n_messages = len(client.nthreads()) - 1
    return seconds[0] / n_messages, (seconds[1] - seconds[0]) / (n_messages * BYTES_OF_TRANSFER)
