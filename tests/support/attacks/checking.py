"""Attacks on ``ratui check`` and ``ratui status``: files that hang or deceive them, and states that are no fault."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ratui.files import second_copy_path
from ratui.reading import Field, GradeEntry, enter
from ratui.study import Study, worklist
from ratui.study.check import CheckReport, check_study
from ratui.study.check.leftovers import OLD_INDEX
from ratui.study.store import LARGEST_FILE
from ratui.study.store.seal import record_checksum, seal
from tests.films import hospital, make_study
from tests.support.attacks.table import Outcome, attack
from tests.support.fault_harness.count import Unavailable

FIELD = Field("L.IP1", "ERO", 0)
LONGEST_WAIT = 8.0
"""Seconds that a save may wait during any check. Other tests may run at the same time."""
LONGEST_WAIT_SHARE = 0.5
"""The same for a long check, as a share of its time: no save may wait for the end of a check."""
PAUSE_BETWEEN_SAVES = 0.05
"""Seconds. A rater who saves without a pause would take half of the processor from the check."""
LONGEST_CHECK = 240.0
"""Seconds that a check with one such file may take on a busy machine."""


def begin_reading(study: Study, rater: str = "anna") -> Path:
    """Store an entry of `rater` and return the path of the reading."""
    (case,) = study.cases()
    with study.open_reading(rater, case) as session:
        session.save(enter(session.reading, FIELD, GradeEntry(1)))
    return study.reading_path(rater, case)


@contextmanager
def saving(study: Study) -> Iterator[Callable[[], float]]:
    """Save entries of the rater bert during the block; the yielded function returns the longest wait since its last call.

    A save that has not ended yet counts with the time so far.
    """
    (case,) = study.cases()
    stop = threading.Event()
    ready = threading.Event()
    waits = [0.0]
    begun = [time.monotonic()]

    def save() -> None:
        with Study.open(study.path).open_reading("bert", case) as session:
            number = 0
            while not stop.is_set():
                begun[0] = time.monotonic()
                session.save(enter(session.reading, FIELD, GradeEntry(number % 2)))
                waits.append(time.monotonic() - begun[0])
                number += 1
                ready.set()
                stop.wait(PAUSE_BETWEEN_SAVES)

    def longest() -> float:
        found = max(*waits, time.monotonic() - begun[0])
        waits[:] = [0.0]
        return found

    thread = threading.Thread(target=save, daemon=True)
    thread.start()
    assert ready.wait(20), "no save at all"
    try:
        yield longest
    finally:
        stop.set()
        thread.join(20)


def check_in_time(study: Study, longest: Callable[[], float]) -> CheckReport | None:
    """Return the report of a check, or None if it, or a save during it, takes too long."""
    reports: list[CheckReport] = []
    thread = threading.Thread(target=lambda: reports.append(check_study(study.path)), daemon=True)
    longest()
    begun = time.monotonic()
    thread.start()
    thread.join(LONGEST_CHECK)
    limit = max(LONGEST_WAIT, LONGEST_WAIT_SHARE * (time.monotonic() - begun))
    return reports[0] if reports and longest() < limit else None


@attack("a FIFO or a folder under the name of a file, while another rater saves", by="rater")
def hang_with_fifo(folder: Path) -> Outcome:
    """Put FIFOs where a check reads; it must report them, not wait for a writer, and hold up no save."""
    study = make_study(folder)
    path = begin_reading(study)
    (case,) = study.cases()
    film = study.case(case).films[0].id
    names = (
        f"readings/anna/{case}.json", f"readings/anna/{case}.json.bak", f"readings/anna/{case}.lock",
        "readings/anna/x.json.bak", f"films/{case}/{film}.dcm", "models/order.json", "readings/anna/.worklist.json",
        f"readings/anna/.{case}.json.0.tmp",
    )  # fmt: skip
    noticed = 0
    with saving(study) as longest:
        for name in names:
            place = study.path / name
            aside = folder / "aside"
            if place.exists():
                place.rename(aside)
            os.mkfifo(place, 0o600)
            report = check_in_time(study, longest)
            found = report is not None and any(fault.file == name for fault in report.faults)
            noticed += found
            place.unlink()
            if aside.exists():
                aside.rename(place)
    assert path.exists()
    return Outcome(len(names), noticed=noticed)


def worst_files() -> dict[str, bytes]:
    """Return damaged files of the largest size that took minutes, by name."""

    def fill(unit: bytes, size: int) -> bytes:
        return (unit * (size // len(unit) + 1))[:size]

    forged = seal({**{f"t{number}": {} for number in range(6)}, "log": {"1": {"a": 1}}}, "anna/x")
    body = b'{"a":1}'
    right = b'"1":{"a":1,"sum":"' + record_checksum("t0", "1", "", body).encode() + b'"}'
    wrong = b'"1":{"a":1,"sum":"' + b"a" * 32 + b'"}'
    left = LARGEST_FILE - len(forged)
    return {
        "half a megabyte of openings": fill(b'"1":{', 500_000),
        "openings": fill(b'"1":{', LARGEST_FILE),
        "nested lists": fill(b"[", LARGEST_FILE),
        "records with wrong checksums before a forged seal": fill(wrong, left) + forged,
        "records with right checksums before a forged seal": fill(right, left) + forged,
        "one record of all bytes": b'"1":{"1":{"1":{"1":{'
        + fill(b"x", left - 100)
        + b'"sum":"'
        + b"a" * 32
        + b'"}'
        + forged,
    }


@attack("a damaged file, made so that its salvage takes long, while another rater saves", by="rater")
def slow_salvage(folder: Path) -> Outcome:
    """Put the worst damaged files under a rater's name; saves must go on, and the check must end."""
    study = make_study(folder)
    path = begin_reading(study)
    noticed = 0
    files = worst_files()
    with saving(study) as longest:
        for data in files.values():
            for each in (path, second_copy_path(path)):
                each.write_bytes(data)
            report = check_in_time(study, longest)
            found = report is not None and any(fault.file.endswith(path.name) for fault in report.faults)
            noticed += found
    return Outcome(len(files), noticed=noticed)


