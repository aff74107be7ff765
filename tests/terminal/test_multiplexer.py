"""Recognition of multiplexers, and what a real tmux reports about its clients."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ratui.terminal.multiplexer import TmuxClient, TmuxState, identify_multiplexer, read_tmux, suspect_multiplexer
from tests.support.fake_terminal import FakeTerminal

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Tmux:
    """A tmux server of its own, with clients on fake terminals."""

    def __init__(self, folder: Path) -> None:
        self.socket = str(folder / "tmux")
        self.clients: list[FakeTerminal] = []
        self.run("-f", "/dev/null", "new-session", "-d", "-s", "first", "-x", "80", "-y", "24", "sleep 600")
        self.pane = self.run("display-message", "-p", "#{pane_id}")

    def run(self, *command: str) -> str:
        environment = {key: value for key, value in os.environ.items() if key not in ("TMUX", "TMUX_PANE")}
        return subprocess.run(
            ["tmux", "-u", "-S", self.socket, *command], capture_output=True, text=True, check=True, env=environment
        ).stdout.strip()

    @property
    def environment(self) -> dict[str, str]:
        return {"TMUX": f"{self.socket},1,0", "TMUX_PANE": self.pane, "PATH": os.environ["PATH"]}

    def state(self) -> TmuxState:
        found = read_tmux(self.environment)
        assert found is not None
        return found

    def attach(self, session: str, term: str, version: str = "") -> FakeTerminal:
        command = ["tmux", "-u", "-S", self.socket, "attach-session", "-t", session]
        environment = {"TERM": term, "LANG": "C.UTF-8", "COLORTERM": ""}
        client = FakeTerminal(command, "halfcell", environment=environment, version=version)
        self.clients.append(client)
        return client

    def close(self) -> None:
        self.run("kill-server")
        for client in self.clients:
            client.close()


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    server = Tmux(tmp_path)
    yield server
    server.close()


def wait_until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.02)


@needs_tmux
class TestRealTmux:
    def test_without_clients(self, tmux: Tmux) -> None:
        state = tmux.state()
        assert state.clients == ()
        assert state.version[0].isdigit()
        assert not state.allows_passthrough

    def test_a_client_with_its_name_and_features(self, tmux: Tmux) -> None:
        tmux.attach("first", "xterm-256color", "kitty(0.32.2)")
        wait_until(lambda: bool(tmux.state().clients and tmux.state().clients[0].kind))
        (client,) = tmux.state().clients
        assert (client.name, client.kind, client.title) == ("xterm-256color", "kitty(0.32.2)", "kitty(0.32.2)")
        assert client.has_placeholders
        assert client.is_utf8
        assert client.process == tmux.clients[0].process.pid
        assert "title" in client.features
        assert "sixel" not in client.features

    def test_true_colour(self, tmux: Tmux) -> None:
        def known() -> dict[str, bool]:
            return {client.name: client.has_true_colour for client in tmux.state().clients}

        tmux.attach("first", "xterm-256color")
        tmux.attach("first", "screen")
        wait_until(lambda: known() == {"xterm-256color": False, "screen": False})
        for terminal in tmux.clients:
            terminal.close()
        wait_until(lambda: not known())
        tmux.run("set-option", "-sa", "terminal-features", ",xterm*:RGB")
        tmux.attach("first", "xterm-256color")
        tmux.attach("first", "screen")
        wait_until(lambda: known() == {"xterm-256color": True, "screen": False})
        tmux.run("set-option", "-sa", "terminal-overrides", ",vt220:Tc")
        tmux.attach("first", "vt220")
        wait_until(lambda: known() == {"xterm-256color": True, "screen": False, "vt220": True})

    def test_clients_that_do_not_show_the_window_do_not_count(self, tmux: Tmux) -> None:
        tmux.run("new-session", "-d", "-s", "second", "sleep 600")
        tmux.attach("second", "xterm-256color")
        wait_until(lambda: "second" in tmux.run("list-clients", "-F", "#{client_session}"))
        assert tmux.state().clients == ()
        # A session of the same group has the same windows.
        tmux.run("new-session", "-d", "-s", "third", "-t", "first")
        tmux.attach("third", "screen")
        wait_until(lambda: [client.name for client in tmux.state().clients] == ["screen"])

    def test_passthrough(self, tmux: Tmux) -> None:
        tmux.run("set-option", "-g", "allow-passthrough", "on")
        assert tmux.state().allows_passthrough
        tmux.run("set-option", "-p", "-t", tmux.pane, "allow-passthrough", "off")
        assert not tmux.state().allows_passthrough, "the pane's own setting counts"

    def test_a_pane_that_is_gone(self, tmux: Tmux) -> None:
        assert read_tmux({**tmux.environment, "TMUX_PANE": "%99"}) is None


def test_no_tmux(tmp_path: Path) -> None:
    assert read_tmux({}) is None
    assert read_tmux({"TMUX": "", "PATH": os.environ["PATH"]}) is None
    assert read_tmux({"TMUX": f"{tmp_path}/none,1,0", "PATH": os.environ["PATH"]}) is None
    assert read_tmux({"TMUX": f"{tmp_path}/none,1,0", "PATH": str(tmp_path)}) is None


def test_a_tmux_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    program = tmp_path / "tmux"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    begun = time.monotonic()
    environment = {"TMUX": "/tmp/x,1,0", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert read_tmux(environment, timeout=0.2) is None
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("output", ["", "one line", "3.4|1", "window|$0"])
def test_an_answer_of_another_form_is_none(tmp_path: Path, output: str) -> None:
    program = tmp_path / "tmux"
    program.write_text(f"#!/bin/sh\necho '{output}'\n")
    program.chmod(0o755)
    assert read_tmux({"TMUX": "/tmp/x,1,0", "PATH": f"{tmp_path}:{os.environ['PATH']}"}) is None


class TestMissingKitty:
    KITTY = TmuxClient("/dev/pts/1", 1, "xterm-kitty", "kitty(0.32.2)", frozenset(), True, True)

    @pytest.mark.parametrize("kind", ["kitty(0.28.0)", "kitty(0.32.2)", "kitty(1.0)", "ghostty 1.0.1"])
    def test_nothing_is_missing(self, kind: str) -> None:
        client = TmuxClient("/dev/pts/1", 1, "xterm-256color", kind, frozenset(), True, True)
        assert TmuxState("3.3a", True, (client, self.KITTY)).explain_missing_kitty() == ""
        assert TmuxState("next-3.6", True, (client,)).explain_missing_kitty() == ""

    @pytest.mark.parametrize("kind", ["kitty(0.27.1)", "kitty(0.26.5)", "XTerm(379)", ""])
    def test_a_client_that_has_no_placeholders(self, kind: str) -> None:
        other = TmuxClient("/dev/pts/2", 2, "xterm-kitty", kind, frozenset(), True, True)
        missing = TmuxState("3.3a", True, (self.KITTY, other)).explain_missing_kitty()
        assert (kind or "xterm-kitty") in missing

    def test_each_other_condition(self) -> None:
        no_rgb = TmuxClient("/dev/pts/1", 1, "xterm-kitty", "kitty(0.32.2)", frozenset(), True, False)
        no_utf8 = TmuxClient("/dev/pts/1", 1, "xterm-kitty", "kitty(0.32.2)", frozenset(), False, True)
        assert "allow-passthrough" in TmuxState("3.3a", False, (self.KITTY,)).explain_missing_kitty()
        assert "3.2a" in TmuxState("3.2a", True, (self.KITTY,)).explain_missing_kitty()
        assert "no client" in TmuxState("3.3a", True, ()).explain_missing_kitty()
        assert "true colour" in TmuxState("3.3a", True, (no_rgb,)).explain_missing_kitty()
        assert "UTF-8" in TmuxState("3.3a", True, (no_utf8,)).explain_missing_kitty()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ""),
        ({"TERM": "xterm-256color"}, ""),
        ({"TERM": "tmux-256color"}, "tmux"),
        ({"TERM": "screen"}, "screen"),
        ({"TERM": "screen.xterm-256color"}, "screen"),
        ({"TERM": "screenish"}, ""),
        ({"TERM": "screen-256color", "TMUX": "/tmp/x,1,0"}, "tmux"),
        ({"TERM": "xterm", "STY": "1.pts"}, "screen"),
    ],
)
def test_the_environment_is_a_hint(environment: dict[str, str], expected: str) -> None:
    assert suspect_multiplexer(environment) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", None),
        (b"\x1b[?1;2c", None),
        (b"\x1b[>84;0;0c", "tmux"),
        (b"\x1b[>83;40900;0c", "screen"),
        (b"\x1bP>|tmux 3.4\x1b\\", "tmux"),
        (b"\x1b[>41;379;0c", ""),
        (b"\x1bP>|XTerm(379)\x1b\\\x1b[>84;0;0c", ""),
    ],
)
def test_the_answers_decide(answer: bytes, expected: str | None) -> None:
    assert identify_multiplexer(answer) == expected
