"""What the second look says above and below its films. Text made from a reading and a `ScoringSession` alone."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text

from ratui.reading import Reading
from ratui.tui.entry import text as texts
from ratui.tui.entry.scoring_session import ScoringSession
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import Keymap
from ratui.tui.theme import ACCENT, BRIGHT
from ratui.tui.widgets.key_bar import KeyItem

__all__ = ["format_head", "format_key_lines"]

_WANTED = ("keep", "undo", "back", "forward", "next_field", "flag", "note", "blink", "leave")
"""What stands on the last line first; the others follow while there is room, and help always has some."""


def format_head(t: Catalog, reading: Reading, key: str, progress: str, width: int) -> Text:
    """The joint where its hand is, as while scoring; how far the second look is at the other end."""
    site = reading.site(key)
    title = f" {texts.format_site_title(t, reading.scheme, site)} "
    name = Text.assemble((f" {site.side} ", f"{BRIGHT} reverse"), (title, BRIGHT))
    far = Text.assemble((f" {reading.case} · {progress} ", ACCENT))
    return texts.join_ends(name, far, width) if site.side == "L" else texts.join_ends(far, name, width)


def format_key_lines(
    t: Catalog,
    reading: Reading,
    session: ScoringSession | None,
    keymap: Keymap,
    is_possible: Callable[[str], bool],
    width: int,
) -> Text:
    """What can be pressed now, and nothing else; without a `session` there is nothing to enter."""
    actions = {action.name: action for action in keymap.list_actions("second_look")}
    order = [*_WANTED, *(name for name in actions if name not in (*_WANTED, "help")), "help"]
    commands = [
        KeyItem(keymap.key_label(actions[name].id), label)
        for name in order
        if (label := actions[name].label(t)) and is_possible(name)
    ]
    reasons_key = keymap.key_label("second_look.reasons")
    return texts.format_entry_keys(t, reading.scheme, session, commands, width, reasons_key=reasons_key)
