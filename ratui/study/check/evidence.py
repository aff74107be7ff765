"""Check the evidence in a reading: its films, the time spent, its displays, and the clock."""

from __future__ import annotations

from dataclasses import dataclass

from ratui.errors import RatuiError
from ratui.stored_values import ODD_VALUE_ERRORS
from ratui.study.case import Case
from ratui.study.check.readings import rebuild_fields
from ratui.study.readings.reading_evidence import find_clock_steps, find_evidence_faults
from ratui.study.store import StudyFile
from ratui.study.store.seal import open_seal
from ratui.study.study import Study

__all__ = ["EvidenceCheck", "check_evidence"]


@dataclass(frozen=True)
class EvidenceCheck:
    """The result for one reading.

    Attributes
    ----------
    faults
        Faults, each with True if `rebuilt` does not have it.
    rebuilt
        Bytes of the reading with the values that follow from its log.
    remarks
        Remarks that are no fault.
    """

    faults: tuple[tuple[str, bool], ...] = ()
    rebuilt: bytes = b""
    remarks: tuple[str, ...] = ()


def check_evidence(study: Study, file: StudyFile, data: bytes) -> EvidenceCheck:
    """Check the evidence in the bytes `data` of the intact reading `file`.

    Nothing is checked if the case can't be read, because `check_study` reports the case.
    """
    try:
        case = study.unordered_case(file.stem)
    except RatuiError:
        return EvidenceCheck()
    faults, remarks = _find_faults(data, case, study)
    rebuilt = rebuild_fields(file, data, study.scheme) if faults else None
    left = faults if rebuilt is None else _find_faults(rebuilt, case, study)[0]
    return EvidenceCheck(tuple((fault, fault not in left) for fault in faults), rebuilt or b"", tuple(remarks))


def _find_faults(data: bytes, case: Case, study: Study) -> tuple[list[str], list[str]]:
    try:
        tables = {name: list(records.values()) for name, records in open_seal(data).tables.items()}
        return find_evidence_faults(tables, case, study.config.id), find_clock_steps(tables["log"])
    except (RatuiError, *ODD_VALUE_ERRORS) as error:
        return [f"it has a value that ratui does not write ({type(error).__name__})"], []
