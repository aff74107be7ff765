"""What stands on the scoring and overview screens, as text made from a reading. Pure: no widget, no study, no film."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ratui.reading import Change, Field, Found, Graded, LogEntry, NotAssessable, Options, Reading, Slot
from ratui.scheme import Scheme, Site
from ratui.tui.actions import entry_key
from ratui.tui.messages import Messages

__all__ = [
    "entry_text",
    "fields_line",
    "fitted",
    "hand_map",
    "hand_title",
    "joint_summary",
    "keys_text",
    "last_entry",
    "progress_text",
    "reasons_text",
    "side_title",
    "site_title",
    "totals_text",
]

_DIM, _BRIGHT, _KEY, _WAITING = "#707070", "bold white", "bold #8fb8d8", "bold black on #e0b050"


def hand_title(t: Messages, scheme: Scheme, site: Site) -> str:
    """``LEFT hand``: the side, and the part of the body, of `site`."""
    part = next((part.label for part in scheme.parts if part.id == site.part), site.part)
    return t("text.hand_title", side=t(f"text.side_{site.side}"), part=t.of_scheme(part))


def site_title(t: Messages, scheme: Scheme, site: Site) -> str:
    """``LEFT hand · MCP2``."""
    return t("text.site_title", hand=hand_title(t, scheme, site), joint=site.joint.label)


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
        case Graded(grade):
            return str(grade)
        case Found(id):
            return f"{reading.score(field)} {t.of_scheme(reading.scheme.finding(id).label)}"
        case NotAssessable(id):
            return f"– {t.of_scheme(reading.scheme.reason(id).label)}"
    return "·"


def fields_line(t: Messages, reading: Reading, site: str, time: int, waiting: Field | None) -> Text:
    """The fields of one film: the waiting one marked, the answered ones bright."""
    text = Text(no_wrap=True, overflow="ellipsis")
    for field in reading.slot_fields(Slot(site, time)):
        shown = entry_text(t, reading, field)
        if field == waiting:
            text.append(f" {field.scale} {shown if shown != '·' else '▁'} ", _WAITING)
        else:
            text.append(f" {field.scale} ", _DIM)
            text.append(f"{shown} ", _BRIGHT if shown != "·" else _DIM)
        text.append("  ")
    return text


def keys_text(t: Messages, scheme: Scheme, options: Options, commands: Sequence[tuple[str, str]], width: int) -> Text:
    """Up to three lines of keys: what may be entered now, shortened until it fits, then as many `commands`
    (key, label) as fit."""
    grades = [(entry_key(scheme, Graded(grade.value)), t.of_scheme(grade.meaning)) for grade in options.grades]
    others = [(finding.key, t.of_scheme(finding.label)) for finding in options.findings]
    if options.reasons:
        others.append(("x", t("text.not_assessable")))
    text = Text(no_wrap=True)
    _append_items(text, fitted(grades, width), width)
    text.append("\n")
    _append_items(text, fitted(others, width), width)
    text.append("\n")
    _append_items(text, commands, width)
    return text


def reasons_text(t: Messages, scheme: Scheme, options: Options, width: int) -> Text:
    """The choice that `x` opens."""
    text = Text(f"{t('text.why_no_score')}\n", no_wrap=True)
    _append_items(text, fitted([(reason.key, t.of_scheme(reason.label)) for reason in options.reasons], width), width)
    text.append("\n")
    _append_items(text, [("Esc", t("text.back"))], width)
    return text


def fitted(items: Sequence[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """`items` with their labels cut as little as lets them all stand on one line of `width`."""
    longest = max((cell_len(label) for _, label in items), default=0)
    for limit in range(longest, 0, -1):
        cut = [(key, _shortened(label, limit)) for key, label in items]
        if sum(cell_len(key) + cell_len(label) + 4 for key, label in cut) <= width:
            return cut
    return [(key, "") for key, _ in items]


def _shortened(label: str, limit: int) -> str:
    return label if cell_len(label) <= limit else set_cell_size(label, limit - 1).rstrip() + "…"


def _append_items(text: Text, items: Sequence[tuple[str, str]], width: int) -> None:
    used = 0
    for key, label in items:
        used += cell_len(key) + cell_len(label) + 4
        if used > width:
            break
        text.append(f" {key}", _KEY)
        text.append(f" {label}  ")


def progress_text(t: Messages, reading: Reading, width: int = 16) -> str:
    """``12 of 38 joints ▓▓▓░░░``."""
    opened = {field.site for field in reading.open_fields}
    total = len(reading.sites)
    done = total - len(opened)
    filled = round(width * done / max(total, 1))
    return f"{t('text.joints_done', done=done, total=total)} {'▓' * filled}{'░' * (width - filled)}"


def last_entry(t: Messages, reading: Reading, entry: LogEntry | None) -> str:
    """``MCP2 ERO · → 1``, the first change of the last log entry; an empty text where there is none."""
    if entry is None or not entry.changes:
        return ""
    change = entry.changes[0]
    site = reading.site(change.field.site)
    name = f"{t(f'text.side_{site.side}')} {site.joint.label}"
    last = t("text.last_entry", site=name, scale=change.field.scale, values=_values(t, reading, change))
    if len(entry.changes) > 1:
        last = t("text.last_more", last=last, count=len(entry.changes) - 1)
    return t("text.last_undo", last=last) if entry.kind == "undo" else last


def _values(t: Messages, reading: Reading, change: Change) -> str:
    shown = []
    for value in (change.old, change.new):
        match value:
            case Graded(grade):
                shown.append(str(grade))
            case Found(id):
                shown.append(t.of_scheme(reading.scheme.finding(id).label))
            case NotAssessable(id):
                shown.append(t.of_scheme(reading.scheme.reason(id).label))
            case _:
                shown.append("·")
    return " → ".join(shown)


def joint_summary(reading: Reading, site: str) -> str:
    """``0→1 2→2``: the scores of one joint as they stand on the screen, scale by scale."""
    parts = []
    arrow = " " if reading.blinded else "→"
    for scale in reading.site(site).joint.scales:
        shown = []
        for time in reading.order:
            field = Field(site, scale, time)
            score = reading.score(field)
            shown.append(str(score) if score is not None else "·" if field not in reading.values else "–")
        parts.append(arrow.join(shown))
    return "  ".join(parts)


def hand_map(t: Messages, reading: Reading, current: str, height: int) -> Text:
    """A line for each joint, left and right: open, here, or its scores; the lines around `current` where not all fit."""
    part = reading.site(current).part
    joints = list(dict.fromkeys(site.joint for site in reading.sites if site.part == part))
    here = next(i for i, joint in enumerate(joints) if joint == reading.site(current).joint)
    room = max(height - 1, 1)
    first = min(max(here - room // 2, 0), max(len(joints) - room, 0))
    opened = {field.site for field in reading.open_fields}
    keys = reading.site_keys
    text = Text(no_wrap=True)
    text.append(f"{'':<9}{_padded(t('text.column_L'), 10)}{t('text.column_R')}\n", _DIM)
    for joint in joints[first : first + room]:
        name = joint.label if len(joint.label) < 9 else joint.id
        text.append(f"{name[:8]:<9}", _DIM)
        for side in ("L", "R"):
            key = f"{side}.{joint.id}"
            if key not in keys:
                text.append(f"{'':<10}")
            elif key == current:
                text.append(f"{'▣':<10}", "bold #e0b050")
            elif key in opened:
                text.append(f"{'·':<10}", _DIM)
            else:
                text.append(f"{joint_summary(reading, key)[:9]:<10}", "white")
        text.append("\n")
    return text


def _padded(text: str, width: int) -> str:
    """`text` in exactly `width` cells."""
    return set_cell_size(text, width)


def totals_text(t: Messages, reading: Reading) -> str:
    """The totals of both time points, and how many fields have no score."""
    names = ("◀", "▶") if reading.blinded else (t("text.earlier"), t("text.later"))
    parts = []
    for place, time in enumerate(reading.order):
        name = names[place] if reading.blinded else names[time]
        scales = ", ".join(f"{scale} {reading.total(time, scale)[0]}" for scale in reading.scheme.scales)
        parts.append(f"{name} {reading.total(time)[0]} ({scales})")
    lacking = len(reading.values) - sum(reading.total(time)[1] for time in reading.order)
    if lacking:
        parts.append(t("text.without_score", count=lacking))
    return " · ".join(parts)
