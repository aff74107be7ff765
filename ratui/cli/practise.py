"""The command ``ratui practise``: learn the score with the answer after each joint, and examinations without answers."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratui.cli.app import run_app
from ratui.cli.output import print_notices, to_json, write_output
from ratui.errors import StudyError, clean_text
from ratui.files import temporary_folder

if TYPE_CHECKING:
    from ratui.practice import ExamResult
    from ratui.practice.marking import QuantityFigures
    from ratui.scheme import Scheme
    from ratui.study import AnswerSummary
    from ratui.study.campaign.charter import Qualification

__all__ = ["COMMANDS"]

_PATH = click.Path(path_type=Path)
_PRACTICE_CASES, _EXAM_CASES = 3, 10


@click.command()
@click.option("--cases", type=click.IntRange(1, 1000), help="Number of cases.  [default: 3; examination: 10]")
@click.option("--scheme", help="fingers, mtss-hands, mtss, or a .toml file.  [default: mtss-hands]")
@click.option("--visits", type=click.IntRange(1, 8), help="Visits of each patient.  [default: 2]")
@click.option("--severity", type=click.FloatRange(0, 10), help="Severity of each disease; 1: mean.  [default: 1.5]")
@click.option(
    "--rows", type=click.IntRange(80, 4000), default=1250, show_default=True, help="Height of a film in pixels."
)
@click.option("--seed", type=click.IntRange(0), help="Seed of the patients; it reveals the truth.  [default: drawn]")
@click.option("--reference", type=_PATH, metavar="STUDY", help="Practise on signed cases of this study.")
@click.option("--rater", "raters", multiple=True, help="Rater of the reference or examination; may be repeated.")
@click.option("--exam", type=_PATH, metavar="FOLDER", help="Read this examination; no answers are shown.")
@click.option("--make-exam", "make", type=_PATH, metavar="FOLDER", help="Managers: create an examination.")
@click.option("--mark", "marked", type=_PATH, metavar="FOLDER", help="Managers: verify and mark an examination.")
@click.option("--truth", type=_PATH, metavar="FILE", help="Managers: file of the truth, which raters must not read.")
@click.option("--blinded", is_flag=True, help="New examination: hide the order of the films.")
@click.option("--group", default="", help="New examination: Unix group of the raters, who use accounts of their own.")
@click.option("--icc-status", type=click.FloatRange(0, 1), help="New examination: least ICC of status.  [default: 0.8]")
@click.option("--icc-change", type=click.FloatRange(0, 1), help="New examination: least ICC of change.  [default: 0.6]")
@click.option("--kappa", type=click.FloatRange(0, 1), help="New examination: least weighted kappa.  [default: 0.6]")
@click.option("--sdc", type=click.FloatRange(0, 1000), help="New examination: largest SDC in points.  [default: any]")
@click.option("--for", "trial", type=_PATH, metavar="STUDY", help="Managers: study whose raters are examined.")
@click.option("--record", type=_PATH, metavar="FILE", help="Marking: write the results as JSON with a digest.")
@click.option("--graphics", default="auto", show_default=True, help="Films: auto, kitty, iterm2, sixel or halfcell.")
@click.option("--lang", "language", help="Language: en or ja. Overrides the settings and the environment.")
def practise(
    cases: int | None,
    scheme: str | None,
    visits: int | None,
    severity: float | None,
    rows: int,
    seed: int | None,
    reference: Path | None,
    raters: tuple[str, ...],
    exam: Path | None,
    make: Path | None,
    marked: Path | None,
    truth: Path | None,
    blinded: bool,
    group: str,
    icc_status: float | None,
    icc_change: float | None,
    kappa: float | None,
    sdc: float | None,
    trial: Path | None,
    record: Path | None,
    graphics: str,
    language: str | None,
) -> None:
    """Learn the score: answer joint after joint, and see the true answer after each one.

    The joints are those of simulated patients, or with --reference those of a signed reading. Nothing is stored. You may
    stop at any time.

    An examination shows no answers. A manager creates it with --make-exam, and the raters read it like any other study.
    The manager then verifies and marks it with --mark. With --for STUDY a new examination has the scheme, visits, marks
    and raters of that study, and marking records the results there, for a charter that requires them.
    """
    if sum(each is not None for each in (reference, exam, make, marked)) > 1:
        raise click.UsageError("--reference, --exam, --make-exam and --mark exclude each other")
    if (make is not None or marked is not None) and truth is None:
        raise click.UsageError("--make-exam and --mark need --truth FILE")
    if (reference is not None or (make is not None and trial is not None)) and (scheme or visits):
        raise click.UsageError("--reference and --for take --scheme and --visits from the study")
    size = (rows, round(rows * 0.82))
    plan = _Plan(scheme or "mtss-hands", visits or 2, raters=raters, blinded=blinded, group=group)
    if make is not None and truth is not None:
        marks = _choose_marks(icc_status, icc_change, kappa, sdc)
        _make(make, truth, _plan_for(trial, plan) if trial else plan, cases or _EXAM_CASES, seed, marks, size)
    elif marked is not None and truth is not None:
        _mark(marked, truth, trial, record)
    elif exam is not None:
        from ratui.study import Study

        run_app(Study.open(exam), _one_rater(raters, "--exam"), None, graphics, language)
    else:
        rater = _one_rater(raters, "--reference") if reference is not None else ""
        _practise(reference, rater, plan, cases or _PRACTICE_CASES, seed, severity, size, graphics, language)


@dataclass(frozen=True)
class _Plan:
    """Values of a new examination, which may be those of the study that it is for."""

    scheme: Scheme | str
    visits: int
    visit_names: tuple[str, ...] = ()
    raters: tuple[str, ...] = ()
    marks: Qualification | None = None
    blinded: bool = False
    group: str = ""
    managers: str = ""
    study: Path | None = None


def _plan_for(path: Path, plan: _Plan) -> _Plan:
    """Return `plan` with the values of the study in `path`; raters and group only where the plan has none."""
    from ratui.practice.examination import count_planned_visits
    from ratui.study import Study

    study = Study.open(path)
    study.check_manager("make an examination for it")
    charter, marks = study.config.charter, study.config.charter.qualification
    return _Plan(
        study.scheme,
        count_planned_visits(study),
        charter.visit_names,
        plan.raters or study.config.active_raters,
        replace(marks, required=False) if any(vars(replace(marks, required=False)).values()) else None,
        plan.blinded or study.config.blinded,
        plan.group or study.config.group,
        study.config.managers,
        path,
    )


def _one_rater(raters: tuple[str, ...], option: str) -> str:
    if len(raters) != 1:
        raise click.UsageError(f"{option} needs --rater ID, once")
    return raters[0]


def _practise(
    reference: Path | None,
    rater: str,
    plan: _Plan,
    cases: int,
    seed: int | None,
    severity: float | None,
    size: tuple[int, int],
    graphics: str,
    language: str | None,
) -> None:
    from ratui.practice import open_reference_practice, open_simulated_practice
    from ratui.practice.practice_study import TRAINEE
    from ratui.progress_bar import ProgressBar
    from ratui.study import Study

    with ExitStack() as opened:
        folder = opened.enter_context(temporary_folder("ratui-practice-")) / "practice"
        if reference is not None:
            practice = open_reference_practice(
                folder, Study.open(reference), rater, cases=cases, progress=ProgressBar()
            )
        else:
            severe = 1.5 if severity is None else severity  # enough damage to learn from
            practice = open_simulated_practice(
                folder,
                plan.scheme,
                cases=cases,
                seed=seed,
                severity=severe,
                size=size,
                visits=plan.visits,
                progress=ProgressBar(),
            )
        run_app(practice, TRAINEE, practice.cases()[0], graphics, language)
        click.echo(_describe_summary(practice.summarize_answers()))


def _describe_summary(summary: AnswerSummary) -> str:
    from ratui.results.text_table import format_count

    if not summary.joints:
        return "no joint was answered"
    kappa = "not defined" if summary.kappa is None else f"{summary.kappa:z.2f}"
    difference = "not defined" if summary.difference is None else f"{summary.difference:+z.2f} grades"
    return f"{format_count(summary.joints, 'joint')} answered: weighted kappa {kappa}, mean difference {difference}"


def _choose_marks(
    icc_status: float | None, icc_change: float | None, kappa: float | None, sdc: float | None
) -> Qualification | None:
    from ratui.study.campaign.charter import Qualification

    given = {"icc_status": icc_status, "icc_change": icc_change, "kappa": kappa, "sdc": sdc}
    if all(value is None for value in given.values()):
        return None
    return Qualification(icc_status=icc_status, icc_change=icc_change, kappa=kappa, sdc=sdc)


def _make(
    folder: Path,
    truth: Path,
    plan: _Plan,
    cases: int,
    seed: int | None,
    marks: Qualification | None,
    size: tuple[int, int],
) -> None:
    from ratui.practice import make_examination
    from ratui.progress_bar import ProgressBar
    from ratui.results.text_table import format_count

    if not plan.raters:
        raise click.UsageError("--make-exam needs --rater ID, at least once, or --for STUDY")
    study, examination = make_examination(
        folder,
        truth,
        plan.scheme,
        plan.raters,
        cases=cases,
        seed=seed,
        marks=marks or plan.marks,
        blinded=plan.blinded,
        group=plan.group,
        managers=plan.managers,
        size=size,
        visits=plan.visits,
        visit_names=plan.visit_names,
        progress=ProgressBar(),
    )
    counts = f"{len(study.cases())} cases, {format_count(examination.visits, 'visit')} each"
    click.echo(f"examination of {counts}: {clean_text(folder, 200)}")
    click.echo(f"truth, which no rater may read: {clean_text(truth, 200)}")
    click.echo(f"next, each rater: ratui read {clean_text(folder, 200)} --rater ID")
    trial = f" --for {clean_text(plan.study, 200)}" if plan.study else ""
    click.echo(f"then: ratui practise --mark {clean_text(folder, 200)} --truth {clean_text(truth, 200)}{trial}")


def _mark(folder: Path, truth: Path, trial: Path | None, record: Path | None) -> None:
    from ratui.practice import mark_examination, open_examination
    from ratui.practice.examination import check_examination_fits
    from ratui.practice.record import check_owner, make_record, save_qualifications
    from ratui.study import Study

    study = Study.open(folder)
    study.check_manager("mark its examination")
    examination = open_examination(truth, study)
    opened = Study.open(trial) if trial is not None else None
    if opened is not None:  # before the marking, which may take long
        check_owner(opened)
        check_examination_fits(examination, study, opened)
    results = mark_examination(study, examination, examination.marks)
    print_notices(study)
    made = make_record(study, examination, results)
    known = [result for result in results if opened and result.rater in opened.config.raters and result.figures]
    if opened is not None and known:  # before anything is printed: the output may be cut off
        save_qualifications(opened, examination, known, made)
    for result in results:
        click.echo(_describe_result(result))
    click.echo(f"digest of the record: {made['digest']}")
    if record is not None:
        write_output(to_json(made), record)
    if opened is not None:
        if not known:
            raise StudyError(
                "no rater of this study has finished the examination", opened.path, "Let the raters read it first"
            )
        click.echo(f"recorded in {clean_text(opened.path, 200)}: {', '.join(result.rater for result in known)}")


def _describe_result(result: ExamResult) -> str:
    verdict = "passed" if result.has_passed else f"NOT passed: {'; '.join(result.shortfalls)}"
    line = f"{result.rater}: {verdict}"
    if result.figures is not None:
        figures = result.figures
        shown = {
            "ICC of status": figures.icc_status,
            "ICC of change": figures.icc_change,
            "kappa": figures.kappa,
            "SDC": figures.sdc,
            "mean difference": figures.difference,
        }
        values = ", ".join(f"{name} {'–' if value is None else f'{value:z.2f}'}" for name, value in shown.items())
        line += f"\n  {values}; {figures.scored} of {figures.fields} fields scored"
        line += "".join(f"\n  {_describe_quantity(each)}" for each in result.quantities)
    if result.reopened:
        line += f"\n  readings opened again after the signature: {result.reopened}"
    return line


def _describe_quantity(figures: QuantityFigures) -> str:
    values = [("ICC", figures.icc), *([("SDC", figures.sdc)] if figures.sdc is not None else [])]
    return f"{figures.name}: " + ", ".join(
        f"{name} {'–' if value is None else f'{value:z.2f}'}" for name, value in values
    )


COMMANDS = (practise,)
