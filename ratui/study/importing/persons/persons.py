"""Decide which films show one person. Values only; the rules are in ``docs/intake.md``.

A patient ID is unique for its issuer only, and placeholders such as ANONYMOUS belong to nobody. A film whose person is not
certain is doubtful: a manifest decides it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, TypeVar

from ratui.stored_values import as_text
from ratui.study.importing.persons.birth_dates import birth_digits, births_contradict, is_misspelled
from ratui.study.importing.persons.patient_ages import BirthSpan, are_spans_apart, birth_span
from ratui.study.importing.persons.person_names import NameParts, PersonName, names_contradict, names_equal, parse_name
from ratui.study.importing.persons.placeholders import is_placeholder
from ratui.study.importing.reader.film_header import FilmHeader

__all__ = [
    "Digest",
    "KnownPerson",
    "PatientRecord",
    "PersonFound",
    "differ_by_slip",
    "digest_record",
    "find_contradiction",
    "group_persons",
    "is_one_person",
    "is_placeholder",
    "normalize_issuer",
    "normalize_sex",
    "patient_record",
    "person_key",
]

Film = TypeVar("Film", bound=Hashable)
Digest = Callable[[str], str]
_TEXTS = ("issuer", "universal", "birth_date", "sex")
_ELEMENTS = ("issuer", "birth date", "age", "sex", "name")
_SEXES = {"M": "M", "MALE": "M", "F": "F", "FEMALE": "F", "W": "F", "WEIBLICH": "F"}
_MISSPELLED = "the birth dates of its patient's films differ in one place, all else agrees: check it at the site"
_MOST_KINDS = 100  # of statements about one ID; more are not compared, and all are doubtful


@dataclass(frozen=True)
class PatientRecord:
    """The statements of one film about its patient. Empty values state nothing.

    Attributes
    ----------
    id
        Patient ID.
    issuer, universal
        Issuer of the ID, as a local name and as a universal entity.
    name
        The name.
    birth_date
        The known digits of ``YYYYMMDD``: 4, 6 or 8.
    sex
        ``M``, ``F`` or empty.
    other_ids
        Other patient IDs of the same person, as pairs of ID and issuer. They are not kept in the key file.
    born
        Days between which the patient was born by the age, if the birth date is not complete. Not kept in the key file.
    """

    id: str
    issuer: str = ""
    universal: str = ""
    name: PersonName = field(default_factory=PersonName)
    birth_date: str = ""
    sex: str = ""
    other_ids: frozenset[tuple[str, str]] = frozenset()
    born: BirthSpan | None = None

    def to_digests(self) -> dict[str, Any]:
        """Return a record of digests as stored in a key file."""
        names = {script: [sorted(parts.words), sorted(parts.given)] for script, parts in self.name.scripts.items()}
        texts = {name: getattr(self, name) for name in _TEXTS}
        return {"id": self.id, "names": names, **{name: text for name, text in texts.items() if text}}

    @classmethod
    def from_digests(cls, stored: Mapping[str, Any]) -> PatientRecord:
        """Return the record of digests in a key file. Raises ValueError, KeyError, TypeError or AttributeError."""
        names = {
            script: NameParts(frozenset(map(_as_digest, words)), frozenset(map(_as_digest, given)))
            for script, (words, given) in stored["names"].items()
        }
        issuer, universal, birth_date, sex = (_as_digest(stored[name]) if name in stored else "" for name in _TEXTS)
        return cls(as_text(stored["id"]), issuer, universal, PersonName(names), birth_date, sex)


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


def patient_record(header: FilmHeader) -> PatientRecord:
    """Return the statements of a header about the patient."""
    birth_date = birth_digits(header.birth_date)
    return PatientRecord(
        _normalize_id(header.patient_id),
        normalize_issuer(header.issuer),
        normalize_issuer(header.issuer_qualifiers),
        parse_name(header.name, header.patient_id),
        birth_date,
        normalize_sex(header.sex),
        frozenset((_normalize_id(patient), normalize_issuer(issuer)) for patient, issuer in header.other_ids),
        birth_span(header) if len(birth_date) < 8 else None,
    )


def digest_record(record: PatientRecord, digest: Digest) -> PatientRecord:
    """Return `record` with digests in place of all values but the ID. Incomplete birth dates are left out."""
    return PatientRecord(
        record.id,
        digest(record.issuer) if record.issuer else "",
        digest(record.universal) if record.universal else "",
        record.name.map_words(digest),
        digest(record.birth_date) if len(record.birth_date) == 8 else "",
        digest(record.sex) if record.sex else "",
    )


def person_key(patient: str, issuer: str) -> str:
    """Return the name of a person in the key file, in the notation of HL7: ID, then ``^^^``, then the issuer."""
    return f"{_normalize_id(patient)}^^^{normalize_issuer(issuer)}" if issuer else _normalize_id(patient)


def normalize_issuer(text: str) -> str:
    """Return an issuer in small letters with single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def normalize_sex(text: str) -> str:
    """Return ``M`` or ``F``, or an empty text for all other values, such as ``O``, which state neither."""
    return _SEXES.get(text.strip().upper(), "")


