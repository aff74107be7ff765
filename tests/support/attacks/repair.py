"""Attacks on ``ratui check --repair``, which the manager runs and which changes owners and permissions.

The manager's home must stay as it is: no file is read, changed, moved or opened to others.
"""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

from ratui.study import Study
from ratui.study.check import check_study
from ratui.study.model_results.predictions import save_predictions
from tests.films import make_study
from tests.support.accounts import GROUP, MANAGER, RATER, as_account, open_folder, started_as
from tests.support.attacks.table import Outcome, attack
from tests.support.fault_harness.count import Unavailable

REPAIRS = 12
"""Repairs in one run."""
_MANY = tuple(f"f{number:03}" for number in range(300))
"""Names of files that keep a repair in one folder for some milliseconds, long enough to exchange the folder."""
_NAMES = (".bashrc", "key.json", "C-1.json", "C-1.json.bak", "films.json", "study.toml", ".worklist.json", ".old.tmp")


@contextmanager
def shared_study() -> Iterator[tuple[Study, Path]]:
    """Yield a study of the manager, shared with the group of the raters, and the manager's home."""
    if os.geteuid() != 0:
        raise Unavailable("it needs root, to act as other accounts")
    with open_folder() as folder:
        study = make_study(folder)
        folder.chmod(0o755)  # the copy of the study has closed it
        (case,) = study.cases()
        save_predictions(study, "run", case, [])
        settings = study.path / "study.toml"
        settings.write_text(settings.read_text().replace('group = ""', 'group = "daemon"'))
        from ratui.study.config_files import reseal_settings

        reseal_settings(study.path)
        for path in (study.path, *study.path.rglob("*")):
            os.chown(path, MANAGER, GROUP)
        as_account(MANAGER, lambda: check_study(study.path, repair=True))
        home = folder / "home"
        (home / "below").mkdir(parents=True)
        for number, name in enumerate((*_NAMES, *_MANY, *(f"below/{name}" for name in (*_NAMES, *_MANY)))):
            (home / name).write_bytes(b"a secret of the manager " + name.encode())
            (home / name).chmod(0o600 if number % 2 else 0o666)
        for path in (home, *home.rglob("*")):
            os.chown(path, MANAGER, MANAGER)
            os.utime(path, (0, 0))
        home.chmod(0o700)
        yield Study.open(study.path), home


def repair(study: Path) -> None:
    """Check and repair the study; an error that a user would see is no failure of the attack."""
    from ratui.errors import RatuiError

    with contextlib.suppress(RatuiError):
        check_study(study, repair=True)


def look(home: Path) -> dict[str, tuple[object, ...]]:
    """Describe everything in the manager's home: owner, mode, times and content."""
    found: dict[str, tuple[object, ...]] = {}
    for path in (home, *sorted(home.rglob("*"))):
        about = path.lstat()
        is_file = stat.S_ISREG(about.st_mode)
        found[str(path.relative_to(home))] = (
            about.st_uid,
            about.st_gid,
            about.st_mode,
            about.st_nlink if is_file else 0,
            about.st_mtime_ns if is_file else 0,
            path.read_bytes() if is_file else b"",
        )
    return found


def changed(home: Path, before: dict[str, tuple[object, ...]]) -> int:
    """Return the number of files in the home that are not as before."""
    now = look(home)
    return sum(now.get(name) != about for name, about in before.items()) + len(now.keys() - before.keys())


def provoke(folder: Path, below: str = "") -> None:
    """Fill `folder` of the attacker with what a repair acts on: wide permissions, damaged files, old leftovers."""
    place = folder / below
    place.mkdir(parents=True, exist_ok=True)
    for name in (*_NAMES, *_MANY):
        (place / name).write_bytes(b"damaged")
        (place / name).chmod(0o777)
        os.utime(place / name, (0, 0))
    for each in (place, folder):
        each.chmod(0o2777)


def exchange(folder: Path, home: Path) -> None:
    """Replace `folder` by a link to the home and back, as fast as possible, until killed."""
    aside = folder.with_name(f"{folder.name}-aside")
    for wait in cycle((0.0, 0.0002, 0.001, 0.01)):
        with contextlib.suppress(OSError):
            folder.rename(aside)
            folder.symlink_to(home)
            time.sleep(wait)
            folder.unlink()
            aside.rename(folder)
            time.sleep(wait)


