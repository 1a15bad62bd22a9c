"""Write a ranker as values and arrays, and read it."""

from __future__ import annotations

import numpy as np

from sklearn_mf._base import frozen_copy, levels_of
from sklearn_mf._model_files.entries import Draft, Part
from sklearn_mf._model_files.ids import put_ids, take_levels
from sklearn_mf._model_files.parameters import put_parameters, take_parameters, validate
from sklearn_mf._model_files.regressor import put_names, put_row_count, take_names, take_row_count
from sklearn_mf._prediction.seen import SeenPairs
from sklearn_mf._ranker import MatrixFactorizationRanker, attributes_of
from sklearn_mf._training.als import PreferenceHyperparameters
from sklearn_mf._training.confidence import ConfidenceRule
from sklearn_mf._training.fit_pairs import Preferences, PreferenceState


def put_ranker(draft: Draft, model: MatrixFactorizationRanker) -> None:
    """Add a fitted ranker."""
    frozen = frozen_copy(model)
    known: Preferences = frozen._preferences
    put_parameters(draft, frozen)
    put_names(draft, frozen)
    put_row_count(draft, frozen)
    levels = levels_of(frozen)
    for f in range(2):
        column = draft.part(f"column{f}")
        put_ids(column, levels, f)
        column.put("factors", known.rows[f], "f4")
        column.put("gram", known.state.grams[f], "f8")
    draft.values["n_items_of_fit"] = int(known.n_items_of_fit)
    draft.put("objectives", known.objectives, "f8")
    draft.put("later_users", list(known.n_items_of_users), "i8")
    draft.put("n_items_of_later_users", list(known.n_items_of_users.values()), "i8")
    _put_state(draft.part("state"), known.state)
    if frozen._seen_pairs is not None:
        put_pairs(draft.part("pairs"), frozen._seen_pairs)


def take_ranker(part: Part) -> MatrixFactorizationRanker:
    """Return the ranker."""
    parameters = take_parameters(part, MatrixFactorizationRanker)
    model = validate(part, MatrixFactorizationRanker(**parameters))
    frozen = frozen_copy(model)
    if take_names(part, frozen) != 2:
        part.fail("n_columns", "is not 2")
    take_row_count(part, frozen)
    columns = [part.part(f"column{f}") for f in range(2)]
    levels = take_levels(columns)
    n_users, n_items = levels.counts
    state_part = part.part("state")
    rank = state_part.count("rank", 1, 2**31 - 1)
    rows = [column.array("factors", "f4", (n + 1, rank)) for column, n in zip(columns, levels.counts, strict=True)]
    grams = [column.array("gram", "f8", (rank, rank)) for column in columns]
    for column in columns:
        column.end()
    users = part.array("later_users", "i8", (None,), 0, n_users - 1)
    if len(np.unique(users)) != len(users):
        part.fail("later_users", "has a user twice")
    n_items_of_users = part.array("n_items_of_later_users", "i8", (len(users),), 0, n_items)
    preferences = Preferences(
        rows,
        _take_state(state_part, rank, grams),
        part.count("n_items_of_fit", 0, n_items),
        part.array("objectives", "f8", (None,), is_finite=False).tolist(),
        dict(zip(users.tolist(), n_items_of_users.tolist(), strict=True)),
    )
    seen = take_pairs(part.part("pairs"), n_users, n_items) if part.has("pairs") else None
    part.end()
    model.__dict__ = {**vars(frozen), **attributes_of(frozen, levels, preferences, seen)}
    return model


def _put_state(draft: Draft, state: PreferenceState) -> None:
    """Add what the rows of later users and items need, except the tables."""
    hyper, rule = state.hyper, state.rule
    draft.values.update(
        rank=int(hyper.rank),
        alpha=float(hyper.alpha),
        damping=float(hyper.damping),
        unobserved_weight=float(hyper.unobserved_weight),
        max_iter=int(hyper.max_iter),
        tol=float(hyper.tol),
        strength=None if rule is None else float(rule.strength),
        weight_scale=float(state.weight_scale),
        unit=float(state.unit),
        w0=float(state.w0),
    )
    if rule is not None:
        draft.put("knots", rule.knots, "f8")
        draft.put("normal_scores", rule.scores, "f8")


