"""Read and parse text files of foreign origin with bounded memory.

A parser builds objects that are much larger than their text: one dotted TOML key of 60 kB makes tomllib allocate 3.5 GB.
So the structure of a text is counted before a parser sees it.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

__all__ = ["parse_json", "parse_toml", "read_bounded"]

_MAX_TOML_BYTES = 256_000
_MAX_TOML_ITEMS = 20_000
_MAX_KEY_PARTS = 16  # tomllib needs memory for the square of this number
_MAX_JSON_ITEMS = 1_000_000
# Strings and comments of TOML, whose characters are no structure. An opening quote alone is a string without an end.
_TOML_TEXT = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|(?P<unclosed>[\"'])",
    re.DOTALL,
)
_LONG_KEY = re.compile(rf"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){{{_MAX_KEY_PARTS}}}")


def read_bounded(path: Path, largest: int) -> bytes:
    """Return the bytes of a regular file.

    A FIFO or a device is refused without waiting. Links are followed: the user named the file.

    Raises
    ------
    OSError
        If it can't be read.
    ValueError
        If it is no regular file, or has more than `largest` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - of a descriptor
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        data = file.read(largest + 1)
    if len(data) > largest:
        raise ValueError(f"it has more than {largest} bytes")
    return data


def parse_toml(text: str, *, max_items: int = _MAX_TOML_ITEMS) -> dict[str, Any]:
    """Return the tables of a TOML text.

    Parameters
    ----------
    text
        The text.
    max_items
        Limit of all keys, parts of keys, and values in arrays.

    Raises
    ------
    ValueError
        If the text is not TOML, or is longer or more complex than any that ratui needs.
    """
    if len(text) > _MAX_TOML_BYTES:
        raise ValueError(f"it has more than {_MAX_TOML_BYTES} characters")
    structure, end = [], 0
    for match in _TOML_TEXT.finditer(text):
        if match["unclosed"]:
            raise ValueError(f"the string that begins in line {text.count(chr(10), 0, match.start()) + 1} has no end")
        # A string may be a part of a key, so a letter takes its place.
        structure += [text[end : match.start()], "" if match[0].startswith("#") else "s"]
        end = match.end()
    bare = "".join((*structure, text[end:]))
    if _LONG_KEY.search(bare):
        raise ValueError(f"a key has more than {_MAX_KEY_PARTS} parts")
    if sum(map(bare.count, ".=,[{")) > max_items:
        raise ValueError(f"it has more than {max_items} keys and values")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def parse_json(
    data: bytes | str, *, max_items: int = _MAX_JSON_ITEMS, unique_keys: bool = False, finite: bool = False
) -> Any:
    """Return the value of a JSON text.

    Parameters
    ----------
    data
        The text; the caller bounds its length.
    max_items
        Limit of all keys and values; one takes up to 200 bytes of memory. Commas and brackets inside strings count too.
    unique_keys
        Refuse an object that has a key twice. Otherwise its last value counts.
    finite
        Refuse numbers that are not finite: ``NaN``, ``Infinity``, and those too large for a float, such as ``1e999``.

    Raises
    ------
    ValueError
        If the text is not JSON, has more items, has a key twice, or has a number that is not finite.
    """
    # A text has at most as many values as characters; only a longer one has to be counted.
    if len(data) > max_items:
        text = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
        if sum(map(text.count, (b",", b"[", b"{", b":"))) > max_items:
            raise ValueError(f"it has more than {max_items} values")
    try:
        return json.loads(
            data,
            object_pairs_hook=_make_unique if unique_keys else None,
            parse_float=_read_finite if finite else None,
            parse_constant=_refuse_constant if finite else None,
        )
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _read_finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is not finite")
    return number


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _make_unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key} is there twice")
        found[key] = value
    return found
