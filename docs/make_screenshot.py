"""Make ``docs/images/scoring.png``: the sample study in a real terminal with Sixel graphics.

Run ``python docs/make_screenshot.py``. It needs the programs Xvfb, xterm, xdotool and import (ImageMagick).
On Debian: ``apt-get install xvfb xterm xdotool imagemagick fonts-dejavu-core``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OUT = Path(__file__).parent / "images" / "scoring.png"
PROGRAMS = ("Xvfb", "xterm", "xdotool", "import")
DISPLAY = ":77"
KEYS = "1"
"""Keys typed in the first joint: the answer to its first field."""
START, SETTLE = 6.0, 2.0
"""Seconds that the app may take to show the first joint, and to show the answer to a key."""


def main() -> None:
    """Start the demo in xterm on a virtual display, type `KEYS`, and save the window as `OUT`."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}. See the first lines of {Path(__file__).name}")
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "DISPLAY": DISPLAY,
            "LC_ALL": "C.UTF-8",
            "XDG_DATA_HOME": f"{home}/data",
            "XDG_CONFIG_HOME": f"{home}/config",
        }
        server = subprocess.Popen(["Xvfb", DISPLAY, "-screen", "0", "1400x900x24"], stderr=subprocess.DEVNULL)
        try:
            time.sleep(1)
            terminal = subprocess.Popen(_terminal(), env=environment)
            try:
                time.sleep(START)
                subprocess.run(["xdotool", "type", "--delay", "300", KEYS], env=environment, check=True)
                time.sleep(SETTLE)
                _save(environment)
            finally:
                terminal.kill()
                terminal.wait()
        finally:
            server.kill()
            server.wait()


def _terminal() -> list[str]:
    """Return the command line of xterm as a VT340, which shows Sixel, with the demo inside."""
    resources = ("XTerm*numColorRegisters: 256", "XTerm*maxGraphicSize: 2000x2000")
    return [
        *("xterm", "-ti", "vt340", "-fa", "DejaVu Sans Mono", "-fs", "12", "-geometry", "120x36+0+0"),
        *("-bg", "black", "-fg", "white"),
        *(word for resource in resources for word in ("-xrm", resource)),
        *("-e", sys.executable, "-m", "ratui", "demo"),
    ]


def _save(environment: dict[str, str]) -> None:
    found = subprocess.run(
        ["xdotool", "search", "--class", "xterm"], env=environment, check=True, capture_output=True, text=True
    )
    window = found.stdout.split()[-1]
    OUT.parent.mkdir(exist_ok=True)
    subprocess.run(["import", "-window", window, "-colors", "64", str(OUT)], env=environment, check=True)


if __name__ == "__main__":
    main()
