"""The modules that the app loads before its first screen: none that only other commands need."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

HEAVY = ("scipy", "skimage", "cv2", "torch", "ratui.phantom", "ratui.demo")


def test_reading_starts_without_modules_of_other_commands() -> None:
    code = "import sys, ratui.tui, ratui.tui.screens.scoring.screen; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "textual.app" in loaded
    assert [name for name in loaded if name in HEAVY] == []
