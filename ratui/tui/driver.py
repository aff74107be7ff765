"""Textual's driver, which also listens for what the terminal answers. It keeps late answers from being taken for keys."""

from __future__ import annotations

import time

from textual import events
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from ratui.tui.painter import Painter

__all__ = ["AnswerFilter", "ListeningDriver"]

_TOGETHER = 0.02
"""Seconds between the characters of one answer; nobody types that fast."""
_NUMBERS = frozenset("0123456789;:?>=$ ")


class AnswerFilter:
    """Recognizes terminal answers that arrive as keys, one character each: their digits would be taken for grades."""

    def __init__(self) -> None:
        self._inside = ""
        self._last = -1.0

    def swallows(self, key: str, character: str | None, now: float) -> bool:
        """Whether the key is part of an answer. `now` is a monotonic time in seconds."""
        together = now - self._last < _TOGETHER
        self._last = now
        if not together:
            self._inside = ""
        if key == "alt+left_square_bracket":
            self._inside = "csi"
            return True
        if key in ("alt+underscore", "alt+P", "alt+upper_p", "alt+right_square_bracket"):
            self._inside = "string"
            return True
        if key == "circumflex_accent":
            # What Textual makes of an escape character that something else than a known key follows.
            self._inside = "escape" if self._inside != "string" else "end"
            return False
        if self._inside == "escape":
            self._inside = {"_": "string", "P": "string", "]": "string", "[": "csi"}.get(character or "", "")
            return bool(self._inside)
        if self._inside == "string":
            if key in ("alt+backslash", "ctrl+g"):
                self._inside = ""
            return True
        if self._inside == "end":
            self._inside = ""
            return character == "\\"
        if self._inside == "csi":
            if character not in _NUMBERS:
                self._inside = ""
            return True
        return False


class ListeningDriver(LinuxDriver):
    """Hands the answers to fences to the painter of the app."""

    def process_message(self, message: Message) -> None:
        """Called in the thread that reads the terminal."""
        now = time.monotonic()
        painter = Painter.of(self._app)
        if isinstance(message, events.CursorPosition):
            self._loop.call_soon_threadsafe(painter.answered, now)
            return
        if isinstance(message, events.Key):
            if self._answers.swallows(message.key, message.character, now):
                return
            self._loop.call_soon_threadsafe(painter.key, now)
        super().process_message(message)

    @property
    def _answers(self) -> AnswerFilter:
        found: AnswerFilter | None = getattr(self, "_answer_filter", None)
        if found is None:
            found = self._answer_filter = AnswerFilter()
        return found
