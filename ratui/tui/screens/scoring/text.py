"""Texts around the films of the scoring and the review screen: head, fields, status and keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from rich.text import Text

from ratui import reading as rd
from ratui.reading import Reading
from ratui.scheme import Site
from ratui.tui.entry import text as texts
from ratui.tui.entry.scoring_session import ScoringSession
from ratui.tui.entry.visit_names import UNNAMED, VisitNames
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import Keymap, key_for_entry
from ratui.tui.input.key_rows import KeyItem
from ratui.tui.theme import ACCENT, BRIGHT, CHOSEN, NOTE, QUIET

__all__ = [
    "count_key_rows",
    "format_field_line",
    "format_grey_changes",
    "format_head",
    "format_review_keys",
    "format_scoring_keys",
    "format_status",
    "format_typing_hint",
]

_TWO_KEY_ROWS_FROM = 160
"""Screens of at least so many columns list the keys in two rows instead of four."""
_SCORING_COMMANDS = (
    "undo",
    "answers",
    "flag",
    "note",
    "go_to",
    "blink",
    "whole",
    "zoom",
    "window",
    "difference",
    "reset_greys",
    "marks",
    "overview",
    "regions",
    "leave",
    "help",
)
"""Actions in the last row of keys, the most needed first. As many as fit are shown, and always the help."""
_REVIEW_COMMANDS = ("keep", "undo", "back", "forward", "next_field", "flag", "note", "blink", "leave")
"""Actions that come first in the last row of keys of the review. The others follow, with the help at the end."""


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


def format_status(t: Catalog, session: ScoringSession, visits: VisitNames = UNNAMED) -> Text:
    """Return the line below the films while there is no message: flag and note, or the last entry."""
    reading = session.reading
    parts = []
    if session.site in reading.flags:
        parts.append(t("scoring.flag"))
    if session.site in reading.notes:
        parts.append(t("scoring.note", text=reading.notes[session.site]))
    if parts:
        return Text(f" {' · '.join(parts)}", NOTE)
    last = texts.format_last_entry(t, reading, reading.log[-1] if reading.log else None, visits)
    return Text(f" {t('scoring.last', last=last)}" if last else "", QUIET)


def format_typing_hint(t: Catalog, session: ScoringSession) -> str:
    """Return the words behind the text being typed: the joint that it names, or that the note is full."""
    reading = session.reading
    if session.mode == "go_to":
        site = session.matched_site
        return texts.format_site_title(t, reading.scheme, reading.site(site)) if site else t("scoring.go_to_unknown")
    is_full = len(session.typed_text) >= rd.MAX_NOTE_LENGTH
    return t("scoring.note_full", count=rd.MAX_NOTE_LENGTH) if is_full else ""


def count_key_rows(width: int) -> int:
    """Return the number of rows that list the keys on a screen of `width` columns."""
    return 2 if width >= _TWO_KEY_ROWS_FROM else 4


def format_scoring_keys(
    t: Catalog,
    session: ScoringSession,
    keymap: Keymap,
    is_possible: Callable[[str], bool],
    width: int,
    row_count: int = 4,
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
    row_count
        Number of rows, 2 or 4.
    """
    labels = {"same": _label_of_same(t, session)}
    commands = _list_commands(t, keymap, "scoring", ("normal", "same", *_SCORING_COMMANDS), is_possible, labels)
    reasons_key = keymap.key_label("scoring.reasons")
    return texts.format_entry_keys(
        t,
        session.reading.scheme,
        session,
        commands,
        width,
        keymap=keymap,
        reasons_key=reasons_key,
        row_count=row_count,
    )


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
    return texts.format_entry_keys(t, reading.scheme, session, commands, width, keymap=keymap, reasons_key=reasons_key)


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
    """Return the label of the key that copies an answer or makes one answer count for both of two time points."""
    if session.is_paired:
        return t("scoring.separate")
    if len(session.reading.order) == 2 and not session.options.can_copy:
        return t("scoring.both")
    if len(session.reading.order) != 2:
        return t("scoring.as_previous")
    first = min(session.reading.order)
    return t("scoring.as_later" if session.field.time == first else "scoring.as_earlier")


