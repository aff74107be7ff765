"""The app in its terminal: what is set only while it runs."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

from ratui.tui.app_runner import run_in_terminal


def test_threads_take_turns_more_often_while_the_app_runs() -> None:
    before, seen = sys.getswitchinterval(), []
    app: Any = SimpleNamespace(fault=None, return_code=0, unsaved_readings=(), free_images=lambda: "", _driver=None)
    app.run = lambda: seen.append(sys.getswitchinterval())
    run_in_terminal(app)
    assert seen[0] < before
    assert sys.getswitchinterval() == before
