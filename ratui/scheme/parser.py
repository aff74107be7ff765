"""From a TOML file to a `Scheme`, or to one error that names the line and the key.

It checks everything that a later layer relies on, and never guesses a value that the file leaves out.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NoReturn

from ratui.errors import SchemeError, clean
from ratui.scheme.model import Finding, Grade, Joint, Part, Reason, Scheme, View

__all__ = ["load_scheme", "parse_scheme", "shipped_schemes"]

_FORMAT = 1
_LARGEST_FILE = 1_000_000
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_KEY = re.compile(r"[a-z]")


def shipped_schemes() -> tuple[str, ...]:
    """The names of the schemes that come with ratui."""
    files = resources.files("ratui.scheme").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def load_scheme(name: str | Path) -> Scheme:
    """The scheme called `name`, one of `shipped_schemes`, or the one in the TOML file at that path.

    Raises SchemeError for an unknown name, an unreadable file, or content that can't be a scheme.
    """
    if str(name) in shipped_schemes():
        text = resources.files("ratui.scheme").joinpath(f"{name}.toml").read_text(encoding="utf-8")
        return parse_scheme(text, f"{name}.toml")
    path = Path(name)
    if path.suffix != ".toml":
        known = ", ".join(shipped_schemes())
        raise SchemeError(
            f"there is no scheme named {clean(name)}", "", f"Take one of {known}, or the path of a .toml file"
        )
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise SchemeError("the file is too large to be a scheme", path)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SchemeError(f"the scheme can't be read: {error}", path, "Check the path and its permissions") from error
    return parse_scheme(text, str(path))


def parse_scheme(text: str, where: str) -> Scheme:
    """The scheme that the TOML `text` describes; `where` names it in errors. Raises SchemeError."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SchemeError(f"not valid TOML: {error}", where, "Correct that line") from error
    return _Parser(text, where).scheme(document)


