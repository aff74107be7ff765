"""The table of a sweep: the combinations by their error on the validation cases, and the choice of the best one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ratui.errors import TrainError, clean_text
from ratui.files import atomic_write
from ratui.results.text_table import format_count
from trainer.evaluation.pooling import SeedValues
from trainer.experiments.sweep import Combination, Measures, Sweep

__all__ = ["SweepResults", "collect_results"]

_DIFFERENCE = "difference to the first row"
_LOSS, _CHANGE, _GRADE = "validation loss", "error of the change", "error of the grade"


@dataclass(frozen=True)
class SweepResults:
    """The results of a sweep.

    Attributes
    ----------
    sweep
        The sweep.
    rows
        Each combination of which all seeds are finished, with the measures of each seed; the best one comes first.
    measure
        Name of the measure by which the rows are sorted.
    finished, total
        Numbers of finished trainings and of all trainings.
    """

    sweep: Sweep
    rows: tuple[tuple[Combination, tuple[Measures, ...]], ...]
    measure: str
    finished: int
    total: int

    @property
    def best(self) -> Combination | None:
        """The combination with the smallest error; None if none is finished."""
        return self.rows[0][0] if self.rows else None

    def find_best_run(self) -> Path | None:
        """Return the run folder of the best combination with the first seed; None if none is finished."""
        return self.sweep.run_folder(self.best, self.sweep.all_seeds()[0]) if self.best else None

    def format_markdown(self, command: str) -> str:
        """Return the table with its explanation; `command` is that of a training with the best combination."""
        state = f"{self.finished} of {self.total} trainings are finished."
        if not self.rows:
            return f"{state}\n"
        names = list(self.rows[0][0].settings)
        columns = [name for name in _READ if not math.isnan(_collect(self.rows[0][1], name).mean)]
        if self.sweep.varies_loss:
            columns.remove(_LOSS)
        compared = [_DIFFERENCE] if len(self.sweep.all_seeds()) > 1 else []
        header = ("rank", *names, *columns, *compared, "best epoch")
        lines = [
            f"# Sweep of a {self.sweep.model}",
            "",
            "| " + " | ".join(header) + " |",
            "|---" * len(header) + "|",
        ]
        for rank, (combination, measures) in enumerate(self.rows, start=1):
            values = [_format(_collect(measures, name)) for name in columns]
            values += [_format(self._difference(measures)) for _ in compared]
            epochs = ", ".join(str(each.epoch) for each in measures)
            settings = [clean_text(value) for value in combination.settings.values()]
            lines.append("| " + " | ".join((str(rank), *settings, *values, epochs)) + " |")
        return "\n".join([*lines, "", *self._explain(state), "", f"    {command}", ""])

    def _difference(self, measures: tuple[Measures, ...]) -> SeedValues:
        """Return the error minus that of the best combination by seed: both had the same validation cases."""
        pairs = zip(_collect(measures, self.measure).values, self._best_values(), strict=True)
        return SeedValues(_DIFFERENCE, "", tuple(value - best for value, best in pairs))

    def _best_values(self) -> tuple[float, ...]:
        return _collect(self.rows[0][1], self.measure).values

    def _explain(self, state: str) -> list[str]:
        split, seeds = self.sweep.split(), self.sweep.all_seeds()
        cases = ", ".join(str(each.cases) for each in self.rows[0][1])
        sorted_by = f"Sorted by the {self.measure}"
        if len(seeds) > 1:
            sorted_by += f": mean ± standard deviation over the seeds {seeds[0]} to {seeds[-1]}"
        lines = [f"{state} {sorted_by}. Validation cases: {cases} of {len(split.train)} training cases."]
        if len(seeds) > 1:
            lines.append(
                f"Each seed has other validation cases, all rows have the same: compare them by `{_DIFFERENCE}`."
            )
        if len(self.rows) * len(seeds) < self.total:
            lines.append("Combinations of which a seed is missing are left out, so the choice may change.")
        if self.sweep.varies_loss:
            lines.append("Losses are not shown: those of different loss functions or class weights can't be compared.")
        return [
            *lines,
            f"The first row was chosen because its value is the smallest of {len(self.rows)}, so this value is optimistic.",
            f"Nothing was measured on {format_count(len(split.test), 'held-out case')}: measure the chosen model there.",
            "",
            (
                f"The best combination: {self.rows[0][0].title}. Its model with seed {seeds[0]} is in the folder "
                f"{clean_text(self.find_best_run(), 4000)}. This command trains it again:"
            ),
        ]

    def to_record(self, command: str) -> dict[str, Any]:
        """Return the results as plain values for a JSON file."""
        split = self.sweep.split()
        return {
            "model": self.sweep.model,
            "measure": self.measure,
            "seeds": list(self.sweep.all_seeds()),
            "finished": self.finished,
            "total": self.total,
            "training_cases": len(split.train),
            "held_out_cases": len(split.test),
            "combinations": [
                {
                    "settings": combination.settings,
                    "mean": _collect(measures, self.measure).mean,
                    "standard_deviation": _finite(_collect(measures, self.measure).deviation),
                    "runs": [self.sweep.run_folder(combination, seed).name for seed in self.sweep.all_seeds()],
                    "by_seed": [asdict(each) for each in measures],
                }
                for combination, measures in self.rows
            ],
            "best": {"settings": self.best.settings, "command": command} if self.best else None,
        }

    def write(self, command: str) -> str:
        """Write ``results.md`` and ``results.json`` into the sweep's folder, and return the former. Raises TrainError."""
        text = self.format_markdown(command)
        record = json.dumps(self.to_record(command), indent=1)
        for name, content in (("results.md", text), ("results.json", record)):
            file = self.sweep.folder / name
            try:
                with atomic_write(file) as temporary:
                    temporary.write_text(content, encoding="utf-8")
            except OSError as error:
                raise TrainError(f"it can't be written: {error.strerror}", file, "Free some disk space") from error
        return text


def collect_results(sweep: Sweep) -> SweepResults:
    """Return the results of the finished trainings.

    The combinations are sorted by their mean validation loss. If losses can't be compared, they are sorted by their mean
    error of the change, or by that of the grade if no validation case has scores at both time points. Of equal
    combinations, the one with the smaller error of the grade comes first.

    Raises
    ------
    TrainError
        If a file of the sweep can't be read.
    """
    found = [(each, measures) for each in sweep.combinations if (measures := sweep.measures(each))]
    measure = _LOSS
    if sweep.varies_loss:
        has_changes = all(each.change is not None for _, measures in found for each in measures)
        measure = _CHANGE if has_changes else _GRADE
    found.sort(key=lambda row: (_collect(row[1], measure).mean, _collect(row[1], _GRADE).mean))
    tasks = sweep.tasks()
    return SweepResults(sweep, tuple(found), measure, sum(map(sweep.is_finished, tasks)), len(tasks))


_READ: dict[str, Callable[[Measures], float | None]] = {
    _LOSS: lambda each: each.loss,
    _CHANGE: lambda each: each.change,
    _GRADE: lambda each: each.grade,
}


def _collect(measures: tuple[Measures, ...], name: str) -> SeedValues:
    """Return the values of a measure by seed, NaN for those that do not exist."""
    values = (_READ[name](each) for each in measures)
    return SeedValues(name, "", tuple(math.nan if value is None else value for value in values))


def _format(values: SeedValues) -> str:
    if math.isnan(values.mean):
        return "–"
    return f"{values.mean:.4f}" + ("" if math.isnan(values.deviation) else f" ± {values.deviation:.4f}")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
