"""Change fields of records, which are frozen data classes."""

from __future__ import annotations

from typing import Any, TypeVar

_Record = TypeVar("_Record")


def with_fields(record: _Record, **fields: Any) -> _Record:
    """Copy a record with other values for some of its fields, which are as ``__post_init__`` leaves them.

    ``dataclasses.replace`` does it through the constructor: ten times as long, in calls that learn a single rating.
    """
    changed = object.__new__(type(record))
    changed.__dict__.update(vars(record), **fields)
    return changed
