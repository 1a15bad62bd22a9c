"""Draw the scores of a search over two of its parameters."""

from __future__ import annotations

import re
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_mf.plotting._labels import shorten
from sklearn_mf.plotting._shared import luma, make_axes_if_none, merge_style, require_matplotlib, settle_layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MIN_FONT_SIZE = 4.0  # points; numbers in cells that would be smaller are left out


class SearchHeatMapDisplay:
    """Draw the scores of a search as a heat map over two parameters.

    A cell is one pair of values; cells that were not tried stay blank. The brighter, the better, and the best cell has
    a frame. :meth:`from_search` makes a display of a fitted search; all parameters are stored as attributes.

    Parameters
    ----------
    scores : array-like of shape (n_y, n_x)
        A score for each pair of values, NaN where there is none.

    x_values, y_values : sequence of length n_x and n_y
        Values of the parameters.

    x_name, y_name : str
        Names of the parameters.

    score_name : str
        Name of the scores.

    greater_is_better : bool, default=True
        Whether the best score is the highest.

    best : tuple of (int, int) or None, default=None
        Row and column of the best cell. None finds it.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes drawn into.

    figure_ : matplotlib Figure
        Their figure.

    im_ : matplotlib AxesImage
        The cells.

    text_ : ndarray of shape (n_y, n_x) of matplotlib Text or None
        The numbers in the cells; None where there is none.

    best_ : matplotlib Rectangle
        Frame of the best cell.

    colorbar_ : matplotlib Colorbar or None
        Colors of the scores.

    Raises
    ------
    ValueError
        If shapes do not fit, or no cell has a score.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn_mf import MatrixFactorizationRegressor
    >>> from sklearn_mf.datasets import make_ratings
    >>> from sklearn_mf.plotting import SearchHeatMapDisplay
    >>> X, y = make_ratings(100, 50, 1_000, random_state=0, return_X_y=True)
    >>> grid = {"rank": [2, 4], "learning_rate": [0.05, 0.1, 0.2]}
    >>> search = GridSearchCV(
    ...     MatrixFactorizationRegressor(random_state=0), grid, scoring="neg_root_mean_squared_error", cv=3
    ... ).fit(X, y)
    >>> display = SearchHeatMapDisplay.from_search(search)
    >>> display.text_.shape, display.score_name
    ((2, 3), 'root mean squared error')
    """

    def __init__(
        self,
        *,
        scores: ArrayLike,
        x_values: Any,
        y_values: Any,
        x_name: str,
        y_name: str,
        score_name: str,
        greater_is_better: bool = True,
        best: tuple[int, int] | None = None,
    ):
        self.scores = np.asarray(scores, dtype=np.float64)
        self.x_values, self.y_values = list(x_values), list(y_values)
        self.x_name, self.y_name, self.score_name = x_name, y_name, score_name
        self.greater_is_better = greater_is_better
        shape = (len(self.y_values), len(self.x_values))
        if self.scores.shape != shape:
            raise ValueError(f"scores.shape == {self.scores.shape}, expected {shape}: (y_values, x_values).")
        if not np.isfinite(self.scores).any():
            raise ValueError("No cell has a score: all are NaN.")
        if best is None:
            goodness = self.scores if greater_is_better else -self.scores
            best = np.unravel_index(np.nanargmax(goodness), shape)
        self.best = (int(best[0]), int(best[1]))

    @classmethod
    def from_search(
        cls,
        search: Any,
        *,
        x: str = "learning_rate",
        y: str = "rank",
        scores: str | None = None,
        negate_score: bool | None = None,
        **plot_kw: Any,
    ) -> SearchHeatMapDisplay:
        """Draw ``cv_results_`` of a fitted search.

        Where further parameters vary, a cell has the best score over them, and the label of the colors says so. After
        successive halving it has the score with the most resources that its candidates were given, and the best cell
        is one of those with the most of all. Candidates without a value of x or y, or whose score is NaN, are left out.

        Parameters
        ----------
        search : estimator
            A fitted ``GridSearchCV``, ``RandomizedSearchCV``, ``HalvingGridSearchCV`` or the like.

        x, y : str, default="learning_rate" and "rank"
            Parameters of the horizontal and vertical axis: as in the search, or without the names of steps where that
            is unique (``rank`` for ``matrixfactorizationregressor__rank``).

        scores : str, default=None
            Column of ``cv_results_``, such as ``"mean_test_ndcg"`` or ``"ndcg"`` of a search with several metrics, or
            ``"mean_fit_time"``. None is ``"mean_test_score"``, and of several metrics the one of ``refit``. The best is
            the highest of test and train scores, and the lowest of all else (times, ranks, standard deviations).

        negate_score : bool or None, default=None
            Whether the sign of scores is turned, so that an error reads as an error, the lowest being the best. None
            turns what the search calls ``neg_...``; set it for scorers made by ``make_scorer``.

        **plot_kw : keywords of :meth:`plot`

        Returns
        -------
        display : SearchHeatMapDisplay

        Raises
        ------
        NotFittedError
            If the search is not fitted.
        AttributeError
            If it has no ``cv_results_``.
        ValueError
            If a parameter was not varied or not unique, or there is no such column of numbers.
        """
        require_matplotlib(cls.__name__)
        check_is_fitted(search)
        if not hasattr(search, "cv_results_"):
            raise AttributeError(
                f"{cls.__name__} needs cv_results_, which {type(search).__name__} has not: give a fitted search such "
                "as GridSearchCV."
            )
        results = search.cv_results_
        parameters = [key.removeprefix("param_") for key in results if key.startswith("param_")]
        x_key, y_key = _find_parameter(x, parameters, "x"), _find_parameter(y, parameters, "y")
        if x_key == y_key:
            raise ValueError(f"x={x!r} and y={y!r} are the same parameter. Varied were: {', '.join(parameters)}.")
        scores, values = _find_scores(scores, getattr(search, "refit", None), results)
        is_score = re.fullmatch(r"(mean|split\d+)_(test|train)_(.+)", scores)
        metric = _metric_name(search, is_score[3]) if is_score else scores
        if negate_score is None:
            negate_score = is_score is not None and metric.startswith("neg_")
        values = -values if negate_score else values
        greater_is_better = is_score is not None and not negate_score
        candidates = results["params"]
        is_usable = np.isfinite(values) & [x_key in candidate and y_key in candidate for candidate in candidates]
        if not is_usable.any():
            raise ValueError(f"No candidate with a value of {x_key} and {y_key} has a score in {scores!r}.")
        (x_values, x_codes), (y_values, y_codes) = (
            _sort_values([candidates[i][key] for i in np.flatnonzero(is_usable)]) for key in (x_key, y_key)
        )
        shape = (len(y_values), len(x_values))
        resources = np.asarray(results.get("n_resources", np.zeros(len(values))))[is_usable]
        cells, best = _fill_cells(y_codes, x_codes, values[is_usable], resources, greater_is_better, shape)
        others = [key for key in parameters if key not in (x_key, y_key) and _varies(key, candidates)]
        name = metric.removeprefix("neg_").replace("_", " ")
        if others:
            name += f"\n(best over {', '.join(key.rpartition('__')[2] for key in others)})"
        names = {"x_name": x, "y_name": y, "score_name": name}
        return cls(
            scores=cells, x_values=x_values, y_values=y_values, greater_is_better=greater_is_better, best=best, **names
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
        best_kw: dict[str, Any] | None = None,
    ) -> SearchHeatMapDisplay:
        """Draw the cells, their scores and the frame of the best one.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into. None makes a new figure.

        include_values : bool, default=True
            Whether to write the score into each cell. Cells that are too small for letters of 4 points stay without.

        values_format : str or None, default=None
            Format specification such as ``".3f"``. None takes as many decimals as tell the best cell from the others.

        colorbar : bool, default=True
            Whether to draw a color bar. Without it the title says what the scores are, if the axes have no title yet.

        imshow_kw : dict, default=None
            Keywords of ``Axes.imshow``.

        text_kw : dict, default=None
            Keywords of ``Axes.text`` for the numbers.

        best_kw : dict, default=None
            Keywords of ``matplotlib.patches.Rectangle`` for the frame of the best cell.

        Returns
        -------
        display : SearchHeatMapDisplay
            This object.
        """
        require_matplotlib(type(self).__name__)
        from matplotlib.patches import Rectangle

        ax = make_axes_if_none(ax)
        cmap = "viridis" if self.greater_is_better else "viridis_r"
        kw = {"cmap": cmap, "aspect": "auto", "origin": "lower", "interpolation": "nearest", **(imshow_kw or {})}
        self.im_ = ax.imshow(np.ma.masked_invalid(self.scores), **kw)
        self.ax_, self.figure_ = ax, ax.figure
        ax.set_xticks(range(len(self.x_values)), _format_ticks(self.x_values))
        ax.set_yticks(range(len(self.y_values)), _format_ticks(self.y_values))
        ax.set(xlabel=self.x_name, ylabel=self.y_name)
        self.colorbar_ = ax.figure.colorbar(self.im_, ax=ax, label=self.score_name) if colorbar else None
        if not colorbar and not ax.get_title():
            ax.set_title(self.score_name)
        settle_layout(ax)
        if max(label.get_window_extent().width for label in ax.get_xticklabels()) > 0.9 * self._cell_size()[0]:
            ax.tick_params(axis="x", labelrotation=90)
            settle_layout(ax)

        row, column = self.best
        inset = 0.46  # of a cell, from its middle: the frame stays inside
        kw = {"fill": False, "linewidth": 1.5, "edgecolor": self._contrasting_color(self.best)}
        kw = merge_style(kw, best_kw, Rectangle)
        self.best_ = ax.add_patch(Rectangle((column - inset, row - inset), 2 * inset, 2 * inset, **kw))
        self.text_ = np.full(self.scores.shape, None, dtype=object)
        if include_values:
            format_ = self._choose_format() if values_format is None else values_format
            self._write_values(format_, text_kw)
        return self

    def _write_values(self, values_format: str, text_kw: dict[str, Any] | None) -> None:
        """Write the score into each cell, as small as all need, or not at all if that is too small to read."""
        from matplotlib.text import Text

        for cell in map(tuple, np.argwhere(np.isfinite(self.scores))):
            kw = {"horizontalalignment": "center", "verticalalignment": "center"}
            kw |= {"color": self._contrasting_color(cell), "fontweight": "bold" if cell == self.best else "normal"}
            text = format(self.scores[cell], values_format)
            self.text_[cell] = self.ax_.text(cell[1], cell[0], text, **merge_style(kw, text_kw, Text))
        if {"fontsize", "fontproperties"} & set(merge_style({}, text_kw, Text)):
            return
        texts = [text for text in self.text_.flat if text is not None]
        extents = np.array([text.get_window_extent().size for text in texts])
        size = texts[0].get_fontsize() * min(1.0, (0.76 * self._cell_size() / extents.max(axis=0)).min())
        for text in texts:
            text.set_fontsize(size)
        if size < _MIN_FONT_SIZE:
            for text in texts:
                text.remove()
            self.text_[:] = None

    def _cell_size(self) -> np.ndarray:
        """Measure the width and height of a cell in pixels."""
        n_y, n_x = self.scores.shape
        return self.ax_.get_window_extent().size / (n_x, n_y)

    def _contrasting_color(self, cell: tuple[int, int]) -> str:
        """Choose black or white, whichever is easier to read on the cell, also when it is printed in gray."""
        return "black" if luma(self.im_.cmap(self.im_.norm(self.scores[cell]))[:3]) > 0.45 else "white"

    def _choose_format(self) -> str:
        """Choose as many decimals as tell the best score from the others."""
        values = self.scores[np.isfinite(self.scores)]
        best, span = self.scores[self.best], np.ptp(values)
        if span == 0:
            return ".3g"
        # Steps of about a hundredth of the range, or smaller ones where the best is not yet alone.
        digits = int(np.clip(2 - np.floor(np.log10(span)), 0, 6))
        while digits < 6 and any(f"{value:.{digits}f}" == f"{best:.{digits}f}" for value in values[values != best]):
            digits += 1
        return f".{digits}f"


