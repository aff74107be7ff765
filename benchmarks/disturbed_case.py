"""One case read by keys while it is disturbed, for `benchmarks.read_by_keys --disturb`.

At each of the first joints the person answers one field, and then something happens: the window changes its size, ratui or
the terminal ends without warning, or input comes that is no answer. Afterwards the stored reading has to be as before, the
same joint has to be on the screen with the same films, and its other fields are answered.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.case_by_keys import Run
from benchmarks.real_terminals import PATIENCE, TERMINALS, WindowSize
from benchmarks.simulated_reader import Films
from ratui.reading import GradeEntry, Slot
from ratui.tui.screens.scoring.hand_map import MAP_FROM, MAP_WIDTH
from ratui.tui.screens.scoring.text import count_key_rows

__all__ = ["DISTURBANCES", "DisturbedRun"]

_SHELL = """\
echo $$ > "$0.pid"
set -m
while true; do
  "$@"
  while [ -n "$(jobs -s)" ]; do printf 'ratui is suspended\\n'; read -rsn1; fg > /dev/null; done
  printf 'ratui has ended\\n'; read -rsn1; while read -rsn1 -t 0.2; do :; done
done
"""
"""A shell with job control, which starts ratui again after its end, and continues it after Ctrl-Z, at the next key."""
_SETTLED = 2.5
"""Seconds after a change of the terminal. In the first 1.5 s ratui takes no answers."""
_STARTED = 3.0
"""Seconds after a start of ratui."""
_MOST_DIFFERENT, _DIFFERENT_BY = 0.02, 24
"""Largest share of pixels of a film that may differ by more than so many grey levels from the film before."""
_PASTED = "0123n a\nS0"
"""Pasted text, all characters of which would be keys."""
_HELD_SECONDS = 2.0
_WHEEL_UP, _WHEEL_DOWN = 4, 5
_ONLY_IN = {"attach": ("tmux",), "font": ("kitty", "xterm")}
"""The terminals of disturbances that do not exist in all of them."""
_FONT_KEYS = {"kitty": ("ctrl+shift+equal", "ctrl+shift+minus"), "xterm": ("shift+KP_Add", "shift+KP_Subtract")}
"""The keys of the terminals that make the characters larger and smaller."""
_TINY = (34, 8)
"""Columns and rows of a window in which no film can be read."""


class DisturbedRun(Run):
    """A case that is disturbed at its first joints. All joints are answered as normal otherwise.

    Parameters
    ----------
    arguments, options
        Those of `Run`.
    disturbances
        Names of `DISTURBANCES`, one for each joint.
    """

    def __init__(self, *arguments: Any, disturbances: Sequence[str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._disturbances = [each for each in disturbances if self._kind in _ONLY_IN.get(each, TERMINALS)]
        self.name += ".disturbed"

    def _shell(self, home: Path) -> list[str]:
        self._script = home / "shell.sh"
        self._script.write_text(_SHELL)
        return ["bash", str(self._script)]

    def _act_at_joint(self, place: int) -> None:
        if place >= len(self._disturbances):
            return
        name = self._disturbances[place]
        first = self._open_fields()[0]
        self._answer("1", {first: GradeEntry(1)})
        before = self._look_at_films(f"{name}-before")
        is_same_joint = DISTURBANCES[name](self)
        after = self._look_at_films(f"{name}-after", at_least=1.0)
        self._films = before
        self._compare_values(name)
        if is_same_joint:
            self._compare_films(name, before, after)

    def _compare_values(self, name: str) -> None:
        """Note a fault if the reading has other answers than those that were typed."""
        reading = self._reading()
        answers = {
            each: value for each, value in reading.values.items() if Slot(each.site, each.time) not in reading.absent
        }
        if answers != self._expected:
            wrong = sorted(
                str(each)
                for each in answers.keys() | self._expected.keys()
                if answers.get(each) != self._expected.get(each)
            )
            self.outcome.faults.append(f"after {name} at {self._site} other answers are stored at {', '.join(wrong)}")

    def _compare_films(self, name: str, before: Films, after: Films) -> None:
        """Note a fault if the films on the screen are not those from before."""
        for side, film, film_before in zip(("left", "right"), after, before, strict=True):
            problem = ""
            if film.shape != film_before.shape:
                problem = f"has {film.shape} pixels instead of {film_before.shape}"
            elif (share := count_different(film, film_before)) > _MOST_DIFFERENT:
                problem = f"differs in {share:.0%} of its pixels"
            if problem:
                self.outcome.faults.append(f"after {name} at {self._site} the {side} film {problem}")

    # The disturbances. Each returns whether the same joint still has to be on the screen.

    def _resize(self) -> bool:
        """Make the window larger, smaller, too small for films, and as large as before."""
        size = self._terminal.measure_window()
        for stage, columns, rows in (
            ("larger", self._columns * 5 // 4, self._rows * 5 // 4),
            ("smaller", self._columns * 3 // 4, self._rows * 3 // 4),
            ("tiny", *_TINY),
        ):
            self._terminal.resize(WindowSize(size.width * columns // self._columns, size.height * rows // self._rows))
            if stage == "tiny":
                self._look("resize-tiny", at_least=_SETTLED)
            else:
                self._look_at_films(f"resize-{stage}", _SETTLED, columns)
        self._terminal.resize(size)
        self._look("resize-back", at_least=_SETTLED)
        return True

    def _change_font(self) -> bool:
        """Make the characters larger by two steps, and as large as before."""
        larger, smaller = _FONT_KEYS[self._kind]
        self._terminal.press(larger, larger)
        self._look_at_films("font-larger", _SETTLED)
        self._terminal.press(smaller, smaller)
        self._look("font-back", at_least=_SETTLED)
        return True

    def _kill_app(self) -> bool:
        """Kill ratui, and start it again in the same terminal."""
        return self._end_app(signal.SIGKILL)

    def _terminate_app(self) -> bool:
        """End ratui by the signal of `kill`, and start it again in the same terminal."""
        return self._end_app(signal.SIGTERM)

    def _end_app(self, number: signal.Signals) -> bool:
        os.kill(self._find_app(), number)
        ended = self._look(f"{number.name}-ended", at_least=1.0)
        self._terminal.press("Return")
        end = time.monotonic() + PATIENCE
        while self._terminal.wait_until_still(0.5) == ended and time.monotonic() < end:
            time.sleep(0.2)
        self._return_to_joint()
        return True

    def _find_app(self) -> int:
        """Return the process ID of ratui."""
        shell = self._script.with_name(f"{self._script.name}.pid").read_text().strip()
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", shell], capture_output=True, text=True, check=True)
        return int(found.stdout.split()[0])

    def _return_to_joint(self) -> None:
        """Go from the first screen of ratui to the joint."""
        self._look("started-again", at_least=_STARTED)
        if self._case.name != "demo":  # the demo opens the case at once
            self._go_to_case()
            self._look("joint-again", at_least=1.0)

    def _kill_terminal(self) -> bool:
        """Kill the terminal, and open another one."""
        return self._end_terminal(is_killed=True)

    def _hang_up(self) -> bool:
        """Close the terminal's window, and open another one."""
        return self._end_terminal(is_killed=False)

    def _end_terminal(self, *, is_killed: bool) -> bool:
        self._terminal.close_window(is_killed=is_killed)
        time.sleep(1.0)
        self._terminal.reopen()
        if self._kind == "tmux":  # ratui still runs
            self._look("attached-again", at_least=_STARTED)
        else:
            self._return_to_joint()
        return True

    def _attach(self) -> bool:
        """Attach tmux to a terminal of another size, and then to one of the first size."""
        columns = self._columns * 3 // 4
        self._terminal.attach_anew(f"{columns}x{self._rows * 3 // 4}")
        self._look_at_films("attached-smaller", _STARTED, columns)
        self._terminal.attach_anew(f"{self._columns}x{self._rows}")
        self._look("attached-again", at_least=_STARTED)
        return True

    def _suspend(self) -> bool:
        """Press Ctrl-Z, look at the shell, and continue ratui."""
        self._terminal.press("ctrl+z")
        self._look("suspended", at_least=1.0)
        self._terminal.press("Return")
        self._look_at_films("continued", _SETTLED)
        return True

    def _hold_key(self) -> bool:
        """Hold the key of normal: it may answer this joint, and no other one."""
        answers = {**self._expected, **self._normals()}
        self._terminal.hold("n", _HELD_SECONDS)
        self._look("key-held", at_least=1.0)
        if self._open_fields():
            return True
        self._expected = answers
        return False

    def _paste(self) -> bool:
        """Paste text that consists of keys. None of them may have an effect."""
        before = self._look("to-paste")
        self._terminal.paste(_PASTED)
        if self._look("pasted", at_least=1.0) == before:
            self.outcome.faults.append("no message says that pasted text was ignored")
        return True

    def _use_mouse(self) -> bool:
        """Click the films, turn the wheel, and click a field of the second film to answer it."""
        for button in (1, 3):
            self._terminal.click(0.25, 0.4, button)
            self._look_at_films(f"button-{button}")
        self._terminal.click(0.25, 0.4, _WHEEL_UP, count=2)
        self._look_at_films("wheel-up", 0.5)
        self._terminal.click(0.25, 0.4, _WHEEL_DOWN, count=2)
        self._look_at_films("wheel-down", 0.5)
        reading = self._reading()
        second = [each for each in self._open_fields() if each.time == reading.order[1]]
        if len(reading.order) == 2 and second and len(self._open_fields()) > 1:
            film_columns = self._columns - (MAP_WIDTH if self._columns >= MAP_FROM else 0)
            rows_below = count_key_rows(self._columns) + 1.5
            self._terminal.click((film_columns / 2 + 2.5) / self._columns, (self._rows - rows_below) / self._rows)
            self._look("field-clicked", at_least=0.5)
            self._answer("1", {second[0]: GradeEntry(1)})
        return bool(self._open_fields())


def count_different(film: npt.NDArray[np.uint8], before: npt.NDArray[np.uint8]) -> float:
    """Return the share of the pixels of `film` that differ clearly from those of `before`, an array of the same shape."""
    return float((np.abs(film.astype(int) - before) > _DIFFERENT_BY).mean())


DISTURBANCES: Mapping[str, Callable[[DisturbedRun], bool]] = MappingProxyType(
    {
        "resize": DisturbedRun._resize,
        "kill": DisturbedRun._kill_app,
        "suspend": DisturbedRun._suspend,
        "mouse": DisturbedRun._use_mouse,
        "paste": DisturbedRun._paste,
        "held": DisturbedRun._hold_key,
        "font": DisturbedRun._change_font,
        "terminate": DisturbedRun._terminate_app,
        "crash": DisturbedRun._kill_terminal,
        "hangup": DisturbedRun._hang_up,
        "attach": DisturbedRun._attach,
    }
)
"""The disturbances by name, in the order in which they happen."""
