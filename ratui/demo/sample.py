"""The sample study of the package, and the user's copy of it. The sample itself is never changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_data_path

import ratui
from ratui.errors import StudyError
from ratui.files import second_copy_path
from ratui.reading import Field
from ratui.scheme import Scheme
from ratui.study import Study
from ratui.study.check.access import close_to_others
from ratui.tui.input.actions import key_for_entry
from ratui.tui.tour.tour import KnownGrade, KnownGrades

if TYPE_CHECKING:
    from ratui.practice.truth import Truth

__all__ = [
    "SAMPLE_RATER",
    "TOUR_FILE",
    "TRUTH_FILE",
    "copy_sample",
    "find_sample",
    "format_known_grades",
    "load_known_grades",
]

SAMPLE_RATER = "you"
"""ID of the rater who has cases left to read in the sample study."""

TOUR_FILE = "tour.json"
"""Name of the file in the copy that stores the progress of the tour."""

TRUTH_FILE = "truth.json"
"""Name of the file beside the sample study with the true grades of its films."""


def find_sample() -> Path:
    """Return the folder of the sample study, in the installed package or beside it in a checkout.

    Raises StudyError if it is missing.
    """
    package = Path(ratui.__file__).parent
    for folder in (package / "sample_data" / "study", package.parent / "sample_data" / "study"):
        if (folder / "study.toml").exists():
            return folder
    raise StudyError("the sample study is missing", package, "Install ratui again")


def load_known_grades() -> KnownGrades:
    """Return the true grades of the simulated films of the sample study. Raises StudyError if they cannot be read."""
    file = find_sample().with_name(TRUTH_FILE)
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StudyError("the grades of the sample study can't be read", file, "Install ratui again") from error
    known: dict[str, dict[Field, KnownGrade]] = {}
    for case, fields in raw.items():
        known[case] = {}
        for name, answers in fields.items():
            site, scale = name.split()
            for time, (key, grade) in enumerate(answers):
                known[case][Field(site, scale, time)] = KnownGrade(key, grade)
    return known


def format_known_grades(truth: Truth, scheme: Scheme) -> str:
    """Return the file that `load_known_grades` reads: by case and field the key and the grade of each visit."""
    rows: dict[str, dict[str, list[tuple[str, int]]]] = {}
    for case, fields in sorted(truth.items()):
        for field in sorted(fields):
            answer = fields[field]
            assert answer.score is not None, "every field of a simulated film has a grade"
            known = (key_for_entry(scheme, answer.entry), int(answer.score))
            rows.setdefault(case, {}).setdefault(f"{field.site} {field.scale}", []).append(known)
    lines = (
        f"{json.dumps(case)}: {{\n"
        + ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in fields.items())
        for case, fields in rows.items()
    )
    return "{\n" + "},\n".join(lines) + "}}\n"


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
