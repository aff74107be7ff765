"""Cases with their films, and which sites of a case can be read. Values only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ratui.errors import StoreError
from ratui.files import check_name
from ratui.imaging import Box, Orientation, SpacingSource
from ratui.reading import Slot
from ratui.scheme import Scheme, Site
from ratui.stored_values import as_integer, as_list, as_number, as_text
from ratui.study.region import Region, RegionSource, regions_from_records, regions_to_records

__all__ = [
    "MOST_DAYS",
    "MOST_VISITS",
    "Case",
    "FilmRecord",
    "FilmsWithdrawn",
    "Region",
    "RegionSource",
    "regions_from_records",
    "regions_to_records",
]

MOST_VISITS = 8
"""Limit of the examinations of a patient."""
_MOST_PIXELS = 1_000_000  # along one side of a film
MOST_DAYS = 100_000
"""Largest difference of a film's day from the first film of its case."""


@dataclass(frozen=True)
class FilmRecord:
    """The description of one film of a case.

    Attributes
    ----------
    id
        Random name of the film in its case.
    time
        Time point: 0 for the earliest examination, 1 for the next one. In a rater's view of a blinded study, the time points
        are unknown, and `time` is the position at which the film is shown, 0 for the left one.
    side
        ``L``, ``R``, or ``B`` for a film of both hands or feet.
    view
        Key of the view in the scheme, such as ``hand``.
    rows, columns
        Size of the image in pixels.
    day
        Days since the first film of the case, or None if unknown, as in a rater's view of a blinded study.
    spacing
        Size of a pixel in millimetres, (between rows, between columns), or None if unknown.
    digest
        Digest of the pixels, by which the import recognizes a film; empty where only managers may read it.
    file
        SHA-256 of the film's file; empty for a film that was imported in format 1.
    note
        Warning of the import, such as text burned into the image, or empty.
    aspect
        Height of a pixel divided by its width.
    visit
        Number of the examination in the study, from 0 to 7. It differs from `time` if the case lacks an earlier visit; None
        for `time`.
    orientation
        The change from the stored to the displayed film. `rows`, `columns`, `spacing` and `aspect` are those of the latter.
    spacing_source
        Origin of `spacing`; unknown for a film that was imported before it was recorded.
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
    visit: int | None = None
    orientation: Orientation = Orientation.UPRIGHT
    spacing_source: SpacingSource = SpacingSource.UNKNOWN

    @property
    def number(self) -> int:
        """Number of the examination in the study: `visit`, or `time` if that is None."""
        return self.time if self.visit is None else self.visit

    @property
    def sides(self) -> tuple[str, ...]:
        """Sides that the film shows: ``L``, ``R`` or both."""
        return ("L", "R") if self.side == "B" else (self.side,)

    def area(self, side: str) -> Box:
        """Return the part of the film that shows `side`, in pixels: the whole film, or half of a film of both hands.

        The left hand is expected in the left half of the image.
        """
        if self.side != "B":
            return Box.from_size(self.columns, self.rows)
        half, rows = self.columns / 2, float(self.rows)
        return Box(0.0, 0.0, half, rows) if side == "L" else Box(half, 0.0, float(self.columns), rows)

    def with_orientation(self, orientation: Orientation) -> FilmRecord:
        """Return the film displayed in `orientation`, whatever its orientation is now."""
        turn = self.orientation.inverse.then(orientation)
        if not turn.swaps_sides:
            return replace(self, orientation=orientation)
        return replace(
            self,
            orientation=orientation,
            rows=self.columns,
            columns=self.rows,
            spacing=None if self.spacing is None else (self.spacing[1], self.spacing[0]),
            aspect=1 / self.aspect,
        )

    def as_stored(self) -> FilmRecord:
        """Return the film with the size and spacing of its stored picture."""
        return self.with_orientation(Orientation.UPRIGHT)

    def to_displayed(self, box: Box) -> Box:
        """Return a box of the stored film in pixels of the displayed one."""
        stored = self.as_stored()
        return self.orientation.turn_box(box, stored.columns, stored.rows)

    def to_stored(self, box: Box) -> Box:
        """Return a box of the displayed film in pixels of the stored one."""
        return self.orientation.inverse.turn_box(box, self.columns, self.rows)

    def to_record(self) -> dict[str, Any]:
        """Return the film with all values, as stored in a file up to format 2."""
        left_out = ("visit", "orientation", "spacing_source")
        return {name: value for name, value in asdict(self.as_stored()).items() if name not in left_out}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> FilmRecord:
        """Return the film in a stored record, upright. Raises an error of `ODD_VALUE_ERRORS` for anything else."""
        spacing = record["spacing"]
        down, across = as_list(spacing) if spacing is not None else (None, None)
        film = cls(
            **{
                **record,
                "spacing": None if down is None else (as_number(down, 1e-6, 1e6), as_number(across, 1e-6, 1e6)),
                "spacing_source": SpacingSource(as_text(record.get("spacing_source", ""))),
            }
        )
        check_name(film.id, "film")
        as_integer(film.time, 0, MOST_VISITS - 1)
        if film.side not in ("L", "R", "B"):
            raise ValueError("a side that is not L, R or B")
        for text in (film.view, film.digest, film.file, film.note):
            as_text(text)
        as_integer(film.rows, 1, _MOST_PIXELS)
        as_integer(film.columns, 1, _MOST_PIXELS)
        if film.day is not None:
            as_integer(film.day, -MOST_DAYS, MOST_DAYS)
        as_number(film.aspect, 1e-6, 1e6)
        return film


class FilmsWithdrawn(StoreError):
    """A reading can't be shown, because all films of one of its visits were withdrawn and no others have come."""


