"""Journals of a study that several accounts share: each account writes its own, and nobody can stop the others."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from ratui.cli.main import commands
from ratui.study import InProcessConverter, Study, import_films
from ratui.study.check import check_study
from ratui.study.evidence import write_root
from ratui.study.withdrawal import withdraw_films
from tests.films import hospital
from tests.support.accounts import run_as
from tests.support.tampering import make_study_to_tamper_with, move_boxes, regions, tamper

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as other accounts"),
]
ANNA, BERT = 20_001, 20_002
MOVE = (
    "regions = study.regions(case)\n"
    "study.save_regions(case, [replace(region, box=region.box and Box(*(v + {by} for v in region.box))) "
    "for region in regions])"
)


@pytest.fixture
def study() -> Iterator[Study]:
    """Yield a shared study in a folder that other accounts can reach, unlike the folders of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield make_study_to_tamper_with(Path(folder), group="daemon")


def act(uid: int, study: Study, *codes: str) -> list[str]:
    """Run each of `codes` as the given account, a member of the study's group; return the error of each, or nothing."""
    imports = (
        "from dataclasses import replace\nfrom ratui.imaging import Box\nfrom ratui.study.store import open_seal, seal"
    )
    return run_as(uid, study.path, *codes, imports=imports, view="anna")


def test_each_account_writes_its_own_journal(study: Study) -> None:
    assert act(ANNA, study, MOVE.format(by=1)) == [""]
    assert act(BERT, study, MOVE.format(by=2)) == [""]
    assert act(ANNA, study, MOVE.format(by=3)) == [""]
    report = check_study(study.path)
    assert report.is_intact, report.faults
    owners = {journal.name: journal.stat().st_uid for journal in (study.path / "journal").glob("*.jsonl")}
    assert owners == {"root.jsonl": 0, f"uid-{ANNA}.jsonl": ANNA, f"uid-{BERT}.jsonl": BERT}
    modes = {journal.stat().st_mode & 0o777 for journal in (study.path / "journal").glob("*.jsonl")}
    assert modes == {0o640}


def test_no_account_can_change_the_journal_of_another(study: Study) -> None:
    assert act(ANNA, study, MOVE.format(by=1)) == [""]
    journals = [f"study.path / 'journal' / '{name}.jsonl'" for name in ("root", f"uid-{ANNA}")]
    codes = [
        code.format(journal)
        for journal in journals
        for code in (
            "({}).unlink()",
            "({}).rename(study.path / 'journal' / 'x')",
            "({}).open('ab')",
            "({}).chmod(0o666)",
        )
    ]
    outcomes = act(BERT, study, *codes)
    assert len(outcomes) == len(codes)
    assert all(outcome.startswith("PermissionError") for outcome in outcomes), outcomes


def test_boxes_moved_by_other_programs_are_reported_with_the_last_recorded_change(study: Study) -> None:
    """Regions can be written by every member of the group, so only the journal shows a change by another program."""
    assert act(ANNA, study, MOVE.format(by=1)) == [""]
    code = (
        "for file in [path / f'regions/{case}.json', path / f'regions/{case}.json.bak']:\n"
        "    sealed = open_seal(file.read_bytes())\n"
        "    for region in sealed.tables['regions'].values():\n"
        "        region['box'] = region['box'] and [v + 5 for v in region['box']]\n"
        "    data = seal(sealed.tables, sealed.sealed_as)\n"
        "    file.unlink(); file.write_bytes(data)"
    )
    assert act(BERT, study, code) == [""]
    problems = [fault.problem for fault in check_study(study.path).faults]
    assert any(f"without a record; the last recorded change: uid-{ANNA}" in problem for problem in problems), problems


def test_names_of_journals_taken_by_another_account_stop_nobody(study: Study) -> None:
    taken = (
        f"for name in ['.uid-{ANNA}.lock', 'uid-{ANNA}.jsonl', 'uid-{ANNA}.2.jsonl']:\n"
        "    (path / 'journal' / name).write_text('x')\n"
        f"os.mkfifo(path / 'journal' / '.uid-{ANNA}.3.lock')"
    )
    assert act(BERT, study, taken) == [""]
    assert act(ANNA, study, MOVE.format(by=1)) == [""]
    found = {fault.file: fault.problem for fault in check_study(study.path).faults}
    assert not any(name.startswith("regions") for name in found), found


