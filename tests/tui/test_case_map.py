"""The map of a reading: the place of each joint, emphasis, and no hint of the order in a blinded study."""

from dataclasses import replace

import pytest
from rich.style import Style
from rich.text import Text

from ratui.reading import (
    Entry,
    Field,
    FindingEntry,
    GradeEntry,
    NotAssessableEntry,
    Reading,
    enter,
    set_note,
    start_reading,
    toggle_flag,
)
from ratui.scheme import load_scheme, parse_scheme
from ratui.tui.entry.text import clicked_site
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.screens.overview.case_map import CaseMap, make_map_rows
from ratui.tui.screens.overview.text import format_missing
from ratui.tui.screens.overview.totals import format_totals_table
from tests.strategies import TINY_TOML
from tests.tui.readings import fill_reading

T = Catalog("en")
MTSS = load_scheme("mtss")
EMPTY = start_reading(MTSS, "C", "anna", MTSS.sites)
FINGERS = load_scheme("fingers")
EMPTY_FINGERS = start_reading(FINGERS, "C", "anna", FINGERS.sites)
OTHER = Field("R.PIP2", "ERO", 1)


def drawn(reading: object, width: int = 80, here: str = "L.MCP2", language: str = "en") -> list[str]:
    lines, _ = CaseMap(Catalog(language), reading).lines(width, here)  # type: ignore[arg-type]
    return [line.plain for line in lines]


def column(line: str, name: str, after: int = 0) -> int:
    return line.index(name, after)


class TestTheArrangement:
    def test_groups_are_rows_from_the_fingertips_to_the_wrist_then_the_feet(self) -> None:
        rows = [[joint.id for joint in row.left_hand] for row in make_map_rows(EMPTY)]
        assert rows[:2] == [["PIP5", "PIP4", "PIP3", "PIP2", "IP1"], ["MCP5", "MCP4", "MCP3", "MCP2", "MCP1"]]
        assert sorted([*rows[2], *rows[3]]) == sorted(j.id for j in MTSS.joints if j.group == "wrist")
        assert rows[4:] == [["FIP1"], ["MTP5", "MTP4", "MTP3", "MTP2", "MTP1"]]

    def test_thumbs_face_each_other_as_on_the_films(self) -> None:
        names = next(line for line in drawn(EMPTY) if "PIP5" in line)
        assert names.split() == ["PIP5", "PIP4", "PIP3", "PIP2", "IP1", "IP1", "PIP2", "PIP3", "PIP4", "PIP5"]

    @pytest.mark.parametrize("width", [80, 120, 200])
    @pytest.mark.parametrize("language", ["en", "ja"])
    def test_it_fits(self, width: int, language: str) -> None:
        lines, _ = CaseMap(Catalog(language), EMPTY).lines(width, "L.MCP2")
        assert all(line.cell_len <= width for line in lines)

    def test_a_value_stands_under_its_joint(self) -> None:
        reading = enter(
            enter(EMPTY, Field("R.PIP4", "ERO", 0), GradeEntry(2)), Field("R.PIP4", "ERO", 1), GradeEntry(5)
        )
        lines = drawn(reading)
        place = next(i for i, line in enumerate(lines) if "PIP4" in line)
        assert lines[place + 1].index("2→5") == lines[place].rindex("PIP4")

    def test_a_scheme_without_groups_or_template_is_drawn_too(self) -> None:
        scheme = parse_scheme(TINY_TOML, "tiny.toml")
        assert drawn(start_reading(scheme, "C", "anna", scheme.sites), here="L.IP1")

    def test_a_case_of_one_hand_shows_one(self) -> None:
        sites = [site for site in FINGERS.sites if site.side == "R"]
        lines = drawn(start_reading(FINGERS, "C", "anna", sites), here="R.IP1")
        assert "RIGHT hand" in lines[0]
        assert "LEFT" not in lines[0]


