"""Files with a valid seal and odd values: any JSON value at any place of each kind of document.

Whoever may write a file of a study can seal anything. One such file must not keep the others from being used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import shutil
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ratui.errors import FilmError, RatuiError, TrainError
from ratui.files import second_copy_path
from ratui.imaging import Box
from ratui.reading import Reading
from ratui.results.agreement import measure_agreement
from ratui.results.disputes import DisputeLimits, find_disputes
from ratui.results.export import export
from ratui.results.joint_space_measuring import measure_joint_spaces
from ratui.results.progress import measure_progress
from ratui.results.released import ReleasedReadings, collect_released_readings
from ratui.results.report import render_report
from ratui.results.totals import get_rule
from ratui.study import Region, RegionSource, Study
from ratui.study.check import check_study
from ratui.study.joint_spaces.joint_space import JOINT_SPACE, load_joint_space
from ratui.study.layout import list_evaluated_models
from ratui.study.model_results.model_reports import (
    Evaluation,
    Heading,
    Paragraph,
    Picture,
    ReportTable,
    load_evaluation,
    save_evaluation,
)
from ratui.study.model_results.predictions import load_predictions, save_predictions
from ratui.study.model_results.reading_order import load_reading_order, save_reading_order
from ratui.study.store.seal import BEGIN, CHAINED, CHAINS, record_checksum
from tests.model_answers import answer
from tests.results.studies import noisy_study
from tests.support.attacks.table import Outcome, attack
from tests.support.fake_joint_space import fake_joint_space_change
from trainer.data.pairs import list_signed_cases, load_pair_samples

__all__ = ["SEED", "TRIALS", "Trial", "forge", "make_full_study", "try_values"]

SEED = 20_261_128
TRIALS = 60
"""Files with odd values in one run."""
MODEL = "run"
DEEP: Any = []
for _ in range(300):
    DEEP = [DEEP]
ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 7, 99, -(10**30), 10**30, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"),
    float("-inf"), "", "x", "0", "1", "signed", "anna", "bert", "L.MCP2", "\ud800", "\x1b[2J", "\0", "a" * 20_000,
    "2026-01-01T00:00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-13-01", "../../etc/passwd",
    [], {}, [[]], [{}], [None], [0, 1], [1, 0], [0] * 1000, {"a": 1}, {"": {}}, {"grade": 1}, {"finding": "x"}, DEEP,
)  # fmt: skip


def make_full_study(folder: Path) -> Study:
    """Create a study of three cases, signed by two raters, with files of every kind."""
    study = noisy_study(folder, patients=3)
    for case in study.cases():
        films = study.case(case).films
        study.save_proposals(
            "model", case, [Region("L.MCP2", films[0].id, Box(1.0, 1.0, 9.0, 9.0), RegionSource.MODEL, model="model")]
        )
        sites = [site for site in study.case(case).sites(study.scheme) if site.key in ("L.MCP2", "R.MCP2")]
        save_predictions(study, MODEL, case, [answer(site.key, "ERO", 1.0, 1.5, 5) for site in sites])
    blocks = (
        Heading("Results", 1),
        Paragraph("text"),
        ReportTable(("a", "b"), (("1", "2"),), strong=1),
        Picture("p.png", b"\x89PNG", "a picture"),
    )
    save_evaluation(study, Evaluation(MODEL, datetime(2026, 3, 1, tzinfo=UTC), study.cases()[:1], blocks))
    save_reading_order(study, study.cases()[::-1], MODEL)
    measure_joint_spaces(study, fake_joint_space_change, workers=1)
    return study


def forge(tables: Any, of: str) -> bytes:
    """Return a file with a valid seal over any JSON value; each record that is one gets its checksum."""
    parts: list[str] = []
    counts: dict[str, int] = {}
    head = begin = ""
    for name, records in tables.items() if isinstance(tables, dict) else [("odd", tables)]:
        if not isinstance(records, dict):
            parts.append(f"{json.dumps(name)}:{json.dumps(records)}")
            continue
        texts: list[str] = []
        before = begin if name == CHAINED else ""
        for id, record in records.items():
            body = _dump(record)
            if isinstance(record, dict):
                name_of_record = id.encode(errors="replace").decode()  # no checksum fits a lone surrogate
                before = record_checksum(name, name_of_record, before if name in CHAINS else "", body.encode())
                body = f'{body[:-1]}{"," if record else ""}"sum":"{before}"}}'
            texts.append(f"{json.dumps(id)}:{body}")
        head = before if name == CHAINED else head
        begin = before if name == BEGIN else begin
        counts[name] = len(records)
        parts.append(f"{json.dumps(name)}:{{{','.join(texts)}}}")
    last = _dump({"format": 2, "of": of, "counts": counts, "head": head})
    check = record_checksum("seal", "1", "", last.encode())
    parts.append(f'"seal":{{"1":{last[:-1]},"check":"{check}",')
    text = ("{" + ",".join(parts)).encode()
    return text + b'"sum":"' + hashlib.sha256(text).hexdigest().encode() + b'"}}}'


def _dump(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container in `value` with each of its keys."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield value, key
            yield from _places(each)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield value, number
            yield from _places(each)


def _mutate(tables: Any, rng: random.Random) -> str:
    """Change one place of `tables` and return a description of the place."""
    # Half of the changes are near the top, where there are few places but large effects.
    places = list(_places(tables))
    if rng.random() < 0.5:
        near = [(container, key) for name in tables for container, key in _places(_first_record(tables[name]))]
        places = near or places
    container, key = rng.choice(places)
    kind = rng.choice(("replace", "replace", "replace", "replace", "remove", "repeat", "exchange", "rename"))
    if kind == "remove":
        del container[key]
    elif kind == "repeat" and isinstance(container, list):
        container += [container[key]] * rng.choice((1, 3000))
    elif kind == "rename" and isinstance(container, dict):
        container[rng.choice(("", "x", "sum", "seal", "1", "\ud800"))] = container.pop(key)
    elif kind == "exchange":
        other, name = rng.choice(places)
        if other is container:
            container[key], other[name] = other[name], container[key]
        else:
            container[key] = json.loads(json.dumps(other[name]))
    else:
        container[key] = rng.choice(ODD)
    return f"{kind} {key!r}"


def _first_record(records: Any) -> Any:
    return next(iter(records.values()), {}) if isinstance(records, dict) else {}


@dataclass
class Trial:
    """The faults that one odd file caused; empty if there is none."""

    file: str
    change: str
    faults: list[str] = field(default_factory=list)


def try_values(study: Study, pattern: str, trials: int, rng: random.Random) -> Iterator[Trial]:
    """Give random files of `study` that match `pattern` odd values, one at a time, and use the study each time."""
    files = sorted(study.path.glob(pattern))
    assert files, pattern
    whole = collect_released_readings(study).readings
    for _ in range(trials):
        file = rng.choice(files)
        name = str(file.relative_to(study.path))
        original = file.read_bytes()
        second = second_copy_path(file)
        copy = second.read_bytes() if second.exists() else None
        if file.suffix == ".json":
            tables = {key: value for key, value in json.loads(original).items() if key != "seal"}
            for records in tables.values():
                for record in records.values():
                    del record["sum"]
            trial = Trial(name, _mutate(tables, rng))
            odd = forge(tables, f"{file.parent.name}/{file.stem}")
        else:
            record = json.loads(original)
            trial = Trial(name, _mutate(record, rng))
            odd = json.dumps(record).encode()
        file.write_bytes(odd)
        if copy is not None:
            second.write_bytes(odd)
        for use in _uses(study.path, name, whole):
            try:
                problem = use()
            except RatuiError as error:
                problem = f"{use.__name__} ends with: {error}" if use.__name__ not in _MAY_END else ""
            except Exception:
                problem = f"{use.__name__} crashes: {traceback.format_exc(limit=-4)}"
            if problem:
                trial.faults.append(problem)
        file.write_bytes(original)
        if copy is not None:
            second.write_bytes(copy)
        yield trial


_MAY_END = (
    "read_damaged_case",
    "read_as_rater",
    "load_damaged_predictions",
    "load_damaged_joint_spaces",
    "load_damaged_evaluation",
)
"""Uses of the damaged file itself, which a clear message may end."""


def _uses(path: Path, name: str, before: Mapping[str, Mapping[str, Reading]]) -> Iterator[Callable[[], str]]:
    """Yield the uses of the study at `path`, each of which returns a problem or an empty text.

    `before` contains the released readings without the odd file `name`.
    """
    study = Study.open(path)
    found: list[ReleasedReadings] = []
    whole = set(before)
    damaged = Path(name).stem if Path(name).stem in whole else Path(name).parent.name

    def check() -> str:
        check_study(path)
        return ""

    def status() -> str:
        progress = measure_progress(Study.open(path))
        return "" if len(progress.rows) == 2 * len(whole) else "status lacks cases"

    def release() -> str:
        found.append(collect_released_readings(study))
        missing = whole - set(found[0].readings) - {damaged}
        return f"cases kept back: {missing}" if missing else ""

    def agreement() -> str:
        measure_agreement(study, found[0], get_rule("carried"))
        return ""

    def disputes() -> str:
        find_disputes(study, found[0], DisputeLimits(), get_rule("carried"), model=MODEL)
        return ""

    def write_tables() -> str:
        out = path.parent / "out"
        export(study, found[0], out, ("csv", "json", "coco", "mk"), get_rule("carried"))
        shutil.rmtree(out)
        return ""

    def report() -> str:
        page = render_report(study, found[0], get_rule("carried"), today=date(2026, 1, 1), with_plots=False)
        page.encode()
        return ""

    def order() -> str:
        return "" if set(load_reading_order(study)) == whole else "the order lacks cases"

    def print_notices() -> str:
        "\n".join(study.notices).encode()
        return ""

    def status_as_rater() -> str:
        view = Study.open(path).as_rater("anna")
        return "" if len(view.states("anna")) == len(whole) else "the rater's worklist lacks cases"

    def train() -> str:
        trained = list_signed_cases(study)
        # No region is left, or a film is not the imported one: a training then ends with the film's name.
        with contextlib.suppress(TrainError, FilmError):
            load_pair_samples(study, trained, path.parent / "crops", lambda *_: None, proposed=True)
        return "" if len(set(trained) - {damaged}) == len(whole - {damaged}) else "the trainer lacks cases"

    def read_as_rater() -> str:
        view = Study.open(path).as_rater("anna")
        for case in sorted(whole):
            with view.open_reading("anna", case) as session:
                assert session.reading.case == case
        return ""

    def read_damaged_case() -> str:
        for case in sorted(whole):
            study.state("anna", case)
            study.proposals(case)
            study.regions(case)
            with study.open_reading("anna", case) as session:
                assert session.reading.case == case
        return ""

    def load_damaged_predictions() -> str:
        for case in whole:
            load_predictions(study, case)
        return ""

    def load_damaged_joint_spaces() -> str:
        for case in whole:
            load_joint_space(study, case)
        return ""

    def load_damaged_evaluation() -> str:
        for model in list_evaluated_models(study.folder):
            load_evaluation(study, "anna", model)
        return ""

    yield from (check, status, release)
    if found:
        yield from (disputes, write_tables)
        if any(before[case] != readings for case, readings in found[0].readings.items()):
            yield from (agreement, report)  # slow, and the same as before for the same readings
    yield from (status_as_rater, train, read_as_rater)
    yield from (order, read_damaged_case, load_damaged_predictions, load_damaged_joint_spaces)
    yield from (load_damaged_evaluation, print_notices)


PATTERNS = {
    "readings": "readings/anna/*.json",
    "regions": "regions/*.json",
    "lists of films": "films/*/films.json",
    "proposals": "proposals/model/*.json",
    "predictions": f"models/{MODEL}/answers/*.json",
    "joint spaces": f"{JOINT_SPACE}/*.json",
    "evaluations": f"models/{MODEL}/evaluation.json",
    "order": "models/order.json",
    "locks": "readings/anna/*.lock",
    "visits": "private/visits/*.json",
}


def _attack(folder: Path, kinds: tuple[str, ...], trials: int) -> Outcome:
    study = make_full_study(folder)
    rng = random.Random(SEED)
    faults = [trial for kind in kinds for trial in try_values(study, PATTERNS[kind], trials, rng) if trial.faults]
    for trial in faults[:5]:
        print(trial.file, trial.change, *trial.faults, sep="\n")
    return Outcome(trials * len(kinds), noticed=trials * len(kinds) - len(faults))


@attack("a valid seal over odd values in a reading or its lock", by="rater")
def odd_readings(folder: Path) -> Outcome:
    """Give readings of one rater odd values; every command goes on with the others."""
    return _attack(folder, ("readings", "locks"), TRIALS)


@attack("a valid seal over odd values in regions", by="rater")
def odd_regions(folder: Path) -> Outcome:
    """Give regions, which every rater may write, odd values."""
    return _attack(folder, ("regions",), TRIALS)


@attack("a valid seal over odd values in proposals, predictions, evaluations, order", by="trainer")
def odd_files_of_models(folder: Path) -> Outcome:
    """Give the files of models and of measurements odd values."""
    return _attack(folder, ("proposals", "predictions", "joint spaces", "evaluations", "order"), TRIALS // 2)


@attack("a valid seal over odd values in a list of films or of visits", by="owner")
def odd_films(folder: Path) -> Outcome:
    """Give lists of films odd values."""
    return _attack(folder, ("lists of films", "visits"), TRIALS)
