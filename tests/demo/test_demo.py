"""The sample study, and the whole loop with simulated raters."""

import json
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from ratui.demo import headless
from ratui.demo.sample import SAMPLE_RATER, copy_sample, find_sample
from ratui.demo.simulate import Simulation, simulate_study
from ratui.reading import find_problems
from ratui.study import Study
from ratui.tui.screens.scoring.screen import ScoringScreen
from tests.support.commands import run_in_this_process
from tests.support.in_process import draw_films_in_this_process
from tests.tui.conftest import reading_as, settle

pytestmark = pytest.mark.slow


class TestSample:
    def test_it_is_small_and_intact_and_has_unread_cases(self) -> None:
        folder = find_sample()
        assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 8_000_000
        study = Study.open(folder)
        stages = {case: study.state(SAMPLE_RATER, case).stage for case in study.cases()}
        assert sorted(stages.values()) == ["reading", "regions", "signed", "signed"]
        unseen = next(case for case, stage in stages.items() if stage == "regions")
        assert len(study.proposals(unseen)) >= 36
        for case in study.cases():
            assert all(not find_problems(reading) for reading in study.signed_readings(case))

    def test_entries_are_stored_in_the_copy_not_in_the_sample(self, tmp_path: Path) -> None:
        folder, rater, case = copy_sample(tmp_path / "mine")
        assert case is not None
        with Study.open(folder).open_reading(rater, case) as session:
            session.save(session.reading, seconds=1.0)
        again, _, same_case = copy_sample(tmp_path / "mine")
        assert (again, same_case) == (folder, case)
        assert Study.open(folder).reading(rater, case) is not None
        assert Study.open(find_sample()).reading(rater, case) is None

    async def test_it_opens_at_a_joint(self, tmp_path: Path) -> None:
        folder, rater, case = copy_sample(tmp_path / "mine")
        async with reading_as(Study.open(folder), rater, case=case) as pilot:
            await settle(pilot)
            await settle(pilot)
            assert isinstance(pilot.app.screen, ScoringScreen)
            assert pilot.app.screen.field is not None


def test_simulated_readings_were_entered_by_the_rules(tmp_path: Path) -> None:
    what = Simulation(2, {"ada": "mixed", "ben": "threshold"}, size=(300, 246), seed=5)
    key = tmp_path / "key.json"
    study = simulate_study(tmp_path / "s", what, key=key, progress=lambda *_: None, unread={"ben": 1}).study
    first, last = study.cases()
    assert (first, last) == ("C-E5UDBI", "C-WGVICZ"), "the seed decides them, and so the trainer's split"
    assert [reading.rater for reading in study.signed_readings(first)] == ["ada", "ben"]
    assert [reading.rater for reading in study.signed_readings(last)] == ["ada"]
    for reading in study.signed_readings(first):
        assert not find_problems(reading)
        assert reading.is_complete
        assert [entry.kind for entry in reading.log[-2:]] == ["enter", "sign"]
        assert all(entry.key for entry in reading.log[:-1])


def test_the_whole_loop_with_simulated_raters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take films of less than half the usual size, and one unread case, which are drawn and read faster.

    Only the last command of the trainer runs in a process of its own: each process imports PyTorch, which takes longer.
    """
    monkeypatch.setattr("ratui.demo.headless.Simulation", partial(Simulation, size=(500, 410)))
    monkeypatch.setattr("ratui.demo.headless._UNREAD_CASES", 1)
    draw_films_in_this_process(monkeypatch)
    trainings = pytest.importorskip("trainer.cli", reason="pip install 'ratui[train]'").commands
    run_process = headless._trainer

    def run_trainer(name: str, *arguments: str) -> None:
        if name == "propose":
            run_process(name, *arguments)
        else:
            done = CliRunner().invoke(trainings, [name, *arguments])
            assert done.exit_code == 0, f"{name}\n{done.output}\n{done.exception!r}"

    monkeypatch.setattr(headless, "_trainer", run_trainer)
    command = ("demo", "--headless", tmp_path / "loop", "--patients", "8", "--seed", "0")
    done = run_in_this_process(*command, "--minutes", "0.04")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "loop" / "report" / "report.json").read_text())
    names = [figure["name"] for figure in report["headline"]]
    assert names[0] == "Joint detection, mean IoU"
    assert "ERO, mean error of the difference" in names
    assert report["cases"] == 2
    assert (tmp_path / "loop" / "report" / "differences.png").stat().st_size > 5_000
    text = (tmp_path / "loop" / "report" / "report.md").read_text()
    assert "no change" in text
    study = Study.open(tmp_path / "loop" / "study")
    assert len(study.cases()) == 9
    for run in ("detector", "scorer"):
        folder = study.path / "models" / run
        assert {"config.json", "split.json", "metrics.jsonl", "model.pt", "last.pt"} <= {
            f.name for f in folder.iterdir()
        }
    again = run_in_this_process(*command)
    assert again.returncode == 1
    assert "the folder is not empty" in again.stderr
