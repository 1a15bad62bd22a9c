"""Draw the scores of a hyperparameter search by one or two of its parameters."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from sklearn_mf.plotting._labels import shorten
from sklearn_mf.plotting._search_results import (
    are_numbers,
    arrange,
    choose_axes,
    read_candidates,
    short_names,
    sort_values,
)
from sklearn_mf.plotting._shared import (
    as_floats,
    as_list,
    ink_color,
    is_light,
    make_axes_if_none,
    merge_style,
    require_matplotlib,
    settle_layout,
    widen,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.colorbar import Colorbar
    from matplotlib.container import ErrorbarContainer
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle
    from typing_extensions import Self

_MIN_FONT_SIZE = 5.0  # points; if the numbers in cells would be smaller, they are left out
_MIN_RATIO_OF_LOG_AXIS = 30  # of the largest to the smallest value of a parameter
_KEYWORDS_OF_KINDS = {"heatmap": ["imshow_kw", "text_kw"], "line": ["errorbar_kw"], "scatter": ["scatter_kw"]}


class SearchHeatMapDisplay:
    """Draw the scores of a hyperparameter search by the parameters that varied.

    One parameter makes a line, with the standard deviation over the folds. Two parameters make a heat map. A cell is a
    pair of values, and cells that were not tried stay blank. If most pairs were not tried, as in a random search, each
    pair is a point. Brighter cells and points are better. The best cell has a frame, and the best point has a ring.

    The score axis and the colors span at least a tenth of the largest score, so small differences look small. Change
    this with ``vmin`` and ``vmax`` in ``imshow_kw`` or ``scatter_kw``.

    Use :meth:`from_search` to create a display of a fitted search. All parameters are stored as attributes.

    Parameters
    ----------
    scores : array-like of shape (n_y, n_x), or (n_x,)
        For a heat map, a score for each pair of values. NaN means that there is none. For a line or points, a score for
        each of ``x_values``.

    x_values : sequence of length n_x
        Values of the horizontal parameter.

    y_values : sequence of length n_y, or n_x for points, default=None
        Values of the vertical parameter. None draws a line.

    x_name, y_name : str
        Names of the parameters. A line has no ``y_name``.

    score_name : str
        Name of the scores.

    greater_is_better : bool, default=True
        Whether the best score is the highest.

    best : tuple of int or None, default=None
        Position of the best score: row and column of a cell, or the number of a point. None finds it.

    spread : array-like of shape (n_x,), default=None
        Half the length of the error bars of a line, such as standard deviations over folds. None draws no bars.

    Attributes
    ----------
    kind : {"heatmap", "line", "scatter"}
        What is drawn. It depends on the shapes of scores and values.

    ax_ : matplotlib Axes
        Axes drawn into.

    figure_ : matplotlib Figure
        Figure with the axes.

    im_ : matplotlib AxesImage or None
        The cells of a heat map.

    text_ : ndarray of shape (n_y, n_x) of matplotlib Text or None
        Numbers in the cells. An entry is None if its cell has no number. The array is None without a heat map.

    errorbar_ : matplotlib ErrorbarContainer or None
        The line and its error bars.

    scatter_ : matplotlib PathCollection or None
        The points.

    best_ : matplotlib Rectangle or Line2D
        Frame of the best cell, or ring around the best point.

    colorbar_ : matplotlib Colorbar or None
        Color bar of the scores.

    Raises
    ------
    ValueError
        If shapes do not match, or there is no score.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn_mf import MatrixFactorizationRegressor
    >>> from sklearn_mf.datasets import make_ratings
    >>> from sklearn_mf.plotting import SearchHeatMapDisplay
    >>> X, y = make_ratings(100, 50, 1_000, random_state=0, return_X_y=True)
    >>> grid = {"rank": [2, 4], "learning_rate": [0.05, 0.1, 0.2]}
    >>> search = GridSearchCV(
    ...     MatrixFactorizationRegressor(random_state=0),
    ...     grid,
    ...     scoring="neg_root_mean_squared_error",
    ...     cv=3,
    ... ).fit(X, y)
    >>> display = SearchHeatMapDisplay.from_search(search)
    >>> display.text_.shape, display.score_name
    ((2, 3), 'root mean squared error')
    """

    scores: NDArray[np.float64]
    x_values: list[Any]
    y_values: list[Any] | None
    x_name: str
    y_name: str | None
    score_name: str
    greater_is_better: bool
    best: tuple[int, ...]
    spread: NDArray[np.float64] | None
    kind: Literal["heatmap", "line", "scatter"]
    ax_: Axes
    figure_: Figure | SubFigure
    im_: AxesImage | None
    text_: np.ndarray | None
    errorbar_: ErrorbarContainer | None
    scatter_: PathCollection | None
    best_: Rectangle | Line2D
    colorbar_: Colorbar | None

    def __init__(
        self,
        *,
        scores: ArrayLike,
        x_values: Any,
        y_values: Any = None,
        x_name: str,
        y_name: str | None = None,
        score_name: str,
        greater_is_better: bool = True,
        best: tuple[int, ...] | None = None,
        spread: ArrayLike | None = None,
    ):
        self.scores = as_floats(scores, "scores")
        self.x_values = as_list(x_values, "x_values")
        self.y_values = None if y_values is None else as_list(y_values, "y_values")
        self.x_name, self.y_name, self.score_name = x_name, y_name, score_name
        self.greater_is_better = greater_is_better
        self.kind = "line" if y_values is None else "scatter" if self.scores.ndim == 1 else "heatmap"
        n_x = len(self.x_values)
        shape = (len(self.y_values or ()), n_x) if self.kind == "heatmap" else (n_x,)
        if self.scores.shape != shape:
            of = "(y_values, x_values)" if self.kind == "heatmap" else "one for each of x_values"
            raise ValueError(f"scores.shape == {self.scores.shape}, expected {shape}: {of}.")
        if self.kind == "scatter" and len(self.y_values or ()) != n_x:
            raise ValueError(
                f"y_values has {len(self.y_values or ())} values and x_values {n_x}: points need one of each."
            )
        if not np.isfinite(self.scores).any():
            raise ValueError("No cell has a score: all are NaN.")
        if best is None:
            goodness = self.scores if greater_is_better else -self.scores
            best = tuple(map(int, np.unravel_index(np.nanargmax(goodness), shape)))
        self.best = _check_place(best, shape)
        self.spread = None if spread is None else as_floats(spread, "spread")
        if self.spread is not None and (self.kind != "line" or self.spread.shape != shape):
            raise ValueError(
                f"spread.shape == {self.spread.shape}: spread is for a line, with one value for each of x_values."
            )

    @classmethod
    def from_search(
        cls,
        search: Any,
        *,
        x: str | None = None,
        y: str | None = None,
        kind: Literal["auto", "heatmap", "line", "scatter"] = "auto",
        scores: str | None = None,
        negate_score: bool | None = None,
        **plot_kw: Any,
    ) -> Self:
        """Draw ``cv_results_`` of a fitted search.

        If other parameters varied too, a cell or point has the best score over them. The label of the scores says so.

        After successive halving, a cell only uses its candidates with the largest resources. The best cell is chosen
        among the cells with the largest resources of all. Candidates without a value of x or y, or with a score
        of NaN, are left out.

        Parameters
        ----------
        search : estimator
            Fitted ``GridSearchCV``, ``RandomizedSearchCV``, ``HalvingGridSearchCV`` or similar.

        x, y : str, default=None
            Parameters of the horizontal and the vertical axis. Names of pipeline steps may be left out if the rest is
            unique: ``rank`` for ``matrixfactorizationregressor__rank``. None uses the parameters that varied. If two
            varied, the first is x. If more varied, None uses ``learning_rate`` and ``rank`` if both are among them.
            Otherwise give x and y.

        kind : {"auto", "heatmap", "line", "scatter"}, default="auto"
            What to draw. "auto" draws a line for one parameter and a heat map for two. It draws points if both
            parameters are numbers and most pairs were not tried. "line" needs x if several parameters varied.

        scores : str, default=None
            Column of ``cv_results_``, such as ``"mean_fit_time"``. In a search with several metrics, the name of a
            metric is enough: ``"ndcg"`` for ``"mean_test_ndcg"``. None means ``"mean_test_score"``, or the metric of
            ``refit``. The best test or train score is the highest. The best time, rank or standard deviation is the
            lowest.

        negate_score : bool or None, default=None
            Whether to change the sign of the scores. An error is then positive, and the lowest is the best. None does
            this if the name of the metric starts with ``neg_``. Set it for your own scorers from ``make_scorer``.

        **plot_kw : keywords of :meth:`plot`

        Returns
        -------
        display : SearchHeatMapDisplay

        Raises
        ------
        NotFittedError
            If the search is not fitted.
        AttributeError
            If the search has no ``cv_results_``.
        ValueError
            If no parameter varied, it is not clear which parameters to draw, x or y is unknown or not unique, or
            ``scores`` is not a column of numbers.
        """
        require_matplotlib(cls.__name__)
        if kind not in ("auto", *_KEYWORDS_OF_KINDS):
            raise ValueError(f'kind={kind!r} must be "auto", "heatmap", "line" or "scatter".')
        check_is_fitted(search)
        if not hasattr(search, "cv_results_"):
            raise AttributeError(
                f"{cls.__name__} needs cv_results_, but {type(search).__name__} does not have it. Give a fitted search "
                "such as GridSearchCV."
            )
        candidates = read_candidates(search, scores, negate_score)
        keys = choose_axes(candidates, x, y, kind)
        arranged = arrange(candidates, keys, kind)
        others = [key for key in candidates.varied if key not in keys]
        over = f"\n(best over {', '.join(key.rpartition('__')[2] for key in others)})" if others else ""
        names: list[Any] = [*(given or name for given, name in zip([x or y, y], short_names(keys), strict=False)), None]
        return cls(
            **arranged,
            x_name=names[0],
            y_name=names[1],
            score_name=candidates.score_name + over,
            greater_is_better=candidates.greater_is_better,
        ).plot(**plot_kw)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        include_values: bool = True,
        values_format: str | None = None,
        colorbar: bool = True,
        imshow_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
        errorbar_kw: dict[str, Any] | None = None,
        scatter_kw: dict[str, Any] | None = None,
        best_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the cells, the line or the points, and mark the best.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into. None makes a new figure.

        include_values : bool, default=True
            Whether to write the score into each cell. If cells are too small for letters of 5 points, there are no
            numbers.

        values_format : str or None, default=None
            Format specification such as ``".3f"``. None writes enough decimals for a hundredth of the range of scores.

        colorbar : bool, default=True
            Whether to draw a color bar. Without it, the name of the scores becomes the title, if there is no title yet.

        imshow_kw, text_kw : dict, default=None
            For a heat map: keywords of ``Axes.imshow``, and of ``Axes.text`` for the numbers.

        errorbar_kw : dict, default=None
            For a line: keywords of ``Axes.errorbar``.

        scatter_kw : dict, default=None
            For points: keywords of ``Axes.scatter``.

        best_kw : dict, default=None
            Keywords of ``matplotlib.patches.Rectangle`` for the frame of the best cell, or of
            ``matplotlib.lines.Line2D`` for the ring around the best point.

        Returns
        -------
        display : SearchHeatMapDisplay
            This object.
        """
        require_matplotlib(type(self).__name__)
        given = {"imshow_kw": imshow_kw, "text_kw": text_kw, "errorbar_kw": errorbar_kw, "scatter_kw": scatter_kw}
        own = _KEYWORDS_OF_KINDS[self.kind]
        for name in given.keys() - set(own):
            if given[name]:
                raise ValueError(f'{name} is not used for kind="{self.kind}". Give {" or ".join(own)} instead.')
        self.ax_ = make_axes_if_none(ax)
        self.figure_ = self.ax_.figure
        self.im_ = self.text_ = self.errorbar_ = self.scatter_ = self.colorbar_ = None
        if self.kind == "heatmap":
            self._plot_cells(imshow_kw, best_kw, colorbar)
            self.text_ = np.full(self.scores.shape, None, dtype=object)
            if include_values:
                self._write_values(self._choose_format() if values_format is None else values_format, text_kw)
        elif self.kind == "line":
            self._plot_line(errorbar_kw, best_kw)
        else:
            self._plot_points(scatter_kw, best_kw, colorbar)
        return self

    def _plot_cells(self, imshow_kw: dict[str, Any] | None, best_kw: dict[str, Any] | None, colorbar: bool) -> None:
        """Draw the cells of a heat map and the frame of the best one."""
        from matplotlib.patches import Rectangle

        ax = self.ax_
        kw: dict[str, Any] = {"cmap": self._cmap(), "aspect": "auto", "origin": "lower", "interpolation": "nearest"}
        self.im_ = ax.imshow(np.ma.masked_invalid(self.scores), **{**kw, **(imshow_kw or {})})
        if not {"vmin", "vmax", "norm"} & set(imshow_kw or {}):
            self.im_.set_clim(*widen(*self.im_.get_clim()))
        ax.set_xticks(range(len(self.x_values)), _format_ticks(self.x_values))
        ax.set_yticks(range(len(self.y_values or ())), _format_ticks(self.y_values or []))
        ax.set(xlabel=self.x_name, ylabel=self.y_name)
        self._explain_colors(self.im_, colorbar)
        settle_layout(ax)
        if max(label.get_window_extent().width for label in ax.get_xticklabels()) > 0.9 * self._cell_size()[0]:
            ax.tick_params(axis="x", labelrotation=90)
            settle_layout(ax)
        row, column = self.best
        inset = 0.46  # of a cell, from its middle: the frame stays inside
        kw = {"fill": False, "linewidth": 1.5, "edgecolor": self._contrasting_color(self.best)}
        kw = merge_style(kw, best_kw, Rectangle)
        self.best_ = Rectangle((column - inset, row - inset), 2 * inset, 2 * inset, **kw)
        ax.add_patch(self.best_)

    def _plot_line(self, errorbar_kw: dict[str, Any] | None, best_kw: dict[str, Any] | None) -> None:
        """Draw the scores over one parameter; values that are not numbers are not joined."""
        from matplotlib.lines import Line2D

        places = _set_axis(self.ax_.xaxis, self.x_values)
        kw: dict[str, Any] = {"capsize": 2}
        if "fmt" not in (errorbar_kw or {}):  # fmt sets all of these
            kw |= {"color": "C0", "marker": "o", "linestyle": "-" if are_numbers(self.x_values) else ""}
        kw = merge_style(kw, errorbar_kw, Line2D)
        self.errorbar_ = self.ax_.errorbar(places, self.scores, self.spread, **kw)
        self._mark_best(places[self.best], self.scores[self.best], best_kw)
        self.ax_.set_ylim(*widen(*self.ax_.get_ylim()))
        bars = "" if self.spread is None else "\n(bars: standard deviation over folds)"
        self.ax_.set(xlabel=self.x_name, ylabel=f"{self.score_name}{bars}")

    def _plot_points(self, scatter_kw: dict[str, Any] | None, best_kw: dict[str, Any] | None, colorbar: bool) -> None:
        """Draw a point for each pair of values, colored by its score."""
        from matplotlib.collections import PathCollection

        ax = self.ax_
        x, y = _set_axis(ax.xaxis, self.x_values), _set_axis(ax.yaxis, self.y_values or [])
        kw: dict[str, Any] = {"cmap": self._cmap(), "linewidth": 0.3, "edgecolor": ink_color(ax, 0.65)}
        given = merge_style({}, scatter_kw, PathCollection)
        if not {"c", "color", "facecolor"} & set(given):
            kw["c"] = self.scores
        else:
            del kw["cmap"]
        self.scatter_ = ax.scatter(x, y, **merge_style(kw, given, PathCollection))
        if "c" in kw and not {"vmin", "vmax", "norm"} & set(given):
            self.scatter_.set_clim(*widen(self.scores.min(), self.scores.max()))
        self._mark_best(x[self.best], y[self.best], best_kw)
        ax.set(xlabel=self.x_name, ylabel=self.y_name)
        self._explain_colors(self.scatter_, colorbar and self.scatter_.get_array() is not None)

    def _mark_best(self, x: float, y: float, best_kw: dict[str, Any] | None) -> None:
        """Draw a ring around the best point."""
        import matplotlib as mpl
        from matplotlib.lines import Line2D

        kw: dict[str, Any] = {
            "marker": "o",
            "markersize": 2 * mpl.rcParams["lines.markersize"],
            "linestyle": "",
            "zorder": 3,
        }
        kw |= {"markerfacecolor": "none", "markeredgecolor": ink_color(self.ax_), "markeredgewidth": 1.2}
        (self.best_,) = self.ax_.plot([x], [y], **merge_style(kw, best_kw, Line2D))

    def _explain_colors(self, mappable: Any, colorbar: bool) -> None:
        """Draw the color bar, or write the name of the scores as the title if there is no title yet."""
        self.colorbar_ = self.figure_.colorbar(mappable, ax=self.ax_, label=self.score_name) if colorbar else None
        if not colorbar and not self.ax_.get_title():
            self.ax_.set_title(self.score_name)

    def _cmap(self) -> str:
        """Return the color map in which better scores are brighter."""
        return "viridis" if self.greater_is_better else "viridis_r"

    def _write_values(self, values_format: str, text_kw: dict[str, Any] | None) -> None:
        """Write the score into each cell, in a font size that fits all cells. Write none if it is too small to read."""
        from matplotlib.text import Text

        written: Any = self.text_  # an array, as the display is a heat map
        for cell in map(tuple, np.argwhere(np.isfinite(self.scores))):
            kw: dict[str, Any] = {"horizontalalignment": "center", "verticalalignment": "center"}
            kw |= {"color": self._contrasting_color(cell), "fontweight": "bold" if cell == self.best else "normal"}
            score = format(self.scores[cell], values_format)
            written[cell] = self.ax_.text(cell[1], cell[0], score, **merge_style(kw, text_kw, Text))
        if {"fontsize", "fontproperties"} & set(merge_style({}, text_kw, Text)):
            return
        texts = [text for text in written.flat if text is not None]
        extents = np.array([text.get_window_extent().size for text in texts])
        size = texts[0].get_fontsize() * min(1.0, (0.76 * self._cell_size() / extents.max(axis=0)).min())
        for text in texts:
            text.set_fontsize(size)
        if size < _MIN_FONT_SIZE:
            for text in texts:
                text.remove()
            written[:] = None

    def _cell_size(self) -> np.ndarray:
        """Measure the width and height of a cell in pixels."""
        n_y, n_x = self.scores.shape
        return np.array(self.ax_.get_window_extent().size) / (n_x, n_y)

    def _contrasting_color(self, cell: tuple[int, ...]) -> str:
        """Choose black or white, whichever has more contrast with the color of the cell."""
        cells: Any = self.im_
        return "black" if is_light(cells.cmap(cells.norm(self.scores[cell]))[:3]) else "white"

    def _choose_format(self) -> str:
        """Choose enough decimals for a hundredth of the range of the scores."""
        span = np.ptp(self.scores[np.isfinite(self.scores)])
        if span == 0:
            return ".3g"
        return f".{int(np.clip(2 - np.floor(np.log10(span)), 0, 6))}f"  # steps of about a hundredth of the range


