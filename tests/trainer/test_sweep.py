"""The sweep: what its trainings see, what they are measured on, and the choice of the best combination."""

import json
import shlex
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
import torch

from ratui.errors import TrainError
from tests.trainer.synthetic import SmallReading, SmallStudy, make_read_study, make_reading, quiet
from trainer.cli import commands, run_sets, training
from trainer.cli.training import make_plan
from trainer.data.splits import pick_validation_cases, split_cases
from trainer.experiments import run_set, sweep
from trainer.experiments.engines import Engine, run_experiment
from trainer.experiments.sweep import Combination, Measures, Sweep
from trainer.experiments.sweep_table import SweepResults, collect_results
from trainer.experiments.tasks import Start
from trainer.models.checkpoint_files import load_checkpoint, save_checkpoint
from trainer.training.lineage import read_lineage
from trainer.training.loop import TrainingPlan
from trainer.training.runs import RunPlan, load_split

CASES = tuple(f"C{number}" for number in range(12))
SPLIT = split_cases(CASES, seed=4)
PLAN = RunPlan(TrainingPlan(epochs=1, seed=4), batch=64, width=4, validation=0.4)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallStudy:
    """Return a study in memory that the sweep and the training commands find wherever they open one."""
    small = make_read_study(CASES, tmp_path / "study")
    for module in (sweep, run_set, run_sets, training):
        monkeypatch.setattr(module, "Study", SimpleNamespace(open=lambda _: small))
    for module in (run_sets, training):
        monkeypatch.setattr(module, "print_notices", lambda _: None)
    return small


def vary(plan: RunPlan = PLAN, **values: tuple[Any, ...]) -> tuple[Combination, ...]:
    """Return a combination for each place in the lists of `values`; those of `rate` and `loss` change the plan."""
    found = []
    for row in zip(*values.values(), strict=True):
        settings = dict(zip(values, row, strict=True))
        rate = settings.get("rate", plan.training.rate)
        changed = replace(plan, training=replace(plan.training, rate=rate), loss=settings.get("loss", plan.loss))
        found.append(Combination(settings, changed))
    return tuple(found)


def make(out: Path, study: SmallStudy, **changes: Any) -> Sweep:
    return replace(Sweep(out, "scorer", study.path, PLAN, vary(rate=(0.002, 0.004)), 2, "cpu"), **changes)


