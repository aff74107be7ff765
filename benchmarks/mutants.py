"""Mutation testing of the trainer: random small changes of its code, and the share of them that the fast tests detect.

Run ``python -m benchmarks.mutants --count 300 --seed N [--processes P] [--out FILE]``; it needs the extra ``mutation``.

cosmic-ray's operators give all mutants of the modules in `TESTS`. `count` of them are drawn at random, all with the same
chance. Each is applied alone in a private copy of the project, where the fast tests of its module run until one fails. A
mutant that equals its module apart from annotations and docstrings is not drawn, because it can't behave differently, nor
is one that is no Python, because it says nothing about the tests. With ``--out`` an interrupted run can be continued.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import hashlib
import json
import os
import py_compile
import random
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from scipy.stats import binomtest

ROOT = Path(__file__).resolve().parents[1]
_PARTS = ("ratui", "trainer", "tests/trainer", "tests/support", "benchmarks", "sample_data")
_FILES = ("pyproject.toml", "tests/__init__.py", "tests/conftest.py")
_HERE = "tests/trainer/test_"
TESTS: dict[str, tuple[str, ...]] = {
    "models/losses.py": ("losses.py", "training_values.py", "rater_model.py", "scorer_recipes.py"),
    "data/pairs.py": ("sample_values.py", "sample_selection.py", "augmentation.py"),
    "data/hands.py": ("hand_values.py", "sample_values.py", "evaluation_values.py"),
    "data/augmentation.py": ("augmentation.py",),
    "data/joint_styles.py": ("augmentation.py",),
    "data/random_draws.py": ("augmentation.py", "operations.py"),
    "data/splits.py": ("sample_selection.py", "lineage.py", "validation.py", "folds.py"),
    "training/loop.py": ("loop_values.py", "training_values.py", "validation.py", "training_loop.py"),
    "inference/decisions.py": ("decisions.py",),
    "evaluation/metrics.py": ("evaluation_facts.py",),
    "evaluation/average_precision.py": ("average_precision.py",),
    "evaluation/pooling.py": ("folds.py",),
    "evaluation/evaluate.py": ("evaluation_models.py", "evaluation_values.py"),
    "evaluation/evaluate_scorer.py": ("evaluation_facts.py", "evaluation_values.py"),
    "evaluation/evaluate_detector.py": ("evaluation_facts.py", "evaluation_values.py"),
    "evaluation/evaluate_status.py": ("evaluation_facts.py", "ram_h1200.py"),
    "evaluation/scale_predictions.py": ("evaluation_facts.py", "evaluation_values.py"),
}
"""The modules of the trainer that are mutated, and the test modules whose fast tests concern each, the likeliest first."""
_NEED_ARGUMENTS = ("VariableReplacer", "VariableInserter")
_SLOWER, _MORE_SECONDS = 5.0, 20.0  # a mutant has so many times the unmutated time, and so many seconds more
_DETECTED = ("killed", "crashed", "timeout")


@dataclass(frozen=True)
class Mutant:
    """A change of one place: the operator, which of its places in the file, and the changed line before and after."""

    file: str
    operator: str
    occurrence: int
    line: int
    before: str
    after: str


def list_places(file: str, source: str) -> list[tuple[str, str, int]]:
    """Return all mutants of a file as its name, the operator's name, and the number of the place."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    nodes = list(ast_nodes(get_ast(source)))
    places = []
    for name in sorted(operator_names()):
        if not name.endswith(_NEED_ARGUMENTS):
            operator = get_operator(name)()
            count = sum(len(list(operator.mutation_positions(node))) for node in nodes)
            places += [(file, name, number) for number in range(count)]
    return places


