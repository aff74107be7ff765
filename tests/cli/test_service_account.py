"""The recipe of docs/deployment.md: a service account owns the study, and each rater's key runs one fixed command.

A real SSH server is started for the account that runs the tests. It is the service account of these tests.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ratui.reading import Field, GradeEntry, enter
from ratui.study import Study
from tests.films import make_study
from tests.support.fake_terminal import FakeTerminal

_SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
_RECIPE = Path(__file__).parents[2] / "docs" / "deployment.md"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (_SSHD and shutil.which("ssh") and shutil.which("ssh-keygen")),
        reason="needs OpenSSH: sshd, ssh, ssh-keygen",
    ),
    pytest.mark.skipif(
        os.geteuid() == 0 and not Path("/run/sshd").is_dir(), reason="sshd needs the folder /run/sshd, which is missing"
    ),
]


@dataclass(frozen=True)
class Server:
    """A running SSH server: the options of a client that has anna's key, and the study behind it."""

    options: tuple[str, ...]
    study: Study

    def run(self, *command: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run the client `ssh` with `options`, and ask the server for `command`."""
        return subprocess.run(
            ["ssh", *self.options, *options, "localhost", *command],
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_open(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        assert server.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(log.read_text())


def _authorized_line(study: Path, rater: str, settings: Path, key: str) -> str:
    """Return the line of the recipe for `rater`, with the paths of this test."""
    (line,) = re.findall(r"^ *(restrict,pty,.*)$", _RECIPE.read_text(), re.MULTILINE)
    replaced = (
        line.replace("/opt/ratui/bin/ratui", f"{sys.executable} -m ratui")
        .replace("/srv/ratui/trial", str(study))
        .replace("/srv/ratui/settings/anna", str(settings))
        .replace("--rater anna", f"--rater {rater}")
    )
    command, _, _ = replaced.rpartition(" ssh-ed25519 ")
    assert command != replaced
    return f"{command} {key}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    study = make_study(tmp_path / "study", sides="L", raters=("anna", "bert"))
    (case,) = study.cases()
    with study.open_reading("bert", case) as session:
        session.save(enter(session.reading, Field("L.IP1", "ERO", 0), GradeEntry(2)))
    for name in ("host", "anna"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    keys, log = tmp_path / "authorized_keys", tmp_path / "sshd.log"
    public = (tmp_path / "anna.pub").read_text().strip()
    keys.write_text(_authorized_line(study.path, "anna", tmp_path / "settings", public) + "\n")
    port = _free_port()
    config = tmp_path / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {tmp_path / 'host'}\nAuthorizedKeysFile {keys}\n"
        f"PidFile {tmp_path / 'sshd.pid'}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        "PermitRootLogin forced-commands-only\nSubsystem sftp internal-sftp\nSetEnv LANG=C.UTF-8 "
        f"PYTHONPATH={Path(__file__).parents[2]}\n"
    )
    process = subprocess.Popen([str(_SSHD), "-D", "-f", config, "-E", log])
    try:
        _wait_until_open(port, process, log)
        user = pwd.getpwuid(os.geteuid()).pw_name
        client = ("-F", "none", "-i", str(tmp_path / "anna"), "-p", str(port), "-l", user, "-o", "IdentitiesOnly=yes")
        known = (
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            f"UserKnownHostsFile={tmp_path / 'known'}",
            "-o",
            "LogLevel=ERROR",
        )
        yield Server((*client, *known), study)
    finally:
        process.terminate()
        process.wait(20)


def test_a_rater_reads_and_gets_back_to_the_own_machine(server: Server) -> None:
    terminal = FakeTerminal(["ssh", "-tt", *server.options, "localhost"], "halfcell")
    try:
        assert terminal.wait_for(re.compile(rb"anna"), patience=60) is not None, terminal.data[-600:]
        terminal.press("\x11")
        assert terminal.process.wait(30) == 0
    finally:
        terminal.close()


def test_no_other_command_runs(server: Server) -> None:
    (case,) = server.study.cases()
    file = server.study.reading_path("bert", case)
    for command in (["cat", str(file)], ["sh"], [sys.executable, "-c", "print('a program ran')"]):
        done = server.run(*command)
        # Without a terminal ratui stops with its own message: it was ratui that the server started.
        assert "terminal" in done.stdout + done.stderr
        assert done.returncode == 1
        assert "grade" not in done.stdout
        assert "a program ran" not in done.stdout


def test_an_option_of_another_rater_is_not_accepted(server: Server) -> None:
    terminal = FakeTerminal(
        ["ssh", "-tt", *server.options, "localhost", "ratui", "read", str(server.study.path), "--rater", "bert"],
        "halfcell",
    )
    try:
        assert terminal.wait_for(re.compile(rb"anna"), patience=60) is not None, terminal.data[-600:]
        assert b"bert" not in terminal.data
    finally:
        terminal.close()


def test_no_file_transfer_and_no_forwarding(server: Server, tmp_path: Path) -> None:
    (case,) = server.study.cases()
    copy = tmp_path / "stolen.json"
    ssh = [item for item in server.options if item != "-l"]
    user = ssh.pop(ssh.index("-p") + 2)
    port = ssh[ssh.index("-p") + 1]
    options = [item for item in ssh if item not in ("-p", port)]
    subprocess.run(
        ["scp", "-q", *options, "-P", port, f"{user}@localhost:{server.study.reading_path('bert', case)}", copy],
        capture_output=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert not copy.exists()
    target = _free_port()
    forwarded = server.run(options=("-o", "ExitOnForwardFailure=yes", "-N", "-R", f"{target}:localhost:{port}"))
    assert forwarded.returncode != 0
