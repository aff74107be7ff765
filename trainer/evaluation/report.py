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
from ratui.study import Study
from ratui.study.model_reports import Block, Evaluation, Heading, Picture, Table, Text, save_evaluation
from trainer.evaluation.evaluate import Figure, Results
from trainer.evaluation.report_document import html, markdown
from trainer.evaluation.report_pictures import histogram, reliability, worst_joints

__all__ = ["write_report"]


def write_report(results: Results, out: Path, *, study: Study | None = None, model: str = "") -> str:
    """Writes ``report.md`` with its pictures, ``report.html`` and ``report.json`` into `out`; returns the Markdown.

    Keeps it in `study` as well, where given, as that of the scorer `model`, for the app to open. Raises TrainError, and
    StoreError where the study can't keep it.
    """
    blocks = _told(results)
    text = markdown(blocks)
    facts = asdict(results)
    facts["cases"] = len(results.cases)
    facts["differences"] = [round(float(value), 4) for value in results.differences]
    del facts["crops"]
    try:
        out.mkdir(parents=True, exist_ok=True)
        for block in blocks:
            if isinstance(block, Picture):
                (out / block.file).write_bytes(block.png)
        (out / "report.md").write_text(text, encoding="utf-8")
        (out / "report.html").write_text(html(blocks), encoding="utf-8")
        (out / "report.json").write_text(json.dumps(_plain(facts), indent=1), encoding="utf-8")
    except OSError as error:
        raise TrainError(f"the report can't be written: {error.strerror}", out, "Give another --out") from error
    if study is not None:
        save_evaluation(study, Evaluation(model, datetime.now(UTC), results.cases, tuple(blocks)))
    return text


def _told(results: Results) -> list[Block]:
    films = f"{results.films} hands, " if results.films else ""
    blocks: list[Block] = [
        Heading("What the models are worth", 1),
        Text(
            f"Measured on {len(results.cases)} cases ({films}{results.joints} joints) that no model here has learnt from, "
            "against every rater's signed reading. Intervals are 95 %, bootstrapped over patients. "
            f"The scorer's loss was `{results.loss}`, its decision `{results.decision}`."
        ),
        _figures(results.headline),
        Text(
            "The source's figures are of real films; a figure here is comparable only where these films are real, too. "
            "An accuracy says little where findings are rare: read it with sensitivity and specificity. "
            "Scores count where no finding fixes them at either time point, as in the source. "
            "What raters differ among themselves is the ceiling: no model can agree with all of them more than that."
        ),
        Heading("More"),
        _figures(results.more),
        Heading("Errors of the ERO difference"),
        Picture("differences.png", histogram(results.differences, len(results.cases)), "Errors of the ERO difference"),
        _histogram_table(results.differences),
    ]
    if results.sure:
        blocks += [
            Heading("What its doubt is worth"),
            Text(
                "How sure the model is of an answer, beside how often a rater gave the same. On the diagonal it knows "
                "itself. Below: whether what it doubts most is what it gets wrong most."
            ),
            Picture("calibration.png", reliability(results.sure), "How often right, by how sure"),
            _figures(results.doubted),
        ]
    if results.worst:
        words = "The joints whose ERO change was most wrongly decided, earlier film left"
        blocks += [
            Heading("Worst joints"),
            Picture("worst.png", worst_joints(results.worst, results.crops), words),
            _worst_table(results),
        ]
    return blocks


def _figures(figures: Sequence[Figure]) -> Table:
    rows = []
    for f in figures:
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
    told = [place for place in range(len(columns)) if place < 3 or any(row[place] for row in rows)]
    return Table([columns[place] for place in told], [[row[place] for place in told] for row in rows], strong=1)


def _worst_table(results: Results) -> Table:
    rows = [
        (
            each.case,
            each.site,
            ", ".join(f"{a}→{b}" for a, b in each.read),
            f"{each.said[0]}→{each.said[1]}",
            f"{each.change:+d}",
            f"{each.doubt:.2f}",
        )
        for each in results.worst
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


def _plain(value: object) -> object:
    """`value` for JSON, where NaN is null."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
