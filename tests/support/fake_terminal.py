"""A terminal in software: a pty whose other end answers like Kitty, a Sixel terminal, a plain or a mute one.

It draws nothing. It records the arrival time of each byte, over a line of a given rate and delay, so that a program can be
measured and tested from outside.
"""

from __future__ import annotations

import base64
import fcntl
import math
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

__all__ = ["GRAPHICS", "Burst", "FakeTerminal", "Question"]

GRAPHICS = re.compile(rb"\x1b_Ga=p|\x1bP[0-9;]*q|\xe2\x96\x80|\x1b\[48;2;(?!0;0;0m)(\d+);\1;\1m")
"""A placed Kitty image, a Sixel image, an upper half block, or a grey cell."""
_ASKED = re.compile(
    # All begin with the same character, which the search finds much faster than one of several.
    rb"\x1b(?:_Ga=t,(?P<sent>[^;\x1b]*t=[st],[^;\x1b]*);(?P<sent_name>[^\x1b]*)\x1b\\|"
    rb"_Ga=p,i=(?P<placed>\d+),[^;\x1b]*q=1\x1b\\|"
    rb"_Gi=(?P<file>\d+),(?P<offer>[^;\x1b]*a=q,t=[st],[^;\x1b]*);(?P<file_name>[^\x1b]*)\x1b\\|"
    rb"_Gi=(?P<kitty>\d+)[^\x1b]*a=q[^\x1b]*\x1b\\|(?P<letter>(?<=\xc3\xb1\x1b)\[6n)|(?:\[(?P<at>\d+;\d+)H\x1b)?"
    rb"\[(?P<asked>c|>c|>0?q|16t|6n|\?2026\$p|\?1;1;0S|14t|18t)"
    rb"|P\$(?P<style>qm)\x1b\\"
    rb"|\]1337;(?P<size>ReportCellSize)(?:\x1b\\|\x07))"
)
_OTHER_TERMINAL = {"TMUX", "STY", "TERM_PROGRAM", "KITTY_WINDOW_ID", "COLUMNS", "LINES"}
"""Variables that describe another terminal. In the workers of a test run COLUMNS and LINES are 80 and 24, and programs
prefer them to the size of their own terminal."""


@dataclass(frozen=True)
class Burst:
    """The output after some moment: `size` bytes of `data`, the first after `first` and the last after `last` seconds."""

    size: int
    first: float
    last: float
    data: bytes


@dataclass
class Question:
    """A question of the program, and the terminal's answer.

    `asked` and `answered` are in seconds on the monotonic clock. `answer` is empty where a terminal of this kind sends
    none. `answered` is None until the answer is in the program's input. `cpu` is the CPU time of the program in seconds when
    it had asked.
    """

    sequence: bytes
    asked: float
    answer: bytes
    answered: float | None = None
    cpu: float = math.nan


