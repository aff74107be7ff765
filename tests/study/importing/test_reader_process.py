"""The worker process that reads films: a fault in it affects one film only."""

import resource
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ratui.errors import FilmError
from ratui.study import InProcessConverter
from ratui.study.importing import FilmRequest, ReaderProcess
from ratui.study.importing.reader.reader_worker import LARGEST_MEMORY
from tests.films import film_file

pytestmark = pytest.mark.slow

WISH = FilmRequest("C-X", "L", "00")


class TestTheReaderProcess:
    """A decoder that crashes, hangs or uses too much memory affects its file only."""

    def begin(self, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
        """Start the worker, with `code` run before it reads a file called bad.dcm."""
        from ratui.study.importing.reader import reader_process as isolated

        text = (
            "import ratui.study.importing.reader.reader_worker as w\nreal = w.read_film_header\n"
            "def read_film_header(path):\n    if path.name == 'bad.dcm':\n"
            f"        {code}\n    return real(path)\n"
            "w.read_film_header = read_film_header\nw.main()\n"
        )
        monkeypatch.setattr(isolated, "_WORKER_CODE", text)

    @pytest.mark.parametrize(
        ("code", "says"),
        [
            ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crash"),
            ("import os; os._exit(0)", "crash"),
            ("import time; time.sleep(60)", "too long"),
            ("bytearray(1 << 40)", "more memory"),
            ("raise RuntimeError('Doe')", "RuntimeError"),
            ("print('Doe' * 10**6)", ""),
        ],
        ids=["crash", "exit", "hang", "memory", "fault", "chatter"],
    )
    def test_only_that_file_is_lost(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, says: str
    ) -> None:
        self.begin(monkeypatch, code)
        good, bad = film_file(tmp_path / "good.dcm"), film_file(tmp_path / "bad.dcm")
        with ReaderProcess() as converter:
            # The process has started after this call, so that a hang is detected at once.
            assert converter.read_header(good).elements["Laterality"] == "L"
            converter._timeout = 0.5 if says == "too long" else 20.0
            if says:
                with pytest.raises(FilmError, match=says) as caught:
                    converter.read_header(bad)
                assert "Doe" not in str(caught.value)
            else:
                assert converter.read_header(bad).elements["Laterality"] == "L"
            converter._timeout = 20.0
            assert converter.read_header(good).elements["Laterality"] == "L"

    def test_it_can_write_no_file_and_leaves_no_memory_image(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        target = tmp_path / "out"
        self.begin(monkeypatch, f"open({str(target)!r}, 'w').write('x'); raise SystemExit")
        with ReaderProcess(5.0) as converter, pytest.raises(FilmError):
            converter.read_header(film_file(tmp_path / "bad.dcm"))
        assert not target.exists() or target.stat().st_size == 0
        assert list(tmp_path.glob("core*")) == []

    def test_it_gives_the_same_film_as_reading_in_this_process(self, tmp_path: Path) -> None:
        path = film_file(tmp_path / "a.dcm")
        with ReaderProcess() as converter:
            assert converter.read_header(path) == InProcessConverter().read_header(path)
            one, two = converter.convert(path, WISH), InProcessConverter().convert(path, WISH)
        assert (one.rows, one.columns, one.spacing, one.digest) == (two.rows, two.columns, two.spacing, two.digest)
        assert resource.getrlimit(resource.RLIMIT_AS)[0] != LARGEST_MEMORY  # only the worker has the limit

    def test_a_machine_of_many_cores_leaves_enough_memory_to_look_for_text(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("OPENCV_FOR_THREADS_NUM", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
            monkeypatch.setenv(name, "64")
        pixels = np.full((4000, 5000), 100, np.uint8)
        pixels[::7, ::7] = 255
        pixels[::11] = 180  # a picture of two levels is no film
        Image.fromarray(pixels).save(tmp_path / "large.png")
        with ReaderProcess() as converter:
            assert converter.convert(tmp_path / "large.png", WISH).rows == 4000

    @pytest.mark.parametrize(
        "answer",
        [
            "[" * 60_000,
            "[]",
            "7",
            '{"bytes": null}',
            '{"bytes": []}',
            '{"bytes": 0, "error": 7}',
            '{"bytes": 0, "error": ["a"]}',
            '{"bytes": 0, "error": ["a", "b"], "frames": 7}',
            '{"bytes": 0}',
        ],
    )
    def test_an_odd_answer_is_a_rejected_film(self, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A film that controls the process can make it answer anything."""
        code = f"import sys; sys.stdin.readline(); print({answer!r}, flush=True)"
        monkeypatch.setattr("ratui.study.importing.reader.reader_process._WORKER_CODE", code)
        with ReaderProcess(20.0) as converter, pytest.raises(FilmError):
            converter.verify(Path("film.dcm"), "C-1", "L")
