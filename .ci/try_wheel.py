"""What an installed wheel must do away from the sources: no PyTorch brought, sample, schemes, texts and programs there."""

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import ratui
from ratui.demo.sample import copy_sample
from ratui.scheme import load_scheme
from ratui.tui.i18n.catalog import LANGUAGES

programs = Path(sys.executable).parent


def run(*words: str) -> str:
    return subprocess.run([programs / words[0], *words[1:]], check=True, capture_output=True, text=True).stdout


assert Path(ratui.__file__).is_relative_to(Path(sys.prefix)), ratui.__file__
assert find_spec("torch") is None, "installing ratui alone brings PyTorch"
with tempfile.TemporaryDirectory() as folder:
    study, _, _ = copy_sample(Path(folder) / "sample")
    assert "signed" in run("ratui", "status", str(study))
for name in ("fingers", "mtss-hands", "mtss"):
    assert load_scheme(name).sites
for language in LANGUAGES:
    assert run("ratui", "keys", "--card", "--lang", language)
assert (
    "not installed"
    in subprocess.run(
        [programs / "ratui-train", "scorer", ".", "--out", "run"], capture_output=True, text=True, check=False
    ).stderr
)
print(f"the wheel works by itself: {run('ratui', '--version').strip()}")
