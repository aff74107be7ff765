"""Splits that growth does not change, the lineage of models, and evaluations that leave out what their lineage has seen."""

import json
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from ratui.errors import TrainError
from ratui.reading import Reading
from ratui.study import RegionSource, Study
from tests.trainer.test_runs import ALONE, CPU, plan
from trainer.data.hands import load_hand_samples
from trainer.data.pairs import drop_fixed_scores, load_pair_samples
from trainer.data.splits import Split, split_cases
from trainer.evaluation.evaluate import evaluate_models
from trainer.evaluation.report import write_report
from trainer.models.checkpoint_files import load_checkpoint, save_checkpoint
from trainer.models.detector import build_detector
from trainer.shipped import SHIPPED_RUN
from trainer.training.detector_training import train_detector
from trainer.training.lineage import DataUsed, Lineage, digest_of_file, read_lineage
from trainer.training.runs import make_lineage, start_run
from trainer.training.scorer_training import train_scorer

CASES = [f"C-{number}" for number in range(400)]


class TestSplit:
    def test_no_case_changes_its_side_when_a_study_grows(self) -> None:
        order = random.Random(5).sample(CASES, len(CASES))
        for seed in (0, 3):
            splits = [split_cases(order[:count], seed=seed) for count in (40, 41, 60, 200, 400)]
            for early, late in pairwise(splits):
                assert set(early.train) <= set(late.train)
                assert set(early.test) <= set(late.test)

    @pytest.mark.parametrize("held_out", [0.1, 0.25, 0.5])
    def test_about_the_share_is_held_out(self, held_out: float) -> None:
        split = split_cases(CASES, held_out=held_out)
        assert len(split.test) == pytest.approx(400 * held_out, abs=4 * (400 * held_out * (1 - held_out)) ** 0.5)
        assert sorted((*split.train, *split.test)) == sorted(CASES)

    def test_few_cases_fill_both_sides(self) -> None:
        for first in range(100):
            split = split_cases(CASES[first : first + 2])
            assert len(split.train) == len(split.test) == 1

    @pytest.mark.parametrize("held_out", [0.0, 1.0, -1.0, float("nan")])
    def test_a_share_that_holds_out_nothing_or_all_is_rejected(self, held_out: float) -> None:
        with pytest.raises(TrainError, match="can't be held out"):
            split_cases(CASES, held_out=held_out)


def lineage_of(*cases: str, study: str = "S", parent: Lineage | None = None) -> Lineage:
    return Lineage("scorer", "2026-01-31", 7, (DataUsed.of_study(study, 9, cases, "ab"),), {"torch": "2"}, parent)


