"""The commands without any of the extras."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ratui.imaging import write_film
from ratui.phantom import render, simulate_patient
from ratui.scheme import load_scheme
from ratui.study import Study
from tests.films import hospital
from tests.results.studies import noisy_study

pytestmark = pytest.mark.slow

EXTRAS = (
    *("scipy", "matplotlib", "pyarrow", "highdicom", "torch", "torchvision", "skimage"),
    *("pynetdicom", "dicomweb_client", "requests"),
)
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def light(tmp_path: Path) -> Run:
    """Run ``ratui`` with the given arguments; in it and in the processes that it starts, no extra can be imported."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({EXTRAS}))\n")
    paths = [str(folder), str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "ratui", *map(str, arguments)]
        return subprocess.run(words, capture_output=True, text=True, env=environment)

    return run


def test_the_extras_cannot_be_imported(light: Run, tmp_path: Path) -> None:
    study = noisy_study(tmp_path, patients=2)
    assert "highdicom is not installed" in light("export", study.path, tmp_path / "out", "--format", "sr").stderr


def test_a_study_is_made_filled_and_looked_at(light: Run, tmp_path: Path) -> None:
    folder = hospital(tmp_path / "h")
    for words in (
        ("new", tmp_path / "s", "--rater", "anna"),
        ("import", tmp_path / "s", folder, "--no-propose", "--key", tmp_path / "key.json"),
        ("status", tmp_path / "s", "--html", tmp_path / "status.html"),
        ("check", tmp_path / "s"),
        ("backup", tmp_path / "s", tmp_path / "s.zip"),
        ("demo", "--help"),
        ("keys", "--card"),
    ):
        done = light(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


def test_joints_are_found(light: Run, tmp_path: Path) -> None:
    Study.create(tmp_path / "s", "fingers", ["anna"])
    patient = simulate_patient(np.random.default_rng(1), load_scheme("mtss-hands"))
    pixels = render(patient, "L", 0, np.random.default_rng(2), size=(480, 400)).pixels
    (tmp_path / "h").mkdir()
    attributes = {"PatientID": "P1", "StudyDate": "20200302"}
    write_film(tmp_path / "h" / "film.dcm", pixels, spacing=(0.4, 0.4), laterality="L", attributes=attributes)
    done = light("import", tmp_path / "s", tmp_path / "h", "--key", tmp_path / "key.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "10 joints proposed on 1 hand of 1 case"


def test_results_are_exported(light: Run, tmp_path: Path) -> None:
    study = noisy_study(tmp_path, patients=2)
    formats = [word for name in ("csv", "json", "coco", "mk") for word in ("--format", name)]
    for words in (
        ("export", study.path, tmp_path / "out", *formats, "--missing", "observed"),
        ("adjudicate", study.path, "--list", "--missing", "observed"),
    ):
        done = light(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


@pytest.mark.parametrize(
    "words", [("agreement", "--missing", "common"), ("report", "report.html", "--no-plots", "--missing", "observed")]
)
def test_agreement_without_its_extra_is_one_message(light: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    study = noisy_study(tmp_path, patients=3)
    command, *rest = words
    done = light(command, study.path, *(tmp_path / word if word.endswith("html") else word for word in rest))
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout == ""
    assert done.stderr.strip().splitlines() == [
        "ratui: agreement: scipy is not installed. pip install 'ratui[results]'"
    ]
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.parametrize(
    "words",
    [
        ("fetch", "s", "--from", "https://pacs/", "--patients", "list"),
        ("receive", "s", "--port", "0", "--allow", "PACS"),
        ("send", "out", "--to", "https://pacs/"),
    ],
)
def test_a_pacs_without_its_extra_is_one_message(light: Run, words: tuple[str, ...]) -> None:
    done = light(*words)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        "ratui: exchange with a PACS: pynetdicom is not installed. pip install 'ratui[pacs]'"
    ]
