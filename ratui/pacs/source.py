"""The interface of a PACS from which films are fetched, and the answers to queries. Values only."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Protocol

from ratui.pacs.patient_list import ListedPatient

__all__ = ["FoundSeries", "FoundStudy", "PacsSource", "is_uid", "read_count", "shorten_answer"]

_MAX_TEXT = 256
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_COUNT = re.compile(r"[0-9]{1,9}")


def shorten_answer(value: object) -> str:
    """Return a value of a PACS as a text of limited length, without the spaces around it."""
    return str(value)[:_MAX_TEXT].strip(" \0") if value is not None else ""


def is_uid(text: str) -> bool:
    """Return whether `text` is a UID (PS3.5 section 9), so that it can be part of a URL or a query."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def read_count(text: str) -> int | None:
    """Return the number that a PACS states, or None if it states none."""
    return int(text) if _COUNT.fullmatch(text) else None


@dataclass(frozen=True)
class FoundStudy:
    """A study in a PACS, with its patient. Texts come from the PACS, and `repr` shows none of them.

    `studies`, `series` and `instances` are the numbers of studies of the patient, and of series and objects of the study,
    as far as the PACS states them.
    """

    uid: str = field(repr=False)
    patient_id: str = field(default="", repr=False)
    issuer: str = field(default="", repr=False)
    birth_date: str = field(default="", repr=False)
    sex: str = field(default="", repr=False)
    name: str = field(default="", repr=False)
    studies: int | None = None
    series: int | None = None
    instances: int | None = None


@dataclass(frozen=True)
class FoundSeries:
    """A series in a PACS; `instances` is the number of its objects, if the PACS states it."""

    uid: str = field(repr=False)
    modality: str = field(default="", repr=False)
    instances: int | None = None


class PacsSource(Protocol):
    """A PACS that can be queried. Each method raises `PacsLostError` if the connection was lost, and else `PacsError`."""

    def find_studies(self, patient: ListedPatient) -> list[FoundStudy]:
        """Return all studies that the PACS lists for the patient ID of `patient`; they can be of another person."""

    def find_series(self, study: str) -> list[FoundSeries]:
        """Return the series of the study with the UID `study`."""

    def find_instances(self, study: str, series: str) -> list[str]:
        """Return the SOP Instance UIDs of a series."""

    def retrieve(self, study: str, series: str, instance: str) -> bytes:
        """Return the DICOM file with these UIDs, as the PACS stores it."""

    def retrieve_all(self, study: str, series: str = "") -> list[bytes]:
        """Return all films of a series, or of a study, as DICOM files. Raises `TooLargeError`."""

    def close(self) -> None:
        """End the connection."""
