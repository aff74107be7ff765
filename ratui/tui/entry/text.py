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
from ratui.tui.i18n.catalog import Messages
from ratui.tui.input.actions import entry_key
from ratui.tui.theme import ACCENT, BRIGHT, KEY, NOTE, QUIET, WAITING

__all__ = [
    "edge_text",
    "ends",
    "entry_text",
    "fields_line",
    "fitted",
    "hand_title",
    "items_text",
    "joint_summary",
    "keys_text",
    "last_entry",
    "padded",
    "progress_text",
    "reasons_text",
    "side_title",
    "site_title",
    "title_text",
    "totals_text",
    "wrapped",
]


_GAP = 2
"""Spaces between two keys of a line."""


def hand_title(t: Messages, scheme: Scheme, site: Site) -> str:
    """``LEFT hand``: the side, and the part of the body, of `site`."""
    part = next((part.label for part in scheme.parts if part.id == site.part), site.part)
    return t("text.hand_title", side=t(f"text.side_{site.side}"), part=t.of_scheme(part))


def site_title(t: Messages, scheme: Scheme, site: Site) -> str:
    """``LEFT hand · MCP2``."""
    return t("text.site_title", hand=hand_title(t, scheme, site), joint=t.of_scheme(site.joint.label))


def side_title(t: Messages, order: Sequence[int], place: int, blinded: bool, days: int | None) -> str:
    """What stands over the film at `place` (0 left, 1 right); in a blinded study nothing that tells the order.

    `days` is from the case's first film to this one, None where it isn't known.
    """
    if blinded:
        return "◀" if place == 0 else "▶"
    if order[place] == 0:
        return t("text.earlier")
    return t("text.later") if days is None else t("text.later_after", span=_span(t, days))


def _span(t: Messages, days: int) -> str:
    if abs(days) < 60:
        return t("text.days", days=f"{days:+d}")
    return t("text.months", months=f"{round(days / 30.44):+d}")


def entry_text(t: Messages, reading: Reading, field: Field) -> str:
    """What stands in `field`: a score with its finding, a reason, or ``·`` where it is open."""
    value = reading.values.get(field)
    match value:
        case None:
            return "·"
        case GradeEntry(grade):
            return str(grade)
        case FindingEntry(id):
            return f"{reading.score(field)} {t.of_scheme(reading.scheme.finding(id).label)}"
        case NotAssessableEntry(id):
            return f"– {t.of_scheme(reading.scheme.reason(id).label)}"
    return "·"


def fields_line(
    t: Messages,
    reading: Reading,
    site: str,
    time: int,
    waiting: Field | None,
    *,
    both: bool = False,
    doubted: str = "",
    said: str = "",
) -> Text:
    """The fields of one film: the waiting one a block in brackets, the answered ones bright.

    With `both` the waiting field waits at every time point. `doubted` is an entry that stands in it with a question
    mark, `said` a word beside it.
    """
    text = Text(no_wrap=True, overflow="ellipsis")
    for field in reading.slot_fields(Slot(site, time)):
        shown = entry_text(t, reading, field)
        if field == waiting or (both and waiting is not None and (field.site, field.scale) == waiting[:2]):
            shown = f"{doubted}?" if doubted else "▁" if shown == "·" else shown
            text.append(f"[{field.scale} {shown}]", WAITING)
            if said and field == waiting:
                text.append(f" {said}", NOTE)
        else:
            text.append(f" {field.scale} ", QUIET)
            text.append(f"{shown} ", QUIET if shown == "·" else BRIGHT)
        text.append("  ")
    return text


