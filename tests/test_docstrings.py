"""The language of docstrings: imperative sentences without forbidden first words. Ruff checks the rest (`D`)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = sorted(file for folder in ("ratui", "trainer", "benchmarks") for file in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
QUESTIONS = {"What", "How", "Whether", "Which", "Where", "When", "Who"}
NOT_IMPERATIVE = {
    "The",
    "A",
    "An",
    "Its",
    "Every",
    "Each",
    "All",
    "Both",
    "No",
    "It",
    "This",
    "That",
    "Returns",
    "Raises",
}
"""First words that cannot begin an imperative sentence. A docstring of a function or method must not start with them."""
MAX_LINES = 400


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str, bool]]:
    """Yield line, text, and whether it describes a function or method, for each docstring of a module."""
    described = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                described.add(node.body[0])
                is_function = not isinstance(node, ast.Module | ast.ClassDef) and not is_property(node)
                yield getattr(node, "lineno", 1), text, is_function
        is_text = (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        )
        if is_text and node not in described:  # the docstring of an attribute
            yield node.lineno, node.value.value, False


def is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    names = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(names & {"property", "cached_property"})


def faults(source: str, *, imperative: bool = True) -> list[str]:
    """Return the faults of all docstrings in `source`, one line each.

    If `imperative` is false, a docstring of a function may also be a noun phrase, but no question.
    """
    found = []
    for line, text, is_function in docstrings(ast.parse(source)):
        first = (text.split() or [""])[0].strip("`:.,;")
        if first in QUESTIONS or (imperative and is_function and first in NOT_IMPERATIVE):
            found.append(f"line {line}: {text.splitlines()[0]}")
    return found


def test_docstrings_are_imperative_sentences() -> None:
    found = {str(file.relative_to(ROOT)): faults(file.read_text(encoding="utf-8")) for file in FILES}
    assert {file: each for file, each in found.items() if each} == {}


def test_docstrings_of_tests_are_no_questions() -> None:
    found = {str(file.relative_to(ROOT)): faults(file.read_text(encoding="utf-8"), imperative=False) for file in TESTS}
    assert {file: each for file, each in found.items() if each} == {}


def test_a_question_is_found() -> None:
    assert faults('def f():\n    """How it is."""\n', imperative=False) == ["line 1: How it is."]
    assert faults('def f():\n    """The number of films."""\n', imperative=False) == []
    assert faults('def f():\n    """Whether it is so."""\n') == ["line 1: Whether it is so."]
    assert faults('def f():\n    """The number of films."""\n') == ["line 1: The number of films."]
    assert faults('x = 1\n"""How many there are."""\n') == ["line 2: How many there are."]
    assert faults('class C:\n    """A film."""\n\n    @property\n    def p(self):\n        """The side."""\n') == []


def test_no_file_is_too_long_to_read() -> None:
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES + TESTS
    }
    assert {file: lines for file, lines in lengths.items() if lines > MAX_LINES} == {}


def class_names(source: str) -> list[str]:
    """Return the names of the classes of a module, without those inside of functions or classes."""
    return [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]


def test_no_two_classes_of_a_package_share_a_name() -> None:
    found: dict[tuple[str, str], list[str]] = {}
    for file in (file for file in FILES if "benchmarks" not in file.parts):
        for name in class_names(file.read_text(encoding="utf-8")):
            found.setdefault((str(file.parent.relative_to(ROOT)), name), []).append(file.name)
    assert {place: files for place, files in found.items() if len(files) > 1} == {}


def test_few_modules_lie_directly_in_the_large_packages() -> None:
    assert len(list((ROOT / "ratui" / "tui").glob("*.py"))) <= 12
    assert len(list((ROOT / "trainer").glob("*.py"))) <= 6
