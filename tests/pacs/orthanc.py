"""A real PACS for tests: Orthanc on loopback, with an own configuration and storage folder."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any

PLUGINS = ("/usr/share/orthanc/plugins/libOrthancDicomWeb.so", "/usr/lib/orthanc/libOrthancDicomWeb.so")
USER, PASSWORD = "scientist", "p%ss:wörd"


def find_orthanc() -> tuple[str, str] | None:
    """Return the program and its plugin for DICOMweb, or None where one of them is not installed."""
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
    plugin = next((each for each in PLUGINS if Path(each).exists()), None)
    return (program, plugin) if program and plugin else None


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Orthanc:
    """An Orthanc that listens on loopback until `stop`.

    Parameters
    ----------
    folder
        Folder for its configuration and its files.
    move_port
        Port of the modality RATUI, to which it may send.
    more
        More settings.
    """

    def __init__(self, folder: Path, *, move_port: int = 0, **more: object) -> None:
        found = find_orthanc()
        assert found is not None
        program, plugin = found
        self.folder = folder
        self.http, self.dicom = free_port(), free_port()
        self.move_port = move_port
        self.scheme = "https" if more.get("SslEnabled") else "http"
        settings = {
            "Name": "test",
            "StorageDirectory": str(folder / "files"),
            "IndexDirectory": str(folder / "files"),
            "Plugins": [plugin],
            "HttpPort": self.http,
            "HttpServerEnabled": True,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {USER: PASSWORD},
            "DicomAet": "ORTHANC",
            "DicomPort": self.dicom,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "DicomCheckCalledAet": True,
            "DicomModalities": {"ratui": ["RATUI", "127.0.0.1", move_port]} if move_port else {},
            "OverwriteInstances": True,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "StudiesMetadata": "Full"},
            **more,
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "orthanc.json").write_text(json.dumps(settings))
        self._command = [program, str(folder / "orthanc.json")]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Address of its DICOMweb service."""
        return f"{self.scheme}://localhost:{self.http}/dicom-web"

    @property
    def dicom_url(self) -> str:
        """Address of its classic service."""
        return f"dicom://ORTHANC@127.0.0.1:{self.dicom}"

    def start(self) -> None:
        """Start the program and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with suppress(OSError):
                for port in (self.http, self.dicom):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                return
            assert self._process.poll() is None, "Orthanc ended"
            time.sleep(0.1)
        raise AssertionError("Orthanc does not answer")

    def stop(self) -> None:
        """End the program."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def rest(self, path: str, data: bytes | None = None, method: str = "") -> Any:
        """Return the answer of Orthanc's own interface, which is JSON."""
        return json.loads(self.rest_bytes(path, data, method) or b"null")

    def rest_bytes(self, path: str, data: bytes | None = None, method: str = "") -> bytes:
        """Return the answer of Orthanc's own interface."""
        request = urllib.request.Request(f"http://localhost:{self.http}{path}", data, method=method or None)
        request.add_header("Authorization", f"Basic {b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return bytes(answer.read())

    def upload(self, *files: Path) -> None:
        """Store files."""
        for file in files:
            self.rest("/instances", file.read_bytes())

    def clear(self) -> None:
        """Remove everything."""
        for patient in self.rest("/patients"):
            self.rest(f"/patients/{patient}", method="DELETE")

    def instances(self) -> dict[str, dict[str, str]]:
        """Return the main elements of each stored object by SOP Instance UID."""
        found = {}
        for name in self.rest("/instances"):
            tags = self.rest(f"/instances/{name}/simplified-tags")
            found[tags["SOPInstanceUID"]] = tags
        return found
