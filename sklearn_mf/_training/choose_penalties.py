"""Choose the penalties of a ranker on held-out pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import sparse

from sklearn_mf._training.als import ALSSolver, PreferenceHyperparameters
from sklearn_mf._training.pairs import PairsBySide, pairs_of_items
from sklearn_mf._training.sections import Sections, add_counts, add_in_order
from sklearn_mf._training.shard import Shard

BASE_ALPHA, BASE_DAMPING = 0.01, 2.0  # multiplied by one of the factors
_FACTORS = 1.0, 0.7, 1.4  # the first factor is taken if none of the others is better
_HELD_OUT = 0.1  # share of the pairs
_WANTED_HELD_OUT, _MOST_ROUNDS = 5000, 10  # pairs of all rounds together; small data need several rounds
_LARGEST_RANK, _N_ITERATIONS, _MAX_USERS = 64, 8, 2000  # enough to tell which factor is best

# Returns a score for each user. Arguments: rows of users, rows of all items, training and held-out pairs of users.
Score = Callable[[np.ndarray, np.ndarray, PairsBySide, PairsBySide], np.ndarray]


def choose_penalties(
    by_user: PairsBySide,
    n_levels: list[int],
    hyper: PreferenceHyperparameters,
    rng: np.random.Generator,
    shard: Shard,
    score: Score,
) -> PreferenceHyperparameters:
    """Fill in penalties that are None: base penalties times the factor with the best score on held-out pairs."""
    if hyper.alpha is not None and hyper.damping is not None:
        return hyper
    candidates = [_with_penalties(hyper, factor) for factor in _FACTORS]
    table, n_pairs = by_user.table(n_levels[1]), add_counts(len(by_user.index), shard)
    n_rounds = int(np.clip(_WANTED_HELD_OUT / (_HELD_OUT * n_pairs), 1, _MOST_ROUNDS))
    seeds, scores = rng.integers(2**63, size=n_rounds).tolist(), np.zeros(len(_FACTORS))
    for seed in seeds:
        is_held = _draw(seed, by_user.start, Sections(n_levels[0]), shard)
        if 0 < add_counts(np.count_nonzero(is_held), shard) < n_pairs:
            parts = [PairsBySide.of_table(_part_of(table, chosen)) for chosen in (~is_held, is_held)]
            scores += _score_each(candidates, *parts, n_levels, seed, shard, score)
    return candidates[int(np.argmax(scores))]


def _draw(seed: int, start: np.ndarray, users: Sections, shard: Shard) -> np.ndarray:
    """Draw the held-out pairs of this shard, bool (n_pairs,). Each section of users has its own generator."""
    is_held = np.empty(start[-1], dtype=bool)
    for n, rows in zip(users.own_numbers(shard), users.own_slices(shard), strict=True):
        part = is_held[start[rows.start] : start[rows.stop]]
        part[:] = np.random.default_rng([seed, n]).random(len(part), dtype=np.float32) < _HELD_OUT
    return is_held


def _score_each(
    candidates: list[PreferenceHyperparameters],
    training: PairsBySide,
    held_out: PairsBySide,
    n_levels: list[int],
    seed: int,
    shard: Shard,
    score: Score,
) -> np.ndarray:
    """Fit a small model with the penalties of each candidate, and score it on the held-out pairs."""
    sides, scores = (training, pairs_of_items(training, n_levels, shard)), []
    asked = _users_to_ask(held_out, shard)
    seen, held = (PairsBySide.of_table(pairs.table(n_levels[1])[asked]) for pairs in (training, held_out))
    for candidate in candidates:
        small = replace(candidate, rank=min(candidate.rank, _LARGEST_RANK))
        solver = ALSSolver(sides, n_levels, small, np.random.default_rng(seed), shard)
        for _ in range(_N_ITERATIONS):
            solver.alternate()
        of_users = score(solver.solved_users(asked, seen), solver.rows(1), seen, held)
        scores.append(_mean_of_users(asked, of_users, Sections(n_levels[0]), shard))
    return np.array(scores)


def _users_to_ask(held_out: PairsBySide, shard: Shard) -> np.ndarray:
    """Choose every n-th of the users with held-out pairs, counted over all shards; return this shard's users."""
    own = np.flatnonzero(np.diff(held_out.start))
    counts = shard.gather(np.array([len(own)]))
    places = counts[: shard.index].sum() + np.arange(len(own))
    return own[places % -(-counts.sum() // _MAX_USERS) == 0]


def _mean_of_users(asked: np.ndarray, scores: np.ndarray, users: Sections, shard: Shard) -> float:
    """Return the mean score over the chosen users of all shards."""
    of_sections = []
    for rows in users.own_slices(shard):
        part = scores[slice(*np.searchsorted(asked, [rows.start, rows.stop]))]
        of_sections.append([part.sum(), len(part)])
    total, n_asked = add_in_order(np.array(of_sections).reshape(-1, 2), shard)
    return float(total / n_asked)


def _with_penalties(hyper: PreferenceHyperparameters, factor: float) -> PreferenceHyperparameters:
    """Replace penalties that are None by their base times a factor."""
    return replace(
        hyper,
        alpha=BASE_ALPHA * factor if hyper.alpha is None else hyper.alpha,
        damping=BASE_DAMPING * factor if hyper.damping is None else hyper.damping,
    )


def _part_of(table: sparse.csr_array, chosen: np.ndarray) -> sparse.csr_array:
    """Return the chosen pairs of a table."""
    kept = np.flatnonzero(chosen)
    start = np.searchsorted(kept, table.indptr)
    return sparse.csr_array((table.data[kept], table.indices[kept], start), shape=table.shape)
