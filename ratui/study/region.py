"""Regions: the box of each site on a film, with its origin and its confirmation. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ratui.errors import StoreError
from ratui.imaging import Box

__all__ = ["Region", "RegionSource"]


class RegionSource(StrEnum):
    """The origin of a region's box. Every value except `MODEL` is stored as it stands here."""

    TEMPLATE = "template"  # the scheme's usual place for the joint
    RATER = "rater"  # drawn or moved by a rater
    REGISTERED = "registered"  # found again by image registration with another film
    ESTIMATED = "estimated"  # interpolated between registered neighbours, because registration failed here
    OTHER_FILM = "other film"  # copied from the other time point without registration
    MODEL = "model"  # proposed by a detector; a file contains the model's name instead


_STORED_SOURCES = frozenset(RegionSource) - {RegionSource.MODEL}


@dataclass(frozen=True)
class Region:
    """The box of a site on a film, or the statement that the site is not on the film.

    Attributes
    ----------
    site
        Key of the site, such as ``L.MCP2``.
    film
        ID of the film.
    box
        ``(x0, y0, x1, y1)`` in pixels of the film, or None if the site is not on the film.
    source
        Origin of the box.
    confirmed_by
        Name of the rater who confirmed the region; empty before that.
    confidence
        From 0 to 1: the score of a model, or the agreement of the images after registration. None for other sources.
    model
        Name of the model if `source` is `RegionSource.MODEL`, else None.
    """

    site: str
    film: str
    box: Box | None
    source: RegionSource
    confirmed_by: str = ""
    confidence: float | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        if (self.source is RegionSource.MODEL) != bool(self.model):
            raise ValueError("a region names its model if and only if a model proposed it")
        if self.model in _STORED_SOURCES:
            raise ValueError(f"a model can't be called {self.model}: files could not tell it from that source")

    def to_record(self) -> dict[str, Any]:
        """Return the region as stored in a file, where ``source`` is the model's name if there is one."""
        return {
            "site": self.site,
            "film": self.film,
            "box": self.box,
            "source": self.model or self.source.value,
            "by": self.confirmed_by,
            "confidence": self.confidence,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], where: object = "") -> Region:
        """Return the region in a stored record. A source that is no `RegionSource` is the name of a model.

        Raises StoreError, naming the file `where`, for a record that is not a region.
        """
        try:
            box = record["box"]
            if box is not None:
                x0, y0, x1, y1 = (float(v) for v in box)
                if not (x0 < x1 and y0 < y1):
                    raise ValueError("an empty box")
                box = Box(x0, y0, x1, y1)
            stored = str(record["source"])
            source = RegionSource(stored) if stored in _STORED_SOURCES else RegionSource.MODEL
            return cls(
                str(record["site"]),
                str(record["film"]),
                box,
                source,
                str(record.get("by", "")),
                record.get("confidence"),
                stored if source is RegionSource.MODEL else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"not a region: {error}", where, "Restore the file from its backup copy") from error
