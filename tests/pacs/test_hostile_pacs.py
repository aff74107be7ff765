"""Answers of a hostile or broken PACS to `fetch`: checked, and repeated in no message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ratui.errors import PacsError, PacsLostError
from ratui.pacs.fetch import fetch_films
from ratui.pacs.patient_list import ListedPatient
from ratui.pacs.source import FoundSeries, FoundStudy
from ratui.pacs.spool import Spool
from ratui.study import Study
from tests.films import film_file
from tests.pacs.fake_archive import with_uid

PATIENT = ListedPatient(1, "P1")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "study", "fingers", ["anna"])


class FakePacs:
    """A PACS whose answers a test chooses."""

    def __init__(self, film: Path) -> None:
        self.studies = [FoundStudy("1.2", "P1")]
        self.series = [FoundSeries("1.2.3", "CR")]
        self.instances = ["1.2.3.4"]
        self.data = film.read_bytes()
        self.failure: PacsError | None = None
        self.retrieved: list[str] = []
        self.is_replaced = False  # another film is under the UID

    def find_studies(self, patient: ListedPatient) -> list[FoundStudy]:
        return self.studies

    def find_series(self, study: str) -> list[FoundSeries]:
        return self.series

    def find_instances(self, study: str, series: str) -> list[str]:
        return self.instances

    def retrieve(self, study: str, series: str, instance: str) -> bytes:
        self.retrieved.append(instance)
        if self.failure:
            raise self.failure
        return self.data if self.is_replaced else with_uid(self.data, instance)

    def retrieve_all(self, study: str, series: str = "") -> list[bytes]:
        raise self.failure or PacsError("the PACS does not have this (HTTP 404)")

    def close(self) -> None:
        pass


class TestAnswers:
    @pytest.fixture
    def pacs(self, tmp_path: Path) -> FakePacs:
        return FakePacs(film_file(tmp_path / "film.dcm"))

    def fetch(self, pacs: FakePacs, study: Study, tmp_path: Path, *patients: ListedPatient) -> Any:
        with Spool(study, "fetch", tmp_path / "spool") as spool:
            report = fetch_films(pacs, "here", patients or [PATIENT], spool, delays=(0.0, 0.0))
            return report, [file.name for file in spool.files()]

    @pytest.mark.parametrize(
        ("patient", "elements"),
        [("P2", {}), ("P1", {"IssuerOfPatientID": "SOUTH"}), ("P1", {"PatientBirthDate": "19600202"})],
    )
    def test_a_film_whose_header_names_another_person_is_removed(
        self, pacs: FakePacs, study: Study, tmp_path: Path, patient: str, elements: dict[str, object]
    ) -> None:
        pacs.data = film_file(tmp_path / "other.dcm", patient=patient, **elements).read_bytes()
        report, files = self.fetch(pacs, study, tmp_path, ListedPatient(1, "P1", "NORTH", "19500101"))
        assert files == []
        assert report.files == []
        assert dict(report.patients[0].losses) == {"film whose header names another person": 1}

    def test_a_film_that_is_another_one_than_was_asked_for_is_removed(
        self, pacs: FakePacs, study: Study, tmp_path: Path
    ) -> None:
        pacs.is_replaced = True
        report, files = self.fetch(pacs, study, tmp_path)
        assert files == []
        assert dict(report.patients[0].losses) == {"film whose header has another UID than was asked for": 1}

    def test_a_film_without_issuer_and_date_of_birth_is_kept(
        self, pacs: FakePacs, study: Study, tmp_path: Path
    ) -> None:
        report, files = self.fetch(pacs, study, tmp_path, ListedPatient(1, "P1", "NORTH", "19500101"))
        assert len(files) == len(report.files) == 1

    @pytest.mark.parametrize("uid", ["", "1.2/../../secret", "1.2?x", "x" * 65, "1.2\x1b[0m", "1" * 70])
    def test_what_is_no_uid_reaches_no_url_and_no_path(
        self, pacs: FakePacs, study: Study, tmp_path: Path, uid: str
    ) -> None:
        for level in ("instances", "series", "studies"):
            if level == "instances":
                pacs.instances = [uid]
            elif level == "series":
                pacs.series = [FoundSeries(uid, "CR")]
            else:
                pacs.studies = [FoundStudy(uid, "P1")]
            report, files = self.fetch(pacs, study, tmp_path)
            assert files == []
            (reason,) = report.patients[0].losses
            assert reason.endswith("without a valid UID")
            assert not report.is_complete
        assert pacs.retrieved == []

    @pytest.mark.parametrize("name", ["P2", "p1", "P1*", "", "P11"])
    def test_studies_of_other_patients_are_left_out(
        self, pacs: FakePacs, study: Study, tmp_path: Path, name: str
    ) -> None:
        pacs.studies = [FoundStudy("1.2", name)]
        report, files = self.fetch(pacs, study, tmp_path)
        assert files == []
        assert dict(report.patients[0].left_out) == {"study of another patient ID": 1}

    def test_a_film_that_fails_keeps_its_patient_back_and_no_other(
        self, pacs: FakePacs, study: Study, tmp_path: Path
    ) -> None:
        other = ListedPatient(2, "P2")
        first = FakePacs.retrieve

        def retrieve(study_uid: str, series: str, instance: str) -> bytes:
            if instance == "1.2.3.5":
                raise PacsError("the PACS does not have this (HTTP 404)")
            return first(pacs, study_uid, series, instance)

        pacs.retrieve = retrieve  # type: ignore[method-assign]
        pacs.instances = ["1.2.3.4", "1.2.3.5"]
        report, files = self.fetch(pacs, study, tmp_path, PATIENT, other)
        assert [patient.is_complete for patient in report.patients] == [False, True]
        assert len(files) == 1  # the film waits for the second run
        assert report.files == []
        assert not report.is_complete
        assert dict(report.patients[1].left_out) == {"study of another patient ID": 1}

    def test_a_lost_connection_ends_the_run_and_names_the_rest(
        self, pacs: FakePacs, study: Study, tmp_path: Path
    ) -> None:
        pacs.failure = PacsLostError("there is no connection to the PACS")
        report, _ = self.fetch(pacs, study, tmp_path, PATIENT, ListedPatient(2, "P2"))
        assert len(pacs.retrieved) == 3
        assert "no connection" in report.lost
        assert [dict(patient.missing) for patient in report.patients] == [
            {"the connection was lost": 1},
            {"the run ended before this patient": 1},
        ]

    def test_a_file_that_is_too_large_is_left_out(
        self, pacs: FakePacs, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ratui.pacs.spool.MAX_FILM_BYTES", 1000)
        report, files = self.fetch(pacs, study, tmp_path)
        assert files == []
        assert dict(report.patients[0].losses) == {"file that is too large for a film": 1}

    def test_a_full_spool_ends_the_run(self, pacs: FakePacs, study: Study, tmp_path: Path) -> None:
        pacs.instances = ["1.2.3.4", "1.2.3.5"]
        with Spool(study, "fetch", tmp_path / "spool", limit=len(pacs.data) + 100) as spool:
            report = fetch_films(pacs, "here", [PATIENT, ListedPatient(2, "P2")], spool)
            assert len(spool.files()) == 1
        assert "Raise --limit" in report.lost
        assert [patient.is_complete for patient in report.patients] == [False, False]
