"""What the displays share: matplotlib when it is needed, styles, and what they ask of an estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_mf._checks import check_ratings

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def require_matplotlib(name: str) -> None:
    """Say what to install where matplotlib is not, before any work starts."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f'{name} draws with matplotlib, which is not installed. Install it with: pip install "sklearn-mf[plot]"'
        ) from error


def one_axes(ax: Axes | None) -> Axes:
    """The axes to draw into: those given, or those of a new figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def settle_layout(ax: Axes) -> None:
    """Give axes the size and limits that they will be drawn with, for what is measured in them."""
    if ax.figure.get_layout_engine() is not None:  # it works while drawing
        ax.figure.draw_without_rendering()
    ax.autoscale_view()


def small_font() -> float:
    """Points: for what there is much of, but still readable on paper."""
    import matplotlib as mpl

    return max(0.7 * mpl.rcParams["font.size"], 6.0)


def style(defaults: dict[str, Any], given: dict[str, Any] | None, artist: type) -> dict[str, Any]:
    """``defaults`` with what the caller gave in their place, under any of a property's names ("lw", "linewidth")."""
    from matplotlib.cbook import normalize_kwargs

    return {**defaults, **normalize_kwargs(given, artist)}


def fitted_model(estimator: Any, attributes: tuple[str, ...], display: str) -> Any:
    """The estimator with these attributes: the one given, the last of a pipeline or the best of a search."""
    check_is_fitted(estimator)
    model = estimator
    while not all(hasattr(model, name) for name in attributes):
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif hasattr(model, "steps"):
            model = model.steps[-1][1]
        else:
            missing = [name for name in attributes if not hasattr(model, name)]
            raise AttributeError(
                f"{display} needs {', '.join(missing)}, which {type(model).__name__} has not: give a fitted "
                "MatrixFactorizationRegressor, or a pipeline or search that ends in one."
            )
    return model


def check_pairs(y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted ratings, float64, as many of each and at least one."""
    if np.ndim(y_true) == 0 or not len(y_true):
        raise ValueError("y_true must be a list or array of one rating or more.")
    n_rows = len(y_true)
    true = check_ratings(y_true, n_rows, "y_true", "y_true")
    predicted = check_ratings(y_pred, n_rows, "y_pred", "y_true")
    return true.astype(np.float64), predicted.astype(np.float64)


def root_mean_square(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def three_digits(value: float) -> str:
    return f"{value:#.3g}".removesuffix(".")
