"""Draw a map of the items from their factors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA

from sklearn_mf._ids.factorize import factorize
from sklearn_mf._ids.levels import find_ids
from sklearn_mf._ids.tables import split_ids
from sklearn_mf.plotting._labels import place_labels, shorten
from sklearn_mf.plotting._lookup import choose_texts, names_of_pair, split_user_and_item
from sklearn_mf.plotting._shared import (
    as_floats,
    as_list,
    background_color,
    check_whole_number,
    find_fitted_model,
    ink_color,
    is_light,
    make_axes_if_none,
    merge_style,
    require_matplotlib,
    small_font_size,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.text import Annotation, Text
    from typing_extensions import Self

_ORIGIN_OF_IDS = "the model was fitted on"  # in messages about ids of another kind
_MAX_VECTOR_POINTS = 2_000  # more are drawn as pixels in SVG and PDF files
_PLACING_PROPERTIES = {"horizontalalignment", "verticalalignment", "xytext", "textcoords", "xycoords"}


class ItemMapDisplay:
    """Draw a map of the items: a point for each item, from the factors of the model.

    Items that the same users like are close together. The axes are the first two principal components [1]_ of
    ``item_factors_``, which show the most of their variance. Colors are item biases. Darker points have higher biases,
    so users in general like these items more. On a dark background, lighter points have higher biases.

    A label that would cover another label is moved, or left out if there is no free place. A note above the map says
    how many labels fit. Use :meth:`from_estimator` to create a display of a fitted model. All parameters are stored as
    attributes.

    Parameters
    ----------
    coordinates : array-like of shape (n_items, 2)
        Position of each item, finite.

    explained_variance_ratio : array-like of shape (2,)
        Share of the variance that each axis shows, between 0 and 1.

    biases : array-like of shape (n_items,), default=None
        Item biases, for the colors. With None, or if all are equal, all points have the same color.

    labeled : array-like of shape (n_labels,), int, default=()
        Rows of ``coordinates`` that get a label, the most important first.

    labels : sequence of str of length n_labels, default=()
        Text of each label.

    asked : bool, default=False
        Whether the caller chose these items. If so, each of them gets a ring, even if its label does not fit, and a
        label may be far from its point.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes drawn into.

    figure_ : matplotlib Figure
        Figure with the axes.

    scatter_ : matplotlib PathCollection
        A point for each item.

    rings_ : matplotlib PathCollection or None
        Rings around the points with a label. With ``asked``, around all points of ``labeled``.

    text_ : list of matplotlib Annotation
        The labels that fit.

    note_ : matplotlib Text or None
        Note above the map, such as "12 of 14 labels fit". None if all labels fit.

    colorbar_ : matplotlib Colorbar or None
        Color bar of the biases.

    Raises
    ------
    ValueError
        If shapes do not match, or numbers are NaN or infinite.

    References
    ----------
    .. [1] Jolliffe, I. T., "Principal component analysis", second edition, Springer, 2002.

    Examples
    --------
    >>> from sklearn_mf import MatrixFactorizationRegressor
    >>> from sklearn_mf.datasets import make_ratings
    >>> from sklearn_mf.plotting import ItemMapDisplay
    >>> X, y = make_ratings(200, 100, 4_000, random_state=0, return_X_y=True)
    >>> model = MatrixFactorizationRegressor(rank=4, random_state=0).fit(X, y)
    >>> display = ItemMapDisplay.from_estimator(
    ...     model, items=[3, 14], labels={3: "Alien", 14: "Brazil"}
    ... )
    >>> [text.get_text() for text in display.text_]
    ['Alien', 'Brazil']
    """

    coordinates: NDArray[np.float64]
    explained_variance_ratio: NDArray[np.float64]
    biases: NDArray[np.float64] | None
    labeled: NDArray[np.intp]
    labels: list[str]
    asked: bool
    ax_: Axes
    figure_: Figure | SubFigure
    scatter_: PathCollection
    rings_: PathCollection | None
    text_: list[Annotation]
    note_: Text | None
    colorbar_: Colorbar | None

    def __init__(
        self,
        *,
        coordinates: ArrayLike,
        explained_variance_ratio: ArrayLike,
        biases: ArrayLike | None = None,
        labeled: ArrayLike = (),
        labels: ArrayLike = (),
        asked: bool = False,
    ):
        self.coordinates = as_floats(coordinates, "coordinates")
        self.explained_variance_ratio = as_floats(explained_variance_ratio, "explained_variance_ratio")
        self.biases = None if biases is None else as_floats(biases, "biases")
        rows = as_floats(labeled, "labeled")
        if (rows != np.round(rows)).any():
            raise ValueError("labeled must be whole numbers: rows of coordinates.")
        self.labels = [str(label) for label in as_list(labels, "labels")]
        self.asked = asked
        n_items = len(self.coordinates) if self.coordinates.ndim else 0
        if self.coordinates.shape != (n_items, 2) or self.explained_variance_ratio.shape != (2,):
            raise ValueError(
                f"coordinates.shape == {self.coordinates.shape} and explained_variance_ratio.shape == "
                f"{self.explained_variance_ratio.shape}, expected (n_items, 2) and (2,)."
            )
        if self.biases is not None and self.biases.shape != (n_items,):
            raise ValueError(f"biases.shape == {self.biases.shape}, expected {(n_items,)}: give one for each item.")
        for name in ("coordinates", "explained_variance_ratio", "biases"):
            bad = np.argwhere(~np.isfinite(np.zeros(0) if getattr(self, name) is None else getattr(self, name)))
            if len(bad):
                raise ValueError(f"{name} has NaN or infinity, the first in row {bad[0, 0]}.")
        if rows.shape != (len(self.labels),):
            raise ValueError(
                f"labeled has {rows.size} rows, but labels has {len(self.labels)} texts. Give one text for each row."
            )
        outside = (rows < 0) | (rows >= n_items)
        if outside.any():
            raise ValueError(f"labeled has row {rows[outside][0]:.0f}, but coordinates has rows 0 to {n_items - 1}.")
        self.labeled = rows.astype(np.intp)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        items: Any = None,
        labels: Any = None,
        n_labels: int = 30,
        X_train: Any = None,
        **plot_kw: Any,
    ) -> Self:
        """Draw the items of a fitted model.

        Parameters
        ----------
        estimator : estimator
            Fitted estimator with ``categories_``, ``item_factors_`` and ``item_biases_``, or a pipeline or search that
            ends in one.

        items : sequence of ids, default=None
            Items that get a label, the most important first. All of them get a ring. If there is no free place near a
            point, a line leads from the point to its label. If there is no free place at all, the label is left out.
            With None, the display chooses ``n_labels`` items.

        labels : dict, Series or array-like, default=None
            Texts of the labels. A dict has the texts by id, and a pandas Series has them by index. Items without a
            text get their id. Any other sequence has a text for each of ``items``. If ``items`` is None, it has a text
            for each of ``categories_[1]``. None writes the ids. Longer texts are cut to ``max_label_length``
            characters.

        n_labels : int, default=30
            Largest number of labels if ``items`` is None, at least 0. There are fewer if not all of them fit.

        X_train : array-like or dataframe of shape (n_ratings, n_columns), default=None
            Training pairs. With them, the items with the most ratings get the labels. The item is column 1. In a data
            frame, it is the column with the name that ``fit`` saw, with or without the prefix of a
            ``ColumnTransformer``. With None, the items farthest from the center of the map get the labels.

        **plot_kw : keywords of :meth:`plot`
            For example ``max_label_length``.

        Returns
        -------
        display : ItemMapDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        AttributeError
            If the estimator has no item factors.
        ValueError
            If ``rank`` is below 2, all factors are equal, an item is unknown, or lengths do not match.
        """
        require_matplotlib(cls.__name__)
        model = find_fitted_model(estimator, ("categories_", "item_factors_", "item_biases_"), cls.__name__)
        factors, ids = np.asarray(model.item_factors_, dtype=np.float64), model.categories_[1]
        if factors.shape[1] < 2:
            raise ValueError(f"The model has rank={factors.shape[1]}, but a map needs rank >= 2.")
        if len(factors) < 2 or not factors.std(axis=0).any():
            raise ValueError("The factors of all items are equal, so there is no map to draw.")
        check_whole_number(n_labels, "n_labels", at_least=0)
        pca = PCA(2, svd_solver="full")
        coordinates = pca.fit_transform(factors)
        if items is not None:
            chosen = _find_rows(items, ids)
        elif X_train is not None:
            chosen = _find_largest(_count_ratings(ids, X_train, names_of_pair(estimator), cls.__name__), n_labels)
        else:
            chosen = _find_largest(np.hypot(*coordinates.T), n_labels)
        all_ids = ids.tolist() if ids.dtype.kind != "M" else list(ids)
        shown = [all_ids[row] for row in chosen]
        aligned_with = (all_ids, "categories_[1]") if items is None else (shown, "items")
        return cls(
            coordinates=coordinates,
            explained_variance_ratio=pca.explained_variance_ratio_,
            biases=model.item_biases_,
            labeled=chosen,
            labels=choose_texts(shown, labels, *aligned_with),
            asked=items is not None,
        ).plot(**plot_kw)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        max_label_length: int = 32,
        colorbar: bool = True,
        scatter_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the points, rings and labels.

        Set the size of the figure before you call this method, because labels are placed for the current size.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into. None makes a new figure.

        max_label_length : int, default=32
            Longest label in characters, at least 2. Longer labels are cut.

        colorbar : bool, default=True
            Whether to draw a color bar of the biases.

        scatter_kw : dict, default=None
            Keywords of ``Axes.scatter`` for the points. More than 2,000 points are ``rasterized``, to keep files small.

        text_kw : dict, default=None
            Keywords of ``Axes.annotate`` for the labels, except those for positions. ``arrowprops`` is for the lines
            to labels that are far from their points. ``{"arrowprops": None}`` draws no lines.

        Returns
        -------
        display : ItemMapDisplay
            This object.
        """
        require_matplotlib(type(self).__name__)
        check_whole_number(max_label_length, "max_label_length", at_least=2)
        _refuse_placing(text_kw)
        ax = make_axes_if_none(ax)
        self.ax_, self.figure_ = ax, ax.figure
        self._plot_points(scatter_kw, colorbar)
        ax.margins(x=0.15, y=0.08)  # room for labels
        share = [f"{100 * ratio:.0f} %" for ratio in self.explained_variance_ratio]
        ax.set(xlabel=f"Direction 1 ({share[0]} of variance)", ylabel=f"Direction 2 ({share[1]} of variance)")
        self._plot_labels([shorten(label, max_label_length) for label in self.labels], text_kw)
        return self

    def _plot_points(self, scatter_kw: dict[str, Any] | None, colorbar: bool) -> None:
        """Draw the points, colored by biases, and the color bar."""
        import matplotlib as mpl
        from matplotlib.collections import PathCollection
        from matplotlib.markers import MarkerStyle

        ax, n_items = self.ax_, len(self.coordinates)
        given = merge_style({}, scatter_kw, PathCollection)
        width, height = np.array(ax.get_window_extent().size) * 72 / ax.figure.dpi
        size = np.clip(0.12 * width * height / max(n_items, 1), 3, 25)  # of a point, in points squared
        kw: dict[str, Any] = {"s": size, "zorder": 2, "rasterized": n_items > _MAX_VECTOR_POINTS}
        if MarkerStyle(given.get("marker", mpl.rcParams["scatter.marker"])).is_filled():
            kw |= {"linewidth": 0.2, "edgecolor": ink_color(ax, 0.65)}
        is_colored = not {"c", "color", "facecolor"} & set(given)
        has_biases = is_colored and self.biases is not None and np.ptp(self.biases) > 0
        if has_biases:
            kw |= {"c": self.biases, "cmap": "YlGnBu" if is_light(background_color(ax)) else "YlGnBu_r"}
        elif is_colored:
            kw["facecolor"] = ink_color(ax, 0.4)
        self.scatter_ = ax.scatter(*self.coordinates.T, **merge_style(kw, given, PathCollection))
        self.colorbar_ = None
        if colorbar and self.scatter_.get_array() is not None:
            self.colorbar_ = ax.figure.colorbar(self.scatter_, ax=ax, label="Item bias" if has_biases else "")

    def _plot_labels(self, texts: list[str], text_kw: dict[str, Any] | None) -> None:
        """Draw labels where they find a place, and rings around their points."""
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.patheffects import withStroke
        from matplotlib.text import Text

        ax, behind_text = self.ax_, background_color(self.ax_)
        given = dict(text_kw or {})
        line_kw = given.pop("arrowprops", {})
        kw: dict[str, Any] = {"fontsize": small_font_size(), "color": ink_color(ax), "zorder": 4, "parse_math": False}
        kw["path_effects"] = [withStroke(linewidth=2, foreground=behind_text)]
        text_kw = merge_style(kw, given, Text)
        if line_kw is not None:
            kw = {"arrowstyle": "-", "edgecolor": text_kw["color"], "linewidth": 0.6, "shrinkA": 0}
            kw["path_effects"] = [withStroke(linewidth=1.6, foreground=behind_text)]
            line_kw = merge_style(kw, line_kw, FancyArrowPatch)
        areas = 2 * np.resize(self.scatter_.get_sizes(), len(self.coordinates)) + 5  # of rings, in points squared
        to_place = ax, self.coordinates, np.sqrt(areas) / 2, self.labeled, texts, text_kw, line_kw, self.asked
        placed, n_labels = place_labels(*to_place), len(set(self.labeled.tolist()))
        self.note_ = None
        if len(placed) < n_labels:
            for text in placed.values():
                text.remove()
            self.note_ = _write_note(ax, f"00 of {n_labels} labels fit")  # first, as it takes room
            placed = place_labels(*to_place)
            self.note_.set_text(f"{len(placed)} of {n_labels} labels fit")
        self.text_ = list(placed.values())
        rows = self.labeled if self.asked else list(placed)
        self.rings_ = None
        if len(rows):
            kw = {"s": areas[rows], "facecolors": "none", "edgecolors": ink_color(ax), "linewidths": 0.8, "zorder": 3}
            self.rings_ = ax.scatter(*self.coordinates[rows].T, **kw)


