"""Textual's driver, which also listens for what the terminal answers. It keeps late answers from being taken for keys."""

from __future__ import annotations

import time

from textual import events
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from ratui.tui.graphics.painter import Painter

__all__ = ["AnswerFilter", "ListeningDriver"]

_TOGETHER = 0.02
"""Seconds between the characters of one answer; nobody types that fast."""
_NUMBERS = frozenset("0123456789;:?>=$ ")
_STRINGS = frozenset("_P]")


class AnswerFilter:
    """Recognizes terminal answers that arrive as keys, one character each: their digits would be taken for grades.

    Textual gives what follows the escape character of a sequence that it doesn't know as keys, at once. The first of
    them comes through, since it could have been typed; it is no grade.
    """

    def __init__(self) -> None:
        self._inside = ""
        self._last = -1.0

    def swallows(self, character: str | None, now: float) -> bool:
        """Whether the key that gives `character` is part of an answer. `now` is a monotonic time in seconds."""
        if now - self._last >= _TOGETHER:
            self._inside = ""
        self._last = now
        match self._inside, character:
            case "string", "\\":
                self._inside = ""
                return True
            case "string", _:
                return True
            case (("bracket" | "csi"), str(c)) if c in _NUMBERS:
                self._inside = "csi"
                return True
            case "csi", _:
                self._inside = ""
                return True
            case "caret", str(c) if c in _STRINGS:
                self._inside = "string"
                return True
            case _, "[":
                self._inside = "bracket"
            case _, "^":
                self._inside = "caret"
            case _:
                self._inside = ""
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
            if self._answers.swallows(message.character, now):
                return
            self._loop.call_soon_threadsafe(painter.key, now)
        super().process_message(message)

    @property
    def _answers(self) -> AnswerFilter:
        found: AnswerFilter | None = getattr(self, "_answer_filter", None)
        if found is None:
            found = self._answer_filter = AnswerFilter()
        return found
