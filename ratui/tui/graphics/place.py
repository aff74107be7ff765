"""Places on the screen that show one frame at a time, for the painter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ratui.terminal import Frame, KittyFrame

__all__ = ["Place", "end_upload"]


@dataclass(eq=False)
class Place:
    """A place on the screen that shows one frame at a time."""

    number: int
    """Number that is unique in the terminal, used as Kitty's placement."""
    region: Callable[[], tuple[int, int, int, int] | None]
    """Function that returns (column, row, columns, rows) in cells, or None if the place is not on the screen."""
    shown: Frame | None = None
    """Frame that was sent completely, and is shown as soon as the terminal has processed it."""
    on_painted: Callable[[Frame, float], None] = lambda frame, now: None
    """Function to call when the terminal has processed the frame in `shown`, with that frame and the time."""
    _sent_count: int = 0
    """Number of frames sent so far. It distinguishes two times that the same frame was sent."""
    _losses: int = 0
    """Number of times that the terminal has lost the present image since it was painted."""
    _coarse: Frame | None = None
    _fine: Frame | None = None
    _left: list[str] = field(default_factory=list)


def end_upload(place: Place) -> str:
    """Forget the parts that are left for `place`; return the sequence that ends its upload if a part was sent."""
    left, place._left = place._left, []
    # The parts are the upload and one placement. If more are left than the upload has, none was sent.
    if isinstance(place._fine, KittyFrame) and left and len(left) <= len(place._fine.upload):
        return place._fine.abandon()
    return ""