def _write_note(ax: Axes, text: str) -> Text:
    """Write a note above the axes, where it covers neither points nor a title in the middle."""
    place: Literal["left", "right"] = "left" if ax.get_title(loc="right") else "right"
    return ax.set_title(text, loc=place, fontsize=small_font_size(), fontweight="normal")


def _refuse_placing(text_kw: dict[str, Any] | None) -> None:
    """Refuse keywords that would move labels away from the places found for them."""
    from matplotlib.text import Text

    given = sorted(_PLACING_PROPERTIES & set(merge_style({}, text_kw, Text)))
    if given:
        raise ValueError(f"text_kw has {', '.join(given)}: the display chooses the positions of labels. Leave it out.")


def _find_rows(items: Any, ids: np.ndarray) -> np.ndarray:
    """Find the rows of the items asked for among the ids of the model."""
    column = split_ids(items, "items")
    if not len(column):
        return np.empty(0, dtype=np.intp)
    levels, codes = factorize(column)
    places = find_ids("items", levels, ids, _ORIGIN_OF_IDS)
    unknown = levels[places < 0].tolist()
    if unknown:
        shown = ", ".join(map(repr, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        raise ValueError(f"items has {len(unknown)} ids that the model was not fitted on: {shown}. Leave them out.")
    return places[codes]


def _count_ratings(ids: np.ndarray, X_train: Any, known: list[list[str]], display: str) -> np.ndarray:
    """Count the training ratings of each item of the model, given the known names of users and items."""
    items = split_user_and_item(X_train, "X_train", display, known)[1]
    levels, codes = factorize(items)
    places = find_ids(items.label, levels, ids, _ORIGIN_OF_IDS)
    counts = np.zeros(len(ids), dtype=np.int64)
    is_known = places >= 0
    counts[places[is_known]] = np.bincount(codes)[is_known]
    return counts


def _find_largest(values: np.ndarray, n_largest: int) -> np.ndarray:
    """Find the places of the largest values, the largest first."""
    return np.argsort(-values, kind="stable")[:n_largest]
