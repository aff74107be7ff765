"""Several processes train on the same samples: the first one prepares them, and one message is printed after an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import trainer
from ratui.scheme import load_scheme
from ratui.study import Study
from trainer.data.image_cache import ImageCache
from trainer.data.phantoms import simulate_hands
from trainer.training.processes import SINGLE_PROCESS
from trainer.training.sharing import _attach, _detach, prepare_in_first

SCRIPT = """
import hashlib, sys
from pathlib import Path
import numpy as np
import torch
from ratui.errors import TrainError
from ratui.study import Study
from trainer.data.pairs import load_pair_samples
from trainer.training.sharing import prepare_in_first
from trainer.training.processes import join_processes

study, out = Path(sys.argv[1]), Path(sys.argv[2])
opened = []
open_study = Study.open
Study.open = lambda path: opened.append(path) or open_study(path)

def prepare():
    with Study.open(study).snapshot() as frozen:
        return [load_pair_samples(frozen, frozen.cases(), out / "samples", lambda *_: None)]

def fail():
    raise TrainError("no joint was found", study, "Confirm regions first")

with join_processes(torch.device("cpu")) as group:
    (samples,) = prepare_in_first(group, prepare)
    digest = hashlib.sha256(np.ascontiguousarray(samples.crops)).hexdigest()
    words = (group.rank, len(opened), digest, int(samples.labels.sum()), samples.cases[-1])
    (out / f"{group.rank}.txt").write_text(" ".join(map(str, words)))
    assert group.any(group.rank == 1) and not group.any(False)
    try:
        prepare_in_first(group, fail)
    except TrainError as error:
        print(f"error of {group.rank}: {error}", file=sys.stderr, flush=True)
        raise SystemExit(1)
"""


@pytest.fixture(scope="module")
def launched(
    phantom_study: Study, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Start two processes that share samples, and of which the first then fails. Return their folder and their end.

    One start serves all tests, because each of the processes imports PyTorch.
    """
    folder = tmp_path_factory.mktemp("launched")
    file = folder / "share.py"
    file.write_text(SCRIPT)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(trainer.__file__).parent.parent)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(file)]
    done = subprocess.run(
        [*command, str(phantom_study.path), str(folder)], capture_output=True, text=True, env=environment, check=False
    )
    return folder, done


@pytest.mark.slow
def test_all_processes_have_the_samples_of_the_first_which_alone_opens_the_study(
    launched: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = launched
    files = [folder / f"{rank}.txt" for rank in (0, 1)]
    assert all(file.exists() for file in files), done.stderr
    lines = [file.read_text().split() for file in files]
    assert [line[0] for line in lines] == ["0", "1"]
    assert [line[1] for line in lines] == ["1", "0"]
    assert lines[0][2:] == lines[1][2:]


@pytest.mark.slow
def test_an_error_of_the_first_process_is_printed_once_and_ends_all(
    launched: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, done = launched
    assert done.returncode == 1
    assert done.stderr.count("no joint was found") == 1
    assert "error of 0" in done.stderr


def test_a_single_process_prepares_for_itself(tmp_path: Path) -> None:
    assert prepare_in_first(SINGLE_PROCESS, lambda: [3, 4]) == [3, 4]


def test_cached_images_are_shared_by_their_path(tmp_path: Path) -> None:
    samples = simulate_hands(1, tmp_path, lambda *_: None, scheme=load_scheme("mtss-hands"), seed=1)
    sent = _detach(samples)
    assert not isinstance(sent.images, np.ndarray)
    received = _attach(sent)
    assert np.array_equal(received.images, samples.images)
    assert np.array_equal(received.boxes, samples.boxes, equal_nan=True)


def test_a_finished_cache_is_read_only_and_under_its_name(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, "x", (2, 3), "content")
    cache.images[:] = 7
    cache.finish()
    assert Path(str(cache.images.filename)) == cache.path  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="read-only"):
        cache.images[0, 0] = 1


def test_samples_of_another_seed_have_their_own_boxes(tmp_path: Path) -> None:
    scheme = load_scheme("mtss-hands")
    first, other, again = (simulate_hands(2, tmp_path, lambda *_: None, scheme=scheme, seed=seed) for seed in (1, 2, 1))
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.boxes, again.boxes, equal_nan=True)
    assert np.array_equal(first.findings, again.findings, equal_nan=True)
    assert not np.array_equal(first.boxes, other.boxes, equal_nan=True)