class TestTrainings:
    def test_trainings_share_their_cases_and_only_validation_cases_are_measured(
        self, study: SmallStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        experiment = make(tmp_path / "sweep", study)
        measured: list[set[str]] = []
        real = sweep.score_samples

        def score(scorers: Any, pairs: Any) -> Any:
            measured.append(set(pairs.cases))
            return real(scorers, pairs)

        monkeypatch.setattr(sweep, "score_samples", score)
        outcome = run_experiment(experiment, Start(part=(0, 4)), Engine(), quiet)
        assert (outcome.finished, outcome.total, outcome.failures) == (1, 4, ())
        first = experiment.run_folder(experiment.combinations[0], 4)
        stored = (first / "model.pt").stat().st_mtime_ns
        study.readings["later"] = (make_reading("ada", 1),)  # it belongs to the next sweep
        outcome = run_experiment(experiment, Start(), Engine(), quiet)
        assert (outcome.finished, outcome.failures) == (4, ())
        assert (first / "model.pt").stat().st_mtime_ns == stored
        kept = {seed: set(pick_validation_cases(SPLIT.train, seed=seed, share=0.4)) for seed in (4, 5)}
        assert measured == [kept[4], kept[4], kept[5], kept[5]]
        assert kept[4] != kept[5]
        for seed in (4, 5):
            for combination in experiment.combinations:
                run = experiment.run_folder(combination, seed)
                assert load_split(run) == SPLIT
                assert read_lineage(run / "model.pt").seen_cases("S") == set(SPLIT.train)
                assert json.loads((run / "config.json").read_text())["plan"]["fit"]["seed"] == seed
                about = load_checkpoint(run / "model.pt")["about"]
                (found,) = (each for each in experiment.measures(combination) if each.loss == about["validation_loss"])
                assert (found.epoch, found.cases) == (1, len(kept[seed]))

    def test_errors_are_means_over_the_scores_of_the_validation_cases(
        self, study: SmallStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        experiment = make(tmp_path / "sweep", study, seeds=1)
        save_about(monkeypatch, validation_loss=0.5, epoch=7, validation_cases=3)
        monkeypatch.setattr(sweep, "load_scorers", lambda *_: ())

        def always_zero(_: object, pairs: Any) -> list[np.ndarray]:
            tables = [np.zeros((len(pairs.cases), grades, grades)) for grades in pairs.grades]
            for table in tables:
                table[:, 0, 0] = 1
            return tables

        monkeypatch.setattr(sweep, "score_samples", always_zero)
        experiment.run(experiment.tasks()[0])
        kept = [int(case[1:]) for case in pick_validation_cases(SPLIT.train, seed=4, share=0.4)]
        scores = [
            [(case + rater + site + time) % 3 for time in (0, 1)]
            for case in kept
            for rater in (0, 1)
            for site in (0, 1)
        ]
        found = json.loads((experiment.run_folder(experiment.combinations[0], 4) / "validation.json").read_text())
        assert (found["loss"], found["epoch"], found["cases"]) == (0.5, 7, 3)
        assert found["change"] == pytest.approx(np.mean([abs(b - a) for a, b in scores]))
        assert found["grade"] == pytest.approx(np.mean(scores))

    def test_a_detector_has_its_loss_only(
        self, study: SmallStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        experiment = make(tmp_path / "sweep", study, model="detector", seeds=1)
        save_about(monkeypatch, validation_loss=0.5, epoch=7, validation_cases=3)
        assert run_experiment(experiment, Start(), Engine(), quiet).finished == 2
        assert experiment.measures(experiment.combinations[0]) == (Measures(0.5, 7, 3),)
        assert (tmp_path / "sweep" / "samples").exists()

    def test_a_training_without_a_validation_loss_fails(
        self, study: SmallStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        experiment = make(tmp_path / "sweep", study, seeds=1)
        save_about(monkeypatch)
        with pytest.raises(TrainError, match="with seed 4, none of the 7 training cases"):
            experiment.run(experiment.tasks()[0])


def save_about(monkeypatch: pytest.MonkeyPatch, **about: Any) -> None:
    """Replace the training by one that writes a model with these facts."""

    def train(_model: str, _study: Path, out: Path, plan: RunPlan, *_: object) -> None:
        assert plan.resume
        out.mkdir(parents=True)
        save_checkpoint(out / "model.pt", {"model": {}, "about": about})

    monkeypatch.setattr(sweep, "train_run", train)


class TestPossibleSettings:
    def test_other_settings_are_refused_but_more_seeds_and_combinations_are_not(
        self, study: SmallStudy, tmp_path: Path
    ) -> None:
        names = [task.name for task in make(tmp_path / "sweep", study).tasks()]
        more = make(tmp_path / "sweep", study, seeds=3, combinations=vary(rate=(0.004, 0.008, 0.002))).tasks()
        assert len(more) == 9
        assert set(names) < {task.name for task in more}
        with pytest.raises(TrainError, match="with seed 8, none of the 7"):
            make(tmp_path / "sweep", study, seeds=5).tasks()
        for changes, text in (
            ({"plan": replace(PLAN, width=8)}, "width: 4 before, 8 now"),
            ({"plan": replace(PLAN, training=replace(PLAN.training, seed=5))}, "seed: 4 before, 5 now"),
            ({"model": "detector"}, "model: scorer before, detector now"),
        ):
            with pytest.raises(TrainError, match=text):
                make(tmp_path / "sweep", study, **changes).tasks()

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"combinations": vary(loss=("pair", "best"))}, "no loss named best"),
            ({"plan": replace(PLAN, validation=0.0)}, "needs validation cases"),
            ({"plan": replace(PLAN, validation=0.01)}, "with seed 4, none of the 7 training cases is kept"),
            ({"seeds": 5}, "with seed 8, none of the 7 training cases is kept"),
            ({"folder": Path("study/sweep")}, "can't be inside the study"),
        ],
    )
    def test_impossible_settings_write_nothing(
        self, study: SmallStudy, tmp_path: Path, changes: dict[str, Any], message: str
    ) -> None:
        out = tmp_path / changes.pop("folder", "sweep")
        with pytest.raises(TrainError, match=message):
            make(out, study, **changes).tasks()
        assert not out.exists()

    def test_validation_cases_without_a_score_are_an_error_before_any_training(
        self, study: SmallStudy, tmp_path: Path
    ) -> None:
        for case in pick_validation_cases(SPLIT.train, seed=5, share=0.4):
            study.readings[case] = (SmallReading("ada"),)
        with pytest.raises(TrainError, match="with seed 5, none of the 7"):
            run_experiment(make(tmp_path / "sweep", study), Start(), Engine(), quiet)
        assert not (tmp_path / "sweep" / "runs").exists()

    @pytest.mark.parametrize("content", ["{", "[]", '{"facts": {}}'])
    def test_a_damaged_record_is_one_error(self, study: SmallStudy, tmp_path: Path, content: str) -> None:
        (tmp_path / "sweep.json").write_text(content)
        with pytest.raises(TrainError, match=r"can't be read|other settings"):
            make(tmp_path, study).tasks()

    @pytest.mark.parametrize(
        "content", ["{", "[]", "{}", '{"loss": NaN, "epoch": 1, "cases": 2}', '{"loss": "a", "epoch": 1, "cases": 2}']
    )
    def test_damaged_measures_are_one_error(self, study: SmallStudy, tmp_path: Path, content: str) -> None:
        experiment = make(tmp_path, study, seeds=1)
        run = experiment.run_folder(experiment.combinations[0], 4)
        run.mkdir(parents=True)
        (run / "validation.json").write_text(content)
        with pytest.raises(TrainError, match="Delete it"):
            collect_results(experiment)


