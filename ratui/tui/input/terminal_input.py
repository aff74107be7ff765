"""Separation of typed keys from replies of the terminal.

A terminal answers questions (of ratui, of tmux, of the shell) in the same stream that carries the keys. A complete reply
begins with an escape sequence, by which it is recognized. A reply that lost its beginning (tmux took it, or it was split)
looks like typed text: ``;4c`` would be the grade 4 and a finding. `InputSplitter` drops complete and split replies, and
groups the remaining keys into bursts; `is_reply_tail` recognizes a burst that is the rest of a reply.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["NEAR", "Burst", "InputSplitter", "Kind", "continues_tail", "ends_reply", "is_reply_tail"]

Kind = Literal["key", "event", "reply"]
"""Kinds of control sequences: a key, another input such as the mouse, or a reply of the terminal that nothing waits for."""

_TOGETHER = 0.015
"""Longest time in seconds between two characters of one burst. A typing person takes at least 0.02."""
NEAR = 0.002
"""The same for a terminal on this machine without a multiplexer, which writes a reply at once."""
_LONGEST = 0.25
"""Seconds after which a burst ends even if more characters follow."""
_ESCAPE = 0.1
"""Seconds after which a lone escape character is the Esc key, as in Textual."""
_ESCAPE_OF_REPLY = 1.0
"""The same while a reply is expected, which may begin with this character."""
_TYPING = 0.06
"""Seconds between characters from which they look typed, while the end of a reply is expected."""
_GIVE_UP = 3
"""Number of such characters after which the end of the reply counts as lost."""
_LIMIT = 4096
"""Number of characters after which the end of a reply counts as lost."""

_PASTE, _PASTE_END = "\x1b[200~", "\x1b[201~"
_STRING_TERMINATOR = "\x1b\\"
_TOKEN = re.compile(
    r"\x1b\[M[^\x1b]{3}"  # a mouse event in the oldest form
    r"|\x1b\[\[[A-E]"  # F1 to F5 on the Linux console
    r"|\x1b\[(?![M\[])[0-?]*[ -/]*[@-~]"  # a control sequence
    r"|\x1b[\]P_][^\x00-\x1f\x7f]*(?:\x07|\x1b\\)"  # a string: colours, versions, Kitty's graphics
    r"|\x1bO[ -~]"
    r"|\x1b(?=\x1b)"
    r"|\x1b[^\[\]P_O\x1b]"
    r"|[^\x1b]",
    re.DOTALL,
)
_HEAD = re.compile(r"\x1b(?:\[(?:[0-?]*[ -/]*|M[^\x1b]{0,2}|\[)|[\]P_][^\x00-\x1f\x7f]*)")
"""The beginning of a control sequence or string whose end has not come yet."""

# Tail of a control sequence with a separator; tail of one without; any part of a tail that arrives slowly.
_CSI_TAIL = re.compile(r"\[?[0-9:;<=>?$]*[;$][0-9:;<=>?$]*[@-~]")
_PLAIN_CSI_TAIL = re.compile(r"[0-9]+[@-~]")
# The same, with the final characters of the replies to `ratui.terminal.queries`: all that remains may be known keys.
_PLAIN_REPLY_TAIL = re.compile(r"[0-9]+[cRtSuyMm]|[03]n")
_MARKED_TAIL = re.compile(r"(?:\[\??|\?)[0-9]+[A-Za-z]|\[[IO]")
_CSI_END = re.compile(r"[0-9:;<=>?$]*[@-~]")
_SLOW_TAIL = re.compile(r"[0-9;:?$]*[@-~]?")
_COLOUR = re.compile(r"[0-9a-fA-F]{4}/[0-9a-fA-F]{4}")
_STRING_ENDS = frozenset({"ctrl+g", "alt+backslash"})
_EDITING = frozenset({"ctrl+u", "ctrl+q", "ctrl+p", "ctrl+c", "ctrl+z"})
"""Keys of the text lines and of the app itself, which are not in the keymap."""
_IN_TEXT = re.compile(r"[\w .,'+-]", re.ASCII)


@dataclass(frozen=True)
class Burst:
    """Characters and escape sequences that arrived together."""

    tokens: tuple[str, ...]
    """Single characters and complete sequences."""
    began: float
    """Time of the first character, in seconds of a monotonic clock."""
    ended: float
    """Time of the last character."""
    ignored: bool = False
    """True if input was dropped that the user may have typed."""
    unfinished: bool = False
    """True if more input followed at once."""


@dataclass
class InputSplitter:
    """A splitter of the terminal's input into bursts of keys, which drops replies.

    The caller passes each chunk that it reads to `feed`. It calls `take` after that, and again at the time `deadline`.
    Times are in seconds of a monotonic clock.
    """

    kind_of: Callable[[str], Kind]
    """Function that returns the kind of a control sequence. Unknown sequences are replies."""
    awaits_reply: Callable[[], bool] = lambda: False
    """Function that returns True while the terminal has not replied to the last query."""
    together: float = _TOGETHER
    """Longest time in seconds between two characters of one burst, for which a key has to wait."""
    _rest: str = ""
    _tokens: list[str] = field(default_factory=list)
    _events: list[str] = field(default_factory=list)
    _began: float = 0.0
    _last: float = float("-inf")
    _typed: int = 0
    _ignored: bool = False
    _pasting: bool = False
    _ends_string: bool = False
    """True if the escape character at the end of `_rest` came with a string, whose terminator it begins."""

    @property
    def deadline(self) -> float | None:
        """Time at which `take` has to be called next, or None."""
        times = []
        if self._tokens or self._ignored:
            held = any(len(token) == 1 and token.isprintable() for token in self._tokens)
            times.append(min(self._last + self.together, self._began + _LONGEST) if held else self._last)
        if not self._pasting and (self._rest.endswith("\x1b") or self._rest == "\x1bO"):
            may_be_reply = self._rest == "\x1b" and self.awaits_reply()
            times.append(self._last + (_ESCAPE_OF_REPLY if may_be_reply else _ESCAPE))
        return min(times, default=None)

    def feed(self, text: str, now: float) -> list[str]:
        """Process a chunk of characters that was read at `now`, and return the sequences in it that are not keys."""
        if not self._tokens:
            self._began = now
        before, count = self._last, len(self._tokens)
        if _HEAD.fullmatch(self._rest) and len(text) == 1 and now - self._last >= _TYPING:
            self._typed += 1
            self._ignored = True
        if self._rest == "\x1b" and now - self._last >= _ESCAPE and text[:1] not in "[]P_":
            self._tokens.append(self._rest)  # no reply begins like this, so it was the Esc key
            self._rest = ""
        self._ends_string = len(self._rest + text) > 2 and (len(text) > 1 or now - self._last < _TYPING)
        self._last = now
        self._rest += text
        self._split()
        if not self._rest:
            self._typed = 0
            if len(self._tokens) == count and not self._ignored:
                self._last = before  # movements of the mouse must not delay a waiting key
        elif self._typed >= _GIVE_UP or (len(self._rest) > _LIMIT and not self._pasting):
            self._rest, self._typed, self._ignored = "", 0, True
        events, self._events = self._events, []
        return events

    def take(self, now: float) -> Burst | None:
        """Return the burst that is complete at the time `now`, or None."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return None
        if not self._tokens and not self._ignored:
            self._end_escape()
        unfinished = now - self._last < self.together and self._last - self._began >= _LONGEST - self.together
        burst = Burst(tuple(self._tokens), self._began, self._last, self._ignored, unfinished)
        self._tokens, self._ignored = [], False
        return burst

    def _end_escape(self) -> None:
        """Make a lone escape character the Esc key."""
        if self._rest == "\x1bO":
            self._tokens = [self._rest]
        elif self._rest != "\x1b" and self._ends_string:
            self._ignored = True  # its backslash has no effect
        else:
            self._ignored = self._rest != "\x1b"
            self._tokens = ["\x1b"]
        self._rest, self._typed, self._began = "", 0, self._last

    def _split(self) -> None:
        """Move all complete tokens out of the rest."""
        while self._rest:
            if self._pasting:
                end = self._rest.find(_PASTE_END)
                if end < 0:
                    return
                end += len(_PASTE_END)
                self._tokens.append(self._rest[:end])
                self._rest = self._rest[end:]
                self._pasting = False
            elif found := _TOKEN.match(self._rest):
                token = found[0]
                if token == _PASTE:
                    self._pasting = True
                kind = self._kind(token)
                if kind == "key":
                    self._tokens.append(token)
                elif kind == "event":
                    self._events.append(token)
                self._rest = self._rest[len(token) :]
            else:
                head = _HEAD.match(self._rest)
                after = self._rest[head.end() :] if head else ""
                if not after or after == "\x1b":
                    return
                # No reply contains this character: the reply was interrupted.
                self._rest, self._ignored = after, True

    def _kind(self, token: str) -> Kind:
        """Return the kind of a complete token."""
        if token in (_PASTE, _PASTE_END) or token[:2] not in ("\x1b[", "\x1b]", "\x1bP", "\x1b_"):
            return "key"
        return self.kind_of(token) if token[1] == "[" or token.startswith("\x1b_G") else "reply"


