"""Checkpoints with damaged or hostile content: one clear error, no code, no text that a terminal would obey."""

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ratui.errors import TrainError
from trainer.inference.scoring import load_scorers
from trainer.models import torch_files
from trainer.models.checkpoint_files import load_checkpoint
from trainer.models.detector import build_detector, load_detector
from trainer.models.scorer import build_scorer
from trainer.models.weight_files import read_state_dict
from trainer.training.model_card import format_model_card

ABOUT: dict[str, Any] = {
    "model": "scorer",
    "grades": [6, 5],
    "group_names": ["PIP", "MCP"],
    "scales": ["ERO", "JSN"],
    "pairing": "coupled",
    "crowd": "none",
    "raters": 1,
    "width": 4,
    "loss": "pair",
}


def write(folder: Path, **changes: Any) -> Path:
    about = {name: value for name, value in {**ABOUT, **changes}.items() if value is not None}
    torch.save({"model": build_scorer(ABOUT).state_dict(), "about": about}, folder / "model.pt")
    return folder


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "\x1b]0;text\x07"},
        {"\x1b[2J": 1},
        {"grades": [math.inf, 5]},
        {"validation_loss": math.nan},
        {"loss": torch.zeros(2)},
        {"raters": 10**30},
        {"held_out": {1: 2}},
    ],
    ids=["text", "name", "infinity", "nan", "tensor", "large", "number as name"],
)
def test_a_description_that_is_not_plain(tmp_path: Path, changes: dict[str, Any]) -> None:
    run = write(tmp_path, **changes)
    for use in (load_checkpoint, format_model_card):
        with pytest.raises(TrainError, match="description is damaged"):
            use(run / "model.pt")


def test_a_description_whose_parts_contain_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_files, "_MAX_VALUES", 9_999)
    parts: list[Any] = []
    for _ in range(60):  # 2 ** 60 parts in little memory
        parts = [parts, parts]
    with pytest.raises(TrainError, match="description is damaged"):
        load_checkpoint(write(tmp_path, more=parts) / "model.pt")


def test_a_plain_description_is_read(tmp_path: Path) -> None:
    run = write(tmp_path, seen=(1, -2.5, True, {"ü": ["é"]}))
    assert load_checkpoint(run / "model.pt")["about"]["seen"] == (1, -2.5, True, {"ü": ["é"]})
    assert load_scorers([run], torch.device("cpu"))[0].scales == ("ERO", "JSN")


def test_a_model_of_no_known_kind(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="no model of ratui-train"):
        format_model_card(write(tmp_path, model=["scorer"]))


@pytest.mark.parametrize("loss", [None, 3])
def test_a_scorer_without_the_name_of_its_loss(tmp_path: Path, loss: object) -> None:
    with pytest.raises(TrainError, match="not of a scorer"):
        load_scorers([write(tmp_path, loss=loss)], torch.device("cpu"))


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    weights = build_scorer(ABOUT).state_dict()
    next(value for value in weights.values() if value.is_floating_point()).view(-1)[0] = math.nan
    torch.save({"model": weights, "about": ABOUT}, tmp_path / "model.pt")
    with pytest.raises(TrainError, match="NaN or infinity"):
        load_scorers([tmp_path], torch.device("cpu"))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(2, dtype=torch.complex64),
        torch.ones(2).to_sparse(),
        torch.ones(2, device="meta"),
        torch.ones(2).to(torch.float8_e4m3fn),
        torch.ones(1).expand(10**13),
    ],
    ids=["complex", "sparse", "meta", "float8", "repeated"],
)
def test_tensors_that_no_network_has(tmp_path: Path, tensor: torch.Tensor) -> None:
    torch.save({"model": {"a": tensor}}, tmp_path / "model.pt")
    with pytest.raises(TrainError, match="no plain tensors"):
        load_checkpoint(tmp_path / "model.pt")
    with pytest.raises(TrainError, match="no table of weights"):
        read_state_dict(tmp_path / "model.pt")


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_a_threshold_that_is_no_probability(tmp_path: Path, threshold: float) -> None:
    weights = build_detector().state_dict() | {"threshold": torch.tensor(threshold)}
    torch.save({"model": weights, "about": {"backbone": "small"}}, tmp_path / "model.pt")
    with pytest.raises(TrainError, match="no probability"):
        load_detector(tmp_path, torch.device("cpu"))


def test_a_backbone_that_is_no_name(tmp_path: Path) -> None:
    torch.save({"model": {}, "about": {"backbone": ["small"]}}, tmp_path / "model.pt")
    with pytest.raises(TrainError, match="are of a backbone"):
        load_detector(tmp_path, torch.device("cpu"))


@pytest.mark.parametrize("read", [load_checkpoint, read_state_dict])
def test_a_small_file_with_a_table_of_many_megabytes(tmp_path: Path, read: Any) -> None:
    with zipfile.ZipFile(tmp_path / "model.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + b"(" * 40_000_000)
        archive.writestr("archive/version", "3")
    with pytest.raises(TrainError, match="can't be read safely"):
        read(tmp_path / "model.pt")


@pytest.mark.parametrize("read", [load_checkpoint, read_state_dict])
def test_a_small_file_with_large_tensors(tmp_path: Path, read: Any) -> None:
    torch.save({"model": {"a": torch.zeros(12_000_000)}}, tmp_path / "large.pt")
    with zipfile.ZipFile(tmp_path / "large.pt") as large, zipfile.ZipFile(tmp_path / "small.pt", "w", 8) as small:
        for entry in large.infolist():
            small.writestr(entry.filename, large.read(entry))
    assert read(tmp_path / "large.pt")
    with pytest.raises(TrainError, match="can't be read safely"):
        read(tmp_path / "small.pt")


@pytest.mark.parametrize("new_format", [True, False])
def test_each_damaged_file_is_one_error(tmp_path: Path, *, new_format: bool) -> None:
    file = tmp_path / "model.pt"
    torch.save({"model": {"a": torch.ones(3)}, "about": ABOUT}, file, _use_new_zipfile_serialization=new_format)
    whole, rng = file.read_bytes(), np.random.default_rng(1)
    refused = 0
    for number in range(250):
        damaged = bytearray(whole[: rng.integers(len(whole))] if number % 5 == 0 else whole)
        for at in rng.integers(0, len(damaged) or 1, 3 if damaged else 0):
            # The table at the end of a zip file is damaged as often as the content.
            damaged[-1 - at % 300 if number % 2 else at] = rng.integers(256)
        file.write_bytes(damaged)
        for read in (load_checkpoint, read_state_dict):
            try:
                read(file)
            except TrainError:
                refused += 1
    assert refused > 100