def race(places: tuple[str, ...]) -> Outcome:
    """Let a rater exchange their own folders while the manager repairs the study."""
    with shared_study() as (study, home):
        before = look(home)
        for place in places:
            top = study.path / place.partition("/below")[0]
            below = "below" if place.endswith("/below") else ""

            def prepare(top: Path = top, below: str = below) -> None:
                provoke(top, below)

            as_account(RATER, prepare)
            swapped = study.path / place
            with started_as(RATER, lambda swapped=swapped: exchange(swapped, home)):  # type: ignore[misc]
                for _ in range(REPAIRS // len(places)):
                    as_account(MANAGER, lambda: repair(study.path))
        outside = changed(home, before)
        trials = REPAIRS // len(places) * len(places)
        return Outcome(trials, refused=trials if not outside else 0, outside=outside)


@attack("replaces a folder by a link to the manager's home during the repair", by="rater")
def swap_own_folder(folder: Path) -> Outcome:
    """Exchange folders that the rater may rename: readings, proposals and runs of models."""
    return race(("readings/anna", "proposals/mine", "models/mine"))


@attack("replaces a folder inside such a folder", by="rater")
def swap_inner_folder(folder: Path) -> Outcome:
    """Exchange folders one level further down."""
    return race(("readings/anna/below", "proposals/mine/below", "models/mine/below"))


@attack("puts links to the manager's files and folders everywhere", by="rater")
def plant_links(folder: Path) -> Outcome:
    """Give files of the home the names on which a repair acts, as links and as links in nested folders."""
    with shared_study() as (study, home):
        (case,) = study.cases()

        def plant() -> None:
            for top in ("readings/anna", "proposals/mine", "models/mine", "models/mine/answers", "regions"):
                place = study.path / top
                place.mkdir(parents=True, exist_ok=True)
                for name in (*_NAMES, f"{case}.json.bak", f"{case}.lock", "evaluation.json", f".{case}.json.x.tmp"):
                    with contextlib.suppress(FileExistsError):
                        (place / name).symlink_to(home / "key.json")
                with contextlib.suppress(FileExistsError):
                    (place / "nested").symlink_to(home)

        as_account(RATER, plant)
        before = look(home)
        for _ in range(3):
            as_account(MANAGER, lambda: repair(study.path))
        outside = changed(home, before)
        report = as_account(MANAGER, lambda: check_study(study.path))
        links = [path for path in study.path.rglob("*") if path.is_symlink()]
        noticed = {fault.file for fault in report.faults}
        seen = sum(str(path.relative_to(study.path)) in noticed for path in links)
        return Outcome(len(links), noticed=seen, outside=outside)


@attack("gives the manager's files a second name in the study (hard links)", by="rater")
def plant_hard_links(folder: Path) -> Outcome:
    """Link the manager's files, which the kernel refuses where fs.protected_hardlinks is set; root links them then."""
    with shared_study() as (study, home):
        place = study.path / "readings" / "anna"
        as_account(RATER, lambda: provoke(place))
        for number, name in enumerate(_NAMES):
            os.link(home / name, place / f"link-{number}")
            os.link(home / name, study.path / "films" / f"link-{number}")
        before = look(home)
        for _ in range(3):
            as_account(MANAGER, lambda: repair(study.path))
        outside = changed(home, before)
        return Outcome(2 * len(_NAMES), refused=0 if outside else 2 * len(_NAMES), outside=outside)


@attack("a folder of the manager, or one of his files, mounted inside the study", by="accident")
def mount_inside(folder: Path) -> Outcome:
    """Bind the home into the study: it is on the same device, and the study's walk must not enter it."""
    with shared_study() as (study, home):
        as_account(RATER, lambda: provoke(study.path / "readings" / "anna", "below"))
        targets = (
            (home, study.path / "readings" / "anna" / "below"),
            (home, study.path / "films"),
            (home / ".bashrc", study.path / "readings" / "anna" / "below" / "key.json"),
        )
        before = look(home)
        outside = noticed = 0
        for source, target in targets:
            done = subprocess.run(["mount", "--bind", source, target], capture_output=True, check=False)
            if done.returncode:
                raise Unavailable("nothing can be mounted here")
            try:
                report = as_account(MANAGER, lambda: check_study(study.path, repair=True))
                noticed += any("mounted" in fault.problem for fault in report.faults)
            finally:
                subprocess.run(["umount", target], check=True)
            outside += changed(home, before)
        return Outcome(len(targets), noticed=noticed, outside=outside)


@attack("moves a private file of the manager into the study, to have it opened to the group", by="rater")
def move_private_file(folder: Path) -> Outcome:
    """Put a private file where the rater may rename: the repair must not give the group access to it."""
    with shared_study() as (study, _home):
        places = ("regions", "readings/anna", "proposals/mine", "models/mine")
        for place in places[1:]:
            as_account(RATER, lambda place=place: (study.path / place).mkdir(exist_ok=True))  # type: ignore[misc]
        opened = 0
        for place in places:
            private = study.path / place / "private"
            private.write_bytes(b"a secret")
            os.chown(private, MANAGER, GROUP)
            private.chmod(0o600)
            as_account(MANAGER, lambda: repair(study.path))
            opened += bool(private.stat().st_mode & 0o077)
        return Outcome(len(places), refused=len(places) - opened, outside=opened)
