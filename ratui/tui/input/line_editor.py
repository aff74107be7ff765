"""A line that is typed key by key: a name to go to, a note. It knows no widget, nor what the line is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["TypedLine"]


@dataclass
class TypedLine:
    """The text so far, of at most `limit` characters; the cursor is always behind it."""

    text: str = ""
    limit: int = 200

    def key(self, name: str) -> Literal["typing", "taken", "dropped"]:
        """What the key `name` makes of the line: Enter takes it, Esc drops it, others type or rub out."""
        match name:
            case "enter":
                return "taken"
            case "escape":
                return "dropped"
            case "backspace":
                self.text = self.text[:-1]
            case "ctrl+u":
                self.text = ""
            case _:
                self.text = (self.text + _character(name))[: self.limit]
        return "typing"


def _character(name: str) -> str:
    return " " if name == "space" else name if len(name) == 1 else ""
