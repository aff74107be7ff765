"""Metrics for MLflow: what a server gets, what it never gets, and that its failures end no training."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from ratui.errors import TrainError
from ratui.program import EndedBySignal
from tests.trainer.synthetic import make_pairs
from trainer.training import runs
from trainer.training.lineage import DataUsed, Lineage
from trainer.training.loop import Training, TrainingPlan
from trainer.training.mlflow_log import MlflowLog, check_mlflow
from trainer.training.processes import SINGLE_PROCESS
from trainer.training.runs import RunPlan, start_run
from trainer.training.scorer_training import fit_scorer

CPU = torch.device("cpu")


class Metric(NamedTuple):
    key: str
    value: float
    timestamp: int
    step: int


class Param(NamedTuple):
    key: str
    value: str


class Server:
    """A stub of MLflow's client and server: it records what it gets, and fails while `is_down`."""

    def __init__(self) -> None:
        self.is_down = False
        self.attempts = 0
        self.uris: set[str] = set()
        self.runs: list[str] = []
        self.metrics: list[Metric] = []
        self.params: list[Param] = []
        self.texts: dict[str, str] = {}
        self.status = ""

    def client(self, tracking_uri: str) -> Server:
        self.uris.add(tracking_uri)
        return self

    def _answer(self) -> None:
        self.attempts += 1
        if self.is_down:
            raise ConnectionError("no route to host\x1b[2J")

    def get_experiment_by_name(self, name: str) -> None:
        self._answer()

    def create_experiment(self, name: str) -> str:
        return "7"

    def create_run(self, experiment_id: str, run_name: str) -> SimpleNamespace:
        self._answer()
        self.runs.append(run_name)
        return SimpleNamespace(info=SimpleNamespace(run_id=f"id{len(self.runs)}"))

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        self._answer()
        assert run_id == f"id{len(self.runs)}"
        self.metrics += metrics
        self.params += params

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        self._answer()
        self.texts[artifact_file] = text

    def set_terminated(self, run_id: str, status: str) -> None:
        self._answer()
        self.status = status


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """Return the server that stands behind the stub of MLflow."""
    found = Server()
    mlflow, entities = ModuleType("mlflow"), ModuleType("mlflow.entities")
    mlflow.MlflowClient = found.client  # type: ignore[attr-defined]
    entities.Metric, entities.Param = Metric, Param  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    return found


def train(out: Path, where: str, epochs: int = 2, **changes: object) -> None:
    """Train a small scorer on two cases whose names must not leave the run folder."""
    training = TrainingPlan(epochs=epochs, mlflow=where)
    plan = RunPlan(training, 2, width=8, **changes)  # type: ignore[arg-type]
    start_run("scorer", None, out, plan, 1)
    samples = make_pairs(np.zeros((4, 1, 2, 2)), cases=("SECRET1", "SECRET1", "SECRET2", "SECRET2"))
    data = DataUsed.of_study("S", 4, ("SECRET1", "SECRET2"), "")
    rows = torch.arange(4)
    lineage = Lineage("scorer", data=(data,))
    fit_scorer(samples, rows[:2], rows[2:], out, plan, CPU, SINGLE_PROCESS, lineage=lineage)


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


