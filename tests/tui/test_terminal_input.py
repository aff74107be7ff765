"""Input that no person typed: complete, split and truncated replies of a terminal become no data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from textual.pilot import Pilot

from ratui.reading import Reading
from ratui.tui.driver import classify_sequence, tokens_to_keys
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.terminal_input import NEAR, Burst, InputSplitter
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from ratui.tui.textual_internals import XTermParser
from tests.films import make_study
from tests.tui.conftest import TerminalLine, label_text, reading_as, settle

IGNORED = "Input ignored: it did not come from the keyboard."
TAILS = [
    ";4c",
    "62;4c",
    "?62;4c",
    "[?62;4c",
    "rgb:1e1e/1e1e/1e1e\a",
    "1e1e/1e1e/1e1e\a",
    "1e1e/1e1e",
    "11;rgb:1e1e/1e1e/1e1e\x1b\\",
    ">|xterm(390)\x1b\\",
    "xterm(390)\x1b\\",
    "?2026;2$y",
    "2$y",
    "4211;OK\x1b\\",
    "11;OK\x1b\\",
    "6;20;10t",
    "10t",
    "12;40R",
    "40R",
    "1;0;256S",
    "256S",
    "?62c",
]


def reading_of(pilot: Pilot[None]) -> Reading:
    assert isinstance(pilot.app.screen, ScoringScreen), pilot.app.screen
    return pilot.app.screen.reading


@pytest.mark.slow
class TestOnTheScoringScreen:
    @pytest.mark.parametrize("gap", [0.0, 0.005], ids=["in one burst", "5 ms apart"])
    async def test_a_tail_enters_nothing_and_is_reported(self, tmp_path: Path, gap: float) -> None:
        study = make_study(tmp_path)
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            await settle(pilot)
            line = TerminalLine(pilot)
            for count, tail in enumerate(TAILS):
                await line.send(tail, gap)
                assert len(reading_of(pilot).log) == count, tail
                assert IGNORED in label_text(pilot), tail
                await line.send("1")
                assert [entry.key for entry in reading_of(pilot).log] == ["1"] * (count + 1), f"the key after {tail!r}"
                assert IGNORED not in label_text(pilot), f"the message about {tail!r} stays"

    @pytest.mark.parametrize("gap", [0.03, 0.045])
    async def test_a_tail_with_a_semicolon_may_come_slowly(self, tmp_path: Path, gap: float) -> None:
        study = make_study(tmp_path)
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            await settle(pilot)
            await TerminalLine(pilot).send(";4;22c", gap)
            assert not reading_of(pilot).log
            assert IGNORED in label_text(pilot)

    async def test_a_tail_may_come_in_parts(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            await settle(pilot)
            line = TerminalLine(pilot)
            for count, parts in enumerate([(";4", "c"), (";", "4c"), ("rgb:1e1e", "/1e1e", "/1", "e", "\a")]):
                for part in parts[:-1]:
                    await line.send(part, rest=0.03)
                await line.send(parts[-1])
                assert len(reading_of(pilot).log) == count, parts
                assert IGNORED in label_text(pilot), parts
                await line.send("1")
                assert IGNORED not in label_text(pilot), f"the message about {parts} stays"

    @pytest.mark.parametrize(
        ("reply", "cuts"),
        [
            *((reply, range(2, len(reply))) for reply in ("\x1b[?62;4c", "\x1b[6;20;10t", "\x1b[12;40R")),
            ("\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\", (2, 3, 5, 9)),
            ("\x1bP>|xterm(390)\x1b\\", (2, 3, 5, 9)),
            ("\x1b_Gi=4211;OK\x1b\\", (2, 3, 5, 9, 12)),
        ],
    )
    async def test_a_reply_in_two_parts_enters_nothing(self, tmp_path: Path, reply: str, cuts: Sequence[int]) -> None:
        study = make_study(tmp_path)
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            await settle(pilot)
            line = TerminalLine(pilot)
            for count, cut in enumerate(cuts):
                await line.send(reply[:cut])  # and nothing for a second
                await line.send(reply[cut:])
                assert len(reading_of(pilot).log) == count, cut
                await line.send("2")
                assert [entry.key for entry in reading_of(pilot).log] == ["2"] * (count + 1), cut

    async def test_an_end_that_never_comes_does_not_lock_the_keyboard(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            await settle(pilot)
            line = TerminalLine(pilot)
            await line.send("\x1b]11;rgb:")
            await line.send("1")
            assert IGNORED in label_text(pilot)
            await line.send("11")
            await line.send("1")
            await line.send("1")
            assert not reading_of(pilot).log
            await line.send("2")
            assert [entry.key for entry in reading_of(pilot).log] == ["2"]

    async def test_a_key_that_ends_a_reply_counts_and_what_was_ignored_is_reported(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            await settle(pilot)
            line = TerminalLine(pilot)
            before = pilot.app.screen.scoring_session.site  # type: ignore[attr-defined]
            await line.send("\x1b]11;rgb:")
            await line.send("\x1b[C")
            assert pilot.app.screen.scoring_session.site != before  # type: ignore[attr-defined]
            assert IGNORED in label_text(pilot)

    @pytest.mark.parametrize("gap", [0.0, 0.001, 0.08], ids=["in one burst", "coalesced", "typed"])
    async def test_grades_fill_their_fields(self, tmp_path: Path, gap: float) -> None:
        study = make_study(tmp_path)
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            await settle(pilot)
            await TerminalLine(pilot).send("0112", gap)
            assert [entry.key for entry in reading_of(pilot).log] == [*"0112"]

    async def test_a_key_held_down_is_no_reply(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            await settle(pilot)
            await TerminalLine(pilot).send("nnn", 0.01)  # the films of more joints are not prepared in so short a time
            assert [entry.key for entry in reading_of(pilot).log] == [*"nnn"]

    async def test_a_finding_typed_ahead_is_no_reply(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            await settle(pilot)
            await TerminalLine(pilot).send("1\x1b[C2")
            assert [entry.key for entry in reading_of(pilot).log] == ["1", "2"]


@pytest.mark.slow
class TestInText:
    async def test_a_semicolon_belongs_to_a_note_but_a_tail_does_not(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            await settle(pilot)
            line = TerminalLine(pilot)
            await line.send("m")
            await line.send("cyst; see (2)", 0.03)
            for tail in TAILS[:2]:
                await line.send(tail)
                assert IGNORED in label_text(pilot)
            await line.send(" too; b\r")
            assert list(reading_of(pilot).notes.values()) == ["cyst; see (2) too; b"]

    async def test_a_note_typed_ahead_is_taken(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            await settle(pilot)
            await TerminalLine(pilot).send("mcyst of CPP\r1")
            assert list(reading_of(pilot).notes.values()) == ["cyst of CPP"]
            assert [entry.key for entry in reading_of(pilot).log] == ["m", "1"]

    async def test_the_filter_of_the_worklist_takes_no_tail(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, patients=3)
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            await TerminalLine(pilot).send(";4c")
            assert isinstance(pilot.app.screen, WorklistScreen)
            assert not pilot.app.screen.is_asking
            assert IGNORED in label_text(pilot)


def test_the_message_is_in_japanese_too() -> None:
    assert "キーボード" in Catalog("ja")("text.input_ignored")


class TestSplitter:
    def bursts(self, *chunks: tuple[str, float]) -> list[Burst]:
        """Return the bursts of `chunks`, each sent so many seconds after the one before."""
        splitter, now, found = InputSplitter(classify_sequence), 10.0, list[Burst]()

        def until(then: float) -> None:
            while (deadline := splitter.deadline) is not None and deadline < then:
                burst = splitter.take(deadline)
                assert burst is not None
                found.append(burst)

        for text, after in chunks:
            now += after
            until(now)
            splitter.feed(text, now)
        until(now + 1.0)
        return found

    def test_one_key_is_held_back_for_a_moment_and_an_arrow_is_not(self) -> None:
        splitter = InputSplitter(classify_sequence)
        splitter.feed("1", 1.0)
        assert splitter.deadline == pytest.approx(1.015)
        assert splitter.take(1.01) is None
        assert splitter.take(1.016) == Burst(("1",), 1.0, 1.0)
        splitter.feed("\x1b[C", 2.0)
        assert splitter.take(2.0) == Burst(("\x1b[C",), 2.0, 2.0)

    def test_of_a_near_terminal_a_key_waits_less_and_what_comes_together_is_still_one_burst(self) -> None:
        splitter = InputSplitter(classify_sequence, together=NEAR)
        splitter.feed("1", 1.0)
        assert splitter.deadline == pytest.approx(1.002)
        assert splitter.take(1.003) == Burst(("1",), 1.0, 1.0)
        splitter.feed("62;", 2.0)
        splitter.feed("4c", 2.001)
        assert splitter.take(2.0025) is None
        assert splitter.take(2.0031) == Burst(tuple("62;4c"), 2.0, 2.001)

    def test_moving_the_mouse_does_not_delay_a_key(self) -> None:
        splitter = InputSplitter(classify_sequence)
        splitter.feed("1", 1.0)
        assert splitter.feed("\x1b[<35;10;10M", 1.01) == ["\x1b[<35;10;10M"]
        assert splitter.deadline == pytest.approx(1.015)

    def test_keys_of_a_person_are_bursts_of_their_own(self) -> None:
        assert [burst.tokens for burst in self.bursts(("1", 0), ("2", 0.02), ("n", 0.02))] == [("1",), ("2",), ("n",)]

    def test_escape_alone_is_the_key(self) -> None:
        (burst,) = self.bursts(("\x1b", 0))
        (key,), _ = tokens_to_keys(burst.tokens, XTermParser())
        assert (burst.ignored, key.key) == (False, "escape")

    def test_an_arrow_in_two_parts_is_an_arrow(self) -> None:
        for cut in (1, 2):
            (burst,) = self.bursts(("\x1b[C"[:cut], 0), ("\x1b[C"[cut:], 0.05))
            assert burst.tokens == ("\x1b[C",)

    def test_an_unbroken_reply_is_dropped_without_a_word(self) -> None:
        assert not self.bursts(("\x1b[?62;4;22c\x1b_Gi=4211;OK\x1b\\\x1b]11;rgb:1/2/3\a\x1b[6;20;10t", 0))

    def test_enter_and_escape_end_a_reply_whose_end_is_lost(self) -> None:
        for key in ("\r", "\x1b"):
            burst = self.bursts(("\x1b]11;rgb:", 0), (key, 1.0))[-1]
            assert burst.tokens == (key,)

    def test_what_is_pasted_stays_one_piece_however_long(self) -> None:
        pasted = "x;4c" * 3000
        bursts = self.bursts(("\x1b[200~" + pasted[:8000], 0), (pasted[8000:] + "\x1b[201~", 0.1))
        assert "".join(token for burst in bursts for token in burst.tokens) == f"\x1b[200~{pasted}\x1b[201~"
