"""Take the reading test by keys in tmux as observers of known thresholds, and compare what ratui stored.

``python -m benchmarks.reading_test_by_keys`` runs ``ratui doctor --reading-test`` with half-cells. The observer does not
look at the films: it knows the trials from the seed, and answers correctly with the probability that its threshold gives.
So the stored thresholds test keys, trials, storage and estimate, and not the display. The last observer always chooses the
left film. It needs tmux, and takes about 80 s for each observer.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.recompute_displays import estimate_threshold
from ratui.practice.psychometrics import compute_probability_correct
from ratui.practice.reading_test import ReadingTest, Trial
from ratui.study import Study
from ratui.study.campaign.display_tests import load_display_tests

OBSERVERS = ((0.5, 0.1), (1.0, 0.2), (2.0, 0.4))
"""Thresholds of the observers: diameter of an erosion in mm, and lost share of a joint space."""
_SLOPE, _LAPSES = 3.0, 0.02
_PATIENCE = 60.0
"""Seconds without progress after which a run fails."""

Observer = Callable[[Trial], int]
"""Function that returns the chosen film of a trial: 0 for the left one."""


class Tmux:
    """A tmux server of its own with one program inside, as a context manager."""

    def __init__(self, folder: Path, size: str, command: str) -> None:
        (folder / "tmux.conf").write_text('set -g status off\nset -g default-terminal "tmux-256color"\n')
        self._tmux = ["tmux", "-S", str(folder / "tmux"), "-f", str(folder / "tmux.conf")]
        self._environment = {name: os.environ[name] for name in os.environ.keys() - {"TMUX", "COLUMNS", "LINES"}}
        self._environment |= {"XDG_CONFIG_HOME": f"{folder}/config", "XDG_DATA_HOME": f"{folder}/data"}
        columns, rows = size.split("x")
        self._start = ("new-session", "-d", "-x", columns, "-y", rows, command)

    def __enter__(self) -> Tmux:
        self.run(*self._start)
        return self

    def __exit__(self, *_: object) -> None:
        self.run("kill-server")

    def run(self, *words: str) -> str:
        """Return what a command of tmux prints."""
        command = [*self._tmux, *words]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False).stdout

    def wait_for(self, is_there: Callable[[str], object], key: str = "", every: float = 2.0) -> None:
        """Wait until `is_there` is true for the text on the screen, and press `key` in the meantime, if it is not empty."""
        begun, pressed = time.monotonic(), 0.0
        while not is_there(screen := self.run("capture-pane", "-p")):
            now = time.monotonic()
            if now - begun > _PATIENCE:
                raise RuntimeError(f"no progress:\n{screen}")
            if key and now - pressed > every:
                self.run("send-keys", key)
                pressed = now
            time.sleep(0.05)


def take_test(folder: Path, size: str, seed: int, choose: Observer) -> None:
    """Take the test with this seed, and store its result with the readings of the rater anna in the new study `folder`."""
    Study.create(folder / "study", "fingers", ("anna",))
    command = (
        f"{sys.executable} -m ratui doctor --reading-test --study {folder}/study --rater anna --seed {seed} --lang en"
    )
    test = ReadingTest(seed)
    with Tmux(folder, size, f"{command}; sleep 1000") as terminal:
        terminal.wait_for(lambda screen: "Before the test" in screen)
        while (trial := test.trial) is not None:
            plan = test.plan
            assert plan is not None
            head = re.compile(rf"\A[^\n]* {test.count_answers(plan.part) + 1} of {plan.trials}\s")
            terminal.wait_for(head.search, "Enter")  # an introduction or an example stands before it
            place = choose(trial)
            time.sleep(0.3)

            def is_over(screen: str, head: re.Pattern[str] = head) -> bool:
                return head.search(screen) is None

            terminal.wait_for(
                is_over, "12"[place]
            )  # again after a while: a key before the films were displayed has no effect
            test.answer(place, 1.0)
        terminal.wait_for(lambda screen: "The result is stored" in screen)


def make_observer(erosion: float, narrowing: float, seed: int) -> Observer:
    """Return an observer with these thresholds."""
    rng = np.random.default_rng(seed)

    def choose(trial: Trial) -> int:
        threshold = erosion if trial.part == "erosion" else narrowing
        is_correct = rng.random() < compute_probability_correct(trial.size, threshold, _SLOPE, _LAPSES)
        return trial.place if is_correct else 1 - trial.place

    return choose


def main() -> None:
    """Let each observer take the test, print a table, and exit with 1 if a stored threshold does not follow from answers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", default="120x40", help="columns x rows, as in 120x40")
    size = parser.parse_args().size
    observers = [(f"{mm:g} mm, {100 * share:g} %", make_observer(mm, share, 1)) for mm, share in OBSERVERS]
    observers.append(("always left", lambda trial: 0))
    print(
        "| observer | part | stored | 95 % interval | recomputed from the answers | one-sided |\n|---|---|---|---|---|---|"
    )
    wrong = 0
    for seed, (name, choose) in enumerate(observers, start=1):
        with tempfile.TemporaryDirectory() as folder:
            take_test(Path(folder), size, seed, choose)
            (test,) = load_display_tests(Study.open(Path(folder) / "study").folder, "anna")
        for part in test.parts:
            answers = [(trial.size, trial.is_correct) for trial in part.trials]
            again = [round(each, 4) for each in estimate_threshold(answers, part.smallest, part.largest)]
            is_same = bool(np.allclose(again, [part.threshold, part.low, part.high], atol=1.1e-4))
            wrong += not is_same
            print(
                f"| {name} | {part.part} | {part.threshold:.3f} | {part.low:.3f} to {part.high:.3f} "
                f"| {'the same' if is_same else again} | {'yes' if part.is_one_sided else 'no'} |",
                flush=True,
            )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
