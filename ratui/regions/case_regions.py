"""The regions of one case, film by film: load, propose and save them.

The regions screen reads and writes regions through this class only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ratui.regions import is_mirrored
from ratui.regions.editor import RegionEditor
from ratui.regions.initial import make_initial_regions
from ratui.regions.propagation import ConfirmedRegions, PropagatedRegions
from ratui.scheme import Site
from ratui.study import Case, FilmRecord, Region, RegionSource, Study

__all__ = ["CaseRegions"]


class CaseRegions:
    """The regions of one case.

    Parameters
    ----------
    study, case
        The case and its study.
    order
        Time points in the order of display.

    Attributes
    ----------
    films
        Each film that shows sites to be read, with these sites; the time points of a side follow one another.
    """

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
        """Return the confirmed regions by film ID and site key."""
        by_film: dict[str, dict[str, Region]] = {}
        for region in self._study.regions(self._case):
            if region.confirmed_by:
                by_film.setdefault(region.film, {})[region.site] = region
        return by_film

    def confirmed_regions(self, editor: RegionEditor | None = None) -> ConfirmedRegions:
        """Return the confirmed regions in the form that `BoxPropagation` takes.

        All regions of the open `editor` are included as if they were confirmed.
        """
        known = self.confirmed()
        confirmed_regions: dict[str, tuple[FilmRecord, Mapping[str, Region]]] = {
            film.id: (film, known[film.id]) for film, _ in self.films if known.get(film.id)
        }
        if editor is not None:
            confirmed_regions[editor.film.id] = (editor.film, editor.regions)
        return confirmed_regions

    def missing_sites(self, index: int) -> list[Site]:
        """Return the sites of the film at `index` in `films` that have no confirmed region."""
        film, sites = self.films[index]
        known = self.confirmed().get(film.id, {})
        return [site for site in sites if site.key not in known]

    def first_incomplete_film(self) -> int | None:
        """Return the index of the first film that has unconfirmed sites, or None."""
        return next((index for index in range(len(self.films)) if self.missing_sites(index)), None)

    def open_editor(self, index: int, propagated: PropagatedRegions) -> RegionEditor:
        """Return an editor for the film at `index` in `films`.

        Its boxes are those confirmed, else `propagated` from other films, proposed by a model, or from the template.
        """
        film, sites = self.films[index]
        scheme, confirmed = self._study.scheme, self.confirmed()
        # The nearest time point last, because it counts.
        records = sorted((record for record, _ in self.films), key=lambda record: -abs(record.time - film.time))
        others = {
            key: (record, region)
            for record in records
            if record.id != film.id
            for key, region in confirmed.get(record.id, {}).items()
        }
        regions = make_initial_regions(
            scheme,
            film,
            sites,
            confirmed=confirmed.get(film.id, {}),
            proposed={r.site: r for r in self._study.proposals(self._case) if r.film == film.id},
            other=others,
            propagated=propagated.regions,
        )
        # Registration never mirrors a hand: boxes propagated from a mirrored film are mirrored, too.
        has_registered = any(region.source == RegionSource.REGISTERED for region in propagated.regions.values())
        mirrored = has_registered and any(
            is_mirrored(scheme, record, {k: r.box for k, r in confirmed.get(record.id, {}).items()}, side)
            for record, _ in self.films
            for side in set(record.sides) & set(film.sides)
        )
        alone = make_initial_regions(scheme, film, sites, confirmed={}, proposed={}, other=others)
        other_places = {
            key: region.box
            for key, region in alone.items()
            if region.source is RegionSource.OTHER_FILM and region.box is not None
        }
        return RegionEditor.create(scheme, film, sites, regions, mirrored, other_places)

    def save(self, editor: RegionEditor) -> None:
        """Save the confirmed regions of the editor's film; those of other films stay as they are. Raises StoreError."""
        confirmed = [region for region in editor.regions.values() if region.confirmed_by]
        self._study.save_regions(self._case, confirmed, films={editor.film.id})
