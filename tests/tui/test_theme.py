"""The colours: readable on black, distinct for colour-blind raters, and no state shown by colour alone."""

import itertools

import numpy as np
import pytest
from rich.style import Style

from ratui.tui import theme as palette

MEANINGS = ("PLAIN", "QUIET", "BRIGHT", "ACCENT", "KEY", "WAITING", "NOTE", "ALARM")
# Machado, Oliveira and Fernandes (2009), severity 1, on linear light.
EYES = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(style: str) -> np.ndarray:
    colour = Style.parse(style).color
    assert colour is not None
    value = np.array(colour.get_truecolor()) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def luminance(light: np.ndarray) -> float:
    return float(light @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("name", MEANINGS)
def test_every_colour_can_be_read_on_black(name: str) -> None:
    assert (luminance(linear(getattr(palette, name))) + 0.05) / 0.05 >= 4.5, "WCAG AA"


@pytest.mark.parametrize("eye", EYES)
def test_title_and_active_field_differ_for_colour_blind_raters(eye: str) -> None:
    title, waiting = (np.array(EYES[eye]) @ linear(style) for style in (palette.ACCENT, palette.WAITING))
    assert np.abs(title - waiting).max() > 0.15


def test_styles_of_states_differ_without_colour() -> None:
    weights = {}
    for name in ("QUIET", "BRIGHT", "WAITING"):
        style = Style.parse(getattr(palette, name))
        weights[name] = (bool(style.bold), bool(style.reverse))
    for one, other in itertools.combinations(weights, 2):
        assert weights[one] != weights[other], (one, other)
    assert Style.parse(palette.ALARM).reverse
