"""``ratui`` without arguments: the start screen, and the commands that it runs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ratui.errors import RatuiError, clean_text
from ratui.numpy_threads import load_numpy_with_one_thread

if TYPE_CHECKING:
    from ratui.tui.i18n.catalog import Catalog

__all__ = ["is_interactive", "run_start_screen"]

_PRINTING = ("import", "doctor")
"""Commands whose output the user reads before the start screen covers it."""


def is_interactive() -> bool:
    """Return whether input, output and error output are all a terminal."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def run_start_screen(commands: click.Group) -> int:
    """Show the start screen, and run what the user chooses as the command of `commands` that it names.

    The app of a study or of the demo ends ratui as its command does. After another command, or after one that failed, the
    start screen comes again, with the reason of a failure.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    RatuiError
        If the terminal cannot show the start screen, or if the user's settings are invalid.
    """
    load_numpy_with_one_thread()
    from ratui.cli.app import prepare_display
    from ratui.tui.app_runner import run_in_terminal
    from ratui.tui.i18n.catalog import Catalog, choose_language
    from ratui.tui.i18n.reading_phrases import format_error
    from ratui.tui.start_app import StartApp
    from ratui.tui.user_settings import read_user_settings

    display = prepare_display("auto")
    answers: dict[str, str] = {}
    message = ""
    while True:
        settings = read_user_settings()
        t = Catalog(choose_language(wanted=settings.language))
        app = StartApp(display, settings, answers=answers, message=message)
        run_in_terminal(app)
        if not app.arguments:
            return 0
        name = app.arguments[0]
        click.echo(f"ratui {clean_text(shlex.join(app.arguments), 400)}")
        message = ""
        try:
            code = _run(commands, app.arguments)
        except RatuiError as error:
            click.echo(f"ratui: {error}", err=True)
            message = format_error(t, error)
            continue
        if name in _PRINTING:
            _wait_for_enter(t)
        elif name == "new" and not code:
            message = t("start.created")
            answers.clear()
        elif name != "new":
            return code


def _run(commands: click.Group, arguments: Sequence[str]) -> int:
    """Run a command, and return its exit code. Raises RatuiError."""
    try:
        commands.main(list(arguments), prog_name="ratui", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        raise RatuiError(error.format_message()) from error
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0


def _wait_for_enter(t: Catalog) -> None:
    """Wait until the user has read the output. The end of the input counts as Enter."""
    click.echo(f"\n{t('start.ended')}", nl=False)
    sys.stdin.readline()
