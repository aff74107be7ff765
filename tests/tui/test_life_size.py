"""The zoom of twice the life size: the part of the film that is shown, where it is possible, and the measured screen."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from ratui.cli.main import commands
from ratui.errors import DisplayError, SettingsError
from ratui.imaging import Box, SpacingSource
from ratui.terminal import Display, describe_ruler, find_pixel_mm
from ratui.tui.graphics.view_settings import (
    LIFE_SIZE,
    WHOLE_FILM,
    ZOOMS,
    ViewSettings,
    next_zoom,
    read_view_settings,
    save_view_settings,
    step_zoom,
)
from ratui.tui.graphics.viewport import make_life_size_box
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.user_settings import UserSettings, read_user_settings, save_setting
from tests.films import make_study
from tests.tui.conftest import label_text, reading_as, settle

SIXEL = Display("sixel", cell=(10, 20), pixel_mm=0.25)
JOINT = Box(100.0, 200.0, 140.0, 240.0)


def test_a_bone_of_ten_millimetres_is_twenty_long_on_the_screen() -> None:
    # 80 × 30 characters of 10 × 20 pixels of 0.25 mm: 200 × 150 mm of screen show 100 × 75 mm of film.
    shown = make_life_size_box(JOINT, (0.1, 0.2), (800, 600), SIXEL)
    assert shown is not None
    assert (shown.width * 0.2, shown.height * 0.1) == pytest.approx((100.0, 75.0))
    assert shown.centre == JOINT.centre
    # 10 mm of film are 50 pixels across, and 8 characters: 8 × 10 × 0.25 mm = 20 mm.
    assert (10 / 0.2) / shown.width * 80 == pytest.approx(8.0)
    # As many characters as half-cells show the same.
    halfcell = replace(SIXEL, protocol="halfcell")
    assert make_life_size_box(JOINT, (0.1, 0.2), (80, 60), halfcell) == pytest.approx(shown)


def test_without_a_measured_screen_there_is_none() -> None:
    for display in (replace(SIXEL, pixel_mm=None), replace(SIXEL, is_cell_measured=False)):
        assert make_life_size_box(JOINT, (0.1, 0.1), (80, 60), display) is None


def test_the_zoom_key_reaches_it_only_where_it_is_possible() -> None:
    seen, zoom = [], 0
    for _ in range(len(ZOOMS) + 1):
        zoom = next_zoom(zoom, has_life_size=True)
        seen.append(zoom)
    assert seen == [1, 2, 3, LIFE_SIZE, 0]
    assert next_zoom(len(ZOOMS) - 1, has_life_size=False) == 0
    assert next_zoom(LIFE_SIZE, has_life_size=False) == 1, "the first zoom was shown in its place"
    assert next_zoom(WHOLE_FILM, has_life_size=True) == 0
    assert step_zoom(LIFE_SIZE, is_closer=True) == ZOOMS.index(1.2)


def test_the_choice_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "view_settings.json"
    for zoom, kept in ((LIFE_SIZE, LIFE_SIZE), (WHOLE_FILM, 0)):
        save_view_settings("anna", ViewSettings(zoom), file)
        assert read_view_settings("anna", file).zoom == kept


def test_the_ruler_gives_the_size_of_a_pixel(tmp_path: Path) -> None:
    assert find_pixel_mm(SIXEL, 150.0) == pytest.approx(0.25)
    line, text = describe_ruler(SIXEL, 0.25)
    assert line.rindex("┤") - line.index("├") == 60  # characters between the bars, which are in the middle of theirs
    assert "150 mm" in text
    assert "--ruler" in describe_ruler(SIXEL, None)[1]
    guessed = replace(SIXEL, is_cell_measured=False)
    assert "no life size" in describe_ruler(guessed, None)[0]
    with pytest.raises(DisplayError, match="how many pixels"):
        find_pixel_mm(guessed, 150.0)
    file = tmp_path / "settings.toml"
    file.write_text('language = "ja"\n[keys]\n"scoring.undo" = "U"\n', encoding="utf-8")
    save_setting("pixel_mm", 0.25, file)
    assert read_user_settings(file) == UserSettings("ja", {"scoring.undo": "U"}, pixel_mm=0.25)
    with pytest.raises(SettingsError, match="impossible"):
        save_setting("pixel_mm", 25.0, file)
    for wrong in ('"0.25"', "0", "true", "5.0"):
        file.write_text(f"pixel_mm = {wrong}\n", encoding="utf-8")
        with pytest.raises(SettingsError, match="pixel_mm"):
            read_user_settings(file)


def test_doctor_stores_the_measured_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.toml"
    monkeypatch.setattr("ratui.cli.doctor.probe", lambda graphics: replace(SIXEL, pixel_mm=None))
    monkeypatch.setattr("ratui.cli.doctor.settings_file", lambda: file)
    assert "run ratui doctor --ruler MM" in CliRunner().invoke(commands, ["doctor"]).output
    result = CliRunner().invoke(commands, ["doctor", "--ruler", "150"])
    assert "150 mm if a pixel is 0.25 mm" in result.output
    assert file.read_text() == "pixel_mm = 0.25\n"
    assert CliRunner().invoke(commands, ["doctor", "--reading-test", "--ruler", "150"]).exit_code == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "pixel_mm", "title"),
    [
        (SpacingSource.DETECTOR, 0.25, "2× at the detector"),
        (SpacingSource.CALIBRATED, 0.25, "2× life size"),
        (SpacingSource.STATED, 0.25, "2× by the header"),
        (SpacingSource.DETECTOR, None, ""),
    ],
)
async def test_the_titles_state_the_plane_of_the_magnification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: SpacingSource, pixel_mm: float | None, title: str
) -> None:
    study = make_study(tmp_path)
    settings = UserSettings("en", pixel_mm=pixel_mm)
    async with reading_as(study, "anna", size=(120, 40), settings=settings) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        films = screen.joint_viewer._films
        assert films is not None
        for key, (record, box) in films.boxes.items():
            films.boxes[key] = (replace(record, spacing=(0.1, 0.1), spacing_source=source), box)  # type: ignore[index]
        for _ in range(len(ZOOMS)):
            await pilot.press("z")
        await settle(pilot)
        assert (screen.joint_viewer.view_settings.zoom == LIFE_SIZE) is (pixel_mm is not None)
        assert ("2×" in label_text(pilot)) is bool(title)
        assert title in label_text(pilot)
