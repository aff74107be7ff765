"""Show a result of the reading test in the terminal, with simulated answers.

``python docs/reading_test_results.py reached`` shows thresholds; `OBSERVERS` has the other names. Only the last pair
is shown, and answered at the terminal. `make_screenshots.py` makes pictures of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from ratui.cli.app import prepare_display
from ratui.practice.reading_test import ReadingTest, Trial
from ratui.tui.app_runner import run_in_terminal
from ratui.tui.screens.reading_test.app import ReadingTestApp
from ratui.tui.user_settings import read_user_settings

_SEED = 5
_SMALLEST_SEEN = {"erosion": 0.8, "narrowing": 0.3}
"""Diameter in mm, and lost share of the joint space, from which the simulated observer recognises damage."""
OBSERVERS: Mapping[str, Callable[[Trial], int]] = {
    "reached": lambda trial: trial.place if trial.size >= _SMALLEST_SEEN[trial.part] else trial.draw % 2,
    "not-reached": lambda trial: trial.draw // 2 % 2,
    "left": lambda trial: 0,
}
"""The film that an observer chooses in a trial, by the name of the result."""


def make_answered_test(name: str) -> ReadingTest:
    """Return the test with all answers of the observer `name` but the last one. Raise KeyError for an unknown name."""
    test, choose = ReadingTest(_SEED), OBSERVERS[name]
    left = sum(plan.trials for plan in test.parts) - 1
    for _ in range(left):
        trial = test.trial
        assert trial is not None
        test.answer(choose(trial), 2.0)
    return test


def main() -> None:
    """Run the app with the test that the command line names."""
    display = prepare_display("auto")
    display.require_films()
    run_in_terminal(ReadingTestApp(make_answered_test(sys.argv[1]), display, read_user_settings()))


if __name__ == "__main__":
    main()
