"""Labels beside points that do not cover each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sklearn_mf.plotting._shared import settle_layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

# Of a label from its mark, on a square around it; the preferred ones first.
_SIDES = [(1, 0), (-1, 0), (0, 1), (0, -1)]
_CORNERS = [(1, 1), (-1, 1), (1, -1), (-1, -1)]
_BETWEEN = [(0.5, 1), (-0.5, 1), (0.5, -1), (-0.5, -1), (1, 0.5), (-1, 0.5), (1, -0.5), (-1, -0.5)]
_DIRECTIONS = np.array([*_SIDES, *_CORNERS, *_BETWEEN])
_GAPS = (1.5, 11.0, 23.0)  # points between label and ring; from the second on with a line
_STEP = 6.0  # points between places anywhere in the axes
_MAX_TRIES = 1_000  # of them
_CROWD = 18.0  # points around a point, in which more than three others leave no place for labels close by
_MARGIN = 1.5  # points that labels keep from each other
_CLEAR = 5.0  # points between a label without a line and rings of others, so that it is seen whose it is
_WEIGHT_OF_RING = 20.0  # how much worse it is to cover a point that is to be labeled than another one


def shorten(text: str, width: int) -> str:
    """At most ``width`` characters, cut between words where that leaves at least half."""
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
    """Write ``texts`` beside ``points[labeled]``, the first ones first, and leave out what finds no free place.

    A greedy search over a fixed list of places, as in Christensen, Marks and Shieber (1995): of the places inside the
    axes that cover no label, line or ring of an earlier one, the nearest, and among these the one that covers the
    fewest points. Labels that were ``asked`` for cover none of these points, and go anywhere in the axes if they must.
    ``radii`` are those of the rings, in points. Returns the labels placed, by row of ``points``. Done in pixels: it
    holds for the size of the figure at this moment.
    """
    settle_layout(ax)
    places = _Places(ax, points, radii, labeled, asked)
    placed: dict[int, Annotation] = {}
    for row, text in zip(labeled.tolist(), texts, strict=True):
        if row in placed:
            continue
        size = _size(ax, text, text_kw)
        found = places.take(row, size)
        if found is None:
            continue
        box, has_line = found
        away = (box[:2] - places.at[row]) / places.pixel
        kw = {"xytext": away, "textcoords": "offset points", "ha": "left", "va": "bottom"}
        if has_line and line_kw is not None:
            relpos = np.clip(-away * places.pixel / size, 0, 1)
            kw["arrowprops"] = {"shrinkB": radii[row], "relpos": relpos, **line_kw}
        placed[row] = ax.annotate(text, points[row], **kw, **text_kw)
    return placed


class _Places:
    """Free places for labels, in pixels; one label after another takes its own."""

    def __init__(self, ax: Axes, points: np.ndarray, radii: np.ndarray, labeled: np.ndarray, asked: bool):
        self.pixel = ax.figure.dpi / 72
        self.frame = ax.get_window_extent().padded(-self.pixel * _MARGIN)
        self.at = ax.transData.transform(points)
        self.radii = self.pixel * radii
        self.rings = _around(self.at, self.radii[:, None])
        self.weights = np.ones(len(points))
        self.weights[labeled] = _WEIGHT_OF_RING
        self.asked = asked
        self.drawn = labeled.tolist() if asked else []  # rows whose rings are there
        self.boxes, self.lines = np.empty((0, 4)), np.empty((0, 4))  # left, bottom, right, top; and from, to

    def take(self, row: int, size: np.ndarray) -> tuple[np.ndarray, bool] | None:
        """The box of a label, and whether a line leads to it; None where no place is free."""
        others = [other for other in self.drawn if other != row]
        distances = np.hypot(*(self.at[others] - self.at[row]).T)
        is_crowded = self.asked and np.count_nonzero(distances < self.pixel * _CROWD) > 3
        box, has_line = None, True
        if not is_crowded and (self.asked or not self._is_hidden(row)):
            for gap in _GAPS:
                box, has_line = self._near(row, size, others, gap), gap > _GAPS[0]
                if box is not None:
                    break
        if box is None and self.asked:
            box, has_line = self._anywhere(row, size, others), True
        if box is None:
            return None
        self.boxes = np.vstack([self.boxes, box])
        if has_line:
            self.lines = np.vstack([self.lines, _lines(self.at[row], box[None])])
        if not self.asked:
            self.drawn.append(row)
        return box, has_line

    def _is_hidden(self, row: int) -> bool:
        ring = self.rings[[row]]
        return bool(_overlap(ring, self.boxes, self.pixel * _MARGIN).any() or _crosses(self.lines, ring, 0).any())

    def _near(self, row: int, size: np.ndarray, others: list[int], gap: float) -> np.ndarray | None:
        has_line = gap > _GAPS[0]
        if not has_line and _overlap(self.rings[[row]], self.boxes, self.pixel * _CLEAR).any():
            return None  # beside another label
        places = _boxes_around(self.at[row], size, self.radii[row] + self.pixel * gap)
        places = places[self._is_free(places, others, _MARGIN if has_line else _CLEAR)]
        if has_line:
            paths = _lines(self.at[row], places)
            places = places[~self._covers_labels(paths) & ~self._crosses_lines(paths, row, others)]
        return self._best(places, np.zeros(len(places)))

    def _anywhere(self, row: int, size: np.ndarray, others: list[int]) -> np.ndarray | None:
        """A place near by that takes little of the view, else the next labels of a crowd find none."""
        places = _boxes_anywhere(self.frame, size, self.pixel * _STEP)
        places = places[self._is_free(places, [row, *others], _MARGIN)]
        paths = _lines(self.at[row], places)
        costs = np.hypot(*(paths[:, 2:] - paths[:, :2]).T) / self.pixel + _degrees(self.at[row], places)
        cheapest = np.argsort(costs, kind="stable")[:_MAX_TRIES]
        cheapest = cheapest[~self._covers_labels(paths[cheapest])]
        crosses = self._crosses_lines(paths[cheapest], row, others)
        if not crosses.all():
            cheapest = cheapest[~crosses]
        return self._best(places[cheapest], costs[cheapest])

    def _is_free(self, places: np.ndarray, rows: list[int], distance_of_rings: float) -> np.ndarray:
        free = (places[:, :2] >= self.frame.min).all(axis=1) & (places[:, 2:] <= self.frame.max).all(axis=1)
        free &= ~_overlap(places, self.boxes, self.pixel * _MARGIN).any(axis=1)
        free &= ~_overlap(places, self.rings[rows], self.pixel * distance_of_rings).any(axis=1)
        return free & ~_crosses(self.lines, places, self.pixel * _MARGIN).any(axis=0)

    def _covers_labels(self, paths: np.ndarray) -> np.ndarray:
        return _crosses(paths, self.boxes, self.pixel).any(axis=1)

    def _crosses_lines(self, paths: np.ndarray, row: int, others: list[int]) -> np.ndarray:
        """Or rings, but a line may begin close to another ring."""
        is_far = np.abs(self.at[others] - self.at[row]).max(axis=1) > 8 * self.pixel
        rings = self.rings[others][is_far]
        return _crosses(paths, rings, self.pixel).any(axis=1) | _cross(paths, self.lines).any(axis=1)

    def _best(self, places: np.ndarray, costs: np.ndarray) -> np.ndarray | None:
        """That of least cost, to which each point covered adds its weight."""
        if not len(places):
            return None
        cheapest = np.argsort(costs, kind="stable")[:40]
        covered = _overlap(places[cheapest], _around(self.at, 0), 0) @ self.weights
        return places[cheapest[np.argmin(costs[cheapest] + covered)]]


def _degrees(at: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The angle under which each box is seen from a point outside it."""
    x, y = np.moveaxis(boxes[:, [[0, 1], [0, 3], [2, 1], [2, 3]]] - at, 2, 0)
    middle_x, middle_y = x.mean(axis=1, keepdims=True), y.mean(axis=1, keepdims=True)
    angles = np.arctan2(y * middle_x - x * middle_y, x * middle_x + y * middle_y)  # from that of the middle
    return np.degrees(np.ptp(angles, axis=1))


