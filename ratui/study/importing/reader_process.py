"""An intake in a process of its own: a file that crashes a decoder, hangs it or eats memory costs that file alone.

The process is begun at the first file and again after each death. Its other end is `worker`.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import ratui
from ratui.errors import FilmError
from ratui.study.importing.film_maker import Made, Seen, Wish

__all__ = ["Isolated"]

_BEGIN = "from ratui.study.importing.reader_worker import main; main()"


class Isolated:
    """An intake that reads each file in another process, for `patience` seconds at most. Close it at the end."""

    def __init__(self, patience: float = 60.0) -> None:
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Isolated:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    pipe.close()
            self._process.wait()
            self._process = None

    def look(self, path: Path) -> Seen:
        """What the header of `path` says. Raises FilmError."""
        head, _ = self._ask({"path": str(path)}, path)
        return Seen(**head["seen"])

    def make(self, path: Path, wish: Wish) -> Made:
        """The film in `path` without its patient. Raises FilmError."""
        head, data = self._ask({"path": str(path), "wish": asdict(wish)}, path)
        made = head["made"]
        spacing = (float(made["spacing"][0]), float(made["spacing"][1])) if made["spacing"] else None
        return Made(data=data, **{**made, "spacing": spacing})

    def _ask(self, request: dict[str, Any], path: Path) -> tuple[dict[str, Any], bytes]:
        process = self._process or self._begin()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            until = time.monotonic() + self._patience
            line = _line(process.stdout, until)
            head = json.loads(line)
            data = _exactly(process.stdout, int(head["bytes"]), until)
        except TimeoutError as error:
            self.close()
            raise FilmError("it took too long to read", path, "Ask for it uncompressed") from error
        except (OSError, EOFError, ValueError, KeyError) as error:
            self.close()
            raise FilmError("it made the decoder crash; it is damaged or hostile", path, "Export it again") from error
        if "refused" in head:
            what, remedy = head["refused"]
            raise FilmError(what, path, remedy)
        return head, data

    def _begin(self) -> subprocess.Popen[bytes]:
        root = str(Path(ratui.__file__).parents[1])
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BEGIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders print there what they find in a file
            bufsize=0,
            env=environment,
        )
        return self._process


def _part(pipe: IO[bytes], most: int, until: float) -> bytes:
    ready, _, _ = select.select([pipe], [], [], max(until - time.monotonic(), 0.0))
    if not ready:
        raise TimeoutError
    part = os.read(pipe.fileno(), most)
    if not part:
        raise EOFError
    return part


def _line(pipe: IO[bytes], until: float) -> bytes:
    """One line, read byte by byte, for what follows it belongs to the film."""
    line = b""
    while not line.endswith(b"\n"):
        line += _part(pipe, 1, until)
        if len(line) > 65_536:
            raise ValueError("no line")
    return line


def _exactly(pipe: IO[bytes], length: int, until: float) -> bytes:
    data = bytearray()
    while len(data) < length:
        data += _part(pipe, min(length - len(data), 1 << 20), until)
    return bytes(data)
