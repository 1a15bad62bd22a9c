"""Write the parameters of an estimator as JSON, and read them."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_mf._model_files.entries import Draft, Part

_MAX_DEPTH = 20  # of lists within lists
_SCALARS = {np.dtype(letter).name: np.dtype(letter).type for letter in "?bhilqBHILQefd"}


def put_parameters(draft: Draft, model: Any, other: tuple[str, ...] = ()) -> None:
    """Add the parameters of an estimator, except those of ``other``."""
    given = {name: value for name, value in model.get_params(deep=False).items() if name not in other}
    draft.values["parameters"] = {name: _plain(value, name, type(model).__name__) for name, value in given.items()}


def take_parameters(part: Part, cls: type, other: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the parameters of an estimator of a class; those that an older version did not have are left out."""
    given = part.part("parameters")
    names = [name for name in cls().get_params(deep=False) if name not in other]
    parameters = {name: _value(given, name, given.take(name)) for name in names if given.has(name)}
    given.end()
    return parameters


def validate(part: Part, model: Any) -> Any:
    """Check the parameters of an estimator as ``fit`` does; return it."""
    try:
        model._validate_params()
    except (TypeError, ValueError) as error:
        part.fail("parameters", f"has values that are not allowed. {str(error).rstrip('.')}")
    return model


def _plain(value: Any, name: str, estimator: str) -> Any:
    """Turn a parameter into what JSON can hold; types that it lacks become a dictionary with their name."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.str_):
        return value.item()
    if isinstance(value, np.generic) and value.dtype.name in _SCALARS:
        return {"numpy": value.dtype.name, "value": value.item()}
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.name in _SCALARS:
        return {"array": value.dtype.name, "values": value.tolist()}
    if isinstance(value, PathLike) and isinstance(fspath(value), str):
        return {"path": fspath(value)}
    if type(value) in (list, tuple):
        return {type(value).__name__: [_plain(each, name, estimator) for each in value]}
    remedy = {"random_state": f"set_params({name}=0)", "cv": f"set_params({name}=5)"}.get(name, "set_params")
    raise ValueError(
        f"{name} of this {estimator} is a {type(value).__name__}, which a file of plain arrays cannot hold. Give it a "
        f"number or text with {remedy}, or save the model with joblib or skops."
    )


def _value(part: Part, name: str, value: Any, depth: int = 0) -> Any:
    """Turn a value of JSON back into a parameter."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    match value:
        case {"numpy": str(dtype), "value": bool() | int() | float() as number} if dtype in _SCALARS:
            return _array(part, name, dtype, [number])[0]
        case {"array": str(dtype), "values": list(numbers)} if dtype in _SCALARS:
            return _array(part, name, dtype, numbers)
        case {"path": str(path)}:
            return Path(path)
        case {"list": list(values)} if depth < _MAX_DEPTH:
            return [_value(part, name, each, depth + 1) for each in values]
        case {"tuple": list(values)} if depth < _MAX_DEPTH:
            return tuple(_value(part, name, each, depth + 1) for each in values)
    part.fail(name, "is not a value of a parameter")


def _array(part: Part, name: str, dtype: str, numbers: list) -> np.ndarray:
    """Return numbers as an array of this type, which must hold them exactly."""
    if not {type(number) for number in numbers} <= {bool, int, float}:
        part.fail(name, "has values that are not numbers")
    try:
        with np.errstate(all="ignore"):
            array = np.array(numbers, dtype=dtype)
    except (OverflowError, ValueError, TypeError):
        array = None
    if array is None or array.tolist() != numbers:
        part.fail(name, f"has numbers that are not of type {dtype}")
    return array
