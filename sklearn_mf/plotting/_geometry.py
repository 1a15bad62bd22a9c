"""Make boxes and lines around points of a drawing, and find out which of them overlap or cross.

A box is a row (left, bottom, right, top). A line is a row (x, y of its start, x, y of its end).
"""

from __future__ import annotations

import numpy as np

# Directions from a point to its box, the preferred ones first.
_SIDES = [(1, 0), (-1, 0), (0, 1), (0, -1)]
_CORNERS = [(1, 1), (-1, 1), (1, -1), (-1, -1)]
_BETWEEN: list[tuple[float, float]] = [(x, y) for x in (0.5, -0.5, 0.25, -0.25, 0.75, -0.75) for y in (1, -1)]
_BETWEEN += [(1, 0.5), (-1, 0.5), (1, -0.5), (-1, -0.5)]
_DIRECTIONS = np.array([*_SIDES, *_CORNERS, *_BETWEEN])


def make_squares(centers: np.ndarray, radius: float | np.ndarray) -> np.ndarray:
    """Make a square box around each center."""
    return np.hstack([centers - radius, centers + radius])


def make_boxes_around(point: np.ndarray, size: np.ndarray, gap: float) -> np.ndarray:
    """Make a box in each direction from a point: beside, above or below it, or at a corner."""
    is_corner = (np.abs(_DIRECTIONS) == 1).all(axis=1, keepdims=True)
    offset = gap * _DIRECTIONS * np.where(is_corner, np.sqrt(0.5), 1.0)  # a corner is as near as a side
    lower_left = point + offset - size * (1 - _DIRECTIONS) / 2
    return np.hstack([lower_left, lower_left + size])


def make_boxes_within(low: np.ndarray, high: np.ndarray, size: np.ndarray, step: float) -> np.ndarray:
    """Make boxes on a grid of places between two corners of a frame."""
    x, y = (np.arange(*ends, step) for ends in zip(low, high - size, strict=True))
    lower_left = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    return np.hstack([lower_left, lower_left + size])


def make_lines(point: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Make a line from a point to the nearest point of each box."""
    nearest = np.clip(point, boxes[:, :2], boxes[:, 2:])
    return np.hstack([np.broadcast_to(point, nearest.shape), nearest])


def measure_angles(point: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Measure the angle, in degrees, under which each box is seen from a point outside it."""
    x, y = np.moveaxis(boxes[:, [[0, 1], [0, 3], [2, 1], [2, 3]]] - point, 2, 0)
    middle_x, middle_y = x.mean(axis=1, keepdims=True), y.mean(axis=1, keepdims=True)
    angles = np.arctan2(y * middle_x - x * middle_y, x * middle_x + y * middle_y)  # relative to the middle
    return np.degrees(np.ptp(angles, axis=1))


def boxes_overlap(boxes: np.ndarray, others: np.ndarray, margin: float) -> np.ndarray:
    """Tell whether each of ``boxes``, widened by a margin, overlaps each of ``others``."""
    low, high = boxes[:, None, :2] - margin, boxes[:, None, 2:] + margin
    return np.all((low < others[None, :, 2:]) & (high > others[None, :, :2]), axis=2)


def lines_cross_boxes(lines: np.ndarray, boxes: np.ndarray, margin: float) -> np.ndarray:
    """Tell whether each line crosses each box, widened by a margin."""
    start, step = lines[:, None, :2], (lines[:, 2:] - lines[:, :2])[:, None]
    step = np.where(step == 0, 1e-9, step)
    ends = np.stack([(boxes[:, :2] - margin - start) / step, (boxes[:, 2:] + margin - start) / step])
    # A line crosses a box if it enters in both directions before it leaves in one.
    enter, leave = ends.min(axis=0).max(axis=2), ends.max(axis=0).min(axis=2)
    return (enter < leave) & (leave > 0) & (enter < 1)


def lines_cross_lines(lines: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Tell whether each line crosses each of the others."""
    # Lines cross if the ends of each are on both sides of the other.
    is_across = _find_sides(lines, others[:, :2]) * _find_sides(lines, others[:, 2:]) < 0
    is_across_other = _find_sides(others, lines[:, :2]) * _find_sides(others, lines[:, 2:]) < 0
    return is_across & is_across_other.T


def _find_sides(lines: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Find on which side of each line each point lies: 1 or -1, or 0 on the line."""
    along, to_point = lines[:, 2:] - lines[:, :2], points[None] - lines[:, None, :2]
    return np.sign(along[:, None, 0] * to_point[..., 1] - along[:, None, 1] * to_point[..., 0])
