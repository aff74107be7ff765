"""The model card: what a model is for, what it learned from, how it was trained, and where its limits are.

Its facts come from the checkpoint and from the run folder beside it, which may be of others: they are bounded and cleaned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ratui.bounded_parsing import parse_json, read_bounded
from ratui.errors import TrainError, clean_text
from ratui.files import atomic_write
from trainer.models.checkpoint_files import load_checkpoint
from trainer.shipped import resolve_run_folder
from trainer.training.domain_statistics import MIN_JOINTS, QUANTILE
from trainer.training.lineage import DataUsed, Lineage, digest_of_file, read_lineage
from trainer.training.mlflow_log import send_model_card
from trainer.training.model_domain import ModelDomain, load_domain
from trainer.training.settings import name_setting

__all__ = ["CARD", "format_model_card", "write_model_card"]

CARD = "model-card.md"
"""Name of the card's file in a run folder."""
_LARGEST_FILE = 16_000_000  # bytes
_PURPOSES = {
    "detector": "Finds the joints of fingers and wrists on radiographs of hands, names them, and reports special findings "
    "of fingers. It proposes regions; a rater confirms or corrects them.",
    "scorer": "Predicts the grades of ERO and JSN of a joint at two time points. A rater sees its predictions after signing "
    "only. It replaces no rater.",
}
_LIMITS = (
    "It is no medical device. Its figures hold for films like those it was measured on.",
    "Measure it with `ratui-train evaluate` on readings that no model of its lineage has learned from.",
)
_SIMULATED = "It learned from simulated films only. How it does on real films must be measured first."
_UNKNOWN = "**The origin of some of its weights is not known: it may have learned from any case.**"
_SETTINGS = (
    "loss",
    "difference",
    "pairing",
    "crowd",
    "width",
    "backbone",
    "near",
    "raters",
    "scales",
    "group_names",
    "joints",
    "single_scores",
    "validation_cases",
    "epoch",
    "validation_loss",
)


_TRAINING_SETTINGS = ("epochs", "seconds", "patience", "rate", "weight_decay", "seed", "amp", "deterministic")


def format_model_card(run: Path) -> str:
    """Return the card of a model as Markdown.

    Parameters
    ----------
    run
        Folder of a run, ``shipped``, or a ``model.pt``.

    Raises
    ------
    TrainError
        If there is no model that ratui-train wrote.
    """
    folder = resolve_run_folder(run)
    file = folder if folder.is_file() else folder / "model.pt"
    state = load_checkpoint(file)
    about = state.get("about")
    if not isinstance(about, dict) or str(about.get("model")) not in _PURPOSES:
        raise TrainError("this is no model of ratui-train", file, "Give the folder that a training wrote")
    lineage = read_lineage(file)
    lines = [
        f"# Model card: {about['model']} {clean_text(run.resolve().name if run.exists() else run)}",
        "",
        _PURPOSES[about["model"]],
        "",
        f"- file: `{clean_text(file.name)}`, SHA-256 `{digest_of_file(file)}`",
        f"- weights: {_count_weights(state['model']):,}",
        "",
        "## Lineage",
        "",
        *_format_lineage(lineage),
        "",
        "## Films that it knows",
        "",
        *_format_domain(load_domain(file), about["model"]),
        "",
        "## Settings",
        "",
        *(f"- {name_setting(name)}: {_value(about[name])}" for name in _SETTINGS if name in about),
        *_format_run(file.parent),
        *_format_held_out(about.get("held_out")),
        "",
        "## Limits",
        "",
        *(f"- {each}" for each in _LIMITS),
    ]
    if not lineage.is_fully_known():
        lines.append(f"- {_UNKNOWN}")
    elif lineage.is_simulated():
        lines.append(f"- {_SIMULATED}")
    return "\n".join(lines) + "\n"


def write_model_card(folder: Path, *, mlflow: str = "") -> None:
    """Write the card of the model in `folder` beside it, and send it to `mlflow` if the run is there. Raises TrainError."""
    text = format_model_card(folder)
    try:
        with atomic_write(folder / CARD) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TrainError(
            f"the model card can't be written: {error.strerror}", folder, "Free some disk space"
        ) from error
    if mlflow:
        send_model_card(folder, mlflow, text)


