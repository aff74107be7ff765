"""The choice of the studies that are certainly of a listed patient, among the answers of a PACS.

The values of both are compared in the form in which the import compares them (``docs/intake.md``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations, product

from ratui.pacs.patient_list import ListedPatient
from ratui.pacs.source import FoundStudy, is_uid
from ratui.study.importing import FilmHeader
from ratui.study.importing.headers.dates import births_contradict, may_be_one_birth
from ratui.study.importing.persons.patient_record import (
    PatientRecord,
    differ_by_slip,
    find_contradiction,
    is_one_person,
    make_patient_record,
)

__all__ = ["ChosenStudies", "choose_studies", "names_another_person"]

_MOST_KINDS = 100  # of statements about one patient ID; more are not compared


@dataclass
class ChosenStudies:
    """The studies of one listed patient, and the reasons why the other answers were not chosen.

    Attributes
    ----------
    uids
        UIDs of the studies to fetch, sorted.
    left_out
        Number of studies that are certainly of another person, by reason.
    losses
        Number of studies that may be of the listed patient, by reason.
    """

    uids: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, eq=False)
class _Answer:
    """A study that the PACS names, and the statements about its patient in the form of the import."""

    study: FoundStudy
    record: PatientRecord

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The statements that an unconfirmed study must have in common with the others, except for the birth date."""
        return (*_plain_names(self.study.name), self.record.issuer, self.record.sex)


@dataclass
class _Groups:
    """The answers with the listed patient ID that are not decided yet.

    Attributes
    ----------
    own
        Answers that state the issuer or, without one in the list, the complete birth date that the list gives. All answers
        if the list gives neither.
    unconfirmed
        Answers that do not state it.
    of_other_issuers
        Answers with another issuer than the list gives.
    """

    own: list[_Answer] = field(default_factory=list)
    unconfirmed: list[_Answer] = field(default_factory=list)
    of_other_issuers: list[_Answer] = field(default_factory=list)


def choose_studies(wanted: ListedPatient, found: Sequence[FoundStudy]) -> ChosenStudies:
    """Return the studies that are certainly of `wanted`. Each other answer is counted."""
    chosen = ChosenStudies()
    listed = _listed_record(wanted)
    answers = [_Answer(study, _record(study)) for study in found]
    named = [each for each in answers if each.record.id == listed.id]  # a PACS may ignore upper and lower case
    _count(chosen.left_out, "study of another patient ID", len(found) - len(named))
    groups = _divide(listed, named, chosen)
    own, unconfirmed, others = groups.own, groups.unconfirmed, groups.of_other_issuers
    kinds = {each.record for each in (*own, *unconfirmed)}
    for each in others:
        is_respelled = _may_be_listed_person(listed, each.record, kinds)
        reasons = chosen.losses if is_respelled else chosen.left_out
        words = ", with the same date of birth" if is_respelled else ""
        reasons[f"study of another issuer of the patient ID{words}"] += 1
    if _may_be_several_persons([each.record for each in own]):
        reason = "study of one of several persons with this patient ID: give issuer or birth_date"
        _count(chosen.losses, reason, len(own) + len(unconfirmed))
        return chosen
    missing = "an issuer" if listed.issuer else "a date of birth"
    if others or any(births_contradict(listed.birth_date, each.record.birth_date) for each in named):
        reason = f"study without {missing}, and the patient ID has several persons: it may be of another one"
        _count(chosen.losses, reason, len(unconfirmed))
    elif unconfirmed and not _agree([*own, *unconfirmed]):
        reason = f"study without {missing} whose issuer, name, date of birth or sex differs from that of another study"
        _count(chosen.losses, reason, len(unconfirmed))
    else:
        own += unconfirmed
    _take(own, answers, chosen)
    return chosen


def names_another_person(wanted: ListedPatient, header: FilmHeader) -> bool:
    """Return whether the patient ID, issuer or date of birth in the header of a film contradicts the list."""
    listed, stated = _listed_record(wanted), make_patient_record(header)
    return (
        bool(stated.id and stated.id != listed.id)
        or bool(listed.issuer and stated.issuer and stated.issuer != listed.issuer)
        or births_contradict(listed.birth_date, stated.birth_date)
    )


