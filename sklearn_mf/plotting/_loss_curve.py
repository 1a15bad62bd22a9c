"""Draw the training loss and the validation score of each epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklearn_mf.plotting._shared import (
    as_floats,
    find_fitted_model,
    make_axes_if_none,
    merge_style,
    require_matplotlib,
    text_color,
    widen,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D
    from matplotlib.text import Annotation
    from typing_extensions import Self

_HEADROOM = 0.2  # room above the lines for text and legend, as a share of their range


class LossCurveDisplay:
    """Draw the training loss of each epoch and, with early stopping, the validation score.

    The left axis is the loss, and the right axis is the score. A dot marks the best epoch, which has the highest score.
    Each axis spans at least a tenth of its largest value, so small changes look small. Use :meth:`from_estimator` to
    create a display of a fitted model. All parameters are stored as attributes.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Mean training loss of each epoch. Finite.

    validation_scores : array-like of shape (n_scores,), default=None
        Score of each epoch on held-out ratings. Greater is better. There may be fewer scores than losses. None or an
        empty list draws only the loss.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the loss.

    validation_ax_ : matplotlib Axes or None
        Axes of the score. They share the horizontal axis with ``ax_``.

    figure_ : matplotlib Figure
        Figure with the axes.

    line_ : matplotlib Line2D
        Line of the loss. The first epoch is 1.

    validation_line_, best_ : matplotlib Line2D or None
        Line of the score, and the dot at the best epoch.

    text_ : matplotlib Annotation or None
        Text with the best score and epoch.

    legend_ : matplotlib Legend or None
        Legend of the two lines. None without scores.

    Raises
    ------
    ValueError
        If a list is not a 1D array of finite numbers, ``loss_curve`` is empty, or there are more scores than losses.

    Examples
    --------
    >>> from sklearn_mf import MatrixFactorizationRegressor
    >>> from sklearn_mf.datasets import make_ratings
    >>> from sklearn_mf.plotting import LossCurveDisplay
    >>> X, y = make_ratings(200, 100, 4_000, random_state=0, return_X_y=True)
    >>> model = MatrixFactorizationRegressor(
    ...     rank=4, early_stopping=True, max_iter=100, random_state=0
    ... ).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(model)
    >>> display.ax_.get_xlabel(), display.validation_ax_.get_ylabel()
    ('Epoch', 'Validation score')
    """

    loss_curve: NDArray[np.float64]
    validation_scores: NDArray[np.float64]
    ax_: Axes
    validation_ax_: Axes | None
    figure_: Figure | SubFigure
    line_: Line2D
    validation_line_: Line2D | None
    best_: Line2D | None
    text_: Annotation | None
    legend_: Legend | None

    def __init__(self, *, loss_curve: ArrayLike, validation_scores: ArrayLike | None = None):
        self.loss_curve = _check_curve(loss_curve, "loss_curve")
        self.validation_scores = _check_curve(
            [] if validation_scores is None else validation_scores, "validation_scores"
        )
        if not len(self.loss_curve):
            raise ValueError("loss_curve is empty: give the loss of at least one epoch.")
        if len(self.validation_scores) > len(self.loss_curve):
            raise ValueError(
                f"validation_scores has {len(self.validation_scores)} values, but loss_curve has "
                f"{len(self.loss_curve)}. Give at most one score for each epoch."
            )

    @classmethod
    def from_estimator(cls, estimator: Any, **plot_kw: Any) -> Self:
        """Draw ``loss_curve_`` and ``validation_scores_`` of a fitted model.

        Parameters
        ----------
        estimator : estimator
            Fitted estimator with ``loss_curve_``, or a pipeline or search that ends in one.

        **plot_kw : keywords of :meth:`plot`

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        AttributeError
            If the estimator has no ``loss_curve_``.
        """
        require_matplotlib(cls.__name__)
        model = find_fitted_model(estimator, ("loss_curve_",), cls.__name__)
        display = cls(loss_curve=model.loss_curve_, validation_scores=getattr(model, "validation_scores_", None))
        return display.plot(**plot_kw)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        line_kw: dict[str, Any] | None = None,
        validation_line_kw: dict[str, Any] | None = None,
        best_kw: dict[str, Any] | None = None,
        legend_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the loss and, if there are any, the scores.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes for the loss. The score gets a second vertical axis. None makes a new figure.

        line_kw, validation_line_kw, best_kw : dict, default=None
            Keywords of ``Axes.plot`` for the loss, for the score and for the dot at the best epoch.

        legend_kw : dict, default=None
            Keywords of ``Axes.legend``.

        Returns
        -------
        display : LossCurveDisplay
            This object.
        """
        require_matplotlib(type(self).__name__)
        from matplotlib.lines import Line2D
        from matplotlib.ticker import MaxNLocator

        ax = make_axes_if_none(ax)
        n_epochs = len(self.loss_curve)
        marker = "o" if n_epochs == 1 else None  # a line of one point would not be visible
        kw = merge_style({"color": "C0", "label": "Training", "marker": marker}, line_kw, Line2D)
        (self.line_,) = ax.plot(np.arange(1, n_epochs + 1), self.loss_curve, **kw)
        ax.set(xlabel="Epoch", ylabel="Training loss")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        self.ax_, self.figure_ = ax, ax.figure
        self.validation_ax_ = self.validation_line_ = self.best_ = self.text_ = self.legend_ = None
        ax.set_ylim(*widen(*ax.get_ylim()))
        if len(self.validation_scores):
            self._plot_scores(validation_line_kw, best_kw, legend_kw)
        return self

    def _plot_scores(
        self,
        validation_line_kw: dict[str, Any] | None,
        best_kw: dict[str, Any] | None,
        legend_kw: dict[str, Any] | None,
    ) -> None:
        """Draw the scores on an axis of their own, and mark the best epoch."""
        from matplotlib.lines import Line2D

        scores = self.validation_scores
        best = int(np.argmax(scores))
        twin = self.ax_.twinx()
        kw = merge_style({"color": "C1", "linestyle": "--", "label": "Validation"}, validation_line_kw, Line2D)
        (self.validation_line_,) = twin.plot(np.arange(1, len(scores) + 1), scores, **kw)
        color = self.validation_line_.get_color()
        kw = merge_style({"color": color, "linestyle": "", "marker": "o"}, best_kw, Line2D)
        (self.best_,) = twin.plot([best + 1], [scores[best]], **kw)
        is_late = 2 * best >= len(self.loss_curve)
        self.text_ = twin.annotate(
            f"Best: {scores[best]:.3f}, epoch {best + 1}",
            (best + 1, scores[best]),
            xytext=(0, 5),
            textcoords="offset points",
            ha="right" if is_late else "left",
        )
        twin.set_ylabel("Validation score", color=text_color(self.ax_, color))
        self.ax_.yaxis.label.set_color(text_color(self.ax_, self.line_.get_color()))
        for ax in (self.ax_, twin):
            low, high = widen(*ax.get_ylim())
            ax.set_ylim(low, high + _HEADROOM * (high - low))
        kw = {"handles": [self.line_, self.validation_line_], "loc": "upper center", "columnspacing": 1}
        kw |= {"frameon": False, **(legend_kw or {})}
        kw.setdefault("ncols", kw.pop("ncol", 2))
        self.legend_ = twin.legend(**kw)
        self.validation_ax_ = twin


def _check_curve(values: ArrayLike, name: str) -> np.ndarray:
    """Check a list of finite numbers, one for each epoch, and return it as an array."""
    array = as_floats(values, name)
    if array.ndim != 1:
        raise ValueError(f"{name} must be a list or 1D array of numbers, got an array of shape {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(
            f"{name} has NaN or infinity, the first at epoch {np.flatnonzero(~np.isfinite(array))[0] + 1}."
        )
    return array
