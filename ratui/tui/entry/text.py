"""What stands on the scoring and overview screens, as text made from a reading. Pure: no widget, no study, no film."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ratui.reading import (
    EntryOptions,
    Field,
    FieldChange,
    FindingEntry,
    GradeEntry,
    LogEntry,
    NotAssessableEntry,
    Reading,
    Slot,
)
from ratui.scheme import Scheme, Site
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import key_for_entry
from ratui.tui.theme import ACCENT, BRIGHT, KEY, NOTE, QUIET, WAITING

__all__ = [
    "fit_items",
    "format_edge",
    "format_entry",
    "format_fields",
    "format_hand_title",
    "format_joint_scores",
    "format_key_items",
    "format_keys",
    "format_last_entry",
    "format_progress",
    "format_reason_choices",
    "format_site_title",
    "format_time_point",
    "format_title",
    "format_totals",
    "join_ends",
    "pad_cells",
    "wrap_items",
]


_GAP = 2
"""Spaces between two keys of a line."""


def format_hand_title(t: Catalog, scheme: Scheme, site: Site) -> str:
    """``LEFT hand``: the side, and the part of the body, of `site`."""
    part = next((part.label for part in scheme.parts if part.id == site.part), site.part)
    return t("text.hand_title", side=t(f"text.side_{site.side}"), part=t.translate_scheme(part))


def format_site_title(t: Catalog, scheme: Scheme, site: Site) -> str:
    """``LEFT hand · MCP2``."""
    return t("text.site_title", hand=format_hand_title(t, scheme, site), joint=t.translate_scheme(site.joint.label))


def format_time_point(t: Catalog, order: Sequence[int], place: int, blinded: bool, days: int | None) -> str:
    """What stands over the film at `place` (0 left, 1 right); in a blinded study nothing that tells the order.

    `days` is from the case's first film to this one, None where it isn't known.
    """
    if blinded:
        return "◀" if place == 0 else "▶"
    if order[place] == 0:
        return t("text.earlier")
    return t("text.later") if days is None else t("text.later_after", span=_span(t, days))


def _span(t: Catalog, days: int) -> str:
    if abs(days) < 60:
        return t("text.days", days=f"{days:+d}")
    return t("text.months", months=f"{round(days / 30.44):+d}")


def format_entry(t: Catalog, reading: Reading, field: Field) -> str:
    """What stands in `field`: a score with its finding, a reason, or ``·`` where it is open."""
    value = reading.values.get(field)
    match value:
        case None:
            return "·"
        case GradeEntry(grade):
            return str(grade)
        case FindingEntry(id):
            return f"{reading.score(field)} {t.translate_scheme(reading.scheme.finding(id).label)}"
        case NotAssessableEntry(id):
            return f"– {t.translate_scheme(reading.scheme.reason(id).label)}"
    return "·"


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
    """The fields of one film: the waiting one a block in brackets, the answered ones bright.

    With `is_paired` the waiting field waits at every time point. `unconfirmed` is an entry that stands in it with a question
    mark, `hint` a word beside it.
    """
    text = Text(no_wrap=True, overflow="ellipsis")
    for field in reading.slot_fields(Slot(site, time)):
        shown = format_entry(t, reading, field)
        if field == waiting or (is_paired and waiting is not None and (field.site, field.scale) == waiting[:2]):
            shown = f"{unconfirmed}?" if unconfirmed else "▁" if shown == "·" else shown
            text.append(f"[{field.scale} {shown}]", WAITING)
            if hint and field == waiting:
                text.append(f" {hint}", NOTE)
        else:
            text.append(f" {field.scale} ", QUIET)
            text.append(f"{shown} ", QUIET if shown == "·" else BRIGHT)
        text.append("  ")
    return text


def format_keys(
    t: Catalog,
    scheme: Scheme,
    options: EntryOptions,
    commands: Sequence[tuple[str, str]],
    width: int,
    *,
    rows: int = 1,
    reasons_key: str = "x",
) -> Text:
    """The keys that do something now: the grades with their meanings on `rows` lines, findings and the way to the reasons
    on one, and as many `commands` (key, label) as fit on the last. Meanings are cut as little as makes them fit."""
    grades = [
        (key_for_entry(scheme, GradeEntry(grade.value)), t.translate_scheme(grade.meaning)) for grade in options.grades
    ]
    others = [(finding.key, t.translate_scheme(finding.label)) for finding in options.findings]
    if options.reasons:
        others.append((reasons_key, t("text.not_assessable")))
    lines = [*wrap_items(grades, width, rows), fit_items(others, width), _drop_to_fit(commands, width)]
    text = Text(no_wrap=True)
    for number, items in enumerate(lines):
        if number:
            text.append("\n")
        _append_items(text, items)
    return text


def format_reason_choices(t: Catalog, scheme: Scheme, options: EntryOptions, width: int, *, rows: int = 1) -> Text:
    """The choice that asks why there is no score."""
    text = Text(no_wrap=True)
    text.append(t("text.why_no_score"), NOTE)
    for items in wrap_items(
        [(reason.key, t.translate_scheme(reason.label)) for reason in options.reasons], width, rows
    ):
        text.append("\n")
        _append_items(text, items)
    text.append("\n")
    _append_items(text, [("Esc", t("text.back"))])
    return text


def format_key_items(items: Sequence[tuple[str, str]]) -> Text:
    """A line of keys and what they do."""
    text = Text(no_wrap=True)
    _append_items(text, items)
    return text


def wrap_items(items: Sequence[tuple[str, str]], width: int, rows: int) -> list[list[tuple[str, str]]]:
    """`items` on exactly `rows` lines of `width`, in their order, with their labels cut as little as makes them fit."""
    longest = max((cell_len(label) for _, label in items), default=0)
    for limit in range(longest, 0, -1):
        lines = _break_lines([(key, _shorten_label(label, limit)) for key, label in items], width)
        if len(lines) <= rows:
            return lines + [[] for _ in range(rows - len(lines))]
    lines = _break_lines([(key, "") for key, _ in items], width)[:rows]
    return lines + [[] for _ in range(rows - len(lines))]


def fit_items(items: Sequence[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """`items` with their labels cut as little as lets them all stand on one line of `width`."""
    return wrap_items(items, width, 1)[0]


def _break_lines(items: Sequence[tuple[str, str]], width: int) -> list[list[tuple[str, str]]]:
    lines: list[list[tuple[str, str]]] = []
    left = 0
    for item in items:
        needed = _length(item)
        if not lines or needed - _GAP > left:  # nothing follows the last one
            lines.append([])
            left = width
        lines[-1].append(item)
        left -= needed
    return lines


def _drop_to_fit(items: Sequence[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """As many of `items`, from the first, as fit on one line; the last one always: it is the help."""
    kept = list(items)
    while len(kept) > 1 and sum(map(_length, kept)) - _GAP > width:
        del kept[-2]
    return kept


def _length(item: tuple[str, str]) -> int:
    return cell_len(item[0]) + cell_len(item[1]) + 2 + _GAP


def _shorten_label(label: str, limit: int) -> str:
    return label if cell_len(label) <= limit else set_cell_size(label, limit - 1).rstrip() + "…"


def _append_items(text: Text, items: Sequence[tuple[str, str]]) -> None:
    for number, (key, label) in enumerate(items):
        text.append(" " * (_GAP if number else 0))
        text.append(f" {key}", KEY)
        text.append(f" {label}" if label else "")


def format_progress(t: Catalog, reading: Reading, width: int = 16) -> str:
    """``12 of 38 joints ▓▓▓░░░``."""
    opened = {field.site for field in reading.open_fields}
    total = len(reading.sites)
    done = total - len(opened)
    filled = round(width * done / max(total, 1))
    return f"{t('text.joints_done', done=done, total=total)} {'▓' * filled}{'░' * (width - filled)}"


def format_last_entry(t: Catalog, reading: Reading, entry: LogEntry | None) -> str:
    """``MCP2 ERO · → 1``, the first change of the last log entry; an empty text where no key made it."""
    if entry is None or not entry.changes or entry.kind == "adopt":
        return ""
    change = entry.changes[0]
    site = reading.site(change.field.site)
    name = f"{t(f'text.side_{site.side}')} {t.translate_scheme(site.joint.label)}"
    last = t("text.last_entry", site=name, scale=change.field.scale, values=_values(t, reading, change))
    if len(entry.changes) > 1:
        last = t("text.last_more", last=last, count=len(entry.changes) - 1)
    return t("text.last_undo", last=last) if entry.kind == "undo" else last


def _values(t: Catalog, reading: Reading, change: FieldChange) -> str:
    shown = []
    for value in (change.old, change.new):
        match value:
            case GradeEntry(grade):
                shown.append(str(grade))
            case FindingEntry(id):
                shown.append(t.translate_scheme(reading.scheme.finding(id).label))
            case NotAssessableEntry(id):
                shown.append(t.translate_scheme(reading.scheme.reason(id).label))
            case _:
                shown.append("·")
    return " → ".join(shown)


def format_joint_scores(reading: Reading, site: str) -> str:
    """``0→1 2→2``: the scores of one joint as they stand on the screen, scale by scale."""
    parts = []
    arrow = " " if reading.is_blinded else "→"
    for scale in reading.site(site).joint.scales:
        shown = []
        for time in reading.order:
            field = Field(site, scale, time)
            score = reading.score(field)
            shown.append(str(score) if score is not None else "·" if field not in reading.values else "–")
        parts.append(arrow.join(shown))
    return "  ".join(parts)


def pad_cells(text: str, width: int) -> str:
    """`text` in exactly `width` cells."""
    return set_cell_size(text, width)


def join_ends(left: Text, right: Text, width: int) -> Text:
    """`left` and `right` at the two ends of a line; where both don't fit, `left` is cut."""
    room = width - right.cell_len
    line = left.copy()
    if line.cell_len > room - 1:
        line.truncate(max(room - 1, 0), overflow="ellipsis")
    line.append(" " * max(room - line.cell_len, 0))
    line.append_text(right)
    line.no_wrap = True
    return line


def format_title(title: str, asked: bool) -> Text:
    """What stands over a film: bright and with an arrow where the waiting field is its."""
    return Text(f"▼ {title}", BRIGHT, no_wrap=True) if asked else Text(f"  {title}", QUIET, no_wrap=True)


def format_edge(edge: str, side: str, height: int) -> Text:
    """What runs down the `edge` of the screen, ``L`` or ``R``: the letter of the `side` on the screen, on its own edge."""
    return Text("\n".join(side for _ in range(height)), f"{ACCENT} reverse") if edge == side else Text("")


def format_totals(t: Catalog, reading: Reading) -> str:
    """The totals of both time points, and how many fields have no score."""
    names = ("◀", "▶") if reading.is_blinded else (t("text.earlier"), t("text.later"))
    parts = []
    for place, time in enumerate(reading.order):
        name = names[place] if reading.is_blinded else names[time]
        scales = ", ".join(f"{scale} {reading.total(time, scale)[0]}" for scale in reading.scheme.scales)
        parts.append(f"{name} {reading.total(time)[0]} ({scales})")
    lacking = len(reading.values) - sum(reading.total(time)[1] for time in reading.order)
    if lacking:
        parts.append(t("text.without_score", count=lacking))
    return " · ".join(parts)
