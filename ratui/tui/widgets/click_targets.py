"""Parts of a text that stand for something which a click selects: a field, or a site."""

from __future__ import annotations

from rich.style import Style
from textual.events import Click

from ratui.reading import Field

__all__ = ["clicked_field", "clicked_site", "field_target", "site_target"]


def field_target(style: str, field: Field) -> Style:
    """Return `style` for a text that stands for `field`."""
    return Style.parse(style) + Style(meta={"field": tuple(field)})


def site_target(style: str, site: str) -> Style:
    """Return `style` for a text that stands for the site with the key `site`."""
    return Style.parse(style) + Style(meta={"site": site})


def clicked_field(event: Click) -> Field | None:
    """Return the field that the text under the mouse stands for, or None."""
    found = event.style.meta.get("field")
    return Field(*found) if found else None


def clicked_site(event: Click) -> str | None:
    """Return the key of the site that the text under the mouse stands for, or None."""
    return event.style.meta.get("site")
