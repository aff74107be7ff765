"""Search for burned-in text: planted names of many kinds, films without text, and the connected shapes of scipy."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy import ndimage

from ratui.demo.sample import find_sample
from ratui.imaging import Pixels, read_film
from ratui.study.importing.reader import burned_in_text
from ratui.study.importing.reader.burned_in_text import _has_row, _label_pieces, _Piece, seems_to_contain_text
from tests.films import real_films
from tests.support.planted_text import KINDS, bone, write

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
    (ours, labels), theirs = _label_pieces(mask), boxes_of_scipy(mask)
    assert sorted(map(tuple, ours.tolist())) == sorted(map(tuple, theirs.tolist()))
    for number, (top, left, height, width) in enumerate(ours.tolist()[:20]):
        rows, columns = np.nonzero(labels == number + 1)
        assert (rows.min(), columns.min(), np.ptp(rows) + 1, np.ptp(columns) + 1) == (top, left, height, width)
    pieces = [[_Piece(*box) for box in boxes.tolist()] for boxes in (ours, theirs)]
    assert _has_row(pieces[0]) == _has_row(pieces[1])


def test_some_masks_contain_rows_of_text_and_some_do_not() -> None:
    masks = [_label_pieces(random_mask(seed))[0] for seed in range(60)]
    assert {_has_row([_Piece(*box) for box in boxes.tolist()]) for boxes in masks} == {True, False}


def test_pixels_that_touch_at_a_corner_are_connected() -> None:
    assert _label_pieces(np.eye(3, dtype=bool))[0].tolist() == [[0, 0, 3, 3]]


def test_an_empty_mask_has_no_pieces() -> None:
    assert _label_pieces(np.zeros((5, 7), bool))[0].tolist() == []


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
    real = burned_in_text._measure_contrast
    monkeypatch.setattr(burned_in_text, "_measure_contrast", lambda *each: calls.append(1) or real(*each))
    assert seems_to_contain_text((rng.random((1500, 1500)) < 0.4).astype(np.uint8)) in (True, False)
    assert len(calls) < 30 * burned_in_text._MAX_LETTERS
