"""The command that makes random mutants of the trainer: which it draws, and that it recognises those that tests detect."""

import json
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from benchmarks.mutants import ROOT, TESTS, behaviour, draw_mutants, read_results, summarise

SOURCE = '''"""Text."""

from __future__ import annotations


def add(a: int | None, b: int = 2) -> int | None:
    """Return a sum."""
    total: int | None = a + b
    return total
'''
TEST = """
import time
import pytest
from trainer.one import add

def test_sum():
    assert add(3) == 5

@pytest.mark.slow
def test_another_sum():
    assert add(4) == 6
"""
MUTANTS = {
    "a + b": "survived",
    "a - b": "killed",
    "__import__('time').sleep(99)": "timeout",
    "__import__('os').abort()": "crashed",
    "a +": "killed",
}


def test_modules_and_their_tests_exist() -> None:
    for module, tests in TESTS.items():
        assert (ROOT / "trainer" / module).is_file()
        assert tests
        assert all((ROOT / "tests" / "trainer" / f"test_{test}").is_file() for test in tests)


def test_annotations_and_docstrings_are_no_behaviour() -> None:
    same = SOURCE.replace("int | None", "str").replace("a sum", "nothing")
    assert behaviour(same) == behaviour(SOURCE) != behaviour(SOURCE.replace("a + b", "a - b"))


def test_mutants_are_drawn_without_those_of_annotations() -> None:
    pytest.importorskip("cosmic_ray", reason="needs the extra `mutation`")
    drawn = list(islice(draw_mutants({"one.py": SOURCE}, 1), 99))
    assert drawn == list(islice(draw_mutants({"one.py": SOURCE}, 1), 99))
    assert drawn != list(islice(draw_mutants({"one.py": SOURCE}, 2), 99))
    assert {(mutant.line, mutant.before) for mutant, _ in drawn} == {
        (6, "def add(a: int | None, b: int = 2) -> int | None:"),
        (8, "total: int | None = a + b"),
    }
    assert len({text for _, text in drawn}) == len(drawn) > 10
    assert ("a - b", "int | None = a - b") in {(mutant.after[-5:], mutant.after[-18:]) for mutant, _ in drawn}


def test_a_handler_of_a_dotted_exception_is_no_mutant() -> None:
    pytest.importorskip("cosmic_ray", reason="needs the extra `mutation`")
    handled = f"{SOURCE}\n\ntry:\n    add(1)\nexcept (KeyError, pickle.PickleError):\n    add(2)\n"
    replaced = [mutant.after for mutant, _ in draw_mutants({"one.py": handled}, 1) if "Exception" in mutant.operator]
    assert replaced == ["except (CosmicRayTestingException, pickle.PickleError):"]


def test_the_runner_tells_which_mutants_the_tests_detect(tmp_path: Path) -> None:
    for folder in ("trainer", "tests", "benchmarks"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    shutil.copy(ROOT / "benchmarks" / "mutant_runner.py", tmp_path / "benchmarks")
    module = tmp_path / "trainer" / "one.py"
    module.write_text(SOURCE)
    (tmp_path / "tests" / "test_one.py").write_text(TEST)
    jobs = [
        {
            "file": "trainer/one.py",
            "text": SOURCE.replace("a + b", code),
            "tests": ["tests/test_one.py"],
            "timeout": 9,
            "with_slow": False,
        }
        for code in (*MUTANTS, "2 * a - 1", "2 * a - 1")
    ]
    jobs[2]["timeout"] = 1
    jobs[-1]["with_slow"] = True
    done = subprocess.run(
        [sys.executable, "-B", "-m", "benchmarks.mutant_runner", "tests.test_one"],
        input="".join(json.dumps(job) + "\n" for job in jobs),
        cwd=tmp_path,
        capture_output=True,
        check=True,
        text=True,
    )
    *results, fast, slow = [json.loads(line) for line in done.stdout.splitlines()]
    assert (fast["result"], fast["test"]) == ("survived", "")
    assert (slow["result"], slow["test"]) == ("killed", "tests/test_one.py::test_another_sum")
    assert dict(zip(MUTANTS, [result["result"] for result in results], strict=True)) == MUTANTS
    assert [result["test"] for result in results] == [
        "",
        "tests/test_one.py::test_sum",
        "",
        "",
        "tests/test_one.py",
    ]
    assert module.read_text() == SOURCE


def test_a_run_is_continued_with_the_same_seed_and_code_only(tmp_path: Path) -> None:
    out = tmp_path / "results"
    assert read_results(out, {"seed": 1}) == {}
    with out.open("a") as file:
        file.write(json.dumps({"number": 4, "result": "killed"}) + "\n")
    assert read_results(out, {"seed": 1}) == {4: {"number": 4, "result": "killed"}}
    with pytest.raises(ValueError, match="another seed"):
        read_results(out, {"seed": 2})


def test_the_summary_counts_by_module_and_names_survivors() -> None:
    outcomes = ["killed"] * 7 + ["timeout", "crashed", "survived"]
    results = [
        {"file": file, "line": 3, "operator": "Op", "before": "a", "after": f"b{number}", "result": result}
        for file in ("data/pairs.py", "models/losses.py")
        for number, result in enumerate(outcomes)
    ]
    text = summarise(results)
    # Wilson's interval of 9 of 10 and of 18 of 20, from tables.
    assert "| `data/pairs.py` | 10 | 9 | 1 | 90.0% (59.6% to 98.2%) |" in text
    assert "| all | 20 | 18 | 2 | 90.0% (69.9% to 97.2%) |" in text
    assert text.count("`a` → `b9`") == 2
    assert "b8" not in text
