"""A hostile or broken peer of the classic protocol: its answers are bounded, checked, and in no message."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pynetdicom.association
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE

from ratui.errors import PacsError, PacsLostError
from ratui.pacs.address import parse_address
from ratui.pacs.dimse import DimsePacs
from ratui.pacs.fetch import fetch_films
from ratui.pacs.patient_list import ListedPatient
from ratui.pacs.spool import Spool
from ratui.study import Study
from tests.films import film_file
from tests.pacs.fake_archive import FIND, FakeArchive, answer

pytestmark = pytest.mark.slow

PATIENT = ListedPatient(1, "P1")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "study", "fingers", ["anna"])


def one_film(query: Dataset) -> Iterator[Any]:
    """Answer each level of a query with one study, one series and one film."""
    level = query.QueryRetrieveLevel
    if level == "STUDY":
        yield 0xFF00, answer(PatientID="P1", StudyInstanceUID="1.2")
    elif level == "SERIES":
        yield 0xFF00, answer(SeriesInstanceUID="1.2.3", Modality="CR")
    else:
        yield 0xFF00, answer(SOPInstanceUID="1.2.3.4")


def film(path: Path, uid: str, **options: Any) -> Path:
    file = film_file(path, SOPInstanceUID=uid, **options)
    dataset = pydicom.dcmread(file)
    dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.save_as(file)
    return file


def test_only_the_film_that_was_asked_for_is_kept(
    archive: FakeArchive, pacs: DimsePacs, study: Study, tmp_path: Path
) -> None:
    archive.find = one_film
    archive.films = [film(tmp_path / "other.dcm", "9.9"), film(tmp_path / "right.dcm", "1.2.3.4", seed=1)]
    with Spool(study, "fetch", tmp_path / "spool") as spool:
        report = fetch_films(pacs, "here", [PATIENT], spool, delays=())
        (file,) = spool.files()
    assert report.files == [file]
    assert pydicom.dcmread(file).SOPInstanceUID == "1.2.3.4"


def test_an_answer_that_cannot_be_parsed_is_not_left_out(
    archive: FakeArchive, pacs: DimsePacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library yields such an answer without its content, and goes on."""
    archive.find = lambda query: iter([(0xFF00, answer(SOPInstanceUID=f"1.2.{number}")) for number in range(3)])
    assert len(pacs.find_instances("1.2", "1.2.3")) == 3
    decode, calls = pynetdicom.association.decode, iter(range(9))

    def fail_once(*arguments: Any) -> Dataset:
        if next(calls) == 1:
            raise ValueError
        return decode(*arguments)

    monkeypatch.setattr(pynetdicom.association, "decode", fail_once)
    with pytest.raises(PacsLostError):
        pacs.find_instances("1.2", "1.2.3")
    assert len(pacs.find_instances("1.2", "1.2.3")) == 3, "a repetition gets all"


def test_another_film_only_is_a_missing_film(
    archive: FakeArchive, pacs: DimsePacs, study: Study, tmp_path: Path
) -> None:
    archive.find = one_film
    archive.films = [film(tmp_path / "other.dcm", "9.9")]
    with Spool(study, "fetch", tmp_path / "spool") as spool:
        report = fetch_films(pacs, "here", [PATIENT], spool, delays=())
        assert spool.files() == []
    assert not report.is_complete
    (reason,) = report.patients[0].missing
    assert "did not send the file" in reason
    assert "status 0000" not in reason  # the other film was refused, not taken and thrown away


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC001, 0xFE00])
def test_a_refused_query_is_named_by_its_status_only(archive: FakeArchive, pacs: DimsePacs, status: int) -> None:
    def refuse(query: Dataset) -> Iterator[Any]:
        found = answer(ErrorComment="SECRET")
        found.Status = status
        yield found, None

    archive.find = refuse
    with pytest.raises(PacsError, match=f"status {status:04X}") as caught:
        pacs.find_studies(PATIENT)
    assert "SECRET" not in str(caught.value)


