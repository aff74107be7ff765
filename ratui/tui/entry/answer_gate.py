"""The gate for answers: a key answers only for films that were displayed, and a key that is held down answers once.

An entry in a reading states that a person has looked at the joint on the film. A key that was pressed before the film was
painted, or that the keyboard repeats, does not state this. Times are in seconds of a monotonic clock.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["AnswerGate", "FilmWatch", "GateRefusal", "KeyPress"]

REACTION_SECONDS = 0.15
"""Seconds between the painting of a film and the first key that can be an answer to it. No person reacts faster."""

GateRefusal = Literal["not_painted", "too_early", "held", "difference"]
"""Reason why a key is no answer: a film is not on the screen, or was not when the key was pressed; the key is held down; the
difference of the films is shown instead of the films."""

_RUN_GAP = 0.12
"""Seconds between two equal keys below which they belong to one run. A person needs more to press a key twice."""
_SLOW_RUN_GAP = 0.21
"""The same for keys that a slow connection delivers in groups, if together they come faster than `_HELD_RATE`."""
_HELD_COUNT = 6
"""Number of equal keys in a run from which the key counts as held down. A joint has at most four fields."""
_HELD_SECONDS = 0.13
"""Shortest duration of such a run in seconds. Keys that arrive all at once may have been typed during a pause of the line."""
_HELD_RATE = 15.0
"""Keys per second that no person reaches with one key."""
_RELEASED = 0.35
"""Seconds without a repeat after which a key that was held down counts as released."""
_REMEMBERED = 64


class FilmWatch(Protocol):
    """The state of the films on the screen, as `JointViewer` reports it."""

    def find_display_problem(self, places: Collection[int]) -> Literal["not_painted", "difference"] | None:
        """Return why the films at `places` are not displayed now; None if they are."""

    def displayed_since(self, places: Collection[int]) -> float | None:
        """Return the time since which all films at `places` were displayed during this visit of the joint."""


@dataclass(frozen=True)
class KeyPress:
    """A key that the terminal has sent."""

    name: str
    """Name of the key, as in the keymap."""
    time: float
    """Time at which it arrived."""
    is_repeat: bool = False
    """True if the terminal reports that the key is held down."""


class AnswerGate:
    """Decides which keys can be answers, and which answers came from a key that was held down.

    Call `note_key` with each key of the scoring screen, then `find_refusal` before each answer, and `note_answer` after it.

    A key that is held down sends the second character 0.25 to 0.66 s after the first, which looks like a second press. Only
    the run of characters after it reveals it. `take_withdrawn` then returns the answers of that run, to be withdrawn.

    Parameters
    ----------
    watch
        The films on the screen.
    clock
        Function that returns the time. Keys without a time of their own get this one.
    """

    def __init__(self, watch: FilmWatch, clock: Callable[[], float] = time.monotonic) -> None:
        self._watch = watch
        self._clock = clock
        self.key = KeyPress("", clock())
        """The present key."""
        self._times: deque[float] = deque(maxlen=_REMEMBERED)
        """Times of the equal keys up to the present one that may belong to one run."""
        self._run_site = ""
        self._answers: list[tuple[float, int]] = []
        """Time and log number of each answer that the keys in `_times` have made."""
        self._is_held = False
        self._withdrawn = 0

    def note_key(self, key: KeyPress, site: str) -> None:
        """Make `key` the present key. `site` is the site whose fields it could answer."""
        before, self.key = self.key, key
        is_same = key.name == before.name
        gap = key.time - before.time
        if is_same and self._is_held and gap < _RELEASED:
            self._times.append(key.time)
            return
        self._is_held = is_same and key.is_repeat
        if not is_same or gap > _SLOW_RUN_GAP:
            self._times.clear()
            self._answers.clear()
        if not is_same or gap > _RUN_GAP:
            self._run_site = site
        self._times.append(key.time)
        if self._looks_held():
            self._is_held = True
            self._withdrawn = len(self._answers)
            self._answers.clear()

    def _looks_held(self) -> bool:
        """Return True if the last keys came as fast and as many as only a keyboard repeats them."""
        times = list(self._times)
        for start in range(len(times) - _HELD_COUNT, -1, -1):
            seconds = times[-1] - times[start]
            if seconds < _HELD_SECONDS:
                continue
            gaps = [after - before for before, after in zip(times[start:], times[start + 1 :], strict=False)]
            if max(gaps) < _RUN_GAP or (len(times) - 1 - start) / seconds >= _HELD_RATE:
                return True
        return False

    def find_refusal(self, site: str, places: Collection[int]) -> GateRefusal | None:
        """Return why the present key is no answer for the films of `site` at `places` (0 left, 1 right); None if it is."""
        if self._is_held or self.key.is_repeat:
            return "held"
        problem = self._watch.find_display_problem(places)
        if problem is not None:
            return problem
        since = self._watch.displayed_since(places)
        if since is None:
            return "not_painted"
        if self.key.time < since + REACTION_SECONDS:
            return "too_early"
        if site != self._run_site:
            return "held"
        return None

    def seconds_displayed(self, places: Collection[int]) -> float | None:
        """Return the seconds between the display of the films at `places` and the present key; None without a display."""
        since = self._watch.displayed_since(places)
        return None if since is None else max(self.key.time - since, 0.0)

    def note_answer(self, number: int) -> None:
        """Record that the present key has made the answer with the log number `number`."""
        self._answers.append((self.key.time, number))

    def take_withdrawn(self) -> int:
        """Return how many of the last answers came from a key that turned out to be held down, and forget them."""
        count, self._withdrawn = self._withdrawn, 0
        return count
