"""The modules that the app loads before its first screen: none that only other commands need."""

import subprocess
import sys

import pytest

from benchmarks.start import FILM

pytestmark = pytest.mark.slow

HEAVY = ("scipy", "skimage", "cv2", "torch", "ratui.phantom", "ratui.demo")


def test_reading_starts_without_modules_of_other_commands() -> None:
    code = "import sys, ratui.tui, ratui.tui.screens.scoring.screen; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "textual.app" in loaded
    assert [name for name in loaded if name in HEAVY] == []


def test_the_start_is_measured_until_a_film_is_shown() -> None:
    panel = b"\x1b[48;2;26;26;26m \x1b[0m\x1b[1;7;38;2;224;176;80;48;2;0;0;0m 1/8 \x1b[0m"
    assert [name for name, pattern in FILM.items() if pattern.search(panel)] == []
