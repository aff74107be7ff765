"""Fixtures for tests with a PACS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ratui.pacs.address import Credentials, parse_address
from ratui.pacs.dicomweb import DicomwebPacs
from ratui.pacs.dimse import DimsePacs, MoveDestination
from tests.pacs.fake_archive import FakeArchive
from tests.pacs.orthanc import PASSWORD, USER, Orthanc, find_orthanc, free_port


@pytest.fixture(scope="session")
def _needs_orthanc() -> None:
    if find_orthanc() is None:
        pytest.skip("Orthanc is not installed: apt-get install orthanc orthanc-dicomweb")


@pytest.fixture(scope="module")
def running_orthanc(_needs_orthanc: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Start one Orthanc for the tests of a module."""
    server = Orthanc(tmp_path_factory.mktemp("orthanc"), move_port=free_port())
    yield server
    server.stop()


@pytest.fixture
def orthanc(running_orthanc: Orthanc) -> Orthanc:
    """Return an empty Orthanc."""
    running_orthanc.clear()
    return running_orthanc


@pytest.fixture(params=["DICOMweb", "C-GET", "C-MOVE"])
def source(request: pytest.FixtureRequest, orthanc: Orthanc) -> Iterator[DicomwebPacs | DimsePacs]:
    """Return Orthanc as a source of films, by each protocol."""
    made: DicomwebPacs | DimsePacs
    if request.param == "DICOMweb":
        made = DicomwebPacs(parse_address(orthanc.url), Credentials(USER, PASSWORD))
    else:
        move = MoveDestination("127.0.0.1", orthanc.move_port) if request.param == "C-MOVE" else None
        made = DimsePacs(parse_address(orthanc.dicom_url), move=move)
    with closing(made):
        yield made


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Set the account for Orthanc, and a data folder of the user's own."""
    monkeypatch.setenv("RATUI_PACS_USER", USER)
    monkeypatch.setenv("RATUI_PACS_PASSWORD", PASSWORD)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def archive() -> Iterator[FakeArchive]:
    """Start a PACS of the classic protocol whose answers the test chooses."""
    made = FakeArchive()
    yield made
    made.stop()


@pytest.fixture
def pacs(archive: FakeArchive) -> Iterator[DimsePacs]:
    """Return that PACS as a source of films."""
    made = DimsePacs(parse_address(f"dicom://ARCHIVE@127.0.0.1:{archive.server.server_address[1]}"))
    yield made
    made.close()
