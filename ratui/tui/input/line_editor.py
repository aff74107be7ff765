"""A line that is typed key by key: a name to go to, a note. It knows no widget, nor what the line is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["LineEditor"]


@dataclass
class LineEditor:
    """The text so far, of at most `limit` characters; the cursor is always behind it."""

    text: str = ""
    limit: int = 200

    def process_key(self, name: str) -> Literal["typing", "accepted", "cancelled"]:
        """What the key `name` makes of the line: Enter takes it, Esc drops it, others type or rub out."""
        match name:
            case "enter":
                return "accepted"
            case "escape":
                return "cancelled"
            case "backspace":
                self.text = self.text[:-1]
            case "ctrl+u":
                self.text = ""
            case _:
                self.text = (self.text + _character(name))[: self.limit]
        return "typing"


def _character(name: str) -> str:
    return " " if name == "space" else name if len(name) == 1 else ""
