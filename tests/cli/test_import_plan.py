"""``ratui import --dry-run`` and ``--save-manifest``: the printed plan, and a repeated import."""

import csv
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ratui.cli.main import commands
from ratui.study import Study
from tests.films import film_file, hospital
from tests.support.sources import zip_of

pytestmark = pytest.mark.usefixtures("read_films_here")


def run(*arguments: object) -> Result:
    # The films show no hand: the search for one in all rotations would take long.
    return CliRunner().invoke(commands, ["import", "--no-propose", *map(str, arguments)])


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "study", "fingers", ["anna"])


def test_the_plan_is_printed_and_nothing_is_imported(study: Study, tmp_path: Path) -> None:
    folder = hospital(tmp_path / "h", sides="L")
    film_file(folder / "secret name.dcm", patient="SECRET", side="", seed=5)
    (folder / "letter.txt").write_text("Dear colleague")
    done = run(study.path, folder, "--key", tmp_path / "key.json", "--dry-run")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "  doubtful  no. 4: it doesn't say which side it shows. Name it in a manifest"
    assert lines[1].startswith("  take      no. 1: person 1, baseline, L, hand")
    assert lines[2].startswith("  take      no. 2: person 1, visit 2, L, hand")
    assert lines[3].startswith("  leave out no. 3: it is not a DICOM file")
    assert lines[4] == "2 films of 1 person to take, 1 doubtful, 1 to leave out"
    assert lines[5].startswith("list of the files by number: ")
    assert lines[6:] == ["this list identifies patients: do not store it with the study", "nothing was imported"]
    assert "secret" not in done.output.lower()
    assert not study.cases()
    assert not (tmp_path / "key.json").exists()


def test_what_is_not_read_is_listed_with_its_path(study: Study, tmp_path: Path) -> None:
    folder = hospital(tmp_path / "h", sides="L")
    (folder / ".hidden").write_text("x")
    (folder / "old.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(100))
    (folder / "gone").symlink_to(tmp_path / "nothing")
    (folder / "copy").symlink_to(folder / "P0_0_L.dcm")
    zip_of(folder / "x.zip", {"../out.dcm": b"1", "a\nb/.c": b"2"})
    manifest = folder / "plan.csv"
    done = run(study.path, folder, "--key", tmp_path / "key.json", "--dry-run", "--save-manifest", manifest)
    assert done.exit_code == 3
    (listing,) = tmp_path.glob("key-plan-*.csv")
    assert listing.stat().st_mode & 0o077 == 0
    for path in (listing, manifest):
        with path.open(encoding="utf-8") as file:
            found = list(csv.DictReader(file))
        reasons = {row["file"].rpartition("/h/")[2]: row.get("outcome") or row["reason"] for row in found}
        numbers = {name: number for number, name in enumerate(reasons, start=1)}
        unread = {name: reason for name, reason in reasons.items() if reason.startswith("not read: ")}
        assert {name.rpartition("/")[2] for name in unread} == {".hidden", "old.7z", "gone", "copy", "out.dcm", ".c"}
        line = f"  not read  no. {numbers['old.7z']}: an archive of a kind that can't be read."
        assert line in done.stdout
    again = run(study.path, "--manifest", manifest, "--key", tmp_path / "key.json")
    assert again.exit_code == 0, again.output
    assert "2 films of 1 case imported, 0 files refused" in again.output


def test_a_plan_without_films_fails(study: Study, tmp_path: Path) -> None:
    film_file(tmp_path / "h" / "a.dcm", side="")
    assert run(study.path, tmp_path / "h", "--key", tmp_path / "k", "--dry-run").exit_code == 1


def test_many_films_are_one_line_for_each_person(study: Study, tmp_path: Path) -> None:
    folder = hospital(tmp_path / "h", patients=16)
    done = run(study.path, folder, "--key", tmp_path / "k", "--dry-run")
    lines = [line for line in done.output.splitlines() if line.startswith("  take")]
    assert len(lines) == 16
    assert lines[0] == "  take      person 1: baseline L hand, baseline R hand, visit 2 L hand, visit 2 R hand"


def test_the_saved_manifest_repeats_the_import(study: Study, tmp_path: Path) -> None:
    folder, manifest = hospital(tmp_path / "h", patients=2), tmp_path / "h" / "plan.csv"
    film_file(folder / "more.dcm", patient="P0", day="20200302", side="L", seed=77)
    done = run(study.path, folder, "--key", tmp_path / "k1", "--save-manifest", manifest)
    assert done.exit_code == 0
    assert "manifest, which identifies patients" in done.output
    other = Study.create(tmp_path / "other", "fingers", ["anna"])
    again = run(other.path, "--manifest", manifest, "--key", tmp_path / "k2")
    films = [re.findall(r"(?:baseline|visit 2), [LR]", text) for text in (done.output, again.output)]
    assert len(films[0]) == 7
    assert films[0] == films[1]


@pytest.mark.parametrize("option", [["--dry-run"], ["--save-manifest", "x.csv"]])
def test_a_watched_folder_has_no_plan(study: Study, tmp_path: Path, option: list[str]) -> None:
    assert run(study.path, "--watch", tmp_path, *option).exit_code == 2
