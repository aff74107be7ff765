"""Run a program in a real terminal on a display in memory: xterm with Sixel, kitty, and tmux with half-cells.

Keys are typed through X11, as a person types them, and pictures are taken of the terminal's window. It needs the programs
of `PROGRAMS`. On Debian:
``apt-get install xvfb xterm kitty tmux xdotool xclip imagemagick fonts-dejavu-core fonts-vlgothic``.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

__all__ = [
    "LANGUAGES",
    "PATIENCE",
    "SIZES",
    "TERMINALS",
    "RealTerminal",
    "WindowSize",
    "exit_without_programs",
    "make_environment",
    "save_picture",
    "virtual_display",
]

PROGRAMS = ("Xvfb", "xterm", "kitty", "tmux", "xdotool", "xclip", "import", "convert")
TERMINALS, SIZES, LANGUAGES = ("xterm", "kitty", "tmux"), ("80x24", "120x40", "200x60"), ("en", "ja")
PATIENCE = 30.0
"""Longest time in seconds to wait until a screen no longer changes."""
STILL = 0.7
"""Seconds without a change after which a screen counts as complete."""
LEAST_BYTES = 4000
"""Size of a picture with text. A smaller one shows a terminal in which the app has not drawn yet."""
_SCREEN = "2600x1600x24"


def exit_without_programs() -> None:
    """End the program with a message if one of `PROGRAMS` is missing."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}. See the first lines of {Path(__file__).name}")


@contextmanager
def virtual_display() -> Iterator[str]:
    """Run an X11 server, and yield the name of its display, such as ``:1``."""
    # The reset after the end of the only terminal would also end the next one, if that has just been opened.
    command = ["Xvfb", "-noreset", "-displayfd", "1", "-screen", "0", _SCREEN]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None
        yield f":{server.stdout.readline().strip()}"
    finally:
        server.kill()
        server.wait()


def make_environment(display: str, home: Path, language: str, palette: str = "dark") -> dict[str, str]:
    """Return the environment of a user of ratui with the given settings; all that ratui writes is below `home`."""
    config = home / f"config-{language}"
    settings = config / "ratui" / "settings.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f'language = "{language}"\npalette = "{palette}"\n')
    return {
        **os.environ,
        "DISPLAY": display,
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": language,
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "XDG_DATA_HOME": f"{home}/data",
        "XDG_CONFIG_HOME": str(config),
    }


@dataclass(frozen=True)
class WindowSize:
    """Size of a window in pixels."""

    width: int
    height: int


