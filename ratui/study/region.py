"""Regions: the box of a site on a film, with its origin and the rater who confirmed it. Values only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ratui.errors import StoreError, clean_text
from ratui.imaging import Box
from ratui.scheme import Scheme
from ratui.stored_values import ODD_VALUE_ERRORS, as_list, as_number, as_text

__all__ = ["Region", "RegionSource", "regions_from_records", "regions_to_records"]


class RegionSource(StrEnum):
    """The origin of a region's box. Every value except `MODEL` is stored as it stands here."""

    TEMPLATE = "template"  # the scheme's usual place for the joint
    RATER = "rater"  # drawn or moved by a rater
    REGISTERED = "registered"  # found again by image registration with another film
    ESTIMATED = "estimated"  # placed by the other boxes of the hand: registered, found by a model, or a rater's
    OTHER_FILM = "other film"  # copied from the other time point without registration
    MODEL = (
        "model"  # proposed by a detector, perhaps moved with the whole hand; a file contains the model's name instead
    )


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
        ``(x0, y0, x1, y1)`` in pixels of the film, or None if the site is not on the film. They are those of the
        displayed film; in files and exports, those of the stored one.
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
                x0, y0, x1, y1 = map(as_number, as_list(box))
                if not (x0 < x1 and y0 < y1):
                    raise ValueError("an empty box")
                box = Box(x0, y0, x1, y1)
            stored = as_text(record["source"])
            confidence = record.get("confidence")
            source = RegionSource(stored) if stored in _STORED_SOURCES else RegionSource.MODEL
            return cls(
                as_text(record["site"]),
                as_text(record["film"]),
                box,
                source,
                as_text(record.get("by", "")),
                None if confidence is None else as_number(confidence),
                stored if source is RegionSource.MODEL else None,
            )
        except ODD_VALUE_ERRORS as error:
            raise StoreError(
                f"not a region: {clean_text(error)}", where, "Restore the file from its backup copy"
            ) from error


def regions_from_records(
    records: Iterable[Mapping[str, Any]], scheme: Scheme, where: object = ""
) -> tuple[Region, ...]:
    """Return the regions in stored records. Raises StoreError, naming the file `where`, for anything else.

    Proposals for sites that the scheme lacks are left out: a model may know more joints.
    """
    known = {site.key for site in scheme.sites}
    regions = tuple(
        region
        for record in records
        if (region := Region.from_record(record, where)).site in known or region.model is None or region.confirmed_by
    )
    if any(region.site not in known for region in regions):
        raise StoreError("it has a region of a site that the scheme lacks", where, "See: ratui check STUDY")
    return regions


def regions_to_records(regions: Iterable[Region]) -> list[dict[str, Any]]:
    """Return regions as stored, sorted, so that their order reveals no order of the films."""
    return [region.to_record() for region in sorted(regions, key=lambda region: (region.film, region.site))]
