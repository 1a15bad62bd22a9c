"""Parse numbers from the texts of a column."""

from __future__ import annotations

import numpy as np

_MOST_DIGITS = 18  # all ints with this many digits fit into 64 bits


def is_number(token: str) -> bool:
    """Check whether a token is a number, also NaN or infinity."""
    try:
        float(token)
    except ValueError:
        return False
    return "_" not in token  # Python reads 1_0 as 10


def read_digits(tokens: list[str]) -> np.ndarray | None:
    """Convert a column of digits to int64, in a few passes in C; return None if it has anything else.

    Spaces and leading zeros count as something else.
    """
    if not tokens or not tokens[0].isdigit():
        return None
    text = " ".join(tokens)
    if not text.isascii() or not text.replace(" ", "").isdigit() or max(map(len, tokens)) > _MOST_DIGITS:
        return None
    numbers = np.fromstring(text, dtype=np.int64, sep=" ")
    if len(numbers) != len(tokens):  # a token is empty or contains a space
        return None
    n_digits = 1 + np.searchsorted(10 ** np.arange(1, _MOST_DIGITS + 1), numbers, side="right")
    return numbers if n_digits.sum() + len(numbers) - 1 == len(text) else None
