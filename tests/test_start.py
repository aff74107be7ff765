"""The modules that the app loads before its first screen: none that only other commands need."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.start import FILM

pytestmark = pytest.mark.slow

HEAVY = ("scipy", "skimage", "cv2", "torch", "ratui.phantom", "ratui.demo")


def test_reading_starts_without_modules_of_other_commands() -> None:
    code = "import sys, ratui.tui, ratui.tui.screens.scoring.screen; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "textual.app" in loaded
    assert [name for name in loaded if name in HEAVY] == []


def test_the_dataclasses_of_the_first_screens_compile_no_method_at_import() -> None:
    code = (
        "import sys, ratui.cli.main, ratui.tui, ratui.tui.screens.scoring.screen, ratui.tui.screens.worklist.screen\n"
    )
    code += "print(*(each.__file__ for name, each in sys.modules.items() if name.startswith('ratui')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert any(name.endswith("scheme/model.py") for name in loaded)
    sources = {name: Path(name).read_text(encoding="utf-8") for name in loaded}
    of_python = [
        name for name, text in sources.items() if re.search(r"^from dataclasses import .*\bdataclass\b", text, re.M)
    ]
    # With slots, Python makes a second class, so that it has to be its own decorator.
    assert [name for name in of_python if "slots=True" not in sources[name] and "lazy_dataclass" not in name] == []


def test_the_start_is_measured_until_a_film_is_shown() -> None:
    panel = b"\x1b[48;2;26;26;26m \x1b[0m\x1b[1;7;38;2;224;176;80;48;2;0;0;0m 1/8 \x1b[0m"
    assert [name for name, pattern in FILM.items() if pattern.search(panel)] == []
