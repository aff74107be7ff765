"""Commands that print results of a study: ``status``, ``agreement`` and ``report``.

None of them shows a rater another rater's scores before every rater has signed.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratui.cli.output import format_columns, print_late_changes, print_notices, to_csv, to_json, write_output
from ratui.cli.recording import record_results
from ratui.errors import StudyError, clean_text
from ratui.progress_bar import ProgressBar

if TYPE_CHECKING:
    from ratui.results.display_tests import DisplayTestSummary
    from ratui.results.progress import ProgressRow, StudyProgress

__all__ = ["COMMANDS"]

_FILE = click.Path(path_type=Path)
_HEADERS = ("case", "rater", "stage", "fields", "fields_total", "joints", "joints_total", "minutes", "flags", "missing")


@click.command()
@click.argument("study", type=_FILE)
@click.option("--html", type=_FILE, metavar="FILE", help="Write one HTML page; - for standard output.")
@click.option(
    "--csv", "table", type=_FILE, metavar="FILE", help="Write CSV, one line per rater and case; - for standard output."
)
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
@click.option("--visits", is_flag=True, help="List visits outside the days that the charter plans (managers only).")
def status(study: Path, html: Path | None, table: Path | None, json_: bool, visits: bool) -> None:
    """Show the progress of each rater in STUDY, the time spent, and the work that is left.

    Minutes count the time spent reading; only the first minute of a pause counts. No scores are shown.
    """
    from ratui.results.display_tests import summarize_display_tests
    from ratui.results.progress import measure_progress
    from ratui.study import Study

    opened = Study.open(study)
    bar = ProgressBar()
    found = measure_progress(opened, on_progress=lambda done, of: bar("reading cases", done, of), with_visits=visits)
    displays = summarize_display_tests(opened)
    if json_:
        tests = {"display_tests": displays.to_document()} if opened.is_manager else {}
        click.echo(to_json(found.to_document() | tests), nl=False)
    if table is not None:
        rows = ([row.to_record()[head] for head in _HEADERS] for row in found.rows)
        write_output(to_csv(_HEADERS, rows, ids=("rater",)), table)
    if html is not None:
        from ratui.results.html import page, section
        from ratui.results.html import table as html_table
        from ratui.results.progress import render_progress

        shown = displays.to_table()
        body = render_progress(found)
        if shown.rows:
            listed = html_table(shown.headers, shown.rows, text_columns=shown.text_columns, caption=shown.note)
            body.append(section(shown.title, [listed], 3))
        write_output(page(f"{found.title}: progress", body), html)
    if not (json_ or table or html):
        for line in (*_status_lines(found), *_display_lines(displays)):
            click.echo(line)
        if lock := opened.config.lock:
            click.echo(f"locked at {lock.at} by {clean_text(lock.account)}: {clean_text(lock.reason, 200)}")
    print_notices(opened)


def _status_lines(found: StudyProgress) -> list[str]:
    from ratui.results.progress import describe_incomplete_repeats, describe_late_changes
    from ratui.results.text_table import format_count
    from ratui.results.visit_deviations import describe_deviation

    raters = [each.rater for each in found.raters]
    lines = [f"{clean_text(found.title)}: {found.scheme}, {found.count_cases()}"]
    cells = []
    for rows in found.by_case():
        by_rater = {row.rater: _cell(row) for row in rows}
        cells.append([rows[0].state.case, *(by_rater.get(rater, "not assigned") for rater in raters)])
    lines += format_columns(["case", *raters], cells, text_columns=1 + len(raters))
    done = [
        [
            f"{each.rater} (left)" if each.rater in found.departed else each.rater,
            f"{each.signed} of {each.cases}",
            each.started,
            each.untouched,
            *([f"{each.repeats_signed} of {each.repeats}"] if found.repeats else []),
            "–" if each.median_minutes is None else f"{each.median_minutes:.1f}",
            f"{each.minutes / 60:.1f}",
        ]
        for each in found.raters
    ]
    repeats = ["repeats"] if found.repeats else []
    lines += ["", *format_columns(["rater", "signed", "begun", "untouched", *repeats, "min a case", "hours"], done)]
    if found.incomplete_repeats:
        lines += ["", describe_incomplete_repeats(found.incomplete_repeats)]
    missing = _describe_missing(found)
    if missing:
        lines += ["", "missing", *missing[:_LISTED]]
    if len(missing) > _LISTED:
        lines.append(f"  and {len(missing) - _LISTED} more; for all of them: --csv -")
    if found.deviations is not None:
        deviations = [f"  {each.case} {clean_text(describe_deviation(each), 120)}" for each in found.deviations]
        lines += ["", "visits outside the days of the charter", *(deviations or ["  none"])]
    late = describe_late_changes(found.late)
    if late:
        lines += ["", "changed after all raters had signed", *(f"  {clean_text(line, 200)}" for line in late)]
    if found.consensus_signed:
        lines.append(f"consensus signed: {format_count(found.consensus_signed, 'case')}")
    return lines


def _display_lines(found: DisplayTestSummary) -> list[str]:
    """Return what each rater could see on each display; nothing without a test."""
    table = found.to_table()
    if not table.rows:
        return []
    columns = format_columns(table.headers, table.rows, text_columns=table.text_columns)
    return ["", f"displays: {table.note}", *columns]


def _describe_missing(found: StudyProgress) -> list[str]:
    """Return the work left for each rater in each case; cases nobody can read are counted by reason."""
    lines, unreadable = [], Counter[str]()
    for rows in found.by_case():
        if all(row.state.stage == "unreadable" for row in rows) and len({row.missing for row in rows}) == 1:
            unreadable[rows[0].missing] += 1
        else:
            lines += [f"  {row.state.case} {row.rater}: {clean_text(row.missing, 100)}" for row in rows if row.missing]
    for why, count in unreadable.items():
        lines.insert(0, f"  {count} can't be read by anybody: {clean_text(why, 100)}")
    return lines


_LISTED = 20
"""Maximum number of lines about missing work."""


def _cell(row: ProgressRow) -> str:
    state = row.state
    if not state.total:
        return clean_text(state.note) or state.stage
    minutes = f" {row.minutes:.1f} min" if state.seconds else ""
    flags = f" ⚑{state.flags}" if state.flags else ""
    stage = "to read" if state.stage == "reading" and not state.done else state.stage
    return f"{stage} {state.done}/{state.total}{minutes}{flags}"


@click.command()
@click.argument("study", type=_FILE)
@click.option("--rater", "raters", multiple=True, help="Compare only this rater; may be repeated.  [default: all]")
@click.option("--missing", help="Rule for totals of fields without a score; required if a field has none.")
@click.option("--interim", is_flag=True, help="Include cases that some rater has not signed (managers only).")
@click.option("--exclude-coarse", is_flag=True, help="Leave out entries made on films displayed too coarsely.")
@click.option("--plots", type=_FILE, metavar="FOLDER", help="Save the plots as PNG and SVG in this folder.")
@click.option("--show", "shown", is_flag=True, help="Show the plots in this terminal.")
@click.option("--graphics", default="auto", show_default=True, help="Plots: auto, kitty, iterm2, sixel or halfcell.")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
@click.option("--seed", default=0, show_default=True, help="Seed of the bootstrap.")
def agreement(
    study: Path,
    raters: tuple[str, ...],
    missing: str | None,
    interim: bool,
    exclude_coarse: bool,
    plots: Path | None,
    shown: bool,
    graphics: str,
    json_: bool,
    seed: int,
) -> None:
    """Show the agreement of STUDY's raters: ICC, kappa, limits of agreement, smallest detectable change, sites.

    A case counts once every rater has signed it. The exit code is 1 if fewer than two raters or cases can be compared.
    """
    from ratui.results.agreement import measure_agreement
    from ratui.results.agreement_tables import make_agreement_tables, summarize_agreement
    from ratui.results.released import collect_released_readings
    from ratui.results.totals import choose_rule
    from ratui.study import Study
    from ratui.study.readings.late_changes import changes_after_release

    opened = Study.open(study)
    released = collect_released_readings(opened, raters, interim=interim, exclude_coarse=exclude_coarse)
    print_notices(opened)
    late = changes_after_release(opened)
    print_late_changes(late)
    rule = choose_rule(released, missing, study=opened)
    found, scores = measure_agreement(opened, released, rule, seed=seed, late=late)
    record_results(opened, "agreement", released, f"fields without a score: {rule.name}")
    if json_:
        click.echo(to_json(found.to_document()), nl=False)
    else:
        click.echo(f"{clean_text(found.title)}: {found.scheme}\n{summarize_agreement(found)}")
        for text_table in make_agreement_tables(found):
            click.echo(f"\n{text_table.title}")
            for line in format_columns(text_table.headers, text_table.rows, text_columns=text_table.text_columns):
                click.echo(f"  {line}")
            click.echo(f"  {text_table.note}")
        if released.excluded is not None:
            click.echo(f"\nleft out, because the films were displayed too coarsely: {released.excluded} entries")
    if not (plots or shown):
        return
    from ratui.results.plots import encode_figure, list_plots

    made = {name: make() for name, make in list_plots(found, scores).items()}
    if plots is not None:
        for name, figure in made.items():
            write_output(encode_figure(figure, "png"), plots / f"{name}.png")
            write_output(encode_figure(figure, "svg"), plots / f"{name}.svg")
    if shown:
        from ratui.cli.inline_images import show_images

        show_images([(name, encode_figure(figure, "png")) for name, figure in made.items()], graphics)


@click.command()
@click.argument("study", type=_FILE)
@click.argument("file", type=_FILE)
@click.option("--rater", "raters", multiple=True, help="Include only this rater; may be repeated.  [default: all]")
@click.option("--reason", default="", help="Why raters are left out, for the report; required with --rater.")
@click.option("--missing", help="Rule for totals of fields without a score; required if a field has none.")
@click.option(
    "--threshold",
    type=float,
    help="Difference of two raters' total change (one visit: total) that makes a dispute.  [default: of the charter, or 7]",
)
@click.option("--evaluation", "evaluations", type=_FILE, multiple=True, help="Folder written by ratui-train evaluate.")
@click.option("--interim", is_flag=True, help="Include cases that some rater has not signed (managers only).")
@click.option("--exclude-coarse", is_flag=True, help="Leave out entries made on films displayed too coarsely.")
@click.option("--no-plots", "plots", flag_value=False, default=True, help="Omit plots, which need matplotlib.")
@click.option("--seed", default=0, show_default=True, help="Seed of the bootstrap.")
def report(
    study: Path,
    file: Path,
    raters: tuple[str, ...],
    reason: str,
    missing: str | None,
    threshold: float | None,
    evaluations: tuple[Path, ...],
    interim: bool,
    exclude_coarse: bool,
    plots: bool,
    seed: int,
) -> None:
    """Write the results of STUDY to FILE, one HTML page: methods, progress, agreement, outcome, models and plots.

    Cases that a rater has not signed are kept back. If a rater can't sign them any more, --rater names the others, --reason
    states why, and --interim includes the cases.
    """
    from datetime import UTC, datetime

    from ratui.results.disputes import DisputeLimits
    from ratui.results.released import collect_released_readings
    from ratui.results.report import render_report
    from ratui.results.totals import choose_rule
    from ratui.study import Study
    from ratui.study.readings.late_changes import changes_after_release

    opened = Study.open(study)
    if raters and not reason.strip():
        raise StudyError("results of some raters only need a reason", "--reason", "State why the others are left out")
    released = collect_released_readings(opened, raters, interim=interim, exclude_coarse=exclude_coarse)
    rule = choose_rule(released, missing, study=opened)
    today = datetime.now(UTC).astimezone().date()
    limits = DisputeLimits(case=opened.config.charter.adjudication_points if threshold is None else threshold)
    write_output(
        render_report(
            opened,
            released,
            rule,
            today=today,
            limits=limits,
            reason=reason.strip(),
            evaluations=evaluations,
            with_plots=plots,
            seed=seed,
        ),
        file,
    )
    files = [] if str(file) == "-" else [file]
    record_results(opened, "report", released, f"fields without a score: {rule.name}", files)
    print_notices(opened)
    print_late_changes(changes_after_release(opened))


COMMANDS = (status, agreement, report)
