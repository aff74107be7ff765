"""Choose one film for each side and part of an examination. Values only; the rules are in ``docs/intake.md``."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ratui.study.importing.planning.import_plan import Decision
from ratui.study.importing.planning.rejections import Mark, MarkKind

__all__ = ["Candidate", "Choice", "choose_films", "find_contested", "rank_intent"]

_CHOOSE = "Choose one in a manifest"
_REASONS = (
    "the manifest names another film of that side and day",
    "another film of that side and day shows more of it",
    "another film of that side and day is the one for presentation",
    "another film of that side and day is the original",
)
_SHOWS_LESS = "it shows less than a rejected film of that side and day"
_MAY_BE_REPEAT = "another film of that side and day may be its repeat, or rejected"
_SAME_EXPOSURE = "another processing of the same exposure is taken"


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
        the place of the view in the scheme; the presentation intent (see `rank_intent`); 1 for an image that was derived
        from others. For films in a manifest the last three are 0.
    content
        Digest of the picture, or empty.
    exposure
        Marks of the exposure, see `list_exposure_marks`. Two films with a common mark are two processings of one exposure.
    copy
        Marks of the picture, see `list_copy_marks`. Files of two examinations with a common mark may have one picture.
    mark
        Statement that the film was rejected, or None. Films in a manifest have none: a person has decided.
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
    copy: frozenset[str] = frozenset()
    mark: Mark | None = None
    made: str = ""
    uid: str = ""

    @property
    def is_marked(self) -> bool:
        """True if the film was rejected or may be oblique: it does not compete, and another one is its replacement."""
        return self.mark is not None and self.mark.kind is not MarkKind.UNCLEAR


@dataclass(frozen=True)
class Choice:
    """The decision on a film, and its reason, which is empty for a film that is taken."""

    decision: Decision
    reason: str = ""


def rank_intent(intent: str) -> int:
    """Return the rank of a Presentation Intent Type: for presentation, then not stated, then for processing."""
    return {"FOR PRESENTATION": 0, "FOR PROCESSING": 2}.get(intent.strip().upper(), 1)


def find_contested(films: Mapping[Path, Candidate]) -> set[Path]:
    """Return the films that must be decoded before the choice.

    They compete with another film for the same part of an examination and overlapping sides, or another file seems to have
    the same picture. The digests of two files with one picture differ if it is compressed in another way.
    """
    groups: dict[tuple[Hashable, str], list[Path]] = defaultdict(list)
    for path, film in films.items():
        groups[film.examination, film.part].append(path)
    pictures = Counter(film.content for film in films.values() if film.content)
    copies = {path for path, film in films.items() if pictures[film.content] > 1}
    alike: dict[str, dict[Path, Hashable]] = defaultdict(dict)
    for path, film in films.items():
        for mark in film.copy:
            alike[mark][path] = film.examination
    copies |= {path for found in alike.values() if len(set(found.values())) > 1 for path in found}
    return copies | {path for group in groups.values() for sides in _group_overlapping(films, group) for path in sides}


def choose_films(films: Mapping[Path, Candidate]) -> dict[Path, Choice]:
    """Return the decision on each film. The result does not depend on their order.

    Parameters
    ----------
    films
        The films by file. Of equal copies, the file whose path is first in the alphabet is taken.
    """
    films, choices = _compare_pictures(films)
    groups: dict[tuple[Hashable, str], list[Path]] = defaultdict(list)
    for path, film in films.items():
        if path not in choices:
            groups[film.examination, film.part].append(path)
    for group in groups.values():
        listed = {path: films[path] for path in group if films[path].rank[0] == 0}
        sides = {film.side for film in listed.values()}
        left = {path for path in group if path not in listed and _overlap(films[path].side, sides)}
        choices.update(dict.fromkeys(left, Choice(Decision.LEAVE_OUT, _REASONS[0])))
        others = {path: films[path] for path in group if path not in left and path not in listed}
        rejected = {path: film for path, film in others.items() if film.is_marked}
        choices |= _choose_of_part(listed)
        choices |= _choose_of_part({path: film for path, film in others.items() if path not in rejected})
        taken = {path: films[path] for path in group if path in choices and choices[path].decision is Decision.TAKE}
        choices |= _decide_rejected(rejected, taken)
    return choices


def _choose_of_part(films: Mapping[Path, Candidate]) -> dict[Path, Choice]:
    """Return the decisions on films of one part of one examination."""
    choices = _leave_out_parts(films)
    films = {path: film for path, film in films.items() if path not in choices}
    sides = {film.side for film in films.values()}
    if "B" in sides and len(sides) > 1:
        reason = f"there are films of one side and a film of both sides from that day. {_CHOOSE}"
        return choices | dict.fromkeys(films, Choice(Decision.DOUBTFUL, reason))
    for side in sides:
        choices |= _choose_of_side({path: film for path, film in films.items() if film.side == side})
    return choices


def _leave_out_parts(films: Mapping[Path, Candidate]) -> dict[Path, Choice]:
    """Return the decisions on films that show only a part of what other films of the examination show."""
    choices = {}
    for path, film in films.items():
        more = {side for other in films.values() if other.rank[1] < film.rank[1] for side in _list_sides(other)}
        whole = (
            other
            for other in films.values()
            if other.side == "B" != film.side
            and other.rank[0] != 0
            and other.rank <= film.rank
            and film.mark is None
            and _are_one_acquisition(film, other)
        )
        if _list_sides(film) <= more:
            choices[path] = Choice(Decision.LEAVE_OUT, _REASONS[1])
        elif any(whole):
            choices[path] = Choice(Decision.LEAVE_OUT, "another film of the same exposure shows both sides")
    return choices


def _decide_rejected(films: Mapping[Path, Candidate], taken: Mapping[Path, Candidate]) -> dict[Path, Choice]:
    """Return the decisions on rejected films of one part of one examination, of which the `taken` films are taken."""
    choices: dict[Path, Choice] = {}
    for path, film in films.items():
        reason = film.mark.reason if film.mark else ""
        lesser = [
            other
            for other, each in taken.items()
            if each.rank[0] != 0 and each.rank[1] > film.rank[1] and _list_sides(each) & _list_sides(film)
        ]
        choices.update(dict.fromkeys(lesser, Choice(Decision.DOUBTFUL, f"{_SHOWS_LESS}. {_CHOOSE}")))
        shown = {side for other, each in taken.items() if other not in lesser for side in _list_sides(each)}
        if _list_sides(film) <= shown:
            choices[path] = Choice(Decision.LEAVE_OUT, f"{reason}; another film of that side and day is taken")
        else:
            doubt = f"{reason}, and no other film of that side and day is taken. Name it in a manifest to take it"
            choices[path] = Choice(Decision.DOUBTFUL, doubt)
    return choices


def _list_sides(film: Candidate) -> set[str]:
    return set("LR") if film.side == "B" else {film.side}


def _overlap(side: str, others: set[str]) -> bool:
    return side in others or "B" in others or (side == "B" and bool(others))


def _compare_pictures(films: Mapping[Path, Candidate]) -> tuple[dict[Path, Candidate], dict[Path, Choice]]:
    """Return the films, and the decisions on copies and on equal pictures that are said to show different things.

    A film has the mark of its copies. A film that was rejected for its entry is no copy: the other one corrects it.
    """
    films = dict(films)
    by_content: dict[str, list[Path]] = defaultdict(list)
    for path, film in films.items():
        if film.content and not (film.mark and film.mark.kind is MarkKind.ENTRY):
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
        marks = [mark for path in paths if (mark := films[path].mark)]
        if marks and films[best].rank[0] != 0:
            films[best] = replace(films[best], mark=min(marks, key=lambda mark: (mark.kind, mark.reason)))
    return films, choices


def _choose_of_side(films: Mapping[Path, Candidate]) -> dict[Path, Choice]:
    best = min(film.rank for film in films.values())
    equal = [path for path, film in films.items() if film.rank == best]
    if best[0] != 0 and _are_one_exposure([films[path] for path in equal]):
        originals = [path for path in equal if not _is_made_from(films[path], [films[other] for other in equal])]
        taken = max(sorted(originals or equal), key=lambda path: (films[path].made, films[path].uid))
        others = {path: Choice(Decision.LEAVE_OUT, _SAME_EXPOSURE) for path in equal if path != taken}
    else:
        others = {}
    equal = [path for path in equal if path not in others]
    reason = f"{len(equal)} films of that side and day are equally suitable. {_CHOOSE}"
    chosen = Choice(Decision.TAKE) if len(equal) == 1 else Choice(Decision.DOUBTFUL, reason)
    choices = others | {
        path: chosen
        if film.rank == best
        else Choice(Decision.LEAVE_OUT, next(r for r, a, b in zip(_REASONS, film.rank, best, strict=True) if a != b))
        for path, film in films.items()
        if path not in others
    }
    if any(film.mark for film in films.values()):
        choices |= {
            path: Choice(
                Decision.DOUBTFUL, f"{mark.reason if (mark := films[path].mark) else _MAY_BE_REPEAT}. {_CHOOSE}"
            )
            for path in equal
        }
    return choices


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
    return bool(one.exposure & other.exposure) or _is_made_from(one, [other]) or _is_made_from(other, [one])


def _are_one_acquisition(one: Candidate, other: Candidate) -> bool:
    """Return whether two films are of one exposure by their UIDs: films of both sides may have the time of others."""
    is_common = any(not mark.startswith("moment ") for mark in one.exposure & other.exposure)
    return is_common or _is_made_from(one, [other]) or _is_made_from(other, [one])


def _is_made_from(film: Candidate, others: Iterable[Candidate]) -> bool:
    return any(other.uid and other.uid != film.uid and f"source {other.uid}" in film.exposure for other in others)


def _group_overlapping(films: Mapping[Path, Candidate], group: list[Path]) -> Iterable[list[Path]]:
    by_side: dict[str, list[Path]] = defaultdict(list)
    for path in group:
        by_side[films[path].side].append(path)
    if "B" in by_side:
        return [group] if len(group) > 1 else []
    return [paths for paths in by_side.values() if len(paths) > 1]
