"""Copies of a study from another site that contain what no reading session writes, given to a merge."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ratui.errors import StudyError
from ratui.files import second_copy_path
from ratui.imaging import Box
from ratui.reading import GradeEntry, enter, find_next_open_field, reopen, sign
from ratui.study import Study
from ratui.study.config_files import reseal_settings
from ratui.study.copies.merge import merge
from ratui.study.store import open_seal, seal
from tests.films import make_study
from tests.support.attacks.table import Outcome, attack

EVIL = "\x1b]0;x\x07\x1b[2J\u202e"
"""Escape sequences for a terminal, and a character that reverses text."""
KINDS = ("link", "fifo", "sparse", "folder", "deep", "numbers", "nan")
"""Kinds of objects that `replace_file` puts in the place of a stored file."""


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the tables of a sealed file, seal it again, and write both copies."""
    sealed = open_seal(path.read_bytes())
    change(sealed.tables)
    data = seal(sealed.tables, sealed.sealed_as)
    for each in (path, second_copy_path(path)):
        each.write_bytes(data)


def stored_files(study: Study) -> dict[str, bytes]:
    """Return every file of a study by its path, without locks and indices."""
    found = (path for path in study.path.rglob("*") if path.is_file())
    return {
        str(path.relative_to(study.path)): path.read_bytes()
        for path in found
        if not path.name.endswith(".lock") and not path.name.startswith(".")
    }


def sealed_text(start: bytes, path: Path) -> bytes:
    """Return a file with a valid seal over tables that `seal` would refuse."""
    last = f',"seal":{{"1":{{"format":2,"of":"{path.parent.name}/{path.stem}","counts":{{}},"head":"","check":"",'
    text = start + last.encode()
    return text + b'"sum":"' + hashlib.sha256(text).hexdigest().encode() + b'"}}}'


def replace_file(path: Path, kind: str, outside: Path) -> None:
    """Put an object of `kind`, one of `KINDS`, in the place of a stored file; a link leads to the file `outside`."""
    intact = path.read_bytes()
    for each in (path, second_copy_path(path)):
        each.unlink(missing_ok=True)
    match kind:
        case "link":
            outside.write_bytes(intact)
            path.symlink_to(outside)
        case "fifo":
            os.mkfifo(path)
        case "sparse":
            with path.open("wb") as file:
                file.truncate(1 << 40)
        case "folder":
            path.mkdir()
        case "deep":
            path.write_bytes(b"[" * 1_000_000)
        case "numbers":
            path.write_bytes(b'{"log": ' + b"9" * 10_000 + b"}")
        case _:
            path.write_bytes(sealed_text(b'{"meta":{"1":{"seconds":NaN,"sum":"0"}}', path))


def _log(tables: dict[str, Any]) -> dict[str, Any]:
    return tables["log"]["1"]  # type: ignore[no-any-return]


FORGED: dict[str, Callable[[dict[str, Any]], object]] = {
    "another rater": lambda t: t["meta"]["1"].update(rater="bert"),
    "another case": lambda t: t["meta"]["1"].update(case="C-1"),
    "another scheme": lambda t: t["meta"]["1"].update(scheme="mtss"),
    "fewer joints": lambda t: t["meta"]["1"].update(sites=t["meta"]["1"]["sites"][:3]),
    "no joint": lambda t: t["meta"]["1"].update(sites=[]),
    "unknown films": lambda t: t["meta"]["1"].update(positions=[["x"], ["y"]]),
    "films exchanged": lambda t: t["meta"]["1"].update(positions=t["meta"]["1"]["positions"][::-1]),
    "another blinding": lambda t: t["meta"]["1"].update(blinded=True),
    "signed but open": lambda t: t["meta"]["1"].update(signed="2026-01-01T00:00:00.000+00:00"),
    "escape sequence in a note": lambda t: t["meta"]["1"].update(notes={"L.MCP2": EVIL}),
    "escape sequence as a key": lambda t: _log(t).update(key=EVIL),
    "escape sequence in a value": lambda t: t["meta"]["1"].update({EVIL: 1}),
    "a display of another kind": lambda t: t["meta"]["1"].update(displays=[{"protocol": 1}]),
    "an impossible display": lambda t: t["meta"]["1"].update(
        displays=[{"protocol": "kitty", "entries": 1, "below": 2, "least": 1.0}]
    ),
    "seconds are text": lambda t: t["meta"]["1"].update(seconds="12"),
    "seconds are negative": lambda t: t["meta"]["1"].update(seconds=-5.0),
    "seconds are huge": lambda t: t["meta"]["1"].update(seconds=1e300),
    "a time without a zone": lambda t: _log(t).update(at="2026-01-01T00:00:00.000"),
    "an unknown command": lambda t: _log(t).update(kind="erase"),
    "another log": lambda t: _log(t).update(number=2),
    "another grade": lambda t: t["fields"]["1"].update(grade=4),
    "a grade that does not exist": lambda t: t["fields"]["1"].update(grade=400),
    "a newer format": lambda t: t["meta"]["1"].update(format=99),
    "a format of another kind": lambda t: t["meta"]["1"].update(format=[1]),
    "more values": lambda t: t["meta"]["1"].update(more="x"),
    "a table more": lambda t: t.update(more={"1": {"a": "x"}}),
    "no meta": lambda t: t.update(meta={}),
    "two metas": lambda t: t["meta"].update({"2": t["meta"]["1"]}),
    "films of another content": lambda t: t["seen"]["1"].update(content="0" * 32),
    "other films than at its positions": lambda t: t["seen"]["1"].update(film="x"),
    "no films": lambda t: t.update(seen={}),
    "no table of films": lambda t: t.pop("seen"),
    "time at entries that decreases": lambda t: t["log"]["2"].update(seconds=-1.0),
    "time at entries that is text": lambda t: t["log"]["2"].update(seconds="1"),
    "lists as tables": lambda t: t["meta"]["1"].update(notes=[]),
}
"""Changes of the tables of a reading that was made by a session. Each is sealed again, so that no checksum shows it."""


