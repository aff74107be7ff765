"""Each rule broken on purpose is noticed by every proof that should notice it."""

import pytest

from tests.reading.mutations import MUTATIONS, PROOFS, Mutation, broken, noticed


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_what_a_mutation_breaks_is_still_there(mutation: Mutation) -> None:
    with broken(mutation) as copy:
        assert mutation.new in (copy / "ratui" / "reading" / mutation.file).read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_broken_rule_is_noticed(mutation: Mutation) -> None:
    assert mutation.proofs
    for proof in mutation.proofs:
        assert noticed(mutation, proof), f"the {proof} passes"


@pytest.mark.slow
@pytest.mark.parametrize("proof", PROOFS)
def test_the_same_proofs_pass_where_nothing_is_broken(proof: str) -> None:
    assert not noticed(None, proof)
