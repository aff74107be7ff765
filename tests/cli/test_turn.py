"""``ratui turn``: a manager turns one film of a study."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ratui.cli.main import commands
from ratui.errors import StudyError
from ratui.imaging import Orientation
from ratui.study import Study
from ratui.study.check import check_study
from tests.films import make_study
from tests.tui.readings import store_reading


def run(*arguments: object) -> Result:
    return CliRunner().invoke(commands, ["turn", *map(str, arguments)])


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make_study(tmp_path)


def orientations(study: Study) -> dict[tuple[int, str], Orientation]:
    (case,) = study.cases()
    return {(film.time, film.side): film.orientation for film in Study.open(study.path).case(case).films}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (["90"], Orientation.TURNED_90),
        (["180"], Orientation.TURNED_180),
        (["270"], Orientation.TURNED_270),
        (["mirror"], Orientation.MIRRORED),
        (["90", "mirror"], Orientation.MIRRORED_90),
        (["mirror", "90"], Orientation.MIRRORED_270),
        (["270", "upright"], Orientation.UPRIGHT),
        (["mirror", "mirror"], Orientation.UPRIGHT),
    ],
)
def test_changes_start_from_the_displayed_film(study: Study, changes: list[str], expected: Orientation) -> None:
    (case,) = study.cases()
    before = {region.film: region.box for region in study.stored_regions(case)}
    for change in changes:
        done = run(study.path, case, change, "--time", 1, "--view", "hand", "--side", "r")
        assert done.exit_code == 0, done.exception
    assert orientations(study) == {
        (0, "L"): Orientation.UPRIGHT,
        (0, "R"): Orientation.UPRIGHT,
        (1, "L"): Orientation.UPRIGHT,
        (1, "R"): expected,
    }
    assert {region.film: region.box for region in study.stored_regions(case)} == before
    assert check_study(study.path).is_intact


def test_films_are_listed_and_chosen_by_their_id(study: Study) -> None:
    (case,) = study.cases()
    listed = run(study.path, case, "--side", "L").stdout.splitlines()
    assert [line.partition(": ")[2] for line in listed] == [
        "baseline (--time 0), L, hand; upright",
        "visit 2 (--time 1), L, hand; upright",
    ]
    film = study.case(case).films[0].id
    assert run(study.path, case, "mirror", "--film", film).stdout == (
        f"  film {film}: baseline (--time 0), L, hand; upright, mirrored\n"
    )
    assert run(study.path, case, "90", "--film", film).stdout.endswith("turned by 270°, mirrored\n")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], "4 films fit"),
        (["--side", "L"], "2 films fit"),
        (["--time", "5"], "no film fits"),
        (["--film", "x"], "no film"),
    ],
)
def test_one_film_must_be_named(study: Study, options: list[str], problem: str) -> None:
    (case,) = study.cases()
    done = run(study.path, case, "90", *options)
    assert isinstance(done.exception, StudyError)
    assert problem in str(done.exception)
    assert set(orientations(study).values()) == {Orientation.UPRIGHT}


def test_a_film_of_a_signed_reading_needs_a_confirmation(study: Study) -> None:
    (case,) = study.cases()
    store_reading(study, case, {}, rater="bert", signed=True)
    command = (study.path, case, "180", "--time", 0, "--side", "L")
    for confirm in ((), ("--confirm", "C-OTHER")):
        done = run(*command, *confirm)
        assert isinstance(done.exception, StudyError)
        assert (
            f"the signed readings of bert were made on this film as it is displayed now. Repeat with --confirm {case}"
            in (str(done.exception))
        )
        assert set(orientations(study).values()) == {Orientation.UPRIGHT}
    done = run(*command, "--confirm", case)
    assert "these signed readings stay valid; their raters may check them: bert" in done.stdout
    assert orientations(study)[0, "L"] is Orientation.TURNED_180
