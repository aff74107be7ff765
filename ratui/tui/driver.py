"""A Textual driver for Unix terminals that separates the terminal's replies from the keys."""

from __future__ import annotations

import errno
import os
import re
import selectors
import time
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from textual import events
from textual.message import Message

from ratui.terminal import FENCE, FENCE_ROW, HIDE_IMAGES, NUMBERED_FENCE, Display, find_lost_image
from ratui.tui.graphics.painter import Painter
from ratui.tui.input.key_queue import KeyBurst, QueuedApp
from ratui.tui.input.terminal_input import NEAR, Burst, InputSplitter, Kind
from ratui.tui.textual_internals import (
    LONGEST_SEQUENCE,
    SYNC_END,
    SYNC_START,
    TerminalDriver,
    XTermParser,
    has_synchronized_updates,
)

__all__ = ["ListeningDriver", "classify_sequence", "tokens_to_keys"]

_FENCE_AT_END = re.compile(rf";(\d+)H{re.escape(FENCE)}\x1b8\Z")
_LONGEST_FENCE = 32
_LARGE_PART = 8192
"""Characters of a joined update from which they are written before its end."""
_EDGE = 64
"""Characters at each end of a part that is one update, in which its marks are. Large parts are searched only there, because
a search of both films delays the key by a millisecond."""
_REPLY_SECONDS = 1.2
"""Seconds after a fence in which the head of its answer may arrive. A lone escape character waits for the rest."""


KeyEvent: TypeAlias = Literal["press", "repeat", "release"]
_KEY_EVENTS: dict[str, KeyEvent] = {"1": "press", "2": "repeat", "3": "release"}
_KEY_EVENT = re.compile(r"(\x1b\[[0-9]*(?::[0-9]*)*;[0-9]*):([123])((?:;[0-9:]*)?[u~A-HPQRS])")
"""A key with the kind of its event, in Kitty's keyboard protocol."""
_REPORT_KEY_EVENTS = "\x1b[=2;2u"
"""Request for kinds of events, in addition to what Textual requests. Textual withdraws all requests at the end."""


def classify_sequence(sequence: str) -> Kind:
    """Return the kind of input that the complete control `sequence` is for Textual's parser.

    A sequence that the parser does not know is a reply of the terminal.
    """
    if find_lost_image(sequence) is not None:
        return "event"
    if len(sequence) > LONGEST_SEQUENCE or not sequence.startswith("\x1b["):
        return "reply"
    sequence, event = split_key_event(sequence)
    if event == "release":
        return "reply"
    messages = list(XTermParser().feed(sequence))
    if not messages:
        return "reply"
    return "key" if any(isinstance(message, events.Key) for message in messages) else "event"


def split_key_event(sequence: str) -> tuple[str, KeyEvent]:
    """Return a key's `sequence` without its kind of event, as terminals without Kitty's protocol send it, and the kind."""
    found = _KEY_EVENT.fullmatch(sequence)
    if found is None:
        return sequence, "press"
    before, kind, after = found.groups()
    return before + after, _KEY_EVENTS[kind]


def tokens_to_keys(tokens: Iterable[str], parser: XTermParser) -> tuple[list[events.Key], list[Message]]:
    """Parse `tokens` with Textual's `parser`, and return the keys and the other messages, each in their order."""
    keys: list[events.Key] = []
    others: list[Message] = []
    for token in tokens:
        if token == "\x1b":
            keys.append(events.Key("escape", token))
        elif token == "\x1b\\":
            # The string terminator, which ends a reply. Textual's parser would hold it back for 0.1 s.
            keys.append(events.Key("alt+backslash", None))
        else:
            token, event = split_key_event(token)
            for message in parser.feed(token):
                if isinstance(message, events.Key):
                    message.is_repeat = event == "repeat"  # type: ignore[attr-defined]
                    keys.append(message)
                else:
                    others.append(message)
    return keys, others


class JoinedUpdate:
    """Several synchronized updates, and text between them, as one, with the fences after its end.

    Large parts, such as films, are written as they come, so that the terminal has received them when the texts are ready.
    It shows all parts when the update ends. A terminal without synchronized updates would show a film under the name of
    another joint until then: it gets everything at the end.

    Parameters
    ----------
    is_synchronized
        True if the terminal supports synchronized updates.
    """

    def __init__(self, *, is_synchronized: bool) -> None:
        self._is_synchronized = is_synchronized
        self._has_begun = False
        self._waiting = ""
        self._fences = ""

    def add(self, data: str) -> str:
        """Return what has to be written now for `data`; empty if it can wait for more."""
        if len(data) >= _LARGE_PART and data.startswith(SYNC_START) and SYNC_END in data[-_EDGE:]:
            self._waiting += f"{self._take_marks(data[:_EDGE])}{data[_EDGE:-_EDGE]}{self._take_marks(data[-_EDGE:])}"
        else:
            self._waiting += self._take_marks(data)
        return self._take() if self._is_synchronized and len(self._waiting) >= _LARGE_PART else ""

    def end(self) -> str:
        """Return the rest of the update, its end and the fences."""
        rest = self._take() if self._waiting else ""
        return f"{rest}{SYNC_END if self._has_begun else ''}{self._fences}"

    def _take_marks(self, data: str) -> str:
        """Keep the fences in `data`, and return it without them and without the marks of an update."""
        self._fences += "".join(NUMBERED_FENCE.findall(data))
        return NUMBERED_FENCE.sub("", data).replace(SYNC_START, "").replace(SYNC_END, "")

    def _take(self) -> str:
        start = "" if self._has_begun else SYNC_START
        self._has_begun = True
        part, self._waiting = self._waiting, ""
        return start + part


