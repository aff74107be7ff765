"""Cross-validation: the folds, what each training sees, the pooled predictions, and the spread over seeds."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
import torch

from ratui.errors import TrainError
from tests.trainer.synthetic import READ_SITES, SmallStudy, make_hands, make_pairs, make_read_study, make_reading, quiet
from trainer.cli import commands
from trainer.data.pairs import select_pairs
from trainer.data.splits import Split, fold_of_case, place_of_case, split_fold
from trainer.evaluation import evaluate_detector, evaluate_scorer
from trainer.evaluation.evaluate import ScorerOutput, evaluate_predictions
from trainer.evaluation.metrics import Metric
from trainer.evaluation.pooling import collect_seed_values, repeat_hands
from trainer.experiments import cross_validation, fold_evaluation, run_set
from trainer.experiments.cross_validation import CrossValidation
from trainer.experiments.engines import Engine, run_experiment
from trainer.experiments.fold_evaluation import evaluate_folds
from trainer.experiments.tasks import Start
from trainer.models.checkpoint_files import load_checkpoint
from trainer.training import scorer_training
from trainer.training.lineage import DataUsed, Lineage, read_lineage
from trainer.training.loop import TrainingPlan
from trainer.training.runs import RunPlan, load_split

CPU = torch.device("cpu")
CASES = tuple(f"C{number}" for number in range(7))
PLAN = RunPlan(TrainingPlan(epochs=1, seed=4), batch=64, width=4, validation=0.0)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallStudy:
    """Return a study in memory that the experiment finds wherever it opens one."""
    small = make_read_study(CASES, tmp_path / "study")
    for module in (cross_validation, fold_evaluation, run_set):
        monkeypatch.setattr(module, "Study", SimpleNamespace(open=lambda _: small))
    return small


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (evaluate_scorer, evaluate_detector):
        monkeypatch.setattr(module, "RESAMPLES", 20)


def make(out: Path, study: SmallStudy, **changes: Any) -> CrossValidation:
    return replace(CrossValidation(out, "scorer", study.path, PLAN, 3, 2, "cpu"), **changes)


class TestFolds:
    def test_a_fold_is_an_interval_of_places_so_growth_moves_no_case(self) -> None:
        cases = [f"P{number}" for number in range(300)]
        for case in cases:
            place, fold = place_of_case(case, 9), fold_of_case(case, 9, 5)
            assert fold / 5 <= place < (fold + 1) / 5
        assert {fold_of_case(case, 9, 5) for case in cases} == set(range(5))
        assert [fold_of_case(case, 9, 5) for case in cases] != [fold_of_case(case, 8, 5) for case in cases]

    def test_a_split_holds_out_one_fold(self) -> None:
        assert split_fold({"b": 1, "a": 0, "d": 1, "c": 2}, 1) == Split(("a", "c"), ("b", "d"))


class TestScorer:
    def test_each_case_is_predicted_by_models_that_did_not_learn_from_it(
        self, study: SmallStudy, tmp_path: Path
    ) -> None:
        experiment = make(tmp_path / "cv", study)
        folds = {case: fold_of_case(case, 4, 3) for case in CASES}
        assert len(set(folds.values())) == 3
        outcome = run_experiment(experiment, Start(part=(0, 2)), Engine(), quiet)
        assert (outcome.finished, outcome.total) == (3, 6)
        stored = (tmp_path / "cv" / "runs" / "seed-4-fold-0" / "model.pt").stat().st_mtime_ns
        # A case that is signed later belongs to the next cross-validation: all trainings have the same cases.
        study.readings["later"] = (make_reading("ada", 1),)
        outcome = run_experiment(experiment, Start(), Engine(), quiet)
        assert (outcome.finished, outcome.failures) == (6, ())
        assert (tmp_path / "cv" / "runs" / "seed-4-fold-0" / "model.pt").stat().st_mtime_ns == stored
        weights = []
        for seed in (4, 5):
            for fold in range(3):
                run = experiment.run_folder(seed, fold)
                lineage = read_lineage(run / "model.pt")
                others = {case for case in CASES if folds[case] != fold}
                assert lineage.seen_cases("S") == others
                assert lineage.data[0].count == len(others) * len(READ_SITES)
                assert lineage.seed == seed
                assert load_split(run) == split_fold(folds, fold)
                assert not (run / "samples").exists(), "all trainings share one file of images"
                model = load_checkpoint(run / "model.pt")["model"]
                weights.append(sum(float(value.double().sum()) for value in model.values()))
        assert len(set(weights)) == 6
        assert len(list((tmp_path / "cv" / "samples").iterdir())) == 1

        results = evaluate_folds(experiment, CPU)
        assert results.cases == CASES
        assert (results.joints, results.folds, results.seeds) == (14, 3, (4, 5))
        assert len(results.change_errors) == 2 * 14 * 2, "each label counts for each seed"
        for metric, spread in zip((*results.headline, *results.other_metrics), results.seed_values, strict=True):
            assert metric.name == spread.name
            assert metric.value == pytest.approx(np.mean(spread.values), nan_ok=True)

    def test_predictions_are_those_of_the_own_fold(
        self, study: SmallStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        experiment = make(tmp_path / "cv", study, seeds=1)
        folds = experiment.fold_of_cases()
        monkeypatch.setattr(fold_evaluation, "load_scorers", lambda runs, _: (runs[0],))
        monkeypatch.setattr(fold_evaluation, "join_losses", lambda _: "pair")

        def score(scorers: list[Path], part: Any) -> list[np.ndarray]:
            assert {folds[case] for case in part.cases} == {int(scorers[0].name[-1])}
            found = np.array([float(case[1:]) for case in part.cases])
            return [np.tile(found[:, None, None], (1, 6, 6)), np.tile(found[:, None, None], (1, 5, 5))]

        monkeypatch.setattr(fold_evaluation, "score_samples", score)
        ((_, output), _) = fold_evaluation._predict_pairs(experiment, study, CASES, folds, CPU)  # type: ignore[arg-type]
        assert output is not None
        for table in output.probabilities[0]:
            assert table[:, 0, 0].tolist() == [float(case[1:]) for case in output.pairs.cases]

    def test_cases_of_a_parent_are_left_out(
        self, study: SmallStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        experiment = make(tmp_path / "cv", study, seeds=1)
        folds = experiment.fold_of_cases()
        parent = Lineage("scorer", data=(DataUsed.of_study("S", 2, ("C1", "C5", "gone"), ""),))

        def lineage(file: Path) -> Lineage:
            fold = int(file.parent.name[-1])
            own = tuple(case for case in CASES if folds[case] != fold)
            return Lineage("scorer", data=(DataUsed.of_study("S", 2, own, ""),), parent=parent)

        asked: list[tuple[str, ...]] = []

        def note(_experiment: object, _study: object, cases: tuple[str, ...], *_: object) -> Any:
            asked.append(cases)
            raise InterruptedError

        monkeypatch.setattr(fold_evaluation, "read_lineage", lineage)
        monkeypatch.setattr(fold_evaluation, "_predict_pairs", note)
        with pytest.raises(InterruptedError):
            evaluate_folds(experiment, CPU)
        assert asked == [("C0", "C2", "C3", "C4", "C6")]

    def test_weights_that_have_seen_everything_are_refused_at_the_start(
        self, study: SmallStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parent = Lineage("scorer", data=(DataUsed.of_study("S", 2, CASES, ""),))
        monkeypatch.setattr(cross_validation, "read_parent", lambda _: parent)
        with pytest.raises(TrainError, match="every signed case"):
            make(tmp_path / "cv", study).tasks()
        assert not (tmp_path / "cv").exists()


class TestSettings:
    def test_other_settings_are_refused_and_named_but_more_seeds_are_not(
        self, study: SmallStudy, tmp_path: Path
    ) -> None:
        assert len(make(tmp_path / "cv", study).tasks()) == 6
        assert len(make(tmp_path / "cv", study, seeds=3).tasks()) == 9
        for changes, text in (
            ({"folds": 4}, "folds: 3 before, 4 now"),
            ({"plan": replace(PLAN, width=8)}, "width: 4 before, 8 now"),
            ({"plan": replace(PLAN, training=replace(PLAN.training, seed=5))}, "seed: 4 before, 5 now"),
            ({"model": "detector"}, "model: scorer before, detector now"),
        ):
            with pytest.raises(TrainError, match=text):
                make(tmp_path / "cv", study, **changes).tasks()

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"plan": replace(PLAN, loss="best")}, "no loss named best"),
            ({"plan": replace(PLAN, weights=Path("none.pt"))}, "no such checkpoint"),
            ({"folder": Path("study/cv")}, "can't be inside the study"),
        ],
    )
    def test_impossible_settings_write_nothing(
        self, study: SmallStudy, tmp_path: Path, changes: dict[str, Any], message: str
    ) -> None:
        out = tmp_path / changes.pop("folder", "cv")
        with pytest.raises(TrainError, match=message):
            make(out, study, **changes).tasks()
        assert not out.exists()

    def test_one_case_is_no_cross_validation(self, study: SmallStudy, tmp_path: Path) -> None:
        study.readings = {"C0": study.readings["C0"]}
        with pytest.raises(TrainError, match="less than two of the folds"):
            make(tmp_path / "cv", study).tasks()

    @pytest.mark.parametrize("content", ["{", "[]", '{"facts": {}}', '{"facts": 3, "cases": {}}'])
    def test_a_damaged_record_is_one_error(self, study: SmallStudy, tmp_path: Path, content: str) -> None:
        (tmp_path / "folds.json").write_text(content)
        with pytest.raises(TrainError, match=r"can't be read|other settings"):
            make(tmp_path, study).tasks()

    def test_a_run_of_another_split_is_not_continued(self, study: SmallStudy, tmp_path: Path) -> None:
        experiment = make(tmp_path / "cv", study, seeds=1)
        run = experiment.run_folder(4, 0)
        experiment.run(experiment.tasks()[0])
        (run / "model-card.md").unlink()
        split = json.loads((run / "split.json").read_text())
        (run / "split.json").write_text(json.dumps({"train": split["train"][1:], "test": split["test"]}))
        outcome = run_experiment(experiment, Start(part=(0, 3)), Engine(), quiet)
        ((_, error),) = outcome.failures
        assert "another split of the cases" in error


def test_the_rows_of_some_cases() -> None:
    samples = replace(make_pairs(np.arange(24).reshape(6, 1, 2, 2) % 3), single_times={1: 0, 3: 0, 4: 1})
    part = select_pairs(samples, {"C2", "C0"})
    rows = [0, 1, 4, 5]
    assert part.cases == ("C0", "C0", "C2", "C2")
    assert part.sites == tuple(samples.sites[row] for row in rows)
    for name in ("crops", "labels", "max_grades", "groups", "has_finding"):
        assert np.array_equal(np.asarray(getattr(part, name)), getattr(samples, name)[rows])
    assert part.single_times == {1: 0, 2: 1}
    with pytest.raises(TrainError, match="none of these cases"):
        select_pairs(samples, {"D"})


def test_pooled_metrics_are_means_over_the_models() -> None:
    pairs = make_pairs([[[(0, 1), (0, 0)]], [[(0, 2), (0, 0)]], [[(1, 1), (0, 0)]], [[(0, 3), (0, 0)]]])

    def sure(answers: list[tuple[int, int]]) -> list[np.ndarray]:
        table = np.zeros((4, 4, 4))
        table[range(4), [a for a, _ in answers], [b for _, b in answers]] = 1.0
        return [table, np.tile(np.eye(3)[0][:, None] * np.eye(3)[0], (4, 1, 1))]

    right, wrong = sure([(0, 1), (0, 2), (1, 1), (0, 3)]), sure([(0, 0), (0, 0), (1, 1), (0, 0)])
    results = evaluate_predictions(
        ("C0", "C1"), None, ScorerOutput(pairs, (right, wrong), "pair"), np.random.default_rng(0), decision="median"
    )
    error = results.headline[0]
    assert error.name == "ERO, mean error of the difference"
    assert error.value == pytest.approx((0 + (1 + 2 + 0 + 3) / 4) / 2)
    assert error.baseline == pytest.approx(6 / 4)
    by_name = {metric.name: metric.value for metric in results.other_metrics}
    assert by_name["ERO, mean error of the score of one time point"] == pytest.approx((0 + (1 + 2 + 0 + 3) / 8) / 2)


def test_the_values_of_each_seed() -> None:
    def metrics(*values: float) -> list[Metric]:
        return [Metric(name, value, 0.0, 1.0, "lower", "%") for name, value in zip("ab", values, strict=True)]

    first, second = collect_seed_values([metrics(1, 5), metrics(2, 5), metrics(6, 5)])
    assert (first.name, first.unit, first.values, first.mean) == ("a", "%", (1, 2, 6), 3)
    assert first.deviation == pytest.approx(np.sqrt((4 + 1 + 9) / 2))
    assert (second.name, second.values, second.deviation) == ("b", (5, 5, 5), 0)
    assert np.isnan(collect_seed_values([metrics(1, 5)])[0].deviation)


def test_hands_are_repeated_with_everything_but_their_images() -> None:
    boxes = np.arange(16.0).reshape(2, 2, 4)
    hands = replace(make_hands(("A", "B"), boxes, [[0, 1], [1, 0]]), sides=("L", "R"))
    found = repeat_hands(hands, 3)
    assert len(found.images) == 0
    assert found.boxes.tolist() == boxes.tolist() * 3
    assert found.findings.tolist() == [[0, 1], [1, 0]] * 3
    assert found.cases == ("A", "B") * 3
    assert found.films == ("film0", "film1") * 3
    assert found.sides == ("L", "R") * 3
    assert found.frames == hands.frames * 3


def test_each_hand_is_searched_by_the_detector_of_its_fold(
    study: SmallStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = make(tmp_path / "cv", study, model="detector")
    folds = experiment.fold_of_cases()
    cases = tuple(case for case in CASES for _ in range(2))
    hands = make_hands(cases, np.tile([[[10.0, 10, 20, 20]] * 2], (14, 1, 1)), np.zeros((14, 2)))
    hands = replace(hands, images=np.arange(14, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8))
    monkeypatch.setattr(fold_evaluation, "load_hand_samples", lambda *_, independent: hands if independent else None)
    monkeypatch.setattr(fold_evaluation, "load_detector", lambda run, _: run.name)
    monkeypatch.setattr(
        fold_evaluation, "find_joints", lambda model, images, _: [{model: int(image[0, 0])} for image in images]
    )
    outputs = fold_evaluation._detect(experiment, study, CASES, folds, CPU)  # type: ignore[arg-type]
    wanted = [[{f"seed-{seed}-fold-{folds[case]}": row} for row, case in enumerate(cases)] for seed in (4, 5)]
    assert [output.found for output, _ in outputs if output] == [wanted, [wanted[0]], [wanted[1]]]


class TestCommand:
    def run(self, *arguments: str) -> None:
        commands.main(["folds", "study", "--out", "cv", *arguments], standalone_mode=False)

    def test_an_option_of_the_other_model_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        for arguments in (("--phantoms", "3"), ("--model", "detector", "--width", "8")):
            with pytest.raises(TrainError, match="it is an option of the"):
                self.run(*arguments)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        "arguments", [("--folds", "1"), ("--seeds", "0"), ("--processes", "-1"), ("--rate", "nan")]
    )
    def test_a_number_without_meaning_is_refused(self, arguments: tuple[str, str]) -> None:
        with pytest.raises(click.BadParameter):
            self.run(*arguments)

    def test_other_wrong_options(self) -> None:
        for arguments, message in (
            (("--decision", "guess"), "no decision"),
            (("--part", "2/2"), "not a part"),
            (("--cluster-setting", "mem_gb=4"), "no cluster"),
        ):
            with pytest.raises(TrainError, match=message):
                self.run(*arguments)

    def test_the_report_is_printed_and_a_failure_is_an_exit_code(
        self, study: SmallStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        arguments = ["folds", str(study.path), "--out", str(tmp_path / "cv"), "--folds", "3", "--seed", "4"]
        arguments += ["--epochs", "1", "--width", "4", "--validation", "0", "--device", "cpu"]
        monkeypatch.setattr("trainer.cli.run_sets.print_notices", lambda _: None)
        monkeypatch.setattr("trainer.cli.run_sets.Study", SimpleNamespace(open=lambda _: study))
        real = scorer_training.make_batch_loss
        bad = torch.tensor(float("nan"), requires_grad=True)
        monkeypatch.setattr(scorer_training, "make_batch_loss", lambda *_, **__: lambda *_: bad)
        with pytest.raises(SystemExit) as ended:
            commands.main(arguments, standalone_mode=False)
        assert ended.value.code == 1
        found = capsys.readouterr()
        assert "0 of 3 trainings are finished." in found.out
        assert "failed: seed 4, fold 0: " in found.err
        assert "the loss is nan" in found.err
        monkeypatch.setattr(scorer_training, "make_batch_loss", real)
        commands.main(arguments, standalone_mode=False)
        text = capsys.readouterr().out
        assert "7 cases (14 joints) in 3 folds" in text
        assert "| metric | mean | standard deviation | seed 4 |" in text
        stored = json.loads((tmp_path / "cv" / "report" / "report.json").read_text())
        assert stored["seed_values"][0]["values"] == [stored["headline"][0]["value"]]
        assert (stored["folds"], stored["seeds"]) == (3, [4])
