"""Decide which films show one person. Values only; the rules are in ``docs/intake.md``, "Assignment".

A patient ID is unique for its issuer only, and placeholders such as ANONYMOUS belong to nobody. A film whose person is not
certain is doubtful: a manifest decides it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

from ratui.study.importing.headers.dates import is_misspelled
from ratui.study.importing.persons.patient_record import (
    Digest,
    PatientRecord,
    digest_record,
    find_first_contradiction,
    have_same_birth_date,
    is_one_person,
    is_placeholder,
    make_person_key,
    remove_issuer,
)

__all__ = ["KnownPerson", "PersonFound", "group_persons"]

Film = TypeVar("Film", bound=Hashable)
_MISSPELLED = "the birth dates of its patient's films differ in one place, all else agrees: check it at the site"
_MOST_KINDS = 100  # of statements about one ID; more are not compared, and all are doubtful


@dataclass(frozen=True)
class KnownPerson:
    """A person of an earlier import: the name in the key file, and the statements as digests, see `digest_record`."""

    key: str
    record: PatientRecord


@dataclass(frozen=True)
class PersonFound:
    """The person of a film.

    Attributes
    ----------
    key
        Name of the person in the key file: the patient ID, or ``ID^^^issuer``. Empty if the film names no patient.
    doubt
        Reason why a person must decide, or empty.
    note
        A remark on a film whose person is certain, or empty.
    """

    key: str
    doubt: str = ""
    note: str = ""


def group_persons(
    records: Mapping[Film, PatientRecord],
    known: Iterable[KnownPerson] = (),
    digest: Digest = str,
    *,
    listed: Collection[Film] = (),
) -> dict[Film, PersonFound]:
    """Return the person of each film. The result does not depend on the order of the films.

    Parameters
    ----------
    records
        The statements of each film.
    known
        Persons of earlier imports.
    digest
        Keyed digest with which the records of `known` were made.
    listed
        Films whose patient ID comes from a manifest, and therefore is no placeholder.
    """
    by_id: dict[str, dict[Film, PatientRecord]] = defaultdict(dict)
    for film, record in records.items():
        by_id[record.id][film] = record
    known_by_id: dict[str, list[KnownPerson]] = defaultdict(list)
    for person in known:
        known_by_id[person.record.id].append(person)
    found: dict[Film, PersonFound] = {}
    for patient, films in by_id.items():
        if is_placeholder(patient):
            problem = "its patient ID is a placeholder: it names no patient" if patient else "it names no patient"
            found.update(dict.fromkeys(films, PersonFound("", problem)))
            films = {film: record for film, record in films.items() if film in listed}
        found |= _OneID(patient, films, known_by_id[patient], digest).persons()
    return found


class _OneID(dict[str, list[Film]]):
    """The films of one patient ID by issuer."""

    def __init__(
        self, patient: str, films: Mapping[Film, PatientRecord], known: list[KnownPerson], digest: Digest
    ) -> None:
        super().__init__()
        self._patient, self._films, self._known, self._digest = patient, films, known, digest
        self._doubts: dict[Film, str] = {}
        names: dict[str, set[str]] = defaultdict(set)
        for record in films.values():
            if record.issuer:
                names[record.universal].add(record.issuer)
        for film, record in films.items():
            local = names[record.universal] if record.universal else set()
            issuer = record.issuer or (next(iter(local)) if len(local) == 1 else record.universal)
            self.setdefault(issuer, []).append(film)

    def persons(self) -> dict[Film, PersonFound]:
        """Return the person of each film."""
        without = self.pop("", []) if len(self) > 1 else []
        for films in self.values():
            self._doubt_if_contradictory(films)
        joined: dict[str, list[Film]] = defaultdict(list)
        for film in without:
            joined[self._choose_issuer(film)].append(film)
        for films in joined.values():
            self._doubt_if_contradictory([film for film in films if film not in self._doubts])
        for one, other in combinations(sorted(self), 2):
            self._doubt_if_one_person(self[one], self[other])
        self._doubt_if_several_persons(joined)
        for issuer, films in joined.items():
            self.setdefault(issuer, []).extend(films)
        keys: dict[Film, str] = {}
        for issuer, films in self.items():
            keys.update(dict.fromkeys(films, self._find_known(issuer, films) or make_person_key(self._patient, issuer)))
        misspelled = {keys[film] for films in self.values() if self._has_misspelling(films) for film in films}
        return {
            film: PersonFound(keys[film], doubt)
            if (doubt := self._doubts.get(film, ""))
            else PersonFound(keys[film], note=_MISSPELLED if keys[film] in misspelled else "")
            for film in self._films
        }

    def _has_misspelling(self, films: Iterable[Film]) -> bool:
        births = {self._films[film].birth_date for film in films if film not in self._doubts}
        return any(is_misspelled(one, other) for one, other in combinations(births, 2))

    def _add_doubt(self, films: Iterable[Film], doubt: str) -> None:
        for film in films:
            self._doubts.setdefault(film, doubt)

    def _doubt_if_contradictory(self, films: list[Film]) -> None:
        kinds = {self._films[film] for film in films}
        pairs = combinations(kinds, 2) if len(kinds) <= _MOST_KINDS else ()
        element = find_first_contradiction(pairs)
        if len(kinds) > _MOST_KINDS or element:
            self._add_doubt(films, f"films with its patient ID differ in the {element or 'name'}")

    def _choose_issuer(self, film: Film) -> str:
        """Return the issuer whose person a film without issuer shows, or an empty text with a doubt."""
        record = self._films[film]
        against = {issuer: self._find_contradiction(record, films) for issuer, films in self.items() if issuer}
        free = [issuer for issuer, element in against.items() if not element]
        if len(against) == 1 and free:
            return free[0]
        if len(against) == 1:
            element = next(iter(against.values()))
            self._add_doubt([film], f"films with its patient ID that name an issuer differ in the {element}")
        elif len(free) == 1 and any(have_same_birth_date(record, self._films[each]) for each in self[free[0]]):
            return free[0]
        else:
            self._add_doubt([film], "several issuers use its patient ID, and it names none of them")
        return ""

    def _doubt_if_several_persons(self, joined: Mapping[str, list[Film]]) -> None:
        """Add a doubt to films that joined an issuer without naming it, if the films of their ID show several persons."""
        strangers = joined.get("", [])
        for issuer in filter(None, joined):
            own = self[issuer]
            for film in joined[issuer]:
                is_dated = any(have_same_birth_date(self._films[film], self._films[each]) for each in own)
                if any(each in self._doubts for each in own) or (strangers and not is_dated):
                    self._add_doubt([film], "films with its patient ID show several persons, and it names no issuer")

    def _find_contradiction(self, record: PatientRecord, films: Iterable[Film]) -> str:
        return find_first_contradiction((record, other) for other in {self._films[film] for film in films})

    def _doubt_if_one_person(self, some: list[Film], others: list[Film]) -> None:
        """Add a doubt if films of two issuers state the same name and the same birth date."""
        pairs = ((one, other) for one in self._list_kinds(some) for other in self._list_kinds(others))
        if any(is_one_person(one, other) for one, other in pairs):
            self._add_doubt([*some, *others], "films of another issuer have its patient ID, name and birth date")

    def _list_kinds(self, films: Iterable[Film]) -> list[PatientRecord]:
        kinds = {remove_issuer(self._films[film]) for film in films}
        return sorted(kinds, key=lambda kind: (kind.birth_date, kind.sex, str(kind.name)))[:_MOST_KINDS]

    def _find_known(self, issuer: str, films: list[Film]) -> str:
        """Return the key of the known person whom films of one issuer show, or an empty text; add doubts."""
        records = {film: digest_record(self._films[film], self._digest) for film in films if film not in self._doubts}
        named = self._digest(issuer)
        same = [person for person in self._known if issuer and named in (person.record.issuer, person.record.universal)]
        open_ = [person for person in self._known if not (person.record.issuer or person.record.universal)]
        candidates = same or (open_ if issuer else self._known)
        against = {
            person.key: find_first_contradiction((person.record, record) for record in set(records.values()))
            for person in candidates
        }
        free = [person for person in candidates if not against[person.key]]
        if not candidates:
            strangers = ((one.record, record) for one in self._known for record in set(records.values()))
            if any(is_one_person(one, record) for one, record in strangers):
                self._add_doubt(
                    records, "a person of another issuer in the study has its patient ID, name and birth date"
                )
        elif len(candidates) == 1 and (same or self._is_only_claim(issuer)):
            if not free:
                element = against[candidates[0].key]
                self._add_doubt(records, f"the patient with its ID in the study has another {element}")
            return candidates[0].key
        elif len(free) == 1 and any(have_same_birth_date(free[0].record, record) for record in records.values()):
            return free[0].key
        elif records:
            self._add_doubt(records, "several persons have its patient ID, and the study's person may be any of them")
        return ""

    def _is_only_claim(self, issuer: str) -> bool:
        """Return whether no films of another issuer can show a known person without issuer."""
        named = {text for person in self._known for text in (person.record.issuer, person.record.universal)}
        return not any(each != issuer and each and self._digest(each) not in named for each in self)
