"""Draw the error by the number of training ratings of the item and of the user."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
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
    settle_layout,
    small_font_size,
    widen,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer, ErrorbarContainer
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D
    from matplotlib.text import Annotation
    from typing_extensions import Self

_MAX_BAR_HEIGHT = 0.2  # height of the highest bar, as a share of the panel
_GAP_ABOVE_NUMBERS = 8.0  # pixels between the numbers above the bars and the errors


class _Bin(NamedTuple):
    """Hold the error of the held-out ratings of one bin."""

    label: str
    n_ratings: int
    rmse: float
    half_width: float  # of a 95 % interval; NaN for few ratings


class ErrorByActivityDisplay:
    r"""Draw the RMSE of held-out ratings by the number of training ratings of the item and of the user.

    Each panel groups these numbers into bins, and draws a point for each bin. Items and users without a training rating
    are in the bin 0. The dashed line is the RMSE of all held-out ratings. Gray bars, with an axis on the right, count
    the held-out ratings of each bin. The error axis spans at least a tenth of the RMSE, so small differences look
    small.

    Vertical lines are approximate 95 % intervals. Bins of fewer than ten ratings have none. The intervals come from the
    standard error of the mean squared error, by the delta method [1]_. They assume that errors are independent:

    .. math::

        \mathrm{RMSE} \pm 1.96 \, \frac{\mathrm{sd}(e^2) / \sqrt{n}}{2 \, \mathrm{RMSE}} .

    Use :meth:`from_estimator` or :meth:`from_predictions` to create a display. All parameters are stored as attributes.

    Parameters
    ----------
    y_true : array-like of shape (n_ratings,)
        Held-out ratings, finite.

    y_pred : array-like of shape (n_ratings,)
        Predicted ratings, finite.

    item_counts, user_counts : array-like of shape (n_ratings,), int
        Number of training ratings of the item and of the user, for each held-out rating. 0 or more.

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib Axes
        Panel of items and panel of users.

    ax_ : matplotlib Axes
        The panel of items.

    count_axes_ : ndarray of shape (2,) of matplotlib Axes
        Axes of the bars, on the right of each panel.

    figure_ : matplotlib Figure
        Figure with the panels.

    errorbars_ : list of two matplotlib ErrorbarContainer
        RMSE by bin.

    bars_ : list of two matplotlib BarContainer
        Number of held-out ratings by bin.

    text_ : list of two lists of matplotlib Annotation
        Number of held-out ratings by bin, written above the bars.

    lines_ : list of two matplotlib Line2D
        RMSE of all ratings.

    Raises
    ------
    ValueError
        If there are no ratings, ratings are not finite, counts are not whole numbers >= 0, or lengths differ.

    References
    ----------
    .. [1] Casella, G., and R. L. Berger, "Statistical inference", second edition, Duxbury, 2002, section 5.5.4.

    Examples
    --------
    >>> from sklearn_mf import MatrixFactorizationRegressor
    >>> from sklearn_mf.datasets import make_ratings
    >>> from sklearn_mf.plotting import ErrorByActivityDisplay
    >>> X, y = make_ratings(200, 100, 4_000, random_state=0, return_X_y=True)
    >>> model = MatrixFactorizationRegressor(rank=4, random_state=0)
    >>> model = model.fit(X[:3_000], y[:3_000])
    >>> display = ErrorByActivityDisplay.from_estimator(
    ...     model, X[3_000:], y[3_000:], X_train=X[:3_000]
    ... )
    >>> [tick.get_text() for tick in display.ax_.get_xticklabels()]
    ['10–29', '30–99']
    """

    y_true: NDArray[np.float64]
    y_pred: NDArray[np.float64]
    item_counts: NDArray[np.int64]
    user_counts: NDArray[np.int64]
    axes_: np.ndarray
    ax_: Axes
    count_axes_: np.ndarray
    figure_: Figure | SubFigure
    errorbars_: list[ErrorbarContainer]
    bars_: list[BarContainer]
    text_: list[list[Annotation]]
    lines_: list[Line2D]

    def __init__(self, *, y_true: ArrayLike, y_pred: ArrayLike, item_counts: ArrayLike, user_counts: ArrayLike):
        self.y_true, self.y_pred = check_true_and_predicted(y_true, y_pred)
        self.item_counts = check_counts(item_counts, len(self.y_true), "item_counts")
        self.user_counts = check_counts(user_counts, len(self.y_true), "user_counts")

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: ArrayLike, *, X_train: Any, **plot_kw: Any) -> Self:
        """Draw the errors of a fitted estimator on held-out ratings.

        Parameters
        ----------
        estimator : estimator
            Fitted estimator with ``predict``.

        X : array-like or dataframe of shape (n_ratings, n_columns)
            Held-out pairs. Column 0 is the user and column 1 the item. In a data frame, these are the columns with the
            names that ``fit`` saw, with or without the prefix of a ``ColumnTransformer``.

        y : array-like of shape (n_ratings,)
            Ratings of the held-out pairs.

        X_train : array-like or dataframe of shape (n_train, n_columns)
            Training pairs, with ids of the same types. A fitted model does not keep them. If both tables are data
            frames, columns are found by their names in X, in any order. Otherwise they are found by position.

        **plot_kw : keywords of :meth:`plot`

        Returns
        -------
        display : ErrorByActivityDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a table has fewer than two columns or other column names, ids are missing, or the ids of X and
            ``X_train`` have different types.
        """
        require_matplotlib(cls.__name__)
        check_is_fitted(estimator)
        counts = count_training_ratings(X, X_train, cls.__name__, names_of_pair(estimator))
        return cls(y_true=y, y_pred=estimator.predict(X), **counts).plot(**plot_kw)

    @classmethod
    def from_predictions(cls, y_true: ArrayLike, y_pred: ArrayLike, *, X: Any, X_train: Any, **plot_kw: Any) -> Self:
        """Draw the errors of predictions.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_ratings,)
            Held-out and predicted ratings.

        X, X_train, **plot_kw : as in :meth:`from_estimator`
            The first two columns of X are the user and the item.

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
        bins: Literal["log"] | int | Sequence[int] = "log",
        errorbar_kw: dict[str, Any] | None = None,
        bar_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the errors by bin, with items in one panel and users in the other.

        Parameters
        ----------
        ax : sequence of two matplotlib Axes, default=None
            Panel for the items and panel for the users. Both get the same vertical limits. None makes a new figure.

        bins : "log", int or sequence of int, default="log"
            How to group the numbers of training ratings:

            - "log": bins start at 1, 3, 10, 30, and so on;
            - an int: this number of bins, each with about the same number of held-out ratings;
            - a sequence: the first number of each bin, ascending from 1.

            Bins without held-out ratings are left out.

        errorbar_kw : dict, default=None
            Keywords of ``Axes.errorbar`` for the RMSE of the bins.

        bar_kw : dict, default=None
            Keywords of ``Axes.bar`` for the bars of counts.

        line_kw : dict, default=None
            Keywords of ``Axes.axhline`` for the RMSE of all ratings.

        text_kw : dict, default=None
            Keywords of ``Axes.annotate`` for the numbers above the bars.

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
        settle_layout(self.ax_)
        if not {"fontsize", "size", "rotation"} & set(text_kw or {}):
            self._set_numbers_apart()
        self._set_limits(tables)
        return self

    def _make_bins(self, counts: np.ndarray, bins: Literal["log"] | int | Sequence[int]) -> list[_Bin]:
        """Sort the held-out ratings into bins by these counts, and compute the error of each bin."""
        starts = np.append(0, choose_bin_starts(counts[counts > 0], bins))
        bin_of = np.searchsorted(starts, counts, side="right") - 1
        squared_errors = (self.y_true - self.y_pred) ** 2
        table = []
        for number in np.unique(bin_of):
            first = starts[number]
            last = starts[number + 1] - 1 if number + 1 < len(starts) else max(counts.max(), first)
            table.append(_Bin(label_bin(int(first), int(last)), *rmse_with_error(squared_errors[bin_of == number])))
        return table

    def _plot_counts(
        self, ax: Axes, table: list[_Bin], bar_kw: dict[str, Any] | None, text_kw: dict[str, Any] | None
    ) -> None:
        """Draw how many held-out ratings each bin of items or users has."""
        from matplotlib.patches import Rectangle
        from matplotlib.text import Text

        x, n_ratings = np.arange(len(table)), [bin_.n_ratings for bin_ in table]
        kw: dict[str, Any] = {"width": 0.6, "color": ink_color(ax, 0.25), "label": "Held-out ratings"}
        self.bars_.append(ax.bar(x, n_ratings, **merge_style(kw, bar_kw, Rectangle)))
        kw = {"ha": "center", "va": "bottom", "fontsize": small_font_size(), "color": ink_color(ax, 0.8)}
        kw = {"xytext": (0, 2), "textcoords": "offset points", **merge_style(kw, text_kw, Text)}
        texts = map(_format_short, n_ratings)
        self.text_.append([ax.annotate(text, (at, n), **kw) for text, at, n in zip(texts, x, n_ratings, strict=True)])

    def _plot_errors(
        self, ax: Axes, table: list[_Bin], errorbar_kw: dict[str, Any] | None, line_kw: dict[str, Any] | None
    ) -> None:
        """Draw the RMSE of each bin of items or users, and that of all ratings."""
        from matplotlib.lines import Line2D

        x, rmse = np.arange(len(table)), root_mean_square(self.y_true - self.y_pred)
        kw: dict[str, Any] = {"color": ink_color(ax, 0.6), "linestyle": "--", "linewidth": 1, "zorder": 1}
        kw["label"] = f"All: {format_three_digits(rmse)}"
        self.lines_.append(ax.axhline(rmse, **merge_style(kw, line_kw, Line2D)))
        kw = {"capsize": 2}
        if "fmt" not in (errorbar_kw or {}):  # fmt sets all of these
            kw |= {"color": "C0", "marker": "o", "linestyle": ""}
        rmses, half_widths = np.array([(bin_.rmse, bin_.half_width) for bin_ in table]).T
        self.errorbars_.append(ax.errorbar(x, rmses, half_widths, **merge_style(kw, errorbar_kw, Line2D)))
        ax.set_xticks(x, [bin_.label for bin_ in table], rotation=45, ha="right", rotation_mode="anchor")
        ax.set_xlim(-0.6, len(table) - 0.4)

    def _set_up_count_axes(self, tables: list[list[_Bin]], is_labeled: list[bool]) -> None:
        """Give the bars of both panels the same scale, with few ticks on the right."""
        from matplotlib.ticker import MaxNLocator

        most = max(bin_.n_ratings for table in tables for bin_ in table)
        ticks = np.asarray(MaxNLocator(2, integer=True).tick_values(0, most))
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
        low = high - (high - low) / (1 - self._room_for_bars())
        for ax in self.axes_:
            ax.set_ylim(low, high)
        kw: dict[str, Any] = {"handles": self.lines_[:1], "loc": ["upper right", "upper left"]}
        add_legend(self.ax_, kw, None, boxes_of_legend)
        self.axes_[1].set_ylim(self.ax_.get_ylim())

    def _room_for_bars(self) -> float:
        """Compute the height of bars and the numbers above them, as a share of the panel."""
        height = max(text.get_window_extent().height for text in itertools.chain(*self.text_))
        return _MAX_BAR_HEIGHT + (height + _GAP_ABOVE_NUMBERS) / min(ax.get_window_extent().height for ax in self.axes_)

    def _set_numbers_apart(self) -> None:
        """Turn the numbers of ratings if bins are narrow, and shrink them if that is not enough."""
        texts = list(itertools.chain(*self.text_))
        room = 0.85 * min(ax.get_window_extent().width / np.ptp(ax.get_xlim()) for ax in self.axes_)
        if max(text.get_window_extent().width for text in texts) > room:
            for text in texts:
                text.set_rotation(90)
        scale = min(1.0, room / max(text.get_window_extent().width for text in texts))
        for text in texts:
            text.set_fontsize(scale * float(text.get_fontsize()))


def _format_short(n: int) -> str:
    """Write a number in at most four characters."""
    for size, unit in ((10**6, "M"), (10**3, "k")):
        if n >= size:
            return f"{n / size:.{int(n < 10 * size)}f}{unit}"
    return str(n)
