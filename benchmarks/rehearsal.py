"""Rehearse a trial's reading campaign with simulated patients and raters, from the charter to the locked study.

Run ``python -m benchmarks.rehearsal FOLDER [--patients 24] [--visits 4] [--raters 5] [--r]``.

Five raters, two per case, blinded to the order of the visits; every tenth case returns under another name. Half of the
readings are made, then one rater is replaced and the charter is amended. A reading is reopened after its release, disputed
cases are adjudicated, and the study is exported, reported, checked and locked. At the end `benchmarks.recompute` computes
the figures of the report again from the exported CSV alone (with `--r` also in R). The exit code is 1 if a figure differs.

A second, smaller study in FOLDER has no charter, two visits, three raters who read all cases, and the answers of a model. It
has a report of all raters and one of two of them with the reason.

All of it passes through the commands of ratui, but for the entries: simulated raters make them by the rules of the app.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks.recompute import print_comparison
from ratui.demo.simulate import SimulatedStudy, Simulation, choose_entry, simulate_study
from ratui.phantom import SimulatedRater
from ratui.practice.psychometrics import compute_probability_correct
from ratui.practice.reading_test import ReadingTest
from ratui.reading import DisplayRecord, GradeEntry, TerminalSize, enter, find_next_open_field, reopen, sign
from ratui.results.adjudication import Adjudication, build_queue
from ratui.results.disputes import DisputeLimits, find_disputes
from ratui.results.released import collect_released_readings
from ratui.results.totals import choose_rule
from ratui.study import CONSENSUS, Study
from ratui.study.campaign.display_tests import DisplayFacts, DisplayTest, add_display_tests
from ratui.study.model_results.predictions import Prediction, save_predictions

__all__ = ["Campaign", "rehearse", "rehearse_without_charter"]

RunCommand = Callable[..., str]
"""Function that runs ``ratui`` with the given words, and returns what it printed."""
_START = datetime(2024, 2, 1, 18, 0, tzinfo=UTC)
"""Time of the first entry. Readings after the amendment begin a day after the present, which is the amendment's time."""
_KINDS = ("shared-shift", "mixed", "own-borders", "independent", "threshold")
_MISSING = 0.01
_DISPLAYS = {"r1": ("sixel", 120, 13.0), "r2": ("kitty", 120, 19.0), "r9": ("halfcell", 80, 3.1)}
"""Protocol, columns, and pixels per mm of the displays that raters have tested; r2 reads on another one."""
_TESTS = (("r1", 1.5), ("r1", 1.2), ("r2", 0.1), ("r9", 9.0))
"""Tests of displays and the erosion in mm that the rater can see there: r1 twice on one display, r9 sees none."""


@dataclass(frozen=True)
class Campaign:
    """Size and seed of a rehearsal: patients, visits, raters, raters per case, (rows, columns) of a film, plots or not."""

    patients: int = 24
    visits: int = 4
    raters: int = 5
    raters_per_case: int = 2
    size: tuple[int, int] = (200, 164)
    scheme: str = "mtss-hands"
    repeats: float = 0.1
    seed: int = 0
    plots: bool = True
    missing: str = "carried"


def _charter(campaign: Campaign, points: float) -> str:
    days = [182 * number for number in range(campaign.visits)]
    names = ["baseline" if not day else f"week {day // 7}" for day in days]
    visits = ", ".join(
        f'{{ name = "{name}", day = {day}, before = {30 if day else 0}, after = 60 }}'
        for name, day in zip(names, days, strict=True)
    )
    return (
        f"visits = [{visits}]\n"
        f'missing = "{campaign.missing}"\n'
        'final = "consensus_or_mean"\n'
        f"adjudication_points = {points}\n"
        f"repeats_share = {campaign.repeats}\n"
        "windows = [{ opens = 2024-01-15, closes = 2199-12-31 }]\n"
        "qualification = { icc_status = 0.8, kappa = 0.6, sdc = 5.5 }\n"
    )


