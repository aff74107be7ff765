"""A whole reading as a map: both sides, joints where they lie, both time points of each scale, and what stands out.

Pure: rows and text from a reading, no widget, no film. In a blinded study the values stand left and right as the films do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ratui.reading import Field, FindingEntry, Reading
from ratui.scheme import Joint, Scheme, Side
from ratui.tui.entry import text as texts
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.theme import BRIGHT, HEADING, PLAIN, QUIET, WAITING

__all__ = ["CaseMap", "MapRow", "format_missing", "format_totals_table", "make_map_rows"]

_SIDES: tuple[Side, ...] = ("L", "R")
_TIMES = ("earlier", "later")
_LONGEST_ROW = 6
_LABEL, _GAP, _WIDEST = 5, 3, 12
_HERE = "bold reverse"


@dataclass(frozen=True)
class MapRow:
    """Joints that lie side by side. `left_hand` is them as a left hand shows them, little finger first.
    `is_first_of_part` says that a part of the body begins here."""

    part: str
    group: str
    left_hand: tuple[Joint, ...]
    scales: tuple[str, ...]
    is_first_of_part: bool

    def joints(self, side: Side) -> tuple[Joint, ...]:
        """The joints from left to right on a film of `side`."""
        return self.left_hand if side == "L" else self.left_hand[::-1]


def make_map_rows(reading: Reading) -> tuple[MapRow, ...]:
    """The rows of the map of `reading`: part by part and group by group, as the scheme lists them."""
    scheme = reading.scheme
    read = {site.joint for site in reading.sites}
    rows: list[MapRow] = []
    for part in scheme.parts:
        joints = [joint for joint in scheme.joints if joint.part == part.id and joint in read]
        is_first_of_part = True
        for group in dict.fromkeys(joint.group for joint in joints):
            members = [joint for joint in joints if joint.group == group]
            # Long groups, as the wrist's, stand in as few rows as hold them, equally long.
            count = -(-len(members) // _LONGEST_ROW)
            length = -(-len(members) // count)
            for start in range(0, len(members), length):
                row = members[start : start + length]
                scales = tuple(scale for scale in scheme.scales if any(scale in joint.scales for joint in row))
                rows.append(MapRow(part.id, group, _across(scheme, row), scales, is_first_of_part))
                is_first_of_part = False
    return tuple(rows)


def _across(scheme: Scheme, joints: Sequence[Joint]) -> tuple[Joint, ...]:
    """`joints` from left to right on a left hand or foot: by the template, or thumb last where it lacks one of them."""
    for view in scheme.views.values():
        if all(joint.id in view.template for joint in joints):
            return tuple(sorted(joints, key=lambda joint: view.template[joint.id][0]))
    return tuple(reversed(joints))


class CaseMap:
    """The map of one reading, in the rater's language, with a joint under the cursor.

    A model differs at `differing_sites`.
    """

    def __init__(self, t: Catalog, reading: Reading, differing_sites: Collection[str] = ()) -> None:
        self._t = t
        self._differing_sites = differing_sites
        self._reading = reading
        self._opened = {field.site for field in reading.open_fields}
        self.rows = make_map_rows(reading)
        self.sides: tuple[Side, ...] = tuple(
            side for side in _SIDES if any(site.side == side for site in reading.sites)
        )

    # Moving about.

    def sites(self, row: int) -> list[str]:
        """The sites of `row` from left to right, over both sides."""
        keys = [f"{side}.{joint.id}" for side in self.sides for joint in self.rows[row].joints(side)]
        return [key for key in keys if key in self._reading.site_keys]

    def find_row(self, site: str) -> int:
        """The row that `site` stands in."""
        return next(row for row in range(len(self.rows)) if site in self.sites(row))

    def find_neighbour(self, site: str, across: int, down: int) -> str:
        """The site that lies `across` to the right of `site` or `down` below it; `site` itself at the rim."""
        row = self.find_row(site)
        sites = self.sites(row)
        place = sites.index(site)
        if down:
            below = min(max(row + down, 0), len(self.rows) - 1)
            side = self._reading.site(site).side
            here = [key for key in sites if key[0] == side]
            there = [key for key in self.sites(below) if key[0] == side] or self.sites(below)
            share = (here.index(site) + 0.5) / len(here)
            return site if below == row else there[min(int(share * len(there)), len(there) - 1)]
        return sites[min(max(place + across, 0), len(sites) - 1)]

    # Drawing.

    def lines(self, width: int, here: str, *, airy: bool = True) -> tuple[list[Text], int]:
        """The map in lines of `width`, and the line at which the row of `here` begins. `airy` keeps rows apart."""
        lines: list[Text] = []
        current = 0
        for number, row in enumerate(self.rows):
            if row.is_first_of_part:
                lines.append(self._heading(row, width))
            if here in self.sites(number):
                current = len(lines)
            lines.append(self._names(row, width, here))
            lines += [self._values(row, scale, width) for scale in row.scales]
            if airy and number + 1 < len(self.rows):
                lines.append(Text(""))
        return lines, current

    def _cell(self, row: MapRow, width: int) -> int:
        """The width of one joint of `row`."""
        room = (width - _LABEL - _GAP * (len(self.sides) - 1)) // len(self.sides)
        return min(room // len(row.left_hand), _WIDEST)

    def _span(self, width: int) -> int:
        """The width of one side."""
        return max(self._cell(row, width) * len(row.left_hand) for row in self.rows)

    def _columns(self, row: MapRow, width: int) -> Iterator[tuple[int, str, Joint]]:
        """Where each site of `row` stands; the thumbs and big toes of both sides face each other."""
        cell, span = self._cell(row, width), self._span(width)
        for place, side in enumerate(self.sides):
            start = _LABEL + place * (span + _GAP) + (span - cell * len(row.left_hand) if side == "L" else 0)
            for number, joint in enumerate(row.joints(side)):
                key = f"{side}.{joint.id}"
                if key in self._reading.site_keys:
                    yield start + number * cell, key, joint

    def _heading(self, row: MapRow, width: int) -> Text:
        pieces = []
        for place, side in enumerate(self.sides):
            site = next((s for s in self._reading.sites if s.part == row.part and s.side == side), None)
            if site:
                name = texts.format_hand_title(self._t, self._reading.scheme, site)
                pieces.append((_LABEL + place * (self._span(width) + _GAP) + 1, name, HEADING))
        return _placed(pieces)

    def _names(self, row: MapRow, width: int, here: str) -> Text:
        pieces = []
        cell = self._cell(row, width)
        for x, key, joint in self._columns(row, width):
            marks = ("⚑" if key in self._reading.flags else "") + ("✎" if key in self._reading.notes else "")
            marks += "≠" if key in self._differing_sites else ""
            style = _HERE if key == here else HEADING if key in self._opened else QUIET
            if key == here:
                pieces.append((x, "▸", "bold"))
            pieces.append((x + 1, _short(self._t.translate_scheme(joint.id), cell - 1 - len(marks)) + marks, style))
        return _placed(pieces)

    def _values(self, row: MapRow, scale: str, width: int) -> Text:
        pieces = [(1, scale, QUIET)]
        for x, key, joint in self._columns(row, width):
            if scale in joint.scales:
                text, style = self._value(key, scale, self._cell(row, width) - 1)
                pieces.append((x + 1, text, style))
        return _placed(pieces)

    def _value(self, site: str, scale: str, width: int) -> tuple[str, str]:
        """What stands at both time points, and the style that says what it is."""
        reading = self._reading
        fields = [Field(site, scale, time) for time in reading.order]
        text = texts.join_time_points(
            reading, (texts.format_score(reading, field) + self._finding_key(field) for field in fields)
        )
        if len(text) > width:  # ten points and a finding: the line below the map says which
            text = texts.join_time_points(reading, (texts.format_score(reading, field) for field in fields))
        scores = [reading.score(field) for field in fields]
        if any(field not in reading.values for field in fields):
            return text, WAITING
        if None in scores:
            return text, QUIET
        if len(set(scores)) > 1:
            return text, BRIGHT
        return text, PLAIN if any(scores) else QUIET

    def _finding_key(self, field: Field) -> str:
        value = self._reading.values.get(field)
        return self._reading.scheme.finding(value.finding).key if isinstance(value, FindingEntry) else ""


def format_totals_table(t: Catalog, reading: Reading) -> list[Text]:
    """The totals of both time points by scale, a line each, the names of the time points above; what they may reach.

    The change counts only fields that have a score at both, and is left open while one of all is; where that leaves it
    short of the difference of the two totals, it says so.
    """
    names = ("◀", "▶") if reading.is_blinded else tuple(t(f"text.{_TIMES[time]}") for time in reading.order)
    head = [*names, *(() if reading.is_blinded else (t("overview.change"),)), t("overview.of")]
    lines = [_totals_line("", head, QUIET)]
    for scale in (*reading.scheme.scales, None):
        sums = [reading.total(time, scale)[0] for time in reading.order]
        cells = [str(each) for each in sums]
        if not reading.is_blinded:
            change = _change(reading, scale)
            cells.append("–" if not reading.is_complete else f"{change:+d}" if change else "0")
        most = sum(site.joint.max_grade(s) for site in reading.sites for s in site.joint.scales if scale in (None, s))
        cells.append(str(most))
        lines.append(_totals_line(scale or t("overview.total"), cells, BRIGHT if scale is None else PLAIN))
    apart = reading.total(reading.order[-1])[0] - reading.total(reading.order[0])[0]
    if not reading.is_blinded and reading.is_complete and _change(reading, None) != apart:
        lines[-1].append(f"   {t('overview.change_of_both')}", QUIET)
    return lines


def _change(reading: Reading, scale: str | None) -> int:
    """From the first time point to the last, over the fields of `scale`, or of all, that have a score at both."""
    first, last = reading.order[0], reading.order[-1]
    pairs = [
        (reading.score(field), reading.score(field._replace(time=last)))
        for field in reading.fields
        if field.time == first and scale in (None, field.scale)
    ]
    return sum(after - before for before, after in pairs if before is not None and after is not None)


def format_missing(t: Catalog, reading: Reading, width: int) -> str:
    """Which joints have open fields, as many as fit; an empty text where none has."""
    opened = list(dict.fromkeys(field.site for field in reading.open_fields))
    names = [f"{t(f'text.side_{site.side}')} {site.joint.label}" for site in map(reading.site, opened)]
    count = len(reading.open_fields)
    for shown in range(len(names), 0, -1):
        more = t("overview.more", count=len(names) - shown) if shown < len(names) else ""
        text = t("overview.missing", count=count, joints=", ".join(names[:shown]) + more)
        if cell_len(text) <= width:
            return text
    return t("overview.missing_many", count=count) if count else ""


def _totals_line(name: str, cells: Sequence[str], style: str) -> Text:
    text = Text(set_cell_size(f" {name}", 8), QUIET, no_wrap=True)
    for cell in cells:
        text.append(" " * max(10 - cell_len(cell), 1) + cell, style)
    return text


def _placed(pieces: Sequence[tuple[int, str, str]]) -> Text:
    """A line with each text of `pieces` at its column, left to right."""
    text = Text(no_wrap=True)
    for x, piece, style in pieces:
        text.append(" " * max(x - text.cell_len, 0))
        text.append(piece, style)
    return text


def _short(name: str, width: int) -> str:
    """Shorten `name` to at most `width` cells: to the initials of its parts if it has several."""
    if cell_len(name) <= width:
        return name
    if "-" in name:
        name = "-".join(part[:1] for part in name.split("-"))
    return name if cell_len(name) <= width else set_cell_size(name, max(width - 1, 0)).rstrip() + "…"