def _format_domain(domain: ModelDomain, model: str) -> list[str]:
    """Return on which films the model answers."""
    answer = "findings" if model == "detector" else "grades and no order of cases"
    if domain.known is not None:
        known = domain.known
        seen = "" if known.is_held_out else ", some of which it has learned from"
        return [
            f"- Measured on {known.films} films{seen}: {QUANTILE:.0%} have a domain score of at most 1.",
            f"- It gives no {answer} for a film with a score above 1, or with fewer than {MIN_JOINTS} joints.",
        ]
    if domain.is_simulated:
        return [f"- Not measured. It learned from simulated films only, so it gives no {answer}."]
    return ["- Not measured: it answers for all films, also for those unlike the films that it learned from."]


def _format_lineage(lineage: Lineage) -> list[str]:
    lines = []
    for number, each in enumerate(lineage.generations()):
        name = ("this training", "weights it started from", f"weights {number} trainings back")[min(number, 2)]
        begun = f", begun on {each.begun}" if each.begun else ""
        facts = f"{each.model}{begun}, seed {each.seed}" if each.is_known else "not known"
        lines.append(f"- **{name}**: {facts}")
        lines += [f"  - {_format_data(data)}" for data in each.data]
        if each.parent_digest:
            taken = f"; {each.parent_tensors} tensors were taken over" if each.parent_tensors else ""
            file = f" `{each.parent_file}`" if each.parent_file else ""
            lines.append(f"  - weights at the start: file{file}, SHA-256 `{each.parent_digest}`{taken}")
        if each.versions:
            lines.append("  - " + ", ".join(f"{name} {version}" for name, version in sorted(each.versions.items())))
    return lines


def _format_data(data: DataUsed) -> str:
    cases = f" of {len(data.cases)} cases" if data.cases else ""
    label = {
        "study": "study",
        "COCO file": "COCO file with SHA-256",
        "simulated films": "simulated films, seed",
        "RAM-H1200": "folder in the layout of RAM-H1200, digest of its files",
    }[data.kind]
    digest = f"; digest of the labels {data.digest}" if data.digest else ""
    return f"{label} {data.id}: {data.count or 'an unknown number of'} samples{cases}{digest}"


def _format_run(folder: Path) -> list[str]:
    """Return the values in the files of configuration, split and metrics of a run folder, as far as they exist."""
    lines: list[str] = []
    config, split = _read(folder / "config.json"), _read(folder / "split.json")
    plan = config.get("plan") if config else None
    fit = plan.get("fit") if isinstance(plan, dict) else None
    if isinstance(plan, dict) and isinstance(fit, dict):
        values = {name: fit.get(name) for name in _TRAINING_SETTINGS}
        values |= {name: plan.get(name) for name in ("batch", "held_out", "validation")}
        lines += [f"- {name}: {_value(value)}" for name, value in values.items() if value is not None]
    if split and (split.get("train") or split.get("test")):
        lines.append(f"- cases: {_count(split.get('train'))} trained on, {_count(split.get('test'))} held out")
    last = _last_epoch(folder / "metrics.jsonl")
    if last:
        lines += [
            "",
            "## Training",
            "",
            *(f"- {clean_text(name)}: {_value(value)}" for name, value in list(last.items())[:20]),
        ]
    return lines


def _read(file: Path) -> dict[str, Any]:
    try:
        value = parse_json(read_bounded(file, _LARGEST_FILE))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _last_epoch(file: Path) -> dict[str, Any]:
    try:
        values = [parse_json(line) for line in read_bounded(file, _LARGEST_FILE).splitlines()[-2:]]
    except (OSError, ValueError):
        return {}
    epochs = [value for value in values if isinstance(value, dict) and "held_out" not in value]
    return epochs[-1] if epochs else {}


def _format_held_out(facts: object) -> list[str]:
    """Return the metrics on the patients of a COCO file that were held out, if there are any."""
    if not isinstance(facts, dict) or not isinstance(facts.get("metrics"), dict):
        return []
    lines = [f"- {name}: {_value(facts.get(name))}" for name in ("patients", "hands")]
    for name, values in list(facts["metrics"].items())[:10]:
        lines.append(f"- {clean_text(name, 100)}: {_value(values)}")
    return ["", "## Held-out patients of the COCO file: value, 95 % interval", "", *lines]


def _count(value: object) -> int:
    return len(value) if isinstance(value, list) else 0


def _count_weights(state: object) -> int:
    return sum(value.numel() for value in state.values()) if isinstance(state, Mapping) else 0


def _value(value: object) -> str:
    return clean_text(json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value, 200)
