"""The tables of packages in the architecture name existing packages and modules, and leave no package out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## Three paths")[0]
ROW = re.compile(r"^\| `([a-z_]+)/` \| (.*) \|$", re.MULTILINE)
NAME = re.compile(r"`([a-z_]+)(?:/|\.py)?`")


def tables() -> dict[str, dict[str, str]]:
    """Return the contents of each package by its name, for `ratui` and for `trainer`."""
    ratui, _, trainer = PAGE.partition("\n`trainer/`:\n")
    return {"ratui": dict(ROW.findall(ratui)), "trainer": dict(ROW.findall(trainer))}


def missing(package: Path, text: str) -> set[str]:
    """Return the names in `text` that are neither a module nor a folder in `package`."""
    names = {path.stem for path in package.rglob("*.py")} | {path.name for path in package.rglob("*") if path.is_dir()}
    return set(NAME.findall(text)) - names


@pytest.mark.parametrize("root", ["ratui", "trainer"])
def test_the_table_names_every_package(root: str) -> None:
    packages = {path.parent.name for path in (ROOT / root).glob("*/__init__.py")}
    assert set(tables()[root]) == packages


@pytest.mark.parametrize("root", ["ratui", "trainer"])
def test_the_modules_in_the_table_exist(root: str) -> None:
    found = {package: missing(ROOT / root / package, text) for package, text in tables()[root].items()}
    assert {package: names for package, names in found.items() if names} == {}


def test_a_missing_module_is_detected() -> None:
    assert missing(ROOT / "ratui" / "reading", "`model`, `log.py` and `nothing`") == {"nothing"}
