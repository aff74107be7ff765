"""The actions of all screens with their keys, the user's changes of keys, and the names of keys.

The keys of findings and reasons come from the scheme. The labels of actions are in the message files
(``actions.<screen>.<name>``).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import replace

from ratui.errors import SchemeError, SettingsError, clean_text
from ratui.reading import Entry, EntryOptions, FindingEntry, GradeEntry, NotAssessableEntry
from ratui.scheme import MAX_GRADES, Scheme
from ratui.tui.input.action_table import ACTIONS, Action

__all__ = [
    "ACTIONS",
    "ENTRY_SCREENS",
    "RESERVED_KEYS",
    "TEXT_INPUT_SCREENS",
    "Action",
    "Keymap",
    "format_key",
    "key_for_entry",
    "list_entry_keys",
    "map_keys_to_entries",
    "normalize_key",
]

ENTRY_SCREENS = ("scoring", "review")
"""Screens for grades and findings. Actions there cannot have the keys of answers."""
TEXT_INPUT_SCREENS = ("worklist",)
"""Screens on which letters and digits are typed into a line, such as a filter. Actions there cannot have these as keys."""
RESERVED_KEYS = {"ctrl+q": "leaves ratui", "ctrl+p": "opens the list of commands", "ctrl+c": "belongs to the terminal"}
"""Keys that have the same meaning on all screens, with that meaning."""
# Terminals send the same byte for these keys as for the ones on the right.
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
# Characters of a Japanese input method that Unicode's normalization does not map to the key that was pressed.
_FULL_WIDTH = str.maketrans({"ー": "-", "−": "-", "・": "/", "。": ".", "、": ",", "「": "[", "」": "]", "〜": "~"})
_KEYS_ABOVE_9 = "tq"  # keys of the grades 10 and 11, which have no digit
_REPLY_CHARACTERS = frozenset(";:/?[\\$>")
"""Characters between the numbers of terminal replies."""
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


class Keymap:
    """The actions with their keys, after the user's changes.

    Parameters
    ----------
    changes
        New keys by the id of their action; None for none.
    scheme
        The scheme, whose findings have keys too; None to check no conflicts with findings.
    source
        The file of the changes, for error messages.
    grade_keys
        The user's own keys of grades, by grade, beside the digits; None for none. On a French keyboard the digits need
        Shift.

    Raises
    ------
    SettingsError
        If there is no such action, if no terminal sends the key, or if the key has another meaning on the screen.
    SchemeError
        If a finding of the scheme has a key that a screen needs itself.
    """

    def __init__(
        self,
        changes: Mapping[str, str] | None = None,
        scheme: Scheme | None = None,
        *,
        source: str = "[keys]",
        grade_keys: Mapping[int, str] | None = None,
    ) -> None:
        changes = {id: _normalize_width(key) for id, key in (changes or {}).items()}
        self._source = source
        known = {action.id for action in ACTIONS}
        for id in changes:
            if id not in known:
                raise SettingsError(f"there is no action {clean_text(id)!r}", source, "ratui keys lists all actions")
        self.actions = tuple(replace(action, key=changes.get(action.id, action.key)) for action in ACTIONS)
        self._by_id = {action.id: action for action in self.actions}
        self._by_key: dict[tuple[str, str], Action] = {}
        for action in self.actions:
            if action.id in changes:
                self._check(action)
            other = self._by_key.setdefault((action.screen, action.key), action)
            if other is not action:
                raise self._key_error(action, f"is also the key of {other.id}")
        for finding in scheme.findings if scheme else ():
            for screen in ENTRY_SCREENS:
                taken = self.find(screen, finding.key)
                if taken and taken.id in changes:
                    raise self._key_error(taken, f"is the key of the finding {clean_text(finding.label)}")
                if taken or _is_grade_key(finding.key, _highest_grade(scheme)):
                    use = taken.id if taken else "a grade"
                    raise SchemeError(
                        f"the key {finding.key!r} of {finding.id} is taken by: {use}", "scheme", "Choose another key"
                    )

        self._grade_keys = {grade: _normalize_width(key) for grade, key in (grade_keys or {}).items()}
        """The user's own key of each grade that has one."""
        for grade, key in self._grade_keys.items():
            self._check_grade_key(grade, key, scheme)

    def _check_grade_key(self, grade: int, key: str, scheme: Scheme | None) -> None:
        """Raise SettingsError if `key` cannot enter `grade`."""
        entry_keys = list_entry_keys(scheme) if scheme else frozenset()
        used_by = next((found.id for screen in ENTRY_SCREENS if (found := self.find(screen, key))), "")
        twice = [each for each, other in self._grade_keys.items() if other == key and each != grade]
        if not 0 <= grade < MAX_GRADES:
            why = f"belongs to no grade: the highest one is {MAX_GRADES - 1}"
        elif len(key) != 1 or not key.isprintable() or key == " ":
            why = "is not one character"
        elif key in _REPLY_CHARACTERS:
            why = "is part of replies of terminals, which must not enter a grade"
        elif _is_grade_key(key) or key in entry_keys:
            why = "is the key of another answer"
        elif used_by:
            why = f"is also the key of {used_by}"
        elif twice:
            why = f"is also the key of the grade {twice[0]}"
        else:
            return
        problem = f"the key {clean_text(key)!r} of the grade {grade} {why}"
        raise SettingsError(problem, self._source, "Choose another key; ratui keys lists the keys in use")

    def find_answer_key(self, name: str) -> str:
        """Return the key of the scheme that the pressed key `name` stands for: ``1`` for the user's own key of grade 1."""
        grade = next((grade for grade, key in self._grade_keys.items() if key == name), None)
        return name if grade is None else _grade_key(grade)

    def label_answer(self, scheme: Scheme, entry: Entry) -> str:
        """Return the key that makes `entry`, for display: the user's own key of a grade if there is one."""
        return self.label_answer_key(key_for_entry(scheme, entry))

    def label_answer_key(self, key: str) -> str:
        """Return the key of the scheme `key` for display: the user's own key of a grade if there is one."""
        return next((own for grade, own in self._grade_keys.items() if _grade_key(grade) == key), key)

    def _check(self, action: Action) -> None:
        """Raise SettingsError if `action` cannot have its key."""
        key = action.key
        if key in _TERMINAL_ALIASES:
            raise self._key_error(action, f"is sent by terminals as {_TERMINAL_ALIASES[key]}")
        if len(key) != 1 and key not in _KEY_NAMES:
            raise self._key_error(
                action, 'is not a key: write one character, or a name such as "f5", "ctrl+u", "pageup"'
            )
        if key in RESERVED_KEYS and key != next(a.key for a in ACTIONS if a.id == action.id):
            raise self._key_error(action, RESERVED_KEYS[key])
        if action.screen in ENTRY_SCREENS and _is_grade_key(key):
            raise self._key_error(action, "enters a grade")
        if action.screen in TEXT_INPUT_SCREENS and len(key) == 1 and (key.isalnum() or key == " "):
            raise self._key_error(action, "is typed into the filter on this screen")

    def _key_error(self, action: Action, why: str) -> SettingsError:
        problem = f"the key {clean_text(action.key)!r} of {action.id} {why}"
        return SettingsError(problem, self._source, "Choose another key; ratui keys lists the keys in use")

    def find(self, screen: str, key: str) -> Action | None:
        """Return the action of `key` on `screen`, or None if there is none."""
        return self._by_key.get((screen, key))

    def list_actions(self, screen: str) -> tuple[Action, ...]:
        """Return the actions of `screen`, in the order of `ACTIONS`."""
        return tuple(action for action in self.actions if action.screen == screen)

    def key(self, id: str) -> str:
        """Return the key of the action `id`, as `normalize_key` names it. Raise KeyError if there is no such action."""
        return self._by_id[id].key

    def key_label(self, id: str) -> str:
        """Return the key of the action `id` for display: ``Esc``."""
        return format_key(self.key(id))