class TestWhatStandsOut:
    def test_open_fields_missing_reasons_and_findings_have_signs(self) -> None:
        special: dict[Field, Entry] = {
            Field("L.MCP2", "ERO", 0): NotAssessableEntry("replaced"),
            Field("L.MCP3", "ERO", 0): FindingEntry("ankylosis"),
        }
        reading = EMPTY
        for field, entry in special.items():
            reading = enter(reading, field, entry)
        lines = drawn(reading)
        place = next(i for i, line in enumerate(lines) if "MCP3" in line)
        assert "–→·" in lines[place + 1]
        assert "5a→·" in lines[place + 1]
        assert "4a→·" in lines[place + 2]

    def test_flags_and_notes_are_beside_the_name(self) -> None:
        reading = set_note(toggle_flag(EMPTY, "L.MCP2"), "R.MCP3", "osteophyte?")
        text = "\n".join(drawn(reading, here="L.IP1"))
        assert "MCP2⚑" in text
        assert "MCP3✎" in text

    def test_the_joint_under_the_cursor_is_marked_without_colour(self) -> None:
        assert sum(line.count("▸") for line in drawn(EMPTY)) == 1
        assert "▸MCP2" in "\n".join(drawn(EMPTY))

    def test_ten_points_and_a_finding_still_fit(self) -> None:
        reading = enter(EMPTY, Field("L.MTP2", "ERO", 0), FindingEntry("ankylosis"))
        reading = enter(reading, Field("L.MTP2", "ERO", 1), FindingEntry("ankylosis"))
        lines = drawn(reading)
        place = next(i for i, line in enumerate(lines) if "MTP2" in line)
        assert "10→10" in lines[place + 1]
        assert lines[place + 1].count("·→·") == 9, "the neighbours are where they were"


class TestMovingAbout:
    def test_right_crosses_from_one_hand_to_the_other(self) -> None:
        assert CaseMap(T, EMPTY).find_neighbour("L.IP1", 1, 0) == "R.IP1"
        assert CaseMap(T, EMPTY).find_neighbour("R.PIP5", 1, 0) == "R.PIP5"

    def test_down_stays_on_the_side_and_near_the_finger(self) -> None:
        assert CaseMap(T, EMPTY).find_neighbour("R.PIP2", 0, 1) == "R.MCP2"
        assert CaseMap(T, EMPTY).find_neighbour("L.PIP5", 0, -1) == "L.PIP5"

    def test_every_joint_can_be_reached(self) -> None:
        chart = CaseMap(T, EMPTY)
        seen, todo = {"L.IP1"}, ["L.IP1"]
        while todo:
            here = todo.pop()
            for step in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                there = chart.find_neighbour(here, *step)
                if there not in seen:
                    seen.add(there)
                    todo.append(there)
        assert seen == EMPTY.site_keys


