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
    sent_count: int = 0
    """Number of frames sent so far. It distinguishes two times that the same frame was sent."""
    loss_count: int = 0
    """Number of times that the terminal has lost the present image since it was painted."""
    coarse: Frame | None = None
    """Coarse frame that waits to be sent before `fine`; None if there is none, or if it was sent."""
    fine: Frame | None = None
    """Frame that waits to be sent in slices, or of which a part was sent; None if there is none."""
    unsent_parts: list[str] = field(default_factory=list)
    """Parts of `fine` that are left to send; empty before the first slice."""


def end_upload(place: Place) -> str:
    """Forget the unsent parts of `place`; return the sequence that ends its upload if a part was sent."""
    unsent, place.unsent_parts = place.unsent_parts, []
    # The parts are the upload and one placement. If more are unsent than the upload has, none was sent.
    if isinstance(place.fine, KittyFrame) and unsent and len(unsent) <= len(place.fine.upload):
        return place.fine.abandon()
    return ""
