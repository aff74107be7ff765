"""The app of the start screen. It ends with the command that the user has chosen."""

from __future__ import annotations

from pathlib import Path

from ratui.scheme import load_scheme
from ratui.terminal import Display
from ratui.tui.key_app import KeyApp
from ratui.tui.screens.start.screen import StartScreen
from ratui.tui.user_settings import UserSettings

__all__ = ["StartApp"]


class StartApp(KeyApp):
    """The app that offers the demo, recent studies, a new study, an import and the check of the terminal.

    Parameters
    ----------
    display
        What the terminal can show, as returned by `ratui.terminal.probe`.
    settings
        The user's language and keys; None for English and the default keys.
    answers
        Answers that were typed before, by question; it is changed.
    message
        Text to show at first, such as the reason why the last command failed.
    recent
        The list of recent studies; None for the user's.

    Raises
    ------
    SettingsError
        If two actions of a screen have the same key.
    """

    def __init__(
        self,
        display: Display,
        settings: UserSettings | None = None,
        *,
        answers: dict[str, str],
        message: str = "",
        recent: Path | None = None,
    ) -> None:
        super().__init__(load_scheme("fingers"), display, settings)
        self.arguments: tuple[str, ...] = ()
        """The arguments of ``ratui`` that the user has chosen; empty to end."""
        self._answers = answers
        self._message = message
        self._recent = recent

    def open_first_screen(self) -> None:
        """Open the start screen."""
        self.push_screen(StartScreen(self._answers, self._message, self._recent), self._end)

    def _end(self, arguments: tuple[str, ...] | None) -> None:
        self.arguments = arguments or ()
        self.exit()
