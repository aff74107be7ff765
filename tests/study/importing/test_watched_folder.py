"""A watched folder: files are imported once they have stopped growing, together, and once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ratui.cli.watch import watch_folder
from ratui.errors import DamagedError, StudyError
from ratui.study import Study
from ratui.study.importing.import_report import ImportedFilm, ImportReport, RejectedFile
from ratui.study.importing.watched_folder import Signature, WatchedFolder
from tests.films import film_file, hospital, make_study
from tests.tui.readings import store_reading

A, B, C = Path("/in/a"), Path("/in/b"), Path("/in/c.zip")

pytestmark = pytest.mark.usefixtures("read_films_here")


class Folder:
    """A folder whose files are given by a test."""

    def __init__(self, tmp_path: Path) -> None:
        self.files: dict[Path, Signature] = {}
        self.record = tmp_path / "key-watched.json"
        self.open()

    def open(self) -> None:
        self.watched = WatchedFolder(Path("/in"), self.record, 10.0, lambda _: dict(self.files))

    def finish(self, batch: set[Path], **refused: str) -> ImportReport:
        """Report a batch: all files imported but the `refused` ones, whose reasons are given by name."""
        films = tuple(ImportedFilm(path, "C-1", 0, "L") for path in sorted(batch) if path.name not in refused)
        rejected = tuple(RejectedFile(path, refused[path.name]) for path in sorted(batch) if path.name in refused)
        return self.watched.add_report(batch, ImportReport(films, rejected, Path("/key")))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_file_is_taken_once_it_has_stopped_growing(folder: Folder) -> None:
    folder.files[A] = (1, 0)
    assert folder.watched.find_batch(0) == set()
    folder.files[A] = (2, 0)
    assert folder.watched.find_batch(9) == set()
    assert folder.watched.find_batch(18.9) == set()
    folder.files[A] = (2, 1)
    assert folder.watched.find_batch(19) == set()
    assert folder.watched.find_batch(29) == {A}
    folder.finish({A})
    assert folder.watched.find_batch(99) == set()


def test_files_that_arrive_together_are_imported_together(folder: Folder) -> None:
    folder.files[A] = (1, 0)
    folder.watched.find_batch(0)
    folder.files[B] = (1, 0)
    folder.watched.find_batch(9)
    assert folder.watched.find_batch(10) == set(), "b has just arrived"
    assert folder.watched.find_batch(19) == {A, B}


def test_a_file_does_not_wait_for_ever_for_one_that_grows(folder: Folder) -> None:
    folder.files = {A: (1, 0)}
    batches = []
    for now in range(0, 120, 5):
        folder.files[B] = (now, 0)
        batches.append((now, folder.watched.find_batch(now)))
    assert next(now for now, batch in batches if batch) == 100
    assert dict(batches)[100] == {A}
    assert folder.watched.find_others({A}) == {B}


def test_a_refused_file_is_tried_again_with_new_ones_and_reported_once(folder: Folder) -> None:
    folder.files = {A: (1, 0)}
    folder.watched.find_batch(0)
    assert folder.finish(folder.watched.find_batch(10), a="one visit only").rejected
    assert folder.watched.find_batch(99) == set()
    folder.files[B] = (1, 0)
    folder.watched.find_batch(100)
    batch = folder.watched.find_batch(110)
    assert batch == {A, B}
    assert not folder.finish(batch, a="one visit only").rejected, "the same message again says nothing new"
    folder.files[C] = (1, 0)
    folder.watched.find_batch(200)
    assert folder.watched.find_batch(210) == {A, C}
    assert folder.finish({A, C}, a="another reason").rejected
    folder.files[B] = (7, 0)
    folder.watched.find_batch(300)
    folder.finish(folder.watched.find_batch(310))
    assert folder.watched.find_batch(400) == set()
    folder.files[B] = (8, 0)
    folder.watched.find_batch(500)
    assert folder.watched.find_batch(510) == {B}, "a is imported"


def test_an_archive_with_a_refused_film_is_tried_again(folder: Folder) -> None:
    folder.files = {C: (1, 0)}
    folder.watched.find_batch(0)
    folder.watched.add_report(
        folder.watched.find_batch(10), ImportReport((), (RejectedFile(C / "d" / "film", "x"),), Path("/key"))
    )
    folder.files[A] = (1, 0)
    folder.watched.find_batch(20)
    assert folder.watched.find_batch(30) == {A, C}


def test_a_restart_continues(folder: Folder) -> None:
    folder.files = {A: (1, 0), B: (1, 0)}
    folder.watched.find_batch(0)
    folder.finish(folder.watched.find_batch(10), b="no patient")
    folder.open()
    folder.watched.find_batch(0)
    assert folder.watched.find_batch(10) == set()
    folder.files[C] = (1, 0)
    folder.watched.find_batch(20)
    batch = folder.watched.find_batch(30)
    assert batch == {B, C}
    assert not folder.finish(batch, b="no patient").rejected
    assert folder.record.stat().st_mode & 0o077 == 0, "it contains names of files"


def test_another_folder_begins_anew(folder: Folder, tmp_path: Path) -> None:
    folder.files = {A: (1, 0)}
    folder.watched.find_batch(0)
    folder.finish(folder.watched.find_batch(10))
    other = WatchedFolder(Path("/other"), folder.record, 10.0, lambda _: {A: (1, 0)})
    other.find_batch(0)
    assert other.find_batch(10) == {A}


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"folder": "/in", "done": {"a": 1}, "refused": [], "outcomes": {}}']
)
def test_a_damaged_record_is_an_error(folder: Folder, content: str) -> None:
    folder.record.write_text(content)
    with pytest.raises(DamagedError, match="Remove it"):
        folder.open()


def test_films_are_imported_as_they_arrive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = Study.create(tmp_path / "study", "fingers", ["anna"])
    inbox, ready = tmp_path / "in", hospital(tmp_path / "h")
    film_file(inbox / "nobody.dcm", patient="", PatientName="")
    steps = iter(range(100))

    def goes_on() -> bool:
        step = next(steps)
        if step == 4:
            for film in ready.iterdir():
                film.rename(inbox / film.name)
        return step < 8

    watch_folder(study, inbox, key=tmp_path / "key.json", second_key=False, settle=0.01, goes_on=goes_on)
    text = capsys.readouterr().out
    assert text.count("imported no.") == 4
    assert text.count("names no patient") == 1
    assert len(study.case(study.cases()[0]).films) == 4
    watch_folder(
        study, inbox, key=tmp_path / "key.json", second_key=False, settle=0.01, goes_on=lambda: next(steps) < 12
    )
    assert "no." not in capsys.readouterr().out, "a restart repeats nothing"


def test_films_that_come_after_a_signature_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = make_study(tmp_path, sides="L")
    (case,) = study.cases()
    store_reading(study, case, {}, rater="anna", signed=True)
    inbox = hospital(tmp_path / "in", sides="LR")
    steps = iter(range(100))
    watch_folder(
        study, inbox, key=tmp_path / "key.json", second_key=False, settle=0.01, goes_on=lambda: next(steps) < 8
    )
    output = capsys.readouterr().out
    assert output.count("imported no.") == 2
    assert f"  {case}: films came after anna signed it; they have to reopen it" in output


def test_a_failed_import_is_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study.create(tmp_path / "study", "fingers", ["anna"])
    inbox = hospital(tmp_path / "in")
    monkeypatch.setattr("ratui.cli.watch._RETRY", 0.0)
    real, count = __import__("ratui.cli.watch", fromlist=["import_films"]).import_films, iter(range(100))

    def fail_twice(*arguments: object, **more: object) -> object:
        if next(count) < 2:
            raise StudyError("another import runs")
        return real(*arguments, **more)

    monkeypatch.setattr("ratui.cli.watch.import_films", fail_twice)
    steps = iter(range(100))
    watch_folder(
        study, inbox, key=tmp_path / "key.json", second_key=False, settle=0.01, goes_on=lambda: next(steps) < 8
    )
    output = capsys.readouterr()
    assert output.err.count("another import runs") == 1
    assert output.out.count("imported no.") == 4


@pytest.mark.slow
def test_the_command_ends_by_a_signal(tmp_path: Path) -> None:
    Study.create(tmp_path / "study", "fingers", ["anna"])
    hospital(tmp_path / "in")
    command = [
        "import",
        "--no-propose",
        tmp_path / "study",
        "--watch",
        tmp_path / "in",
        "--settle",
        "0.2",
        "--key",
        tmp_path / "k",
    ]
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "ratui", *map(str, command)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        deadline = time.monotonic() + 120
        lines = []
        while time.monotonic() < deadline and sum("imported" in line for line in lines) < 4:
            lines.append(process.stdout.readline())
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 143
    assert sum("imported" in line for line in lines) == 4
