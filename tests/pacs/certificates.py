"""Certificates for tests."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ratui.pacs.address import Certificates


def make_certificate(folder: Path, host: str) -> Certificates:
    """Return a self-signed certificate of `host` and its key; it is also its own authority."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    own, key = folder / f"{host}.pem", folder / f"{host}.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={host}"]
    names = ["-addext", f"subjectAltName=DNS:{host}", "-keyout", str(key), "-out", str(own)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    return Certificates(trusted=own, own=own, key=key)
