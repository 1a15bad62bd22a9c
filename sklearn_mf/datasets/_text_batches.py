"""Read a text of ratings in batches: once to check it and find the types of its columns, then as often as needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import fspath
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_mf._ids.batches import ROWS_OF_A_BATCH, Batch, Column
from sklearn_mf._ids.kinds import object_array
from sklearn_mf.datasets._columns import Chosen, choose_columns
from sklearn_mf.datasets._rows import Layout, Rows, choose_escape, find_layout, split_rows
from sklearn_mf.datasets._text import find_encoding, read_parts
from sklearn_mf.datasets._times import look_like_times
from sklearn_mf.datasets._values import check_no_times, parse_ids, parse_numbers, parse_weights


@dataclass(frozen=True)
class TextRatings:
    """Hold how to read a text of ratings."""

    path: Path
    encoding: str
    layout: Layout
    chosen: Chosen
    are_ints: list[bool]  # whether each id column has only ints
    n_ratings: int

    def batches(self, labels: list[str]) -> Iterator[Batch]:
        """Yield all ratings in order, one batch at a time."""
        chosen = self.chosen
        for rows, start in _batches_of_rows(self.path, self.encoding, self.layout, chosen.start):
            columns = [
                Column(label, self._parse_ids(rows, place, start, is_int))
                for label, place, is_int in zip(labels, chosen.ids, self.are_ints, strict=True)
            ]
            y = parse_numbers(rows, chosen.rating, start)
            weights = None if chosen.weight is None else parse_weights(rows, chosen.weight, start)
            place = f"lines {rows.line_of(start)} to {rows.line_of(-1)} of {fspath(self.path)}"
            yield Batch(place, columns, y, weights)

    def _parse_ids(self, rows: Rows, place: int, start: int, is_int: bool) -> np.ndarray:
        """Convert ids to an array of the type that the column had when the file was opened."""
        ids: Any = parse_ids(rows, place, start, as_text=not is_int)
        if is_int and isinstance(ids, list):
            raise ValueError(
                f"{fspath(self.path)} has changed since it was opened: column {place} had only ints before. Open "
                "it again."
            )
        return ids if isinstance(ids, np.ndarray) else object_array(ids)


def open_text(path: Path, columns: Any, weight: Any, sep: str | None, header: Any, encoding: str | None) -> TextRatings:
    """Find out how to read a text, and check all of it."""
    encoding = find_encoding(path, encoding)
    layout = find_layout(read_parts(path, encoding), sep, fspath(path))
    layout = choose_escape(layout, lambda each: _split(path, encoding, each))
    chosen, are_ints, n_ratings, y = None, [], 0, np.empty(0)
    for rows in _split(path, encoding, layout):
        start = 0
        if chosen is None:
            first, chosen = rows, choose_columns(rows, columns, header, weight)
            are_ints, start, may_be_times = [True] * len(chosen.ids), chosen.start, True
        y = parse_numbers(rows, chosen.rating, start)
        if chosen.weight is not None:
            parse_weights(rows, chosen.weight, start)
        may_be_times = may_be_times and (len(y) == 0 or look_like_times(y))
        ids = [parse_ids(rows, place, start, not is_int) for place, is_int in zip(chosen.ids, are_ints, strict=True)]
        are_ints = [isinstance(column, np.ndarray) for column in ids]
        n_ratings += len(y)
    if chosen is None:
        raise ValueError(f"{fspath(path)} has no ratings: it is empty.")
    if not n_ratings:
        raise ValueError(f"{fspath(path)} has no ratings: it ends after the header.")
    check_no_times(first, chosen, y, may_be_times)
    return TextRatings(path, encoding, layout, chosen, are_ints, n_ratings)


def _split(path: Path, encoding: str, layout: Layout) -> Iterator[Rows]:
    """Split a file into rows."""
    return split_rows(read_parts(path, encoding), layout, ROWS_OF_A_BATCH)


def _batches_of_rows(path: Path, encoding: str, layout: Layout, start: int) -> Iterator[tuple[Rows, int]]:
    """Yield rows, and the place of the first rating among them; a header alone is not a batch."""
    for rows in _split(path, encoding, layout):
        if start < len(rows.line_numbers):
            yield rows, start
            start = 0
        else:
            start -= len(rows.line_numbers)
