"""Pictures of the films of a joint: one film, or a film registered onto another one. Any thread may make them."""

from __future__ import annotations

from typing import TypeAlias

from PIL import Image

from ratui.tui.graphics.film_store import AlignedView, FilmStore
from ratui.tui.graphics.marks import draw_outline
from ratui.tui.graphics.viewport import Viewport

__all__ = ["Picture", "is_decoded", "make_picture"]

Picture: TypeAlias = Viewport | AlignedView
"""A request for a picture."""


def is_decoded(store: FilmStore, wanted: Picture) -> bool:
    """Return True if all films for the picture `wanted` are in memory."""
    return store.has_decoded(wanted.view, wanted if isinstance(wanted, AlignedView) else None)


def make_picture(store: FilmStore, wanted: Picture) -> Image.Image | None:
    """Return the picture for a request, or None for a difference of films that cannot be registered.

    Raise FilmError if a film cannot be read.
    """
    if isinstance(wanted, AlignedView):
        return store.render_aligned(wanted)
    image = store.render(wanted.view)
    box = wanted.outlined_box
    return image if box is None else draw_outline(image, box.to_image(wanted.view.box, wanted.view.size))
