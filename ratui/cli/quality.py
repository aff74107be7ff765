"""The command ``ratui quality``: one line per film about its image quality, and a list of queries to the sites."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from ratui.cli.output import print_notices, to_csv, write_output
from ratui.errors import clean_text
from ratui.progress_bar import ProgressBar

__all__ = ["COMMANDS"]

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("study", type=_FILE)
@click.option("--case", "cases", multiple=True, help="Measure this case only; may be repeated.  [default: all]")
@click.option(
    "--queries", type=_FILE, metavar="FILE", help="Write questions to the sites as CSV; - for standard output."
)
def quality(study: Path, cases: tuple[str, ...], queries: Path | None) -> None:
    """Show the image quality of each film of STUDY: joints cut off, blur, exposure, text, spacing, compression.

    Films are measured in the confirmed or proposed boxes of the joints. Before there are any, at the usual places, which
    finds less. In a study that is blinded to the order, only managers may do this, and no output shows the time points.
    """
    from ratui.results.film_quality import make_query_table, measure_quality
    from ratui.results.text_table import format_count
    from ratui.study import Study

    opened = Study.open(study)
    bar = ProgressBar()
    found = measure_quality(opened, cases or None, on_progress=lambda done, of: bar("measuring cases", done, of))
    if queries is not None:
        write_output(to_csv(*make_query_table(found), ids=("film", "visit")), queries)
    if queries is None or str(queries) != "-":
        for film in found:
            click.echo(clean_text(film.format_line(), 1000))
        kinds = Counter(problem.kind for film in found for problem in film.problems)
        good = sum(not film.problems for film in found)
        counts = "".join(f", {kind} {count}" for kind, count in kinds.most_common())
        click.echo(f"{format_count(len(found), 'film')}, {good} without a problem{counts}")
    print_notices(opened)


COMMANDS = (quality,)
