"""``ratui import --dry-run`` and ``--save-manifest``: the printed plan, and a repeated import."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ratui.cli.main import commands
from ratui.study import Study
from tests.films import film_file, hospital


def run(*arguments: object) -> Result:
    return CliRunner().invoke(commands, ["import", *map(str, arguments)])


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
    assert lines[1].startswith("  take      no. 1: person 1, time point 0, L, hand")
    assert lines[2].startswith("  take      no. 2: person 1, time point 1, L, hand")
    assert lines[3].startswith("  leave out no. 3: it is not a DICOM file")
    assert lines[4:] == [
        "2 films of 1 person to take, 1 doubtful, 1 to leave out",
        "the numbers are those of the rows that --save-manifest FILE writes",
        "nothing was imported",
    ]
    assert "secret" not in done.output.lower()
    assert not study.cases()
    assert not (tmp_path / "key.json").exists()


def test_a_plan_without_films_fails(study: Study, tmp_path: Path) -> None:
    film_file(tmp_path / "h" / "a.dcm", side="")
    assert run(study.path, tmp_path / "h", "--key", tmp_path / "k", "--dry-run").exit_code == 1


def test_many_films_are_one_line_for_each_person(study: Study, tmp_path: Path) -> None:
    folder = hospital(tmp_path / "h", patients=16)
    done = run(study.path, folder, "--key", tmp_path / "k", "--dry-run")
    lines = [line for line in done.output.splitlines() if line.startswith("  take")]
    assert len(lines) == 16
    assert lines[0] == "  take      person 1: 0 L hand, 0 R hand, 1 L hand, 1 R hand"


def test_the_saved_manifest_repeats_the_import(study: Study, tmp_path: Path) -> None:
    folder, manifest = hospital(tmp_path / "h", patients=2), tmp_path / "h" / "plan.csv"
    film_file(folder / "more.dcm", patient="P0", day="20200302", side="L", seed=77)
    done = run(study.path, folder, "--key", tmp_path / "k1", "--save-manifest", manifest)
    assert done.exit_code == 0
    assert "manifest, which identifies patients" in done.output
    other = Study.create(tmp_path / "other", "fingers", ["anna"])
    again = run(other.path, "--manifest", manifest, "--key", tmp_path / "k2")
    films = [re.findall(r"time point \d, [LR]", text) for text in (done.output, again.output)]
    assert len(films[0]) == 7
    assert films[0] == films[1]


@pytest.mark.parametrize("option", [["--dry-run"], ["--save-manifest", "x.csv"]])
def test_a_watched_folder_has_no_plan(study: Study, tmp_path: Path, option: list[str]) -> None:
    assert run(study.path, "--watch", tmp_path, *option).exit_code == 2
