"""The keys of a screen drawn as a keyboard: a box for each key with its name and its action in a few words.

A key stands where the user's settings put it. Boxes of one group have the same frame and colour; a legend names the groups.
The functions make text from a keymap and depend on no widget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ratui.reading import GradeEntry
from ratui.scheme import Scheme
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import Action, Keymap, format_key
from ratui.tui.theme import ACCENT, BRIGHT, HEADING, NOTE, PLAIN, QUIET

__all__ = ["KeyCap", "draw_keyboard", "list_caps"]

_INNER = 9
"""Least number of cells within the box of a letter."""
_SHIFT_INDENT = 2
"""Cells of the name of a key with Shift, and a blank, in front of its action."""
_COLUMNS, _LINES = 10, 2
"""Keys in a row of letters, and lines of an action."""
_NARROWEST, _WIDEST = 5, 16
"""Least width within the box of another key, such as Enter, and largest width within any box."""
_FEW = 4
"""Number of actions from which rows of letters are drawn."""


@dataclass(frozen=True)
class _Frame:
    """The frame of a group of keys: its six characters, and the styles of the frame and of the action."""

    characters: str
    """Left and right upper corner, left and right lower corner, horizontal and vertical line."""
    style: str
    text_style: str


_GROUPS = {
    "answers": _Frame("┏┓┗┛━┃", NOTE, BRIGHT),
    "films": _Frame("╭╮╰╯─│", ACCENT, PLAIN),
    "moves": _Frame("╔╗╚╝═║", QUIET, PLAIN),
    "others": _Frame("┌┐└┘╌┊", PLAIN, PLAIN),
}
"""The groups of keys, in the order of the legend."""
_UNUSED = _Frame("      ", QUIET, QUIET)
# fmt: off
_ANSWERS = (
    "normal", "same", "reasons", "clear", "keep", "accept", "accept_all", "absent", "sign", "take", "leave_out",
    "choose", "side_left", "side_right", "side_both", "earlier", "later", "reading_test.first",
    "reading_test.second", "reading_test.left", "reading_test.right", "regions.move_left", "regions.move_right",
    "regions.move_up", "regions.move_down", "regions.far_left", "regions.far_right", "regions.far_up",
    "regions.far_down", "regions.larger", "regions.smaller", "regions.rotate_left", "regions.rotate_right",
    "regions.whole_hand", "regions.swap",
)
_FILMS = (
    "whole", "zoom", "blink", "difference", "window", "brighter", "darker", "more_contrast", "less_contrast",
    "invert", "local", "reset_greys", "lens", "marks", "upright", "pan_left", "pan_right", "pan_up", "pan_down",
    "turn", "mirror", "view",
)
_MOVES = (
    "up", "down", "left", "right", "page_up", "page_down", "first", "last", "next_group", "previous_group", "next",
    "previous", "next_site", "previous_site", "other_side", "next_joint", "previous_joint", "next_field",
    "next_open", "next_doubtful", "back", "forward", "go_to", "go", "go_left", "go_right", "go_up", "go_down",
    "next_model", "previous_film", "next_film", "go_on", "filter",
)
# fmt: on
_GROUP_OF = {
    name: group for group, names in (("answers", _ANSWERS), ("films", _FILMS), ("moves", _MOVES)) for name in names
}
"""Group by the name of an action, or by its id where the name alone does not tell it."""


@dataclass(frozen=True)
class KeyCap:
    """A key that does something now."""

    key: str
    """Its name, as `ratui.tui.input.actions.normalize_key` returns it."""
    text: str
    """Its action in a few words. A space is a place where a line may end."""
    group: str
    """The group that it belongs to."""


@dataclass(frozen=True)
class _Layout:
    """The characters of a keyboard, row by row: without Shift, and with it."""

    rows: tuple[tuple[str, str], ...]


_LETTERS = (("qwertyuiop", "QWERTYUIOP"), ("asdfghjkl;", "ASDFGHJKL:"), ("zxcvbnm,./", "ZXCVBNM<>?"))
_LAYOUTS = {
    "us": _Layout((("1234567890", "!@#$%^&*()"), *_LETTERS)),
    "jis": _Layout(
        (("1234567890", "!\"#$%&'()\0"), _LETTERS[0], ("asdfghjkl;", "ASDFGHJKL+"), ("zxcvbnm,./", "ZXCVBNM<>?"))
    ),
    "azerty": _Layout(
        (
            ("&é\"'(-è_çà", "1234567890"),
            ("azertyuiop", "AZERTYUIOP"),
            ("qsdfghjklm", "QSDFGHJKLM"),
            ("<wxcvbn,;:", ">WXCVBN?./"),
        )
    ),
}
_LEAST_FRENCH = 2
"""Number of the user's grade keys without Shift on a French keyboard from which that keyboard is drawn."""


