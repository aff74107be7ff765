"""Start of the app from a command."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from ratui.cli.output import print_notices
from ratui.garbage_collection import exempt_from_collection

if TYPE_CHECKING:
    from ratui.study import Study
    from ratui.terminal import Display
    from ratui.tui import RatuiApp
    from ratui.tui.tour.tour import Tour

__all__ = ["prepare_display", "run_app"]


def run_app(
    study: Study, rater: str, case: str | None, graphics: str, language: str | None, *, tour: Tour | None = None
) -> None:
    """Start the app in this terminal, with `study` and `rater`.

    Parameters
    ----------
    study, rater
        The study, and the ID of the rater who reads.
    case
        ID of a case to open at once; None for the worklist.
    graphics
        Display protocol: ``auto``, ``kitty``, ``iterm2``, ``sixel`` or ``halfcell``.
    language
        ``en`` or ``ja``; None for the user's setting.
    tour
        The tour to show; None for no tour.

    Raises
    ------
    RatuiError
        If the rater or the case is unknown, or if standard output is not a terminal.
    """
    study.check_rater(rater)
    study = study.as_rater(rater)
    if case is not None:
        study.case(case)
    with exempt_from_collection():
        app, display = _make_app(study, rater, case, graphics, language, tour)
        from ratui.tui.app_runner import run_in_terminal

    run_in_terminal(app)
    print_notices(study)
    if display.can_show_films:
        click.echo(f"films were displayed with {display.protocol}, {display.levels} greys: {display.why}")
    else:
        click.echo("no case could be scored here; ratui doctor shows why")


def _make_app(
    study: Study, rater: str, case: str | None, graphics: str, language: str | None, tour: Tour | None
) -> tuple[RatuiApp, Display]:
    """Return the app and what this terminal can display; parameters and errors are those of `run_app`."""
    from ratui.tui import RatuiApp
    from ratui.tui.user_settings import read_user_settings

    settings = read_user_settings(language=language)
    display = prepare_display(graphics)
    return RatuiApp(study, rater, display, case=case, settings=settings, tour=tour), display


def prepare_display(graphics: str) -> Display:
    """Return what the terminal can show with the protocol `graphics`, and set the colours of this process accordingly.

    Raises
    ------
    DisplayError
        If standard output is not a terminal, or if the terminal cannot show the app.
    """
    from ratui.terminal import probe

    display = probe(graphics)
    if display.colours == "none":
        os.environ["NO_COLOR"] = "1"  # Textual and the style sheets then use reverse and bold instead of colours
    return display
