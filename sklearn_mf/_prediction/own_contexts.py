"""Find the context columns that belong to users or to items: each user, or each item, always has the same value.

The value of each user and item is kept, because a later rating may have another value.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_FIELDS = {"user": 0, "item": 1}
_MAX_CHANCE = 0.01  # largest probability that unrelated values agree in all ratings by chance
_CHUNK = 2**16  # ratings that are compared at a time; for most columns, the first chunk is enough


def no_own_contexts(n_fields: int) -> dict[str, Any]:
    """Return the state before the first rating, in plain containers, which every format of saved models supports."""
    none = [np.empty(0, dtype=np.int32)] * (n_fields - 2)
    return {"n_ratings": 0, "user": none, "item": none}


def with_ratings(
    known: dict[str, Any], codes: list[np.ndarray], weights: np.ndarray | None, n_levels: list[int]
) -> dict[str, Any]:
    """Learn from more ratings; ratings of weight 0 do not count.

    For "user" there is an array for each context column, with the level that each user always had. It is None if a user
    had several levels. The same holds for "item".
    """
    n_ratings = len(codes[0]) if weights is None else int(np.count_nonzero(weights))
    learned = {"n_ratings": known["n_ratings"] + n_ratings}
    for owner, field in _FIELDS.items():
        learned[owner] = [
            _followed(values, n_levels[field], codes[field], context, weights)
            for values, context in zip(known[owner], codes[2:], strict=True)
        ]
    return learned


def without_owners(known: dict[str, Any], owner: str, places: np.ndarray) -> dict[str, Any]:
    """Remove the values of some of the users, or items."""
    return {**known, owner: [None if values is None else np.delete(values, places) for values in known[owner]]}


def own_values(known: dict[str, Any] | None, owner: str, field: int) -> np.ndarray | None:
    """Return the context level of each "user" or "item"; None if the column does not belong to users or items.

    It is also None if the ratings are too few to show that the column belongs to them.
    """
    values = None if known is None else known[owner][field - 2]
    if values is None:
        return None
    # Probability that two ratings have the same value by chance, to the power of the number of repeated owners.
    agreement = np.sum((np.bincount(values) / len(values)) ** 2)
    return values if agreement ** (known["n_ratings"] - len(values)) <= _MAX_CHANCE else None


def _followed(
    values: np.ndarray | None, n_owners: int, owners: np.ndarray, context: np.ndarray, weights: np.ndarray | None
) -> np.ndarray | None:
    """Return the context level of each owner, after more ratings; None if an owner has several levels."""
    if values is None:
        return None
    before = values
    if n_owners > len(values):
        values = np.concatenate([values, np.full(n_owners - len(values), -1, dtype=np.int32)])
    for start in range(0, len(owners), _CHUNK):
        rows = slice(start, start + _CHUNK)
        own, given = owners[rows], context[rows]
        if weights is not None:
            own, given = own[weights[rows] > 0], given[weights[rows] > 0]
        known = values[own]
        new = known < 0
        if new.any():
            values = values.copy() if values is before else values
            values[own[new]] = given[new]
            known = values[own]
        if (known != given).any():
            return None
    return values
