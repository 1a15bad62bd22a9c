"""Predict with standard deviations, by estimators that support them."""

from __future__ import annotations

import inspect
from typing import Any


def predict_with_std(estimator: Any, X: Any, caller: str, return_std: bool | str = True) -> tuple[Any, Any]:
    """Return the result of ``predict(X, return_std=...)``: predictions and deviations.

    A search is replaced by its best estimator.
    """
    while hasattr(estimator, "best_estimator_"):  # predict of a search does not pass arguments on
        estimator = estimator.best_estimator_
    model = estimator
    while hasattr(model, "steps"):  # predict of a pipeline passes everything on to the last step
        model = model.steps[-1][1]
    _check_takes_return_std(model, caller)
    result = estimator.predict(X, return_std=return_std)
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(
            f"predict(X, return_std={return_std!r}) of {type(model).__name__} returned a "
            f"{type(result).__name__}, but {caller} needs a tuple of two arrays: predictions and standard "
            "deviations."
        )
    return result


def _check_takes_return_std(model: Any, caller: str) -> None:
    """Raise a TypeError for a model whose ``predict`` has no ``return_std``."""
    parameters = inspect.signature(model.predict).parameters if hasattr(model, "predict") else {}
    if "return_std" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    raise TypeError(
        f"{caller} needs predict(X, return_std=True), but {type(model).__name__} does not have it. Give "
        "an estimator that predicts standard deviations, such as MatrixFactorizationRegressor."
    )