@runtime_checkable
class ShowsImages(Protocol):
    """An app that keeps images in the terminal."""

    def free_images(self) -> str:
        """Return the sequences that free all images."""


class ListeningDriver(TerminalDriver):
    """A driver that reads the terminal in bursts and drops replies that no widget waits for.

    It passes answers to fences on to the app's painter, which measures the connection with them.
    """

    _joined: JoinedUpdate | None = None
    """The update that is being written; None while there is none."""
    _on_text: Callable[[], None] | None = None
    _asked_at = float("-inf")
    _asked_number = ""
    """Time and number of the last fence, see `ratui.terminal.Bandwidth`. No number if it was answered."""

    def write(self, data: str) -> None:
        """Write `data` to the terminal, as a part of the joined update if there is one."""
        if self._joined is not None:
            if part := self._joined.add(data):
                super().write(part)
            return
        if fence := _FENCE_AT_END.search(data, max(len(data) - _LONGEST_FENCE, 0)):
            self._asked_at, self._asked_number = time.monotonic(), fence[1]
        super().write(data)

    def flush(self) -> None:
        """Flush the output. In a joined update this is the end of an update of Textual's, with which it can end too."""
        super().flush()
        if self._joined is not None and self._on_text is not None:
            on_text, self._on_text = self._on_text, None
            on_text()

    def hold_output(self, on_text: Callable[[], None]) -> None:
        """Make one synchronized update of what is written from now on until `release_output`.

        `on_text` is called when Textual has written its next update.
        """
        if self._joined is None:
            self._joined, self._on_text = JoinedUpdate(is_synchronized=has_synchronized_updates(self.owner)), on_text

    def release_output(self) -> None:
        """End the update that `hold_output` has begun. The terminal shows it now."""
        joined, self._joined, self._on_text = self._joined, None, None
        if joined is not None and (end := joined.end()):
            self.write(end)
            self.flush()

    def note_continued(self) -> None:
        """Ignore keys for a moment, because other programs have used the terminal."""
        if isinstance(self.owner, QueuedApp):
            self.owner.key_queue.reply_watch.pause(time.monotonic())

    def _awaits_reply(self) -> bool:
        return bool(self._asked_number) and time.monotonic() - self._asked_at < _REPLY_SECONDS

    def start_application_mode(self) -> None:
        """Put the terminal into the mode of the app, and ask it to report keys that are held down."""
        super().start_application_mode()
        graphics = getattr(self.owner, "graphics", None)
        if isinstance(graphics, Display) and graphics.protocol == "kitty" and not graphics.uses_placeholders:
            self.write(HIDE_IMAGES)  # a program that was killed has left its images, which lie above all text
        self.write(_REPORT_KEY_EVENTS)
        self.flush()

    def stop_application_mode(self) -> None:
        """Free the app's images, which its screen holds, and restore the terminal."""
        self.release_output()
        if isinstance(self.owner, ShowsImages):
            self.write(self.owner.free_images())
        super().stop_application_mode()

    def read_input(self, descriptor: int) -> None:
        """Read the terminal until the driver stops or the terminal is gone.

        This replaces Textual's loop, which does not report which keys arrived together.
        """
        splitter = InputSplitter(classify_sequence, self._awaits_reply)
        graphics = getattr(self.owner, "graphics", None)
        if isinstance(graphics, Display) and graphics.is_near:
            splitter.together = NEAR
        parser = self.make_parser()
        decode = getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while not self.is_stopping:
                deadline = splitter.deadline
                wait = 0.1 if deadline is None else min(max(deadline - time.monotonic(), 0.0), 0.1)
                if selector.select(wait):
                    data = _read(descriptor)
                    if not data:
                        self.report_terminal_gone()
                        return
                    text = decode(data)
                    for sequence in splitter.feed(text, time.monotonic()):
                        if (image := find_lost_image(sequence)) is not None:
                            self.call_in_app(Painter.for_app(self.owner).send_again, image)
                            continue
                        for message in parser.feed(sequence):
                            self.process_message(message)
                while (burst := splitter.take(time.monotonic())) is not None:
                    self._dispatch_keys(burst, parser)
                late = [event for event in parser.tick() if isinstance(event, events.Key)]
                if late:  # a key after Esc: Textual's parser waits to see whether it belongs to Alt
                    now = time.monotonic()
                    self._press(KeyBurst(late, began=now, ended=now))

    def _dispatch_keys(self, burst: Burst, parser: XTermParser) -> None:
        keys, others = tokens_to_keys(burst.tokens, parser)
        for message in others:
            self.process_message(message)
        if keys or burst.ignored:
            self._press(KeyBurst.from_burst(burst, keys))

    def _press(self, burst: KeyBurst) -> None:
        self.call_in_app(Painter.for_app(self.owner).note_key, burst.ended)
        if isinstance(self.owner, QueuedApp):
            self.process_message(burst)
        else:  # an app without a key queue, such as the one of a benchmark
            for key in burst.keys:
                self.process_message(key)

    def process_message(self, message: Message) -> None:
        """Pass `message` on to the app. Textual calls this in the thread that reads the terminal."""
        if isinstance(message, events.CursorPosition):
            # Coordinates count from 0 here, and from 1 in the fence.
            if message.y == FENCE_ROW - 1:
                if str(message.x + 1) == self._asked_number:
                    self._asked_number = ""
                self.call_in_app(Painter.for_app(self.owner).record_answer, message.x + 1, time.monotonic())
            return
        super().process_message(message)


def _read(descriptor: int) -> bytes:
    """Return what the terminal has sent; nothing if the terminal is gone."""
    try:
        return os.read(descriptor, 4096)
    except OSError as error:
        if error.errno == errno.EIO:
            return b""
        raise
