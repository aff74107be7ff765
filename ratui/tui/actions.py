"""Every key of the app in one table, and the names of keys that terminals send differently.

Keys for grades, findings and reasons come from the scheme through `options`; here is what is left.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from ratui.errors import SchemeError
from ratui.reading import Entry, Found, Graded, NotAssessable, Options
from ratui.scheme import Scheme

__all__ = ["ACTIONS", "Action", "check_scheme_keys", "entry_key", "entry_keys", "key_name"]

_TENS = "tq"  # keys of the grades 10 and 11, which have no digit


@dataclass(frozen=True)
class Action:
    """A command with its key, on one screen. `key` is a character, or Textual's name of a key without one."""

    screen: str
    key: str
    name: str
    label: str
    meaning: str

    @property
    def shown(self) -> str:
        """The key as it is printed."""
        names = {"enter": "Enter", "escape": "Esc", "tab": "Tab", "shift+tab": "Shift-Tab", "backspace": "⌫"}
        return names.get(self.key, {"left": "←", "right": "→", "up": "↑", "down": "↓"}.get(self.key, self.key))


ACTIONS: tuple[Action, ...] = (
    Action("worklist", "enter", "open", "open", "open the case where it was left"),
    Action("worklist", "escape", "clear_filter", "all cases", "show all cases again"),
    Action("worklist", "?", "help", "help", "all keys"),
    Action("worklist", "ctrl+q", "quit", "quit", "leave; everything is saved"),
    Action("regions", "enter", "accept", "accept", "this box is right; go to the next"),
    Action("regions", "A", "accept_all", "accept all", "all boxes left on this film are right"),
    Action("regions", "left", "move_left", "", "move the box"),
    Action("regions", "right", "move_right", "", "move the box"),
    Action("regions", "up", "move_up", "", "move the box"),
    Action("regions", "down", "move_down", "", "move the box"),
    Action("regions", "H", "far_left", "", "move the box by half its size"),
    Action("regions", "L", "far_right", "", "move the box by half its size"),
    Action("regions", "K", "far_up", "", "move the box by half its size"),
    Action("regions", "J", "far_down", "", "move the box by half its size"),
    Action("regions", "+", "larger", "larger", "make the box larger"),
    Action("regions", "-", "smaller", "smaller", "make the box smaller"),
    Action("regions", "tab", "next", "next", "next box"),
    Action("regions", "shift+tab", "previous", "", "previous box"),
    Action("regions", "s", "swap", "swap sides", "mirror the unconfirmed boxes: this film lies the other way"),
    Action("regions", "x", "absent", "not on this film", "the joint isn't on this film, or is again"),
    Action("regions", "?", "help", "help", "all keys"),
    Action("regions", "escape", "leave", "worklist", "back to the worklist; what was accepted stays"),
    Action("scoring", "n", "normal", "all normal", "0 in all open fields of this joint"),
    Action("scoring", "=", "same", "same as the other", "the same as at the other time point"),
    Action("scoring", "x", "reasons", "not assessable", "no score here, and why"),
    Action("scoring", "u", "undo", "undo", "take the last entry back"),
    Action("scoring", "backspace", "clear", "", "empty this field"),
    Action("scoring", "left", "previous_joint", "", "previous joint"),
    Action("scoring", "right", "next_joint", "", "next joint"),
    Action("scoring", "tab", "next_field", "", "next field of this joint"),
    Action("scoring", "z", "zoom", "zoom", "closer, closest, wide"),
    Action("scoring", "w", "window", "window", "grey levels of the joint, of the film, of the file"),
    Action("scoring", "/", "go_to", "go to", "type a joint's name"),
    Action("scoring", "r", "regions", "regions", "correct the boxes"),
    Action("scoring", "o", "overview", "overview", "all joints of the case"),
    Action("scoring", "?", "help", "help", "all keys and grades"),
    Action("scoring", "escape", "leave", "worklist", "back to the worklist; everything is saved"),
    Action("overview", "S", "sign", "sign", "finish this reading and lock it"),
    Action("overview", "enter", "go", "read this joint", "go to the joint under the cursor"),
    Action("overview", "?", "help", "help", "all keys"),
    Action("overview", "escape", "leave", "back", "back"),
)


def key_name(character: str | None, key: str) -> str:
    """The name of a pressed key as `ACTIONS` has it. Full-width forms, as East Asian input methods send, count as plain."""
    if character is not None and character.isprintable() and character != " ":
        return unicodedata.normalize("NFKC", character)
    return key


def entry_key(scheme: Scheme, entry: Entry) -> str:
    """The key that makes `entry`."""
    match entry:
        case Graded(grade):
            return str(grade) if grade < 10 else _TENS[grade - 10]
        case Found(id):
            return scheme.finding(id).key
        case NotAssessable(id):
            return scheme.reason(id).key


def entry_keys(scheme: Scheme, options: Options) -> dict[str, Entry]:
    """What each key enters now: grades and findings. Reasons have a choice of their own."""
    entries = [entry for entry in options.entries if not isinstance(entry, NotAssessable)]
    return {entry_key(scheme, entry): entry for entry in entries}


def check_scheme_keys(scheme: Scheme) -> None:
    """Raises SchemeError where a finding's key is one that the scoring screen needs itself."""
    taken = {action.key: action.label or action.meaning for action in ACTIONS if action.screen == "scoring"}
    for finding in scheme.findings:
        if finding.key in taken or finding.key.isdigit() or finding.key in _TENS:
            use = taken.get(finding.key, "a grade")
            raise SchemeError(
                f"the key {finding.key!r} of {finding.id} is taken by: {use}", scheme.name, "Choose another key"
            )
