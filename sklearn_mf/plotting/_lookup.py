"""Look up users and items of tables in the training data, and texts for ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_mf._ids.factorize import factorize
from sklearn_mf._ids.kinds import kind_of_column
from sklearn_mf._ids.levels import find_ids
from sklearn_mf._ids.names import column_names, find_columns, order_columns
from sklearn_mf._ids.tables import Column, split_columns


def names_of_pair(estimator: Any) -> list[list[str]]:
    """Find the names that the user and item columns had in ``fit`` of the model, of its pipeline and of its search.

    A pipeline or search counts only if it had as many columns as the model. Its first two columns are the pair.
    """
    steps = [estimator]
    while inner := getattr(steps[-1], "best_estimator_", None) or getattr(steps[-1], "steps", None):
        steps.append(inner[-1][1] if isinstance(inner, list) else inner)
    n_columns = len(getattr(steps[-1], "categories_", ()))
    names: list[list[str]] = [list(getattr(step, "feature_names_in_", ())) for step in reversed(steps)]
    return [known[:2] for known in names if n_columns and len(known) == n_columns]


def split_user_and_item(X: Any, table: str, display: str, known: Sequence[list[str]] = ()) -> list[Column]:
    """Take the user and item columns of a table: by known names if it has them, otherwise its first two columns."""
    columns = split_columns(X, display, table)
    if len(columns) < 2 or not len(columns[0]):
        shape = (len(columns[0]) if columns else 0, len(columns))
        raise ValueError(f"{table} has shape {shape}: it needs one row or more, and the columns user and item.")
    names = column_names(X)
    fitting = [expected for expected in known if find_columns(names, expected) is not None]
    return order_columns(columns, X, (fitting or known or [[]])[0], table)[:2]


def find_names_of_pair(X: Any, known: Sequence[list[str]]) -> list[str]:
    """Find the names of the user and item columns of a table. The list is empty if the table has no names."""
    names = column_names(X)
    places = next((found for expected in known if (found := find_columns(names, expected)) is not None), [0, 1])
    return [names[place] for place in places] if len(names) > 1 else []


def count_training_rows(column: Column, in_training: Column) -> np.ndarray:
    """Count for each row of a column how many training rows have its id."""
    levels, codes = factorize(column)
    trained, trained_codes = factorize(in_training)
    counts = np.append(np.bincount(trained_codes), 0)  # the last is for unknown ids, at place -1
    kinds = kind_of_column(column, levels), kind_of_column(in_training, trained)
    return counts[find_ids(column.label, levels, trained, f"{in_training.label} has", kinds)][codes]


def count_training_ratings(X: Any, X_train: Any, display: str, known: list[list[str]]) -> dict[str, np.ndarray]:
    """Count the training ratings of the item and of the user of each row."""
    held_out = split_user_and_item(X, "X", display, known)
    names = find_names_of_pair(X, known)
    trained = split_user_and_item(X_train, "X_train", display, [names, *known] if names else known)
    user_counts, item_counts = (count_training_rows(*columns) for columns in zip(held_out, trained, strict=True))
    return {"item_counts": item_counts, "user_counts": user_counts}


def choose_texts(ids: Sequence, labels: Any, aligned_with: Sequence, aligned_name: str) -> list[str]:
    """Choose the text for each of ``ids``: its label, or the id if the label is missing.

    ``labels`` is a mapping from ids, or a list along ``aligned_with``.
    """
    if labels is None:
        return [str(id_) for id_ in ids]
    if hasattr(labels, "keys"):
        labels = dict(labels)
        if len(ids) and not any(id_ in labels for id_ in ids):
            example = repr(next(iter(labels))) if labels else "none"
            raise ValueError(
                f"labels has none of the ids to label (such as {ids[0]!r}) among its keys (such as {example}). Use "
                "keys of the same type as the ids."
            )
    elif len(labels) != len(aligned_with):
        raise ValueError(
            f"labels has {len(labels)} entries for {len(aligned_with)} ids in {aligned_name}: give one each, or a "
            "dict from id to text."
        )
    else:
        labels = dict(zip(aligned_with, labels, strict=True))
    texts = [labels.get(id_) for id_ in ids]
    return [str(id_ if _is_missing(text) else text) for id_, text in zip(ids, texts, strict=True)]


def _is_missing(text: Any) -> bool:
    """Tell whether a label is a missing value."""
    return text is None or type(text).__name__ in ("NAType", "NaTType") or bool(text != text)
