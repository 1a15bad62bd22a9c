"""Measure how well lists find held-out pairs."""

from __future__ import annotations

import numpy as np

from sklearn_mf._prediction.model import Model
from sklearn_mf._prediction.top_items import Candidates, Excluded, top_items
from sklearn_mf._utils.threads import Threads

_LENGTH = 10


def ndcg_of_held_out(
    users: np.ndarray,
    items: np.ndarray,
    seen: tuple[np.ndarray, np.ndarray],
    held: tuple[np.ndarray, np.ndarray, np.ndarray],
    threads: Threads,
) -> np.ndarray:
    """Compute the NDCG@10 of users, over all items that they have not seen; float64 (n_users,).

    ``seen`` has the start and the items of each user; ``held`` has the weights too. The gain of a held-out pair is its
    weight. Each user has at least one held-out pair.
    """
    held_start, held_items, weights = held
    factors = [np.ascontiguousarray(users), np.ascontiguousarray(items)]
    model = Model(factors, [np.zeros(len(rows), dtype=np.float32) for rows in factors], 0.0)
    start, index = seen
    pairs = np.column_stack([np.arange(len(users)), np.full(len(users), -1)]).astype(np.int32)
    every = Candidates(np.arange(len(items), dtype=np.int32))
    found, _ = top_items(model, pairs, every, Excluded(start[:-1], start[1:], index), _LENGTH, threads)
    discounts, scores = 1 / np.log2(np.arange(2, _LENGTH + 2)), np.zeros(len(users))
    weights = weights.astype(np.float64)
    for n, (own, first, end) in enumerate(zip(found, held_start.tolist(), held_start[1:].tolist(), strict=False)):
        gains, wanted = weights[first:end], held_items[first:end]
        places = np.minimum(wanted.searchsorted(own), len(gains) - 1)
        hits = np.where(wanted[places] == own, gains[places], 0.0)
        best = np.sort(gains)[::-1][:_LENGTH]
        if best[0] > 0:
            scores[n] = hits @ discounts / (best @ discounts[: len(best)])
    return scores
