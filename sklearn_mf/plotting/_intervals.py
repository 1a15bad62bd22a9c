"""Draw predicted standard deviations against errors."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from sklearn_mf._utils.deviations import predict_with_std
from sklearn_mf.plotting._bins import check_counts, choose_bin_starts, rmse_with_error
from sklearn_mf.plotting._lookup import count_training_ratings, names_of_pair
from sklearn_mf.plotting._shared import (
    add_legend,
    as_floats,
    check_true_and_predicted,
    check_whole_number,
    ink_color,
    make_two_axes_if_none,
    merge_style,
    require_matplotlib,
    root_mean_square,
    widen,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import ErrorbarContainer
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D
    from typing_extensions import Self

# Marker, color and label of the points of each table. They can be told apart in gray, too.
_STYLES = {
    "by_std_": ("o", "C0", "By deviation"),
    "by_item_": ("s", "C1", "By item"),
    "by_user_": ("^", "C2", "By user"),
}
_APART = 4.5  # percent of the ratings: so that points of different tables do not overlap
_LEAST_SPAN_OF_SHARES = 40  # percent: so that a difference of one percent looks small


class IntervalDisplay:
    r"""Draw predicted standard deviations against errors, and the share of ratings in the predicted intervals.

    The left panel compares deviations with errors. Ratings are sorted by their predicted deviation into bins of equal
    counts. Each point is a bin. Its horizontal position is the root mean square of the predicted deviations, and its
    vertical position is the RMSE. On the diagonal, deviations are right. Above it, they are too small: the model is too
    sure.

    The right panel shows the share of ratings in the interval :math:`\hat y \pm z \sigma`, where z is the quantile of
    the normal distribution for ``confidence``. The dashed line is ``confidence``. The solid line is the share over
    all ratings. Points are the shares by predicted deviation. With training data, there are also points by the number
    of training ratings of the item and of the user. Each point is near the middle of its bin. The vertical axis spans
    at least 40 percent, so small differences look small.

    Vertical lines are approximate 95 % intervals. They assume that errors are independent. Intervals of the RMSE
    are computed as in :class:`ErrorByActivityDisplay`. Intervals of shares are Wilson intervals [1]_.

    Use :meth:`from_estimator` or :meth:`from_predictions` to create a display. All parameters are stored as attributes.

    Parameters
    ----------
    y_true : array-like of shape (n_ratings,)
        Held-out ratings, finite.

    y_pred : array-like of shape (n_ratings,)
        Predicted ratings, finite.

    y_std : array-like of shape (n_ratings,)
        Predicted standard deviations, finite and above 0, on the scale of the ratings. They must include the noise of a
        single rating.

    item_counts, user_counts : array-like of shape (n_ratings,), int, default=None
        Number of training ratings of the item and of the user, for each held-out rating. 0 or more. None draws no
        points for them.

    confidence : float, default=0.9
        Share of the ratings that the interval should hold, above 0 and below 1.

    n_bins : int, default=5
        Number of bins, at least 1. Equal values are in the same bin, so there can be fewer bins, and their counts can
        differ. Items and users without a training rating get a bin of their own.

    Attributes
    ----------
    z_ : float
        Half the width of the interval, in standard deviations.

    rmse_ : float
        RMSE of all ratings.

    predicted_rmse_ : float
        Root mean square of all predicted deviations. It equals the RMSE if deviations are right.

    coverage_ : float
        Share of all ratings that lie in their interval.

    by_std_ : Bunch
        Bins by predicted deviation, from low to high. Each attribute is an array of shape (n_bins,):

        - ``first``, ``last``, float64: the smallest and the largest value in the bin;
        - ``n_ratings``, int64: the number of ratings in the bin;
        - ``predicted_rmse``, float64: the root mean square of the predicted deviations;
        - ``rmse``, float64: the RMSE;
        - ``coverage``, float64: the share of the ratings that lie in their interval.

    by_item_, by_user_ : Bunch or None
        The same attributes for bins by the number of training ratings of the item and of the user. ``first`` and
        ``last`` are int64. None without counts.

    axes_ : ndarray of shape (2,) of matplotlib Axes
        Panel of errors and panel of shares.

    ax_ : matplotlib Axes
        The panel of errors.

    figure_ : matplotlib Figure
        Figure with the panels.

    errorbars_ : list of matplotlib ErrorbarContainer
        Points of the left panel, then those of the right panel: by deviation and, with counts, by item and by user.

    lines_ : list of three matplotlib Line2D
        The diagonal, the line of ``confidence``, and the share of all ratings.

    legends_ : list of two matplotlib Legend
        Legend of each panel.

    Raises
    ------
    ValueError
        If there are no ratings, ratings or deviations are not finite, deviations are not above 0, squared errors
        overflow, counts are not whole numbers >= 0, lengths differ, ``confidence`` is not between 0 and 1, or
        ``n_bins`` is not a whole number >= 1.

    References
    ----------
    .. [1] Wilson, E. B., "Probable inference, the law of succession, and statistical inference", Journal of the
       American Statistical Association 22, 1927.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mf.plotting import IntervalDisplay
    >>> rng = np.random.default_rng(0)
    >>> y_pred, y_std = rng.uniform(1, 5, 2_000), rng.uniform(0.5, 1.5, 2_000)
    >>> y_true = rng.normal(y_pred, y_std)
    >>> display = IntervalDisplay.from_predictions(y_true, y_pred, y_std)
    >>> round(display.coverage_, 2)
    0.9
    >>> display.by_std_.n_ratings
    array([400, 400, 400, 400, 400])
    >>> display.by_std_.predicted_rmse.round(1), display.by_std_.rmse.round(1)
    (array([0.6, 0.8, 1. , 1.2, 1.4]), array([0.6, 0.8, 1. , 1.2, 1.4]))
    """

    y_true: NDArray[np.float64]
    y_pred: NDArray[np.float64]
    y_std: NDArray[np.float64]
    item_counts: NDArray[np.int64] | None
    user_counts: NDArray[np.int64] | None
    confidence: float
    n_bins: int
    z_: float
    rmse_: float
    predicted_rmse_: float
    coverage_: float
    by_std_: Bunch
    by_item_: Bunch | None
    by_user_: Bunch | None
    axes_: np.ndarray
    ax_: Axes
    figure_: Figure | SubFigure
    errorbars_: list[ErrorbarContainer]
    lines_: list[Line2D]
    legends_: list[Legend]

    def __init__(
        self,
        *,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        y_std: ArrayLike,
        item_counts: ArrayLike | None = None,
        user_counts: ArrayLike | None = None,
        confidence: float = 0.9,
        n_bins: int = 5,
    ):
        self.y_true, self.y_pred = check_true_and_predicted(y_true, y_pred)
        n_ratings = len(self.y_true)
        self.y_std = _check_deviations(y_std, n_ratings)
        self.item_counts = None if item_counts is None else check_counts(item_counts, n_ratings, "item_counts")
        self.user_counts = None if user_counts is None else check_counts(user_counts, n_ratings, "user_counts")
        self.confidence = _check_confidence(confidence)
        check_whole_number(n_bins, "n_bins", at_least=1)
        self.n_bins = n_bins
        self._compute()

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        X_train: Any = None,
        confidence: float = 0.9,
        n_bins: int = 5,
        **plot_kw: Any,
    ) -> Self:
        """Draw the predicted deviations of a fitted estimator against its errors on held-out ratings.

        Parameters
        ----------
        estimator : estimator
            Fitted estimator whose ``predict(X, return_std=True)`` returns predictions and deviations, as in
            :class:`~sklearn.linear_model.BayesianRidge`. It may be the last step of a pipeline or a search.

        X : array-like or dataframe of shape (n_ratings, n_columns)
            Held-out pairs, as in ``predict``. With ``X_train``, columns of users and items are found as in
            :meth:`ErrorByActivityDisplay.from_estimator`.

        y : array-like of shape (n_ratings,)
            Ratings of the held-out pairs.

        X_train : array-like or dataframe of shape (n_train, n_columns), default=None
            Training pairs, as in :meth:`ErrorByActivityDisplay.from_estimator`. None draws no shares by item and user.

        confidence : float, default=0.9
            Share of the ratings that the interval should hold, above 0 and below 1.

        n_bins : int, default=5
            Number of bins, at least 1.

        **plot_kw : keywords of :meth:`plot`

        Returns
        -------
        display : IntervalDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If ``predict`` of the estimator has no ``return_std``.
        ValueError
            As in the constructor and in :meth:`ErrorByActivityDisplay.from_estimator`.
        """
        require_matplotlib(cls.__name__)
        check_is_fitted(estimator)
        counts = {} if X_train is None else count_training_ratings(X, X_train, cls.__name__, names_of_pair(estimator))
        y_pred, y_std = predict_with_std(estimator, X, cls.__name__)
        display = cls(y_true=y, y_pred=y_pred, y_std=y_std, **counts, confidence=confidence, n_bins=n_bins)
        return display.plot(**plot_kw)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        y_std: ArrayLike,
        *,
        X: Any = None,
        X_train: Any = None,
        confidence: float = 0.9,
        n_bins: int = 5,
        **plot_kw: Any,
    ) -> Self:
        """Draw predicted deviations against the errors of predictions.

        Parameters
        ----------
        y_true, y_pred, y_std : array-like of shape (n_ratings,)
            Held-out ratings, predicted ratings, and predicted deviations.

        X, X_train : array-like or dataframe, default=None
            As in :meth:`from_estimator`. Give both or none. The first two columns of X are the user and the item.

        confidence, n_bins, **plot_kw : as in :meth:`from_estimator`

        Returns
        -------
        display : IntervalDisplay
        """
        require_matplotlib(cls.__name__)
        if (X is None) != (X_train is None):
            raise ValueError(
                "X and X_train are needed to count the training ratings of items and users: give both or none."
            )
        counts = {} if X is None else count_training_ratings(X, X_train, cls.__name__, [])
        display = cls(y_true=y_true, y_pred=y_pred, y_std=y_std, **counts, confidence=confidence, n_bins=n_bins)
        return display.plot(**plot_kw)

    def plot(
        self,
        ax: Sequence[Axes] | np.ndarray | None = None,
        *,
        errorbar_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
        legend_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the errors in one panel and the shares in the other.

        Parameters
        ----------
        ax : sequence of two matplotlib Axes, default=None
            Panel for the errors and panel for the shares. None makes a new figure.

        errorbar_kw : dict, default=None
            Keywords of ``Axes.errorbar`` for the points, in both panels.

        line_kw : dict, default=None
            Keywords of ``Axes.plot`` for the diagonal and of ``Axes.axhline`` for the line of ``confidence``.

        legend_kw : dict, default=None
            Keywords of ``Axes.legend``, for both panels.

        Returns
        -------
        display : IntervalDisplay
            This object.
        """
        require_matplotlib(type(self).__name__)
        self.axes_ = make_two_axes_if_none(ax)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        self.errorbars_, self.lines_, self.legends_ = [], [], []
        if ax is None:
            self.figure_.align_xlabels(self.axes_)
        self._plot_errors(self.axes_[0], errorbar_kw, line_kw, legend_kw)
        self._plot_shares(self.axes_[1], errorbar_kw, line_kw, legend_kw)
        return self

    def _compute(self) -> None:
        """Compute errors and shares, of all ratings and by bin."""
        with np.errstate(over="ignore", invalid="ignore"):
            errors = self.y_true - self.y_pred
            self.rmse_, self.predicted_rmse_ = root_mean_square(errors), root_mean_square(self.y_std)
        if not np.isfinite([self.rmse_, self.predicted_rmse_]).all():
            raise ValueError("Errors or deviations are so large that their squares overflow: use a larger unit.")
        self.z_ = float(norm.isf((1 - self.confidence) / 2))
        is_inside = np.abs(errors) <= self.z_ * self.y_std
        self.coverage_ = float(is_inside.mean())
        self.by_std_ = self._make_table(self.y_std, _choose_edges(self.y_std, self.n_bins), is_inside)
        for kind, counts in (("item", self.item_counts), ("user", self.user_counts)):
            table = None
            if counts is not None:
                table = self._make_table(counts, choose_bin_starts(counts[counts > 0], self.n_bins), is_inside)
            setattr(self, f"by_{kind}_", table)

    def _make_table(self, values: np.ndarray, edges: np.ndarray, is_inside: np.ndarray) -> Bunch:
        """Compute errors and shares of the bins between these edges; an edge is the lowest value of a bin."""
        bin_of = np.searchsorted(edges, values, side="right")
        rows_of_bins = [np.flatnonzero(bin_of == number) for number in np.unique(bin_of)]
        errors = self.y_true - self.y_pred
        return Bunch(
            first=np.array([values[rows].min() for rows in rows_of_bins]),
            last=np.array([values[rows].max() for rows in rows_of_bins]),
            n_ratings=np.array([len(rows) for rows in rows_of_bins]),
            predicted_rmse=np.array([root_mean_square(self.y_std[rows]) for rows in rows_of_bins]),
            rmse=np.array([root_mean_square(errors[rows]) for rows in rows_of_bins]),
            coverage=np.array([is_inside[rows].mean() for rows in rows_of_bins]),
        )

    def _plot_errors(
        self,
        ax: Axes,
        errorbar_kw: dict[str, Any] | None,
        line_kw: dict[str, Any] | None,
        legend_kw: dict[str, Any] | None,
    ) -> None:
        """Draw the RMSE of bins against their predicted deviation, and the diagonal."""
        table = self.by_std_
        half_widths = self._half_widths_of_rmse()
        low, high = table.rmse - np.nan_to_num(half_widths), table.rmse + np.nan_to_num(half_widths)
        bounds = table.predicted_rmse, low, high
        ends = np.array(widen(np.min(bounds), np.max(bounds)))
        ends += np.array([-0.08, 0.08]) * (np.ptp(ends) or 1.0)
        self._plot_points(ax, "by_std_", (table.predicted_rmse, table.rmse), half_widths, errorbar_kw)
        self.lines_ += ax.plot(ends, ends, **_style_of_line(ax, line_kw, "As predicted"))
        ax.set(xlim=ends, ylim=ends, xlabel="Predicted\ndeviation", ylabel="RMSE")
        kw: dict[str, Any] = {
            "handles": self.lines_[:1],
            "loc": ["upper left", "lower right"],
            "title": f"n = {len(self.y_true):,}",
            "alignment": "left",
        }
        line = np.linspace(ends[0], ends[1], 50)
        boxes = np.column_stack([table.predicted_rmse, low, table.predicted_rmse, high])
        boxes = np.vstack([boxes, np.column_stack([line] * 4)])
        self.legends_.append(add_legend(ax, kw, legend_kw, boxes))

    def _half_widths_of_rmse(self) -> np.ndarray:
        """Compute half the widths of the 95 % intervals of the RMSE of bins; NaN in bins of few ratings."""
        bin_of = np.searchsorted(self.by_std_.first[1:], self.y_std, side="right")
        errors = (self.y_true - self.y_pred) / (self.rmse_ or 1.0)  # so that their powers do not overflow
        widths = [rmse_with_error(errors[bin_of == number] ** 2)[2] for number in range(len(self.by_std_.first))]
        return np.array(widths) * self.rmse_

    def _plot_shares(
        self,
        ax: Axes,
        errorbar_kw: dict[str, Any] | None,
        line_kw: dict[str, Any] | None,
        legend_kw: dict[str, Any] | None,
    ) -> None:
        """Draw the shares of ratings in their intervals, of all and by bin, in percent."""
        asked = f"{100 * self.confidence:g} %"
        self.lines_.append(ax.axhline(100 * self.confidence, **_style_of_line(ax, line_kw, f"Asked for: {asked}")))
        kw: dict[str, Any] = {
            "color": ink_color(ax, 0.6),
            "linewidth": 1,
            "zorder": 1,
            "label": f"All: {100 * self.coverage_:.1f} %",
        }
        self.lines_.append(ax.axhline(100 * self.coverage_, **kw))
        names, boxes = [name for name in _STYLES if getattr(self, name) is not None], []
        for place, name in enumerate(names):
            table = getattr(self, name)
            shares, n_ratings = table.coverage, table.n_ratings
            low, high = _wilson_interval(shares, n_ratings)
            apart = min(_APART, 22.5 / self.n_bins)
            x = 100 * (np.cumsum(n_ratings) - n_ratings / 2) / n_ratings.sum() + apart * (place - (len(names) - 1) / 2)
            self._plot_points(ax, name, (x, 100 * shares), 100 * np.abs([shares - low, high - shares]), errorbar_kw)
            boxes.append(np.column_stack([x, 100 * low, x, 100 * high]))
        ax.set(xlim=(0, 100), xticks=(0, 50, 100), ylabel=f"In the {asked} interval (%)")
        ax.set_xlabel("Ratings sorted,\nlow to high (%)")
        boxes += [np.array([[0, share, 100, share]]) for share in (100 * self.confidence, 100 * self.coverage_)]
        ends = np.vstack(boxes)
        first, last = ends[:, 1].min() - 2, min(float(ends[:, 3].max()) + 2, 101)
        ax.set_ylim(min(first, max(last - _LEAST_SPAN_OF_SHARES, -1)), max(last, _LEAST_SPAN_OF_SHARES - 1))
        places = ["lower left", "lower right", "upper left", "upper right"]
        self.legends_.append(add_legend(ax, {"loc": places}, legend_kw, ends))
        first, last = ax.get_ylim()
        ax.set_yticks([tick for tick in ax.get_yticks() if max(first, 0) <= tick <= min(last, 100)])

    def _plot_points(
        self, ax: Axes, name: str, points: tuple, half_widths: np.ndarray, errorbar_kw: dict[str, Any] | None
    ) -> None:
        """Draw points and their intervals in the style of a table."""
        from matplotlib.lines import Line2D

        marker, color, label = _STYLES[name]
        kw: dict[str, Any] = {"capsize": 2, "label": label}
        if "fmt" not in (errorbar_kw or {}):  # fmt sets all of these
            kw |= {"color": color, "marker": marker, "linestyle": ""}
        x, y = points
        self.errorbars_.append(ax.errorbar(x, y, half_widths, **merge_style(kw, errorbar_kw, Line2D)))


