"""The commands of the engineers' page run in order, with options that make the trainings short."""

from __future__ import annotations

import importlib.util
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from ratui.demo.sample import copy_sample
from ratui.study import Study
from tests.docs.test_commands import parse
from tests.support.engineers_page import code_blocks, command_lines, invoke

torch_run = pytest.importorskip("torch.distributed.run", reason="pip install 'ratui[train]'")
import torch  # noqa: E402
import torchvision  # noqa: E402

from trainer.evaluation import evaluate_detector, evaluate_scorer  # noqa: E402

pytestmark = pytest.mark.slow

SHORT = {
    "detector": ("--epochs", "1", "--weights", "shipped", "--refiner-only"),
    "scorer": ("--epochs", "1", "--width", "8"),
    "folds": ("--folds", "2", "--seeds", "1", "--seed", "3", "--epochs", "1"),
    "sweep": ("--seeds", "1", "--seed", "3", "--epochs", "1", "--validation", "0.3"),
}
"""Options that are added to a command, so that it ends soon. With seed 3, the three read cases of the sample lie in two
folds, and one of the two training cases is kept for validation."""
LATER = {
    "pip install": "`.ci/run`",
    "python -m pytest": "`.ci/run`",
    "ratui demo --headless": "`tests/demo`",
    "ratui-train benchmark": "`tests/trainer/test_ram_h1200.py`",
    "ratui-train export-onnx": "`tests/trainer/test_onnx.py`",
}
"""Beginnings of commands that others run, and where."""
HAS_SUBMITIT = importlib.util.find_spec("submitit") is not None


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with what the page takes for granted: a study, films, pairs of films, and weights."""
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for module in (evaluate_scorer, evaluate_detector):
        monkeypatch.setattr(module, "RESAMPLES", 20)
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    sample, _, _ = copy_sample(folder / "hands")
    study = Study.open(sample)
    (folder / "films").mkdir()
    case = study.case(study.cases()[0])
    names = []
    for film in (film for film in case.films if film.side == "L"):
        names.append(f"{film.time}.dcm")
        stored = study.path / "films" / case.id / f"{film.id}.dcm"
        (folder / "films" / names[-1]).write_bytes(stored.read_bytes())
    (folder / "pairs.csv").write_text("first,second,side\n" + ",".join([*sorted(names), "L"]) + "\n")
    torch.save(torchvision.models.resnet18().state_dict(), folder / "resnet18.pth")
    (folder / "feet.toml").write_bytes(files("ratui.scheme").joinpath("mtss-hands.toml").read_bytes())
    return folder


def shorten(line: str) -> tuple[str, ...]:
    """Return the options that make a command short."""
    words = shlex.split(line, comments=True)
    more = SHORT.get(words[1], ())
    if words[1] in ("folds", "sweep"):
        is_detector = "--model" in words and words[words.index("--model") + 1] == "detector"
        more += ("--refiner-only",) if is_detector else () if "width=" in line else ("--width", "4")
        more += () if "--processes 0" in line else ("--processes", "1")
        more += ("--draws", "2") if "--draws" in words else ()
        more += ("--cluster", "local") if "--cluster" in words else ()
    return more


def test_the_commands_run_in_order(desk: Path) -> None:
    run = []
    for line in command_lines("ratui"):
        if line.startswith(tuple(LATER)) or ("--cluster" in line and not HAS_SUBMITIT):
            continue
        done = invoke(line, *shorten(line))
        assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"
        run.append(line)
    assert {line.split()[1] for line in run} == {
        *("detector", "scorer", "evaluate", "propose", "predict", "folds", "sweep", "new")
    }
    assert (desk / "report" / "report.html").exists()
    assert len((desk / "joints.csv").read_text().splitlines()) == 21, "ten joints of two films"
    for name in ("cv", "cv-detector"):
        assert {file.parent.name for file in (desk / name).glob("runs/*/model.pt")} == {
            "seed-3-fold-0",
            "seed-3-fold-1",
        }
        assert (desk / name / "report" / "report.md").exists()
    for name, combinations in (("sweep", 4), ("drawn", 2)):
        assert len(list((desk / name).glob("runs/*/model.pt"))) == combinations
        assert "ratui-train scorer hands --out" in (desk / name / "results.md").read_text()
    assert Study.open(desk / "feet").scheme.name == "mtss-hands"


STUB = """#!/bin/sh
echo "$(basename "$0")" "$@" >> "$RECORD"
case "$(basename "$0")" in
  srun) exec "$@" ;;
  scontrol) [ "$1" = show ] && printf 'node1\\nnode2\\n' ;;
  torchrun) trap 'exit 143' TERM; touch "$RECORD.begun"; while :; do sleep 0.05; done ;;
esac
exit 0
"""
"""Programs of a cluster, which record how they were called. A training goes on until it is ended."""


def test_the_recipe_of_a_cluster_saves_and_is_queued_again(tmp_path: Path) -> None:
    (recipe,) = (block for block in code_blocks() if "#SBATCH" in block)
    record, programs = tmp_path / "record", tmp_path / "bin"
    programs.mkdir()
    for name in ("srun", "scontrol", "torchrun"):
        (programs / name).write_text(STUB)
        (programs / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "RECORD": str(record),
        "SLURM_NNODES": "2",
        "SLURM_JOB_ID": "42",
        "SLURM_JOB_NODELIST": "node[1-2]",
    }
    job = subprocess.Popen(["bash", "-c", recipe], env=environment, start_new_session=True)
    try:
        wait_until((tmp_path / "record.begun").exists)
        time.sleep(0.3)  # the line with the trap follows the one that begins the training
        job.send_signal(signal.SIGTERM)  # to the script alone, as --signal=B:TERM says
        job.wait(timeout=20)
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
    lines = [shlex.split(line) for line in record.read_text().splitlines()]
    assert lines[-1] == ["scontrol", "requeue", "42"]
    launched = next(words for words in lines if words[0] == "torchrun")
    options = torch_run.get_args_parser().parse_args(launched[1:])
    assert (options.nnodes, options.nproc_per_node, options.rdzv_id) == ("2", "4", "42")
    assert options.rdzv_endpoint == "node1"
    assert (options.module, options.training_script) == (True, "trainer")
    parse(["ratui-train", *options.training_script_args])


def test_the_command_for_several_gpus_is_valid() -> None:
    (line,) = (block for block in code_blocks() if block.startswith("torchrun"))
    options = torch_run.get_args_parser().parse_args(shlex.split(line)[1:])
    assert (options.nproc_per_node, options.module, options.training_script) == ("8", True, "trainer")
    parse(["ratui-train", *options.training_script_args])


def wait_until(is_true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.02)
