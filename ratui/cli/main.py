"""The ``ratui`` command. Each subcommand imports what it needs when it runs; errors become one message and exit code 1."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from ratui.cli import adjudicate, export, maintenance, results
from ratui.cli.output import ProgressBar, print_notices
from ratui.errors import clean_text
from ratui.program import run_commands, run_program

if TYPE_CHECKING:
    from ratui.study import Study

__all__ = ["main", "run_app"]

_FOLDER = click.Path(path_type=Path)
_GRAPHICS = click.option(
    "--graphics", default="auto", show_default=True, help="auto, kitty, sixel or halfcell: how films are shown."
)
_LANGUAGE = click.option("--lang", "language", help="en or ja, whatever the settings and the environment say.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ratui", prog_name="ratui")
def commands() -> None:
    """Score joint damage on radiographs, in the terminal.

    \b
    ratui demo                          read a sample case now
    ratui new STUDY --rater ID          make a study
    ratui import STUDY FILES…           take films into it
    ratui read STUDY --rater ID         read
    ratui status STUDY                  who has read what
    ratui agreement STUDY               how far the raters agree
    ratui adjudicate STUDY              settle what they dispute
    ratui export STUDY FOLDER           tables, JSON, COCO, DICOM
    ratui report STUDY FILE             one page with everything
    ratui doctor                        what this terminal can show
    ratui check STUDY                   is every file whole?
    ratui backup STUDY ARCHIVE          one verified archive
    """


for _command in (*results.COMMANDS, *export.COMMANDS, *adjudicate.COMMANDS, *maintenance.COMMANDS):
    commands.add_command(_command)


@commands.command()
@click.argument("study", type=_FOLDER)
@click.option("--rater", "raters", multiple=True, required=True, help="A rater's ID; give it once for each.")
@click.option("--scheme", default="mtss-hands", show_default=True, help="fingers, mtss-hands, mtss, or a .toml file.")
@click.option("--blinded", is_flag=True, help="Raters don't learn which time point came first.")
@click.option("--title", default="", help="What the worklist calls it.")
@click.option("--group", default="", help="A Unix group to share it with; without one it is yours alone.")
def new(study: Path, raters: tuple[str, ...], scheme: str, blinded: bool, title: str, group: str) -> None:
    """Make a new study in the folder STUDY."""
    from ratui.scheme import load_scheme
    from ratui.study import Study
    from ratui.tui.input.actions import Keymap

    Keymap(scheme=load_scheme(scheme))  # reject a finding's key that a screen needs now, not at the first reading
    made = Study.create(study, scheme, raters, blinded=blinded, title=title, group=group)
    order = "blinded to the order" if blinded else "order shown"
    click.echo(f"made {clean_text(study)}: {made.scheme.title}; raters {', '.join(raters)}; {order}")
    click.echo(f"next: ratui import {clean_text(study)} FOLDER")


@commands.command("import")
@click.argument("study", type=_FOLDER)
@click.argument("files", nargs=-1, type=_FOLDER)
@click.option("--manifest", type=_FOLDER, help="A CSV file: file, patient, time, side [, view, day, spacing].")
@click.option("--key", type=_FOLDER, help="Where the key to the pseudonyms is kept, outside the study.")
def import_(study: Path, files: tuple[Path, ...], manifest: Path | None, key: Path | None) -> None:
    """Take DICOM files or folders, or the PNG files that a manifest names, into STUDY, de-identified.

    Says at the end what was taken, what wasn't, and why. The exit code is 1 where nothing was taken.
    """
    from ratui.results.text_table import format_count
    from ratui.study import Study, import_films

    opened = Study.open(study)
    bar = ProgressBar()
    report = import_films(opened, files, manifest=manifest, key=key, progress=lambda i, n: bar("importing", i, n))
    # Files are numbered, not named: a name may be a patient's, and a terminal is recorded in many places.
    for number, imported in enumerate(report.imported, start=1):
        note = f" · {imported.note}" if imported.note else ""
        click.echo(f"  taken    no. {number}: case {imported.case}, time point {imported.time}, {imported.side}{note}")
    for number, rejected in enumerate(report.rejected, start=len(report.imported) + 1):
        click.echo(f"  refused  no. {number}: {clean_text(rejected.reason, 300)}")
    cases = {imported.case for imported in report.imported}
    taken_now = f"{format_count(len(report.imported), 'film')} of {format_count(len(cases), 'case')} taken"
    click.echo(f"{taken_now}, {format_count(len(report.rejected), 'file')} refused")
    for case in sorted(cases):
        why = opened.case(case).unreadable_reason(opened.scheme)
        if why:
            click.echo(f"  {case} can't be read yet: {why}")
    click.echo(f"which file is which number: {clean_text(report.save_list(), 200)}")
    if report.imported:
        click.echo(f"who is who: {clean_text(report.key, 200)} (both name patients: keep them apart from the study)")
    else:
        sys.exit(1)


@commands.command()
@click.argument("study", type=_FOLDER)
@click.option("--rater", required=True, help="Who reads.")
@click.option("--case", help="Open this case at once.")
@_GRAPHICS
@_LANGUAGE
def read(study: Path, rater: str, case: str | None, graphics: str, language: str | None) -> None:
    """Read the cases of STUDY."""
    from ratui.study import Study

    run_app(Study.open(study), rater, case, graphics, language)


@commands.command()
@_LANGUAGE
@click.option(
    "--card", is_flag=True, help="One page for a rater to print, as Markdown: keys, grades, findings, reasons."
)
@click.option("--scheme", default="mtss-hands", show_default=True, help="The card's scheme: a name or a .toml file.")
def keys(language: str | None, card: bool, scheme: str) -> None:
    """List every action with its key, after the changes in the user's settings."""
    from ratui.tui.i18n.catalog import Catalog, choose_language
    from ratui.tui.input.actions import Keymap, format_key
    from ratui.tui.user_settings import read_settings

    settings = read_settings()
    t = Catalog(choose_language(wanted=language or settings.language))
    if card:
        from ratui.scheme import load_scheme
        from ratui.tui.screens.help.rater_card import rater_card

        loaded = load_scheme(scheme)
        click.echo(rater_card(loaded, Keymap(settings.keys, loaded, source=str(settings.source)), t), nl=False)
        return
    for action in Keymap(settings.keys, source=str(settings.source)).actions:
        click.echo(f"{action.id:<26} {format_key(action.key):<10} {action.help(t)}")
    click.echo(f"\n{t('card.change', file=clean_text(settings.source, 200))}")


