"""Send exported reports, presentation states and films back to a PACS.

Only files that ratui has exported are sent: everything in them that could name a person is a pseudonym or empty. Films go
first, so that the PACS has them when it gets a report that refers to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import Protocol

import pydicom
from pydicom.dataset import Dataset

from ratui.errors import FilmError, PacsError, PacsLostError
from ratui.pacs.silence import silence_libraries
from ratui.pacs.source import is_uid
from ratui.study.importing import ReaderProcess

__all__ = ["OutgoingFile", "PacsTarget", "read_outgoing", "send_files"]

_CASE = re.compile(r"C-[A-Z0-9]{3,52}")
_EMPTY = (
    *("PatientBirthDate", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID"),
    *("OtherPatientIDs", "IssuerOfPatientID", "PatientAddress", "InstitutionName", "StudyDescription"),
    *("OperatorsName", "PerformingPhysicianName", "SeriesDescription", "ProtocolName", "AcquisitionDate"),
    *(
        "ImageComments",
        "PatientComments",
        "OtherPatientNames",
        "PatientBirthName",
        "RequestingPhysician",
        "StationName",
    ),
)
_MAX_FILES = 1_000_000
_DELAYS = (1.0, 3.0, 10.0)
ProgressCallback = Callable[[int, int], None]
"""Function called with (files done, files in all)."""


@dataclass(frozen=True)
class OutgoingFile:
    """A file to send, with its UIDs and those of the objects that it refers to. `is_film` is False for a report."""

    path: Path
    study: str
    instance: str
    is_film: bool
    references: frozenset[str] = field(default_factory=frozenset)


class PacsTarget(Protocol):
    """A PACS that stores files."""

    def store(self, path: Path, study: str, instance: str) -> None:
        """Store the DICOM file at `path`. Raises PacsError if the PACS does not confirm it."""

    def close(self) -> None:
        """End the connection."""


def read_outgoing(folder: Path) -> list[OutgoingFile]:
    """Return the DICOM files of an export, films first.

    Parameters
    ----------
    folder
        Folder of ``ratui export``, with ``--format sr``, ``--format gsps`` and ``--with-films``.

    Raises
    ------
    PacsError
        If there is none, a film is not exactly what an import writes, a file contains more than pseudonyms, two files have
        one UID, or a film that a report refers to is not in the folder.
    """
    paths = sorted(path for name in ("films", "sr", "gsps") for path in (folder / name).glob("*/*.dcm"))
    if not paths:
        raise PacsError(
            "there is no DICOM file of an export", folder, "ratui export STUDY FOLDER --format sr --with-films"
        )
    if len(paths) > _MAX_FILES:
        raise PacsError(f"there are more than {_MAX_FILES} files", folder)
    silence_libraries()
    with ReaderProcess() as reader:
        files = [_read(path, reader) for path in paths]
    known = {file.instance for file in files}
    if len(known) < len(files):
        raise PacsError("two files have the same SOP Instance UID", folder, "ratui check STUDY")
    missing = {uid for file in files for uid in file.references} - known
    if missing:
        count = "a film" if len(missing) == 1 else f"{len(missing)} films"
        raise PacsError(f"the reports refer to {count} outside the folder", folder, "Export again with --with-films")
    return sorted(files, key=lambda file: not file.is_film)


def send_files(
    target: PacsTarget,
    files: Sequence[OutgoingFile],
    *,
    delays: Sequence[float] = _DELAYS,
    progress: ProgressCallback = lambda done, total: None,
) -> None:
    """Store `files` in a PACS, in their order. A file that is stored twice is the same object.

    Raises PacsError at the first file that the PACS does not store. PacsLostError if the connection is lost for good.
    """
    for number, file in enumerate(files):
        progress(number, len(files))
        for delay in (*delays, None):
            try:
                target.store(file.path, file.study, file.instance)
                break
            except PacsLostError:
                if delay is None:
                    raise
                sleep(delay)
    progress(len(files), len(files))


def _read(path: Path, reader: ReaderProcess) -> OutgoingFile:
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        uids = str(dataset.StudyInstanceUID), str(dataset.SOPInstanceUID)
        is_film = "Rows" in dataset
        references = frozenset(_references(dataset))
        reason = _reason_to_refuse(dataset, path)
    except Exception as error:  # pydicom raises almost anything for a file of another kind
        raise PacsError("this is not a DICOM file of an export", path, "Export into an empty folder") from error
    if not all(map(is_uid, uids)):
        raise PacsError("this file has no valid UID", path, "Export into an empty folder")
    if reason:
        raise PacsError(f"this file is not sent: {reason}", path, "Export into an empty folder")
    if is_film:
        try:
            reader.verify(path, path.parent.name, str(dataset.Laterality))
        except FilmError as error:
            raise PacsError("this file is not sent: no import writes such a film", path, "Export again") from error
    return OutgoingFile(path, *uids, is_film, references)


def _reason_to_refuse(dataset: Dataset, path: Path) -> str:
    """Return the reason why a file could name a person, or an empty text."""
    case = path.parent.name
    if not _CASE.fullmatch(case) or {str(dataset.PatientID), str(dataset.PatientName)} != {case}:
        return "its patient is not the case of its folder"
    filled = [keyword for keyword in _EMPTY if dataset.get(keyword)]
    if filled:
        return f"it has a {filled[0]}"
    if any(element.tag.is_private for element in dataset):
        return "it has private elements"
    return ""


def _references(dataset: Dataset) -> Iterator[str]:
    """Yield each SOP Instance UID that `dataset` refers to, at any depth."""
    for element in dataset:
        if element.keyword == "ReferencedSOPInstanceUID":
            yield str(element.value)
        elif element.VR == "SQ":
            for item in element.value:
                yield from _references(item)
