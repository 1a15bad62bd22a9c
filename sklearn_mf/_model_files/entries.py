"""Collect the values and arrays of a model, and take them out again, each one checked."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, NoReturn

import numpy as np

from sklearn_mf._model_files.container import refuse


class Draft:
    """Collect the values and arrays of a model, or of a part of it.

    Attributes
    ----------
    values : dict
        What becomes JSON: numbers, text, lists, and the values of parts.

    arrays : dict of str to ndarray
        Arrays of all parts. The name of an array begins with the name of its part and a dot.
    """

    def __init__(self, arrays: dict[str, np.ndarray] | None = None, prefix: str = ""):
        self.values: dict[str, Any] = {}
        self.arrays: dict[str, np.ndarray] = {} if arrays is None else arrays
        self._prefix = prefix

    def part(self, name: str) -> Draft:
        """Begin a part."""
        part = Draft(self.arrays, f"{self._prefix}{name}.")
        self.values[name] = part.values
        return part

    def put(self, name: str, array: Any, dtype: str) -> None:
        """Add an array of numbers of this type."""
        self.arrays[self._prefix + name] = np.ascontiguousarray(array, dtype=dtype)


class Part:
    """Take values and arrays out of what was read from a file, and check them. Each is taken once.

    Parameters
    ----------
    label : str
        Name of the file in messages.

    values : dict
        The values of a ``Draft``.

    arrays : dict of str to ndarray
        The arrays of all parts. Those that are taken are removed.
    """

    def __init__(self, label: str, values: Any, arrays: dict[str, np.ndarray], prefix: str = ""):
        self._label, self._arrays, self._prefix = label, arrays, prefix
        if not isinstance(values, dict):
            refuse(label, "is not a list of values by name", prefix.rstrip(".") or "header")
        self._values = dict(values)

    def fail(self, name: str, what: str) -> NoReturn:
        """Raise a ValueError that names the file and the entry."""
        refuse(self._label, what, self._prefix + name)

    def has(self, name: str) -> bool:
        """Return whether there is a value or an array of that name."""
        return name in self._values or self._prefix + name in self._arrays

    def part(self, name: str) -> Part:
        """Return a part."""
        return Part(self._label, self.take(name), self._arrays, f"{self._prefix}{name}.")

    def end(self) -> None:
        """Raise a ValueError if there is a value that was not taken."""
        for name in self._values:
            self.fail(name, "is not known to this version of sklearn_mf")

    def take(self, name: str) -> Any:
        """Return a value of any type."""
        if name not in self._values:
            self.fail(name, "is missing")
        return self._values.pop(name)

    def take_or_none(self, name: str, take: Callable[[str], Any]) -> Any:
        """Return what ``take`` returns for a value; None if the value is None."""
        value = self.take(name)
        if value is None:
            return None
        self._values[name] = value
        return take(name)

    def flag(self, name: str) -> bool:
        """Return a bool."""
        value = self.take(name)
        if not isinstance(value, bool):
            self.fail(name, "is not true or false")
        return value

    def choice(self, name: str, allowed: Any) -> Any:
        """Return a text, or None, that is one of those allowed."""
        value = self.take(name)
        if not isinstance(value, (str, type(None))) or value not in allowed:
            self.fail(name, f"is {value!r}, but must be one of {', '.join(map(repr, allowed))}")
        return value

    def count(self, name: str, low: int = 0, high: int = 2**63 - 1) -> int:
        """Return a whole number in a range."""
        value = self.take(name)
        if type(value) is not int or not low <= value <= high:
            self.fail(name, f"is not a whole number from {low} to {high}")
        return value

    def number(self, name: str, low: float = -np.inf, high: float = np.inf) -> float:
        """Return a finite number in a range."""
        return self._number(name, self.take(name), low, high)

    def numbers(self, name: str, n: int, low: float = -np.inf) -> tuple[float, ...]:
        """Return a tuple of ``n`` finite numbers."""
        values = self.take(name)
        if not isinstance(values, list) or len(values) != n:
            self.fail(name, f"is not a list of {n} numbers")
        return tuple(self._number(name, value, low, np.inf) for value in values)

    def texts(self, name: str, n: int) -> list[str]:
        """Return a list of ``n`` texts."""
        values = self.take(name)
        if not isinstance(values, list) or len(values) != n or not all(isinstance(value, str) for value in values):
            self.fail(name, f"is not a list of {n} texts")
        return values

    def array(
        self,
        name: str,
        dtype: str,
        shape: tuple[int | None, ...],
        low: float | None = None,
        high: float | None = None,
        is_finite: bool = True,
    ) -> np.ndarray:
        """Return an array of this type and shape; ``None`` stands for any length. ``high`` is the largest value.

        Floats must be finite unless ``is_finite`` is False.
        """
        array = self._arrays.pop(self._prefix + name, None)
        if array is None:
            self.fail(name, "is missing")
        if array.dtype != np.dtype(dtype):
            self.fail(name, f"has numbers of type {array.dtype}, but {np.dtype(dtype)} is expected")
        fits = array.ndim == len(shape)
        if not fits or any(n is not None and n != own for n, own in zip(shape, array.shape, strict=True)):
            expected = tuple("any" if n is None else n for n in shape)
            self.fail(name, f"has the shape {array.shape}, but {expected} is expected".replace("'", ""))
        if is_finite and array.dtype.kind == "f" and not np.isfinite(array).all():
            self.fail(name, "has values that are not finite")
        if array.size and low is not None and not array.min() >= low:
            self.fail(name, f"has values below {low}")
        if array.size and high is not None and not array.max() <= high:
            self.fail(name, f"has values above {high}")
        return array

    def offsets(self, name: str, total: int, n: int | None = None) -> np.ndarray:
        """Return places that cut ``total`` things into ``n`` runs, int64 (n + 1,), from 0 to ``total``, not falling."""
        places = self.array(name, "i8", (None if n is None else n + 1,), 0, total)
        if len(places) == 0 or places[0] != 0 or places[-1] != total or (places[1:] < places[:-1]).any():
            self.fail(name, f"does not rise from 0 to {total}")
        return places

    def _number(self, name: str, value: Any, low: float, high: float) -> float:
        """Check a number."""
        try:
            number = float(value) if type(value) in (int, float) else np.nan
        except OverflowError:
            number = np.nan
        if not (isfinite(number) and low <= number <= high):
            self.fail(name, f"is not a finite number from {low} to {high}")
        return number
