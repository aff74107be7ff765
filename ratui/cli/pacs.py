"""The commands ``fetch``, ``receive`` and ``send``, which exchange files with an archive of images (PACS)."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ratui.errors import PacsError, RatuiError, clean_text
from ratui.progress_bar import ProgressBar

if TYPE_CHECKING:
    from ratui.pacs.address import Certificates, PacsAddress
    from ratui.pacs.fetch import FetchReport
    from ratui.pacs.spool import Spool
    from ratui.study import Study

__all__ = ["COMMANDS"]

_FOLDER = click.Path(path_type=Path)
_GIGABYTE = 10**9


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a decorator that adds `options` to a command, in their order."""

    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


_TLS = _options(
    click.option("--ca", type=_FOLDER, help="Certificates (PEM) of the authorities to trust.  [default: the system's]"),
    click.option("--certificate", type=_FOLDER, help="Your certificate (PEM)."),
    click.option("--private-key", type=_FOLDER, help="Private key of your certificate (PEM, without a password)."),
)
_CREDENTIALS = click.option("--credentials", type=_FOLDER, help="Private TOML file with user and password, or token.")
_TITLE = click.option("--aet", default="RATUI", show_default=True, help="Application entity title of this program.")
_SPOOL = _options(
    click.option("--spool", "spool_folder", type=_FOLDER, help="Private folder for files until they are imported."),
    click.option("--limit", default=100.0, show_default=True, help="Maximum size of the spool in gigabytes."),
)
_KEY = _options(
    click.option("--key", type=_FOLDER, help="File with the key to the pseudonyms, outside the study."),
    click.option("--second-key", is_flag=True, help="Accept a key that knows no case of the study; see the manual."),
)


@click.command()
@click.argument("study", type=_FOLDER)
@click.option("--from", "address", required=True, help="https://HOST/dicom-web, dicom://AET@HOST:PORT or dicoms://…")
@click.option("--patients", type=_FOLDER, required=True, help="List: one patient ID in each line, or CSV.")
@_CREDENTIALS
@_TLS
@_TITLE
@click.option("--move-port", type=click.IntRange(1, 65535), help="Use C-MOVE, and receive on this port.")
@click.option("--move-host", default="127.0.0.1", show_default=True, help="Address to receive on, for C-MOVE.")
@click.option(
    "--modality", "modalities", multiple=True, help="Modality to fetch; may be repeated.  [default: CR, DX, RG]"
)
@_SPOOL
@click.option("--no-import", is_flag=True, help="Fetch only; the films wait in the spool.")
@_KEY
def fetch(
    study: Path,
    address: str,
    patients: Path,
    credentials: Path | None,
    ca: Path | None,
    certificate: Path | None,
    private_key: Path | None,
    aet: str,
    move_port: int | None,
    move_host: str,
    modalities: tuple[str, ...],
    spool_folder: Path | None,
    limit: float,
    no_import: bool,
    key: Path | None,
    second_key: bool,
) -> None:
    """Fetch the films of listed patients from a PACS into a spool, and import them into STUDY, de-identified.

    The PACS is asked by DICOMweb (https://…) or by C-FIND with C-GET or C-MOVE (dicom://AET@HOST:PORT, dicoms:// with TLS).
    The account for DICOMweb is in RATUI_PACS_USER and RATUI_PACS_PASSWORD, or in RATUI_PACS_TOKEN, or in a private file.
    A patient is imported once all films that the PACS returns are here. If the connection is lost, run the command again:
    it continues. The exit code is 1 if the PACS has a film for a listed ID that was not fetched, or nothing was imported.
    """
    _require_extra()
    from ratui.pacs.address import Certificates, check_aet, parse_address, read_credentials
    from ratui.pacs.fetch import FILM_MODALITIES, fetch_films, finish_key_objects
    from ratui.pacs.patient_list import read_patient_list
    from ratui.pacs.spool import Spool
    from ratui.study import Study

    opened = Study.open(study)
    pacs = parse_address(address)
    listed = read_patient_list(patients)
    files = Certificates(ca, certificate, private_key)
    move = (move_host, move_port) if move_port else None
    source = _connect(pacs, check_aet(aet, "--aet"), read_credentials(credentials), files, move)
    bar = ProgressBar(log_stages=False)
    wanted = [each.upper() for each in modalities] or FILM_MODALITIES
    try:
        with Spool(opened, "fetch", spool_folder, limit=int(limit * _GIGABYTE)) as spool:
            report = fetch_films(
                source, str(pacs), listed, spool, modalities=wanted, progress=lambda i, n: bar("fetching", i, n)
            )
            _print_fetched(report)
            imported = 0
            if no_import:
                click.echo(f"the films wait in {clean_text(spool.folder, 200)}; this folder identifies patients")
            elif report.files:
                imported = _import(opened, spool, report.files, key, second_key)
                finish_key_objects(report, spool)
            else:
                click.echo("there is no new film to import")
    finally:
        bar.close()
        source.close()
    finished = sum(patient.finished for patient in report.patients)
    if not report.is_complete or not (imported or finished or (no_import and report.files)):
        sys.exit(1)


