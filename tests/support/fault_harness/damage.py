"""Damage to stored files: flipped bits, truncation, runs of zeros, exchanged files."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path

from ratui.files import file_digest, second_copy_path
from ratui.study import FilmRecord, Region, RegionSource, Study
from tests.support.fault_harness.count import Count
from tests.support.fault_harness.stores import CASE, RATER, Ours, Stock, text_of

__all__ = ["damages", "fill"]

KINDS = ("bit", "bit", "bit", "bit", "cut", "zeros", "swap")


def damages(
    store: Ours | Stock, folder: Path, trials: int, seed: int = 0, *, entries: int = 40, twice: bool = False
) -> Count:
    """Damage one random stored file `trials` times; count undetected damage and entries lost after the repair.

    With `twice` its second copy is damaged too, in another way. Then entries may be lost, but not without detection.
    """
    rng = random.Random(seed)
    count = Count("both copies damaged at once" if twice else "bit flips, truncations, zeros", store.name, beyond=twice)
    place = store.make(folder / "pristine")
    saved = [text_of(0, number) for number in range(entries)]
    with store.session(place) as session:
        for text in saved:
            session.save(text)
    if isinstance(store, Ours):
        fill(place)
    home = place if place.is_dir() else place.parent
    originals = {file: file.read_bytes() for file in sorted(home.rglob("*")) if _is_target(file)}
    files = [file for file in originals if not twice or second_copy_path(file) in originals]
    for _ in range(trials):
        count.trials += 1
        count.saved += len(saved)
        file = rng.choice(files)
        for each in (file, second_copy_path(file)) if twice else (file,):
            each.write_bytes(_damaged(originals[each], list(originals.values()), rng))
        found = _after(store, place, saved, count)
        count.lost += sum(text not in found for text in saved)
        for each, original in originals.items():
            if not each.exists() or each.read_bytes() != original:
                each.write_bytes(original)
                each.chmod(0o600)
        for litter in home.rglob("*.damaged-*"):
            litter.unlink()
    shutil.rmtree(folder)
    return count


def _after(store: Ours | Stock, place: Path, saved: list[str], count: Count) -> set[str]:
    """Return the entries found after the repair of a damaged store; record in `count` whether the damage was detected."""
    try:
        is_detected = store.is_damage_detected(place)
        if isinstance(store, Stock) and not is_detected and set(store.entries(place)) == set(saved):
            is_detected = True  # harmless: white space, or a field without an entry
        count.unnoticed += not is_detected
        store.repair(place)
        return set(store.entries(place))
    except Exception as error:
        count.crashes += not store.is_expected(error)
        return set()


def _is_target(file: Path) -> bool:
    return file.is_file() and file.suffix not in (".lock", ".takeover")


def _damaged(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    while True:
        kind = rng.choice(KINDS)
        at = rng.randrange(len(data))
        if kind == "bit":
            changed = data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
        elif kind == "cut":
            changed = data[:at]
        elif kind == "zeros":
            length = min(rng.choice((1, 16, 512, 4096)), len(data) - at)
            changed = data[:at] + b"\0" * length + data[at + length :]
        else:
            changed = rng.choice(others)
        if changed != data:
            return changed


def fill(place: Path) -> None:
    """Add regions and films with checksums, so that every kind of file can be damaged."""
    study = Study.open(place)
    case = study.case(CASE)
    films: list[FilmRecord] = []
    for number, film in enumerate(case.films):
        path = study.film_path(CASE, film.id)
        path.write_bytes(random.Random(number).randbytes(3000))
        path.chmod(0o600)
        films.append(replace(film, file=file_digest(path)))
    study.save_case(type(case)(CASE, tuple(films)))
    regions = [Region("L.MCP2", film.id, (1.0, 2.0, 30.0, 40.0), RegionSource.RATER, RATER) for film in films]
    study.save_regions(CASE, regions)
