"""The glossary defines each term once, in one line, in alphabetical order."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (?!term \|)([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def test_terms_are_defined_once_and_in_order() -> None:
    for section in PAGE.split("\n## ")[1:]:
        terms = [term.lower() for term, _ in ROW.findall(section)]
        assert terms == sorted(set(terms)), section.splitlines()[0]
    every = [term.lower() for term, _ in ROW.findall(PAGE)]
    assert len(every) == len(set(every)) > 100


def test_each_line_of_a_table_is_a_definition() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("| ") and line != "| term | meaning |"]
    assert [line for line in lines if not ROW.fullmatch(line)] == []
