"""Trunks of the scorer by torchvision: weights from files of torchvision and timm, and a run with such a trunk."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from click.testing import CliRunner, Result
from torch import Tensor, nn

import trainer
from ratui.errors import TrainError
from tests.trainer.synthetic import make_cohort, make_pairs
from trainer import cli
from trainer.data.cohort import Cohort
from trainer.inference.scoring import load_scorers, score_samples
from trainer.models import scorer_backbones
from trainer.models.checkpoint_files import load_checkpoint
from trainer.models.layers import SynchronisedBatchNorm
from trainer.models.scorer import build_scorer, load_scorer_network
from trainer.models.scorer_backbones import SCORER_BACKBONES, build_trunk, load_trunk_weights
from trainer.training import scorer_training
from trainer.training.lineage import digest_of_file, read_lineage
from trainer.training.scorer_training import load_start_weights

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
TENSORS = {"resnet18": 120, "resnet34": 216, "resnet50": 318, "convnext_tiny": 178, "efficientnet_b0": 358}
"""Number of tensors of each network without its classifier."""
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def make_network(name: str) -> nn.Module:
    """Return torchvision's network with random weights, and with norms that pass noise on to its last maps."""
    torch.manual_seed(0)
    network: nn.Module = getattr(torchvision.models, name)()
    for key, value in network.state_dict().items():
        if key.endswith("layer_scale") or (value.ndim == 1 and key.endswith(("weight", "bias"))):
            value.add_(torch.rand(value.shape) / 2)
    for norm in (each for each in network.modules() if isinstance(each, nn.BatchNorm2d)):
        norm.momentum = 1.0
    with torch.no_grad():
        compute_maps(name, network.train(), torch.randn(4, 1, 72, 72).expand(-1, 3, -1, -1))
    return network.eval()


def compute_maps(name: str, network: nn.Module, images: Tensor) -> Tensor:
    """Return the maps in front of the classifier of torchvision's network."""
    if name.startswith("resnet"):
        for part in list(network.children())[:-2]:
            images = part(images)
        return images
    maps: Tensor = network.features(images)  # type: ignore[operator]
    return maps


def timm_convnext() -> Iterator[str]:
    """Yield the names of ConvNeXt-T in timm, in its order."""
    yield from (f"stem.{part}.{kind}" for part in (0, 1) for kind in ("weight", "bias"))
    for stage, depth in enumerate((3, 3, 9, 3)):
        if stage:
            yield from (f"stages.{stage}.downsample.{part}.{kind}" for part in (0, 1) for kind in ("weight", "bias"))
        for block in range(depth):
            at = f"stages.{stage}.blocks.{block}."
            yield f"{at}gamma"
            yield from (
                f"{at}{part}.{k}" for part in ("conv_dw", "norm", "mlp.fc1", "mlp.fc2") for k in ("weight", "bias")
            )
    yield from ("head.norm.weight", "head.norm.bias", "head.fc.weight", "head.fc.bias")


def timm_efficientnet() -> Iterator[str]:
    """Yield the names of EfficientNet-B0 in timm, in its order."""
    squeeze = [f"se.conv_{part}.{kind}" for part in ("reduce", "expand") for kind in ("weight", "bias")]

    def convolution(conv: str, norm: str) -> list[str]:
        return [f"{conv}.weight", *(f"{norm}.{kind}" for kind in _NORM)]

    yield from convolution("conv_stem", "bn1")
    for stage, depth in enumerate((1, 2, 2, 3, 3, 4, 1)):
        first = [*convolution("conv_dw", "bn1"), *squeeze, *convolution("conv_pw", "bn2")]
        other = [
            *convolution("conv_pw", "bn1"),
            *convolution("conv_dw", "bn2"),
            *squeeze,
            *convolution("conv_pwl", "bn3"),
        ]
        for block in range(depth):
            yield from (f"blocks.{stage}.{block}.{name}" for name in (other if stage else first))
    yield from (*convolution("conv_head", "bn2"), "classifier.weight", "classifier.bias")


TIMM = {"convnext_tiny": timm_convnext, "efficientnet_b0": timm_efficientnet}


