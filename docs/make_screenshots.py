"""Make pictures of every screen in real terminals: xterm with Sixel, kitty, and tmux with half-cells.

``python docs/make_screenshots.py`` makes those of the documentation, in ``docs/images``.
``python docs/make_screenshots.py --all FOLDER`` makes all, for a person to look at: each screen in three terminals, three
sizes and two languages. ``--terminal``, ``--size``, ``--lang`` and ``--screen`` restrict them. ``--palette`` chooses the
colours.

`benchmarks.real_terminals` lists the programs that it needs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from screenshot_scenes import DOCUMENTED, SESSIONS, make_studies

from benchmarks.real_terminals import (
    LANGUAGES,
    SIZES,
    TERMINALS,
    RealTerminal,
    exit_without_programs,
    make_environment,
    save_picture,
    virtual_display,
)
from ratui.tui.recent_studies import remember_study
from ratui.tui.theme import PALETTES

IMAGES = Path(__file__).parent / "images"
STAY_OPEN = ("sh", "-c", '"$@"; sleep 60', "sh")
"""Start of a command line whose terminal stays open when the program ends, so that its output can be seen."""


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
    exit_without_programs()
    with tempfile.TemporaryDirectory() as home, virtual_display() as display:
        os.environ["DISPLAY"] = display
        names = make_studies(Path(home))
        if options.all is None:
            for screen, image in _take("xterm", "120x40", "en", "dark", names, Path(home), tuple(DOCUMENTED)):
                save_picture(image, IMAGES / f"{DOCUMENTED[screen]}.png")
            return
        for terminal in options.terminal:
            for size in options.size:
                for language in options.lang:
                    for screen, image in _take(
                        terminal, size, language, options.palette, names, Path(home), options.screen
                    ):
                        save_picture(image, options.all / f"{screen}.{terminal}.{size}.{language}.png")


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
    environment = make_environment(os.environ["DISPLAY"], home, language, palette)
    for session in SESSIONS:
        if wanted is not None and not any(name in wanted for name, _ in session.screens):
            continue
        copy = home / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(home / session.folder, copy)
        recent = Path(environment["XDG_CONFIG_HOME"]) / "ratui" / "recent.json"
        recent.unlink(missing_ok=True)
        for study, rater in reversed(session.recent):
            remember_study(Path(study.format(home=home, here=copy)), rater, recent)
        arguments = [each.format(**names, here=copy) for each in session.arguments]
        program = [*STAY_OPEN, sys.executable, *session.program, *arguments]
        with RealTerminal(terminal, size, program, environment, home) as window:
            window.wait_until_still(5.0)
            for name, keys in session.screens:
                for key in keys:
                    window.press(key)
                    window.wait_until_still(0.4)
                image = window.wait_until_still(1.0)
                if wanted is None or name in wanted:
                    yield name, image


if __name__ == "__main__":
    main()