class TestLineage:
    def test_the_cases_of_all_generations_count(self) -> None:
        grandparent = lineage_of("c", study="S")
        child = lineage_of("a", parent=lineage_of("b", study="T", parent=grandparent))
        assert child.seen_cases("S") == {"a", "c"}
        assert child.seen_cases("T") == {"b"}
        assert child.is_fully_known()
        unknown = replace(grandparent, parent=Lineage("weights of others", is_known=False))
        assert not replace(child, parent=unknown).is_fully_known()

    def test_a_record_is_read_back(self) -> None:
        child = lineage_of("a", parent=lineage_of("b"))
        assert Lineage.from_record(json.loads(json.dumps(child.to_record()))) == child

    @pytest.mark.parametrize(
        "change",
        [
            {"model": 3},
            {"model": "x" * 300},
            {"begun": "yesterday"},
            {"seed": "many"},
            {"data": [{"kind": "study"}]},
            {"data": [{"kind": "rumour", "id": "", "count": 0, "cases": [], "digest": ""}]},
            {"data": 3},
            {"parent": [1]},
            {"versions": None},
        ],
    )
    def test_a_damaged_record_is_rejected(self, change: dict[str, object]) -> None:
        with pytest.raises(ValueError, match=r"no (lineage|data|short text)|invalid|Invalid"):
            Lineage.from_record({**lineage_of("a").to_record(), **change})

    def test_endless_parents_are_rejected(self) -> None:
        record = lineage_of("a").to_record()
        record["parent"] = record
        with pytest.raises(ValueError, match="no lineage"):
            Lineage.from_record(record)

    def test_text_of_a_checkpoint_is_cleaned(self) -> None:
        record = {**lineage_of("a").to_record(), "model": "scorer\x1b[2J"}
        assert "\x1b" not in Lineage.from_record(record).model

    def test_the_shipped_detector_learned_from_simulated_films(self) -> None:
        lineage = read_lineage(SHIPPED_RUN / "model.pt")
        assert lineage.is_fully_known()
        assert lineage.is_simulated()
        films = [[data.id for data in each.data] for each in lineage.generations()]
        # The refiner twice, feet, wrists, and both rounds of the first network.
        assert films == [["7"], ["6"], ["1", "3"], ["1", "2", "3"], ["2"], ["1"]]

    def test_a_file_of_others_has_an_unknown_lineage(self, tmp_path: Path) -> None:
        torch.save({"features.0.weight": torch.zeros(2)}, tmp_path / "vgg.pt")
        assert not read_lineage(tmp_path / "vgg.pt").is_known
        with pytest.raises(TrainError):
            read_lineage(tmp_path / "missing.pt")

    def test_a_run_of_an_earlier_version_is_known_by_its_folder(self, tmp_path: Path) -> None:
        torch.save({"model": {"a": torch.zeros(1)}, "about": {"model": "scorer"}}, tmp_path / "model.pt")
        assert not read_lineage(tmp_path / "model.pt").is_known
        config = {"model": "scorer", "study": "S", "plan": {"fit": {"seed": 4}, "weights": None}}
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / "split.json").write_text(json.dumps({"train": ["a", "b"], "test": ["c"]}))
        lineage = read_lineage(tmp_path / "model.pt")
        assert (lineage.seen_cases("S"), lineage.seed) == ({"a", "b"}, 4)
        assert lineage.is_fully_known()
        config["plan"]["weights"] = "other.pt"  # type: ignore[index]
        (tmp_path / "config.json").write_text(json.dumps(config))
        assert not read_lineage(tmp_path / "model.pt").is_fully_known()