@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny", "efficientnet_b0"])
def test_a_file_of_torchvision_or_timm_gives_that_networks_maps(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn.init, "trunc_normal_", lambda values, std: nn.init.uniform_(values, -std, std))  # faster
    network = make_network(name)
    state = network.state_dict()
    file = tmp_path / "weights.pth"
    grey = torch.randn(2, 1, 72, 72, generator=torch.Generator().manual_seed(1))
    layouts = {"torchvision": {"model": {f"module.{key}": value for key, value in state.items()}, "epoch": 3}}
    if name in TIMM:
        # Both list their tensors in the same order.
        layouts["timm"] = {
            key: value.squeeze() if key.endswith("gamma") else value
            for key, value in zip(TIMM[name](), state.values(), strict=True)
        }
    trunk, channels = build_trunk(name)
    with torch.no_grad():
        true = compute_maps(name, network, grey.expand(-1, 3, -1, -1))
        for layout, content in layouts.items():
            if layout == "torchvision":
                torch.save(content, file)
            else:  # without the disk, which takes longer than the rest
                monkeypatch.setattr(scorer_backbones, "read_state_dict", lambda _, content=content: content)
            for key, value in trunk.named_parameters():
                value.mul_(float(key.startswith("norm.")))
            assert load_trunk_weights(trunk, name, file) == TENSORS[name]
            found = (trunk.eval() if name.startswith("resnet") else trunk.eval().features)(grey)
            assert torch.allclose(found, true, rtol=0, atol=1e-5 * float((true[0] - true[1]).abs().max()))
            assert trunk(grey).shape[1] == channels
    # Several processes learn what one learns only with shared norms and without layers that each draws for itself.
    norms = [each for each in trunk.modules() if isinstance(each, nn.BatchNorm2d)]
    assert all(isinstance(each, SynchronisedBatchNorm) for each in norms)
    assert bool(norms) == (name != "convnext_tiny")
    assert torch.equal(trunk.train()(grey), trunk(grey))


@pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")
@pytest.mark.parametrize("name", sorted(TENSORS))
def test_a_file_that_timm_wrote_gives_its_features(name: str, tmp_path: Path) -> None:
    import timm

    network = timm.create_model(name).eval()
    torch.save(network.state_dict(), tmp_path / "timm.pth")
    assert name not in TIMM or list(network.state_dict()) == list(TIMM[name]())
    trunk, _ = build_trunk(name)
    assert load_trunk_weights(trunk, name, tmp_path / "timm.pth") == TENSORS[name]
    grey = torch.randn(2, 1, 72, 72)
    with torch.no_grad():
        true = network.forward_features(grey.expand(-1, 3, -1, -1))
        found = (trunk.eval() if name.startswith("resnet") else trunk.eval().features)(grey)
    assert torch.allclose(found, true, atol=1e-5)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of torchvision's ResNet-18 with random weights."""
    file = tmp_path_factory.mktemp("weights") / "resnet18-1a.pth"
    torch.save(make_network("resnet18").state_dict(), file)
    return file


def train(out: Path, weights: Path | None, *more: str, monkeypatch: pytest.MonkeyPatch) -> Result:
    """Train a scorer by the command, on noise in place of simulated films."""

    def load_cohort(count: int, *_: object, **__: object) -> Cohort:
        return make_cohort(count)

    monkeypatch.setattr(scorer_training, "load_cohort", load_cohort)
    words = ["scorer", "--phantoms", "1", "--out", str(out), "--epochs", "1", "--validation", "0"]
    words += ["--weights", str(weights)] if weights else []
    return CliRunner().invoke(cli.commands, [*words, *more], catch_exceptions=False)


class TestRun:
    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
        out = tmp_path_factory.mktemp("runs") / "run"
        with pytest.MonkeyPatch.context() as patch:
            done = train(out, weights, "--backbone", "resnet18", "--width", "4", "--rate", "1e-5", monkeypatch=patch)
        assert done.exit_code == 0, done.output
        return out, done.stderr

    def test_the_run_states_the_weights_that_it_started_from(self, run: tuple[Path, str], weights: Path) -> None:
        out, printed = run
        assert "120 tensors of resnet18 taken over from resnet18-1a.pth" in printed
        lineage = read_lineage(out / "model.pt")
        assert (lineage.parent_file, lineage.parent_tensors) == ("resnet18-1a.pth", 120)
        assert lineage.parent_digest == digest_of_file(weights)
        assert lineage.parent is not None
        assert not lineage.is_fully_known()
        card = (out / "model-card.md").read_text()
        assert f"file `resnet18-1a.pth`, SHA-256 `{lineage.parent_digest}`; 120 tensors were taken over" in card
        assert "The origin of some of its weights is not known" in card
        assert "- backbone: resnet18" in card

    def test_training_starts_from_them(self, run: tuple[Path, str], weights: Path) -> None:
        started, ended = torch.load(weights, weights_only=True), load_checkpoint(run[0] / "model.pt")["model"]
        change = (ended["trunk.layer4.1.conv2.weight"] - started["layer4.1.conv2.weight"]).abs().max()
        assert 0 < change < 1e-3
        summed = started["conv1.weight"].sum(dim=1, keepdim=True)
        assert (ended["trunk.conv1.weight"] - summed).abs().max() < 1e-3

    def test_it_is_resumed_with_the_same_backbone_only(self, run: tuple[Path, str], weights: Path) -> None:
        before = load_checkpoint(run[0] / "model.pt")["model"]
        words = ("--width", "4", "--rate", "1e-5", "--resume")
        with pytest.MonkeyPatch.context() as patch:
            with pytest.raises(TrainError, match="backbone: resnet18 before, small now"):
                train(run[0], None, *words, monkeypatch=patch)
            assert train(run[0], weights, *words, "--backbone", "resnet18", monkeypatch=patch).exit_code == 0
        after = load_checkpoint(run[0] / "model.pt")["model"]
        assert all(torch.equal(value, before[name]) for name, value in after.items())

    def test_it_predicts_alone_and_in_an_ensemble(self, run: tuple[Path, str]) -> None:
        model, about = load_scorer_network(run[0], CPU)
        assert (model.backbone, about["backbone"]) == ("resnet18", "resnet18")
        assert model.compare[0].out_features == 16
        samples = make_pairs(np.zeros((4, 1, 2, 2)))
        samples = type(samples)(**{**vars(samples), "group_names": tuple(about["group_names"][:2])})
        both = score_samples(load_scorers([run[0], run[0]], CPU), samples)
        for one, two in zip(score_samples(load_scorers([run[0]], CPU), samples), both, strict=True):
            assert np.allclose(one, two)
            assert np.allclose(one.sum(axis=(1, 2)), 1)
        crops = np.random.default_rng(0).random((2, 90, 90))
        found = trainer.load_scorer(run[0], scheme="fingers").score(crops[0], crops[1], joint="MCP2", side="L")
        assert sum(found["ERO"].probabilities[0]) == pytest.approx(1)

    def test_it_is_the_start_of_another_scorer_with_its_backbone(self, run: tuple[Path, str]) -> None:
        model, about = load_scorer_network(run[0], CPU)
        other = build_scorer({**about, "pairing": "single"})
        assert load_start_weights(other, run[0] / "model.pt", is_first=False) == 0
        for name, value in other.state_dict().items():
            assert torch.equal(value, model.state_dict()[name])
        with pytest.raises(TrainError, match="not of such a scorer"):
            load_start_weights(build_scorer({**about, "backbone": "small"}), run[0] / "model.pt", is_first=False)


