"""A simulated hospital in a real PACS: its files are stored in Orthanc and fetched with ratui."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pynetdicom import AE

from ratui.pacs.address import Credentials, parse_address
from ratui.pacs.dicomweb import DicomwebPacs
from ratui.pacs.fetch import FetchReport, fetch_films
from ratui.pacs.patient_list import ListedPatient
from ratui.pacs.spool import Spool
from tests.pacs.orthanc import PASSWORD, USER, Orthanc
from tests.support.hospital.truth import Truth

__all__ = ["StoredFile", "count_left_out", "fetch_hospital", "find_questions", "match_truth", "store_files"]

_CONTEXTS = 100  # an association has at most 128
_ELEMENTS = ("PatientID", "IssuerOfPatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Modality")


@dataclass(frozen=True)
class StoredFile:
    """A file that was stored in the archive, by the identifiers with which the archive distinguishes objects."""

    path: str
    patient: str
    issuer: str
    uids: tuple[str, str, str]
    modality: str

    @classmethod
    def read(cls, folder: Path, path: str) -> StoredFile:
        """Read the identifiers of a file in `folder`."""
        header = pydicom.dcmread(folder / path, specific_tags=list(_ELEMENTS))
        patient, issuer, *uids, modality = (str(header.get(name, "")) for name in _ELEMENTS)
        study, series, instance = uids
        return cls(path, patient, issuer, (study, series, instance), modality)


def store_files(archive: Orthanc, folder: Path, paths: Iterable[str]) -> list[StoredFile]:
    """Send DICOM files of `folder` to the archive by C-STORE, and return those that it accepted."""
    contexts: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in paths:
        meta = pydicom.filereader.read_file_meta_info(folder / path)
        contexts[meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID].append(path)
    groups = list(contexts.items())
    stored = []
    for start in range(0, len(groups), _CONTEXTS):
        entity = AE(ae_title="CONSOLE")
        for (sop_class, syntax), _ in groups[start : start + _CONTEXTS]:
            entity.add_requested_context(sop_class, syntax)
        association = entity.associate("127.0.0.1", archive.dicom, ae_title="ORTHANC")
        if not association.is_established:
            raise RuntimeError("the archive refused the association")
        for _, files in groups[start : start + _CONTEXTS]:
            for path in files:
                status = association.send_c_store(folder / path)
                if status and status.Status == 0x0000:
                    stored.append(StoredFile.read(folder, path))
        association.release()
    return stored


def fetch_hospital(archive: Orthanc, stored: list[StoredFile], spool: Spool) -> FetchReport:
    """Fetch all patients of the archive into `spool` by DICOMweb, from a list of their IDs."""
    patients = [ListedPatient(number, *each) for number, each in enumerate(_list_patients(stored), start=1)]
    source = DicomwebPacs(parse_address(archive.url), Credentials(USER, PASSWORD))
    return fetch_films(source, archive.url, patients, spool)


def find_questions(stored: list[StoredFile], report: FetchReport) -> set[str]:
    """Return the files of patients about whom the fetch asks a person: several persons, or films that are missing."""
    asked = {
        patient
        for (patient, _), result in zip(_list_patients(stored), report.patients, strict=True)
        if not result.is_complete
    }
    return {file.path for file in stored if file.patient in asked}


def match_truth(
    truths: list[Truth], stored: list[StoredFile], fetched: Iterable[Path]
) -> tuple[list[Truth], dict[Path, str]]:
    """Return the truth about the objects in the archive, and the original path of each fetched file.

    The archive keeps one of several objects with the same identifiers.
    """
    by_path = {truth.path: truth for truth in truths}
    objects: dict[tuple[str, str, str, str], str] = {}
    for file in stored:
        objects[file.patient, *file.uids] = file.path  # the last one replaces the others
    kept = [by_path[path] for path in objects.values()]
    origin = {}
    for received in fetched:
        file = StoredFile.read(received.parent, received.name)
        origin[received] = objects[file.patient, *file.uids]
    return kept, origin


def _list_patients(stored: list[StoredFile]) -> list[tuple[str, str]]:
    issuers: dict[str, set[str]] = defaultdict(set)
    for file in stored:
        if file.patient:
            issuers[file.patient].update([file.issuer] if file.issuer else [])
    # As the list's description advises, an issuer is given only where the ID alone is ambiguous.
    return sorted(
        (patient, issuer) for patient, found in issuers.items() for issuer in (found if len(found) > 1 else [""])
    )


def count_left_out(report: FetchReport) -> Counter[str]:
    """Return the reasons why series, studies or films were not fetched, with their numbers."""
    found: Counter[str] = Counter()
    for patient in report.patients:
        found += patient.left_out + patient.losses + patient.missing
    return found
