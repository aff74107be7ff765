"""Names of the sites of a wrist and of the finger joints from which it is searched, as in the schemes of ratui."""

from __future__ import annotations

__all__ = ["FINGER_JOINTS", "WRIST_SITES"]

WRIST_SITES = (
    "CMC1", "MULT", "NAV", "LUN", "RAD", "ULN", "CMC3", "CMC4", "CMC5", "MULT-NAV", "CAP-NAV-LUN", "RC",
)  # fmt: skip
"""Sites of a wrist in `mtss-hands`, in the order of the network's maps."""
FINGER_JOINTS = ("IP1", "PIP2", "PIP3", "PIP4", "PIP5", "MCP1", "MCP2", "MCP3", "MCP4", "MCP5")
"""Finger joints of a hand, in the order of the shape model."""
