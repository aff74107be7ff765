"""Differences between the films that a reading was made on and the films that its case has now.

Films can arrive after a rater has begun or signed a case, and films can be withdrawn. A reading that is not signed is
adapted when it is next opened. A signed one does not change; it no longer counts until its rater reopens it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ratui.reading import Reading, Slot, apply_films
from ratui.scheme import Scheme
from ratui.stored_values import as_list, as_text
from ratui.study.case import Case
from ratui.study.stored_reading import hash_film

__all__ = ["FilmChanges", "adapt_reading", "find_film_changes", "is_current", "stored_film_changes"]


@dataclass(frozen=True)
class FilmChanges:
    """The changes of a case since a reading was last saved.

    Attributes
    ----------
    added, removed
        Sites that can now be read, and those that can't any more.
    replaced
        Slots of the other sites whose film is another one than before.
    """

    added: frozenset[str]
    removed: frozenset[str]
    replaced: frozenset[Slot]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.replaced)


def find_film_changes(
    case: Case, scheme: Scheme, sites: Collection[str], positions: Sequence[Collection[str]]
) -> FilmChanges:
    """Return the changes of `case` for a reading.

    Parameters
    ----------
    case, scheme
        The case with its films as they are now, and the scheme of the study.
    sites
        Keys of the sites of the reading.
    positions
        IDs of the films of the reading; empty if they are unknown, as in earlier formats. Then no film counts as replaced.
    """
    now = {site.key for site in case.sites(scheme)}
    before, known = frozenset(sites), {film for films in positions for film in films}
    replaced = {slot for slot, film in case.slots(scheme) if known and slot.site in before and film not in known}
    return FilmChanges(frozenset(now - before), before - now, frozenset(replaced))


def is_current(reading: Reading, case: Case) -> bool:
    """Return whether `reading` was made on the films that `case` has now, and covers all sites that they show."""
    return not find_film_changes(case, reading.scheme, reading.site_keys, reading.positions)


def stored_film_changes(case: Case, scheme: Scheme, meta: Mapping[str, Any]) -> FilmChanges:
    """Return the changes of `case` for the reading whose stored record ``meta`` is given; none for an empty one.

    Raises an error of `ODD_VALUE_ERRORS` for values that a reading cannot have.
    """
    if not meta:
        return FilmChanges(frozenset(), frozenset(), frozenset())
    positions = [[as_text(film) for film in as_list(films)] for films in as_list(meta.get("positions", []))]
    return find_film_changes(case, scheme, [as_text(site) for site in as_list(meta["sites"])], positions)


def adapt_reading(reading: Reading, case: Case, study: str, *, timestamp: datetime) -> Reading:
    """Return `reading` for the films that `case` has now; the same object if nothing has changed or if it is signed.

    Entries at sites and films that are gone are removed. The log names each added film with the keyed hash of its content,
    as `ratui.study.stored_reading` does for the first ones, and each withdrawn film.

    Parameters
    ----------
    reading
        A reading of this case.
    case
        The case with its films.
    study
        ID of the study.
    timestamp
        Time of the change, for the log.
    """
    sites = case.sites(reading.scheme)
    changes = find_film_changes(case, reading.scheme, reading.site_keys, reading.positions)
    if not changes or reading.signed_at:
        return reading
    positions = case.films_at(reading.order)
    return apply_films(
        reading, sites, positions, changes.replaced, note=_describe(reading.positions, case, study), timestamp=timestamp
    )


def _describe(before: Iterable[Iterable[str]], case: Case, study: str) -> str:
    known = {film for films in before for film in films}
    digests = {film.id: film.file for film in case.films}
    added = [f"+{film}:{hash_film(study, digest)}" for film, digest in sorted(digests.items()) if film not in known]
    return " ".join([*added, *(f"-{film}" for film in sorted(known - digests.keys()))])
