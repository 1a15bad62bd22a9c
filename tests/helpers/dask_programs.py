"""Toy programs for shards, which workers of a Dask cluster can import."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass
class Groups:
    """Equal groups of items, shared out to shards in order."""

    n_groups: int
    owner: np.ndarray
    own_groups: range
    item_start: np.ndarray


def every_transfer(shard, n_groups):
    """What gather, exchange, share and visit_blocks give on this shard."""
    gathered = shard.gather(np.arange(3) + 10 * shard.index)
    exchanged = shard.exchange([[np.full((2, to), shard.index), np.array(to)] for to in range(shard.n_shards)])
    rows = np.zeros((7, 2))
    starts = np.array([k * 7 // shard.n_shards for k in range(shard.n_shards + 1)])
    rows[starts[shard.index] : starts[shard.index + 1]] = shard.index + 1
    shard.share([rows], starts)

    places = Groups(n_groups, shard.owners(n_groups), shard.part(n_groups), np.arange(n_groups + 1) * 3)
    items, seen = np.arange(3.0 * n_groups), np.zeros((n_groups, n_groups))

    def visit(stratum, group):
        item_group = (group + stratum) % n_groups
        own = items[3 * item_group : 3 * item_group + 3]
        own *= 2
        own += 10 * stratum + group
        seen[stratum, group] = own.sum()

    for _ in range(2):
        shard.visit_blocks(places, list(range(n_groups))[::-1], [items], visit)
    mine = [item for group in places.own_groups for item in range(3 * group, 3 * group + 3)]
    return {
        "gathered": gathered,
        "exchanged": [[np.array(array) for array in arrays] for arrays in exchanged],
        "rows": rows,
        "items": items[mine],
        "seen": seen[:, list(places.own_groups)],
    }


def transfer(shard, n_groups):
    """One epoch of every transfer."""
    result = every_transfer(shard, n_groups)
    yield "transferred", None
    return result


def send_and_overwrite(shard):
    """Send an array to the next shard and overwrite it once all have theirs; return what came from the one before."""
    after, before = (shard.index + 1) % shard.n_shards, (shard.index - 1) % shard.n_shards
    array = np.full(4, shard.index + 1.0)
    shard.send(after, (-1,), [array])
    [received] = shard.receive(before, (-1,))
    shard.gather(np.zeros(1))
    array[:] = 0
    shard.gather(np.zeros(1))
    yield None, None
    return received


def count_threads(shard):
    """Return the number of threads of a shard."""
    yield None, None
    return shard.threads.n


def mix(shard, rows, n_epochs, n_done=0, trouble=None):
    """Mix rows, which has the same result for any number of shards; ``trouble(shard, epoch)`` may strike before."""
    own = np.array(rows, dtype=float)[shard.part(len(rows))]
    part = slice(shard.part(len(rows)).start, shard.part(len(rows)).stop)
    for epoch in range(n_done + 1, n_epochs + 1):
        if trouble is not None:
            trouble(shard, epoch)
        everything = shard.gather(own)
        own = 0.5 * own + everything[::-1][part]
        state = {"rows": own, "twice": 2 * own}
        stop = yield (epoch, float(everything[0])), state.copy
        if stop:
            break
    return own


def mixed(rows, n_epochs):
    """What ``mix`` gives, on one machine."""
    for _ in range(n_epochs):
        rows = 0.5 * rows + rows[::-1]
    return rows


@dataclass
class Strike:
    """Send a signal to the process of a shard before an epoch, once: a file says that it was."""

    signal: signal.Signals
    marker: Path
    shard: int = 1
    epoch: int = 3

    def __call__(self, shard, epoch):
        if (shard.index, epoch) == (self.shard, self.epoch) and not self.marker.exists():
            self.marker.write_text(str(os.getpid()))
            os.kill(os.getpid(), self.signal)


def fail_at_shard_1(shard, epoch):
    """Raise an error on one of the shards."""
    if (shard.index, epoch) == (1, 2):
        raise ValueError("alpha is wrong")


def dawdle_at_shard_1(shard, epoch):
    """Let the others wait for one of the shards."""
    if (shard.index, epoch) == (1, 2):
        time.sleep(0.5)


def wait_a_little(shard, epoch):
    """Make an epoch long enough to be interrupted."""
    time.sleep(0.05)


def count_seats(dask_worker):
    return len(dask_worker.plugins["sklearn_mf"].seats) if "sklearn_mf" in dask_worker.plugins else 0


count_seats.__module__ = "__main__"  # workers do not have this file: they are sent the function