@dataclass(frozen=True)
class Case:
    """One patient of the study, under the pseudonym `id`.

    Attributes
    ----------
    id
        The pseudonym.
    films
        The films of all time points.
    withdrawn
        ID and time point of each film that was withdrawn from the study; the time point is None if no film of it is left.
    """

    id: str
    films: tuple[FilmRecord, ...]
    withdrawn: tuple[tuple[str, int | None], ...] = ()

    @property
    def times(self) -> tuple[int, ...]:
        """Time points that have a film, in order."""
        return tuple(sorted({film.time for film in self.films}))

    @property
    def visit_numbers(self) -> tuple[int, ...]:
        """Number in the study of the visit at each time point, 0 for the baseline; see `FilmRecord.number`."""
        numbers = {film.time: film.number for film in self.films}
        return tuple(numbers[time] for time in self.times)

    def days_from(self, earlier: int, later: int) -> int | None:
        """Return the days from the time point `earlier` to `later`, or None if a day is unknown."""
        days = {film.time: film.day for film in self.films if film.day is not None}
        return days[later] - days[earlier] if {earlier, later} <= set(days) else None

    @property
    def days_between(self) -> int | None:
        """Days from the first to the second time point, or None if a day is unknown."""
        return self.days_from(0, 1)

    def as_stored(self) -> Case:
        """Return the case with the sizes and spacings of the stored pictures of its films."""
        return replace(self, films=tuple(film.as_stored() for film in self.films))

    def films_at(self, order: Iterable[int]) -> tuple[tuple[str, ...], ...]:
        """Return the IDs of the films of each time point in `order`, sorted."""
        return tuple(tuple(sorted(film.id for film in self.films if film.time == time)) for time in order)

    def order_of(self, positions: Sequence[Sequence[str]]) -> tuple[int, ...]:
        """Return the time point of the films at each position of a rater, given by their IDs.

        A position whose films were all withdrawn is left out. Raises StoreError if the films are not those of all time
        points of this case.
        """
        known = tuple(time for time in self.times_at(positions) if time is not None)
        if sorted(known) != list(self.times):
            raise self._other_films()
        return known

    def times_at(self, positions: Sequence[Sequence[str]]) -> tuple[int | None, ...]:
        """Return the time point of the films at each position, given by their IDs; None if all of them were withdrawn.

        Raises StoreError if the films are not those of different time points of this case, and FilmsWithdrawn if films of
        one visit only are left.
        """
        withdrawn = dict(self.withdrawn)
        times = {film.id: film.time for film in self.films} | withdrawn
        order: list[int | None] = []
        for films in positions:
            found = {times.get(film) for film in films}
            if len(found) != 1 or not times.keys() >= {*films}:
                raise self._other_films()
            order.extend(found)
        if None in order and len(self.times) < 2:
            raise FilmsWithdrawn(
                "all its films of one visit were withdrawn", self.id, "Import the right films of that visit"
            )
        known = [time for time in order if time is not None]
        if len(set(known)) < len(known):
            raise self._other_films()
        return tuple(order)

    def _other_films(self) -> StoreError:
        problem = "its films are not those of the case, each with one visit"
        return StoreError(problem, self.id, "See: ratui check STUDY")

    def film(self, time: int, side: str, part: str, scheme: Scheme) -> FilmRecord | None:
        """Return the film that shows the body part `part` of `side` at the time point `time`, or None."""
        for film in self.films:
            if film.time == time and side in film.sides and scheme.views[film.view].part == part:
                return film
        return None

    def has_film(self, number: int, side: str, part: str, scheme: Scheme) -> bool:
        """Return whether a film shows the body part `part` of `side`, or of both, at the examination `number`."""
        sides = ("L", "R") if side == "B" else (side,)
        return any(
            film.number == number and scheme.views[film.view].part == part and not {*sides}.isdisjoint(film.sides)
            for film in self.films
        )

    def sites(self, scheme: Scheme) -> tuple[Site, ...]:
        """Return the sites that can be read, in reading order.

        Films of at least two time points show them, or the case has one time point only, of which the status is read.
        """
        shown = Counter((side, part) for _, side, part in self._shown_parts(scheme))
        needed = min(2, len(self.times))
        return tuple(site for site in scheme.sites if shown[site.side, site.part] >= needed > 0)

    def _shown_parts(self, scheme: Scheme) -> Mapping[tuple[int, str, str], str]:
        """Return the ID of the film that shows each body part, by time point, side and part."""
        shown: dict[tuple[int, str, str], str] = {}
        for film in self.films:
            for side in film.sides:
                shown.setdefault((film.time, side, scheme.views[film.view].part), film.id)
        return shown

    def slots(self, scheme: Scheme) -> Iterator[tuple[Slot, str]]:
        """Yield each site that can be read at each time point with a film of it, with the ID of that film."""
        shown, times = self._shown_parts(scheme), self.times
        for site in self.sites(scheme):
            for time in times:
                if film := shown.get((time, site.side, site.part)):
                    yield Slot(site.key, time), film

    def unfilmed_slots(self, scheme: Scheme) -> frozenset[Slot]:
        """Return the slots of sites that can be read, at time points without a film of them."""
        every = {Slot(site.key, time) for site in self.sites(scheme) for time in self.times}
        return frozenset(every - {slot for slot, _ in self.slots(scheme)})

    def unconfirmed_slots(self, scheme: Scheme, regions: Iterable[Region]) -> Iterator[Slot]:
        """Return the slots without a confirmed region in `regions`; a site confirmed as absent counts as confirmed."""
        known = {(region.site, region.film) for region in regions if region.confirmed_by}
        return (slot for slot, film in self.slots(scheme) if (slot.site, film) not in known)

    def unconfirmed_shown_slots(self, scheme: Scheme, regions: Iterable[Region]) -> tuple[Slot, ...]:
        """Return the unconfirmed slots of sites that the view of their film shows; all of them if none of these is left.

        A film of a wrist does not show the fingers: their regions begin as absent and are confirmed with the others.
        """
        waiting = tuple(self.unconfirmed_slots(scheme, regions))
        views = {film.id: scheme.views[film.view] for film in self.films}
        film_of = dict(self.slots(scheme))
        joints = {site.key: site.joint.id for site in scheme.sites}
        shown = tuple(slot for slot in waiting if joints[slot.site] in views[film_of[slot]].template)
        return shown or waiting

    def is_confirmed(self, scheme: Scheme, regions: Iterable[Region]) -> bool:
        """Return whether every slot has a confirmed region in `regions`."""
        return next(self.unconfirmed_slots(scheme, regions), None) is None

    def absent_slots(self, scheme: Scheme, regions: Iterable[Region]) -> frozenset[Slot]:
        """Return the slots whose site is not on its film according to `regions`."""
        absent = {(region.site, region.film) for region in regions if region.box is None}
        return frozenset(slot for slot, film in self.slots(scheme) if (slot.site, film) in absent)

    def unreadable_reason(self, scheme: Scheme) -> str:
        """Return why the case can't be read, in a few words, or an empty text if it can."""
        if self.withdrawn and not self.films:
            return "its films were withdrawn"
        if not self.times or (len(self.times) == 1 and any(time is None for _, time in self.withdrawn)):
            # With a visit whose films were withdrawn, the case waits for the right ones.
            return "films of one visit only"
        if self.sites(scheme):
            return ""
        if len(self.times) == 2:
            return "no side with films at both visits"
        return "no side with films at two visits"