def is_reply_tail(
    names: Sequence[str], *, in_text: bool, here: Set[str], known: Set[str], opens_text: Set[str], opens_help: Set[str]
) -> bool:
    """Return True if keys that arrived together are the rest of a terminal's reply.

    Parameters
    ----------
    names
        The keys of one burst, as `ratui.tui.input.actions.normalize_key` names them.
    in_text
        True if characters are text on the current screen, such as a note.
    here, known
        The keys with a meaning on the current screen, and on any screen. A key that is only `known` may be typed ahead
        for the next screen, so that it does not make a burst a reply.
    opens_text
        The keys after which characters are text.
    opens_help
        The keys that show the help, which any key closes.

    Returns
    -------
    bool
        True if the keys are the rest of a reply.

    Notes
    -----
    A single key is never a tail, and neither are digits alone: four of them may be the answers to the four fields of a
    joint. A tail of known keys only (``4c``, ``0n``) is dropped although a slow connection may deliver two typed keys
    together. In a line of text, where ``4c`` may be part of a word, it is not dropped.
    """
    if len(names) < 2:
        return False
    joined = "".join(name if len(name) == 1 else " " if name == "space" else "\0" for name in names)
    if _CSI_TAIL.fullmatch(joined) or _COLOUR.search(joined):
        return True
    if _MARKED_TAIL.fullmatch(joined):
        return True
    if (
        not in_text
        and _PLAIN_CSI_TAIL.fullmatch(joined)
        and (names[-1] not in here or _PLAIN_REPLY_TAIL.fullmatch(joined))
    ):
        return True
    # Text that began before this burst (`free`) may contain any character. Text that begins within the burst may be part
    # of a reply: only letters, digits and a few signs are accepted there.
    opened = free = in_text
    for before, name in zip(("", *names), names, strict=False):
        if name in ("enter", "escape"):
            opened = free = False
        elif len(name) > 1:
            if name.startswith(("ctrl+", "alt+")) and name not in _EDITING and name not in known:
                return True
        elif opened:
            if not free and name not in known and name.isascii() and not _IN_TEXT.fullmatch(name):
                return True
        elif name in opens_text:
            opened = True
        elif name not in known and not (before in opens_help and name.isalnum()):
            return True
    return False


def continues_tail(names: Sequence[str]) -> bool:
    """Return True if keys can continue the tail of a control sequence."""
    return bool(_SLOW_TAIL.fullmatch(_join(names)))


def ends_reply(names: Sequence[str]) -> bool:
    """Return True if the last of `names` ends a reply of the terminal."""
    return names[-1] in _STRING_ENDS or bool(_CSI_END.fullmatch(_join(names)))


def _join(names: Sequence[str]) -> str:
    return "".join(name if len(name) == 1 else "\0" for name in names)