class RealTerminal:
    """A terminal with a program inside, as a context manager. The end of the context ends both.

    Parameters
    ----------
    terminal
        One of `TERMINALS`.
    size
        Columns and rows, as in ``120x40``.
    program
        Command line of the program inside.
    environment
        Environment of the terminal, see `make_environment`.
    home
        Folder for the files of tmux.
    font_size
        Size of the characters in points.
    """

    def __init__(
        self,
        terminal: str,
        size: str,
        program: Sequence[str],
        environment: Mapping[str, str],
        home: Path,
        *,
        font_size: int = 10,
    ) -> None:
        self._terminal = terminal
        self._environment = environment
        self._socket = home / "tmux"
        self._home = home
        self._font_size = font_size
        self._size = size
        self._command = self._make_command(size, program)

    def __enter__(self) -> RealTerminal:
        self._open(self._command)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        if self._terminal == "tmux":
            self._run_tmux("kill-server")

    def _open(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, env=self._environment, stderr=subprocess.DEVNULL)
        self._window = self._find_window()

    def press(self, *keys: str) -> None:
        """Press `keys`, as xdotool names them, one after the other."""
        self._run_xdotool("key", "--clearmodifiers", *keys)

    def type(self, text: str) -> None:
        """Type the characters of `text`. xdotool may lose characters that the keyboard lacks."""
        self._run_xdotool("type", "--clearmodifiers", "--delay", "40", text)

    def hold(self, key: str, seconds: float) -> None:
        """Hold `key` down for so many seconds. The X11 server repeats it as a keyboard does."""
        self._run_xdotool("keydown", key)
        time.sleep(seconds)
        self._run_xdotool("keyup", key)

    def paste(self, text: str) -> None:
        """Paste `text` as the user of this terminal does, with Shift-Insert or by a command of tmux."""
        if self._terminal == "tmux":
            self._run_tmux("set-buffer", text)
            self._run_tmux("paste-buffer", "-p")
            return
        # xclip stays, to hand out the text, until the X11 server ends.
        command = ["xclip", "-selection", "primary", "-silent"]
        subprocess.run(command, input=text, text=True, env=self._environment, check=True, stdout=subprocess.DEVNULL)
        self.press("shift+Insert")

    def click(self, across: float, down: float, button: int = 1, count: int = 1) -> None:
        """Press a mouse button at a place given by shares of the window's width and height. 4 and 5 turn the wheel."""
        size = self.measure_window()
        place = (str(round(across * size.width)), str(round(down * size.height)))
        self._run_xdotool("mousemove", "--window", self._window, *place)
        self._run_xdotool("click", "--repeat", str(count), "--delay", "400", str(button))
        self._run_xdotool("mousemove", "3", "3")

    def measure_window(self) -> WindowSize:
        """Return the size of the terminal's window."""
        command = ["xdotool", "getwindowgeometry", "--shell", self._window]
        found = subprocess.run(command, env=self._environment, check=True, capture_output=True, text=True)
        values = dict(line.split("=") for line in found.stdout.split())
        return WindowSize(int(values["WIDTH"]), int(values["HEIGHT"]))

    def resize(self, size: WindowSize) -> None:
        """Give the terminal's window another size."""
        self._run_xdotool("windowsize", self._window, str(size.width), str(size.height))

    def close_window(self, *, is_killed: bool) -> None:
        """End the terminal: at once like a crash if `is_killed`, or else as if its window were closed."""
        if is_killed:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait()

    def reopen(self) -> None:
        """Open the terminal again after its end, with its program started anew; in tmux attached to what still runs."""
        attach = [*self._make_xterm(self._size), "-e", *self._tmux, "attach"]
        self._open(attach if self._terminal == "tmux" else self._command)

    def attach_anew(self, size: str) -> None:
        """Detach tmux from its terminal, and attach it to another one of `size`."""
        self._run_tmux("detach-client")
        self._process.wait(timeout=PATIENCE)
        self._open([*self._make_xterm(size), "-e", *self._tmux, "attach"])

    def _grab(self) -> bytes:
        """Return the pixels of the window as PPM, whose making is cheap; empty if there is no window."""
        command = ["import", "-window", self._window, "-depth", "8", "ppm:-"]
        return subprocess.run(command, env=self._environment, capture_output=True, check=False).stdout

    def wait_until_still(self, at_least: float, still: float = STILL) -> bytes:
        """Return a picture after `at_least` seconds, as soon as the screen has not changed for `still` seconds.

        A cursor may blink: a picture that was there before counts as no change. The picture is a PNG. Raise RuntimeError if
        the window closes.
        """
        begun = changed = time.monotonic()
        images: list[bytes] = []
        while True:
            image = self._grab()
            if not image and images:
                raise RuntimeError("the terminal has closed")
            now = time.monotonic()
            if image not in images:
                images.append(image)
                changed = now
            is_still = now - changed >= still and now - begun >= at_least
            if is_still or now - begun > PATIENCE:
                picture = make_png(image)
                if len(picture) >= LEAST_BYTES or now - begun > PATIENCE:
                    return picture
            time.sleep(0.1)

    def _make_command(self, size: str, program: Sequence[str]) -> list[str]:
        if self._terminal == "kitty":
            columns, rows = size.split("x")
            settings = {
                "initial_window_width": f"{columns}c",
                "initial_window_height": f"{rows}c",
                "remember_window_size": "no",
                "cursor_blink_interval": "0",
                "confirm_os_window_close": "0",
                "update_check_interval": "0",
                "font_size": str(self._font_size),
                "window_padding_width": "0",
            }
            options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
            return ["kitty", "--config", "NONE", *options, *program]
        xterm = self._make_xterm(size)
        if self._terminal == "tmux":
            self._socket.with_suffix(".conf").write_text(
                'set -g status off\nset -g default-terminal "tmux-256color"\nset -ga terminal-overrides ",*:Tc"\n'
            )
            return [*xterm, "-e", *self._tmux, "new-session", *program]
        resources = ("XTerm*decTerminalID: vt340", "XTerm*numColorRegisters: 256", "XTerm*maxGraphicSize: 2600x1600")
        return [*xterm, "-ti", "vt340", *(word for each in resources for word in ("-xrm", each)), "-e", *program]

    def _make_xterm(self, size: str) -> list[str]:
        fonts = ["-fa", "DejaVu Sans Mono", "-fd", "VL Gothic", "-fs", str(self._font_size)]
        return ["xterm", *fonts, "-geometry", f"{size}+0+0", "-bg", "black", "-fg", "white"]

    @property
    def _tmux(self) -> list[str]:
        return ["tmux", "-S", str(self._socket), "-f", str(self._socket.with_suffix(".conf"))]

    def _run_tmux(self, *command: str) -> None:
        subprocess.run([*self._tmux, *command], env=self._environment, check=False, capture_output=True)

    def _run_xdotool(self, *arguments: str) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):  # the window may just have closed
            subprocess.run(["xdotool", *arguments], env=self._environment, check=True, stderr=subprocess.DEVNULL)

    def _find_window(self) -> str:
        """Wait for the terminal's window, direct the keys to it, and return its X11 ID."""
        found = subprocess.run(
            ["xdotool", "search", "--sync", "--onlyvisible", "--class", "xterm|kitty"],
            env=self._environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        window = found.stdout.split()[-1]
        # Without a window manager, keys go to the window under the pointer or to the one with the focus.
        self._run_xdotool("mousemove", "3", "3", "windowfocus", window)
        return window


def make_png(image: bytes) -> bytes:
    """Return `image`, a picture as PPM, as PNG; empty if it is empty."""
    if not image:
        return b""
    file = io.BytesIO()
    Image.open(io.BytesIO(image)).save(file, "PNG")
    return file.getvalue()


def save_picture(image: bytes, file: Path) -> None:
    """Write `image`, a PNG, with 64 colours, which is enough for greys and a few colours of text."""
    file.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["convert", "png:-", "-colors", "64", f"png8:{file}"], input=image, check=True)
    print(file, flush=True)
