"""A header that contradicts the pixels: the pixels win where the truth is clear, and the true cause is given elsewhere."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from openjpeg.utils import encode_array
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from ratui.errors import FilmError
from ratui.imaging import Film, read_film
from tests.imaging.odd_films import film_with

Array = np.ndarray[Any, Any]
ROWS, COLUMNS = 90, 120


def shape(bits: int = 12) -> Array:
    """Return a smooth image like a finger, which uses nearly the whole range of `bits`."""
    down, across = np.mgrid[0:ROWS, 0:COLUMNS]
    bone = np.exp(-(((across - 60) / 25.0) ** 2)) * (0.75 + 0.25 * np.cos(down / 9.0))
    noise = np.random.default_rng(1).normal(0, 0.002, bone.shape)
    return np.clip((0.01 + 0.96 * bone + noise) * ((1 << bits) - 1), 0, (1 << bits) - 1).astype(np.uint16)


def native(path: Path, words: Array, *, bits: int, **elements: object) -> Path:
    return film_with(path, words, bits=bits, **elements)  # type: ignore[arg-type]


def compressed(path: Path, frame: bytes, syntax: UID, *, bits: int, allocated: int = 16, **elements: object) -> Path:
    """Write a film with the compressed image `frame`, and a header that states what is given."""
    native(path, shape(), bits=12)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = allocated, bits, bits - 1
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    return path


def jpeg_2000(values: Array, bits: int) -> bytes:
    return bytes(encode_array(values, bits_stored=bits))


def jpeg_ls(values: Array, bits: int, folder: Path) -> bytes:
    path = native(folder / "source.dcm", values, bits=bits)
    dataset = pydicom.dcmread(path)
    dataset.compress(JPEGLSLossless, encoding_plugin="pyjpegls")
    return next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))


def jpeg_lossless(values: Array, bits: int, folder: Path) -> bytes:
    tool = shutil.which("dcmcjpeg")
    if tool is None:
        pytest.skip("dcmtk is not installed here")
    path = native(folder / "source.dcm", values, bits=bits)
    subprocess.run([tool, "+e1", str(path), str(folder / "made.dcm")], check=True, capture_output=True)
    return next(pydicom.encaps.generate_frames(pydicom.dcmread(folder / "made.dcm").PixelData, number_of_frames=1))


def jpeg(values: Array, mode: str = "L") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).convert(mode).save(buffer, "JPEG", quality=100, subsampling=0)
    return buffer.getvalue()


def same(film: Film, values: Array, bits: int) -> None:
    assert film.bits_stored == bits
    assert np.array_equal(film.pixels, values)


def problem(path: Path) -> str:
    with pytest.raises(FilmError) as caught:
        read_film(path)
    return caught.value.problem


class TestMoreBitsThanStated:
    """The stored values are those of the pixels, never their remainder."""

    @pytest.mark.parametrize("stated", [8, 10, 11])
    @pytest.mark.parametrize("coding", ["JPEG 2000", "JPEG-LS", "JPEG Lossless"])
    def test_the_depth_of_the_compressed_image_is_used(self, tmp_path: Path, coding: str, stated: int) -> None:
        values = shape(12)
        frame, syntax = {
            "JPEG 2000": lambda: (jpeg_2000(values, 12), JPEG2000Lossless),
            "JPEG-LS": lambda: (jpeg_ls(values, 12, tmp_path), JPEGLSLossless),
            "JPEG Lossless": lambda: (jpeg_lossless(values, 12, tmp_path), JPEGLosslessSV1),
        }[coding]()
        film = read_film(compressed(tmp_path / "a.dcm", frame, syntax, bits=stated))
        depth = 16 if coding == "JPEG Lossless" else 12  # dcmtk writes images of 16 bits
        same(film, values, depth)
        assert film.notes == (
            f"its header states {stated} bits a pixel, but its pixels have {depth}; the pixels were used",
        )

    def test_bits_allocated_may_be_wrong_too(self, tmp_path: Path) -> None:
        frame = jpeg_2000(shape(12), 12)
        same(read_film(compressed(tmp_path / "a.dcm", frame, JPEG2000, bits=8, allocated=8)), shape(12), 12)

    def test_a_deeper_image_without_larger_values_has_the_stated_depth(self, tmp_path: Path) -> None:
        film = read_film(compressed(tmp_path / "a.dcm", jpeg_2000(shape(12), 16), JPEG2000, bits=12))
        same(film, shape(12), 12)
        assert film.notes == ()

    @pytest.mark.parametrize("stated", [8, 10, 11])
    def test_uncompressed_values_above_the_stated_bits(self, tmp_path: Path, stated: int) -> None:
        film = read_film(native(tmp_path / "a.dcm", shape(12), bits=stated))
        same(film, shape(12), 12)
        assert len(film.notes) == 1

    def test_run_length_coding_is_like_no_compression(self, tmp_path: Path) -> None:
        dataset = pydicom.dcmread(native(tmp_path / "a.dcm", shape(12), bits=12))
        dataset.compress(RLELossless)
        dataset.BitsStored, dataset.HighBit = 10, 9
        dataset.save_as(tmp_path / "a.dcm")
        same(read_film(tmp_path / "a.dcm"), shape(12), 12)

    def test_a_bright_square_and_an_overlay_can_not_be_told_apart(self, tmp_path: Path) -> None:
        words = shape(10)
        words[20:40, 30:60] |= 2048
        assert problem(native(tmp_path / "a.dcm", words, bits=10)) == "its pixels use 12 bits, but its header states 10"

    def test_noise_shows_nothing(self, tmp_path: Path) -> None:
        words = np.random.default_rng(0).integers(0, 4096, (ROWS, COLUMNS)).astype(np.uint16)
        assert "its header states 10" in problem(native(tmp_path / "a.dcm", words, bits=10))

    def test_an_overlay_that_the_header_names_is_removed(self, tmp_path: Path) -> None:
        words = shape(12)
        words[20:40, 30:60] |= 1 << 13
        path = native(tmp_path / "a.dcm", words, bits=12)
        dataset = pydicom.dcmread(path)
        dataset.add_new((0x6000, 0x0100), "US", 16)
        dataset.add_new((0x6000, 0x0102), "US", 13)
        dataset.save_as(path)
        film = read_film(path)
        same(film, shape(12), 12)
        # Another bit than the named one is no overlay.
        dataset.PixelData = (words | (shape(12) > 2000) * np.uint16(1 << 14)).tobytes()
        dataset.save_as(path)
        assert "its header states 12" in problem(path)


class TestFewerBitsThanStated:
    def test_an_image_of_8_bits_under_a_header_of_12(self, tmp_path: Path) -> None:
        frame = jpeg((shape(8)).astype(np.uint8))
        film = read_film(compressed(tmp_path / "a.dcm", frame, JPEGBaseline8Bit, bits=12))
        assert film.bits_stored == 8
        assert np.abs(film.pixels.astype(int) - shape(8)).max() <= 3
        assert film.notes == ("its header states 12 bits a pixel, but its pixels have 8; the pixels were used",)


class TestSign:
    def test_a_signed_image_under_an_unsigned_header(self, tmp_path: Path) -> None:
        values = shape(12).astype(np.int16) - 600
        frame = jpeg_2000(values, 13)
        film = read_film(compressed(tmp_path / "a.dcm", frame, JPEG2000, bits=13, PixelRepresentation=0))
        assert np.array_equal(film.pixels, values)
        assert film.notes == ("its header states unsigned pixels, but they are signed; the pixels were used",)

    def test_an_unsigned_image_under_a_signed_header(self, tmp_path: Path) -> None:
        frame = jpeg_2000(shape(12), 12)
        film = read_film(compressed(tmp_path / "a.dcm", frame, JPEG2000, bits=12, PixelRepresentation=1))
        same(film, shape(12), 12)
        assert film.pixels.dtype == np.uint16

    def test_twos_complement_in_an_unsigned_image(self, tmp_path: Path) -> None:
        values = shape(11).astype(np.int16) - 300
        frame = jpeg_2000((values & 0xFFF).astype(np.uint16), 12)
        film = read_film(compressed(tmp_path / "a.dcm", frame, JPEG2000, bits=12, PixelRepresentation=1))
        assert np.array_equal(film.pixels, values)
        assert film.notes == ()

    def test_a_sign_that_nothing_shows_is_refused(self, tmp_path: Path) -> None:
        values = np.random.default_rng(0).integers(0, 4096, (ROWS, COLUMNS)).astype(np.uint16)
        path = compressed(tmp_path / "a.dcm", jpeg_2000(values, 12), JPEG2000, bits=12, PixelRepresentation=1)
        assert problem(path) == "its compressed image has unsigned values, but its header states signed ones"

    def test_signed_numbers_under_an_unsigned_header(self, tmp_path: Path) -> None:
        values = shape(11).astype("<i2") - 300
        film = read_film(native(tmp_path / "a.dcm", values.view("<u2"), bits=12))
        assert np.array_equal(film.pixels, values)
        assert film.notes == ("its header states unsigned pixels, but they are signed; the pixels were used",)

    def test_unsigned_numbers_under_a_signed_header(self, tmp_path: Path) -> None:
        path = native(tmp_path / "a.dcm", shape(12).view("<i2"), bits=12)
        film = read_film(path)
        same(film, shape(12), 12)
        assert film.pixels.dtype == np.uint16


class TestHighBit:
    def test_values_at_the_bottom_under_a_high_bit_at_the_top(self, tmp_path: Path) -> None:
        film = read_film(native(tmp_path / "a.dcm", shape(12), bits=12, high_bit=15))
        same(film, shape(12), 12)
        assert film.notes == ("its High Bit contradicts its pixels; the pixels were used",)

    def test_low_bits_in_use_are_not_dropped(self, tmp_path: Path) -> None:
        path = native(tmp_path / "a.dcm", shape(12), bits=10, high_bit=11)
        assert problem(path) == "its pixels use bits that its header calls unused"

    def test_unused_low_bits_are_removed(self, tmp_path: Path) -> None:
        same(read_film(native(tmp_path / "a.dcm", shape(10) * np.uint16(4), bits=10, high_bit=11)), shape(10), 10)


class TestLayout:
    """The length of uncompressed pixels does not show their layout, but their neighbours do."""

    def test_rows_and_columns_are_exchanged(self, tmp_path: Path) -> None:
        path = native(tmp_path / "a.dcm", shape(12), bits=12)
        dataset = pydicom.dcmread(path)
        dataset.Rows, dataset.Columns = COLUMNS, ROWS
        dataset.save_as(path)
        assert problem(path) == f"its header states {ROWS} columns, but its pixels have {COLUMNS}"

    @pytest.mark.parametrize(
        ("rows", "columns"), [(ROWS // 2, 2 * COLUMNS), (2 * ROWS, COLUMNS // 2), (ROWS + 1, COLUMNS - 2)]
    )
    def test_another_number_of_columns(self, tmp_path: Path, rows: int, columns: int) -> None:
        path = native(tmp_path / "a.dcm", shape(12), bits=12)
        dataset = pydicom.dcmread(path)
        dataset.Rows, dataset.Columns = rows, columns
        dataset.save_as(path)
        assert problem(path) == f"its header states {columns} columns, but its pixels have {COLUMNS}"

    def test_a_text_after_the_pixels_is_no_line(self, tmp_path: Path) -> None:
        path = native(tmp_path / "a.dcm", shape(12), bits=12)
        dataset = pydicom.dcmread(path)
        dataset.PixelData += b"MUSTERFRAU ERIKA"
        dataset.save_as(path)
        same(read_film(path), shape(12), 12)

    def test_the_bytes_of_a_word_are_exchanged(self, tmp_path: Path) -> None:
        path = native(tmp_path / "a.dcm", shape(16).byteswap(), bits=16)
        assert problem(path) == "the order of the bytes in its pixels contradicts its header"

    def test_noise_has_any_layout(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 65_536, (ROWS, COLUMNS)).astype(np.uint16)
        same(read_film(native(tmp_path / "a.dcm", noise, bits=16)), noise, 16)


class TestKindOfCompression:
    def test_that_of_the_pixels_is_used(self, tmp_path: Path) -> None:
        for syntax in (JPEGLossless, JPEGLSLossless, RLELossless, ExplicitVRLittleEndian):
            film = read_film(compressed(tmp_path / "a.dcm", jpeg_2000(shape(12), 12), syntax, bits=12))
            same(film, shape(12), 12)
            assert film.notes == (
                "its header names another compression than its pixels have; that of the pixels was used",
            )

    def test_uncompressed_pixels_under_a_compression(self, tmp_path: Path) -> None:
        path = native(tmp_path / "a.dcm", shape(12), bits=12)
        # pydicom refuses to write this. Both UIDs have the same length.
        path.write_bytes(path.read_bytes().replace(ExplicitVRLittleEndian.encode(), RLELossless.encode()))
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == RLELossless
        same(read_film(path), shape(12), 12)

    @pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEG2000, JPEGLSLossless])
    def test_run_length_coding_under_another(self, tmp_path: Path, syntax: UID) -> None:
        dataset = pydicom.dcmread(native(tmp_path / "a.dcm", shape(12), bits=12))
        dataset.compress(RLELossless)
        frame = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
        film = read_film(compressed(tmp_path / "b.dcm", frame, syntax, bits=12))
        same(film, shape(12), 12)
        assert len(film.notes) == 1

    def test_an_unknown_coding_under_no_compression(self, tmp_path: Path) -> None:
        path = compressed(tmp_path / "b.dcm", bytes(range(256)) * 90, ExplicitVRLittleEndian, bits=12)
        assert problem(path) == "its pixels are compressed, but its header says that they are not"


class TestSize:
    @pytest.mark.parametrize("change", [{"Columns": COLUMNS - 1}, {"Rows": ROWS - 20}, {"BitsAllocated": 8}])
    def test_more_pixels_than_the_header_states(self, tmp_path: Path, change: dict[str, int]) -> None:
        path = native(tmp_path / "a.dcm", shape(8), bits=8)
        dataset = pydicom.dcmread(path)
        for keyword, value in change.items():
            setattr(dataset, keyword, value)
        dataset.save_as(path)
        assert "bytes of pixels, but its header states" in problem(path)

    def test_a_black_border_is_no_padding(self, tmp_path: Path) -> None:
        values = shape(12)
        values[-5:] = 0
        path = native(tmp_path / "a.dcm", values, bits=12)
        dataset = pydicom.dcmread(path)
        dataset.Columns = COLUMNS - 1
        dataset.save_as(path)
        assert "but its header states" in problem(path)

    def test_zeros_after_the_picture_are_padding(self, tmp_path: Path) -> None:
        path = native(tmp_path / "a.dcm", shape(12), bits=12)
        dataset = pydicom.dcmread(path)
        dataset.PixelData += bytes(512)
        dataset.save_as(path)
        same(read_film(path), shape(12), 12)

    def test_run_length_coding_of_more_pixels(self, tmp_path: Path) -> None:
        path = native(tmp_path / "a.dcm", shape(12), bits=12)
        dataset = pydicom.dcmread(path)
        dataset.compress(RLELossless)
        dataset.Columns = COLUMNS - 1
        dataset.save_as(path)
        assert problem(path) == "its image size differs from the size in its header"

    def test_two_pictures_in_one_frame(self, tmp_path: Path) -> None:
        path = native(tmp_path / "a.dcm", shape(12), bits=12)
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
        dataset.PixelData = encapsulate([jpeg_2000(shape(12), 12)] * 2)
        dataset["PixelData"].is_undefined_length = True
        dataset.save_as(path)
        assert problem(path) == "it contains 2 pictures"
