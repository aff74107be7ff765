"""A queue of keys, and its app, which gets each key only when all effects of the key before it are complete.

Fast typing thus has the same effect as slow typing: no key is lost between two screens, and no key reaches a field or a case
that an earlier key leaves.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

from textual.app import App
from textual.dom import DOMNode
from textual.errors import NoWidget
from textual.events import Event, Key, MouseDown, MouseEvent, MouseUp, Paste

from ratui.errors import StoreError
from ratui.garbage_collection import collect_young
from ratui.study import AutoSaver, ReadingClosed, ReadingSession, StudyLocked, TakenOver
from ratui.tui.input.actions import normalize_key
from ratui.tui.input.terminal_input import Burst
from ratui.tui.input.unpressed_keys import WITHDRAWN_SECONDS, KeyRepeats, ReplyWatch, WithdrawalReason
from ratui.tui.textual_internals import GuardedApp

__all__ = ["ClosingError", "KeyBurst", "KeyQueue", "OpenReading", "QueuedApp"]

_HANDLING_TIMEOUT = 5.0
"""Seconds that one widget may take to handle a key. After that the next key is sent although it has not finished."""
_STABLE_ROUNDS = 2
"""Number of rounds without a change after which a key counts as complete. Two, because a screen opens in two steps."""
_PAUSE = 0.15
"""Seconds without a key after which Python's search for reference cycles delays nothing: the films are on the screen."""
_SURPRISE = 4.0
"""Factor of the reaction time for a screen that no key of the user has caused."""


QueuedEvent: TypeAlias = Key | Paste | MouseDown | MouseUp
"""Input of the user. Pasted text and mouse buttons wait for the keys before them, too."""


class KeyBurst(Event, bubble=False):
    """Keys that arrived together, as a `ratui.tui.input.terminal_input.Burst` describes them.

    Parameters
    ----------
    keys
        The keys.
    began, ended
        Times of the first and last character, in seconds of a monotonic clock.
    ignored
        True if input was dropped that the user may have typed.
    unfinished
        True if more input followed at once.
    """

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
        """Names of the keys, as in the keymap."""
        return [normalize_key(key.character, key.key) for key in self.keys]


ClosingError: TypeAlias = TakenOver | StudyLocked | ReadingClosed
"""Error after which a session can save nothing more."""


@dataclass(frozen=True)
class OpenReading:
    """The reading that keys change now."""

    session: ReadingSession
    """The reading on the disk, locked for this process."""
    auto_saver: AutoSaver
    """The reading in memory, which counts the time."""
    on_closed: Callable[[ClosingError], None]
    """Function to call when another session has taken the reading over, or the rater may not change it any more."""
    on_withdrawn: Callable[[Collection[int], WithdrawalReason], None]
    """Function to call with the log numbers of answers that no person may have given, and the reason."""

    def check_lock(self) -> bool:
        """Return False, after a call of `on_closed`, if this session can save nothing more."""
        try:
            self.session.check_lock()
        except (TakenOver, StudyLocked, ReadingClosed) as error:
            self.on_closed(error)
            return False
        except StoreError:
            return True  # the disk does not answer now; each save checks the lock again
        return True


class QueuedApp(GuardedApp):
    """An app whose keys, pasted texts and mouse buttons pass a queue."""

    def __init__(self) -> None:
        super().__init__()
        self.key_queue = KeyQueue(self)
        """The queue."""

    async def on_event(self, event: Event) -> None:
        """Put input of the user into the queue, which returns each key as an event when it is due."""
        if (
            isinstance(event, Key | Paste | MouseDown | MouseUp | KeyBurst)
            and not event.is_forwarded
            and not self.key_queue.is_due(event)
        ):
            self.key_queue.put(event)
        else:
            await super().on_event(event)

    def on_unmount(self) -> None:
        """Stop sending keys."""
        self.key_queue.close()


