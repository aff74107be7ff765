"""``ratui import --watch``: import the films that arrive in a folder, until the command is ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import click

from ratui.cli.case_lines import format_cases
from ratui.cli.propose import propose_after_import
from ratui.errors import RatuiError, clean_text
from ratui.study import KeyFile, Study, import_films
from ratui.study.importing.watched_folder import WatchedFolder

__all__ = ["watch_folder"]

_RETRY = 60.0  # seconds until an import that failed as a whole is tried again


def watch_folder(
    study: Study,
    folder: Path,
    *,
    key: Path | None,
    second_key: bool,
    settle: float,
    proposes: bool = False,
    goes_on: Callable[[], bool] = lambda: True,
) -> None:
    """Import the films that arrive in `folder`, and print one line for each film.

    Parameters
    ----------
    study
        The study.
    folder
        The folder. It may be on another machine; it is looked at, not listened to.
    key, second_key
        As for `import_films`.
    settle
        Seconds without a change after which a file is complete.
    proposes
        Whether new films are searched for joints.
    goes_on
        Whether to look again; for tests.

    Raises
    ------
    StudyError
        If the folder does not exist, or the key is not that of the study. Later errors are printed, and the import is
        tried again after a minute.
    """
    path = KeyFile.open(study, key, second=second_key).path
    watched = WatchedFolder(folder, path.with_name(f"{path.stem}-watched.json"), settle)
    watched.find_batch(time.monotonic())
    click.echo(f"watching {clean_text(folder, 200)}; end with Ctrl-C")
    problem, retry_at = "", 0.0
    while goes_on():
        now = time.monotonic()
        if now >= retry_at:
            try:
                _import_batch(study, watched, now, key, second_key, proposes=proposes)
                problem = ""
            except RatuiError as error:
                if str(error) != problem:  # once, not every minute
                    click.echo(f"not imported: {error}", err=True)
                problem, retry_at = str(error), now + max(_RETRY, settle)
        time.sleep(min(max(settle / 2, 0.1), 10.0))


def _import_batch(
    study: Study, watched: WatchedFolder, now: float, key: Path | None, second_key: bool, *, proposes: bool
) -> None:
    batch = watched.find_batch(now)
    if not batch:
        return
    others = watched.find_others(batch)
    report = import_films(study, [watched.folder], key=key, second_key=second_key, excluded=others)
    report = watched.add_report(batch, report)
    lines = report.format_lines()
    if lines:
        click.echo(
            f"{time.strftime('%Y-%m-%d %H:%M:%S')}, list of the files by number: {clean_text(report.save_list(), 200)}"
        )
    cases = {film.case for film in report.imported}
    for line in (*lines, *format_cases(study, cases, unreadable=False)):
        click.echo(line)
    if proposes and cases:
        propose_after_import(study, cases)
