"""The commands of the engineers' page run in order, with options that make the trainings short."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import ratui.cli.main
from ratui.demo.simulate import Simulation, simulate_study
from ratui.study import Study
from tests.docs.test_commands import parse

torch_run = pytest.importorskip("torch.distributed.run", reason="pip install 'ratui[train]'")
import torch  # noqa: E402
import torchvision  # noqa: E402

import trainer.cli  # noqa: E402

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "engineers.md"
SHORT = {
    "detector": ("--epochs", "1", "--weights", "shipped", "--refiner-only"),
    "scorer": ("--epochs", "1", "--width", "8"),
}
"""Options that are added to a command, so that it ends soon."""
LATER = {
    "pip install",
    "ratui demo --headless",
    "python -m pytest",
    "ratui-train benchmark",
    "ratui-train folds",
    "ratui-train sweep",
}
"""Beginnings of commands that others run: `.ci/run`, `tests/demo`, and in `tests/trainer` the modules `test_ram_h1200`,
`test_folds` and `test_sweep`."""


HAS_ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime", "onnxscript"))


def blocks(page: Path = PAGE) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with what the page takes for granted: a study, films, pairs of films, and weights."""
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    simulation = Simulation(2, {"ada": "mixed"}, size=(400, 328), seed=3)
    study = simulate_study(folder / "hands", simulation, key=tmp_path / "key.json", progress=lambda *_: None)
    (folder / "films").mkdir()
    case = study.case(study.cases()[0])
    names = []
    for film in (film for film in case.films if film.side == "L"):
        names.append(f"{film.time}.dcm")
        stored = study.path / "films" / case.id / f"{film.id}.dcm"
        (folder / "films" / names[-1]).write_bytes(stored.read_bytes())
    (folder / "pairs.csv").write_text("first,second,side\n" + ",".join([*sorted(names), "L"]) + "\n")
    torch.save(torchvision.models.resnet18().state_dict(), folder / "resnet18.pth")
    (folder / "feet.toml").write_text((ROOT / "ratui" / "scheme" / "mtss-hands.toml").read_text())
    return folder


def run_line(line: str) -> None:
    program, *words = shlex.split(line, comments=True)
    groups = {"ratui": ratui.cli.main.commands, "ratui-train": trainer.cli.commands}
    done = CliRunner().invoke(groups[program], [*words, *SHORT.get(words[0], ())])
    assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"


def test_the_commands_run_in_order(desk: Path) -> None:
    run = []
    for block in blocks():
        if "torchrun" in block:
            continue  # see below
        if "export-onnx" in block and not HAS_ONNX:
            continue  # the extra is too large for every run of the tests
        for line in re.sub(r"\\\n", " ", block).splitlines():
            if line.strip() and not any(line.startswith(beginning) for beginning in LATER):
                run_line(line)
                run.append(line)
    assert len(run) >= 9
    assert (desk / "report" / "report.html").exists()
    assert len((desk / "joints.csv").read_text().splitlines()) == 21, "ten joints of two films"
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
    (recipe,) = (block for block in blocks() if "#SBATCH" in block)
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
    (line,) = (block for block in blocks() if block.startswith("torchrun"))
    options = torch_run.get_args_parser().parse_args(shlex.split(line)[1:])
    assert (options.nproc_per_node, options.module, options.training_script) == ("8", True, "trainer")
    parse(["ratui-train", *options.training_script_args])


def wait_until(is_true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.02)
