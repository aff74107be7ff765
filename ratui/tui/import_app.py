"""The app in which a manager of a study reviews the plan of an import."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ratui.study import ImportPlan
from ratui.study.importing.planning.plan_review import PlanReview, ReviewStep
from ratui.terminal import Display
from ratui.tui.key_app import KeyApp
from ratui.tui.screens.import_review.pictures import FilmPictures
from ratui.tui.screens.import_review.screen import ImportReviewScreen
from ratui.tui.user_settings import UserSettings

__all__ = ["ImportApp"]


class ImportApp(KeyApp):
    """The app that shows a plan. After it has ended, `review` contains the decisions.

    Parameters
    ----------
    plan
        The plan to review.
    files
        The file to read by the path that the plan names.
    display
        What the terminal can show, as returned by `ratui.terminal.probe`.
    settings
        The user's language and keys; None for English and the default keys.
    draft
        File for the draft of the decisions; None for no file.
    earlier
        Decisions of an earlier review that was not finished, to offer.
    folder
        Folder of the films, which is the default for the manifest.

    Raises
    ------
    SettingsError, SchemeError
        If two actions of a screen have the same key.
    """

    def __init__(
        self,
        plan: ImportPlan,
        files: Mapping[Path, Path],
        display: Display,
        settings: UserSettings | None = None,
        *,
        draft: Path | None = None,
        earlier: tuple[ReviewStep, ...] = (),
        folder: Path,
    ) -> None:
        super().__init__(plan.scheme, display, settings)
        self.review = PlanReview(plan, draft)
        self.is_confirmed = False
        """True once the user has decided to import the films now."""
        self.is_discarded = False
        """True once the user has decided to discard the decisions, or has saved them as a manifest and left."""
        self.pictures = FilmPictures(files)
        self._earlier = earlier
        self._folder = folder

    def open_first_screen(self) -> None:
        """Open the screen with the plan."""
        self.push_screen(ImportReviewScreen(self.review, self.pictures, self._earlier, self._folder), self._end)

    def on_unmount(self) -> None:
        """End the process that reads films, for which a thread may be waiting."""
        self.pictures.close()

    def _end(self, answer: str | None) -> None:
        self.is_confirmed, self.is_discarded = answer == "import", answer == "discard"
        self.exit()
