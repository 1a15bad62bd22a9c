"""What a fit of the regressor on a cluster takes, in bytes and messages, as a function of its size: by the source."""

from dataclasses import dataclass

import numpy as np
from sklearn_mf._kernel.sgd import LANES

from sklearn_mf._training.layout import choose_n_groups, choose_n_sections

EPOCHS_A_MOVE = 2  # of centers, but in the last quarter of the epochs
CODES_AND_RATING = 16  # bytes: two int32 and a float64
N_DIRECTIONS = 16  # of the preconditioner of centers


@dataclass(frozen=True)
class Size:
    """Say how large a fit is."""

    n_ratings: int
    n_users: int
    n_items: int
    rank: int
    n_workers: int
    with_centers: bool  # implicit_features="both"

    @property
    def n_groups(self):
        return choose_n_groups(self.n_ratings, self.n_users, self.n_items, self.rank)

    @property
    def n_sections(self):
        return choose_n_sections(self.n_ratings, self.n_users, self.n_items, self.n_groups)

    @property
    def groups_of_workers(self):
        """Number of groups of each worker that has any."""
        sections, n = self.n_sections, self.n_workers
        starts = np.arange(sections + 1) * self.n_groups // sections
        bounds = starts[np.arange(n + 1) * sections // n]
        return np.diff(bounds)[np.diff(bounds) > 0]

    @property
    def share(self):
        """The part of the users and ratings that the worker with the most groups has."""
        return self.groups_of_workers.max() / self.n_groups

    @property
    def row(self):
        """Bytes of the factors of a row."""
        return 4 * max(LANES, -(-self.rank // LANES) * LANES)

    @property
    def wide_row(self):
        """Bytes of a row with its bias, as sums over partners have it."""
        return self.row + 4 * LANES


def median_epoch(ends):
    """Give the median of what epochs take, from what is noted at their ends, (..., n_epochs): of means of two epochs.

    Centers move after one of two, but in the last quarter of the epochs, which is left out.
    """
    n_pairs = max(np.shape(ends)[-1] * 3 // 4 // EPOCHS_A_MOVE, 1)
    taken = np.diff(ends, axis=-1)[..., : n_pairs * EPOCHS_A_MOVE]
    return np.median(taken.reshape(*taken.shape[:-1], n_pairs, -1).mean(axis=-1), axis=-1)


def memory_of_dealing(size):
    """Bytes by term while ratings go to their workers, on the worker with the most."""
    n, levels = size.n_ratings * size.share, size.n_users + size.n_items
    n_came = size.n_ratings / size.n_workers
    return {
        "codes and ratings as they came": CODES_AND_RATING * n_came,
        "copies to send": CODES_AND_RATING * n_came,
        "which goes where": 16 * n_came,
        "received": CODES_AND_RATING * n * (1 - size.share),
        "received, joined": CODES_AND_RATING * n,
        "ids": 8 * levels,
        "places of ids": 8 * levels,
        "order of ids": 8 * levels,
    }


def memory_of_training(size):
    """Bytes by term while epochs run, on the worker with the most."""
    n, users, items = size.n_ratings * size.share, size.n_users * size.share, size.n_items
    levels = size.n_users + size.n_items
    terms = {
        "grid": (12 + 1 / 4) * n,
        "own users": (size.row + 16) * users,
        "all items": (size.row + 16) * items,
        "copy for an epoch that diverges": (size.row + 8) * (users + items),
        "ids": 8 * levels,
        "places of ids": 8 * levels,
    }
    if size.with_centers:
        terms |= {
            "who rated what": 12 * n,
            "centers and ties": (size.row + 4 * LANES) * (users + items),
            "coefficients": size.wide_row * (users + items),
            "directions of steps": size.wide_row * (users + items),
            "work space of sums": 2 * size.wide_row * max(users, items),
            "preconditioner": 4 * N_DIRECTIONS * (users + items),
            "strengths": 60 * (users + items),
        }
    return terms


def memory_of_end(size):
    """Bytes by term when a worker gives what it has learned."""
    own_rows = (size.n_users + size.n_items) * size.share
    # With centers: rows, centers, coefficients, and one of them a second time for a while.
    copies = size.row + 16 if not size.with_centers else 4 * (size.row + 4) + 16
    return {**memory_of_training(size), "result": copies * own_rows}


def bytes_of_sweep(size):
    """Bytes that a worker sends in a sweep: rows of item groups that are needed elsewhere in the next stratum."""
    P, own = size.n_groups, size.groups_of_workers
    moves = own * (P - own) * (1 + 2 / P)
    losses = 8 * P * own * (size.n_workers - 1)
    return moves * size.n_items / P * (size.row + 4) + losses


def bytes_of_sums(size):
    """Bytes that a worker sends when centers move: sums to items go around, rows of items to all."""
    n, own_items = len(size.groups_of_workers), size.n_items / len(size.groups_of_workers)
    if not size.with_centers:
        return np.zeros(n)
    around = own_items * (n - 1) * (n + 1) / n
    to_all = own_items * (size.n_workers - 1)
    return np.full(n, (2 * around + 3 * to_all) * size.wide_row)


def bytes_of_epoch(size):
    """Bytes that a worker sends in an epoch, in the mean of all workers and of two epochs: centers move after one."""
    return (bytes_of_sweep(size) + bytes_of_sums(size) / EPOCHS_A_MOVE).sum() / size.n_workers


def messages_of_epoch(size):
    """Give about how many messages a worker sends in an epoch, in the mean of two: after a stratum, to one or two."""
    n, own = len(size.groups_of_workers), size.groups_of_workers.mean()
    of_sweep = (size.n_groups + 1) * (2 - 1 / own) * (1 - 1 / n)
    of_centers = 0
    if size.with_centers:  # gathered and given to all; and sums that go around in parts
        of_centers = 11 * (size.n_workers - 1) + 2 * (n - 1) / n * (min(size.n_groups, 10 * n) + 1)
    return round(of_sweep + of_centers / EPOCHS_A_MOVE) + size.n_workers - 1


def memory_of_worker(size):
    """Bytes at most, on the worker with the most."""
    return max(sum(terms(size).values()) for terms in (memory_of_dealing, memory_of_training, memory_of_end))
