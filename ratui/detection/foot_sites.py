"""Names of the sites of a foot and of the further landmarks from which its size follows."""

from __future__ import annotations

from ratui.scheme import Scheme

__all__ = ["FOOT_HELPERS", "FOOT_SITES", "shows_feet"]

FOOT_SITES = ("FIP1", "MTP1", "MTP2", "MTP3", "MTP4", "MTP5")
"""Sites of a foot in `mtss`, in the order of the network's maps."""
FOOT_HELPERS = ("MT1 base", "MT2 base", "MT3 base", "MT4 base", "MT5 base")
"""Bases of the metatarsals, which follow the sites in the network's maps. No scheme scores them, but the length of the
metatarsals tells the size of a foot."""


def shows_feet(scheme: Scheme, view: str) -> bool:
    """Return True if the view of this name shows joints of a foot that the detector finds."""
    return bool(set(scheme.views[view].template) & set(FOOT_SITES))
