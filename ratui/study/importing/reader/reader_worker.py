"""The process that reads foreign files: its memory is limited, and it can write no file.

A request is one line of JSON on standard input. The answer is one line of JSON on standard output and, for a film or a
header, its bytes.
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, NoReturn

from ratui.crash_report import list_fault_frames
from ratui.errors import FilmError
from ratui.imaging import pack_film, read_film
from ratui.program import run_program
from ratui.study.importing.reader.file_set import read_file_set
from ratui.study.importing.reader.film_header import encode_header
from ratui.study.importing.reader.film_maker import FilmRequest, convert_film
from ratui.study.importing.reader.header_reader import read_film_header
from ratui.study.importing.reader.image_reader import read_image
from ratui.study.importing.reader.own_films import verify_stored_film

__all__ = ["LARGEST_MEMORY", "main", "serve"]

LARGEST_MEMORY = 4 << 30
"""Limit of address space in bytes: several times what the largest accepted film needs."""


def main() -> NoReturn:
    """Limit this process, serve requests until its input ends, and exit."""
    run_program("ratui import", _serve_with_limits)


def _serve_with_limits() -> None:
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr  # text that a decoder prints must not get between the answers
    for limit, most in ((resource.RLIMIT_AS, LARGEST_MEMORY), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(limit)
        resource.setrlimit(limit, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    serve(sys.stdin.buffer, answers)


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer each request of `requests` in turn."""
    for line in requests:
        head, data = _handle(json.loads(line))
        answers.write(json.dumps({**head, "bytes": len(data)}).encode() + b"\n" + data)
        answers.flush()


def _handle(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    path = Path(request["path"])
    try:
        return _ANSWERS[request["do"]](path, request)
    except FilmError as error:
        return {"error": [error.problem, error.remedy]}, b""
    except MemoryError:
        return {"error": ["it needs more memory than any film", "Get an uncompressed copy"]}, b""
    except Exception as error:  # the error is reported by type and place only: its text may name a person
        text = [f"it could not be read ({type(error).__name__})", "Export it again"]
        return {
            "error": text,
            "frames": list_fault_frames(error),
        }, b""  # for the importer's log: this process writes no file


def _answer_header(path: Path, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    return {}, encode_header(read_film_header(path))


def _answer_convert(path: Path, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    raw = request["request"]
    spacing = (float(raw["spacing"][0]), float(raw["spacing"][1])) if raw["spacing"] else None
    converted = convert_film(path, FilmRequest(raw["case"], raw["side"], raw["key"], spacing))
    return {"film": {key: value for key, value in asdict(converted).items() if key != "data"}}, converted.data


def _answer_read(path: Path, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    head, data = pack_film(read_film(path))
    return {"film": head}, data


def _answer_image(path: Path, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    head, data = pack_film(read_image(path))
    return {"film": head}, data


def _answer_file_set(path: Path, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    return {}, json.dumps(read_file_set(path)).encode()


def _answer_verify(path: Path, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    return {"size": asdict(verify_stored_film(path, request["case"], request["side"]))}, b""


_ANSWERS = {
    "header": _answer_header,
    "convert": _answer_convert,
    "read": _answer_read,
    "image": _answer_image,
    "file set": _answer_file_set,
    "verify": _answer_verify,
}
