"""The metrics of a run: complete lines without repetition, and the remaining time in words."""

import json
from pathlib import Path

import pytest

from trainer.training.loop import EpochResult
from trainer.training.metric_log import MetricLog, format_duration


def result(epoch: int, loss: float) -> EpochResult:
    return EpochResult(epoch, loss, 0.001, 80.0, 5.0, done=0.25, left=240.0, is_last=False)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0 s"), (0, "0 s"), (42.4, "42 s"), (99, "99 s"), (150, "2 min"), (5400, "90 min"), (7500, "2 h 05 min")],
)
def test_time_left_in_words(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words


def test_a_resumed_run_removes_repeated_and_incomplete_lines(tmp_path: Path) -> None:
    first = MetricLog(tmp_path, "scorer")
    for epoch in (1, 2, 3):
        first.write_epoch(result(epoch, epoch / 7))
    file = tmp_path / "metrics.jsonl"
    file.write_text(file.read_text() + '{"epoch": 4, "lo')
    again = MetricLog(tmp_path, "scorer", after=2)
    again.write_epoch(result(3, 0.5))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert lines[-1]["loss"] == 0.5
    assert lines[0]["loss"] == pytest.approx(1 / 7, abs=1e-5)


def test_a_new_run_begins_with_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n')
    MetricLog(tmp_path, "scorer")
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_a_line_of_progress_contains_the_remaining_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    MetricLog(tmp_path, "scorer").write_epoch(result(1, 1.5))
    assert capsys.readouterr().err == "scorer 25 %  epoch 1  loss 1.500  4 min left\n"
