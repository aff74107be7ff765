"""Find patient IDs of one person. Values only; the rules are in ``docs/intake.md``.

A hospital writes one ID with and without leading zeros, gives a person a new ID and names the former one, or registers a
person twice. Two IDs are joined only if the statements about the patient agree; otherwise a person decides.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeVar

from ratui.study.importing.persons.assignment import KnownPerson, PersonFound
from ratui.study.importing.persons.patient_record import (
    Digest,
    PatientRecord,
    digest_record,
    find_contradiction,
    find_first_contradiction,
    have_same_birth_date,
    is_placeholder,
    names_contradict,
    remove_issuer,
)

__all__ = ["join_ids"]

Film = TypeVar("Film")
_SHARED = 3  # persons with one other person's name and birth date: an anonymising program wrote them
_ZEROS = "its patient ID differs from another one in leading zeros only, but not all statements about the patient agree"
_LINKED = "its header links its patient ID to another one, but the films differ in the {}"
_UNPROVED = "its header links its patient ID to another one, but no name or birth date confirms it"
_TWO_KNOWN = "its patient ID is linked to two patients of earlier imports or of the manifest"
_TWICE = "films of another patient ID have the same name and birth date"


@dataclass(frozen=True)
class _Statement:
    """The statements of one film, or those of an earlier import, of which only digests of complete values are known."""

    digested: PatientRecord
    plain: PatientRecord | None = None


@dataclass(frozen=True)
class _Person:
    """The different statements about one person; `is_settled` if an earlier import or a manifest decided on the person."""

    key: str
    statements: frozenset[_Statement]
    is_settled: bool

    @property
    def records(self) -> frozenset[PatientRecord]:
        """All statements as digests."""
        return frozenset(each.digested for each in self.statements)


def join_ids(
    found: Mapping[Film, PersonFound],
    records: Mapping[Film, PatientRecord],
    known: Iterable[KnownPerson] = (),
    digest: Digest = str,
    *,
    listed: Collection[Film] = (),
) -> dict[Film, PersonFound]:
    """Return the persons of `found` after several IDs of one person were joined, or made doubtful.

    The parameters are those of `group_persons`, whose result is `found`. Persons of earlier imports and of a manifest
    are not changed. Their statements are compared as keyed digests.
    """
    statements: dict[str, set[_Statement]] = defaultdict(set)
    settled = set()
    for film, person in found.items():
        if person.key and not person.doubt:
            statements[person.key].add(_Statement(_digest(records[film], digest), records[film]))
            settled |= {person.key} if film in listed else set()
    for each in known:
        statements[each.key].add(_Statement(each.record))
        settled.add(each.key)
    persons = {key: _Person(key, frozenset(each), key in settled) for key, each in statements.items()}
    joined, doubts = _join(persons)
    results = {}
    for film, person in found.items():
        if not person.key or person.doubt or person.key in settled:
            results[film] = person
        else:
            doubt = doubts.get(person.key, "")
            results[film] = replace(person, key=joined.get(person.key, person.key), doubt=doubt)
    return results


def _digest(record: PatientRecord, digest: Callable[[str], str]) -> PatientRecord:
    others = frozenset((name, digest(issuer) if issuer else "") for name, issuer in record.other_ids)
    return replace(digest_record(record, digest), other_ids=others)


def _join(persons: Mapping[str, _Person]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the new names of persons that are joined to others, and the doubts about persons."""
    doubts: dict[str, str] = {}
    groups = {key: {key} for key in persons}
    for one, other, reason in sorted(_find_linked_pairs(persons)):
        if persons[one].is_settled and persons[other].is_settled:
            continue
        if reason:
            doubts.setdefault(one, reason)
            doubts.setdefault(other, reason)
        elif groups[one] is not groups[other]:
            groups[one] |= groups[other]
            for key in groups[other]:
                groups[key] = groups[one]
    joined: dict[str, str] = {}
    for key, group in groups.items():
        if len(group) > 1:
            settled = sorted(each for each in group if persons[each].is_settled)
            doubt = next((doubts[each] for each in sorted(group) if each in doubts), _find_doubt(group, persons))
            if len(settled) > 1 or doubt:
                doubts.setdefault(key, doubt or _TWO_KNOWN)
            else:
                joined[key] = (
                    settled[0] if settled else min(group, key=lambda each: ("^^^" not in each, len(each), each))
                )
    for one, other in _find_same_persons(persons):
        is_decided = persons[one].is_settled and persons[other].is_settled
        if not is_decided and groups[one] is not groups[other]:
            for key in groups[one] | groups[other]:
                doubts.setdefault(key, _TWICE)
    return joined, doubts


