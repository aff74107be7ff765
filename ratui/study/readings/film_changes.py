"""Differences between the films that a reading was made on and the films that its case has now.

Films can arrive after a rater has begun or signed a case, also those of another visit, and films can be withdrawn. A
reading that is not signed is adapted when it is next opened. A signed one does not change; it no longer counts until its
rater reopens it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ratui.reading import GONE, Reading, Slot, apply_films
from ratui.scheme import Scheme
from ratui.stored_values import as_integer, as_list, as_text
from ratui.study.case import Case
from ratui.study.readings.stored_reading import hash_film

__all__ = [
    "FilmChanges",
    "adapt_reading",
    "find_film_changes",
    "is_current",
    "stored_film_changes",
    "stored_times",
]


@dataclass(frozen=True)
class FilmChanges:
    """The changes of a case since a reading was last saved.

    Attributes
    ----------
    added, removed
        Sites that can now be read, and those that can't any more.
    opened
        Slots of the other sites that have a film now, and had none before.
    closed
        Slots of the other sites that had a film before, and have none now.
    replaced
        Slots of the other sites whose film is another one than before.
    """

    added: frozenset[str]
    removed: frozenset[str]
    opened: frozenset[Slot]
    closed: frozenset[Slot]
    replaced: frozenset[Slot]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.opened or self.closed or self.replaced)

    @property
    def lost(self) -> frozenset[Slot]:
        """Slots of the sites that can still be read whose entries no longer count."""
        return self.closed | self.replaced


_NO_CHANGES = FilmChanges(*[frozenset()] * 5)


def find_film_changes(
    case: Case,
    scheme: Scheme,
    sites: Collection[str],
    order: Collection[int],
    unfilmed: Collection[Slot],
    films: Collection[str],
) -> FilmChanges:
    """Return the changes of `case` for a reading.

    Parameters
    ----------
    case, scheme
        The case with its films as they are now, and the scheme of the study.
    sites
        Keys of the sites of the reading.
    order
        Time points of the reading, in the numbers that `case` has now.
    unfilmed
        Slots without a film in the reading.
    films
        IDs of the films of the reading; empty if they are unknown, as in earlier formats. Then no film counts as replaced.
    """
    now, shown = {site.key for site in case.sites(scheme)}, dict(case.slots(scheme))
    before, known = frozenset(sites), frozenset(films)
    old = {Slot(site, time) for site in before & now for time in order} - {*unfilmed}
    present = {slot for slot in shown if slot.site in before}
    replaced = {slot for slot in present & old if known and shown[slot] not in known}
    return FilmChanges(
        frozenset(now - before),
        before - now,
        frozenset(present - old),
        frozenset(old - present),
        frozenset(replaced),
    )


def is_current(reading: Reading, case: Case) -> bool:
    """Return whether `reading` was made on the films that `case` has now, and covers all sites that they show."""
    return not _changes_of(reading, case)


def _changes_of(reading: Reading, case: Case) -> FilmChanges:
    films = {film for at_position in reading.positions for film in at_position}
    shown = dict(case.slots(reading.scheme))
    if shown.keys() == reading.layout.filmed_slots and (not films or films.issuperset(shown.values())):
        return _NO_CHANGES  # so of almost all readings of a study
    return find_film_changes(case, reading.scheme, reading.site_keys, reading.order, reading.unfilmed, films)


def stored_times(case: Case, positions: Sequence[Collection[str]]) -> dict[int, int]:
    """Return the time point in `case` of each position of a stored reading, given by the IDs of the films there.

    A position whose films were all withdrawn gets a number that no time point has. Positions without films are left out;
    if no films are known, as in earlier formats, positions and time points are the same. Raises StoreError if the films
    are not those of different time points of the case.
    """
    if not any(positions):
        return dict(enumerate(range(len(positions) or len(case.times))))
    places = [place for place, films in enumerate(positions) if films]
    times = case.times_at([tuple(positions[place]) for place in places])
    return {place: GONE + place if time is None else time for place, time in zip(places, times, strict=True)}


def stored_film_changes(case: Case, scheme: Scheme, meta: Mapping[str, Any]) -> tuple[FilmChanges, Mapping[int, int]]:
    """Return the changes of `case` for the reading whose stored record ``meta`` is given, and `stored_times`.

    There are no changes for an empty record. Raises StoreError, or an error of `ODD_VALUE_ERRORS` for values that a
    reading cannot have.
    """
    if not meta:
        return _NO_CHANGES, {}
    positions = [[as_text(film) for film in as_list(films)] for films in as_list(meta.get("positions", []))]
    times = stored_times(case, positions)
    unfilmed = [
        Slot(as_text(site), times[as_integer(place, 0, len(positions))])
        for site, place in as_list(meta.get("unfilmed", []))
    ]
    sites = [as_text(site) for site in as_list(meta["sites"])]
    films = [film for at_position in positions for film in at_position]
    return find_film_changes(case, scheme, sites, times.values(), unfilmed, films), times


def adapt_reading(
    reading: Reading, case: Case, study: str, positions: Sequence[Sequence[str]] = (), *, timestamp: datetime
) -> Reading:
    """Return `reading` for the films that `case` has now; the same object if nothing has changed or if it is signed.

    Entries at sites and films that are gone are removed. The log names each added film with the keyed hash of its content,
    as `stored_reading` does for the first ones, and each withdrawn film. Visits that the reading lacks come
    after its own, in the order in which the rater sees them, because no position of a reading ever changes.

    Parameters
    ----------
    reading
        A reading of this case.
    case
        The case with its films.
    study
        ID of the study.
    positions
        IDs of the films at each of the rater's positions now; those of the time points in order if empty.
    timestamp
        Time of the change, for the log.
    """
    changes = _changes_of(reading, case)
    if reading.signed_at or not (changes or set(case.times) != set(reading.order)):
        return reading
    kept = tuple(time for time in reading.order if time in case.times)
    order = case.order_of(positions) if positions else case.times
    new = tuple(time for time in order if time not in kept)
    return apply_films(
        reading,
        case.sites(reading.scheme),
        (*kept, *new),
        _continue_films(reading, case, new),
        changes.lost,
        unfilmed=case.unfilmed_slots(reading.scheme),
        note=_describe(reading.positions, case, study),
        timestamp=timestamp,
    )


def _continue_films(reading: Reading, case: Case, new: Iterable[int]) -> tuple[tuple[str, ...], ...]:
    """Return the films at each position of `reading` now, and then those of the `new` time points."""
    times = iter(reading.order)
    places = [None if not films and any(reading.positions) else next(times) for films in reading.positions]
    if not places:
        places = list(reading.order)
    return case.films_at([-1 if place is None else place for place in places] + [*new])


def _describe(before: Iterable[Iterable[str]], case: Case, study: str) -> str:
    known = {film for films in before for film in films}
    digests = {film.id: film.file for film in case.films}
    added = [f"+{film}:{hash_film(study, digest)}" for film, digest in sorted(digests.items()) if film not in known]
    return " ".join([*added, *(f"-{film}" for film in sorted(known - digests.keys()))])
