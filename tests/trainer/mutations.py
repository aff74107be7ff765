"""Deliberate faults in the trainer, one at a time, to show that the tests detect them.

``python -m tests.trainer.mutations [WORD ...]`` applies each fault of `tests.trainer.broken_trainer` (whose name contains
one of the words) in a copy of the project, runs its proofs, and prints a table. The exit status is 1 if a fault survives.
The proofs run in forks of one process that has the libraries loaded, as in `benchmarks.mutants`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.mutants import Runner, start_runners
from tests.trainer.broken_trainer import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 900.0


def list_modules(proofs: Iterable[str]) -> list[str]:
    """Return the names of the test modules of `proofs`."""
    return sorted({proof.partition("::")[0].removesuffix(".py").replace("/", ".") for proof in proofs})


def is_detected(mutation: Mutation, runner: Runner) -> bool:
    """Return whether each proof fails while `mutation` is applied. Raises RuntimeError if one can't be run."""
    text = (ROOT / "trainer" / mutation.file).read_text(encoding="utf-8")
    if text.count(mutation.old) != 1:
        raise RuntimeError(f"{mutation.name}: its text stands {text.count(mutation.old)} times")
    changed = text.replace(mutation.old, mutation.new)
    for proof in mutation.proofs:
        found = runner.run(mutation.file, changed, [proof], _SECONDS, with_slow=True)
        if found["result"] == "survived":
            return False
        # A module that can't be imported, or a process that died, proves nothing.
        if found["result"] != "killed" or "::" not in found["test"]:
            raise RuntimeError(f"{mutation.name}: {proof} can't be run ({found})")
    return True


def main(words: Sequence[str]) -> int:
    """Print a table of the faults and their results; return 1 if one survives."""
    wanted = [each for each in MUTATIONS if not words or any(word in each.name for word in words)]
    all_proofs = sorted({proof for each in wanted for proof in each.proofs})
    survived = 0
    with start_runners(1, list_modules(all_proofs)) as idle:
        runner = idle.get()
        found = runner.run("", "", all_proofs, _SECONDS, with_slow=True)
        if found["result"] != "survived":
            raise RuntimeError(f"the tests do not pass without a fault: {found}")
        print("| planted error | result | proof |\n|---|---|---|", flush=True)
        for mutation in wanted:
            detected = is_detected(mutation, runner)
            survived += not detected
            proofs = ", ".join(proof.removeprefix("tests/trainer/") for proof in mutation.proofs)
            print(f"| {mutation.name} | {'detected' if detected else '**survives**'} | {proofs} |", flush=True)
    print(f"\n{len(wanted) - survived} of {len(wanted)} are detected.")
    return int(survived > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
