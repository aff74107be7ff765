"""Make pictures of every screen in real terminals: xterm with Sixel, kitty, and tmux with half-cells.

``python docs/make_screenshots.py`` makes those of the documentation, in ``docs/images``.
``python docs/make_screenshots.py --all FOLDER`` makes all, for a person to look at: each screen in three terminals, three
sizes and two languages. ``--terminal``, ``--size``, ``--lang`` and ``--screen`` restrict them. ``--palette`` chooses the
colours.

It needs the programs Xvfb, xterm, kitty, tmux, xdotool and import (ImageMagick). On Debian:
``apt-get install xvfb xterm kitty tmux xdotool imagemagick fonts-dejavu-core fonts-vlgothic``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ratui.demo.simulate import Simulation, simulate_study
from ratui.reading import Field, FindingEntry, GradeEntry, Reading, enter, enter_normal, set_note, toggle_flag
from ratui.study import Study
from ratui.tui.theme import PALETTES

IMAGES = Path(__file__).parent / "images"
PROGRAMS = ("Xvfb", "xterm", "kitty", "tmux", "xdotool", "import")
DISPLAY = ":77"
TERMINALS, SIZES, LANGUAGES = ("xterm", "kitty", "tmux"), ("80x24", "120x40", "200x60"), ("en", "ja")
PATIENCE = 30.0
"""Longest time in seconds to wait until a screen no longer changes."""
STILL = 0.7
"""Seconds without a change after which a screen counts as complete."""
LEAST_BYTES = 4000
"""Size of a picture with text. A smaller one shows a terminal in which the app has not drawn yet."""
AT = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)


@dataclass(frozen=True)
class Session:
    """One start of ratui: its arguments, and the screens to take with the keys that lead from one to the next."""

    arguments: tuple[str, ...]
    screens: tuple[tuple[str, tuple[str, ...]], ...]
    """Names of the screens with the keys, as xdotool names them, pressed before each."""


SESSIONS = (
    Session((), (("start", ()),)),
    Session(("demo",), (("tour", ()),)),
    Session(
        ("read", "{study}", "--rater", "anna"),
        (("worklist", ()), ("worklist-help", ("question",)), ("contact-sheet", ("Escape", "Tab"))),
    ),
    Session(
        ("read", "{study}", "--rater", "anna", "--case", "{begun}"),
        (
            ("scoring", ()),
            ("scoring-entered", ("1",)),
            ("scoring-help", ("question",)),
            ("scoring-reasons", ("Escape", "x")),
            ("scoring-whole-film", ("Escape", "v")),
            ("scoring-difference", ("v", "d")),
            ("scoring-commands", ("d", "ctrl+p")),
            ("overview", ("Escape", "o")),
            ("regions", ("Escape", "r")),
        ),
    ),
    Session(
        ("read", "{study}", "--rater", "anna", "--case", "{full}"),
        (("review", ()), ("overview-to-sign", ("Return", "Return"))),
    ),
    Session(("read", "{study}", "--rater", "anna", "--case", "{signed}"), (("overview-signed", ()),)),
)
DOCUMENTED = {"scoring-entered": "scoring", "worklist": "worklist", "overview-to-sign": "overview"}
"""Screens that the documentation shows, with the names of their pictures."""


def main() -> None:
    """Make the pictures that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="take every screen, and write into FOLDER")
    parser.add_argument("--terminal", nargs="+", choices=TERMINALS, default=TERMINALS)
    parser.add_argument("--size", nargs="+", default=SIZES, help="columns x rows, as in 120x40")
    parser.add_argument("--lang", nargs="+", choices=LANGUAGES, default=LANGUAGES)
    parser.add_argument("--palette", choices=PALETTES, default="dark")
    parser.add_argument("--screen", nargs="+", help="names of screens")
    options = parser.parse_args()
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}. See the first lines of {Path(__file__).name}")
    with tempfile.TemporaryDirectory() as home, _virtual_display():
        names = _make_study(Path(home))
        if options.all is None:
            for screen, image in _take("xterm", "120x40", "en", "dark", names, Path(home), tuple(DOCUMENTED)):
                _save(image, IMAGES / f"{DOCUMENTED[screen]}.png")
            return
        for terminal in options.terminal:
            for size in options.size:
                for language in options.lang:
                    for screen, image in _take(
                        terminal, size, language, options.palette, names, Path(home), options.screen
                    ):
                        _save(image, options.all / f"{screen}.{terminal}.{size}.{language}.png")


def _make_study(home: Path) -> dict[str, str]:
    """Make a study of four simulated patients: one signed, one full, one begun, one untouched. Return its names."""
    path = home / "study"
    raters = {"anna": "shared-shift", "ben": "mixed"}
    simulation = Simulation(4, raters, size=(1400, 1148), seed=7, title="Simulated hands")
    # Ben has confirmed the regions of all cases but the last.
    simulate_study(path, simulation, key=home / "key.json", progress=lambda *_: None, unread={"anna": 3, "ben": 1})
    study = Study.open(path)
    signed = study.cases()[0]
    full, begun = study.cases()[1:3]
    for case, change in ((full, _fill), (begun, _begin)):
        with study.open_reading("anna", case) as session:
            session.save(change(session.reading), seconds=240.0)
    return {"study": str(path), "signed": signed, "full": full, "begun": begun}


