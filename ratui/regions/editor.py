"""The boxes of one film while a rater places them: an immutable value; every key press makes a new one, with its history.

This module knows no screen and no disk. It refuses impossible boxes before anything is confirmed. After each change, boxes
that no image supports follow the corrections.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from statistics import median

from ratui.imaging import Box
from ratui.regions import RegionFault, find_faults, is_mirrored
from ratui.regions.corrections import (
    FOLLOWING_SOURCES,
    UNSUPPORTED_SOURCES,
    find_next_site,
    follow_corrections,
    place_by_evidence,
)
from ratui.regions.initial import LARGEST, SMALLEST, find_template_box
from ratui.regions.navigation import find_box_towards
from ratui.scheme import Scheme, Site
from ratui.study import FilmRecord, Region, RegionSource

__all__ = ["ARRANGEMENTS", "RegionEditor"]

ARRANGEMENTS = ("plain", "mirrored", "crossed", "turned")
"""Positions of the hands on a film: as expected; the film seen from its back; and, on a film of both hands, the hands in
each other's places, or each one mirrored in its place. A film of one hand has the first two only."""
MIRRORED = ("mirrored", "turned")
"""Arrangements in which each hand is mirrored: the thumb is on the other side."""


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
    initial
        Region of each site before the rater's corrections, by its key: the differences to `regions` are the corrections that
        other boxes follow. Its source is the one of the proposal, also where the box was moved afterwards.
    history
        For each change that can be undone, the state before it, the latest last: index, regions, arrangement, initial.
    """

    scheme: Scheme
    film: FilmRecord
    sites: tuple[Site, ...]
    regions: Mapping[str, Region]
    index: int = 0
    arrangement: str = "plain"
    initial: Mapping[str, Region] = field(default_factory=dict)
    history: tuple[tuple[int, Mapping[str, Region], str, Mapping[str, Region]], ...] = ()

    @classmethod
    def create(
        cls,
        scheme: Scheme,
        film: FilmRecord,
        sites: Iterable[Site],
        regions: Mapping[str, Region],
        mirrored: bool = False,
        other_places: Mapping[str, Box] | None = None,
    ) -> RegionEditor:
        """Return the state of a film that is opened, at the box that needs attention first.

        `mirrored` says that the boxes come from a film that was confirmed as mirrored. `other_places` are the boxes as on
        the film of the other time point, in pixels of this film, as far as they are known.
        """
        film_sites = tuple(sites)
        confirmed = {key: region.box for key, region in regions.items() if region.confirmed_by}
        sides = {side: is_mirrored(scheme, film, confirmed, side) for side in film.sides}
        arrangement = "mirrored" if any(sides.values()) or (mirrored and False not in sides.values()) else "plain"
        turned = [side for side, is_turned in sides.items() if is_turned]
        placed = place_by_evidence(scheme, film, film_sites, regions, other_places or {}, turned)
        initial = {key: replace(regions[key], box=region.box) for key, region in placed.items()}
        editor = cls(scheme, film, film_sites, placed, 0, arrangement, initial)
        order = [*editor.uncertain_indices, *(i for i, site in enumerate(film_sites) if site.key in editor.unaccepted)]
        with_box = [i for i in order if placed[film_sites[i].key].box is not None]
        return replace(editor, index=(with_box or order or [0])[0])._at_most_informative()

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
            and region.source in FOLLOWING_SOURCES
        )

    @property
    def unsupported(self) -> tuple[str, ...]:
        """Keys of the unconfirmed boxes that neither the image nor the rater has placed, only the usual shape of a hand."""
        return tuple(
            key
            for key in self.unaccepted
            if self.regions[key].box is not None
            and self.regions[key].source is not RegionSource.RATER
            and self.initial[key].source in UNSUPPORTED_SOURCES
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
    def hand_to_accept(self) -> tuple[str, ...]:
        """Keys of the open boxes of the current hand if the other hand can then be placed from them, else empty."""
        here = tuple(key for key in self.unaccepted if key[0] == self.site.side)
        rest = replace(self, regions={**self.regions, **{key: self._confirm(key, "-") for key in here}})
        return here if here and rest.other_hand_is_next else ()

    @property
    def looks_mirrored(self) -> bool:
        """True if the boxes that a model proposes lie mirrored: a mirrored film, or a hand of the other side."""
        proposed = {key: region.box for key, region in self.regions.items() if region.source is RegionSource.MODEL}
        return any(is_mirrored(self.scheme, self.film, proposed, side) for side in self.film.sides)

    def step(self, by: int) -> RegionEditor:
        """Move `by` sites forwards, or backwards if negative."""
        return replace(self, index=(self.index + by) % len(self.sites))

    def step_towards(self, dx: int, dy: int) -> RegionEditor:
        """Move to the next box in a direction, as in `find_box_towards`; stay if there is none or this site has no box."""
        start = self.region.box
        boxes = {key: region.box for key, region in self.regions.items() if region.box is not None}
        key = None if start is None else find_box_towards(boxes, start, dx, dy)
        return self if key is None else self.select_site(key)

    def select_site(self, key: str) -> RegionEditor:
        """Move to the site with the key `key`."""
        return replace(self, index=next(i for i, site in enumerate(self.sites) if site.key == key))

    def with_box(self, box: Box | None) -> RegionEditor:
        """Set the box of the current site as drawn by the rater; it needs a new confirmation.

        Open boxes that no image supports follow.
        """
        return self._with_region(Region(self.site.key, self.film.id, box, RegionSource.RATER))

    def _confirm(self, key: str, rater: str) -> Region:
        return replace(self.regions[key], confirmed_by=rater)

    def _with_region(self, region: Region) -> RegionEditor:
        regions = {**self.regions, region.site: region}
        return self._with_regions(follow_corrections(self.film, self.sites, regions, self.initial))

    def toggle_absent(self) -> RegionEditor:
        """Mark the current site as not on the film, or put its box back where it last was, with the same source."""
        if self.region.box is not None:
            return self.with_box(None)
        known = (state[1][self.site.key] for state in reversed(self.history))
        last = next((region for region in known if region.box is not None), None)
        if last is not None:
            return self._with_region(replace(last, confirmed_by=""))
        return self.with_box(find_template_box(self.scheme, self.film, self.site) or self._middle())

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
        return replace(self._with_regions(regions, self._rebase(regions)), arrangement=arrangement)

    def shift_hand(self, dx: float, dy: float) -> RegionEditor:
        """Move all open boxes of the current hand by the fractions `dx`, `dy` of a box; their middle stays on the film."""
        boxes = self._open_boxes_of_hand()
        if not boxes:
            return self
        width = median(box.width for box in boxes.values())
        x, y = self._middle_of(boxes.values())
        by_x = min(max(x + dx * width, 0.0), float(self.film.columns)) - x
        by_y = min(max(y + dy * width, 0.0), float(self.film.rows)) - y
        return self._transform_hand(boxes, lambda box: box.shift(by_x, by_y))

    def scale_hand(self, factor: float) -> RegionEditor:
        """Scale all open boxes of the current hand, and their distances from their middle, by `factor`."""
        boxes = self._open_boxes_of_hand()
        widths = [box.width * factor for box in boxes.values()]
        if not boxes or min(widths) < SMALLEST * self.film.columns or max(widths) > LARGEST * self.film.columns:
            return self
        x, y = self._middle_of(boxes.values())
        return self._transform_hand(boxes, lambda box: box.shift(-x, -y).scale(factor).shift(x, y))

    def rotate_hand(self, degrees: float) -> RegionEditor:
        """Turn all open boxes of the current hand clockwise about their middle; each box stays upright."""
        boxes = self._open_boxes_of_hand()
        if not boxes:
            return self
        x, y = self._middle_of(boxes.values())
        cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

        def rotate(box: Box) -> Box:
            across, down = box.centre[0] - x, box.centre[1] - y
            turned = (cosine * across - sine * down + x, sine * across + cosine * down + y)
            return Box.from_centre(*turned, box.width, box.height)

        return self._transform_hand(boxes, rotate)

    def _open_boxes_of_hand(self) -> dict[str, Box]:
        """Return the boxes on the side of the current site that are not confirmed."""
        hand = (site for site in self.sites if site.side == self.site.side)
        return {site.key: box for site in hand if (box := self._unaccepted_box(site)) is not None}

    @staticmethod
    def _middle_of(boxes: Iterable[Box]) -> tuple[float, float]:
        centres = [box.centre for box in boxes]
        return sum(x for x, _ in centres) / len(centres), sum(y for _, y in centres) / len(centres)

    def _transform_hand(self, boxes: Mapping[str, Box], transform: Callable[[Box], Box]) -> RegionEditor:
        """Return the state with `boxes` transformed; later corrections are relative to these places."""
        regions = dict(self.regions)
        for key, box in boxes.items():
            region = regions[key]
            # A box that is no longer where the images were alike is an estimate. A model's box keeps its model, so that
            # training does not take it for a rater's.
            is_moved_estimate = region.source not in (RegionSource.RATER, RegionSource.MODEL)
            moved = Region(key, self.film.id, transform(box), RegionSource.ESTIMATED)
            regions[key] = moved if is_moved_estimate else replace(region, box=moved.box)
        return self._with_regions(regions, self._rebase(regions))

    def _rebase(self, regions: Mapping[str, Region]) -> dict[str, Region]:
        """Return the initial regions with the present boxes, so that only later changes count as corrections."""
        return {key: replace(self.initial[key], box=region.box) for key, region in regions.items()}

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
        index, regions, arrangement, initial = self.history[-1]
        return replace(
            self,
            index=index,
            regions=regions,
            arrangement=arrangement,
            initial=initial,
            history=self.history[:-1],
        )

    def accept(self, keys: Iterable[str], rater: str) -> RegionEditor:
        """Confirm the regions of `keys` as `rater`. Changes before that can't be undone any more.

        Open boxes that no image supports follow; those of `keys` are confirmed exactly as they are shown.
        """
        regions = dict(self.regions)
        for key in keys:
            regions[key] = self._confirm(key, rater)
        return replace(self, regions=follow_corrections(self.film, self.sites, regions, self.initial), history=())

    @property
    def unaccepted(self) -> tuple[str, ...]:
        """Keys of the sites whose regions are not confirmed yet."""
        return tuple(site.key for site in self.sites if not self.regions[site.key].confirmed_by)

    def select_next_unaccepted(self) -> RegionEditor:
        """Move to the next region that is not confirmed, or to the next site if all are.

        Of boxes that no image supports, the one comes first whose correction tells most about the others. The other hand
        follows when the current one is confirmed.
        """
        open_here = [key for key in self.unaccepted if key[0] == self.site.side]
        if self.unsupported and (not open_here or set(open_here) & set(self.unsupported)):
            return self._at_most_informative()
        order = [*range(self.index + 1, len(self.sites)), *range(self.index + 1)]
        wanted = open_here or self.unaccepted
        return replace(self, index=next((i for i in order if self.sites[i].key in wanted), order[0]))

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

    def _at_most_informative(self) -> RegionEditor:
        """Move to the box that no image supports and that tells most about the others; stay if there is none.

        The boxes of the current hand come first.
        """
        here = [key for key in self.unsupported if key[0] == self.site.side]
        key = find_next_site(self.sites, self.regions, self.initial, here or self.unsupported)
        return self if key is None else self.select_site(key)

    def _with_regions(self, regions: Mapping[str, Region], initial: Mapping[str, Region] | None = None) -> RegionEditor:
        before = (self.index, self.regions, self.arrangement, self.initial)
        return replace(
            self,
            regions=regions,
            initial=self.initial if initial is None else initial,
            history=(*self.history, before),
        )

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
