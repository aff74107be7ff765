"""Films of a real PACS come into a study as if they had been imported from a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner, Result
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from ratui.cli.main import commands
from ratui.errors import PacsError, RatuiError
from ratui.pacs.address import Certificates, Credentials, parse_address
from ratui.pacs.dicomweb import DicomwebPacs
from ratui.pacs.dimse import DimsePacs
from ratui.pacs.fetch import FetchReport, fetch_films
from ratui.pacs.patient_list import ListedPatient
from ratui.pacs.spool import Spool
from ratui.study import InProcessConverter, Study, import_films
from ratui.study.film_files import load_film
from tests.films import film_file, hospital
from tests.pacs.certificates import make_certificate
from tests.pacs.cutting_proxy import CuttingProxy
from tests.pacs.orthanc import PASSWORD, USER, Orthanc

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("read_films_here")]

ACCOUNT = Credentials(USER, PASSWORD)


def pixels(study: Study) -> set[tuple[int, str, str]]:
    """Return time point, side and a digest of the pixels of each film."""
    found = set()
    for name in study.cases():
        case = study.case(name)
        for film in case.films:
            image = load_film(study.folder, case, film.id).pixels
            found.add((film.time, film.side, hashlib.sha256(image.tobytes()).hexdigest()))
    return found


def run(*words: object) -> Result:
    result = CliRunner().invoke(commands, [str(word) for word in words])
    if isinstance(result.exception, RatuiError):
        result.output_bytes += f"{result.exception}\n".encode()
        result.stdout_bytes += f"{result.exception}\n".encode()
    else:
        assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def patients(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def fetch(source: DicomwebPacs | DimsePacs, study: Study, folder: Path, *ids: str) -> FetchReport:
    listed = [ListedPatient(number, id) for number, id in enumerate(ids, start=1)]
    with Spool(study, "fetch", folder) as spool:
        return fetch_films(source, "here", listed, spool, delays=(0.0,))


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "study", "fingers", ["anna"])


@pytest.fixture
def films(tmp_path: Path, orthanc: Orthanc) -> Path:
    """Store the films of three patients in Orthanc."""
    folder = hospital(tmp_path / "hospital", 3)
    orthanc.upload(*sorted(folder.glob("*.dcm")))
    return folder


def test_fetched_films_are_those_of_the_hospital(
    source: DicomwebPacs | DimsePacs, films: Path, study: Study, tmp_path: Path
) -> None:
    report = fetch(source, study, tmp_path / "spool", "P0", "P2")
    assert report.is_complete
    assert len(report.files) == 8
    import_films(study, report.files, key=tmp_path / "key.json", converter=InProcessConverter())
    other = Study.create(tmp_path / "other", "fingers", ["anna"])
    wanted = [file for file in films.iterdir() if not file.name.startswith("P1")]
    import_films(other, wanted, key=tmp_path / "other.json", converter=InProcessConverter())
    assert pixels(study) == pixels(other)
    assert len(pixels(study)) == 8


def test_a_second_run_fetches_nothing_again(
    source: DicomwebPacs | DimsePacs, films: Path, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fetch(source, study, tmp_path / "spool", "P0")
    monkeypatch.setattr(source, "retrieve", lambda *uids: pytest.fail("fetched again"))
    second = fetch(source, study, tmp_path / "spool", "P0")
    assert sorted(second.files) == sorted(first.files)
    with Spool(study, "fetch", tmp_path / "spool") as spool:
        spool.finish(first.files[:3])
    third = fetch(source, study, tmp_path / "spool", "P0")
    assert third.is_complete
    assert len(third.files) == 1
    assert third.patients[0].finished == 3


def test_films_come_in_the_form_in_which_they_are_stored(
    source: DicomwebPacs | DimsePacs, orthanc: Orthanc, study: Study, tmp_path: Path
) -> None:
    forms = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless, JPEG2000Lossless, RLELossless)
    stored = {}
    for number, form in enumerate(forms):
        dataset = pydicom.dcmread(film_file(tmp_path / "film.dcm", patient=f"F{number}", seed=number))
        stored[f"F{number}"] = form, dataset.pixel_array
        dataset.decompress()
        if form in (JPEGLSLossless, JPEG2000Lossless, RLELossless):
            dataset.compress(form, generate_instance_uid=False)
        else:
            dataset.file_meta.TransferSyntaxUID = form
        path = tmp_path / f"{number}.dcm"
        dataset.save_as(path, implicit_vr=form == ImplicitVRLittleEndian, little_endian=True)
        orthanc.upload(path)
    files = fetch(source, study, tmp_path / "spool", *stored).files
    assert len(files) == len(forms)
    for file in files:
        fetched = pydicom.dcmread(file)
        form, pixels = stored.pop(str(fetched.PatientID))
        plain = {ExplicitVRLittleEndian, ImplicitVRLittleEndian}  # a PACS may exchange the two
        assert fetched.file_meta.TransferSyntaxUID in (plain if form in plain else {form})
        assert np.array_equal(fetched.pixel_array, pixels)


def test_another_patient_is_not_fetched(
    source: DicomwebPacs | DimsePacs, orthanc: Orthanc, study: Study, tmp_path: Path
) -> None:
    """Orthanc ignores upper and lower case of patient IDs, as many PACS do."""
    orthanc.upload(
        film_file(tmp_path / "a.dcm", patient="x1", seed=1),
        film_file(tmp_path / "b.dcm", patient="X1", seed=2),
        film_file(tmp_path / "c.dcm", patient="X12", seed=3),
    )
    report = fetch(source, study, tmp_path / "spool", "X1", "nobody")
    assert len(report.files) == 1
    left = report.patients[0].left_out
    assert set(left) <= {"study of another patient ID"}
    assert dict(report.patients[1].left_out) == {"patient without a study in the PACS": 1}


def test_two_persons_with_one_patient_id_are_not_fetched_without_an_issuer(
    source: DicomwebPacs | DimsePacs, orthanc: Orthanc, study: Study, tmp_path: Path
) -> None:
    for name, issuer, born in (("a", "NORTH", "19500101"), ("b", "SOUTH", "19600202")):
        orthanc.upload(
            film_file(tmp_path / f"{name}.dcm", IssuerOfPatientID=issuer, PatientBirthDate=born, seed=ord(name))
        )
    report = fetch(source, study, tmp_path / "spool", "P1")
    assert report.files == []
    (reason,) = report.patients[0].losses
    assert "several persons" in reason
    assert not report.is_complete
    with Spool(study, "fetch", tmp_path / "spool") as spool:
        one = fetch_films(source, "here", [ListedPatient(1, "P1", birth_date="19600202")], spool)
    assert len(one.files) == 1
    assert dict(one.patients[0].left_out) == {"study with another date of birth": 1}


def test_other_modalities_are_counted_and_not_fetched(
    source: DicomwebPacs | DimsePacs, orthanc: Orthanc, study: Study, tmp_path: Path
) -> None:
    orthanc.upload(film_file(tmp_path / "a.dcm"), film_file(tmp_path / "b.dcm", Modality="MR", seed=1))
    report = fetch(source, study, tmp_path / "spool", "P1")
    assert len(report.files) == 1
    assert dict(report.patients[0].left_out) == {"series of another modality": 1}


class TestALostConnection:
    @pytest.fixture(autouse=True)
    def _no_delays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ratui.pacs.fetch.sleep", lambda seconds: None)

    @pytest.fixture
    def proxy(self, orthanc: Orthanc) -> Iterator[CuttingProxy]:
        made = CuttingProxy(orthanc.http)
        yield made
        made.close()

    @pytest.mark.parametrize("budget", [0, 40_000, 300_000])
    def test_nothing_is_lost_and_a_second_run_continues(
        self, proxy: CuttingProxy, films: Path, study: Study, tmp_path: Path, account: None, budget: int
    ) -> None:
        words = (
            *("fetch", study.path, "--from", f"http://localhost:{proxy.port}/dicom-web"),
            *("--patients", patients(tmp_path / "list", "P0", "P1", "P2"), "--key", tmp_path / "key.json"),
        )
        proxy.budget = budget
        first = run(*words)
        assert first.exit_code == 1
        assert "Run the command again to continue" in first.output
        assert proxy.cuts > 0
        here = len(list((tmp_path / "data").rglob("spool/**/*.dcm"))) + len(pixels(study))
        proxy.budget = None
        second = run(*words)
        assert second.exit_code == 0, second.output
        assert len(pixels(study)) == 12
        assert list((tmp_path / "data").rglob("spool/**/*.dcm")) == []
        assert here >= budget // 80_000

    def test_a_short_interruption_is_not_noticed(
        self, proxy: CuttingProxy, films: Path, study: Study, tmp_path: Path
    ) -> None:
        pacs = DicomwebPacs(parse_address(f"http://localhost:{proxy.port}/dicom-web"), ACCOUNT)
        proxy.budget = 100_000
        retrieve = pacs.retrieve

        def recover(*uids: str) -> bytes:
            try:
                return retrieve(*uids)
            except PacsError:
                proxy.budget = None
                raise

        pacs.retrieve = recover  # type: ignore[method-assign]
        assert fetch(pacs, study, tmp_path / "spool", "P0", "P1", "P2").is_complete
        assert proxy.cuts == 1

    def test_the_classic_protocol_continues_likewise(
        self, orthanc: Orthanc, films: Path, study: Study, tmp_path: Path
    ) -> None:
        proxy = CuttingProxy(orthanc.dicom, 150_000)
        pacs = DimsePacs(parse_address(f"dicom://ORTHANC@127.0.0.1:{proxy.port}"))
        first = fetch(pacs, study, tmp_path / "spool", "P0", "P1", "P2")
        assert not first.is_complete
        assert first.lost
        assert len(first.patients[0].files) == 2
        proxy.budget = None
        assert len(fetch(pacs, study, tmp_path / "spool", "P0", "P1", "P2").files) == 12
        pacs.close()
        proxy.close()


class TestTheCommand:
    def test_it_imports_and_tells_neither_names_nor_ids(
        self, orthanc: Orthanc, films: Path, study: Study, tmp_path: Path, account: None
    ) -> None:
        listed = patients(tmp_path / "list.csv", "patient;issuer", "P0;", "P1;", "nobody-here;")
        done = run("fetch", study.path, "--from", orthanc.url, "--patients", listed, "--key", tmp_path / "key.json")
        assert done.exit_code == 0, done.output
        assert "8 films of 2 cases imported" in done.output
        assert "left out: 1 × patient without a study in the PACS (line 4 of the list)" in done.output
        for word in ("P0", "P1", "Doe", "nobody", PASSWORD, USER):
            assert word not in done.output.replace(str(tmp_path), "")
        again = run("fetch", study.path, "--from", orthanc.url, "--patients", listed, "--key", tmp_path / "key.json")
        assert again.exit_code == 0, again.output
        assert "0 films here, 8 imported earlier" in again.output

    def test_the_spool_is_private_and_identifies_nobody_by_its_names(
        self, orthanc: Orthanc, films: Path, study: Study, tmp_path: Path, account: None
    ) -> None:
        listed = patients(tmp_path / "list", "P0")
        done = run("fetch", study.path, "--from", orthanc.url, "--patients", listed, "--no-import")
        assert done.exit_code == 0, done.output
        (spool,) = (tmp_path / "data").rglob("spool/*/fetch")
        assert spool.stat().st_mode & 0o777 == 0o700
        files = list(spool.glob("*.dcm"))
        assert len(files) == 4
        assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
        assert pixels(study) == set()
        assert "this folder identifies patients" in done.output

    def test_nothing_imported_is_no_success(
        self, orthanc: Orthanc, films: Path, study: Study, tmp_path: Path, account: None
    ) -> None:
        listed = patients(tmp_path / "list", "nobody")
        done = run("fetch", study.path, "--from", orthanc.url, "--patients", listed, "--key", tmp_path / "key.json")
        assert done.exit_code == 1
        assert "there is no new film to import" in done.output

    def test_a_wrong_password_is_named(
        self, orthanc: Orthanc, study: Study, tmp_path: Path, account: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RATUI_PACS_PASSWORD", "secret-and-wrong")
        done = run("fetch", study.path, "--from", orthanc.url, "--patients", patients(tmp_path / "list", "P0"))
        assert done.exit_code == 1
        assert "refuses this account (HTTP 401)" in done.output
        assert "secret" not in done.output

    def test_a_wrong_path_a_wrong_title_and_a_dead_port_are_named(
        self, orthanc: Orthanc, study: Study, tmp_path: Path, account: None
    ) -> None:
        listed = patients(tmp_path / "list", "P0")
        wrong = run("fetch", study.path, "--from", f"http://localhost:{orthanc.http}/nothing", "--patients", listed)
        assert "HTTP 404" in wrong.output
        title = run("fetch", study.path, "--from", f"dicom://WRONG@127.0.0.1:{orthanc.dicom}", "--patients", listed)
        assert "the PACS rejects this program" in title.output
        assert {wrong.exit_code, title.exit_code} == {1}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificate(tmp_path_factory.mktemp("tls"), "localhost")


class TestTls:
    @pytest.fixture
    def ports(self, orthanc: Orthanc, certificates: Certificates) -> Iterator[tuple[int, int]]:
        """Return the ports of DICOMweb and of the classic protocol, both with TLS."""
        context = Certificates(own=certificates.own, key=certificates.key).make_server_context()
        proxies = [CuttingProxy(port, tls=context) for port in (orthanc.http, orthanc.dicom)]
        yield proxies[0].port, proxies[1].port
        for proxy in proxies:
            proxy.close()

    def test_a_trusted_certificate_is_accepted(self, ports: tuple[int, int], certificates: Certificates) -> None:
        trusted = Certificates(trusted=certificates.own)
        web = DicomwebPacs(parse_address(f"https://localhost:{ports[0]}/dicom-web"), ACCOUNT, trusted)
        assert web.find_studies(ListedPatient(1, "P1")) == []
        classic = DimsePacs(parse_address(f"dicoms://ORTHANC@localhost:{ports[1]}"), certificates=trusted)
        with closing(classic):
            assert classic.find_studies(ListedPatient(1, "P1")) == []

    def test_any_other_certificate_is_refused(self, ports: tuple[int, int]) -> None:
        with pytest.raises(PacsError, match="certificate of the PACS is not trusted"):
            DicomwebPacs(parse_address(f"https://localhost:{ports[0]}/dicom-web")).find_studies(ListedPatient(1, "P1"))
        with pytest.raises(PacsError, match="no connection") as caught:
            DimsePacs(parse_address(f"dicoms://ORTHANC@localhost:{ports[1]}")).find_studies(ListedPatient(1, "P1"))
        assert "certificates" in caught.value.remedy

    def test_a_certificate_of_another_host_is_refused(self, ports: tuple[int, int], certificates: Certificates) -> None:
        trusted = Certificates(trusted=certificates.own)
        web = DicomwebPacs(parse_address(f"https://127.0.0.1:{ports[0]}/dicom-web"), ACCOUNT, trusted)
        with pytest.raises(PacsError, match="certificate of the PACS is not trusted"):
            web.find_series("1.2")
        with pytest.raises(PacsError, match="no connection"):
            DimsePacs(parse_address(f"dicoms://ORTHANC@127.0.0.1:{ports[1]}"), certificates=trusted).find_series("1.2")
