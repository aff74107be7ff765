"""The result of a check. Values only."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CheckFault", "CheckReport"]


@dataclass(frozen=True)
class CheckFault:
    """One fault of a study.

    Attributes
    ----------
    file
        Path inside the study.
    problem
        Description of the fault.
    remedy
        Repair that can be proven right, such as "restored from its second copy"; empty if there is none.
    repaired
        The repair was done.
    advice
        What a person can do, else empty.
    """

    file: str
    problem: str
    remedy: str = ""
    repaired: bool = False
    advice: str = ""


@dataclass(frozen=True)
class CheckReport:
    """All faults of a study.

    Attributes
    ----------
    faults
        The faults, in the order of the files.
    notes
        Remarks that are no fault.
    files
        Number of files that were checked.
    """

    faults: tuple[CheckFault, ...]
    notes: tuple[str, ...]
    files: int

    @property
    def is_intact(self) -> bool:
        """True if there is no fault."""
        return not self.faults

    @property
    def unrepaired(self) -> tuple[CheckFault, ...]:
        """Faults that were not repaired."""
        return tuple(fault for fault in self.faults if not fault.repaired)

    @property
    def is_repairable(self) -> bool:
        """True if every fault that is left has a proven repair."""
        return all(fault.remedy for fault in self.unrepaired)
