"""The metrics of a run on a tracking server of MLflow, or in a folder in its format.

MLflow gets numbers, settings and the model card: no names of cases, no text of films and no paths. Its failures do not end a
training, and ``metrics.jsonl`` in the run folder is complete in any case.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ratui.bounded_parsing import parse_json, read_bounded
from ratui.errors import TrainError, clean_text
from ratui.files import atomic_write

__all__ = ["SETTINGS", "MlflowLog", "check_mlflow", "send_model_card"]

SETTINGS = (
    *("model", "seed", "loss", "difference", "pairing", "crowd", "width", "backbone", "near", "class_weights"),
    *("raters", "single_scores", "validation_cases", "batch", "held_out", "validation", "phantoms"),
    *("epochs", "seconds", "patience", "rate", "weight_decay", "warm_up", "amp", "deterministic", "compile"),
)
"""Names of the settings that MLflow gets. Others, such as paths, stay in the run folder."""
_EXPERIMENT = "ratui"
_FILE = "mlflow.json"
_LARGEST_FILE = 10_000  # bytes
_BATCH = 900  # metrics in a request; a server takes 1000
_LONGEST_WAIT = 64  # epochs between two attempts
_ENVIRONMENT = {
    # A server that does not answer must not hold up each epoch for minutes, as MLflow's own settings would.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class MlflowLog:
    """The run in `folder` as a run of MLflow.

    A resumed run continues its MLflow run, which ``mlflow.json`` names. Metrics that could not be sent are sent later.

    Parameters
    ----------
    folder
        Folder of the run; its name is that of the MLflow run.
    where
        Address of a tracking server, or a folder.
    settings
        Settings of the run; only those in `SETTINGS` are sent.
    """

    def __init__(self, folder: Path, where: str, settings: Mapping[str, Any]) -> None:
        self._folder = folder
        self._uri = _make_uri(where)
        self._settings = {name: clean_text(settings[name], 200) for name in SETTINGS if name in settings}
        self._run = _read_run(folder, self._uri)
        self._is_described = bool(self._run)
        self._pending: list[tuple[str, float, int, int]] = []
        self._failures = 0
        self._epochs_to_wait = 0
        self._send()

    def add_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Send the metrics of an epoch."""
        now = int(1000 * time.time())
        self._pending += [(name, float(value), now, epoch) for name, value in values.items()]
        self._epochs_to_wait -= 1
        if self._epochs_to_wait <= 0:
            self._send()

    def close(self, status: str) -> None:
        """Send what is left, and state how the run ended: ``FINISHED``, ``FAILED`` or ``KILLED``."""
        self._send()
        if self._run and not self._pending:
            self._try(lambda: _connect(self._uri).set_terminated(self._run, status))

    def _send(self) -> None:
        self._try(self._send_all)

    def _send_all(self) -> None:
        client = _connect(self._uri)
        from mlflow.entities import Metric, Param

        if not self._run:
            experiment = client.get_experiment_by_name(_EXPERIMENT)
            number = experiment.experiment_id if experiment else client.create_experiment(_EXPERIMENT)
            self._run = client.create_run(number, run_name=clean_text(self._folder.resolve().name, 100)).info.run_id
            content = json.dumps({"uri": self._uri, "run": self._run})
            with atomic_write(self._folder / _FILE) as temporary:
                temporary.write_text(content, encoding="utf-8")
        if not self._is_described:
            client.log_batch(self._run, params=[Param(name, value) for name, value in self._settings.items()])
            self._is_described = True
        while self._pending:
            client.log_batch(self._run, metrics=[Metric(*each) for each in self._pending[:_BATCH]])
            del self._pending[:_BATCH]

    def _try(self, action: Callable[[], object]) -> None:
        """Call `action`. After a failure, warn once, and wait longer after each further one."""
        try:
            action()
        except Exception as error:  # MLflow raises errors of many libraries
            if not self._failures:
                _warn(error)
            self._failures += 1
            self._epochs_to_wait = min(2**self._failures, _LONGEST_WAIT)
        else:
            self._epochs_to_wait = 0


def check_mlflow(where: str) -> None:
    """Raise TrainError if MLflow is not installed, or `where` contains a password, which the run folder would store."""
    try:
        address = urlsplit(where if "://" in where else "")
    except ValueError as error:
        raise TrainError("it is no address", "--mlflow", "Give the address of a server, or a folder") from error
    if address.username or address.password or re.search(r"passw|pwd|token|secret", address.query, re.IGNORECASE):
        raise TrainError(
            "the address contains a user or a password, which the run folder would store",
            "--mlflow",
            "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        )
    try:
        _import_client()
    except ImportError as error:
        remedy = "pip install 'ratui[mlflow]', or leave --mlflow out"
        raise TrainError("MLflow is not installed", "--mlflow", remedy) from error


def send_model_card(folder: Path, where: str, text: str) -> None:
    """Store the model card `text` with the MLflow run of the run in `folder`, if there is one."""
    uri = _make_uri(where)
    run = _read_run(folder, uri)
    if run:
        try:
            _connect(uri).log_text(run, text, "model-card.md")
        except Exception as error:  # as above
            _warn(error)


def _import_client() -> Any:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Without this, MLflow reports its use to its makers.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient

    return MlflowClient


def _connect(uri: str) -> Any:
    return _import_client()(tracking_uri=uri)


def _make_uri(where: str) -> str:
    return where if "://" in where else Path(where).resolve().as_uri()


def _read_run(folder: Path, uri: str) -> str:
    """Return the ID of the MLflow run at `uri` that the run in `folder` began, or an empty text."""
    try:
        stored = parse_json(read_bounded(folder / _FILE, _LARGEST_FILE))
        run = stored["run"] if stored["uri"] == uri else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return run if isinstance(run, str) and re.fullmatch(r"[0-9A-Za-z_-]{1,64}", run) else ""


def _warn(error: Exception) -> None:
    reason = clean_text(error, 200) or type(error).__name__
    print(f"MLflow gets no metrics: {reason}. metrics.jsonl has all of them.", file=sys.stderr, flush=True)
