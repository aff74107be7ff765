"""What this terminal can show and how: probed once, before the app starts. It knows nothing of films or scores."""

from ratui.terminal.bandwidth import FENCE, Link
from ratui.terminal.display import PROTOCOLS, Display
from ratui.terminal.doctor import advice, report, show_card
from ratui.terminal.frame_cache import FrameCache
from ratui.terminal.frames import Frame, HalfCells, KittyFrame, SixelFrame, encode, encode_coarse
from ratui.terminal.probe import NEAR, cell_by_ioctl, parse_answers, probe
from ratui.terminal.resolution import LEAST, Fit, fit_of, joint_fit
from ratui.terminal.sixel import decode_sixel, sixel
from ratui.terminal.test_card import CHECKS, card

__all__ = [
    "CHECKS",
    "FENCE",
    "LEAST",
    "NEAR",
    "PROTOCOLS",
    "Display",
    "Fit",
    "Frame",
    "FrameCache",
    "HalfCells",
    "KittyFrame",
    "Link",
    "SixelFrame",
    "advice",
    "card",
    "cell_by_ioctl",
    "decode_sixel",
    "encode",
    "encode_coarse",
    "fit_of",
    "joint_fit",
    "parse_answers",
    "probe",
    "report",
    "show_card",
    "sixel",
]