def access_list(*entries: tuple[int, int, int]) -> bytes:
    """Return an access list as the kernel stores it; entries are (tag, permission bits, account or group)."""
    nobody = 0xFFFFFFFF
    return struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, bits, nobody if id < 0 else id) for tag, bits, id in entries
    )


OPENED = access_list((1, 7, -1), (2, 7, 20_002), (4, 0, -1), (8, 5, 20_003), (16, 7, -1), (32, 0, -1))
"""A list that gives an account and a group access; the owning group has none."""


@attack("an access list (ACL), set or inherited, opens a study to another account", by="another account")
def open_by_access_list(folder: Path) -> Outcome:
    """Set lists on files and folders and default lists on folders; the check must report and the repair remove them."""
    study = make_study(folder)
    begin_reading(study)
    (case,) = study.cases()
    places = (".", "films", f"films/{case}", f"films/{case}/films.json", "readings/anna", f"readings/anna/{case}.json")
    trials = noticed = 0
    for name in places:
        place = study.path / name
        kinds = ("access", "default") if place.is_dir() else ("access",)
        for kind in kinds:
            attribute = f"system.posix_acl_{kind}"
            try:
                os.setxattr(place, attribute, OPENED)
            except OSError as error:
                raise Unavailable("the file system has no access lists") from error
            trials += 1
            report = check_study(study.path)
            found = [fault for fault in report.faults if fault.file == name and "access list" in fault.problem]
            repaired = check_study(study.path, repair=True)
            is_closed = attribute not in os.listxattr(place) and not place.stat().st_mode & 0o077
            noticed += bool(found) and not repaired.unrepaired and is_closed and check_study(study.path).is_intact
    # A study made in a folder with a default list does not inherit it.
    parent = folder / "parent"
    parent.mkdir()
    os.setxattr(parent, "system.posix_acl_default", OPENED)
    made = Study.create(parent / "study", "fingers", ["anna"])
    trials += 1
    clean = all("system.posix_acl_default" not in os.listxattr(each) for each in (made.path, *made.path.iterdir()))
    noticed += clean and check_study(made.path).is_intact
    return Outcome(trials, noticed=noticed)