def _around(at: np.ndarray, radius: float | np.ndarray) -> np.ndarray:
    return np.hstack([at - radius, at + radius])


def _size(ax: Axes, text: str, text_kw: dict[str, Any]) -> np.ndarray:
    """Width and height in pixels."""
    trial = ax.annotate(text, (0.5, 0.5), xycoords="axes fraction", **text_kw)
    size = trial.get_window_extent().size
    trial.remove()
    return size


def _boxes_around(at: np.ndarray, size: np.ndarray, gap: float) -> np.ndarray:
    """A box in each direction from a point: beside, above or below it, or at a corner."""
    is_corner = (np.abs(_DIRECTIONS) == 1).all(axis=1, keepdims=True)
    away = gap * _DIRECTIONS * np.where(is_corner, np.sqrt(0.5), 1.0)  # a corner is as near as a side
    corner = at + away - size * (1 - _DIRECTIONS) / 2
    return np.hstack([corner, corner + size])


def _boxes_anywhere(frame: Bbox, size: np.ndarray, step: float) -> np.ndarray:
    x, y = (np.arange(low, high, step) for low, high in zip(frame.min, frame.max - size, strict=True))
    corner = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    return np.hstack([corner, corner + size])


def _lines(at: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """From a point to the nearest one of each box."""
    nearest = np.clip(at, boxes[:, :2], boxes[:, 2:])
    return np.hstack([np.broadcast_to(at, nearest.shape), nearest])


def _overlap(boxes: np.ndarray, others: np.ndarray, margin: float) -> np.ndarray:
    """Whether each of ``boxes`` has something in common with each of ``others``."""
    low, high = boxes[:, None, :2] - margin, boxes[:, None, 2:] + margin
    return ((low < others[None, :, 2:]) & (high > others[None, :, :2])).all(axis=2)


def _crosses(lines: np.ndarray, boxes: np.ndarray, margin: float) -> np.ndarray:
    """Whether each line has a part in each box: in both directions it enters before it leaves."""
    start, step = lines[:, None, :2], (lines[:, 2:] - lines[:, :2])[:, None]
    step = np.where(step == 0, 1e-9, step)
    ends = np.stack([(boxes[:, :2] - margin - start) / step, (boxes[:, 2:] + margin - start) / step])
    enter, leave = ends.min(axis=0).max(axis=2), ends.max(axis=0).min(axis=2)
    return (enter < leave) & (leave > 0) & (enter < 1)


def _cross(lines: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether each line crosses each of the others: the ends of either lie on both sides of the other."""

    def side(lines: np.ndarray, points: np.ndarray) -> np.ndarray:
        along, to = lines[:, 2:] - lines[:, :2], points[None] - lines[:, None, :2]
        return np.sign(along[:, None, 0] * to[..., 1] - along[:, None, 1] * to[..., 0])

    a = side(lines, others[:, :2]) * side(lines, others[:, 2:])
    b = side(others, lines[:, :2]) * side(others, lines[:, 2:])
    return (a < 0) & (b.T < 0)
