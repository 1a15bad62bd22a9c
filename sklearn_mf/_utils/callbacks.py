"""Import scikit-learn's callbacks if it has them (from 1.9 on)."""

from __future__ import annotations

from collections.abc import Callable

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:
        """Stand in for scikit-learn's class of estimators that take callbacks."""

    def with_callbacks(method: Callable) -> Callable:
        """Return the method as it is."""
        return method


__all__ = ["CallbackSupportMixin", "with_callbacks"]