class KeyQueue:
    """The queue of one app.

    Parameters
    ----------
    app
        The app, to which the queue posts the keys.
    """

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._waiting: deque[QueuedEvent | KeyBurst] = deque()
        self._due: QueuedEvent | None = None
        self._dispatch_task: asyncio.Task[None] | None = None
        self._guard: _TypeAheadFilter | None = None
        self._collection: asyncio.TimerHandle | None = None
        """The next search for reference cycles."""
        self.reply_watch = ReplyWatch()
        """The recognition of replies of the terminal."""
        self.on_ignored: Callable[[], None] = lambda: None
        """Function to call when input was dropped."""
        self.on_paused: Callable[[], None] = lambda: None
        """Function to call when a key was ignored because the terminal was changed a moment before."""
        self.open_reading: OpenReading | None = None
        """The reading that keys change. Its time is counted. No key goes on after it was closed."""
        self.on_withdrawn: Callable[[Collection[int], WithdrawalReason], None] = lambda numbers, reason: None
        """Function to call like that of `open_reading`, while there is none."""
        self.repeats = KeyRepeats()
        """The keys that are held down, and the answers of their repeats."""
        self.time_of: Callable[[Key], float] = lambda key: key.time
        """Function that returns the time at which a key arrived, in seconds of a monotonic clock."""
        self.reaction_seconds = 0.25
        """Seconds that a person needs to notice a new screen."""

    def is_due(self, event: Event) -> bool:
        """Return True if the queue has posted `event` itself, so that the app has to handle it now."""
        return event is self._due

    def put(self, event: QueuedEvent | KeyBurst) -> None:
        """Add `event` to the queue. The keys of a burst are sent one by one, or dropped if they are the rest of a reply."""
        self._waiting.append(event)
        if self._dispatch_task is None:
            self._dispatch_task = asyncio.create_task(self._dispatch_keys())

    def drop_typed_ahead(self, is_unwanted: Callable[[str], bool], on_dropped: Callable[[str], None]) -> None:
        """Drop keys that were typed before the user can have seen a new screen that opens without a request.

        Parameters
        ----------
        is_unwanted
            Function that returns True for the name of a key that must not have an effect on the new screen.
        on_dropped
            Function to call with the name of each dropped key.
        """
        self._guard = _TypeAheadFilter(is_unwanted, on_dropped)

    def discard(self) -> None:
        """Drop the waiting keys, and those that come before the user can have seen an unexpected new screen."""
        self._waiting.clear()
        self._guard = _TypeAheadFilter(lambda name: True, lambda name: None)
        self._guard.until = time.monotonic() + _SURPRISE * self.reaction_seconds

    async def wait_until_idle(self) -> None:
        """Wait until the effects of all keys are complete."""
        while self._dispatch_task is not None:
            await asyncio.wait([self._dispatch_task])

    def close(self) -> None:
        """Stop sending keys."""
        if self._dispatch_task is not None:
            self._dispatch_task.cancel()
        if self._collection is not None:
            self._collection.cancel()

    async def _dispatch_keys(self) -> None:
        """Send the waiting keys to the app, one after the other."""
        try:
            while self._waiting:
                key = self._waiting.popleft()
                if isinstance(key, KeyBurst):
                    if self._is_dropped(key):
                        self.on_ignored()
                        self._withdraw_first_part(key)
                    else:
                        # The message comes after the keys, because a key clears the message before it.
                        notice = (KeyBurst((), began=key.began, ended=key.ended, ignored=True),) if key.ignored else ()
                        for each in key.keys:
                            each.time = key.began
                        self._waiting.extendleft(reversed((*key.keys, *notice)))
                    continue
                if isinstance(key, Key):
                    self._note(key)
                    if self.reply_watch.is_paused(normalize_key(key.character, key.key), self.repeats.key_time):
                        self.on_paused()
                        continue
                    if self._is_too_early(key):
                        continue
                if self.open_reading is not None:
                    self.open_reading.auto_saver.count_time()
                    if not self.open_reading.check_lock():
                        continue
                self._due = key
                target = self._find_widget(key)
                self._app.post_message(key)
                await self._wait_until_done(target)
                self._due = None
                if self._guard is not None and self._guard.until is None:
                    self._guard.until = time.monotonic() + self.reaction_seconds
        finally:
            self._due = self._dispatch_task = None
            if self._collection is not None:
                self._collection.cancel()
            self._collection = asyncio.get_running_loop().call_later(_PAUSE, collect_young)

    def _note(self, key: Key) -> None:
        """Record the time of `key`, and have answers withdrawn if it shows that the keys before it were repeats."""
        # The driver marks the repeats that the terminal reports.
        is_repeat = getattr(key, "is_repeat", False)
        self.repeats.note_key(normalize_key(key.character, key.key), self.time_of(key), is_repeat=is_repeat)
        self._withdraw(self.repeats.take_withdrawn(), "held")

    def _is_dropped(self, burst: KeyBurst) -> bool:
        """Return True if `burst` is the rest of a terminal's reply, and record the consequences for the next burst."""
        names = burst.names
        if not names:
            return burst.ignored
        return self.reply_watch.drops(names, began=burst.began, ended=burst.ended, is_unfinished=burst.unfinished)

    def _withdraw_first_part(self, burst: KeyBurst) -> None:
        """Have answers withdrawn that were made shortly before `burst`, the rest of a terminal's reply."""
        if burst.keys:
            first = burst.keys[0]
            first.time = burst.began
            self._withdraw(self.repeats.answers_since(self.time_of(first) - WITHDRAWN_SECONDS), "reply")

    def _withdraw(self, numbers: Collection[int], reason: WithdrawalReason) -> None:
        if numbers:
            reading = self.open_reading
            (reading.on_withdrawn if reading is not None else self.on_withdrawn)(numbers, reason)

    def _is_too_early(self, key: Key) -> bool:
        """Return True if `key` is unwanted and was typed before the user can have seen the new screen."""
        if self._guard is None:
            return False
        name = normalize_key(key.character, key.key)
        if self._guard.until is not None and key.time < self._guard.until and self._guard.is_unwanted(name):
            self._guard.on_dropped(name)
            return True
        self._guard = None
        return False

    def _find_widget(self, event: QueuedEvent) -> DOMNode | None:
        """Return the widget under the mouse if `event` is one of the mouse."""
        if isinstance(event, MouseEvent):
            with suppress(NoWidget):
                return self._app.screen.get_widget_at(event.x, event.y)[0]
        return None

    async def _wait_until_done(self, target: DOMNode | None = None) -> None:
        """Wait until the effects of the event are complete, with the screens that it opened or closed.

        `target` is the widget that the event is for, if it is not the focused one.
        """
        before: tuple[object, ...] = ()
        calm = 0
        while calm < _STABLE_ROUNDS:
            focused = self._app.focused
            nodes = [node for first in (target, focused) if first is not None for node in first.ancestors_with_self]
            for node in (*nodes, self._app.screen, self._app):
                await _wait_until_handled(node, self._app)
            now = (*self._app.screen_stack, self._app.focused)
            calm = calm + 1 if now == before else 0
            before = now


class _TypeAheadFilter:
    """The arguments of `drop_typed_ahead`, and the time until which keys are too early once the screen is open."""

    def __init__(self, is_unwanted: Callable[[str], bool], on_dropped: Callable[[str], None]) -> None:
        self.is_unwanted = is_unwanted
        self.on_dropped = on_dropped
        self.until: float | None = None


async def _wait_until_handled(node: DOMNode, app: App[Any]) -> None:
    """Wait until `node` has handled all messages that it has now, or until it is removed."""
    begun = time.monotonic()

    def wait_on() -> bool:
        return app.is_running and not _is_removed(node, app) and time.monotonic() - begun < _HANDLING_TIMEOUT

    while not node.is_running and wait_on():  # a new screen, which does not run yet
        await asyncio.sleep(0.001)
    done = asyncio.Event()
    # A call is a message at the end of the node's queue. False: the node closes and takes no messages any more.
    if not node.call_later(done.set):
        return
    while not done.is_set() and wait_on():
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), 0.05)


def _is_removed(node: DOMNode, app: App[Any]) -> bool:
    return node is not app and node.screen not in app.screen_stack
