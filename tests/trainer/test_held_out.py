"""Patients of a COCO file that are held out: chosen with both hands, never trained on, and measured after the training."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ratui.errors import TrainError
from tests.trainer.synthetic import make_hands
from trainer.cli import commands
from trainer.data.hands import HandSamples
from trainer.data.splits import place_of_case
from trainer.models.checkpoint_files import load_checkpoint
from trainer.training import detector_training
from trainer.training.detector_training import pick_held_out
from trainer.training.lineage import digest_names, read_lineage
from trainer.training.loop import TrainingPlan
from trainer.training.model_card import CARD
from trainer.training.runs import RunPlan, start_run

pytestmark = pytest.mark.slow


def hands(*cases: str, source: str = "COCO file") -> HandSamples:
    count = len(cases)
    return replace(make_hands(cases, np.zeros((count, 2, 4)), np.zeros((count, 2))), source=source)


def test_patients_are_chosen_by_their_place() -> None:
    people = [f"p{number}" for number in range(20)]
    plan = RunPlan(TrainingPlan(seed=3), 4, held_out=0.3)
    wanted = {name for name in people if place_of_case(name, 3) < 0.3}
    assert 0 < len(wanted) < 20
    assert pick_held_out([hands(*people, *people), hands("C1", "C2", source="study")], plan) == wanted
    assert pick_held_out([hands("p1", "p1")], plan) == set(), "a single patient is trained on"
    assert pick_held_out([hands("C1", "C2", source="study")], plan) == set()


@pytest.fixture
def coco(ram_set: Path, tmp_path: Path) -> Path:
    """Return one COCO file of all three patients. The table beside it makes one patient, q, of the first two."""
    folder = Path(shutil.copytree(ram_set / "Joints_Detection", tmp_path / "coco"))
    merged: dict[str, list[dict[str, object]]] = {"images": [], "annotations": []}
    for number, file in enumerate(sorted(folder.glob("*/*.json"))):
        content = json.loads(file.read_text())
        merged["categories"] = content["categories"]
        for item in content["images"]:
            changes = {"id": 10 * number + item["id"], "file_name": f"{file.parent.name}/{item['file_name']}"}
            merged["images"].append({**item, **changes})
        merged["annotations"] += [
            {**item, "image_id": 10 * number + item["image_id"]} for item in content["annotations"]
        ]
    (folder / "all.json").write_text(json.dumps(merged))
    rows = [
        f"p{number}_{side}_bmp.rf.0a1b2c.png,{'p2' if number == 2 else 'q'}" for number in range(3) for side in "LR"
    ]
    (folder / "people.csv").write_text("file,patient\n" + "\n".join(rows))
    return folder / "all.json"


def test_held_out_patients_are_measured_and_not_trained_on(
    coco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = next(seed for seed in range(99) if place_of_case("p2", seed) < 0.5 <= place_of_case("q", seed))
    trained: list[str] = []
    fit = detector_training.fit_detector

    def record(samples: list[HandSamples], validation: list[HandSamples], *more: object, **options: object) -> object:
        trained.extend(case for each in (*samples, *validation) for case in each.cases)
        return fit(samples, validation, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(detector_training, "fit_detector", record)
    run = tmp_path / "run"
    options = ["--weights", "shipped", "--refiner-only", "--epochs", "1", "--batch", "4", "--device", "cpu"]
    options += ["--held-out", "0.5", "--seed", str(seed), "--coco-patients", str(coco.with_name("people.csv"))]
    done = CliRunner().invoke(commands, ["detector", "--coco", str(coco), "--out", str(run), *options])
    assert done.exit_code == 0, done.output
    assert trained == ["q"] * 4
    facts = load_checkpoint(run / "model.pt")["about"]["held_out"]
    assert (facts["patients"], facts["hands"]) == (1, 2)
    (named, *_), (overlap, *_) = facts["metrics"].values()
    assert named > 0.9
    assert 0.7 < overlap < 1
    assert "measured on 2 hands of 1 held-out patient:" in done.output
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [sorted(line)[0] for line in lines] == ["batches_per_second", "held_out"]
    assert lines[1]["held_out"] == facts
    card = (run / CARD).read_text()
    assert "## Held-out patients of the COCO file" in card
    assert f"- Mean IoU of the joints by name: [{overlap}, null, null]" in card
    assert f"- loss: {lines[0]['loss']}" in card
    (data,) = read_lineage(run / "model.pt").data
    assert data.cases == digest_names(["q"])
    assert data.count == 4


def test_a_run_of_an_earlier_version_that_learned_from_all_patients_is_not_continued(run_folder: Path) -> None:
    plan = RunPlan(TrainingPlan(), 4, coco=Path("boxes.json"))
    start_run("detector", None, run_folder, plan, 1)
    (run_folder / "last.pt").touch()
    start_run("detector", None, run_folder, replace(plan, resume=True), 1)
    config = json.loads((run_folder / "config.json").read_text())
    del config["plan"]["coco_patients"]
    (run_folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(TrainError, match="learned from all patients of its COCO file"):
        start_run("detector", None, run_folder, replace(plan, resume=True), 1)