class TestRefusal:
    @pytest.mark.parametrize(
        ("change", "text"),
        [
            (lambda state: state.pop("layer2.0.conv1.weight"), "1 tensors are missing: layer2.0.conv1.weight"),
            (
                lambda state: state.update({"layer5.w\x1b" + 5000 * "w": torch.zeros(1)}),
                "1 belong to another network: layer5.w",
            ),
            (
                lambda state: state.update({"bn1.bias": torch.zeros(3)}),
                r"1 have another shape: bn1.bias \(3,\) in place of \(64,\)",
            ),
            (lambda state: state.update({"conv1.weight": torch.zeros(64, 2, 7, 7)}), "1 have another shape: conv1"),
            (
                lambda state: state.update({key: state[key].long() for key in ("conv1.weight", "bn1.bias")}),
                "2 have another type of numbers: conv1.weight, bn1.bias",
            ),
            (lambda state: state["bn1.bias"].fill_(torch.nan), "1 contain NaN or infinity: bn1.bias"),
            (
                lambda state: [state.pop(key) for key in list(state) if key.startswith("layer4.")],
                "25 tensors are missing: layer4.0.conv1.weight, layer4.0.bn1.weight, layer4.0.bn1.bias, …",
            ),
        ],
    )
    def test_weights_that_do_not_fit_are_named(
        self, weights: Path, tmp_path: Path, change: Callable[[dict[str, Tensor]], object], text: str
    ) -> None:
        state = torch.load(weights, weights_only=True)
        change(state)
        torch.save(state, tmp_path / "other.pth")
        trunk, _ = build_trunk("resnet18")
        before = trunk.state_dict()["layer1.0.conv1.weight"].clone()
        with pytest.raises(TrainError, match=f"don't fit resnet18: {text}") as raised:
            load_trunk_weights(trunk, "resnet18", tmp_path / "other.pth")
        assert "\x1b" not in str(raised.value)
        assert len(str(raised.value)) < 600
        assert torch.equal(trunk.state_dict()["layer1.0.conv1.weight"], before)

    def test_another_network_is_refused_before_anything_is_written(
        self, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(TrainError, match=r"don't fit resnet34: 80 tensors are missing"):
            train(tmp_path / "run", weights, "--backbone", "resnet34", monkeypatch=monkeypatch)
        assert not (tmp_path / "run").exists()

    def test_an_unknown_backbone_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(TrainError, match="no backbone named ssdlite"):
            train(tmp_path / "run", None, "--backbone", "ssdlite", monkeypatch=monkeypatch)
        assert not (tmp_path / "run").exists()
        assert set(SCORER_BACKBONES) == {"small", *TENSORS}

    def test_safetensors_need_their_library(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "w.safetensors").write_bytes(b"\0" * 16)
        monkeypatch.setitem(sys.modules, "safetensors.torch", None)
        with pytest.raises(TrainError, match="safetensors is not installed"):
            load_trunk_weights(nn.Identity(), "resnet18", tmp_path / "w.safetensors")

    def test_a_checkpoint_that_names_an_unknown_backbone_is_of_no_scorer(self, tmp_path: Path) -> None:
        about = {
            "grades": [6, 5],
            "group_names": ["MCP"],
            "pairing": "coupled",
            "crowd": "none",
            "raters": 1,
            "width": 4,
        }
        torch.save({"model": {}, "about": json.loads(json.dumps({**about, "backbone": "own"}))}, tmp_path / "model.pt")
        with pytest.raises(TrainError, match="not of a scorer"):
            load_scorer_network(tmp_path, CPU)
