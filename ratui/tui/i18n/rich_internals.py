"""All uses of undocumented parts of Rich: where a line of text may end.

Rich ends lines at spaces only. Japanese has none, so that a whole sentence would begin on a new line although the one before
has room, and would then be cut before a full stop. A new version of Rich may change this.
``tests/tui/test_rich_internals.py`` finds out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import rich._wrap

__all__ = ["WRITTEN_FOR", "break_japanese_lines", "split_words"]

WRITTEN_FOR = "rich 15.0"

_NOT_FIRST = "。、，．：；・！？）」』】〕〉》ー々ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ,.:;!?)]}%％…"
"""Characters that may not begin a line."""
_NOT_LAST = "（「『【〔〈《([{"
"""Characters that may not end a line."""
_JAPANESE = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")
_split_at_spaces = rich._wrap.words


def break_japanese_lines() -> None:
    """Let Rich and Textual end lines between Japanese characters too. Calling it again changes nothing."""
    rich._wrap.words = split_words


def split_words(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and characters of each part of `text` that stays on one line, with the spaces behind it.

    A Japanese character is a part of its own, except before a closing mark, after an opening one, and after a number. A text
    without Japanese characters is split at its spaces.
    """
    if text.isascii() or not _JAPANESE.search(text):
        yield from _split_at_spaces(text)
        return
    start = 0
    for place in range(1, len(text)):
        if _may_end(text, start, place):
            yield start, place, text[start:place]
            start = place
    if text[start:].strip():
        yield start, len(text), text[start:]


def _may_end(text: str, start: int, place: int) -> bool:
    """Return True if a line may end before the character at `place`, with the part that begins at `start`."""
    before, after = text[place - 1], text[place]
    if after.isspace() or after in _NOT_FIRST or before in _NOT_LAST or not text[start:place].strip():
        return False
    if before.isspace():
        return not text[start:place].rstrip()[-1].isdigit()
    return bool(_JAPANESE.match(before) or _JAPANESE.match(after))
