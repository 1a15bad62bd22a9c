"""Hold the levels of all columns, and map ids to indices and back.

An *id* is the value that the caller gave. A *level* (category) is a distinct id of a column. An *index* is the place of
an id among the levels of its column, or -1 if it is unknown. Levels of a fit are sorted. Levels that are added later
follow in the order of arrival. A *sorter* then sorts all levels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sklearn_mf._ids.factorize import factorize, number_array
from sklearn_mf._ids.kinds import (
    ZONED,
    datetime_array,
    ids_of,
    kind_of,
    kind_of_column,
    number_levels,
    object_array,
    plural,
    shown,
)
from sklearn_mf._ids.tables import Categorical, Column, capital
from sklearn_mf._kernel.hashing import find_integers, floats_as_integers, look_up_integers
from sklearn_mf._utils.threads import Threads, chunks
from sklearn_mf._utils.warnings import warn_user

_MIN_ROWS_TO_JUDGE_A_COLUMN = 1000  # with fewer rows, many levels prove nothing about a column
_MAX_ROWS_TO_JUDGE_BY = 4096
_CHUNK = 2**16  # weights that are read at a time
_MIN_DIFFERENCES_BY_CHANCE = 100  # expected differences within levels, if the column and the ratings are unrelated
_SAME_KIND = "Give ids of the same kind, for example with astype."
_FILLS = {"i": -1, "u": np.iinfo(np.uint64).max, "f": np.nan, "M": np.datetime64("NaT", "s"), "O": None}  # missing ids


@dataclass(frozen=True)
class Levels:
    """Hold the ids of all columns, in the order of their indices. Immutable: ``grow`` returns another object."""

    ids: list[np.ndarray]
    sorters: list[np.ndarray | None]  # order that sorts the ids of a column; None if they are sorted
    kinds: list[str] | None = None  # kind of the ids of each column; with None, time zones are not compared

    @classmethod
    def fit(
        cls, columns: list[Column], weights: np.ndarray | None, threads: Threads
    ) -> tuple[Levels, list[np.ndarray]]:
        """Learn the levels from the rows of positive weight; return them and the codes of the rows, by column.

        Codes of rows of weight 0 are undefined.
        """
        ids, codes = zip(*threads.map(factorize, columns), strict=True)
        kinds = [kind_of_column(column, levels) for column, levels in zip(columns, ids, strict=True)]
        if weights is not None and not weights.all():
            ids, codes = zip(*(_drop_unused(*given, weights) for given in zip(ids, codes, strict=True)), strict=True)
        return cls(list(ids), [None] * len(ids), kinds), list(codes)

    @property
    def counts(self) -> list[int]:
        """Number of levels of each column."""
        return [len(ids) for ids in self.ids]

    def of_field(self, field: int) -> Levels:
        """Return the levels of one column alone."""
        one = slice(field, field + 1)
        return Levels(self.ids[one], self.sorters[one], None if self.kinds is None else self.kinds[one])

    def encode(self, columns: list[Column], threads: Threads) -> np.ndarray:
        """Find the indices of rows, int32 (n_rows, n_columns); -1 for unknown ids."""
        indices = np.empty((len(columns[0]), len(columns)), dtype=np.int32)

        def encode_column(j: int) -> None:
            column, ids, sorter = columns[j], self.ids[j], self.sorters[j]
            if _look_up_ints(column.values, ids, sorter, indices[:, j]):
                return
            own, codes = factorize(column)
            kinds = None if self.kinds is None else (kind_of_column(column, own), self.kinds[j])
            places = find_levels(column.label, own, ids, sorter, kinds=kinds, remedy=self._remedy)
            places.take(codes, out=indices[:, j], mode="clip")

        threads.map(encode_column, range(len(columns)))
        return indices

    def encode_field(self, field: int, column: Column, threads: Threads) -> np.ndarray:
        """Find the indices of the ids of one column, int32 (n_rows,); -1 for unknown ids."""
        return self.of_field(field).encode([column], threads)[:, 0]

    def decode(self, field: int, indices: np.ndarray) -> np.ndarray:
        """Return the ids of indices. For the index -1 it is a fill value: -1, the largest uint64, NaN, NaT or None."""
        ids = self.ids[field]
        fill = np.full(1, _FILLS[ids.dtype.kind], dtype=ids.dtype)
        return np.concatenate([ids, fill])[indices]

    def find(self, others: Levels, labels: list[str]) -> list[np.ndarray]:
        """Find the indices of other levels, by column; -1 if they are unknown."""
        known = self.kinds is not None and others.kinds is not None
        kinds = zip(others.kinds, self.kinds, strict=True) if known else [None] * len(self.ids)
        given = zip(labels, others.ids, self.ids, self.sorters, kinds, strict=True)
        return [
            find_levels(label, ids, own, sorter, kinds=pair, remedy=self._remedy)
            for label, ids, own, sorter, pair in given
        ]

    def _remedy(self) -> str:
        """Return what to do with ids of another kind than in the fit; an array cannot hold ids of several kinds."""
        if self.kinds is None or len(set(self.kinds)) == 1 or not all(self.counts):
            return _SAME_KIND
        example = ", ".join(shown(ids[0]) for ids in self.ids)
        return (
            f"Give each column the kind of ids that it had in fit: as a list of rows, such as [[{example}]], or as a "
            "data frame. A plain array turns numbers to text."
        )

    def without(self, field: int, column: Column, threads: Threads) -> tuple[Levels, np.ndarray]:
        """Remove levels of a field; return the remaining levels, and the places of the removed levels."""
        places = self.encode_field(field, column, threads)
        if (places < 0).any():
            raise ValueError(
                f"{column.label} has ids that the model does not know: {describe_unknown([column], places[:, None])}. "
                f"Leave them out: numpy.asarray(ids)[numpy.isin(ids, model.categories_[{field}])] has the known ids."
            )
        places = np.unique(places)
        if len(places) == len(self.ids[field]):
            raise ValueError(f"{column.label} has all ids that the model knows. At least one must remain.")
        kept = np.delete(np.arange(len(self.ids[field])), places)
        ids, sorters = list(self.ids), list(self.sorters)
        ids[field] = ids[field][kept]
        if sorters[field] is not None:
            new_place = np.full(len(self.ids[field]), -1)
            new_place[kept] = np.arange(len(kept))
            moved = new_place[sorters[field]]
            sorters[field] = moved[moved >= 0]
        return replace(self, ids=ids, sorters=sorters), places

    def grow(
        self, columns: list[Column], weights: np.ndarray | None, threads: Threads
    ) -> tuple[Levels, list[np.ndarray]]:
        """Append the new levels from rows of positive weight; return all levels and the codes of the rows."""
        brought, codes = Levels.fit(columns, weights, threads)
        ids, sorters, grown_codes = [], [], []
        places = self.find(brought, [column.label for column in columns])
        for j, (column, place) in enumerate(zip(columns, places, strict=True)):
            own, sorter, new = self.ids[j], self.sorters[j], np.flatnonzero(place < 0)
            if len(new):
                at = np.searchsorted(*_comparable(own, brought.ids[j][new]), sorter=sorter)
                place[new] = np.arange(len(own), len(own) + len(new))
                if sorter is not None or at[0] < len(own):
                    sorter = np.insert(np.arange(len(own)) if sorter is None else sorter, at, place[new])
                own = _joined(column.label, own, brought.ids[j][new])
            ids.append(own)
            sorters.append(sorter)
            grown_codes.append(place[codes[j]])
        kinds = self.kinds and [
            kind if len(own) else new for kind, own, new in zip(self.kinds, self.ids, brought.kinds, strict=True)
        ]
        return Levels(ids, sorters, kinds), grown_codes


def describe_unknown(columns: list[Column], indices: np.ndarray) -> str:
    """List the unknown ids (index -1) of each column, for a message."""
    described = []
    for j, column in enumerate(columns):
        rows = indices[:, j] < 0
        if rows.any():
            levels, codes = factorize(column)
            ids = levels[np.unique(codes[rows])]
            examples = ", ".join(repr(i) for i in ids[:5].tolist())
            described.append(f"{len(ids)} in {column.label} ({examples}{', ...' if len(ids) > 5 else ''})")
    return "; ".join(described)


def find_ids(
    label: str, ids: np.ndarray, among: np.ndarray, of: str, kinds: tuple[str, str] | None = None
) -> np.ndarray:
    """Find distinct ids in the array ``among``, in any order; return their places, int32, -1 for ids not found."""
    return find_levels(label, ids, among, np.argsort(among, kind="stable"), of, kinds)


def find_levels(
    label: str,
    levels: np.ndarray,
    fitted: np.ndarray,
    sorter: np.ndarray | None,
    of: str = "the model was fitted on",
    kinds: tuple[str, str] | None = None,
    remedy: Callable[[], str] = lambda: _SAME_KIND,
) -> np.ndarray:
    """Find the indices of ``levels`` among the levels of the fit, int32; -1 for levels not found.

    ``kinds`` has the kind of ``levels`` and that of the fit, from ``kind_of_column``. Without ``kinds``, time zones are
    not compared. ``remedy`` returns what to do if the kinds differ.
    """
    if not len(levels) or not len(fitted):
        return np.full(len(levels), -1, dtype=np.int32)
    kind, fitted_kind = (kind_of(levels), kind_of(fitted)) if kinds is None else kinds
    if kind != fitted_kind:
        advice = remedy()
        if {kind, fitted_kind} == {"datetime", ZONED}:
            advice = "Give both a time zone or neither, for example with pandas' tz_localize and tz_convert."
        raise ValueError(
            f"Ids in {label} are {plural(kind)} (such as {shown(levels[0])}), but {of} {ids_of(fitted_kind)} (such as "
            f"{shown(fitted[0])}). {advice}"
        )
    return _align(levels, fitted, sorter)


def _drop_unused(ids: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep the levels that occur in rows of positive weight. The codes of other rows are undefined."""
    used = np.bincount(codes, weights > 0, minlength=len(ids)) > 0
    places = np.cumsum(used, dtype=np.int32) - np.int32(1)
    return ids[used], np.maximum(places, 0, out=places)[codes]


