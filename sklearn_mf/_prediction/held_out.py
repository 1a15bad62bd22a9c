"""Measure how well lists find pairs that were held out of training."""

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
    held: tuple[np.ndarray, ...],
    asked: np.ndarray,
    threads: Threads,
) -> np.ndarray:
    """Compute the NDCG@10 of some users, over all items that they had not seen; float64 (n_asked,).

    ``seen`` has starts and items of each user, ``held`` also weights or None. The gain of a held-out pair is its
    weight. Each of the users ``asked`` has such pairs.
    """
    held_start, held_items, weights = held
    factors = [np.ascontiguousarray(users), np.ascontiguousarray(items)]
    model = Model(factors, [np.zeros(len(rows), dtype=np.float32) for rows in factors], 0.0)
    start, index = seen
    pairs = np.column_stack([asked, np.full(len(asked), -1)]).astype(np.int32)
    every = Candidates(np.arange(len(items), dtype=np.int32))
    found, _ = top_items(model, pairs, every, Excluded(start[asked], start[asked + 1], index), _LENGTH, threads)
    discounts, scores = 1 / np.log2(np.arange(2, _LENGTH + 2)), np.zeros(len(asked))
    for n, (user, own) in enumerate(zip(asked.tolist(), found, strict=True)):
        part = slice(held_start[user], held_start[user + 1])
        gains = np.ones(part.stop - part.start) if weights is None else weights[part].astype(np.float64)
        places = np.searchsorted(held_items[part], own).clip(max=len(gains) - 1)
        hits = np.where(held_items[part][places] == own, gains[places], 0.0)
        best = np.sort(gains)[::-1][:_LENGTH]
        if best[0] > 0:
            scores[n] = hits @ discounts / (best @ discounts[: len(best)])
    return scores
