"""Errors of the training commands: one line with a remedy, and a nonzero exit code."""

import os
from pathlib import Path

import pytest

from ratui.study import Study
from tests.films import make_study
from trainer.cli import main


def error_of(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the error message of the command."""
    monkeypatch.setattr("sys.argv", ["ratui-train", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code not in (0, None)
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["propose"], "Give --detector, --scorer or both"),
        (["propose", "--order", "--detector", "run"], "Give --scorer as well"),
        (["scorer", "--out", "run", "--loss", "best"], "Take one of ce, soft"),
        (["scorer", "--out", "run", "--rater-model", "best"], "Take one of none, confusion"),
        (["scorer", "--out", "run", "--crowd", "best"], "Take one of none, confusion"),
        (["scorer", "--out", "run", "--pairing", "best"], "single"),
    ],
)
def test_an_impossible_request_gives_one_line(
    phantom_study: Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    command, *rest = arguments
    assert message in error_of([command, str(phantom_study.path), *rest], monkeypatch, capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["scorer", "detector"])
@pytest.mark.parametrize(
    "arguments",
    [
        *(("--batch", value) for value in ("0", "-1", "1.5")),
        *(("--rate", value) for value in ("nan", "inf", "0", "-1")),
        *(("--epochs", value) for value in ("0", "-1")),
        *(("--seconds", value) for value in ("0", "nan", "inf", "-1")),
        *(("--held-out", value) for value in ("0", "1", "2", "nan", "-0.1")),
        *(("--validation", value) for value in ("1", "nan", "-0.1")),
        ("--seed", "-1"),
        ("--patience", "-1"),
    ],
)
def test_a_number_without_meaning_is_one_clear_error(
    command: str, arguments: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = error_of([command, "study", "--out", "run", *arguments], monkeypatch, capsys)
    assert f"Invalid value for '{arguments[0]}'" in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    "arguments",
    [("scorer", "--width", "0"), ("scorer", "--difference", "nan"), ("detector", "--phantoms", "-1")],
)
def test_a_setting_of_one_model_without_meaning_is_one_clear_error(
    arguments: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command, option, value = arguments
    text = error_of([command, "study", "--out", "run", option, value], monkeypatch, capsys)
    assert f"Invalid value for '{option}'" in text


@pytest.mark.parametrize("option", ["--refiner-only", "--near"])
def test_the_refiner_alone_needs_weights_under_either_name_of_the_option(
    option: str,
    phantom_study: Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["detector", str(phantom_study.path), "--out", str(tmp_path / "run"), option]
    assert "the refiner needs a trained SSD" in error_of(arguments, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--part", "3/2"], "not a part"),
        (["--arm", "best"], "single ce"),
        (["--rater", "perfect"], "shared-shift"),
        (["--decision", "guess"], "expectation, median"),
    ],
)
def test_an_unknown_comparison_is_rejected_before_drawing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    out = tmp_path / "comparison"
    assert message in error_of(["compare", "--out", str(out), *arguments], monkeypatch, capsys)
    assert not out.exists()


def test_a_study_without_readings_and_a_folder_without_a_run_are_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study(tmp_path)
    message = error_of(["detector", str(study.path), "--out", str(tmp_path / "run")], monkeypatch, capsys)
    assert "0 read cases" in message
    assert len(message.strip().splitlines()) == 1
    message = error_of(["propose", str(study.path), "--detector", str(tmp_path)], monkeypatch, capsys)
    assert "no such checkpoint" in message
    assert len(message.strip().splitlines()) == 1


def test_only_the_owner_can_read_runs_and_reports(
    phantom_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, report = tmp_path / "run", tmp_path / "report"
    before = os.umask(0)
    try:
        for arguments in (
            ["scorer", str(phantom_study.path), "--out", str(run), "--epochs", "1"],
            ["evaluate", str(phantom_study.path), "--scorer", str(run), "--out", str(report)],
        ):
            monkeypatch.setattr("sys.argv", ["ratui-train", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
            assert not ended.value.code
        assert os.umask(0) == 0, "put back"
    finally:
        os.umask(before)
    made = [*run.rglob("*"), *report.rglob("*"), run, report]
    assert {"model.pt", "samples", "report.html"} <= {path.name for path in made}
    assert not [path for path in made if path.stat().st_mode & 0o077]