class TestRun:
    def test_the_server_gets_metrics_settings_and_the_card_and_no_case(
        self, server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "run"
        train(out, "http://host:5000", samples=tmp_path / "private")
        assert (server.runs, server.status, server.uris) == (["run"], "FINISHED", {"http://host:5000"})
        for line in lines(out):
            sent = {each.key: each.value for each in server.metrics if each.step == line["epoch"]}
            assert sent.keys() == line.keys() - {"epoch", "best_epoch"}
            assert {"loss", "validation_loss", "rate"} < sent.keys()
            assert all(value == pytest.approx(line[name], abs=1e-6) for name, value in sent.items())
        params = dict(server.params)
        assert (params["epochs"], params["batch"], params["loss"], params["width"]) == ("2", "2", "pair", "8")
        assert server.texts["model-card.md"] == (out / "model-card.md").read_text()
        everything = repr((server.metrics, server.params, server.texts, server.runs))
        assert "SECRET" not in everything
        assert str(tmp_path) not in everything
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
        assert "MLflow" not in capfd.readouterr().err

    def test_a_resumed_run_continues_that_of_the_server(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out, folder = tmp_path / "run", tmp_path / "store"

        def stop(training: Training, *arguments: Any, should_stop: object, **options: Any) -> None:
            real(training, *arguments, should_stop=lambda: training.epoch >= 1, **options)

        real = Training.run
        with monkeypatch.context() as patch:
            patch.setattr(Training, "run", stop)
            with pytest.raises(EndedBySignal):
                train(out, str(folder))
        assert server.status == "KILLED"
        described = len(server.params)
        train(out, str(folder), resume=True)
        assert server.status == "FINISHED"
        assert [each.step for each in server.metrics if each.key == "loss"] == [1, 2]
        assert (len(server.runs), len(server.params)) == (1, described)
        assert server.uris == {folder.as_uri()}
        train(out, "http://other", resume=True)
        assert len(server.runs) == 2, "another server gets a run of its own"

    def test_a_server_that_fails_ends_no_training_and_is_named_once(
        self, server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        server.is_down = True
        train(tmp_path / "run", "http://host", epochs=9)
        assert len(lines(tmp_path / "run")) == 9
        assert (tmp_path / "run" / "model.pt").exists()
        messages = [line for line in capfd.readouterr().err.splitlines() if "MLflow" in line]
        (message,) = messages
        assert message.startswith("MLflow gets no metrics: no route to host")
        assert message.endswith(". metrics.jsonl has all of them.")
        assert "\x1b" not in message
        assert server.attempts <= 5, "it is asked ever less often"

    def test_a_failed_training_is_a_failed_run(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> Tensor:
            raise TrainError("the loss is not a number", "", "")

        monkeypatch.setattr(Training, "run", fail)
        with pytest.raises(TrainError):
            train(tmp_path / "run", "http://host")
        assert server.status == "FAILED"


class TestLog:
    def test_metrics_are_sent_later_if_the_server_comes_back(self, server: Server, tmp_path: Path) -> None:
        server.is_down = True
        log = MlflowLog(tmp_path, "http://host", {"loss": "pair"})
        log.add_epoch(1, {"loss": 3.0})
        server.is_down = False
        for epoch in range(2, 6):
            log.add_epoch(epoch, {"loss": 1.0})
        assert [(each.step, each.value) for each in server.metrics][:3] == [(1, 3.0), (2, 1.0), (3, 1.0)]
        log.close("FINISHED")
        assert [each.step for each in server.metrics] == [1, 2, 3, 4, 5]
        assert server.params == [("loss", "pair")]

    def test_other_settings_and_damaged_records_are_ignored(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / "mlflow.json").write_text(json.dumps({"uri": "http://host", "run": "../other"}))
        MlflowLog(tmp_path, "http://host", {"weights": "/home/me/x.pt", "group_names": ["MCP"], "rate": 0.5})
        assert server.params == [("rate", "0.5")]
        assert len(server.runs) == 1

    def test_many_metrics_are_sent_in_parts(self, server: Server, tmp_path: Path) -> None:
        log = MlflowLog(tmp_path, "http://host", {})
        before = server.attempts
        log.add_epoch(1, {f"m{number}": 0.0 for number in range(2000)})
        assert (len(server.metrics), server.attempts - before) == (2000, 3)


class TestRefusal:
    @pytest.mark.parametrize(
        "where", ["https://me:word@host", "postgresql://me@host/db", "postgresql://host/db?password=word"]
    )
    def test_an_address_with_a_password_is_refused_before_anything_is_written(
        self, server: Server, tmp_path: Path, where: str
    ) -> None:
        with pytest.raises(TrainError, match="user or a password") as raised:
            train(tmp_path / "run", where)
        assert "word@" not in str(raised.value)
        assert "=word" not in str(raised.value)
        assert not (tmp_path / "run").exists()

    def test_a_damaged_address_is_refused(self, server: Server, tmp_path: Path) -> None:
        with pytest.raises(TrainError, match="it is no address"):
            train(tmp_path / "run", "http://[host")
        assert not (tmp_path / "run").exists()

    def test_a_missing_package_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "mlflow", None)
        with pytest.raises(TrainError, match=r"MLflow is not installed. pip install 'ratui\[mlflow\]'"):
            train(tmp_path / "run", "store")
        assert not (tmp_path / "run").exists()
        with pytest.raises(TrainError, match="not installed"):
            check_mlflow("http://host")


def test_the_address_may_change_when_a_run_is_resumed() -> None:
    plan = RunPlan(TrainingPlan(), 1)
    other = replace(plan, training=TrainingPlan(mlflow="http://host"))
    assert runs.describe_settings(plan) == runs.describe_settings(other)