def rehearse(folder: Path, campaign: Campaign, run: RunCommand) -> None:
    """Run the campaign in the new `folder`: its study, ``report.html``, the export ``out``, and ``audit.csv``."""
    path = folder / "study"
    simulated, kinds = _simulate(folder, campaign, blinded=True)
    (folder / "charter.toml").write_text(_charter(campaign, 12.0))
    run("charter", path, "--set", folder / "charter.toml", "--reason", "protocol 1.0")
    run("repeats", path, "--draw")
    simulated = replace(simulated, study=Study.open(path))
    rng = np.random.default_rng([campaign.seed, 1])
    _confirm_regions(simulated, rng)
    work = _list_work(simulated.study)
    rng.shuffle(work)
    work = _put_half_first(work, "r1", list(simulated.patients))
    half = len(work) // 2
    _read(simulated, kinds, work[:half], rng, _START)
    _test_displays(simulated.study, _TESTS[:2])
    run("raters", path, "--replace", "r1", "r9", "--reason", "parental leave")
    kinds["r9"] = "mixed"
    (folder / "amended.toml").write_text(_charter(campaign, 8.0))
    run("charter", path, "--set", folder / "amended.toml", "--reason", "protocol 1.1: fewer points for adjudication")
    simulated = replace(simulated, study=Study.open(path))
    left = [
        (rater, case) for rater, case in _list_work(simulated.study) if not _is_signed(simulated.study, rater, case)
    ]
    rng.shuffle(left)
    resumed = datetime.now(UTC) + timedelta(days=1)
    _read(simulated, kinds, left, rng, resumed)
    _change_after_release(simulated.study, resumed + timedelta(days=100))
    _adjudicate(simulated, rng, resumed + timedelta(days=120))
    _test_displays(simulated.study, _TESTS[2:])
    run("measure", path)
    run("lock", path, "--reason", "data cleaned")
    run("export", path, folder / "out", "--format", "csv", "--format", "adam", "--with-notes")
    run("report", path, folder / "report.html", *["--no-plots"] * (not campaign.plots))
    run("agreement", path)
    run("status", path)
    run("check", path)
    run("lock", path, "--check")
    run("audit", path, "--csv", folder / "audit.csv")


def rehearse_without_charter(folder: Path, campaign: Campaign, run: RunCommand) -> None:
    """Run a study without a charter in the new `folder`, of which all raters read all cases, and which a model has scored.

    Beside the report and the export of all raters there are ``some.html`` and ``some`` of the first two, with a reason.
    ``predictions.csv`` has the probabilities of the model.
    """
    path = folder / "study"
    simulated, kinds = _simulate(folder, replace(campaign, raters_per_case=0), blinded=False)
    rng = np.random.default_rng([campaign.seed, 2])
    _confirm_regions(simulated, rng)
    _read(simulated, kinds, _list_work(simulated.study), rng, _START)
    _predict(simulated, folder / "predictions.csv", rng)
    run("measure", path)
    subset = ["--rater", "r1", "--rater", "r2"]
    for name, chosen, why in (("report", [], []), ("some", subset, ["--reason", "r3 did not finish"])):
        words = [*chosen, "--missing", campaign.missing]
        run("export", path, folder / ("out" if name == "report" else name), "--with-notes", *words)
        run("report", path, folder / f"{name}.html", *words, *why, *["--no-plots"] * (not campaign.plots))


def _simulate(folder: Path, campaign: Campaign, *, blinded: bool) -> tuple[SimulatedStudy, dict[str, str]]:
    """Create the study of a campaign, which nobody has read, in the new `folder`. Return it and the kinds of its raters."""
    folder.mkdir(parents=True)
    kinds = {f"r{number + 1}": _KINDS[number % len(_KINDS)] for number in range(campaign.raters)}
    simulation = Simulation(
        campaign.patients,
        kinds,
        size=campaign.size,
        seed=campaign.seed,
        scheme=campaign.scheme,
        title="Rehearsal",
        visits=campaign.visits,
        interval=182,
        raters_per_case=campaign.raters_per_case,
        blinded=blinded,
    )
    unread = dict.fromkeys(kinds, campaign.patients)
    key = folder / "key.json"
    made = simulate_study(folder / "study", simulation, key=key, progress=lambda *_: None, unread=unread)
    return made, kinds