class FakeTerminal:
    """A terminal of `kind` (``kitty``, ``iterm2``, ``sixel``, ``halfcell`` or ``mute``) that runs `command` until `close`.

    `rate` is the capacity of the line in bytes per second, `delay` its one-way delay in seconds. `size` is columns and
    rows, `cell` the pixels of a character. `version` is the name and version that the terminal reports; empty for none.
    `style` is the reply to the query for the style (DECRQSS). If `is_utf8` is false, each byte is a character.
    The line collects keys for `packet_seconds` and delivers them together. If `is_local`, a Kitty terminal takes images from
    shared memory and files, and deletes them; otherwise it is on another machine and cannot.
    """

    def __init__(
        self,
        command: Sequence[str],
        kind: str,
        *,
        rate: float | None = None,
        delay: float = 0.0,
        size: tuple[int, int] = (100, 30),
        cell: tuple[int, int] = (10, 20),
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        version: str = "",
        style: bytes = b"",
        is_utf8: bool = True,
        packet_seconds: float = 0.0,
        is_local: bool = False,
    ) -> None:
        self.kind, self.cell, self.size, self.version = kind, cell, size, version
        self._style, self._is_utf8 = style, is_utf8
        self.is_local = is_local
        self.images: dict[int, bytes] = {}
        """Pixels of the images that were taken from shared memory or a file, by number."""
        self._rate, self._delay, self._packet_seconds = rate, delay, packet_seconds
        main, sub = pty.openpty()
        self._main = main
        self.resize(*size)
        keep = {k: v for k, v in os.environ.items() if k not in _OTHER_TERMINAL}
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            command,
            stdin=sub,
            stdout=sub,
            stderr=sub,
            start_new_session=True,
            cwd=folder,
            env={**keep, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(environment or {})},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(sub)
        self._log: list[tuple[float, bytes]] = []
        self._total = 0
        self._lock = threading.Lock()
        self._due: list[tuple[float, bytes, Question | None]] = []
        self._questions: list[Question] = []
        self._closed = False
        self.takes_output = True
        """If false, the terminal reads nothing, as after Ctrl-S or on a hanging line."""
        self.answer_delay: Callable[[Question], float | None] = lambda question: 0.0
        """Function that returns by how many seconds the answer to a question is late; None if the answer is lost."""
        self.loses: Callable[[int], bool] = lambda image: False
        """Function that returns True if a Kitty terminal does not have the image that is to be placed."""
        self._wake_source, self._wake_sink = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # Actions of a person.

    def press(self, keys: str | bytes) -> float:
        """Send `keys`, which reach the program after the delay; return the time at which they were pressed."""
        now = due = time.monotonic()
        if self._packet_seconds:
            due = (now // self._packet_seconds + 1) * self._packet_seconds
        with self._lock:
            self._due.append((due + self._delay, keys.encode() if isinstance(keys, str) else keys, None))
        os.write(self._wake_sink, b"k")  # otherwise the key would wait for the end of the pause in `_run`
        return now

    def resize(self, columns: int, rows: int) -> None:
        """Change the terminal's size and notify the program."""
        pixels = (columns * self.cell[0], rows * self.cell[1])
        fcntl.ioctl(self._main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, *pixels))

    def hang_up(self) -> None:
        """Close the terminal's window, or cut its line: the program gets SIGHUP, and its terminal is gone."""
        self._closed = True
        os.write(self._wake_sink, b"c")
        self._thread.join(2)
        for descriptor in (self._main, self._wake_source, self._wake_sink):
            os.close(descriptor)

    # Observations.

    @property
    def is_cooked(self) -> bool:
        """Return whether keys are echoed, lines are edited and Ctrl-C interrupts, as a shell expects."""
        wanted = termios.ECHO | termios.ICANON | termios.ISIG
        return termios.tcgetattr(self._main)[3] & wanted == wanted

    @property
    def data(self) -> bytes:
        """Return all output so far."""
        with self._lock:
            return b"".join(chunk for _, chunk in self._log)

    @property
    def questions(self) -> tuple[Question, ...]:
        """Return the program's questions so far, in the order of their arrival."""
        with self._lock:
            return tuple(replace(each) for each in self._questions)

    def describe(self) -> str:
        """Return the state of the program, each of its questions with its answer, and its last output, for an error."""
        code = self.process.poll()
        lines = ["The program is still running." if code is None else f"The program has ended with exit code {code}."]
        for each in self.questions:
            if each.answered is not None:
                answer = f"answered {each.answer!r} after {each.answered - self.begun:.3f} s"
            else:
                answer = "the answer is still on its way" if each.answer else f"a {self.kind} terminal does not answer"
            lines.append(f"It asked {each.sequence!r} after {each.asked - self.begun:.3f} s: {answer}.")
        if not self.questions:
            lines.append("It has asked nothing.")
        return "\n".join([*lines, f"The end of its output: {self.data[-300:]!r}"])

    def burst(self, since: float, *, quiet: float = 0.15, patience: float = 10.0, least: int = 1) -> Burst:
        """Return the output after `since`, until nothing comes for `quiet` seconds and at least `least` bytes have come."""
        ends = time.monotonic() + patience
        place = size = 0
        seen: list[tuple[float, bytes]] = []
        while True:
            with self._lock:
                new, place = self._log[place:], len(self._log)
            # Only what is new since the last look: the thread that reads the terminal waits meanwhile.
            new = [(when, chunk) for when, chunk in new if when >= since]
            seen += new
            size += sum(len(chunk) for _, chunk in new)
            now = time.monotonic()
            if (size >= least and now - seen[-1][0] > quiet) or now > ends:
                data = b"".join(chunk for _, chunk in seen)
                first, last = (seen[0][0] - since, seen[-1][0] - since) if seen else (0.0, 0.0)
                return Burst(size, first, last, data)
            time.sleep(0.005)

    def count_bytes(self, since: float, until: float) -> int:
        """Return the number of bytes that arrived from `since` to `until`, both on the monotonic clock."""
        with self._lock:
            return sum(len(chunk) for when, chunk in self._log if since <= when <= until)

    def wait_for(self, wanted: re.Pattern[bytes], since: float = 0.0, patience: float = 20.0) -> float | None:
        """Return the time at which the first match of `wanted` after `since` was complete; None after `patience` seconds."""
        ends, ended = time.monotonic() + patience, False
        while time.monotonic() < ends:
            with self._lock:
                seen = [(when, chunk) for when, chunk in self._log if when >= since]
            found = wanted.search(b"".join(chunk for _, chunk in seen))
            if found:
                left = found.end()
                for when, chunk in seen:
                    left -= len(chunk)
                    if left <= 0:
                        return when
            if ended:
                return None
            # The program may have written its last output just before it ended: look once more after a moment.
            ended = self.process.poll() is not None
            time.sleep(0.2 if ended else 0.005)
        return None

    def wait_for_fences(self, count: int, since: float, patience: float = 60.0) -> bool:
        """Wait until `count` questions for the cursor asked after `since` are answered; return False if they are not.

        The app asks this question after each film that it has drawn, and takes no answer for the film before the reply.
        """
        ends = time.monotonic() + patience
        while time.monotonic() < ends:
            asked = [each for each in self.questions if each.sequence.endswith(b"[6n") and each.asked >= since]
            if sum(each.answered is not None for each in asked) >= count:
                return True
            time.sleep(0.005)
        return False

    def cpu(self) -> float:
        """Return the CPU time in seconds of the program with all its threads; NaN if it has ended."""
        # The clock of another process, as `clock_getcpuclockid` of C returns it. /proc would count hundredths of a second.
        try:
            return time.clock_gettime((~self.process.pid << 3) | 2)
        except OSError:
            return math.nan

    def close(self) -> int:
        """End the program and all its child processes; return its exit code."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
        if not self._closed:
            self.hang_up()
        return self.process.wait()

    # The other end of the pty.

    def _run(self) -> None:
        behind, ready_at = b"", time.monotonic()
        while not self._closed:
            now = time.monotonic()
            self._deliver(now)
            wait = 0.002 if self._due or self._rate else 0.02
            readable, _, _ = select.select([self._main, self._wake_source], [], [], wait)
            if self._wake_source in readable:
                os.read(self._wake_source, 4096)
                self._deliver(time.monotonic())
            if not self.takes_output:
                time.sleep(0.01)
                continue
            if self._main not in readable or now < ready_at:
                continue
            try:
                chunk = os.read(self._main, 1024 if self._rate else 65_536)
            except OSError:
                return
            if self._rate:
                ready_at = max(ready_at, now) + len(chunk) / self._rate
            # Not `now`, which was read before the wait: output caused by a key must not seem to precede the key.
            arrives = (ready_at if self._rate else time.monotonic()) + self._delay
            with self._lock:
                self._log.append((arrives, chunk))
            behind = self._answer(behind + chunk, arrives)

    def _deliver(self, now: float) -> None:
        with self._lock:
            # Use the time only: answers to questions that arrived together are sent in the order of the questions.
            due = sorted((each for each in self._due if each[0] <= now), key=lambda each: each[0])
            self._due = [each for each in self._due if each[0] > now]
        if due:
            os.write(self._main, b"".join(keys for _, keys, _ in due))
        for _, _, question in due:
            if question:
                with self._lock:
                    question.answered = time.monotonic()

    def _answer(self, data: bytes, at: float) -> bytes:
        """Answer every question in `data`; return a tail that may be the start of another question."""
        end = 0
        for found in _ASKED.finditer(data):
            end = found.end()
            if found["sent"] is not None:
                self._take_image(found["sent"], found["sent_name"])
                continue
            if found["placed"] is not None:
                if self.loses(int(found["placed"])):
                    error = b"\x1b_Gi=%s,p=1;ENOENT:Put command refers to non-existent image\x1b\\" % found["placed"]
                    with self._lock:
                        self._due.append((at + self._delay, error, None))
                continue
            question = Question(found[0], at, b"" if self.kind == "mute" else self._to(found), cpu=self.cpu())
            with self._lock:
                self._questions.append(question)
                late = self.answer_delay(question)
                if question.answer and late is not None:
                    self._due.append((at + late + self._delay, question.answer, question))
        return data[max(end, len(data) - 400) :]

    def _take_image(self, settings: bytes, name: bytes) -> bool:
        """Read and delete an image in shared memory or a file; return False if it is not there or too small."""
        values = dict(each.split(b"=") for each in settings.split(b","))
        path = Path(os.fsdecode(base64.b64decode(name)))
        if values[b"t"] == b"s":
            path = Path("/dev/shm") / path.name
        if self.kind != "kitty" or not self.is_local or not path.exists():
            return False
        data = path.read_bytes()
        path.unlink()
        if len(data) < 3 * int(values[b"s"]) * int(values[b"v"]):
            return False
        if values.get(b"a") != b"q":
            self.images[int(values[b"i"])] = data
        return True

    def _to(self, asked: re.Match[bytes]) -> bytes:
        if asked["file"]:
            taken = self._take_image(asked["offer"], asked["file_name"])
            answer = b"OK" if taken else b"EBADF:Failed to open file for graphics transmission"
            return b"\x1b_Gi=%s;%s\x1b\\" % (asked["file"], answer) if self.kind == "kitty" else b""
        if asked["kitty"]:
            return b"\x1b_Gi=%s;OK\x1b\\" % asked["kitty"] if self.kind == "kitty" else b""
        if asked["style"]:
            return self._style
        if asked["letter"]:
            return b"\x1b[1;2R" if self._is_utf8 else b"\x1b[1;3R"
        across, down = self.cell
        if asked["size"]:
            return b"\x1b]1337;ReportCellSize=%d.0;%d.0;1.0\x1b\\" % (down, across) if self.kind == "iterm2" else b""
        if asked["asked"] in (b">q", b">0q"):
            return b"\x1bP>|%s\x1b\\" % self.version.encode() if self.version else b""
        return {
            b">c": b"\x1b[>1;4000;32c" if self.version else b"",
            b"c": b"\x1b[?62;4;22c" if self.kind == "sixel" else b"\x1b[?62;22c",
            b"16t": b"\x1b[6;%d;%dt" % (down, across),
            b"14t": b"\x1b[4;%d;%dt" % (down * self.size[1], across * self.size[0]),
            b"18t": b"\x1b[8;%d;%dt" % (self.size[1], self.size[0]),
            b"6n": b"\x1b[%sR" % (asked["at"] or b"1;1"),
            b"?2026$p": b"\x1b[?2026;2$y",
            b"?1;1;0S": b"\x1b[?1;0;256S" if self.kind == "sixel" else b"",
        }[asked["asked"]]
