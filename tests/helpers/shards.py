"""Run the same function on several shards that are threads of this process."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import Queue
from threading import Lock

import numpy as np

from sklearn_mf._training.shard import ConnectedShard, Shard
from sklearn_mf._utils.threads import Threads

SECONDS = 60  # that a shard waits for a message


@contextmanager
def shard_of(n_threads):
    """One shard that has all, with so many threads."""
    with Threads(n_threads) as threads:
        yield Shard(threads)


class _Mail:
    """A queue for each sender, receiver and tag."""

    def __init__(self):
        self.queues, self.lock, self.n_bytes = {}, Lock(), 0

    def queue(self, *key):
        with self.lock:
            return self.queues.setdefault(key, Queue())


class ThreadShard(ConnectedShard):
    """Copies what it sends, as a network does; a stopped shard makes the others fail."""

    def __init__(self, index, n_shards, mail, threads, storage=None):
        super().__init__(index, n_shards, threads, storage)
        self.mail = mail

    def send(self, shard, tag, arrays):
        copies = [np.array(array) for array in arrays]
        with self.mail.lock:
            self.mail.n_bytes += sum(array.nbytes for array in copies)
        self.mail.queue(self.index, shard, tag).put(copies)

    def receive(self, shard, tag):
        return self.mail.queue(shard, self.index, tag).get(timeout=SECONDS)


def on_shards(n_shards, function, n_threads=1, storage=None):
    """Results of ``function(shard)`` on each of the shards, in order; with one shard, on a whole one."""
    if n_shards == 1:
        with Threads(n_threads) as threads:
            return [function(Shard(threads, storage))]
    mail = _Mail()

    def run(index):
        with Threads(n_threads) as threads:
            return function(ThreadShard(index, n_shards, mail, threads, storage))

    with ThreadPoolExecutor(n_shards) as pool:
        return list(pool.map(run, range(n_shards)))
