"""The actions that change how the films of a joint are displayed: grey levels, zoom, position, marks and turn.

None of them makes an entry.
"""

from __future__ import annotations

from dataclasses import replace

from textual.events import MouseEvent, MouseScrollDown, MouseScrollUp
from textual.screen import ScreenResultType

from ratui.errors import SettingsError
from ratui.imaging import DisplaySettings
from ratui.tui.graphics.view_settings import (
    LIFE_SIZE,
    ViewSettings,
    read_view_settings,
    save_view_settings,
    step_zoom,
    view_settings_file,
)
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.scoring.text import format_grey_changes
from ratui.tui.widgets.joint_viewer import JointViewer

__all__ = ["DisplayScreen"]

_WHEEL_PAUSE = 0.15
"""Shortest time in seconds between two steps of the zoom by the mouse wheel."""


class DisplayScreen(KeyScreen[ScreenResultType]):
    """A screen with a `JointViewer` of the id ``joint``, and the actions that change how its films are displayed."""

    def __init__(self) -> None:
        super().__init__()
        self._message = ""
        """The message about the last key. It takes precedence over what the scoring session says."""
        self._last_wheel_zoom = 0.0
        """Time of the last event of the mouse wheel that changed the zoom."""

    @property
    def joint_viewer(self) -> JointViewer:
        """The viewer of the joint's films."""
        return self.query_one("#joint", JointViewer)

    def redraw(self) -> None:
        """Draw everything that depends on how the films are shown."""

    # Contrast and brightness.

    def action_window(self) -> None:
        """Use the next window preset: automatic, or a window of the DICOM file."""
        preset = self.joint_viewer.next_preset()
        kind, number = (preset[:4], preset[4:]) if preset.startswith("file") else (preset, "")
        self._message = self.t(f"scoring.window_{kind}", number=number)
        self._save_view_settings()

    def action_brighter(self) -> None:
        """Increase the brightness by one step."""
        self._set_display_settings(self.joint_viewer.view_settings.display_settings.change_brightness())

    def action_darker(self) -> None:
        """Decrease the brightness by one step."""
        self._set_display_settings(self.joint_viewer.view_settings.display_settings.change_brightness(-1))

    def action_more_contrast(self) -> None:
        """Increase the contrast by one step."""
        self._set_display_settings(self.joint_viewer.view_settings.display_settings.change_contrast())

    def action_less_contrast(self) -> None:
        """Decrease the contrast by one step."""
        self._set_display_settings(self.joint_viewer.view_settings.display_settings.change_contrast(-1))

    def action_invert(self) -> None:
        """Invert the grey values, or invert them back."""
        settings = self.joint_viewer.view_settings.display_settings
        self._set_display_settings(replace(settings, invert=not settings.invert))

    def action_local(self) -> None:
        """Turn the enhancement of local contrast on or off."""
        settings = self.joint_viewer.view_settings.display_settings
        self._set_display_settings(replace(settings, local=not settings.local))
        self._message = self.t("scoring.local" if not settings.local else "scoring.local_off")

    def action_reset_greys(self) -> None:
        """Show the grey levels as acquired: end inversion, local contrast, and changes of brightness and contrast."""
        settings = self.joint_viewer.view_settings.display_settings
        self._set_display_settings(DisplaySettings(settings.preset))
        self._message = self.t("scoring.greys_reset")

    def format_greys(self) -> tuple[str, ...]:
        """Return notes on changed grey levels, the longest first; empty if the films are shown as acquired."""
        changes = self.joint_viewer.view_settings.display_settings.changes
        return format_grey_changes(self.t, changes, self.ratui.keymap.key_label(f"{self.NAME}.reset_greys"))

    def _set_display_settings(self, settings: DisplaySettings) -> None:
        self.joint_viewer.set_view_settings(replace(self.joint_viewer.view_settings, display_settings=settings))
        self._save_view_settings()

    # Zoom and position.

    def action_zoom(self) -> None:
        """Use the next zoom step. Twice the life size is one of them if the sizes of all pixels are known."""
        self.joint_viewer.next_zoom(has_life_size=self.joint_viewer.has_life_size)
        if self.joint_viewer.view_settings.zoom == LIFE_SIZE:
            self._message = self.t("scoring.life_size_message")
        self._save_view_settings()

    def action_whole(self) -> None:
        """Show the whole films, or the joint again."""
        self.joint_viewer.set_whole_film(not self.joint_viewer.shows_whole_film)

    def action_lens(self) -> None:
        """Show the lens in the middle of the films, or hide it."""
        view_settings = self.joint_viewer.view_settings
        self.joint_viewer.set_view_settings(replace(view_settings, lens=None if view_settings.lens else (0.5, 0.5)))

    def action_marks(self) -> None:
        """Show the marks around the joint, or hide them."""
        view_settings = self.joint_viewer.view_settings
        self.joint_viewer.set_view_settings(replace(view_settings, has_marks=not view_settings.has_marks))
        self._message = self.t("scoring.marks_off" if view_settings.has_marks else "scoring.marks_on")
        self._save_view_settings()

    def action_upright(self) -> None:
        """Turn the films so that the proximal bone of the joint stands upright, or show them as they are."""
        view_settings = self.joint_viewer.view_settings
        self.joint_viewer.set_view_settings(replace(view_settings, is_upright=not view_settings.is_upright))
        self._message = self.t("scoring.upright_off" if view_settings.is_upright else "scoring.upright_on")
        self._save_view_settings()

    def action_pan_left(self) -> None:
        """Move the view to the left, or the lens if it is shown."""
        self._move(-1, 0)

    def action_pan_right(self) -> None:
        """Move the view to the right, or the lens if it is shown."""
        self._move(1, 0)

    def action_pan_up(self) -> None:
        """Move the view up, or the lens if it is shown."""
        self._move(0, -1)

    def action_pan_down(self) -> None:
        """Move the view down, or the lens if it is shown."""
        self._move(0, 1)

    def _move(self, right: int, down: int) -> None:
        self.joint_viewer.set_view_settings(self.joint_viewer.view_settings.moved(right, down))

    # The mouse wheel.

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Zoom in if the mouse is over a film."""
        self._zoom_by_wheel(event, is_closer=True)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Zoom out if the mouse is over a film."""
        self._zoom_by_wheel(event, is_closer=False)

    def _zoom_by_wheel(self, event: MouseEvent, *, is_closer: bool) -> None:
        viewer = self.joint_viewer
        is_on_film = any(view.display and view.region.contains(*event.screen_offset) for view in viewer.views)
        # One notch of a wheel may send several events.
        if not is_on_film or event.time - self._last_wheel_zoom < _WHEEL_PAUSE:
            return
        self._last_wheel_zoom = event.time
        zoom = step_zoom(viewer.view_settings.zoom, is_closer=is_closer)
        viewer.set_view_settings(replace(viewer.view_settings, zoom=zoom))
        self._save_view_settings()
        self.redraw()

    # Settings that are stored for each rater.

    def load_view_settings(self) -> ViewSettings:
        """Return the view settings that this rater used last."""
        source = self.ratui.settings.source
        return read_view_settings(self.ratui.rater, view_settings_file(source) if source else None)

    def _save_view_settings(self) -> None:
        source = self.ratui.settings.source
        if source is not None:
            try:
                save_view_settings(self.ratui.rater, self.joint_viewer.view_settings, view_settings_file(source))
            except SettingsError as error:
                self._message = self.t("scoring.view_settings_not_saved", why=self.t.translate_error(error.problem))
