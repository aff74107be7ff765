"""The map of a whole reading: both sides, the joints where they are on a film, all visits of each scale.

The functions make text from a reading and depend on no widget. In a study blinded to order the values stand left and right
as the films do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text

from ratui.reading import Field, FindingEntry, Reading
from ratui.scheme import Joint, Scheme, Side, Site
from ratui.tui.entry import text as texts
from ratui.tui.entry.text import site_target
from ratui.tui.graphics.limb_drawing import LabelLine, LimbLayout, center_text, draw_limb
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.theme import BRIGHT, HEADING, NOTE, PLAIN, QUIET

__all__ = ["CaseMap", "MapRow", "make_map_rows"]

_SIDES: tuple[Side, ...] = ("L", "R")
_LONGEST_ROW = 6
"""Largest number of joints in a row."""
_LABEL, _GAP, _WIDEST = 5, 3, 12
"""Widths in cells: of the scale's name at the left, of the gap between the sides, and of a joint at most."""
_SELECTED = "bold reverse"
_LIMB_COLUMNS = 5
"""Joints side by side in a drawing."""
_WIDEST_DRAWN = 14
"""Largest width of a joint in a drawing, in cells."""
_LEAST_ROWS_DRAWN, _TALLEST = 22, 46
"""Least and largest height of a drawing in rows."""
_EASILY_PLACED = 16
"""Number of joints that find a place of their own in a drawing of the least height."""
_STRENGTH = (QUIET, PLAIN, BRIGHT, NOTE)
"""Styles of values. The strongest one of a joint's scales counts for the line that has them all."""


@dataclass(frozen=True)
class MapRow:
    """Joints that stand in one row of the map."""

    part: str
    """The part of the body, by its id in the scheme."""
    group: str
    left_hand: tuple[Joint, ...]
    """The joints from left to right on a film of the left side: little finger first."""
    scales: tuple[str, ...]
    """The scales that any of the joints has."""
    is_first_of_part: bool

    def joints(self, side: Side) -> tuple[Joint, ...]:
        """Return the joints from left to right on a film of `side`."""
        return self.left_hand if side == "L" else self.left_hand[::-1]