def list_caps(
    screen: str,
    keymap: Keymap,
    t: Catalog,
    scheme: Scheme | None = None,
    is_possible: Callable[[str], bool] = lambda name: True,
) -> list[KeyCap]:
    """Return the keys of `screen`, and with a `scheme` those of its grades and findings.

    `is_possible` is called with the name of each action. An action for which it returns False is left out.
    """
    caps = []
    if scheme is not None:
        highest = max(joint.max_grade(scale) for joint in scheme.joints for scale in joint.scales)
        grades = [(keymap.label_answer(scheme, GradeEntry(grade)), grade) for grade in range(highest + 1)]
        caps += [KeyCap(key, t("keyboard.grade", grade=grade), "answers") for key, grade in grades]
        for finding in scheme.findings:
            own = f"keyboard.finding_{finding.id}"
            caps.append(KeyCap(finding.key, t(own) if own in t else t.translate_scheme(finding.label), "answers"))
    actions = (action for action in keymap.list_actions(screen) if is_possible(action.name))
    return caps + [KeyCap(action.key, _shorten(action, t), _find_group(action)) for action in actions]


def _shorten(action: Action, t: Catalog) -> str:
    """Return the action in a few words: its own text for the keyboard, or its label in the key bar."""
    ids = (f"keyboard.{action.screen}_{action.name}", f"keyboard.{action.name}")
    return next((t(id) for id in ids if id in t), "") or action.label(t)


def _find_group(action: Action) -> str:
    return _GROUP_OF.get(action.id) or _GROUP_OF.get(action.name, "others")


