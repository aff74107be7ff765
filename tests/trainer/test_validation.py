"""Validation during the training: the kept cases, the best epoch, the early end, and exact resumption with all of them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import trainer.training.runs as runs
from ratui.errors import TrainError
from ratui.scheme import load_scheme
from ratui.study import Study
from trainer.data.image_cache import ImageRows
from trainer.data.pairs import drop_fixed_scores, load_pair_samples
from trainer.data.phantoms import simulate_hands
from trainer.data.splits import pick_validation_cases, split_cases
from trainer.models.checkpoint_files import load_checkpoint
from trainer.models.losses import pair_loss
from trainer.models.scorer import load_scorer_network
from trainer.training import scorer_training
from trainer.training.detector_batches import make_detector_validation
from trainer.training.detector_training import split_validation, train_detector
from trainer.training.lineage import read_lineage
from trainer.training.loop import EpochResult, Training, TrainingPlan
from trainer.training.metric_log import MetricLog
from trainer.training.model_card import CARD
from trainer.training.processes import SINGLE_PROCESS, ProcessGroup
from trainer.training.runs import RunPlan, load_split
from trainer.training.scorer_training import train_scorer

CPU = torch.device("cpu")
CASES = [f"C-{number}" for number in range(400)]


def test_growth_moves_no_case_into_or_out_of_the_validation_part() -> None:
    kept = set(pick_validation_cases(CASES, seed=1, share=0.2))
    assert 55 < len(kept) < 105
    assert set(pick_validation_cases(CASES[:150], seed=1, share=0.2)) == kept & set(CASES[:150])
    assert set(pick_validation_cases(CASES[::-1], seed=1, share=0.2)) == kept
    assert set(pick_validation_cases(CASES, seed=2, share=0.2)) != kept


def test_the_validation_part_is_a_random_part_of_the_training_cases() -> None:
    """With the places of the held-out cases, which are below 0.25, no training case would be below 0.2."""
    split = split_cases(CASES, seed=1, held_out=0.25)
    kept = pick_validation_cases(split.train, seed=1, share=0.2)
    assert 0.12 < len(kept) / len(split.train) < 0.28


def test_few_cases() -> None:
    assert pick_validation_cases(["a"], share=0.99, required=True) == ()
    assert len(pick_validation_cases(["a", "b"], share=0.999)) == 1, "a case to train on remains"
    assert pick_validation_cases(["a", "b"], share=1e-9) == ()
    assert len(pick_validation_cases(["a", "b"], share=1e-9, required=True)) == 1
    assert pick_validation_cases(["a", "b"], share=0) == ()
    with pytest.raises(TrainError, match="--validation"):
        pick_validation_cases(["a"], share=1.0)


def noise(epoch: int, group: ProcessGroup) -> Iterable[Tensor]:
    yield torch.randn(4, 3, generator=torch.Generator().manual_seed(epoch))


def square(model: nn.Module, batch: Tensor) -> Tensor:
    loss: Tensor = model(batch).square().mean()
    return loss


class Script:
    """A validation that returns the given losses in turn, and draws random numbers as a careless one could."""

    def __init__(self, *losses: float) -> None:
        self.losses = list(losses)
        self.weights: list[dict[str, Tensor]] = []

    def __call__(self, model: nn.Module) -> float:
        assert not model.training
        torch.rand(7)
        self.weights.append({name: value.clone() for name, value in model.state_dict().items()})
        return self.losses[len(self.weights) - 1]


def make_training(epochs: int = 6, **plan: int) -> Training:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Dropout(0.5), nn.Linear(5, 1))
    return Training(model, TrainingPlan(epochs=epochs, **plan), CPU)  # type: ignore[arg-type]


def equal(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_the_best_epoch_is_the_first_one_with_the_smallest_loss() -> None:
    training, script, seen = make_training(5), Script(3.0, 1.0, 2.0, 1.0, 4.0), list[EpochResult]()
    training.run(noise, square, validation=script, on_epoch=seen.append)
    assert training.best is not None
    assert (training.best.epoch, training.best.loss) == (2, 1.0)
    assert equal(training.best.weights, script.weights[1])
    assert not equal(training.best.weights, training.model.state_dict()), "the model itself is that of the last epoch"
    assert [(each.validation_loss, each.best_epoch) for each in seen] == [
        (3.0, 1),
        (1.0, 2),
        (2.0, 2),
        (1.0, 2),
        (4.0, 2),
    ]


@pytest.mark.parametrize(("patience", "epochs"), [(0, 6), (1, 3), (2, 4), (3, 6)])
def test_patience_ends_the_training_early(patience: int, epochs: int) -> None:
    training, seen = make_training(6, patience=patience), list[EpochResult]()
    training.run(noise, square, validation=Script(3, 1, 2, 2, 0.5, 9), on_epoch=seen.append)
    assert training.epoch == epochs
    assert training.is_finished
    assert [each.is_last for each in seen] == [False] * (epochs - 1) + [True]


def test_a_training_that_ended_early_stays_ended_when_resumed() -> None:
    first = make_training(6, patience=2)
    first.run(noise, square, validation=Script(3, 1, 2, 2))
    again = make_training(6, patience=2)
    again.load_state_dict(first.state_dict())
    again.run(noise, square, validation=Script())
    assert again.is_finished
    assert again.epoch == 4


def test_a_resumed_training_knows_its_best_epoch() -> None:
    whole = make_training(5, patience=3)
    whole.run(noise, square, validation=Script(3, 1, 2, 1.5, 1.2))
    part = make_training(5, patience=3)
    part.run(noise, square, validation=Script(3, 1, 2), should_stop=lambda: part.epoch == 3)
    rest = make_training(5, patience=3)
    rest.load_state_dict(part.state_dict())
    rest.run(noise, square, validation=Script(1.5, 1.2))
    assert whole.best is not None
    assert rest.best is not None
    assert (rest.best.epoch, rest.best.loss) == (whole.best.epoch, whole.best.loss) == (2, 1.0)
    assert equal(rest.best.weights, whole.best.weights)
    assert equal(rest.model.state_dict(), whole.model.state_dict())


@pytest.mark.parametrize("reseed", [True, False])
def test_validation_does_not_change_the_training(reseed: bool) -> None:
    one, two = make_training(3, reseed_epochs=reseed), make_training(3, reseed_epochs=reseed)
    torch.manual_seed(5)
    one.run(noise, square)
    torch.manual_seed(5)
    two.run(noise, square, validation=Script(1, 2, 3))
    assert equal(one.model.state_dict(), two.model.state_dict())


def test_a_loss_that_is_not_a_number_is_an_error() -> None:
    with pytest.raises(TrainError, match="validation loss is nan after epoch 2"):
        make_training().run(noise, square, validation=Script(1.0, float("nan")))


@dataclass(frozen=True)
class Second(ProcessGroup):
    """The second of two processes, which gets the first one's values."""

    rank: int = 1
    sent: tuple[float, ...] = ()

    def broadcast(self, value: float) -> float:
        assert value == 0.0, "the value of this process has no meaning"
        return self.sent[0]


