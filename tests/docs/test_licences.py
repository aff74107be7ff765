"""Every package that ratui uses is listed with its reason and its licence."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def declared() -> dict[str, set[str]]:
    """Return each dependency of pyproject.toml with the extras that bring it; a core dependency has none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: dict[str, set[str]] = {}
    for extra, wanted in {"": project["dependencies"], **project["optional-dependencies"]}.items():
        for each in wanted:
            name = re.split(r"[<>=\[; ]", each)[0]
            if name != "ratui":  # its own extras
                found.setdefault(name, set()).update({extra} - {""})
    return found


def listed() -> list[list[str]]:
    """Return the rows of the tables of dependencies: extras, name, reason, licence."""
    text = (ROOT / "docs" / "decisions.md").read_text().partition("\n## Dependencies\n")[2]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return [["", *row] if len(row) == 3 else row for row in rows if row[-1] not in ("---", "licence")]


def test_each_dependency_has_one_row_under_its_extras() -> None:
    rows = listed()
    assert len(rows) == len({name for _, name, _, _ in rows})
    assert {name: set(filter(None, extras.split(", "))) for extras, name, _, _ in rows} == declared()


def test_each_row_has_a_reason_and_a_licence() -> None:
    assert [row for row in listed() if not all(row[1:])] == []
