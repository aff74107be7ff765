"""Search for burned-in text: planted names of many kinds, films without text, and the connected shapes of scipy."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from ratui.demo.sample import find_sample
from ratui.imaging import Pixels, read_film
from ratui.study.importing import burned_in_text
from ratui.study.importing.burned_in_text import _has_row, _label, _Piece, seems_to_contain_text
from tests.films import real_films

REAL = real_films()
needs_real_films = pytest.mark.skipif(REAL is None, reason="the folder of real films is not beside the checkout")


def boxes_of_scipy(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    rows = [(r.start, c.start, r.stop - r.start, c.stop - c.start) for r, c in ndimage.find_objects(labels)]
    return np.array(rows, np.int32).reshape(-1, 4)


def random_mask(seed: int) -> npt.NDArray[np.bool_]:
    """Return pixels of any density, or with an odd seed blobs about as large as letters."""
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(1, 400, 2)
    noise = rng.random((rows, columns))
    part = rng.uniform(0.001, 0.6)
    if seed % 2:
        noise = ndimage.gaussian_filter(noise, rng.uniform(1, 4))
    return np.asarray(noise <= np.quantile(noise, part))


@pytest.mark.parametrize("seed", range(60))
def test_pieces_and_their_boxes_are_those_of_scipy(seed: int) -> None:
    mask = random_mask(seed)
    (ours, labels), theirs = _label(mask), boxes_of_scipy(mask)
    assert sorted(map(tuple, ours.tolist())) == sorted(map(tuple, theirs.tolist()))
    for number, (top, left, height, width) in enumerate(ours.tolist()[:20]):
        rows, columns = np.nonzero(labels == number + 1)
        assert (rows.min(), columns.min(), np.ptp(rows) + 1, np.ptp(columns) + 1) == (top, left, height, width)
    pieces = [[_Piece(*box) for box in boxes.tolist()] for boxes in (ours, theirs)]
    assert _has_row(pieces[0]) == _has_row(pieces[1])


def test_some_masks_contain_rows_of_text_and_some_do_not() -> None:
    masks = [_label(random_mask(seed))[0] for seed in range(60)]
    assert {_has_row([_Piece(*box) for box in boxes.tolist()]) for boxes in masks} == {True, False}


def test_pixels_that_touch_at_a_corner_are_connected() -> None:
    assert _label(np.eye(3, dtype=bool))[0].tolist() == [[0, 0, 3, 3]]


def test_an_empty_mask_has_no_pieces() -> None:
    assert _label(np.zeros((5, 7), bool))[0].tolist() == []


def bone(rows: int = 700, columns: int = 900) -> npt.NDArray[np.uint16]:
    """Return an image as smooth and as noisy as bone, of 12 bits."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:rows, 0:columns]
    smooth = 1700 + 900 * np.sin(x / 60) * np.cos(y / 80)
    return np.clip(smooth + rng.normal(0, 30, (rows, columns)), 100, 3900).astype(np.uint16)


