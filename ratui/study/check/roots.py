"""Check a study against its newest root, or against a backup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ratui.errors import RatuiError, StoreError, StudyError, clean_text
from ratui.imaging import MAX_FILE_BYTES
from ratui.study.check.report import CheckFault, CheckReport
from ratui.study.copies.backup import open_source
from ratui.study.evidence.comparison import Difference, compare_states
from ratui.study.evidence.roots import (
    PRIVATE_SEALS,
    SEALS,
    Root,
    read_copies,
    read_link,
    read_root,
    root_files,
    root_numbers,
    signature_path,
)
from ratui.study.evidence.signatures import verify_signature
from ratui.study.evidence.state import FolderSource, read_state
from ratui.study.study import Study

__all__ = ["check_backup", "check_roots"]


def check_roots(
    report: CheckReport, study: Study, signers: Path | None = None, digest: str = "", *, repair: bool = False
) -> CheckReport:
    """Return `report` with the differences of the study to its newest root.

    Parameters
    ----------
    report
        The report so far.
    study
        The study.
    signers
        File of allowed signers. If given, the newest root must have a signature by one of them.
    digest
        Digest of a root that was written down. If given, there must be such a root, which all later ones continue.
    repair
        Write a damaged or missing copy of a root anew from the intact one.

    Raises
    ------
    StoreError
        The study or the file can't be read, or ``ssh-keygen`` is missing.
    """
    numbers = root_numbers(study.folder)
    if not numbers:
        if signers is None and not digest:
            return report
        advice = "Seal it: ratui seal STUDY --sign KEY"
        fault = CheckFault(SEALS, "the study has no root", advice=advice)
        return replace(report, faults=(*report.faults, fault))
    faults = [found for number in numbers for found in _check_copies(study, number, repair)]
    faults += _check_links(study, numbers, digest)
    newest: Root | None = None
    try:
        newest = read_root(study.folder, numbers[-1], study.config.id)
    except StoreError as error:
        faults.append(CheckFault(_file(numbers[-1]), error.problem, advice=error.remedy))
    notes: list[str] = []
    if newest is not None:
        name = _file(newest.number)
        since = f"root {newest.number} of {newest.at[:16].replace('T', ' ')} UTC"
        found = compare_states(newest.state, FolderSource(study.folder), since)
        faults += [_make_fault(difference) for difference in found if difference.is_fault]
        notes += _notes([difference for difference in found if not difference.is_fault])
        about = f"{name} of {newest.at[:16].replace('T', ' ')} UTC, {newest.digest}"
        if signers is None:
            notes.append(f"{about}: {'its signature was not verified' if newest.signature else 'not signed'}")
        elif signer := verify_signature(newest.data, newest.signature, signers) if newest.signature else "":
            notes.append(f"{about}: signed by {signer}")
        else:
            problem = "its signature is not by an allowed signer" if newest.signature else "it is not signed"
            faults.append(CheckFault(name, problem, advice="Do not trust it"))
    return replace(report, faults=(*report.faults, *faults), notes=(*report.notes, *notes))


def _check_copies(study: Study, number: int, repair: bool) -> Iterator[CheckFault]:
    """Yield a fault for each file of a root of which one copy is damaged or missing; repair what is proven."""
    signed: bytes | None = None
    for inside in root_files(number):
        is_signature = inside == signature_path(number)
        try:
            copies = read_copies(study.folder, inside, signed if is_signature else None)
        except StoreError:
            continue  # another account's, or reported elsewhere
        signed = copies.best if signed is None else signed
        if copies.data[0] == copies.data[1]:
            continue
        if copies.intact[0] == copies.intact[1]:
            yield CheckFault(inside, "its two copies differ", advice="Compare it with a backup")
            continue
        which = "its second copy" if copies.intact[0] else "the file"
        state = "is missing" if copies.data[copies.intact.index(False)] is None else "is damaged"
        advice, repaired = "", False
        if repair:
            try:
                study.folder.write(inside, copies.best or b"")
                repaired = True
            except StoreError as error:
                advice = f"{error.problem}. {error.remedy}"
        yield CheckFault(inside, f"{which} {state}", "written anew from the intact copy", repaired, advice)


def _check_links(study: Study, numbers: Sequence[int], expected_digest: str) -> list[CheckFault]:
    """Return a fault for each root that does not state the digest of the root before it, and for a missing root."""
    found = []
    digests = set()
    before = ""
    for expected, number in enumerate(numbers, start=1):
        digest, previous = read_link(study.folder, number)
        if number != expected or previous != before:
            problem = "it does not continue the root before it"
            found.append(CheckFault(_file(number), problem, advice="Compare with a backup"))
        before = digest
        digests.add(digest)
    if expected_digest and expected_digest.lower() not in digests:
        problem = "there is no root with the digest that was given"
        found.append(CheckFault(SEALS, problem, advice="Check the digest. Roots may have been removed or replaced"))
    return found


def _file(number: int) -> str:
    return f"{SEALS}/{number:06d}.json"


def check_backup(report: CheckReport, study: Study, archive: Path) -> CheckReport:
    """Return `report` with the differences of the study to the backup at `archive`.

    Raises StudyError if the archive is missing, damaged, of a newer version, or of another study.
    """
    with open_source(archive) as (opened, source):
        before = read_state(source)
    if opened.study != study.config.id:
        raise StudyError("it is the backup of another study", archive, "Give one of this study")
    found = compare_states(before, FolderSource(study.folder), "the backup")
    found += _compare_films_without_digest(study, opened.checksums)
    found += _compare_roots(study, opened.checksums)
    faults = tuple(_make_fault(difference) for difference in found if difference.is_fault)
    notes = _notes([difference for difference in found if not difference.is_fault])
    return replace(report, faults=(*report.faults, *faults), notes=(*report.notes, *notes))


def _compare_roots(study: Study, sums: Mapping[str, str]) -> Iterator[Difference]:
    """Find roots and signatures of the backup that were removed or changed since then: they never change."""
    for name, digest in sums.items():
        if not name.startswith((f"{SEALS}/", f"{PRIVATE_SEALS}/")) or name.endswith(".bak"):
            continue
        try:
            if study.folder.digest(name, MAX_FILE_BYTES) != digest:
                yield Difference(name, "it differs from the backup")
        except FileNotFoundError:
            yield Difference(name, "it is missing, but was there in the backup")
        except StoreError as error:
            if not isinstance(error.__cause__, PermissionError):
                yield Difference(name, error.problem)


def _make_fault(difference: Difference) -> CheckFault:
    return CheckFault(clean_text(difference.item, 200), difference.problem, advice="Find out who changed it, and why")


def _notes(differences: list[Difference]) -> list[str]:
    return [f"{clean_text(each.item, 200)}: {each.problem}" for each in differences]


def _compare_films_without_digest(study: Study, sums: Mapping[str, str]) -> Iterator[Difference]:
    """Compare the files of films that were imported by the first version, whose lists have no digests."""
    for name, digest in sums.items():
        parts = name.split("/")
        if parts[0] != "films" or not name.endswith(".dcm"):
            continue
        try:
            films = {f"{film.id}.dcm": film.file for film in study.case(parts[1]).films}
            if films.get(parts[2]) == "" and study.folder.digest(name, MAX_FILE_BYTES) != digest:
                yield Difference(name, "it differs from the backup")
        except (RatuiError, FileNotFoundError):
            continue  # ``ratui check`` reports that
