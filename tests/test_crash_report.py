"""A fault of any command is reported by its place, without a value; signals end a command with their own exit code."""

from __future__ import annotations

import logging
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ratui.crash_report import LogFile, describe_fault
from ratui.errors import FilmError
from ratui.study.importing import FilmRequest
from ratui.study.importing.reader import reader_process
from tests.films import film_file

SECRET = "SECRET^NAME"
SENTENCE = "a fault of the program ended it; saved entries are safe, and"
SLOW = pytest.mark.slow

FAULTY = f"""
import sys
def fail(*arguments, **options):
    name = "{SECRET}"
    raise KeyError(name)
"""
WAITING = """
import time
def wait(*arguments, **options):
    print("ready", flush=True)
    time.sleep(60)
"""


def run(
    code: str, folder: Path, *arguments: str, limit: Callable[[], None] | None = None, output: Any = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process whose log is in `folder`."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_STATE_HOME": str(folder), "PYTHONUNBUFFERED": ""},
        preexec_fn=limit,
    )


def log_of(folder: Path) -> Path:
    return folder / "ratui" / "log" / "ratui.log"


COMMAND = """
from ratui.study import Study
Study.open = fail
from ratui.cli.main import main
main()
"""
DEMO = """
import runpy
import ratui.demo.sample
ratui.demo.sample.copy_sample = fail
runpy.run_module("ratui", run_name="__main__")
"""
TRAINER = """
import runpy
import trainer.cli
trainer.cli.run_commands = fail
runpy.run_module("trainer", run_name="__main__")
"""
THREAD = """
import threading
from ratui.program import run_program
def command():
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
run_program("ratui", command)
"""
GROUP = """
from ratui.program import run_program
def command():
    try:
        fail()
    except KeyError as error:
        raise ExceptionGroup(error.args[0], [error, ValueError(error.args[0])]) from error
run_program("ratui", command)
"""


@SLOW
@pytest.mark.parametrize(
    ("program", "code", "arguments"),
    [
        pytest.param("ratui", COMMAND, ["status", SECRET], id="command"),
        pytest.param("ratui", DEMO, ["demo"], id="demo"),
        pytest.param("ratui-train", TRAINER, ["detector", SECRET, "--out", SECRET], id="trainer"),
        pytest.param("ratui", THREAD, [], id="thread"),
        pytest.param("ratui", GROUP, [], id="group"),
    ],
)
def test_a_fault_of_a_command_prints_its_sentence_and_no_value(
    tmp_path: Path, program: str, code: str, arguments: list[str]
) -> None:
    done = run(FAULTY + code, tmp_path, *arguments)
    assert done.returncode == 70
    log = log_of(tmp_path)
    assert done.stderr == f"{program}: {SENTENCE} the log is at {log}\n"
    text = log.read_text()
    assert "KeyError" in text
    assert "<string>, line 5, fail" in text
    assert "SECRET" not in done.stdout + text


@SLOW
@pytest.mark.parametrize("way", ["no folder", "full disk", "a link", "a pipe"])
def test_the_message_says_if_no_log_can_be_written(tmp_path: Path, way: str) -> None:
    import resource

    log = log_of(tmp_path)
    log.parent.mkdir(parents=True)
    aim = tmp_path / "of somebody else"
    aim.write_text("")
    folder, limit = tmp_path, None
    if way == "no folder":
        folder = Path("/dev/null")
    elif way == "full disk":

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    elif way == "a link":
        log.symlink_to(aim)
    else:
        os.mkfifo(log)
    code = "from ratui.program import run_program\nrun_program('ratui', fail)"
    done = run(FAULTY + code, folder, limit=limit)
    assert done.returncode == 70
    assert done.stderr == f"ratui: {SENTENCE} no log could be written\n"
    assert aim.read_text() == ""


