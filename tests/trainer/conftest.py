"""A small phantom study with readings of simulated raters, shared by the trainer's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ratui.demo.simulate import Simulation, simulate_study
from ratui.study import Study
from tests.support.in_process import draw_films_in_this_process
from tests.support.ram_h1200 import write_ram_h1200
from tests.support.shared_folder import copy_shared_folder


@pytest.fixture(scope="session")
def phantom_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Return a study of six patients, read by two raters."""
    what = Simulation(6, {"ada": "shared-shift", "ben": "mixed"}, size=(500, 410), seed=3)

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            draw_films_in_this_process(patch)
            simulate_study(folder / "study", what, key=folder / "key.json", progress=lambda *_: None)

    return Study.open(copy_shared_folder(tmp_path_factory, "phantom-study", make) / "study")


@pytest.fixture(scope="session")
def ram_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a set of simulated hands in the layout of RAM-H1200: three patients, one in each part of the split."""

    def make(folder: Path) -> None:
        write_ram_h1200(folder / "set", {"train": 1, "val": 1, "test": 1})

    return copy_shared_folder(tmp_path_factory, "ram-h1200", make) / "set"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Use one thread: with two cores and many tests this is faster, and the results are reproducible."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    return tmp_path / "run"
