"""The commands of the managers' page run in order, exactly as printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import ratui.imaging
from ratui.cli.main import commands
from ratui.detection import onnx_networks
from ratui.reading import Field, GradeEntry, NotAssessableEntry
from ratui.results import joint_space_measuring
from ratui.study import Study
from tests.films import confirm_template, hospital
from tests.results.studies import Special
from tests.support.fake_joint_space import fake_joint_space_change
from tests.support.template_network import TemplateNetwork
from tests.tui.readings import store_reading
from trainer.cli import commands as trainings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("read_films_here")]

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "managers.md"
_WRITES = {
    "progress.html",
    "progress.csv",
    "trial.backup",
    "anna.package",
    "plots/bland-altman-change.svg",
    "out/scores.csv",
    "out/joint_space.csv",
    "out/totals.parquet",
    "out/readings.json",
    "out/regions.json",
    "out/mk.csv",
    "dicom/sr",
    "dicom/gsps",
    "report.html",
}
"""Files that exist at the end, according to the page."""


def blocks() -> list[list[str]]:
    """Return the commands of each block, in order."""
    found = re.findall(r"^```sh\n(.*?)^```", _PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [block.strip().splitlines() for block in found]


def read_all(study: Study) -> None:
    """Do the work of the raters between import and agreement."""
    anna: Special = {
        Field("L.MCP2", "ERO", 1): GradeEntry(5),
        Field("R.PIP2", "JSN", 1): GradeEntry(4),
        Field("R.IP1", "ERO", 1): NotAssessableEntry("unreadable"),
    }
    for case in study.cases():
        confirm_template(study, case, "anna")
        store_reading(study, case, anna, rater="anna", signed=True)
        store_reading(study, case, rater="bert", signed=True)


def test_the_commands_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("highdicom", reason="pip install 'ratui[results]'")
    pytest.importorskip("pyarrow", reason="pip install 'ratui[results]'")
    hospital(tmp_path / "films", patients=2)
    monkeypatch.chdir(tmp_path)
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    # The films are noise, in which the search for a hand takes long.
    monkeypatch.setattr(onnx_networks, "load_shipped_detector", lambda: TemplateNetwork(sees_hands=False))
    monkeypatch.setattr(ratui.imaging, "joint_space_change", fake_joint_space_change)
    monkeypatch.setattr(joint_space_measuring, "count_default_workers", lambda: 1)
    found = blocks()
    assert len(found) >= 7
    for block in found:
        for line in block:
            program, *arguments = shlex.split(line)
            assert program == "ratui", line
            done = CliRunner().invoke(commands, arguments)
            assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception}"
            if arguments[0] == "repeats":
                read_all(Study.open(tmp_path / "trial"))
    assert {name for name in _WRITES if not (tmp_path / name).exists()} == set()


def test_every_command_of_the_page_exists_with_its_options() -> None:
    """Check also the commands within a sentence, and those that need a terminal."""
    text = _PAGE.read_text(encoding="utf-8")
    for name in sorted(set(re.findall(r"ratui ([a-z]+) trial", text)) | {"restore", "merge", "keys"}):
        assert name in commands.commands, name
    every = [*commands.commands.values(), *trainings.commands.values()]
    options = {option for command in every for each in command.params for option in each.opts}
    assert set(re.findall(r"(--[a-z-]+)", re.sub(r"\|[-|]+\|", "", text))) <= options
    assert CliRunner().invoke(commands, ["adjudicate", "--help"]).exit_code == 0


def test_the_page_quotes_the_rules_for_missing_scores() -> None:
    from ratui.results.totals import RULES

    text = _PAGE.read_text(encoding="utf-8")
    for rule in RULES.values():
        assert f"| `{rule.name}` | {rule.meaning} |" in text
