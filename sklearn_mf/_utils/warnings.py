"""Warn at the caller's line."""

from __future__ import annotations

import sys
import warnings


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn at the line that called scikit-learn or this package."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in ("sklearn", "sklearn_mf"):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
