"""The model card: its facts are those of the run, and text of other people's files is harmless."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from ratui.errors import TrainError
from ratui.study import Study
from tests.trainer.test_runs import ALONE, CPU, plan
from trainer.cli import commands
from trainer.data.splits import split_cases
from trainer.models.checkpoint_files import load_checkpoint
from trainer.training.lineage import digest_of_file
from trainer.training.model_card import CARD, format_model_card
from trainer.training.scorer_training import train_scorer


@pytest.fixture(scope="module")
def run(phantom_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cards") / "first"
    train_scorer(phantom_study, folder, plan(1, loss="soft"), CPU, ALONE)
    return folder


def test_a_training_writes_the_card_that_show_prints(run: Path, phantom_study: Study) -> None:
    text = (run / CARD).read_text()
    shown = CliRunner().invoke(commands, ["show", str(run)])
    assert shown.exit_code == 0
    assert shown.output == text == format_model_card(run / "model.pt").replace("scorer model.pt", "scorer first")
    split = split_cases(phantom_study.cases())
    assert f"- cases: {len(split.train)} trained on, {len(split.test)} held out" in text
    assert f"study {phantom_study.config.id}: " in text
    assert f" of {len(split.train)} cases" in text
    assert "- loss: soft" in text
    assert "- rate: 0.002" in text
    assert digest_of_file(run / "model.pt") in text
    loss = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["loss"]
    assert f"- loss: {loss}" in text


def test_the_parent_is_named(run: Path, phantom_study: Study, tmp_path: Path) -> None:
    changed = replace(plan(1).training, seed=9)
    train_scorer(phantom_study, tmp_path / "next", plan(1, training=changed, weights=run / "model.pt"), CPU, ALONE)
    text = (tmp_path / "next" / CARD).read_text()
    assert "**this training**: scorer" in text
    assert "**weights it started from**: scorer" in text
    assert "not known" not in text


def test_unknown_weights_are_a_limit(run: Path, tmp_path: Path) -> None:
    state = load_checkpoint(run / "model.pt")
    del state["about"]["lineage"]
    torch.save(state, tmp_path / "model.pt")
    text = format_model_card(tmp_path / "model.pt")
    assert "not known: it may have learned from any case" in text


def test_the_card_of_the_shipped_detector() -> None:
    text = format_model_card(Path("shipped"))
    assert "simulated films, seed 2" in text
    assert "learned from simulated films only" in text


def test_hostile_files_of_a_run_are_harmless(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    (folder / "config.json").write_text(
        json.dumps({"plan": {"fit": {"rate": "\x1b[2J" + "x" * 9999}, "batch": [1] * 9999}})
    )
    (folder / "split.json").write_text("[" * 9999)
    (folder / "metrics.jsonl").write_text('{"\\u001b[2J": 1}')
    text = format_model_card(folder)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) < 300


@pytest.mark.parametrize("content", [b"", b"nothing"])
def test_a_file_that_is_no_model_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(TrainError):
        format_model_card(tmp_path)
    torch.save({"model": {}, "about": {"model": "poem"}}, tmp_path / "model.pt")
    with pytest.raises(TrainError, match="no model of ratui-train"):
        format_model_card(tmp_path)
