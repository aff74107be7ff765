"""Regions of the joints of a case: initial boxes, propagation between films, editing, validation."""

from ratui.regions.validation import FaultKind, RegionFault, find_faults, is_mirrored

__all__ = ["FaultKind", "RegionFault", "find_faults", "is_mirrored"]
