"""What the second look says above and below its films. Text made from a reading and a `Conversation` alone."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text

from ratui import reading as rd
from ratui.reading import Reading
from ratui.tui.entry import text as texts
from ratui.tui.entry.scoring_session import Conversation
from ratui.tui.i18n.catalog import Messages
from ratui.tui.input.actions import Keymap
from ratui.tui.theme import ACCENT, BRIGHT

__all__ = ["head_line", "keys_lines"]

_WANTED = ("keep", "undo", "back", "forward", "next_field", "flag", "note", "blink", "leave")
"""What stands on the last line first; the others follow while there is room, and help always has some."""


def head_line(t: Messages, reading: Reading, key: str, progress: str, width: int) -> Text:
    """The joint where its hand is, as while scoring; how far the second look is at the other end."""
    site = reading.site(key)
    title = f" {texts.site_title(t, reading.scheme, site)} "
    name = Text.assemble((f" {site.side} ", f"{BRIGHT} reverse"), (title, BRIGHT))
    far = Text.assemble((f" {reading.case} · {progress} ", ACCENT))
    return texts.ends(name, far, width) if site.side == "L" else texts.ends(far, name, width)


def keys_lines(
    t: Messages,
    reading: Reading,
    talk: Conversation | None,
    keymap: Keymap,
    possible: Callable[[str], bool],
    width: int,
) -> Text:
    """What can be pressed now, and nothing else; without a `talk` there is nothing to enter."""
    options = talk.options if talk else rd.EntryOptions()
    if talk is not None and talk.mode == "reasons":
        return texts.reasons_text(t, reading.scheme, options, width, rows=2)
    if talk is not None and talk.mode == "note":
        return texts.items_text([("Enter", t("scoring.line_takes")), ("Esc", t("scoring.line_drops"))])
    actions = {action.name: action for action in keymap.of("second_look")}
    order = [*_WANTED, *(name for name in actions if name not in (*_WANTED, "help")), "help"]
    commands = [
        (keymap.shown(actions[name].id), label)
        for name in order
        if (label := actions[name].label(t)) and possible(name)
    ]
    reasons_key = keymap.shown("second_look.reasons")
    return texts.keys_text(t, reading.scheme, options, commands, width, rows=2, reasons_key=reasons_key)
