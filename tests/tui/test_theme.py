"""The palettes: readable, distinct for colour-blind raters, films brighter than text, and no state by colour alone."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.style import Style
from textual.style import Style as TextualStyle

from ratui.errors import SettingsError
from ratui.tui import theme
from ratui.tui.theme import PALETTES, Palette, find_style, make_console_theme, make_theme, use_palette
from ratui.tui.user_settings import UserSettings, read_user_settings, save_setting
from tests.films import make_study
from tests.tui.conftest import reading_as, settle

TEXTS = ("PLAIN", "QUIET", "BRIGHT", "ACCENT", "KEY", "WAITING", "NOTE", "ALARM")
# Machado, Oliveira and Fernandes (2009), severity 1, on linear light.
EYES = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.fixture(autouse=True)
def usual_palette() -> Iterator[None]:
    yield
    use_palette("dark")


def linear(colour: str) -> np.ndarray:
    value = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG defines it."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", PALETTES)
@pytest.mark.parametrize("text", ["accent", "waiting", "quiet", "plain", "bright", "alarm"])
@pytest.mark.parametrize("ground", ["background", "surface", "panel"])
def test_every_text_can_be_read(name: str, text: str, ground: str) -> None:
    palette = PALETTES[name]
    least = 7.0 if name == "high-contrast" else 4.5  # WCAG AAA and AA
    assert contrast(getattr(palette, text), getattr(palette, ground)) >= least


@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
def test_the_selected_row_can_be_read(palette: Palette) -> None:
    assert contrast(palette.selected, palette.cursor) >= 4.5


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("name", [name for name in PALETTES if name != "grey"])
def test_title_and_active_field_differ_for_colour_blind_raters(name: str, eye: str) -> None:
    title, waiting = (np.array(EYES[eye]) @ linear(each) for each in (PALETTES[name].accent, PALETTES[name].waiting))
    assert np.abs(title - waiting).max() > (0.15 if PALETTES[name].is_dark else 0.05)


@pytest.mark.parametrize("name", [name for name in PALETTES if name != "high-contrast"])
def test_no_text_but_an_alarm_is_as_bright_as_a_film(name: str) -> None:
    palette = PALETTES[name]
    texts = (palette.accent, palette.waiting, palette.quiet, palette.plain, palette.bright, palette.background)
    assert max(luminance(each) for each in texts) < 0.9


def test_the_grey_palette_has_no_colour() -> None:
    assert all(
        len({text[1:3], text[3:5], text[5:7]}) == 1 for text in vars(PALETTES["grey"]).values() if text is not True
    )


def test_styles_of_states_differ_without_colour() -> None:
    weights = {}
    for name in ("QUIET", "BRIGHT", "WAITING"):
        style = find_style(getattr(theme, name))
        weights[name] = (bool(style.bold), bool(style.reverse))
    for one, other in itertools.combinations(weights, 2):
        assert weights[one] != weights[other], (one, other)
    assert find_style(theme.ALARM).reverse


@pytest.mark.parametrize("name", PALETTES)
def test_the_three_ways_to_a_style_agree(name: str) -> None:
    """Whole texts are styled by Textual, parts of them by Rich's console, and texts that can be clicked by `find_style`."""
    use_palette(name)
    console, variables = make_console_theme(name).styles, make_theme(name).to_color_system().generate()
    for each in (*TEXTS, "HEADING", "SELECTED", "CHOSEN", "EDGE"):
        style = getattr(theme, each)
        assert console[style] == find_style(style), each
        parsed = TextualStyle.parse(style, {**variables, **make_theme(name).variables})
        assert parsed == TextualStyle.from_rich_style(find_style(style)), each


def test_a_palette_is_read_saved_and_checked(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('# mine\nlanguage = "ja"\n\n[keys]\n"scoring.undo" = "U"\n')
    save_setting("palette", "light", file)
    assert read_user_settings(file) == UserSettings("ja", {"scoring.undo": "U"}, palette="light")
    assert "# mine" in file.read_text()
    with pytest.raises(SettingsError, match="unknown palette"):
        save_setting("palette", "pink", file)
    file.write_text("palette = 3")
    with pytest.raises(SettingsError, match="unknown palette"):
        read_user_settings(file)


async def test_a_change_recolours_the_screen_and_is_saved(tmp_path: Path) -> None:
    settings = UserSettings("en", source=tmp_path / "settings.toml")
    async with reading_as(make_study(tmp_path), "anna", settings=settings) as pilot:
        await pilot.press("enter", "1")
        await settle(pilot)
        assert colours(pilot) >= {PALETTES["dark"].waiting, PALETTES["dark"].plain}
        await pilot.app.change_palette("light")  # type: ignore[attr-defined]
        await settle(pilot)
        shown = colours(pilot)
        light = PALETTES["light"]
        assert shown >= {light.waiting, light.plain, light.background}
        assert not shown & {PALETTES["dark"].waiting, PALETTES["dark"].plain, PALETTES["dark"].accent}
        assert "#000000" in shown, "around films it stays black"
    assert read_user_settings(settings.source).palette == "light"


def colours(pilot: object) -> set[str]:
    """Return the colours of all cells, as hexadecimal RGB."""
    found = set()
    for strip in pilot.app.screen._compositor.render_strips():  # type: ignore[attr-defined]
        for segment in strip:
            style = segment.style or Style()
            found |= {each.get_truecolor().hex for each in (style.color, style.bgcolor) if each is not None}
    return found
