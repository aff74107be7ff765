"""The actions of all screens with their default keys."""

from __future__ import annotations

from dataclasses import dataclass

from ratui.tui.i18n.catalog import Catalog

__all__ = ["ACTIONS", "Action"]


@dataclass(frozen=True)
class Action:
    """A command on one screen."""

    screen: str
    """Name of the screen."""
    key: str
    """Key as `normalize_key` names it: a character, or Textual's name of a key without a character."""
    name: str
    """Name of the action, unique on its screen."""

    @property
    def id(self) -> str:
        """Identifier of the action in the user's settings: ``scoring.undo``."""
        return f"{self.screen}.{self.name}"

    def label(self, t: Catalog) -> str:
        """Return the label of the action in the key bar; empty if it is not listed there."""
        return t(f"actions.{self.id}.label")

    def help(self, t: Catalog) -> str:
        """Return a description of the action in one line."""
        return t(f"actions.{self.id}.help")


_FILM_ACTIONS = (
    ("b", "blink"),
    ("d", "difference"),
    ("w", "window"),
    (".", "brighter"),
    (",", "darker"),
    (">", "more_contrast"),
    ("<", "less_contrast"),
    ("i", "invert"),
    ("e", "local"),
    ("W", "reset_greys"),
    ("g", "lens"),
    ("M", "marks"),
    ("T", "upright"),
    ("H", "pan_left"),
    ("L", "pan_right"),
    ("K", "pan_up"),
    ("J", "pan_down"),
)
"""Keys for the display of a joint's films, the same on all screens that show joints."""

