"""Film file → grey levels → crop. Knows nothing of scoring."""

from ratui.imaging.film import LARGEST_SIDE, Film, Pixels, Window, check_header, read_film, read_header
from ratui.imaging.grey import Box, automatic_window, crop, grey, stretch
from ratui.imaging.register import AGREES, Alignment, Unaligned, register, warped
from ratui.imaging.write import dicom_bytes, write_film

__all__ = [
    "AGREES",
    "LARGEST_SIDE",
    "Alignment",
    "Box",
    "Film",
    "Pixels",
    "Unaligned",
    "Window",
    "automatic_window",
    "check_header",
    "crop",
    "dicom_bytes",
    "grey",
    "read_film",
    "read_header",
    "register",
    "stretch",
    "warped",
    "write_film",
]
