"""The ``ratui`` command. Errors are printed as one message, with exit code 1.

Each subcommand imports its dependencies when it runs, so that ``ratui --help`` starts fast.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import click

from ratui.cli import (
    adjudicate,
    audit,
    blocks,
    charter,
    export,
    lock,
    maintenance,
    measure,
    pacs,
    practise,
    propose,
    quality,
    raters,
    repeats,
    results,
    simulate,
    turn,
)
from ratui.cli.app import run_app
from ratui.cli.start import is_interactive, run_start_screen
from ratui.errors import clean_text
from ratui.garbage_collection import exempt_from_collection
from ratui.numpy_threads import load_numpy_with_one_thread
from ratui.program import run_commands, run_program
from ratui.progress_bar import ProgressBar

__all__ = ["main"]

_FOLDER = click.Path(path_type=Path)
_GRAPHICS = click.option(
    "--graphics", default="auto", show_default=True, help="Display of films: auto, kitty, iterm2, sixel or halfcell."
)
_LANGUAGE = click.option("--lang", "language", help="Language: en or ja. Overrides the settings and the environment.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ratui", prog_name="ratui")
def commands() -> None:
    """Score joint damage on radiographs, in the terminal.

    \b
    ratui                               start screen: all of this by keys
    ratui demo                          read a sample case
    ratui practise                      learn the score, with the answers
    ratui new STUDY --rater ID          create a study
    ratui import STUDY FILES…           add films to it
    ratui fetch STUDY --from URL        add films of a PACS
    ratui propose STUDY                 find the joints on its films
    ratui read STUDY --rater ID         read its cases
    ratui quality STUDY                 image quality of the films
    ratui measure STUDY                 changes of joint spaces in mm
    ratui status STUDY                  progress of each rater
    ratui agreement STUDY               agreement of the raters
    ratui adjudicate STUDY              settle disputes between raters
    ratui export STUDY FOLDER           tables, JSON, COCO, DICOM
    ratui report STUDY FILE             all results on one HTML page
    ratui simulate STUDY                a study of simulated patients
    ratui doctor                        what this terminal can display
    ratui check STUDY                   check every file for damage
    ratui backup STUDY ARCHIVE          one verified archive
    """


for _command in (
    *results.COMMANDS,
    *export.COMMANDS,
    *adjudicate.COMMANDS,
    *audit.COMMANDS,
    *blocks.COMMANDS,
    *charter.COMMANDS,
    *lock.COMMANDS,
    *maintenance.COMMANDS,
    *measure.COMMANDS,
    *pacs.COMMANDS,
    *practise.COMMANDS,
    *propose.COMMANDS,
    *quality.COMMANDS,
    *raters.COMMANDS,
    *turn.COMMANDS,
    *simulate.COMMANDS,
    *repeats.COMMANDS,
):
    commands.add_command(_command)


@commands.command()
@click.argument("study", type=_FOLDER)
@click.option("--rater", "raters", multiple=True, required=True, help="ID of a rater; repeat it for each rater.")
@click.option("--scheme", default="mtss-hands", show_default=True, help="fingers, mtss-hands, mtss, or a .toml file.")
@click.option("--blinded", is_flag=True, help="Hide the order of the visits from the raters.")
@click.option("--title", default="", help="Title of the study, shown on the worklist.")
@click.option("--group", default="", help="Unix group that shares the study; without it only you have access.")
@click.option("--managers", default="", help="Unix group whose members manage the study, beside you.")
@click.option(
    "--raters-per-case", "count", default=0, help="Raters who read each case, drawn at random.  [default: all]"
)
def new(
    study: Path,
    raters: tuple[str, ...],
    scheme: str,
    blinded: bool,
    title: str,
    group: str,
    managers: str,
    count: int,
) -> None:
    """Create a new study in the folder STUDY."""
    from ratui.scheme import load_scheme
    from ratui.study import Study
    from ratui.tui.input.actions import Keymap
    from ratui.tui.recent_studies import remember_study

    Keymap(scheme=load_scheme(scheme))  # reject a finding's key that a screen needs now, not at the first reading
    made = Study.create(
        study,
        scheme,
        raters,
        blinded=blinded,
        title=title,
        group=group,
        managers=managers,
        raters_per_case=count,
    )
    remember_study(study, raters[0] if len(raters) == 1 else "")
    order = "blinded to the order" if blinded else "order shown"
    click.echo(f"created {clean_text(study)}: {made.scheme.title}; raters {', '.join(raters)}; {order}")
    click.echo(f"next: ratui import {clean_text(study)} FOLDER")


@commands.command("import")
@click.argument("study", type=_FOLDER)
@click.argument("files", nargs=-1, type=_FOLDER)
@click.option(
    "--manifest",
    type=_FOLDER,
    help="CSV file with columns file, patient, time, side [, issuer, view, day, spacing, take, override].",
)
@click.option("--dry-run", is_flag=True, help="Print what would be imported, and import nothing.")
@click.option("--review", is_flag=True, help="Show the plan with pictures, and decide on doubtful films by keys.")
@click.option("--save-manifest", "saved", type=_FOLDER, metavar="FILE", help="Write the decisions as a manifest.")
@click.option("--key", type=_FOLDER, help="File with the key to the pseudonyms, outside the study.")
@click.option("--second-key", is_flag=True, help="Accept a key that knows no case of the study; see the manual.")
@click.option(
    "--visits", type=click.IntRange(1, 8), help="Visits of a patient at most.  [default: those of the charter, or 2]"
)
@click.option("--watch", "watched", type=_FOLDER, metavar="FOLDER", help="Import films as they arrive in this folder.")
@click.option("--settle", default=30.0, show_default=True, help="Watch: seconds without a change that end a transfer.")
@click.option(
    "--no-propose", "proposes", flag_value=False, default=True, help="Do not search the new films for joints."
)
@_GRAPHICS
@_LANGUAGE
def import_(
    study: Path,
    files: tuple[Path, ...],
    manifest: Path | None,
    key: Path | None,
    second_key: bool,
    visits: int | None,
    watched: Path | None,
    settle: float,
    dry_run: bool,
    review: bool,
    saved: Path | None,
    proposes: bool,
    graphics: str,
    language: str | None,
) -> None:
    """Import DICOM files, folders, ZIP or tar archives, a DICOMDIR, or the files of a manifest into STUDY, de-identified.

    At the end it lists the imported and the refused files with the reasons. Then it searches the new films of hands and feet
    for joints and proposes their regions. This can be ended at any time, and ratui propose continues it. The exit code is 1
    if nothing was imported, and 3 if a place that may contain films could not be read.
    """
    from ratui.cli.case_lines import format_cases
    from ratui.cli.import_review import review_plan
    from ratui.cli.plan import format_plan, save_plan_list
    from ratui.results.text_table import format_count
    from ratui.study import Study, open_import
    from ratui.study.importing.planning.plan_review import find_draft_path

    opened = Study.open(study)
    if watched is not None:
        from ratui.cli.watch import watch_folder

        if files or manifest is not None:
            raise click.UsageError("--watch takes no other files and no manifest")
        if dry_run or review or saved is not None or visits is not None:
            raise click.UsageError("--watch has no --dry-run, no --review, no --save-manifest and no --visits")
        watch_folder(opened, watched, key=key, second_key=second_key, settle=max(settle, 0.0), proposes=proposes)
        return
    bar = ProgressBar()
    with open_import(opened, files, manifest=manifest, key=key, second_key=second_key, visits=visits) as current:
        plan = current.plan(lambda i, n: bar("reading headers", i, n))
        draft = find_draft_path(current.key_path, files, manifest)
        if review:
            plan = review_plan(plan, current.files, draft, graphics, language)
        if saved is not None:
            plan.save_manifest(saved)
            click.echo(f"manifest, which identifies patients: {clean_text(saved, 200)}")
        if dry_run:
            for line in format_plan(plan):
                click.echo(line)
            click.echo(f"list of the files by number: {clean_text(save_plan_list(plan, current.key_path), 200)}")
            click.echo("this list identifies patients: do not store it with the study")
            click.echo("nothing was imported")
            sys.exit(current.exit_code(len(plan.taken)))
        report = current.execute(plan, lambda i, n: bar("importing", i, n))
        if review:
            draft.unlink(missing_ok=True)
    # Files are listed by number because a file name may contain a patient's name, and terminal output may be recorded.
    for line in report.format_lines():
        click.echo(line)
    cases = {imported.case for imported in report.imported}
    skipped = f", {len(report.skipped)} not read" if report.skipped else ""
    counts = f"{format_count(len(report.imported), 'film')} of {format_count(len(cases), 'case')} imported"
    click.echo(f"{counts}, {format_count(len(report.rejected), 'file')} refused{skipped}")
    for line in format_cases(opened, cases):
        click.echo(line)
    click.echo(f"list of the files by number: {clean_text(report.save_list(), 200)}")
    if report.imported:
        click.echo(f"key to the pseudonyms: {clean_text(report.key, 200)}")
        click.echo("both files identify patients: do not store them with the study")
        if proposes:
            propose.propose_after_import(opened, cases)
    if report.exit_code:
        sys.exit(report.exit_code)


@commands.command()
@click.argument("study", type=_FOLDER)
@click.option("--rater", required=True, help="ID of the rater who reads.")
@click.option("--case", help="ID of a case to open at once.")
@_GRAPHICS
@_LANGUAGE
def read(study: Path, rater: str, case: str | None, graphics: str, language: str | None) -> None:
    """Read the cases of STUDY."""
    with exempt_from_collection():
        load_numpy_with_one_thread()
        from ratui.study import Study
        from ratui.tui.recent_studies import remember_study

        opened = Study.open(study)
    opened.check_rater(rater)
    remember_study(study, rater)
    run_app(opened, rater, case, graphics, language)


@commands.command()
@_LANGUAGE
@click.option("--card", is_flag=True, help="Print a reference page in Markdown: keys, grades, findings and reasons.")
@click.option("--scheme", default="mtss-hands", show_default=True, help="Scheme of the page: a name or a .toml file.")
def keys(language: str | None, card: bool, scheme: str) -> None:
    """List every action with its key, including the changes in the user's settings."""
    from ratui.tui.i18n.catalog import Catalog, choose_language
    from ratui.tui.input.actions import Keymap, format_key
    from ratui.tui.user_settings import read_user_settings

    settings = read_user_settings(language=language)
    t = Catalog(choose_language(wanted=settings.language))
    if card:
        from ratui.scheme import load_scheme
        from ratui.tui.screens.help.rater_card import format_rater_card

        loaded = load_scheme(scheme)
        keymap = Keymap(settings.keys, loaded, source=str(settings.source), grade_keys=settings.grades)
        click.echo(format_rater_card(loaded, keymap, t), nl=False)
        return
    for action in Keymap(settings.keys, source=str(settings.source), grade_keys=settings.grades).actions:
        click.echo(f"{action.id:<26} {format_key(action.key):<10} {action.help(t)}")
    click.echo(f"\n{t('card.change', file=clean_text(settings.source, 200))}")


