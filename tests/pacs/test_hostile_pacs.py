"""Answers of a hostile or broken PACS: bounded, checked, and repeated in no message."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ratui.errors import PacsError, PacsLostError
from ratui.pacs.address import Credentials, parse_address
from ratui.pacs.dicomweb import DicomwebPacs, split_single_part
from ratui.pacs.fetch import fetch_films
from ratui.pacs.patient_list import ListedPatient
from ratui.pacs.source import FoundSeries, FoundStudy
from ratui.pacs.spool import Spool
from ratui.study import Study
from tests.films import film_file

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
        return self.data

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


class Answer:
    """The answers of a web server, by the test."""

    def __init__(self, *parts: bytes, status: int = 200, kind: str = "application/dicom+json", **more: str) -> None:
        self.parts, self.status, self.kind, self.more = parts, status, kind, more
        self.pause = 0.0
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []


@pytest.fixture
def web() -> Iterator[tuple[str, Answer]]:
    """Start a web server on loopback; a test changes its answer."""
    answer = Answer(b"[]")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer.paths.append(self.path)
            answer.headers.append(dict(self.headers))
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            for name, value in answer.more.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            try:
                for part in answer.parts:
                    self.wfile.write(part)
                    time.sleep(answer.pause)
            except OSError:
                pass

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/dicom-web", answer
    server.shutdown()
    server.server_close()


def pacs_of(url: str) -> DicomwebPacs:
    return DicomwebPacs(parse_address(url), Credentials("user", "SECRET"))


class TestWebAnswers:
    def change(self, answer: Answer, *parts: bytes, **options: Any) -> None:
        new = Answer(*parts, **options)
        answer.parts, answer.status, answer.kind, answer.more = new.parts, new.status, new.kind, new.more

    @pytest.mark.parametrize(
        "body",
        [
            *(b"", b"SECRET", b"<html>SECRET</html>", b'{"x": 1}', b"[1, 2]", b'["SECRET"]', b"[" * 100_000),
            *(b'[{"0020000D": 7}]', b'[{"0020000D": {"Value": "SECRET"}}]', b'[{"0020000D": {"Value": [{"a": 1}]}}]'),
            *(b'[{"0020000D": {"Value": [' + b"9" * 5000 + b"]}}]", b"\xff\xfe", b"null", b'[{"00100020": null}]'),
        ],
    )
    def test_an_odd_answer_is_an_error_or_a_study_that_is_left_out(
        self, web: tuple[str, Answer], study: Study, tmp_path: Path, body: bytes, capfd: pytest.CaptureFixture[str]
    ) -> None:
        url, answer = web
        self.change(answer, body)
        with Spool(study, "fetch", tmp_path / "spool") as spool:
            try:
                report = str(fetch_films(pacs_of(url), url, [PATIENT], spool, delays=()))
            except PacsError as error:
                report = str(error)
            assert spool.files() == []
        assert "SECRET" not in report + "".join(capfd.readouterr())

    @pytest.mark.parametrize(
        ("status", "words"), [(401, "refuses this account"), (403, "refuses this account"), (500, "HTTP 500")]
    )
    def test_errors_are_named_by_their_number_only(
        self, web: tuple[str, Answer], status: int, words: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        url, answer = web
        self.change(answer, b"SECRET of P1", status=status, Warning="SECRET")
        with pytest.raises(PacsError, match=words) as caught:
            pacs_of(url).find_studies(PATIENT)
        assert not isinstance(caught.value, PacsLostError)
        assert "SECRET" not in str(caught.value) + "".join(capfd.readouterr())
        assert "P1" not in str(caught.value)

    @pytest.mark.parametrize("status", [429, 503])
    def test_a_busy_pacs_is_asked_again(self, web: tuple[str, Answer], status: int) -> None:
        url, answer = web
        self.change(answer, b"", status=status)
        with pytest.raises(PacsLostError, match="busy"):
            pacs_of(url).find_studies(PATIENT)

    @pytest.mark.parametrize("status", [301, 302, 307])
    def test_a_redirection_is_not_followed(self, web: tuple[str, Answer], status: int) -> None:
        url, answer = web
        self.change(answer, b"", status=status, Location=url + "/elsewhere")
        with pytest.raises(PacsError):
            pacs_of(url).retrieve("1.2", "1.2.3", "1.2.3.4")
        assert len(answer.paths) == 1

    def test_an_endless_answer_is_cut(self, web: tuple[str, Answer], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ratui.pacs.dicomweb._MAX_QUERY_BYTES", 100_000)
        url, answer = web
        self.change(answer, *[b" " * 50_000] * 20)
        with pytest.raises(PacsError, match="too long"):
            pacs_of(url).find_studies(PATIENT)

    def test_a_slow_answer_is_cut(self, web: tuple[str, Answer], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ratui.pacs.bounded_http._MAX_SECONDS", 0.5)
        url, answer = web
        self.change(answer, *[b" "] * 100)
        answer.pause = 0.1
        begin = time.monotonic()
        with pytest.raises(PacsError, match="too long"):
            pacs_of(url).retrieve("1.2", "1.2.3", "1.2.3.4")
        assert time.monotonic() - begin < 8

    def test_pages_without_end_are_cut(self, web: tuple[str, Answer], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ratui.pacs.dicomweb._MAX_PAGES", 3)
        url, answer = web

        class Counting(list[bytes]):
            def __iter__(self) -> Iterator[bytes]:
                yield json.dumps([{"0020000D": {"Value": [f"1.{len(answer.paths)}"]}}]).encode()

        self.change(answer)
        answer.parts = Counting()  # type: ignore[assignment]
        with pytest.raises(PacsError, match="answers"):
            pacs_of(url).find_studies(PATIENT)

    def test_a_server_with_short_pages_is_asked_for_all(self, web: tuple[str, Answer]) -> None:
        url, answer = web

        class Pages(list[bytes]):
            def __iter__(self) -> Iterator[bytes]:
                first = len(answer.paths) - 1
                found = [{"0020000D": {"Value": [f"1.{first}.{n}"]}} for n in range(2)] if first < 3 else []
                yield json.dumps(found).encode()

        self.change(answer)
        answer.parts = Pages()  # type: ignore[assignment]
        assert len(pacs_of(url).find_studies(PATIENT)) == 6
        assert "offset=4" in answer.paths[2]

    def test_a_patient_id_is_quoted(self, web: tuple[str, Answer]) -> None:
        url, answer = web
        pacs_of(url).find_studies(ListedPatient(1, "A&PatientID=B #1/ü"))
        (path,) = answer.paths
        assert "PatientID=A%26PatientID%3DB+%231%2F%C3%BC" in path
        assert answer.headers[0]["Authorization"].startswith("Basic ")


class TestParts:
    BODY = b"\r\n--mark\r\nContent-Type: application/dicom\r\n\r\nDATA\r\n--mark--\r\n"
    KIND = 'multipart/related; type="application/dicom"; boundary=mark'

    def test_the_part(self) -> None:
        assert split_single_part(self.KIND, self.BODY) == b"DATA"
        assert split_single_part(self.KIND.replace("mark", '"mark"'), self.BODY[2:]) == b"DATA"
        assert split_single_part("application/dicom", b"DATA") == b"DATA"

    @pytest.mark.parametrize("length", range(len(BODY) - len(b"--mark--\r\n")))
    def test_a_part_without_its_end_is_never_taken(self, length: int) -> None:
        with pytest.raises((ValueError, ConnectionError)):
            split_single_part(self.KIND, self.BODY[:length])

    @pytest.mark.parametrize("kind", ["", "text/html", "multipart/related", "multipart/related; boundary=other"])
    def test_other_bodies(self, kind: str) -> None:
        with pytest.raises((ValueError, ConnectionError)):
            split_single_part(kind, self.BODY)

    def test_two_parts(self) -> None:
        with pytest.raises(ValueError, match="several parts"):
            split_single_part(self.KIND, self.BODY.replace(b"\r\n--mark--", b"") + self.BODY)
