"""Films as PNG, JPEG, TIFF and BMP: each form of a grey picture gives its greys, and everything else its true reason."""

from __future__ import annotations

import csv
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from ratui.errors import FilmError
from ratui.imaging import Film, read_stored_film
from ratui.study import Study, import_films
from ratui.study.importing import FilmRequest, InProcessConverter, ReaderProcess
from ratui.study.importing.importer import open_import
from ratui.study.importing.planning.import_plan import Decision
from tests.films import film_file, real_films
from tests.support.picture_files import four_bits, replaced, twice, with_chunk

Array = np.ndarray[Any, Any]
REQUEST = FilmRequest("C-X", "L", "00")
GREY = (np.add.outer(np.arange(60), np.arange(80)) % 200 + np.random.default_rng(0).integers(0, 9, (60, 80))).astype(
    "u1"
)
DEEP = GREY.astype(np.uint16) * 300 + 17
OPAQUE = np.full_like(GREY, 255)


def convert(path: Path) -> tuple[Film, str]:
    made = InProcessConverter().convert(path, REQUEST)
    return read_stored_film(made.data, path), made.note


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def channels(*planes: Array) -> Image.Image:
    return Image.fromarray(np.stack(planes, axis=-1))


def palette(path: Path, greys: Array, kind: str = "P") -> Path:
    """Write the greys through a palette in another order than the greys."""
    order = np.random.default_rng(1).permutation(256).astype(np.uint8)
    image = Image.fromarray(np.argsort(order).astype(np.uint8)[greys]).convert(kind)
    image.putpalette(np.repeat(order, 3).tobytes())
    return saved(path, image)


def deep_tiff(path: Path, *planes: Array) -> Path:
    assert cv2.imwrite(str(path), np.stack(planes, axis=-1))
    return path


def big_tiff(path: Path) -> Path:
    Image.fromarray(DEEP).save(path, "TIFF", big_tiff=True)
    return path


def deep_png(path: Path, *planes: Array) -> Path:
    assert cv2.imwrite(str(path), np.stack(planes, axis=-1))
    return path