def make_map_rows(reading: Reading) -> tuple[MapRow, ...]:
    """Return the rows of the map of `reading`: part by part and group by group, as the scheme lists them."""
    scheme = reading.scheme
    read = {site.joint for site in reading.sites}
    rows: list[MapRow] = []
    for part in scheme.parts:
        joints = [joint for joint in scheme.joints if joint.part == part.id and joint in read]
        is_first_of_part = True
        for group in dict.fromkeys(joint.group for joint in joints):
            members = [joint for joint in joints if joint.group == group]
            # A long group, such as the wrist, is divided into as few rows as hold it, of about equal length.
            count = -(-len(members) // _LONGEST_ROW)
            length = -(-len(members) // count)
            for start in range(0, len(members), length):
                row = members[start : start + length]
                scales = tuple(scale for scale in scheme.scales if any(scale in joint.scales for joint in row))
                rows.append(MapRow(part.id, group, _sort_across(scheme, row), scales, is_first_of_part))
                is_first_of_part = False
    return tuple(rows)


def _sort_across(scheme: Scheme, joints: Sequence[Joint]) -> tuple[Joint, ...]:
    """Return `joints` from left to right on a film of the left side, by the template if one has them all."""
    for view in scheme.views.values():
        if all(joint.id in view.template for joint in joints):
            return tuple(sorted(joints, key=lambda joint: view.template[joint.id][0]))
    return tuple(reversed(joints))  # schemes list the thumb first, and a left hand has it on the right


class CaseMap:
    """The map of one reading in the rater's language.

    Parameters
    ----------
    t
        The texts in the rater's language.
    reading
        The reading to draw.
    differing_sites
        The keys of the sites at which a model's predictions differ. They get a mark.
    """

    def __init__(self, t: Catalog, reading: Reading, differing_sites: Collection[str] = ()) -> None:
        self._t = t
        self._differing_sites = differing_sites
        self._reading = reading
        self._open_sites = {field.site for field in reading.open_fields}
        self.rows = make_map_rows(reading)
        self.sides: tuple[Side, ...] = tuple(
            side for side in _SIDES if any(site.side == side for site in reading.sites)
        )

    # Navigation.

    def sites(self, row: int) -> list[str]:
        """Return the keys of the sites of `row` from left to right, over both sides."""
        keys = [f"{side}.{joint.id}" for side in self.sides for joint in self.rows[row].joints(side)]
        return [key for key in keys if key in self._reading.site_keys]

    def find_row(self, site: str) -> int:
        """Return the index of the row of `site`. Raise StopIteration if the reading has no such site."""
        return next(row for row in range(len(self.rows)) if site in self.sites(row))

    def find_neighbour(self, site: str, across: int, down: int) -> str:
        """Return the site `across` places to the right of `site` or `down` rows below it; `site` itself at the edge."""
        row = self.find_row(site)
        sites = self.sites(row)
        if down:
            target = min(max(row + down, 0), len(self.rows) - 1)
            if target == row:
                return site
            side = self._reading.site(site).side
            here = [key for key in sites if key[0] == side]
            there = [key for key in self.sites(target) if key[0] == side] or self.sites(target)
            # Rows differ in length, so the relative position counts.
            share = (here.index(site) + 0.5) / len(here)
            return there[min(int(share * len(there)), len(there) - 1)]
        return sites[min(max(sites.index(site) + across, 0), len(sites) - 1)]

    # Drawing.

    def lines(self, width: int, selected: str, *, is_spaced: bool = True) -> tuple[list[Text], int]:
        """Return the map as lines of `width` cells, and the index of the first line of the row of `selected`.

        With `is_spaced`, an empty line separates the rows.
        """
        lines: list[Text] = []
        first = 0
        for number, row in enumerate(self.rows):
            if row.is_first_of_part:
                lines.append(self._format_heading(row, width))
            if selected in self.sites(number):
                first = len(lines)
            lines.append(self._format_names(row, width, selected))
            lines += [self._format_values(row, scale, width) for scale in row.scales]
            if is_spaced and number + 1 < len(self.rows):
                lines.append(Text(""))
        return lines, first

    def drawn_lines(self, width: int, height: int, selected: str) -> list[Text] | None:
        """Return the map as drawings of hands and feet with the values at the joints, or None if there is no room for it.

        Each joint has its name, and in the line below the scores of each scale at all visits. The feet stand below the
        hands or beside them. Where there is room for neither, only the part of the site `selected` is drawn, and a line has
        the totals of each other part.
        """
        parts = list(dict.fromkeys(row.part for row in self.rows))
        return (
            self._draw_below(parts, width, height, selected)
            or self._draw_beside(parts, width, height, selected)
            or self._draw_one(parts, width, height, selected)
        )

    def _draw_below(self, parts: Sequence[str], width: int, height: int, selected: str) -> list[Text] | None:
        """Return the drawings of `parts` one below the other, or None if there is no room for them."""
        rows = min((height - len(parts)) // max(len(parts), 1), _TALLEST)
        layouts = [self._find_layout(part, width, rows) for part in parts]
        if not layouts or None in layouts:
            return None
        pairs = zip(parts, layouts, strict=True)
        return [line for part, layout in pairs if layout for line in self._draw_part(part, layout, selected)]

    def _draw_beside(self, parts: Sequence[str], width: int, height: int, selected: str) -> list[Text] | None:
        """Return the drawings of `parts` side by side, or None if there is no room for them."""
        needed = [self._part_width(part) for part in parts]
        spare = width - sum(needed) - _GAP * (len(parts) - 1)
        if len(parts) < 2 or spare < 0:
            return None
        rows, extra = min(height - 1, _TALLEST), spare // len(parts)
        lines, start = [Text(no_wrap=True) for _ in range(rows + 1)], 0
        for part, least in zip(parts, needed, strict=True):
            layout = self._find_layout(part, least + extra, rows)
            if layout is None:
                return None
            for line, piece in zip(lines, self._draw_part(part, layout, selected), strict=True):
                line.append(" " * max(start - line.cell_len, 0))
                line.append_text(piece)
            start += least + extra + _GAP
        return lines

    def _draw_one(self, parts: Sequence[str], width: int, height: int, selected: str) -> list[Text] | None:
        """Return the drawing of the part of `selected` with a line for each other part, or None without room for a part.

        All parts must have room: a map that changes its kind from part to part would be hard to follow.
        """
        rows = min(height - len(parts), _TALLEST)
        layouts = {part: self._find_layout(part, width, rows) for part in parts}
        here = self._reading.site(selected).part
        shown = layouts.get(here)
        if shown is None or None in layouts.values():
            return None
        place = parts.index(here)
        above = [self._format_other_part(part, "overview.part_above") for part in parts[:place]]
        below = [self._format_other_part(part, "overview.part_below") for part in parts[place + 1 :]]
        return [*above, *self._draw_part(here, shown, selected), *below]

    def _format_other_part(self, part: str, text: str) -> Text:
        """Return a line about a part that is not drawn: its totals by scale at all visits."""
        reading, totals = self._reading, []
        for scale in reading.scheme.scales:
            fields = [
                field for field in reading.fields if field.scale == scale and reading.site(field.site).part == part
            ]
            sums = [sum(reading.score(field) or 0 for field in fields if field.time == time) for time in reading.order]
            totals.append(f"{scale} {texts.join_time_points(reading, map(str, sums))}")
        label = next(each.label for each in reading.scheme.parts if each.id == part)
        return Text(f" {self._t(text, part=self._t.translate_scheme(label), totals='  '.join(totals))}", HEADING)

    def _part_width(self, part: str) -> int:
        """Return the least width of the drawings of a part, in cells."""
        return 1 + len(self.sides) * (_LIMB_COLUMNS * self._drawn_cell(part) - 1) + _GAP * (len(self.sides) - 1)

    def _find_layout(self, part: str, width: int, rows: int) -> LimbLayout | None:
        """Return the measures of each drawing of a part, both sides beside each other; None if there is no room."""
        span = (width - _GAP * (len(self.sides) - 1)) // max(len(self.sides), 1)
        cell = min((span + 1) // _LIMB_COLUMNS, _WIDEST_DRAWN)
        most = max(sum((site.part, site.side) == (part, side) for site in self._reading.sites) for side in self.sides)
        if cell < self._drawn_cell(part) or rows < _LEAST_ROWS_DRAWN + 2 * max(most - _EASILY_PLACED, 0):
            return None
        return LimbLayout(_LIMB_COLUMNS * cell - 1, rows, cell, 2)

    def _draw_part(self, part: str, layout: LimbLayout, selected: str) -> list[Text]:
        """Return the drawings of one part, both sides beside each other: a heading, then the rows of `layout`."""
        drawings = []
        for side in self.sides:
            sites = [site for site in self._reading.sites if (site.part, site.side) == (part, side)]
            drawings.append(self._draw_side(sites, layout, selected) if sites else [Text()] * (layout.rows + 1))
        lines = []
        for pieces in zip(*drawings, strict=True):
            line = Text(" ", no_wrap=True)
            for place, piece in enumerate(pieces):
                line.append(" " * max(1 + place * (layout.width + _GAP) - line.cell_len, 0))
                line.append_text(piece)
            lines.append(line)
        return lines

    def _drawn_cell(self, part: str) -> int:
        """Return the least width of a joint in a drawing: for the scores of two scales at all visits, and a gap."""
        visits = len(self._reading.order)
        joints = [joint for row in self.rows if row.part == part for joint in row.left_hand]
        return 4 * visits + visits * (max(joint.max_grade(scale) for joint in joints for scale in joint.scales) > 9)

    def _draw_side(self, sites: Sequence[Site], layout: LimbLayout, selected: str) -> list[Text]:
        heading = Text(texts.format_hand_title(self._t, self._reading.scheme, sites[0]), HEADING)
        return [
            heading,
            *draw_limb(self._reading.scheme, sites, layout, lambda key: self._label(key, layout, selected)),
        ]

    def _label(self, site: str, layout: LimbLayout, selected: str) -> list[LabelLine]:
        """Return the name of `site` and its values, each in the width of a label."""
        name, style = self._format_name(site, layout.label_width - 1, selected)
        scales, room = self._reading.site(site).joint.scales, layout.label_width
        values = [self._format_value(site, scale, (room + 1) // len(scales) - 1, is_short=True) for scale in scales]
        strongest = max((value_style for _, value_style in values), key=_STRENGTH.index)
        return [
            (center_text(f"{'▸' if site == selected else ''}{name}", room), site_target(style, site)),
            (center_text(" ".join(text for text, _ in values), room), site_target(strongest, site)),
        ]

    def _joint_width(self, row: MapRow, width: int) -> int:
        room = (width - _LABEL - _GAP * (len(self.sides) - 1)) // len(self.sides)
        return min(room // len(row.left_hand), _WIDEST)

    def _side_width(self, width: int) -> int:
        return max(self._joint_width(row, width) * len(row.left_hand) for row in self.rows)

    def _columns(self, row: MapRow, width: int) -> Iterator[tuple[int, str, Joint]]:
        """Yield the column, the key and the joint of each site of `row`.

        Left rows end and right rows begin at the middle, so that the thumbs and big toes of both sides face each other.
        """
        cell, span = self._joint_width(row, width), self._side_width(width)
        for place, side in enumerate(self.sides):
            start = _LABEL + place * (span + _GAP) + (span - cell * len(row.left_hand) if side == "L" else 0)
            for number, joint in enumerate(row.joints(side)):
                key = f"{side}.{joint.id}"
                if key in self._reading.site_keys:
                    yield start + number * cell, key, joint

    def _format_heading(self, row: MapRow, width: int) -> Text:
        pieces = []
        for place, side in enumerate(self.sides):
            site = next((s for s in self._reading.sites if s.part == row.part and s.side == side), None)
            if site:
                name = texts.format_hand_title(self._t, self._reading.scheme, site)
                pieces.append((_LABEL + place * (self._side_width(width) + _GAP) + 1, name, HEADING))
        return _place_pieces(pieces)

    def _format_names(self, row: MapRow, width: int, selected: str) -> Text:
        pieces: list[tuple[int, str, str | Style]] = []
        cell = self._joint_width(row, width)
        for x, key, _ in self._columns(row, width):
            if key == selected:
                pieces.append((x, "▸", "bold"))
            name, style = self._format_name(key, cell - 1, selected)
            pieces.append((x + 1, name, site_target(style, key)))
        return _place_pieces(pieces)

    def _format_name(self, site: str, width: int, selected: str) -> tuple[str, str]:
        """Return the name of `site` with its marks in `width` cells, and its style."""
        marks = ("⚑" if site in self._reading.flags else "") + ("✎" if site in self._reading.notes else "")
        marks += "≠" if site in self._differing_sites else ""
        style = _SELECTED if site == selected else HEADING if site in self._open_sites else QUIET
        return _abbreviate(self._t.translate_scheme(site.partition(".")[2]), width - len(marks)) + marks, style

    def _format_values(self, row: MapRow, scale: str, width: int) -> Text:
        pieces: list[tuple[int, str, str | Style]] = [(1, scale, QUIET)]
        for x, key, joint in self._columns(row, width):
            if scale in joint.scales:
                text, style = self._format_value(key, scale, self._joint_width(row, width) - 1)
                pieces.append((x + 1, text, site_target(style, key)))
        return _place_pieces(pieces)

    def _format_value(self, site: str, scale: str, width: int, *, is_short: bool = False) -> tuple[str, str]:
        """Return the scores of all visits, and the style that marks open, missing and changed ones.

        Without room for scores and findings, findings are left out; with `is_short`, they take the place of the scores.
        """
        reading = self._reading
        fields = [Field(site, scale, time) for time in reading.order]
        scores = [texts.format_score(reading, field) for field in fields]
        text = texts.join_time_points(
            reading, (score + self._finding_key(field) for score, field in zip(scores, fields, strict=True))
        )
        if len(text) > width:  # grade 10 with a finding; the line below the map names the finding
            short = (self._finding_key(field) for field in fields)
            pairs = zip(short, scores, strict=True)
            text = texts.join_time_points(reading, (key if key and is_short else score for key, score in pairs))
        if len(text) > width and len(scores) > 2:  # the line below the map has them in full
            is_short = len(scores) <= width and all(len(score) == 1 for score in scores)
            text = "".join(scores) if is_short else f"{scores[0]}…{scores[-1]}"
        fields = [field for field in reading.joint_fields(site) if field.scale == scale]
        values = [reading.score(field) for field in fields]
        if any(field not in reading.values for field in fields):
            return text, NOTE
        if None in values:
            return text, QUIET
        if len(set(values)) > 1:
            return text, BRIGHT
        return text, PLAIN if any(values) else QUIET

    def _finding_key(self, field: Field) -> str:
        entry = self._reading.values.get(field)
        return self._reading.scheme.finding(entry.finding).key if isinstance(entry, FindingEntry) else ""


def _place_pieces(pieces: Sequence[tuple[int, str, str | Style]]) -> Text:
    """Return a line with `pieces` of (column, text, style), which are in order from left to right."""
    text = Text(no_wrap=True)
    for x, piece, style in pieces:
        text.append(" " * max(x - text.cell_len, 0))
        text.append(piece, style)
    return text


def _abbreviate(name: str, width: int) -> str:
    """Return `name` in at most `width` cells; a name with hyphens is shortened to its initials first."""
    if cell_len(name) <= width:
        return name
    if "-" in name:
        name = "-".join(part[:1] for part in name.split("-"))
    return name if cell_len(name) <= width else set_cell_size(name, max(width - 1, 0)).rstrip() + "…"
