"""Changes of a study by somebody who knows its format and seals each file again, for tests and for the table of attacks."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from ratui.files import second_copy_path
from ratui.reading import DisplayRecord, Field, GradeEntry, enter
from ratui.study import AutoSaver, InProcessConverter, Study, import_films
from ratui.study.model_results.reading_order import save_reading_order
from ratui.study.store import open_seal, seal
from ratui.study.store.journal import JournalRecord, parse_journal
from ratui.study.store.journaling import begin_journals
from tests.films import confirm_template, hospital

Tables: TypeAlias = dict[str, dict[str, dict[str, Any]]]
AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
SHOWN = DisplayRecord(("x", "y"), "kitty", 4.2, True, (), 3.0, "terminal")
COARSE = SHOWN._replace(protocol="sixel", pixels_per_mm=1.5, is_sufficient=False)
FIELDS = [Field(f"L.PIP{joint}", "ERO", time) for joint in (2, 3, 4) for time in (0, 1)]


def make_study_to_tamper_with(folder: Path, *, blinded: bool = False, group: str = "") -> Study:
    """Return a study with films, regions, proposals, an order of reading and a reading."""
    study = Study.create(folder / "study", "fingers", ["anna", "bert"], blinded=blinded, group=group)
    import_films(study, [hospital(folder / "h")], key=folder / "key.json", converter=InProcessConverter())
    (case,) = study.cases()
    confirm_template(study, case, "anna")
    study.save_proposals("detector", case, study.regions(case))
    save_reading_order(study, [case], "scorer")
    read_case(study)
    return study


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def read_case(study: Study, *, fields: list[Field] = FIELDS, step: timedelta = timedelta(seconds=7)) -> Path:
    """Enter grades on two displays, then leave the case after some more seconds; return the reading's file."""
    (case,) = study.cases()
    clock = Clock()
    with study.open_reading("anna", case) as session:
        saver = AutoSaver(session, clock)
        for number, field in enumerate(fields):
            clock.now += 7.5
            saver.count_time()
            display = COARSE if number % 3 == 2 else SHOWN
            at = AT + number * step
            assert saver.save(enter(saver.reading, field, GradeEntry(1), timestamp=at, key="1", display=display))
        clock.now += 10
        saver.count_time()
        assert saver.save(saver.reading)
    return study.reading_path("anna", case)


def write_both(file: Path, data: bytes) -> None:
    for each in (file, second_copy_path(file)):
        each.write_bytes(data)


def tamper(file: Path, change: Callable[[Tables], object]) -> None:
    """Change a table file and seal both copies again."""
    sealed = open_seal(file.read_bytes())
    change(sealed.tables)
    write_both(file, seal(sealed.tables, sealed.sealed_as))


def remove(file: Path) -> None:
    for each in (file, second_copy_path(file)):
        each.unlink()


def set_values(table: str, **values: object) -> Callable[[Tables], None]:
    """Return a change that sets values in each record of `table`."""

    def change(tables: Tables) -> None:
        for record in tables[table].values():
            record.update(values)

    return change


def swap_times(tables: Tables) -> None:
    for record in tables["films"].values():
        record["time"] = 1 - record["time"]


def swap_visits(tables: Tables) -> None:
    for record in tables["visits"].values():
        record["visit"] = 1 - record["visit"]


def swap_positions(tables: Tables) -> None:
    for record in tables["positions"].values():
        record["positions"].reverse()


def move_boxes(tables: Tables) -> None:
    for record in tables["regions"].values():
        record["box"] = [value + 9 for value in record["box"]]


def settings(study: Study, old: str, new: str) -> None:
    """Change a line of ``study.toml`` and seal it, without ratui."""
    file = study.path / "study.toml"
    text = file.read_text()
    assert old in text
    body = text.replace(old, new).rpartition("seal = ")[0].encode()
    write_both(file, body + b'seal = "' + hashlib.sha256(body).hexdigest().encode() + b'"\n')


def scheme(study: Study) -> None:
    """Change the scheme together with its digest in the settings."""
    file = study.path / "scheme.toml"
    before = file.read_bytes()
    write_both(file, before + b"# one more line\n")
    digests = [hashlib.sha256(data).hexdigest() for data in (before, file.read_bytes())]
    settings(study, *digests)


def film_with_digest(study: Study) -> None:
    """Replace a film by another one, together with its digests."""
    (case,) = study.cases()
    one, two = study.case(case).films[:2]
    shutil.copyfile(study.film_path(case, two.id), study.film_path(case, one.id))

    def change(tables: Tables) -> None:
        for record in tables["films"].values():
            if record["id"] == one.id:
                record.update(file=two.file, digest=two.digest)

    tamper(films(study), change)


def films(study: Study) -> Path:
    return study.path / "films" / study.cases()[0] / "films.json"


def visits(study: Study) -> Path:
    return study.path / "private" / "visits" / f"{study.cases()[0]}.json"


def regions(study: Study) -> Path:
    return study.path / "regions" / f"{study.cases()[0]}.json"


def proposals(study: Study) -> Path:
    return study.path / "proposals" / "detector" / f"{study.cases()[0]}.json"


CHANGES: dict[str, Callable[[Study], object]] = {
    "swapped time points": lambda study: tamper(films(study), swap_times),
    "swapped private visits": lambda study: tamper(visits(study), swap_visits),
    "changed private days": lambda study: tamper(visits(study), set_values("visits", day=999)),
    "swapped positions": lambda study: tamper(films(study), swap_positions),
    "changed days": lambda study: tamper(films(study), set_values("films", day=999)),
    "changed spacing": lambda study: tamper(films(study), set_values("films", spacing=[0.5, 0.5])),
    "moved boxes": lambda study: tamper(regions(study), move_boxes),
    "another rater confirmed": lambda study: tamper(regions(study), set_values("regions", by="bert")),
    "changed proposals": lambda study: tamper(proposals(study), move_boxes),
    "changed order of reading": lambda study: tamper(
        study.path / "models" / "order.json", set_values("order", model="other")
    ),
    "blinding switched on": lambda study: settings(study, "blinded = false", "blinded = true"),
    "a rater added": lambda study: settings(study, '"bert"]', '"bert", "cleo"]'),
    "another scheme": scheme,
    "a film replaced with its digest": film_with_digest,
    "regions removed": lambda study: remove(regions(study)),
}


def rewrite_journals(study: Study) -> None:
    """Write a journal anew that explains the present content of all files, as if ratui had saved each once."""
    for above in ("journal", "private/journal"):
        for journal in (study.path / above).glob("*.jsonl"):
            journal.unlink()
    begin_journals(study.folder)
    for above in ("journal", "private/journal"):
        for journal in (study.path / above).glob("*.jsonl"):
            lines, chain = [], ""
            for record in parse_journal(journal.read_bytes())[0]:
                number = 2 * record.number - 1
                for each in (
                    replace(record, number=number, kind="write"),
                    JournalRecord(number + 1, record.at, "done", of=number),
                ):
                    chain, line = each.to_line(chain)
                    lines.append(line)
            journal.write_bytes(b"".join(lines))
