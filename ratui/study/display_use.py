"""Displays with which the entries of a reading were made. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ratui.errors import StoreError, clean_text
from ratui.stored_values import ODD_VALUE_ERRORS, as_integer, as_number, as_text

__all__ = ["DisplayUse", "add_entry"]

_MOST_ENTRIES = 10_000_000


@dataclass(frozen=True)
class DisplayUse:
    """The image protocol and the resolution with which entries of a reading were made.

    Attributes
    ----------
    protocol
        How the terminal showed the films, such as ``kitty`` or ``sixel``.
    entries
        Number of entries made with it.
    below
        Number of these entries made with fewer pixels per millimetre than an erosion needs to be visible.
    least
        Smallest resolution of an entry, in pixels per millimetre.
    """

    protocol: str
    entries: int
    below: int
    least: float

    def with_entries(self, count: int, pixels: float, *, enough: bool) -> DisplayUse:
        """Return the numbers after `count` more entries at `pixels` per millimetre, which were `enough` or not."""
        return DisplayUse(
            self.protocol,
            self.entries + count,
            self.below + (0 if enough else count),
            round(min(self.least, pixels) if self.entries else pixels, 2),
        )

    def to_record(self) -> dict[str, Any]:
        """Return the values as stored in a file."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any], where: object = "") -> DisplayUse:
        """Return the values in a stored record. Raises StoreError, naming the file `where`, for anything else."""
        try:
            return cls(
                as_text(record["protocol"]),
                as_integer(record["entries"], 0, _MOST_ENTRIES),
                as_integer(record["below"], 0, _MOST_ENTRIES),
                as_number(record["least"]),
            )
        except ODD_VALUE_ERRORS as error:
            problem = f"not a display: {clean_text(error)}"
            raise StoreError(problem, where, "Restore the file from its backup copy") from error


class FileChanged(StoreError):
    """Another program has changed the file of an open reading: this session can save nothing more in it."""


def add_entry(
    displays: tuple[DisplayUse, ...], protocol: str, pixels_per_mm: float, *, enough: bool
) -> tuple[DisplayUse, ...]:
    """Return `displays` with one more entry.

    Parameters
    ----------
    displays
        The displays so far, the last used one last.
    protocol, pixels_per_mm
        Image protocol and resolution of the entry.
    enough
        True if erosions can be judged at this resolution.
    """
    use = next((each for each in displays if each.protocol == protocol), DisplayUse(protocol, 0, 0, 0.0))
    others = tuple(each for each in displays if each.protocol != protocol)
    return (*others, use.with_entries(1, pixels_per_mm, enough=enough))
