"""Fit a preference model to pairs, and solve users or items that are added later. Works on arrays, not on ids."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace

import numpy as np

from sklearn_mf._training.als import ALSSolver, PreferenceHyperparameters
from sklearn_mf._training.choose_penalties import Score, choose_penalties
from sklearn_mf._training.confidence import ConfidenceRule
from sklearn_mf._training.pairs import CodedPairs, PairsBySide, pairs_in_unit, pairs_of_items
from sklearn_mf._training.progress import Callback
from sklearn_mf._training.shard import Shard
from sklearn_mf._utils.threads import one_blas_thread

_MIN_RELATIVE_EIGENVALUE = 1e-8  # relative to the largest; pairs do not determine directions with less


@dataclass(frozen=True)
class PreferenceState:
    """Hold the state that is needed to solve and explain later pairs."""

    hyper: PreferenceHyperparameters
    rule: ConfidenceRule | None  # rule for ratings; None if the fit had none
    weight_scale: float  # largest sample weight of the fit; weights are divided by it
    unit: float  # mean confidence over the pairs of the fit
    w0: float
    grams: list[np.ndarray]  # Gram matrices of users and of items, float64 (rank, rank)


@dataclass(frozen=True)
class Preferences:
    """Hold the rows of users and items, one more row on each side for unknown ids, and the training state."""

    rows: list[np.ndarray]  # float32 (n_levels + 1, rank); the last is the mean of the others
    state: PreferenceState
    n_items_of_fit: int
    objectives: list[float] = field(default_factory=list)
    n_items_of_users: dict[int, int] = field(default_factory=dict)  # of users solved later: items at that time

    def solver_of(self, target_field: int) -> RowSolver:
        """Return the solver for rows of a side, given those of the other side."""
        return RowSolver(self.state, self.rows[1 - target_field][:-1], 1 - target_field)

    def system_of_user(self, user: int, items: np.ndarray, weights: np.ndarray) -> UserSystem:
        """Return the equations of a user: with the items that the model had when the user was solved."""
        n_items = self.n_items_of_users.get(user, self.n_items_of_fit)
        known, later = np.split(self.rows[1][:-1], [n_items])
        n_own = np.searchsorted(items, n_items)
        gram = self.state.grams[1]
        if len(later):
            gram = gram - later.T.astype(np.float64) @ later
        solver = RowSolver(replace(self.state, grams=[self.state.grams[0], gram]), known, 1)
        matrix, q = solver.system(items[:n_own], weights[:n_own])
        return UserSystem(items[:n_own], weights[:n_own], matrix, q)


@dataclass(frozen=True)
class UserSystem:
    """Hold the equations of a user: A p = sum_j c_j q_j."""

    items: np.ndarray  # int32 (n,)
    weights: np.ndarray  # float32 (n,): c
    matrix: np.ndarray  # float64 (rank, rank): A
    q: np.ndarray  # float64 (n, rank)

    def shares(self, targets: np.ndarray) -> np.ndarray:
        """Return c_j <q_i, A^-1 q_j> for target rows q_i, float64 (n_targets, n)."""
        solved = solve_symmetric(self.matrix, targets.T.astype(np.float64))
        return self.weights * (self.q @ solved).T


class RowSolver:
    """Solve rows of one side exactly, in double precision, with those of the other side fixed."""

    def __init__(self, state: PreferenceState, other: np.ndarray, other_field: int):
        self._hyper, self._other = state.hyper, other
        self._unobserved = state.w0 * len(other)
        self._gram = state.w0 * state.grams[other_field]

    def system(self, index: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the matrix A of a row and the rows q_j of its pairs: A x = sum_j c_j q_j."""
        q = self._other[index].astype(np.float64)
        weight = weight.astype(np.float64)
        ridge = self._hyper.ridges(weight.sum(), self._unobserved)
        matrix = self._gram + (q.T * weight) @ q
        matrix[np.diag_indices_from(matrix)] += ridge
        return matrix, q

    def solve(self, index: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Solve a row, float64 (rank,)."""
        matrix, q = self.system(index, weight)
        return solve_symmetric(matrix, weight.astype(np.float64) @ q)


def solve_symmetric(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve a positive definite system; if there is almost no penalty, return the shortest solution."""
    try:
        solved = np.linalg.solve(matrix, right)
        if np.isfinite(solved).all():
            return solved
    except np.linalg.LinAlgError:
        pass
    return np.linalg.pinv(matrix, _MIN_RELATIVE_EIGENVALUE, hermitian=True) @ right


@dataclass(frozen=True)
class PartOfPreferences:
    """Hold the rows that a shard owns, and the values that all shards have."""

    rows: list[np.ndarray]  # float32 (n_own, rank) of users and of items; the next alternation changes them
    state: PreferenceState
    objectives: list[float]


@dataclass(frozen=True)
class Alternation:
    """Describe an alternation. All shards get the same numbers."""

    objective: float  # after the update of users, per distinct pair
    decrease: float  # relative decrease of the objective
    is_last: bool
    learned: Callable[[], PartOfPreferences] | None  # call it in all shards or in none, before the next alternation
    save: Callable[[], dict[str, np.ndarray]] | None  # copies the state for begin_alternations to resume from

    def __str__(self) -> str:
        return f"objective {self.objective:.5f}  decrease {self.decrease:.1e}"


Alternations = Generator[Alternation, bool | None, PartOfPreferences]


def fit_pairs(
    by_user: PairsBySide,
    n_levels: list[int],
    state: PreferenceState,
    rng: np.random.Generator,
    shard: Shard,
    callback: Callback,
    score: Score,
) -> Preferences:
    """Fit on one machine, as ``begin_alternations`` documents; the callback may end the fit."""
    steps, stop = begin_alternations(by_user, n_levels, state, rng, shard, score), None
    while True:
        callback.begin_epoch()
        step = steps.send(stop)
        stop = callback.end_round(lambda step=step: str(step), lambda step=step: assembled([step.learned()]))
        if stop or step.is_last:
            return assembled([finished(steps)])


def begin_alternations(
    by_user: PairsBySide,
    n_levels: list[int],
    state: PreferenceState,
    rng: np.random.Generator,
    shard: Shard,
    score: Score,
    saved: dict[str, np.ndarray] | None = None,
    is_stopped: bool = False,
) -> Alternations:
    """Choose penalties; return a generator that alternates until the objective hardly decreases.

    It yields after each alternation, and receives whether to stop. ``finished`` ends it and returns its result. All
    shards take each step together. ``by_user`` has the pairs of this shard's users. ``state`` has the values that are
    known before the fit. ``score`` scores penalties. ``saved`` has the stacked arrays of all shards that were saved
    after an alternation. ``is_stopped`` says whether the fit was told to stop at that point.
    """
    hyper = choose_penalties(by_user, n_levels, state.hyper, rng, shard, score)
    sides = by_user, pairs_of_items(by_user, n_levels, shard)
    solver, objectives = ALSSolver(sides, n_levels, hyper, rng, shard), []
    if saved is not None:
        solver.set_rows([saved["users"], saved["items"]])
        objectives, is_stopped = saved["objectives"].tolist(), is_stopped or saved["is_last"].any()
    return _alternations(solver, replace(state, hyper=hyper, w0=solver.w0), objectives, is_stopped)


def _alternations(solver: ALSSolver, state: PreferenceState, objectives: list[float], is_over: bool) -> Alternations:
    """Alternate until the end or until told to stop; return the learned rows.

    ``objectives`` has the objectives of earlier alternations. ``is_over`` says whether the last of them was the end.
    """

    def learned(is_last: bool = False) -> PartOfPreferences:
        with solver.users_solved(is_last):
            grams = [solver.gram(f) for f in range(2)]
            return PartOfPreferences(
                [solver.own_rows(f) for f in range(2)], replace(state, grams=grams), list(objectives)
            )

    def save() -> dict[str, np.ndarray]:
        rows = {name: solver.own_rows(f).copy() for f, name in enumerate(("users", "items"))}
        numbers = {"objectives": np.array(objectives), "is_last": np.array([is_over])}
        return {**rows, **{name: array if solver.is_first_shard else array[:0] for name, array in numbers.items()}}

    while not is_over:
        objective, decrease = solver.alternate()
        objectives.append(objective / solver.n_pairs)
        share = decrease / objective if objective > 0 else 0.0
        is_over = len(objectives) == state.hyper.max_iter or share < state.hyper.tol
        if (yield Alternation(objectives[-1], share, is_over, learned, save)):
            break
    return learned(is_last=True)


def finished(steps: Alternations) -> PartOfPreferences:
    """End the alternations; return the rows that this shard has learned."""
    try:
        steps.send(True)
    except StopIteration as end:
        return end.value
    raise RuntimeError("The alternations did not end.")


def assembled(parts: list[PartOfPreferences]) -> Preferences:
    """Join the learned rows of all shards, in their order."""
    rows = [_with_average([part.rows[f] for part in parts]) for f in range(2)]
    return Preferences(rows, parts[0].state, len(rows[1]) - 1, parts[0].objectives)


@dataclass(frozen=True)
class SolvedRow:
    """Hold a solved level, with its partners in increasing order and their weights."""

    field: int
    level: int
    partners: np.ndarray  # int32 (n,)
    weights: np.ndarray  # float32 (n,)


def fold_in_pairs(
    known: Preferences, pairs: CodedPairs, target_field: np.ndarray
) -> tuple[Preferences, list[SolvedRow]]:
    """Solve the level in ``target_field`` of each pair, with all other rows held fixed.

    Returns the model with the new rows, and the solved rows.
    """
    rows = [_grown(own, n) for own, n in zip(known.rows, pairs.n_levels, strict=True)]
    grams, solved = [gram.copy() for gram in known.state.grams], []
    with one_blas_thread():  # the same sums on any number of threads
        _solve_targets(known, pairs, target_field, rows, grams, solved)
    n_items = len(known.rows[1]) - 1
    later = {row.level: n_items for row in solved if row.field == 0}
    state = replace(known.state, grams=grams)
    return replace(known, rows=rows, state=state, n_items_of_users={**known.n_items_of_users, **later}), solved


def _solve_targets(
    known: Preferences,
    pairs: CodedPairs,
    target_field: np.ndarray,
    rows: list[np.ndarray],
    grams: list[np.ndarray],
    solved: list[SolvedRow],
) -> None:
    """Solve levels. Write them to ``rows``, update ``grams``, and append them to ``solved``."""
    for f in np.unique(target_field).tolist():
        given = pairs.of_rows(np.flatnonzero(target_field == f), f)
        levels, solver = np.unique(given.codes[0]).tolist(), known.solver_of(f)
        side = pairs_in_unit(given, known.state.unit)
        of_pairs = side.weights
        for level in levels:
            part = slice(side.start[level], side.start[level + 1])
            partners, weights = side.index[part], of_pairs[part]
            before = rows[f][level].astype(np.float64)
            rows[f][level] = solver.solve(partners, weights)
            after = rows[f][level].astype(np.float64)
            grams[f] += np.outer(after, after) - np.outer(before, before)
            solved.append(SolvedRow(f, level, partners, weights))


def _with_average(parts: list[np.ndarray]) -> np.ndarray:
    """Stack parts of the rows of a side, and append the mean of all rows."""
    rows = np.concatenate([*parts, np.zeros_like(parts[0], shape=(1, parts[0].shape[1]))])
    rows[-1] = rows[:-1].mean(axis=0, dtype=np.float64)
    return rows


def _grown(rows: np.ndarray, n_levels: int) -> np.ndarray:
    """Copy rows, with zeros for new levels before the last row, which stands for unknown ids."""
    new = np.zeros((n_levels + 1 - len(rows), rows.shape[1]), dtype=rows.dtype)
    return np.concatenate([rows[:-1], new, rows[-1:]])
