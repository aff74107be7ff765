"""Programs to measure: that of an earlier commit, and one at the other end of a connection by SSH to this machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["ROOT", "Wrap", "checkout", "ssh"]

ROOT = Path(__file__).resolve().parents[1]
Wrap = Callable[[Sequence[str]], list[str]]


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """Yield a folder with the files of `commit`, which exists until the end of the block."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "ratui"
        git = ["git", "-C", str(ROOT)]
        subprocess.run([*git, "worktree", "add", "--quiet", "--detach", str(folder), commit], check=True)
        try:
            yield folder
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(folder)], check=True)


@contextmanager
def ssh() -> Iterator[Wrap]:
    """Run a private sshd on this machine with its own keys; yield a command that runs through it. Raises RuntimeError."""
    sshd, client, keygen = (
        shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin"),
        shutil.which("ssh"),
        shutil.which("ssh-keygen"),
    )
    if not (sshd and client and keygen):
        raise RuntimeError("sshd, ssh or ssh-keygen is not installed here")
    with tempfile.TemporaryDirectory() as name, socket.socket() as free:
        folder = Path(name)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        for key in ("host", "user"):
            subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
        (folder / "allowed").write_text((folder / "user.pub").read_text())
        (folder / "config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/allowed\n"
            "PasswordAuthentication no\nStrictModes no\nUsePAM no\nPidFile none\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        server = subprocess.Popen([sshd, "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.DEVNULL)
        options = [
            "-p",
            str(port),
            "-i",
            str(folder / "user"),
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "LogLevel=ERROR",
        ]
        options += ["-o", f"UserKnownHostsFile={folder}/known", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
        try:
            for _ in range(20):
                time.sleep(0.1)
                done = subprocess.run([client, *options, "127.0.0.1", "true"], capture_output=True, text=True)
                if done.returncode == 0:
                    break
            else:
                raise RuntimeError(f"the private sshd takes no session: {done.stderr.strip()[:120]}")
            passed = " ".join(f"{k}={v}" for k, v in (("COLORTERM", "truecolor"), ("TERM", "xterm-256color")))
            yield lambda command: [client, "-tt", *options, "127.0.0.1", f"cd {ROOT} && {passed} {' '.join(command)}"]
        finally:
            server.terminate()
            server.wait()
