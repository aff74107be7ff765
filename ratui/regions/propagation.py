"""Propagation of confirmed boxes to other films of the case by image registration.

The source is the nearest other time point of the same hand with confirmed boxes, else the other hand, mirrored. Calls may
run in worker threads. Nothing is confirmed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from ratui.imaging import Box, Film, Orientation, PropagatedBox, propagate_boxes
from ratui.scheme import Scheme, Site
from ratui.study import FilmRecord, Region, RegionSource

__all__ = ["BoxPropagation", "ConfirmedRegions", "FilmSource", "PropagatedRegions"]

ConfirmedRegions = Mapping[str, tuple[FilmRecord, Mapping[str, Region]]]
"""Confirmed regions of a case: by film ID, the film's record and its regions by site key."""


class FilmSource(Protocol):
    """A store of decoded films."""

    def film(self, case: str, id: str, orientation: Orientation) -> Film:
        """Return the film `id` of `case` in `orientation`, decoded. Raises FilmError."""
        ...


@dataclass(frozen=True)
class PropagatedRegions:
    """The result of a propagation.

    Attributes
    ----------
    regions
        Regions by site key.
    failed
        True if there was a source film, but registration found nothing.
    """

    regions: Mapping[str, Region]
    failed: bool = False


class BoxPropagation:
    """Propagation between the films of one case; results are kept, so that the same request twice costs nothing.

    Parameters
    ----------
    films
        Store of the decoded films.
    scheme
        The study's scheme.
    case
        Name of the case.
    """

    def __init__(self, films: FilmSource, scheme: Scheme, case: str) -> None:
        self._films = films
        self._scheme = scheme
        self._case = case
        self._known: dict[tuple[object, ...], dict[str, PropagatedBox]] = {}
        self._lock = Lock()

    def propagate(self, film: FilmRecord, sites: Iterable[Site], confirmed: ConfirmedRegions) -> PropagatedRegions:
        """Return the regions of `sites` on `film` that follow from confirmed regions on other films.

        Parameters
        ----------
        film, sites
            The film, and the sites to place on it.
        confirmed
            Confirmed regions of the case; those of `film` itself are used for its other hand.

        Raises
        ------
        FilmError
            If a film can't be decoded.
        """
        found: dict[str, Region] = {}
        failed = False
        for side in film.sides:
            wanted = [site for site in sites if site.side == side]
            for source, mirror in self._source_films(film, side, confirmed):
                regions = confirmed[source.id][1]
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
                    origin = RegionSource.REGISTERED if each.is_found else RegionSource.ESTIMATED
                    key = names[there]
                    found[key] = Region(key, film.id, each.box, origin, confidence=round(each.agreement, 2))
                if not mirror:
                    failed = failed or not propagated
                    # A site absent on one film is proposed as absent on the other; the rater confirms that, too.
                    found |= {
                        names[there]: Region(names[there], film.id, None, RegionSource.REGISTERED)
                        for there, region in known.items()
                        if region.box is None and propagated
                    }
        return PropagatedRegions(found, failed and not found)

    def _source_films(self, film: FilmRecord, side: str, confirmed: ConfirmedRegions) -> list[tuple[FilmRecord, bool]]:
        """Return the source films, the best first, and whether each shows the other side."""
        part = self._scheme.views[film.view].part
        alike = [
            record for record, regions in confirmed.values() if self._scheme.views[record.view].part == part and regions
        ]
        same = [(record, False) for record in alike if record.id != film.id and side in record.sides]
        others = [(record, True) for record in alike if record.view == film.view and _opposite(side) in record.sides]
        for films in (same, others):
            films.sort(key=lambda item: abs(item[0].time - film.time))
        return [*same, *others]

    def _propagate(
        self, source: FilmRecord, film: FilmRecord, boxes: dict[str, Box], mirror: bool
    ) -> dict[str, PropagatedBox]:
        key = (source.id, source.orientation, film.id, film.orientation, mirror, tuple(sorted(boxes.items())))
        with self._lock:
            if key in self._known:
                return self._known[key]
        before, after = (self._films.film(self._case, each.id, each.orientation) for each in (source, film))
        propagated = propagate_boxes(before, after, boxes, mirrored=mirror)
        with self._lock:
            self._known[key] = propagated
        return propagated


def _opposite(side: str) -> str:
    return "R" if side == "L" else "L"
