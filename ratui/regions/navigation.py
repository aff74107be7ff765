"""Find the box that lies beside another in a direction, for keys that go from box to box. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping

from ratui.imaging import Box

__all__ = ["find_box_towards"]

_ASIDE = 2.0
"""Weight of the distance across the direction, relative to that along it."""


def find_box_towards(boxes: Mapping[str, Box], start: Box, dx: int, dy: int) -> str | None:
    """Return the name of the box that lies next to `start` in a direction; None if there is none.

    Parameters
    ----------
    boxes
        Boxes by name. Those whose centre is not within 45° of the direction are left out, and so is `start` itself.
    start
        The box to start at; only its centre counts.
    dx, dy
        The direction: -1, 0 or 1 to the right and down, one of them 0.
    """
    found: list[tuple[float, str]] = []
    for name, box in boxes.items():
        across, down = box.centre[0] - start.centre[0], box.centre[1] - start.centre[1]
        along, aside = across * dx + down * dy, abs(across * dy) + abs(down * dx)
        if along > 0 and along >= aside:
            found.append((along + _ASIDE * aside, name))
    return min(found)[1] if found else None
