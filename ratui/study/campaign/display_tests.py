"""The results of reading tests: what a rater could see on a display, stored beside the rater's readings.

They are in the table file ``readings/<rater>/_display-tests.json``, which belongs to the rater's account like the readings.
No case can have this name. Table ``tests`` has one record for each test, table ``trials`` one for each answer, with the
name of its test.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ratui.errors import StoreError, clean_text
from ratui.stored_values import ODD_VALUE_ERRORS, as_flag, as_integer, as_list, as_number, as_text, as_time
from ratui.study.readings.restored import find_rater_file, take_over_restored
from ratui.study.store import FileLock, LockedByOther, StudyFolder, StudyLock, read_intact, write_tables

if TYPE_CHECKING:
    from ratui.study.study import Study

__all__ = [
    "DISPLAY_TESTS",
    "DisplayFacts",
    "DisplayTest",
    "PartResult",
    "TrialResult",
    "add_display_tests",
    "load_all_display_tests",
    "load_display_tests",
    "parse_display_tests",
    "write_display_tests",
]

DISPLAY_TESTS = "_display-tests.json"
"""Name of the file in the folder of a rater's readings."""
_PARTS = ("erosion", "narrowing")
_MOST_TESTS, _MOST_TRIALS = 1000, 1000
"""Largest number of tests of a rater, and of answers in one part."""
_LONGEST = 200
_FEWEST_FOR_SIDES, _LEAST_SHARE = 10, 0.15
"""Trials from which the share of each film counts, and the share that is too small."""
_EASY = 2.0
"""Size of an easy trial, in thresholds. There a Weibull function with a slope of 1.5 or more is above 0.92."""

_PATIENCE, _PAUSE = 5.0, 0.05
"""Seconds to wait while another process adds a test, which takes milliseconds, and between two attempts."""

Tables: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class TrialResult:
    """One answer.

    Attributes
    ----------
    draw
        Number of the trial among all that were drawn, which with the seed determines its films.
    size
        Diameter of the erosion in mm, or lost share of the joint space.
    site
        Key of the joint.
    place, answer
        Place of the film with the erosion or the narrower space, and the place that was chosen: 0 left, 1 right.
    seconds
        Time from the display of the films to the answer.
    """

    draw: int
    size: float
    site: str
    place: int
    answer: int
    seconds: float

    @property
    def is_correct(self) -> bool:
        """True if the answer is correct."""
        return self.place == self.answer


@dataclass(frozen=True)
class PartResult:
    """The result of one part of a test.

    Attributes
    ----------
    part
        ``erosion`` or ``narrowing``.
    threshold, low, high
        Size that is recognised in 75 % of the choices, with its 95 % interval: a diameter in mm, or a lost share of the
        joint space.
    smallest, largest
        Smallest and largest size that was possible.
    contrast
        Share of the mineral that the erosions removed; None for narrowing.
    joint_space
        Mean width in mm of the joint spaces that were not narrowed; None for erosions.
    trials
        The answers in their order.
    """

    part: str
    threshold: float
    low: float
    high: float
    smallest: float
    largest: float
    contrast: float | None
    joint_space: float | None
    trials: tuple[TrialResult, ...]

    @property
    def is_reached(self) -> bool:
        """False if the display probably does not show even the largest size."""
        return self.threshold <= self.largest

    @property
    def is_below_smallest(self) -> bool:
        """True if the display probably shows even the smallest size."""
        return self.threshold < self.smallest

    @property
    def correct(self) -> int:
        """Number of correct answers."""
        return sum(trial.is_correct for trial in self.trials)

    @property
    def left(self) -> int:
        """Number of answers for the left film."""
        return sum(trial.answer == 0 for trial in self.trials)

    @property
    def is_one_sided(self) -> bool:
        """True if nearly all answers are for the same film, so that the threshold does not describe the display.

        The film with the damage is drawn at random: in 40 trials, somebody who looks at both gives so few answers for one of
        them with a probability of 1 in 100,000.
        """
        count = len(self.trials)
        return count >= _FEWEST_FOR_SIDES and min(self.left, count - self.left) <= _LEAST_SHARE * count

    def list_easy_trials(self) -> list[TrialResult]:
        """Return the trials with at least twice the threshold, of which an attentive observer recognises nearly all."""
        return [trial for trial in self.trials if trial.size >= _EASY * self.threshold]


