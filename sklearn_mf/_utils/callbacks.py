"""Import scikit-learn's callbacks, or replacements that do nothing; tell type checkers what its decorators return.

Scikit-learn has callbacks from 1.9 on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])

if TYPE_CHECKING:  # scikit-learn has no type hints
    from typing_extensions import Self

    class CallbackSupportMixin:
        """Declare the method of scikit-learn's class."""

        def set_callbacks(self, callbacks: Any) -> Self:
            """Set the callbacks of an estimator."""

    def with_callbacks(method: Method) -> Method:
        """Return a method of the same type."""

else:
    try:
        from sklearn.callback import CallbackSupportMixin, with_callbacks
    except ImportError:  # before scikit-learn 1.9

        class CallbackSupportMixin:
            """Stand in for scikit-learn's class of estimators that take callbacks."""

        def with_callbacks(method: Callable) -> Callable:
            """Return the method as it is."""
            return method


def keep_type(decorator: Any) -> Callable[[Method], Method]:
    """Return a decorator as it is, typed as one that does not change the type of a method."""
    return decorator


__all__ = ["CallbackSupportMixin", "keep_type", "with_callbacks"]
