"""Look up users and items of tables in the training data, and texts for ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_mf._ids.factorize import factorize
from sklearn_mf._ids.kinds import kind_of_column
from sklearn_mf._ids.levels import find_ids
from sklearn_mf._ids.tables import Column, split_columns


def split_user_and_item(X: Any, table: str, display: str) -> list[Column]:
    """Take the first two columns of a table of pairs."""
    columns = split_columns(X, display, table)
    if len(columns) < 2 or not len(columns[0]):
        shape = (len(columns[0]) if columns else 0, len(columns))
        raise ValueError(f"{table} has shape {shape}: it needs one row or more, and the columns user and item.")
    return columns[:2]


def count_training_rows(column: Column, in_training: Column) -> np.ndarray:
    """Count for each row of a column in how many rows of training its id is."""
    levels, codes = factorize(column)
    trained, trained_codes = factorize(in_training)
    counts = np.append(np.bincount(trained_codes), 0)  # the last is for unknown ids, at place -1
    kinds = kind_of_column(column, levels), kind_of_column(in_training, trained)
    return counts[find_ids(column.label, levels, trained, f"{in_training.label} has", kinds)][codes]


def choose_texts(ids: Sequence, labels: Any, aligned_with: Sequence, aligned_name: str) -> list[str]:
    """Choose what to write for each of ``ids``: its label, or the id if there is none or it is missing.

    ``labels`` is a mapping from ids, or a list along ``aligned_with``.
    """
    if labels is None:
        return [str(id_) for id_ in ids]
    if hasattr(labels, "keys"):
        labels = dict(labels)
        if len(ids) and not any(id_ in labels for id_ in ids):
            example = repr(next(iter(labels))) if labels else "none"
            raise ValueError(
                f"labels has none of the ids to label (such as {ids[0]!r}) among its keys (such as {example}). Give "
                "keys of the kind of the ids."
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
