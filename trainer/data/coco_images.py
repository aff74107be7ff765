"""Images of COCO files: their place, their size, and the coordinates in which their boxes were drawn.

Some programs show a photograph as its EXIF orientation states, others as it is stored. ratui reads it as the orientation
states. The size in the COCO file tells in which of the two a box was drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PureWindowsPath

from PIL import Image, UnidentifiedImageError

import ratui
from ratui.errors import FilmError, TrainError, clean_text
from ratui.imaging import Box, Film
from ratui.study.importing import read_foreign_image

__all__ = ["UnusableImageError", "find_image", "load_image", "place_boxes"]

_ORIENTATION = 274  # tag of EXIF and TIFF
_WIDTH, _HEIGHT = 256, 257  # tags of TIFF
_DICOM = (".dcm", ".dicom")
Size = tuple[int, int]


class UnusableImageError(Exception):
    """An image that is left out; its text is the reason."""


def find_image(path: Path, name: str) -> Path:
    r"""Return the path of the image `name`, which may be written with ``/`` or ``\``.

    It may lie beside the COCO file at `path`, in a folder ``images`` or ``films`` or one named like the file, or one level
    higher. CVAT puts the images of ``annotations/instances_default.json`` in ``images/default``. Raises UnusableImageError.
    """
    inside = Path(name.replace("\\", "/"))
    if inside.is_absolute() or ".." in inside.parts or PureWindowsPath(name).drive or "\0" in name:
        raise UnusableImageError("it is outside of the file's folder")
    subset = path.stem.removeprefix("instances_")
    near, above = path.parent, path.parent.parent
    folders = ("images", "films", path.stem, f"images/{subset}")
    for root in (near, *(at / folder for at in (near, above) for folder in folders), above):
        try:
            if (root / inside).is_file():
                return root / inside
        except OSError as error:  # such as a name that is too long
            raise UnusableImageError("its name is no file name") from error
    raise UnusableImageError(f"the image {clean_text(name)} is missing")


def place_boxes(file: Path, stated: Size | None, *, from_percent: bool = False) -> tuple[Size, Callable[[Box], Box]]:
    """Return the size of the image as ratui reads it, and the function that takes its boxes there.

    Parameters
    ----------
    file
        The image.
    stated
        Width and height in the COCO file, or None if it states none.
    from_percent
        The writer turned percentages of the shown image into pixels of the stored one, as Label Studio does.

    Raises
    ------
    UnusableImageError
        If the image can't be read, has another size than stated, or has an orientation with which the coordinates of its
        boxes can't be known.
    """
    stored, orientation = _read_header(file)
    turned = 5 <= orientation <= 8  # its rows become columns
    shown = stored[::-1] if turned else stored
    if stated is not None and stated not in (stored, shown):
        raise UnusableImageError(f"the file states {_name_size(stated)} pixels, but the image has {_name_size(shown)}")
    if orientation == 1:
        return shown, lambda box: box
    if stated is None or stored == shown or (from_percent and stated == stored):
        raise UnusableImageError(
            f"its EXIF orientation {orientation} leaves open whether boxes were drawn on the turned image"
        )
    if stated == shown:
        return shown, lambda box: box
    return shown, lambda box: _turn_box(box, orientation, shown)


def _name_size(size: Size) -> str:
    return f"{size[0]} × {size[1]}"


def _turn_box(box: Box, orientation: int, shown: Size) -> Box:
    """Return a box of the stored image on the shown one, for an orientation from 5 to 8 (CIPA DC-008 section 4.6.4)."""
    x0, y0, x1, y1 = box.y0, box.x0, box.y1, box.x1
    if orientation in (6, 7):
        x0, x1 = shown[0] - x1, shown[0] - x0
    if orientation in (7, 8):
        y0, y1 = shown[1] - y1, shown[1] - y0
    return Box(x0, y0, x1, y1)


def _read_header(file: Path) -> tuple[Size, int]:
    """Return the size of the stored image, and its EXIF orientation from 1 to 8."""
    if file.suffix.lower() in _DICOM:
        try:
            film = ratui.read_film(file)
        except FilmError as error:
            raise UnusableImageError("it can't be read") from error
        return (film.columns, film.rows), 1
    try:
        with Image.open(file, formats=["PNG", "JPEG", "TIFF", "BMP"]) as image:  # reads the header only
            tags = getattr(image, "tag_v2", None)
            # Pillow may state the size of a TIFF file after its orientation was applied.
            size = image.size if tags is None else (int(tags[_WIDTH]), int(tags[_HEIGHT]))
            orientation = int((image.getexif() if tags is None else tags).get(_ORIENTATION, 1))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UnusableImageError("it can't be read") from error
    except Exception as error:  # Pillow raises many types for damaged headers
        raise UnusableImageError("its header is damaged") from error
    return size, orientation if 1 <= orientation <= 8 else 1


def load_image(file: Path) -> Film:
    """Return the image in `file` as a film: DICOM, or an image of grey levels. Raises TrainError."""
    try:
        return ratui.read_film(file) if file.suffix.lower() in _DICOM else read_foreign_image(file)
    except FilmError as error:
        raise TrainError(clean_text(error), file, "Leave this image out") from error
