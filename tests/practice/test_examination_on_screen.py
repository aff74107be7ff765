"""A whole examination on the screens: read and signed, marked, and the study opens for the rater who has passed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from ratui.cli.main import commands
from ratui.errors import StudyError
from ratui.practice import Examination, open_examination
from ratui.reading import FindingEntry, GradeEntry, find_next_open_field
from ratui.scheme import load_scheme
from ratui.study import Study
from ratui.study.campaign.charter_changes import set_charter
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.review.screen import ReviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from tests.practice.test_examination import answer
from tests.tui.conftest import label_text, reading_as, settle

pytestmark = pytest.mark.slow


def one_joint(folder: Path) -> Path:
    """Return the file of a scheme with the second metacarpophalangeal joints only."""
    text, views = load_scheme("fingers").toml_text.split("[views", 1)
    head, *joints = text.split("[[joints]]")
    (joint,) = [each for each in joints if 'id = "MCP2"' in each]
    template = re.sub(r"^(?!MCP2)[A-Z]+\d = \[.*\n", "", views, flags=re.MULTILINE)
    file = folder / "joint.toml"
    file.write_text(f"{head}[[joints]]{joint}[views{template}")
    return file


async def read_on_screen(study: Study, examination: Examination, rater: str) -> None:
    """Read and sign every case with the keys of the true answers."""
    async with reading_as(study, rater) as pilot:
        await settle(pilot)
        for _ in study.cases():
            await pilot.press("enter")
            await settle(pilot)
            while isinstance(screen := pilot.app.screen, ScoringScreen):
                field = find_next_open_field(screen.reading)
                assert field is not None
                entry = examination.truth[screen.reading.case][field].entry
                findings = {finding.id: finding.key for finding in study.scheme.findings}
                await pilot.press(findings[entry.finding] if isinstance(entry, FindingEntry) else str(entry.grade))  # type: ignore[union-attr]
                await settle(pilot)
            while isinstance(pilot.app.screen, ReviewScreen):
                await pilot.press("enter")
                await settle(pilot)
            assert isinstance(pilot.app.screen, OverviewScreen)
            await pilot.press("S")
            await settle(pilot)
            assert isinstance(pilot.app.screen, WorklistScreen)
        assert "All 3 cases are signed" in label_text(pilot)


async def test_an_examination_is_read_on_the_screens_and_opens_the_study(tmp_path: Path) -> None:
    trial = Study.create(tmp_path / "trial", str(one_joint(tmp_path)), ("anna", "bert"))
    marks = {"required": True, "kappa": 0.6}
    set_charter(trial, {"visits": ["baseline", "week 24"], "qualification": marks}, "protocol")
    words = ["practise", "--truth", str(tmp_path / "truth.json"), "--for", str(trial.path)]
    folder = tmp_path / "exam"
    made = CliRunner().invoke(
        commands, [*words, "--make-exam", str(folder), "--cases", "3", "--rows", "150", "--seed", "8"]
    )
    assert made.exit_code == 0, made.output
    exam = Study.open(folder)
    examination = open_examination(tmp_path / "truth.json", exam)
    await read_on_screen(exam, examination, "anna")
    for case in exam.cases():
        answer(exam, examination, case, "bert", lambda field, known: GradeEntry(1 if known.score == 0 else 0))
    marked = CliRunner().invoke(commands, [*words, "--mark", str(folder)])
    assert marked.exit_code == 0, marked.output
    assert "anna: passed\n  ICC of status 1.00, ICC of change 1.00, kappa 1.00, SDC 0.00" in marked.output
    async with reading_as(Study.open(trial.path), "anna") as pilot:
        await settle(pilot)
        assert isinstance(pilot.app.screen, WorklistScreen)
    with pytest.raises(StudyError, match="bert has not passed the examination of this study: kappa"):
        async with reading_as(Study.open(trial.path), "bert"):
            pass
