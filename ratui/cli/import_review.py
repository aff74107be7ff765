"""The review of an import's plan in the terminal, between the plan and the import."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from ratui.cli.app import prepare_display
from ratui.errors import clean_text
from ratui.study import ImportPlan
from ratui.study.importing.planning.plan_review import read_draft

__all__ = ["find_common_folder", "review_plan"]


def review_plan(
    plan: ImportPlan, files: Mapping[Path, Path], draft: Path, graphics: str, language: str | None
) -> ImportPlan:
    """Show the plan in this terminal, and return it with the user's decisions.

    Parameters
    ----------
    plan
        The plan.
    files
        The file to read by the path that the plan names.
    draft
        File for the draft of the decisions.
    graphics
        Display protocol: ``auto``, ``kitty``, ``iterm2``, ``sixel`` or ``halfcell``.
    language
        ``en`` or ``ja``; None for the user's setting.

    Raises
    ------
    SystemExit
        With code 1 if the user leaves without an import.
    RatuiError
        If there is no file to review, a draft can't be read, or standard output is not a terminal.
    """
    from ratui.tui.app_runner import run_in_terminal
    from ratui.tui.import_app import ImportApp
    from ratui.tui.user_settings import read_user_settings

    if not plan.rows:
        click.echo("there is no file to review")
        sys.exit(1)
    settings = read_user_settings(language=language)
    earlier = read_draft(draft)
    display = prepare_display(graphics)
    folder = find_common_folder(plan)
    app = ImportApp(plan, files, display, settings, draft=draft, earlier=earlier, folder=folder)
    run_in_terminal(app)
    if app.is_confirmed:
        return app.review.plan
    if app.is_discarded:
        app.review.remove_draft()
    elif draft.exists():
        click.echo(f"the decisions are kept for the next review of the same files: {clean_text(draft, 200)}")
    click.echo("nothing was imported")
    sys.exit(1)


def find_common_folder(plan: ImportPlan) -> Path:
    """Return the deepest folder that contains all files of a plan; a file in an archive counts as its archive."""
    folder = Path(os.path.commonpath([row.path.parent for row in plan.rows]))
    while not folder.is_dir():
        folder = folder.parent
    return folder
