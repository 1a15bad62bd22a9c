"""Write labels beside points so that they do not cover each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sklearn_mf.plotting._geometry import (
    boxes_overlap,
    lines_cross_boxes,
    lines_cross_lines,
    make_boxes_around,
    make_boxes_within,
    make_lines,
    make_squares,
    measure_angles,
)
from sklearn_mf.plotting._shared import settle_layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

# Distances are in typographic points.
_GAPS = (1.5, 8.0, 15.0, 23.0, 32.0, 42.0)  # between a label and its ring; from the second on with a line
_STEP_OF_GRID = 6.0  # between places anywhere in the axes
_CROWD_RADIUS = 18.0  # around a point
_MAX_NEIGHBORS = 3  # in this radius; more leave no place for labels close by
_MARGIN_OF_LABEL = 1.5  # between labels
_MARGIN_OF_RING = 5.0  # between a label without a line and rings of other points, so that it is clear whose label it is
_START_OF_LINE = 8.0  # from the start of a line: there it may cross rings of other points
_MARGIN_OF_LINE = 1.0  # between a line and labels or rings of other points
_MAX_GRID_PLACES = 1_000  # number of cheapest places of the grid that are checked
_MAX_COMPARED_PLACES = 150  # number of cheapest free places for which covered points are counted
_HALO = 1.0  # width of the rim around letters, which hides points too
_COST_OF_GAP = 0.04  # for each point of a gap, if covering a point of the map costs 1
_WEIGHT_OF_RING = 20.0  # cost of covering a point that gets a label


def shorten(text: str, width: int) -> str:
    """Cut a text to at most ``width`` characters, between words if at least half of the width is left."""
    text = " ".join(text.split())
    if len(text) <= width:
        return text
    cut = text[: width - 1]
    between_words = cut if text[width - 1] == " " else cut.rsplit(" ", 1)[0]
    return (between_words if len(between_words) >= width / 2 else cut).rstrip(" ,;:-(.…") + "…"


def place_labels(
    ax: Axes,
    points: np.ndarray,
    radii: np.ndarray,
    labeled: np.ndarray,
    texts: list[str],
    text_kw: dict[str, Any],
    line_kw: dict[str, Any] | None,
    asked: bool,
) -> dict[int, Annotation]:
    """Write ``texts`` beside ``points[labeled]``, in this order, and leave out those without a free place.

    This is a greedy search over a fixed list of places, as in Christensen, Marks and Shieber (1995). A place is free if
    it is inside the axes and covers no label, line or ring of an earlier label. The label gets the free place that
    covers the fewest points; a near place may cover one or two more than a far one. With ``asked``, labels cover none
    of the points in ``labeled``, and may go anywhere in the axes. ``radii`` are the radii of the rings. Returns the
    placed labels by row of ``points``. The search uses pixels, so it is right only for the current size of the figure.
    """
    settle_layout(ax)
    places = _FreePlaces(ax, points, radii, labeled, asked)
    placed: dict[int, Annotation] = {}
    for row, text in zip(labeled.tolist(), texts, strict=True):
        if row in placed:
            continue
        size = _measure_text(ax, text, text_kw)
        found = places.take(row, size)
        if found is None:
            continue
        box, has_line = found
        offset = (box[:2] - places.centers[row]) / places.pixels_per_point
        kw: dict[str, Any] = {"xytext": offset, "textcoords": "offset points", "ha": "left", "va": "bottom"}
        if has_line and line_kw is not None:
            relpos = np.clip(-offset * places.pixels_per_point / size, 0, 1)
            kw["arrowprops"] = {"shrinkB": radii[row], "relpos": relpos, **line_kw}
        placed[row] = ax.annotate(text, (points[row, 0], points[row, 1]), **kw, **text_kw)
    return placed


def _measure_text(ax: Axes, text: str, text_kw: dict[str, Any]) -> np.ndarray:
    """Measure the width and height of a text in pixels."""
    trial = ax.annotate(text, (0.5, 0.5), xycoords="axes fraction", **text_kw)
    size = np.array(trial.get_window_extent().size)
    trial.remove()
    return size


class _FreePlaces:
    """Find free places for labels, in pixels; one label after another takes its own."""

    def __init__(self, ax: Axes, points: np.ndarray, radii: np.ndarray, labeled: np.ndarray, asked: bool):
        self.pixels_per_point = ax.figure.dpi / 72
        self.margin = self.pixels_per_point * _MARGIN_OF_LABEL
        self.frame = ax.get_window_extent().padded(-self.margin)
        self.centers = ax.transData.transform(points)
        self.radii = self.pixels_per_point * radii
        self.rings = make_squares(self.centers, self.radii[:, None])
        self.marks = make_squares(self.centers, 0.7 * self.radii[:, None])  # a point fills so much of its ring
        self.weights = np.ones(len(points))
        self.weights[labeled] = _WEIGHT_OF_RING
        self.asked = asked
        self.ringed = labeled.tolist() if asked else []  # rows whose rings are drawn
        self.boxes, self.lines = np.empty((0, 4)), np.empty((0, 4))  # of the labels placed

    def take(self, row: int, size: np.ndarray) -> tuple[np.ndarray, bool] | None:
        """Take a free place for a label. Return its box and whether it needs a line, or None if no place is free."""
        others = [other for other in self.ringed if other != row]
        box, has_line = None, True
        if not self._is_in_crowd(row, others) and (self.asked or not self._is_hidden(row)):
            box, has_line = self._find_near(row, size, others)
        if box is None and self.asked:
            box, has_line = self._find_anywhere(row, size, others), True
        if box is None:
            return None
        self.boxes = np.vstack([self.boxes, box])
        if has_line:
            self.lines = np.vstack([self.lines, make_lines(self.centers[row], box[None])])
        if not self.asked:
            self.ringed.append(row)
        return box, has_line

    def _is_in_crowd(self, row: int, others: list[int]) -> bool:
        """Tell whether a chosen point has so many others around it that no label fits close to it."""
        distances = np.hypot(*(self.centers[others] - self.centers[row]).T)
        n_near = np.count_nonzero(distances < self.pixels_per_point * _CROWD_RADIUS)
        return self.asked and bool(n_near > _MAX_NEIGHBORS)

    def _is_hidden(self, row: int) -> bool:
        """Tell whether a label or a line covers the ring of a point."""
        ring = self.rings[[row]]
        is_covered = boxes_overlap(ring, self.boxes, self.margin).any()
        return bool(is_covered or lines_cross_boxes(self.lines, ring, 0).any())

    def _find_near(self, row: int, size: np.ndarray, others: list[int]) -> tuple[np.ndarray | None, bool]:
        """Find the cheapest place around the point. Return it and whether it needs a line."""
        found = [self._find_at(row, size, others, gap) for gap in _GAPS]
        places = np.vstack(found)
        gaps = np.repeat(_GAPS, list(map(len, found)))
        best = self._choose_cheapest(places, _COST_OF_GAP * gaps)
        return (None, True) if best is None else (places[best], bool(gaps[best] > _GAPS[0]))

    def _find_at(self, row: int, size: np.ndarray, others: list[int], gap: float) -> np.ndarray:
        """Find all free places around the point, at this distance from its ring."""
        has_line = gap > _GAPS[0]
        if not has_line and boxes_overlap(self.rings[[row]], self.boxes, self.pixels_per_point * _MARGIN_OF_RING).any():
            return np.empty((0, 4))  # another label is so near that it would seem to belong to this point
        places = make_boxes_around(self.centers[row], size, self.radii[row] + self.pixels_per_point * gap)
        places = places[self._are_free(places, others, _MARGIN_OF_LABEL if has_line else _MARGIN_OF_RING)]
        if has_line:
            lines = make_lines(self.centers[row], places)
            places = places[~self._cross_labels(lines) & ~self._cross_lines_or_rings(lines, row, others)]
        return places

    def _find_anywhere(self, row: int, size: np.ndarray, others: list[int]) -> np.ndarray | None:
        """Find a place that is near and looks small from the point, so that labels of its neighbors fit, too."""
        places = make_boxes_within(
            np.array(self.frame.min), np.array(self.frame.max), size, self.pixels_per_point * _STEP_OF_GRID
        )
        places = places[self._are_free(places, [row, *others], _MARGIN_OF_LABEL)]
        lines = make_lines(self.centers[row], places)
        lengths = np.hypot(*(lines[:, 2:] - lines[:, :2]).T) / self.pixels_per_point
        costs = lengths + measure_angles(self.centers[row], places)
        cheapest = np.argsort(costs, kind="stable")[:_MAX_GRID_PLACES]
        cheapest = cheapest[~self._cross_labels(lines[cheapest])]
        is_crossing = self._cross_lines_or_rings(lines[cheapest], row, others)
        if not is_crossing.all():
            cheapest = cheapest[~is_crossing]
        best = self._choose_cheapest(places[cheapest], costs[cheapest])
        return None if best is None else places[cheapest[best]]

    def _are_free(self, places: np.ndarray, rows: list[int], margin_of_rings: float) -> np.ndarray:
        """Tell which places are inside the axes and cover no label, no line and no ring of these rows."""
        free = np.all(places[:, :2] >= self.frame.min, axis=1) & np.all(places[:, 2:] <= self.frame.max, axis=1)
        free &= ~boxes_overlap(places, self.boxes, self.margin).any(axis=1)
        free &= ~boxes_overlap(places, self.rings[rows], self.pixels_per_point * margin_of_rings).any(axis=1)
        return free & ~np.any(lines_cross_boxes(self.lines, places, self.margin), axis=0)

    def _cross_labels(self, lines: np.ndarray) -> np.ndarray:
        """Tell which lines cross a label."""
        return np.any(lines_cross_boxes(lines, self.boxes, self.pixels_per_point * _MARGIN_OF_LINE), axis=1)

    def _cross_lines_or_rings(self, lines: np.ndarray, row: int, others: list[int]) -> np.ndarray:
        """Tell which lines cross another line, or a ring that is not close to where the lines start."""
        is_far = np.abs(self.centers[others] - self.centers[row]).max(axis=1) > _START_OF_LINE * self.pixels_per_point
        crosses_rings = lines_cross_boxes(
            lines, self.rings[others][is_far], self.pixels_per_point * _MARGIN_OF_LINE
        ).any(axis=1)
        return crosses_rings | np.any(lines_cross_lines(lines, self.lines), axis=1)

    def _choose_cheapest(self, places: np.ndarray, costs: np.ndarray) -> int | None:
        """Choose the number of the place of least cost. The weight of each covered point adds to the cost."""
        if not len(places):
            return None
        cheapest = np.argsort(costs, kind="stable")[:_MAX_COMPARED_PLACES]
        covered = boxes_overlap(places[cheapest], self.marks, self.pixels_per_point * _HALO) @ self.weights
        return int(cheapest[np.argmin(costs[cheapest] + covered)])
