"""The command ``export``, which writes the results of a study to files."""

from __future__ import annotations

from pathlib import Path

import click

from ratui.cli.output import print_late_changes, print_notices, to_json
from ratui.cli.recording import record_results
from ratui.errors import StudyError, clean_text
from ratui.progress_bar import ProgressBar

__all__ = ["COMMANDS"]

_FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("study", type=_FOLDER)
@click.argument("folder", type=_FOLDER)
@click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="NAME",
    help="csv, parquet, adam, redcap, json, coco, mk, sr or gsps; may be repeated.  [default: csv]",
)
@click.option("--missing", help="Rule for totals of fields without a score; required if a field has none.")
@click.option("--rater", "raters", multiple=True, help="Include only this rater; may be repeated.")
@click.option("--number-raters", "numbered", is_flag=True, help="Name raters READER 1, READER 2 and so on.")
@click.option("--interim", is_flag=True, help="Include cases that some rater has not signed (managers only).")
@click.option("--exclude-coarse", is_flag=True, help="Leave out entries made on films displayed too coarsely.")
@click.option("--with-films", is_flag=True, help="Also write the films that reports and presentation states refer to.")
@click.option("--with-notes", is_flag=True, help="Also write the raters' notes and the times of the signatures.")
@click.option(
    "--key",
    type=_FOLDER,
    metavar="FILE",
    help="Add the subject IDs from the key file of the import (for a person who has it).",
)
@click.option("--json", "json_", is_flag=True, help="Print the list of files as JSON.")
def export(
    study: Path,
    folder: Path,
    formats: tuple[str, ...],
    missing: str | None,
    raters: tuple[str, ...],
    numbered: bool,
    interim: bool,
    exclude_coarse: bool,
    with_films: bool,
    with_notes: bool,
    key: Path | None,
    json_: bool,
) -> None:
    """Write the signed readings of STUDY into FOLDER, without patient identities, notes or dates.

    The only dates are those of the raters' tests of their displays.
    Notes may identify a patient, and subject IDs do: they are written only with --with-notes and --key.

    \b
    --format   csv       scores, totals, final scores and the dictionary of their columns
               parquet   the same tables, typed
               adam      final scores and changes in the style of CDISC's ADaM
               redcap    final scores and their data dictionary for REDCap
               json      films, regions and readings, with the schema
               coco      regions as boxes
               mk        rows in the style of CDISC's MK domain
               sr        DICOM Structured Reports (TID 1500)
               gsps      DICOM presentation states: boxes and scores over films
    --missing  complete  a total only if every field has a score
               observed  the sum of the scored fields
               carried   a field takes its score of the other time point
               prorated  in proportion, if at least half of the fields have a score
               common    the sum of the fields that all raters have scored

    A case is exported once every rater has signed it. The exit code is 1 if there is no such case.
    """
    from ratui.results.export import export as write
    from ratui.results.released import collect_released_readings
    from ratui.results.text_table import format_count
    from ratui.results.totals import choose_rule
    from ratui.study import KeyFile, Study
    from ratui.study.readings.late_changes import changes_after_release

    opened = Study.open(study)
    released = collect_released_readings(opened, raters, interim=interim, exclude_coarse=exclude_coarse)
    wanted = formats or ("csv",)
    rule = choose_rule(
        released, missing, study=opened, is_required=bool({"csv", "parquet", "adam", "redcap"} & set(wanted))
    )
    subjects = None
    if key is not None:
        opened.check_manager("relink its cases to subjects")
        if not key.is_file():
            raise StudyError("there is no key file", key, "Give the key file of the import")
        subjects = KeyFile.open(opened, key).patients_by_case
    result = write(
        opened,
        released,
        folder,
        wanted,
        rule,
        numbered=numbered,
        with_films=with_films,
        with_notes=with_notes,
        subjects=subjects,
        progress=ProgressBar(),
    )
    files = [folder / name for name in result.files]
    parts = [", ".join(wanted), f"fields without a score: {rule.name}"]
    parts += ["with subject IDs"] * (subjects is not None) + ["with notes"] * with_notes
    record_results(opened, "export", released, "; ".join(parts), files)
    print_notices(opened)
    print_late_changes(changes_after_release(opened))
    if json_:
        document = {
            "folder": str(result.folder),
            "files": list(result.files),
            "cases": result.cases,
            "readings": result.readings,
            "kept_back": released.kept_back,
            "missing_rule": rule.name,
            "excluded_entries": released.excluded,
        }
        click.echo(to_json(document), nl=False)
        return
    shown = [name for name in result.files if "/" not in name]
    folders = sorted({name.partition("/")[0] for name in result.files if "/" in name})
    shown += [f"{each}/ ({sum(name.startswith(f'{each}/') for name in result.files)} files)" for each in folders]
    counts = f"{format_count(result.readings, 'reading')} of {format_count(result.cases, 'case')}"
    click.echo(f"{counts}, into {clean_text(folder, 200)}: {', '.join(shown)}")
    click.echo(f"fields without a score: {rule.name}, {rule.meaning}")
    if released.excluded is not None:
        click.echo(f"left out, because the films were displayed too coarsely: {released.excluded} entries")
    for case, why in released.kept_back.items():
        click.echo(f"  kept back: {case}, {clean_text(why, 100)}")


COMMANDS = (export,)
