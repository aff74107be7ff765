"""What terminals answer, and what is made of it: on real pseudo-terminals, capable, plain and mute."""

import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from ratui.errors import DisplayError
from ratui.terminal import parse_answers, probe

DA1_PLAIN, DA1_SIXEL = b"\x1b[?62;22c", b"\x1b[?63;1;2;4;6;9;15;22c"
KITTY_OK = b"\x1b_Gi=4211;OK\x1b\\"
CELL = b"\x1b[6;20;9t"


class TestParsing:
    def test_kitty(self) -> None:
        display = parse_answers(KITTY_OK + CELL + DA1_PLAIN, 0.01)
        assert (display.protocol, display.cell) == ("kitty", (9, 20))

    def test_a_kitty_that_refuses_is_none(self) -> None:
        assert parse_answers(b"\x1b_Gi=4211;EINVAL:no\x1b\\" + DA1_PLAIN, 0.01).protocol == "halfcell"

    def test_sixel_with_as_many_greys_as_it_has_registers(self) -> None:
        assert parse_answers(DA1_SIXEL, 0.01).levels == 64
        assert parse_answers(b"\x1b[?1;0;16S" + DA1_SIXEL, 0.01).levels == 16
        assert parse_answers(b"\x1b[?1;0;16S\x1b[?1;0;1024S" + DA1_SIXEL, 0.01).levels == 64

    def test_a_terminal_of_class_64_is_not_taken_for_sixel(self) -> None:
        assert parse_answers(b"\x1b[?64;1;2c", 0.01).protocol == "halfcell"
        assert parse_answers(b"\x1b[?4c", 0.01).protocol == "halfcell"

    @pytest.mark.parametrize("answer", [b"", b"garbage", b"\x1b[6;0;0t", b"\x1b[6;99999;1t"])
    def test_nonsense_means_half_cells_of_a_usual_size(self, answer: bytes) -> None:
        display = parse_answers(answer, None)
        assert (display.protocol, display.cell) == ("halfcell", (10, 20))
        assert display.why

    def test_an_unknown_name_is_refused(self) -> None:
        with pytest.raises(DisplayError, match="kitty, sixel, halfcell"):
            probe("hologram")


def in_terminal(answer: Callable[[int], None], deadline: float) -> tuple[str, float]:
    """The protocol that `probe` finds in a pseudo-terminal whose other end runs `answer`, and how long it took."""
    script = f"from ratui.terminal import probe; d = probe(deadline={deadline}); print('FOUND', d.protocol, flush=True)"
    main, sub = pty.openpty()
    begun = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=sub,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(sub), os.O_RDWR)),
    )
    thread = threading.Thread(target=answer, args=(main,), daemon=True)
    thread.start()
    out, error = child.communicate(timeout=30)
    os.close(sub)
    assert b"FOUND" in out, error.decode()
    return out.decode().split()[1], time.monotonic() - begun


def wait_for_question(main: int) -> None:
    seen = b""
    while b"\x1b[c" not in seen:
        seen += os.read(main, 4096)


def test_a_capable_terminal_that_answers_in_pieces() -> None:
    def answer(main: int) -> None:
        wait_for_question(main)
        for piece in (KITTY_OK[:5], KITTY_OK[5:], CELL, DA1_PLAIN):
            time.sleep(0.05)
            os.write(main, piece)

    assert in_terminal(answer, 5.0)[0] == "kitty"


def test_a_mute_terminal_is_given_up_in_time() -> None:
    protocol, seconds = in_terminal(wait_for_question, 0.3)
    assert protocol == "halfcell"
    assert seconds < 20
