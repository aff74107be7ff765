"""What a study holds besides readings: cases, their films, and the regions of sites on them. Values only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from ratui.errors import StoreError
from ratui.imaging import Box
from ratui.reading import Slot
from ratui.scheme import Scheme, Site

__all__ = ["Case", "CaseState", "DisplayUse", "FilmRecord", "Region", "RegionSource", "Stage"]


@dataclass(frozen=True)
class FilmRecord:
    """One film of a case. `side` is ``L``, ``R`` or ``B`` (both hands); `day` counts from the case's first film.

    `digest` is the SHA-256 of its pixels, `file` that of its file, empty for a film that format 1 imported. `note` says
    what was odd about it at its import, such as text burned into the picture. `aspect` is a pixel's height divided by
    its width.
    """

    id: str
    time: int
    side: str
    view: str
    rows: int
    columns: int
    day: int | None = None
    spacing: tuple[float, float] | None = None
    digest: str = ""
    file: str = ""
    note: str = ""
    aspect: float = 1.0

    @property
    def sides(self) -> tuple[str, ...]:
        return ("L", "R") if self.side == "B" else (self.side,)

    def area(self, side: str) -> Box:
        """The part of the film that shows `side`: all of it, or a half of a film of both hands, the left one left."""
        if self.side != "B":
            return (0.0, 0.0, float(self.columns), float(self.rows))
        half = self.columns / 2
        return (0.0, 0.0, half, float(self.rows)) if side == "L" else (half, 0.0, float(self.columns), float(self.rows))

    def to_record(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> FilmRecord:
        spacing = record["spacing"]
        return cls(**{**record, "spacing": (float(spacing[0]), float(spacing[1])) if spacing else None})


@dataclass(frozen=True)
class Case:
    """One patient of the study, under the pseudonym `id`."""

    id: str
    films: tuple[FilmRecord, ...]

    @property
    def times(self) -> tuple[int, ...]:
        return tuple(sorted({film.time for film in self.films}))

    @property
    def days_between(self) -> int | None:
        """Days from the one time point to the other, None where a day is unknown."""
        days = {film.time: film.day for film in self.films if film.day is not None}
        return days[1] - days[0] if {0, 1} <= set(days) else None

    def film(self, time: int, side: str, part: str, scheme: Scheme) -> FilmRecord | None:
        """The film that shows `part` of `side` at `time`, or None."""
        for film in self.films:
            if film.time == time and side in film.sides and scheme.views[film.view].part == part:
                return film
        return None

    def sites(self, scheme: Scheme) -> tuple[Site, ...]:
        """The sites that can be read: those whose part and side has a film at both time points, in reading order."""
        shown = {(film.time, side, scheme.views[film.view].part) for film in self.films for side in film.sides}
        both = {(side, part) for time, side, part in shown if (1 - time, side, part) in shown}
        return tuple(site for site in scheme.sites if (site.side, site.part) in both)

    def slots(self, scheme: Scheme) -> Iterator[tuple[Slot, str]]:
        """Each site that can be read, at each time point, with the id of the film that shows it."""
        for site in self.sites(scheme):
            for time in (0, 1):
                film = self.film(time, site.side, site.part, scheme)
                assert film is not None, "a site without a film can't be read"
                yield Slot(site.key, time), film.id

    def unconfirmed_slots(self, scheme: Scheme, regions: Iterable[Region]) -> Iterator[Slot]:
        """The slots that have no region in `regions` that a rater has confirmed, be it that it isn't there."""
        known = {(region.site, region.film) for region in regions if region.confirmed_by}
        return (slot for slot, film in self.slots(scheme) if (slot.site, film) not in known)

    def is_confirmed(self, scheme: Scheme, regions: Iterable[Region]) -> bool:
        """Whether none is unconfirmed."""
        return next(self.unconfirmed_slots(scheme, regions), None) is None

    def absent_slots(self, scheme: Scheme, regions: Iterable[Region]) -> frozenset[Slot]:
        """The slots that `regions` say are not on their film."""
        nowhere = {(region.site, region.film) for region in regions if region.box is None}
        return frozenset(slot for slot, film in self.slots(scheme) if (slot.site, film) in nowhere)

    def unreadable_reason(self, scheme: Scheme) -> str:
        """Why the case can't be read, in a few words, or an empty text when it can."""
        if len(self.times) < 2:
            return "films of one time point only"
        return "" if self.sites(scheme) else "no side with films at both time points"


class RegionSource(StrEnum):
    """The origin of a region's box. Every value except `MODEL` is stored as it stands here."""

    TEMPLATE = "template"  # the scheme's usual place for the joint
    RATER = "rater"  # drawn or moved by a rater
    REGISTERED = "registered"  # found again by image registration with another film
    ESTIMATED = "estimated"  # interpolated between registered neighbours, because registration failed here
    OTHER_FILM = "other film"  # copied from the other time point without registration
    MODEL = "model"  # proposed by a detector; a file holds the model's name instead


@dataclass(frozen=True)
class Region:
    """The box of a site on a film, in film pixels. `box` is None where the site is not on that film.

    `source` is the origin of the box; `model` is the name of the model for `RegionSource.MODEL` and None otherwise.
    `confirmed_by` is the rater who confirmed the box, empty before that. `confidence`, from 0 to 1, is the score of a
    model, or the agreement of registration at a joint.
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
                box = (x0, y0, x1, y1)
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


_STORED_SOURCES = frozenset(RegionSource) - {RegionSource.MODEL}

Stage: TypeAlias = Literal["unreadable", "regions", "reading", "review", "signed"]


@dataclass(frozen=True)
class CaseState:
    """How far a rater is with a case: `done` of `total` fields, `joints` of `joints_total` with all their fields filled,
    `seconds` spent, `flags` to come back to, `note` where it can't be read."""

    case: str
    stage: Stage
    done: int
    total: int
    seconds: float
    note: str = ""
    joints: int = 0
    joints_total: int = 0
    flags: int = 0


@dataclass(frozen=True)
class DisplayUse:
    """What a reading was read on: `entries` were made while films were shown by `protocol`, `below` of them with fewer
    pixels a millimetre than an erosion takes. `least` is the fewest that any entry was made with."""

    protocol: str
    entries: int
    below: int
    least: float

    def with_entries(self, count: int, pixels: float, *, enough: bool) -> DisplayUse:
        """After `count` more entries made at `pixels` a millimetre, whether or not that was `enough`."""
        return DisplayUse(
            self.protocol,
            self.entries + count,
            self.below + (0 if enough else count),
            round(min(self.least, pixels) if self.entries else pixels, 2),
        )

    def to_record(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any], where: object = "") -> DisplayUse:
        try:
            return cls(str(record["protocol"]), int(record["entries"]), int(record["below"]), float(record["least"]))
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"not a display: {error}", where, "Restore the file from its backup copy") from error
