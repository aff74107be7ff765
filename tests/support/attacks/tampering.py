"""Changes of a study that ratui did not make: plainly, with rewritten journals, and of second copies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ratui.errors import StoreError
from ratui.files import second_copy_path
from ratui.reading import GradeEntry
from ratui.study import Study
from ratui.study.check import CheckReport, check_study
from ratui.study.check.roots import check_backup
from ratui.study.copies.backup import back_up
from ratui.study.evidence import write_root
from ratui.study.store import open_seal, seal
from tests.support.attacks.table import Outcome, attack
from tests.support.tampering import CHANGES, Tables, make_study_to_tamper_with, rewrite_journals, tamper

__all__ = ["READING_CHANGES"]


def other_grade(tables: Tables) -> None:
    """Enter another grade in the log, in the fields that follow from it, and all later entries."""
    change = tables["log"]["2"]["changes"][0]
    change["new"] = {"grade": 2}
    for record in tables["fields"].values():
        if all(record[key] == change[key] for key in ("site", "scale", "time")):
            record["grade"] = 2


def other_times(tables: Tables) -> None:
    """Halve all times, in the log and in the summary."""
    for record in [*tables["log"].values(), *tables["times"].values(), *tables["meta"].values()]:
        record["seconds"] = record["seconds"] / 2


def other_displays(tables: Tables) -> None:
    """Replace the coarse display by a good one, in the log and in the summary."""
    for entry in tables["log"].values():
        entry["display"].update(protocol="kitty", pixels_per_mm=4.2, is_sufficient=True)
    tables["meta"]["1"]["displays"] = [{"protocol": "kitty", "entries": 6, "below": 0, "least": 4.2}]


def other_films(tables: Tables) -> None:
    """Remove the hashes of the films on which the reading was made."""
    for record in tables["seen"].values():
        record["content"] = ""


def fewer_entries(tables: Tables) -> None:
    """Remove the last entry, and what followed from it."""
    tables["fields"].popitem()
    tables["log"].popitem()
    tables["times"].clear()
    tables["meta"]["1"]["seconds"] = 37.5
    tables["meta"]["1"]["displays"] = [
        {"protocol": "sixel", "entries": 1, "below": 1, "least": 1.5},
        {"protocol": "kitty", "entries": 4, "below": 0, "least": 4.2},
    ]


READING_CHANGES = (other_grade, other_times, other_displays, other_films, fewer_entries)


def _count(
    folder: Path, changes: dict[str, Callable[[Study], object]], check: Callable[[Study], CheckReport]
) -> Outcome:
    """Make each change in a fresh study, and count those that `check` reports. `check` is called before, too."""
    noticed = 0
    for number, change in enumerate(changes.values()):
        (folder / str(number)).mkdir()
        study = make_study_to_tamper_with(folder / str(number))
        if not check(study).is_intact:
            continue  # it reports what is no fault: counted as unnoticed
        change(study)
        noticed += not check(Study.open(study.path)).is_intact
    return Outcome(len(changes), noticed=noticed)


def _with_rewritten_journals() -> dict[str, Callable[[Study], object]]:
    def both(change: Callable[[Study], object]) -> Callable[[Study], object]:
        def apply(study: Study) -> None:
            change(study)
            rewrite_journals(study)

        return apply

    return {name: both(change) for name, change in CHANGES.items()}


def _against_root(study: Study) -> CheckReport:
    if not (study.path / "seals").exists():
        write_root(study)
    return check_study(study.path)


def _against_backup(study: Study) -> CheckReport:
    archive = study.path.parent / "backup.zip"
    if not archive.exists():
        back_up(study, archive)
    return check_backup(check_study(study.path), study, archive)


@attack("films, visits, boxes, settings or scheme changed and sealed again; ratui check", by="owner")
def change_and_seal(folder: Path) -> Outcome:
    """Make each change, without a record in a journal."""
    return _count(folder, CHANGES, lambda study: check_study(study.path))


@attack("the same, and all journals rewritten; against a root", by="owner")
def rewrite_journals_after_root(folder: Path) -> Outcome:
    """Make each change after a root was sealed, and write journals that explain it."""
    return _count(folder, _with_rewritten_journals(), _against_root)


@attack("the same, and all journals rewritten; against a backup", by="owner")
def rewrite_journals_after_backup(folder: Path) -> Outcome:
    """Make each change after a backup was made, and write journals that explain it."""
    return _count(folder, _with_rewritten_journals(), _against_backup)


def _reading_changes() -> dict[str, Callable[[Study], object]]:
    def apply(change: Callable[[Tables], None]) -> Callable[[Study], object]:
        return lambda study: tamper(study.reading_path("anna", study.cases()[0]), change)

    return {change.__name__: apply(change) for change in READING_CHANGES}


@attack("own reading rewritten from an entry on: grade, times, displays or films; against a root", by="rater")
def rewrite_reading_after_root(folder: Path) -> Outcome:
    """Change each kind of value in the log, and everything that follows from it."""
    return _count(folder, _reading_changes(), _against_root)


@attack("own reading rewritten from an entry on: grade, times, displays or films; against a backup", by="rater")
def rewrite_reading_after_backup(folder: Path) -> Outcome:
    """Change each kind of value in the log, and everything that follows from it."""
    return _count(folder, _reading_changes(), _against_backup)


@attack("a forged second copy of a reading, and one flipped bit in the file", by="rater")
def forge_second_copy(folder: Path) -> Outcome:
    """Flip a bit in many places: the forged grade must never be read or restored."""
    study = make_study_to_tamper_with(folder)
    (case,) = study.cases()
    file = study.reading_path("anna", case)
    whole = file.read_bytes()
    forged = open_seal(whole)
    other_grade(forged.tables)
    data = seal(forged.tables, forged.sealed_as)
    places = range(20, len(whole), len(whole) // 25)
    refused = 0
    for place in places:
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        second_copy_path(file).write_bytes(data)
        try:
            reading = Study.open(study.path).reading("anna", case)
        except StoreError:
            reading = None
        is_reported = not check_study(study.path).is_intact
        refused += is_reported and (reading is None or GradeEntry(2) not in reading.values.values())
    return Outcome(len(places), refused=refused)
