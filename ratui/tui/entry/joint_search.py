"""Which site of a reading a few typed letters mean: ``mcp3``, ``rmcp3``, ``R.MCP3``, ``左 mcp3``. Pure."""

from __future__ import annotations

from ratui.reading import Reading
from ratui.scheme import Side

__all__ = ["find_site_by_name"]

_SIDES: dict[str, Side] = {"l": "L", "r": "R", "左": "L", "右": "R"}


def find_site_by_name(reading: Reading, side: Side, text: str) -> str | None:
    """The key of the site that `text` names: on `side` unless it begins with a side; None where it names none.

    A whole name comes before the beginning of one, and a joint's own name before a side in front of another's
    (``radius`` is no right ``adius``).
    """
    typed = text.strip()
    if not typed:
        return None
    found = _found(reading, side, typed)
    if found is None and (named := _SIDES.get(typed[0].lower())):
        found = _found(reading, named, typed[1:].strip(". ·"))
    return found


def _found(reading: Reading, side: Side, name: str) -> str | None:
    if not name:
        return None
    keys = (f"{side}.{joint.id}" for joint in reading.scheme.find_joints(name))
    return next((key for key in keys if key in reading.site_keys), None)
