"""Lines about the cases of an import are folded like those about files."""

from pathlib import Path

import pytest

from ratui.cli.case_lines import format_cases
from ratui.study import Study
from tests.films import make_study, without_pairs
from tests.study.test_film_changes import late_study


@pytest.mark.parametrize("patients", [5, 6])
def test_more_than_five_cases_with_one_message_are_one_line(tmp_path: Path, patients: int) -> None:
    study = make_study(tmp_path, patients=patients, sides="L", regions=False)
    cases = study.cases()
    for case in cases:
        study.save_case(without_pairs(study.case(case)))
    why = study.case(cases[0]).unreadable_reason(study.scheme)
    assert why
    if patients == 5:
        expected = [f"  {case}: can't be read yet: {why}" for case in cases]
    else:
        expected = [f"  6 cases, {', '.join(cases[:4])} …: can't be read yet: {why}"]
    assert format_cases(Study.open(study.path), cases) == expected
    assert format_cases(study, cases, unreadable=False) == []


def test_signed_cases_with_late_films_are_named(tmp_path: Path) -> None:
    study = late_study(tmp_path)
    (case,) = study.cases()
    line = f"  {case}: films came after anna, bert signed it; they have to reopen it"
    assert format_cases(study, [case, case]) == [line]
    assert format_cases(study, [case], unreadable=False) == [line]
