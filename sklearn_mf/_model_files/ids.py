"""Write ids of every kind as plain arrays, and read them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np

from sklearn_mf._ids.kinds import ZONED, kind_of, object_array
from sklearn_mf._ids.levels import Levels
from sklearn_mf._model_files.entries import Draft, Part

_PLAIN = {"int64": "i8", "uint64": "u8", "float64": "f8"}
_DATETIME = re.compile(r"datetime64\[(?:[1-9]\d{0,8})?(?:Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\]")
# How text is encoded. A surrogate stands alone in names of files that are not UTF-8; strict UTF-8 does not have it.
_TEXT = {"text": "strict", "text with surrogates": "surrogatepass"}
_INT, _UINT, _FLOAT = 0, 1, 2  # types of mixed numbers, eight bytes each
_LARGEST_COUNT = 2**31 - 2


def put_ids(draft: Draft, levels: Levels, field: int) -> None:
    """Add the ids of a column, in the order of their indices."""
    ids, sorter = levels.ids[field], levels.sorters[field]
    kind = kind_of(ids) if levels.kinds is None else levels.kinds[field]
    draft.values["has_time_zone"] = kind == ZONED
    if ids.dtype.kind == "M":
        form = f"datetime64[{np.datetime_data(ids.dtype)[1]}{np.datetime_data(ids.dtype)[0]}]"
        draft.put("ids", ids.astype(ids.dtype.newbyteorder("=")).view(np.int64), "i8")
    elif ids.dtype.kind == "O":
        put = {"text": _put_text, "bytes": _put_bytes}.get(kind, _put_mixed)
        form = put(draft, ids)
    else:
        form = ids.dtype.newbyteorder("=").name
        draft.put("ids", ids, _PLAIN[form])
    draft.values["form"] = form
    if sorter is not None:
        draft.put("sorter", sorter, "i8")


def _take_ids(part: Part) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Return the ids of a column, what sorts them (or None), and their kind."""
    form, has_zone = part.take("form"), part.flag("has_time_zone")
    ids = _READERS.get(form, _take_datetimes)(part, form) if isinstance(form, str) else part.fail("form", "is no text")
    if not 1 <= len(ids) <= _LARGEST_COUNT:
        part.fail("ids", f"has {len(ids)} ids")
    if has_zone and ids.dtype.kind != "M":
        part.fail("has_time_zone", "is true, but the ids are not datetimes")
    if ids.dtype.kind in "fM" and not np.isfinite(ids).all():
        part.fail("ids", "has missing or infinite ids")
    sorter = None
    if part.has("sorter"):
        sorter = part.array("sorter", "i8", (len(ids),), 0, len(ids) - 1).astype(np.intp, copy=False)
    in_order = ids if sorter is None else ids[sorter]
    if not (in_order[1:] > in_order[:-1]).all():  # then no id is there twice, and the sorter has each place once
        part.fail("ids" if sorter is None else "sorter", "does not give distinct ids in increasing order")
    return ids, sorter, ZONED if has_zone else kind_of(ids)


def take_levels(columns: list[Part]) -> Levels:
    """Return the ids of all columns."""
    ids, sorters, kinds = map(list, zip(*map(_take_ids, columns), strict=True))
    return Levels(ids, sorters, kinds)


def _put_bytes(draft: Draft, ids: Sequence[bytes]) -> str:
    """Add bytes: all of them joined, and where each begins."""
    draft.put("offsets", np.cumsum([0, *map(len, ids)]), "i8")
    draft.put("bytes", np.frombuffer(b"".join(ids), dtype=np.uint8), "u1")
    return "bytes"


def _put_text(draft: Draft, ids: np.ndarray) -> str:
    """Add text as UTF-8."""
    try:
        form, encoded = "text", [id_.encode("utf-8") for id_ in ids]
    except UnicodeEncodeError:
        form = "text with surrogates"
        encoded = [id_.encode("utf-8", _TEXT[form]) for id_ in ids]
    _put_bytes(draft, encoded)
    return form


def _put_mixed(draft: Draft, ids: np.ndarray) -> str:
    """Add whole numbers and floats that no single type can hold; each has its own type."""
    types, numbers = np.empty(len(ids), dtype=np.uint8), np.empty(len(ids), dtype=np.uint64)
    for place, id_ in enumerate(ids):
        if isinstance(id_, (Integral, np.bool_)):
            number = int(id_)
            types[place] = _INT if number < 2**63 else _UINT
            numbers[place] = number % 2**64
        else:
            types[place] = _FLOAT
            numbers[place : place + 1] = np.array([float(id_)]).view(np.uint64)
    draft.put("types", types, "u1")
    draft.put("numbers", numbers, "u8")
    return "mixed"


def _take_bytes(part: Part, form: str) -> np.ndarray:
    """Read bytes."""
    return object_array(_cut(part))


def _take_text(part: Part, form: str) -> np.ndarray:
    """Read text; it must be valid UTF-8."""
    ids = []
    for place, id_ in enumerate(_cut(part)):
        try:
            ids.append(id_.decode("utf-8", _TEXT[form]))
        except UnicodeDecodeError:
            part.fail("bytes", f"is not valid UTF-8 in id number {place}")
    return object_array(ids)


def _cut(part: Part) -> list[bytes]:
    """Cut joined bytes at their offsets."""
    joined = part.array("bytes", "u1", (None,)).tobytes()
    places = part.offsets("offsets", len(joined)).tolist()
    return [joined[start:stop] for start, stop in pairwise(places)]


def _take_mixed(part: Part, form: str) -> np.ndarray:
    """Read numbers, each of its own type."""
    types = part.array("types", "u1", (None,), 0, _FLOAT)
    numbers = part.array("numbers", "u8", (len(types),))
    readings = numbers.view(np.int64).tolist(), numbers.tolist(), numbers.view(np.float64).tolist()
    if not np.isfinite(numbers.view(np.float64)[types == _FLOAT]).all():
        part.fail("numbers", "has missing or infinite ids")
    return object_array([readings[type_][place] for place, type_ in enumerate(types.tolist())])


def _take_plain(part: Part, form: str) -> np.ndarray:
    """Read numbers of one type."""
    return part.array("ids", _PLAIN[form], (None,), is_finite=False)


def _take_datetimes(part: Part, form: str) -> np.ndarray:
    """Read datetimes, which are whole numbers of a unit."""
    if _DATETIME.fullmatch(form) is None:
        part.fail("form", f"is {form!r}, which this version of sklearn_mf does not know")
    return part.array("ids", "i8", (None,)).view(form)


_READERS: dict[Any, Callable[[Part, str], np.ndarray]] = {
    **dict.fromkeys(_PLAIN, _take_plain),
    **dict.fromkeys(_TEXT, _take_text),
    "bytes": _take_bytes,
    "mixed": _take_mixed,
}
