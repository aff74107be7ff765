"""Convert foreign files in a separate process, which a file may crash, hang or exhaust without other harm.

The process is started at the first file and again after each crash. It runs `reader_worker`.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import ratui
from ratui.bounded_parsing import parse_json
from ratui.errors import FilmError, clean_text
from ratui.imaging import MAX_FILE_BYTES, MAX_SIDE, Film, SpacingSource, unpack_film
from ratui.study.importing.reader.file_set import FileId, is_file_id
from ratui.study.importing.reader.film_header import FilmHeader, decode_header
from ratui.study.importing.reader.film_maker import TEXT_NOTE, ConvertedFilm, FilmRequest
from ratui.study.importing.reader.own_films import FilmSize

__all__ = ["ReaderProcess", "read_foreign_film", "read_foreign_image"]

_LOGGER = logging.getLogger("ratui")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LONGEST_TEXT = 10_000
_FRAME = re.compile(r"[\w./<>-]+, line \d+, [\w.<>]+")
_WORKER_CODE = "from ratui.study.importing.reader.reader_worker import main; main()"


class ReaderProcess:
    """A converter that reads each file in another process. Close it at the end, or use it as a context manager.

    Parameters
    ----------
    timeout
        Seconds after which a file is given up.
    """

    def __init__(self, timeout: float = 60.0) -> None:
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ReaderProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process. Another thread that waits for an answer gets a FilmError."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()
            process.wait()

    def read_header(self, path: Path) -> FilmHeader:
        """Return what the header of `path` says about the film. Raises FilmError."""
        _, data = self._request({"do": "header"}, path)
        with _check_answer(path):
            return decode_header(data)

    def convert(self, path: Path, request: FilmRequest) -> ConvertedFilm:
        """Return the film in `path`, de-identified. Raises FilmError."""
        head, data = self._request({"do": "convert", "request": asdict(request)}, path)
        with _check_answer(path):
            raw = head["film"]
            size = _make_film_size(raw)
            digest, plain = raw["digest"], raw["plain_digest"]
            if not (_DIGEST.fullmatch(digest) and _DIGEST.fullmatch(plain)):
                raise ValueError("not a digest")
            note = clean_text(raw["note"], _LONGEST_TEXT)
            return ConvertedFilm(
                data, size.rows, size.columns, size.spacing, digest, size.aspect, note, plain, size.spacing_source
            )

    def read(self, path: Path) -> Film:
        """Return the film in the DICOM file at `path`, decoded. Raises FilmError."""
        head, data = self._request({"do": "read"}, path)
        with _check_answer(path):
            return unpack_film(head["film"], data)

    def read_image(self, path: Path) -> Film:
        """Return the PNG, JPEG or TIFF picture at `path` as a film. Raises FilmError."""
        head, data = self._request({"do": "image"}, path)
        with _check_answer(path):
            return unpack_film(head["film"], data)

    def read_file_set(self, path: Path) -> tuple[FileId, ...]:
        """Return the IDs of the files that the DICOMDIR at `path` lists. Raises FilmError."""
        _, data = self._request({"do": "file set"}, path)
        with _check_answer(path):
            ids = tuple(tuple(str(name) for name in names) for names in parse_json(data))
            if not all(map(is_file_id, ids)):
                raise ValueError("not a file ID")
            return ids

    def verify(self, path: Path, case: str, side: str) -> FilmSize:
        """Return the size of the stored film at `path` if it is exactly what an import writes; see `verify_stored_film`.

        Raises FilmError otherwise.
        """
        head, _ = self._request({"do": "verify", "case": case, "side": side}, path)
        with _check_answer(path):
            size, file, note = _make_film_size(head["size"]), str(head["size"]["file"]), head["size"]["note"]
            if not _DIGEST.fullmatch(file) or note not in ("", TEXT_NOTE):
                raise ValueError("not a film")
            return replace(size, file=file, note=note)

    def _request(self, request: dict[str, Any], path: Path) -> tuple[dict[str, Any], bytes]:
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({**request, "path": str(path.absolute())}).encode() + b"\n")
            process.stdin.flush()
            deadline = time.monotonic() + self._timeout
            line = _read_line(process.stdout, deadline)
            head = json.loads(line)
            length = int(head["bytes"])
            if not 0 <= length <= MAX_FILE_BYTES:
                raise ValueError("not the length of a film")
            data = _read_exactly(process.stdout, length, deadline)
        except TimeoutError as error:
            self.close()
            _LOGGER.warning("the import ended a film's reader that took longer than %g s", self._timeout)
            raise FilmError("reading it took too long", path, "Get an uncompressed copy") from error
        except (OSError, EOFError, ValueError, KeyError, TypeError, RecursionError) as error:
            _LOGGER.warning("a film's reader gave no answer: %s, exit code %s", type(error).__name__, process.poll())
            self.close()
            raise FilmError("the decoder crashed on it; it is damaged or malicious", path, "Export it again") from error
        if "error" in head:
            with _check_answer(path):
                problem, remedy = (clean_text(each, 300) for each in head["error"])
                # Only what can be a line of code is logged: this process trusts the other one with nothing.
                frames = [clean_text(each, 200) for each in head.get("frames", [])[:50] if _FRAME.fullmatch(str(each))]
            if frames:
                _LOGGER.warning("a fault in a film's reader\n  %s", "\n  ".join(frames))
            raise FilmError(problem, path, remedy)
        return head, data

    def _start(self) -> subprocess.Popen[bytes]:
        root = str(Path(ratui.__file__).parents[1])
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "OPENCV_FOR_THREADS_NUM": "1",  # on 64 cores OpenCV reserves twice the address space that is allowed
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER_CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders print contents of a file there, which may name a patient
            bufsize=0,
            env=environment,
        )
        return self._process


_KEPT_LOCK = threading.Lock()
# By process ID: a forked process must not share the pipes of its parent.
_READERS: dict[int, ReaderProcess] = {}


def read_foreign_film(path: Path) -> Film:
    """Return the film in the DICOM file at `path`, decoded in another process. Raises FilmError."""
    with _KEPT_LOCK:
        return _get_reader().read(path)


def read_foreign_image(path: Path) -> Film:
    """Return the PNG, JPEG or TIFF picture at `path` as a film, decoded in another process. Raises FilmError."""
    with _KEPT_LOCK:
        return _get_reader().read_image(path)


def _get_reader() -> ReaderProcess:
    reader = _READERS.get(os.getpid())
    if reader is None:
        reader = _READERS[os.getpid()] = ReaderProcess()
    return reader


@atexit.register
def _close_reader() -> None:
    reader = _READERS.pop(os.getpid(), None)
    if reader is not None:
        reader.close()


@contextmanager
def _check_answer(path: Path) -> Iterator[None]:
    """Turn errors in the values of an answer into a FilmError: a file may control the process that sent them."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise FilmError("the decoder answered wrongly; it is damaged or malicious", path, "Export it again") from error


