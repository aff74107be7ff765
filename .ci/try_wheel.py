"""Check an installed wheel away from the sources.

It must bring neither PyTorch nor scipy, stay below 400 MB, and contain the sample, schemes, texts and programs.
"""

import subprocess
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path

import ratui
from ratui.demo.sample import copy_sample
from ratui.detection.finger_joints import normalise_levels
from ratui.detection.onnx_networks import load_shipped_detector
from ratui.detection.site_finder import find_sites
from ratui.scheme import load_scheme
from ratui.tui.i18n.catalog import LANGUAGES

LARGEST = 400
"""Maximum disk space in megabytes of ratui and all its dependencies."""
INSTALLERS = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "wheel")
"""Packages of the virtual environment itself, which are not counted."""
programs = Path(sys.executable).parent


def run(*words: str) -> str:
    """Run a program and return its output; an exit code other than 0 raises CalledProcessError."""
    return subprocess.run([programs / words[0], *words[1:]], check=True, capture_output=True, text=True).stdout


def refused(*words: str) -> str:
    """Run a program that must exit with 1, and return its message, which must be one line."""
    done = subprocess.run([programs / words[0], *words[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done
    (line,) = done.stderr.splitlines()
    return line


def megabytes(folder: Path) -> float:
    """Return how much `folder` takes on the disk, as ``du -m`` counts it, without the installers."""
    files = (
        file
        for entry in folder.iterdir()
        if entry.name.partition("-")[0] not in INSTALLERS
        for file in (entry, *entry.rglob("*"))
    )
    return sum(file.lstat().st_blocks for file in files) * 512 / 2**20


assert Path(ratui.__file__).is_relative_to(Path(sys.prefix)), ratui.__file__
for name in ("torch", "scipy", "skimage", "matplotlib"):
    assert find_spec(name) is None, f"installing ratui alone brings {name}"
size = megabytes(Path(sysconfig.get_path("purelib")))
assert size < LARGEST, f"installing ratui alone takes {size:.0f} MB, more than {LARGEST}"
with tempfile.TemporaryDirectory() as folder:
    study, _, _ = copy_sample(Path(folder) / "sample")
    assert "signed" in run("ratui", "status", str(study))
    run("ratui", "export", str(study), f"{folder}/out", "--missing", "observed")
    missing = refused("ratui", "agreement", str(study))
    assert "scipy is not installed" in missing, missing
    assert "pip install 'ratui[results]'" in missing, missing
    sample = ratui.open_study(study)
    film = sample.case(sample.cases()[0]).films[0]
    pixels = sample.film(sample.cases()[0], film.id, film.orientation)
    whole = load_scheme("mtss-hands")
    hands = find_sites(load_shipped_detector(), normalise_levels(pixels), whole, max_hands=len(film.sides))
    assert [len(hand.joints) for hand in hands] == [22] * len(film.sides), hands
for name in ("fingers", "mtss-hands", "mtss"):
    assert load_scheme(name).sites
for language in LANGUAGES:
    assert run("ratui", "keys", "--card", "--lang", language)
assert "not installed" in refused("ratui-train", "scorer", ".", "--out", "run")
print(f"the wheel works by itself: {run('ratui', '--version').strip()}, {size:.0f} MB")