def _check_place(best: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Check the place of the best score, a whole number for each dimension of the scores."""
    best = as_list(best, "best")
    is_place = len(best) == len(shape) and all(isinstance(place, Integral) for place in best)
    if not is_place or not all(0 <= place < n for place, n in zip(best, shape, strict=True)):
        raise ValueError(
            f"best={best} is no position in scores of shape {shape}: give a whole number for each dimension."
        )
    return tuple(int(place) for place in best)


def _set_axis(axis: Any, values: list) -> np.ndarray:
    """Prepare an axis for the values of a parameter; return their places on it."""
    if not are_numbers(values):
        distinct, places = sort_values(values)
        axis.set_ticks(range(len(distinct)), _format_ticks(distinct))
        return places
    places = np.array(values, dtype=np.float64)
    if places.min() > 0 and places.max() >= _MIN_RATIO_OF_LOG_AXIS * places.min():
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    return places


def _format_ticks(values: list) -> list[str]:
    """Write numbers with the fewest digits, at least three, for which different numbers look different."""

    def label(value: Any, digits: int) -> str:
        if isinstance(value, (bool, int)) or not isinstance(value, Real):
            return shorten(str(value), 32)
        return f"{float(f'{value:.{digits}g}'):.{max(digits, 6)}g}"

    candidates = ([label(value, digits) for value in values] for digits in range(3, 18))
    return next((labels for labels in candidates if len(set(labels)) == len(labels)), [str(value) for value in values])