def write(
    film: Pixels,
    text: str,
    level: float,
    *,
    size: int = 24,
    turns: int = 0,
    smooth: bool = False,
    shutter: bool = False,
) -> Pixels:
    """Return a film with `text`; `level` goes from 0, black, to 1, white."""
    low, high = 0.0, 255.0 if film.dtype == np.uint8 else 4095.0
    new = film.astype(np.float64)
    top, left = 60, 40
    if shutter:  # an area without an image, in the lightest grey
        new[:, : film.shape[1] // 6] = new[: film.shape[0] // 12] = high
        top, left = top + film.shape[0] // 12, left + film.shape[1] // 6
    font = ImageFont.load_default(size)
    image = Image.new("L", (int(font.getlength(text)) + 8, int(1.5 * size)))
    ImageDraw.Draw(image).text((3, 3), text, fill=255, font=font)
    letters = np.rot90(np.asarray(image), turns)
    part = letters / 255 if smooth else np.where(letters > 128, 1.0, 0.0)
    area = np.s_[top : top + letters.shape[0], left : left + letters.shape[1]]
    new[area] = new[area] * (1 - part) + round(low + level * (high - low)) * part
    return np.rint(new).astype(film.dtype)


KINDS: dict[str, dict[str, Any]] = {
    "white": {"text": "MUSTERFRAU ERIKA", "level": 1.0},
    "black": {"text": "MUSTERFRAU ERIKA", "level": 0.0},
    "grey": {"text": "MUSTERFRAU", "level": 0.9},
    "dark grey": {"text": "MUSTERFRAU", "level": 0.1},
    "middle grey": {"text": "MUSTERFRAU", "level": 0.7},
    "grey with smooth edges": {"text": "Mustermann, E.", "level": 0.9, "smooth": True},
    "rotated by 90 degrees": {"text": "MUSTERFRAU", "level": 1.0, "turns": 1},
    "rotated by 270 degrees": {"text": "MUSTERFRAU", "level": 0.9, "turns": 3},
    "upside down": {"text": "MUSTERFRAU", "level": 0.9, "turns": 2},
    "taller than 80 pixels": {"text": "MEYER", "level": 1.0, "size": 150},
    "grey and taller than 80 pixels": {"text": "MEYER", "level": 0.9, "size": 150},
    "five characters": {"text": "MEYER", "level": 1.0},
    "five small letters": {"text": "meyer", "level": 1.0},
    "five grey characters": {"text": "MEYER", "level": 0.9},
    "a date": {"text": "12.03.1956", "level": 1.0},
    "beside a white shutter": {"text": "MUSTERFRAU", "level": 1.0, "shutter": True},
    "grey beside a white shutter": {"text": "MEYER", "level": 0.9, "shutter": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_is_detected(kind: str) -> None:
    assert seems_to_contain_text(write(bone(), **KINDS[kind]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_on_a_film_of_8_bits_is_detected(kind: str) -> None:
    assert seems_to_contain_text(write((bone() >> 4).astype(np.uint8), **KINDS[kind]))


@pytest.mark.parametrize(
    "kind", ["white", "black", "five characters", "rotated by 90 degrees", "beside a white shutter"]
)
def test_a_name_is_detected_after_compression_with_loss(kind: str) -> None:
    file = io.BytesIO()
    film = write((bone() >> 4).astype(np.uint8), **{**KINDS[kind], "smooth": True})
    Image.fromarray(film).save(file, "JPEG", quality=80)
    assert seems_to_contain_text(np.asarray(Image.open(file)))


@pytest.mark.parametrize("text", ["", "L", "R 12"])
@pytest.mark.parametrize("level", [1.0, 0.9, 0.0])
@pytest.mark.parametrize("shutter", [False, True])
def test_a_film_or_a_marker_is_no_name(text: str, level: float, shutter: bool) -> None:
    film = bone()
    assert not seems_to_contain_text(write(film, text or " ", level, shutter=shutter))


def sample() -> list[Path]:
    return sorted(find_sample().rglob("*.dcm"))


def test_the_sample_has_one_label_and_no_false_alarm() -> None:
    """One simulated film has a label of grey letters in the pixels."""
    found = [path for path in sample() if seems_to_contain_text(read_film(path).pixels)]
    assert len(sample()) == 16
    assert len(found) == 1
    assert (read_film(found[0]).pixels[50:75, 70:200] == 2570).sum() > 400


@needs_real_films
def test_real_films_without_text_give_no_alarm() -> None:
    assert REAL is not None
    files = sorted((REAL / "ra_wrists").rglob("*.png")) + sorted((REAL / "mcp_series").rglob("*.jpg"))[::10]
    films: list[Pixels] = [np.asarray(Image.open(file).convert("L")) for file in files]
    films += [read_film(path).pixels for path in (REAL / "hand_dicom").glob("*uncompressed.dcm")]
    assert len(films) > 40
    assert not any(map(seems_to_contain_text, films))


@needs_real_films
@pytest.mark.parametrize(
    "kind", ["white", "grey", "five characters", "rotated by 90 degrees", "beside a white shutter"]
)
def test_a_name_on_a_real_film_is_detected(kind: str) -> None:
    assert REAL is not None
    (path,) = (REAL / "hand_dicom").glob("*uncompressed.dcm")
    assert seems_to_contain_text(write(read_film(path).pixels, **KINDS[kind]))


def test_a_constant_image_and_the_smallest_are_searched() -> None:
    assert not seems_to_contain_text(np.full((16, 16), 7, np.uint8))
    assert not seems_to_contain_text(np.arange(400, dtype=np.int16).reshape(20, 20) - 200)


def test_grain_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    calls = []
    real = burned_in_text._contrast
    monkeypatch.setattr(burned_in_text, "_contrast", lambda *each: calls.append(1) or real(*each))
    assert seems_to_contain_text((rng.random((1500, 1500)) < 0.4).astype(np.uint8)) in (True, False)
    assert len(calls) < 30 * burned_in_text._MAX_LETTERS
