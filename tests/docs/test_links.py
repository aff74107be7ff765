"""Every link, file and module that a page names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *(page for page in ROOT.glob("*.md") if page.name != "CHANGELOG.md"),
    *(ROOT / "docs").glob("*.md"),
    ROOT / "benchmarks" / "README.md",
]
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?[^)]*\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PATH = re.compile(r"(?<![\w./-])(?:\.ci|ratui|trainer|tests|benchmarks|docs|sample_data)/[\w./-]*\w")
MODULE = re.compile(r"python3? -m ((?:ratui|trainer|tests|benchmarks)[\w.]*\w)")
FILE_NAME = re.compile(r"(?<![\w/.-])[a-z][a-z_]*\.py\b")
FOLDERS = (".ci", "ratui", "trainer", "tests", "benchmarks", "docs")
SOURCES = {file.name for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")}


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of `page`, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    titles = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in HEADING.findall(text))
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


def missing(text: str, page: Path) -> set[str]:
    """Return the links, files and modules in `text`, which is that of `page`, that do not exist."""
    found = set()
    for target, anchor in LINK.findall(text):
        if "://" in target:
            continue
        file = page.parent / target if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            found.add(f"{target}#{anchor}")
    found |= {path for path in PATH.findall(text) if not (ROOT / path).exists()}
    modules = {name: ROOT / name.replace(".", "/") for name in MODULE.findall(text)}
    found |= {name for name, path in modules.items() if not (path.is_dir() or path.with_suffix(".py").is_file())}
    return found | {name for name in FILE_NAME.findall(text) if name not in SOURCES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page: Path) -> None:
    assert missing(page.read_text(encoding="utf-8"), page) == set()


@pytest.mark.parametrize(
    "text",
    [
        "[a](nowhere.md)",
        "[a](glossary.md#nothing)",
        "[a](#nothing)",
        "`ratui/study/nothing.py`",
        "see ratui/nothing",
        "`python -m benchmarks.nothing`",
        "`nothing.py`",
    ],
)
def test_what_does_not_exist_is_detected(text: str) -> None:
    assert missing(text, ROOT / "docs" / "glossary.md")
