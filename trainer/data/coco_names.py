"""Names of joints in the categories of COCO files, by the conventions of several writers."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from ratui.detection.finger_joints import JOINT_KINDS, list_finger_joints
from ratui.errors import TrainError, clean_text
from ratui.scheme import Scheme

__all__ = ["UNCLEAR", "parse_joint_names"]

UNCLEAR = "?"
"""Result for a name that can stand for more than one joint."""

_SIDES = ("L", "R", "LEFT", "RIGHT")
_FILLERS = ("JOINT", "HAND", "FINGER")
_KINDS = {"MCP": "MCP", "MP": "MCP", "PIP": "PIP", "IP": "IP", "DIP": "DIP", "CMC": "CMC"}
_ROMAN = {"I": "1", "II": "2", "III": "3", "IV": "4", "V": "5"}
_LETTERS = {"T": "1", "I": "2", "M": "3", "R": "4", "S": "5"}
_FINGERS = {"THUMB": "1", "INDEX": "2", "MIDDLE": "3", "RING": "4", "SMALL": "5", "LITTLE": "5"}


def parse_joint_names(names: Collection[str], scheme: Scheme) -> Mapping[str, str | None]:
    """Return the joint of `scheme` that each category's name stands for.

    A finger may have a digit (``MCP2``), a Roman numeral (``MCP-II``), the first letter of thumb, index, middle, ring or
    small (``MCP-I``, as in RAM-H1200), or its English name. All names of a file are read together: ``MCP-I`` is the first
    MCP beside ``MCP-II``, and that of the index finger beside ``MCP-T``. A side is ignored, since the hand's geometry shows
    it.

    Parameters
    ----------
    names
        Names of all categories of a file.
    scheme
        Scheme that defines the joints.

    Returns
    -------
    mapping of str to str or None
        The joint by name; ``PIP`` or ``MCP`` if the name gives only the kind, `UNCLEAR` if it is ambiguous, and None if it
        is no finger joint.

    Raises
    ------
    TrainError
        If some names have Roman numerals and others letters of fingers.
    """
    split = {name: _split_words(name) for name in names}
    followers = {follower for words in split.values() if (follower := _find_follower(words)) is not None}
    has_roman, has_letters = bool(followers & {"II", "III", "IV", "V"}), bool(followers & {"T", "M", "S"})
    if has_roman and has_letters:
        listed = ", ".join(clean_text(name, 20) for name in list(names)[:8])
        raise TrainError(
            f"the categories name fingers by Roman numerals and by letters: {listed}",
            "",
            "Name them alike, such as MCP1 … PIP5",
        )
    numerals = _LETTERS if has_letters else _ROMAN if has_roman else {}
    known = {alias.upper(): joint.id for joint in list_finger_joints(scheme) for alias in (joint.id, *joint.aliases)}
    return {name: _name_joint(words, numerals, known) for name, words in split.items()}


def _split_words(name: str) -> list[str]:
    plain = re.sub(r"[^A-Z0-9]", " ", re.sub(r"(?<=[A-Za-z])(?=\d)", " ", name).upper())
    return [word for word in plain.split() if word not in _FILLERS]


def _find_follower(words: list[str]) -> str | None:
    """Return the word after the kind of joint, or None if there is none."""
    places = [place for place, word in enumerate(words) if word in _KINDS]
    return words[places[0] + 1] if len(places) == 1 and places[0] + 1 < len(words) else None


def _name_joint(words: list[str], numerals: Mapping[str, str], known: Mapping[str, str]) -> str | None:
    follower = _find_follower(words)
    kept = []
    for place, word in enumerate(words):
        is_follower = place > 0 and words[place - 1] in _KINDS and word == follower
        if is_follower and word in numerals:
            kept.append(numerals[word])
        elif is_follower and word == "I":
            return UNCLEAR
        elif word not in _SIDES:
            kept.append(_FINGERS.get(word, _KINDS.get(word, word)))
    # A finger's name may stand before the kind: index MCP.
    kept.sort(key=str.isdigit)
    called = "".join(kept)
    return known.get(called, called if called in JOINT_KINDS else None)
