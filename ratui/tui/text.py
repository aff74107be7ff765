"""What stands on the scoring and overview screens, as text made from a reading. Pure: no widget, no study, no film."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ratui.reading import Change, Field, Found, Graded, LogEntry, NotAssessable, Options, Reading, Slot
from ratui.scheme import Scheme, Site
from ratui.tui.actions import entry_key

__all__ = [
    "entry_text",
    "fields_line",
    "fitted",
    "hand_map",
    "joint_summary",
    "keys_text",
    "last_entry",
    "progress_text",
    "reasons_text",
    "side_title",
    "site_title",
    "totals_text",
]

_SIDES = {"L": "left", "R": "right"}
_DIM, _BRIGHT, _KEY, _WAITING = "#707070", "bold white", "bold #8fb8d8", "bold black on #e0b050"


def site_title(scheme: Scheme, site: Site) -> str:
    """``left hand · MCP2``."""
    part = next((part.label for part in scheme.parts if part.id == site.part), site.part)
    return f"{_SIDES[site.side]} {part.lower()} · {site.joint.label}"


def side_title(order: Sequence[int], place: int, blinded: bool, days: int | None) -> str:
    """What stands over the film at `place` (0 left, 1 right); in a blinded study nothing that tells the order.

    `days` is from the case's first film to this one, None where it isn't known.
    """
    if blinded:
        return "◀" if place == 0 else "▶"
    if order[place] == 0:
        return "earlier"
    return "later" if days is None else f"later · {_span(days)}"


def _span(days: int) -> str:
    if abs(days) < 60:
        return f"{days:+d} days"
    return f"{round(days / 30.44):+d} months"


def entry_text(reading: Reading, field: Field) -> str:
    """What stands in `field`: a score with its finding, a reason, or ``·`` where it is open."""
    value = reading.values.get(field)
    match value:
        case None:
            return "·"
        case Graded(grade):
            return str(grade)
        case Found(id):
            return f"{reading.score(field)} {reading.scheme.finding(id).label}"
        case NotAssessable(id):
            return f"– {reading.scheme.reason(id).label}"
    return "·"


def fields_line(reading: Reading, site: str, time: int, waiting: Field | None) -> Text:
    """The fields of one film: the waiting one marked, the answered ones bright."""
    text = Text(no_wrap=True, overflow="ellipsis")
    for field in reading.slot_fields(Slot(site, time)):
        shown = entry_text(reading, field)
        if field == waiting:
            text.append(f" {field.scale} {shown if shown != '·' else '▁'} ", _WAITING)
        else:
            text.append(f" {field.scale} ", _DIM)
            text.append(f"{shown} ", _BRIGHT if shown != "·" else _DIM)
        text.append("  ")
    return text


def keys_text(scheme: Scheme, options: Options, commands: Sequence[tuple[str, str]], width: int) -> Text:
    """Up to three lines of keys: what may be entered now, shortened until it fits, then as many `commands`
    (key, label) as fit."""
    grades = [(entry_key(scheme, Graded(grade.value)), grade.meaning) for grade in options.grades]
    others = [(finding.key, finding.label) for finding in options.findings]
    if options.reasons:
        others.append(("x", "not assessable"))
    text = Text(no_wrap=True)
    _append_items(text, fitted(grades, width), width)
    text.append("\n")
    _append_items(text, fitted(others, width), width)
    text.append("\n")
    _append_items(text, commands, width)
    return text


def reasons_text(scheme: Scheme, options: Options, width: int) -> Text:
    """The choice that `x` opens."""
    text = Text("Why is there no score?\n", no_wrap=True)
    _append_items(text, fitted([(reason.key, reason.label) for reason in options.reasons], width), width)
    text.append("\n")
    _append_items(text, [("Esc", "back")], width)
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


def progress_text(reading: Reading, width: int = 16) -> str:
    """``12 of 38 joints ▓▓▓░░░``."""
    opened = {field.site for field in reading.open_fields}
    total = len(reading.sites)
    done = total - len(opened)
    filled = round(width * done / max(total, 1))
    return f"{done} of {total} joints {'▓' * filled}{'░' * (width - filled)}"


def last_entry(reading: Reading, entry: LogEntry | None) -> str:
    """``MCP2 ERO · → 1``, the first change of the last log entry; an empty text where there is none."""
    if entry is None or not entry.changes:
        return ""
    change = entry.changes[0]
    site = reading.site(change.field.site)
    more = f" and {len(entry.changes) - 1} more" if len(entry.changes) > 1 else ""
    name = "undo: " if entry.kind == "undo" else ""
    return f"{name}{_SIDES[site.side]} {site.joint.label} {change.field.scale} {_values(reading, change)}{more}"


def _values(reading: Reading, change: Change) -> str:
    shown = []
    for value in (change.old, change.new):
        match value:
            case Graded(grade):
                shown.append(str(grade))
            case Found(id):
                shown.append(reading.scheme.finding(id).label)
            case NotAssessable(id):
                shown.append(reading.scheme.reason(id).label)
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


def hand_map(reading: Reading, current: str, height: int) -> Text:
    """A line for each joint, left and right: open, here, or its scores; the lines around `current` where not all fit."""
    part = reading.site(current).part
    joints = list(dict.fromkeys(site.joint for site in reading.sites if site.part == part))
    here = next(i for i, joint in enumerate(joints) if joint == reading.site(current).joint)
    room = max(height - 1, 1)
    first = min(max(here - room // 2, 0), max(len(joints) - room, 0))
    opened = {field.site for field in reading.open_fields}
    keys = reading.site_keys
    text = Text(no_wrap=True)
    text.append(f"{'':<9}{'left':<10}right\n", _DIM)
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


def totals_text(reading: Reading) -> str:
    """The totals of both time points, and how many fields have no score."""
    names = ("◀", "▶") if reading.blinded else ("earlier", "later")
    parts = []
    for place, time in enumerate(reading.order):
        name = names[place] if reading.blinded else names[time]
        scales = ", ".join(f"{scale} {reading.total(time, scale)[0]}" for scale in reading.scheme.scales)
        parts.append(f"{name} {reading.total(time)[0]} ({scales})")
    lacking = len(reading.values) - sum(reading.total(time)[1] for time in reading.order)
    if lacking:
        parts.append(f"{lacking} fields not assessable")
    return " · ".join(parts)
