"""Rules broken on purpose, one at a time, to see that the proofs notice: a proof that nothing can fail proves nothing.

``python -m tests.reading.mutations`` breaks each in a copy of the project and prints the table of ``docs/proofs.md``.
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


def prove(proof: str) -> None:
    """Runs one of the PROOFS, the walk shorter than the tests do. Raises what they raise at a fault."""
    if proof == "walk":
        from tests.reading.walks import BlindedWalk, Walk, walk

        for kind in (Walk, BlindedWalk):
            walk(kind, runs=200, length=80, repeatable=True)
        return
    from tests.reading.search import answered, judge, search, specs, tells_no_order, valid
    from tests.strategies import small_scheme

    for spec in (spec for joint in ("IP1", "MCP1") for spec in specs(small_scheme(), joint)):
        if proof == "mirror":
            assert not spec.blinded or tells_no_order(spec)
            continue
        assert judge(spec).accepted == valid(spec), "another definition of what can be"
        assert answered(spec) == {state for state in spec.valid if None not in state}, "unreachable by answering"
        assert search(spec).states == valid(spec), "not every state is reached"


@contextmanager
def broken(mutation: Mutation | None) -> Iterator[Path]:
    """A copy of what the proofs need, with `mutation` in it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        bytecode = shutil.ignore_patterns("__pycache__")
        for part in ("ratui/reading", "ratui/scheme", "tests/reading"):
            shutil.copytree(ROOT / part, copy / part, ignore=bytecode)
        for file in ("ratui/__init__.py", "ratui/errors.py", "tests/__init__.py", "tests/strategies.py"):
            shutil.copy(ROOT / file, copy / file)
        if mutation is not None:
            file_path = copy / "ratui" / "reading" / mutation.file
            text = file_path.read_text(encoding="utf-8")
            assert text.count(mutation.old) == 1, f"{mutation.name}: its text stands {text.count(mutation.old)} times"
            file_path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        yield copy


def noticed(mutation: Mutation | None, proof: str) -> bool:
    """Whether `proof` fails on the copy with `mutation`, and not for want of running at all."""
    with broken(mutation) as copy:
        command = [sys.executable, "-B", "-m", "tests.reading.mutations", proof]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=600)
    if done.returncode not in (SURVIVED, KILLED):
        raise RuntimeError(f"the {proof} could not be run: {done.stderr[-2000:]}")
    return done.returncode == KILLED


def _row(mutation: Mutation | None) -> tuple[str, ...]:
    """What each proof says; the mirror, which is slow, is only held up to what should show in it."""
    asked = PROOFS if mutation is None or "mirror" in mutation.proofs else BOTH
    told = {proof: "**fails**" if noticed(mutation, proof) else "passes" for proof in asked}
    return tuple(told.get(proof, "") for proof in PROOFS)


def main(arguments: list[str]) -> int:
    if arguments:
        import ratui.reading

        assert Path(ratui.reading.__file__ or "").is_relative_to(Path.cwd()), "not the copy that was broken"
        try:
            prove(arguments[0])
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
            return KILLED
        return SURVIVED
    print(f"| broken rule | {' | '.join(PROOFS)} |\n|---|---|---|---|")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutation, told in zip((None, *MUTATIONS), pool.map(_row, (None, *MUTATIONS)), strict=True):
            print(f"| {mutation.name if mutation else '*none*'} | {' | '.join(told)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
