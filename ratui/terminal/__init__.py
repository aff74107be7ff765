"""What this terminal can show and how: probed once, before the app starts. It knows nothing of films or scores."""

from ratui.terminal.cache import FrameCache
from ratui.terminal.display import PROTOCOLS, Display
from ratui.terminal.frames import Frame, HalfCells, KittyFrame, SixelFrame, encode, encode_coarse
from ratui.terminal.link import FENCE, Link
from ratui.terminal.probe import cell_by_ioctl, parse_answers, probe
from ratui.terminal.sixel import decode_sixel, sixel

__all__ = [
    "FENCE",
    "PROTOCOLS",
    "Display",
    "Frame",
    "FrameCache",
    "HalfCells",
    "KittyFrame",
    "Link",
    "SixelFrame",
    "cell_by_ioctl",
    "decode_sixel",
    "encode",
    "encode_coarse",
    "parse_answers",
    "probe",
    "sixel",
]