# Files without loss, by name; each contains GREY or DEEP.
FORMS: dict[str, tuple[str, Callable[[Path], Path], Array]] = {
    "PNG, grey": ("a.png", lambda p: saved(p, Image.fromarray(GREY)), GREY),
    "PNG, 16 bits": ("a.png", lambda p: saved(p, Image.fromarray(DEEP)), DEEP),
    "PNG, palette": ("a.png", lambda p: palette(p, GREY), GREY),
    "PNG, grey and alpha": ("a.png", lambda p: saved(p, channels(GREY, OPAQUE)), GREY),
    "PNG, three channels": ("a.png", lambda p: saved(p, channels(GREY, GREY, GREY)), GREY),
    "PNG, three channels and alpha": ("a.png", lambda p: saved(p, channels(GREY, GREY, GREY, OPAQUE)), GREY),
    "PNG, three channels of 16 bits": ("a.png", lambda p: deep_png(p, DEEP, DEEP, DEEP), DEEP),
    "PNG, alpha of 16 bits": ("a.png", lambda p: deep_png(p, DEEP, DEEP, DEEP, np.full_like(DEEP, 65_535)), DEEP),
    "PNG with another name": ("a.dcm", lambda p: saved(p, Image.fromarray(GREY), format="PNG"), GREY),
    "TIFF": ("a.tif", lambda p: saved(p, Image.fromarray(GREY)), GREY),
    "TIFF, 16 bits, LZW": ("a.tif", lambda p: saved(p, Image.fromarray(DEEP), compression="tiff_lzw"), DEEP),
    "TIFF, deflate": ("a.tif", lambda p: saved(p, channels(GREY, GREY, GREY), compression="tiff_adobe_deflate"), GREY),
    "TIFF, three channels of 16 bits": ("a.tif", lambda p: deep_tiff(p, DEEP, DEEP, DEEP), DEEP),
    "BigTIFF": ("a.tif", big_tiff, DEEP),
    "TIFF, palette": ("a.tif", lambda p: palette(p, GREY), GREY),
    "BMP": ("a.bmp", lambda p: saved(p, Image.fromarray(GREY)), GREY),
    "BMP, palette": ("a.bmp", lambda p: palette(p, GREY), GREY),
    "BMP, three channels": ("a.bmp", lambda p: saved(p, channels(GREY, GREY, GREY)), GREY),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_grey_gives_the_same_greys(tmp_path: Path, form: str) -> None:
    name, write, greys = FORMS[form]
    film, note = convert(write(tmp_path / name))
    assert np.array_equal(film.pixels, greys)
    assert (film.bits_stored, film.is_inverted, note) == (8 * greys.dtype.itemsize, False, "")


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_gives_the_luminance_that_it_stores(tmp_path: Path, mode: str) -> None:
    path = saved(tmp_path / "a.jpg", Image.fromarray(GREY).convert(mode), quality=95)
    film, _ = convert(path)
    stored = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(film.pixels, stored)
    assert np.abs(film.pixels.astype(int) - GREY).max() < 30


def test_a_16_bit_tiff_in_which_white_is_zero_is_inverted(tmp_path: Path) -> None:
    film, _ = convert(saved(tmp_path / "a.tif", Image.fromarray(DEEP), tiffinfo={262: 0}))
    assert np.array_equal(film.pixels, DEEP)
    assert film.is_inverted


def exif(orientation: int) -> bytes:
    data = Image.Exif()
    data[274] = orientation
    return data.tobytes()


class TestOrientation:
    """The EXIF orientation is applied as Pillow's own function does it."""

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("kind", ["png", "jpg", "tif"])
    def test_the_picture_is_turned(self, tmp_path: Path, kind: str, orientation: int) -> None:
        from PIL import ImageOps

        options: dict[str, Any] = {"tiffinfo": {274: orientation}} if kind == "tif" else {"exif": exif(orientation)}
        path = saved(tmp_path / f"a.{kind}", Image.fromarray(GREY), **options)
        plain = saved(tmp_path / f"b.{kind}", Image.fromarray(GREY))
        with Image.open(plain) as image:
            image.getexif()[274] = orientation
            wanted = np.asarray(ImageOps.exif_transpose(image))
        film, note = convert(path)
        assert np.array_equal(film.pixels, wanted)
        assert bool(note) == (orientation > 1)
        assert ("mirrored" in note) == (orientation in (2, 4, 5, 7))

    @pytest.mark.parametrize("is_compressed", [False, True])
    @pytest.mark.parametrize("name", [b"exif", b"APP1"])
    def test_the_orientation_in_a_text_of_a_png(self, tmp_path: Path, name: bytes, is_compressed: bool) -> None:
        data = exif(6)
        assert data.startswith(b"Exif\0\0")
        text = b"\n" + name + b"\n%8d\n" % len(data) + data.hex().encode() + b"\n"
        content = b"Raw profile type " + name + (b"\0\0" + zlib.compress(text) if is_compressed else b"\0" + text)
        path = with_chunk(
            saved(tmp_path / "a.png", Image.fromarray(GREY)), b"zTXt" if is_compressed else b"tEXt", content
        )
        film, note = convert(path)
        assert np.array_equal(film.pixels, np.rot90(GREY, -1))
        assert note == "it was turned as its EXIF orientation states"

    def test_a_deep_tiff_in_colours_is_turned(self, tmp_path: Path) -> None:
        plain = saved(tmp_path / "a.tif", Image.fromarray(DEEP), tiffinfo={274: 6})
        colours = tmp_path / "b.tif"
        pixels = np.stack([DEEP] * 3, axis=-1).astype("<u2").tobytes()
        rows, columns = DEEP.shape
        tags = {256: columns, 257: rows, 258: 16, 259: 1, 262: 2, 273: 0, 274: 6, 277: 3, 278: rows, 279: len(pixels)}
        start = 14 + 12 * len(tags)
        tags[273] = start + 6
        entries = (struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items() if tag != 258)
        bits = struct.pack("<HHII", 258, 3, 3, start)
        data = b"".join(sorted((*entries, bits), key=lambda entry: struct.unpack_from("<H", entry)[0]))
        head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + data + bytes(4)
        colours.write_bytes(head + struct.pack("<3H", 16, 16, 16) + pixels)
        assert np.array_equal(convert(colours)[0].pixels, convert(plain)[0].pixels)

    def test_a_damaged_orientation_is_none(self, tmp_path: Path) -> None:
        for data in (b"II*\0", b"II*\0\xff\xff\xff\xff", exif(6).replace(b"\x06\0", b"\x63\0")):
            path = saved(tmp_path / "a.png", Image.fromarray(GREY), exif=data)
            assert np.array_equal(convert(path)[0].pixels, GREY)


RED = channels(GREY, GREY, np.maximum(GREY, 1) - 1)
HALF = np.where(np.arange(80) < 3, 254, 255).astype("u1") * np.ones((60, 1), np.uint8)
# Files that are refused, with the reason.
REFUSED: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "colours": ("a.png", lambda p: saved(p, RED), "colour"),
    "colours in a JPEG": ("a.jpg", lambda p: saved(p, channels(GREY, GREY, 255 - GREY)), "colour"),
    "colours of a palette": ("a.png", lambda p: saved(p, RED.convert("P")), "colour"),
    "CMYK": ("a.tif", lambda p: saved(p, RED.convert("CMYK")), "colour"),
    "transparent parts": ("a.png", lambda p: saved(p, channels(GREY, HALF)), "transparent"),
    "a transparent grey": ("a.png", lambda p: saved(p, Image.fromarray(GREY), transparency=100), "transparent"),
    "a transparent entry": (
        "a.png",
        lambda p: saved(Image.open(palette(p, GREY)) and p, Image.open(p).copy(), transparency=bytes(255)),
        "transparent",
    ),
    "two levels": ("a.png", lambda p: saved(p, Image.fromarray(GREY > 90)), "two levels"),
    "two levels in a TIFF": (
        "a.tif",
        lambda p: saved(p, Image.fromarray((GREY > 90).astype("u1") * 255)),
        "two levels",
    ),
    "fractions": ("a.tif", lambda p: saved(p, Image.fromarray(GREY / np.float32(3))), "whole numbers"),
    "large numbers": ("a.tif", lambda p: saved(p, Image.fromarray(GREY.astype(np.int32) * 1000)), "16 bits"),
    "two pages": (
        "a.tif",
        lambda p: saved(p, Image.fromarray(GREY), save_all=True, append_images=[Image.fromarray(GREY)]),
        "2 pictures",
    ),
    "an animation": (
        "a.png",
        lambda p: saved(p, Image.fromarray(GREY), save_all=True, append_images=[Image.fromarray(255 - GREY)]),
        "several pictures",
    ),
    "JPEG in a TIFF": ("a.tif", lambda p: saved(p, Image.fromarray(GREY), compression="jpeg"), "rare compression"),
    "a GIF": (
        "a.png",
        lambda p: saved(p, Image.fromarray(GREY), format="GIF"),
        "it is a file of the format GIF, which is not read",
    ),
    "a PDF": ("a.jpg", lambda p: saved(p, Image.fromarray(GREY), format="PDF"), "it is a file of the format PDF"),
    "a transparent grey of 16 bits": (
        "a.png",
        lambda p: with_chunk(saved(p, Image.fromarray(DEEP)), b"tRNS", struct.pack(">H", int(DEEP[3, 5]))),
        "transparent",
    ),
    "a transparent grey of 4 bits": (
        "a.png",
        lambda p: with_chunk(four_bits(p), b"tRNS", struct.pack(">H", 7)),
        "transparent",
    ),
    "a transparent colour of 16 bits": (
        "a.png",
        lambda p: with_chunk(deep_png(p, DEEP, DEEP, DEEP), b"tRNS", struct.pack(">3H", *[int(DEEP[3, 5])] * 3)),
        "transparent",
    ),
    "one level": ("a.png", lambda p: saved(p, Image.fromarray(np.zeros_like(GREY))), "all its pixels are equal"),
    "two JPEG pictures": ("a.jpg", lambda p: twice(saved(p, Image.fromarray(GREY))), "it contains 2 pictures"),
    "negative numbers of 8 bits": (
        "a.tif",
        lambda p: saved(p, Image.fromarray(GREY), tiffinfo={339: 2}),
        "it has negative values",
    ),
    "a TIFF of a rare kind": (
        "a.tif",
        lambda p: saved(p, Image.fromarray(DEEP)) and replaced(p, struct.pack("<HHIHH", 258, 3, 1, 16, 0), 24),
        "it is damaged, or a TIFF file of a rare kind",
    ),
    "a stamp": ("a.png", lambda p: saved(p, Image.fromarray(GREY[:10, :10])), "not that of a radiograph"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_everything_else_is_refused_with_its_reason(tmp_path: Path, kind: str) -> None:
    name, write, reason = REFUSED[kind]
    with pytest.raises(FilmError, match=reason):
        convert(write(tmp_path / name))


def other_formats() -> dict[str, bytes]:
    """Return a file of each format that is not read: as Pillow writes it, or the first bytes that its standard states."""
    heads = {
        "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "AVIF": b"\0\0\0\x1cftypavif\0\0\0\0",
        "MP4 video": b"\0\0\0\x20ftypisom\0\0\2\0",
        "AVI video": b"RIFF\x10\0\0\0AVI LIST",
        "Photoshop": b"8BPS\0\1" + bytes(6),
        "JPEG XL": b"\0\0\0\x0cJXL \r\n\x87\n",
        "DjVu": b"AT&TFORM",
        "PostScript": b"%!PS-Adobe-3.0",
    }
    found = {format: head + bytes(200) for format, head in heads.items()}
    for format, name in {"WebP": "WEBP", "GIF": "GIF", "PDF": "PDF", "PGM": "PPM", "icon": "ICO", "DDS": "DDS"}.items():
        data = io.BytesIO()
        picture = Image.fromarray(GREY)
        (picture.convert("RGB") if name == "DDS" else picture).save(data, name)
        found[format] = data.getvalue()
    return found


@pytest.mark.parametrize("format", other_formats())
@pytest.mark.parametrize("listed", [False, True])
def test_other_formats_are_named(tmp_path: Path, format: str, listed: bool) -> None:
    """The plan names the format, with and without a manifest, and says what to do."""
    folder = tmp_path / "h"
    folder.mkdir()
    (folder / "a.png").write_bytes(other_formats()[format])
    manifest = folder / "films.csv"
    if listed:
        manifest.write_text("file,patient,time,side\na.png,P1,0,L\n")
    study = Study.create(tmp_path / "study", "fingers", ["anna"])
    opened = open_import(
        study,
        [] if listed else [folder],
        manifest=manifest if listed else None,
        key=tmp_path / "key.json",
        converter=InProcessConverter(),
    )
    with opened as current:
        (row,) = current.plan().rows
    assert row.decision is Decision.LEAVE_OUT
    assert row.reason == (
        f"it is a file of the format {format}, which is not read. Convert it to PNG or TIFF, or get the film as a DICOM file"
    )


@pytest.mark.parametrize("form", [*FORMS, "JPEG", "JPEG, progressive"])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, form: str) -> None:
    if form in FORMS:
        name, write, _ = FORMS[form]
        path = write(tmp_path / name)
    else:
        path = saved(tmp_path / "a.jpg", Image.fromarray(GREY), progressive="progressive" in form)
    data = path.read_bytes()
    convert(path)
    for part in (0.3, 0.6, 0.9):
        path.write_bytes(data[: int(part * len(data))])
        with pytest.raises(FilmError):
            convert(path)
        path.write_bytes(data[: int(part * len(data))] + b"\xff\xd9")
        with pytest.raises(FilmError):
            convert(path)


def test_a_dicom_file_with_the_start_of_a_tiff_file_is_a_dicom_file(tmp_path: Path) -> None:
    path = film_file(tmp_path / "a.dcm")
    path.write_bytes(b"II*\0" + path.read_bytes()[4:])
    assert convert(path)[0].pixels.shape == (240, 200)


def test_without_a_manifest_the_true_reason_is_given(tmp_path: Path) -> None:
    for name, image in (("a.jpg", "JPEG"), ("b.bmp", "BMP"), ("c", "TIFF")):
        Image.fromarray(GREY).save(tmp_path / name, image)
        with ReaderProcess() as reader, pytest.raises(FilmError, match=f"a {image} file does not name its patient"):
            reader.read_header(tmp_path / name)


def import_all(tmp_path: Path, files: list[Path]) -> dict[str, str]:
    """Import `files` with a manifest; return the outcome of each by name."""
    folder = tmp_path / "hospital"
    folder.mkdir(parents=True)
    with (folder / "films.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "patient", "time", "side", "spacing"])
        for number, path in enumerate(files):
            name = f"{number}{path.suffix}"
            (folder / name).write_bytes(path.read_bytes())
            rows.writerow([name, f"P{number}", 0, "LR"[number % 2], 0.2])
    study = Study.create(tmp_path / "study", "fingers", ["anna"])
    report = import_films(study, [], manifest=folder / "films.csv", key=tmp_path / "key.json")
    outcomes = {film.path.name: "taken" for film in report.imported}
    return outcomes | {film.path.name: film.reason for film in report.rejected}


def test_each_form_passes_an_import_with_a_manifest(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{number}{name}") for number, (name, write, _) in enumerate(FORMS.values())]
    greys = [saved(tmp_path / f"{k}.jpg", Image.fromarray(np.roll(GREY, k, 1)), quality=90) for k in range(2)]
    outcomes = import_all(tmp_path, [files[0], files[1], *greys])
    assert list(outcomes.values()) == ["taken"] * 4


@pytest.mark.skipif(real_films() is None, reason="no real films here")
def test_all_real_pictures_are_read(tmp_path: Path) -> None:
    folder = real_films()
    assert folder is not None
    files = [*sorted((folder / "ra_wrists").glob("*.png"))[:4], *sorted((folder / "mcp_series").glob("*/*.jpg"))[:4]]
    for path in files:
        film, _ = convert(path)
        with Image.open(path) as image:
            assert np.abs(np.asarray(image.convert("L")).astype(int) - film.pixels).max() <= 1


def test_no_text_of_a_picture_file_gets_into_the_film(tmp_path: Path) -> None:
    secret = b"MUSTERFRAU ERIKA"
    data = Image.Exif()
    data[270] = secret.decode()
    for kind in ("JPEG", "TIFF", "PNG"):
        buffer = io.BytesIO()
        options: dict[str, Any] = {"tiffinfo": {270: secret.decode()}} if kind == "TIFF" else {"exif": data.tobytes()}
        Image.fromarray(GREY).save(buffer, kind, **options)
        path = tmp_path / "a"
        path.write_bytes(buffer.getvalue() + (b"" if kind == "JPEG" else secret))
        assert secret in path.read_bytes()
        assert secret not in InProcessConverter().convert(path, REQUEST).data
