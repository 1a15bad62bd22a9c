"""Quote input in messages, shortened."""

from __future__ import annotations

from typing import Any

# Advice for files of clicks, which have no ratings to read.
NO_RATINGS = (
    'No ratings? Read the file with pandas, such as X = pandas.read_csv(path)[["user", "item"]], and call fit(X) of '
    "MatrixFactorizationRanker."
)
LONGEST_QUOTE = 100  # characters of any input in a message


def quote(value: Any) -> str:
    """Return the repr of a value, cut off after ``LONGEST_QUOTE`` characters."""
    if isinstance(value, (str, bytes)):  # cut first, because the repr of a long text is even longer
        value = value[: LONGEST_QUOTE + 1]
    elif isinstance(value, (list, tuple)):
        value = type(value)(map(_cut, value[: LONGEST_QUOTE + 1])) if type(value) in (list, tuple) else value
    return shorten(repr(value))


def shorten(text: Any) -> str:
    """Return a text, or the text of an error, cut off after ``LONGEST_QUOTE`` characters."""
    text = str(text)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}..."


def _cut(value: Any) -> Any:
    """Cut off a text within a list."""
    return value[: LONGEST_QUOTE + 1] if isinstance(value, (str, bytes)) else value
