"""The list of deliberate faults fits the code: each changes one place, and its proofs exist.

``python -m tests.trainer.mutations`` applies them all and shows that each is detected.
"""

import ast
from functools import cache

import pytest

from tests.trainer.broken_trainer import MUTATIONS, Mutation
from tests.trainer.mutations import ROOT


@cache
def list_tests(file: str) -> set[str]:
    """Return the names of the tests in a module, ``Class::test`` or ``test``."""
    found = set()
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return found


@cache
def dump_tree(text: str) -> str:
    """Return the syntax tree of a module's text."""
    return ast.dump(ast.parse(text))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_changes_one_place_and_has_proofs(mutation: Mutation) -> None:
    text = (ROOT / "trainer" / mutation.file).read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1
    changed = text.replace(mutation.old, mutation.new)
    assert dump_tree(changed) != dump_tree(text)
    assert mutation.proofs
    for proof in mutation.proofs:
        file, _, test = proof.partition("::")
        assert test.partition("[")[0] in list_tests(file)


def test_names_are_unique() -> None:
    assert len({each.name for each in MUTATIONS}) == len(MUTATIONS)