def _confirm_regions(simulated: SimulatedStudy, rng: np.random.Generator) -> None:
    for case in simulated.study.cases():
        simulated.confirm_regions(case, simulated.study.raters_of(case)[0], rng)


def _predict(simulated: SimulatedStudy, file: Path, rng: np.random.Generator) -> None:
    """Store random predictions of a model for each field of each case, and write them into `file`, too."""
    study, rows = simulated.study, [("model", "case", "site", "scale", "time", "probabilities")]
    for case in study.cases():
        found = []
        for site in study.case(case).sites(study.scheme):
            for scale in site.joint.scales:
                chances = rng.dirichlet(np.full(site.joint.max_grade(scale) + 1, 0.4), 2)
                both = tuple(map(float, chances[0])), tuple(map(float, chances[1]))
                grades = int(chances[0].argmax()), int(chances[1].argmax())
                found.append(Prediction(site.key, scale, grades, both, grades[1] - grades[0], 0.5))
                rows += [
                    ("scorer", case, site.key, scale, str(time), " ".join(map(repr, both[time]))) for time in (0, 1)
                ]
        save_predictions(study, "scorer", case, found)
    file.write_text("".join(",".join(row) + "\n" for row in rows), encoding="utf-8")


def _list_work(study: Study) -> list[tuple[str, str]]:
    return [(rater, case) for case in study.cases() for rater in study.raters_of(case)]


