"""The comparison as tasks: names of stored cells, failures, parts, and the refusal of wrong settings."""

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ratui.errors import TrainError
from tests.trainer.synthetic import quiet
from trainer.cli import commands
from trainer.experiments import comparison
from trainer.experiments.arms import Budget, Cell
from trainer.experiments.comparison import Comparison, SharedData
from trainer.experiments.engines import Engine, run_experiment
from trainer.experiments.learning_curve import LearningCurve, StudyGrowth
from trainer.experiments.tasks import Start

SMALL = Budget(steps=3, batch=16, pixels=32, width=8, patients=2)
DATA: Any = SharedData(None, None, None)  # type: ignore[arg-type]


def make(folder: Path, **changes: Any) -> Comparison:
    settings = {"arms": ("single ce", "ce"), "kinds": ("mixed",), "sizes": (2,), "seeds": 2, "budget": SMALL}
    return Comparison(folder, **{**settings, **changes})


def measure(cell: Cell, *_: object) -> dict[str, Any]:
    """Return the result of a cell whose errors depend on its recipe."""
    errors = {"difference": [1.0, 2.0] if cell.arm == "ce" else [2.0, 4.0]}
    return {"measured": {"joints": [4.0, 4.0], "no change": [1.0, 1.0], "chosen": errors}}


def make_trunk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a trunk of five steps into the folder, of which nothing but its digest and its steps is read."""
    (folder / "trunk.pt").touch()
    monkeypatch.setattr(comparison, "load_checkpoint", lambda _: {"step": 5})
    monkeypatch.setattr(comparison, "trunk_digest", lambda _: "0123456789ab")


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate no patients, and train nothing."""
    monkeypatch.setattr(Comparison, "shared_data", DATA)
    monkeypatch.setattr(comparison, "run_cell", measure)


class TestNames:
    def test_cells_of_earlier_versions_keep_their_names(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        one: dict[str, Any] = {"arms": ("coupled pair λ1",), "kinds": ("own-borders",), "sizes": (4,)}
        tasks = make(tmp_path, **one, test=78).tasks()
        assert tasks is not None
        assert tasks[1].name == "coupled-pair-d1_own-borders_4_1_5eab97fe2f"
        assert tasks[1].title == "coupled pair λ1, own-borders, 4 patients, seed 1"
        make_trunk(tmp_path, monkeypatch)
        tasks = make(tmp_path, **one, trunk_steps=5, pool=9).tasks()
        assert tasks is not None
        assert tasks[1].name == "coupled-pair-d1_own-borders_4_1_eea20f18cd"
        assert make(tmp_path, trunk_steps=6).tasks() is None, "the trunk is not finished"

    def test_another_process_gets_the_settings_and_no_images(self, tmp_path: Path) -> None:
        what = make(tmp_path)
        what.__dict__["shared_data"] = DATA
        copy = pickle.loads(pickle.dumps(what))
        assert copy == what
        assert "shared_data" not in copy.__dict__


@pytest.mark.usefixtures("instant")
class TestCommand:
    def run(self, out: Path, *more: str) -> None:
        arguments = ["compare", "--out", str(out), "--arm", "single ce", "--arm", "ce", "--rater", "mixed"]
        commands.main([*arguments, "--size", "2", "--seeds", "2", *more], standalone_mode=False)

    def test_parts_fill_one_table(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.run(tmp_path, "--processes", "0")
        assert capsys.readouterr().out == "\n0 of 4 cells are finished.\n\n"
        self.run(tmp_path, "--seconds", "0")
        assert "0 of 4 cells" in capsys.readouterr().out
        self.run(tmp_path, "--part", "1/2")
        found = capsys.readouterr()
        assert found.err == "ce, mixed, 2 patients, seed 0 (1 of 2)\nce, mixed, 2 patients, seed 1 (2 of 2)\n"
        assert "2 of 4 cells" in found.out
        self.run(tmp_path)
        found = capsys.readouterr()
        assert found.err.count("single ce, mixed") == 2
        assert found.err.count("\nce, mixed") == 0, "they are finished"
        assert "| ce | 1 | 0.500 |" in found.out
        assert "4 of 4 cells" in found.out
        assert len(list((tmp_path / "cells").iterdir())) == 4

    def test_a_cell_that_fails_is_named_and_the_others_are_trained(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fail_once(cell: Cell, *_: object) -> dict[str, Any]:
            if (cell.arm, cell.seed) == ("ce", 0):
                raise TrainError("the loss is nan after epoch 1", "ce", "Lower the learning rate")
            return measure(cell)

        monkeypatch.setattr(comparison, "run_cell", fail_once)
        with pytest.raises(SystemExit) as ended:
            self.run(tmp_path)
        assert ended.value.code == 1
        found = capsys.readouterr()
        assert "3 of 4 cells" in found.out
        assert "failed: ce, mixed, 2 patients, seed 0: ce: the loss is nan after epoch 1" in found.err
        monkeypatch.setattr(comparison, "run_cell", measure)
        self.run(tmp_path)
        assert "4 of 4 cells" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--decision", "guess"), "no decision named guess"),
            (("--arm", "best"), "there is no best"),
            (("--pool", "1"), "can't be drawn from 1"),
            (("--part", "2/2"), "not a part"),
            (("--cluster-setting", "mem_gb=4"), "no cluster"),
        ],
    )
    def test_wrong_settings_write_nothing(self, tmp_path: Path, arguments: tuple[str, str], message: str) -> None:
        for processes in ("0", "1", "2"):
            with pytest.raises(TrainError, match=message):
                self.run(tmp_path / "out", "--processes", processes, *arguments)
        assert not (tmp_path / "out").exists()

    def test_a_curve_reports_what_is_finished(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        commands.main(["curve", "--out", str(tmp_path), "--seeds", "2", "--processes", "0"], standalone_mode=False)
        assert capsys.readouterr().out == "0 of 4 studies are finished.\n"


@pytest.mark.usefixtures("instant")
class TestPreparation:
    @pytest.fixture
    def prepared(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        times: list[float] = []
        monkeypatch.setattr(Comparison, "prepare_data", lambda _, until: times.append(until))
        return times

    def test_a_finished_comparison_loads_no_patients(self, tmp_path: Path, prepared: list[float]) -> None:
        what = make(tmp_path)
        for _ in range(2):
            assert run_experiment(what, Start(), Engine(), quiet).finished == 4
        assert len(prepared) == 1

    def test_a_curve_loads_patients_although_the_cells_are_finished(
        self, tmp_path: Path, prepared: list[float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_trunk(tmp_path, monkeypatch)
        what = make(tmp_path, trunk_steps=5, pool=50)
        assert run_experiment(what, Start(), Engine(), quiet).finished == 4
        LearningCurve(what, StudyGrowth("ce", "mixed")).prepare(3.0, quiet)
        assert prepared[1:] == [3.0]

    def test_the_trunk_is_trained_until_the_time_is_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[tuple[Path, float]] = []

        def train(_people: object, _plan: Budget, path: Path, _progress: object, *, until: float) -> bool:
            asked.append((path, until))
            return False

        monkeypatch.setattr(comparison, "train_trunk", train)
        monkeypatch.setattr(comparison, "load_cohort", lambda *_: SimpleNamespace())
        loaded: list[str] = []
        monkeypatch.setattr(Comparison, "shared_data", property(lambda _: loaded.append("data")))
        make(tmp_path, trunk_steps=5).prepare(7.0, quiet)
        assert asked == [(tmp_path / "trunk.pt", 7.0)]
        assert not loaded
