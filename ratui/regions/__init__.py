"""Regions of the joints of a case: starting boxes, propagation between films, editing, validation."""

from ratui.regions.validation import Fault, FaultKind, faults, lies_mirrored

__all__ = ["Fault", "FaultKind", "faults", "lies_mirrored"]
