"""The boxes of one film while a rater places them: an immutable value; every key press makes a new one, with its history.

This module knows no screen and no disk. It refuses impossible boxes before anything is confirmed.
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
"""Positions of the hands on a film: as expected; the film seen from its back; and, on a film of both hands, the hands in
each other's places, or each one mirrored in its place. A film of one hand has the first two only."""
MIRRORED = ("mirrored", "turned")
"""Arrangements in which each hand is mirrored: the thumb is on the other side."""

_UNCERTAIN = (RegionSource.TEMPLATE, RegionSource.OTHER_FILM, RegionSource.ESTIMATED)


@dataclass(frozen=True)
class RegionEditor:
    """The state of editing one film.

    Attributes
    ----------
    scheme, film
        The scheme, and the film that is edited.
    sites
        Sites to place, in order.
    regions
        Region of each site by its key.
    index
        Index of the current site in `sites`.
    arrangement
        One of `ARRANGEMENTS`.
    history
        For each change that can be undone, the state before it, the latest last: index, regions, arrangement.
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
        mirrored: bool = False,
    ) -> RegionEditor:
        """Return the state of a film that is opened, at the first box that needs attention.

        `mirrored` says that the boxes come from a film that was confirmed as mirrored.
        """
        film_sites = tuple(sites)
        confirmed = {key: region.box for key, region in regions.items() if region.confirmed_by}
        sides = [is_mirrored(scheme, film, confirmed, side) for side in film.sides]
        arrangement = "mirrored" if any(sides) or (mirrored and False not in sides) else "plain"
        editor = cls(scheme, film, film_sites, dict(regions), 0, arrangement)
        order = [
            *editor.uncertain_indices,
            *(i for i, site in enumerate(film_sites) if not regions[site.key].confirmed_by),
        ]
        placed = [i for i in order if regions[film_sites[i].key].box is not None]
        return replace(editor, index=(placed or order or [0])[0])

    @property
    def site(self) -> Site:
        """Current site."""
        return self.sites[self.index]

    @property
    def region(self) -> Region:
        """Region of the current site."""
        return self.regions[self.site.key]

    @property
    def uncertain_indices(self) -> tuple[int, ...]:
        """Indices of boxes neither confirmed by a rater nor placed by a rater, registration or a model."""
        return tuple(
            i
            for i, site in enumerate(self.sites)
            if (region := self.regions[site.key]).box is not None
            and not region.confirmed_by
            and region.source in _UNCERTAIN
        )

    @property
    def accepted_count(self) -> int:
        """Number of confirmed regions."""
        return sum(bool(region.confirmed_by) for region in self.regions.values())

    @property
    def is_complete(self) -> bool:
        """True if every region is confirmed."""
        return self.accepted_count == len(self.sites)

    @property
    def other_hand_is_next(self) -> bool:
        """True if the film shows two hands, of which one is accepted and the boxes of the other are uncertain.

        The boxes of the other hand can then be placed again from those of the accepted one.
        """
        waiting = [index for index, site in enumerate(self.sites) if site.key in self.unaccepted]
        sides = {self.sites[index].side for index in waiting}
        return self.film.side == "B" and len(sides) == 1 and set(waiting) <= set(self.uncertain_indices)

    @property
    def looks_mirrored(self) -> bool:
        """True if the boxes that a model proposes lie mirrored: a mirrored film, or a hand of the other side."""
        proposed = {key: region.box for key, region in self.regions.items() if region.source is RegionSource.MODEL}
        return any(is_mirrored(self.scheme, self.film, proposed, side) for side in self.film.sides)

    def step(self, by: int) -> RegionEditor:
        """Move `by` sites forwards, or backwards if negative."""
        return replace(self, index=(self.index + by) % len(self.sites))

    def select_site(self, key: str) -> RegionEditor:
        """Move to the site with the key `key`."""
        return replace(self, index=next(i for i, site in enumerate(self.sites) if site.key == key))

    def with_box(self, box: Box | None) -> RegionEditor:
        """Set the box of the current site as drawn by the rater; it needs a new confirmation."""
        region = Region(self.site.key, self.film.id, box, RegionSource.RATER)
        return self._with_regions({**self.regions, self.site.key: region})

    def toggle_absent(self) -> RegionEditor:
        """Mark the current site as not on the film, or put its box back where it last was."""
        if self.region.box is not None:
            return self.with_box(None)
        known = (state[1][self.site.key].box for state in reversed(self.history))
        last = next((box for box in known if box is not None), None)
        return self.with_box(last or template_box(self.scheme, self.film, self.site) or self._middle())

    def next_arrangement(self) -> RegionEditor:
        """Select the next arrangement and mirror the boxes that are not confirmed yet, as far as it requires.

        Boxes of a hand that already has the new arrangement stay. Returns the same value if every region is confirmed.
        """
        if self.is_complete:
            return self
        choices = ARRANGEMENTS if self.film.side == "B" else ARRANGEMENTS[:2]
        arrangement = choices[(choices.index(self.arrangement) + 1) % len(choices)]
        regions = dict(self.regions)
        for side in self.film.sides:
            hand = {site.key: box for site in self.sites if site.side == side and (box := self._unaccepted_box(site))}
            in_film, in_half = self._required_mirrorings(arrangement, side, hand)
            for key, box in hand.items():
                moved = box.mirror(self._whole) if in_film else box
                moved = moved.mirror(self._half(moved)) if in_half else moved
                regions[key] = replace(regions[key], box=moved)
        return replace(self._with_regions(regions), arrangement=arrangement)

    def _unaccepted_box(self, site: Site) -> Box | None:
        region = self.regions[site.key]
        return None if region.confirmed_by else region.box

    def _required_mirrorings(self, arrangement: str, side: str, hand: Mapping[str, Box]) -> tuple[bool, bool]:
        """Return whether `hand`, the boxes of `side`, must be mirrored within the whole film and within its half.

        After both, the hand has the arrangement `arrangement`.
        """
        now_mirrored = is_mirrored(self.scheme, self.film, hand, side)
        if now_mirrored is None:  # too few boxes to tell
            now_mirrored = self.arrangement in MIRRORED
        turn = now_mirrored != (arrangement in MIRRORED)
        if self.film.side != "B" or not hand:
            return turn, False
        middle = sum(box.x0 + box.x1 for box in hand.values()) / (2 * len(hand))
        belongs_right = (side == "L") == (arrangement in ("mirrored", "crossed"))
        in_film = belongs_right != (middle > self.film.columns / 2)
        # Mirroring within the film also turns the hand over; a second mirroring within the half turns it back.
        return in_film, in_film != turn

    def undo(self) -> RegionEditor:
        """Undo the last change; return the same value if there is none."""
        if not self.history:
            return self
        index, regions, arrangement = self.history[-1]
        return replace(self, index=index, regions=regions, arrangement=arrangement, history=self.history[:-1])

    def accept(self, keys: Iterable[str], rater: str) -> RegionEditor:
        """Confirm the regions of `keys` as `rater`. Changes before that can't be undone any more."""
        regions = dict(self.regions)
        for key in keys:
            regions[key] = replace(regions[key], confirmed_by=rater)
        return replace(self, regions=regions, history=())

    @property
    def unaccepted(self) -> tuple[str, ...]:
        """Keys of the sites whose regions are not confirmed yet."""
        return tuple(site.key for site in self.sites if not self.regions[site.key].confirmed_by)

    def select_next_unaccepted(self) -> RegionEditor:
        """Move to the next region that is not confirmed, or to the next site if all are."""
        order = [*range(self.index + 1, len(self.sites)), *range(self.index + 1)]
        return replace(
            self, index=next((i for i in order if not self.regions[self.sites[i].key].confirmed_by), order[0])
        )

    def find_acceptance_faults(self, keys: Iterable[str]) -> tuple[RegionFault, ...]:
        """Return the faults that prevent the confirmation of the regions of `keys`.

        These are faults among the regions of `keys` and the confirmed ones, and a hand that is mirrored unexpectedly, even
        if another of its boxes shows that.
        """
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
        """Return the half of the film that contains the middle of `box`."""
        middle = self.film.columns / 2
        right = box.x0 + box.x1 > 2 * middle
        return Box(middle if right else 0.0, 0.0, 2 * middle if right else middle, float(self.film.rows))

    def _middle(self) -> Box:
        return Box.from_centre(*self._whole.centre, self.film.columns / 10)