def _take_state(part: Part, rank: int, grams: list[np.ndarray]) -> PreferenceState:
    """Return what the rows of later users and items need."""
    hyper = PreferenceHyperparameters(
        rank,
        part.number("alpha", 0),
        part.number("damping", 0),
        part.number("unobserved_weight", 0),
        part.count("max_iter", 1, 2**1000),
        part.number("tol", 0),
    )
    strength = part.take_or_none("strength", lambda name: part.number(name, 0))
    rule = None
    if strength is not None:
        knots = part.array("knots", "f8", (None,))
        if len(knots) == 0 or (knots[1:] <= knots[:-1]).any():
            part.fail("knots", "is empty or does not rise")
        rule = ConfidenceRule(strength, knots, part.array("normal_scores", "f8", knots.shape))
    state = PreferenceState(
        hyper, rule, part.number("weight_scale", 0), part.number("unit", 0), part.number("w0", 0), grams
    )
    part.end()
    return state


def put_pairs(draft: Draft, pairs: SeenPairs) -> None:
    """Add the pairs that the model keeps."""
    draft.put("offsets", pairs.start, "i8")
    draft.put("items", pairs.index, "i4")
    weights = "none" if pairs.weight is None else "all" if pairs.weight_table is None else "table"
    draft.values["weights"] = weights
    if pairs.weight is not None:
        draft.put("weights", pairs.weight, "f4" if weights == "all" else "u1")
    if weights == "table":
        draft.put("weight_table", pairs.weight_table, "f4")
    later = list(pairs.changed.values())
    draft.put("later_users", list(pairs.changed), "i8")
    draft.put("later_offsets", np.cumsum([0, *(len(items) for items, _ in later)]), "i8")
    draft.put("later_items", np.concatenate([np.empty(0, np.int32), *(items for items, _ in later)]), "i4")
    draft.put("later_weights", np.concatenate([np.empty(0, np.float32), *(own for _, own in later)]), "f4")


def take_pairs(part: Part, n_users: int, n_items: int) -> SeenPairs:
    """Return the pairs that the model keeps."""
    start, index = _take_runs(part, "offsets", "items", None, n_items)
    if len(start) - 1 > n_users:
        part.fail("offsets", f"has more than the {n_users} users")
    weights, weight, table = part.choice("weights", ["none", "all", "table"]), None, None
    if weights == "all":
        weight = part.array("weights", "f4", index.shape, 0)
    elif weights == "table":
        table = part.array("weight_table", "f4", (None,), 0)
        weight = part.array("weights", "u1", index.shape, 0, len(table) - 1)
    users = part.array("later_users", "i8", (None,), 0, n_users - 1)
    if len(np.unique(users)) != len(users):
        part.fail("later_users", "has a user twice")
    later_start, later_index = _take_runs(part, "later_offsets", "later_items", len(users), n_items)
    later_weight = part.array("later_weights", "f4", later_index.shape, 0)
    cuts = later_start[1:-1]
    of_users = zip(np.split(later_index, cuts), np.split(later_weight, cuts), strict=True)
    part.end()
    changed = dict(zip(users.tolist(), of_users, strict=False))  # without users there is one empty run
    return SeenPairs(start, index, weight, table, changed)


def _take_runs(part: Part, offsets: str, items: str, n_runs: int | None, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where the items of each user begin, and the items, which rise within each user."""
    index = part.array(items, "i4", (None,), 0, n_items - 1)
    start = part.offsets(offsets, len(index), n_runs)
    rises = index[1:] > index[:-1]
    rises[start[(start > 0) & (start < len(index))] - 1] = True  # from one user to the next
    if not rises.all():
        part.fail(items, "does not have the items of each user in increasing order")
    return start, index
