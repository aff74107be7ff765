"""Practice: the right answer after each joint, the agreement so far, and a reference study that does not change."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ratui.errors import StudyError
from ratui.practice import PracticeStudy, open_reference_practice, open_simulated_practice, simulated_study
from ratui.practice.practice_study import TRAINEE
from ratui.reading import Field, GradeEntry
from ratui.study import Study
from ratui.study.importing.import_report import ImportReport, RejectedFile
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.widgets.answer_panel import AnswerPanel
from tests.results.studies import read_study
from tests.tui.conftest import label_text, reading_as, settle
from tests.tui.readings import store_reading

pytestmark = pytest.mark.slow


def quiet(stage: str, done: int, total: int) -> None:
    """Show no progress."""


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> PracticeStudy:
    folder = tmp_path_factory.mktemp("practice") / "study"
    return open_simulated_practice(folder, "fingers", cases=2, seed=4, size=(150, 123), progress=quiet)


@pytest.mark.parametrize(("place", "language"), [(0, "en"), (1, "ja")])
async def test_the_truth_follows_each_answer(practice: PracticeStudy, place: int, language: str) -> None:
    case = practice.cases()[place]
    first, second, *others = practice.case(case).sites(practice.scheme)
    assert len(others) == 8
    assert {site.side for site in (first, second, *others)} in ({"L"}, {"R"})
    async with reading_as(practice, TRAINEE, case=case, language=language, size=(120, 40)) as pilot:
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        name, so_far = ("truth", "so far: kappa") if language == "en" else ("正解", "これまで")
        await pilot.press("n")
        await settle(pilot)
        scores = [practice.truth[case][field].score for field in screen.reading.joint_fields(first.key)]
        assert scores == [answer.score for field, answer in practice.truth[case].items() if field.site == first.key]
        panel = str(screen.query_one(AnswerPanel).content)
        assert f"{name} {'≠' if any(scores) else '='}" in panel
        assert so_far in panel
        await pilot.press("enter")
        assert screen.field.site == second.key


def test_the_dates_of_eight_visits_are_not_in_the_future(tmp_path: Path) -> None:
    practice = open_simulated_practice(
        tmp_path / "study", "fingers", cases=1, seed=4, size=(80, 66), visits=8, progress=quiet
    )
    assert [practice.case(case).times for case in practice.cases()] == [tuple(range(8))]


def test_a_full_disk_is_an_error_that_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def create(name: str) -> None:
        open_simulated_practice(tmp_path / name, "fingers", cases=1, seed=4, size=(80, 66), progress=quiet)

    def no_space(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def refuse(study: Study, folders: list[Path], **kwargs: object) -> ImportReport:
        files = [RejectedFile(file, "no space left on the disk") for file in sorted(folders[0].rglob("*.dcm"))]
        return ImportReport((), tuple(files), Path("key.json"))

    monkeypatch.setattr(simulated_study, "import_films", refuse)
    with pytest.raises(StudyError, match="simulated film can't be imported: no space left"):
        create("a")
    monkeypatch.setattr(simulated_study, "write_patient_films", no_space)
    with pytest.raises(StudyError, match=r"no room for temporary files.*TMPDIR"):
        create("b")
    monkeypatch.setattr("tempfile.gettempdir", no_space)
    with pytest.raises(StudyError, match="no folder for temporary files"):
        create("c")


async def test_the_cases_have_as_many_visits_as_asked(tmp_path: Path) -> None:
    visits = 3
    practice = open_simulated_practice(
        tmp_path / "study", "fingers", cases=1, seed=4, size=(150, 123), visits=visits, progress=quiet
    )
    (case,) = practice.cases()
    assert practice.case(case).times == tuple(range(visits))
    first, second, *_ = practice.case(case).sites(practice.scheme)
    async with reading_as(practice, TRAINEE, case=case, size=(80, 24), language="ja") as pilot:
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        await pilot.press(*"0" * visits)
        await settle(pilot)
        known = {field: answer for field, answer in practice.truth[case].items() if field.site == first.key}
        assert set(screen.reading.values) == set(known)
        grades = "→".join(f"{answer.score:.0f}" for answer in known.values())
        panel = str(screen.query_one(AnswerPanel).content)
        assert f"あなた {'→'.join('0' * visits)} · 正解 {'≠' if grades.strip('→0') else '='} {grades}" in panel
        await pilot.press("0")
        await settle(pilot)
        assert "まず回答を比べてください：Enterで次の関節、Tabでここの回答を変更" in label_text(pilot), (
            "the message is whole"
        )
        await pilot.press("enter")
        assert screen.field.site == second.key


async def test_a_case_is_signed_without_a_second_look(tmp_path: Path) -> None:
    high = {Field("L.MCP2", "ERO", 1): GradeEntry(4)}
    reference = read_study(tmp_path, {"anna": high, "bert": None})
    before = {file: file.read_bytes() for file in reference.path.rglob("*") if file.is_file()}
    practice = open_reference_practice(tmp_path / "copy", reference, "anna", cases=3, progress=quiet)
    case = practice.cases()[0]
    last = list(practice.case(case).sites(practice.scheme))[-1]
    async with reading_as(practice, TRAINEE, case=case) as pilot:
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        while screen.field.site != last.key:
            await pilot.press(
                *(["n", "enter"] if screen.field.site != "L.MCP2" else ["0", "3", "enter", "0", "0", "enter"])
            )
        await pilot.press("n", "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, OverviewScreen)
    summary = practice.summarize_answers()
    assert summary.joints == len(practice.case(case).sites(practice.scheme))
    assert summary.difference == pytest.approx(-1 / len(practice.truth[case]))
    assert summary.kappa is not None
    assert summary.kappa > 0.9
    assert {file: file.read_bytes() for file in reference.path.rglob("*") if file.is_file()} == before
    with pytest.raises(StudyError, match="signed no case"):
        open_reference_practice(tmp_path / "other", reference, "bert", cases=3, progress=quiet)
    with pytest.raises(StudyError, match="not a rater"):
        open_reference_practice(tmp_path / "other", reference, "zoe", cases=3, progress=quiet)


def test_a_rater_does_not_practise_on_cases_that_are_not_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = read_study(tmp_path, {"anna": {}, "bert": None})
    monkeypatch.setattr(Study, "is_manager", property(lambda _: False))
    with pytest.raises(StudyError, match="anna has signed no case"):
        open_reference_practice(tmp_path / "copy", reference, "anna", cases=3, progress=quiet)
    for case in reference.cases():
        store_reading(reference, case, rater="bert", signed=True)
    assert open_reference_practice(tmp_path / "copy", reference, "anna", cases=3, progress=quiet).cases()