class TestChoice:
    def results(self, experiment: Sweep, *rows: tuple[Measures | None, ...]) -> SweepResults:
        """Return the results for measures by combination and seed."""
        for combination, measures in zip(experiment.combinations, rows, strict=True):
            for seed, each in zip(experiment.all_seeds(), measures, strict=True):
                if each is not None:
                    run = experiment.run_folder(combination, seed)
                    run.mkdir(parents=True)
                    (run / "validation.json").write_text(json.dumps(asdict(each)))
        return collect_results(experiment)

    def test_the_smallest_mean_loss_over_the_seeds_is_best(self, study: SmallStudy, tmp_path: Path) -> None:
        experiment = make(tmp_path, study, combinations=vary(rate=(0.1, 0.2, 0.3)))
        found = self.results(
            experiment,
            (Measures(1.0, 3, 2, 0.1, 0.1), Measures(5.0, 4, 3, 0.1, 0.1)),
            (Measures(2.0, 5, 2, 0.2, 0.3), Measures(2.5, 6, 3, 0.4, 0.3)),
            (Measures(0.5, 1, 2), None),
        )
        assert [combination.settings["rate"] for combination, _ in found.rows] == [0.2, 0.1]
        assert (found.finished, found.total, found.measure) == (5, 6, "validation loss")
        text = found.format_markdown("ratui-train scorer STUDY")
        assert "| 1 | 0.2 | 2.2500 ± 0.3536 | 0.3000 ± 0.1414 | 0.3000 ± 0.0000 | 0.0000 ± 0.0000 | 5, 6 |" in text
        assert "| 2 | 0.1 | 3.0000 ± 2.8284 | 0.1000 ± 0.0000 | 0.1000 ± 0.0000 | 0.7500 ± 2.4749 | 3, 4 |" in text
        assert "5 of 6 trainings are finished." in text
        assert "Combinations of which a seed is missing are left out" in text
        assert "the smallest of 2, so this value is optimistic" in text
        assert "Nothing was measured on 5 held-out cases" in text
        assert "Validation cases: 2, 3 of 7 training cases" in text
        assert f"{experiment.run_folder(experiment.combinations[1], 4)}. This command" in text
        assert text.endswith("    ratui-train scorer STUDY\n")
        record = found.to_record("ratui-train scorer STUDY")
        assert record["best"] == {"settings": {"rate": 0.2}, "command": "ratui-train scorer STUDY"}
        assert record["combinations"][1]["mean"] == 3.0
        assert record["combinations"][1]["by_seed"][0]["change"] == 0.1

    def test_with_other_losses_the_errors_decide(self, study: SmallStudy, tmp_path: Path) -> None:
        experiment = make(tmp_path, study, seeds=1, combinations=vary(loss=("pair", "emd", "ce")))
        found = self.results(
            experiment,
            (Measures(0.1, 1, 2, 0.3, 0.1),),
            (Measures(9.0, 1, 2, 0.2, 0.6),),
            (Measures(8.0, 1, 2, 0.2, 0.5),),
        )
        assert [combination.settings["loss"] for combination, _ in found.rows] == ["ce", "emd", "pair"]
        text = found.format_markdown("")
        assert "| rank | loss | error of the change | error of the grade | best epoch |" in text
        assert "Losses are not shown" in text
        assert "Sorted by the error of the change." in text

    def test_without_scores_at_both_time_points_the_grade_decides(self, study: SmallStudy, tmp_path: Path) -> None:
        experiment = make(tmp_path, study, seeds=1, combinations=vary(loss=("pair", "emd")))
        found = self.results(experiment, (Measures(0.1, 1, 2, None, 0.6),), (Measures(9.0, 1, 2, None, 0.5),))
        assert [combination.settings["loss"] for combination, _ in found.rows] == ["emd", "pair"]
        assert "| rank | loss | error of the grade | best epoch |" in found.format_markdown("")

    @pytest.mark.parametrize("name", ["loss", "difference", "class-weights"])
    def test_what_changes_the_loss_makes_it_incomparable(self, study: SmallStudy, tmp_path: Path, name: str) -> None:
        assert make(tmp_path, study, combinations=(Combination({"rate": 1, name: 1}, PLAN),)).varies_loss
        assert not make(tmp_path, study, combinations=(Combination({"rate": 1, "width": 1}, PLAN),)).varies_loss


