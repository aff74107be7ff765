"""A line of text that is typed key by key, such as a note. It depends on no widget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["LineEditor"]


@dataclass
class LineEditor:
    """A line of text with the cursor at its end."""

    text: str = ""
    """Text so far."""
    limit: int = 200
    """Greatest number of characters. Further ones are ignored."""

    def process_key(self, name: str) -> Literal["typing", "accepted", "cancelled"]:
        """Process the key `name`.

        Enter accepts the line, Esc cancels it, Backspace deletes the last character, Ctrl-U all. Other keys are typed.

        Returns
        -------
        str
            ``accepted`` or ``cancelled`` if the line is finished, otherwise ``typing``.
        """
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
