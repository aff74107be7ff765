"""Export as ONNX: agreement with torch, metadata, and the example in NumPy. Most tests need the extra `onnx`."""

from __future__ import annotations

import importlib
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torchvision.ops import nms

from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE
from ratui.errors import TrainError
from ratui.scheme import load_scheme
from tests.support.engineers_page import command_lines, invoke
from trainer.cli import main
from trainer.data.phantoms import simulate_hands
from trainer.inference import onnx_export
from trainer.inference.onnx_export import LIMIT, export_onnx
from trainer.models.backbones import build_ssd
from trainer.models.detector import detect, load_detector
from trainer.models.scorer import build_scorer, load_scorer_network, predict
from trainer.models.torchvision_internals import BoxDecoder, count_channels, predict_boxes
from trainer.shipped import SHIPPED, SHIPPED_RUN
from trainer.training.lineage import DataUsed, Lineage, digest_of_lineage, read_lineage

HAS_ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime", "onnxscript"))
needs_onnx = pytest.mark.skipif(not HAS_ONNX, reason="the extra onnx is not installed")
CPU = torch.device("cpu")
LINEAGE = Lineage("scorer", data=(DataUsed.of_study("S", 7, ("C1",), "d"),))


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """Return the example of the documentation as a module."""
    file = Path(__file__).parents[2] / "docs" / "run_onnx.py"
    spec = importlib.util.spec_from_file_location("run_onnx", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run whose scorer has random weights, far enough from 0 for clear answers."""
    folder = tmp_path_factory.mktemp("runs") / "scorer"
    folder.mkdir()
    torch.manual_seed(1)
    about = {"model": "scorer", "grades": [6, 5], "scales": ["ERO", "JSN"], "group_names": ["PIP", "MCP"]}
    about |= {
        "loss": "pair",
        "pairing": "coupled",
        "crowd": "leaning",
        "raters": 2,
        "width": 4,
        "lineage": LINEAGE.to_record(),
    }
    model = build_scorer(about)
    for head in (*model.heads, *model.changes):
        head.weight.data *= 10
    torch.save({"model": model.state_dict(), "about": about}, folder / "model.pt")
    return folder


def test_the_suppression_of_the_example_is_that_of_torchvision(reference: ModuleType) -> None:
    rng = np.random.default_rng(0)
    for overlap in (0.4, 0.5):
        corners = rng.uniform(0, 60, (300, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(5, 30, (300, 2))], axis=1).astype(np.float32)
        scores = rng.uniform(0, 1, 300).round(2).astype(np.float32)  # with equal ones
        kept = reference.suppress(boxes, scores, overlap)
        assert kept.tolist() == nms(torch.from_numpy(boxes), torch.from_numpy(scores), overlap).tolist()
        assert 10 < len(kept) < 200
    assert reference.suppress(np.zeros((0, 4)), np.zeros(0), 0.5).tolist() == []


@pytest.mark.parametrize("backbone", ["small", "ssdlite"])
def test_boxes_of_a_batch_are_those_of_torchvision(backbone: str) -> None:
    torch.manual_seed(0)
    ssd = build_ssd(backbone).eval()
    images = torch.rand(2, count_channels(ssd), COARSE_SIZE, COARSE_SIZE)
    with torch.no_grad():
        boxes, logits = BoxDecoder(ssd, COARSE_SIZE).eval()(images)
        for row, (wanted, true) in enumerate(predict_boxes(ssd, list(images))):
            assert torch.allclose(boxes[row], wanted, atol=1e-3)
            assert torch.allclose(logits[row], true, atol=1e-4)


def test_a_missing_package_is_named_with_its_extra(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for name in ("onnx", "onnxscript"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys, "argv", ["ratui-train", "export-onnx", str(run), "--out", str(tmp_path / "a.onnx")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "onnxruntime is not installed. pip install 'ratui[onnx]'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["model.pt", "folder.onnx"])
def test_a_wrong_name_is_refused_first(run: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(TrainError, match=r"does not end with \.onnx"):
        export_onnx(run, tmp_path / name)


@needs_onnx
class TestScorer:
    def test_the_file_gives_what_torch_gives(
        self, run: Path, tmp_path: Path, reference: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        shutil.copytree(run, "runs/scorer")
        line, _ = command_lines("ratui-train export-onnx")
        done = invoke(line)
        assert done.exit_code == 0, done.output
        out = tmp_path / "scorer.onnx"
        assert {file.name for file in tmp_path.iterdir()} == {"runs", "scorer.onnx"}
        model = reference.Model(out)
        assert model.facts == {
            "model": "scorer",
            "lineage": digest_of_lineage(LINEAGE),
            "crop_side": 72,
            "crop_margin": 1.25,
            "groups": ["PIP", "MCP"],
            "scales": ["ERO", "JSN"],
            "grades": [6, 5],
        }
        rng = np.random.default_rng(0)
        network, _ = load_scorer_network(run, CPU)
        for count in (1, 5):
            crops = rng.integers(0, 256, (count, 2, 72, 72), np.uint8)
            groups = rng.integers(0, 2, count)
            largest = np.stack([rng.integers(3, 6, count), rng.integers(-1, 5, count)], axis=1)
            named = [("PIP", "MCP")[group] for group in groups]
            found = reference.score(model, crops, named, {"ERO": largest[:, 0], "JSN": largest[:, 1]})
            wanted = predict(network, crops, groups, largest)
            for scale, true in zip(("ERO", "JSN"), wanted, strict=True):
                assert np.abs(found[scale] - true).max() < LIMIT
                assert found[scale].shape == true.shape
            assert wanted[0].max() > 0.2, "clear answers"

    def test_a_file_that_does_not_agree_is_not_left(
        self, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (model,) = onnx_export.build_models(run)
        monkeypatch.setattr(onnx_export, "build_models", lambda _: (model,))
        (tmp_path / "old.onnx").write_bytes(b"earlier")
        bias = model.network.model.heads[0].bias  # type: ignore[union-attr,index]
        for change, text in ((1e-2, "0.00"), (torch.nan, "inf")):
            bias.data[0] += change  # type: ignore[operator]
            for name in ("old.onnx", "new.onnx"):
                with pytest.raises(TrainError, match=f"{name} would differ from torch by {text}"):
                    export_onnx(run, tmp_path / name)
        assert (tmp_path / "old.onnx").read_bytes() == b"earlier"
        assert [file.name for file in tmp_path.iterdir()] == ["old.onnx"]


@needs_onnx
@pytest.mark.slow
def test_the_detector_finds_the_same_joints(
    tmp_path: Path, reference: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, line = command_lines("ratui-train export-onnx")
    done = invoke(line)
    assert done.exit_code == 0, done.output
    files = [tmp_path / "hands.onnx", tmp_path / "hands-refiner.onnx"]
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in files}
    boxes, refiner = (reference.Model(file) for file in files)
    assert refiner.facts["lineage"] == digest_of_lineage(read_lineage(SHIPPED_RUN / "model.pt"))
    assert not any(name in file.read_bytes() for file in files for name in (b"/trainer/", b".py"))  # no paths
    assert (boxes.facts["square"], boxes.facts["image_side"]) == (COARSE_SIZE, FINE_SIZE)
    hands = simulate_hands(2, tmp_path, lambda *_: None, scheme=load_scheme("fingers"), seed=2)
    network = load_detector(SHIPPED, CPU)
    for image in (*hands.images, np.zeros((FINE_SIZE, FINE_SIZE), np.uint8)):
        found, wanted = reference.detect(boxes, refiner, image), detect(network, image[None])[0]
        assert [each.kind for each in found] == [each.candidate.kind for each in wanted]
        for one, other in zip(found, wanted, strict=True):
            values = (one.x, one.y, one.size, one.score, one.finding)
            true = (other.candidate.x, other.candidate.y, other.candidate.size, other.candidate.score, other.finding)
            assert values == pytest.approx(true, abs=1e-3)
    assert len(detect(network, hands.images[:1])[0]) >= 9
    assert json.dumps(boxes.facts["joint_kinds"]) == '["PIP", "MCP"]'
