"""Draw the error by how many ratings of an item or a user were trained on."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_mf.plotting._bins import check_counts, choose_bin_starts, label_bin, rmse_with_error
from sklearn_mf.plotting._lookup import count_training_ratings, names_of_pair
from sklearn_mf.plotting._shared import (
    add_legend,
    check_true_and_predicted,
    format_three_digits,
    ink_color,
    make_two_axes_if_none,
    merge_style,
    require_matplotlib,
    root_mean_square,
    small_font_size,
    widen,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_BAR_HEIGHT = 0.2  # of the panel: the bar of the bin with the most ratings
_ROOM_FOR_BARS = 0.32  # of the panel, with the numbers above the bars


class _Bin(NamedTuple):
    """Hold the error of the held-out ratings of one bin."""

    label: str
    n_ratings: int
    rmse: float
    half_width: float  # of a 95 % interval; NaN for few ratings


class ErrorByActivityDisplay:
    r"""Draw the RMSE of held-out ratings by popularity of the item and by activity of the user.

    Popularity and activity are numbers of ratings that were trained on; items and users with none are in a bin of their
    own, 0. Gray bars and numbers say how many held-out ratings a bin has, and the dashed line is the RMSE of all.
    Vertical lines are approximate 95 % intervals. They are computed from the standard error of the mean squared error
    by the delta method (Casella and Berger, "Statistical inference", 2002, section 5.5.4), which takes errors for
    independent; bins of fewer than ten ratings have none:

    .. math::

        \mathrm{RMSE} \pm 1.96 \, \frac{\mathrm{sd}(e^2) / \sqrt{n}}{2 \, \mathrm{RMSE}} .

    :meth:`from_estimator` and :meth:`from_predictions` make a display; all parameters are stored as attributes.

    Parameters
    ----------
    y_true : array-like of shape (n_ratings,)
        Held-out ratings, finite.

    y_pred : array-like of shape (n_ratings,)
        Predicted ratings, finite.

    item_counts, user_counts : array-like of shape (n_ratings,), int
        Number of training ratings of each rating's item and user, 0 or more.

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib Axes
        Panels of items and users.

    ax_ : matplotlib Axes
        The first of them.

    figure_ : matplotlib Figure
        Their figure.

    errorbars_ : list of two matplotlib ErrorbarContainer
        RMSE by bin.

    bars_ : list of two matplotlib BarContainer
        Number of held-out ratings by bin; heights are in parts of the panel.

    text_ : list of two lists of matplotlib Text
        Number of held-out ratings by bin, written above the bars.

    lines_ : list of two matplotlib Line2D
        RMSE of all ratings.

    Raises
    ------
    ValueError
        If ratings are not finite, there are none, counts are not whole numbers >= 0, or lengths differ.

    Examples
    --------
    >>> from sklearn_mf import MatrixFactorizationRegressor
    >>> from sklearn_mf.datasets import make_ratings
    >>> from sklearn_mf.plotting import ErrorByActivityDisplay
    >>> X, y = make_ratings(200, 100, 4_000, random_state=0, return_X_y=True)
    >>> model = MatrixFactorizationRegressor(rank=4, random_state=0).fit(X[:3_000], y[:3_000])
    >>> display = ErrorByActivityDisplay.from_estimator(model, X[3_000:], y[3_000:], X_train=X[:3_000])
    >>> [tick.get_text() for tick in display.ax_.get_xticklabels()]
    ['10–29', '30–99']
    """

    def __init__(self, *, y_true: ArrayLike, y_pred: ArrayLike, item_counts: ArrayLike, user_counts: ArrayLike):
        self.y_true, self.y_pred = check_true_and_predicted(y_true, y_pred)
        self.item_counts = check_counts(item_counts, len(self.y_true), "item_counts")
        self.user_counts = check_counts(user_counts, len(self.y_true), "user_counts")

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: ArrayLike, *, X_train: Any, **plot_kw: Any
    ) -> ErrorByActivityDisplay:
        """Draw the errors of a fitted estimator on held-out ratings.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``predict``.

        X : array-like or dataframe of shape (n_ratings, n_columns)
            Held-out pairs: column 0 the user, column 1 the item; of a data frame the columns that were called so in
            ``fit``, with or without the prefix that a ``ColumnTransformer`` gives.

        y : array-like of shape (n_ratings,)
            Their ratings.

        X_train : array-like or dataframe of shape (n_train, n_columns)
            Pairs that were trained on, with ids of the same kinds; a fitted model keeps none. Where both tables are
            data frames, its columns are taken by their names in X, in any order; else by their places.

        **plot_kw : keywords of :meth:`plot`

        Returns
        -------
        display : ErrorByActivityDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a table does not have two columns or calls them otherwise, or ids are missing or of another kind in X
            than in ``X_train``.
        """
        require_matplotlib(cls.__name__)
        check_is_fitted(estimator)
        counts = count_training_ratings(X, X_train, cls.__name__, names_of_pair(estimator))
        return cls(y_true=y, y_pred=estimator.predict(X), **counts).plot(**plot_kw)

    @classmethod
    def from_predictions(
        cls, y_true: ArrayLike, y_pred: ArrayLike, *, X: Any, X_train: Any, **plot_kw: Any
    ) -> ErrorByActivityDisplay:
        """Draw the errors of given predictions.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_ratings,)
            Held-out and predicted ratings.

        X, X_train, **plot_kw : as in :meth:`from_estimator`
            Without an estimator, users and items are the first two columns of X.

        Returns
        -------
        display : ErrorByActivityDisplay
        """
        require_matplotlib(cls.__name__)
        counts = count_training_ratings(X, X_train, cls.__name__, [])
        return cls(y_true=y_true, y_pred=y_pred, **counts).plot(**plot_kw)

    def plot(
        self,
        ax: Sequence[Axes] | np.ndarray | None = None,
        *,
        bins: str | int | Sequence[int] = "log",
        errorbar_kw: dict[str, Any] | None = None,
        bar_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> ErrorByActivityDisplay:
        """Draw the errors by bin, items in one panel and users in the other.

        Parameters
        ----------
        ax : sequence of two matplotlib Axes, default=None
            Panels to draw items and users into; they get the same vertical limits. None makes a new figure.

        bins : "log", int or sequence of int, default="log"
            Numbers of training ratings that share a bin. "log" starts bins at 1, 3, 10, 30, ...; an int makes that
            many bins of about as many held-out ratings each (quantiles); a sequence has the first number of each bin,
            ascending from 1. Bins without held-out ratings are left out.

        errorbar_kw, bar_kw, line_kw, text_kw : dict, default=None
            Keywords of ``Axes.errorbar`` for the RMSE of bins, of ``Axes.bar`` and ``Axes.text`` for the numbers of
            ratings, and of ``Axes.axhline`` for the RMSE of all.

        Returns
        -------
        display : ErrorByActivityDisplay
            This object.
        """
        require_matplotlib(type(self).__name__)
        tables = [self._make_bins(counts, bins) for counts in (self.item_counts, self.user_counts)]
        self.axes_ = make_two_axes_if_none(ax, sharey=True)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        self.count_axes_ = np.array([panel.twinx() for panel in self.axes_])
        self.errorbars_, self.bars_, self.text_, self.lines_ = [], [], [], []
        for number, (table, kind) in enumerate(zip(tables, ("item", "user"), strict=True)):
            self._plot_counts(self.count_axes_[number], table, bar_kw, text_kw)
            self._plot_errors(self.axes_[number], table, errorbar_kw, line_kw)
            self.axes_[number].set_xlabel(f"Training ratings\nof the {kind}")
        self.axes_[0].set_ylabel("RMSE")
        self._set_up_count_axes(tables, is_labeled=[ax is not None, True])
        self._set_limits(tables)
        if not {"fontsize", "size"} & set(text_kw or {}):
            self._set_numbers_apart()
        return self

    def _make_bins(self, counts: np.ndarray, bins: str | int | Sequence[int]) -> list[_Bin]:
        """Sort the held-out ratings into bins by these counts, and compute the error of each bin."""
        starts = np.append(0, choose_bin_starts(counts[counts > 0], bins))
        bin_of = np.searchsorted(starts, counts, side="right") - 1
        squared_errors = (self.y_true - self.y_pred) ** 2
        table = []
        for number in np.unique(bin_of):
            first = starts[number]
            last = starts[number + 1] - 1 if number + 1 < len(starts) else max(counts.max(), first)
            table.append(_Bin(label_bin(first, last), *rmse_with_error(squared_errors[bin_of == number])))
        return table

    def _plot_counts(
        self, ax: Axes, table: list[_Bin], bar_kw: dict[str, Any] | None, text_kw: dict[str, Any] | None
    ) -> None:
        """Draw how many held-out ratings each bin of items or users has."""
        from matplotlib.patches import Rectangle
        from matplotlib.text import Text

        x, n_ratings = np.arange(len(table)), [bin_.n_ratings for bin_ in table]
        kw = {"width": 0.6, "color": ink_color(ax, 0.25), "label": "Held-out ratings"}
        self.bars_.append(ax.bar(x, n_ratings, **merge_style(kw, bar_kw, Rectangle)))
        kw = {"ha": "center", "va": "bottom", "fontsize": small_font_size(), "color": ink_color(ax, 0.8)}
        kw = {"xytext": (0, 2), "textcoords": "offset points", **merge_style(kw, text_kw, Text)}
        texts = map(_format_short, n_ratings)
        self.text_.append([ax.annotate(text, point, **kw) for text, *point in zip(texts, x, n_ratings, strict=True)])

    def _plot_errors(
        self, ax: Axes, table: list[_Bin], errorbar_kw: dict[str, Any] | None, line_kw: dict[str, Any] | None
    ) -> None:
        """Draw the RMSE of each bin of items or users, and that of all ratings."""
        from matplotlib.lines import Line2D

        x, rmse = np.arange(len(table)), root_mean_square(self.y_true - self.y_pred)
        kw = {"color": ink_color(ax, 0.6), "linestyle": "--", "linewidth": 1, "zorder": 1}
        kw["label"] = f"All: {format_three_digits(rmse)}"
        self.lines_.append(ax.axhline(rmse, **merge_style(kw, line_kw, Line2D)))
        kw = {"capsize": 2}
        if "fmt" not in (errorbar_kw or {}):  # which says all of these
            kw |= {"color": "C0", "marker": "o", "linestyle": ""}
        rmses, half_widths = np.array([(bin_.rmse, bin_.half_width) for bin_ in table]).T
        self.errorbars_.append(ax.errorbar(x, rmses, half_widths, **merge_style(kw, errorbar_kw, Line2D)))
        ax.set_xticks(x, [bin_.label for bin_ in table], rotation=45, ha="right", rotation_mode="anchor")
        ax.set_xlim(-0.6, len(table) - 0.4)

    def _set_up_count_axes(self, tables: list[list[_Bin]], is_labeled: list[bool]) -> None:
        """Give the bars of both panels one scale, with few ticks beside them on the right."""
        from matplotlib.ticker import MaxNLocator

        most = max(bin_.n_ratings for table in tables for bin_ in table)
        ticks = MaxNLocator(2, integer=True).tick_values(0, most)
        ticks = ticks[(ticks >= 0) & (ticks <= most)]
        for ax, is_labeled_ax in zip(self.count_axes_, is_labeled, strict=True):
            ax.set_ylim(0, most / _MAX_BAR_HEIGHT)
            labels = [_format_short(int(tick)).replace(".0", "") if is_labeled_ax else "" for tick in ticks]
            ax.set_yticks(ticks, labels)
            if is_labeled_ax:
                ax.set_ylabel("Held-out ratings", loc="bottom")

    def _set_limits(self, tables: list[list[_Bin]]) -> None:
        """Give both panels the same limits, with room for the bars below and the legend above."""
        rmse = root_mean_square(self.y_true - self.y_pred)
        boxes = []
        for table in tables:
            half_widths = np.nan_to_num([bin_.half_width for bin_ in table])
            x, rmses = np.arange(len(table)), np.array([bin_.rmse for bin_ in table])
            boxes.append(np.column_stack([x, rmses - half_widths, x, rmses + half_widths]))
        line = np.linspace(-0.6, len(tables[0]) - 0.4, 50)
        boxes_of_legend = np.vstack([boxes[0], np.column_stack([line, line * 0 + rmse, line, line * 0 + rmse])])
        ends = np.vstack([*boxes, boxes_of_legend])[:, [1, 3]]
        low, high = widen(ends.min(), ends.max())
        span = (high - low) or 1.0
        low, high = low - 0.08 * span, high + 0.08 * span
        low = high - (high - low) / (1 - _ROOM_FOR_BARS)
        for ax in self.axes_:
            ax.set_ylim(low, high)
        kw = {"handles": self.lines_[:1], "loc": ["upper right", "upper left"]}
        add_legend(self.ax_, kw, None, boxes_of_legend)
        self.axes_[1].set_ylim(self.ax_.get_ylim())

    def _set_numbers_apart(self) -> None:
        """Make the numbers of ratings smaller if bins are narrow, in both panels alike."""
        scale = 1.0
        for ax, texts in zip(self.axes_, self.text_, strict=True):
            room = 0.85 * ax.get_window_extent().width / np.ptp(ax.get_xlim())
            scale = min(scale, room / max(text.get_window_extent().width for text in texts))
        for text in itertools.chain(*self.text_):
            text.set_fontsize(scale * text.get_fontsize())


def _format_short(n: int) -> str:
    """Write a number in at most four characters."""
    for size, unit in ((10**6, "M"), (10**3, "k")):
        if n >= size:
            return f"{n / size:.{int(n < 10 * size)}f}{unit}"
    return str(n)
