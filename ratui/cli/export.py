"""The command that takes results out of a study: ``export``."""

from __future__ import annotations

from pathlib import Path

import click

from ratui.cli.output import ProgressBar, to_json
from ratui.errors import clean_text

__all__ = ["COMMANDS"]

_FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("study", type=_FOLDER)
@click.argument("folder", type=_FOLDER)
@click.option(
    "--format", "formats", multiple=True, metavar="NAME", help="csv, parquet, json, coco, mk, sr, gsps; without it csv."
)
@click.option("--missing", help="The rule for totals with fields that have no score; needed where one has none.")
@click.option("--rater", "raters", multiple=True, help="Of these raters only; give it once for each.")
@click.option("--number-raters", "numbered", is_flag=True, help="Raters stand as READER 1, READER 2 and so on.")
@click.option("--interim", is_flag=True, help="For managers: also readings of cases that not everybody has signed yet.")
@click.option("--json", "json_", is_flag=True, help="Say what was written as JSON.")
def export(
    study: Path,
    folder: Path,
    formats: tuple[str, ...],
    missing: str | None,
    raters: tuple[str, ...],
    numbered: bool,
    interim: bool,
    json_: bool,
) -> None:
    """Write the signed readings of STUDY into FOLDER, without any identity, note or date.

    \b
    --format   csv      scores, totals and the dictionary of their columns
               parquet  the same, typed
               json     films, regions and readings, with the schema
               coco     regions as boxes
               mk       rows in the manner of CDISC's MK domain
               sr       DICOM Structured Reports (template 1500)
               gsps     DICOM presentation states: boxes and scores over films
    --missing  complete  a total only where every field has a score
               observed  the sum of what has a score
               carried   a field takes its score of the other time point
               prorated  in proportion, where half of the fields have a score

    A case is exported once every rater has signed it. The exit code is 1 where there is none.
    """
    from ratui.results.export import export as write
    from ratui.results.released import released_readings
    from ratui.results.text_table import format_count
    from ratui.results.totals import choose_rule
    from ratui.study import Study

    opened = Study.open(study)
    released = released_readings(opened, raters, interim=interim)
    wanted = formats or ("csv",)
    rule = choose_rule(released, missing, is_required=bool({"csv", "parquet"} & set(wanted)))
    result = write(opened, released, folder, wanted, rule, numbered=numbered, progress=ProgressBar())
    if json_:
        document = {
            "folder": str(result.folder),
            "files": list(result.files),
            "cases": result.cases,
            "readings": result.readings,
            "kept_back": released.kept_back,
            "missing_rule": rule.name,
        }
        click.echo(to_json(document), nl=False)
        return
    shown = [name for name in result.files if "/" not in name]
    folders = sorted({name.partition("/")[0] for name in result.files if "/" in name})
    shown += [f"{each}/ ({sum(name.startswith(f'{each}/') for name in result.files)} files)" for each in folders]
    told_now = f"{format_count(result.readings, 'reading')} of {format_count(result.cases, 'case')}"
    click.echo(f"{told_now}, into {clean_text(folder, 200)}: {', '.join(shown)}")
    click.echo(f"fields without a score: {rule.name}, {rule.meaning}")
    for case, why in released.kept_back.items():
        click.echo(f"  kept back: {case}, {clean_text(why, 100)}")


COMMANDS = (export,)
