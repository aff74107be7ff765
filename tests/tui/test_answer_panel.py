"""The panel with the answers of others: three visits, one without a film of the joint, and lines that fit."""

from dataclasses import replace

from ratui.reading import Field, FindingEntry, GradeEntry, Slot, enter, start_reading
from ratui.scheme import load_scheme
from ratui.study import AnswerSummary
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.widgets.answer_panel import format_answers, format_summary

SITE = "L.MCP2"


def test_a_visit_without_a_film_has_its_place_and_lines_fit() -> None:
    scheme = load_scheme("fingers")
    reading = replace(
        start_reading(scheme, "C-1", "consensus", scheme.sites, order=(0, 1, 2)), unfilmed=frozenset({Slot(SITE, 1)})
    )
    for field in reading.joint_fields(SITE):
        reading = enter(reading, field, GradeEntry(1))
    same = {field: GradeEntry(1) for field in reading.joint_fields(SITE)}
    other = {**same, Field(SITE, "JSN", 2): FindingEntry("luxation")}
    lines = format_answers(Catalog("en"), reading, [same, other, same], SITE, "raters", 60)
    assert [line.plain for line in lines] == [
        "ERO, JSN: you 1→∅→1, 1→∅→1 · A = 1→∅→1, 1→∅→1",
        "B ≠ 1→∅→1, 1→∅→luxation · C = 1→∅→1, 1→∅→1",
    ]
    assert all(line.cell_len <= 60 for line in lines)


def test_figures_that_are_not_defined_are_dashes() -> None:
    t = Catalog("en")
    assert format_summary(t, None) == format_summary(t, AnswerSummary(0, None, None)) == ""
    assert format_summary(t, AnswerSummary(1, None, -0.5)) == "1 joint so far: kappa –, mean difference -0.50"
    assert format_summary(t, AnswerSummary(12, 0.714, 0.2)) == "12 joints so far: kappa 0.71, mean difference +0.20"