def _find_parameter(name: str, parameters: list[str], argument: str) -> str:
    """Find the full name of a parameter that is given with or without the names of steps."""
    found = [key for key in parameters if key == name] or [key for key in parameters if key.endswith(f"__{name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{argument}={name!r} may be any of {', '.join(found)}: give one of these names.")
    raise ValueError(f"{argument}={name!r} was not varied in the search. Varied were: {', '.join(parameters)}.")


def _find_scores(name: str | None, refit: Any, results: dict[str, Any]) -> tuple[str, np.ndarray]:
    """Find the column of ``cv_results_`` that is meant; return its name and its numbers."""
    if name is None:
        of_refit = f"mean_test_{refit}"
        name = of_refit if of_refit in results else "mean_test_score"
    for key in (name, f"mean_test_{name}"):
        values = np.asarray(results.get(key))
        if values.dtype.kind in "iuf" and not key.startswith("param"):
            return key, values.astype(np.float64)
    means = [key for key in results if key.startswith("mean_test_")]
    raise ValueError(f"scores={name!r} is no column of numbers in cv_results_. Mean scores there: {', '.join(means)}.")


def _metric_name(search: Any, name: str) -> str:
    """Return what the search calls the metric: the name of its scorer if that is known."""
    scoring = getattr(search, "scoring", None)
    known = scoring if name == "score" else scoring.get(name) if isinstance(scoring, dict) else None
    return known if isinstance(known, str) else name


def _sort_values(values: list) -> tuple[list, np.ndarray]:
    """Sort the distinct values: first other values as they came, then numbers; return them and the place of each."""
    values = [value.item() if isinstance(value, (np.number, np.bool_)) else value for value in values]
    distinct: list = []
    for value in values:
        if not any(_are_same(value, other) for other in distinct):
            distinct.append(value)
    numbers = sorted(value for value in distinct if isinstance(value, Real))
    distinct = [value for value in distinct if not isinstance(value, Real)] + numbers
    places = [next(i for i, other in enumerate(distinct) if _are_same(value, other)) for value in values]
    return distinct, np.array(places)


def _are_same(a: Any, b: Any) -> bool:
    """Tell whether two values of a parameter are the same; True is not 1."""
    if a is b or type(a) is not type(b):
        return a is b
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    try:
        return bool(a == b)
    except (TypeError, ValueError):  # arrays within
        return repr(a) == repr(b)


def _fill_cells(
    rows: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    resources: np.ndarray,
    greater_is_better: bool,
    shape: tuple[int, int],
) -> tuple[np.ndarray, tuple[int, int]]:
    """Fill each cell with its best value among those with the most resources; return the cells and the best one."""
    goodness = values if greater_is_better else -values
    order = np.lexsort([goodness, resources])
    cells = np.full(shape, np.nan)
    cells[rows[order], columns[order]] = values[order]  # the last one stays
    return cells, (rows[order[-1]], columns[order[-1]])


def _varies(key: str, candidates: list[dict[str, Any]]) -> bool:
    """Tell whether a parameter has several values among the candidates."""
    return len(_sort_values([candidate.get(key) for candidate in candidates])[0]) > 1


def _format_ticks(values: list) -> list[str]:
    """Write numbers with as few digits as tell them apart, but at least three."""

    def label(value: Any, digits: int) -> str:
        if isinstance(value, (bool, int)) or not isinstance(value, Real):
            return shorten(str(value), 32)
        return f"{float(f'{value:.{digits}g}'):.{max(digits, 6)}g}"

    candidates = ([label(value, digits) for value in values] for digits in range(3, 18))
    return next((labels for labels in candidates if len(set(labels)) == len(labels)), [str(value) for value in values])
