"""The sample study that comes with the package, and a copy of it to read in. The sample itself is never changed."""

from __future__ import annotations

import shutil
from pathlib import Path

from platformdirs import user_data_path

import ratui
from ratui.errors import StudyError
from ratui.files import second_copy_path
from ratui.study import Study
from ratui.study.check.access import close_to_others

__all__ = ["READER", "TOUR_FILE", "copy_sample", "find_sample"]

READER = "you"
"""The rater of the sample study who has cases left to read."""

TOUR_FILE = "tour.json"
"""The file, in the copy alone, that keeps how much of the tour was seen."""


def find_sample() -> Path:
    """Where the sample study lies: inside the installed package, or beside it in a checkout. Raises StudyError."""
    package = Path(ratui.__file__).parent
    for folder in (package / "sample_data" / "study", package.parent / "sample_data" / "study"):
        if (folder / "study.toml").exists():
            return folder
    raise StudyError("the sample study is missing", package, "Install ratui again")


def _write_second_copies(study: Path) -> None:
    """Second copies of all that isn't a film, as every study has them: the package comes without."""
    for file in [*study.rglob("*")]:
        if file.suffix in (".json", ".toml"):
            shutil.copyfile(file, second_copy_path(file))


def copy_sample(into: Path | None = None) -> tuple[Path, str, str | None]:
    """The user's copy of the sample study, made at the first call; its reader, and the case to read next or None.

    Copies go to the user's data folder unless `into` is given. Raises StudyError where one can't be made.
    """
    folder = into or user_data_path("ratui") / "demo"
    if not (folder / "study.toml").exists():
        try:
            shutil.copytree(find_sample(), folder, dirs_exist_ok=True)
            _write_second_copies(folder)
            close_to_others(folder)
        except OSError as error:
            raise StudyError(f"no copy of the sample study can be made: {error}", folder, "Make room there") from error
    study = Study.open(folder)
    for case in study.cases():
        state = study.state(READER, case)
        if state.stage in ("reading", "review"):
            return folder, READER, case
    return folder, READER, None
