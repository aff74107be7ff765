"""The test of ``ratui doctor --reading-test``: what a rater can see on this terminal."""

from __future__ import annotations

import secrets
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratui.cli.app import prepare_display
from ratui.cli.output import to_json, write_output
from ratui.errors import clean_text

if TYPE_CHECKING:
    from ratui.study.campaign.display_tests import DisplayTest

__all__ = ["run_reading_test"]


def run_reading_test(
    study: Path | None, rater: str | None, json_: Path | None, seed: int | None, graphics: str, language: str | None
) -> None:
    """Run the test in this terminal, print its result, and store it with the readings of `rater` in `study`.

    Parameters
    ----------
    study, rater
        The study and the rater to store the result for; both None to store nothing.
    json_
        File to write the result to as JSON, with all trials; ``-`` for standard output.
    seed
        Seed of the films; drawn if None.
    graphics
        Display protocol: ``auto``, ``kitty``, ``iterm2``, ``sixel`` or ``halfcell``.
    language
        ``en`` or ``ja``; None for the user's setting.

    Raises
    ------
    RatuiError
        If films cannot be shown here, the study or the rater is unknown, or the result could not be stored.
    """
    from ratui.practice.reading_test import ReadingTest
    from ratui.study import Study
    from ratui.study.campaign.display_tests import add_display_tests
    from ratui.tui.app_runner import run_in_terminal
    from ratui.tui.i18n.catalog import Catalog, choose_language
    from ratui.tui.screens.reading_test.app import ReadingTestApp
    from ratui.tui.screens.reading_test.text import describe_test
    from ratui.tui.user_settings import read_user_settings

    opened = Study.open(study) if study is not None else None
    if opened is not None and rater is not None:
        opened.check_rater(rater)  # before the test, which takes minutes
        opened.check_unlocked()

    def store(test: DisplayTest) -> None:
        assert opened is not None
        assert rater is not None
        add_display_tests(opened, rater, [test])

    settings = read_user_settings(language=language)
    display = prepare_display(graphics)
    display.require_films()
    app = ReadingTestApp(
        ReadingTest(secrets.randbits(63) if seed is None else seed),
        display,
        settings,
        rater=rater or "",
        store=store if opened is not None else None,
    )
    run_in_terminal(app)
    outcome = app.outcome
    t = Catalog(choose_language(wanted=settings.language))
    if outcome.test is None:
        click.echo(t("reading_test.ended"))
        return
    for line in _wrap(describe_test(t, outcome.test)):
        click.echo(line)
    if json_ is not None:
        write_output(to_json(outcome.test.to_document()), json_)
    if outcome.error is not None:
        raise outcome.error
    if opened is not None:
        click.echo(f"{t('reading_test.stored', rater=rater or '')}: {clean_text(opened.path, 200)}")


def _wrap(lines: list[str]) -> list[str]:
    """Return `lines` in lines of the width of the terminal, broken between words; as they are without a terminal."""
    if not sys.stdout.isatty():
        return lines
    from rich.console import Console
    from rich.text import Text

    width = max(shutil.get_terminal_size().columns, 40)
    console = Console(width=width)
    return [part.plain for line in lines for part in Text(line).wrap(console, width) or [Text()]]