@pytest.mark.slow
class TestEvaluation:
    @pytest.fixture(scope="class")
    def parent(self, phantom_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("lineage") / "parent"
        train_scorer(phantom_study, folder, plan(1), CPU, ALONE)
        return folder

    def test_cases_that_the_parent_learned_from_are_left_out(
        self, phantom_study: Study, parent: Path, tmp_path: Path
    ) -> None:
        before = read_lineage(parent / "model.pt").seen_cases(phantom_study.config.id)
        # A seed with which a case that the parent learned from is held out, and one that it did not is trained on.
        cases = phantom_study.cases()
        seed = next(
            seed
            for seed in range(1, 99)
            if {*before} & {*split_cases(cases, seed=seed).test}
            and {*cases} - {*before} - {*split_cases(cases, seed=seed).train}
        )
        changed = replace(plan(1).training, seed=seed)
        train_scorer(
            phantom_study, tmp_path / "child", plan(1, training=changed, weights=parent / "model.pt"), CPU, ALONE
        )
        lineage = read_lineage(tmp_path / "child" / "model.pt")
        assert lineage.parent == read_lineage(parent / "model.pt")
        assert lineage.parent_digest == digest_of_file(parent / "model.pt")
        split = split_cases(cases, seed=seed)
        assert lineage.seen_cases(phantom_study.config.id) == {*before, *split.train}
        results = evaluate_models(phantom_study, None, tmp_path / "child", tmp_path / "out", CPU)
        assert set(results.cases) == {*split.test} - before
        assert results.excluded == len(cases) - len(results.cases)
        assert f"{results.excluded} signed cases are left out" in write_report(results, tmp_path / "out")

    def test_unknown_weights_are_named_in_the_report(self, phantom_study: Study, parent: Path, tmp_path: Path) -> None:
        state = load_checkpoint(parent / "model.pt")
        del state["about"]["lineage"]
        torch.save(state, tmp_path / "model.pt")
        train_scorer(phantom_study, tmp_path / "child", plan(1, weights=tmp_path / "model.pt"), CPU, ALONE)
        results = evaluate_models(phantom_study, None, tmp_path / "child", tmp_path / "out", CPU)
        assert results.unknown_models == ("scorer",)
        assert "It is not known what the scorer" in write_report(results, tmp_path / "out")

    def test_boxes_that_a_rater_only_confirmed_are_no_truth_for_a_detector(
        self, phantom_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        case = phantom_study.cases()[0]
        regions = [region for region in phantom_study.regions(case) if region.confirmed_by]
        site = next(region.site for region in regions if region.site.endswith("MCP2"))
        proposed = [
            replace(region, source=RegionSource.MODEL, model="early", confidence=0.9)
            if region.site == site and region.film == regions[0].film
            else replace(region, source=RegionSource.REGISTERED)
            if region.site == site
            else region
            for region in regions
        ]
        changed = sum(one != other for one, other in zip(regions, proposed, strict=True))
        monkeypatch.setattr("trainer.data.hands.intact_regions", lambda *_: proposed)
        every = load_hand_samples(phantom_study, [case], tmp_path, lambda *_: None)
        own = load_hand_samples(phantom_study, [case], tmp_path, lambda *_: None, independent=True)
        assert every.dependent == own.dependent == changed > 0
        known = [int((hands.boxes == hands.boxes).all(axis=2).sum()) for hands in (every, own)]
        assert known[0] - known[1] == changed

    def test_a_detector_that_was_trained_without_a_study_has_seen_no_case(self, tmp_path: Path) -> None:
        model = build_detector()
        lineage = Lineage("detector", data=(DataUsed.of_phantoms(1, 20),))
        torch.save({"model": model.state_dict(), "about": {"lineage": lineage.to_record()}}, tmp_path / "model.pt")
        assert read_lineage(tmp_path / "model.pt").seen_cases("S") == frozenset()


def test_missing_weights_are_refused_and_nothing_is_written(phantom_study: Study, run_folder: Path) -> None:
    for train in (train_scorer, train_detector):
        with pytest.raises(TrainError, match="there is no such checkpoint"):
            train(phantom_study, run_folder, plan(1, weights=run_folder.parent / "none.pt"), CPU, ALONE)
    assert not run_folder.exists()


class TestResuming:
    @pytest.fixture(scope="class")
    def run(self, phantom_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("resumed") / "run"
        train_scorer(phantom_study, folder, plan(1), CPU, ALONE)
        return folder

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"loss": "ce"}, "loss: pair before, ce now"),
            ({"width": 16}, "width: 8 before, 16 now"),
            ({"batch": 8}, "batch: 32 before, 8 now"),
            ({"held_out": 0.5}, "held_out: 0.25 before, 0.5 now"),
            ({"rater_model": "confusion"}, "rater_model: none before, confusion now"),
            ({"training": replace(plan(1).training, rate=0.5)}, "rate: 0.002 before, 0.5 now"),
            ({"training": replace(plan(1).training, seed=5)}, "seed: 0 before, 5 now"),
            ({"training": replace(plan(1).training, epochs=2)}, "epochs: 1 before, 2 now"),
        ],
    )
    def test_other_settings_are_refused_and_nothing_is_written(
        self, phantom_study: Study, run: Path, changes: dict[str, object], text: str
    ) -> None:
        before = {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()}
        with pytest.raises(TrainError, match=text):
            train_scorer(phantom_study, run, plan(1, resume=True, **changes), CPU, ALONE)
        assert {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()} == before

    def test_another_study_is_refused_and_nothing_is_written(
        self, phantom_study: Study, run: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()}
        other = Study.open(phantom_study.path)
        monkeypatch.setattr(other, "config", replace(phantom_study.config, id="other"))
        with pytest.raises(TrainError, match=r"study: .* before, other now"):
            train_scorer(other, run, plan(1, resume=True), CPU, ALONE)
        assert {file.name: file.read_bytes() for file in run.iterdir() if file.is_file()} == before

    def test_the_same_settings_continue(self, phantom_study: Study, run: Path, tmp_path: Path) -> None:
        kept = (run / "config.json").read_bytes()
        train_scorer(phantom_study, run, plan(1, resume=True, samples=tmp_path / "elsewhere"), CPU, ALONE)
        assert (run / "config.json").read_bytes() == kept

    def test_a_resumed_run_keeps_the_lineage_of_its_weights(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        parents = [Lineage("scorer", data=(DataUsed.of_study("s1", 9, (case,), "d"),)) for case in ("C-1", "C-2")]
        weights, out, first = tmp_path / "parent.pt", tmp_path / "run", DataUsed.of_study("s1", 5, ("C-3",), "d1")
        given = plan(1, weights=weights)

        def begin(parent: Lineage, data: DataUsed, *, resume: bool) -> Lineage:
            save_checkpoint(weights, {"model": {}, "about": {"lineage": parent.to_record()}})
            asked = replace(given, resume=resume)
            run = start_run("scorer", None, out, asked, 1, Split(("C-3",), ("C-4",)))
            lineage = make_lineage("scorer", run, asked, (data,))
            save_checkpoint(out / "last.pt", {"model": {}, "about": {"lineage": lineage.to_record()}})
            return lineage

        before = begin(parents[0], first, resume=False)
        assert before.parent == parents[0]
        assert begin(parents[1], first, resume=True) == before
        assert "changed" not in capsys.readouterr().err
        more = DataUsed.of_study("s1", 5, ("C-3",), "d2")
        assert begin(parents[1], more, resume=True) == replace(before, data=(first, more))
        assert "the training data have changed since this run began: study" in capsys.readouterr().err

    def test_a_run_without_settings_is_refused(self, phantom_study: Study, run: Path, tmp_path: Path) -> None:
        (tmp_path / "last.pt").write_bytes((run / "last.pt").read_bytes())
        with pytest.raises(TrainError, match="settings can't be read"):
            train_scorer(phantom_study, tmp_path, plan(1, resume=True), CPU, ALONE)

    def test_a_checkpoint_of_another_network_is_one_clear_error(
        self, phantom_study: Study, run: Path, tmp_path: Path
    ) -> None:
        for name in ("config.json", "split.json"):
            (tmp_path / name).write_bytes((run / name).read_bytes())
        state = load_checkpoint(run / "last.pt")
        state["model"]["mix.0.weight"] = torch.zeros(3, 3)
        torch.save(state, tmp_path / "last.pt")
        with pytest.raises(TrainError, match="another network"):
            train_scorer(phantom_study, tmp_path, plan(1, resume=True), CPU, ALONE)


def test_readings_without_scores_teach_nothing(
    phantom_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ratui.reading.Reading.score", lambda *_: None)
    with pytest.raises(TrainError, match="no joint has a score in a signed reading"):
        train_scorer(phantom_study, tmp_path / "run", plan(1), CPU, ALONE)
    assert not (tmp_path / "run" / "model.pt").exists()


def test_scores_of_one_time_point_are_learned_from(
    phantom_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = Reading.score
    monkeypatch.setattr(Reading, "score", lambda self, at: score(self, at) if at.time == 1 else None)
    train_scorer(phantom_study, tmp_path / "run", plan(1), CPU, ALONE)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["loss"] > 0.5
    about = load_checkpoint(tmp_path / "run" / "model.pt")["about"]
    assert about["single_scores"] > 100
    assert f"- single_scores: {about['single_scores']}\n" in (tmp_path / "run" / "model-card.md").read_text()


def test_a_finding_at_either_time_point_hides_that_raters_scores_of_the_joint(
    phantom_study: Study, tmp_path: Path
) -> None:
    samples = load_pair_samples(phantom_study, phantom_study.cases(), tmp_path, lambda *_: None)
    assert samples.has_finding.any(), "the simulated patients have some"
    kept = drop_fixed_scores(samples)
    for row, rater in np.ndindex(samples.labels.shape[:2]):
        if any(samples.has_finding[row, rater]):
            assert (kept.labels[row, rater] == -1).all()
        else:
            assert (kept.labels[row, rater] == samples.labels[row, rater]).all()