@commands.command()
@click.option("--reading-test", "tests", is_flag=True, help="Test which erosions and narrowing you can see here.")
@click.option("--study", type=_FOLDER, help="Reading test: store the result in this study; with --rater.")
@click.option("--rater", help="Reading test: ID of the rater who takes it; with --study.")
@click.option(
    "--json", "json_", type=_FOLDER, metavar="FILE", help="Reading test: write the result as JSON; - prints it."
)
@click.option("--ruler", type=float, metavar="MM", help="Store the length of the ruler on your screen, for life size.")
@click.option("--seed", type=click.IntRange(0, 2**63), help="Reading test: seed of its films.  [default: drawn]")
@_GRAPHICS
@_LANGUAGE
def doctor(
    tests: bool,
    study: Path | None,
    rater: str | None,
    json_: Path | None,
    ruler: float | None,
    seed: int | None,
    graphics: str,
    language: str | None,
) -> None:
    """Show what this terminal can display, and a test card to check by eye.

    With --reading-test: show pairs of simulated joints, and find the smallest erosion and the smallest narrowing that you
    can see on this display, in 5 minutes. With --study and --rater the result is stored with the readings.
    """
    if (study is None) != (rater is None):
        raise click.UsageError("--study and --rater need each other")
    if tests and ruler is not None:
        raise click.UsageError("--ruler belongs to the report, without --reading-test")
    if tests:
        from ratui.cli.reading_test import run_reading_test

        run_reading_test(study, rater, json_, seed, graphics, language)
        return
    if study is not None or json_ is not None or seed is not None or language is not None:
        raise click.UsageError("--study, --rater, --json, --seed and --lang need --reading-test")
    from ratui.cli.doctor import show_report

    show_report(graphics, ruler)


