"""Recognition of keys that are held down.

A keyboard repeats a key that is held down: the second character follows the first after 0.25 to 0.66 s, like a second press,
and the others in a fast run. Most terminals do not report repeats, so they are recognised by their times.
Times are in seconds of a monotonic clock.
"""

from __future__ import annotations

from collections import deque
from typing import Literal, TypeAlias

__all__ = ["KeyRepeats", "WithdrawalReason"]

WithdrawalReason: TypeAlias = Literal["held", "reply"]
"""Reason why no person may have given an answer: its key was held down, or it came from a reply of the terminal."""

_RUN_GAP = 0.12
"""Seconds between two equal keys below which they belong to one run. A person needs more to press a key twice."""
_SLOW_RUN_GAP = 0.21
"""The same for keys that a slow connection delivers in groups, if together they come faster than `_HELD_RATE`."""
_HELD_COUNT = 6
"""Number of equal keys in a run from which the key counts as held down. A joint has at most four fields."""
_HELD_SECONDS = 0.13
"""Shortest duration of such a run in seconds. Keys that arrive all at once may have been typed while the line paused."""
_HELD_RATE = 15.0
"""Keys per second that no person reaches with one key."""
_FIRST_DELAY = 0.75
"""Longest time in seconds from the press of a key to its first repeat."""
_REPEAT_GAPS = (0.018, 0.06)
"""Shortest and longest time in seconds between repeats that reveal a key after its third repeat. Keys that arrive together
may have been typed while the line paused, and a person needs more for one key."""
_RELEASED = 0.35
"""Seconds without a repeat after which a key that was held down counts as released."""
_REMEMBERED = 64


class KeyRepeats:
    """Recognises keys that are held down, and the answers that their repeats have made.

    Call `note_key` with each key, and `note_answer` after each answer. A run is recognised from its sixth key on,
    or from the third repeat on if these come as regularly as a keyboard sends them.
    `take_withdrawn` then returns the answers that the run has made, so that they can be withdrawn.
    """

    def __init__(self) -> None:
        self._name = ""
        self.key_time = float("-inf")
        """Time at which the present key arrived."""
        self._times: deque[float] = deque(maxlen=_REMEMBERED)
        """Times of the equal keys, up to the present one, that may belong to one run."""
        self._lead = float("inf")
        """Seconds from an equal key to the first of `_times`; infinite if another key was pressed before."""
        self._began = float("-inf")
        """Time of the first equal key that may belong to one run with the present key."""
        self._recent: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)
        """Times of the keys that made the last answers, with the log numbers of the answers."""
        self._withdrawn: frozenset[int] = frozenset()
        self._is_reported = False
        """True if the terminal has reported a repeat, so that all other keys are presses."""
        self.is_held = False
        """True if the present key is held down."""
        self.run_began = float("inf")
        """Time of the first key in the run of the present key, which is the present key itself if there is no run."""

    def note_key(self, name: str, now: float, *, is_repeat: bool = False) -> None:
        """Record that the key `name` arrived at the time `now`. `is_repeat` is true if the terminal reports a repeat."""
        gap = now - self.key_time
        is_same = name == self._name
        self._name, self.key_time = name, now
        if is_repeat or self._is_reported:
            # The terminal knows better than the times.
            self._is_reported = True
            self.is_held = is_repeat
            self.run_began = self.run_began if is_repeat else now
            return
        if is_same and self.is_held and gap < _RELEASED:
            return
        self.is_held = False
        if not is_same or gap > _SLOW_RUN_GAP:
            self._lead = gap if is_same else float("inf")
            self._times.clear()
            self._began = now
        if not is_same or gap > _RUN_GAP:
            self.run_began = now
        self._times.append(now)
        if self._is_run_of_repeats():
            self.is_held = True
            self._withdrawn = self.answers_since(self._began)

    def _is_run_of_repeats(self) -> bool:
        """Return True if the last keys came so fast, and are so many, that only a keyboard can have repeated them."""
        times = list(self._times)
        last_gaps = [after - before for before, after in zip(times[-3:], times[-2:], strict=False)]
        shortest, longest = _REPEAT_GAPS
        if self._lead <= _FIRST_DELAY and len(last_gaps) == 2 and all(shortest <= gap <= longest for gap in last_gaps):
            return True
        for start in range(len(times) - _HELD_COUNT, -1, -1):
            seconds = times[-1] - times[start]
            if seconds < _HELD_SECONDS:
                continue
            gaps = [after - before for before, after in zip(times[start:], times[start + 1 :], strict=False)]
            if max(gaps) < _RUN_GAP or len(gaps) / seconds >= _HELD_RATE:
                return True
        return False

    def note_answer(self, number: int) -> None:
        """Record that the present key has made the answer with the number `number` in the log."""
        self._recent.append((self.key_time, number))

    def answers_since(self, time: float) -> frozenset[int]:
        """Return the log numbers of the answers that keys have made from `time` on."""
        return frozenset(number for then, number in self._recent if then >= time)

    def take_withdrawn(self) -> frozenset[int]:
        """Return the log numbers of answers that came from a key which turned out to be held down, and forget them."""
        numbers, self._withdrawn = self._withdrawn, frozenset()
        return numbers
