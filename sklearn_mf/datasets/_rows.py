"""Split the text of a file into rows of values: quotes, escapes, separators and line ends.

The text is given as a whole, or in parts that end at line ends. How to read it (``Layout``) is found first, from the
whole text.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, repeat, zip_longest
from typing import ClassVar

from sklearn_mf.datasets._messages import quote, shorten

_SEPARATORS = ("::", "\t", ",", ";", "|", " ")  # found automatically, in this order of preference
_N_LINES_TRIED, _N_CHARACTERS_TRIED = 20, 2**16  # read to find the separator

_PRIVATE = re.compile("[\ue000-\uf8ff]")  # characters that are rare in texts
_QUOTED = re.compile(r'"[^"]*"')
_LINE_WITH_END = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
# A star cannot match the character after it, so each pattern reads a text once.
_BLANK_LINE = re.compile(r"\n[^\S\n]*(?:\n|\Z)")
_FULL_LINE = re.compile(r"^[^\S\n]*\S.*$", re.MULTILINE)


@dataclass(frozen=True)
class Rows:
    """Hold the values of rows, one row after another, and where each row begins in the file."""

    path: str
    sep: str
    n_values: int  # number of values in each row
    values: list[str]
    line_numbers: Sequence[int]
    n_lines_before: int = 0  # lines before the first of these rows
    # Name of the values of a row in messages, and advice if there are too few.
    WORD: ClassVar[str] = "values"
    ADVICE: ClassVar[str] = (
        "A line needs a user, an item and a rating. If the file has another format, give sep or columns."
    )

    def get_row(self, row: int) -> list[str]:
        """Return the values of a row, without spaces around them."""
        return [value.strip() for value in self.values[row * self.n_values : (row + 1) * self.n_values]]

    def get_column(self, place: int, start: int) -> list[str]:
        """Return the values of a column, from the row ``start`` on."""
        return self.values[start * self.n_values + place :: self.n_values]

    def locate(self, row: int) -> str:
        """Return the file and the line of a row, for a message."""
        return f"{self.path}, line {self.line_of(row)}"

    def line_of(self, row: int) -> int:
        """Return the number of the line where a row begins, from 1."""
        return self.n_lines_before + self.line_numbers[row]

    def quote_row(self, row: int) -> str:
        """Format the beginning of a row, for a message."""
        return quote(self.sep.join(self.get_row(row)))


@dataclass(frozen=True)
class Layout:
    """Hold how to read the text of a file."""

    path: str
    sep: str
    mark: str  # a single character that replaces the separator
    is_quoted: bool
    may_escape: bool  # whether a backslash is before a quote or separator
    escape: str | None = None


def find_layout(texts: Iterable[str], sep: str | None, path: str) -> Layout:
    """Find out how to read a text. All of the text is checked.

    The csv module reads the rows if there are quotes, or if a backslash may escape a quote or separator. Otherwise each
    line is a row.
    """
    if sep is not None and (not sep or any(character in sep for character in '"\r\n')):
        raise ValueError(f"sep={quote(sep)} must be a text without quotes and line ends, or None.")
    is_quoted = may_escape = False
    private: set[str] = set()
    for text in texts:
        sep = _find_separator(text) if sep is None else sep
        is_quoted = is_quoted or '"' in text
        if not may_escape and "\\" in text:
            may_escape = re.search(r"\\(?:\"|" + re.escape(sep) + ")", text) is not None
        if not text.isascii():
            private.update(_PRIVATE.findall(text))
    sep = sep or ","
    mark = sep if len(sep) == 1 else next(mark for mark in map(chr, range(0xE000, 0xF900)) if mark not in private)
    return Layout(path, sep, mark, is_quoted, may_escape)


def choose_escape(layout: Layout, split: Callable[[Layout], Iterable[Rows]]) -> Layout:
    """Find out whether backslashes are escapes; ``split`` returns all rows of a text, given its layout.

    Raise an error if backslashes can be read in both ways, and values then end in different places.
    """
    if not layout.may_escape:
        return layout
    escaped = replace(layout, is_quoted=True, escape="\\")
    error, error_of_escaped = _error_of(split, layout), _error_of(split, escaped)
    if error is not None:
        if error_of_escaped is None:
            return escaped
        raise error  # this error is more helpful than the other one
    if error_of_escaped is not None:
        return layout
    values, others = (chain.from_iterable(rows.values for rows in split(each)) for each in (layout, escaped))
    place = next((i for i, pair in enumerate(zip_longest(values, others)) if _end_apart(*pair)), None)
    if place is None:
        return layout
    for rows in split(layout):
        row = min(place // rows.n_values, len(rows.line_numbers) - 1)
        place -= len(rows.values)
        if place < 0:
            break
    raise ValueError(
        f"{rows.locate(row)}: a backslash before a quote or separator may be text or an escape. The two "
        f"readings give different values: {rows.quote_row(row)}. Write the file again, with doubled quotes inside "
        "quoted values, and no backslash at the end of a value."
    )


def split_rows(texts: Iterable[str], layout: Layout, n_rows: int | None = None) -> Iterator[Rows]:
    """Split texts into rows, and yield one text, or ``n_rows`` rows, at a time.

    All rows must have as many values as the first row.
    """
    parts = _split_quoted(texts, layout, n_rows) if layout.is_quoted else _split_plain(texts, layout)
    return (rows for rows in parts if rows.values)


def _error_of(split: Callable[[Layout], Iterable[Rows]], layout: Layout) -> ValueError | None:
    """Return the error that splitting raises."""
    try:
        for _ in split(layout):
            pass
    except ValueError as error:
        return error
    return None


def _end_apart(plain: str | None, escaped: str | None) -> bool:
    """Check whether two readings of a value differ in more than quotes and backslashes."""
    if plain == escaped:
        return False
    if plain is None or escaped is None:
        return True
    without = str.maketrans("", "", '\\"')
    return plain.translate(without) != escaped.translate(without)


def _find_separator(text: str) -> str:
    """Find the separator that gives at least three values in the first line and, if possible, as many in the next
    lines.

    Text in quotes does not count. If no separator is found, the comma is used.
    """
    head = text[:_N_CHARACTERS_TRIED]
    for sample in (_QUOTED.sub("", head), head):
        lines = [line for line in re.split(r"[\r\n]+", sample) if line.strip()][:_N_LINES_TRIED]
        if len(lines) > 2 and len(text) > len(head):
            lines.pop()  # the last line may be cut off
        found = [sep for sep in _SEPARATORS if lines and lines[0].count(sep) >= 2]
        if found:
            even = (sep for sep in found if sep != " " and len({line.count(sep) for line in lines}) == 1)
            return next(even, found[0])
    return ","


def _split_plain(texts: Iterable[str], layout: Layout) -> Iterator[Rows]:
    """Split texts without quotes, in a few passes in C."""
    path, sep, n_seps, n_lines = layout.path, layout.sep, None, 0
    for text in texts:
        text = text if "\r" not in text else text.replace("\r\n", "\n").replace("\r", "\n")
        n_lines_before, n_lines = n_lines, n_lines + text.count("\n")
        text, line_numbers = _take_blank_lines_out(text)
        if not text:
            continue
        lines = text.split("\n")
        if sep == " ":  # several spaces may align columns
            lines = [" ".join(line.split()) for line in lines]
            text = "\n".join(lines)
        n_seps = lines[0].count(sep) if n_seps is None else n_seps
        if not set(map(str.count, lines, repeat(sep))) <= {n_seps}:
            row = next(i for i, line in enumerate(lines) if line.count(sep) != n_seps)
            where = f"{path}, line {n_lines_before + line_numbers[row]}"
            _raise_wrong_width(where, lines[row].split(sep), n_seps + 1, sep)
        yield Rows(path, sep, n_seps + 1, text.replace(sep, "\n").split("\n"), line_numbers, n_lines_before)


def _take_blank_lines_out(text: str) -> tuple[str, Sequence[int]]:
    """Return a text without blank lines, and the numbers of its lines, from 1."""
    text = text.removesuffix("\n")
    first_is_blank = not text[: text.find("\n") + 1 or None].strip()
    if not first_is_blank and not _BLANK_LINE.search(text):
        return text, range(1, text.count("\n") + 2)
    lines, numbers, number, position = [], [], 1, 0
    for match in _FULL_LINE.finditer(text):  # a list of lines would need many times the memory of a file of empty lines
        number += text.count("\n", position, match.start())
        position = match.start()
        lines.append(match[0])
        numbers.append(number)
    return "\n".join(lines), numbers


def _split_quoted(texts: Iterable[str], layout: Layout, n_rows: int | None) -> Iterator[Rows]:
    """Split texts with quoted values, which may contain separators, line ends and doubled quotes."""
    path, sep, mark, n_values, line_number = layout.path, layout.sep, layout.mark, 0, 1
    reader = csv.reader(
        _read_lines(texts, sep, mark),
        delimiter=mark,
        escapechar=layout.escape,
        skipinitialspace=True,
        strict=True,
    )
    is_more = True
    while is_more:
        values: list[str] = []
        line_numbers, is_more = [], False
        try:
            for row in islice(reader, n_rows):
                is_more = True
                if len(row) > 1 or (row and row[0].strip()):
                    n_values = n_values or len(row)
                    if len(row) != n_values:
                        _raise_wrong_width(f"{path}, line {line_number}", row, n_values, sep)
                    values.extend(row)
                    line_numbers.append(line_number)
                line_number = reader.line_num + 1
        except csv.Error as error:
            raise ValueError(
                f"{path}, line {line_number}: a quoted value does not end, or goes on after its quote "
                f"({shorten(error)}). Double the quotes within quoted values."
            ) from error
        if mark != sep:
            values = [value.replace(mark, sep) for value in values]
        yield Rows(path, sep, n_values, values, line_numbers)


def _read_lines(texts: Iterable[str], sep: str, mark: str) -> Iterator[str]:
    """Yield single lines with their line ends, and with marks instead of separators.

    If the separator is a space, spaces at the end of a line are removed. The csv module only supports separators of one
    character.
    """
    for text in texts:
        text = text if mark == sep else text.replace(sep, mark)
        for match in _LINE_WITH_END.finditer(text):
            line = match[0]
            if sep == " ":
                values = line.rstrip("\r\n")
                line = values.rstrip(" ") + line[len(values) :]
            yield line


def _raise_wrong_width(where: str, row: list[str], n_values: int, sep: str) -> None:
    """Raise a ValueError for a row that has more or fewer values than the first."""
    raise ValueError(
        f"{where}: {len(row)} instead of {n_values} values, separated by {quote(sep)}: {quote(sep.join(row))}. "
        "Every line must have as many values as the first. Put values that contain a separator in quotes."
    )