def test_the_other_processes_take_the_loss_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    training, script = make_training(1), Script()
    training.process_group = Second(sent=(0.25,))
    training.run(noise, square, validation=script)
    assert not script.weights, "only the first process computes it"
    assert training.best is not None
    assert training.best.loss == 0.25


def plan(epochs: int, **changes: object) -> RunPlan:
    settings = {"batch": 32, "validation": 0.5, "width": 8, **changes}
    return RunPlan(TrainingPlan(epochs=epochs), **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(phantom_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run with validation."""
    folder = tmp_path_factory.mktemp("validated")
    train_scorer(phantom_study, folder / "run", plan(3, samples=folder / "samples"), CPU, SINGLE_PROCESS)
    return folder / "run"


@pytest.mark.slow
class TestScorer:
    def test_the_result_is_the_epoch_with_the_smallest_loss_on_the_kept_cases(
        self, phantom_study: Study, whole: Path
    ) -> None:
        lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
        best = min(lines, key=lambda line: line["validation_loss"])
        assert lines[-1]["best_epoch"] == best["epoch"]
        model, about = load_scorer_network(whole, CPU)
        assert about["epoch"] == best["epoch"]
        train = load_split(whole).train
        kept = pick_validation_cases(train, share=0.5)
        assert about["validation_cases"] == len(kept)
        samples = drop_fixed_scores(load_pair_samples(phantom_study, kept, whole.parent / "samples", lambda *_: None))
        losses: list[float] = []
        with torch.no_grad():
            for row in range(len(samples.crops)):  # one joint at a time, as slowly as can be
                crops = torch.from_numpy(np.array(samples.crops[row : row + 1])).float() / 255
                groups, largest = (torch.from_numpy(v[row : row + 1]) for v in (samples.groups, samples.max_grades))
                for scale, pair in enumerate(model(crops, groups, largest)):
                    known = [labels for labels in samples.labels[row, :, scale] if (labels >= 0).all()]
                    losses += [float(pair_loss("pair", pair[:, 0], torch.tensor(each[None]), 0.0)) for each in known]
        assert np.mean(losses) == pytest.approx(best["validation_loss"], abs=2e-5)
        assert about["validation_loss"] == best["validation_loss"]
        assert f"- epoch: {best['epoch']}" in (whole / CARD).read_text()
        last = load_checkpoint(whole / "last.pt")
        assert last["epoch"] == 3
        assert last["best"]["epoch"] == best["epoch"]
        assert equal(last["best"]["model"], load_checkpoint(whole / "model.pt")["model"])

    def test_an_epoch_before_the_last_one_is_the_result(
        self, phantom_study: Study, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        script = Script(1.0, 2.0)
        monkeypatch.setattr(scorer_training, "make_scorer_validation", lambda *_, **__: script)
        settings = plan(2, samples=whole.parent / "samples")
        train_scorer(phantom_study, tmp_path / "run", settings, CPU, SINGLE_PROCESS)
        stored = load_checkpoint(tmp_path / "run" / "model.pt")
        assert equal(stored["model"], script.weights[0])
        assert (stored["about"]["epoch"], stored["about"]["validation_loss"]) == (1, 1.0)
        assert equal(load_checkpoint(tmp_path / "run" / "last.pt")["model"], script.weights[1])

    def test_both_parts_count_as_seen(self, phantom_study: Study, whole: Path) -> None:
        seen = read_lineage(whole / "model.pt").seen_cases(phantom_study.config.id)
        assert seen == set(load_split(whole).train)

    def test_nothing_is_learned_from_the_kept_cases(
        self, phantom_study: Study, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        taken = list[int]()
        make = scorer_training.make_scorer_batches

        def spy(samples, batch, seed, device, *, rows):  # type: ignore[no-untyped-def]
            taken.extend(rows.tolist())
            cases = {samples.cases[row] for row in taken}
            assert cases.isdisjoint(pick_validation_cases(load_split(whole).train, share=0.5))
            assert len(cases) == len(set(samples.cases)) - len(
                pick_validation_cases(load_split(whole).train, share=0.5)
            )
            batches = make(samples, batch, seed, device, rows=rows)
            drawn = torch.cat([each.labels for each in batches(0, SINGLE_PROCESS)])
            assert len(drawn) == len(taken)
            assert int(drawn.sum()) == int(samples.labels[taken].sum())
            return batches

        monkeypatch.setattr(scorer_training, "make_scorer_batches", spy)
        settings = plan(1, samples=whole.parent / "samples")
        train_scorer(phantom_study, tmp_path / "run", settings, CPU, SINGLE_PROCESS)
        assert taken

    def test_a_resumed_run_has_the_same_result_bit_for_bit(
        self, phantom_study: Study, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = MetricLog.write_epoch

        def fail(self: MetricLog, result: EpochResult) -> None:
            if result.epoch == 3:
                raise KeyboardInterrupt
            write(self, result)

        settings = plan(3, samples=whole.parent / "samples")
        with monkeypatch.context() as patch:
            patch.setattr(runs, "_CHECKPOINT_SECONDS", 0.0)
            patch.setattr(MetricLog, "write_epoch", fail)
            with pytest.raises(KeyboardInterrupt):
                train_scorer(phantom_study, tmp_path / "run", settings, CPU, SINGLE_PROCESS)
        assert load_checkpoint(tmp_path / "run" / "last.pt")["epoch"] == 2
        train_scorer(phantom_study, tmp_path / "run", replace(settings, resume=True), CPU, SINGLE_PROCESS)
        for name in ("model.pt", "last.pt"):
            one, two = (load_checkpoint(folder / name) for folder in (whole, tmp_path / "run"))
            assert equal(one["model"], two["model"])
            assert one.get("best", {}).get("loss") == two.get("best", {}).get("loss")

    def test_without_a_kept_case_the_last_epoch_is_the_result(
        self, phantom_study: Study, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings = plan(1, samples=whole.parent / "samples", validation=1e-9)
        train_scorer(phantom_study, tmp_path / "run", settings, CPU, SINGLE_PROCESS)
        assert "no training case is kept for validation" in capsys.readouterr().err
        assert "epoch" not in load_scorer_network(tmp_path / "run", CPU)[1]

    def test_a_run_of_an_earlier_version_is_not_resumed_with_validation(
        self, phantom_study: Study, whole: Path, tmp_path: Path
    ) -> None:
        run = tmp_path / "run"
        run.mkdir()
        config = json.loads((whole / "config.json").read_text())
        del config["plan"]["validation"]
        (run / "config.json").write_text(json.dumps(config))
        (run / "last.pt").write_bytes((whole / "last.pt").read_bytes())
        settings = plan(3, samples=whole.parent / "samples", resume=True)
        with pytest.raises(TrainError, match=r"validation: 0\.0 before, 0\.5 now"):
            train_scorer(phantom_study, run, settings, CPU, SINGLE_PROCESS)


def test_selected_images_are_those_of_their_rows() -> None:
    images = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
    some = ImageRows(images, [3, 1])
    assert (len(some), some.shape, some.nbytes) == (2, (2, 3, 2), 12)
    assert np.array_equal(np.array(some), images[[3, 1]])
    assert np.array_equal(some[1], images[1])
    assert np.array_equal(some[0:1], images[[3]])


@pytest.mark.slow
def test_a_detector_takes_its_best_epoch_and_is_calibrated_on_the_same_cases(tmp_path: Path) -> None:
    settings = RunPlan(
        TrainingPlan(epochs=2), batch=3, phantoms=4, validation=0.3, refiner_only=True, weights=Path("shipped")
    )
    train_detector(None, tmp_path / "run", settings, CPU, SINGLE_PROCESS)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    best = min(lines, key=lambda line: line["validation_loss"])
    stored = load_checkpoint(tmp_path / "run" / "model.pt")
    assert stored["about"]["epoch"] == best["epoch"]
    hands = simulate_hands(4, tmp_path / "run" / "samples", lambda *_: None, scheme=load_scheme("mtss-hands"), seed=0)
    learned, kept = split_validation(hands, 0.3, 0)
    assert set(learned.cases) | set(kept.cases) == set(hands.cases)
    assert stored["about"]["validation_cases"] == len(set(kept.cases)) == 4 - len(set(learned.cases))
    from trainer.models.detector import load_detector

    model = load_detector(tmp_path / "run", CPU)
    with torch.no_grad():
        loss = make_detector_validation([kept], CPU)(model)
        assert loss == make_detector_validation([kept], CPU)(model), "its random draws are the same each time"
    assert loss == pytest.approx(best["validation_loss"], abs=1e-4)
