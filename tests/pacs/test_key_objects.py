"""Key objects, by which departments reject films, reach the same import as their films."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydicom
import pytest
from click.testing import CliRunner
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage
from pynetdicom import AE

import ratui.study
from ratui.cli.main import commands
from ratui.pacs.address import parse_address
from ratui.pacs.dicomweb import DicomwebPacs
from ratui.pacs.dimse import DimsePacs
from ratui.pacs.fetch import FetchReport, fetch_films, finish_key_objects
from ratui.pacs.inbox import Inbox
from ratui.pacs.patient_list import ListedPatient
from ratui.pacs.receiver import StorageReceiver
from ratui.pacs.spool import Spool
from ratui.study import Study
from tests.films import film_file
from tests.pacs.orthanc import Orthanc

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("read_films_here")]

KEY = "1.1.9.1"


def film(path: Path, instance: str, **elements: Any) -> Path:
    film_file(path, StudyInstanceUID="1.1", SeriesInstanceUID="1.1.1", SOPInstanceUID=instance, **elements)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(instance)
    dataset.save_as(path)
    return path


def key_object(path: Path, rejected: Path, *, patient: str = "P1", instance: str = KEY, study: str = "1.1") -> Path:
    """Write a document that rejects a film for its quality (PS3.3 section A.35.4, context group 7010)."""
    film = pydicom.dcmread(rejected, stop_before_pixels=True)
    made = Dataset()
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = KeyObjectSelectionDocumentStorage
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(instance)
    made.PatientID, made.PatientName, made.Modality = patient, f"Doe^{patient}", "KO"
    made.StudyInstanceUID, made.SeriesInstanceUID = study, f"{study}.9"
    made.StudyDate, made.ValueType = film.StudyDate, "CONTAINER"
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = "113001", "DCM", "Rejected for Quality Reasons"
    made.ConceptNameCodeSequence = [title]
    reference, series, evidence, item = Dataset(), Dataset(), Dataset(), Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = film.SOPClassUID, film.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedSOPSequence = film.SeriesInstanceUID, [reference]
    evidence.StudyInstanceUID, evidence.ReferencedSeriesSequence = film.StudyInstanceUID, [series]
    item.RelationshipType, item.ValueType, item.ReferencedSOPSequence = "CONTAINS", "IMAGE", [reference]
    made.CurrentRequestedProcedureEvidenceSequence, made.ContentSequence = [evidence], [item]
    made.save_as(path, enforce_file_format=True)
    return path


def uids(files: Sequence[Path]) -> list[str]:
    return sorted(str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID) for file in files)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "study", "fingers", ["anna"])


@pytest.fixture
def rejected(orthanc: Orthanc, tmp_path: Path) -> Orthanc:
    """Store a film, its repeat, a document that rejects the film, and documents of another patient and study."""
    first = film(tmp_path / "1.dcm", "1.1.1.1")
    orthanc.upload(first, film(tmp_path / "2.dcm", "1.1.1.2", seed=2), key_object(tmp_path / "key.dcm", first))
    orthanc.upload(key_object(tmp_path / "other.dcm", first, patient="P2", instance="1.9.1", study="1.9"))
    orthanc.upload(key_object(tmp_path / "no_film.dcm", first, instance="1.8.1", study="1.8"))
    return orthanc


def test_a_key_object_comes_with_its_films(
    source: DicomwebPacs | DimsePacs, rejected: Orthanc, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retrieve, retrieved = source.retrieve, []
    monkeypatch.setattr(source, "retrieve", lambda *about: retrieved.append(about[2]) or retrieve(*about))  # type: ignore[func-returns-value]

    def run(spool: Spool) -> FetchReport:
        retrieved.clear()
        return fetch_films(source, "here", [ListedPatient(1, "P1")], spool, delays=())

    with Spool(study, "fetch", tmp_path / "spool") as spool:
        report = run(spool)
        (patient,) = report.patients
        assert report.is_complete
        assert uids(report.files) == ["1.1.1.1", "1.1.1.2", KEY]
        assert uids(patient.key_objects) == [KEY]
        assert dict(patient.left_out) == {"series of another modality": 1}, "the study without films"
        # A film waits: the document does so, too, and is not fetched again.
        spool.finish([file for file in patient.files if uids([file]) == ["1.1.1.2"]])
        finish_key_objects(report, spool)
        report = run(spool)
        assert (uids(report.files), retrieved) == (["1.1.1.1", KEY], [])
        # All films were imported: nothing waits.
        spool.finish(file for file in report.files if file not in report.patients[0].key_objects)
        finish_key_objects(report, spool)
        assert spool.files() == []
        report = run(spool)
        assert (report.files, report.patients[0].finished, retrieved) == ([], 2, [])
        # A further film needs the document again.
        rejected.upload(film(tmp_path / "3.dcm", "1.1.1.3", seed=3))
        assert uids(run(spool).files) == ["1.1.1.3", KEY]


def test_the_command_gives_films_and_key_objects_to_one_import(
    rejected: Orthanc, study: Study, tmp_path: Path, account: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[list[str]] = []
    import_films = ratui.study.import_films

    def note(opened: Study, files: Sequence[Path], **options: Any) -> Any:
        given.append(uids(files))
        return import_films(opened, files, **options)

    monkeypatch.setattr(ratui.study, "import_films", note)
    (tmp_path / "list").write_text("P1\n")
    words = ["fetch", study.path, "--from", rejected.url, "--patients", tmp_path / "list", "--key", tmp_path / "key"]
    done = CliRunner().invoke(commands, [str(word) for word in words])
    assert "2 films and 1 key object here" in done.output
    assert given == [["1.1.1.1", "1.1.1.2", KEY]]


def test_a_key_object_of_another_patient_is_removed(
    rejected: Orthanc, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = DimsePacs(parse_address(rejected.dicom_url))
    retrieve = source.retrieve
    wrong = ("1.9", "1.9.9", "1.9.1")
    monkeypatch.setattr(source, "retrieve", lambda *about: retrieve(*(wrong if about[2] == KEY else about)))
    with Spool(study, "fetch", tmp_path / "spool") as spool:
        (patient,) = fetch_films(source, "here", [ListedPatient(1, "P1")], spool, delays=()).patients
        assert dict(patient.losses) == {"film whose header names another person": 1}
        assert uids(spool.files()) == ["1.1.1.1", "1.1.1.2"]
    source.close()


def test_a_key_object_is_received(study: Study, tmp_path: Path) -> None:
    document = key_object(tmp_path / "key.dcm", film(tmp_path / "1.dcm", "1.1.1.1"))
    entity = AE(ae_title="SENDER")
    entity.add_requested_context(KeyObjectSelectionDocumentStorage, ExplicitVRLittleEndian)
    with (
        Spool(study, "receive", tmp_path / "spool") as spool,
        StorageReceiver(Inbox(spool).store, "RATUI", ["SENDER"]) as receiver,
    ):
        association = entity.associate("127.0.0.1", receiver.port, ae_title="RATUI")
        assert association.send_c_store(pydicom.dcmread(document)).Status == 0x0000
        association.release()
        assert uids(spool.files()) == [KEY]
        assert receiver.refused_kinds == 0
