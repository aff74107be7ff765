"""Graphics in the terminal: capabilities, encoding of images, measurement of the connection. Independent of films."""

from ratui.terminal.answers import adapt_to_clients, parse_answers
from ratui.terminal.colours import Colours, GreyPalette, detect_colours, make_grey_palette, parse_colours
from ratui.terminal.display import (
    FENCE,
    FENCE_ROW,
    LOCAL_ROUND_TRIP,
    MIN_GREYS,
    MIN_PIXELS_PER_MM,
    NUMBERED_FENCE,
    PROTOCOLS,
    Bandwidth,
    Display,
    Resolution,
    estimate_joint_resolution,
    estimate_view_resolution,
    measure_resolution,
)
from ratui.terminal.doctor import (
    describe_ruler,
    describe_terminal,
    find_pixel_mm,
    list_advice,
    show_test_card,
)
from ratui.terminal.frames import Frame, FrameCache, HalfCellFrame, SixelFrame, encode, encode_coarse
from ratui.terminal.image_files import remove_image_files
from ratui.terminal.iterm2 import ITerm2Frame
from ratui.terminal.kitty import HIDE_IMAGES, KittyFileFrame, KittyFrame, KittyPlaceholderFrame, find_lost_image
from ratui.terminal.multiplexer import TmuxState, read_tmux
from ratui.terminal.probe import probe, read_cell_size
from ratui.terminal.restore import SavedTerminal
from ratui.terminal.sixel import decode_sixel, encode_sixel
from ratui.terminal.test_card import TEST_CARD_CHECKS, draw_test_card

__all__ = [
    "FENCE",
    "FENCE_ROW",
    "HIDE_IMAGES",
    "LOCAL_ROUND_TRIP",
    "MIN_GREYS",
    "MIN_PIXELS_PER_MM",
    "NUMBERED_FENCE",
    "PROTOCOLS",
    "TEST_CARD_CHECKS",
    "Bandwidth",
    "Colours",
    "Display",
    "Frame",
    "FrameCache",
    "GreyPalette",
    "HalfCellFrame",
    "ITerm2Frame",
    "KittyFileFrame",
    "KittyFrame",
    "KittyPlaceholderFrame",
    "Resolution",
    "SavedTerminal",
    "SixelFrame",
    "TmuxState",
    "adapt_to_clients",
    "decode_sixel",
    "describe_ruler",
    "describe_terminal",
    "detect_colours",
    "draw_test_card",
    "encode",
    "encode_coarse",
    "encode_sixel",
    "estimate_joint_resolution",
    "estimate_view_resolution",
    "find_lost_image",
    "find_pixel_mm",
    "list_advice",
    "make_grey_palette",
    "measure_resolution",
    "parse_answers",
    "parse_colours",
    "probe",
    "read_cell_size",
    "read_tmux",
    "remove_image_files",
    "show_test_card",
]