def mutate(source: str, operator: str, occurrence: int) -> str:
    """Return `source` with the mutant applied."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    return str(mutate_code(source, get_operator(operator)(), occurrence))


def behaviour(source: str) -> str:
    """Return the syntax tree of `source` as text, without annotations and docstrings. Raises SyntaxError."""
    tree = ast.parse(source)
    nothing = ast.Constant(None)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = nothing
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = nothing
    return ast.dump(tree)


def draw_mutants(sources: dict[str, str], seed: int) -> Iterator[tuple[Mutant, str]]:
    """Yield the mutants of `sources`, texts by file name, in random order, each with the changed text of its file."""
    if not all("from __future__ import annotations" in source for source in sources.values()):
        raise ValueError("a module evaluates its annotations")
    places = [place for file, source in sorted(sources.items()) for place in list_places(file, source)]
    print(f"{len(places)} mutants in {len(sources)} modules", file=sys.stderr)
    original = {file: behaviour(source) for file, source in sources.items()}
    for file, operator, occurrence in random.Random(seed).sample(places, len(places)):
        try:
            text = mutate(sources[file], operator, occurrence)
        except AttributeError:
            continue  # cosmic-ray counts a handler of ``module.Error`` as a place, but can't change it
        try:
            with warnings.catch_warnings(action="ignore"):
                compile(text, file, "exec")
            if behaviour(text) == original[file]:
                continue
        except SyntaxError:
            continue
        old, new = sources[file].splitlines(), text.splitlines()
        changes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        _, i, j, k, n = next(change for change in changes if change[0] != "equal")
        before, after = (" ".join(line.strip() for line in lines) for lines in (old[i:j], new[k:n]))
        yield Mutant(file, operator.removeprefix("core/"), occurrence, i + 1, before, after), text


class Runner:
    """A process of `benchmarks.mutant_runner` in a copy of the project."""

    def __init__(self, copy: Path, modules: Sequence[str]) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
        environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(copy), "TMPDIR": str(copy / "scratch")}
        (copy / "scratch").mkdir()
        self._process = subprocess.Popen(
            [sys.executable, "-B", "-m", "benchmarks.mutant_runner", *modules],
            cwd=copy,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, file: str, text: str, tests: Sequence[str], timeout: float, *, with_slow: bool = False
    ) -> dict[str, Any]:
        """Return the result of the tests while `file` of the trainer has the `text`. Raises RuntimeError."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {"file": file and f"trainer/{file}", "text": text, "tests": tests, "timeout": timeout}
        job["with_slow"] = with_slow
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process that runs the tests has ended; its error stands above")
        return dict(json.loads(line))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@contextmanager
