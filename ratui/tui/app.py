"""The app itself: which screen follows which. It holds no rule and draws nothing."""

from __future__ import annotations

from textual.app import App
from textual.binding import Binding

from ratui.study import Study
from ratui.terminal import Display, FrameCache
from ratui.tui.actions import Keymap
from ratui.tui.library import Library
from ratui.tui.messages import Messages, language_of
from ratui.tui.palette import THEME
from ratui.tui.settings import Settings

__all__ = ["RatuiApp"]


class RatuiApp(App[None]):
    """Reads `study` as `rater`. `case` is opened at once where given.

    Raises StudyError for an unknown rater, SettingsError and SchemeError for keys that clash.
    """

    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [Binding("ctrl+q", "quit", "quit", show=False, priority=True)]  # noqa: RUF012 - Textual's own way
    TITLE = "ratui"

    def __init__(
        self,
        study: Study,
        rater: str,
        display: Display,
        *,
        case: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        super().__init__()
        self.register_theme(THEME)
        self.theme = THEME.name
        study.check_rater(rater)
        settings = settings or Settings(language="en")
        self.keymap = Keymap(settings.keys, study.scheme)
        self.t = Messages(language_of(wanted=settings.language))
        self.study = study
        self.rater = rater
        self.graphics = display
        self.library = Library(study)
        self.frames = FrameCache()
        self._first_case = case

    def on_mount(self) -> None:
        from ratui.tui.screens.worklist import WorklistScreen

        worklist = WorklistScreen()
        self.push_screen(worklist)
        if self._first_case is not None:
            self.call_after_refresh(worklist.open_case, self._first_case)

    def on_unmount(self) -> None:
        if self._driver is not None:
            self._driver.write(self.frames.forget_all())