def _divide(listed: PatientRecord, named: Sequence[_Answer], chosen: ChosenStudies) -> _Groups:
    """Return the answers in groups, and count in `chosen` those that their date of birth or their UID decides."""
    groups = _Groups()
    for each in named:
        record = each.record
        has_listed_issuer = bool(listed.issuer) and record.issuer == listed.issuer
        if listed.issuer and record.issuer and not has_listed_issuer:
            groups.of_other_issuers.append(each)
        elif births_contradict(listed.birth_date, record.birth_date):
            may_be_listed = has_listed_issuer or may_be_one_birth(record.birth_date, listed.birth_date)
            reasons = chosen.losses if may_be_listed else chosen.left_out
            reasons["study with another date of birth"] += 1
        elif not is_uid(each.study.uid):
            chosen.losses["study without a valid UID"] += 1
        elif has_listed_issuer or (not listed.issuer and listed.birth_date in ("", record.birth_date)):
            groups.own.append(each)
        else:
            groups.unconfirmed.append(each)
    return groups


def _take(own: Collection[_Answer], answers: Sequence[_Answer], chosen: ChosenStudies) -> None:
    """Choose the studies in `own` whose UID no other answer has: a retrieval would return the films of both."""
    taken = set(own)
    disputed = {each.study.uid for each in answers if each not in taken}
    uids = {each.study.uid for each in own}
    _count(chosen.losses, "study that the PACS also names for another person", len(uids & disputed))
    chosen.uids = sorted(uids - disputed)


def _may_be_listed_person(listed: PatientRecord, record: PatientRecord, kinds: Collection[PatientRecord]) -> bool:
    """Return whether a study of another issuer may be of the listed person: an issuer may have several spellings.

    `kinds` are the statements of the studies that may be fetched.
    """
    has_listed_birth = bool(listed.birth_date) and record.birth_date == listed.birth_date
    return has_listed_birth or len(kinds) > _MOST_KINDS or any(is_one_person(record, each) for each in kinds)


def _may_be_several_persons(records: Sequence[PatientRecord]) -> bool:
    """Return whether two studies differ in issuer or sex, in their dates of birth by more than a slip, or in the name.

    The import asks about different names itself, unless only one of the two studies states an issuer.
    """
    for texts in ({record.issuer for record in records}, {record.sex for record in records}):
        if len(texts - {""}) > 1:
            return True
    kinds = set(records)
    if any(record.issuer for record in kinds) and not all(record.issuer for record in kinds):
        pairs = combinations(kinds, 2) if len(kinds) <= _MOST_KINDS else ()
        if len(kinds) > _MOST_KINDS or any(_names_differ(one, other) for one, other in pairs):
            return True
    by_birth: dict[str, set[PatientRecord]] = defaultdict(set)
    for record in records:
        by_birth[record.birth_date].add(replace(record, issuer=""))
    differing = [pair for pair in combinations(by_birth, 2) if births_contradict(*pair)]
    if differing and sum(map(len, by_birth.values())) > _MOST_KINDS:
        return True
    return any(
        not differ_by_slip(one, other)
        for birth, another in differing
        for one, other in product(by_birth[birth], by_birth[another])
    )


def _names_differ(one: PatientRecord, other: PatientRecord) -> bool:
    """Return whether names contradict each other. With one birth date, a PACS may have lost letters, which the film has."""
    has_one_birth = len(one.birth_date) == 8 and one.birth_date == other.birth_date
    return not has_one_birth and find_contradiction(one, other) == "name"


def _agree(answers: Sequence[_Answer]) -> bool:
    """Return whether no two studies state different issuers, names, dates of birth or sexes."""
    births = {each.record.birth_date for each in answers}
    statements = zip(*(each.texts for each in answers), strict=True)
    return len(births) <= _MOST_KINDS and not (
        any(len(set(texts) - {""}) > 1 for texts in statements)
        or any(births_contradict(*pair) for pair in combinations(births, 2))
    )


def _plain_names(name: str) -> tuple[str, ...]:
    """Return the letters of the names and of the suffix in each of the three groups of a name (PS3.5 section 6.2.1).

    The names of a group are its family and given name, so that a middle name and the form of writing have no effect.
    """
    texts = []
    for group in [*name.split("="), "", ""][:3]:
        parts = ["".join(filter(str.isalpha, part.casefold())) for part in group.split("^")]
        texts += ["^".join(parts[:2]).strip("^"), "".join(parts[4:5])]
    return tuple(texts)


def _listed_record(wanted: ListedPatient) -> PatientRecord:
    return make_patient_record(FilmHeader(patient_id=wanted.id, issuer=wanted.issuer, birth_date=wanted.birth_date))


def _record(study: FoundStudy) -> PatientRecord:
    return make_patient_record(
        FilmHeader(
            patient_id=study.patient_id,
            issuer=study.issuer,
            name=study.name,
            birth_date=study.birth_date,
            sex=study.sex,
        )
    )


def _count(reasons: Counter[str], reason: str, number: int) -> None:
    if number:
        reasons[reason] += number
