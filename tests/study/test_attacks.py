"""Every attack of the table in `benchmarks/faults`: nothing lost, nothing unnoticed, nothing outside the study touched."""

from pathlib import Path

import pytest

from tests.support.attacks import Attack, Outcome, checking, load_attacks, odd_values
from tests.support.fault_harness.count import Unavailable

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def few_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try fewer odd values and smaller files, and kill fewer processes, than the benchmark, which takes long for a row.

    The damaged files have a quarter of the largest size. The limit for a check is an eighth: one whose time grows with the
    square of the size would need a sixteenth.
    """
    monkeypatch.setattr(odd_values, "TRIALS", 6)
    monkeypatch.setattr(checking, "LARGEST_FILE", checking.LARGEST_FILE // 4)
    monkeypatch.setattr(checking, "LONGEST_CHECK", checking.LONGEST_CHECK / 8)
    monkeypatch.setattr(checking, "KILLS", {checking.SAVE: 5, checking.IMPORT: 3, checking.SNAPSHOT: 2})


@pytest.mark.parametrize("row", load_attacks(), ids=lambda row: f"{row.topic}:{row.run.__name__}")
def test_an_attack_is_refused_or_noticed_and_loses_nothing(row: Attack, tmp_path: Path) -> None:
    try:
        outcome = row.run(tmp_path)
    except Unavailable as error:
        pytest.skip(str(error))
    assert outcome.trials > 0
    assert outcome.refused + outcome.noticed <= outcome.trials
    assert (outcome.unnoticed, outcome.lost, outcome.outside) == (0, 0, 0), outcome


def test_trials_that_are_neither_refused_nor_noticed_are_unnoticed() -> None:
    assert Outcome(5, refused=1, noticed=2).unnoticed == 2
