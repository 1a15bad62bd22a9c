"""Tell users who pass a function of this package as ``scoring`` what to pass instead."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])

_FOR_METRICS = (
    "As scoring, give make_ranking_scorer({name}, ...), which ranks the held-out ratings, or "
    "make_catalog_scorer({name}, X=X, ...), which scores lists over the whole catalog."
)
_FOR_LISTS = (
    "As scoring, give your own function scorer(estimator, X, y). It calls estimator.recommend, and then {name} with "
    "the lists."
)
_METRICS_OF_LISTS: list[Callable[..., Any]] = []


def metric_of_groups(function: Function) -> Function:
    """Make a metric raise an error that names the right scorers, if it gets an estimator, or no groups."""
    return _hinting(function, f"{{name}} is a metric, not a scorer. {_FOR_METRICS}", _FOR_METRICS)


def metric_of_lists(function: Function) -> Function:
    """Make a metric of lists raise an error that says how to write a scorer, if it gets an estimator."""
    checked = _hinting(function, f"{{name}} takes lists, not an estimator. {_FOR_LISTS}")
    _METRICS_OF_LISTS.append(checked)
    return checked


def refuse_metric_of_lists(metric: Any) -> None:
    """Raise an error that says how to write a scorer, for a metric that a maker of scorers cannot use."""
    function = getattr(metric, "func", metric)  # of a partial
    if any(function is other for other in _METRICS_OF_LISTS):
        name = function.__name__
        raise TypeError(f"{name} takes the lists of all users, not groups. {_FOR_LISTS.format(name=name)}")


def maker_of_scorers(arguments: str) -> Callable[[Function], Function]:
    """Make a maker of scorers raise an error that shows how to call it, if it gets an estimator."""
    advice = f"As scoring, give the scorer that it returns, such as {{name}}({arguments})."
    return lambda function: _hinting(function, f"{{name}} makes scorers, but is not a scorer itself. {advice}")


def _hinting(function: Function, if_estimator: str, if_no_groups: str | None = None) -> Function:
    """Raise a TypeError with a hint when scikit-learn calls ``function`` as a scorer, or without groups.

    Scikit-learn turns errors of scorers into NaN. A warning shows the message of the error.
    """
    name = function.__name__

    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if args and hasattr(args[0], "get_params"):
            raise TypeError(if_estimator.format(name=name))
        if if_no_groups is not None and "groups" not in kwargs:
            needed = f"{name} needs groups: the user of each rating, such as groups=X['user']."
            raise TypeError(f"{needed} {if_no_groups.format(name=name)}")
        return function(*args, **kwargs)

    return cast("Function", checked)
