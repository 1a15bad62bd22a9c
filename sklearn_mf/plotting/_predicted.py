"""Draw predicted against true ratings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from sklearn_mf._ids.rows import warn_of_other_order
from sklearn_mf.plotting._shared import (
    add_legend,
    background_color,
    check_true_and_predicted,
    format_three_digits,
    ink_color,
    make_axes_if_none,
    merge_style,
    require_matplotlib,
    root_mean_square,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D
    from typing_extensions import Self

_MAX_BOXES = 20  # more distinct true ratings are drawn as hexagons


class PredictedRatingsDisplay:
    """Draw predicted against true ratings.

    If true ratings have up to 20 distinct values, such as stars, a box shows the predictions for each value. The box
    has the quartiles, the median and the mean. Whiskers go from the 5th to the 95th percentile. If there are more
    values, hexagons show how many ratings are in each place, with a logarithmic color scale.

    On the dashed diagonal, predictions are right. A model that minimizes squared errors predicts values that are closer
    to the mean than the ratings are. So boxes of low ratings are above the diagonal, and boxes of high ratings below.

    Use :meth:`from_estimator` or :meth:`from_predictions` to create a display. All parameters are stored as attributes.

    Parameters
    ----------
    y_true : array-like of shape (n_ratings,)
        True ratings, finite. Use held-out ratings, because a model knows its training ratings.

    y_pred : array-like of shape (n_ratings,)
        Predicted ratings, finite.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes drawn into.

    figure_ : matplotlib Figure
        Figure with the axes.

    boxes_ : dict of lists of matplotlib artists, or None
        Boxes as ``Axes.bxp`` returns them, for ``kind="box"``.

    hexbin_ : matplotlib PolyCollection or None
        Hexagons, for ``kind="hexbin"``.

    colorbar_ : matplotlib Colorbar or None
        Color bar of the hexagons.

    line_ : matplotlib Line2D
        The diagonal.

    legend_ : matplotlib Legend
        Legend. Its title has the number of ratings and the RMSE.

    Raises
    ------
    ValueError
        If there are no ratings, ratings are not finite numbers, or lengths differ.

    Examples
    --------
    >>> from sklearn_mf import MatrixFactorizationRegressor
    >>> from sklearn_mf.datasets import make_ratings
    >>> from sklearn_mf.plotting import PredictedRatingsDisplay
    >>> X, y = make_ratings(200, 100, 4_000, rating_step=1, random_state=0, return_X_y=True)
    >>> model = MatrixFactorizationRegressor(rank=4, random_state=0)
    >>> model = model.fit(X[:3_000], y[:3_000])
    >>> display = PredictedRatingsDisplay.from_estimator(model, X[3_000:], y[3_000:])
    >>> len(display.boxes_["boxes"])
    5
    """

    y_true: NDArray[np.float64]
    y_pred: NDArray[np.float64]
    ax_: Axes
    figure_: Figure | SubFigure
    boxes_: dict[str, Any] | None
    hexbin_: PolyCollection | None
    colorbar_: Colorbar | None
    line_: Line2D
    legend_: Legend

    def __init__(self, *, y_true: ArrayLike, y_pred: ArrayLike):
        self.y_true, self.y_pred = check_true_and_predicted(y_true, y_pred)

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: ArrayLike, **plot_kw: Any) -> Self:
        """Draw the predictions of a fitted estimator against true ratings.

        Parameters
        ----------
        estimator : estimator
            Fitted estimator with ``predict``.

        X : as in ``predict``
            Pairs to predict.

        y : array-like of shape (n_ratings,)
            True ratings of the pairs.

        **plot_kw : keywords of :meth:`plot`

        Returns
        -------
        display : PredictedRatingsDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        """
        require_matplotlib(cls.__name__)
        check_is_fitted(estimator)
        warn_of_other_order(X, y=y)
        return cls.from_predictions(y, estimator.predict(X), **plot_kw)

    @classmethod
    def from_predictions(cls, y_true: ArrayLike, y_pred: ArrayLike, **plot_kw: Any) -> Self:
        """Draw predictions against true ratings.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_ratings,)
            True and predicted ratings.

        **plot_kw : keywords of :meth:`plot`

        Returns
        -------
        display : PredictedRatingsDisplay
        """
        require_matplotlib(cls.__name__)
        return cls(y_true=y_true, y_pred=y_pred).plot(**plot_kw)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        kind: Literal["auto", "box", "hexbin"] = "auto",
        box_kw: dict[str, Any] | None = None,
        hexbin_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
        legend_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the boxes or hexagons and the diagonal.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into. None makes a new figure.

        kind : {"auto", "box", "hexbin"}, default="auto"
            "box" draws a box for each distinct true rating. "hexbin" draws hexagons. "auto" draws boxes for up to 20
            distinct true ratings, and hexagons for more.

        box_kw : dict, default=None
            Keywords of ``Axes.boxplot``.

        hexbin_kw : dict, default=None
            Keywords of ``Axes.hexbin``.

        line_kw : dict, default=None
            Keywords of ``Axes.plot`` for the diagonal.

        legend_kw : dict, default=None
            Keywords of ``Axes.legend``. Without ``loc``, the legend goes where it covers no data.

        Returns
        -------
        display : PredictedRatingsDisplay
            This object.
        """
        require_matplotlib(type(self).__name__)
        from matplotlib.lines import Line2D
        from matplotlib.patheffects import withStroke

        if kind not in ("auto", "box", "hexbin"):
            raise ValueError(f"kind={kind!r} must be 'auto', 'box' or 'hexbin'.")
        steps = np.unique(self.y_true)
        if kind == "auto":
            kind = "box" if len(steps) <= _MAX_BOXES else "hexbin"
        ax = make_axes_if_none(ax)
        self.boxes_ = self.hexbin_ = self.colorbar_ = None
        handles: list[Any] = []
        if kind == "box":
            self.boxes_ = self._plot_boxes(ax, steps, box_kw)
            handles = self.boxes_["means"][:1]
        else:
            self._plot_hexagons(ax, hexbin_kw)
        ends = [self.y_true.min(), self.y_true.max()]
        kw: dict[str, Any] = {"color": ink_color(ax), "linestyle": "--", "linewidth": 1, "label": "Predicted = true"}
        if kind == "hexbin":  # so that it is visible on dark hexagons
            kw["path_effects"] = [withStroke(linewidth=2.5, foreground=background_color(ax))]
        (self.line_,) = ax.plot(ends, ends, **merge_style(kw, line_kw, Line2D))
        ax.set(xlabel="True rating", ylabel="Predicted rating")
        self._add_legend(ax, [self.line_, *handles], legend_kw)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _add_legend(self, ax: Axes, handles: list, legend_kw: dict[str, Any] | None) -> None:
        """Add the legend, with the number of ratings and the RMSE, where it covers neither boxes nor points."""
        rmse = root_mean_square(self.y_true - self.y_pred)
        kw: dict[str, Any] = {
            "handles": handles,
            "loc": ["lower right", "upper left"],
            "title": f"n = {len(self.y_true):,}\nRMSE = {format_three_digits(rmse)}",
            "alignment": "left",
        }
        if self.boxes_ is None:
            boxes = np.column_stack([self.y_true, self.y_pred, self.y_true, self.y_pred])
        else:
            drawn = [*self.boxes_["whiskers"], *self.boxes_["boxes"]]
            ends = [artist.get_path().get_extents().extents for artist in drawn]
            boxes = np.array(ends) if ends else np.empty((0, 4))
        diagonal = np.asarray(self.line_.get_xydata())
        on_line = np.linspace(diagonal[0], diagonal[-1], 50)
        self.legend_ = add_legend(ax, kw, legend_kw, np.vstack([boxes, np.hstack([on_line, on_line])]))

    def _plot_boxes(self, ax: Axes, steps: np.ndarray, box_kw: dict[str, Any] | None) -> dict[str, Any]:
        """Draw a box of predictions for each true rating, and return what was drawn."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import PathPatch

        width = 0.6 * np.diff(steps).min(initial=np.inf if len(steps) > 1 else 1.0)
        kw: dict[str, Any] = {
            "positions": steps,
            "widths": width,
            "whis": (5, 95),
            "showfliers": False,
            "showmeans": True,
            "patch_artist": True,
            "manage_ticks": False,
            **(box_kw or {}),
        }
        lines: dict[str, dict[str, Any]] = {
            name: {"color": ink_color(ax)} for name in ("medianprops", "whiskerprops", "capprops")
        }
        lines["flierprops"] = {"markeredgecolor": ink_color(ax)}
        lines["meanprops"] = {"markerfacecolor": ink_color(ax), "markeredgecolor": ink_color(ax)}
        lines["meanprops"] |= {"marker": "D", "markersize": 4}
        if kw["patch_artist"]:
            # boxplot uses "color" for the edge alone. The merge would remove the default of the face, so it is added
            # later.
            boxprops = merge_style({"edgecolor": ink_color(ax)}, kw.get("boxprops"), PathPatch)
            kw["boxprops"] = {"facecolor": ink_color(ax, 0.15)} | boxprops
        else:
            lines["boxprops"] = {"color": ink_color(ax)}
        kw |= {name: merge_style(defaults, kw.get(name), Line2D) for name, defaults in lines.items()}
        boxes = ax.boxplot([self.y_pred[self.y_true == step] for step in steps], **kw)
        for mean in boxes["means"][:1]:
            mean.set_label("Mean")
        ax.set_xlim(steps[0] - width, steps[-1] + width)
        if len(steps) <= 10:
            ax.set_xticks(steps, [f"{step:g}" for step in steps])
        return boxes

    def _plot_hexagons(self, ax: Axes, hexbin_kw: dict[str, Any] | None) -> None:
        """Draw a histogram of hexagons, and the color bar."""
        from matplotlib.collections import PolyCollection
        from matplotlib.colors import LinearSegmentedColormap

        # From 0.2 on, so that a hexagon of one rating differs from the page.
        cmap = LinearSegmentedColormap.from_list("ink", [ink_color(ax, 0.2), ink_color(ax)])
        kw: dict[str, Any] = {"gridsize": 40, "mincnt": 1, "cmap": cmap, "linewidths": 0.1}
        if "norm" not in (hexbin_kw or {}):
            kw["bins"] = "log"
        self.hexbin_ = ax.hexbin(self.y_true, self.y_pred, **merge_style(kw, hexbin_kw, PolyCollection))
        self.colorbar_ = ax.figure.colorbar(self.hexbin_, ax=ax, label="Number of ratings")
