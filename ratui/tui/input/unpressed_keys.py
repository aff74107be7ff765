"""Recognition of keys that no person pressed: repeats of a key that is held down, and replies of the terminal.

Times are in seconds of a monotonic clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from ratui.tui.input.terminal_input import continues_tail, ends_reply

__all__ = ["PAUSE_SECONDS", "WITHDRAWN_SECONDS", "KeyRepeats", "ReplyWatch", "WithdrawalReason"]

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

PAUSE_SECONDS = 1.5
"""Seconds without answers after the window was resized, the focus came, or the program was continued."""
WITHDRAWN_SECONDS = 1.5
"""Seconds before the rest of a reply in which answers may have come from its first part."""
_NEXT_PART = 0.05
"""Longest time in seconds between the parts of a tail that arrives slowly."""
_LATE_PART = 0.9
"""The same after a part that does not end a reply, such as ``62;4``. tmux waits 0.5 s before it passes on such a part."""


class KeyRepeats:
    """Recognises keys that are held down, and the answers that their repeats have made.

    A keyboard repeats a key that is held down: the second character follows the first after 0.25 to 0.66 s, like a second
    press, and the others in a fast run. Most terminals do not report repeats, so they are recognised by their times.

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


class ReplyWatch:
    """Recognises input that comes from the terminal: the rests of its replies, and keys after a change of the terminal.

    A reply that lost its beginning looks like typed keys. `drops` recognises bursts of keys that are such a rest. After a
    change of the terminal, when most replies come, `is_paused` is true for all keys that may change data or screens.
    """

    def __init__(self) -> None:
        self.is_tail: Callable[[Sequence[str]], bool] = lambda names: False
        """Function that returns True if keys that arrived together are the rest of a terminal's reply."""
        self.begins_tail: Callable[[str], bool] = lambda name: False
        """Function that returns True if a single key may be the beginning of such a rest."""
        self._next_until = 0.0
        """Time until which any burst continues the tail that was dropped before it."""
        self._late_until = 0.0
        """Time until which a burst of numbers and separators continues a tail without an end, or one that may have begun."""
        self._after_drop = False
        self._is_dropping = False
        self._paused_from = self._paused_until = float("-inf")

    def pause(self, now: float) -> None:
        """Ignore keys from the time `now` on, because the terminal was changed."""
        if now > self._paused_until:
            self._paused_from = now
        self._paused_until = max(self._paused_until, now + PAUSE_SECONDS)

    def is_paused(self, name: str, now: float) -> bool:
        """Return True if the key `name`, which arrived at the time `now`, is ignored because the terminal was changed.

        Characters, Enter, Esc and the keys that delete are ignored. Arrows, Tab and the other keys without a character
        never belong to a reply, and neither answer nor close anything.
        """
        if not self._paused_from <= now < self._paused_until:
            return False
        return len(name) == 1 or name in ("enter", "escape", "space", "backspace", "delete")

    def drops(self, names: Sequence[str], *, began: float, ended: float, is_unfinished: bool = False) -> bool:
        """Return True if a burst of keys is the rest of a terminal's reply, and record the consequences for the next one.

        Parameters
        ----------
        names
            The keys, at least one, as `ratui.tui.input.actions.normalize_key` names them.
        began, ended
            Times of the first and the last key.
        is_unfinished
            True if more input followed at once.
        """
        in_tail = (began < self._next_until and self._after_drop) or (
            began < self._late_until and continues_tail(names)
        )
        dropped = self._is_dropping or in_tail or self.is_tail(names)
        self._is_dropping = dropped and is_unfinished
        # A single letter ends a tail. So a key that is held down counts again after its first character.
        self._after_drop = dropped and not (len(names) == 1 and names[0].isalpha())
        self._next_until = ended + _NEXT_PART if self._after_drop else 0.0
        if len(names) == 1 and self.begins_tail(names[0]):
            self._late_until = ended + _LATE_PART
        elif not dropped or ends_reply(names):
            self._late_until = 0.0
        else:
            # Parts that follow slowly extend the time only a little, so that the keyboard is not locked for long.
            self._late_until = max(self._late_until, ended + (_NEXT_PART if in_tail else _LATE_PART))
        return dropped
