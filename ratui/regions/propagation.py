"""Boxes that the raters have confirmed, carried by registration to the films of the case that have none yet.

From the other time point of the same hand where there is one, else from the other hand, mirrored. Runs in workers, keeps
what it found, and confirms nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from ratui.imaging import Box, Film, PropagatedBox, propagate_boxes
from ratui.scheme import Scheme, Site
from ratui.study import FilmRecord, Region, RegionSource

__all__ = ["BoxPropagation", "ConfirmedRegions", "FilmSource", "PropagatedRegions"]

ConfirmedRegions = Mapping[str, tuple[FilmRecord, Mapping[str, Region]]]
"""The confirmed regions of a case: by film, its record and its regions by site."""


class FilmSource(Protocol):
    """A store of decoded films."""

    def film(self, case: str, id: str) -> Film:
        """Return the decoded film `id` of `case`. Raises FilmError."""
        ...


@dataclass(frozen=True)
class PropagatedRegions:
    """Regions by site key that registration found, and whether a film that should have given some gave none."""

    regions: Mapping[str, Region]
    failed: bool = False


class BoxPropagation:
    """Carries boxes between the films of one case; the same question twice is answered at once."""

    def __init__(self, library: FilmSource, scheme: Scheme, case: str) -> None:
        self._library = library
        self._scheme = scheme
        self._case = case
        self._known: dict[tuple[object, ...], dict[str, PropagatedBox]] = {}
        self._lock = Lock()

    def propagate(self, film: FilmRecord, sites: Iterable[Site], placed: ConfirmedRegions) -> PropagatedRegions:
        """Where `sites` lie on `film`, as far as the confirmed regions in `placed` tell. Raises FilmError."""
        found: dict[str, Region] = {}
        failed = False
        for side in film.sides:
            wanted = [site for site in sites if site.side == side]
            for source, mirror in self._source_films(film, side, placed):
                regions = placed[source.id][1]
                names = {
                    f"{_opposite(side) if mirror else side}.{site.joint.id}": site.key
                    for site in wanted
                    if site.key not in found
                }
                known = {there: regions[there] for there in names if there in regions}
                boxes = {there: region.box for there, region in known.items() if region.box is not None}
                if not boxes:
                    continue
                propagated = self._propagate(source, film, boxes, mirror)
                for there, each in propagated.items():
                    where = RegionSource.REGISTERED if each.is_found else RegionSource.ESTIMATED
                    key = names[there]
                    found[key] = Region(key, film.id, each.box, where, confidence=round(each.agreement, 2))
                if not mirror:
                    failed = failed or not propagated
                    # What isn't on the one film is taken not to be on the other; the rater confirms that too.
                    found |= {
                        names[there]: Region(names[there], film.id, None, RegionSource.REGISTERED)
                        for there, region in known.items()
                        if region.box is None and propagated
                    }
        return PropagatedRegions(found, failed and not found)

    def _source_films(self, film: FilmRecord, side: str, placed: ConfirmedRegions) -> list[tuple[FilmRecord, bool]]:
        """The films to carry from, the best first, and whether they show the other side."""
        part = self._scheme.views[film.view].part
        alike = [
            record for record, regions in placed.values() if self._scheme.views[record.view].part == part and regions
        ]
        same = [(record, False) for record in alike if record.id != film.id and side in record.sides]
        others = [(record, True) for record in alike if record.view == film.view and _opposite(side) in record.sides]
        others.sort(key=lambda item: item[0].time != film.time)
        return [*same, *others]

    def _propagate(
        self, source: FilmRecord, film: FilmRecord, boxes: dict[str, Box], mirror: bool
    ) -> dict[str, PropagatedBox]:
        key = (source.id, film.id, mirror, tuple(sorted(boxes.items())))
        with self._lock:
            if key in self._known:
                return self._known[key]
        before, after = (self._library.film(self._case, each.id) for each in (source, film))
        propagated = propagate_boxes(before, after, boxes, mirrored=mirror)
        with self._lock:
            self._known[key] = propagated
        return propagated


def _opposite(side: str) -> str:
    return "R" if side == "L" else "L"
