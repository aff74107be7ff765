"""Textual's driver for Unix terminals, with the replies of the terminal kept apart from the keys."""

from __future__ import annotations

import os
import selectors
import time
from codecs import getincrementaldecoder
from collections.abc import Iterable

from textual import events
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from ratui.tui.graphics.painter import Painter
from ratui.tui.input.key_queue import KeyBurst
from ratui.tui.input.terminal_input import Burst, InputSplitter, Kind

__all__ = ["ListeningDriver", "classify_sequence", "tokens_to_keys"]

_LONGEST_SEQUENCE = 32
"""Textual gives longer sequences as keys, character by character."""


def classify_sequence(sequence: str) -> Kind:
    """Return what Textual's parser makes of the complete control `sequence`; what it doesn't know is a reply."""
    if len(sequence) > _LONGEST_SEQUENCE:
        return "reply"
    messages = list(XTermParser().feed(sequence))
    if not messages:
        return "reply"
    return "key" if any(isinstance(message, events.Key) for message in messages) else "event"


def tokens_to_keys(tokens: Iterable[str], parser: XTermParser) -> tuple[list[events.Key], list[Message]]:
    """Return the keys that `tokens` stand for, and the other messages."""
    keys: list[events.Key] = []
    others: list[Message] = []
    for token in tokens:
        if token == "\x1b":
            keys.append(events.Key("escape", token))
        elif token == "\x1b\\":
            # The end of a reply's string. Textual's parser would hold it back for 0.1 s.
            keys.append(events.Key("alt+backslash", None))
        else:
            for message in parser.feed(token):
                if isinstance(message, events.Key):
                    keys.append(message)
                else:
                    others.append(message)
    return keys, others


class ListeningDriver(LinuxDriver):
    """Reads the terminal in bursts, drops its replies, and hands the answers to fences to the painter of the app."""

    def run_input_thread(self) -> None:
        """Read the terminal until the driver stops. Replaces Textual's loop, which doesn't show what came together."""
        splitter = InputSplitter(classify_sequence)
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                deadline = splitter.deadline
                wait = 0.1 if deadline is None else min(max(deadline - time.monotonic(), 0.0), 0.1)
                if selector.select(wait):
                    text = decode(os.read(self.fileno, 4096))
                    for sequence in splitter.feed(text, time.monotonic()):
                        for message in parser.feed(sequence):
                            self.process_message(message)
                while (burst := splitter.take(time.monotonic())) is not None:
                    self._dispatch_keys(burst, parser)
                late = [event for event in parser.tick() if isinstance(event, events.Key)]
                if late:  # a key with Alt, for which Textual's parser waits
                    now = time.monotonic()
                    self._press(KeyBurst(late, began=now, ended=now))

    def _dispatch_keys(self, burst: Burst, parser: XTermParser) -> None:
        keys, others = tokens_to_keys(burst.tokens, parser)
        for message in others:
            self.process_message(message)
        if keys or burst.ignored:
            self._press(KeyBurst.from_burst(burst, keys))

    def _press(self, burst: KeyBurst) -> None:
        self._loop.call_soon_threadsafe(Painter.for_app(self._app).note_key, burst.ended)
        if hasattr(self._app, "key_queue"):
            self.process_message(burst)
        else:  # another app than ratui's, such as that of a benchmark
            for key in burst.keys:
                self.process_message(key)

    def process_message(self, message: Message) -> None:
        """Give `message` to the app. Called in the thread that reads the terminal."""
        if isinstance(message, events.CursorPosition):
            self._loop.call_soon_threadsafe(Painter.for_app(self._app).record_answer, time.monotonic())
            return
        super().process_message(message)
