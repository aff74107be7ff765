"""The sample study of the package, and the user's copy of it. The sample itself is never changed."""

from __future__ import annotations

import shutil
from pathlib import Path

from platformdirs import user_data_path

import ratui
from ratui.errors import StudyError
from ratui.files import second_copy_path
from ratui.study import Study
from ratui.study.check.access import close_to_others

__all__ = ["SAMPLE_RATER", "TOUR_FILE", "copy_sample", "find_sample"]

SAMPLE_RATER = "you"
"""ID of the rater who has cases left to read in the sample study."""

TOUR_FILE = "tour.json"
"""Name of the file in the copy that stores the progress of the tour."""


def find_sample() -> Path:
    """Return the folder of the sample study, in the installed package or beside it in a checkout.

    Raises StudyError if it is missing.
    """
    package = Path(ratui.__file__).parent
    for folder in (package / "sample_data" / "study", package.parent / "sample_data" / "study"):
        if (folder / "study.toml").exists():
            return folder
    raise StudyError("the sample study is missing", package, "Install ratui again")


def _write_second_copies(study: Path) -> None:
    """Write the second copies of all JSON and TOML files, which the package leaves out to be smaller."""
    for file in [*study.rglob("*")]:
        if file.suffix in (".json", ".toml"):
            shutil.copyfile(file, second_copy_path(file))


def copy_sample(into: Path | None = None) -> tuple[Path, str, str | None]:
    """Return the user's copy of the sample study, which is created on the first call.

    Parameters
    ----------
    into
        Folder of the copy; a folder of the user's data directory if None.

    Returns
    -------
    folder, rater, case
        The study, its rater, and the next case to read; None if all cases are read.

    Raises
    ------
    StudyError
        If the copy cannot be created.
    """
    folder = into or user_data_path("ratui") / "demo"
    if not (folder / "study.toml").exists():
        try:
            shutil.copytree(find_sample(), folder, dirs_exist_ok=True)
            _write_second_copies(folder)
            close_to_others(folder)
        except OSError as error:
            raise StudyError(
                f"the sample study cannot be copied: {error}", folder, "Free some space, or make the folder writable"
            ) from error
    study = Study.open(folder)
    for case in study.cases():
        state = study.state(SAMPLE_RATER, case)
        if state.stage in ("reading", "review"):
            return folder, SAMPLE_RATER, case
    return folder, SAMPLE_RATER, None
