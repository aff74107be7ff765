"""Verdicts of models on films: whether a film is like those that the model learned from.

On other films a model gives no answer. Its reason is stored beside its predictions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ratui.errors import StoreError, clean_text
from ratui.stored_values import ODD_VALUE_ERRORS, as_number, as_text

__all__ = ["DomainReason", "DomainVerdict", "verdict_from_record", "verdict_to_record"]

_REMEDY = "Run ratui-train propose again"


class DomainReason(StrEnum):
    """Reason why a model gives no answer for a film."""

    UNLIKE = "unlike"
    FEW_JOINTS = "few joints"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class DomainVerdict:
    """A model's verdict on a film.

    `score` is above 1 for a film unlike those that the model learned from, and None if it can't be computed. `reason` is
    None if the model answers.
    """

    score: float | None
    reason: DomainReason | None

    @property
    def is_like(self) -> bool:
        """True if the model answers for this film."""
        return self.reason is None


def verdict_to_record(film: str, verdict: DomainVerdict) -> dict[str, Any]:
    """Return the verdict on the film with the ID `film` as it is stored."""
    reason = str(verdict.reason) if verdict.reason else ""
    return {"film": film, "reason": reason, **({} if verdict.score is None else {"score": verdict.score})}


def verdict_from_record(record: Mapping[str, Any], where: object = "") -> tuple[str, DomainVerdict]:
    """Return film and verdict of a stored record. Raises StoreError, naming the file `where`."""
    try:
        reason = as_text(record["reason"])
        score = as_number(record["score"], 0.0, 1e9) if "score" in record else None
        return as_text(record["film"]), DomainVerdict(score, DomainReason(reason) if reason else None)
    except ODD_VALUE_ERRORS as error:
        raise StoreError(f"not a verdict of a model: {clean_text(error)}", where, _REMEDY) from error
