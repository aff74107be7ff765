"""An evaluation as a report: Markdown, a page that opens alone, JSON for programs; and kept in the study for the app.

It measures nothing itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ratui.errors import TrainError
from ratui.files import atomic_write
from ratui.study import Study
from ratui.study.model_reports import Block, Evaluation, Heading, Paragraph, Picture, Table, save_evaluation
from trainer.evaluation.evaluate import Metric, Results
from trainer.evaluation.report_document import to_html, to_markdown
from trainer.evaluation.report_pictures import draw_histogram, draw_reliability, draw_worst_joints

__all__ = ["write_report"]

_STORED_NAMES = {
    "other_metrics": "more",
    "change_errors": "differences",
    "uncertainty_metrics": "doubted",
    "calibrations": "sure",
    "worst_joints": "worst",
    "target": "what",
    "confidence": "sure",
    "accuracy": "right",
    "rater_grades": "read",
    "predicted_grades": "said",
    "uncertainty": "doubt",
}
"""Keys of ``report.json`` by field; ``ratui`` and other programs read the file under these."""


def write_report(results: Results, out: Path, *, study: Study | None = None, model: str = "") -> str:
    """Writes ``report.md`` with its pictures, ``report.html`` and ``report.json`` into `out`; returns the Markdown.

    Keeps it in `study` as well, where given, as that of the scorer `model`, for the app to open. Raises TrainError, and
    StoreError where the study can't keep it.
    """
    blocks = _make_blocks(results)
    text = to_markdown(blocks)
    facts = asdict(results)
    facts["cases"] = len(results.cases)
    facts["change_errors"] = [round(float(value), 4) for value in results.change_errors]
    del facts["crops"]
    try:
        out.mkdir(parents=True, exist_ok=True)
        contents = {block.file: block.png for block in blocks if isinstance(block, Picture)}
        contents["report.md"] = text.encode()
        contents["report.html"] = to_html(blocks).encode()
        contents["report.json"] = json.dumps(_to_json(facts), indent=1).encode()
        for name, content in contents.items():
            with atomic_write(out / name) as temporary:
                temporary.write_bytes(content)
    except OSError as error:
        raise TrainError(f"the report can't be written: {error.strerror}", out, "Give another --out") from error
    if study is not None:
        save_evaluation(study, Evaluation(model, datetime.now(UTC), results.cases, tuple(blocks)))
    return text


def _make_blocks(results: Results) -> list[Block]:
    films = f"{results.films} hands, " if results.films else ""
    blocks: list[Block] = [
        Heading("What the models are worth", 1),
        Paragraph(
            f"Measured on {len(results.cases)} cases ({films}{results.joints} joints) that no model here has learnt from, "
            "against every rater's signed reading. Intervals are 95 %, bootstrapped over patients. "
            f"The scorer's loss was `{results.loss}`, its decision `{results.decision}`."
        ),
        _metrics_table(results.headline),
        Paragraph(
            "The source's figures are of real films; a figure here is comparable only where these films are real, too. "
            "An accuracy says little where findings are rare: read it with sensitivity and specificity. "
            "Scores count where no finding fixes them at either time point, as in the source. "
            "What raters differ among themselves is the ceiling: no model can agree with all of them more than that."
        ),
        Heading("More"),
        _metrics_table(results.other_metrics),
        Heading("Errors of the ERO difference"),
        Picture(
            "differences.png", draw_histogram(results.change_errors, len(results.cases)), "Errors of the ERO difference"
        ),
        _histogram_table(results.change_errors),
    ]
    if results.calibrations:
        blocks += [
            Heading("What its doubt is worth"),
            Paragraph(
                "How sure the model is of an answer, beside how often a rater gave the same. On the diagonal it knows "
                "itself. Below: whether what it doubts most is what it gets wrong most."
            ),
            Picture("calibration.png", draw_reliability(results.calibrations), "How often right, by how sure"),
            _metrics_table(results.uncertainty_metrics),
        ]
    if results.worst_joints:
        words = "The joints whose ERO change was most wrongly decided, earlier film left"
        blocks += [
            Heading("Worst joints"),
            Picture("worst.png", draw_worst_joints(results.worst_joints, results.crops), words),
            _worst_table(results),
        ]
    return blocks


def _metrics_table(metrics: Sequence[Metric]) -> Table:
    rows = []
    for f in metrics:
        trivial = f"{_number(f.baseline, f.unit)} ({f.baseline_name})" if f.baseline is not None else ""
        rows.append(
            (
                f"{f.name} ({f.note})" if f.note else f.name,
                _number(f.value, f.unit),
                f"{_number(f.low, f.unit)} to {_number(f.high, f.unit)}" if not math.isnan(f.value) else "",
                _number(f.paper, f.unit),
                trivial,
                _number(f.raters, f.unit),
            )
        )
    columns = ("measure", "here", "95 % interval", "source", "trivial", "raters among themselves")
    shown = [place for place in range(len(columns)) if place < 3 or any(row[place] for row in rows)]
    return Table([columns[place] for place in shown], [[row[place] for place in shown] for row in rows], strong=1)


def _worst_table(results: Results) -> Table:
    rows = [
        (
            each.case,
            each.site,
            ", ".join(f"{a}→{b}" for a, b in each.rater_grades),
            f"{each.predicted_grades[0]}→{each.predicted_grades[1]}",
            f"{each.change:+d}",
            f"{each.uncertainty:.2f}",
        )
        for each in results.worst_joints
    ]
    return Table(("case", "site", "read", "said", "change said", "doubt"), rows)


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if math.isnan(value):
        return "none to measure"
    return f"{100 * value:.1f} %" if unit == "%" else f"{value:.3f}"


def _histogram_table(errors: npt.NDArray[np.float64]) -> Table:
    edges = [-np.inf, -1.5, -0.5, 0.5, 1.5, np.inf]
    names = ["below −1.5", "−1.5 to −0.5", "−0.5 to 0.5", "0.5 to 1.5", "above 1.5"]
    counts, _ = np.histogram(errors, edges)
    share = counts / max(counts.sum(), 1)
    rows = [(name, str(n), f"{100 * s:.1f} %") for name, n, s in zip(names, counts, share, strict=True)]
    return Table(("said less read change", "pairs", "share"), rows)


def _to_json(value: object) -> object:
    """Return `value` for JSON: NaN becomes null, and fields get their stored names."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {_STORED_NAMES.get(key, key): _to_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(each) for each in value]
    return value
