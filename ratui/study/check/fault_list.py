"""The class `FaultList`: the faults found so far, each repaired at once if a repair is wanted and proven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ratui.errors import RatuiError
from ratui.study.check.report import CheckFault, CheckReport

__all__ = ["FaultList"]


class FaultList:
    """The faults and remarks of a check.

    Parameters
    ----------
    repair
        Repair faults with a proven repair.

    Attributes
    ----------
    repair
        Whether faults are repaired when they are added.
    files
        Number of files that were checked.
    notes
        Remarks that are no fault.
    tidy_up
        Number of remarks about something that a repair would tidy up.
    """

    def __init__(self, repair: bool) -> None:
        self.repair = repair
        self.files = 0
        self.notes: list[str] = []
        self.tidy_up = 0
        self._faults: list[CheckFault] = []

    def __len__(self) -> int:
        return len(self._faults)

    def add(
        self,
        file: str,
        problem: str,
        remedy: str = "",
        act: Callable[[], object] | None = None,
        advice: str = "",
    ) -> None:
        """Add a fault, and repair it if a repair is wanted.

        Parameters
        ----------
        file
            Path inside the study.
        problem
            Description of the fault.
        remedy
            Repair that can be proven right; empty if there is none.
        act
            Function that does the repair. A RatuiError of it becomes the advice.
        advice
            What a person can do if there is no remedy.
        """
        repaired = False
        advice = "" if remedy else advice
        if remedy and act is not None and self.repair:
            try:
                act()
                repaired = True
            except RatuiError as error:
                advice = f"{error.problem}. {error.remedy}"
        self._faults.append(CheckFault(file, problem, remedy, repaired, advice))

    def add_note(self, text: str, remedy: str = "", act: Callable[[], object] | None = None) -> None:
        """Add a remark that is no fault; if repair is on, tidy up by `act` and say so by `remedy`."""
        if act is not None and not self.repair:
            self.tidy_up += 1
        elif act is not None:
            try:
                act()
                text = f"{text}; {remedy}"
            except RatuiError as error:
                text = f"{text}; not {remedy}: {error.problem}"
        self.notes.append(text)

    def extend(self, faults: list[CheckFault]) -> None:
        """Add faults that were repaired already where a repair is possible."""
        self._faults += faults

    def remove_after(self, length: int) -> None:
        """Remove the faults that were added after there were `length` of them."""
        del self._faults[length:]

    def advise_after(self, length: int, advice: str) -> None:
        """Give each fault after the first `length` this advice."""
        self._faults[length:] = [replace(each, advice=advice) for each in self._faults[length:]]

    @property
    def can_be_converted(self) -> bool:
        """False if a fault with a remedy was not repaired."""
        return not any(fault.remedy and not fault.repaired for fault in self._faults)

    def report(self) -> CheckReport:
        """Return the report of the check."""
        return CheckReport(tuple(self._faults), tuple(self.notes), self.files)
