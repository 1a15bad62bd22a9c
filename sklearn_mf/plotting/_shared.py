"""Provide axes, legends, styles, colors and checks for the displays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from sklearn_mf._ids.checks import check_ratings
from sklearn_mf._ids.rows import warn_of_other_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend

# An axis or a range of colors spans at least this share of its largest value, so that small differences look small.
LEAST_SPAN = 0.1
_GAP_OF_LEGEND = 6.0  # pixels between a legend and the data
_MOST_ROOM_FOR_LEGEND = 0.6  # of the height of the axes
_LEAST_CONTRAST_OF_TEXT = 4.5  # level AA of WCAG 2.2

# Properties that set other properties. If the caller gives one, the others get no defaults.
_PROPERTIES_SET_BY = {"color": ("edgecolor", "facecolor"), "fontproperties": ("fontsize", "fontweight")}


def require_matplotlib(name: str) -> None:
    """Raise an error that says what to install if matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f'{name} draws with matplotlib, which is not installed. Install it with: pip install "sklearn-mf[plot]"'
        ) from error


def make_axes_if_none(ax: Axes | None) -> Axes:
    """Return the axes given, or those of a new figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def make_two_axes_if_none(ax: Sequence[Axes] | np.ndarray | None, sharey: bool = False) -> np.ndarray:
    """Return the two axes given, or those of a new figure."""
    if ax is None:
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(1, 2, sharey=sharey, layout="constrained")
        figure.align_xlabels(axes)
        return axes
    axes = np.ravel(np.array(ax, dtype=object))
    if len(axes) != 2:
        example = "plt.subplots(1, 2, sharey=True)[1]" if sharey else "plt.subplots(1, 2)[1]"
        raise ValueError(f"ax has {len(axes)} axes; give two, as from {example}.")
    return axes


def settle_layout(ax: Axes) -> None:
    """Give axes their final size and limits, so that texts can be measured in them."""
    figure = ax.figure.figure  # the whole figure, if the axes are in a subfigure
    if figure.get_layout_engine() is not None:  # the layout engine works only while drawing
        figure.draw_without_rendering()
    ax.autoscale_view()


def small_font_size() -> float:
    """Return the font size, in points, where there are many texts: smaller than other text, but still readable."""
    import matplotlib as mpl

    return max(0.85 * mpl.rcParams["font.size"], 6.0)


def widen(low: float, high: float) -> tuple[float, float]:
    """Widen a range of values about its middle, if its span is a small share of the largest value."""
    missing = LEAST_SPAN * max(abs(low), abs(high)) - (high - low)
    return (low - missing / 2, high + missing / 2) if missing > 0 else (low, high)


def add_legend(ax: Axes, defaults: dict[str, Any], given: dict[str, Any] | None, boxes: np.ndarray) -> Legend:
    """Add a legend at the first place of ``defaults["loc"]`` where it covers no data. The limits must be final.

    If the legend covers data at each place, it goes to the first place, and the vertical limits make room for it. A
    legend that is wider than the axes gets smaller letters. ``boxes`` hold the data, in data units. A place that the
    caller gave is kept.
    """
    kw: dict[str, Any] = {"handlelength": 1.5, **defaults, **(given or {})}
    places = [kw["loc"]] if "loc" in (given or {}) else list(defaults["loc"])
    legend = _make_legend(ax, {**kw, "loc": places[0]})
    room = 0.94 * ax.get_window_extent().width / legend.get_window_extent().width
    if room < 1 and not {"fontsize", "prop"} & set(kw):
        size = room * legend.prop.get_size_in_points()
        kw = {"fontsize": size, "title_fontsize": size, **kw}
        legend = _make_legend(ax, {**kw, "loc": places[0]})
    if "loc" in (given or {}) or "bbox_to_anchor" in (given or {}):
        return legend
    for place in places:
        legend = _make_legend(ax, {**kw, "loc": place})
        if not _covers(ax, legend, boxes):
            return legend
    legend = _make_legend(ax, {**kw, "loc": places[0]})
    _make_room(ax, legend, boxes, below=places[0].startswith("lower"))
    return legend


def _make_legend(ax: Axes, kw: dict[str, Any]) -> Legend:
    """Make a new legend of axes, and settle its place."""
    legend = ax.legend(**kw)
    legend.set_in_layout(False)  # otherwise a wide legend would make the axes narrow
    settle_layout(ax)
    return legend


def _covers(ax: Axes, legend: Legend, boxes: np.ndarray) -> bool:
    """Tell whether a legend covers one of these boxes of data, each (left, bottom, right, top)."""
    low, high = (ax.transData.transform(corners) for corners in (boxes[:, :2], boxes[:, 2:]))
    frame = legend.get_window_extent().padded(_GAP_OF_LEGEND)
    return bool(((low < frame.max) & (high > frame.min)).all(axis=1).any())


def _make_room(ax: Axes, legend: Legend, boxes: np.ndarray, below: bool) -> None:
    """Extend the vertical limits, which must be linear, so that all data lies above or below a legend."""
    height = legend.get_window_extent().height + 2.5 * _GAP_OF_LEGEND
    share = min(height / ax.get_window_extent().height, _MOST_ROOM_FOR_LEGEND)
    low, high = ax.get_ylim()
    if below:
        ax.set_ylim(min(low, high - (high - boxes[:, 1].min()) / (1 - share)), high)
    else:
        ax.set_ylim(low, max(high, low + (boxes[:, 3].max() - low) / (1 - share)))


def merge_style(defaults: dict[str, Any], given: dict[str, Any] | None, artist: type) -> dict[str, Any]:
    """Replace defaults by the properties that the caller gave, under any of their names ("lw", "linewidth")."""
    from matplotlib.cbook import normalize_kwargs

    defaults, given = normalize_kwargs(defaults, artist), normalize_kwargs(given or {}, artist)
    replaced = {part for name, parts in _PROPERTIES_SET_BY.items() if name in given for part in parts}
    return {**{name: value for name, value in defaults.items() if name not in replaced}, **given}


def background_color(ax: Axes) -> np.ndarray:
    """Compute the RGB color behind a drawing. Axes and figure may be transparent, and the paper is white."""
    from matplotlib.colors import to_rgba

    color = np.ones(3)
    for patch in (ax.figure.figure.patch, ax.figure.patch, ax.patch):
        *rgb, alpha = to_rgba(patch.get_facecolor())
        color = (1 - alpha) * color + alpha * np.array(rgb)
    return color


def ink_color(ax: Axes, share: float = 1.0) -> tuple[float, ...]:
    """Compute the RGB color of text, or of a shade between the background (0) and text (1)."""
    import matplotlib as mpl
    from matplotlib.colors import to_rgb

    return tuple(share * np.array(to_rgb(mpl.rcParams["text.color"])) + (1 - share) * background_color(ax))


def is_light(rgb: ArrayLike) -> bool:
    """Tell whether black text has more contrast than white text on this color."""
    return _contrast(rgb, np.zeros(3)) > _contrast(rgb, np.ones(3))


def text_color(ax: Axes, color: Any) -> tuple[float, float, float]:
    """Mix a color with the color of text, just so much that text has enough contrast with the background."""
    import matplotlib as mpl
    from matplotlib.colors import to_rgb

    rgb, ink, behind = np.array(to_rgb(color)), np.array(to_rgb(mpl.rcParams["text.color"])), background_color(ax)
    mixed = [(1 - share) * rgb + share * ink for share in np.linspace(0, 1, 21)]
    red, green, blue = next((mix for mix in mixed if _contrast(mix, behind) >= _LEAST_CONTRAST_OF_TEXT), ink)
    return float(red), float(green), float(blue)


def _contrast(rgb: ArrayLike, other: ArrayLike) -> float:
    """Compute the contrast of two colors, from 1 to 21, by WCAG 2.2."""
    colors = np.array([rgb, other])
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    dark, light = np.sort(linear @ [0.2126, 0.7152, 0.0722])
    return float((light + 0.05) / (dark + 0.05))


def find_fitted_model(estimator: Any, attributes: tuple[str, ...], display: str) -> Any:
    """Find the estimator with these attributes: the given one, the last step of a pipeline or the best of a search."""
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
                f"{display} needs {', '.join(missing)}, but {type(model).__name__} does not have it. Give a fitted "
                "MatrixFactorizationRegressor, or a pipeline or search that ends in one."
            )
    return model


def check_true_and_predicted(y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    """Check true and predicted ratings, and return them as float64."""
    if as_array(y_true, "y_true").ndim == 0 or not len(y_true):
        raise ValueError("y_true must be a list or array of at least one rating.")
    n_rows = len(y_true)
    true = check_ratings(y_true, n_rows, "y_true", "y_true")
    warn_of_other_order(y_true, "y_true", y_pred=y_pred)
    _check_predictions(y_pred)
    predicted = check_ratings(y_pred, n_rows, "y_pred", "y_true")
    return true.astype(np.float64), predicted.astype(np.float64)


def as_array(values: Any, name: str) -> np.ndarray:
    """Make an array of an argument, and refuse rows of different lengths."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be an array of numbers with rows of equal length: {error}.") from error


