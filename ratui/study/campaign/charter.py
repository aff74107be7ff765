"""The charter of a study: the rules of its reading, as values that every part of the program follows.

It is the part ``charter`` of ``study.toml``, which every rater can read. It contains no time of a film, no order of films or
cases, no list of repeated cases and no truth of an examination: these stay with the managers. `charter_changes` sets it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from typing import Any, TypeVar

from ratui.errors import StudyError, clean_text
from ratui.files import check_name
from ratui.stored_values import as_flag, as_integer, as_list, as_number, as_text, as_time
from ratui.study.case import MOST_VISITS

__all__ = [
    "FINAL_RULES",
    "MISSING_RULES",
    "SURGERY_RULES",
    "Charter",
    "CharterVersion",
    "PlannedVisit",
    "Qualification",
    "ReadingWindow",
    "charter_from_table",
    "charter_to_lines",
    "charter_to_table",
    "to_toml",
]

MISSING_RULES = ("", "complete", "observed", "carried", "prorated", "common")
"""Names of the rules for fields without a score, of `ratui.results.totals`; empty if none is chosen."""
FINAL_RULES = ("mean", "median", "consensus", "consensus_or_mean")
"""Names of the rules for the final score of a case, of `ratui.results`."""
SURGERY_RULES = ("scheme", "maximum")
"""Scores of a joint after surgery: as the scheme defines them, or the maximum of each scale."""
_MOST_WINDOWS = 200
_MOST_VERSIONS = 500
_MOST_DAYS = 40_000
_MOST_CASES = 100_000
_LONGEST_NAME = 60
_LONGEST_REASON = 1000
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class PlannedVisit:
    """A visit of the study's plan.

    Attributes
    ----------
    name
        Name, for example "year 1".
    day
        Planned days since the first visit; None if there is no plan.
    before, after
        Days before and after the planned day within which the visit is in its window.
    """

    name: str
    day: int | None = None
    before: int = 0
    after: int = 0


@dataclass(frozen=True)
class ReadingWindow:
    """The first and the last day on which a block of cases is open for reading; None for no limit."""

    opens: date | None = None
    closes: date | None = None


@dataclass(frozen=True)
class Qualification:
    """The marks that a rater needs in an examination; None for a measure that is not required.

    Attributes
    ----------
    required
        Raters below a mark, or without an examination, cannot open the study.
    icc_status, icc_change
        Least ICC with the truth, of the status and of the change.
    kappa
        Least weighted kappa with the truth.
    sdc
        Largest smallest detectable change against the truth, in points.
    """

    required: bool = False
    icc_status: float | None = None
    icc_change: float | None = None
    kappa: float | None = None
    sdc: float | None = None


@dataclass(frozen=True)
class CharterVersion:
    """The record of one version of the charter.

    Attributes
    ----------
    version
        Its number, from 1.
    at
        Time, ISO 8601 in UTC.
    account
        Account that set it.
    reason
        Reason.
    changes
        A line for each changed value: its name, the value before, and the value after.
    """

    version: int
    at: str
    account: str
    reason: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Charter:
    """The rules of a study's reading. The defaults are those of a study without a charter.

    Attributes
    ----------
    visits
        Plan of the visits by number; may be empty.
    block_cases
        Number of cases in a block that a rater reads before the next one opens; 0 for one block.
    windows
        Days on which each block is open. One window counts for all blocks; none for no limit.
    missing
        Rule for fields without a score, see `MISSING_RULES`.
    final
        Rule for the final score of a case, see `FINAL_RULES`.
    surgery
        Score of a joint after surgery, see `SURGERY_RULES`.
    adjudication_points
        Least difference of two raters' change at which a case is adjudicated, in points.
    adjudication_model
        Run of a model that takes part in adjudication; empty for none.
    adjudication_model_over
        Least difference of the model from every rater at which a joint is adjudicated, in grades.
    qualification
        Marks that raters need in an examination.
    repeats_share
        Proportion of the cases that each rater reads a second time under another name.
    raters_per_case, blinded
        Copies of the settings of the same names, see `StudyConfig`. They are not stored here.
    history
        The versions of the charter; empty before it is first set.
    """

    visits: tuple[PlannedVisit, ...] = ()
    block_cases: int = 0
    windows: tuple[ReadingWindow, ...] = ()
    missing: str = ""
    final: str = "mean"
    surgery: str = "scheme"
    adjudication_points: float = 7.0
    adjudication_model: str = ""
    adjudication_model_over: float = 1.5
    qualification: Qualification = Qualification()
    repeats_share: float = 0.0
    raters_per_case: int = 0
    blinded: bool = False
    history: tuple[CharterVersion, ...] = field(default=())

    @property
    def version(self) -> int:
        """Number of the version in force; 1 for a study without a charter."""
        return self.history[-1].version if self.history else 1

    @property
    def amendments(self) -> tuple[CharterVersion, ...]:
        """The changes that were made after the reading had started."""
        return tuple(each for each in self.history if each.version > 1)

    @property
    def visit_names(self) -> tuple[str, ...]:
        """Names of the planned visits, by number."""
        return tuple(visit.name for visit in self.visits)

    def visit_name(self, number: int) -> str:
        """Return the name of the visit with `number`, counted from 0, also of one that is not planned.

        Examples
        --------
        >>> Charter().visit_name(0), Charter().visit_name(1)
        ('baseline', 'visit 2')
        """
        if number < len(self.visits):
            return self.visits[number].name
        return "baseline" if number == 0 else f"visit {number + 1}"

    def find_window(self, block: int) -> ReadingWindow:
        """Return the days on which the block with the number `block`, counted from 0, is open.

        A single window applies to all blocks. A block without a window is always open.
        """
        if len(self.windows) == 1:
            return self.windows[0]
        return self.windows[block] if block < len(self.windows) else ReadingWindow()


COPIED = ("raters_per_case", "blinded")
"""Values that are stored beside the charter, see `Charter`."""


def _one_of(names: Sequence[str]) -> tuple[str, Callable[[Any], str]]:
    def read(value: Any) -> str:
        if as_text(value) not in names:
            raise ValueError("unknown name")
        return str(value)

    return "one of " + ", ".join(name or '""' for name in names), read


def _number(least: float, most: float, unit: str = "") -> tuple[str, Callable[[Any], float]]:
    return f"a number from {least:g} to {most:g}{unit}", lambda value: as_number(value, least, most)


def _read_record(raw: Any, known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping) or set(raw) - set(known):
        raise ValueError("not a record with these values")
    return raw


def _read_name(value: Any) -> str:
    name = as_text(value, _LONGEST_NAME).strip()
    if not name or clean_text(name) != name:
        raise ValueError("not a name")
    return name


def _read_visits(value: Any) -> tuple[PlannedVisit, ...]:
    visits = []
    for each in as_list(value):
        raw = {"name": each} if isinstance(each, str) else _read_record(each, ("name", "day", "before", "after"))
        day = raw.get("day")
        visits.append(
            PlannedVisit(
                _read_name(raw["name"]),
                None if day is None else as_integer(day, 0, _MOST_DAYS),
                as_integer(raw.get("before", 0), 0, _MOST_DAYS),
                as_integer(raw.get("after", 0), 0, _MOST_DAYS),
            )
        )
    days = [visit.day for visit in visits if visit.day is not None]
    if len(visits) > MOST_VISITS or len({visit.name for visit in visits}) < len(visits) or days != sorted(set(days)):
        raise ValueError("too many, or not in order")
    return tuple(visits)


def _read_day(value: Any) -> date | None:
    return value if type(value) is date else date.fromisoformat(as_text(value)) if value else None


def _read_windows(value: Any) -> tuple[ReadingWindow, ...]:
    windows = []
    for each in as_list(value):
        raw = _read_record(each, ("opens", "closes"))
        window = ReadingWindow(_read_day(raw.get("opens")), _read_day(raw.get("closes")))
        if window.opens and window.closes and window.closes < window.opens:
            raise ValueError("it closes before it opens")
        windows.append(window)
    if len(windows) > _MOST_WINDOWS:
        raise ValueError("too many")
    return tuple(windows)


def read_qualification(value: Any) -> Qualification:
    """Return the marks in a stored record. Raises ValueError, KeyError or TypeError for another form."""
    raw = _read_record(value, [each.name for each in fields(Qualification)])
    limits = {"icc_status": 1.0, "icc_change": 1.0, "kappa": 1.0, "sdc": 1000.0}
    marks = {name: as_number(raw[name], 0.0, most) for name, most in limits.items() if raw.get(name) is not None}
    required = as_flag(raw.get("required", False))
    if required and not marks:
        raise ValueError("no mark")
    return Qualification(required, **marks)


def _read_run(value: Any) -> str:
    return check_name(value, "model") if value else as_text(value)


def _read_history(value: Any) -> tuple[CharterVersion, ...]:
    found = []
    for number, each in enumerate(as_list(value), start=1):
        raw = _read_record(each, ("version", "at", "account", "reason", "changes"))
        if as_integer(raw["version"], 1, _MOST_VERSIONS) != number:
            raise ValueError("a version is missing")
        as_time(raw["at"])
        changes = tuple(as_text(change) for change in as_list(raw.get("changes", [])))
        found.append(
            CharterVersion(number, raw["at"], as_text(raw["account"]), as_text(raw["reason"], _LONGEST_REASON), changes)
        )
    return tuple(found)


_VISIT = '{ name = "year 1", day = 365, before = 30, after = 60 }'
_READERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "visits": (
        f"a list of up to {MOST_VISITS} visits with different names and rising days, such as {_VISIT}",
        _read_visits,
    ),
    "block_cases": (f"a whole number from 0 to {_MOST_CASES}", lambda value: as_integer(value, 0, _MOST_CASES)),
    "windows": (
        "a list of days such as { opens = 2027-01-10, closes = 2027-02-10 }, each closing after it opens",
        _read_windows,
    ),
    "missing": _one_of(MISSING_RULES),
    "final": _one_of(FINAL_RULES),
    "surgery": _one_of(SURGERY_RULES),
    "adjudication_points": _number(0, 1000, " points"),
    "adjudication_model": ('the name of a run, or ""', _read_run),
    "adjudication_model_over": _number(0, 100, " grades"),
    "qualification": (
        "marks such as { required = true, icc_status = 0.8, icc_change = 0.7, kappa = 0.6, sdc = 5.0 }",
        read_qualification,
    ),
    "repeats_share": _number(0, 0.5),
    "history": ("a list of versions that follow each other", _read_history),
}
_ORDER = tuple(_READERS)


def charter_from_table(table: Mapping[str, Any], where: object, before: Charter | None = None) -> Charter:
    """Return the charter with the values of a TOML table; values that it lacks are those of `before`, or the defaults.

    Raises StudyError for an unknown name or a value that is not valid; it names `where`, the value, and what is permitted.
    """
    values: dict[str, Any] = {}
    for name, raw in table.items():
        if name not in _READERS:
            known = ", ".join(_ORDER[:-1])
            raise StudyError(f"the charter has no value {clean_text(name)}", where, f"Its values are: {known}")
        allowed, read = _READERS[name]
        try:
            values[name] = read(raw)
        except (ValueError, KeyError, TypeError, StudyError) as error:
            problem = f"charter, {name}: it must be {allowed}; found {clean_text(raw, 100)}"
            raise StudyError(problem, where, "Correct this value") from error
    charter = replace(before or Charter(), **values)
    if len(charter.windows) > 1 and not charter.block_cases:
        problem = "charter, windows: there is more than one, but block_cases is 0"
        raise StudyError(problem, where, "Give the number of cases in a block, or one window")
    return charter


def charter_to_table(charter: Charter) -> dict[str, Any]:
    """Return the stored values of `charter` that differ from the defaults, as plain values."""
    plain: dict[str, Any] = {
        "visits": [_without_none(vars(visit)) for visit in charter.visits],
        "windows": [_without_none(vars(window)) for window in charter.windows],
        "qualification": _without_none(vars(charter.qualification)),
        "history": [{**vars(each), "changes": list(each.changes)} for each in charter.history],
    }
    default = Charter()
    return {
        name: plain.get(name, getattr(charter, name))
        for name in _ORDER
        if getattr(charter, name) != getattr(default, name)
    }


def charter_to_lines(charter: Charter) -> list[str]:
    """Return the lines of ``study.toml`` with the values of `charter` that differ from the defaults."""
    lines = []
    for name, value in charter_to_table(charter).items():
        if isinstance(value, list):
            rows = "".join(f"\n  {to_toml(each)}," for each in value)
            lines.append(f"charter.{name} = [{rows}\n]")
        else:
            lines.append(f"charter.{name} = {to_toml(value)}")
    return lines


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def to_toml(value: Any) -> str:
    """Return a plain value in one line of TOML. Texts must be free of control characters."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case list() | tuple():
            return "[" + ", ".join(map(to_toml, value)) + "]"
        case dict():
            return "{ " + ", ".join(f"{name} = {to_toml(each)}" for name, each in value.items()) + " }"
    return str(value)
