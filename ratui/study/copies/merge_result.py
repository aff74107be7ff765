"""The class `MergeResult`. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["MergeOutcome", "MergeResult"]

MergeOutcome: TypeAlias = Literal["added", "continued", "conflict", "skipped"]


@dataclass(frozen=True)
class MergeResult:
    """The outcome for one thing of the other study.

    Attributes
    ----------
    outcome
        ``added``, ``continued`` (a reading with more entries), ``conflict`` (nothing was changed) or ``skipped`` (of raters
        who are not named).
    item
        Description of the thing, such as ``reading of C-1 by anna``.
    reason
        What differs, in a conflict.
    case
        Name of the case, for films.
    """

    outcome: MergeOutcome
    item: str
    reason: str = ""
    case: str = ""