# The top line. The name of the joint and the note on changed grey levels are always shown. In a narrow window the progress
# is dropped first, then the case, then details.


def format_head(
    t: Catalog,
    reading: Reading,
    site: str,
    progress: Sequence[str],
    width: int,
    *,
    scale: str = "",
    greys: Sequence[str] = (),
) -> Text:
    """Return the top line in `width` cells: the joint at one end, and the case with the progress at the other.

    The joint is on the side of the screen that its hand is on: left for a left hand.

    Parameters
    ----------
    t
        The texts.
    reading
        The reading.
    site
        Key of the site.
    progress
        Texts for the progress, the longest first.
    width
        Width of the line in terminal cells.
    scale
        The scale of the active field while fields are scored. The joint's name is reversed then, and its scales follow.
    greys
        Notes on changed grey levels from `format_grey_changes`, the longest first; empty if the films are as acquired.
    """
    asked = reading.site(site)
    is_left = asked.side == "L"
    near = far = Text()
    for near in _list_names(t, reading, asked, scale):
        for far in _list_far_ends(reading, progress, greys):
            if near.cell_len + far.cell_len < width:
                return texts.join_ends(near, far, width) if is_left else texts.join_ends(far, near, width)
    near.truncate(max(width - far.cell_len - 1, 8), overflow="ellipsis")  # a label of a wrist has up to 52 letters
    return texts.join_ends(near, far, width)


def format_grey_changes(t: Catalog, changes: Sequence[str], key: str) -> tuple[str, ...]:
    """Return notes on changed grey levels, the longest first; empty if there are no changes.

    Parameters
    ----------
    t
        The texts.
    changes
        The changes, as `DisplaySettings.changes` gives them.
    key
        The key that resets them, as it is printed.
    """
    if not changes:
        return ()
    named = ", ".join(_format_change(t, change) for change in changes)
    return (
        t("text.greys_changed", changes=named, key=key),
        t("text.greys_short", changes=named, key=key),
        t("text.greys_bare", changes=named, key=key),
        t("text.greys_unnamed", key=key),
        t("text.greys_minimal"),
    )


def _format_change(t: Catalog, change: str) -> str:
    """Return `change` in words: ``contrast ×1.38`` for ``contrast×1.38``."""
    name, step = re.fullmatch(r"([a-z]+)(.*)", change, re.DOTALL).groups()  # type: ignore[union-attr]
    return t(f"text.greys_{name}", step=step)


def _list_names(t: Catalog, reading: Reading, asked: Site, scale: str) -> Iterator[Text]:
    """Yield the name of the joint with its scales, without them, without the part of the body, without words in brackets."""
    style = CHOSEN if scale else BRIGHT
    side = (f" {asked.side} ", CHOSEN)
    name = Text.assemble(side, (f" {texts.format_site_title(t, reading.scheme, asked)} ", style))
    if scale:
        scales = Text()
        for each in asked.joint.scales:
            scales.append(" ▸ " if len(scales) else " ", QUIET)
            scales.append(each, BRIGHT if each == scale else QUIET)
        yield Text.assemble(name, scales) if asked.side == "L" else Text.assemble(scales, "  ", name)
    yield name
    label = t.translate_scheme(asked.joint.label)
    for each in (label, label.partition(" (")[0]):
        yield Text.assemble(side, (f" {each} ", style))


def _list_far_ends(reading: Reading, progress: Sequence[str], greys: Sequence[str]) -> Iterator[Text]:
    """Yield the other end of the line, the fullest first. If there are notes `greys`, each of them has one of these."""
    notes = greys or ("",)
    detailed, others = notes[:2], notes[2:]
    case = Text(f" {reading.case} ", ACCENT)
    rests = [Text(f" {reading.case} · {each.strip()} ", ACCENT) for each in progress]
    for rest in (*rests, case, Text()):
        for note in detailed:
            yield Text.assemble((f" {note} " if note else "", NOTE), rest)
    for note in others:
        for rest in (case, Text()):
            yield Text.assemble((f" {note} ", NOTE), rest)