class TestTotals:
    def test_totals_are_sums_and_show_their_maximum(self) -> None:
        reading = fill_reading(
            start_reading(FINGERS, "C", "anna", FINGERS.sites), {Field("L.MCP2", "ERO", 1): GradeEntry(3)}
        )
        lines = [line.plain.split() for line in format_totals_table(T, reading)]
        assert lines[0][:3] == ["earlier", "later", "change"]
        assert ["ERO", "0", "3", "+3", "100"] in lines
        assert ["total", "0", "3", "+3", "172"] in lines

    def test_the_change_uses_fields_scored_at_both_times_and_needs_a_full_reading(self) -> None:
        empty = start_reading(FINGERS, "C", "anna", FINGERS.sites)
        special: dict[Field, Entry] = {
            Field("L.MCP2", "ERO", 0): GradeEntry(3),
            Field("L.MCP2", "ERO", 1): NotAssessableEntry("unreadable"),
            Field("L.MCP3", "ERO", 1): GradeEntry(2),
        }
        assert ["total", "3", "2", "–", "172"] in [
            line.plain.split() for line in format_totals_table(T, fill_reading(empty, special, joints=4))
        ]
        for width, note in ((80, "fields scored at both visits"), (120, "change: fields scored at both visits")):
            lines = [line.plain.split() for line in format_totals_table(T, fill_reading(empty, special), width=width)]
            assert ["total", "3", "2", "+2", "172", *note.split()] in lines

    def test_more_visits_have_their_change_from_the_first_in_brackets(self) -> None:
        empty = start_reading(FINGERS, "C", "anna", FINGERS.sites, order=(0, 1, 2))
        special: dict[Field, Entry] = {
            Field("L.MCP2", "ERO", 1): GradeEntry(2),
            Field("L.MCP2", "ERO", 2): GradeEntry(1),
        }
        wide, narrow = (
            [line.plain.split() for line in format_totals_table(T, fill_reading(empty, special), width=width)]
            for width in (80, 50)
        )
        assert wide[0][:5] == ["baseline", "visit", "2", "visit", "3"]
        assert ["total", "0", "2", "(+2)", "1", "(+1)", "172"] in wide
        assert ["total", "0", "2", "1", "172"] in narrow
        assert ["total", "0", "0", "0", "172"] in [line.plain.split() for line in format_totals_table(T, empty)]

    @pytest.mark.parametrize("language", ["en", "ja"])
    def test_no_note_makes_a_line_of_three_visits_wrap(self, language: str) -> None:
        empty = start_reading(FINGERS, "C", "anna", FINGERS.sites, order=(0, 1, 2))
        special: dict[Field, Entry] = {
            Field("L.MCP2", "ERO", 0): GradeEntry(3),
            Field("L.MCP2", "ERO", 1): NotAssessableEntry("unreadable"),
        }
        reading = fill_reading(empty, special)
        narrow, wide = (format_totals_table(Catalog(language), reading, width=width) for width in (80, 160))
        assert all(line.cell_len <= 80 for line in narrow)
        assert "(+)" in narrow[0].plain
        assert narrow[-1].plain.split()[-1] != "172", "a note says which fields the change compares"
        assert wide[-1].cell_len > narrow[-1].cell_len

    def test_one_visit_has_no_change(self) -> None:
        reading = fill_reading(start_reading(FINGERS, "C", "anna", FINGERS.sites, order=(0,)))
        assert [line.plain.split() for line in format_totals_table(T, reading)][-1] == ["total", "0", "172"]

    def test_missing_fields_are_named_within_the_space(self) -> None:
        reading = fill_reading(start_reading(FINGERS, "C", "anna", FINGERS.sites), joints=18)
        assert format_missing(T, reading, 80) == "8 fields are open: RIGHT MCP4, RIGHT MCP5"
        assert "RIGHT MCP4 and 1 more" in format_missing(T, reading, 40)
        assert format_missing(T, reading, 20) == "8 fields are open"
        assert format_missing(T, fill_reading(reading), 80) == ""


class TestBlinded:
    def test_swapping_the_time_points_changes_nothing_visible(self) -> None:
        """Compare the screens of both orders: each entry must be at the same place."""
        seen = []
        for order in ((0, 1), (1, 0)):
            reading = start_reading(FINGERS, "C", "anna", FINGERS.sites, order=order, blinded=True)
            left, right = (Field("L.MCP2", "ERO", time) for time in order)
            reading = fill_reading(reading, {left: GradeEntry(4), right: GradeEntry(1)})
            lines, _ = CaseMap(T, reading).lines(80, "L.MCP2")
            seen.append([*lines, *format_totals_table(T, reading)])
        assert [_styled(line) for line in seen[0]] == [_styled(line) for line in seen[1]]
        text = "\n".join(line.plain for line in seen[0])
        assert "4|1" in text
        for word in ("→", "earlier", "later", "change", "+", "-3"):
            assert word not in text

    def test_in_a_chronological_study_the_arrow_is_there(self) -> None:
        reading = replace(start_reading(FINGERS, "C", "anna", FINGERS.sites), is_blinded=False)
        assert "·→·" in "\n".join(drawn(reading))


def _styled(line: Text) -> tuple[str, list[str]]:
    return line.plain, [f"{span.start} {span.end} {span.style}" for span in line.spans]