@dataclass(frozen=True)
class DisplayFacts:
    """The display of a test.

    Attributes
    ----------
    terminal
        Name and version of the terminal, as far as it reported them.
    protocol
        Way to draw films, such as ``kitty`` or ``halfcell``.
    columns, rows
        Size of the terminal in characters.
    cell
        Width and height of a character in pixels.
    picture
        Width and height of the picture of one film in its pixels.
    pixels_per_mm
        Pixels of the picture per millimetre of bone.
    is_sufficient
        True if this resolution counts as enough to judge erosions.
    greys
        Number of greys.
    grey_changes
        Changes to the grey levels of the films; empty if they were shown as acquired.
    zoom
        Width of the part of the film that was shown, in sides of the joint's box.
    acknowledged_by
        ``terminal``, ``multiplexer`` or ``nothing``: what confirmed that the films had been drawn.
    """

    terminal: str
    protocol: str
    columns: int
    rows: int
    cell: tuple[int, int]
    picture: tuple[int, int]
    pixels_per_mm: float
    is_sufficient: bool
    greys: int
    grey_changes: tuple[str, ...]
    zoom: float
    acknowledged_by: str


@dataclass(frozen=True)
class DisplayTest:
    """One test of a display by one rater.

    Attributes
    ----------
    id
        Random name of the test.
    at
        Time of its end in UTC, ISO 8601.
    version
        Version of ratui.
    seed
        Seed of its films, in decimal digits.
    display
        The display.
    parts
        The parts that were completed.
    """

    id: str
    at: str
    version: str
    seed: str
    display: DisplayFacts
    parts: tuple[PartResult, ...]

    def part(self, name: str) -> PartResult | None:
        """Return the result of the part `name`; None if it was not completed."""
        return next((part for part in self.parts if part.part == name), None)

    def to_document(self) -> dict[str, Any]:
        """Return all values for JSON."""
        return asdict(self)


def _to_tables(tests: Sequence[DisplayTest]) -> Tables:
    records, trials = [], []
    for test in tests:
        record = asdict(test)
        for part in record["parts"]:
            trials += [{"test": test.id, "part": part["part"], **trial} for trial in part.pop("trials")]
        records.append(record)
    return {"tests": records, "trials": trials}


def parse_display_tests(tables: Tables, where: object) -> tuple[DisplayTest, ...]:
    """Return the tests in the tables of a file. Raises StoreError, naming the file `where`, for anything else."""
    try:
        records = list(tables.get("tests", ()))
        if len(records) > _MOST_TESTS:
            raise ValueError(f"{len(records)} tests")
        answers: dict[tuple[str, str], list[TrialResult]] = {}
        for raw in tables.get("trials", ()):
            answers.setdefault((as_text(raw["test"], 64), as_text(raw["part"], 20)), []).append(_parse_trial(raw))
        if any(len(each) > _MOST_TRIALS for each in answers.values()):
            raise ValueError("too many answers")
        tests = tuple(_parse_test(record, answers) for record in records)
        if len({test.id for test in tests}) != len(tests):
            raise ValueError("two tests have the same name")
    except ODD_VALUE_ERRORS as error:
        problem = f"not a list of display tests: {clean_text(error)}"
        raise StoreError(problem, where, "Restore the file from a backup") from error
    return tests


def _parse_trial(raw: Mapping[str, Any]) -> TrialResult:
    return TrialResult(
        as_integer(raw["draw"], 0, 1_000_000),
        as_number(raw["size"], 0.0, 1000.0),
        as_text(raw["site"], 64),
        as_integer(raw["place"], 0, 1),
        as_integer(raw["answer"], 0, 1),
        as_number(raw["seconds"], 0.0, 1e6),
    )


def _parse_test(raw: Mapping[str, Any], answers: Mapping[tuple[str, str], list[TrialResult]]) -> DisplayTest:
    id, seed = as_text(raw["id"], 64), as_text(raw["seed"], 64)
    if not seed.isdecimal():
        raise ValueError("a seed that is no number")
    as_time(raw["at"])
    parts = tuple(_parse_part(part, answers.get((id, str(part["part"])), ())) for part in as_list(raw["parts"]))
    if len({part.part for part in parts}) != len(parts):
        raise ValueError("the same part twice")
    return DisplayTest(id, raw["at"], as_text(raw["version"], 40), seed, _parse_display(raw["display"]), parts)


