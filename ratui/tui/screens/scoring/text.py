"""What the scoring screen says around its films: head, fields, state, keys. Text made from a `ScoringSession` alone."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text

from ratui import reading as rd
from ratui.tui.entry import text as texts
from ratui.tui.entry.scoring_session import ScoringSession
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import Keymap, key_for_entry
from ratui.tui.theme import ACCENT, BRIGHT, NOTE, QUIET
from ratui.tui.widgets.key_bar import KeyItem

__all__ = ["format_field_line", "format_head", "format_key_lines", "format_status"]

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


def format_head(t: Catalog, case: str, session: ScoringSession, width: int) -> Text:
    """The joint and its side, at the end of the line where the hand is: left for a left hand, right for a right one."""
    reading = session.reading
    site = reading.site(session.site)
    name = Text(f" {site.side} ", f"{BRIGHT} reverse")
    name.append(f" {texts.format_site_title(t, reading.scheme, site)} ", BRIGHT)
    scales = Text()
    for scale in site.joint.scales:
        scales.append(" ▸ " if len(scales) else " ", QUIET)
        scales.append(scale, BRIGHT if scale == session.field.scale else QUIET)
    progress = Text(f" {case} · {texts.format_progress(t, reading, 16 if width >= 100 else 8)} ", ACCENT)
    if site.side == "L":
        return texts.join_ends(Text.assemble(name, scales), progress, width)
    return texts.join_ends(progress, Text.assemble(scales, "  ", name), width)


def format_field_line(t: Catalog, session: ScoringSession, time: int) -> Text:
    """The fields of the joint at `time`, with what was said beside the one that waits."""
    unconfirmed = ""
    if session.pending is not None and session.pending.field == session.field:
        entry = session.pending.entry
        unconfirmed = "0" if entry is None else key_for_entry(session.reading.scheme, entry)
    return texts.format_fields(
        t,
        session.reading,
        session.site,
        time,
        session.field,
        is_paired=session.is_paired,
        unconfirmed=unconfirmed,
        hint=session.field_hint,
    )


def format_status(t: Catalog, session: ScoringSession) -> Text:
    """While nothing else is said: the line that is typed, or the joint's flag and note, or the last entry."""
    reading = session.reading
    if session.mode == "go_to":
        meant = session.matched_site
        said = texts.format_site_title(t, reading.scheme, reading.site(meant)) if meant else t("scoring.go_to_unknown")
        return Text(f" {t('scoring.go_to', typed=session.typed_text, meant=said)}", NOTE)
    if session.mode == "note":
        return Text(f" {t('scoring.write_note', typed=session.typed_text)}", NOTE)
    parts = []
    if session.site in reading.flags:
        parts.append(t("scoring.flag"))
    if session.site in reading.notes:
        parts.append(t("scoring.note", text=reading.notes[session.site]))
    if parts:
        return Text(f" {' · '.join(parts)}", NOTE)
    last = texts.format_last_entry(t, reading, reading.log[-1] if reading.log else None)
    return Text(f" {t('scoring.last', last=last)}" if last else "", QUIET)


def format_key_lines(
    t: Catalog, session: ScoringSession, keymap: Keymap, is_possible: Callable[[str], bool], width: int
) -> Text:
    """What can be pressed now, and nothing else."""
    commands = []
    if is_possible("normal"):
        commands.append(KeyItem(keymap.key_label("scoring.normal"), t("actions.scoring.normal.label")))
    if is_possible("same"):
        commands.append(KeyItem(keymap.key_label("scoring.same"), _same_label(t, session)))
    commands += [
        KeyItem(keymap.key_label(f"scoring.{name}"), t(f"actions.scoring.{name}.label"))
        for name in _COMMANDS
        if is_possible(name)
    ]
    reasons_key = keymap.key_label("scoring.reasons")
    return texts.format_entry_keys(t, session.reading.scheme, session, commands, width, reasons_key=reasons_key)


def _same_label(t: Catalog, session: ScoringSession) -> str:
    if session.is_paired:
        return t("scoring.not_both")
    if not rd.list_options(session.reading, session.field).can_copy:
        return t("scoring.both")
    first = min(session.reading.order)
    return t("scoring.as_later" if session.field.time == first else "scoring.as_earlier")
