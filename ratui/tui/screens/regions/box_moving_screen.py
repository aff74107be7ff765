"""The keys of the regions screen that move, scale and turn boxes: the active one, or all open boxes of its hand."""

from __future__ import annotations

import time
from abc import abstractmethod

from ratui.regions.editor import RegionEditor
from ratui.regions.initial import StepSize, move_box, resize_box
from ratui.tui.screens.base import KeyScreen

__all__ = ["BoxMovingScreen"]

_FAR = 0.5  # length of a far move, in widths of the box
_GROW = 1.08  # factor by which a box grows at one key press
_GROW_HAND = 1.04  # and all boxes of a hand with their distances
_TURN_HAND = 3.0  # degrees at one key press


class BoxMovingScreen(KeyScreen[None]):
    """A screen with boxes that keys move. A subclass draws them."""

    def __init__(self) -> None:
        super().__init__()
        self._editor: RegionEditor | None = None
        """The boxes of the film; None while they are placed."""
        self._step_size = StepSize()
        self._moves_hand = False
        """True while keys move and scale all open boxes of a hand together."""

    @abstractmethod
    def _draw(self, *, is_moving: bool = False) -> None:
        """Draw the film and its boxes; `is_moving` says that further keys may follow soon."""

    @property
    def _current_editor(self) -> RegionEditor:
        assert self._editor is not None, "no action runs before there are boxes"
        return self._editor

    def _set_editor(self, editor: RegionEditor, *, is_moving: bool = False) -> None:
        if editor.index != (self._editor.index if self._editor else -1):
            self.stop_moving()
        self._editor = editor
        self._draw(is_moving=is_moving)

    def stop_moving(self) -> None:
        """Let the keys move the active box alone, beginning with the initial step."""
        self._step_size = StepSize()
        self._moves_hand = False

    def _move(self, dx: int, dy: int, step: float | None = None) -> None:
        """Move the active box, or all boxes, by `step` of the width; without `step`, by a step that adapts to the keys."""
        editor = self._current_editor
        box = editor.region.box
        if box is None and not self._moves_hand:
            return
        if step is None:
            self._step_size = self._step_size.next((dx, dy), time.monotonic())
            step = self._step_size.step
        if box is None or self._moves_hand:
            self._set_editor(editor.shift_hand(dx * step, dy * step), is_moving=True)
        else:
            self._set_editor(editor.with_box(move_box(box, dx * step, dy * step, editor.film)), is_moving=True)

    def action_move_left(self) -> None:
        """Move the active box to the left."""
        self._move(-1, 0)

    def action_move_right(self) -> None:
        """Move the active box to the right."""
        self._move(1, 0)

    def action_move_up(self) -> None:
        """Move the active box up."""
        self._move(0, -1)

    def action_move_down(self) -> None:
        """Move the active box down."""
        self._move(0, 1)

    def action_far_left(self) -> None:
        """Move the active box far to the left."""
        self._move(-1, 0, _FAR)

    def action_far_right(self) -> None:
        """Move the active box far to the right."""
        self._move(1, 0, _FAR)

    def action_far_up(self) -> None:
        """Move the active box far up."""
        self._move(0, -1, _FAR)

    def action_far_down(self) -> None:
        """Move the active box far down."""
        self._move(0, 1, _FAR)

    def action_go_left(self) -> None:
        """Go to the next box to the left."""
        self._set_editor(self._current_editor.step_towards(-1, 0))

    def action_go_right(self) -> None:
        """Go to the next box to the right."""
        self._set_editor(self._current_editor.step_towards(1, 0))

    def action_go_up(self) -> None:
        """Go to the next box above."""
        self._set_editor(self._current_editor.step_towards(0, -1))

    def action_go_down(self) -> None:
        """Go to the next box below."""
        self._set_editor(self._current_editor.step_towards(0, 1))

    def action_larger(self) -> None:
        """Enlarge the active box."""
        self._resize(_GROW)

    def action_smaller(self) -> None:
        """Shrink the active box."""
        self._resize(1 / _GROW)

    def _resize(self, factor: float) -> None:
        editor = self._current_editor
        box = editor.region.box
        if self._moves_hand:
            self._set_editor(editor.scale_hand(_GROW_HAND if factor > 1 else 1 / _GROW_HAND), is_moving=True)
        elif box is not None:
            self._set_editor(editor.with_box(resize_box(box, factor, editor.film)), is_moving=True)

    def action_whole_hand(self) -> None:
        """Let the keys move all open boxes of the hand, or the active box again."""
        self._moves_hand = not self._moves_hand
        self._draw()

    def action_rotate_left(self) -> None:
        """Turn all open boxes of the hand to the left."""
        self._set_editor(self._current_editor.rotate_hand(-_TURN_HAND), is_moving=True)

    def action_rotate_right(self) -> None:
        """Turn all open boxes of the hand to the right."""
        self._set_editor(self._current_editor.rotate_hand(_TURN_HAND), is_moving=True)