def _check_deviations(y_std: Any, n_ratings: int) -> np.ndarray:
    """Check that deviations are finite numbers above 0, one for each rating, and return them as float64."""
    is_masked = np.ma.getmaskarray(y_std) if np.ma.isMaskedArray(y_std) else False
    values = as_floats(y_std, "y_std")
    if values.shape != (n_ratings,):
        raise ValueError(f"y_std.shape == {values.shape}, expected {(n_ratings,)}: give one deviation for each rating.")
    for bad, what in (
        (~np.isfinite(values) | is_masked, "missing, NaN or infinite"),
        (values <= 0, "zero or negative"),
    ):
        rows = np.flatnonzero(bad)
        if len(rows):
            raise ValueError(
                f"y_std must be finite and above 0: {len(rows)} of {n_ratings} deviations are {what}, the first at row "
                f"{rows[0]} ({values[rows[0]]:g})."
            )
    return values


def _check_confidence(confidence: Any) -> float:
    """Check a share above 0 and below 1, and return it."""
    if not isinstance(confidence, Real) or isinstance(confidence, bool) or not 0 < float(confidence) < 1:
        raise ValueError(f"confidence={confidence!r} must be a number above 0 and below 1, such as 0.9 for 90 %.")
    return float(confidence)


def _choose_edges(values: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the first value of each bin except the lowest, for bins of about equal counts."""
    n_bins = min(n_bins, len(values))
    return np.unique(np.quantile(values, np.arange(1, n_bins) / n_bins, method="higher"))


def _wilson_interval(shares: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute 95 % intervals of shares of n ratings."""
    z = 1.96
    middle = (shares + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(shares * (1 - shares) / n + (z / (2 * n)) ** 2)
    return middle - half, middle + half


def _style_of_line(ax: Axes, line_kw: dict[str, Any] | None, label: str) -> dict[str, Any]:
    """Choose the style of a line that points should lie on."""
    from matplotlib.lines import Line2D

    kw: dict[str, Any] = {"color": ink_color(ax), "linestyle": "--", "linewidth": 1, "zorder": 1, "label": label}
    return merge_style(kw, line_kw, Line2D)