SAVE = """
import itertools, sys
from pathlib import Path
from ratui.reading import Field, GradeEntry, enter
from ratui.study import Study
study = Study.open(Path(sys.argv[1]))
(case,) = study.cases()
with study.open_reading("anna", case) as session:
    print("ready", flush=True)
    for number in itertools.count():
        session.save(enter(session.reading, Field("L.IP1", "ERO", 0), GradeEntry(number % 2)))
"""
IMPORT = """
import sys
from pathlib import Path
from ratui.study import InProcessConverter, Study, import_films
print("ready", flush=True)
import_films(Study.open(Path(sys.argv[1])), [Path(sys.argv[2])], key=Path(sys.argv[3]), converter=InProcessConverter())
"""
SNAPSHOT = """
import sys
from pathlib import Path
from ratui.study import Study
study = Study.open(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    with study.snapshot():
        pass
"""
KILLS = {SAVE: 25, IMPORT: 12, SNAPSHOT: 8}
"""Number of processes to kill, by what they run."""


@attack("a save, an import or a snapshot killed at a random moment: no fault, exit code 0", by="accident")
def kill_and_check(folder: Path) -> Outcome:
    """Kill processes and check the study: what they leave behind is no fault."""
    rng = random.Random(14)
    trials = quiet = 0
    for script, times in KILLS.items():
        pristine = folder / f"pristine-{trials}"
        make_study(pristine)
        films = hospital(folder / f"films-{trials}", patients=3)
        for _ in range(times):
            place = folder / f"trial-{trials}"
            shutil.copytree(pristine, place)
            arguments = [str(place / "study"), str(films), str(place / "key.json")]
            process = subprocess.Popen(
                [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(rng.random() * 0.25)
            process.send_signal(signal.SIGKILL)
            process.wait()
            report = check_study(place / "study")
            trials += 1
            if report.is_intact:
                quiet += 1
            else:
                print(*report.faults, sep="\n")
            shutil.rmtree(place)
    return Outcome(trials, refused=quiet)


@attack("an index that says that everything is signed, in the study or the cache", by="rater")
def forge_index(folder: Path) -> Outcome:
    """Plant a forged index where an earlier version kept it, and in the cache, as another account."""
    old_cache = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    try:
        study = make_study(folder / "s")
        study.states("anna")
        (index,) = (folder / "cache").rglob("anna.json")
        body = (
            index.read_bytes().partition(b"\n")[2].replace(b'"reading"', b'"signed"').replace(b'"review"', b'"signed"')
        )
        prefix = f"{worklist._FORMAT} {index.parent.name} anna {study.config.scheme}".encode()
        forged = hashlib.sha256(prefix + b"\n" + body).hexdigest().encode() + b"\n" + body
        index.unlink()
        planted = study.path / "readings" / "anna" / OLD_INDEX
        planted.parent.mkdir(mode=0o700)
        planted.write_bytes(forged)
        trials, refused = 1, int(_stages(study) == {"reading"})
        if os.geteuid() == 0:
            for path in (index, index.parent):
                index.write_bytes(forged)
                assert _stages(study) == {"signed"}, "the forgery works for the account itself"
                index.write_bytes(forged)
                os.chown(path, 20_001, 20_001)
                trials += 1
                refused += _stages(study) == {"reading"}
                os.chown(path, 0, 0)
        return Outcome(trials, refused=refused)
    finally:
        if old_cache is None:
            del os.environ["XDG_CACHE_HOME"]
        else:
            os.environ["XDG_CACHE_HOME"] = old_cache


def _stages(study: Study) -> set[str]:
    return {state.stage for state in Study.open(study.path).states("anna")}
