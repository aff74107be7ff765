"""Migration of stored documents from older formats, step by step; newer formats are refused.

Pure functions. Each kind of document has one `Migrations`; a step takes a document of one format and returns it in the
next format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ratui.errors import StoreError, clean_text

__all__ = ["Migration", "Migrations"]

Migration: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Migrations:
    """The formats of one kind of document.

    Attributes
    ----------
    kind
        Name of the kind, for errors.
    newest
        The format that this version writes.
    steps
        ``steps[n]`` returns a document of format n in format n + 1.
    """

    kind: str
    newest: int
    steps: Mapping[int, Migration]

    def __post_init__(self) -> None:
        first = min(self.steps, default=self.newest)
        assert set(self.steps) == set(range(first, self.newest)), "a step is missing"

    def migrate(self, document: Mapping[str, Any], where: object = "") -> dict[str, Any]:
        """Return `document`, which states its ``format``, in the newest format; the argument is not changed.

        Raises StoreError, naming `where`, for a newer or unknown format.
        """
        found = document.get("format")
        if isinstance(found, int) and not isinstance(found, bool) and found > self.newest:
            raise StoreError(
                f"the {self.kind} has format {found}, this version reads up to {self.newest}",
                where,
                "Update ratui; nothing was changed",
            )
        if found != self.newest and found not in self.steps:
            raise StoreError(
                f"the {self.kind} has no known format: {clean_text(found)}", where, "Restore it from a backup"
            )
        result = dict(document)
        for number in range(int(str(found)), self.newest):
            result = {**self.steps[number](result), "format": number + 1}
        return result