@commands.command()
@_GRAPHICS
def doctor(graphics: str) -> None:
    """Say what this terminal can show and how, and show a test card to check by eye."""
    import shutil

    from ratui.terminal import TEST_CARD_CHECKS, describe_terminal, list_advice, probe, show_test_card

    display = probe(graphics)
    columns, rows = shutil.get_terminal_size()
    lines = [f"{name:<10}{text}" for name, text in describe_terminal(display, columns, rows)]
    hints = list_advice(display, columns, rows)
    if sys.stdout.isatty():
        height = max(rows - len(lines) - len(TEST_CARD_CHECKS) - len(hints) - 4, 8)
        size, took = show_test_card(display, columns - 1, height)
        if took is not None:
            lines.append(f"{'card':<10}{size / 1000:,.0f} kB, there after {1000 * took:.0f} ms")
        lines += ["", "The card is right where you see", *(f"  {check}" for check in TEST_CARD_CHECKS)]
    else:
        lines.append("card      not shown: the output goes elsewhere")
    for line in (*lines, *(f"advice: {hint}" for hint in hints)):
        click.echo(line)


@commands.command()
@click.option("--headless", type=_FOLDER, metavar="DIR", help="Run everything without a person, into DIR.")
@click.option("--patients", default=96, show_default=True, help="Headless: how many phantom patients.")
@click.option("--minutes", default=5.5, show_default=True, help="Headless: how long to train, both models together.")
@click.option("--seed", default=1, show_default=True, help="Headless: of the phantoms, the raters and the training.")
@_GRAPHICS
@_LANGUAGE
def demo(headless: Path | None, patients: int, minutes: float, seed: int, graphics: str, language: str | None) -> None:
    """Read a case of the sample study; what you enter goes into a copy of your own.

    With --headless: phantom study, simulated readings, both models, report and proposals, without a person.
    """
    if headless is None:
        from ratui.demo.sample import TOUR_FILE, copy_sample
        from ratui.study import Study

        study, rater, case = copy_sample()
        click.echo(f"the sample study is at {clean_text(study, 200)}")
        run_app(Study.open(study), rater, case, graphics, language, tour=study / TOUR_FILE)
        return
    from ratui.demo.headless import run_demo

    bar = ProgressBar()
    click.echo(run_demo(headless, patients=patients, minutes=minutes, seed=seed, progress=bar))


def run_app(
    study: Study, rater: str, case: str | None, graphics: str, language: str | None, *, tour: Path | None = None
) -> None:
    """Reads `study` as `rater` in this terminal. Raises RatuiError for an unknown rater or case, or no terminal."""
    from ratui.terminal import probe

    study.check_rater(rater)
    if case is not None:
        study.case(case)
    from ratui.tui import RatuiApp
    from ratui.tui.app_runner import run_in_terminal
    from ratui.tui.theme import supports_colours
    from ratui.tui.tour.tour import Tour
    from ratui.tui.user_settings import read_settings

    settings = read_settings()
    if language:
        settings = replace(settings, language=language)
    if not supports_colours():
        os.environ["NO_COLOR"] = "1"  # where colours are nothing, Textual and the style sheets use reverse and bold
    guide = Tour(tour) if tour else None
    app = RatuiApp(study, rater, probe(graphics), case=case, settings=settings, tour=guide)
    run_in_terminal(app)
    print_notices(study)
    click.echo(f"films were shown as {app.graphics.protocol}: {app.graphics.why}")


def main() -> NoReturn:
    """Run the command line and exit; `ratui.program.run_program` lists the exit codes."""
    run_program("ratui", lambda: sys.exit(run_commands(commands)))
