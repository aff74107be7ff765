"""The part of the scoring screen that looks at films: greys, closeness, one in the place of the other, and how sharp it is.

It enters nothing, and nothing that it says tells which film is the earlier where the study is blinded to that.
"""

from __future__ import annotations

from dataclasses import replace

from textual.screen import ScreenResultType

from ratui.errors import SettingsError
from ratui.imaging import DisplaySettings
from ratui.terminal import Resolution
from ratui.tui.graphics.view_preferences import read_view_settings, save_view_settings, view_settings_file
from ratui.tui.graphics.viewport import ViewSettings
from ratui.tui.screens.base import KeyScreen
from ratui.tui.widgets.joint_viewer import JointViewer

__all__ = ["FilmScreen"]


class FilmScreen(KeyScreen[ScreenResultType]):
    """A screen with `JointViewer` of the id ``joint``, where the actions that look at films do what they say."""

    def __init__(self) -> None:
        super().__init__()
        self._message = ""
        self._unaligned_site = ""
        """The site whose films could not be aligned."""
        self._has_warned_coarse = False
        self._best_resolution: tuple[str, Resolution | None] = ("", None)
        """The site on the screen, and how sharp it has been at best."""

    @property
    def joint_viewer(self) -> JointViewer:
        """The films of the joint."""
        return self.query_one("#joint", JointViewer)

    # Greys.

    def action_window(self) -> None:
        preset = self.joint_viewer.next_preset()
        kind, number = (preset[:4], preset[4:]) if preset.startswith("file") else (preset, "")
        self._message = self.t(f"scoring.window_{kind}", number=number)
        self._save_view_settings()

    def action_brighter(self) -> None:
        self._set_display_settings(self.joint_viewer.view_settings.display_settings.change_brightness())

    def action_darker(self) -> None:
        self._set_display_settings(self.joint_viewer.view_settings.display_settings.change_brightness(-1))

    def action_harder(self) -> None:
        self._set_display_settings(self.joint_viewer.view_settings.display_settings.change_contrast())

    def action_softer(self) -> None:
        self._set_display_settings(self.joint_viewer.view_settings.display_settings.change_contrast(-1))

    def action_invert(self) -> None:
        settings = self.joint_viewer.view_settings.display_settings
        self._set_display_settings(replace(settings, invert=not settings.invert))

    def action_local(self) -> None:
        settings = self.joint_viewer.view_settings.display_settings
        self._set_display_settings(replace(settings, local=not settings.local))
        self._message = self.t("scoring.local" if not settings.local else "scoring.local_off")

    def _set_display_settings(self, settings: DisplaySettings) -> None:
        self.joint_viewer.set_view_settings(replace(self.joint_viewer.view_settings, display_settings=settings))
        self._save_view_settings()

    # Closeness.

    def action_zoom(self) -> None:
        self.joint_viewer.next_zoom()
        self._save_view_settings()

    def action_whole(self) -> None:
        self.joint_viewer.set_whole_film(not self.joint_viewer.shows_whole_film)

    def action_lens(self) -> None:
        view_settings = self.joint_viewer.view_settings
        self.joint_viewer.set_view_settings(replace(view_settings, lens=None if view_settings.lens else (0.5, 0.5)))

    def action_pan_left(self) -> None:
        self._move(-1, 0)

    def action_pan_right(self) -> None:
        self._move(1, 0)

    def action_pan_up(self) -> None:
        self._move(0, -1)

    def action_pan_down(self) -> None:
        self._move(0, 1)

    def _move(self, right: int, down: int) -> None:
        self.joint_viewer.set_view_settings(self.joint_viewer.view_settings.moved(right, down))

    # One in the place of the other.

    def action_blink(self) -> None:
        films = self.joint_viewer
        if films.mode == "alone":
            films.show_film(1 - films.place)
            return
        films.show_film(self.asked_place)
        films.set_mode("alone")
        keys = self.ratui.keymap
        self._message = self.t(
            "scoring.alone", blink=keys.key_label(f"{self.NAME}.blink"), leave=keys.key_label(f"{self.NAME}.leave")
        )

    def action_difference(self) -> None:
        films = self.joint_viewer
        films.set_mode("pair" if films.mode == "difference" else "difference")
        if films.mode == "difference":
            self._message = self.t("scoring.difference_on")

    def return_to_pair(self) -> bool:
        """Shows both films side by side again; whether they weren't."""
        if self.joint_viewer.mode == "pair":
            return False
        self.joint_viewer.set_mode("pair")
        self._message = self.t("scoring.side_by_side")
        return True

    @property
    def asked_place(self) -> int:
        """The film that the waiting field belongs to: 0 the left, 1 the right."""
        return 0

    def on_joint_viewer_not_aligned(self, event: JointViewer.NotAligned) -> None:
        self._unaligned_site = event.site
        self.show_message(self.t(f"scoring.not_aligned_{event.reason}"))
        self.redraw()

    def on_joint_viewer_resolution_changed(self) -> None:
        self.redraw()

    def redraw(self) -> None:
        """Draws everything that depends on how films are shown."""

    # How sharp it is.

    def best_resolution(self, site: str) -> tuple[str, Resolution] | None:
        """How films are shown, and how sharp `site` has been at best since it came up."""
        found = self.joint_viewer.resolution
        before = self._best_resolution[1] if self._best_resolution[0] == site else None
        known = [resolution for resolution in (found, before) if resolution is not None]
        if not known:
            return None
        best = max(known, key=lambda resolution: (resolution.is_sufficient, resolution.pixels_per_mm))
        self._best_resolution = (site, best)
        return self.ratui.graphics.protocol, best

    def check_coarse(self) -> bool:
        """Whether films are shown too coarsely to judge erosions; what helps is said once."""
        resolution = self.joint_viewer.resolution
        if resolution is None or resolution.is_sufficient or self.joint_viewer.shows_whole_film:
            return False
        if not self._has_warned_coarse and not self._message:
            self._has_warned_coarse = True
            keys = self.ratui.keymap
            self._message = self.t(
                "scoring.coarse_help",
                pixels=f"{resolution.pixels_per_mm:.1f}",
                zoom=keys.key_label(f"{self.NAME}.zoom"),
                blink=keys.key_label(f"{self.NAME}.blink"),
            )
        return True

    def format_film_title(self, place: int, title: str, site: str, coarse: bool) -> str:
        """`title` of the film at `place`, with how it is shown."""
        t, films = self.t, self.joint_viewer
        parts = [title]
        behind = films.mode == "alone" and place != films.place
        if films.shows_whole_film:
            parts.append(t("scoring.whole_film"))
        elif films.mode == "difference":
            what = "scoring.not_aligned" if self._unaligned_site == site else "scoring.difference"
            parts = [t(what) if place == 0 else title]
        elif behind:
            parts.append(t("scoring.behind", key=self.ratui.keymap.key_label(f"{self.NAME}.blink")))
        elif films.mode == "alone" and place == 1:
            parts.append(t("scoring.not_aligned" if self._unaligned_site == site else "scoring.laid_on"))
        if coarse and films.mode != "difference" and not behind:
            parts.append(t("scoring.coarse"))
        return " · ".join(parts)

    # What stays.

    def load_view_settings(self) -> ViewSettings:
        """How this rater looked at films last."""
        source = self.ratui.settings.source
        return read_view_settings(self.ratui.rater, view_settings_file(source) if source else None)

    def _save_view_settings(self) -> None:
        source = self.ratui.settings.source
        if source is not None:
            try:
                save_view_settings(self.ratui.rater, self.joint_viewer.view_settings, view_settings_file(source))
            except SettingsError as error:
                self._message = self.t("scoring.sight_not_kept", why=error.problem)
