"""The choice of the studies that are certainly of a listed patient, among the answers of a PACS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ratui.pacs.patient_list import ListedPatient
from ratui.pacs.source import FoundStudy, is_uid

__all__ = ["ChosenStudies", "choose_studies"]

_PERSON = ("issuer", "birth_date", "sex")


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


def choose_studies(wanted: ListedPatient, found: Sequence[FoundStudy]) -> ChosenStudies:
    """Return the studies that are certainly of `wanted`. Each other answer is counted."""
    chosen = ChosenStudies()
    named = [study for study in found if study.patient_id == wanted.id]  # a PACS may ignore upper and lower case
    _count(chosen.left_out, "study of another patient ID", len(found) - len(named))
    own, unstated, other_issuers = [], [], 0
    for study in named:
        if wanted.issuer and study.issuer and study.issuer != wanted.issuer:
            other_issuers += 1
        elif wanted.birth_date and study.birth_date and study.birth_date != wanted.birth_date:
            is_listed_person = bool(wanted.issuer) and study.issuer == wanted.issuer
            reasons = chosen.losses if is_listed_person else chosen.left_out
            reasons["study with another date of birth"] += 1
        elif not is_uid(study.uid):
            chosen.losses["study without a valid UID"] += 1
        elif wanted.issuer and not study.issuer:
            unstated.append(study)
        else:
            own.append(study)
    _count(chosen.left_out, "study of another issuer of the patient ID", other_issuers)
    if any(len({value for study in own if (value := getattr(study, name))}) > 1 for name in _PERSON):
        reason = "study of one of several persons with this patient ID: give issuer or birth_date"
        _count(chosen.losses, reason, len(own) + len(unstated))
        return chosen
    if other_issuers:
        reason = "study without an issuer, and the patient ID has several issuers: it may be of another person"
        _count(chosen.losses, reason, len(unstated))
    elif unstated and not _agree([*own, *unstated]):
        reason = "study without an issuer whose name, date of birth or sex differs from that of another study"
        _count(chosen.losses, reason, len(unstated))
    else:
        own += unstated
    chosen.uids = sorted({study.uid for study in own})
    return chosen


def _agree(studies: Sequence[FoundStudy]) -> bool:
    """Return whether no two studies state different names, dates of birth or sexes."""
    persons = [(_plain_name(study.name), study.birth_date, study.sex) for study in studies]
    return all(len({value for value in values if value}) <= 1 for values in zip(*persons, strict=True))


def _plain_name(name: str) -> str:
    """Return the letters of the family and given name (PS3.5 section 6.2.1), so that the form of writing has no effect."""
    parts = name.partition("=")[0].split("^")[:2]
    return "^".join("".join(filter(str.isalpha, part.casefold())) for part in parts).strip("^")


def _count(reasons: Counter[str], reason: str, number: int) -> None:
    if number:
        reasons[reason] += number
