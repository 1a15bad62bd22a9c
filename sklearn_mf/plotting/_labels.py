"""Labels beside points that do not cover each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sklearn_mf.plotting._shared import settle_layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

# Of a label from its mark, on a square around it; the preferred ones first.
_SIDES = [(1, 0), (-1, 0), (0, 1), (0, -1)]
_CORNERS = [(1, 1), (-1, 1), (1, -1), (-1, -1)]
_BETWEEN = [(0.5, 1), (-0.5, 1), (0.5, -1), (-0.5, -1), (1, 0.5), (-1, 0.5), (1, -0.5), (-1, -0.5)]
_DIRECTIONS = np.array([*_SIDES, *_CORNERS, *_BETWEEN])
_GAPS = (4.0, 14.0, 26.0)  # points between label and mark; from the second on with a line
_MARGIN = 1.5  # points that labels keep from each other
_WEIGHT_OF_MARK = 20.0  # how much worse it is to cover a point that is to be labelled than another one


def shorten(text: str, width: int) -> str:
    """At most ``width`` characters, cut between words where that leaves at least half."""
    text = " ".join(text.split())
    if len(text) <= width:
        return text
    cut = text[: width - 1]
    between_words = cut if text[width - 1] == " " else cut.rsplit(" ", 1)[0]
    return (between_words if len(between_words) >= width / 2 else cut).rstrip(" ,;:-(") + "…"


def place_labels(
    ax: Axes, points: np.ndarray, labelled: np.ndarray, texts: list[str], text_kw: dict[str, Any]
) -> dict[int, Annotation]:
    """Write ``texts`` beside ``points[labelled]``, the first ones first, and leave out what finds no free place.

    A greedy search over a fixed list of places, as in Christensen, Marks and Shieber (1995): of the places inside the
    axes that cover no label, line or mark of an earlier one, the nearest, and among these the one that covers the
    fewest points. Returns the labels placed, by row of ``points``. Done in pixels: it holds for the size of the figure
    at this moment.
    """
    settle_layout(ax)
    pixel = ax.figure.dpi / 72
    frame = ax.get_window_extent().padded(-pixel * _MARGIN)
    at = ax.transData.transform(points)
    mark_of = _around(at, 3 * pixel)
    weights = np.ones(len(points))
    weights[labelled] = _WEIGHT_OF_MARK
    taken, marks = np.empty((0, 4)), np.empty((0, 4))  # boxes: left, bottom, right, top
    placed = {}
    for row, text in zip(labelled, texts, strict=True):
        if _overlap(mark_of[[row]], taken, 0).any():
            continue  # an earlier label hides the point itself
        size = _size(ax, text, text_kw)
        obstacles = np.vstack([taken, marks])
        is_far = np.abs(marks.reshape(-1, 2, 2).mean(axis=1) - at[row]).max(axis=1) > 8 * pixel
        line_obstacles = np.vstack([taken, marks[is_far]])  # a line may begin close to another mark
        for gap in _GAPS:
            boxes = _boxes(at[row], size, gap * pixel)
            lines = _lines(at[row], boxes) if gap > _GAPS[0] else boxes[:, None]
            free = ~_overlap(boxes, obstacles, pixel * _MARGIN).any(axis=1)
            free &= ~np.array([_overlap(line, line_obstacles, pixel).any() for line in lines])
            free &= (boxes[:, :2] >= frame.min).all(axis=1) & (boxes[:, 2:] <= frame.max).all(axis=1)
            if free.any():
                covered = _overlap(boxes, _around(at, 0), 0) @ weights
                best = int(np.argmin(np.where(free, covered, np.inf)))
                break
        else:
            continue
        taken, marks = np.vstack([taken, boxes[best], lines[best]]), np.vstack([marks, mark_of[row]])
        corner = boxes[best, :2]
        kw = {"xytext": (corner - at[row]) / pixel, "textcoords": "offset points", "ha": "left", "va": "bottom"}
        line_kw = {**text_kw["arrowprops"], "relpos": np.clip((at[row] - corner) / size, 0, 1)}
        kw |= {**text_kw, "arrowprops": line_kw if gap > _GAPS[0] else None}
        placed[int(row)] = ax.annotate(text, points[row], **kw)
    return placed


def _around(at: np.ndarray, radius: float) -> np.ndarray:
    return np.hstack([at - radius, at + radius])


def _size(ax: Axes, text: str, text_kw: dict[str, Any]) -> np.ndarray:
    """Width and height in pixels."""
    trial = ax.annotate(text, (0.5, 0.5), xycoords="axes fraction", **{**text_kw, "arrowprops": None})
    size = trial.get_window_extent().size
    trial.remove()
    return size


def _boxes(at: np.ndarray, size: np.ndarray, gap: float) -> np.ndarray:
    """A box in each direction from a point: beside, above or below it, or at a corner."""
    corner = at + gap * _DIRECTIONS - size * (1 - _DIRECTIONS) / 2
    return np.hstack([corner, corner + size])


def _overlap(boxes: np.ndarray, others: np.ndarray, margin: float) -> np.ndarray:
    """Whether each of ``boxes`` has something in common with each of ``others``."""
    low, high = boxes[:, None, :2] - margin, boxes[:, None, 2:] + margin
    return ((low < others[None, :, 2:]) & (high > others[None, :, :2])).all(axis=2)


def _lines(at: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Points along the line from a mark to the nearest point of each box, as boxes without a width."""
    nearest = np.clip(at, boxes[:, :2], boxes[:, 2:])
    along = at + np.linspace(0.0, 1.0, 16)[:, None] * (nearest - at)[:, None]
    return np.concatenate([along, along], axis=2)