@click.command()
@click.argument("study", type=_FOLDER)
@click.option("--port", type=click.IntRange(0, 65535), required=True, help="Port to listen on; 0 chooses a free one.")
@click.option("--allow", "senders", multiple=True, required=True, help="AE title that may send; may be repeated.")
@_TITLE
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@_TLS
@click.option("--unencrypted", is_flag=True, help="Listen on another address than loopback without TLS.")
@_SPOOL
@click.option("--quiet", default=30.0, show_default=True, help="Seconds without a film before the import.")
@click.option("--once", is_flag=True, help="End after the first import.")
@_KEY
def receive(
    study: Path,
    port: int,
    senders: tuple[str, ...],
    aet: str,
    host: str,
    ca: Path | None,
    certificate: Path | None,
    private_key: Path | None,
    unencrypted: bool,
    spool_folder: Path | None,
    limit: float,
    quiet: float,
    once: bool,
    key: Path | None,
    second_key: bool,
) -> None:
    """Receive films that a PACS sends (C-STORE) into a spool, and import them into STUDY, de-identified.

    Only the allowed senders may connect. With --certificate the connections use TLS; with --ca each sender must also show a
    certificate of this authority. The films are imported when none has come for some time. The command runs until Ctrl-C;
    films that were not imported wait for the next run.
    """
    _require_extra()
    from ratui.pacs.address import Certificates, PacsAddress, check_aet
    from ratui.pacs.inbox import Inbox
    from ratui.pacs.receiver import StorageReceiver
    from ratui.pacs.spool import Spool
    from ratui.study import Study

    opened = Study.open(study)
    title, allowed = check_aet(aet, "--aet"), [check_aet(each, "--allow") for each in senders]
    files = Certificates(ca, certificate, private_key)
    files.check()
    if ca is not None and certificate is None:
        raise PacsError("--ca checks the certificates of senders, which needs TLS", "--ca", "Give --certificate, too")
    if not (certificate or unencrypted or PacsAddress("dicom", host, port).is_loopback):
        raise PacsError(
            "films would come unencrypted from other machines", host, "Give --certificate, or --unencrypted"
        )
    with Spool(opened, "receive", spool_folder, limit=int(limit * _GIGABYTE)) as spool:
        inbox = Inbox(spool)
        with StorageReceiver(
            inbox.store, title, allowed, host=host, port=port, certificates=files if certificate else None
        ) as receiver:
            click.echo(f"{title} listens on {clean_text(host)}, port {receiver.port}; end with Ctrl-C")
            sys.stdout.flush()
            while True:
                time.sleep(min(0.2, quiet))
                if not inbox.has_new_files or receiver.count_quiet_seconds() < quiet:
                    continue
                inbox.clear_news()
                try:
                    _import(opened, spool, spool.files(), key, second_key)
                except RatuiError as error:
                    if once:
                        raise
                    click.echo(f"not imported: {error}", err=True)
                for line in inbox.describe(receiver.refused_kinds, receiver.refused_forms):
                    click.echo(line)
                sys.stdout.flush()
                if once:
                    return


