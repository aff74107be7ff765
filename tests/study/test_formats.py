"""Studies of every older format open, and reading them changes no file."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from ratui.cli.main import commands
from ratui.errors import StoreError
from ratui.study import RegionSource, Study
from ratui.study.config_files import FORMAT, migrate_settings

HERE = Path(__file__).parent
SAMPLE = HERE.parents[1] / "sample_data" / "study"
MAY_APPEAR = {"study.lock", "gate.lock"}
OLD_SETTINGS = {"format": 1, "id": "a", "blinded": False}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_everything(study: Study) -> None:
    states = study.all_states()
    assert not [state for rater in states.values() for state in rater if state.stage == "unreadable"]
    for case in study.cases():
        study.regions(case)
        study.proposals(case)
        for rater in study.config.raters:
            study.reading(rater, case)
            study.displays(rater, case)
    assert not study.notices


@pytest.mark.parametrize(
    ("source", "number"), [(HERE / "format2", 2), (SAMPLE, 3)], ids=["kept from the first release", "sample of today"]
)
def test_opening_reading_and_status_change_no_file(source: Path, number: int, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    shutil.copytree(source, folder)
    before = contents(folder)
    study = Study.open(folder)
    assert study.config.stored_format == number
    read_everything(study)
    result = CliRunner().invoke(commands, ["status", str(folder)])
    assert result.exit_code == 0, result.output
    after = contents(folder)
    assert {name: after.get(name) for name in before} == before
    assert {Path(name).name for name in after.keys() - before.keys()} <= MAY_APPEAR


def test_a_study_of_format_2_has_its_original_values(tmp_path: Path) -> None:
    """Compare with the values that the version of 2026 read from these files."""
    shutil.copytree(HERE / "format2", tmp_path / "study")
    study = Study.open(tmp_path / "study")
    assert study.config.id == "06f08c12ea53f0aa"
    assert study.config.raters == ("you", "ada", "ben")
    assert not study.config.blinded
    stages = {rater: [state.stage for state in states] for rater, states in study.all_states().items()}
    assert stages == {
        "you": ["signed", "signed", "regions"],
        "ada": ["signed", "reading", "regions"],
        "ben": ["signed", "reading", "regions"],
    }
    totals = {}
    for reading in study.signed_readings("C-6TVYOC"):
        assert reading.is_complete
        totals[reading.rater] = [reading.total(time) for time in (0, 1)]
    assert totals == {
        "you": [(46, 38), (77, 38)],
        "ada": [(48, 38), (78, 38)],
        "ben": [(44, 38), (73, 38)],
    }
    assert all(region.confirmed_by for region in study.regions("C-6TVYOC"))
    proposals = study.proposals("C-UN4F26")
    assert len(proposals) == 40
    assert {(region.source, region.model) for region in proposals} == {(RegionSource.MODEL, "phantom-ssd")}


class TestSettings:
    """Settings of an earlier format are converted step by step; those of another format are refused."""

    def test_an_older_format_is_migrated_step_by_step(self) -> None:
        settings = migrate_settings(OLD_SETTINGS)
        assert settings == {
            **OLD_SETTINGS,
            "format": FORMAT,
            "group": "",
            "scheme": "",
            "managers": "",
            "raters_per_case": 0,
            "charter": {},
            "events": [],
        }
        assert OLD_SETTINGS["format"] == 1
        assert migrate_settings({**OLD_SETTINGS, "format": 2}).keys() == settings.keys() - {"group", "scheme"}

    def test_the_newest_stays(self) -> None:
        assert migrate_settings({"format": FORMAT, "x": 1}) == {"format": FORMAT, "x": 1}

    @pytest.mark.parametrize(
        ("found", "says"), [(FORMAT + 1, f"up to {FORMAT}"), (0, "no known"), ("3", "no known"), (None, "no known")]
    )
    def test_anything_else_is_refused(self, found: object, says: str) -> None:
        with pytest.raises(StoreError, match=says):
            migrate_settings({"format": found})
