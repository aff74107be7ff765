"""Search for a site by a typed name: ``mcp3``, ``rmcp3``, ``R.MCP3``, ``左 mcp3``."""

from __future__ import annotations

import unicodedata

from ratui.reading import Reading
from ratui.scheme import Side

__all__ = ["find_site_by_name"]

_SIDES: dict[str, Side] = {"l": "L", "r": "R", "左": "L", "右": "R"}


def find_site_by_name(reading: Reading, side: Side, text: str) -> str | None:
    """Return the key of the site that a text names.

    A complete name has priority over the beginning of a name. The name of a joint has priority over a side followed by
    a name: ``radius`` does not mean ``adius`` on the right.

    Parameters
    ----------
    reading
        The reading with the sites.
    side
        Side to use if the text does not begin with one.
    text
        Name of the joint, optionally after ``l``, ``r``, ``左`` or ``右``.

    Returns
    -------
    str or None
        The site key; None if no site has this name.
    """
    # NFKC turns the full-width letters of a Japanese input method into plain ones.
    typed = unicodedata.normalize("NFKC", text).strip()
    if not typed:
        return None
    found = _find_on_side(reading, side, typed)
    if found is None and (named := _SIDES.get(typed[0].lower())):
        found = _find_on_side(reading, named, typed[1:].strip(". ·"))
    return found


def _find_on_side(reading: Reading, side: Side, name: str) -> str | None:
    if not name:
        return None
    keys = (f"{side}.{joint.id}" for joint in reading.scheme.find_joints(name))
    return next((key for key in keys if key in reading.site_keys), None)