class TestCommand:
    def run(self, out: Path, *arguments: str) -> None:
        words = ["sweep", "study", "--out", str(out), "--seed", "4", "--validation", "0.4", "--epochs", "1"]
        commands.main([*words, "--device", "cpu", *arguments], standalone_mode=False)

    def test_the_best_command_trains_the_model_of_the_table_again(
        self, study: SmallStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.run(tmp_path / "sweep", "--vary", "rate=0.002,0.01", "--vary", "width=4", "--no-amp")
        text = capsys.readouterr().out
        assert "2 of 2 trainings are finished." in text
        assert text == (tmp_path / "sweep" / "results.md").read_text() + "\n"
        found = json.loads((tmp_path / "sweep" / "results.json").read_text())
        command = found["best"]["command"]
        assert f"    {command}\n" in text
        program, *words = shlex.split(command)
        assert program == "ratui-train"
        commands.main(words, standalone_mode=False)
        run = found["combinations"][0]["runs"][0]
        one, two = (load_checkpoint(tmp_path / "sweep" / path / "model.pt") for path in ("best", f"runs/{run}"))
        assert all(torch.equal(one["model"][name], two["model"][name]) for name in two["model"])
        assert one["about"]["validation_loss"] == found["combinations"][0]["mean"]

    @pytest.mark.parametrize(
        ("model", "arguments", "settings"),
        [
            ("scorer", ["--no-amp", "--deterministic", "--samples", "a b"], {"rater-model": "leaning", "width": 24}),
            ("scorer", ["--batch", "8", "--pairing", "single", "--held-out", "0.3"], {"rate": 1e-05}),
            ("detector", ["--refiner-only", "--weights", "shipped", "--phantoms", "3"], {"batch": 7}),
        ],
    )
    def test_the_command_has_all_settings(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        model: str,
        arguments: list[str],
        settings: dict[str, Any],
    ) -> None:
        words = ["study", "--out", "sweep", "--model", model, *arguments]
        context = run_sets.sweep.make_context("sweep", words)
        values = run_sets._read_options(context, model, context.params)
        command = run_sets._training_command(model, Path("study"), tmp_path / "best", values, settings)
        program, name, *rest = shlex.split(command)
        assert (program, name) == ("ratui-train", model)
        parsed = run_sets._COMMANDS[model].make_context(model, rest).params
        assert (parsed["study"], parsed["out"]) == (Path("study"), tmp_path / "best")
        wanted = run_sets._vary(values, settings)
        assert replace(make_plan(parsed["batch"], parsed), resume=True) == wanted
        for option, value in settings.items():
            assert parsed[option.replace("-", "_")] == value

    def test_a_training_that_fails_is_named_and_the_others_are_sorted(
        self, study: SmallStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def train(_model: str, _study: Path, out: Path, plan: RunPlan, *_: object) -> None:
            if plan.training.rate == 5:
                raise TrainError("the loss is nan after epoch 1", out, "Lower the learning rate")
            out.mkdir(parents=True)
            about = {"validation_loss": plan.training.rate, "epoch": 1, "validation_cases": 2}
            save_checkpoint(out / "model.pt", {"model": {}, "about": about})

        monkeypatch.setattr(sweep, "train_run", train)
        arguments = ("--vary", "rate=9,5,1", "--model", "detector")
        with pytest.raises(SystemExit) as ended:
            self.run(tmp_path, *arguments)
        assert ended.value.code == 1
        found = capsys.readouterr()
        assert "failed: rate 5.0, seed 4: " in found.err
        assert "the loss is nan" in found.err
        assert "| 1 | 1.0 | 1.0000 | 1 |\n| 2 | 9.0 | 9.0000 | 1 |" in found.out
        assert "2 of 3 trainings are finished" in found.out
        assert "ratui-train detector study" in found.out

    def test_without_a_finished_training_there_is_no_choice(
        self, study: SmallStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.run(tmp_path, "--vary", "rate=1e-3..1e-2", "--draws", "3", "--processes", "0")
        assert capsys.readouterr().out == "0 of 3 trainings are finished.\n\n"
        assert json.loads((tmp_path / "results.json").read_text())["best"] is None

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--vary", "rate=0"), "rate=0: 0.0 is not in the range x>0. Give"),
            (("--vary", "seed=1,2"), "no setting seed to vary"),
            (("--vary", "phantoms=3"), "no setting phantoms to vary"),
            (("--vary", "loss=ce", "--model", "detector"), "no setting loss to vary. Take from: rate, epochs"),
            (("--vary", "width=4", "--width", "8"), "width varies"),
            (("--vary", "epochs=3"), "epochs varies"),
            (("--vary", "rate=1..2"), "rate has a range"),
            (("--vary", "pairing=both"), "pairing=both"),
            (("--vary", "rate=1", "--part", "2/2"), "not a part"),
        ],
    )
    def test_a_wrong_option_is_one_error(
        self, study: SmallStudy, tmp_path: Path, arguments: tuple[str, ...], message: str
    ) -> None:
        with pytest.raises(TrainError) as raised:
            self.run(tmp_path / "sweep", *arguments)
        assert message in str(raised.value)
        assert not (tmp_path / "sweep").exists()

    def test_the_number_of_epochs_has_no_effect_with_a_time_limit(self, tmp_path: Path) -> None:
        words = ["sweep", "study", "--out", str(tmp_path / "sweep"), "--vary", "epochs=3,4", "--seconds", "5"]
        with pytest.raises(TrainError, match="no effect"):
            commands.main(words, standalone_mode=False)

    def test_a_number_without_meaning_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(click.BadParameter):
            self.run(tmp_path, "--vary", "rate=1", "--draws", "0")
