"""The regions of one case as they are on the disk, film by film, and how a film that lacks some begins.

The screen's one door to them: what is confirmed is written here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ratui.regions import is_mirrored
from ratui.regions.editor import RegionEditor
from ratui.regions.initial import initial_regions
from ratui.regions.propagation import ConfirmedRegions, PropagatedRegions
from ratui.scheme import Site
from ratui.study import Case, FilmRecord, Region, RegionSource, Study

__all__ = ["CaseRegions"]


class CaseRegions:
    """The films of `case` that show sites to be read, side by side, both time points in `order` one after another."""

    def __init__(self, study: Study, case: Case, order: Sequence[int]) -> None:
        self._study = study
        self._case = case
        scheme = study.scheme
        found: dict[str, tuple[FilmRecord, list[Site]]] = {}
        for site in case.sites(scheme):
            for point in order:
                film = case.film(point, site.side, site.part, scheme)
                if film is not None:
                    found.setdefault(film.id, (film, []))[1].append(site)
        self.films = tuple((film, tuple(sites)) for film, sites in found.values())

    def confirmed(self) -> dict[str, dict[str, Region]]:
        """The confirmed regions, by film and site."""
        by_film: dict[str, dict[str, Region]] = {}
        for region in self._study.regions(self._case.id):
            if region.confirmed_by:
                by_film.setdefault(region.film, {})[region.site] = region
        return by_film

    def confirmed_regions(self, boxes: RegionEditor | None = None) -> ConfirmedRegions:
        """The confirmed regions as `BoxPropagation` takes them; those of `boxes` as if they were confirmed too."""
        known = self.confirmed()
        confirmed_regions: dict[str, tuple[FilmRecord, Mapping[str, Region]]] = {
            film.id: (film, known[film.id]) for film, _ in self.films if known.get(film.id)
        }
        if boxes is not None:
            confirmed_regions[boxes.film.id] = (boxes.film, boxes.regions)
        return confirmed_regions

    def missing_sites(self, index: int) -> list[Site]:
        """The sites of a film that have no confirmed region."""
        film, sites = self.films[index]
        known = self.confirmed().get(film.id, {})
        return [site for site in sites if site.key not in known]

    def first_incomplete_film(self) -> int | None:
        """The first film that still has unconfirmed sites."""
        return next((index for index in range(len(self.films)) if self.missing_sites(index)), None)

    def open_editor(self, index: int, propagated: PropagatedRegions) -> RegionEditor:
        """The boxes of a film as it is opened: confirmed, `propagated` from other films, proposed, or by the template."""
        film, sites = self.films[index]
        scheme, confirmed = self._study.scheme, self.confirmed()
        others = {
            key: (record, region)
            for record, _ in self.films
            if record.id != film.id
            for key, region in confirmed.get(record.id, {}).items()
        }
        regions = initial_regions(
            scheme,
            film,
            sites,
            confirmed=confirmed.get(film.id, {}),
            proposed={r.site: r for r in self._study.proposals(self._case.id) if r.film == film.id},
            other=others,
            propagated=propagated.regions,
        )
        # Registration never turns a hand over: boxes that came from a film lying in a mirror lie so too.
        came = any(region.source == RegionSource.REGISTERED for region in propagated.regions.values())
        mirror = came and any(
            is_mirrored(scheme, record, {k: r.box for k, r in confirmed.get(record.id, {}).items()}, side)
            for record, _ in self.films
            for side in set(record.sides) & set(film.sides)
        )
        return RegionEditor.create(scheme, film, sites, regions, mirror)

    def save(self, boxes: RegionEditor) -> None:
        """Writes the confirmed regions of a film beside those of the other films. Raises StoreError."""
        mine = [region for region in boxes.regions.values() if region.confirmed_by]
        self._study.save_regions(self._case.id, mine, films={boxes.film.id})
