"""Every key of the app in one table, what a user has remapped, and the names of keys that terminals send differently.

Keys for grades, findings and reasons come from the scheme through `options`; here is what is left. What an action is called
stands in the message files (``actions.<screen>.<name>``).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ratui.errors import SchemeError, SettingsError, clean_text
from ratui.reading import Entry, EntryOptions, FindingEntry, GradeEntry, NotAssessableEntry
from ratui.scheme import Scheme
from ratui.tui.i18n.catalog import Catalog

__all__ = [
    "ACTIONS",
    "ENTRY_SCREENS",
    "RESERVED_KEYS",
    "TEXT_INPUT_SCREENS",
    "Action",
    "Keymap",
    "all_entry_keys",
    "format_key",
    "key_for_entry",
    "map_keys_to_entries",
    "normalize_key",
]

ENTRY_SCREENS = ("scoring", "second_look")
"""Screens where grades and findings are entered: their keys are taken there."""
TEXT_INPUT_SCREENS = ("worklist",)
"""Screens where characters are text, such as a filter: an action there needs a key without one."""
RESERVED_KEYS = {"ctrl+q": "leaves ratui", "ctrl+p": "opens the list of commands", "ctrl+c": "belongs to the terminal"}
"""Keys that mean the same everywhere."""
_TERMINAL_ALIASES = {"ctrl+i": "Tab", "ctrl+m": "Enter", "ctrl+j": "Enter", "ctrl+h": "⌫", "ctrl+[": "Esc"}
_KEY_NAMES = frozenset(
    {
        "enter",
        "escape",
        "tab",
        "shift+tab",
        "backspace",
        "delete",
        "insert",
        "space",
        "home",
        "end",
        "pageup",
        "pagedown",
    }
    | {
        f"{modifier}{arrow}"
        for modifier in ("", "shift+", "ctrl+", "alt+")
        for arrow in ("left", "right", "up", "down")
    }
    | {f"f{number}" for number in range(1, 13)}
    | {f"{modifier}+{letter}" for modifier in ("ctrl", "alt") for letter in "abcdefghijklmnopqrstuvwxyz"}
)
# What a Japanese input method makes of keys that have no full-width twin, or another one.
_FULL_WIDTH = str.maketrans({"ー": "-", "−": "-", "・": "/", "。": ".", "、": ",", "「": "[", "」": "]", "〜": "~"})
_KEYS_ABOVE_9 = "tq"  # keys of the grades 10 and 11, which have no digit
_KEY_LABELS = {
    "enter": "Enter",
    "escape": "Esc",
    "tab": "Tab",
    "shift+tab": "Shift-Tab",
    "backspace": "⌫",
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
    "space": "Space",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "delete": "Del",
    "insert": "Ins",
    "home": "Home",
    "end": "End",
}


@dataclass(frozen=True)
class Action:
    """A command on one screen. `key` is a character, or Textual's name of a key without one."""

    screen: str
    key: str
    name: str

    @property
    def id(self) -> str:
        """What a user's settings call it."""
        return f"{self.screen}.{self.name}"

    def label(self, t: Catalog) -> str:
        """What the bottom lines call it; empty where it doesn't stand there."""
        return t(f"actions.{self.id}.label")

    def help(self, t: Catalog) -> str:
        """What it does, in one line."""
        return t(f"actions.{self.id}.help")


_FILM_ACTIONS = (
    ("b", "blink"),
    ("d", "difference"),
    ("w", "window"),
    (".", "brighter"),
    (",", "darker"),
    (">", "harder"),
    ("<", "softer"),
    ("i", "invert"),
    ("e", "local"),
    ("g", "lens"),
    ("H", "pan_left"),
    ("L", "pan_right"),
    ("K", "pan_up"),
    ("J", "pan_down"),
)
"""Keys that look at the films of a joint, the same wherever joints are judged."""

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
    Action("worklist", "backspace", "rub"),
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
    Action("regions", "tab", "next"),
    Action("regions", "shift+tab", "previous"),
    Action("regions", "s", "swap"),
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
    Action("scoring", "o", "overview"),
    Action("scoring", "?", "help"),
    Action("scoring", "escape", "leave"),
    Action("second_look", "enter", "keep"),
    Action("second_look", "x", "reasons"),
    Action("second_look", "left", "back"),
    Action("second_look", "right", "forward"),
    Action("second_look", "tab", "next_field"),
    Action("second_look", "u", "undo"),
    Action("second_look", "f", "flag"),
    Action("second_look", "m", "note"),
    Action("second_look", "z", "zoom"),
    *(Action("second_look", key, name) for key, name in _FILM_ACTIONS),
    Action("second_look", "?", "help"),
    Action("second_look", "escape", "leave"),
    Action("overview", "S", "sign"),
    Action("overview", "enter", "go"),
    Action("overview", "r", "look_again"),
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
)