def test_answers_without_end_are_cut(archive: FakeArchive, pacs: DimsePacs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ratui.pacs.dimse._MAX_ANSWERS", 20)

    def repeat(query: Dataset) -> Iterator[Any]:
        for number in range(1000):
            yield 0xFF00, answer(PatientID="P1", StudyInstanceUID=f"1.2.{number}")

    archive.find = repeat
    with pytest.raises(PacsError, match="more than 20 answers"):
        pacs.find_studies(PATIENT)
    archive.find = one_film
    assert [each.uid for each in pacs.find_studies(PATIENT)] == ["1.2"]  # by a new association


def test_a_retrieval_without_end_is_cut(
    archive: FakeArchive, pacs: DimsePacs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ratui.pacs.dimse._MAX_ANSWERS", 5)
    archive.films = [film(tmp_path / "other.dcm", "9.9")] * 30
    with pytest.raises(PacsError, match="more than 5 answers"):
        pacs.retrieve("1.2", "1.2.3", "1.2.3.4")
    archive.films = [film(tmp_path / "right.dcm", "1.2.3.4")]
    assert pacs.retrieve("1.2", "1.2.3", "1.2.3.4")  # by a new association


def odd_answers(query: Dataset) -> Iterator[Any]:
    for uid in ("", "SECRET", "../../SECRET", "1" * 64 + ".1", "1.2\\1.3"):
        found = answer(PatientID="P1")
        found.add_new("StudyInstanceUID", "UI", uid)
        yield 0xFF00, found
    many = answer(StudyInstanceUID="1.2")
    many.add_new("PatientID", "LO", "P1\\SECRET")
    yield 0xFF00, many
    yield 0xFF00, answer(StudyInstanceUID="1.2", PatientID="P1" + "SECRET" * 5000)


def test_odd_values_are_left_out_and_bounded(
    archive: FakeArchive, pacs: DimsePacs, study: Study, tmp_path: Path
) -> None:
    archive.find = odd_answers
    with Spool(study, "fetch", tmp_path / "spool") as spool:
        report = fetch_films(pacs, "here", [PATIENT], spool, delays=())
    assert report.files == []
    assert dict(report.patients[0].losses) == {"study without a valid UID": 5}
    assert dict(report.patients[0].left_out) == {"study of another patient ID": 2}
    found = pacs.find_studies(PATIENT)
    assert max(len(each.patient_id) for each in found) <= 256
    assert "SECRET" not in repr(report) + repr(found)


def test_odd_values_are_in_no_output(archive: FakeArchive, study: Study, tmp_path: Path) -> None:
    archive.find = odd_answers
    (tmp_path / "list").write_text("P1\n")
    address = f"dicom://ARCHIVE@127.0.0.1:{archive.server.server_address[1]}"
    words = ["fetch", str(study.path), "--from", address, "--patients", str(tmp_path / "list")]
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data")}
    done = subprocess.run([sys.executable, "-m", "ratui", *words], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "not fetched, look at the PACS: 5 × study without a valid UID" in done.stdout
    assert done.stderr == ""
    assert "SECRET" not in done.stdout


def test_an_archive_that_disappears_is_a_lost_connection(
    archive: FakeArchive, pacs: DimsePacs, study: Study, tmp_path: Path
) -> None:
    archive.find = one_film
    assert pacs.find_studies(PATIENT)
    archive.stop()
    with pytest.raises(PacsLostError):
        pacs.find_studies(PATIENT)


def test_an_archive_without_retrieval_is_named(study: Study) -> None:
    entity = AE(ae_title="ARCHIVE")
    entity.add_supported_context(FIND)
    server: Any = entity.start_server(("127.0.0.1", 0), block=False)
    pacs = DimsePacs(parse_address(f"dicom://ARCHIVE@127.0.0.1:{server.server_address[1]}"))
    with pytest.raises(PacsError, match="does not offer C-GET") as caught:
        pacs.retrieve("1.2", "1.2.3", "1.2.3.4")
    assert "--move-port" in caught.value.remedy
    pacs.close()
    server.shutdown()
