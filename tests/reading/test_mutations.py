"""Rules broken on purpose are noticed by every proof that should notice them.

Every seventh here; ``python -m tests.reading.mutations`` tries them all and prints the table of ``docs/proofs.md``.
"""

import pytest

from tests.reading.broken_rules import MUTATIONS, PROOFS, Mutation
from tests.reading.mutations import ROOT, noticed

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_what_a_mutation_breaks_is_still_there(mutation: Mutation) -> None:
    text = (ROOT / "ratui" / "reading" / mutation.file).read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1
    assert mutation.proofs


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS[::7], ids=lambda mutation: mutation.name)
def test_a_broken_rule_is_noticed(mutation: Mutation) -> None:
    for proof in mutation.proofs:
        assert noticed(mutation, proof), f"the {proof} passes"


@pytest.mark.slow
@pytest.mark.parametrize("proof", PROOFS)
def test_the_same_proofs_pass_where_nothing_is_broken(proof: str) -> None:
    assert not noticed(None, proof)