def test_a_journal_under_the_name_of_another_account_is_reported(study: Study) -> None:
    """Bert writes a journal that looks like one of the manager."""
    code = (
        "from ratui.study.store.journal import JournalRecord\n"
        "record = JournalRecord(1, '2026-01-01T00:00:00+00:00', 'first', 'regions/C-9.json', '', 'a' * 64)\n"
        "line = record.to_line('')[1]\n"
        "(path / 'journal' / 'daemon.jsonl').write_bytes(line)"
    )
    assert act(BERT, study, code) == [""]
    found = {fault.file: fault.problem for fault in check_study(study.path).faults}
    assert (
        found["journal/daemon.jsonl"]
        == f"it is named after the account daemon and belongs to the account number {BERT}"
    )


def test_a_rater_can_check_all_that_raters_can_read(study: Study) -> None:
    """The journals are compared, also after a change without a record; a note says that the private folder is not."""
    code = (
        "from ratui.study.check import check_study\n"
        "report = check_study(path)\n"
        "raise RuntimeError(sorted({(each.file, each.problem[:29]) for each in report.faults}), report.notes)"
    )
    write_root(study)
    (before,) = act(ANNA, study, code)
    assert before.startswith("RuntimeError: ([], "), before
    assert "private: not compared with its journal, because this account can't open it" in before
    tamper(regions(study), move_boxes)
    (after,) = act(ANNA, study, code)
    assert f"('regions/{study.cases()[0]}.json', 'it was changed without a reco" in after


def test_a_conversion_as_root_begins_journals_that_belong_to_the_owner(study: Study) -> None:
    for path in (study.path, *study.path.rglob("*")):
        os.chown(path, BERT, -1)
    shutil.rmtree(study.path / "journal")
    check_study(study.path, repair=True)
    assert (study.path / "journal").stat().st_uid == BERT
    assert {path.stat().st_uid for path in (study.path / "journal").glob("*.jsonl")} == {BERT}
    assert act(ANNA, study, MOVE.format(by=1)) == [""]
    report = check_study(study.path)
    assert report.is_intact, report.faults


def test_a_check_by_a_rater_begins_no_journals(study: Study) -> None:
    shutil.rmtree(study.path / "journal")
    code = (
        "from ratui.study.check import check_study\n"
        "raise RuntimeError([each.file for each in check_study(path, repair=True).unrepaired])"
    )
    (outcome,) = act(ANNA, study, code)
    assert "'journal'" in outcome
    assert not (study.path / "journal").exists()


def test_a_root_that_root_makes_belongs_to_the_owner(study: Study) -> None:
    os.chown(study.path, 20_000, -1)
    for path in study.path.rglob("*"):
        os.chown(path, 20_000, -1)
    done = CliRunner().invoke(commands, ["seal", str(study.path)])
    assert done.exit_code == 0, done.output
    for inside in ("seals", "private/seals"):
        folder = study.path / inside
        assert {path.stat().st_uid for path in (folder, *folder.iterdir())} == {20_000}
    assert (study.path / "study.toml").stat().st_uid == 20_000
    assert act(20_000, study, "from ratui.study.evidence import write_root\nwrite_root(Study.open(path))") == [""]


def test_films_that_root_imports_or_withdraws_belong_to_the_owner(study: Study, tmp_path: Path) -> None:
    os.chown(study.path, 20_000, -1)
    for path in study.path.rglob("*"):
        os.chown(path, 20_000, -1)
    films, key = hospital(tmp_path / "more", 5), tmp_path / "key.json"
    report = import_films(study, [films], key=key, second_key=True, converter=InProcessConverter())
    case = report.imported[0].case
    withdraw_films(study, case, [report.imported[0].film], reason="wrong patient")
    for inside in ("films", "private"):
        folder = study.path / inside
        assert {path.stat().st_uid for path in (folder, *folder.rglob("*"))} == {20_000}
    assert {path.stat().st_uid for path in study.path.glob("*.lock")} == {20_000}
    assert check_study(study.path).is_intact