def _find_doubt(group: Collection[str], persons: Mapping[str, _Person]) -> str:
    """Return a doubt if two persons of a group contradict each other, who are linked by way of a third."""
    pairs = combinations(sorted(group), 2)
    element = next(filter(None, (_find_contradiction(persons[one], persons[other]) for one, other in pairs)), "")
    return _LINKED.format(element) if element else ""


def _find_linked_pairs(persons: Mapping[str, _Person]) -> Iterator[tuple[str, str, str]]:
    """Yield pairs of persons whose IDs are linked, with a reason if they can't be joined."""
    by_number: dict[str, set[str]] = defaultdict(set)
    by_id: dict[str, set[str]] = defaultdict(set)
    for key, person in persons.items():
        for record in person.records:
            by_id[record.id].add(key)
            by_number[record.id.lstrip("0")].add(key)
    for keys in by_number.values():
        for one, other in combinations(sorted(keys), 2):
            if not _share_id(persons[one], persons[other]) and not _issuers_differ(persons[one], persons[other]):
                agree = any(_agree(left, right) for left, right in _pair_statements(persons[one], persons[other]))
                is_sure = agree and not _find_contradiction(persons[one], persons[other])
                yield one, other, "" if is_sure else _ZEROS
    for key, person in persons.items():
        for name, issuer in {each for record in person.records for each in record.other_ids}:
            for other in sorted(by_id[name] - {key}) if not is_placeholder(name) else ():
                issuers = {record.issuer for record in persons[other].records} - {""}
                if not _share_id(person, persons[other]) and (not issuer or not issuers or issuer in issuers):
                    element = _find_contradiction(person, persons[other])
                    is_proved = bool(issuer and issuers) or _have_evidence(person, persons[other])
                    reason = _LINKED.format(element) if element else "" if is_proved else _UNPROVED
                    yield (*sorted((key, other)), reason)  # type: ignore[misc]


def _find_same_persons(persons: Mapping[str, _Person]) -> Iterator[tuple[str, str]]:
    """Yield pairs of persons with different IDs, the same complete birth date and the same full name."""
    by_birth: dict[str, set[str]] = defaultdict(set)
    for key, person in persons.items():
        for record in person.records:
            if record.birth_date and record.name.scripts:
                by_birth[record.birth_date].add(key)
    pairs = {pair for keys in by_birth.values() for pair in combinations(sorted(keys), 2)}
    namesakes = [
        (one, other)
        for one, other in sorted(pairs)
        if not _share_id(persons[one], persons[other])
        and any(_are_namesakes(left, right) for left, right in _pair_statements(persons[one], persons[other]))
    ]
    counts = Counter(key for pair in namesakes for key in pair)
    yield from (pair for pair in namesakes if all(counts[key] < _SHARED for key in pair))


def _pair_statements(one: _Person, other: _Person) -> Iterator[tuple[PatientRecord, PatientRecord]]:
    """Yield the statements about two persons in pairs, as digests where one of them is known as digests only."""
    for left in one.statements:
        for right in other.statements:
            if left.plain and right.plain:
                yield remove_issuer(left.plain), remove_issuer(right.plain)
            else:
                yield remove_issuer(left.digested), remove_issuer(right.digested)


def _find_contradiction(one: _Person, other: _Person) -> str:
    return find_first_contradiction(_pair_statements(one, other))


def _have_evidence(one: _Person, other: _Person) -> bool:
    """Return whether a complete birth date or a name is common to both."""
    return any(
        have_same_birth_date(left, right) or (_share_script(left, right) and not find_contradiction(left, right))
        for left, right in _pair_statements(one, other)
    )


def _share_script(one: PatientRecord, other: PatientRecord) -> bool:
    return bool(set(one.name.scripts) & set(other.name.scripts))


def _agree(one: PatientRecord, other: PatientRecord) -> bool:
    """Return whether both state name, complete birth date and sex, and all three agree."""
    is_stated = bool(one.sex and one.name.scripts and other.name.scripts)
    is_equal = have_same_birth_date(one, other) and one.sex == other.sex
    return is_stated and is_equal and not find_contradiction(one, other)


def _are_namesakes(one: PatientRecord, other: PatientRecord) -> bool:
    names_differ = names_contradict(one.name, other.name, same_birth_date=False)
    sexes_differ = bool(one.sex and other.sex) and one.sex != other.sex
    return _share_script(one, other) and have_same_birth_date(one, other) and not names_differ | sexes_differ


def _share_id(one: _Person, other: _Person) -> bool:
    return bool({record.id for record in one.records} & {record.id for record in other.records})


def _issuers_differ(one: _Person, other: _Person) -> bool:
    """Return whether both name an issuer in the same form, and never the same one."""
    for form in ("issuer", "universal"):
        left, right = ({getattr(record, form) for record in each.records} - {""} for each in (one, other))
        if left and right:
            return not left & right
    return False