@click.command()
@click.argument("folder", type=_FOLDER)
@click.option("--to", "address", required=True, help="https://HOST/dicom-web, dicom://AET@HOST:PORT or dicoms://…")
@_CREDENTIALS
@_TLS
@_TITLE
def send(
    folder: Path,
    address: str,
    credentials: Path | None,
    ca: Path | None,
    certificate: Path | None,
    private_key: Path | None,
    aet: str,
) -> None:
    """Send the reports, presentation states and films of an export in FOLDER to a PACS, by DICOMweb or C-STORE.

    Export with --format sr, --format gsps and --with-films. Films go first. Nothing is sent if a file names anyone by more
    than a pseudonym, or refers to a film that is not in FOLDER. Sending again changes nothing.
    """
    _require_extra()
    from ratui.pacs.address import Certificates, check_aet, parse_address, read_credentials
    from ratui.pacs.send import read_outgoing, send_files

    pacs = parse_address(address, "--to")
    account = read_credentials(credentials)
    outgoing = read_outgoing(folder)
    target = _connect(pacs, check_aet(aet, "--aet"), account, Certificates(ca, certificate, private_key), None)
    bar = ProgressBar(log_stages=False)
    try:
        send_files(target, outgoing, progress=lambda i, n: bar("sending", i, n))
    finally:
        bar.close()
        target.close()
    films = sum(file.is_film for file in outgoing)
    click.echo(f"stored in the PACS: {films} films, {len(outgoing) - films} reports and presentation states")


def _require_extra() -> None:
    """Raise StudyError, naming the extra, if a library is missing."""
    from ratui.results.optional_dependencies import require

    for module in ("pynetdicom", "dicomweb_client", "requests"):
        require(module, "exchange with a PACS", "pacs")


def _connect(pacs: PacsAddress, title: str, account: Any, files: Certificates, move: tuple[str, int] | None) -> Any:
    """Return the PACS at an address. Raises PacsError."""
    from ratui.pacs.dicomweb import DicomwebPacs
    from ratui.pacs.dimse import DimsePacs, MoveDestination

    if not pacs.is_encrypted and not pacs.is_loopback:
        click.echo("note: the connection to the PACS is not encrypted", err=True)
    if pacs.is_dicomweb:
        if move is not None:
            raise PacsError("C-MOVE is for addresses dicom://", "--move-port", "Leave it out")
        return DicomwebPacs(pacs, account, files)
    return DimsePacs(pacs, title, files, move=MoveDestination(*move) if move else None)


_WORDS = {"left_out": "left out", "losses": "not fetched, look at the PACS", "missing": "missing"}


def _print_fetched(report: FetchReport) -> None:
    from ratui.results.text_table import format_count

    keys = len({file for patient in report.patients for file in patient.key_objects})  # two lines may name one person
    waiting = len({file for patient in report.patients for file in patient.files}) - keys
    finished = sum(patient.finished for patient in report.patients)
    complete = sum(patient.is_complete for patient in report.patients)
    documents = f" and {format_count(keys, 'key object')}" if keys else ""
    click.echo(
        f"{format_count(waiting, 'film')}{documents} here, {finished} imported earlier; "
        f"{complete} of {format_count(len(report.patients), 'patient')} complete"
    )
    for word in ("left_out", "losses", "missing"):
        lines: dict[str, list[int]] = defaultdict(list)
        counts: dict[str, int] = defaultdict(int)
        for patient in report.patients:
            for reason, count in getattr(patient, word).items():
                lines[reason].append(patient.line)
                counts[reason] += count
        for reason, count in counts.items():
            shown = ", ".join(map(str, lines[reason][:5])) + (", …" if len(lines[reason]) > 5 else "")
            click.echo(f"  {_WORDS[word]}: {count} × {clean_text(reason, 200)} (line {shown} of the list)")
    if report.lost:
        click.echo(f"{report.lost}. Run the command again to continue", err=True)


def _import(opened: Study, spool: Spool, files: Sequence[Path], key: Path | None, second_key: bool) -> int:
    """Import `files` of the spool, print the outcome, remove the imported ones; return the number of imported films."""
    from ratui.cli.case_lines import format_cases
    from ratui.results.text_table import format_count
    from ratui.study import import_films

    bar = ProgressBar()
    report = import_films(opened, files, key=key, second_key=second_key, progress=lambda i, n: bar("importing", i, n))
    spool.finish(film.path for film in report.imported)
    for line in report.format_lines():
        click.echo(line)
    cases = {film.case for film in report.imported}
    click.echo(
        f"{format_count(len(report.imported), 'film')} of {format_count(len(cases), 'case')} imported, "
        f"{format_count(len(report.rejected), 'file')} refused"
    )
    for line in format_cases(opened, cases, unreadable=False):
        click.echo(line)
    click.echo(f"list of the files by number: {clean_text(report.save_list(), 200)}")
    if report.rejected:
        click.echo(f"refused files wait in {clean_text(spool.folder, 200)}; this folder identifies patients")
    if report.imported:
        click.echo(f"key to the pseudonyms: {clean_text(report.key, 200)}")
    return len(report.imported)


COMMANDS = (fetch, receive, send)