def _fill(reading: Reading) -> Reading:
    for place, time_point in enumerate(reading.order):
        reading = enter(reading, Field("L.MCP2", "ERO", time_point), FindingEntry("ankylosis"), timestamp=AT)
        reading = enter(reading, Field("L.MCP3", "ERO", time_point), GradeEntry(1 + place), timestamp=AT)
    for site in reading.sites:
        if any(field not in reading.values for field in reading.joint_fields(site.key)):
            reading = enter_normal(reading, site.key, timestamp=AT)
    return reading


def _begin(reading: Reading) -> Reading:
    for site in ("L.IP1", "L.PIP2", "L.PIP3"):
        reading = enter_normal(reading, site, timestamp=AT)
    reading = set_note(reading, "L.PIP2", "cyst or erosion?", timestamp=AT)
    return toggle_flag(reading, "L.PIP2", timestamp=AT)


@contextmanager
def _virtual_display() -> Iterator[None]:
    server = subprocess.Popen(["Xvfb", DISPLAY, "-screen", "0", "2200x1400x24"], stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield
    finally:
        server.kill()
        server.wait()


def _take(
    terminal: str,
    size: str,
    language: str,
    palette: str,
    names: dict[str, str],
    home: Path,
    wanted: Sequence[str] | None,
) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the picture, as PNG, of each of the `wanted` screens; None for all."""
    environment = {
        **os.environ,
        "DISPLAY": DISPLAY,
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": language,
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "XDG_DATA_HOME": f"{home}/data",
        "XDG_CONFIG_HOME": f"{home}/config-{language}",
    }
    settings = Path(environment["XDG_CONFIG_HOME"]) / "ratui" / "settings.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f'language = "{language}"\npalette = "{palette}"\n')
    for session in SESSIONS:
        if wanted is not None and not any(name in wanted for name, _ in session.screens):
            continue
        copy = home / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(names["study"], copy)
        arguments = [each.format(**{**names, "study": str(copy)}) for each in session.arguments]
        window = subprocess.Popen(
            _command(terminal, size, [sys.executable, "-m", "ratui", *arguments], home),
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        try:
            shown = _find_window(environment)
            for place, (name, keys) in enumerate(session.screens):
                for key in keys:
                    subprocess.run(["xdotool", "key", "--clearmodifiers", key], env=environment, check=True)
                    _wait_until_still(environment, shown, at_least=0.4)
                image = _wait_until_still(environment, shown, at_least=1.0 if place else 4.0)
                if wanted is None or name in wanted:
                    yield name, image
        finally:
            window.terminate()
            window.wait()
            if terminal == "tmux":
                subprocess.run(["tmux", "-S", str(home / "tmux"), "kill-server"], check=False, capture_output=True)


def _command(terminal: str, size: str, program: list[str], home: Path) -> list[str]:
    """Return the command line of `terminal` in `size`, with `program` inside."""
    columns, rows = size.split("x")
    if terminal == "kitty":
        settings = {
            "initial_window_width": f"{columns}c",
            "initial_window_height": f"{rows}c",
            "remember_window_size": "no",
            "cursor_blink_interval": "0",
            "confirm_os_window_close": "0",
            "update_check_interval": "0",
            "font_size": "10",
            "window_padding_width": "0",
        }
        options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        return ["kitty", "--config", "NONE", *options, *program]
    xterm = ["xterm", "-fa", "DejaVu Sans Mono", "-fd", "VL Gothic", "-fs", "10", "-geometry", f"{columns}x{rows}+0+0"]
    xterm += ["-bg", "black", "-fg", "white"]
    if terminal == "tmux":
        file = home / "tmux.conf"
        file.write_text(
            'set -g status off\nset -g default-terminal "tmux-256color"\nset -ga terminal-overrides ",*:Tc"\n'
        )
        return [*xterm, "-e", "tmux", "-S", str(home / "tmux"), "-f", str(file), "new-session", *program]
    resources = ("XTerm*decTerminalID: vt340", "XTerm*numColorRegisters: 256", "XTerm*maxGraphicSize: 2200x1400")
    return [*xterm, "-ti", "vt340", *(word for each in resources for word in ("-xrm", each)), "-e", *program]


def _find_window(environment: dict[str, str]) -> str:
    """Wait for the terminal's window, direct the keys to it, and return its X11 ID."""
    found = subprocess.run(
        ["xdotool", "search", "--sync", "--onlyvisible", "--class", "xterm|kitty"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    window = found.stdout.split()[-1]
    # Without a window manager, keys go to the window under the pointer or to the one with the focus.
    subprocess.run(["xdotool", "mousemove", "3", "3", "windowfocus", window], env=environment, check=True)
    return window


def _wait_until_still(environment: dict[str, str], window: str, *, at_least: float) -> bytes:
    """Return the picture of the X11 `window` as soon as it has not changed for a moment, after `at_least` seconds."""
    begun = changed = time.monotonic()
    last = b""
    while True:
        image = _grab(environment, window)
        now = time.monotonic()
        if image != last:
            last, changed = image, now
        is_still = len(image) >= LEAST_BYTES and now - changed >= STILL and now - begun >= at_least
        if is_still or now - begun > PATIENCE:
            return last
        time.sleep(0.1)


def _grab(environment: dict[str, str], window: str) -> bytes:
    command = ["import", "-window", window, "-strip", "-define", "png:exclude-chunks=date,time", "png:-"]
    return subprocess.run(command, env=environment, capture_output=True, check=False).stdout


def _save(image: bytes, file: Path) -> None:
    """Write `image` with 64 colours, which is enough for greys and a few colours of text."""
    file.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["convert", "png:-", "-colors", "64", f"png8:{file}"], input=image, check=True)
    print(file)


if __name__ == "__main__":
    main()
