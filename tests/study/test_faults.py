"""A small run of the fault harness of `benchmarks/faults`: no acknowledged entry is lost, and all damage is detected."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fault_harness.count import Unavailable
from tests.support.fault_harness.damage import damages
from tests.support.fault_harness.kernel import failing_syscalls
from tests.support.fault_harness.kills import kills, many_writers
from tests.support.fault_harness.stores import Ours, Stock
from tests.support.fault_harness.syscalls import KINDS, failing_calls, power_cuts
from tests.support.fault_harness.together import all_at_once

pytestmark = pytest.mark.slow


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Return a folder on a disk: in memory a save takes so little time that a kill rarely interrupts it."""
    with tempfile.TemporaryDirectory(prefix="ratui-tests-") as folder:
        yield Path(folder)


def test_killed_at_random_moments(tmp_path: Path) -> None:
    count = kills(Ours(), tmp_path / "k", 15)
    assert count.trials == 15
    assert count.saved >= 8  # most of them wait for a first entry
    assert (count.lost, count.crashes) == (0, 0)


def test_every_call_of_a_save_fails_in_turn(tmp_path: Path) -> None:
    counts = list(failing_calls(Ours(), tmp_path / "c"))
    assert [count.fault.split(" at ")[0] for count in counts] == list(KINDS)
    for count in counts:
        assert count.trials >= 12  # two files are written, synced and renamed, and the folder is synced
        assert (count.lost, count.crashes) == (0, 0), count


def test_power_cuts(tmp_path: Path) -> None:
    count = power_cuts(tmp_path / "p", saves=2)
    assert count.trials > 100
    assert count.lost == 0


def test_damage_at_rest(tmp_path: Path) -> None:
    count = damages(Ours(), tmp_path / "d", 40, seed=3)
    assert (count.lost, count.unnoticed, count.crashes) == (0, 0, 0)
    both = damages(Ours(), tmp_path / "b", 20, seed=4, entries=8, twice=True)
    assert (both.unnoticed, both.crashes) == (0, 0)


def test_real_system_calls_that_fail(tmp_path: Path) -> None:
    """Let the kernel refuse each call of a save in turn, including those of the locks: no process may crash."""
    try:
        (count,) = failing_syscalls(Ours(), tmp_path, errors=("EIO",))
    except Unavailable as error:
        pytest.skip(str(error))
    assert count.trials > 20
    assert (count.lost, count.crashes) == (0, 0), count


@pytest.mark.parametrize("writers", [2, 5])
def test_many_writers_of_one_reading(tmp_path: Path, writers: int) -> None:
    count = many_writers(Ours(), tmp_path / "w", writers, 9)
    assert count.saved == writers * 9
    assert (count.lost, count.crashes) == (0, 0)


def test_everybody_at_once(tmp_path: Path) -> None:
    count = all_at_once(tmp_path, 1.0)
    assert count.trials >= 2
    assert count.saved >= 4
    assert (count.lost, count.crashes) == (0, 0), count


class TestTheHarnessDetectsLosses:
    """The same faults in TinyDB's own storage, which loses entries: the harness detects the losses."""

    def test_kills(self, tmp_path: Path) -> None:
        # The interrupted moment is random, so several rounds run; one is usually enough.
        assert any(kills(Stock(), tmp_path / f"k{number}", 15, seed=number).lost for number in range(10))

    def test_failing_calls(self, tmp_path: Path) -> None:
        assert sum(count.lost for count in failing_calls(Stock(), tmp_path / "c")) > 0

    def test_damage(self, tmp_path: Path) -> None:
        count = damages(Stock(), tmp_path / "d", 40)
        assert count.lost > 0
        assert count.unnoticed > 0

    def test_a_store_that_acknowledges_too_early_is_caught(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Disable fsync: a power cut then loses entries, and the simulation must report them."""
        from tests.support.fault_harness import syscalls

        whole = syscalls._Trace.outcomes

        def without_sync(self: syscalls._Trace, durable: dict[str, bytes], cut: int) -> object:
            kept, dropped = [], 0
            for place, event in enumerate(self.events):
                if event[0] in ("sync", "folder"):
                    dropped += place < cut
                else:
                    kept.append(event)
            fake = syscalls._Trace()
            fake.events = kept
            return whole(fake, durable, cut - dropped)

        monkeypatch.setattr(syscalls._Trace, "outcomes", without_sync)
        assert power_cuts(tmp_path / "p", saves=1).lost > 0
