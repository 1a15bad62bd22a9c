"""Split the text of a file into rows of values: quotes, escapes, separators and line ends."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

from sklearn_mf.datasets._messages import quote, shorten

_SEPARATORS = ("::", "\t", ",", ";", "|", " ")  # that are found by themselves, the first ones first
_N_LINES_TRIED, _N_CHARACTERS_TRIED = 20, 2**16  # of a file, to find the separator

_QUOTED = re.compile(r'"[^"]*"')
_LINE_WITH_END = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
# The star cannot match what follows it, so that both take one pass.
_BLANK_LINE = re.compile(r"\n[^\S\n]*(?:\n|\Z)")
_FULL_LINE = re.compile(r"^[^\S\n]*\S.*$", re.MULTILINE)


@dataclass(frozen=True)
class Rows:
    """Hold the values of all rows, one row after another, and where each row begins in the file."""

    path: str
    sep: str
    n_values: int  # in each row
    values: list[str]
    line_numbers: Sequence[int]

    def get_row(self, row: int) -> list[str]:
        """Return the values of a row, without spaces around them."""
        return [value.strip() for value in self.values[row * self.n_values : (row + 1) * self.n_values]]

    def get_column(self, place: int, start: int) -> list[str]:
        """Return the values of a column, from the row ``start`` on."""
        return self.values[start * self.n_values + place :: self.n_values]

    def locate(self, row: int) -> str:
        """Name the file and the line of a row, for a message."""
        return f"{self.path}, line {self.line_numbers[row]}"

    def quote_row(self, row: int) -> str:
        """Write the beginning of a row, for a message."""
        return quote(self.sep.join(self.get_row(row)))


def split_rows(text: str, sep: str | None, path: str) -> Rows:
    """Split a text into rows that have as many values as the first.

    Without a quote character, lines are rows. With one, and where a backslash may escape a quote or separator, the csv
    module reads them. If backslashes can be read as escapes and as text, and values would end elsewhere, neither is
    taken.
    """
    if sep is None:
        sep = _find_separator(text)
    elif not sep or any(character in sep for character in '"\r\n'):
        raise ValueError(f"sep={quote(sep)} must be a text without quotes and line ends, or None.")
    split = _split_quoted if '"' in text else _split_plain
    if "\\" not in text or not re.search(r"\\(?:\"|" + re.escape(sep) + ")", text):
        return split(text, sep, path)
    try:
        rows = split(text, sep, path)
    except ValueError:
        try:
            return _split_quoted(text, sep, path, escape="\\")
        except ValueError:
            pass  # the first error says more
        raise
    try:
        escaped = _split_quoted(text, sep, path, escape="\\")
    except ValueError:
        return rows
    row = next((i for i, pair in enumerate(zip(rows.values, escaped.values, strict=False)) if _end_apart(*pair)), None)
    if row is None and len(rows.values) == len(escaped.values):
        return rows
    row = len(rows.line_numbers) - 1 if row is None else row // rows.n_values
    raise ValueError(
        f"{rows.locate(row)}: a backslash before a quote or separator may be text or an escape, and the values would "
        f"not be the same: {rows.quote_row(row)}. Write the file anew, with quotes in quoted values doubled and no "
        "backslash at the end of a value."
    )


def _end_apart(plain: str, escaped: str) -> bool:
    """Tell whether two readings of a value differ by more than quotes and backslashes in it."""
    if plain == escaped:
        return False
    without = str.maketrans("", "", '\\"')
    return plain.translate(without) != escaped.translate(without)


def _find_separator(text: str) -> str:
    """Find the separator that makes at least three values of the first line, and if it can as many of the next ones.

    What is in quotes does not count. It is a comma if there is none.
    """
    head = text[:_N_CHARACTERS_TRIED]
    for sample in (_QUOTED.sub("", head), head):
        lines = [line for line in re.split(r"[\r\n]+", sample) if line.strip()][:_N_LINES_TRIED]
        if len(lines) > 2 and len(text) > len(head):
            lines.pop()  # it may be cut
        found = [sep for sep in _SEPARATORS if lines and lines[0].count(sep) >= 2]
        if found:
            even = (sep for sep in found if sep != " " and len({line.count(sep) for line in lines}) == 1)
            return next(even, found[0])
    return ","


def _split_plain(text: str, sep: str, path: str) -> Rows:
    """Split a text without quotes, in a few passes in C."""
    text, line_numbers = _take_blank_lines_out(text)
    if not text:
        return Rows(path, sep, 0, [], line_numbers)
    lines = text.split("\n")
    if sep == " ":  # several spaces may line up columns
        lines = [" ".join(line.split()) for line in lines]
        text = "\n".join(lines)
    n_seps = lines[0].count(sep)
    if not set(map(str.count, lines, repeat(sep))) <= {n_seps}:
        row = next(i for i, line in enumerate(lines) if line.count(sep) != n_seps)
        _raise_wrong_width(f"{path}, line {line_numbers[row]}", lines[row].split(sep), n_seps + 1, sep)
    return Rows(path, sep, n_seps + 1, text.replace(sep, "\n").split("\n"), line_numbers)


def _take_blank_lines_out(text: str) -> tuple[str, Sequence[int]]:
    """Return a text without blank lines, its lines ended alike; and their numbers in the file, from 1."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.removesuffix("\n")
    first_is_blank = not text[: text.find("\n") + 1 or None].strip()
    if not first_is_blank and not _BLANK_LINE.search(text):
        return text, range(1, text.count("\n") + 2)
    lines, numbers, number, position = [], [], 1, 0
    for match in _FULL_LINE.finditer(text):  # a list of all lines would be many times a file of line ends
        number += text.count("\n", position, match.start())
        position = match.start()
        lines.append(match[0])
        numbers.append(number)
    return "\n".join(lines), numbers


