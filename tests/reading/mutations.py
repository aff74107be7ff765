"""Deliberate faults in the rules, one at a time, to show that the proofs detect them.

``python -m tests.reading.mutations`` applies each fault in a copy of the project and prints the table of
``docs/proofs.md``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.reading.broken_rules import BOTH, MUTATIONS, PROOFS, Mutation

ROOT = Path(__file__).resolve().parents[2]
SURVIVED, KILLED = 0, 10


def prove(proof: str, *, brief: bool = False) -> None:
    """Run one of the PROOFS, the walk shorter than in the tests. Raises AssertionError if the proof finds a fault.

    A `brief` proof takes fewer walks, and searches only the joint with one scale.
    """
    if proof == "walk":
        from tests.reading.walks import BlindedWalk, Walk, walk

        for runs in (20,) if brief else (20, 200):  # a few walks of both kinds find most faults soon
            for kind in (Walk, BlindedWalk):
                walk(kind, runs=runs, length=80, repeatable=True)
        return
    from tests.reading.search import (
        count_states_without_order,
        judge,
        search,
        specs,
        specs_of_visits,
        states_by_answering,
        valid,
    )
    from tests.strategies import small_scheme

    joints, scheme = ("IP1",) if brief else ("IP1", "MCP1"), small_scheme()
    of_visits = () if brief else specs_of_visits(scheme).values()
    for spec in (*of_visits, *(spec for joint in joints for spec in specs(scheme, joint))):
        if proof == "mirror":
            assert not spec.blinded or count_states_without_order(spec)
            continue
        assert judge(spec).accepted == valid(spec), "another definition of what can be"
        assert states_by_answering(spec) == {state for state in spec.valid if None not in state}, (
            "unreachable by answering"
        )
        assert search(spec).states == valid(spec), "not every state is reached"


@contextmanager
def broken(mutation: Mutation | None) -> Iterator[Path]:
    """Yield a copy of the files that the proofs need, with `mutation` applied."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        bytecode = shutil.ignore_patterns("__pycache__")
        for part in ("ratui/reading", "ratui/scheme", "tests/reading"):
            shutil.copytree(ROOT / part, copy / part, ignore=bytecode)
        modules = ("__init__", "bounded_parsing", "errors", "stored_values")
        for file in (*(f"ratui/{name}.py" for name in modules), "tests/__init__.py", "tests/strategies.py"):
            shutil.copy(ROOT / file, copy / file)
        if mutation is not None:
            file_path = copy / "ratui" / "reading" / mutation.file
            text = file_path.read_text(encoding="utf-8")
            assert text.count(mutation.old) == 1, f"{mutation.name}: its text stands {text.count(mutation.old)} times"
            file_path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        yield copy


def is_detected(mutation: Mutation | None, proof: str, *, brief: bool = False) -> bool:
    """Return whether `proof` fails on the copy with `mutation`. Raises RuntimeError if the proof cannot be run."""
    with broken(mutation) as copy:
        command = [sys.executable, "-B", "-m", "tests.reading.mutations", proof, *(["brief"] if brief else [])]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=600)
    if done.returncode not in (SURVIVED, KILLED):
        raise RuntimeError(f"the {proof} could not be run: {done.stderr[-2000:]}")
    return done.returncode == KILLED


def _row(mutation: Mutation | None) -> tuple[str, ...]:
    """Return the result of each proof. The mirror, which is slow, runs only on faults that it should detect."""
    asked = PROOFS if mutation is None or "mirror" in mutation.proofs else BOTH
    results = {proof: "**fails**" if is_detected(mutation, proof) else "passes" for proof in asked}
    return tuple(results.get(proof, "") for proof in PROOFS)


def main(arguments: list[str]) -> int:
    if arguments:
        import ratui.reading

        assert Path(ratui.reading.__file__ or "").is_relative_to(Path.cwd()), "not the copy that was broken"
        try:
            prove(arguments[0], brief="brief" in arguments)
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
            return KILLED
        return SURVIVED
    print(f"| broken rule | {' | '.join(PROOFS)} |\n|---|---|---|---|")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutation, results in zip((None, *MUTATIONS), pool.map(_row, (None, *MUTATIONS)), strict=True):
            print(f"| {mutation.name if mutation else '*none*'} | {' | '.join(results)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
