"""The list of queries: each reply in it is one, and the programs send no others."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratui.terminal.queries import KITTY_GRAPHICS, QUERIES, Query
from ratui.tui.driver import classify_sequence
from ratui.tui.input.terminal_input import InputSplitter
from tests.films import make_study
from tests.support.fake_terminal import GRAPHICS, FakeTerminal

# Sequences that make a terminal answer: attributes, states, sizes, modes, registers, capabilities, colours, images.
_ASKS = re.compile(
    r"\x1b\[[>=?]?[0-9]*c|\x1b\[\??[56]n|\x1b\[1[0-9]t|\x1b\[\?[0-9]+\$p|\x1b\[\?[0-9;]+S|\x1b\[>[0-9]*q|\x1b\[\?u"
    r"|\x1bP[+$]q[^\x1b]*\x1b\\|\x1b\][0-9;]*\?(?:\x07|\x1b\\)|\x1b\]1337;Report[^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b_G[^;\x1b]*a=q[^\x1b]*\x1b\\"
)
_FILE_NAME = re.compile(r"(?<=f=24;)[A-Za-z0-9+/=]{40,}(?=\x1b)")
"""The name of an image in shared memory or a file, which is another one each time."""


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
class TestEachQuery:
    def test_its_examples_are_replies(self, query: Query) -> None:
        assert query.examples
        for reply in query.examples:
            assert query.pattern.fullmatch(reply.encode()), reply

    def test_a_complete_reply_is_no_key(self, query: Query) -> None:
        splitter = InputSplitter(classify_sequence)
        for reply in query.examples:
            if reply in ("\x1b[1;2R", "\x1b[1;5R"):
                continue  # Textual's parser takes these positions for F3 with Shift and Ctrl
            splitter.feed(reply, 0.0)
            assert splitter.take(1.0) is None, reply


@given(data=st.data(), query=st.sampled_from(QUERIES))
def test_replies_can_be_generated_from_the_patterns(data: st.DataObject, query: Query) -> None:
    reply = data.draw(st.from_regex(re.compile(query.reply), fullmatch=True))
    assert 3 <= len(reply) <= 300


def test_names_and_sequences_are_distinct() -> None:
    assert len({query.name for query in QUERIES}) == len({query.sequence for query in QUERIES}) == len(QUERIES)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs pseudo-terminals of Linux")
@pytest.mark.parametrize("kind", ["kitty", "sixel", "halfcell"])
def test_the_app_sends_no_query_that_is_not_in_the_list(tmp_path: Path, kind: str) -> None:
    study = make_study(tmp_path, sides="L")
    (case,) = study.cases()
    command = [sys.executable, "-m", "ratui", "read", str(study.path), "--rater", "anna", "--case", case]
    terminal = FakeTerminal(command, kind, environment={"XDG_CONFIG_HOME": str(tmp_path), "LANG": "C.UTF-8"})
    try:
        assert terminal.wait_for(GRAPHICS, patience=60), terminal.describe()
        terminal.burst(terminal.begun, quiet=1.0)
        terminal.burst(terminal.press("n"), quiet=1.0)
        asked = {_FILE_NAME.sub("NAME", query) for query in _ASKS.findall(terminal.data.decode())}
    finally:
        terminal.close()
    known = {query.sequence for query in QUERIES if query.sender != "other"}
    assert asked <= known, asked - known
    assert {KITTY_GRAPHICS.sequence, "\x1b[c", "\x1b[6n", "\x1b[?2026$p"} <= asked, "the pattern finds the queries"
