"""Find out which columns of a file hold users, items, ratings and times."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from os import PathLike, fspath
from typing import Any, NoReturn

import numpy as np

from sklearn_mf.datasets._messages import NO_RATINGS, quote
from sklearn_mf.datasets._rows import Rows
from sklearn_mf.datasets._tokens import is_number

USER, ITEM, RATING, TIME = "user", "item", "rating", "time"
_NO_RATING = "number that is no rating"

# Words of column names, in the singular, by role. A name may have words of several roles: book_rating is a rating.
_WORDS = {
    USER: "user reviewer customer member visitor client buyer reader viewer listener rater account uid consumer person "
    "people player subscriber student learner guest voter critic",
    ITEM: "item movie film product book business song track artist album game app anime manga recipe restaurant venue "
    "place poi hotel joke article asin isbn iid sku show series course beer wine video news document doc paper store "
    "shop podcast episode location",
    RATING: "rating rate star score overall grade mark vote preference",
    TIME: "time timestamp date datetime ts when",
    _NO_RATING: "year month week day hour minute age zip",
}
_ROLES = {word: role for role, words in _WORDS.items() for word in words.split()}
_LETTERS = {"u": USER, "i": ITEM, "r": RATING, "t": TIME}  # names of a single letter
# Words that do not change the meaning of a name, and words for statistics of users, items or ratings.
# fmt: off
_NEUTRAL = {
    "id", "key", "code", "index", "unix", "utc", "epoch", "review", "reviewed", "rated", "given", "created",
    "at", "of", "on", "in", "the", "sec", "second",
}
_ABOUT = {
    "avg", "average", "mean", "median", "std", "count", "num", "number", "n", "total", "sum", "min", "max", "predicted",
    "expected",
}
# fmt: on
_OF_CLOCKS = {"unix", "epoch", "timestamp", "ts"}  # preferred if a file also has dates
_TYPES = re.compile(r":(token|float)(_seq)?$")  # suffixes that RecBole adds to names

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # the start of a URL, such as s3://

_LONGEST_NAME = 100  # characters; longer texts are not names, and take long to split

_WORDS_FOR_MISSING = ("", "na", "n/a", "nan", "null", "none")  # missing ratings; such a line is not a header
_DEFAULT_PLACES = (0, 1, 2)


@dataclass(frozen=True)
class Name:
    """Hold the role that a column name gives, and whether all words of the name are known."""

    role: str | None
    is_plain: bool
    words: tuple[str, ...]


@dataclass(frozen=True)
class Chosen:
    """Hold which columns are read."""

    ids: list[int]  # places of users, items and contexts
    rating: int
    weight: int | None
    start: int  # the first row of ratings: 1 after a header
    names: list[str] | None  # names of the id columns
    rating_is_named: bool  # whether the caller gave the rating column by name


def read_name(name: str) -> Name:
    """Find the role of a column by the words of its name.

    If the name has words of several roles, times come first, then ratings, then users and items (the last word counts).
    """
    name = _TYPES.sub("", name.strip()) if len(name) <= _LONGEST_NAME else ""
    if name.lower() in _LETTERS:
        return Name(_LETTERS[name.lower()], True, (name.lower(),))
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+", name)
    words = tuple(word for part in parts for word in _split_word(part.lower()))
    roles = [_ROLES[word] for word in words if word in _ROLES]
    of_ids = [role for role in roles if role in (USER, ITEM)][-1:]
    role = next((role for role in (TIME, RATING, *of_ids, _NO_RATING) if role in roles), None)
    if not name[:1].isalpha() or _ABOUT.intersection(words) or (role in (TIME, RATING) and "id" in words):
        role = None
    return Name(role, role is not None and all(word in _ROLES or word in _NEUTRAL for word in words), words)


def _split_word(word: str) -> list[str]:
    """Split userid into user and id, and remove the s of plurals; return other words as they are."""
    for stem in (word, word.removesuffix("s")):
        if stem in _ROLES or stem in _NEUTRAL:
            return [stem]
    for i in range(len(word) - 2, 1, -1):
        if word[:i] in _ROLES or word[:i] in _NEUTRAL:
            rest = _split_word(word[i:])
            if all(part in _ROLES or part in _NEUTRAL for part in rest):
                return [word[:i], *rest]
    return [word]


def has_header(rows: Rows, columns: Sequence[int | str] | None) -> bool:
    """Check whether the first row has column names; raise an error if it is not clear.

    The row has no names if an id or the rating is a number, or if the rating cannot be a name, such as ``4,5``, ``?``
    and ``NA``. Otherwise it has names if one of its words means ratings, or if its words are of two roles. It also has
    names if the second row has numbers for the rating and for an id.
    """
    if columns is not None and any(isinstance(column, str) for column in columns):
        return True
    first = rows.get_row(0)
    *ids, rating = _find_places(_DEFAULT_PLACES if columns is None else columns, first, rows)
    if any(is_number(first[place]) for place in (*ids, rating)):
        return False
    names = list(map(read_name, first))
    if first[rating].lower() in _WORDS_FOR_MISSING or not first[rating][:1].isalpha():
        return False
    roles = {name.role for name in names if name.is_plain} - {_NO_RATING}
    if RATING in roles or len(roles) >= 2:
        return True
    if len(rows.line_numbers) > 1:
        second = rows.get_row(1)
        if is_number(second[rating]) and any(is_number(second[place]) for place in ids):
            return True
    raise ValueError(
        f"{rows.locate(0)}: {rows.quote_row(0)} may be column names, or ids with the rating "
        f"{quote(first[rating])}, which is not a number. Set header=True if these are names. Otherwise "
        "correct the rating."
    )


def check_arguments(path: Any, columns: Any, sep: Any, header: Any, encoding: Any) -> None:
    """Raise an error for invalid arguments before the file is read."""
    is_list = hasattr(columns, "__getitem__") and hasattr(columns, "__len__") and not isinstance(columns, (str, dict))
    if columns is not None and not (is_list and len(columns) >= 3):
        raise ValueError(
            f"columns={quote(columns)} must name at least three columns: user, item and rating. {NO_RATINGS}"
        )
    if not isinstance(path, (str, PathLike)):
        raise TypeError(f"path must be a str or path-like, not {type(path).__name__}.")
    for name, value in [("sep", sep), ("encoding", encoding)]:
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} must be a str or None, not {quote(value)}.")
    if header is not None and not isinstance(header, (bool, np.bool_, Integral)):
        raise TypeError(f"header must be a bool or None, not {quote(header)}.")
    if _ADDRESS.match(str(fspath(path))):
        raise ValueError(f"path={quote(path)} is a URL. path must be the path of a file on this machine.")
    if "\0" in str(fspath(path)):
        raise ValueError(f"path={quote(path)} has a NUL character, which file names cannot have.")


def choose_columns(
    rows: Rows,
    columns: Sequence[int | str] | None,
    header: bool | None,
    weight: int | str | None = None,
    takes_time: bool = False,
) -> Chosen:
    """Find out whether there is a header, and the places of user, item, any contexts, rating and weight.

    ``takes_time`` says whether the caller has an argument ``time``, which messages may then mention.
    """
    if header is None:
        header = isinstance(weight, str) or has_header(rows, columns)
    first = rows.get_row(0)
    places = _choose_places(rows, columns, bool(header), takes_time)
    names = [first[place] for place in places[:-1]] if header else None
    rating_is_named = columns is not None and isinstance(columns[-1], str)
    chosen = Chosen(places[:-1], places[-1], None, int(bool(header)), names, rating_is_named)
    if weight is None:
        return chosen
    (place,) = _find_places((weight,), first, rows)
    if place in places:
        raise ValueError(
            f"{rows.locate(0)}: weight={quote(weight)} is already used for ids or ratings. Set weight to another "
            f"column. The first row is {quote(first)}."
        )
    return replace(chosen, weight=place)


def _choose_places(rows: Rows, columns: Sequence[int | str] | None, header: bool, takes_time: bool) -> list[int]:
    """Find the places of user, item, any contexts and rating."""
    first = rows.get_row(0)
    if columns is None:
        return _choose_by_words(rows, first, takes_time) if header else _find_places(_DEFAULT_PLACES, first, rows)
    places = _find_places(columns, first, rows)
    if header:
        _check_named(rows, first, places)
        _check_roles(rows, first, places, columns, takes_time)
    return places


def choose_time(rows: Rows, time: int | str | None, header: bool, places: list[int]) -> int | None:
    """Find the place of the times by ``time`` or by words of the header; None if there are none."""
    first = rows.get_row(0)
    if time is not None:
        (place,) = _find_places((time,), first, rows)
        return place
    if not header:
        return None
    found = _find_role([read_name(name) for name in first], TIME, only_plain=True)
    found = [place for place in found if place not in (*places[:2], places[-1])]
    if len(found) > 1:
        names = [first[place] for place in found]
        raise ValueError(
            f"{rows.locate(0)}: several columns may be the times: {quote(names)}. Set time to a name or "
            f"position, such as time={quote(names[0])}. If times do not matter, use return_X_y=True."
        )
    return found[0] if found else None


def _find_places(columns: Sequence[int | str], names: list[str], rows: Rows) -> list[int]:
    """Find the places of columns that are given by place or by name."""
    places = []
    for column in columns:
        if isinstance(column, str):
            if names.count(column) != 1:
                problem = "no column" if column not in names else "several columns"
                raise ValueError(f"{rows.locate(0)}: {problem} {quote(column)} among {quote(names)}.")
            places.append(names.index(column))
        elif isinstance(column, Integral) and not isinstance(column, bool) and 0 <= column < len(names):
            places.append(int(column))
        else:
            raise ValueError(
                f"{rows.locate(0)}: no column {quote(column)} (counted from 0) among the {len(names)} {rows.WORD} "
                f"{quote(names)}. {rows.ADVICE}{f' {NO_RATINGS}' if len(names) == 2 else ''}"
            )
    if len(set(places)) < len(places):
        raise ValueError(f"columns={quote(columns)} names a column twice.")
    return places


def _choose_by_words(rows: Rows, names: list[str], takes_time: bool) -> list[int]:
    """Return the columns whose names are words for users, items and ratings, otherwise the first three.

    Raise an error if names have such words, but it is not clear which columns they mean.
    """
    read = list(map(read_name, names))
    found = {role: _find_role(read, role) for role in (USER, ITEM, RATING)}
    if all(len(places) == 1 for places in found.values()):
        return [places[0] for places in found.values()]
    places = _find_places(_DEFAULT_PLACES, names, rows)
    for place, (role, candidates) in zip(places, found.items(), strict=True):
        is_other = read[place].role not in (None, role) and (read[place].role != _NO_RATING or role == RATING)
        if is_other or len(candidates) > 1 or (candidates and place not in candidates):
            _raise_unclear(rows, f"the {role}s", place, candidates, takes_time)
    _check_named(rows, names, places)
    return places


def _find_role(names: list[Name], role: str, only_plain: bool = False) -> list[int]:
    """Find the columns of a role: those with plain names or, if there are none, those with other names."""
    plain = [place for place, name in enumerate(names) if name.role == role and name.is_plain]
    if role == TIME and len(plain) > 1:
        of_clocks = [place for place in plain if _OF_CLOCKS.intersection(names[place].words)]
        return of_clocks if len(of_clocks) == 1 else plain
    if plain or only_plain:
        return plain
    return [place for place, name in enumerate(names) if name.role == role]


def _check_named(rows: Rows, names: list[str], places: list[int]) -> None:
    """Reject columns without a name."""
    nameless = [place for place in places if not names[place]]
    if nameless:
        raise ValueError(
            f"{rows.locate(0)}: column {nameless[0]} has no name among {quote(names)}. Was the table written "
            "with its index? Set columns."
        )


def _check_roles(
    rows: Rows, names: list[str], places: list[int], columns: Sequence[int | str], takes_time: bool
) -> None:
    """Raise an error if the name of the last given column does not mean ratings, but the name of another column does.

    If the last column is given by name, only the other given columns can raise this error.
    """
    read = list(map(read_name, names))
    others = [place for place in _find_role(read, RATING) if place != places[-1]]
    if isinstance(columns[-1], str):
        others = [place for place in others if place in places]
    if others and read[places[-1]].role in (USER, ITEM, TIME, _NO_RATING):
        _raise_unclear(rows, "the ratings", places[-1], others, takes_time)


def _raise_unclear(rows: Rows, what: str, place: int, candidates: list[int], takes_time: bool) -> NoReturn:
    """Raise an error that says which column would be used, which others there are, and what to set."""
    names = rows.get_row(0)
    problem = "whose name says something else"
    if candidates:
        others = [names[candidate] for candidate in candidates]
        problem = f"but there is a column {quote(others[0])}" if len(others) == 1 else f"but there are {quote(others)}"
    found = [_find_role(list(map(read_name, names)), role) for role in (USER, ITEM, RATING)]
    example = ""
    if all(found) and len({places[0] for places in found}) == 3:
        given = tuple(places[0] if names.count(names[places[0]]) > 1 else names[places[0]] for places in found)
        example = f", such as columns={quote(given)}"
    times = " For times, set time." if takes_time else ""
    no_ratings = "" if found[2] else f" {NO_RATINGS}"
    raise ValueError(
        f"{rows.locate(0)}: {what} would be taken from {quote(names[place])}, {problem}, among "
        f"{quote(names)}. Set columns to names or positions: user, item, any contexts, and last the "
        f"rating{example}.{times}{no_ratings}"
    )
