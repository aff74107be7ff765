"""The command ``ratui turn``: display a film of a study turned or mirrored, because its orientation is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratui.errors import StudyError, clean_text

if TYPE_CHECKING:
    from ratui.study import Case, Study
    from ratui.study.case import FilmRecord

__all__ = ["COMMANDS"]

_CHANGES = ("90", "180", "270", "mirror", "upright")


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.argument("case")
@click.argument("change", type=click.Choice(_CHANGES), required=False)
@click.option("--time", type=click.IntRange(0, 7), help="Number of the film's visit: 0 for the baseline.")
@click.option("--view", help="View of the film, such as hand.")
@click.option("--side", type=click.Choice(("L", "R", "B"), case_sensitive=False), help="Side of the film.")
@click.option("--film", metavar="ID", help="ID of the film, in place of the three other options.")
@click.option(
    "--confirm", default="", metavar="CASE", help="Name the case again if signed readings depend on the film."
)
def turn(
    study: Path,
    case: str,
    change: str | None,
    time: int | None,
    view: str | None,
    side: str | None,
    film: str | None,
    confirm: str,
) -> None:
    """Display one film of CASE turned clockwise by 90, 180 or 270 degrees, mirrored, or upright; without CHANGE, list films.

    The change starts from the film as it is displayed now; upright is the stored picture. Neither the stored film nor the
    place of a box on it changes. The journal records the account and the time.
    """
    from ratui.imaging import Orientation
    from ratui.study import Study
    from ratui.study.accounts import act_as_owner
    from ratui.study.withdrawal import list_dependent_readings

    opened = Study.open(study)
    opened.check_manager("turn films by their visits")
    found = opened.case(case)
    films = [
        each
        for each in found.films
        if time in (None, each.number) and view in (None, each.view) and film in (None, each.id)
        if side is None or each.side == side.upper()
    ]
    if change is None:
        for each in films:
            click.echo(_describe(opened, each))
        return
    chosen = _choose(found, films)
    turned = Orientation.UPRIGHT
    if change != "upright":
        step = Orientation.MIRRORED if change == "mirror" else Orientation.of(int(change))
        turned = chosen.orientation.then(step)
    signed = list_dependent_readings(opened, case, (chosen.id,))[1]
    if signed and confirm != case:
        problem = f"the signed readings of {', '.join(signed)} were made on this film as it is displayed now"
        raise StudyError(problem, case, f"Repeat with --confirm {case} if it is displayed wrongly")
    with act_as_owner(opened.folder, "regions"):  # a file of root would exclude the raters
        opened.set_orientation(case, chosen.id, turned, even_if_signed=True)
    (after,) = (each for each in opened.case(case).films if each.id == chosen.id)
    click.echo(_describe(opened, after))
    if signed:
        click.echo(f"these signed readings stay valid; their raters may check them: {', '.join(signed)}")


def _choose(case: Case, films: list[FilmRecord]) -> FilmRecord:
    """Return the only film of the list. Raises StudyError if there is none or more than one."""
    if len(films) == 1:
        return films[0]
    problem = f"{len(films)} films fit" if films else "no film fits"
    raise StudyError(problem, case.id, "Name one with --time, --view and --side, or with --film")


def _describe(study: Study, film: FilmRecord) -> str:
    shown = "upright" if not film.orientation.degrees else f"turned by {film.orientation.degrees}°"
    mirrored = ", mirrored" if film.orientation.is_mirrored else ""
    visit = f"{study.config.charter.visit_name(film.number)} (--time {film.number})"
    return clean_text(f"  film {film.id}: {visit}, {film.side}, {film.view}; {shown}{mirrored}", 300)


COMMANDS = (turn,)
