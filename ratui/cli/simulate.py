"""The command ``ratui simulate``: a study of simulated patients and raters, to rehearse a campaign with; without torch."""

from __future__ import annotations

from pathlib import Path

import click

from ratui.errors import StudyError, clean_text

__all__ = ["COMMANDS"]

_PATH = click.Path(path_type=Path)
_DEFAULT_KIND = "shared-shift"


@click.command()
@click.argument("study", type=_PATH)
@click.option("--patients", type=click.IntRange(1, 100_000), default=12, show_default=True, help="Number of patients.")
@click.option(
    "--raters",
    default="ada=shared-shift,ben=threshold,cho=mixed",
    show_default=True,
    metavar="ID[=KIND],…",
    help="IDs of the raters, each with the kind of its errors.",
)
@click.option("--scheme", default="mtss-hands", show_default=True, help="fingers, mtss-hands, mtss, or a .toml file.")
@click.option("--visits", type=click.IntRange(1, 8), default=2, show_default=True, help="Visits of each patient.")
@click.option("--interval", type=click.IntRange(10, 3650), help="Days between two visits.  [default: 300 to 900]")
@click.option(
    "--raters-per-case",
    type=click.IntRange(0),
    default=0,
    help="Raters who read each case, drawn at random.  [default: all]",
)
@click.option("--blinded", is_flag=True, help="Hide the order of the visits from the raters.")
@click.option("--severity", type=click.FloatRange(0, 10), help="Severity of each disease; 1: mean.  [default: drawn]")
@click.option(
    "--missing",
    type=click.FloatRange(0, 0.9),
    default=0.0,
    show_default=True,
    help="Proportion of fields that are not assessable.",
)
@click.option("--unread", type=click.IntRange(0), default=0, show_default=True, help="Cases that nobody has read.")
@click.option(
    "--rows", type=click.IntRange(80, 4000), default=800, show_default=True, help="Height of a film in pixels."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of everything that is drawn.")
@click.option(
    "--key", type=_PATH, metavar="FILE", help="File for the key to the pseudonyms.  [default: STUDY.key.json]"
)
@click.option("--truth", type=_PATH, metavar="FILE", help="Write the true grades as CSV to this file.")
def simulate(
    study: Path,
    patients: int,
    raters: str,
    scheme: str,
    visits: int,
    interval: int | None,
    raters_per_case: int,
    blinded: bool,
    severity: float | None,
    missing: float,
    unread: int,
    rows: int,
    seed: int,
    key: Path | None,
    truth: Path | None,
) -> None:
    """Create the study STUDY with films of simulated patients, imported and read as in a real study.

    Simulated raters confirm the regions, read joint by joint under the rules of the app, and sign. Use it to rehearse a
    campaign, or to see what a report shows for a known truth.
    """
    from ratui.cli.output import to_csv, write_output
    from ratui.demo.simulate import Simulation, simulate_study
    from ratui.progress_bar import ProgressBar
    from ratui.results.text_table import format_count

    if unread > patients:
        raise StudyError(f"{unread} of {patients} cases can't be left unread", "--unread", "Give a smaller number")
    if truth is not None and truth.exists():
        raise StudyError("the file exists already", truth, "Choose a new file for --truth")
    kinds = _parse_raters(raters)
    what = Simulation(
        patients,
        kinds,
        size=(rows, round(rows * 0.82)),
        seed=seed,
        scheme=scheme,
        title=f"Simulated study, seed {seed}",
        severity=severity,
        visits=visits,
        interval=interval,
        raters_per_case=raters_per_case,
        blinded=blinded,
        missing_share=missing,
    )
    bar = ProgressBar()
    made = simulate_study(
        study,
        what,
        key=study.with_name(f"{study.name}.key.json") if key is None else key,
        progress=bar,
        unread=dict.fromkeys(kinds, unread),
    )
    if truth is not None:
        head = ("case", "visit", "site", "scale", "grade", "finding")
        write_output(to_csv(head, made.make_truth_rows()), truth)
    name = clean_text(study)
    click.echo(f"created {name}: {format_count(patients, 'case')}, {format_count(visits, 'visit')}, seed {seed}")
    click.echo(f"next: ratui status {name}" + (f"; ratui read {name} --rater {next(iter(kinds))}" if unread else ""))


def _parse_raters(text: str) -> dict[str, str]:
    """Return the kind of each rater by ID. Raises StudyError."""
    from ratui.phantom import RATERS

    found: dict[str, str] = {}
    for part in text.split(","):
        rater, _, kind = part.strip().partition("=")
        kind = kind or _DEFAULT_KIND
        if kind not in RATERS:
            raise StudyError(f"there is no kind of rater {clean_text(kind)}", "--raters", f"Choose {', '.join(RATERS)}")
        if rater in found:
            raise StudyError(f"{clean_text(rater)} is named twice", "--raters", "Give each rater a different ID")
        found[rater] = kind
    return found


COMMANDS = (simulate,)
