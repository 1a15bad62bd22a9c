"""Scores of a search over two of its parameters."""

from __future__ import annotations

import re
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_mf.plotting._labels import shorten
from sklearn_mf.plotting._shared import luma, one_axes, require_matplotlib, settle_layout, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SMALLEST_FONT = 4.0  # points; smaller numbers are left out


class SearchHeatMapDisplay:
    """Scores of a search as a heat map over two parameters.

    A cell is one pair of values; cells that were not tried stay blank. The brighter, the better, and the best cell has
    a frame. :meth:`from_search` makes one of a fitted search; all parameters are stored as attributes.

    Parameters
    ----------
    scores : array-like of shape (n_y, n_x)
        A score for each pair of values, NaN where there is none.

    x_values, y_values : sequence of length n_x and n_y
        Values of the parameters.

    x_name, y_name : str
        Names of the parameters.

    score_name : str
        What the scores are.

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
        usable = np.isfinite(values) & [x_key in candidate and y_key in candidate for candidate in candidates]
        if not usable.any():
            raise ValueError(f"No candidate with a value of {x_key} and {y_key} has a score in {scores!r}.")
        (x_values, x_codes), (y_values, y_codes) = (
            _sorted_values([candidates[i][key] for i in np.flatnonzero(usable)]) for key in (x_key, y_key)
        )
        shape = (len(y_values), len(x_values))
        resources = np.asarray(results.get("n_resources", np.zeros(len(values))))[usable]
        cells, best = _best_cells(y_codes, x_codes, values[usable], resources, greater_is_better, shape)
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
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into. None makes a new figure.

        include_values : bool, default=True
            Whether to write the score into each cell; where cells are too small for letters of 4 points, it is not.

        values_format : str or None, default=None
            Format specification such as ``".3f"``. None takes as many decimals as tell the best cell from the others.

        colorbar : bool, default=True
            Whether to draw a color bar. Without it the title says what the scores are, where the axes have none.

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

        ax = one_axes(ax)
        cmap = "viridis" if self.greater_is_better else "viridis_r"
        kw = {"cmap": cmap, "aspect": "auto", "origin": "lower", "interpolation": "nearest", **(imshow_kw or {})}
        self.im_ = ax.imshow(np.ma.masked_invalid(self.scores), **kw)
        self.ax_, self.figure_ = ax, ax.figure
        ax.set_xticks(range(len(self.x_values)), _tick_labels(self.x_values))
        ax.set_yticks(range(len(self.y_values)), _tick_labels(self.y_values))
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
        kw = style(kw, best_kw, Rectangle)
        self.best_ = ax.add_patch(Rectangle((column - inset, row - inset), 2 * inset, 2 * inset, **kw))
        self.text_ = np.full(self.scores.shape, None, dtype=object)
        if include_values:
            format_ = self._values_format() if values_format is None else values_format
            self._write_values(format_, text_kw)
        return self

    def _write_values(self, values_format: str, text_kw: dict[str, Any] | None) -> None:
        from matplotlib.text import Text

        for cell in map(tuple, np.argwhere(np.isfinite(self.scores))):
            kw = {"horizontalalignment": "center", "verticalalignment": "center"}
            kw |= {"color": self._contrasting_color(cell), "fontweight": "bold" if cell == self.best else "normal"}
            text = format(self.scores[cell], values_format)
            self.text_[cell] = self.ax_.text(cell[1], cell[0], text, **style(kw, text_kw, Text))
        if {"fontsize", "fontproperties"} & set(style({}, text_kw, Text)):
            return
        texts = [text for text in self.text_.flat if text is not None]
        extents = np.array([text.get_window_extent().size for text in texts])
        size = texts[0].get_fontsize() * min(1.0, (0.76 * self._cell_size() / extents.max(axis=0)).min())
        for text in texts:
            text.set_fontsize(size)
        if size < _SMALLEST_FONT:
            for text in texts:
                text.remove()
            self.text_[:] = None

    def _cell_size(self) -> np.ndarray:
        """Width and height in pixels."""
        n_y, n_x = self.scores.shape
        return self.ax_.get_window_extent().size / (n_x, n_y)

    def _contrasting_color(self, cell: tuple[int, int]) -> str:
        """Black or white, what reads well in color and, printed so, in gray."""
        return "black" if luma(self.im_.cmap(self.im_.norm(self.scores[cell]))[:3]) > 0.45 else "white"

    def _values_format(self) -> str:
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
    found = [key for key in parameters if key == name] or [key for key in parameters if key.endswith(f"__{name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{argument}={name!r} may be any of {', '.join(found)}: give one of these names.")
    raise ValueError(f"{argument}={name!r} was not varied in the search. Varied were: {', '.join(parameters)}.")


def _find_scores(name: str | None, refit: Any, results: dict[str, Any]) -> tuple[str, np.ndarray]:
    """The column of ``cv_results_`` that is meant, and its numbers."""
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
    """What the search calls the metric: the name of its scorer where that is known."""
    scoring = getattr(search, "scoring", None)
    known = scoring if name == "score" else scoring.get(name) if isinstance(scoring, dict) else None
    return known if isinstance(known, str) else name


def _sorted_values(values: list) -> tuple[list, np.ndarray]:
    """Distinct values, numbers in order and all else as it came before them, and the place of each."""
    values = [value.item() if isinstance(value, (np.number, np.bool_)) else value for value in values]
    distinct: list = []
    for value in values:
        if not any(_same(value, other) for other in distinct):
            distinct.append(value)
    numbers = sorted(value for value in distinct if isinstance(value, Real))
    distinct = [value for value in distinct if not isinstance(value, Real)] + numbers
    return distinct, np.array([next(i for i, other in enumerate(distinct) if _same(value, other)) for value in values])


def _same(a: Any, b: Any) -> bool:
    """Whether both are one value of a parameter; True is not 1."""
    if a is b or type(a) is not type(b):
        return a is b
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    try:
        return bool(a == b)
    except (TypeError, ValueError):  # arrays within
        return repr(a) == repr(b)


def _best_cells(
    rows: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    resources: np.ndarray,
    greater_is_better: bool,
    shape: tuple[int, int],
) -> tuple[np.ndarray, tuple[int, int]]:
    """The best value of each cell, of those with the most resources, and the best cell."""
    goodness = values if greater_is_better else -values
    order = np.lexsort([goodness, resources])
    cells = np.full(shape, np.nan)
    cells[rows[order], columns[order]] = values[order]  # the last one stays
    return cells, (rows[order[-1]], columns[order[-1]])


def _varies(key: str, candidates: list[dict[str, Any]]) -> bool:
    return len(_sorted_values([candidate.get(key) for candidate in candidates])[0]) > 1


def _tick_labels(values: list) -> list[str]:
    """Numbers in as few digits as tell them apart, at least three."""

    def label(value: Any, digits: int) -> str:
        if isinstance(value, (bool, int)) or not isinstance(value, Real):
            return shorten(str(value), 32)
        return f"{float(f'{value:.{digits}g}'):.{max(digits, 6)}g}"

    candidates = ([label(value, digits) for value in values] for digits in range(3, 18))
    return next((labels for labels in candidates if len(set(labels)) == len(labels)), [str(value) for value in values])
