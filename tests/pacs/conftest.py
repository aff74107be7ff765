"""Fixtures for tests with a PACS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

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


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Set the account for Orthanc, and a data folder of the user's own."""
    monkeypatch.setenv("RATUI_PACS_USER", USER)
    monkeypatch.setenv("RATUI_PACS_PASSWORD", PASSWORD)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