def _split_quoted(text: str, sep: str, path: str, escape: str | None = None) -> Rows:
    """Split a text some of whose values are in quotes, which may hold separators, line ends and doubled quotes."""
    mark = sep
    if len(sep) > 1:  # the csv module has separators of one character
        mark = next(character for character in map(chr, range(0xE000, 0xF900)) if character not in text)
        text = text.replace(sep, mark)
    reader = csv.reader(_read_lines(text, sep), delimiter=mark, escapechar=escape, skipinitialspace=True, strict=True)
    values: list[str] = []
    line_numbers, n_values, line_number = [], 0, 1
    try:
        for row in reader:
            if len(row) > 1 or (row and row[0].strip()):
                n_values = n_values or len(row)
                if len(row) != n_values:
                    _raise_wrong_width(f"{path}, line {line_number}", row, n_values, sep)
                values.extend(row)
                line_numbers.append(line_number)
            line_number = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {line_number}: a quoted value does not end, or goes on after its quote ({shorten(error)}). "
            "Double the quotes within quoted values."
        ) from error
    if mark != sep:
        values = [value.replace(mark, sep) for value in values]
    return Rows(path, sep, n_values, values, line_numbers)


def _read_lines(text: str, sep: str) -> Iterator[str]:
    """Yield the lines of a text one by one, with their ends as they are; spaces that separate end no line."""
    for match in _LINE_WITH_END.finditer(text):
        line = match[0]
        if sep == " ":
            values = line.rstrip("\r\n")
            line = values.rstrip(" ") + line[len(values) :]
        yield line


def _raise_wrong_width(where: str, row: list[str], n_values: int, sep: str) -> None:
    """Refuse a row that has more or fewer values than the first."""
    raise ValueError(
        f"{where}: {len(row)} instead of {n_values} values between {quote(sep)}: {quote(sep.join(row))}. Every line "
        "must have as many as the first; put a value with a separator in it in quotes."
    )