def keys_text(
    t: Messages,
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
    grades = [(entry_key(scheme, GradeEntry(grade.value)), t.of_scheme(grade.meaning)) for grade in options.grades]
    others = [(finding.key, t.of_scheme(finding.label)) for finding in options.findings]
    if options.reasons:
        others.append((reasons_key, t("text.not_assessable")))
    lines = [*wrapped(grades, width, rows), fitted(others, width), _as_fit(commands, width)]
    text = Text(no_wrap=True)
    for number, items in enumerate(lines):
        if number:
            text.append("\n")
        _append_items(text, items)
    return text


def reasons_text(t: Messages, scheme: Scheme, options: EntryOptions, width: int, *, rows: int = 1) -> Text:
    """The choice that asks why there is no score."""
    text = Text(no_wrap=True)
    text.append(t("text.why_no_score"), NOTE)
    for items in wrapped([(reason.key, t.of_scheme(reason.label)) for reason in options.reasons], width, rows):
        text.append("\n")
        _append_items(text, items)
    text.append("\n")
    _append_items(text, [("Esc", t("text.back"))])
    return text


def items_text(items: Sequence[tuple[str, str]]) -> Text:
    """A line of keys and what they do."""
    text = Text(no_wrap=True)
    _append_items(text, items)
    return text


def wrapped(items: Sequence[tuple[str, str]], width: int, rows: int) -> list[list[tuple[str, str]]]:
    """`items` on exactly `rows` lines of `width`, in their order, with their labels cut as little as makes them fit."""
    longest = max((cell_len(label) for _, label in items), default=0)
    for limit in range(longest, 0, -1):
        lines = _broken([(key, _shortened(label, limit)) for key, label in items], width)
        if len(lines) <= rows:
            return lines + [[] for _ in range(rows - len(lines))]
    lines = _broken([(key, "") for key, _ in items], width)[:rows]
    return lines + [[] for _ in range(rows - len(lines))]


def fitted(items: Sequence[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """`items` with their labels cut as little as lets them all stand on one line of `width`."""
    return wrapped(items, width, 1)[0]


def _broken(items: Sequence[tuple[str, str]], width: int) -> list[list[tuple[str, str]]]:
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


def _as_fit(items: Sequence[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """As many of `items`, from the first, as fit on one line; the last one always: it is the help."""
    kept = list(items)
    while len(kept) > 1 and sum(map(_length, kept)) - _GAP > width:
        del kept[-2]
    return kept


def _length(item: tuple[str, str]) -> int:
    return cell_len(item[0]) + cell_len(item[1]) + 2 + _GAP


def _shortened(label: str, limit: int) -> str:
    return label if cell_len(label) <= limit else set_cell_size(label, limit - 1).rstrip() + "…"


def _append_items(text: Text, items: Sequence[tuple[str, str]]) -> None:
    for number, (key, label) in enumerate(items):
        text.append(" " * (_GAP if number else 0))
        text.append(f" {key}", KEY)
        text.append(f" {label}" if label else "")


def progress_text(t: Messages, reading: Reading, width: int = 16) -> str:
    """``12 of 38 joints ▓▓▓░░░``."""
    opened = {field.site for field in reading.open_fields}
    total = len(reading.sites)
    done = total - len(opened)
    filled = round(width * done / max(total, 1))
    return f"{t('text.joints_done', done=done, total=total)} {'▓' * filled}{'░' * (width - filled)}"


def last_entry(t: Messages, reading: Reading, entry: LogEntry | None) -> str:
    """``MCP2 ERO · → 1``, the first change of the last log entry; an empty text where no key made it."""
    if entry is None or not entry.changes or entry.kind == "adopt":
        return ""
    change = entry.changes[0]
    site = reading.site(change.field.site)
    name = f"{t(f'text.side_{site.side}')} {t.of_scheme(site.joint.label)}"
    last = t("text.last_entry", site=name, scale=change.field.scale, values=_values(t, reading, change))
    if len(entry.changes) > 1:
        last = t("text.last_more", last=last, count=len(entry.changes) - 1)
    return t("text.last_undo", last=last) if entry.kind == "undo" else last


def _values(t: Messages, reading: Reading, change: FieldChange) -> str:
    shown = []
    for value in (change.old, change.new):
        match value:
            case GradeEntry(grade):
                shown.append(str(grade))
            case FindingEntry(id):
                shown.append(t.of_scheme(reading.scheme.finding(id).label))
            case NotAssessableEntry(id):
                shown.append(t.of_scheme(reading.scheme.reason(id).label))
            case _:
                shown.append("·")
    return " → ".join(shown)


def joint_summary(reading: Reading, site: str) -> str:
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


def padded(text: str, width: int) -> str:
    """`text` in exactly `width` cells."""
    return set_cell_size(text, width)


def ends(left: Text, right: Text, width: int) -> Text:
    """`left` and `right` at the two ends of a line; where both don't fit, `left` is cut."""
    room = width - right.cell_len
    line = left.copy()
    if line.cell_len > room - 1:
        line.truncate(max(room - 1, 0), overflow="ellipsis")
    line.append(" " * max(room - line.cell_len, 0))
    line.append_text(right)
    line.no_wrap = True
    return line


def title_text(title: str, asked: bool) -> Text:
    """What stands over a film: bright and with an arrow where the waiting field is its."""
    return Text(f"▼ {title}", BRIGHT, no_wrap=True) if asked else Text(f"  {title}", QUIET, no_wrap=True)


def edge_text(edge: str, side: str, height: int) -> Text:
    """What runs down the `edge` of the screen, ``L`` or ``R``: the letter of the `side` on the screen, on its own edge."""
    return Text("\n".join(side for _ in range(height)), f"{ACCENT} reverse") if edge == side else Text("")


def totals_text(t: Messages, reading: Reading) -> str:
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
