"""The report of the doctor about a terminal, and its test card."""

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from ratui.cli.doctor import show_report, wrap_line
from ratui.terminal import (
    MIN_PIXELS_PER_MM,
    Display,
    Resolution,
    describe_terminal,
    draw_test_card,
    estimate_joint_resolution,
    list_advice,
    measure_resolution,
)
from tests.support.fake_terminal import FakeTerminal


def report_of(display: Display, columns: int = 120, rows: int = 40) -> str:
    return "\n".join(
        f"{name} {text}" for name, text in describe_terminal(display, columns, rows, {"TERM": "xterm-256color"})
    )


class TestReport:
    def test_it_names_protocol_reason_cell_and_line(self) -> None:
        text = report_of(Display("kitty", (9, 18), why="it said so", round_trip=0.0612, rate=250_000.0))
        for part in ("kitty: it said so", "9 × 18", "61.2 ms", "250 kB a second", "xterm-256color"):
            assert part in text

    def test_a_guessed_cell_is_called_a_guess(self) -> None:
        assert "a guess" in report_of(Display("halfcell", is_cell_measured=False))
        assert "a guess" not in report_of(Display("kitty"))

    def test_a_mute_terminal_is_called_mute(self) -> None:
        display = Display("halfcell", round_trip=None)
        assert "doesn't answer" in report_of(display)
        assert any("--graphics" in line for line in list_advice(display, 120, 40))

    def test_too_few_pixels_are_reported_with_a_remedy(self) -> None:
        small = Display("halfcell", round_trip=0.001)
        assert "too few" in report_of(small, 80, 24)
        assert any("smaller font" in line for line in list_advice(small, 80, 24))
        assert list_advice(Display("kitty", round_trip=0.001), 120, 40) == []

    def test_inside_tmux_it_gives_a_remedy(self) -> None:
        display = Display("halfcell", round_trip=0.001, multiplexer="tmux")
        assert "outside" in list_advice(display, 200, 60)[0]

    def test_what_a_terminal_calls_itself_is_cleaned(self) -> None:
        (_, name), *_ = describe_terminal(Display("kitty"), 80, 24, {"TERM": "evil\x1b[2J"})
        assert "\x1b" not in name


class TestFit:
    def test_pixels_a_millimetre_come_from_box_and_spacing(self) -> None:
        assert measure_resolution((100, 100), (0, 0, 200, 200), (0.1, 0.1)) == Resolution(pytest.approx(5.0), True)
        assert measure_resolution((100, 100), (0, 0, 200, 200), (0.2, 0.2)) == Resolution(pytest.approx(2.5), False)
        assert measure_resolution((100, 50), (0, 0, 200, 200), (0.2, 0.2)).pixels_per_mm == pytest.approx(1.25), (
            "the worse direction"
        )

    def test_the_full_resolution_of_a_coarse_film_is_enough(self) -> None:
        assert measure_resolution((200, 200), (0, 0, 200, 200), (0.4, 0.4)).is_sufficient
        assert not measure_resolution((150, 200), (0, 0, 200, 200), (0.4, 0.4)).is_sufficient

    def test_half_cells_in_a_usual_window_are_below_the_limit_and_kitty_is_above(self) -> None:
        assert (
            estimate_joint_resolution(Display("halfcell"), 80, 24)
            < MIN_PIXELS_PER_MM
            < estimate_joint_resolution(Display("kitty"), 80, 24)
        )


class TestCard:
    @pytest.mark.parametrize("size", [(1090, 400), (300, 200), (100, 40), (3, 3)])
    def test_any_size_has_a_frame_at_all_four_edges(self, size: tuple[int, int]) -> None:
        levels = np.asarray(draw_test_card(size))
        assert levels.shape == (max(size[1], 16), max(size[0], 16))
        for edge in (levels[0], levels[-1], levels[:, 0], levels[:, -1]):
            assert (edge == 255).all()

    def test_the_steps_go_up_evenly_and_the_lines_are_one_pixel_wide(self) -> None:
        levels = np.asarray(draw_test_card((1090, 400)))
        top = levels[10, 420:-4].astype(int)
        assert (np.diff(top) >= 0).all()
        assert len(np.unique(top)) == 16
        lines = levels[200, 420:560].astype(int)
        assert (np.abs(np.diff(lines)) == 255).all()

    def test_the_circle_is_round_on_pixels_that_are_not_square(self) -> None:
        levels = np.asarray(draw_test_card((900, 200), pixel_aspect=0.5))[1:-1, 1:394]
        rows, columns = np.nonzero(levels == 255)
        assert np.ptp(columns) * 0.5 == pytest.approx(np.ptp(rows), abs=1)
        assert levels[97, 1] == 255, "it touches the frame at the left"


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs a Unix terminal of Linux")
@pytest.mark.parametrize("kind", ["kitty", "sixel", "halfcell", "mute"])
def test_the_command_reports_and_shows_its_card(kind: str) -> None:
    terminal = FakeTerminal([sys.executable, "-m", "ratui", "doctor"], kind)
    try:
        assert terminal.wait_for(re.compile(rb"a dark or bright dot in it\r"), patience=60)
        assert terminal.process.wait(20) == 0
        data = terminal.data
    finally:
        terminal.close()
    shown = {"kitty": rb"\x1b_Ga=p", "sixel": rb"\x1bP0;0;0q"}.get(kind, "▀".encode())
    assert re.search(shown, data)
    assert b"films as  " + {"mute": b"halfcell"}.get(kind, kind.encode()) in data


def test_without_a_terminal_there_is_one_message(tmp_path: Path) -> None:
    if shutil.which("setsid") is None:
        pytest.skip("needs setsid")
    import subprocess

    done = subprocess.run(
        ["setsid", "-w", sys.executable, "-m", "ratui", "doctor"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == "ratui: films can only be shown in a terminal. Run this in a terminal\n"


def test_lines_break_between_words_and_stay_below_their_beginning() -> None:
    assert wrap_line("joints    about 0.9 pixels a millimetre: too few to judge", 40) == [
        "joints    about 0.9 pixels a millimetre:",
        "          too few to judge",
    ]
    assert wrap_line("  - 16 steps from black to white, each with a paler square", 40) == [
        "  - 16 steps from black to white, each",
        "    with a paler square",
    ]
    assert wrap_line("films as  kitty: the terminal speaks Kitty's graphics", 40) == [
        "films as  kitty: the terminal speaks",
        "          Kitty's graphics",
    ]
    assert wrap_line("advice: a larger window gives films more pixels", 40) == [
        "advice: a larger window gives films more",
        "        pixels",
    ]
    assert wrap_line(f"ruler     ├{'─' * 60}┤", 80) == [f"ruler     ├{'─' * 60}┤"]


@pytest.mark.parametrize("rows", [24, 60])
def test_the_test_card_and_what_it_should_show_are_on_the_screen_together(
    rows: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def show(display: Display, columns: int, height: int) -> tuple[int, float | None]:
        print(*["card"] * height, sep="\n")
        return 0, None

    monkeypatch.setattr("ratui.cli.doctor.probe", lambda graphics: Display("kitty"))
    monkeypatch.setattr("ratui.cli.doctor.show_test_card", show)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: (80, rows))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show_report("kitty")
    lines = capsys.readouterr().out.splitlines()
    visible = lines[-(rows - 2) :]
    assert visible.count("card") == lines.count("card") >= 8
    assert (lines[0] == "card") is (rows == 60), "a high screen has the card first"
    assert visible.count("  - a ramp from black to white without a dark or bright dot in it") == 1
