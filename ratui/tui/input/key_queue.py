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

from ratui.tui.input.actions import key_name
from ratui.tui.input.terminal_input import Burst, continues_tail

__all__ = ["KeyBurst", "Keyboard"]

_STUCK = 5.0
"""How long one part of the screen may take over a key, in seconds, before the next key is handed on all the same."""
_CALM = 2
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
    def of(cls, burst: Burst, keys: Sequence[Key]) -> KeyBurst:
        """Return the event for `burst`, whose tokens stand for `keys`."""
        return cls(keys, began=burst.began, ended=burst.ended, ignored=burst.ignored, unfinished=burst.unfinished)

    @property
    def names(self) -> list[str]:
        """The names of the keys, as the keymap has them."""
        return [key_name(key.character, key.key) for key in self.keys]


class Keyboard:
    """The keys of one app. The app gives each key to `typed` unless it is `due`, and each burst to `typed_together`."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._waiting: deque[Key | KeyBurst] = deque()
        self._due: Key | None = None
        self._handing: asyncio.Task[None] | None = None
        self._guard: _Guard | None = None
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
        self.watch: Callable[[], None] | None = None
        """Called at every key, before it is handed on: whoever counts the time."""
        self.reaction = 0.25
        """How long a person needs to see a new screen, in seconds."""

    def due(self, key: Key) -> bool:
        """Whether it is the turn of `key`: then the app treats it as any app would."""
        return key is self._due

    def typed(self, key: Key) -> None:
        """Takes `key`, to be handed on in its turn."""
        self._queue(key)

    def typed_together(self, burst: KeyBurst) -> None:
        """Take a burst, to be handed on key by key in its turn, or to be dropped as a whole."""
        self._queue(burst)

    def _queue(self, key: Key | KeyBurst) -> None:
        self._waiting.append(key)
        if self._handing is None:
            self._handing = asyncio.create_task(self._hand_on())

    def guard(self, unwanted: Callable[[str], bool], tell: Callable[[str], None]) -> None:
        """To be called by what opens a screen that nobody asked for: keys that are `unwanted` there, typed before anybody
        can have seen it, are not handed on; `tell` is given their names, one by one."""
        self._guard = _Guard(unwanted, tell)

    async def idle(self) -> None:
        """Returns when every key that was typed has been worked off."""
        while self._handing is not None:
            await asyncio.wait([self._handing])

    def close(self) -> None:
        """Ends the handing on."""
        if self._handing is not None:
            self._handing.cancel()

    async def _hand_on(self) -> None:
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
                if self._guarded(key):
                    continue
                if self.watch is not None:
                    self.watch()
                self._due = key
                self._app.post_message(key)
                await self._done()
                self._due = None
                if self._guard is not None and self._guard.until is None:
                    self._guard.until = time.monotonic() + self.reaction
        finally:
            self._due = self._handing = None

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

    def _guarded(self, key: Key) -> bool:
        if self._guard is None:
            return False
        name = key_name(key.character, key.key)
        if self._guard.until is not None and key.time < self._guard.until and self._guard.unwanted(name):
            self._guard.tell(name)
            return True
        self._guard = None
        return False

    async def _done(self) -> None:
        """Returns when the key has been worked off, with the screens that it opened or closed."""
        before: tuple[object, ...] = ()
        calm = 0
        while calm < _CALM:
            focused = self._app.focused
            nodes: list[DOMNode] = [] if focused is None else list(focused.ancestors_with_self)
            for node in (*nodes, self._app.screen, self._app):
                await _worked_off(node, self._app)
            now = (*self._app.screen_stack, self._app.focused)
            calm = calm + 1 if now == before else 0
            before = now


class _Guard:
    def __init__(self, unwanted: Callable[[str], bool], tell: Callable[[str], None]) -> None:
        self.unwanted = unwanted
        self.tell = tell
        self.until: float | None = None


async def _worked_off(node: DOMNode, app: App[Any]) -> None:
    """Waits until `node` has handled every message that it has by now, or is gone."""
    begun = time.monotonic()

    def wait_on() -> bool:
        return not _gone(node, app) and time.monotonic() - begun < _STUCK

    while not node.is_running and wait_on():  # a screen that was opened just now
        await asyncio.sleep(0.001)
    done = asyncio.Event()
    if not node.call_later(done.set):
        return
    while not done.is_set() and wait_on():
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), 0.05)


def _gone(node: DOMNode, app: App[Any]) -> bool:
    return node is not app and node.screen not in app.screen_stack
