"""Input that comes from the terminal and not from a person: the rests of replies, and keys after a change of the terminal.

A reply that lost its beginning looks like typed keys. `ReplyWatch` drops bursts of keys that are such a rest, and all keys
that may change data or screens for a moment after the terminal was changed, because most replies come then.
Times are in seconds of a monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ratui.tui.input.terminal_input import continues_tail, ends_reply

__all__ = ["PAUSE_SECONDS", "WITHDRAWN_SECONDS", "ReplyWatch"]

PAUSE_SECONDS = 1.5
"""Seconds without answers after the window was resized, the focus came, or the program was continued."""
WITHDRAWN_SECONDS = 1.5
"""Seconds before the rest of a reply in which answers may have come from its first part."""
_NEXT_PART = 0.05
"""Longest time in seconds between the parts of a tail that arrives slowly."""
_LATE_PART = 0.9
"""The same after a part that does not end a reply, such as ``62;4``. tmux waits 0.5 s before it passes on such a part."""


class ReplyWatch:
    """A watch for keys that no person pressed."""

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
