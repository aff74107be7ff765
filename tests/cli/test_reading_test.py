"""The options of ``ratui doctor --reading-test``, and what is checked before the test begins."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ratui.cli.main import commands
from ratui.cli.reading_test import run_reading_test
from ratui.errors import StudyError
from ratui.study import Study


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--reading-test", "--study", "trial"), "--study and --rater need each other"),
        (("--reading-test", "--rater", "anna"), "--study and --rater need each other"),
        (("--seed", "3"), "need --reading-test"),
        (("--json", "-"), "need --reading-test"),
        (("--lang", "ja"), "need --reading-test"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: tuple[str, ...], problem: str) -> None:
    result = CliRunner().invoke(commands, ["doctor", *options])
    assert result.exit_code == 2
    assert problem in result.output


def test_an_unknown_rater_or_study_is_refused_before_the_test(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "study", "fingers", ("anna",))
    with pytest.raises(StudyError, match="carl"):
        run_reading_test(study.path, "carl", None, 1, "auto", None)
    with pytest.raises(StudyError):
        run_reading_test(tmp_path / "missing", "anna", None, 1, "auto", None)