class Keymap:
    """The actions with their keys, after a user's changes."""

    def __init__(
        self, changes: Mapping[str, str] | None = None, scheme: Scheme | None = None, *, source: str = "[keys]"
    ) -> None:
        """`changes` maps an action's id to its new key; `source` is the file they come from.

        Raises SettingsError for an unknown action, a key that no terminal sends, and one that is taken; SchemeError where a
        finding of `scheme` takes a key that a screen needs itself.
        """
        changes = {id: _normalize_width(key) for id, key in (changes or {}).items()}
        self._source = source
        known = {action.id for action in ACTIONS}
        for id in changes:
            if id not in known:
                raise SettingsError(f"there is no action {clean_text(id)!r}", source, "ratui keys lists them all")
        self.actions = tuple(replace(action, key=changes.get(action.id, action.key)) for action in ACTIONS)
        self._by_id = {action.id: action for action in self.actions}
        self._by_key: dict[tuple[str, str], Action] = {}
        for action in self.actions:
            if action.id in changes:
                self._check(action)
            other = self._by_key.setdefault((action.screen, action.key), action)
            if other is not action:
                raise self._key_error(action, f"is that of {other.id} too")
        for finding in scheme.findings if scheme else ():
            for screen in ENTRY_SCREENS:
                taken = self.find(screen, finding.key)
                if taken and taken.id in changes:
                    raise self._key_error(taken, f"is that of the finding {clean_text(finding.label)}")
                if taken or _is_grade_key(finding.key, _highest_grade(scheme)):
                    use = taken.id if taken else "a grade"
                    raise SchemeError(
                        f"the key {finding.key!r} of {finding.id} is taken by: {use}", "scheme", "Choose another key"
                    )

    def _check(self, action: Action) -> None:
        """Raises SettingsError where the key of `action` can't be one."""
        key = action.key
        if key in _TERMINAL_ALIASES:
            raise self._key_error(action, f"reaches ratui as {_TERMINAL_ALIASES[key]}")
        if len(key) != 1 and key not in _KEY_NAMES:
            raise self._key_error(action, 'is no key: write one character, or a name such as "f5", "ctrl+u", "pageup"')
        if key in RESERVED_KEYS and key != next(a.key for a in ACTIONS if a.id == action.id):
            raise self._key_error(action, RESERVED_KEYS[key])
        if action.screen in ENTRY_SCREENS and _is_grade_key(key):
            raise self._key_error(action, "is a grade's")
        if action.screen in TEXT_INPUT_SCREENS and len(key) == 1 and (key.isalnum() or key == " "):
            raise self._key_error(action, "is typed into the filter there")

    def _key_error(self, action: Action, why: str) -> SettingsError:
        what = f"the key {clean_text(action.key)!r} of {action.id} {why}"
        return SettingsError(what, self._source, "Choose another; ratui keys shows what is taken")

    def find(self, screen: str, key: str) -> Action | None:
        """The action of `key` on `screen`, or None."""
        return self._by_key.get((screen, key))

    def list_actions(self, screen: str) -> tuple[Action, ...]:
        """The actions of `screen`, in the order of the table."""
        return tuple(action for action in self.actions if action.screen == screen)

    def key(self, id: str) -> str:
        """The key of the action `id`, as `normalize_key` names it. Raises KeyError for an unknown one."""
        return self._by_id[id].key

    def key_label(self, id: str) -> str:
        """The key of the action `id`, as it is printed."""
        return format_key(self.key(id))


def _is_grade_key(key: str, highest: int = 9 + len(_KEYS_ABOVE_9)) -> bool:
    """Whether `key` enters a grade, of those up to `highest`. A user's keys hold for every scheme, so for the highest."""
    return key.isdecimal() or key in _KEYS_ABOVE_9[: max(highest - 9, 0)]


def _highest_grade(scheme: Scheme | None) -> int:
    return (
        max((grades[-1].value for joint in scheme.joints for grades in joint.grades.values()), default=0)
        if scheme
        else 0
    )


def format_key(key: str) -> str:
    """`key` as it is printed."""
    if key in _KEY_LABELS:
        return _KEY_LABELS[key]
    modifier, plus, name = key.rpartition("+")
    if plus and modifier:
        return f"{modifier.capitalize()}-{_KEY_LABELS.get(name, name.upper())}"
    return key if len(key) == 1 else key.capitalize()


def normalize_key(character: str | None, key: str) -> str:
    """The name of a pressed key as `ACTIONS` has it. What an East Asian input method sends counts as the plain key."""
    if character is not None and character.isprintable() and character not in (" ", "\u3000"):
        return _normalize_width(character)
    return "space" if character in (" ", "\u3000") else key


def _normalize_width(text: str) -> str:
    return unicodedata.normalize("NFKC", text.translate(_FULL_WIDTH))


def key_for_entry(scheme: Scheme, entry: Entry) -> str:
    """The key that makes `entry`."""
    match entry:
        case GradeEntry(grade):
            return str(grade) if grade < 10 else _KEYS_ABOVE_9[grade - 10]
        case FindingEntry(id):
            return scheme.finding(id).key
        case NotAssessableEntry(id):
            return scheme.reason(id).key


def all_entry_keys(scheme: Scheme) -> frozenset[str]:
    """Return every key that enters something under `scheme`: grades, findings and reasons."""
    grades = [*"0123456789", *_KEYS_ABOVE_9[: max(_highest_grade(scheme) - 9, 0)]]
    findings = [finding.key for finding in scheme.findings]
    return frozenset((*grades, *findings, *(reason.key for reason in scheme.reasons)))


def map_keys_to_entries(scheme: Scheme, options: EntryOptions) -> dict[str, Entry]:
    """What each key enters now: grades and findings. Reasons have a choice of their own."""
    entries = [entry for entry in options.entries if not isinstance(entry, NotAssessableEntry)]
    return {key_for_entry(scheme, entry): entry for entry in entries}
