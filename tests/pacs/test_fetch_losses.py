"""Whatever a real PACS has for a listed ID is fetched, or counted with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner

from ratui.cli.main import commands
from ratui.imaging import write_film
from ratui.pacs.address import Credentials, parse_address
from ratui.pacs.dicomweb import DicomwebPacs
from ratui.pacs.dimse import DimsePacs, MoveDestination
from ratui.pacs.fetch import FetchReport, fetch_films
from ratui.pacs.patient_list import ListedPatient
from ratui.pacs.person_choice import choose_studies
from ratui.pacs.source import FoundStudy
from ratui.pacs.spool import Spool
from ratui.study import Study
from tests.films import film_file
from tests.pacs.orthanc import PASSWORD, USER, Orthanc

NORTH = ListedPatient(1, "P1", "NORTH")
Fetch = Callable[..., FetchReport]

pytestmark = pytest.mark.usefixtures("read_films_here")


@pytest.fixture(params=["DICOMweb", "C-GET", "C-MOVE"])
def fetch(request: pytest.FixtureRequest, orthanc: Orthanc, tmp_path: Path) -> Iterator[Fetch]:
    source: DicomwebPacs | DimsePacs
    if request.param == "DICOMweb":
        source = DicomwebPacs(parse_address(orthanc.url), Credentials(USER, PASSWORD))
    else:
        move = MoveDestination("127.0.0.1", orthanc.move_port) if request.param == "C-MOVE" else None
        source = DimsePacs(parse_address(orthanc.dicom_url), move=move)
    study = Study.create(tmp_path / "study", "fingers", ["anna"])

    def run(patient: ListedPatient = NORTH) -> FetchReport:
        with Spool(study, "fetch", tmp_path / "spool") as spool:
            return fetch_films(source, "here", [patient], spool, delays=())

    with closing(source):
        yield run


def uids_of(report: FetchReport) -> set[tuple[str, str]]:
    found = [pydicom.dcmread(file, stop_before_pixels=True) for file in report.files]
    return {(str(film.SeriesInstanceUID), str(film.SOPInstanceUID)) for film in found}


def film(path: Path, uids: tuple[str, str, str], **elements: object) -> Path:
    study, series, instance = uids
    film_file(path, StudyInstanceUID=study, SeriesInstanceUID=series, SOPInstanceUID=instance, **elements)  # type: ignore[arg-type]
    dataset = pydicom.dcmread(path)
    dataset.file_meta.MediaStorageSOPInstanceUID = instance
    dataset.save_as(path)
    return path


@pytest.mark.slow
class TestARealArchive:
    def test_a_study_without_an_issuer_is_fetched_or_counted(
        self, fetch: Fetch, orthanc: Orthanc, tmp_path: Path
    ) -> None:
        orthanc.upload(
            film(tmp_path / "a.dcm", ("1.1", "1.1.1", "1.1.1.1"), IssuerOfPatientID="NORTH", seed=1),
            film(tmp_path / "b.dcm", ("1.2", "1.2.1", "1.2.1.1"), seed=2),
        )
        report = fetch()
        assert report.is_complete
        assert uids_of(report) == {("1.1.1", "1.1.1.1"), ("1.2.1", "1.2.1.1")}
        orthanc.upload(film(tmp_path / "c.dcm", ("1.3", "1.3.1", "1.3.1.1"), IssuerOfPatientID="SOUTH", seed=3))
        report = fetch()
        assert uids_of(report) == {("1.1.1", "1.1.1.1")}
        assert not report.is_complete
        (reason,) = report.patients[0].losses
        assert "without an issuer" in reason

    def test_two_films_with_one_uid_are_both_fetched(self, fetch: Fetch, orthanc: Orthanc, tmp_path: Path) -> None:
        orthanc.upload(
            film(tmp_path / "a.dcm", ("1.1", "1.1.1", "1.9"), seed=1),
            film(tmp_path / "b.dcm", ("1.1", "1.1.2", "1.9"), seed=2),
            film(tmp_path / "c.dcm", ("1.1", "1.1.2", "1.8"), seed=3),
        )
        report = fetch()
        assert report.is_complete, report
        assert uids_of(report) == {("1.1.1", "1.9"), ("1.1.2", "1.9"), ("1.1.2", "1.8")}
        assert len(list((tmp_path / "spool").glob("*.dcm"))) == 3

    def test_a_uid_that_another_patient_has_too_is_fetched(
        self, fetch: Fetch, orthanc: Orthanc, tmp_path: Path
    ) -> None:
        orthanc.upload(
            film(tmp_path / "a.dcm", ("1.1", "1.1.1", "1.9"), seed=1),
            film(tmp_path / "b.dcm", ("1.2", "1.2.1", "1.9"), seed=2, patient="P2"),
        )
        report = fetch()
        assert report.is_complete, report
        assert uids_of(report) == {("1.1.1", "1.9")}

    @pytest.mark.parametrize("fetch", ["C-GET", "C-MOVE"], indirect=True)
    def test_a_film_that_is_too_large_is_left_out_and_the_run_goes_on(
        self, fetch: Fetch, orthanc: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ratui.pacs.pynetdicom_internals._MAX_MESSAGE_BYTES", 200_000)
        noise = np.random.default_rng(1).integers(0, 4000, (600, 500)).astype(np.uint16)
        names = {"PatientID": "P1", "StudyDate": "20200302"}
        write_film(tmp_path / "large.dcm", noise, spacing=(0.1, 0.1), laterality="L", attributes=names)
        orthanc.upload(
            film(tmp_path / "a.dcm", ("1.1", "1.1.1", "1.1.1.1"), seed=1),
            tmp_path / "large.dcm",
            film(tmp_path / "b.dcm", ("9.2", "9.2.1", "9.2.1.1"), seed=2),
        )
        report = fetch()
        assert report.lost == ""
        assert uids_of(report) == {("1.1.1", "1.1.1.1"), ("9.2.1", "9.2.1.1")}
        assert dict(report.patients[0].losses) == {"file that is too large for a film": 1}
        assert not report.is_complete

    def test_the_command_imports_the_rest_and_reports_the_loss(
        self, orthanc: Orthanc, tmp_path: Path, account: None
    ) -> None:
        orthanc.upload(
            film(tmp_path / "a.dcm", ("1.1", "1.1.1", "1.1.1.1"), IssuerOfPatientID="NORTH", seed=1),
            film(tmp_path / "b.dcm", ("1.2", "1.2.1", "1.2.1.1"), seed=2),
            film(tmp_path / "c.dcm", ("1.3", "1.3.1", "1.3.1.1"), IssuerOfPatientID="SOUTH", seed=3),
            film(tmp_path / "d.dcm", ("1.1", "1.1.2", "1.1.2.1"), IssuerOfPatientID="NORTH", Modality="KO", seed=4),
        )
        Study.create(tmp_path / "study", "fingers", ["anna"])
        (tmp_path / "list.csv").write_text("patient,issuer\nP1,NORTH\n")
        words = ["fetch", tmp_path / "study", "--from", orthanc.url, "--patients", tmp_path / "list.csv"]
        done = CliRunner().invoke(commands, [str(word) for word in [*words, "--key", tmp_path / "key.json"]])
        assert done.exit_code == 1, done.output
        assert "1 film of 1 case imported" in done.output
        assert "0 of 1 patient complete" in done.output
        assert "not fetched, look at the PACS: 1 × study without an issuer" in done.output
        assert "1 film and 1 key object here" in done.output


def study_of(uid: str, issuer: str = "", birth_date: str = "", name: str = "") -> FoundStudy:
    return FoundStudy(uid, "P1", issuer, birth_date, "", name)


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        ([study_of("1.1")], ["1.1"]),
        ([study_of("1.1", "NORTH", "19500101"), study_of("1.2")], ["1.1", "1.2"]),
        ([study_of("1.1", "NORTH", "19500101"), study_of("1.2", "", "19600101")], ["1.1"]),
        ([study_of("1.1", "NORTH", name="Doe^Ann"), study_of("1.2", name="DOE^ANN^M")], ["1.1", "1.2"]),
        ([study_of("1.1", "NORTH", name="Doe^Ann"), study_of("1.2", name="Roe^Ann")], ["1.1"]),
        ([study_of("1.1", birth_date="19500101"), study_of("1.2", birth_date="19600101")], []),
        ([study_of("1.1", "NORTH"), study_of("1.2"), study_of("1.3", "SOUTH")], ["1.1"]),
        ([study_of("1.1"), study_of("1.3", "SOUTH")], []),
    ],
)
def test_a_study_without_an_issuer_needs_one_person_in_all_answers(found: list[FoundStudy], chosen: list[str]) -> None:
    result = choose_studies(NORTH, found)
    assert result.uids == chosen
    unsettled = [study for study in found if study.uid not in chosen and study.issuer != "SOUTH"]
    assert sum(result.losses.values()) == len(unsettled)
    assert sum(result.left_out.values()) == sum(study.issuer == "SOUTH" for study in found)


SLIP = "study of one of several persons with this patient ID: give issuer or birth_date"


@pytest.mark.parametrize(
    ("other", "is_one_person"),
    [
        (("19530412", "F", "DOE^ANN"), True),  # one digit
        (("19530421", "F", "Doe^Ann"), True),  # the same
        (("19520422", "F", "Doe^Ann"), False),  # two places
        (("19620421", "F", "Doe^Ann"), False),
        (("19350421", "F", "Doe^Ann"), True),  # two neighbours
        (("19530101", "F", "Doe^Ann"), False),  # an unknown day
        (("19530422", "", "Doe^Ann"), False),  # no sex
        (("19530422", "M", "Doe^Ann"), False),
        (("19530422", "O", "Doe^Ann"), False),
        (("19530421", "O", "Doe^Ann"), True),  # other or unknown: no statement
        (("19530421", "M", "Doe^Ann"), False),
        (("19530421", "female", "Doe^Ann"), True),
        (("19530422", "F", "Doe^Anna"), False),
        (("19530422", "F", ""), False),
        (("", "F", "Roe^Eve"), True),  # no date that differs
    ],
)
def test_one_slip_in_the_birth_date_is_accepted_as_in_the_import(
    other: tuple[str, str, str], is_one_person: bool
) -> None:
    first = FoundStudy("1.1", "P1", "", "19530421", "F", "Doe^Ann")
    birth_date, sex, name = other
    found = [first, FoundStudy("1.2", "P1", "", birth_date, sex, name)]
    for answers in (found, found[::-1]):
        chosen = choose_studies(ListedPatient(1, "P1"), answers)
        assert chosen.uids == (["1.1", "1.2"] if is_one_person else [])
        assert chosen.losses == ({} if is_one_person else {SLIP: 2})


def test_a_third_person_among_two_who_differ_by_a_slip_is_noticed() -> None:
    births = ("19530421", "19530422", "19600310")
    found = [FoundStudy(f"1.{place}", "P1", "", birth, "F", "Doe^Ann") for place, birth in enumerate(births)]
    assert choose_studies(ListedPatient(1, "P1"), found).losses == {SLIP: 3}


@pytest.mark.parametrize(("birth_date", "is_loss"), [("19530422", True), ("19600310", False)])
def test_a_study_that_differs_from_the_list_by_a_slip_is_no_silent_omission(birth_date: str, is_loss: bool) -> None:
    found = [FoundStudy("1.1", "P1", "", "19530421"), FoundStudy("1.2", "P1", "", birth_date)]
    chosen = choose_studies(ListedPatient(1, "P1", "", "19530421"), found)
    assert chosen.uids == ["1.1"]
    assert sum(chosen.losses.values()) == is_loss
    assert sum(chosen.left_out.values()) == (not is_loss)
