"""Totals under each rule for missing scores."""

from pathlib import Path

import pytest

from ratui.errors import StudyError
from ratui.reading import Field, GradeEntry, NotAssessableEntry, Reading
from ratui.results.released import collect_released_readings
from ratui.results.totals import RULES, choose_rule, compute_change, compute_total, get_rule
from tests.results.studies import Special, read_study

# Of 20 ERO fields, 4 points at the later time point in one, 2 at the earlier in another without a later score.
ENTRIES: Special = {
    Field("L.MCP2", "ERO", 1): GradeEntry(4),
    Field("L.MCP3", "ERO", 0): GradeEntry(2),
    Field("L.MCP3", "ERO", 1): NotAssessableEntry("unreadable"),
}


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    study = read_study(tmp_path, {"anna": ENTRIES})
    found = study.reading("anna", study.cases()[0])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("rule", "earlier", "later", "changed"),
    [
        ("complete", 2, None, None),
        ("observed", 2, 4, 4),
        ("carried", 2, 6, 4),
        ("prorated", 2, 4 * 100 / 95, 4 * 100 / 95 - 2),
    ],
)
def test_each_rule(reading: Reading, rule: str, earlier: float, later: float | None, changed: float | None) -> None:
    named = get_rule(rule)
    before, after = compute_total(reading, 0, "ERO", named), compute_total(reading, 1, "ERO", named)
    assert (before.assessed, before.fields) == (20, 20)
    assert (after.assessed, after.fields) == (19, 20)
    assert before.value == earlier
    assert after.value == (None if later is None else pytest.approx(later))
    assert compute_change(reading, "ERO", named) == (None if changed is None else pytest.approx(changed))


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_where_nothing_is_missing_all_rules_agree_with_the_reading(tmp_path: Path, rule: object) -> None:
    study = read_study(
        tmp_path, {"anna": {Field("L.MCP2", "ERO", 1): GradeEntry(4), Field("R.PIP2", "JSN", 0): GradeEntry(1)}}
    )
    reading = study.reading("anna", study.cases()[0])
    assert reading is not None
    for scale in ("ERO", "JSN", None):
        for time in (0, 1):
            found = compute_total(reading, time, scale, rule)  # type: ignore[arg-type]
            assert (found.value, found.assessed) == reading.total(time, scale)
    assert compute_change(reading, None, rule) == 3  # type: ignore[arg-type]


def test_less_than_half_is_too_little_to_prorate(tmp_path: Path) -> None:
    study = read_study(
        tmp_path,
        {
            "anna": {
                Field(f"{side}.{joint}", "ERO", 0): NotAssessableEntry("unreadable")
                for side in "LR"
                for joint in ("MCP1", "MCP2", "MCP3", "MCP4", "MCP5", "IP1")
            }
        },
    )
    reading = study.reading("anna", study.cases()[0])
    assert reading is not None
    assert compute_total(reading, 0, "ERO", get_rule("prorated")).value is None
    assert compute_total(reading, 0, None, get_rule("prorated")).value is None
    assert compute_total(reading, 0, "ERO", get_rule("observed")).value == 0


def test_a_rule_must_be_named_only_where_it_matters(tmp_path: Path) -> None:
    study = read_study(tmp_path / "a", {"anna": ENTRIES})
    with pytest.raises(StudyError, match="1 of 1 readings have fields without a score"):
        choose_rule(collect_released_readings(study), None)
    assert choose_rule(collect_released_readings(study), "carried").name == "carried"
    assert choose_rule(collect_released_readings(study), None, is_required=False).name == "complete"
    whole = read_study(tmp_path / "b", {"anna": {}})
    assert choose_rule(collect_released_readings(whole), None).name == "complete"
    with pytest.raises(StudyError, match="no rule guess"):
        get_rule("guess")
