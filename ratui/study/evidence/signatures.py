"""Signatures of files with SSH keys, made and verified by the program ``ssh-keygen`` of OpenSSH 8.2 or newer."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from ratui.errors import StoreError, clean_text
from ratui.files import find_temporary_folder

__all__ = ["NAMESPACE", "has_signed", "sign_data", "verify_signature"]

NAMESPACE = "ratui"
"""Namespace of the signatures: a signature made for another purpose is not accepted."""
_PROGRAM = "ssh-keygen"
_TIMEOUT = 120.0  # seconds; a person may have to enter a passphrase or touch a token


def sign_data(data: bytes, key: Path) -> bytes:
    """Return the signature of `data` by the SSH key at `key`, a private key or a public one whose agent has the private one.

    Raises StoreError if ``ssh-keygen`` is missing or refuses.
    """
    # Given no file, it signs standard input and writes the signature to standard output.
    done = _run(["-Y", "sign", "-q", "-n", NAMESPACE, "-f", str(key)], data)
    if done.returncode or not done.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        problem = f"ssh-keygen can't sign with it: {_message(done)}"
        raise StoreError(problem, key, "Give the path of an SSH key, such as ~/.ssh/id_ed25519")
    return done.stdout


def has_signed(data: bytes, signature: bytes) -> bool:
    """Return whether `signature` is one of `data` by any key. Raises StoreError if ``ssh-keygen`` is missing."""
    with tempfile.NamedTemporaryFile(dir=find_temporary_folder()) as file:
        file.write(signature)
        file.flush()
        return _run(["-Y", "check-novalidate", "-n", NAMESPACE, "-s", file.name], data).returncode == 0


def verify_signature(data: bytes, signature: bytes, signers: Path) -> str:
    """Return the name of the signer if `signature` is one of `data` by a key in the file `signers`, else an empty text.

    Parameters
    ----------
    data, signature
        The signed bytes, and the signature.
    signers
        A file of allowed signers, see ``ALLOWED SIGNERS`` in ``man ssh-keygen``: a name and a public key on each line.

    Raises
    ------
    StoreError
        ``ssh-keygen`` or the file is missing.
    """
    if not signers.is_file():
        raise StoreError("there is no such file of signers", signers, "One line for each: NAME ssh-ed25519 AAAA…")
    with tempfile.NamedTemporaryFile(dir=find_temporary_folder()) as file:
        file.write(signature)
        file.flush()
        found = _run(["-Y", "find-principals", "-s", file.name, "-f", str(signers)])
        for name in found.stdout.decode("utf-8", "replace").split("\n")[0].split(","):
            command = ["-Y", "verify", "-n", NAMESPACE, "-s", file.name, "-f", str(signers), "-I", name]
            if found.returncode == 0 and name and _run(command, data).returncode == 0:
                return clean_text(name)
    return ""


def _run(arguments: list[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    program = shutil.which(_PROGRAM)
    if program is None:
        raise StoreError("the program ssh-keygen is missing", "", "Install OpenSSH, 8.2 or newer")
    try:
        return subprocess.run([program, *arguments], input=data, capture_output=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StoreError(f"ssh-keygen can't be run: {type(error).__name__}", program, "Try again") from error


def _message(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return clean_text(lines[-1] if lines else f"exit code {done.returncode}", 200)
