"""Film file → grey levels → crop. Knows nothing of scoring."""

from ratui.imaging.box_propagation import Carried, carry
from ratui.imaging.dicom_reader import check_header, film_of, read_film, read_header
from ratui.imaging.dicom_writer import dicom_bytes, write_film
from ratui.imaging.display_settings import PLAIN, Look, contrast_of, presets, render
from ratui.imaging.file_limits import LARGEST_BYTES, LARGEST_PIXELS
from ratui.imaging.film import LARGEST_SIDE, Contrast, Film, Pixels, Table, Window
from ratui.imaging.joint_alignment import align, carried, centred, difference
from ratui.imaging.registration import AGREES, Alignment, Matrix, Unaligned, register, warped
from ratui.imaging.windowing import Box, automatic_window, crop, grey, stretch

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