ACTIONS: tuple[Action, ...] = (
    Action("worklist", "enter", "open"),
    Action("worklist", "tab", "contact_sheet"),
    Action("worklist", "ctrl+e", "evaluation"),
    Action("worklist", "ctrl+n", "next"),
    Action("worklist", "up", "up"),
    Action("worklist", "down", "down"),
    Action("worklist", "pageup", "page_up"),
    Action("worklist", "pagedown", "page_down"),
    Action("worklist", "home", "first"),
    Action("worklist", "end", "last"),
    Action("worklist", "backspace", "delete_character"),
    Action("worklist", "escape", "clear_filter"),
    Action("worklist", "?", "help"),
    Action("worklist", "ctrl+q", "quit"),
    Action("regions", "enter", "accept"),
    Action("regions", "A", "accept_all"),
    Action("regions", "left", "move_left"),
    Action("regions", "right", "move_right"),
    Action("regions", "up", "move_up"),
    Action("regions", "down", "move_down"),
    Action("regions", "H", "far_left"),
    Action("regions", "L", "far_right"),
    Action("regions", "K", "far_up"),
    Action("regions", "J", "far_down"),
    Action("regions", "+", "larger"),
    Action("regions", "-", "smaller"),
    Action("regions", "a", "whole_hand"),
    Action("regions", "[", "rotate_left"),
    Action("regions", "]", "rotate_right"),
    Action("regions", "shift+left", "go_left"),
    Action("regions", "shift+right", "go_right"),
    Action("regions", "shift+up", "go_up"),
    Action("regions", "shift+down", "go_down"),
    Action("regions", "tab", "next"),
    Action("regions", "shift+tab", "previous"),
    Action("regions", "s", "swap"),
    Action("regions", "t", "turn"),
    Action("regions", "m", "mirror"),
    Action("regions", "x", "absent"),
    Action("regions", "u", "undo"),
    Action("regions", "pageup", "previous_film"),
    Action("regions", "pagedown", "next_film"),
    Action("regions", "?", "help"),
    Action("regions", "escape", "leave"),
    Action("scoring", "n", "normal"),
    Action("scoring", "=", "same"),
    Action("scoring", "x", "reasons"),
    Action("scoring", "u", "undo"),
    Action("scoring", "backspace", "clear"),
    Action("scoring", "left", "previous_joint"),
    Action("scoring", "right", "next_joint"),
    Action("scoring", "tab", "next_field"),
    Action("scoring", "f", "flag"),
    Action("scoring", "m", "note"),
    Action("scoring", "v", "whole"),
    Action("scoring", "z", "zoom"),
    *(Action("scoring", key, name) for key, name in _FILM_ACTIONS),
    Action("scoring", "/", "go_to"),
    Action("scoring", "r", "regions"),
    Action("scoring", "A", "answers"),
    Action("scoring", "o", "overview"),
    Action("scoring", "?", "help"),
    Action("scoring", "escape", "leave"),
    Action("review", "enter", "keep"),
    Action("review", "x", "reasons"),
    Action("review", "left", "back"),
    Action("review", "right", "forward"),
    Action("review", "tab", "next_field"),
    Action("review", "u", "undo"),
    Action("review", "f", "flag"),
    Action("review", "m", "note"),
    Action("review", "z", "zoom"),
    *(Action("review", key, name) for key, name in _FILM_ACTIONS),
    Action("review", "?", "help"),
    Action("review", "escape", "leave"),
    Action("overview", "S", "sign"),
    Action("overview", "enter", "go"),
    Action("overview", "r", "review"),
    Action("overview", "R", "reopen"),
    Action("overview", "T", "take_over"),
    Action("overview", "tab", "next_open"),
    Action("overview", "left", "left"),
    Action("overview", "right", "right"),
    Action("overview", "up", "up"),
    Action("overview", "down", "down"),
    Action("overview", "?", "help"),
    Action("overview", "escape", "leave"),
    Action("contact", "enter", "open"),
    Action("contact", "tab", "next_site"),
    Action("contact", "shift+tab", "previous_site"),
    Action("contact", "s", "other_side"),
    Action("contact", "o", "sort"),
    Action("contact", "z", "zoom"),
    Action("contact", "left", "left"),
    Action("contact", "right", "right"),
    Action("contact", "up", "up"),
    Action("contact", "down", "down"),
    Action("contact", "pageup", "page_up"),
    Action("contact", "pagedown", "page_down"),
    Action("contact", "?", "help"),
    Action("contact", "escape", "leave"),
    Action("evaluation", "right", "next"),
    Action("evaluation", "left", "previous"),
    Action("evaluation", "tab", "next_model"),
    Action("evaluation", "up", "up"),
    Action("evaluation", "down", "down"),
    Action("evaluation", "pageup", "page_up"),
    Action("evaluation", "pagedown", "page_down"),
    Action("evaluation", "?", "help"),
    Action("evaluation", "escape", "leave"),
    Action("import", "t", "take"),
    Action("import", "x", "leave_out"),
    Action("import", "c", "choose"),
    Action("import", "l", "side_left"),
    Action("import", "r", "side_right"),
    Action("import", "b", "side_both"),
    Action("import", "v", "view"),
    Action("import", "1", "earlier"),
    Action("import", "2", "later"),
    Action("import", "d", "dates"),
    Action("import", "u", "undo"),
    Action("import", "n", "next_doubtful"),
    Action("import", "a", "all"),
    Action("import", "p", "path"),
    Action("import", "S", "save"),
    Action("import", "I", "import"),
    Action("import", "left", "left"),
    Action("import", "right", "right"),
    Action("import", "up", "up"),
    Action("import", "down", "down"),
    Action("import", "pageup", "page_up"),
    Action("import", "pagedown", "page_down"),
    Action("import", "home", "first"),
    Action("import", "end", "last"),
    Action("import", "?", "help"),
    Action("import", "escape", "leave"),
    Action("start", "enter", "open"),
    Action("start", "d", "demo"),
    Action("start", "p", "practise"),
    Action("start", "o", "other"),
    Action("start", "n", "new"),
    Action("start", "i", "import"),
    Action("start", "t", "doctor"),
    Action("start", "delete", "forget"),
    Action("start", "up", "up"),
    Action("start", "down", "down"),
    Action("start", "home", "first"),
    Action("start", "end", "last"),
    Action("start", "?", "help"),
    Action("start", "q", "quit"),
)
