"""Deliberate faults in the rules are detected by every proof that should detect them.

The tests try every seventh fault; ``python -m tests.reading.mutations`` tries them all and prints the table of
``docs/proofs.md``.
"""

import pytest

from tests.reading.broken_rules import MUTATIONS, PROOFS, Mutation
from tests.reading.mutations import ROOT, is_detected

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_text_of_each_mutation_exists(mutation: Mutation) -> None:
    text = (ROOT / "ratui" / "reading" / mutation.file).read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1
    assert mutation.proofs


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS[::7], ids=lambda mutation: mutation.name)
def test_a_broken_rule_is_detected(mutation: Mutation) -> None:
    for proof in mutation.proofs:
        assert is_detected(mutation, proof), f"the {proof} passes"


@pytest.mark.slow
@pytest.mark.parametrize("proof", PROOFS)
def test_the_proofs_pass_without_a_mutation(proof: str) -> None:
    """Check that a copy of the project alone makes no proof fail. Other tests run the full proofs on the project."""
    assert not is_detected(None, proof, brief=True)