def _joined(label: str, fitted: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Join two arrays of levels of one kind; all levels stay exact."""
    if not len(fitted):
        return new
    if fitted.dtype == new.dtype or fitted.dtype.kind == "O":
        return np.concatenate([fitted, new.astype(fitted.dtype)])
    if fitted.dtype.kind == "M":
        return datetime_array(label, [*fitted, *new])
    values = [*fitted.tolist(), *new.tolist()]
    dtype = number_levels(label, sorted(values)).dtype
    return object_array(values) if dtype.kind == "O" else np.array(values, dtype=dtype)


def _look_up_ints(
    values: np.ndarray | list | Categorical, fitted: np.ndarray, sorter: np.ndarray | None, out: np.ndarray
) -> bool:
    """Fill ``out`` by a fast lookup if values and levels are whole numbers; return whether it was filled."""
    if fitted.dtype != np.int64 or not len(fitted):
        return False
    if isinstance(values, list):
        values = number_array(values)
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iubf":
        return False
    if values.dtype.kind == "u" and values.dtype.itemsize == 8:
        return False
    if values.dtype.kind == "f":
        as_ints = np.empty(len(values), dtype=np.int64)
        if values.dtype.itemsize > 8 or not floats_as_integers(values.astype(np.float64, copy=False), as_ints):
            return False
        values = as_ints
    elif values.dtype != np.int32:
        values = values.astype(np.int64, copy=False)
    first, last = (0, -1) if sorter is None else (sorter[0], sorter[-1])
    low, span = int(fitted[first]), int(fitted[last]) - int(fitted[first]) + 1
    if span <= 2 * len(values):
        table = np.full(span, -1, dtype=np.int32)
        table[fitted - low] = np.arange(len(fitted), dtype=np.int32)
        look_up_integers(values, low, table, out)
    elif len(values) < len(fitted):
        find_integers(values, np.ascontiguousarray(fitted), sorter, out)
    else:
        return False
    return True


def warn_of_continuous_columns(columns: list[Column], levels: Levels, n_rows: int) -> None:
    """Warn about columns that are probably not categorical, because each level is learned separately."""
    if n_rows < _MIN_ROWS_TO_JUDGE_A_COLUMN:
        return
    for j, (column, ids) in enumerate(zip(columns, levels.ids, strict=True)):
        n_levels, continuous = len(ids), ids.dtype.kind in "fM"
        if j < 2 and ids.dtype.kind == "f" and n_levels > n_rows / 10:
            warn_user(
                f"{capital(column.label)} has {n_levels} levels in {n_rows} rows, such as {shown(ids[0])}. These ids "
                "look scaled. Leave the scaler out, such as StandardScaler, and give ids as they are: numbers or text.",
                UserWarning,
            )
        elif (n_levels > n_rows / 2 and j >= 2) or (n_levels > n_rows / 10 and continuous):
            warn_user(
                f"{capital(column.label)} has {n_levels} levels in {n_rows} rows and looks "
                f"{'continuous' if continuous else 'like an identifier of rows'}. But the model treats every column as "
                "categorical: nearby values are unrelated categories. Put the values into bins first, for example with "
                "sklearn's KBinsDiscretizer(encode='ordinal'), or leave the column out.",
                UserWarning,
            )


def warn_of_ratings_in_columns(
    columns: list[Column], levels: Levels, codes: list[np.ndarray], y: np.ndarray, weights: np.ndarray | None
) -> None:
    """Warn about columns that seem to be computed from the ratings (leakage). A sample of the rows is checked."""
    n_rows = len(y) if weights is None else np.count_nonzero(weights)
    if n_rows < _MIN_ROWS_TO_JUDGE_A_COLUMN:
        return
    rows = _every_nth_row(-(-n_rows // _MAX_ROWS_TO_JUDGE_BY), n_rows, weights)
    ratings = y[rows].astype(np.float64)
    for j, column in enumerate(columns):
        what = None
        if _are_ratings(levels.ids[j], codes[j][rows], ratings, as_is=j < 2):
            what = "has the ratings y themselves" if j < 2 else "has the ratings y themselves, or a multiple of them"
        elif j >= 2 and _determines(codes[j][rows], ratings):
            what = "determines y: rows with the same value in it always have the same rating"
        if what is not None:
            warn_user(
                f"{capital(column.label)} {what}. If the column was computed from the ratings, leave it out "
                "(leakage): a model that uses it cannot predict unknown ratings.",
                UserWarning,
            )


def _every_nth_row(step: int, n_rows: int, weights: np.ndarray | None) -> np.ndarray:
    """Return every n-th row of positive weight, n = ``step``, because all rows together may not fit into memory."""
    if weights is None or weights.all():
        return np.arange(0, n_rows, step)
    taken, n_before = [], 0
    for chunk in chunks(len(weights), _CHUNK):
        rows = np.flatnonzero(weights[chunk])
        taken.append(chunk.start + rows[-n_before % step :: step])
        n_before += len(rows)
    return np.concatenate(taken)


def _are_ratings(ids: np.ndarray, codes: np.ndarray, ratings: np.ndarray, as_is: bool) -> bool:
    """Check whether ids, or the numbers in their text, equal the ratings up to rounding.

    With ``as_is`` (users and items) they must equal the ratings. For a context, a linear function of them is enough.
    """
    low, high = np.argmin(ratings), np.argmax(ratings)
    if ids.dtype.kind == "M" or ratings[low] == ratings[high]:
        return False
    few = [low, high, *range(8)]
    try:
        with np.errstate(all="ignore"):
            numbers = ids[codes[few]].astype(np.float64)
            slope, start = 1.0, 0.0
            if not as_is:
                slope = (numbers[1] - numbers[0]) / (ratings[high] - ratings[low])
                start = numbers[0] - slope * ratings[low]
            close = {"rtol": 1e-6, "atol": 1e-6 * abs(slope)}
            if slope == 0 or not np.allclose(numbers, start + slope * ratings[few], **close):
                return False
            numbers = ids[codes].astype(np.float64)
            n_values = len(np.unique(numbers))
            enough = n_values <= len(ratings) / 10 if as_is else n_values > 2  # _determines checks two values
            return bool(enough and np.allclose(numbers, start + slope * ratings, **close))
    except ValueError:  # text that is not a number
        return False


def _determines(codes: np.ndarray, ratings: np.ndarray) -> bool:
    """Check whether ratings of the same level are always equal, although many of them would differ by chance."""
    _, levels = np.unique(codes, return_inverse=True)
    n_levels = levels.max() + 1
    of_level = np.empty(n_levels)
    of_level[levels] = ratings  # the last of each level
    if not np.array_equal(of_level[levels], ratings):
        return False
    shares = np.unique(ratings, return_counts=True)[1] / len(ratings)
    return (len(ratings) - n_levels) * (1 - np.sum(shares**2)) >= _MIN_DIFFERENCES_BY_CHANCE


def _align(levels: np.ndarray, fitted: np.ndarray, sorter: np.ndarray | None) -> np.ndarray:
    """Find the place of each of ``levels`` among ``fitted``, int32; -1 if not found. ``sorter`` sorts ``fitted``."""
    exact = np.ones(len(levels), dtype=bool)
    if levels.dtype != fitted.dtype and levels.dtype.kind == "M":
        converted = _times_in_unit(levels, fitted.dtype)
        levels, exact = converted, _times_in_unit(converted, levels.dtype) == levels
    fitted, levels = _comparable(fitted, levels)
    place = np.searchsorted(fitted, levels, sorter=sorter)
    place[place == len(fitted)] = 0
    if sorter is not None:
        place = sorter[place]
    return np.where(exact & (fitted[place] == levels), place, -1).astype(np.int32)


def _times_in_unit(times: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert times to another unit. Where they do not fit, NumPy 2.5 raises, and the result is NaT."""
    try:
        return times.astype(dtype)
    except OverflowError:
        return np.array([_time_in_unit(time, dtype) for time in times], dtype=dtype)


def _time_in_unit(time: np.datetime64, dtype: np.dtype) -> np.datetime64:
    """Convert one time, or return NaT."""
    try:
        return time.astype(dtype)
    except OverflowError:
        return np.datetime64("NaT", np.datetime_data(dtype)[0])


def _comparable(fitted: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both arrays so that comparisons are exact: as objects if an int would become a float."""
    if levels.dtype != fitted.dtype and levels.dtype.kind != "M":
        return fitted.astype(object), levels.astype(object)
    return fitted, levels
