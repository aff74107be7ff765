"""The boxes of one film while a rater places them: a value that every key makes anew, with what came before.

It knows no screen and no disk, and refuses what can't be true before anything is confirmed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ratui.imaging import Box
from ratui.regions import RegionFault, find_faults, is_mirrored
from ratui.regions.initial import template_box
from ratui.scheme import Scheme, Site
from ratui.study import FilmRecord, Region, RegionSource

__all__ = ["ARRANGEMENTS", "RegionEditor"]

ARRANGEMENTS = ("plain", "mirrored", "crossed", "turned")
MIRRORED = ("mirrored", "turned")
"""How the hands of a film lie: as they should, the film seen from its back, and on a film of two hands also the hands on
each other's places, or each in a mirror. A film of one hand knows the first two."""

_UNCERTAIN = (RegionSource.TEMPLATE, RegionSource.OTHER_FILM, RegionSource.ESTIMATED)


@dataclass(frozen=True)
class RegionEditor:
    """`regions` by site key of all `sites` on `film`; `index` is the current site's place in `sites`.

    `history` holds what was before each change, latest last: the regions and the arrangement.
    """

    scheme: Scheme
    film: FilmRecord
    sites: tuple[Site, ...]
    regions: Mapping[str, Region]
    index: int = 0
    arrangement: str = "plain"
    history: tuple[tuple[int, Mapping[str, Region], str], ...] = ()

    @classmethod
    def create(
        cls,
        scheme: Scheme,
        film: FilmRecord,
        sites: Iterable[Site],
        regions: Mapping[str, Region],
        mirror: bool = False,
    ) -> RegionEditor:
        """The film as it is opened, at the first box that wants a look. `mirror` says that the film that the boxes came
        from was confirmed as lying the other way."""
        film_sites = tuple(sites)
        confirmed = {key: region.box for key, region in regions.items() if region.confirmed_by}
        seen = [is_mirrored(scheme, film, confirmed, side) for side in film.sides]
        way = "mirrored" if any(seen) or (mirror and not any(side is False for side in seen)) else "plain"
        boxes = cls(scheme, film, film_sites, dict(regions), 0, way)
        order = [
            *boxes.uncertain_indices,
            *(i for i, site in enumerate(film_sites) if not regions[site.key].confirmed_by),
        ]
        placed = [i for i in order if regions[film_sites[i].key].box is not None]
        return replace(boxes, index=(placed or order or [0])[0])

    @property
    def site(self) -> Site:
        return self.sites[self.index]

    @property
    def region(self) -> Region:
        """The current region."""
        return self.regions[self.site.key]

    @property
    def uncertain_indices(self) -> tuple[int, ...]:
        """Which boxes nobody and nothing vouches for: not confirmed, not found by registration or a model."""
        return tuple(
            i
            for i, site in enumerate(self.sites)
            if (region := self.regions[site.key]).box is not None
            and not region.confirmed_by
            and region.source in _UNCERTAIN
        )

    @property
    def accepted_count(self) -> int:
        return sum(bool(region.confirmed_by) for region in self.regions.values())

    @property
    def is_complete(self) -> bool:
        return self.accepted_count == len(self.sites)

    def step(self, by: int) -> RegionEditor:
        """To the next box, or back."""
        return replace(self, index=(self.index + by) % len(self.sites))

    def select_site(self, key: str) -> RegionEditor:
        """At the site named `key`."""
        return replace(self, index=next(i for i, site in enumerate(self.sites) if site.key == key))

    def with_box(self, box: Box | None) -> RegionEditor:
        """The current box as the rater put it; it has to be accepted again."""
        region = Region(self.site.key, self.film.id, box, RegionSource.RATER)
        return self._with_regions({**self.regions, self.site.key: region})

    def toggle_absent(self) -> RegionEditor:
        """The current site not on the film; or back on it, where it last was."""
        if self.region.box is not None:
            return self.with_box(None)
        known = (state[1][self.site.key].box for state in reversed(self.history))
        last = next((box for box in known if box is not None), None)
        return self.with_box(last or template_box(self.scheme, self.film, self.site) or self._middle())

    def next_arrangement(self) -> RegionEditor:
        """The film said to lie in the next arrangement, and the boxes that aren't accepted yet taken there; those of a
        hand that lie so already stay. The same value where every box is accepted."""
        if self.is_complete:
            return self
        ways = ARRANGEMENTS if self.film.side == "B" else ARRANGEMENTS[:2]
        arrangement = ways[(ways.index(self.arrangement) + 1) % len(ways)]
        regions = dict(self.regions)
        for side in self.film.sides:
            hand = {site.key: box for site in self.sites if site.side == side and (box := self._unaccepted_box(site))}
            over, across = self._required_mirrorings(arrangement, side, hand)
            for key, box in hand.items():
                there = box.mirror(self._whole) if over else box
                there = there.mirror(self._half(there)) if across else there
                regions[key] = replace(regions[key], box=there)
        return replace(self._with_regions(regions), arrangement=arrangement)

    def _unaccepted_box(self, site: Site) -> Box | None:
        region = self.regions[site.key]
        return None if region.confirmed_by else region.box

    def _required_mirrorings(self, arrangement: str, side: str, hand: Mapping[str, Box]) -> tuple[bool, bool]:
        """Whether `hand`, the boxes of `side`, has to be mirrored over the whole film and within its half to lie as
        `arrangement` says."""
        lies = is_mirrored(self.scheme, self.film, hand, side)
        lies = self.arrangement in MIRRORED if lies is None else lies
        turn = lies != (arrangement in MIRRORED)
        if self.film.side != "B" or not hand:
            return turn, False
        middle = sum(box.x0 + box.x1 for box in hand.values()) / (2 * len(hand))
        right = (side == "L") == (arrangement in ("mirrored", "crossed"))
        over = right != (middle > self.film.columns / 2)
        return over, over != turn

    def undo(self) -> RegionEditor:
        """What was before the last change; the same value where there was none."""
        if not self.history:
            return self
        index, regions, arrangement = self.history[-1]
        return replace(self, index=index, regions=regions, arrangement=arrangement, history=self.history[:-1])

    def accept(self, keys: Iterable[str], rater: str) -> RegionEditor:
        """The regions of `keys` confirmed by `rater`; what was before is settled and can't be undone."""
        regions = dict(self.regions)
        for key in keys:
            regions[key] = replace(regions[key], confirmed_by=rater)
        return replace(self, regions=regions, history=())

    @property
    def unaccepted(self) -> tuple[str, ...]:
        """The keys of the sites that are not accepted yet."""
        return tuple(site.key for site in self.sites if not self.regions[site.key].confirmed_by)

    def select_next_unaccepted(self) -> RegionEditor:
        """At the next box that is not accepted; where all are, at the next."""
        order = [*range(self.index + 1, len(self.sites)), *range(self.index + 1)]
        return replace(
            self, index=next((i for i in order if not self.regions[self.sites[i].key].confirmed_by), order[0])
        )

    def find_acceptance_faults(self, keys: Iterable[str]) -> tuple[RegionFault, ...]:
        """Why the regions of `keys` can't be confirmed now: faults among them and those confirmed before, and a hand that
        lies the wrong way round, whichever of its boxes shows it."""
        wanted = set(keys)
        considered = [site for site in self.sites if site.key in wanted or self.regions[site.key].confirmed_by]
        view = self.scheme.views[self.film.view]
        boxes: dict[str, Box | None] = {}
        for site in self.sites:
            region = self.regions[site.key]
            known = region.confirmed_by or region.source in (
                RegionSource.RATER,
                RegionSource.OTHER_FILM,
                RegionSource.REGISTERED,
            )
            if region.box is not None or known or site.joint.id not in view.template:
                boxes[site.key] = region.box
        mirror = self.arrangement in MIRRORED
        found = find_faults(self.scheme, self.film, considered, boxes, expect_mirrored=mirror)
        found = tuple(f for f in found if f.kind != "mirrored" and (f.site in wanted or f.other in wanted))
        whole = find_faults(self.scheme, self.film, self.sites, boxes, expect_mirrored=mirror)
        sides = {key[0] for key in wanted}
        return (*(f for f in whole if f.kind == "mirrored" and f.site[0] in sides), *found)

    def _with_regions(self, regions: Mapping[str, Region]) -> RegionEditor:
        return replace(self, regions=regions, history=(*self.history, (self.index, self.regions, self.arrangement)))

    @property
    def _whole(self) -> Box:
        return Box.from_size(self.film.columns, self.film.rows)

    def _half(self, box: Box) -> Box:
        """The half of the film in which the middle of `box` lies."""
        middle = self.film.columns / 2
        right = box.x0 + box.x1 > 2 * middle
        return Box(middle if right else 0.0, 0.0, 2 * middle if right else middle, float(self.film.rows))

    def _middle(self) -> Box:
        return Box.from_centre(*self._whole.centre, self.film.columns / 10)
