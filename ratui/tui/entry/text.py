"""Texts of the screens that enter or show scores, made from a reading.

The functions depend on no widget, no study and no film. In a study blinded to order no text tells which film is the earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from rich.style import Style
from rich.text import Text

from ratui.imaging import Orientation
from ratui.reading import (
    Entry,
    EntryOptions,
    Field,
    FindingEntry,
    GradeEntry,
    LogEntry,
    NotAssessableEntry,
    Reading,
    Slot,
)
from ratui.scheme import Scheme, Site
from ratui.study import AutoSaver
from ratui.tui.entry.scoring_session import ScoringSession
from ratui.tui.entry.visit_names import UNNAMED, VisitNames
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import Keymap
from ratui.tui.input.key_rows import KeyItem, drop_to_fit, format_key_rows, format_typing_keys, shorten_to_fit
from ratui.tui.theme import BRIGHT, EDGE, NOTE, QUIET, WAITING, find_style

__all__ = [
    "clicked_field",
    "clicked_site",
    "field_target",
    "format_edge",
    "format_entry",
    "format_entry_keys",
    "format_field",
    "format_fields",
    "format_hand_title",
    "format_joint_scores",
    "format_last_entry",
    "format_option_keys",
    "format_orientation",
    "format_progress",
    "format_save_error",
    "format_score",
    "format_site_title",
    "format_time_point",
    "format_title",
    "join_ends",
    "join_time_points",
    "site_target",
]


def format_hand_title(t: Catalog, scheme: Scheme, site: Site) -> str:
    """Return the side and the part of the body of `site`: ``LEFT hand``."""
    part = next((part.label for part in scheme.parts if part.id == site.part), site.part)
    return t("text.hand_title", side=t(f"text.side_{site.side}"), part=t.translate_scheme(part))


def format_site_title(t: Catalog, scheme: Scheme, site: Site) -> str:
    """Return the side, the part of the body and the joint of `site`: ``LEFT hand · MCP2``."""
    return t("text.site_title", hand=format_hand_title(t, scheme, site), joint=t.translate_scheme(site.joint.label))


def format_time_point(
    t: Catalog, order: Sequence[int], place: int, blinded: bool, days: int | None, visits: VisitNames = UNNAMED
) -> str:
    """Return the title of a film: ``later · +14 months``, ``visit 3``, or its position in a study blinded to order.

    Parameters
    ----------
    t
        The texts.
    order
        Time points in their places, the left one first.
    place
        Place of the film, 0 for the leftmost.
    blinded
        True if the rater must not know the order.
    days
        Days from the case's first film to this one; None if unknown.
    visits
        The names of the case's visits.

    Returns
    -------
    str
        The title.
    """
    title = visits.title(t, order, place, blinded=blinded)
    return title if blinded or order[place] == 0 or days is None else f"{title} · {_span(t, days)}"


def _span(t: Catalog, days: int) -> str:
    if abs(days) < 60:
        return t("text.days", days=f"{days:+d}")
    return t("text.months", months=f"{round(days / 30.44):+d}")


def format_entry(t: Catalog, scheme: Scheme, entry: Entry | None, *, empty: str = "·") -> str:
    """Return `entry` in words: the grade, or the label of the finding or of the reason; `empty` if it is None."""
    match entry:
        case GradeEntry(grade):
            return str(grade)
        case FindingEntry(id):
            return t.translate_scheme(scheme.finding(id).label)
        case NotAssessableEntry(id):
            return t.translate_scheme(scheme.reason(id).label)
        case None:
            return empty


def format_score(reading: Reading, field: Field) -> str:
    """Return the score of `field` as one sign: a number, ``–`` if not assessable, ``∅`` without a film, ``·`` if open."""
    if Slot(field.site, field.time) in reading.unfilmed:
        return "∅"
    score = reading.score(field)
    return str(score) if score is not None else "–" if field in reading.values else "·"


def format_field(t: Catalog, reading: Reading, field: Field) -> str:
    """Return the score of `field`, followed by the finding or the reason it comes from: ``5 ankylosis``."""
    entry = reading.values.get(field)
    score = format_score(reading, field)
    return (
        score if entry is None or isinstance(entry, GradeEntry) else f"{score} {format_entry(t, reading.scheme, entry)}"
    )


def join_time_points(reading: Reading, parts: Iterable[str]) -> str:
    """Join `parts`, one for each time point as on the screen: by an arrow, or by a bar if it would reveal the order."""
    return ("|" if reading.is_blinded else "→").join(parts)


def format_fields(
    t: Catalog,
    reading: Reading,
    site: str,
    time: int,
    waiting: Field | None,
    *,
    is_paired: bool = False,
    unconfirmed: str = "",
    hint: str = "",
) -> Text:
    """Return the fields of a site on one film: the active one as a block in brackets, the answered ones bright.

    Parameters
    ----------
    t
        The texts.
    reading
        The reading.
    site
        Key of the site.
    time
        Time point of the film.
    waiting
        The active field; None for none.
    is_paired
        True if the fields of the other time points are active too.
    unconfirmed
        Unlikely entry to show in the active field with a question mark; empty for none.
    hint
        Words to show beside the active field.

    Returns
    -------
    Text
        One line.
    """
    text = Text(no_wrap=True, overflow="ellipsis")
    for field in reading.slot_fields(Slot(site, time)):
        shown = format_field(t, reading, field)
        if field == waiting or (is_paired and waiting is not None and (field.site, field.scale) == waiting[:2]):
            shown = f"{unconfirmed}?" if unconfirmed else "▁" if shown == "·" else shown
            text.append(f"[{field.scale} {shown}]", field_target(WAITING, field))
            if hint and field == waiting:
                text.append(f" {hint}", NOTE)
        else:
            text.append(f" {field.scale} ", field_target(QUIET, field))
            text.append(f"{shown} ", field_target(QUIET if shown == "·" else BRIGHT, field))
        text.append("  ")
    return text


def format_entry_keys(
    t: Catalog,
    scheme: Scheme,
    session: ScoringSession | None,
    commands: Sequence[KeyItem],
    width: int,
    *,
    keymap: Keymap,
    reasons_key: str,
    row_count: int = 4,
) -> Text:
    """Return the keys that make entries now, and `commands` in the last row as far as they fit.

    The keys take `row_count` rows, 2 or 4: see `format_option_keys`. Without a `session` nothing can be entered. While a
    reason is chosen or a line is typed, the rows list the keys for that.
    """
    if session is not None and session.mode == "reasons":
        reasons = [KeyItem(reason.key, t.translate_scheme(reason.label)) for reason in session.options.reasons]
        question = Text(f" {t('text.why_no_score')}", NOTE, no_wrap=True)
        back = KeyItem("Esc", t("text.back"))
        if row_count == 2:
            return Text("\n").join((question, format_key_rows(*shorten_to_fit([*reasons, back], width))))
        keys = format_key_rows(*shorten_to_fit(reasons, width, row_count - 2), [back])
        return Text("\n").join((question, keys))
    if session is not None and session.mode in ("go_to", "note"):
        return format_typing_keys(t)
    options = session.options if session is not None else EntryOptions()
    return format_option_keys(
        t, scheme, options, commands, width, keymap=keymap, reasons_key=reasons_key, row_count=row_count
    )


def format_option_keys(
    t: Catalog,
    scheme: Scheme,
    options: EntryOptions,
    commands: Sequence[KeyItem],
    width: int,
    *,
    keymap: Keymap,
    reasons_key: str,
    row_count: int,
) -> Text:
    """Return the keys of `options` and of `commands`, in `row_count` rows of at most `width` cells.

    With two rows, for wide screens, the first one has the grades, and the second one the findings, the key `reasons_key`
    for the choice of reasons, and the commands. With more rows, findings and commands take one each. The last of the
    `commands` is the help. It is never left out.
    """
    grades = [
        KeyItem(keymap.label_answer(scheme, GradeEntry(grade.value)), t.translate_scheme(grade.meaning))
        for grade in options.grades
    ]
    others = [KeyItem(finding.key, t.translate_scheme(finding.label)) for finding in options.findings]
    if options.reasons:
        others.append(KeyItem(reasons_key, t("text.not_assessable")))
    return _lay_out_option_keys(tuple(grades), tuple(others), tuple(commands), width, row_count)


@lru_cache(maxsize=16)
def _lay_out_option_keys(
    grades: Sequence[KeyItem], others: Sequence[KeyItem], commands: Sequence[KeyItem], width: int, row_count: int
) -> Text:
    """Return the rows of `format_option_keys`. Most joints have the rows of the one before, and they are long to lay out."""
    help_key = commands[-1].key if commands else ""
    if row_count == 2:
        return format_key_rows(*shorten_to_fit(grades, width), *drop_to_fit([*others, *commands], width, keep=help_key))
    return format_key_rows(
        *shorten_to_fit(grades, width, row_count - 2),
        *shorten_to_fit(others, width),
        *drop_to_fit(commands, width, keep=help_key),
    )


def format_progress(t: Catalog, reading: Reading, width: int = 16) -> str:
    """Return the number of answered joints with a bar of `width` cells: ``12 of 38 joints ▓▓▓░░░``."""
    opened = {field.site for field in reading.open_fields}
    total = len(reading.sites)
    done = total - len(opened)
    filled = round(width * done / max(total, 1))
    return f"{t('text.joints_done', done=done, total=total)} {'▓' * filled}{'░' * (width - filled)}"


def format_last_entry(t: Catalog, reading: Reading, entry: LogEntry | None, visits: VisitNames = UNNAMED) -> str:
    """Return the first change of a log entry: ``LEFT MCP2 ERO earlier: · → 1``; empty if no key made the change."""
    if entry is None or not entry.changes or entry.kind in ("regions", "adopt", "films"):
        return ""
    change = entry.changes[0]
    site = reading.site(change.field.site)
    name = f"{t(f'text.side_{site.side}')} {t.translate_scheme(site.joint.label)}"
    values = " → ".join(format_entry(t, reading.scheme, entry) for entry in (change.old, change.new))
    time = visits.name(t, reading.order, change.field.time, blinded=reading.is_blinded)
    last = t("text.last_entry", site=name, scale=change.field.scale, time=time, values=values)
    if len(entry.changes) > 1:
        last = t("text.last_more", last=last, count=len(entry.changes) - 1)
    return t("text.last_undo", last=last) if entry.kind == "undo" else last


def format_joint_scores(reading: Reading, site: str) -> str:
    """Return the scores of a site, scale by scale, with the time points in their places: ``0→1  2→2``."""
    scales = reading.site(site).joint.scales
    fields = [[Field(site, scale, time) for time in reading.order] for scale in scales]
    return "  ".join(join_time_points(reading, (format_score(reading, field) for field in pair)) for pair in fields)


def join_ends(left: Text, right: Text, width: int) -> Text:
    """Return a line with `left` and `right` at its two ends. If they do not fit into `width` cells, `left` is cut."""
    room = width - right.cell_len
    line = left.copy()
    if line.cell_len > room - 1:
        line.truncate(max(room - 1, 0), overflow="ellipsis")
    line.append(" " * max(room - line.cell_len, 0))
    line.append_text(right)
    line.no_wrap = True
    return line


def add_note(line: Text, note: str, room: int) -> Text:
    """Return `line`, which begins with a space, with `note` behind it if both fit into `room` cells, else `line` alone.

    If `line` is empty, return the note.
    """
    quiet = Text(f" {note}", QUIET)
    if not note or not line.plain.strip():
        return quiet if note else line
    both = Text.assemble(line, (" ·", QUIET), quiet)
    return both if both.cell_len <= room else line


def format_orientation(t: Catalog, orientation: Orientation) -> str:
    """Return how a film is displayed turned or mirrored; empty for a film as stored."""
    parts = [t("text.shown_turned", degrees=orientation.degrees)] if orientation.degrees else []
    if orientation.is_mirrored:
        parts.append(t("text.shown_mirrored"))
    return " · ".join(parts)


def format_title(title: str, is_active: bool) -> Text:
    """Return the title above a film; bright and with an arrow if `is_active`: the active field is on this film."""
    return (
        Text(f"▼ {title}", BRIGHT, no_wrap=True, overflow="ellipsis")
        if is_active
        else Text(f"  {title}", QUIET, no_wrap=True, overflow="ellipsis")
    )


def format_edge(edge: str, side: str, height: int) -> Text:
    """Return a column with the letter of the `side` of the body for that `edge` of the screen, and an empty one otherwise.

    The letter keeps the side in view, so that left and right are not confused.
    """
    return Text("\n".join(side for _ in range(height)), EDGE) if edge == side else Text("")


# Parts of a text that stand for a field or a site, which a click selects.


def field_target(style: str, field: Field) -> Style:
    """Return `style` for a text that stands for `field`."""
    return find_style(style) + Style(meta={"field": tuple(field)})


def site_target(style: str, site: str) -> Style:
    """Return `style` for a text that stands for the site with the key `site`."""
    return find_style(style) + Style(meta={"site": site})


def clicked_field(style: Style) -> Field | None:
    """Return the field that a text of this `style` stands for, or None."""
    found = style.meta.get("field")
    return Field(*found) if found else None


def clicked_site(style: Style) -> str | None:
    """Return the key of the site that a text of this `style` stands for, or None."""
    return style.meta.get("site")


def format_save_error(t: Catalog, saver: AutoSaver, leave_key: str) -> str:
    """Return why the last save failed, what is in memory only, and whether the next key tries again."""
    why, count = t.translate_error(saver.save_error), len(saver.unsaved)
    if not saver.can_retry:
        return t("scoring.cannot_save", count=count, why=why, leave=leave_key)
    if not count:
        return t("scoring.saves_refused", why=why)
    return t("scoring.not_saved", count=count, why=why)
