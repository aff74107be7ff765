"""Links, special files and huge files inside a study, put there at any moment by an account that may write a folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ratui.errors import StoreError
from ratui.study import Study
from ratui.study.store import StudyFolder
from tests.films import make_study
from tests.support.attacks.table import Outcome, attack

ROUNDS = 60
"""Number of times that each action is made while the folder is replaced again and again."""
SECRET = b"a secret outside the study"

_ACTIONS: tuple[Callable[[StudyFolder], object], ...] = (
    lambda folder: folder.read("readings/anna/C-1.json"),
    lambda folder: folder.tail("readings/anna/C-1.json", 100),
    lambda folder: folder.write("readings/anna/C-1.json", b"written"),
    lambda folder: folder.write("readings/anna/new.json", b"written"),
    lambda folder: folder.make_folder("readings/anna/new"),
    lambda folder: os.close(folder.open_lock("readings/anna/C-1.lock")),
    lambda folder: folder.set_aside("readings/anna/C-1.json"),
    lambda folder: folder.remove("readings/anna/C-1.json"),
    lambda folder: list(folder.scan("readings/anna")),
)


@attack("a rater's folder exchanged for a link again and again, while files in it are read and written", by="rater")
def exchange_folder(folder: Path) -> Outcome:
    """Let a thread exchange the folder while each action is made; nothing outside may be read or changed."""
    home, study = folder / "home", folder / "study"
    home.mkdir()
    (study / "readings" / "anna").mkdir(parents=True)
    for name in ("C-1.json", "C-1.lock", "secret"):
        (home / name).write_bytes(SECRET)
    before = _state(home)
    stop = threading.Event()
    anna, aside, link = (study / "readings" / name for name in ("anna", "aside", "link"))

    def exchange() -> None:
        while not stop.is_set():
            # An action may create the folder anew while it is aside, so that a step fails.
            for step in (
                lambda: anna.rename(aside),
                lambda: link.symlink_to(home),
                lambda: link.rename(anna),
                lambda: time.sleep(0.0001),
                anna.unlink,
                lambda: shutil.rmtree(anna),
                lambda: aside.rename(anna),
            ):
                with contextlib.suppress(OSError):
                    step()

    thread = threading.Thread(target=exchange)
    thread.start()
    inside, trials, read = StudyFolder(study), 0, 0
    try:
        for _ in range(ROUNDS):
            for action in _ACTIONS:
                trials += 1
                found: object = None
                with contextlib.suppress(StoreError, OSError):
                    found = action(inside)
                read += found == SECRET or (isinstance(found, list) and "secret" in found)
    finally:
        stop.set()
        thread.join()
    changed = _state(home) != before
    return Outcome(trials, refused=trials - read - changed, outside=read + changed)


def _state(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() if path.is_file() else b"a folder" for path in home.iterdir()}


@attack("a FIFO, a socket, a device, a link or a file of 1 TB in place of a reading", by="rater")
def put_special_files(folder: Path) -> Outcome:
    """Read the reading; it must be refused at once."""
    study = make_study(folder)
    (case,) = study.cases()
    path = study.reading_path("anna", case)
    path.parent.mkdir(parents=True)
    secret = folder / "secret"
    secret.write_bytes(SECRET)

    def put_socket(path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            os.chdir(path.parent)  # the whole path may be too long for a socket
            server.bind(path.name)

    kinds: list[Callable[[Path], object]] = [
        os.mkfifo,
        put_socket,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(secret),
        lambda path: (path.touch(), os.truncate(path, 10**12)),
        lambda path: path.mkdir(),
    ]
    refused, here = 0, Path.cwd()
    try:
        for put in kinds:
            for each in path.parent.glob(f"{case}.json*"):
                each.rename(each.with_name(f"old-{each.name}"))
            put(path)
            try:
                Study.open(study.path).reading("anna", case)
            except StoreError:
                refused += 1
            path.rename(path.with_name("tried"))
            _remove(path.with_name("tried"))
    finally:
        os.chdir(here)
    return Outcome(len(kinds), refused=refused)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink()


@attack("a snapshot killed while it is read", by="accident")
def kill_snapshot(folder: Path) -> Outcome:
    """Kill a process with a snapshot; neither the study nor the temporary folder may contain anything of it."""
    study = make_study(folder)
    temporary = folder / "temporary"
    temporary.mkdir()
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom ratui.study import Study\n"
        "from ratui.study.store import frozen_folder\nfrozen_folder._RESERVE = int(sys.argv[2])\n"
        "with Study.open(Path(sys.argv[1])).snapshot():\n    print('made', flush=True)\n    time.sleep(60)\n"
    )
    before = sorted(study.path.rglob("*"))
    left = trials = 0
    for reserve in (256, 10**9):  # files held open, and copied
        trials += 1
        command = [sys.executable, "-c", code, str(study.path), str(reserve)]
        environment = {**os.environ, "TMPDIR": str(temporary)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        left += len(set(study.path.rglob("*")) - set(before)) + len(list(temporary.iterdir()))
    return Outcome(trials, refused=trials, outside=left)