class TestTheDrawing:
    def drawing(self, reading: Reading, width: int = 120, height: int = 29, language: str = "en") -> list[Text]:
        lines = CaseMap(Catalog(language), reading).drawn_lines(width, height, "L.MCP2")
        assert lines is not None
        assert len(lines) <= height
        assert all(line.cell_len <= width for line in lines)
        return lines

    def labels(self, lines: list[Text]) -> dict[str, list[str]]:
        """Return the lines of the label of each joint, by the key of its site."""
        found: dict[str, list[str]] = {}
        for line in lines:
            for span in line.spans:
                site = clicked_site(span.style) if isinstance(span.style, Style) else None
                if site is not None:
                    found.setdefault(site, []).append(line.plain[span.start : span.end].strip())
        return found

    @pytest.mark.parametrize("language", ["en", "ja"])
    def test_each_joint_has_its_name_and_its_values_between_the_bones(self, language: str) -> None:
        reading = enter(EMPTY_FINGERS, Field("L.MCP3", "ERO", 0), GradeEntry(1))
        for time in (0, 1):
            reading = enter(reading, Field("R.PIP2", "ERO", time), FindingEntry("ankylosis"))
        lines = self.drawing(reading, language=language)
        labels = self.labels(lines)
        assert sorted(labels) == sorted(reading.site_keys)
        assert labels["L.MCP2"][0] == "▸MCP2"
        assert [labels[site][1] for site in ("L.IP1", "L.MCP3", "R.PIP2")] == ["·→·", "1→· ·→·", "a→a a→a"]
        assert sum(0x2800 <= ord(letter) <= 0x28FF for line in lines for letter in line.plain) > 300

    def test_with_room_a_finding_stands_behind_its_score(self) -> None:
        labels = self.labels(self.drawing(enter(EMPTY_FINGERS, OTHER, FindingEntry("ankylosis")), 200, 49))
        assert labels["R.PIP2"][1] == "·→5a ·→4a"

    def test_wrists_have_a_place_for_each_joint_on_a_tall_screen(self) -> None:
        scheme = load_scheme("mtss-hands")
        reading = start_reading(scheme, "C", "anna", scheme.sites)
        assert sorted(self.labels(self.drawing(reading, 200, 49))) == sorted(reading.site_keys)
        assert CaseMap(T, reading).drawn_lines(120, 29, "L.MCP2") is None

    def test_blinded_values_stand_as_the_films_do(self) -> None:
        reading = start_reading(FINGERS, "C", "anna", FINGERS.sites, blinded=True)
        assert self.labels(self.drawing(reading))["L.PIP3"][1] == "·|· ·|·"

    @pytest.mark.parametrize(("width", "height", "visits"), [(80, 40, 2), (120, 20, 2), (120, 40, 3)])
    def test_without_room_there_is_none(self, width: int, height: int, visits: int) -> None:
        reading = start_reading(FINGERS, "C", "anna", FINGERS.sites, order=tuple(range(visits)))
        assert CaseMap(T, reading).drawn_lines(width, height, "L.MCP2") is None

    def test_feet_stand_beside_the_hands_or_have_a_line_with_their_totals(self) -> None:
        reading = enter(start_reading(MTSS, "C", "anna", MTSS.sites), Field("L.MTP2", "ERO", 1), GradeEntry(7))
        assert sorted(self.labels(self.drawing(reading, 190, 49))) == sorted(reading.site_keys)
        for here, shown, line in (
            ("L.MCP2", "hand", " ▼ foot: ERO 0→7  JSN 0→0"),
            ("L.MTP2", "foot", " ▲ hand: ERO 0→0  JSN 0→0"),
        ):
            lines = CaseMap(T, reading).drawn_lines(140, 49, here)
            assert lines is not None
            assert len(lines) <= 49
            assert set(self.labels(lines)) == {site.key for site in reading.sites if site.part == shown}
            assert line in [line.plain for line in lines]