def as_floats(values: Any, name: str) -> np.ndarray:
    """Make a float64 array of an argument, and refuse values that are not numbers."""
    array = as_array(values, name)
    try:
        if array.dtype.kind not in "biufO":
            raise TypeError(f"it holds {array.dtype}")
        with np.errstate(over="ignore"):
            return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be an array of numbers: {error}.") from error


def as_list(values: Any, name: str) -> list:
    """Make a list of an argument, and refuse values without an order."""
    if not isinstance(values, Iterable) or isinstance(values, (str, bytes)):
        raise TypeError(f"{name} must be a list or array, not {type(values).__name__}.")
    return list(values)


def _check_predictions(y_pred: Any) -> None:
    """Refuse predictions that are NaN or infinite, and say why a model may predict them."""
    if np.ma.isMaskedArray(y_pred):
        return
    try:
        values = as_floats(y_pred, "y_pred")
    except ValueError:
        return  # not numbers, which check_ratings refuses
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ValueError(
            f"y_pred has {len(bad)} of {values.size} predictions that are NaN or infinite, the first at row {bad[0]}. "
            'A model with handle_unknown="nan" predicts NaN for ids that it does not know: leave these rows out.'
        )


def check_whole_number(value: Any, name: str, at_least: int) -> None:
    """Refuse values that are not whole numbers, such as 1.5 and True."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < at_least:
        raise ValueError(f"{name}={value!r} must be a whole number, {at_least} or more.")


def root_mean_square(errors: np.ndarray) -> float:
    """Compute the root of the mean squared error."""
    return float(np.sqrt(np.mean(errors**2)))


def format_three_digits(value: float) -> str:
    """Write a number with three significant digits."""
    return f"{value:#.3g}".removesuffix(".")