def draw_keyboard(caps: Sequence[KeyCap], width: int, t: Catalog, screen: str = "") -> list[Text] | None:
    """Return a keyboard with `caps` as lines of at most `width` cells, or None if there is no room for it.

    Rows of letters and digits without an action are left out, and all of them if they have few actions. Other keys, such as
    Enter, follow below. The layout is Japanese in Japanese, French if the user's keys of grades are, and otherwise that of
    the US. `screen` is the name of the screen, for the names of the groups.
    """
    layout = _choose_layout(caps, t)
    inner = min((width - 2 * (len(layout.rows) - 1)) // _COLUMNS - 2, _WIDEST)
    if inner < _INNER:
        return None
    found = {cap.key: cap for cap in caps}
    placed = {key for row in layout.rows for key in "".join(row)} & set(found)
    if len(placed) < _FEW:
        placed = set()
    lines = []
    for number, (base, shifted) in enumerate(layout.rows):
        if any(key in placed for key in base + shifted):
            keys = [(found.get(plain), found.get(other), plain) for plain, other in zip(base, shifted, strict=True)]
            lines += [Text.assemble(" " * (2 * number), line) for line in _draw_row(keys, inner)]
    lines += _draw_others([cap for cap in caps if cap.key not in placed], width)
    return [_draw_legend({cap.group for cap in caps}, t, screen), *lines]


def _choose_layout(caps: Iterable[KeyCap], t: Catalog) -> _Layout:
    french = set(_LAYOUTS["azerty"].rows[0][0])
    grades = [cap.key for cap in caps if cap.group == "answers"]
    if sum(key in french for key in grades) >= _LEAST_FRENCH:
        return _LAYOUTS["azerty"]
    return _LAYOUTS["jis" if t.language == "ja" else "us"]


def _draw_row(keys: Sequence[tuple[KeyCap | None, KeyCap | None, str]], inner: int) -> list[Text]:
    """Return the boxes of a row, `inner` cells wide within.

    Each key has its action without Shift, that with Shift, and its character.
    """
    bodies = []
    for plain, shifted, _ in keys:
        body = [Text(line, _style_of(plain)) for line in _wrap(plain.text, inner)] if plain else []
        if shifted:
            first, *rest = _wrap(shifted.text, inner, _SHIFT_INDENT)
            style = _style_of(shifted)
            body.append(Text.assemble((f"{shifted.key} ", HEADING), (first, style)))
            body += [Text(line, style) for line in rest]
        bodies.append(body)
    height = max(len(body) for body in bodies)
    boxes = []
    for (plain, shifted, character), body in zip(keys, bodies, strict=True):
        cap = plain or shifted
        boxes.append(
            _draw_box(character, body, _GROUPS[cap.group] if cap else _UNUSED, inner, height, plain is not None)
        )
    return [Text.assemble(*pieces) for pieces in zip(*boxes, strict=True)]


def _draw_others(caps: Sequence[KeyCap], width: int) -> list[Text]:
    """Return the boxes of keys that stand in no row of letters. Neighbours with the same action share one."""
    merged: list[tuple[str, KeyCap]] = []
    for cap in caps:
        label = format_key(cap.key)
        if merged and (merged[-1][1].text, merged[-1][1].group) == (cap.text, cap.group):
            shift = "Shift-" if merged[-1][0].startswith("Shift-") else ""
            merged[-1] = (f"{merged[-1][0]} {label.removeprefix(shift)}", cap)
        else:
            merged.append((label, cap))
    lines: list[Text] = []
    row: list[list[Text]] = []
    used = 0
    for label, cap in merged:
        least = max(_NARROWEST, cell_len(label) + 2, *(cell_len(word) for word in cap.text.split()))
        inner = next((size for size in range(least, _WIDEST) if len(_split(cap.text, size)) <= _LINES), least)
        body = [Text(line, _style_of(cap)) for line in _wrap(cap.text, inner)]
        if row and used + inner + 2 > width:
            lines += [Text.assemble(*pieces) for pieces in zip(*row, strict=True)]
            row, used = [], 0
        row.append(_draw_box(label, body, _GROUPS[cap.group], inner, _LINES, True))
        used += inner + 2
    return lines + ([Text.assemble(*pieces) for pieces in zip(*row, strict=True)] if row else [])


def _draw_box(title: str, body: Sequence[Text], frame: _Frame, inner: int, height: int, is_used: bool) -> list[Text]:
    """Return the lines of a box of `inner` cells by `height` lines, with the name of its key in the upper edge."""
    upper_left, upper_right, lower_left, lower_right, across, down = tuple(frame.characters)
    rest = across * (inner - cell_len(title) - 2)
    key_style = HEADING if is_used else QUIET
    lines = [Text.assemble((upper_left, frame.style), (f" {title} ", key_style), (rest + upper_right, frame.style))]
    for number in range(height):
        line = body[number] if number < len(body) else Text()
        gap = " " * (inner - line.cell_len)
        lines.append(Text.assemble((down, frame.style), line, gap, (down, frame.style)))
    lines.append(Text(lower_left + across * inner + lower_right, frame.style))
    return lines


def _draw_legend(groups: Iterable[str], t: Catalog, screen: str) -> Text:
    """Return a line with the frame and the name of each of `groups` on `screen`."""
    used, line = set(groups), Text(no_wrap=True)
    for name, frame in _GROUPS.items():
        if name in used:
            left, right, across = frame.characters[0], frame.characters[1], frame.characters[4]
            line.append(f"{left}{across}{across}{right}", frame.style).append(
                f" {t(f'keyboard.group_{name}')}   ", PLAIN
            )
    return line


def _style_of(cap: KeyCap | None) -> str:
    return _GROUPS[cap.group].text_style if cap else QUIET


def _wrap(text: str, width: int, indent: int = 0) -> list[str]:
    """Return `text` in at most two lines of `width` cells; the rest is replaced by an ellipsis."""
    lines = _split(text, width, indent)
    if len(lines) > _LINES:
        lines = [*lines[: _LINES - 1], set_cell_size(lines[_LINES - 1], width - 1).rstrip() + "…"]
    return lines or [""]


def _split(text: str, width: int, indent: int = 0) -> list[str]:
    """Return `text` in lines of `width` cells, the first one shorter by `indent`.

    Lines end between words, and also within Japanese words, as usual there, and within words that are longer than a line.
    The spaces in a Japanese text only mark where a line may end.
    """
    lines, room = [""], width - indent
    for word in text.split():
        is_japanese = cell_len(lines[-1][-1:]) == cell_len(word[0]) == 2
        joined = f"{lines[-1]}{'' if is_japanese else ' '}{word}".strip()
        if cell_len(joined) <= room:
            lines[-1] = joined
            continue
        if lines[-1] and cell_len(word) <= width:
            lines.append(word)
            room = width
            continue
        for character in word:
            if cell_len(lines[-1] + character) > room:
                lines.append("")
                room = width
            lines[-1] += character
    return lines
