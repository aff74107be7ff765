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
from pathlib import Path

from screenshot_scenes import DOCUMENTED, SESSIONS, make_studies

from ratui.tui.theme import PALETTES

IMAGES = Path(__file__).parent / "images"
PROGRAMS = ("Xvfb", "xterm", "kitty", "tmux", "xdotool", "import")
TERMINALS, SIZES, LANGUAGES = ("xterm", "kitty", "tmux"), ("80x24", "120x40", "200x60"), ("en", "ja")
PATIENCE = 30.0
"""Longest time in seconds to wait until a screen no longer changes."""
STILL = 0.7
"""Seconds without a change after which a screen counts as complete."""
STAY_OPEN = ("sh", "-c", '"$@"; sleep 60', "sh")
"""Start of a command line whose terminal stays open when the program ends, so that its output can be seen."""
LEAST_BYTES = 4000
"""Size of a picture with text. A smaller one shows a terminal in which the app has not drawn yet."""


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
    with tempfile.TemporaryDirectory() as home, _virtual_display() as display:
        os.environ["DISPLAY"] = display
        names = make_studies(Path(home))
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


@contextmanager
def _virtual_display() -> Iterator[str]:
    """Run an X11 server, and yield its name, such as ``:1``."""
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", "2200x1400x24"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None
        yield f":{server.stdout.readline().strip()}"
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
        shutil.copytree(home / session.folder, copy)
        arguments = [each.format(**names, here=copy) for each in session.arguments]
        window = subprocess.Popen(
            _command(terminal, size, [*STAY_OPEN, sys.executable, "-m", "ratui", *arguments], home),
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        try:
            shown = _find_window(environment)
            _wait_until_still(environment, shown, at_least=5.0)
            for name, keys in session.screens:
                for key in keys:
                    subprocess.run(["xdotool", "key", "--clearmodifiers", key], env=environment, check=True)
                    _wait_until_still(environment, shown, at_least=0.4)
                image = _wait_until_still(environment, shown, at_least=1.0)
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
    """Return the picture of the X11 `window` after `at_least` seconds, as soon as it does not change for a moment.

    A cursor may blink: a picture that was there before counts as no change.
    """
    begun = changed = time.monotonic()
    images: list[bytes] = []
    while True:
        image = _grab(environment, window)
        if not image and images:
            raise RuntimeError("the terminal has closed")
        now = time.monotonic()
        if image not in images:
            images.append(image)
            changed = now
        is_still = len(image) >= LEAST_BYTES and now - changed >= STILL and now - begun >= at_least
        if is_still or now - begun > PATIENCE:
            return image
        time.sleep(0.1)


def _grab(environment: dict[str, str], window: str) -> bytes:
    command = ["import", "-window", window, "-strip", "-define", "png:exclude-chunks=date,time", "png:-"]
    return subprocess.run(command, env=environment, capture_output=True, check=False).stdout


def _save(image: bytes, file: Path) -> None:
    """Write `image` with 64 colours, which is enough for greys and a few colours of text."""
    file.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["convert", "png:-", "-colors", "64", f"png8:{file}"], input=image, check=True)
    print(file, flush=True)


if __name__ == "__main__":
    main()