class TestSignals:
    CODE = WAITING + "from ratui.study import Study\nStudy.open = wait\nfrom ratui.cli.main import main\nmain()"

    @pytest.fixture
    def waiting(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
        ignored = getattr(request, "param", None)
        program = subprocess.Popen(
            [sys.executable, "-c", self.CODE, "status", "a study"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
            preexec_fn=(lambda: signal.signal(ignored, signal.SIG_IGN)) if ignored else None,
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        yield program
        program.kill()
        program.communicate()

    @SLOW
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_ends_a_command_with_one_line(
        self, waiting: subprocess.Popen[str], number: signal.Signals
    ) -> None:
        waiting.send_signal(number)
        _, printed = waiting.communicate(timeout=10)
        assert waiting.returncode == 128 + number
        assert printed == f"ratui: ended by {number.name}; saved entries are safe\n"

    @SLOW
    @pytest.mark.parametrize("waiting", [signal.SIGHUP], indirect=True)
    def test_a_command_begun_with_nohup_outlives_the_terminal(self, waiting: subprocess.Popen[str]) -> None:
        waiting.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert waiting.poll() is None
        waiting.terminate()
        waiting.communicate(timeout=10)
        assert waiting.returncode == 128 + signal.SIGTERM


@SLOW
class TestOutput:
    @pytest.mark.parametrize("write", ["print", "__import__('click').echo"])
    def test_a_full_disk_behind_the_output_is_no_success(self, tmp_path: Path, write: str) -> None:
        code = f"from ratui.program import run_program\nrun_program('ratui', lambda: {write}('a table'))"
        with Path("/dev/full").open("w") as full:
            done = run(code, tmp_path, output=full)
        assert done.returncode == 1
        assert done.stderr == "ratui: the output can't be written. Check the disk, or write it elsewhere\n"

    def test_a_reader_that_stops_reading_is_no_fault(self, tmp_path: Path) -> None:
        code = "from ratui.cli.main import main\nmain()"
        program = subprocess.Popen([sys.executable, "-c", code, "keys"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert program.stdout is not None
        program.stdout.close()
        assert program.stderr is not None
        assert program.stderr.read() == b""
        assert program.wait() in (0, 1)


class TestTheReaderOfFilms:
    def test_its_own_fault_prints_nothing_of_a_film(self, tmp_path: Path) -> None:
        code = "import ratui.study.importing.reader.reader_worker as worker\nworker.serve = fail\nworker.main()"
        done = run(FAULTY + code, tmp_path)
        assert done.returncode == 70
        assert done.stderr == f"ratui import: {SENTENCE} no log could be written\n"  # the process must not write files

    def test_a_fault_at_one_film_is_logged_by_its_place(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        code = (
            "import ratui.study.importing.reader.reader_worker as worker\nworker.read_film_header = fail\nworker.main()"
        )
        monkeypatch.setattr(reader_process, "_WORKER_CODE", FAULTY + code)
        with (
            reader_process.ReaderProcess() as reader,
            pytest.raises(FilmError, match=r"could not be read \(KeyError\)"),
        ):
            reader.read_header(film_file(tmp_path / "film.dcm"))
        (record,) = caplog.records
        assert record.name == "ratui"
        assert "<string>, line 5, fail" in record.getMessage()
        assert "SECRET" not in caplog.text

    def test_a_reader_that_dies_is_logged(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(reader_process, "_WORKER_CODE", "import os; os.kill(os.getpid(), 11)")
        with reader_process.ReaderProcess() as reader, pytest.raises(FilmError, match="crash"):
            reader.convert(film_file(tmp_path / "film.dcm"), FilmRequest("C-1", "L", "k", None))
        assert "gave no answer" in caplog.text
        assert str(tmp_path) not in caplog.text


class TestTheLog:
    def record(self, text: str, **more: object) -> logging.LogRecord:
        return logging.LogRecord("ratui", logging.WARNING, "", 0, text, (), **{"exc_info": None, **more})  # type: ignore[arg-type]

    def test_only_its_user_can_read_it_whatever_the_umask(self, tmp_path: Path) -> None:
        folder = tmp_path / "log"
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
        (folder / "a.log").write_text("")
        (folder / "a.log").chmod(0o666)
        before = os.umask(0)
        try:
            LogFile(folder / "a.log").handle(self.record("a warning"))
            LogFile(folder / "b.log").handle(self.record("a warning"))
        finally:
            os.umask(before)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for name in ("a.log", "b.log"):
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
            assert (folder / name).read_text().endswith("WARNING a warning\n")

    def test_it_does_not_grow_without_end(self, tmp_path: Path) -> None:
        log = LogFile(tmp_path / "a.log", limit=1000)
        for number in range(100):
            log.handle(self.record(f"warning {number}"))
        assert (tmp_path / "a.log").read_text().endswith("warning 99\n")
        assert sorted(each.name for each in tmp_path.iterdir()) == ["a.log", "a.log.1"]
        assert all(each.stat().st_size <= 1000 for each in tmp_path.iterdir())

    def test_an_exception_that_somebody_logs_is_written_without_its_message(self, tmp_path: Path) -> None:
        error = ValueError(SECRET)
        LogFile(tmp_path / "a.log").handle(self.record("it failed", exc_info=(ValueError, error, None)))
        assert (tmp_path / "a.log").read_text().endswith("WARNING it failed\nValueError\n")


class TestDescriptions:
    def test_causes_are_named(self) -> None:
        def load() -> None:
            try:
                {}[SECRET]  # type: ignore[call-overload]
            except KeyError as error:
                raise FilmError(SECRET, SECRET) from error

        with pytest.raises(FilmError) as caught:
            load()
        lines = describe_fault(caught.value).splitlines()
        assert lines[0] == "ratui.errors.FilmError"
        assert any(line.startswith("  tests/test_crash_report.py, line ") and line.endswith(".load") for line in lines)
        assert "caused by KeyError" in lines
        assert "SECRET" not in "".join(lines)

    def test_the_kind_of_a_system_s_error_is_named_without_the_path(self) -> None:
        with pytest.raises(OSError) as caught:  # noqa: PT011 - any
            Path(f"/{SECRET}").read_text()
        assert describe_fault(caught.value).startswith("FileNotFoundError ENOENT\n")
        assert "SECRET" not in describe_fault(caught.value)

    def test_a_recursion_without_end_takes_few_lines(self) -> None:
        def again() -> None:
            again()

        with pytest.raises(RecursionError) as caught:
            again()
        assert len(describe_fault(caught.value).splitlines()) < 100

    def test_a_cyclic_chain_of_causes_ends(self) -> None:
        first, second = ValueError(), TypeError()
        first.__cause__, second.__cause__ = second, first
        assert describe_fault(first) == "ValueError\ncaused by TypeError"
