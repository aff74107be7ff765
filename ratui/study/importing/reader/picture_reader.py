"""Read the grey levels of a picture file: PNG, JPEG, TIFF or BMP. Such files name no patient and need a manifest.

The kind is taken from the content, not from the name. Only one complete grey picture is accepted, in whatever form it is
stored: as grey, with a palette of greys, with an opaque alpha channel, or as three equal channels. The EXIF orientation is
applied. Nothing but the grey levels leaves this module.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from ratui.errors import FilmError
from ratui.imaging import MAX_PIXELS, MAX_SIDE, Pixels
from ratui.imaging.codestream import count_pictures, read_codestream
from ratui.imaging.dicom_reader import check_file
from ratui.imaging.jpeg_damage import is_jpeg_damaged
from ratui.study.importing.reader.png_reader import select_picture

__all__ = ["Picture", "check_no_picture", "check_picture_kind", "find_picture_kind", "read_picture"]

_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",  # BigTIFF
    b"MM\0+": "TIFF",
    b"BM": "BMP",
    b"GIF8": "GIF",
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"8BPS": "Photoshop",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"DDS ": "DDS",
    b"\0\0\1\0": "icon",
    b"AT&TFORM": "DjVu",
    b"SIMPLE  =": "FITS",
    b"NRRD0": "NRRD",
    b"\x89HDF\r\n\x1a\n": "HDF5",
}
_PNM = {b"P1": "PBM", b"P2": "PGM", b"P3": "PPM", b"P4": "PBM", b"P5": "PGM", b"P6": "PPM"}  # and a space
_RIFF = {b"WEBP": "WebP", b"AVI ": "AVI video"}  # at byte 8 of a file that begins with RIFF
_BRANDS = dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"), "HEIC") | {
    b"avif": "AVIF",
    b"avis": "AVIF",
}
"""Major brands of files by ISO/IEC 14496-12; all others are videos."""
_READ = ("PNG", "JPEG", "TIFF", "BMP")
_CONVERT = "Convert it to PNG or TIFF, or get the film as a DICOM file"
_HEAD_BYTES = 132  # of a file: the preamble and the prefix of a DICOM file (PS3.10 section 7.1)
_TOLERANCE = 3  # between the channels of a grey picture that was compressed with loss
# Tags of TIFF 6.0, and of EXIF.
_ORIENTATION, _COMPRESSION, _PHOTOMETRIC, _BITS, _SAMPLE_FORMAT = 274, 259, 262, 258, 339
_SIGNED = 2  # value of SampleFormat
_MOST_DEEP = 65_535
_TWO_LEVELS = "it has two levels only"
# Compressions of TIFF without loss: none, LZW, deflate, PackBits, old deflate, LZMA, Zstandard. Others fill missing parts.
_TIFF_COMPRESSIONS = (1, 5, 8, 32773, 32946, 34925, 50000)


@dataclass(frozen=True)
class Picture:
    """The grey levels of a picture file.

    Attributes
    ----------
    pixels
        Grey levels of 8 or 16 bits, shape (rows, columns), as a viewer shows them: the EXIF orientation is applied.
    is_inverted
        Whether low values are bright.
    ratio
        Size before the compression divided by the size of the file, if the picture was compressed with loss, else None.
    notes
        Changes that were made.
    """

    pixels: Pixels
    is_inverted: bool = False
    ratio: float | None = None
    notes: tuple[str, ...] = ()


def find_picture_kind(path: Path) -> str:
    """Return the kind of the picture file at `path`, such as ``PNG``, by its first bytes; empty for a DICOM file and others.

    Raises FilmError if it can't be read.
    """
    check_file(path)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise FilmError(f"it can't be read: {error.strerror}", path, "Check its permissions") from error
    if head[128:132] == b"DICM":  # the preamble of a DICOM file may be the start of a TIFF file
        return ""
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], "")
    if head[:2] in _PNM and head[2:3].isspace():
        return _PNM[head[:2]]
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "MP4 video")
    return next((kind for signature, kind in _SIGNATURES.items() if head.startswith(signature)), "")


def check_picture_kind(path: Path, kind: str) -> None:
    """Raise FilmError if pictures of a kind that `find_picture_kind` found are not read."""
    if kind and kind not in _READ:
        raise FilmError(f"it is a file of the format {kind}, which is not read", path, _CONVERT)


def check_no_picture(path: Path) -> None:
    """Raise FilmError if `path` is a picture file, which names no patient."""
    kind = find_picture_kind(path)
    if kind in _READ:
        raise FilmError(f"a {kind} file does not name its patient", path, "Name it in a manifest")
    check_picture_kind(path, kind)


def read_picture(path: Path, kind: str) -> Picture:
    """Return the picture at `path`, a file of the kind that `find_picture_kind` found.

    Raises
    ------
    FilmError
        If it is not one complete grey picture of the size of a film, or of a kind that is not read.
    """
    check_picture_kind(path, kind)
    data = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if kind == "PNG":
                return _read_png(data, path)
            if kind == "JPEG":
                return _read_jpeg(data, path)
            return _read_tiff(data, path) if kind == "TIFF" else _read_bmp(data, path)
    except FilmError:
        raise
    except MemoryError:
        raise
    except (
        UnidentifiedImageError
    ) as error:  # Pillow knows no such combination of tags, or the first of them are damaged
        problem = f"it is damaged, or a {kind} file of a rare kind"
        raise FilmError(problem, path, "Save it as grey of 8 or 16 bits") from error
    # Pillow raises many types for damaged files.
    except Exception as error:
        raise FilmError(f"it is not a readable {kind} file", path, "Export it again") from error


def _read_png(data: bytes, path: Path) -> Picture:
    selected = select_picture(data, path)
    if selected.depth == 16 and selected.channels > 1:
        values = _decode_deep_colours(selected.data)
        _check_key(values[..., ::-1], selected.transparency, path)
    else:
        with _open_picture(selected.data, "PNG", path) as image:
            transparency = selected.transparency
            if transparency is not None and image.mode == "L" and selected.depth < 8:
                # Pillow spreads greys of fewer bits over 8 bits.
                (key,) = struct.unpack(">H", transparency)
                transparency = struct.pack(">H", key * 255 // ((1 << selected.depth) - 1))
            values = _to_greys(image, path, transparency=transparency)
    return _turn(_check_channels(values, path), selected.orientation)


def _decode_deep_colours(data: bytes) -> npt.NDArray[Any]:
    """Return the values of a PNG or TIFF picture with channels of 16 bits, which Pillow reduces to 8 bits."""
    import cv2

    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16:
        raise ValueError("not decoded")
    return np.asarray(values)


def _read_jpeg(data: bytes, path: Path) -> Picture:
    stream = read_codestream(data)
    if stream is None or stream.coding != "JPEG":
        raise FilmError("it is a JPEG file of a rare kind", path, "Convert it to PNG without loss")
    _check_size(stream.columns, stream.rows, path)
    pictures = count_pictures([data])
    if pictures > 1:
        raise FilmError(f"it contains {pictures} pictures", path, "Export one film per file")
    if is_jpeg_damaged(data):
        raise FilmError("it is cut off or damaged", path, "Copy it again")
    with _open_picture(data, "JPEG", path) as image:
        orientation = _read_orientation(image)
        grey = _check_channels(_to_greys(image, path), path, tolerance=_TOLERANCE)
    if stream.components > 1:
        with _open_picture(data, "JPEG", path) as image:
            image.draft("L", image.size)  # the luminance as it is stored
            grey = np.asarray(image.convert("L"))
    return _turn(grey, orientation, max(grey.size / len(data), 1.0))


def _read_tiff(data: bytes, path: Path) -> Picture:
    with _open_picture(data, "TIFF", path) as image:
        tags = image.tag_v2  # type: ignore[attr-defined]
        orientation = tags.get(_ORIENTATION, 1)
        if tags.get(_COMPRESSION, 1) not in _TIFF_COMPRESSIONS:
            raise FilmError("it is a TIFF file with a rare compression", path, "Save it without compression")
        # Pillow inverts pictures of 8 bits of this kind, and does not invert deeper ones.
        is_inverted = tags.get(_PHOTOMETRIC) == 0 and image.mode not in ("1", "L")
        values = _to_greys(image, path)
        is_deep = values.ndim == 3 and max(tags.get(_BITS, (8,))) > 8
        if values.dtype == np.uint8 and tags.get(_SAMPLE_FORMAT, (1,))[0] == _SIGNED and int(values.max()) > 127:
            raise FilmError("it has negative values", path, "Save it as grey of 8 or 16 bits")
    if is_deep:
        deep = _check_channels(_decode_deep_colours(data), path)
        # Some versions of the decoder apply the orientation. Pillow does, and gives the upper byte of each value.
        for grey in (deep, _turn(deep, orientation).pixels):
            if np.array_equal(grey >> 8, values[..., 0]):
                return Picture(grey, notes=_describe_turn(orientation))
        raise ValueError("decoded in two ways")
    grey = _check_channels(values, path)
    return Picture(grey, is_inverted, notes=_describe_turn(orientation))  # Pillow has applied the orientation


def _read_bmp(data: bytes, path: Path) -> Picture:
    with _open_picture(data, "BMP", path) as image:
        return Picture(_check_channels(_to_greys(image, path), path))


def _open_picture(data: bytes, kind: str, path: Path) -> Image.Image:
    """Return the picture in `data`, opened. Raises FilmError if there are several, or its size is not that of a film."""
    image = Image.open(io.BytesIO(data), formats=[kind])
    _check_size(*image.size, path)
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise FilmError(f"it contains {frames} pictures", path, "Export one film per file")
    return image


def _check_size(width: int, height: int, path: Path) -> None:
    if max(width, height) > MAX_SIDE or min(width, height) < 16 or width * height > MAX_PIXELS:
        raise FilmError(f"its size {width} × {height} is not that of a radiograph", path, "Give the film itself")


def _to_greys(image: Image.Image, path: Path, *, transparency: bytes | None = None) -> npt.NDArray[Any]:
    """Return the values of `image`: shape (rows, columns), or (rows, columns, channels) with an alpha channel at the end.

    `transparency` is the content of the chunk of that name of a PNG file. Raises FilmError for pictures of other kinds.
    """
    image.load()
    if image.mode == "1":
        raise FilmError(_TWO_LEVELS, path, "Export the original radiograph")
    if image.mode == "P":
        return _apply_palette(image, path, transparency)
    values = np.asarray(image)
    if image.mode in ("L", "LA", "RGB", "RGBA"):
        _check_key(values, transparency, path)
        return values
    if image.mode in ("I", "I;16", "I;16B", "I;16L"):
        _check_key(values, transparency, path)
        if int(values.min()) < 0 or int(values.max()) > _MOST_DEEP:
            raise FilmError("its values are not those of a grey film of 16 bits", path, "Export it again")
        return values.astype(np.uint16)
    if image.mode == "F":
        raise FilmError("its values are not whole numbers", path, "Export the original radiograph")
    raise FilmError("it is a colour image, not a grey film", path, "Export the original radiograph")


def _check_key(values: npt.NDArray[Any], transparency: bytes | None, path: Path) -> None:
    """Raise FilmError if a pixel has the value that a PNG file without alpha channel declares transparent."""
    if transparency is None:
        return
    channels = values.shape[2] if values.ndim == 3 else 1
    key = struct.unpack(f">{channels}H", transparency)
    if (values.reshape(-1, channels) == np.array(key)).all(axis=1).any():
        raise FilmError("parts of it are transparent", path, "Export it without transparency")


def _apply_palette(image: Image.Image, path: Path, transparency: bytes | None) -> npt.NDArray[Any]:
    """Return the colours of a picture with a palette, shape (rows, columns, 3). Unused entries do not matter."""
    indices = np.asarray(image)
    palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    if int(indices.max()) >= len(palette):
        raise ValueError("an index outside of the palette")
    if transparency is not None:
        alpha = np.full(256, 255, np.uint8)
        alpha[: len(transparency)] = np.frombuffer(transparency[:256], np.uint8)
        if (alpha[np.unique(indices)] != 255).any():
            raise FilmError("parts of it are transparent", path, "Export it without transparency")
    return np.asarray(palette[indices])


def _check_channels(values: npt.NDArray[Any], path: Path, *, tolerance: int = 0) -> Pixels:
    """Return the grey of `values`. Raises FilmError for colours, transparent parts, and two levels only.

    The last one of two or four channels is the alpha channel. Other channels may differ by `tolerance`.
    """
    if values.ndim == 3 and values.shape[2] in (2, 4):
        if (values[..., -1] != np.iinfo(values.dtype).max).any():
            raise FilmError("parts of it are transparent", path, "Export it without transparency")
        values = values[..., :-1]
    if values.ndim == 3:
        spread = values.max(axis=2).astype(np.int32) - values.min(axis=2)
        if int(spread.max()) > tolerance:
            raise FilmError("it is a colour image, not a grey film", path, "Export the original radiograph")
        values = values[..., 0]
    if values.min() == values.max():
        raise FilmError("all its pixels are equal", path, "Export it again")
    if ((values == values.min()) | (values == values.max())).all():
        raise FilmError(_TWO_LEVELS, path, "Export the original radiograph")
    return np.ascontiguousarray(values)


def _turn(grey: Pixels, orientation: int, ratio: float | None = None) -> Picture:
    """Return the picture with its EXIF orientation applied (CIPA DC-008 section 4.6.4)."""
    if 5 <= orientation <= 8:
        grey = grey.T
    if orientation in (3, 4, 7, 8):
        grey = grey[::-1]
    if orientation in (2, 3, 6, 7):
        grey = grey[:, ::-1]
    return Picture(np.ascontiguousarray(grey), ratio=ratio, notes=_describe_turn(orientation))


def _describe_turn(orientation: int) -> tuple[str, ...]:
    if orientation in (2, 4, 5, 7):
        return ("it was mirrored as its EXIF orientation states: check the side",)
    return ("it was turned as its EXIF orientation states",) if orientation in (3, 6, 8) else ()


def _read_orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, or 1 if there is none or it is damaged."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # Pillow raises many types for damaged EXIF data
        return 1