def _make_film_size(raw: dict[str, Any]) -> FilmSize:
    rows, columns, aspect = int(raw["rows"]), int(raw["columns"]), float(raw["aspect"])
    spacing = (float(raw["spacing"][0]), float(raw["spacing"][1])) if raw["spacing"] else None
    if not all(16 <= side <= MAX_SIDE for side in (rows, columns)):
        raise ValueError("not the size of a film")
    if not all(0.001 < value < 1000 for value in (aspect, *(spacing or ()))):
        raise ValueError("not a spacing")
    return FilmSize(rows, columns, spacing, aspect, spacing_source=SpacingSource(raw["spacing_source"]))


def _read_some(pipe: IO[bytes], most: int, deadline: float) -> bytes:
    ready, _, _ = select.select([pipe], [], [], max(deadline - time.monotonic(), 0.0))
    if not ready:
        raise TimeoutError
    part = os.read(pipe.fileno(), most)
    if not part:
        raise EOFError
    return part


def _read_line(pipe: IO[bytes], deadline: float) -> bytes:
    """Return one line, read byte by byte because the bytes after it belong to the film."""
    line = b""
    while not line.endswith(b"\n"):
        line += _read_some(pipe, 1, deadline)
        if len(line) > 65_536:
            raise ValueError("no line")
    return line


def _read_exactly(pipe: IO[bytes], length: int, deadline: float) -> bytes:
    data = bytearray()
    while len(data) < length:
        data += _read_some(pipe, min(length - len(data), 1 << 20), deadline)
    return bytes(data)
