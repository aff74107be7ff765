"""Elements beside the pixels that contradict them: frames, colours, overlays, signs, padding, spacing and loss."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from openjpeg.utils import encode_array
from pydicom.encaps import encapsulate, generate_fragments
from pydicom.uid import JPEG2000, UID, JPEGBaseline8Bit, JPEGLSNearLossless, RLELossless

from ratui.errors import FilmError
from ratui.imaging import SpacingSource, read_film
from ratui.study.importing import FilmRequest, InProcessConverter
from tests.imaging.test_pixels_against_header import (
    ROWS,
    Array,
    compressed,
    jpeg,
    jpeg_2000,
    native,
    problem,
    same,
    shape,
)

OTHER_COLOURS = "its header states another kind or order of colours than its pixels have; the pixels were used"
SIGNED = "its header states unsigned pixels, but they are signed; the pixels were used"


def changed(path: Path, **elements: object) -> Path:
    """Change elements of the film at `path`; None removes one."""
    dataset = pydicom.dcmread(path)
    for keyword, value in elements.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)
    return path


def run_length(path: Path, values: Array, bits: int = 12) -> bytes:
    """Return the run-length coded image of a film, which `path` then contains."""
    dataset = pydicom.dcmread(native(path, values, bits=bits))
    dataset.compress(RLELossless)
    dataset.save_as(path)
    return list(generate_fragments(dataset.PixelData))[-1]


class TestFrames:
    @pytest.mark.parametrize("coding", ["uncompressed", "run length", "JPEG 2000"])
    def test_a_wrong_number_of_frames_is_the_reason(self, tmp_path: Path, coding: str) -> None:
        path = tmp_path / "a.dcm"
        if coding == "JPEG 2000":
            compressed(path, jpeg_2000(shape(12), 12), JPEG2000, bits=12)
        elif coding == "run length":
            run_length(path, shape(12))
        else:
            native(path, shape(12), bits=12)
        same(read_film(path), shape(12), 12)
        assert problem(changed(path, NumberOfFrames=2)) == "its header states 2 frames, but it has one picture"

    def test_two_uncompressed_frames(self, tmp_path: Path) -> None:
        path = native(tmp_path / "a.dcm", shape(12), bits=12)
        assert problem(changed(path, NumberOfFrames=2, PixelData=shape(12).tobytes() * 2)) == "it contains 2 frames"

    @pytest.mark.parametrize("has_offsets", [True, False])
    def test_two_run_length_coded_frames_that_the_header_hides(self, tmp_path: Path, has_offsets: bool) -> None:
        path = tmp_path / "a.dcm"
        frames = [run_length(path, shape(12)), run_length(path, shape(12)[::-1].copy())]
        dataset = pydicom.dcmread(path)
        dataset.PixelData = encapsulate(frames, has_bot=has_offsets)
        dataset.save_as(path)
        assert problem(path) == "it contains 2 pictures"

    def test_two_images_in_one_fragment(self, tmp_path: Path) -> None:
        grey = shape(8).astype(np.uint8)
        pair = jpeg(grey) + jpeg(255 - grey)
        assert (
            problem(compressed(tmp_path / "a.dcm", pair, JPEGBaseline8Bit, bits=8, allocated=8))
            == "it contains 2 pictures"
        )
        pair = jpeg_2000(shape(12), 12) + jpeg_2000(shape(12)[::-1].copy(), 12)
        assert problem(compressed(tmp_path / "b.dcm", pair, JPEG2000, bits=12)) == "it contains 2 pictures"

    def test_run_length_coding_of_another_number_of_bytes(self, tmp_path: Path) -> None:
        run_length(tmp_path / "a.dcm", shape(12))
        path = changed(tmp_path / "a.dcm", BitsAllocated=8, BitsStored=8, HighBit=7)
        assert problem(path) == "its pixels have a number of bytes each (2) that its header does not state (1)"


class TestLostParts:
    @pytest.mark.parametrize("keyword", ["Rows", "BitsAllocated", "BitsStored", "PhotometricInterpretation"])
    def test_a_missing_element_is_the_reason(self, tmp_path: Path, keyword: str) -> None:
        path = changed(native(tmp_path / "a.dcm", shape(12), bits=12), **{keyword: None})
        assert problem(path) == f"its header lacks {keyword}"

    def test_a_compressed_film_that_is_cut_off(self, tmp_path: Path) -> None:
        path = compressed(tmp_path / "a.dcm", jpeg_2000(shape(12), 12), JPEG2000, bits=12)
        path.write_bytes(path.read_bytes()[:-3000])
        assert problem(path).startswith("it is cut off")

    def test_fewer_pixels_than_stated_in_a_complete_file_are_a_contradiction(self, tmp_path: Path) -> None:
        path = native(tmp_path / "a.dcm", shape(12), bits=12)
        data = path.read_bytes()
        size = 2 * shape(12).size
        changed(path, Rows=ROWS + 1)
        assert problem(path).startswith(f"it has {size} bytes of pixels, but its header states")
        path.write_bytes(data[:-100])
        assert problem(path) == f"it is cut off: {size - 100} of {size} bytes"

    def test_bytes_after_the_pixels_are_not_parsed(self, tmp_path: Path) -> None:
        path = native(tmp_path / "a.dcm", shape(12), bits=12)
        end = b"\x08\0\x05\0" + struct.pack("<L", 0x7FFFFFFF) + bytes(range(256))
        path.write_bytes(path.read_bytes() + end)
        same(read_film(path), shape(12), 12)

    def test_another_order_of_bytes_than_the_header_names(self, tmp_path: Path) -> None:
        path = native(tmp_path / "a.dcm", shape(12), bits=12)
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"))
        assert "another order of bytes" in problem(path)


class TestColours:
    @staticmethod
    def film(path: Path, channels: Array, *, photometric: str = "RGB", planar: int = 0) -> Path:
        native(path, shape(8).astype(np.uint8), bits=8)
        return changed(
            path,
            SamplesPerPixel=3,
            PhotometricInterpretation=photometric,
            PlanarConfiguration=planar,
            PixelData=channels.tobytes(),
        )

    @pytest.mark.parametrize("planar", [0, 1])
    @pytest.mark.parametrize("stated", [0, 1])
    def test_a_wrong_planar_configuration(self, tmp_path: Path, planar: int, stated: int) -> None:
        grey = shape(8).astype(np.uint8)
        channels = np.stack([grey] * 3, axis=0 if planar else -1)
        film = read_film(self.film(tmp_path / "a.dcm", channels, planar=stated))
        same(film, shape(8), 8)
        assert film.notes == ((OTHER_COLOURS,) if planar != stated else ())

    def test_no_planar_configuration(self, tmp_path: Path) -> None:
        path = self.film(tmp_path / "a.dcm", np.stack([shape(8).astype(np.uint8)] * 3, axis=-1))
        same(read_film(changed(path, PlanarConfiguration=None)), shape(8), 8)

    @pytest.mark.parametrize("kind", ["RGB", "YBR_FULL"])
    @pytest.mark.parametrize("stated", ["RGB", "YBR_FULL"])
    def test_a_wrong_kind_of_colours(self, tmp_path: Path, kind: str, stated: str) -> None:
        grey = shape(8).astype(np.uint8)
        rest = grey if kind == "RGB" else np.full_like(grey, 128)
        film = read_film(self.film(tmp_path / "a.dcm", np.stack([grey, rest, rest], axis=-1), photometric=stated))
        same(film, shape(8), 8)
        assert film.notes == ((OTHER_COLOURS,) if kind != stated else ())

    def test_a_compressed_one(self, tmp_path: Path) -> None:
        grey = np.stack([shape(8).astype(np.uint8)] * 3, axis=-1)
        frame = bytes(encode_array(grey, bits_stored=8, photometric_interpretation=1, use_mct=False))
        path = compressed(
            tmp_path / "a.dcm",
            frame,
            JPEG2000,
            bits=8,
            allocated=8,
            SamplesPerPixel=3,
            PlanarConfiguration=0,
            PhotometricInterpretation="YBR_FULL",
        )
        same(read_film(path), shape(8), 8)

    def test_a_colour_stays_a_colour_in_every_reading(self, tmp_path: Path) -> None:
        grey = shape(8).astype(np.uint8)
        for planar in (0, 1):
            path = self.film(tmp_path / "a.dcm", np.stack([grey, grey, 255 - grey], axis=-1), planar=planar)
            assert problem(path) == "it is a colour image, not a grey film"


class TestValues:
    @pytest.mark.parametrize("bit", [1, 3, 11])
    def test_a_bit_of_the_value_is_no_overlay(self, tmp_path: Path, bit: int) -> None:
        dataset = pydicom.dcmread(native(tmp_path / "a.dcm", shape(12), bits=12))
        dataset.add_new((0x6000, 0x0102), "US", bit)
        dataset.save_as(tmp_path / "a.dcm")
        same(read_film(tmp_path / "a.dcm"), shape(12), 12)

    @pytest.mark.parametrize("bits", [12, 16])
    @pytest.mark.parametrize("coding", ["uncompressed", "run length", "JPEG Lossless"])
    def test_signed_numbers_of_all_bits_under_an_unsigned_header(self, tmp_path: Path, bits: int, coding: str) -> None:
        values = shape(bits).astype(np.int32) - (1 << (bits - 1))
        words = (values & ((1 << bits) - 1)).astype(np.uint16)
        path = tmp_path / "a.dcm"
        if coding == "run length":
            run_length(path, words, bits)
        else:
            native(path, words, bits=bits)
        if coding == "JPEG Lossless" and not shutil.which("dcmcjpeg"):
            pytest.skip("dcmcjpeg of dcmtk is not installed")
        if coding == "JPEG Lossless":
            subprocess.run(["dcmcjpeg", "+e1", path, path], check=True, capture_output=True)
            if bits == 12:  # dcmtk writes images of 16 bits, in which 12 bits have no sign
                return
        film = read_film(path)
        assert np.array_equal(film.pixels, values)
        assert film.notes == (SIGNED,)

    def test_black_beside_white_is_no_sign(self, tmp_path: Path) -> None:
        values = shape(16)
        values[values > 30_000] = 30_000
        values[:, ::7] = 65_535
        values[:, 1::7] = 0
        film = read_film(native(tmp_path / "a.dcm", values, bits=16))
        same(film, values, 16)
        assert film.notes == ()

    @pytest.mark.parametrize("bits", [12, 16])
    @pytest.mark.parametrize("shows", ["a plate", "a shutter"])
    def test_nearly_black_beside_nearly_white_is_no_sign(self, tmp_path: Path, bits: int, shows: str) -> None:
        rng, top = np.random.default_rng(3), (1 << bits) - 1
        noise = rng.integers(1, 6, shape(bits).shape)
        if shows == "a plate":  # on a dark film
            values = shape(bits) // 3 + noise
            values[20:70, 5:30] = noise[20:70, 5:30]
            values[30:60, 10:25] = top - noise[30:60, 10:25]
        else:  # of a bright film, whose greys are all in the upper half
            values = top - shape(bits) // 3 - noise
            values[:12], values[:, :9] = noise[:12], noise[:, :9]
        film = read_film(native(tmp_path / "a.dcm", values.astype(np.uint16), bits=bits))
        same(film, values, bits)
        assert film.notes == ()

    @pytest.mark.parametrize(("bits", "padding"), [(16, 65_535), (12, 4095)])
    def test_padding_of_pixels_that_are_not_signed(self, tmp_path: Path, bits: int, padding: int) -> None:
        path = native(tmp_path / "a.dcm", shape(bits).view("<i2"), bits=bits, PixelPaddingValue=-1)
        film = read_film(path)
        assert film.padding == (padding, padding)
        made = InProcessConverter().convert(path, FilmRequest("C-X", "L", "00"))
        assert pydicom.dcmread(io.BytesIO(made.data)).PixelPaddingValue == padding

    @pytest.mark.parametrize("rescaling", [{"RescaleSlope": "0"}, {"RescaleIntercept": "NaN"}])
    def test_a_damaged_rescaling_gets_a_note(self, tmp_path: Path, rescaling: dict[str, str]) -> None:
        with pytest.warns() if "NaN" in rescaling.values() else open("/dev/null"):  # noqa: PTH123
            film = read_film(native(tmp_path / "a.dcm", shape(12), bits=12, **rescaling))
        assert (film.slope, film.intercept) == (1.0, 0.0)
        assert film.notes == ("its rescaling is damaged and was left out",)


@pytest.mark.parametrize("value", [[0, 0], [-0.1, -0.1], [0.1, 0], [100, 100], ["0.1"], [0.1, 0.1, 0.1]])
@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagerPixelSpacing"])
def test_an_impossible_spacing_gets_a_note(tmp_path: Path, keyword: str, value: list[object]) -> None:
    film = read_film(native(tmp_path / "a.dcm", shape(12), bits=12, **{keyword: value}))
    assert (film.spacing, film.spacing_source) == (None, SpacingSource.UNKNOWN)
    assert film.notes == (f"its {keyword} is impossible and was left out",)


@pytest.mark.parametrize("factor", ["0", "0.5", "5"])
def test_an_impossible_magnification_gets_a_note(tmp_path: Path, factor: str) -> None:
    path = native(tmp_path / "a.dcm", shape(12), bits=12, ImagerPixelSpacing=[0.1, 0.1])
    film = read_film(changed(path, EstimatedRadiographicMagnificationFactor=factor))
    assert (film.spacing, film.spacing_source) == ((0.1, 0.1), SpacingSource.DETECTOR)
    assert film.notes == ("its magnification factor is impossible and was left out",)


class TestLoss:
    """The compressed image shows a loss, whatever the header says."""

    @staticmethod
    def stored(path: Path) -> tuple[str, str, float]:
        data = InProcessConverter().convert(path, FilmRequest("C-X", "L", "00")).data
        new = pydicom.dcmread(io.BytesIO(data))
        return new.LossyImageCompression, new.LossyImageCompressionMethod, float(new.LossyImageCompressionRatio)

    @staticmethod
    def film(path: Path, coding: str) -> tuple[bytes, UID, int]:
        if coding == "JPEG":
            return jpeg(shape(8).astype(np.uint8)), JPEGBaseline8Bit, 8
        if coding == "JPEG 2000":
            return bytes(encode_array(shape(12), bits_stored=12, compression_ratios=[10.0])), JPEG2000, 12
        subprocess.run(["dcmcjpls", "+en", native(path, shape(12), bits=12), path], check=True, capture_output=True)
        return (
            next(pydicom.encaps.generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1)),
            JPEGLSNearLossless,
            12,
        )

    @pytest.mark.parametrize("flag", ["00", None, "01"])
    @pytest.mark.parametrize(
        ("coding", "method"), [("JPEG", "ISO_10918_1"), ("JPEG 2000", "ISO_15444_1"), ("JPEG-LS", "ISO_14495_1")]
    )
    def test_the_copy_states_it(self, tmp_path: Path, coding: str, method: str, flag: str | None) -> None:
        if coding == "JPEG-LS" and not shutil.which("dcmcjpls"):
            pytest.skip("dcmcjpls of dcmtk is not installed")
        frame, syntax, bits = self.film(tmp_path / "a.dcm", coding)
        path = compressed(tmp_path / "b.dcm", frame, syntax, bits=bits, allocated=8 if bits == 8 else 16)
        changed(path, LossyImageCompression=flag)
        stated, found, ratio = self.stored(path)
        assert (stated, found) == ("01", method)
        assert ratio == pytest.approx(shape(12).size * bits / 8 / len(frame), rel=0.02)

    def test_none_is_invented(self, tmp_path: Path) -> None:
        path = compressed(tmp_path / "b.dcm", jpeg_2000(shape(12), 12), JPEG2000, bits=12)
        assert read_film(path).lossy == ""
        assert (
            pydicom.dcmread(io.BytesIO(InProcessConverter().convert(path, FilmRequest("C", "L", "00")).data)).get(
                "LossyImageCompression"
            )
            == "00"
        )


def test_a_film_of_two_patients_gets_two_uids(tmp_path: Path) -> None:
    path = native(tmp_path / "a.dcm", shape(12), bits=12)
    made = [InProcessConverter().convert(path, FilmRequest(case, "L", "00")).data for case in ("C-X", "C-Y", "C-X")]
    uids = [pydicom.dcmread(io.BytesIO(data)).SOPInstanceUID for data in made]
    assert uids[0] != uids[1]
    assert uids[0] == uids[2]


def test_a_film_that_is_not_deflated(tmp_path: Path) -> None:
    path = native(tmp_path / "a.dcm", shape(12), bits=12)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1.99")
    dataset.save_as(path)
    data = path.read_bytes()
    start = 144 + struct.unpack_from("<L", data, 140)[0]  # after the meta information
    path.write_bytes(data[:start] + b"\xff" * 5000)
    with pytest.raises(FilmError, match="its header says that it is deflated"):
        read_film(path)
