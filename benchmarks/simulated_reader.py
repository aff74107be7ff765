"""A simulated person who looks at a real terminal and types, for `benchmarks.read_by_keys`.

The person waits until the screen is still, looks, and types. Each answer is compared with what is stored then, and the films
on the pictures of the joints must neither be dark nor be those of the joint before.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.real_terminals import RealTerminal
from ratui.reading import Entry, Field, Reading
from ratui.study import Study
from ratui.tui.screens.scoring.hand_map import MAP_FROM, MAP_WIDTH

__all__ = ["STILL", "CaseToRead", "Failure", "Films", "Outcome", "SimulatedReader"]

_PATIENCE = 5.0
"""Longest time in seconds to wait for an entry on the disk after its key."""
_FILM_PATIENCE = 20.0
"""Longest time in seconds to wait for a film on a busy machine."""
_TRIALS = 4
"""Number of times a key is pressed that had no effect."""
STILL = 0.35
"""Seconds without a change after which the person takes a joint for displayed."""
_COLOURS = 64
"""Number of colours of the pictures that are kept; enough for greys and a few colours of text."""
_BRIGHT, _LEAST_BRIGHT = 60, 0.02
"""Grey level above which a pixel is bright, and the share of such pixels that a displayed film has at least."""


@dataclass(frozen=True)
class CaseToRead:
    """A case with the study it belongs to, and the arguments of ratui that open its worklist or the case itself."""

    name: str
    study: Path
    rater: str
    case: str
    arguments: tuple[str, ...]


@dataclass
class Outcome:
    """Faults, keys and times of one run."""

    faults: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    """Keys that had to be pressed again, with the joint."""
    key_count: int = 0
    joint_keys: dict[str, int] = field(default_factory=dict)
    """Number of keys at each joint."""
    joint_seconds: dict[str, float] = field(default_factory=dict)


class Failure(Exception):
    """The case cannot be read on."""


Films: TypeAlias = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]
"""Grey levels of the left and the right film on a picture."""


def crop_films(image: bytes, columns: int) -> Films:
    """Return the grey levels of the middle of the left and right film in a picture of the scoring screen.

    The screen has `columns` columns; those of the drawn hand are left out.
    """
    levels = np.asarray(Image.open(io.BytesIO(image)).convert("L"))
    height, width = levels.shape
    if columns >= MAP_FROM:
        width = width * (columns - MAP_WIDTH) // columns
    rows = slice(height // 8, height * 3 // 4)
    return levels[rows, width // 12 : width * 5 // 12], levels[rows, width * 7 // 12 : width * 11 // 12]


def is_dark(film: npt.NDArray[np.uint8]) -> bool:
    """Return whether a film, as grey levels, has too few bright pixels to be displayed."""
    return bool((film > _BRIGHT).mean() < _LEAST_BRIGHT)


class SimulatedReader:
    """A person who looks at one terminal in one language, and types.

    Parameters
    ----------
    case
        The case.
    terminal, language, size, font_size
        The terminal, see `RealTerminal`, and the language of ratui.
    environment, home
        The environment of ratui, and the folder of its files.
    pictures
        Folder for the pictures.
    is_normal
        True to answer all joints by the key for normal.
    """

    def __init__(
        self,
        case: CaseToRead,
        terminal: str,
        language: str,
        size: str,
        environment: Mapping[str, str],
        home: Path,
        pictures: Path,
        *,
        font_size: int = 10,
        is_normal: bool = False,
    ) -> None:
        self._case = case
        self._kind = terminal
        self._pictures = pictures
        self._is_normal = is_normal
        self._columns, self._rows = (int(part) for part in size.split("x"))
        program = [*self._shell(home), sys.executable, "-m", "ratui", *case.arguments]
        self._terminal = RealTerminal(terminal, size, program, environment, home, font_size=font_size)
        self._expected: dict[Field, Entry] = {}
        self._notes: dict[str, str] = {}
        self._flags: set[str] = set()
        self._site = ""
        self._picture_count = 0
        self._films: Films | tuple[()] = ()
        """The films of the joint before."""
        with self._study().open_reading(case.rater, case.case) as session:
            self._empty = session.reading
        self.outcome = Outcome()
        self.name = ".".join(filter(None, (case.name, terminal, size, language)))

    def _shell(self, home: Path) -> list[str]:
        """Return the beginning of a command line that starts ratui; empty to start it directly."""
        return []

    # What a person does.

    def _look(self, stage: str, at_least: float = 0.2, still: float = 0.5) -> bytes:
        """Wait until the screen is still, keep a picture of it, and return it."""
        image = self._terminal.wait_until_still(at_least, still)
        self._picture_count += 1
        if image:
            file = self._pictures / f"{self.name}.{self._picture_count:02}-{stage}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            few_colours = Image.open(io.BytesIO(image)).convert("RGB").quantize(_COLOURS, Image.Quantize.FASTOCTREE)
            few_colours.save(file)
        else:
            self.outcome.faults.append(f"no window to look at ({stage})")
        return image

    def _look_at_films(self, stage: str, at_least: float = 0.3, columns: int = 0) -> Films:
        """Return the films on a screen of so many columns; 0 for the size at the start. Note a fault if one stays dark."""
        end = time.monotonic() + _FILM_PATIENCE
        dark = [True]
        while any(dark) and time.monotonic() < end:  # a person waits for the film
            films = crop_films(self._look(stage, at_least, STILL), columns or self._columns)
            dark = [is_dark(film) for film in films]
        if any(dark):
            self.outcome.faults.append(f"a film of {self._site} stays dark ({stage})")
        return films

    def _look_at_joint(self) -> None:
        """Look at the active joint; note a fault if its films are dark, or are still those of the joint before."""
        films = self._look_at_films(f"joint-{self._site}")
        if any(np.array_equal(film, before) for film, before in zip(films, self._films, strict=False)):
            self.outcome.faults.append(f"a film of {self._site} looks like that of the joint before")
        self._films = films

    def _press(self, *keys: str) -> None:
        for key in keys:
            self._terminal.press(key)
            self.outcome.key_count += 1
            if self._site:
                self.outcome.joint_keys[self._site] = self.outcome.joint_keys.get(self._site, 0) + 1

    def _command(self, stage: str, *keys: str) -> None:
        """Press `keys`, each after the screen has become still, and look."""
        for key in keys[:-1]:
            self._press(key)
            self._terminal.wait_until_still(0.2, STILL)
        self._press(keys[-1])
        self._look(stage)

    def _press_until(self, key: str, is_done: Callable[[], bool], purpose: str) -> None:
        """Press `key` until `is_done`; more often than once only if it had no effect."""
        for trial in range(_TRIALS):
            if trial:
                self.outcome.ignored.append(f"{key} at {self._site or 'no joint'} ({purpose})")
                self._look("ignored")
            self._press(key)
            if self._wait_until(is_done):
                return
        raise Failure(f"{key} at {self._site} had no effect ({purpose})")

    @staticmethod
    def _wait_until(is_done: Callable[[], bool]) -> bool:
        """Return True as soon as `is_done`, and False after `_PATIENCE`."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            if is_done():
                return True
            time.sleep(0.05)
        return False

    def _answer(self, key: str, entries: Mapping[Field, Entry], *, confirm: bool = False) -> None:
        """Enter `entries` by `key`. With `confirm`, Enter confirms it after a look at the question."""
        count = len(self._reading().log)
        if confirm:
            self._command("confirm", key)
            key = "Return"
        self._press_until(key, lambda: len(self._reading().log) > count, f"answer {entries}")
        self._expected.update(entries)
        stored = self._reading().values
        wrong = [each for each, entry in entries.items() if stored.get(each) != entry]
        if wrong:
            self.outcome.faults.append(f"{key}: stored {[stored.get(each) for each in wrong]} at {wrong}")

    # The stored reading.

    def _study(self) -> Study:
        return Study.open(self._case.study).as_rater(self._case.rater)

    def _reading(self) -> Reading:
        """Return the reading on the disk; before the first entry there is none, and the empty one takes its place."""
        return self._study().reading(self._case.rater, self._case.case) or self._empty

    def _open_fields(self) -> list[Field]:
        reading = self._reading()
        return [each for each in reading.joint_fields(self._site) if each not in reading.values]
