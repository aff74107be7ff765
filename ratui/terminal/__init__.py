"""What this terminal can show and how: probed once, before the app starts. It knows nothing of films or scores."""

from ratui.terminal.display import PROTOCOLS, Display
from ratui.terminal.frames import Frame, FrameCache, HalfCells, KittyFrame, SixelFrame, encode
from ratui.terminal.probe import parse_answers, probe
from ratui.terminal.sixel import decode_sixel, sixel

__all__ = [
    "PROTOCOLS",
    "Display",
    "Frame",
    "FrameCache",
    "HalfCells",
    "KittyFrame",
    "SixelFrame",
    "decode_sixel",
    "encode",
    "parse_answers",
    "probe",
    "sixel",
]
