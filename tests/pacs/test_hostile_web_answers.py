"""DICOMweb answers of a hostile or broken PACS: bounded, checked, and repeated in no message."""

from __future__ import annotations

import gzip
import json
import threading
import time
import tracemalloc
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
from ratui.pacs.spool import Spool
from ratui.study import Study

PATIENT = ListedPatient(1, "P1")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "study", "fingers", ["anna"])


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

    def test_a_name_has_its_three_groups(self, web: tuple[str, Answer]) -> None:
        """Names that are compared for their alphabetic group alone would agree if both lack it."""
        url, answer = web
        names = {
            '{"Alphabetic": "Ito^Yuki", "Ideographic": "ITO"}': "Ito^Yuki=ITO",
            '{"Phonetic": "yuki"}': "==yuki",
            '{"Alphabetic": null, "Ideographic": "ITO"}': "=ITO",
            '"Ito^Yuki"': "Ito^Yuki",
            "null": "",
            "[7]": "[7]",
        }
        self.change(answer, f"[{', '.join(map(self.named, names))}]".encode())
        assert [study.name for study in pacs_of(url).find_studies(PATIENT)] == list(names.values())

    @staticmethod
    def named(name: str) -> str:
        return f'{{"00100010": {{"vr": "PN", "Value": [{name}]}}}}'

    def test_two_values_are_another_patient_id(self, web: tuple[str, Answer]) -> None:
        url, answer = web
        self.change(answer, b'[{"00100020": {"vr": "LO", "Value": ["P1", "P2"]}, "0020000D": {"Value": ["1.2"]}}]')
        (found,) = pacs_of(url).find_studies(PATIENT)
        assert (found.patient_id, found.uid) == ("P1\\P2", "1.2")

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

    @pytest.mark.parametrize("times", [1, 2])
    def test_an_answer_that_grows_when_it_is_unpacked_is_cut(
        self, web: tuple[str, Answer], monkeypatch: pytest.MonkeyPatch, times: int
    ) -> None:
        monkeypatch.setattr("ratui.pacs.dicomweb._MAX_QUERY_BYTES", 100_000)
        url, answer = web
        body = b" " * 30_000_000
        for _ in range(times):
            body = gzip.compress(body)
        self.change(answer, body, Content_Encoding=", ".join(["gzip"] * times))
        tracemalloc.start()
        with pytest.raises(PacsError, match="too long"):
            pacs_of(url).find_studies(PATIENT)
        assert tracemalloc.get_traced_memory()[1] < (25_000_000 if times == 1 else 1_000_000)
        tracemalloc.stop()

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

    @pytest.mark.parametrize(
        ("warning", "is_cut"), [("There are 5 additional results", True), ("No fuzzy search", False)]
    )
    def test_a_server_that_states_more_answers_than_it_sends(
        self, web: tuple[str, Answer], warning: str, is_cut: bool
    ) -> None:
        url, answer = web
        self.change(
            answer, b'[{"0020000D": {"Value": ["1.2"]}}]', Warning=f'299 here: "{warning} that can be requested"'
        )
        if is_cut:
            with pytest.raises(PacsError, match="more answers"):
                pacs_of(url).find_studies(PATIENT)
        else:
            assert len(pacs_of(url).find_studies(PATIENT)) == 1

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