class _Parser:
    """Walks one document; knows its text so that an error can name the line."""

    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._lines = text.splitlines()
        self._where = where

    def scheme(self, document: Mapping[str, Any]) -> Scheme:
        self._known(
            document,
            {"format", "name", "title", "scales", "grades", "findings", "reasons", "parts", "joints", "views"},
            "",
        )
        if document.get("format") != _FORMAT:
            self._fail(f"format is {document.get('format')!r}, this version reads format {_FORMAT}", "", 0, "format")
        scales = tuple(self._strings(document, "scales", "", 0))
        if not scales:
            self._fail("no scale is named", "", 0, "scales")
        tables = {name: self._grades(name, table) for name, table in self._table(document, "grades", "", 0).items()}
        parts = tuple(
            Part(self._name(raw, "parts", i), self._string(raw, "label", "parts", i))
            for i, raw in self._rows(document, "parts", {"id", "label"})
        )
        joints = tuple(
            self._joint(raw, i, scales, tables, {part.id for part in parts})
            for i, raw in self._rows(document, "joints", {"id", "label", "aliases", "part", "group", "grades", "mkloc"})
        )
        findings = tuple(
            self._finding(raw, i, scales)
            for i, raw in self._rows(
                document, "findings", {"id", "key", "label", "meaning", "heals", "sets"}, empty=True
            )
        )
        reason_fields = {"id", "key", "label", "whole_joint", "from_regions"}
        reason_rows = self._rows(document, "reasons", reason_fields)
        reasons = tuple(self._reason(raw, i) for i, raw in reason_rows)
        for kind, values in (
            ("parts", [part.id for part in parts]),
            ("joints", [joint.id for joint in joints]),
            ("findings", [finding.id for finding in findings]),
            ("reasons", [reason.id for reason in reasons]),
        ):
            self._unique(values, kind, "id")
        self._unique([finding.key for finding in findings], "findings", "key")
        self._unique([reason.key for reason in reasons], "reasons", "key")
        outside = [reason for reason, (_, raw) in zip(reasons, reason_rows, strict=True) if raw.get("from_regions")]
        if len(outside) != 1 or not outside[0].whole_joint:
            self._fail("exactly one reason has from_regions = true, and it holds for the whole joint", "reasons", 0, "")
        scheme = Scheme(
            name=self._string(document, "name", "", 0),
            title=self._string(document, "title", "", 0),
            scales=scales,
            parts=parts,
            joints=joints,
            findings=findings,
            reasons=reasons,
            outside=outside[0],
            views={id: self._view(id, raw, joints) for id, raw in self._table(document, "views", "", 0).items()},
            source=self._text,
        )
        self._check_findings(scheme)
        return scheme

    def _check_findings(self, scheme: Scheme) -> None:
        for i, finding in enumerate(scheme.findings):
            for joint in scheme.joints:
                for scale in joint.fixed_by(finding):
                    score = joint.score_of(finding, scale)
                    if score not in {grade.value for grade in joint.grades[scale]}:
                        self._fail(f"sets {scale} {score}, a grade that {joint.id} lacks", "findings", i, "sets")

    def _grades(self, name: str, table: object) -> tuple[Grade, ...]:
        header = f"grades.{name}"
        if not isinstance(table, Mapping) or not table:
            self._fail('grades are lines such as 0 = "none"', header, 0, "")
        grades = []
        for number, key in enumerate(table):
            if key != str(number):
                self._fail(f"grade {clean(key)} stands where {number} should", header, 0, key)
            grades.append(Grade(number, self._string(table, key, header, 0)))
        if len(grades) < 2:
            self._fail("a scale needs at least two grades", header, 0, "")
        return tuple(grades)

    def _joint(
        self,
        raw: Mapping[str, Any],
        i: int,
        scales: tuple[str, ...],
        tables: Mapping[str, tuple[Grade, ...]],
        parts: set[str],
    ) -> Joint:
        id = self._name(raw, "joints", i)
        part = self._string(raw, "part", "joints", i)
        if part not in parts:
            self._fail(f"part {clean(part)} is not one of the [[parts]]", "joints", i, "part")
        named = self._table(raw, "grades", "joints", i)
        for scale, table in named.items():
            if scale not in scales:
                self._fail(f"scale {clean(scale)} is not one of {', '.join(scales)}", "joints", i, "grades")
            if table not in tables:
                self._fail(f"there is no [grades.{clean(table)}]", "joints", i, "grades")
        if not named:
            self._fail("the joint has no scale", "joints", i, "grades")
        return Joint(
            id=id,
            label=self._string(raw, "label", "joints", i, default=id),
            aliases=tuple(self._strings(raw, "aliases", "joints", i, default=())),
            group=self._string(raw, "group", "joints", i),
            part=part,
            grades={scale: tables[named[scale]] for scale in scales if scale in named},
            mkloc=self._string(raw, "mkloc", "joints", i, default=""),
        )

    def _finding(self, raw: Mapping[str, Any], i: int, scales: tuple[str, ...]) -> Finding:
        sets: dict[str, int | Literal["max"]] = {}
        for scale, score in self._table(raw, "sets", "findings", i).items():
            if scale not in scales:
                self._fail(f"scale {clean(scale)} is not one of {', '.join(scales)}", "findings", i, "sets")
            if score == "max":
                sets[scale] = "max"
            elif isinstance(score, int) and not isinstance(score, bool):
                sets[scale] = score
            else:
                self._fail(f'{clean(score)} is neither a grade nor "max"', "findings", i, "sets")
        if not sets:
            self._fail("a finding sets at least one scale", "findings", i, "sets")
        return Finding(
            id=self._name(raw, "findings", i),
            key=self._key(raw, "findings", i),
            label=self._string(raw, "label", "findings", i),
            meaning=self._string(raw, "meaning", "findings", i),
            heals=self._bool(raw, "heals", "findings", i),
            sets=sets,
        )

    def _reason(self, raw: Mapping[str, Any], i: int) -> Reason:
        return Reason(
            id=self._name(raw, "reasons", i),
            key=self._key(raw, "reasons", i),
            label=self._string(raw, "label", "reasons", i),
            whole_joint=self._bool(raw, "whole_joint", "reasons", i),
        )

    def _view(self, id: str, raw: object, joints: tuple[Joint, ...]) -> View:
        header = f"views.{id}"
        if not isinstance(raw, Mapping):
            self._fail("a view is a table", header, 0, "")
        self._known(raw, {"part", "label", "template"}, header)
        part = self._string(raw, "part", header, 0)
        of_part = {joint.id for joint in joints if joint.part == part}
        template: dict[str, tuple[float, float, float]] = {}
        for joint, place in self._table(raw, "template", header, 0).items():
            if joint not in of_part:
                self._fail(f"{clean(joint)} is not a joint of part {clean(part)}", f"{header}.template", 0, joint)
            numbers = isinstance(place, list) and len(place) == 3 and all(isinstance(v, int | float) for v in place)
            if not numbers or not all(0 < v < 1 for v in place):
                self._fail("a place is [x, y, size], each between 0 and 1", f"{header}.template", 0, joint)
            template[joint] = (float(place[0]), float(place[1]), float(place[2]))
        return View(id, self._string(raw, "label", header, 0), part, template)

    # Reading one value, with an error that says where it stands.

    def _rows(
        self, document: Mapping[str, Any], name: str, fields: Iterable[str], *, empty: bool = False
    ) -> list[tuple[int, Mapping[str, Any]]]:
        rows = document.get(name, [])
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            self._fail(f"{name} is written as [[{name}]] tables", name, 0, "")
        if not rows and not empty:
            self._fail(f"there is no [[{name}]]", "", 0, "")
        for i, row in enumerate(rows):
            self._known(row, set(fields), name, i)
        return list(enumerate(rows))

    def _known(self, table: Mapping[str, Any], fields: set[str], header: str, i: int = 0) -> None:
        for key in table:
            if key not in fields:
                self._fail(f"unknown key {clean(key)}; known are {', '.join(sorted(fields))}", header, i, key)

    def _string(self, table: Mapping[str, Any], key: str, header: str, i: int, default: str | None = None) -> str:
        value = table.get(key, default)
        if not isinstance(value, str) or (not value and default is None):
            self._fail(f"{key} must be a text" if key in table else f"{key} is missing", header, i, key)
        if clean(value, 200) != value:
            self._fail(f"{key} is longer than 200 characters or holds a control character", header, i, key)
        return value

    def _strings(
        self, table: Mapping[str, Any], key: str, header: str, i: int, default: tuple[str, ...] | None = None
    ) -> list[str]:
        values = table.get(key, default)
        if not isinstance(values, list | tuple) or not all(isinstance(v, str) and v == clean(v) for v in values):
            self._fail(f"{key} must be a list of texts", header, i, key)
        return list(values)

    def _bool(self, table: Mapping[str, Any], key: str, header: str, i: int) -> bool:
        value = table.get(key)
        if not isinstance(value, bool):
            self._fail(f"{key} must be true or false", header, i, key)
        return value

    def _table(self, table: Mapping[str, Any], key: str, header: str, i: int) -> Mapping[str, Any]:
        value = table.get(key)
        if not isinstance(value, Mapping):
            self._fail(f"{key} must be a table" if key in table else f"{key} is missing", header, i, key)
        return value

    def _name(self, table: Mapping[str, Any], header: str, i: int) -> str:
        value = self._string(table, "id", header, i)
        if not _NAME.fullmatch(value):
            self._fail(f"id {clean(value)!r} is not letters, digits, - and _", header, i, "id")
        return value

    def _key(self, table: Mapping[str, Any], header: str, i: int) -> str:
        value = self._string(table, "key", header, i)
        if not _KEY.fullmatch(value):
            self._fail(f"key {clean(value)!r} is not one small letter", header, i, "key")
        return value

    def _unique(self, values: list[str], header: str, key: str) -> None:
        for i, value in enumerate(values):
            if value in values[:i]:
                self._fail(f"{key} {clean(value)} is used twice", header, i, key)

    def _fail(self, what: str, header: str, i: int, key: str) -> NoReturn:
        line = self._line(header, i, key)
        name = f"{header}.{key}".strip(".") if header else key
        place = f"{self._where}, line {line}" + (f", {name}" if name else "")
        raise SchemeError(what, place, "Correct it; nothing was changed")

    def _line(self, header: str, i: int, key: str) -> int:
        """The line of `key` in the `i`-th table called `header`, or of that header, or 1."""
        start = 0
        if header:
            heads = [n for n, text in enumerate(self._lines) if re.match(rf"\s*\[+{re.escape(header)}\]", text)]
            if not heads:
                return 1
            start = heads[min(i, len(heads) - 1)]
        for n in range(start + bool(header), len(self._lines)):
            text = self._lines[n]
            if key and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", text):
                return n + 1
            if text.lstrip().startswith("["):
                break
        return start + 1
