"""Merge the statements of several films about one patient."""

from __future__ import annotations

from collections.abc import Iterable

from ratui.study.importing.persons.persons import PatientRecord

__all__ = ["merge_records"]


def merge_records(person: str, records: Iterable[PatientRecord]) -> PatientRecord:
    """Return one record with the fullest statements of `records`, which do not contradict each other.

    ID and issuer are those of the name of the person in the key file, if films with several IDs were joined.
    """
    records = sorted(records, key=lambda record: (str(record.name), record.issuer, record.universal))
    patient = person.partition("^^^")[0]
    own = [record for record in records if record.id == patient]
    return PatientRecord(
        patient if own else records[0].id,
        max(record.issuer for record in own or records),
        max(record.universal for record in own or records),
        max((record.name for record in records), key=lambda name: sum(len(p.words) for p in name.scripts.values())),
        min((record.birth_date for record in records), key=lambda birth: (-len(birth), birth)),
        max(record.sex for record in records),
    )
