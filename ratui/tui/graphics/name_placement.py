"""Places for the names of boxes: no name covers another name or the box that it names. Pure functions.

A name is put at a side of its box, or moved along a side, or put farther away with a line that leads to the box. The result
depends on the arguments alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ratui.imaging import Box

__all__ = ["PlacedName", "place_names"]

_RINGS = 14
"""Number of distances at which a name with a line is tried, one height of a name apart."""
_DIRECTIONS = 24
_COVERING = 4.0
"""Cost of a name that covers another box completely, in heights of a name between box and name."""
_LINE = 1.0
"""Cost of a line between box and name, in the same unit."""
_POINTS = 16
"""Number of points of a line that are tested: a line never crosses a name."""


@dataclass(frozen=True)
class PlacedName:
    """The place of a name in a picture."""

    box: Box
    """Area of the name."""
    line: tuple[int, int, int, int] | None = None
    """Ends (x, y, x, y) of the line from the box to the name; None if the name touches the box."""


def place_names(
    boxes: Sequence[Box],
    sizes: Sequence[tuple[int, int]],
    area: tuple[int, int],
    *,
    free: Box | None = None,
    gap: int = 1,
) -> dict[int, PlacedName]:
    """Return the places of names, the first ones placed first.

    Parameters
    ----------
    boxes
        The boxes, in whole pixels or cells.
    sizes
        Width and height of each name, in the units of the boxes.
    area
        Width and height of the picture.
    free
        A box that no name may cover; None for none.
    gap
        Distance between a name and its box.

    Returns
    -------
    dict
        The places by index of the box. A name is missing only if no free place is within its reach.
    """
    all_boxes = np.array([tuple(box) for box in boxes], dtype=float).reshape(-1, 4)
    protected = np.array([tuple(free)] if free is not None else [], dtype=float).reshape(-1, 4)
    obstacles = _Obstacles(area, protected, np.empty((0, 4)), np.empty((0, 2)))
    places: dict[int, PlacedName] = {}
    for index, size in enumerate(sizes):
        own, others = all_boxes[index], np.delete(all_boxes, index, axis=0)
        near = _find_best(*_list_near(own, size, gap), own, others, obstacles, has_line=False)
        # A place farther away cannot cost less than _LINE + 1.
        if near is not None and near[1] <= _LINE + 1:
            best, is_far = near, False
        else:
            far = _find_best(*_list_far(own, size, gap), own, others, obstacles, has_line=True)
            if far is None and near is None:
                continue
            is_far = near is None or (far is not None and far[1] < near[1])
            best = far if is_far and far is not None else near  # type: ignore[assignment]
        name = best[0]
        line = _connect(name[None], own) if is_far else None
        places[index] = PlacedName(
            Box(*(int(value) for value in name)),
            None if line is None else tuple(int(value) for value in line[0]),  # type: ignore[arg-type]
        )
        points = obstacles.points if line is None else np.concatenate([obstacles.points, _points_on(line)[0]])
        obstacles = _Obstacles(area, protected, np.concatenate([obstacles.names, name[None]]), points)
    return places


@dataclass(frozen=True)
class _Obstacles:
    """The area of the picture, and what no name may cover: the protected box, other names, and points of their lines."""

    area: tuple[int, int]
    protected: NDArray[np.float64]
    names: NDArray[np.float64]
    points: NDArray[np.float64]


def _find_best(
    names: NDArray[np.float64],
    costs: NDArray[np.float64],
    own: NDArray[np.float64],
    others: NDArray[np.float64],
    obstacles: _Obstacles,
    *,
    has_line: bool,
) -> tuple[NDArray[np.float64], float] | None:
    """Return the cheapest of the areas `names` that is allowed, and its cost; None if none is."""
    allowed = (names[:, :2] >= 0).all(1) & (names[:, 2] <= obstacles.area[0]) & (names[:, 3] <= obstacles.area[1])
    names, costs = names[allowed], costs[allowed]
    forbidden = np.concatenate([obstacles.names, obstacles.protected, own[None]])
    covers = (_shared_area(names, forbidden) > 0).any(1) | _contain(names, obstacles.points).any(1)
    names, costs = names[~covers], costs[~covers]
    if has_line:
        points = _points_on(_connect(names, own))
        crosses = _contain(obstacles.names, points.reshape(-1, 2)).any(0).reshape(len(names), -1).any(1)
        names, costs = names[~crosses], costs[~crosses]
    if not len(names):
        return None
    smaller = np.minimum(np.prod(names[0, 2:] - names[0, :2]), np.prod(others[:, 2:] - others[:, :2], axis=1))
    costs = costs + _COVERING * (_shared_area(names, others) / np.maximum(smaller, 1)).sum(1)
    best = int(np.argmin(costs))
    return names[best], float(costs[best])


def _list_near(
    own: NDArray[np.float64], size: tuple[int, int], gap: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the areas beside the box `own` where a name may stand, and their costs."""
    (x0, y0, x1, y1), (width, height) = own, size
    middle = ((x0 + x1 - width) / 2, (y0 + y1 - height) / 2)
    above, below, right, left = y0 - height - gap, y1 + gap, x1 + gap, x0 - width - gap
    places = [(middle[0], above, 0.0), (middle[0], below, 0.1), (right, middle[1], 0.2), (left, middle[1], 0.2)]
    places += [(x, y, 0.3) for x in (x0, x1 - width) for y in (above, below)]
    places += [(x, y, 0.3) for x in (right, left) for y in (y0, y1 - height)]
    places += [(x, y, 0.6) for x in (right, left) for y in (above, below)]
    corners = np.round(np.array([place[:2] for place in places]))
    return np.concatenate([corners, corners + size], axis=1), np.array([place[2] for place in places])