def _put_half_first(work: list[tuple[str, str]], rater: str, cases: list[str]) -> list[tuple[str, str]]:
    """Return the work with half of a rater's readings of `cases` first, and the rest of the rater's last."""
    mine = [each for each in work if each[0] == rater and each[1] in cases]
    first = mine[: (len(mine) + 1) // 2]
    last = [each for each in work if each[0] == rater and each not in first]
    return [*first, *(each for each in work if each[0] != rater), *last]


def _is_signed(study: Study, rater: str, case: str) -> bool:
    reading = study.reading(rater, case)
    return reading is not None and reading.signed_at is not None


def _read(
    simulated: SimulatedStudy,
    kinds: dict[str, str],
    work: list[tuple[str, str]],
    rng: np.random.Generator,
    start: datetime,
) -> None:
    for number, (rater, case) in enumerate(work):
        begun = start + timedelta(hours=3 * number)
        protocol, _, pixels = ("sixel", 120, 11.0) if rater == "r2" else _DISPLAYS.get(rater, ("kitty", 120, 12.0))
        pixels = round(pixels * (0.7, 1.0, 1.2)[number % 3], 2)
        size = TerminalSize((118, 130)[number % 2], 40, 10, 20) if number % 4 else None  # None: of an earlier version
        display = DisplayRecord(("a", "b"), protocol, pixels, protocol != "halfcell", (), 2.0, "terminal", size)
        simulated.read(case, rater, kinds[rater], rng, begun=begun, missing_share=_MISSING, display=display)


def _test_displays(study: Study, tests: Sequence[tuple[str, float]]) -> None:
    """Let raters take the reading test: by rater, the erosion in mm that the rater can see; a fifth of it in narrowing."""
    for number, (rater, threshold) in enumerate(tests):
        test, rng = ReadingTest(number), np.random.default_rng(number)
        while (trial := test.trial) is not None:
            size = threshold if trial.part == "erosion" else 0.2 * threshold
            is_seen = rng.random() < compute_probability_correct(trial.size, size, 3.0, 0.02)
            test.answer(trial.place if is_seen else 1 - trial.place, 1.5)
        protocol, columns, pixels = _DISPLAYS[rater]
        facts = DisplayFacts(
            "xterm(390)", protocol, columns, 40, (10, 20), (430, 640), pixels, True, 256, (), 1.7, "terminal"
        )
        at = (_START - timedelta(days=3 - number)).isoformat()
        add_display_tests(
            study, rater, [DisplayTest(f"{rater}-{number}", at, "1.0", str(number), facts, test.list_results())]
        )


def _change_after_release(study: Study, at: datetime) -> None:
    """Reopen one reading that all raters of the case have signed, change a grade, and sign it again."""
    released = collect_released_readings(study)
    active = study.config.active_raters
    case, rater = next((case, rater) for case, found in released.readings.items() for rater in found if rater in active)
    with study.open_reading(rater, case) as session:
        reading = reopen(session.reading, "query of the sponsor", timestamp=at)
        field = next(
            field
            for field in reading.fields
            if isinstance(reading.values[field], GradeEntry) and not reading.score(field)
        )
        reading = enter(reading, field, GradeEntry(1), timestamp=at, key="1")
        session.save(sign(reading, timestamp=at + timedelta(minutes=1)), seconds=session.seconds + 60)


def _adjudicate(simulated: SimulatedStudy, rng: np.random.Generator, at: datetime) -> None:
    """Settle the disputed cases as an adjudicator who sees the truth with small errors."""
    study = simulated.study
    released = collect_released_readings(study)
    charter = study.config.charter
    limits = DisputeLimits(charter.adjudication_points, charter.adjudication_model_over)
    found = find_disputes(study, released, limits, choose_rule(released, None, study=study))
    adjudication = Adjudication(study, build_queue(found))
    expert = SimulatedRater(shift=0.1, noise=0.1, miss_rate=0.0, false_finding_rate=0.0)
    for case in adjudication.cases():
        seen = expert.read(simulated.patients[case], rng)
        visits = {film.time: film.number for film in study.case(case).films}
        with adjudication.open_reading(CONSENSUS, case) as session:
            reading = session.reading
            while (field := find_next_open_field(reading)) is not None:
                reading = enter(reading, field, choose_entry(reading, field, visits[field.time], seen), timestamp=at)
            session.save(sign(reading, timestamp=at), seconds=60.0)


def _run_command(*words: object) -> str:
    done = subprocess.run([sys.executable, "-m", "ratui", *map(str, words)], capture_output=True, encoding="utf-8")
    print(f"$ ratui {' '.join(map(str, words))}\n{done.stdout}", flush=True)
    if done.returncode:
        sys.exit(f"{done.stderr}\nended with {done.returncode}")
    return done.stdout


def main() -> None:
    """Run the rehearsal of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--patients", type=int, default=24)
    parser.add_argument("--visits", type=int, default=4)
    parser.add_argument("--raters", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--r", action="store_true", help="compute the figures again in R as well")
    options = parser.parse_args()
    campaign = Campaign(options.patients, options.visits, options.raters, seed=options.seed)
    trial, plain = options.folder / "trial", options.folder / "without-charter"
    rehearse(trial, campaign, _run_command)
    small = replace(campaign, patients=(options.patients + 2) // 3, visits=2, raters=3, missing="prorated")
    rehearse_without_charter(plain, small, _run_command)
    wrong = []
    for folder, name, exports in ((trial, "report", "out"), (plain, "report", "out"), (plain, "some", "some")):
        print(f"{folder / name}.html")
        predictions = folder / "predictions.csv" if folder == plain else None
        settings = folder / "study" / "study.toml"
        wrong += print_comparison(folder / f"{name}.html", folder / exports, settings, predictions, with_r=options.r)
    print("\n".join(wrong) or "every figure of the reports follows from the exported CSV")
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(f"{sum(each.ru_utime + each.ru_stime for each in times):.0f} s of CPU")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