def _read(study: Study, rater: str, grade: int = 0, *, signed: bool = False) -> None:
    with study.open_reading(rater, study.cases()[0]) as session:
        reading = session.reading
        for _ in range(1000 if signed else 3):
            if field := find_next_open_field(reading):
                reading = enter(reading, field, GradeEntry(grade))
        session.save(sign(reading, timestamp=datetime.now(UTC)) if signed else reading)


def _copy(study: Study, folder: Path) -> Study:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(study.path, folder)
    return Study.open(folder)


def _merged(study: Study, site: Study) -> tuple[int, int, int]:
    """Merge anna's readings from `site` and return (1 if refused, 1 if noticed with an effect, readings lost)."""
    before = stored_files(study)
    results = merge(study, site.path, ["anna"])
    now = stored_files(study)
    lost = sum(now.get(name) != data for name, data in before.items() if name.startswith("readings"))
    is_reported = any(result.outcome in ("conflict", "skipped") for result in results)
    return int(now == before and is_reported), int(now != before and is_reported), lost


@attack("merge: a reading that is signed here is reopened and changed in the copy", by="another site")
def reopen_signed(folder: Path) -> Outcome:
    """Reopen a signed reading in the copy, and change an entry."""
    study = make_study(folder)
    _read(study, "anna", signed=True)
    site = _copy(study, folder / "site")
    with site.open_reading("anna", site.cases()[0]) as session:
        reading = reopen(session.reading, "again", timestamp=datetime.now(UTC))
        session.save(enter(reading, next(iter(reading.values)), GradeEntry(1)))
    refused, noticed, lost = _merged(study, site)
    return Outcome(1, refused, noticed, lost)


@attack("merge: raters, settings and readings of raters that the site is not named for", by="another site")
def speak_for_others(folder: Path) -> Outcome:
    """Add a rater to the settings of the copy, and read there as this one and as bert."""
    study = make_study(folder)
    _read(study, "bert")
    site = _copy(study, folder / "site")
    text = (site.path / "study.toml").read_text().replace('["anna", "bert"]', '["anna", "bert", "cleo"]')
    (site.path / "study.toml").write_text(text)
    reseal_settings(site.path)
    site = Study.open(site.path)
    _read(site, "bert", 1)
    _read(site, "cleo", 1)
    before = stored_files(study)
    results = merge(study, site.path, ["anna"])
    refused = int(stored_files(study) == before and [result.outcome for result in results] == ["skipped"])
    for name in ("cleo", "consensus"):
        try:
            merge(study, site.path, [name])
        except StudyError:
            refused += 1
    return Outcome(3, refused, lost=int(stored_files(study) != before))


@attack("merge: readings with impossible values, escape sequences and a valid seal", by="another site")
def forge_readings(folder: Path) -> Outcome:
    """Change a reading in the copy in many ways, each sealed again."""
    study = make_study(folder)
    _read(study, "bert")
    made = _copy(study, folder / "made")
    _read(made, "anna")
    refused = noticed = lost = 0
    for change in FORGED.values():
        site = _copy(made, folder / "site")
        rewrite(site.reading_path("anna", site.cases()[0]), change)
        one, other, gone = _merged(study, site)
        refused, noticed, lost = refused + one, noticed + other, lost + gone
    return Outcome(len(FORGED), refused, noticed, lost)


@attack("merge: links, FIFOs, huge, sparse and deeply nested files in the copy", by="another site")
def replace_files(folder: Path) -> Outcome:
    """Put each kind of object in the place of a reading; none may be read outside of the copy, and none may hang."""
    study = make_study(folder)
    _read(study, "bert")
    made = _copy(study, folder / "made")
    _read(made, "anna")
    refused = noticed = lost = 0
    begun = time.monotonic()
    for kind in KINDS:
        site = _copy(made, folder / "site")
        replace_file(site.reading_path("anna", site.cases()[0]), kind, folder / "outside.json")
        one, other, gone = _merged(study, site)
        refused, noticed, lost = refused + one, noticed + other, lost + gone
    assert time.monotonic() - begun < 30, "a file made the merge hang"
    return Outcome(len(KINDS), refused, noticed, lost, int(study.reading("anna", study.cases()[0]) is not None))


@attack("merge: boxes confirmed here are moved, or absent, in the copy", by="another site")
def move_boxes(folder: Path) -> Outcome:
    """Change boxes that a rater confirmed here."""
    study = make_study(folder)
    case = study.cases()[0]
    refused = noticed = 0
    for box in (Box(1.0, 1.0, 9.0, 9.0), None):
        site = _copy(study, folder / "site")
        first, *rest = site.regions(case)
        site.save_regions(case, [replace(first, box=box), *rest])
        one, other, _ = _merged(study, site)
        refused, noticed = refused + one, noticed + other
    return Outcome(2, refused, noticed)
