"""Texts around the films of the scoring and the review screen: head, fields, status and keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text

from ratui import reading as rd
from ratui.reading import Reading
from ratui.tui.entry import text as texts
from ratui.tui.entry.scoring_session import ScoringSession
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import Keymap, key_for_entry
from ratui.tui.theme import ACCENT, BRIGHT, NOTE, QUIET
from ratui.tui.widgets.key_bar import KeyItem

__all__ = ["format_field_line", "format_head", "format_review_keys", "format_scoring_keys", "format_status"]

_SCORING_COMMANDS = (
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
"""Actions in the last row of keys, the most needed first. As many as fit are shown, and always the help."""
_REVIEW_COMMANDS = ("keep", "undo", "back", "forward", "next_field", "flag", "note", "blink", "leave")
"""Actions that come first in the last row of keys of the review. The others follow, with the help at the end."""


def format_head(t: Catalog, reading: Reading, site: str, progress: str, width: int, *, scale: str = "") -> Text:
    """Return the top line: the joint, and `progress` at the other end.

    The joint is on the side of the screen that its hand is on: left for a left hand. While fields are scored, `scale` is
    that of the active field: the joint's name is reversed then, and its scales follow.
    """
    asked = reading.site(site)
    name = Text.assemble(
        (f" {asked.side} ", f"{BRIGHT} reverse"),
        (f" {texts.format_site_title(t, reading.scheme, asked)} ", f"{BRIGHT} reverse" if scale else BRIGHT),
    )
    scales = Text()
    for each in asked.joint.scales if scale else ():
        scales.append(" ▸ " if len(scales) else " ", QUIET)
        scales.append(each, BRIGHT if each == scale else QUIET)
    far = Text(f" {reading.case} · {progress} ", ACCENT)
    if asked.side == "L":
        return texts.join_ends(Text.assemble(name, scales), far, width)
    return texts.join_ends(far, Text.assemble(scales, "  ", name) if scale else name, width)


def format_field_line(t: Catalog, session: ScoringSession, time: int) -> Text:
    """Return the fields of the joint at `time`, with an unconfirmed entry and a hint at the active field."""
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
    """Return the line below the films while there is no message: typed text, flag and note, or the last entry."""
    reading = session.reading
    if session.mode == "go_to":
        site = session.matched_site
        match = texts.format_site_title(t, reading.scheme, reading.site(site)) if site else t("scoring.go_to_unknown")
        return Text(f" {t('scoring.go_to', typed=session.typed_text, meant=match)}", NOTE)
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


def format_scoring_keys(
    t: Catalog, session: ScoringSession, keymap: Keymap, is_possible: Callable[[str], bool], width: int
) -> Text:
    """Return the rows below the films that list the keys that can be pressed now.

    Grades, findings and reasons come first, commands in the last row. Commands that do not fit are left out.

    Parameters
    ----------
    t
        Texts in the user's language.
    session
        The scoring session; its mode and active field determine the entries.
    keymap
        The keys of the actions.
    is_possible
        Function that takes the name of an action of the scoring screen, such as ``"undo"``, and returns True if it is
        possible now.
    width
        Width of a row in terminal cells.
    """
    labels = {"same": _label_of_same(t, session)}
    commands = _list_commands(t, keymap, "scoring", ("normal", "same", *_SCORING_COMMANDS), is_possible, labels)
    reasons_key = keymap.key_label("scoring.reasons")
    return texts.format_entry_keys(t, session.reading.scheme, session, commands, width, reasons_key=reasons_key)


def format_review_keys(
    t: Catalog,
    reading: Reading,
    session: ScoringSession | None,
    keymap: Keymap,
    is_possible: Callable[[str], bool],
    width: int,
) -> Text:
    """Return the keys that are possible in the review; without a `session` the reading cannot be changed."""
    names = [action.name for action in keymap.list_actions("review") if action.label(t)]
    order = [*_REVIEW_COMMANDS, *(name for name in names if name not in (*_REVIEW_COMMANDS, "help")), "help"]
    commands = _list_commands(t, keymap, "review", [name for name in order if name in names], is_possible)
    reasons_key = keymap.key_label("review.reasons")
    return texts.format_entry_keys(t, reading.scheme, session, commands, width, reasons_key=reasons_key)


def _list_commands(
    t: Catalog,
    keymap: Keymap,
    screen: str,
    names: Sequence[str],
    is_possible: Callable[[str], bool],
    labels: dict[str, str] | None = None,
) -> list[KeyItem]:
    """Return the keys of the possible actions among `names`; `labels` replaces labels of the catalog."""
    known = labels or {}
    return [
        KeyItem(
            keymap.key_label(f"{screen}.{name}"),
            known[name] if name in known else t(f"actions.{screen}.{name}.label"),
        )
        for name in names
        if is_possible(name)
    ]


def _label_of_same(t: Catalog, session: ScoringSession) -> str:
    """Return the label of the key that copies an answer or makes one answer count for both time points."""
    if session.is_paired:
        return t("scoring.separate")
    if not rd.list_options(session.reading, session.field).can_copy:
        return t("scoring.both")
    first = min(session.reading.order)
    return t("scoring.as_later" if session.field.time == first else "scoring.as_earlier")
