"""Choose the strength of the penalties of a ranker on pairs that are held out for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import sparse

from sklearn_mf._training.als import ALSSolver, PreferenceHyperparameters
from sklearn_mf._training.pairs import PairsBySide
from sklearn_mf._utils.threads import Threads

BASE_ALPHA, BASE_DAMPING = 0.01, 2.0  # what is multiplied by one of the factors
_FACTORS = 1.0, 0.7, 1.4  # the first is kept where no other is better
_HELD_OUT = 0.1  # share of the pairs
_WANTED_HELD_OUT, _MOST_ROUNDS = 5000, 10  # pairs in all; with few, others are held out in further rounds
_LARGEST_RANK, _N_ITERATIONS = 64, 8  # enough to tell factors apart

# Score rows of users and items: training pairs by user, and held-out ones.
Score = Callable[[np.ndarray, np.ndarray, PairsBySide, PairsBySide], float]


def choose_penalties(
    by_user: PairsBySide,
    n_items: int,
    hyper: PreferenceHyperparameters,
    rng: np.random.Generator,
    threads: Threads,
    score: Score,
) -> PreferenceHyperparameters:
    """Fill in penalties that are None: the base strengths times the factor whose lists find most held-out pairs."""
    if hyper.alpha is not None and hyper.damping is not None:
        return hyper
    candidates = [_with_penalties(hyper, factor) for factor in _FACTORS]
    table, n_pairs = by_user.table(n_items), len(by_user.index)
    n_rounds = int(np.clip(_WANTED_HELD_OUT / (_HELD_OUT * n_pairs), 1, _MOST_ROUNDS))
    seeds, scores = rng.integers(2**63, size=n_rounds).tolist(), np.zeros(len(_FACTORS))
    for seed in seeds:
        is_held = np.random.default_rng(seed).random(n_pairs, dtype=np.float32) < _HELD_OUT
        if is_held.any() and not is_held.all():
            scores += _score_each(candidates, table, is_held, seed, threads, score)
    return candidates[int(np.argmax(scores))]


def _score_each(
    candidates: list[PreferenceHyperparameters],
    table: sparse.csr_array,
    is_held: np.ndarray,
    seed: int,
    threads: Threads,
    score: Score,
) -> np.ndarray:
    """Score small fits of each candidate without the pairs that are held out."""
    training, held_out = _part_of(table, ~is_held), PairsBySide.of_table(_part_of(table, is_held))
    sides, scores = (PairsBySide.of_table(training), PairsBySide.of_table(training.tocsc())), []
    for candidate in candidates:
        small = replace(candidate, rank=min(candidate.rank, _LARGEST_RANK))
        solver = ALSSolver(sides, small, np.random.default_rng(seed), threads)
        for _ in range(_N_ITERATIONS):
            solver.alternate()
        with solver.users_solved():
            scores.append(score(solver.rows(0), solver.rows(1), sides[0], held_out))
    return np.array(scores)


def _with_penalties(hyper: PreferenceHyperparameters, factor: float) -> PreferenceHyperparameters:
    """Give strengths that are None their base, times a factor."""
    return replace(
        hyper,
        alpha=BASE_ALPHA * factor if hyper.alpha is None else hyper.alpha,
        damping=BASE_DAMPING * factor if hyper.damping is None else hyper.damping,
    )


def _part_of(table: sparse.csr_array, chosen: np.ndarray) -> sparse.csr_array:
    """Give the pairs of a table that are chosen."""
    start = np.concatenate([[0], np.cumsum(chosen)])[table.indptr]
    return sparse.csr_array((table.data[chosen], table.indices[chosen], start), shape=table.shape)
