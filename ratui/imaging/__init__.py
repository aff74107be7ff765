"""Film file → grey levels → crop. Knows nothing of scoring."""

from ratui.imaging.carrying import Carried, carry
from ratui.imaging.compare import align, carried, centred, difference
from ratui.imaging.film import LARGEST_SIDE, Contrast, Film, Pixels, Table, Window
from ratui.imaging.grey import Box, automatic_window, crop, grey, stretch
from ratui.imaging.guard import LARGEST_BYTES, LARGEST_PIXELS
from ratui.imaging.look import PLAIN, Look, contrast_of, presets, render
from ratui.imaging.read import check_header, film_of, read_film, read_header
from ratui.imaging.register import AGREES, Alignment, Matrix, Unaligned, register, warped
from ratui.imaging.write import dicom_bytes, write_film

__all__ = [
    "AGREES",
    "LARGEST_BYTES",
    "LARGEST_PIXELS",
    "LARGEST_SIDE",
    "PLAIN",
    "Alignment",
    "Box",
    "Carried",
    "Contrast",
    "Film",
    "Look",
    "Matrix",
    "Pixels",
    "Table",
    "Unaligned",
    "Window",
    "align",
    "automatic_window",
    "carried",
    "carry",
    "centred",
    "check_header",
    "contrast_of",
    "crop",
    "dicom_bytes",
    "difference",
    "film_of",
    "grey",
    "presets",
    "read_film",
    "read_header",
    "register",
    "render",
    "stretch",
    "warped",
    "write_film",
]
