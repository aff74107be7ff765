"""What a check found, as values."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding", "Report"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with `file`, a path inside the study.

    `remedy` is how it can be mended by proof, empty where nothing proves how; `mended` whether that was done. `advice`
    is what a person can do.
    """

    file: str
    what: str
    remedy: str = ""
    mended: bool = False
    advice: str = ""


@dataclass(frozen=True)
class Report:
    """All findings, in the order of the files; `notes` are things worth knowing that are no fault."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    files: int

    @property
    def sound(self) -> bool:
        return not self.findings

    @property
    def open(self) -> tuple[Finding, ...]:
        """What is still wrong."""
        return tuple(finding for finding in self.findings if not finding.mended)

    @property
    def provable(self) -> bool:
        """Whether all that is still wrong could be mended by proof."""
        return all(finding.remedy for finding in self.open)
