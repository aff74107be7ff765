"""What the scoring screen says around its films: head, fields, state, keys. Text made from a `Conversation` alone."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text

from ratui import reading as rd
from ratui.tui.entry import text as texts
from ratui.tui.entry.scoring_session import Conversation
from ratui.tui.i18n.catalog import Messages
from ratui.tui.input.actions import Keymap, entry_key
from ratui.tui.theme import ACCENT, BRIGHT, NOTE, QUIET

__all__ = ["head_text", "keys_lines", "line_text", "status_text"]

_COMMANDS = (
    "undo",
    "flag",
    "note",
    "go_to",
    "blink",
    "whole",
    "zoom",
    "window",
    "difference",
    "overview",
    "regions",
    "leave",
    "help",
)
"""What stands on the last line after the answers, the most wanted first; help always has room."""
_GRADE_ROWS = 2


def head_text(t: Messages, case: str, talk: Conversation, width: int) -> Text:
    """The joint and its side, at the end of the line where the hand is: left for a left hand, right for a right one."""
    reading = talk.reading
    site = reading.site(talk.site)
    name = Text(f" {site.side} ", f"{BRIGHT} reverse")
    name.append(f" {texts.site_title(t, reading.scheme, site)} ", BRIGHT)
    scales = Text()
    for scale in site.joint.scales:
        scales.append(" ▸ " if len(scales) else " ", QUIET)
        scales.append(scale, BRIGHT if scale == talk.field.scale else QUIET)
    progress = Text(f" {case} · {texts.progress_text(t, reading, 16 if width >= 100 else 8)} ", ACCENT)
    if site.side == "L":
        return texts.ends(Text.assemble(name, scales), progress, width)
    return texts.ends(progress, Text.assemble(scales, "  ", name), width)


def line_text(t: Messages, talk: Conversation, time: int) -> Text:
    """The fields of the joint at `time`, with what was said beside the one that waits."""
    doubted = ""
    if talk.pending is not None and talk.pending.field == talk.field:
        entry = talk.pending.entry
        doubted = "0" if entry is None else entry_key(talk.reading.scheme, entry)
    return texts.fields_line(
        t, talk.reading, talk.site, time, talk.field, both=talk.both, doubted=doubted, said=talk.near
    )


def status_text(t: Messages, talk: Conversation) -> Text:
    """While nothing else is said: the line that is typed, or the joint's flag and note, or the last entry."""
    reading = talk.reading
    if talk.mode == "go_to":
        meant = talk.meant
        said = texts.site_title(t, reading.scheme, reading.site(meant)) if meant else t("scoring.go_to_unknown")
        return Text(f" {t('scoring.go_to', typed=talk.typed, meant=said)}", NOTE)
    if talk.mode == "note":
        return Text(f" {t('scoring.write_note', typed=talk.typed)}", NOTE)
    parts = []
    if talk.site in reading.flags:
        parts.append(t("scoring.flag"))
    if talk.site in reading.notes:
        parts.append(t("scoring.note", text=reading.notes[talk.site]))
    if parts:
        return Text(f" {' · '.join(parts)}", NOTE)
    last = texts.last_entry(t, reading, reading.log[-1] if reading.log else None)
    return Text(f" {t('scoring.last', last=last)}" if last else "", QUIET)


def keys_lines(t: Messages, talk: Conversation, keymap: Keymap, possible: Callable[[str], bool], width: int) -> Text:
    """What can be pressed now, and nothing else."""
    scheme = talk.reading.scheme
    if talk.mode == "reasons":
        return texts.reasons_text(t, scheme, talk.options, width, rows=_GRADE_ROWS)
    if talk.mode in ("go_to", "note"):
        return texts.items_text([("Enter", t("scoring.line_takes")), ("Esc", t("scoring.line_drops"))])
    commands = []
    if possible("normal"):
        commands.append((keymap.shown("scoring.normal"), t("actions.scoring.normal.label")))
    if possible("same"):
        commands.append((keymap.shown("scoring.same"), _same_label(t, talk)))
    commands += [
        (keymap.shown(f"scoring.{name}"), t(f"actions.scoring.{name}.label")) for name in _COMMANDS if possible(name)
    ]
    reasons_key = keymap.shown("scoring.reasons")
    return texts.keys_text(t, scheme, talk.options, commands, width, rows=_GRADE_ROWS, reasons_key=reasons_key)


def _same_label(t: Messages, talk: Conversation) -> str:
    if talk.both:
        return t("scoring.not_both")
    if not rd.list_options(talk.reading, talk.field).can_copy:
        return t("scoring.both")
    first = min(talk.reading.order)
    return t("scoring.as_later" if talk.field.time == first else "scoring.as_earlier")