def find_contradiction(one: PatientRecord, other: PatientRecord) -> str:
    """Return the element by which two films show different persons, or an empty text.

    The elements are issuer (if both name one in the same form), birth date, age, sex and name.
    """
    if _differ(one.issuer, other.issuer) or _differ(one.universal, other.universal):
        return "issuer"
    if births_contradict(one.birth_date, other.birth_date) and not differ_by_slip(one, other):
        return "birth date"
    if are_spans_apart(one.born, one.birth_date, other.born, other.birth_date):
        return "age"
    if _differ(one.sex, other.sex):
        return "sex"
    return "name" if names_contradict(one.name, other.name, same_birth_date=_same_birth_date(one, other)) else ""


def differ_by_slip(one: PatientRecord, other: PatientRecord) -> bool:
    """Return whether the birth dates differ by one slip, and sex and name, which both state, agree; see `is_misspelled`."""
    all_else_agrees = bool(one.sex) and one.sex == other.sex and names_equal(one.name, other.name)
    return all_else_agrees and is_misspelled(one.birth_date, other.birth_date)


def is_one_person(one: PatientRecord, other: PatientRecord) -> bool:
    """Return whether two films state the same complete birth date and name, without a contradiction but in the issuer."""
    one, other = (replace(each, issuer="", universal="") for each in (one, other))
    return (
        _same_birth_date(one, other)
        and bool(one.name.scripts and other.name.scripts)
        and not find_contradiction(one, other)
    )


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
            keys.update(dict.fromkeys(films, self._find_known(issuer, films) or person_key(self._patient, issuer)))
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

    def _doubt(self, films: Iterable[Film], doubt: str) -> None:
        for film in films:
            self._doubts.setdefault(film, doubt)

    def _doubt_if_contradictory(self, films: list[Film]) -> None:
        kinds = {self._films[film] for film in films}
        pairs = combinations(kinds, 2) if len(kinds) <= _MOST_KINDS else ()
        element = _first({find_contradiction(one, other) for one, other in pairs})
        if len(kinds) > _MOST_KINDS or element:
            self._doubt(films, f"films with its patient ID differ in the {element or 'name'}")

    def _choose_issuer(self, film: Film) -> str:
        """Return the issuer whose person a film without issuer shows, or an empty text with a doubt."""
        record = self._films[film]
        against = {issuer: self._contradiction(record, films) for issuer, films in self.items() if issuer}
        free = [issuer for issuer, element in against.items() if not element]
        if len(against) == 1 and free:
            return free[0]
        if len(against) == 1:
            element = next(iter(against.values()))
            self._doubt([film], f"films with its patient ID that name an issuer differ in the {element}")
        elif len(free) == 1 and any(_same_birth_date(record, self._films[each]) for each in self[free[0]]):
            return free[0]
        else:
            self._doubt([film], "several issuers use its patient ID, and it names none of them")
        return ""

    def _doubt_if_several_persons(self, joined: Mapping[str, list[Film]]) -> None:
        """Add a doubt to films that joined an issuer without naming it, if the films of their ID show several persons."""
        strangers = joined.get("", [])
        for issuer in filter(None, joined):
            own = self[issuer]
            for film in joined[issuer]:
                is_dated = any(_same_birth_date(self._films[film], self._films[each]) for each in own)
                if any(each in self._doubts for each in own) or (strangers and not is_dated):
                    self._doubt([film], "films with its patient ID show several persons, and it names no issuer")

    def _contradiction(self, record: PatientRecord, films: Iterable[Film]) -> str:
        return _first({find_contradiction(record, other) for other in {self._films[film] for film in films}})

    def _doubt_if_one_person(self, some: list[Film], others: list[Film]) -> None:
        """Add a doubt if films of two issuers state the same name and the same birth date."""
        pairs = ((one, other) for one in self._kinds(some) for other in self._kinds(others))
        if any(is_one_person(one, other) for one, other in pairs):
            self._doubt([*some, *others], "films of another issuer have its patient ID, name and birth date")

    def _kinds(self, films: Iterable[Film]) -> list[PatientRecord]:
        kinds = {replace(self._films[film], issuer="", universal="") for film in films}
        return sorted(kinds, key=lambda kind: (kind.birth_date, kind.sex, str(kind.name)))[:_MOST_KINDS]

    def _find_known(self, issuer: str, films: list[Film]) -> str:
        """Return the key of the known person whom films of one issuer show, or an empty text; add doubts."""
        records = {film: digest_record(self._films[film], self._digest) for film in films if film not in self._doubts}
        named = self._digest(issuer)
        same = [person for person in self._known if issuer and named in (person.record.issuer, person.record.universal)]
        open_ = [person for person in self._known if not (person.record.issuer or person.record.universal)]
        candidates = same or (open_ if issuer else self._known)
        against = {
            person.key: _first({find_contradiction(person.record, record) for record in set(records.values())})
            for person in candidates
        }
        free = [person for person in candidates if not against[person.key]]
        if not candidates:
            strangers = ((one.record, record) for one in self._known for record in set(records.values()))
            if any(is_one_person(one, record) for one, record in strangers):
                self._doubt(records, "a person of another issuer in the study has its patient ID, name and birth date")
        elif len(candidates) == 1 and (same or self._is_only_claim(issuer)):
            if not free:
                element = against[candidates[0].key]
                self._doubt(records, f"the patient with its ID in the study has another {element}")
            return candidates[0].key
        elif len(free) == 1 and any(_same_birth_date(free[0].record, record) for record in records.values()):
            return free[0].key
        elif records:
            self._doubt(records, "several persons have its patient ID, and the study's person may be any of them")
        return ""

    def _is_only_claim(self, issuer: str) -> bool:
        """Return whether no films of another issuer can show a known person without issuer."""
        named = {text for person in self._known for text in (person.record.issuer, person.record.universal)}
        return not any(each != issuer and each and self._digest(each) not in named for each in self)


def _same_birth_date(one: PatientRecord, other: PatientRecord) -> bool:
    return len(one.birth_date) >= 8 and one.birth_date == other.birth_date


def _differ(one: str, other: str) -> bool:
    return bool(one and other) and one != other


def _first(elements: set[str]) -> str:
    return next((element for element in _ELEMENTS if element in elements), "")


def _normalize_id(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _as_digest(value: object) -> str:
    text = as_text(value)
    if not re.fullmatch(r"[0-9a-f]{32}", text):
        raise ValueError("not a digest")
    return text
