"""What a check found, as values."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CheckReport", "Finding"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with `file`, a path inside the study.

    `remedy` is how it can be mended by proof, empty where nothing proves how; `repaired` whether that was done. `advice`
    is what a person can do.
    """

    file: str
    what: str
    remedy: str = ""
    repaired: bool = False
    advice: str = ""


@dataclass(frozen=True)
class CheckReport:
    """All findings, in the order of the files; `notes` are things worth knowing that are no fault."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    files: int

    @property
    def is_intact(self) -> bool:
        return not self.findings

    @property
    def unrepaired(self) -> tuple[Finding, ...]:
        """What is still wrong."""
        return tuple(finding for finding in self.findings if not finding.repaired)

    @property
    def is_repairable(self) -> bool:
        """Whether all that is still wrong could be mended by proof."""
        return all(finding.remedy for finding in self.unrepaired)
