"""Keys in the order they were typed: the next is handed on when all that the one before has set off is done.

So type-ahead is what slow typing is: no key is lost between two screens, and none reaches a field, or a case, that another
key was about to leave. It knows no screen and what no key means.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from textual.app import App
from textual.dom import DOMNode
from textual.events import Event, Key

from ratui.tui.input.actions import normalize_key
from ratui.tui.input.terminal_input import Burst, continues_tail

__all__ = ["KeyBurst", "KeyQueue"]

_HANDLING_TIMEOUT = 5.0
"""How long one part of the screen may take over a key, in seconds, before the next key is handed on all the same."""
_STABLE_ROUNDS = 2
"""How often in a row nothing may have changed before all is done: a selected row becomes an open screen in two steps."""
_TAIL = 0.05
"""Longest time in seconds between the parts of a reply's tail that arrives slowly."""


class KeyBurst(Event, bubble=False):
    """Keys that arrived together; see `ratui.tui.input.terminal_input.Burst`."""

    def __init__(
        self, keys: Sequence[Key], *, began: float, ended: float, ignored: bool = False, unfinished: bool = False
    ) -> None:
        super().__init__()
        self.keys = tuple(keys)
        self.began, self.ended = began, ended
        self.ignored, self.unfinished = ignored, unfinished

    @classmethod
    def from_burst(cls, burst: Burst, keys: Sequence[Key]) -> KeyBurst:
        """Return the event for `burst`, whose tokens stand for `keys`."""
        return cls(keys, began=burst.began, ended=burst.ended, ignored=burst.ignored, unfinished=burst.unfinished)

    @property
    def names(self) -> list[str]:
        """The names of the keys, as the keymap has them."""
        return [normalize_key(key.character, key.key) for key in self.keys]


class KeyQueue:
    """The keys of one app. The app gives each key to `typed` unless it is `due`, and each burst to `put_burst`."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._waiting: deque[Key | KeyBurst] = deque()
        self._due: Key | None = None
        self._dispatch_task: asyncio.Task[None] | None = None
        self._guard: _TypeAheadFilter | None = None
        self._tail_until = 0.0
        """Until when a burst that begins may continue a tail: one that was dropped, or that began with a semicolon."""
        self._after_drop = False
        self._dropping = False
        self.is_tail: Callable[[Sequence[str]], bool] = lambda names: False
        """Whether keys that came together are the rest of a terminal's reply, on the screen of that moment."""
        self.begins_tail: Callable[[str], bool] = lambda name: False
        """Whether one key alone may be the beginning of such a rest."""
        self.on_ignored: Callable[[], None] = lambda: None
        """Called when input was ignored that no person typed."""
        self.before_key: Callable[[], None] | None = None
        """Called at every key, before it is handed on: whoever counts the time."""
        self.reaction_seconds = 0.25
        """How long a person needs to see a new screen, in seconds."""

    def is_due(self, key: Key) -> bool:
        """Whether it is the turn of `key`: then the app treats it as any app would."""
        return key is self._due

    def put(self, key: Key) -> None:
        """Takes `key`, to be handed on in its turn."""
        self._queue(key)

    def put_burst(self, burst: KeyBurst) -> None:
        """Take a burst, to be handed on key by key in its turn, or to be dropped as a whole."""
        self._queue(burst)

    def _queue(self, key: Key | KeyBurst) -> None:
        self._waiting.append(key)
        if self._dispatch_task is None:
            self._dispatch_task = asyncio.create_task(self._dispatch_keys())

    def drop_typed_ahead(self, is_unwanted: Callable[[str], bool], on_dropped: Callable[[str], None]) -> None:
        """To be called by what opens a screen that nobody asked for: keys that are `is_unwanted` there, typed before anybody
        can have seen it, are not handed on; `on_dropped` is given their names, one by one."""
        self._guard = _TypeAheadFilter(is_unwanted, on_dropped)

    async def wait_until_idle(self) -> None:
        """Returns when every key that was typed has been worked off."""
        while self._dispatch_task is not None:
            await asyncio.wait([self._dispatch_task])

    def close(self) -> None:
        """Ends the handing on."""
        if self._dispatch_task is not None:
            self._dispatch_task.cancel()

    async def _dispatch_keys(self) -> None:
        try:
            while self._waiting:
                key = self._waiting.popleft()
                if isinstance(key, KeyBurst):
                    if self._is_dropped(key):
                        self.on_ignored()
                    else:
                        # The message comes after the keys, because a key clears the message before it.
                        notice = (KeyBurst((), began=key.began, ended=key.ended, ignored=True),) if key.ignored else ()
                        self._waiting.extendleft(reversed((*key.keys, *notice)))
                    continue
                if self._is_too_early(key):
                    continue
                if self.before_key is not None:
                    self.before_key()
                self._due = key
                self._app.post_message(key)
                await self._wait_until_done()
                self._due = None
                if self._guard is not None and self._guard.until is None:
                    self._guard.until = time.monotonic() + self.reaction_seconds
        finally:
            self._due = self._dispatch_task = None

    def _is_dropped(self, burst: KeyBurst) -> bool:
        """Return whether `burst` is the rest of a terminal's reply, and note what that means for the next burst."""
        names = burst.names
        if not names:
            return burst.ignored
        soon = burst.began < self._tail_until
        in_tail = soon and (self._after_drop or continues_tail(names))
        dropped = self._dropping or in_tail or self.is_tail(names)
        self._dropping = dropped and burst.unfinished
        # A single letter ends a tail. So a key that is held down counts again after its first character.
        self._after_drop = dropped and not (len(names) == 1 and names[0].isalpha())
        begins = len(names) == 1 and self.begins_tail(names[0])
        self._tail_until = burst.ended + _TAIL if self._after_drop or begins else 0.0
        return dropped

    def _is_too_early(self, key: Key) -> bool:
        if self._guard is None:
            return False
        name = normalize_key(key.character, key.key)
        if self._guard.until is not None and key.time < self._guard.until and self._guard.is_unwanted(name):
            self._guard.on_dropped(name)
            return True
        self._guard = None
        return False

    async def _wait_until_done(self) -> None:
        """Returns when the key has been worked off, with the screens that it opened or closed."""
        before: tuple[object, ...] = ()
        calm = 0
        while calm < _STABLE_ROUNDS:
            focused = self._app.focused
            nodes: list[DOMNode] = [] if focused is None else list(focused.ancestors_with_self)
            for node in (*nodes, self._app.screen, self._app):
                await _wait_until_handled(node, self._app)
            now = (*self._app.screen_stack, self._app.focused)
            calm = calm + 1 if now == before else 0
            before = now


class _TypeAheadFilter:
    def __init__(self, is_unwanted: Callable[[str], bool], on_dropped: Callable[[str], None]) -> None:
        self.is_unwanted = is_unwanted
        self.on_dropped = on_dropped
        self.until: float | None = None


async def _wait_until_handled(node: DOMNode, app: App[Any]) -> None:
    """Waits until `node` has handled every message that it has by now, or is gone."""
    begun = time.monotonic()

    def wait_on() -> bool:
        return not _is_removed(node, app) and time.monotonic() - begun < _HANDLING_TIMEOUT

    while not node.is_running and wait_on():  # a screen that was opened just now
        await asyncio.sleep(0.001)
    done = asyncio.Event()
    if not node.call_later(done.set):
        return
    while not done.is_set() and wait_on():
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), 0.05)


def _is_removed(node: DOMNode, app: App[Any]) -> bool:
    return node is not app and node.screen not in app.screen_stack