def start_runners(count: int, modules: Sequence[str]) -> Iterator[SimpleQueue[Runner]]:
    """Yield a queue of `count` idle runners, each with a copy of the project. All tests to run are in `modules`."""
    with tempfile.TemporaryDirectory() as folder:
        runners = []
        for number in range(count):
            copy = Path(folder) / str(number)
            for part in _PARTS:
                shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
            for file in _FILES:
                shutil.copy(ROOT / file, copy / file)
            # Compiled files are compared with the text of the module, not with its time.
            compileall.compile_dir(copy, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
            runners.append(Runner(copy, modules))
        idle: SimpleQueue[Runner] = SimpleQueue()
        try:
            for runner in runners:
                idle.put(runner)
            yield idle
        finally:
            for runner in runners:
                runner.close()


def digest_project() -> str:
    """Return a digest of the code that is tested and of its tests."""
    files = sorted(file for part in (*_PARTS[:4],) for file in (ROOT / part).rglob("*.py"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(ROOT)}\0{file.read_text(encoding='utf-8')}\0".encode())
    return digest.hexdigest()[:16]


def read_results(out: Path | None, header: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Return the results in `out` by number; write `header` if there is no file. Raises ValueError for another header."""
    if out is None:
        return {}
    if not out.exists():
        out.write_text(json.dumps(header) + "\n", encoding="utf-8")
        return {}
    first, *rest = out.read_text(encoding="utf-8").splitlines()
    if json.loads(first) != header:
        raise ValueError(f"{out} holds results of another seed, code or tests: {first}")
    return {result["number"]: result for result in map(json.loads, rest)}


def run_mutants(
    drawn: Sequence[tuple[int, Mutant, str]], processes: int, on_result: Callable[[dict[str, Any]], None]
) -> None:
    """Run the tests on each drawn mutant (number, mutant, text). Raises RuntimeError if they fail without a mutant."""
    tests = {file: tuple(_HERE + test for test in TESTS[file]) for _, file in {(0, m.file) for _, m, _ in drawn}}
    timeouts: dict[tuple[str, ...], float] = {}
    modules = sorted({f"tests.trainer.test_{test.removesuffix('.py')}" for tests in TESTS.values() for test in tests})
    with start_runners(processes, modules) as idle, ThreadPoolExecutor(processes) as pool:

        def run(file: str, text: str, names: tuple[str, ...], timeout: float) -> dict[str, Any]:
            runner = idle.get()
            try:
                return runner.run(file, text, names, timeout)
            finally:
                idle.put(runner)

        def measure(names: tuple[str, ...]) -> None:
            found = run("", "", names, 1800.0)
            if found["result"] != "survived":
                raise RuntimeError(f"{found['test']}: {found['result']} without a mutant")
            timeouts[names] = _SLOWER * found["seconds"] + _MORE_SECONDS
            short = ", ".join(name.removeprefix(_HERE) for name in names)
            print(f"{found['seconds']:6.1f} s without a mutant: {short}", file=sys.stderr)

        def test(number: int, mutant: Mutant, text: str) -> dict[str, Any]:
            names = tests[mutant.file]
            return {"number": number, **asdict(mutant), **run(mutant.file, text, names, timeouts[names])}

        try:
            list(pool.map(measure, sorted(set(tests.values()))))
            for result in pool.map(lambda each: test(*each), drawn):
                on_result(result)
        finally:
            pool.shutdown(cancel_futures=True)


def wilson(killed: int, count: int) -> str:
    """Return a share in per cent with its 95 % Wilson interval."""
    interval = binomtest(killed, count).proportion_ci(method="wilson")
    return f"{killed / count:.1%} ({interval.low:.1%} to {interval.high:.1%})"


def summarise(results: Sequence[dict[str, Any]]) -> str:
    """Return a table of the share detected, by module, and the list of the survivors."""
    lines = ["| module | mutants | detected | of these, by timeout | share (95 % interval) |", "|---|---|---|---|---|"]
    for file in (*TESTS, ""):
        outcomes = [result["result"] for result in results if file in ("", result["file"])]
        if outcomes:
            found, late = sum(each in _DETECTED for each in outcomes), outcomes.count("timeout")
            name = f"`{file}`" if file else "all"
            lines.append(f"| {name} | {len(outcomes)} | {found} | {late} | {wilson(found, len(outcomes))} |")
    survivors = [result for result in results if result["result"] not in _DETECTED]
    lines += ["", f"{len(survivors)} survive:", ""]
    for each in sorted(survivors, key=lambda result: (result["file"], result["line"])):
        lines.append(f"- {each['file']}:{each['line']}, {each['operator']}: `{each['before']}` → `{each['after']}`")
    return "\n".join(lines)


def main() -> None:
    """Draw the mutants, test them, and print the share detected and the survivors."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=300, help="number of mutants")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw")
    parser.add_argument("--processes", type=int, default=2, help="number of processes")
    parser.add_argument("--out", type=Path, help="file of the results, JSON lines; an interrupted run is continued")
    options = parser.parse_args()
    sources = {file: (ROOT / "trainer" / file).read_text(encoding="utf-8") for file in TESTS}
    done = read_results(options.out, {"seed": options.seed, "project": digest_project()})
    drawn = list(islice(draw_mutants(sources, options.seed), options.count))

    def note(result: dict[str, Any]) -> None:
        done[result["number"]] = result
        if options.out is not None:
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(result, ensure_ascii=False) + "\n")
        place = f"{result['file']}:{result['line']} {result['operator']}"
        print(f"{len(done)}/{len(drawn)} {result['result']} {result['seconds']} s {place}", file=sys.stderr)

    rest = [(number, mutant, text) for number, (mutant, text) in enumerate(drawn) if number not in done]
    if rest:
        run_mutants(rest, options.processes, note)
    print(summarise([done[number] for number in range(len(drawn))]))


if __name__ == "__main__":
    main()
