"""The app that tests what a rater can see on this terminal."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from importlib.metadata import version

from ratui.practice.reading_test import ReadingTest
from ratui.scheme import load_scheme
from ratui.study.campaign.display_tests import DisplayFacts, DisplayTest
from ratui.study.study_config import format_present_time
from ratui.terminal import Display
from ratui.tui.graphics.view_settings import read_view_settings, view_settings_file
from ratui.tui.key_app import KeyApp
from ratui.tui.screens.reading_test.screen import ReadingTestScreen, TestOutcome
from ratui.tui.user_settings import UserSettings

__all__ = ["ReadingTestApp"]


class ReadingTestApp(KeyApp):
    """The app of one reading test. After it has ended, `outcome` contains the result.

    Parameters
    ----------
    test
        The trials.
    display
        What the terminal can show, as returned by `ratui.terminal.probe`.
    settings
        The user's language and keys; None for English and the default keys.
    rater
        ID of the rater, whose zoom and contrast are used; empty for the default ones.
    store
        Function that stores the result; None if it is not stored.

    Raises
    ------
    SettingsError, SchemeError
        If two actions of a screen have the same key.
    """

    CSS_PATH = "../../app.tcss"  # Textual looks for it beside the module of this class

    def __init__(
        self,
        test: ReadingTest,
        display: Display,
        settings: UserSettings | None = None,
        *,
        rater: str = "",
        store: Callable[[DisplayTest], None] | None = None,
    ) -> None:
        super().__init__(load_scheme("fingers"), display, settings)
        source = self.settings.source
        shown = read_view_settings(rater, view_settings_file(source) if source and rater else None)
        self._test = test
        self._first = ReadingTestScreen(test, shown, self._make_result, store, rater)

    @property
    def outcome(self) -> TestOutcome:
        """The result of the test."""
        return self._first.outcome

    def open_first_screen(self) -> None:
        """Open the screen of the test."""
        self.push_screen(self._first, lambda outcome: self.exit())

    def _make_result(self, display: DisplayFacts) -> DisplayTest:
        at = format_present_time()
        parts = self._test.list_results()
        return DisplayTest(secrets.token_hex(8), at, version("ratui"), str(self._test.seed), display, parts)
