"""Fixtures for tests of studies: commands run in this process with captured output, and a copy of the demo's study."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ratui.cli.main import main
from ratui.demo.sample import SAMPLE_RATER, copy_sample
from ratui.study import Study
from tests.films import film_file

RunRatui = Callable[..., bytes]
FilmWriter = Callable[..., Path]


@pytest.fixture
def run_ratui(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> RunRatui:
    """Return a function that runs a ``ratui`` command, checks its exit code and returns all its output."""

    def run(*arguments: object, code: int | None = 0) -> bytes:
        monkeypatch.setattr(sys, "argv", ["ratui", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfdbinary.readouterr()
        # None allows each exit code of a command, but no fault of the program.
        assert ended.value.code == code if code is not None else ended.value.code in (0, 1, 3), out + err
        return out + err

    return run


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Return a copy of the demo's study, with cases at every stage."""
    folder, _, _ = copy_sample(tmp_path / "copy")
    return Study.open(folder)


@pytest.fixture
def film(tmp_path: Path) -> FilmWriter:
    """Return a function that writes a film with a picture of its own unless `seed` is given."""
    count = 0

    def write(name: str, **values: object) -> Path:
        nonlocal count
        count += 1
        return film_file(tmp_path / "h" / name, **{"seed": 1000 + count, **values})  # type: ignore[arg-type]

    return write


def by_stage(study: Study, stage: str) -> str:
    """Return a case of `study`, a copy of the demo's, that the demo's reader has brought to `stage`."""
    return next(case for case in study.cases() if study.state(SAMPLE_RATER, case).stage == stage)