def _list_far(
    own: NDArray[np.float64], size: tuple[int, int], gap: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the areas away from the box `own` where a name with a line may stand, and their costs."""
    (x0, y0, x1, y1), (width, height) = own, size
    rings = np.repeat(np.arange(1.0, _RINGS + 1), _DIRECTIONS)
    angles = np.tile(np.arange(_DIRECTIONS) * 2 * np.pi / _DIRECTIONS, _RINGS)
    # The middle of the name is on a rectangle around the box, so that the distance is the same on all sides.
    direction = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    direction /= np.abs(direction).max(axis=1, keepdims=True)
    reach = (np.array([x1 - x0, y1 - y0]) + size) / 2 + gap + height * rings[:, None]
    corners = np.round(np.array([x0 + x1 - width, y0 + y1 - height]) / 2 + direction * reach)
    return np.concatenate([corners, corners + size], axis=1), np.asarray(_LINE + rings)


def _connect(names: NDArray[np.float64], own: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the shortest line between the box `own` and each of the areas `names`, shape (n, 4)."""
    ends = []
    for low, high in ((0, 2), (1, 3)):
        first, last = np.maximum(names[:, low], own[low]), np.minimum(names[:, high], own[high])
        middle = (first + last) / 2
        on_box = np.where(first <= last, middle, np.where(names[:, low] > own[high], own[high], own[low]))
        on_name = np.where(first <= last, middle, np.where(names[:, low] > own[high], names[:, low], names[:, high]))
        ends.append((on_box, on_name))
    (box_x, name_x), (box_y, name_y) = ends
    return np.round(np.stack([box_x, box_y, name_x, name_y], axis=1))


def _points_on(lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points on each line, shape (n, _POINTS, 2)."""
    share = np.linspace(0, 1, _POINTS)[None, :, None]
    return lines[:, None, :2] * (1 - share) + lines[:, None, 2:] * share


def _shared_area(names: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area that each name shares with each box, shape (names, boxes)."""
    low = np.maximum(names[:, None, :2], boxes[None, :, :2])
    high = np.minimum(names[:, None, 2:], boxes[None, :, 2:])
    return np.asarray(np.prod(np.maximum(high - low, 0), axis=2))


def _contain(names: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of the areas `names` contain which of the `points`, shape (names, points)."""
    low, high = names[:, None, :2] < points[None], points[None] < names[:, None, 2:]
    return np.asarray((low & high).all(2))