def _parse_part(raw: Mapping[str, Any], trials: Sequence[TrialResult]) -> PartResult:
    name = as_text(raw["part"], 20)
    if name not in _PARTS or not trials:
        raise ValueError("an unknown part, or one without answers")
    sizes = [as_number(raw[key], 1e-9, 1e6) for key in ("threshold", "low", "high", "smallest", "largest")]
    if not (sizes[1] <= sizes[0] <= sizes[2] and sizes[3] <= sizes[4]):
        raise ValueError("a threshold outside of its interval")
    optional = [None if raw[key] is None else as_number(raw[key], 0.0, 1000.0) for key in ("contrast", "joint_space")]
    if (optional[0] is None) == (name == "erosion") or (optional[1] is None) == (name == "narrowing"):
        raise ValueError("the values of another part")
    threshold, low, high, smallest, largest = sizes
    return PartResult(name, threshold, low, high, smallest, largest, optional[0], optional[1], tuple(trials))


def _parse_display(raw: Mapping[str, Any]) -> DisplayFacts:
    across, down = (as_integer(value, 1, 1000) for value in as_list(raw["cell"]))
    width, height = (as_integer(value, 1, 100_000) for value in as_list(raw["picture"]))
    return DisplayFacts(
        as_text(raw["terminal"], _LONGEST),
        as_text(raw["protocol"], 20),
        as_integer(raw["columns"], 1, 100_000),
        as_integer(raw["rows"], 1, 100_000),
        (across, down),
        (width, height),
        as_number(raw["pixels_per_mm"], 0.0, 1e4),
        as_flag(raw["is_sufficient"]),
        as_integer(raw["greys"], 1, 65_536),
        tuple(as_text(each, _LONGEST) for each in as_list(raw["grey_changes"])[:20]),
        as_number(raw["zoom"], 0.01, 100.0),
        as_text(raw["acknowledged_by"], 20),
    )


def load_display_tests(folder: StudyFolder, rater: str) -> tuple[DisplayTest, ...]:
    """Return the tests of `rater`, the oldest first; empty if there are none. Raises StoreError for a damaged file."""
    file = find_rater_file(folder, rater, DISPLAY_TESTS)
    stored = read_intact(file)
    return parse_display_tests(stored.tables, file.path) if stored else ()


def load_all_display_tests(study: Study) -> dict[str, tuple[DisplayTest, ...]]:
    """Return the tests of each rater of `study` who has any. Raises StoreError for a damaged file.

    Raises StudyError if this account does not manage the study.
    """
    study.check_manager("list the display tests of all raters")
    found = {rater: load_display_tests(study.folder, rater) for rater in study.config.raters}
    return {rater: tests for rater, tests in found.items() if tests}


def add_display_tests(study: Study, rater: str, new: Sequence[DisplayTest]) -> int:
    """Add tests to those of `rater` in `study`, and return how many were not there yet.

    Raises
    ------
    LockedByOther
        If another process has been adding a test for this rater for some seconds.
    StudyLocked
        If a manager has locked the study.
    StudyError
        If this account may not enter the readings of the rater.
    StoreError
        If the file is damaged, or can't be written.
    """
    study.check_rater(rater)
    StudyLock(study.folder).check_unlocked()
    take_over_restored(study.folder, rater)
    return write_display_tests(study.folder, f"readings/{rater}", rater, new)


def write_display_tests(folder: StudyFolder, inside: str, rater: str, new: Sequence[DisplayTest]) -> int:
    """Add tests of `rater` to the file in the folder `inside`, which is made if necessary; see `add_display_tests`."""
    lock = StudyLock(folder)
    folder.make_folder(inside, group=0o050)  # in a shared study, only this rater may write here
    file = folder.file(f"{inside}/{DISPLAY_TESTS}")
    with ExitStack() as held:
        _wait_for(lambda: held.enter_context(FileLock(file.with_suffix(".lock"))))
        before = load_display_tests(folder, rater)
        known = {test.id for test in before}
        added = [test for test in new if test.id not in known]
        if len(before) + len(added) > _MOST_TESTS:
            raise StoreError(f"there are {_MOST_TESTS} display tests already", file.path, "Ask a manager of the study")
        tables = _to_tables((*before, *added))
        parse_display_tests(tables, file.path)  # never store what could not be read
        with lock.shared():
            lock.check_unlocked()
            write_tables(file, tables)
    return len(added)


def _wait_for(take: Callable[[], object]) -> None:
    """Call `take` until it does not raise LockedByOther, for some seconds: the result of a test took the rater minutes."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            take()
        except LockedByOther:
            if time.monotonic() >= until:
                raise
            time.sleep(_PAUSE)
        else:
            return