@commands.command()
@click.option("--headless", type=_FOLDER, metavar="DIR", help="Run the whole process without a user, into DIR.")
@click.option("--patients", default=96, show_default=True, help="Headless: number of simulated patients.")
@click.option("--minutes", default=5.5, show_default=True, help="Headless: training time of both models together.")
@click.option("--seed", default=1, show_default=True, help="Headless: seed of patients, raters and training.")
@_GRAPHICS
@_LANGUAGE
def demo(headless: Path | None, patients: int, minutes: float, seed: int, graphics: str, language: str | None) -> None:
    """Read a case of the sample study; your entries go into your own copy of it.

    With --headless: simulate a study and its readings, train both models, and write a report and proposals.
    """
    if headless is None:
        with exempt_from_collection():
            load_numpy_with_one_thread()
            from ratui.demo.sample import TOUR_FILE, copy_sample, load_known_grades
            from ratui.study import Study
            from ratui.tui.tour.tour import Tour

        study, rater, case = copy_sample()
        click.echo(f"your copy of the sample study: {clean_text(study, 200)}")
        run_app(Study.open(study), rater, case, graphics, language, tour=Tour(study / TOUR_FILE, load_known_grades()))
        return
    from ratui.demo.headless import run_demo

    bar = ProgressBar()
    click.echo(run_demo(headless, patients=patients, minutes=minutes, seed=seed, progress=bar))


def main() -> NoReturn:
    """Run the command line and exit; `ratui.program.run_program` lists the exit codes."""

    def run() -> int:
        if len(sys.argv) == 1 and is_interactive():
            return run_start_screen(commands)
        return run_commands(commands)

    run_program("ratui", lambda: sys.exit(run()))