def _is_grade_key(key: str, highest: int = 9 + len(_KEYS_ABOVE_9)) -> bool:
    """Return True if `key` enters a grade up to `highest`. The default covers all schemes, as do the user's keys."""
    return key.isdecimal() or key in _KEYS_ABOVE_9[: max(highest - 9, 0)]


def _highest_grade(scheme: Scheme | None) -> int:
    return (
        max((grades[-1].value for joint in scheme.joints for grades in joint.grades.values()), default=0)
        if scheme
        else 0
    )


def format_key(key: str) -> str:
    """Return `key` for display: ``⌫`` for ``backspace``, ``Ctrl-U`` for ``ctrl+u``."""
    if key in _KEY_LABELS:
        return _KEY_LABELS[key]
    modifier, plus, name = key.rpartition("+")
    if plus and modifier:
        return f"{modifier.capitalize()}-{_KEY_LABELS.get(name, name.upper())}"
    return key if len(key) == 1 else key.capitalize()


def normalize_key(character: str | None, key: str) -> str:
    """Return the name of a pressed key, as in `ACTIONS`.

    Parameters
    ----------
    character
        The character of the key. A full-width character of an East Asian input method counts as the usual one. None for
        a key without a character.
    key
        Textual's name of the key.

    Returns
    -------
    str
        The character, or Textual's name if the key has no printable one; ``space`` for spaces.
    """
    if character is not None and character.isprintable() and character not in (" ", "\u3000"):
        return _normalize_width(character)
    return "space" if character in (" ", "\u3000") else key


def _normalize_width(text: str) -> str:
    return unicodedata.normalize("NFKC", text.translate(_FULL_WIDTH))


def _grade_key(grade: int) -> str:
    return str(grade) if grade < 10 else _KEYS_ABOVE_9[grade - 10]


def key_for_entry(scheme: Scheme, entry: Entry) -> str:
    """Return the key that makes `entry` under `scheme`."""
    match entry:
        case GradeEntry(grade):
            return _grade_key(grade)
        case FindingEntry(id):
            return scheme.finding(id).key
        case NotAssessableEntry(id):
            return scheme.reason(id).key


def list_entry_keys(scheme: Scheme) -> frozenset[str]:
    """Return all keys that are reserved for entries: grades, findings, and reasons why a joint can't be scored.

    All ten digits are included, even if the highest grade of `scheme` is lower. Grades above 9 have letters.
    """
    grades = [*"0123456789", *_KEYS_ABOVE_9[: max(_highest_grade(scheme) - 9, 0)]]
    findings = [finding.key for finding in scheme.findings]
    return frozenset((*grades, *findings, *(reason.key for reason in scheme.reasons)))


def map_keys_to_entries(scheme: Scheme, options: EntryOptions) -> dict[str, Entry]:
    """Return the possible grades and findings by their keys. Reasons have a separate choice, with their own keys."""
    entries = [entry for entry in options.entries if not isinstance(entry, NotAssessableEntry)]
    return {key_for_entry(scheme, entry): entry for entry in entries}
