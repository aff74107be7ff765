"""Choose one film for each side and part of an examination. Values only; the rules are in ``docs/intake.md``."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ratui.study.importing.film_header import FilmHeader

__all__ = ["Candidate", "Choice", "Decision", "choose_films", "exposure_marks", "find_contested", "intent_rank"]

_CHOOSE = "Choose one in a manifest"
_REASONS = (
    "the manifest names another film of that side and day",
    "another film of that side and day shows more of it",
    "another film of that side and day is the one for presentation",
    "another film of that side and day is the original",
)


_SAME_EXPOSURE = "another processing of the same exposure is taken"


class Decision(StrEnum):
    """The decision on one file of an import."""

    TAKE = "take"
    LEAVE_OUT = "leave out"
    DOUBTFUL = "doubtful"


@dataclass(frozen=True)
class Candidate:
    """A film of which person, examination, side and view are certain.

    Attributes
    ----------
    examination
        The person and the examination.
    part
        Part of the body, such as ``hand``.
    side
        ``L``, ``R`` or ``B``.
    view
        View, such as ``wrist``.
    rank
        Numbers by which films are compared in turn, the best film has the smallest: 0 for a film in a manifest, else 1;
        the place of the view in the scheme; the presentation intent (see `intent_rank`); 1 for an image that was derived
        from others. For films in a manifest the last three are 0.
    content
        Digest of the picture, or empty.
    exposure
        Marks of the exposure, see `exposure_marks`. Two films with a common mark are two processings of one exposure.
    made, uid
        Content date and time, and SOP Instance UID. Of processings of one exposure, the largest is taken.
    """

    examination: Hashable
    part: str
    side: str
    view: str
    rank: tuple[int, int, int, int]
    content: str = ""
    exposure: frozenset[str] = frozenset()
    made: str = ""
    uid: str = ""


@dataclass(frozen=True)
class Choice:
    """The decision on a film, and its reason, which is empty for a film that is taken."""

    decision: Decision
    reason: str = ""


def intent_rank(intent: str) -> int:
    """Return the rank of a Presentation Intent Type: for presentation, then not stated, then for processing."""
    return {"FOR PRESENTATION": 0, "FOR PROCESSING": 2}.get(intent.strip().upper(), 1)


def exposure_marks(header: FilmHeader) -> frozenset[str]:
    """Return texts that two processings of one exposure have in common.

    They are the UIDs of the images that it was made from, and the UID of the irradiation event, or without one the time of
    the exposure to the second.
    """
    sources = {f"source {uid}" for uid in header.source_uids}
    events = {f"event {uid}" for uid in header.elements.get("IrradiationEventUID", "").split("\\") if uid}
    dates = header.dates
    moment = dates.get("AcquisitionDateTime", "") or dates.get("AcquisitionDate", "") + dates.get("AcquisitionTime", "")
    has_time = re.match(r"[0-9]{14}", moment) and moment[8:14] != "000000"
    return frozenset(sources | (events or ({f"moment {moment}"} if has_time else set())))


def find_contested(films: Mapping[Path, Candidate]) -> set[Path]:
    """Return the films that must be decoded before the choice.

    They compete with another film for the same part of an examination and overlapping sides, or another file seems to have
    the same picture.
    """
    groups: dict[tuple[Hashable, str], list[Path]] = defaultdict(list)
    for path, film in films.items():
        groups[film.examination, film.part].append(path)
    pictures = Counter(film.content for film in films.values() if film.content)
    copies = {path for path, film in films.items() if pictures[film.content] > 1}
    return copies | {path for group in groups.values() for sides in _overlapping(films, group) for path in sides}


def choose_films(films: Mapping[Path, Candidate]) -> dict[Path, Choice]:
    """Return the decision on each film. The result does not depend on their order.

    Parameters
    ----------
    films
        The films by file. Of equal copies, the file whose path is first in the alphabet is taken.
    """
    choices = _compare_pictures(films)
    groups: dict[tuple[Hashable, str], list[Path]] = defaultdict(list)
    for path, film in films.items():
        if path not in choices:
            groups[film.examination, film.part].append(path)
    for group in groups.values():
        listed = {path: films[path] for path in group if films[path].rank[0] == 0}
        sides = {film.side for film in listed.values()}
        left = {path for path in group if path not in listed and _overlap(films[path].side, sides)}
        choices.update(dict.fromkeys(left, Choice(Decision.LEAVE_OUT, _REASONS[0])))
        choices |= _choose_of_part(listed)
        choices |= _choose_of_part({path: films[path] for path in group if path not in left and path not in listed})
    return choices


def _choose_of_part(films: Mapping[Path, Candidate]) -> dict[Path, Choice]:
    """Return the decisions on films of one part of one examination."""
    sides = {film.side for film in films.values()}
    if "B" in sides and len(sides) > 1:
        reason = f"there are films of one side and a film of both sides from that day. {_CHOOSE}"
        return dict.fromkeys(films, Choice(Decision.DOUBTFUL, reason))
    choices: dict[Path, Choice] = {}
    for side in sides:
        choices |= _choose_of_side({path: film for path, film in films.items() if film.side == side})
    return choices


def _overlap(side: str, others: set[str]) -> bool:
    return side in others or "B" in others or (side == "B" and bool(others))


def _compare_pictures(films: Mapping[Path, Candidate]) -> dict[Path, Choice]:
    """Return the decisions on copies, and on equal pictures that are said to show different things."""
    by_content: dict[str, list[Path]] = defaultdict(list)
    for path, film in films.items():
        if film.content:
            by_content[film.content].append(path)
    choices: dict[Path, Choice] = {}
    for paths in by_content.values():
        if len({(films[path].examination, films[path].part, films[path].side, films[path].view) for path in paths}) > 1:
            reason = "another file has the same picture, but another patient, day, side or part. Check both files"
            choices.update(dict.fromkeys(paths, Choice(Decision.DOUBTFUL, reason)))
            continue
        best = min(paths, key=lambda path: (films[path].rank, path))
        copies = (path for path in paths if path != best)
        choices.update(dict.fromkeys(copies, Choice(Decision.LEAVE_OUT, "the same film is in another file")))
    return choices


def _choose_of_side(films: Mapping[Path, Candidate]) -> dict[Path, Choice]:
    best = min(film.rank for film in films.values())
    equal = [path for path, film in films.items() if film.rank == best]
    if best[0] != 0 and _are_one_exposure([films[path] for path in equal]):
        taken = max(sorted(equal), key=lambda path: (films[path].made, films[path].uid))
        others = {path: Choice(Decision.LEAVE_OUT, _SAME_EXPOSURE) for path in equal if path != taken}
    else:
        others = {}
    equal = [path for path in equal if path not in others]
    reason = f"{len(equal)} films of that side and day are equally suitable. {_CHOOSE}"
    chosen = Choice(Decision.TAKE) if len(equal) == 1 else Choice(Decision.DOUBTFUL, reason)
    return others | {
        path: chosen
        if film.rank == best
        else Choice(Decision.LEAVE_OUT, next(r for r, a, b in zip(_REASONS, film.rank, best, strict=True) if a != b))
        for path, film in films.items()
        if path not in others
    }


def _are_one_exposure(films: list[Candidate]) -> bool:
    """Return whether all films show one exposure: each is connected to the first, perhaps by way of others."""
    connected, rest = [films[0]], films[1:]
    for film in connected:
        linked = [other for other in rest if _show_one_exposure(film, other)]
        connected += linked
        rest = [other for other in rest if other not in linked]
    return not rest


def _show_one_exposure(one: Candidate, other: Candidate) -> bool:
    """Return whether two films have a common mark, or one was made from the other. A common UID proves nothing."""
    is_source = any(f"source {left.uid}" in right.exposure for left, right in ((one, other), (other, one)))
    return bool(one.exposure & other.exposure) or is_source


def _overlapping(films: Mapping[Path, Candidate], group: list[Path]) -> Iterable[list[Path]]:
    by_side: dict[str, list[Path]] = defaultdict(list)
    for path in group:
        by_side[films[path].side].append(path)
    if "B" in by_side:
        return [group] if len(group) > 1 else []
    return [paths for paths in by_side.values() if len(paths) > 1]
