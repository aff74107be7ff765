"""Parser of scheme files (TOML). An error names the line and the key.

The parser checks everything that other modules rely on. It has no defaults for values that affect the score.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn

from ratui.bounded_parsing import parse_toml, read_bounded
from ratui.errors import SchemeError, clean_text
from ratui.scheme.model import MAX_GRADES, Finding, Grade, Joint, Part, Reason, Scheme, View

__all__ = ["list_shipped_schemes", "load_scheme", "parse_scheme"]

_FOLDER = Path(__file__).parent
_FORMAT = 1
_MAX_FILE_BYTES = 256_000
_ID_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_KEY_PATTERN = re.compile(r"[a-z]")


def list_shipped_schemes() -> tuple[str, ...]:
    """Return the names of the schemes that come with ratui, sorted."""
    files = _FOLDER.iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def load_scheme(name: str | Path) -> Scheme:
    """Return a shipped scheme or the scheme in a file.

    Parameters
    ----------
    name
        One of `list_shipped_schemes`, or the path of a ``.toml`` file.

    Raises
    ------
    SchemeError
        If the name is unknown, or if the file is unreadable or not a valid scheme.

    Examples
    --------
    The modified total Sharp score (van der Heijde) of hands and feet:

    >>> from ratui.scheme import load_scheme
    >>> scheme = load_scheme("mtss")
    >>> scheme.max_total(), scheme.max_total("ERO"), scheme.max_total("JSN")
    (448, 280, 168)
    >>> site = scheme.site("L.MCP2")
    >>> site.joint.max_grade("ERO"), site.joint.max_grade("JSN")
    (5, 4)
    """
    if str(name) in list_shipped_schemes():
        text = (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
        return parse_scheme(text, f"{name}.toml")
    path = Path(name)
    if path.suffix != ".toml":
        known = ", ".join(list_shipped_schemes())
        raise SchemeError(
            f"there is no scheme named {clean_text(name)}", "", f"Take one of {known}, or the path of a .toml file"
        )
    try:
        text = read_bounded(path, _MAX_FILE_BYTES).decode()
    except OSError as error:
        problem = f"the scheme can't be read: {error.strerror}"
        raise SchemeError(problem, path, "Check the path and its permissions") from error
    except ValueError as error:
        problem = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise SchemeError(f"the scheme can't be read: {problem}", path, "Give a scheme file") from error
    return parse_scheme(text, str(path))


def parse_scheme(text: str, file_name: str) -> Scheme:
    """Return the scheme in a TOML text.

    Parameters
    ----------
    text
        Contents of a scheme file.
    file_name
        Name of the file, for error messages.

    Raises
    ------
    SchemeError
        If the text is not TOML or not a valid scheme.
    """
    try:
        document = parse_toml(text)
    except ValueError as error:
        raise SchemeError(f"not valid TOML: {clean_text(error, 200)}", file_name, "Correct that line") from error
    return _Parser(text, file_name).parse(document)


class _Parser:
    """Parser of one document. It keeps the text, because tomllib does not tell the line of a value.

    In the methods, `header` is the name of a table (``joints``), `index` the number of the table among those with that
    name, and `key` the key in it.
    """

    def __init__(self, text: str, file_name: str) -> None:
        self._text = text
        self._lines = text.splitlines()
        self._file_name = file_name

    def parse(self, document: Mapping[str, Any]) -> Scheme:
        """Return the scheme in `document`, the result of tomllib. Raises SchemeError if it is not valid."""
        self._check_keys(
            document,
            {"format", "name", "title", "scales", "grades", "findings", "reasons", "parts", "joints", "views"},
            "",
        )
        if document.get("format") != _FORMAT:
            self._fail(f"format is {document.get('format')!r}, this version reads format {_FORMAT}", "", 0, "format")
        scales = tuple(self._read_strings(document, "scales", "", 0))
        if not scales:
            self._fail("the list of scales is empty", "", 0, "scales")
        tables = {
            name: self._parse_grades(name, table) for name, table in self._read_table(document, "grades", "", 0).items()
        }
        parts = tuple(
            Part(self._read_id(raw, "parts", index), self._read_string(raw, "label", "parts", index))
            for index, raw in self._read_tables(document, "parts", {"id", "label"})
        )
        joints = tuple(
            self._parse_joint(raw, index, scales, tables, {part.id for part in parts})
            for index, raw in self._read_tables(
                document, "joints", {"id", "label", "aliases", "part", "group", "grades", "mkloc"}
            )
        )
        findings = tuple(
            self._parse_finding(raw, index, scales)
            for index, raw in self._read_tables(
                document, "findings", {"id", "key", "label", "meaning", "heals", "sets"}, empty=True
            )
        )
        reason_fields = {"id", "key", "label", "whole_joint", "from_regions"}
        reason_rows = self._read_tables(document, "reasons", reason_fields)
        reasons = tuple(self._parse_reason(raw, index) for index, raw in reason_rows)
        for kind, values in (
            ("parts", [part.id for part in parts]),
            ("joints", [joint.id for joint in joints]),
            ("findings", [finding.id for finding in findings]),
            ("reasons", [reason.id for reason in reasons]),
        ):
            self._check_unique(values, kind, "id")
        self._check_unique([finding.key for finding in findings], "findings", "key")
        self._check_unique([reason.key for reason in reasons], "reasons", "key")
        # The regions screen enters this reason for every scale of a joint outside the image.
        off_film = [reason for reason, (_, raw) in zip(reasons, reason_rows, strict=True) if raw.get("from_regions")]
        if len(off_film) != 1 or not off_film[0].whole_joint:
            self._fail("exactly one reason must have from_regions = true, with whole_joint = true", "reasons", 0, "")
        scheme = Scheme(
            name=self._read_string(document, "name", "", 0),
            title=self._read_string(document, "title", "", 0),
            scales=scales,
            parts=parts,
            joints=joints,
            findings=findings,
            reasons=reasons,
            off_film_reason=off_film[0],
            views={
                id: self._parse_view(id, raw, joints) for id, raw in self._read_table(document, "views", "", 0).items()
            },
            toml_text=self._text,
        )
        self._check_findings(scheme)
        return scheme

    def _check_findings(self, scheme: Scheme) -> None:
        """Raise SchemeError if a finding sets a grade that a joint lacks."""
        for index, finding in enumerate(scheme.findings):
            for joint in scheme.joints:
                for scale in joint.scales_fixed_by(finding):
                    score = joint.finding_score(finding, scale)
                    if score not in {grade.value for grade in joint.grades[scale]}:
                        self._fail(
                            f"it sets {scale} {score}, but {joint.id} has no such grade", "findings", index, "sets"
                        )

    def _parse_grades(self, name: str, table: object) -> tuple[Grade, ...]:
        header = f"grades.{name}"
        if not isinstance(table, Mapping) or not table:
            self._fail('grades must be lines such as 0 = "none"', header, 0, "")
        grades = []
        for number, key in enumerate(table):
            if key != str(number):
                self._fail(f"found grade {clean_text(key)} instead of {number}", header, 0, key)
            grades.append(Grade(number, self._read_string(table, key, header, 0)))
        if len(grades) < 2:
            self._fail("a scale needs at least two grades", header, 0, "")
        if len(grades) > MAX_GRADES:
            self._fail(
                f"a scale has at most {MAX_GRADES} grades, 0 to {MAX_GRADES - 1}, since each has a key; "
                f"this one has {len(grades)}",
                header,
                0,
                str(MAX_GRADES),
            )
        return tuple(grades)

    def _parse_joint(
        self,
        raw: Mapping[str, Any],
        index: int,
        scales: tuple[str, ...],
        tables: Mapping[str, tuple[Grade, ...]],
        parts: set[str],
    ) -> Joint:
        id = self._read_id(raw, "joints", index)
        part = self._read_string(raw, "part", "joints", index)
        if part not in parts:
            self._fail(f"part {clean_text(part)} is not one of the [[parts]]", "joints", index, "part")
        named = self._read_table(raw, "grades", "joints", index)
        for scale, table in named.items():
            if scale not in scales:
                self._fail(f"scale {clean_text(scale)} is not one of {', '.join(scales)}", "joints", index, "grades")
            if table not in tables:
                self._fail(f"there is no [grades.{clean_text(table)}]", "joints", index, "grades")
        if not named:
            self._fail("the joint has no scale", "joints", index, "grades")
        return Joint(
            id=id,
            label=self._read_string(raw, "label", "joints", index, default=id),
            aliases=tuple(self._read_strings(raw, "aliases", "joints", index, default=())),
            group=self._read_string(raw, "group", "joints", index),
            part=part,
            grades={scale: tables[named[scale]] for scale in scales if scale in named},
            mkloc=self._read_string(raw, "mkloc", "joints", index, default=""),
        )

    def _parse_finding(self, raw: Mapping[str, Any], index: int, scales: tuple[str, ...]) -> Finding:
        sets: dict[str, int | Literal["max"]] = {}
        for scale, score in self._read_table(raw, "sets", "findings", index).items():
            if scale not in scales:
                self._fail(f"scale {clean_text(scale)} is not one of {', '.join(scales)}", "findings", index, "sets")
            if score == "max":
                sets[scale] = "max"
            elif isinstance(score, int) and not isinstance(score, bool):
                sets[scale] = score
            else:
                self._fail(f'{clean_text(score)} is neither a grade nor "max"', "findings", index, "sets")
        if not sets:
            self._fail("a finding must set at least one scale", "findings", index, "sets")
        return Finding(
            id=self._read_id(raw, "findings", index),
            key=self._read_key(raw, "findings", index),
            label=self._read_string(raw, "label", "findings", index),
            meaning=self._read_string(raw, "meaning", "findings", index),
            heals=self._read_bool(raw, "heals", "findings", index),
            sets=sets,
        )

    def _parse_reason(self, raw: Mapping[str, Any], index: int) -> Reason:
        return Reason(
            id=self._read_id(raw, "reasons", index),
            key=self._read_key(raw, "reasons", index),
            label=self._read_string(raw, "label", "reasons", index),
            whole_joint=self._read_bool(raw, "whole_joint", "reasons", index),
        )

    def _parse_view(self, id: str, raw: object, joints: tuple[Joint, ...]) -> View:
        header = f"views.{id}"
        if not isinstance(raw, Mapping):
            self._fail("a view must be a table", header, 0, "")
        self._check_keys(raw, {"part", "label", "template"}, header)
        part = self._read_string(raw, "part", header, 0)
        of_part = {joint.id for joint in joints if joint.part == part}
        template: dict[str, tuple[float, float, float]] = {}
        for joint, place in self._read_table(raw, "template", header, 0).items():
            if joint not in of_part:
                self._fail(
                    f"{clean_text(joint)} is not a joint of part {clean_text(part)}", f"{header}.template", 0, joint
                )
            numbers = isinstance(place, list) and len(place) == 3 and all(isinstance(v, int | float) for v in place)
            if not numbers or not all(0 < v < 1 for v in place):
                self._fail("a place must be [x, y, size], each between 0 and 1", f"{header}.template", 0, joint)
            template[joint] = (float(place[0]), float(place[1]), float(place[2]))
        return View(id, self._read_string(raw, "label", header, 0), part, template)

    # Readers of one value. Each raises SchemeError if the value is missing or of another type.

    def _read_tables(
        self, document: Mapping[str, Any], name: str, fields: Iterable[str], *, empty: bool = False
    ) -> list[tuple[int, Mapping[str, Any]]]:
        rows = document.get(name, [])
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            self._fail(f"{name} must be written as [[{name}]] tables", name, 0, "")
        if not rows and not empty:
            self._fail(f"there is no [[{name}]]", "", 0, "")
        for index, row in enumerate(rows):
            self._check_keys(row, set(fields), name, index)
        return list(enumerate(rows))

    def _check_keys(self, table: Mapping[str, Any], fields: set[str], header: str, index: int = 0) -> None:
        for key in table:
            if key not in fields:
                self._fail(f"unknown key {clean_text(key)}; known are {', '.join(sorted(fields))}", header, index, key)

    def _read_string(
        self, table: Mapping[str, Any], key: str, header: str, index: int, default: str | None = None
    ) -> str:
        value = table.get(key, default)
        if not isinstance(value, str) or (not value and default is None):
            self._fail(f"{key} must be a text" if key in table else f"{key} is missing", header, index, key)
        if clean_text(value, 200) != value:
            self._fail(f"{key} is longer than 200 characters or contains a control character", header, index, key)
        return value

    def _read_strings(
        self, table: Mapping[str, Any], key: str, header: str, index: int, default: tuple[str, ...] | None = None
    ) -> list[str]:
        values = table.get(key, default)
        if not isinstance(values, list | tuple) or not all(isinstance(v, str) and v == clean_text(v) for v in values):
            self._fail(f"{key} must be a list of texts", header, index, key)
        return list(values)

    def _read_bool(self, table: Mapping[str, Any], key: str, header: str, index: int) -> bool:
        value = table.get(key)
        if not isinstance(value, bool):
            self._fail(f"{key} must be true or false", header, index, key)
        return value

    def _read_table(self, table: Mapping[str, Any], key: str, header: str, index: int) -> Mapping[str, Any]:
        value = table.get(key)
        if not isinstance(value, Mapping):
            self._fail(f"{key} must be a table" if key in table else f"{key} is missing", header, index, key)
        return value

    def _read_id(self, table: Mapping[str, Any], header: str, index: int) -> str:
        value = self._read_string(table, "id", header, index)
        if not _ID_PATTERN.fullmatch(value):
            self._fail(f"id {clean_text(value)!r} must consist of letters, digits, - and _", header, index, "id")
        return value

    def _read_key(self, table: Mapping[str, Any], header: str, index: int) -> str:
        value = self._read_string(table, "key", header, index)
        if not _KEY_PATTERN.fullmatch(value):
            self._fail(f"key {clean_text(value)!r} must be one lower-case letter", header, index, "key")
        return value

    def _check_unique(self, values: list[str], header: str, key: str) -> None:
        for index, value in enumerate(values):
            if value in values[:index]:
                self._fail(f"{key} {clean_text(value)} is used twice", header, index, key)

    def _fail(self, problem: str, header: str, index: int, key: str) -> NoReturn:
        """Raise SchemeError with the line of `key`."""
        line = self._find_line(header, index, key)
        name = f"{header}.{key}".strip(".") if header else key
        place = f"{self._file_name}, line {line}" + (f", {name}" if name else "")
        raise SchemeError(problem, place, "Correct it; nothing was changed")

    def _find_line(self, header: str, index: int, key: str) -> int:
        """Return the line of `key` in its table, or that of the table's header, or 1. Lines count from 1."""
        start = 0
        if header:
            heads = [n for n, text in enumerate(self._lines) if re.match(rf"\s*\[+{re.escape(header)}\]", text)]
            if not heads:
                return 1
            start = heads[min(index, len(heads) - 1)]
        for n in range(start + bool(header), len(self._lines)):
            text = self._lines[n]
            if key and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", text):
                return n + 1
            if text.lstrip().startswith("["):
                break
        return start + 1
