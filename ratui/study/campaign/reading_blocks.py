"""Blocks of cases that a rater reads one after the other, drawn at random for each rater when a block is opened.

The charter states how many cases a block has. Until a manager opens the next block, its cases are not in the rater's
worklist. A block is drawn when it is opened, so that no file contains the order of later cases. A hidden repeat is drawn
for a later block than its original, and in the order of reading at least `MIN_DISTANCE` places after it, if possible.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ratui.errors import RatuiError, StudyError, clean_text
from ratui.study.accounts import act_as_owner
from ratui.study.campaign.repeat_distance import MIN_DISTANCE, find_shortest_distance
from ratui.study.campaign.repeats import Repeat, load_repeats
from ratui.study.config_files import SPLIT_FORMAT
from ratui.study.model_results.reading_order import sort_for_reading
from ratui.study.store import FileLock
from ratui.study.study import Study

__all__ = ["RaterBlocks", "list_blocks", "open_blocks"]

_MOST_DRAWS = 300
"""Blocks to draw before one is taken in which a repeat is near to its original."""
_LAST_BLOCKS = 3
"""Number of blocks at the end, in the first of which the originals come whose repeats are to come in the others."""


@dataclass(frozen=True)
class RaterBlocks:
    """The blocks of one rater.

    Attributes
    ----------
    rater
        Name of the rater.
    block
        Number of the last open block; 0 if none is open.
    cases, signed
        Number of cases in open blocks, and of those with a signed reading.
    left
        Number of the rater's cases that are in no block yet; 0 if the charter has no blocks.
    """

    rater: str
    block: int
    cases: int
    signed: int
    left: int

    @property
    def is_done(self) -> bool:
        """True if the rater has signed all cases of the open blocks, and there are more."""
        return self.signed == self.cases and self.left > 0


def list_blocks(study: Study) -> tuple[RaterBlocks, ...]:
    """Return the blocks of each rater who has not left. Raises StudyError if this account does not manage the study."""
    study.check_manager("see its blocks")
    return tuple(_find_blocks(study)[0])


def open_blocks(study: Study, raters: tuple[str, ...] = ()) -> tuple[RaterBlocks, ...]:
    """Open the next block for each rater who has signed all cases of the open ones; return the blocks of all raters.

    With `raters`, open it for these raters only, also if they have not finished.

    Raises
    ------
    StudyError
        If the charter has no blocks, this account does not manage the study, or a rater is unknown or has left.
    StoreError
        If the disk refuses, or another manager opens blocks, imports films or draws repeats at this moment.
    """
    study.check_manager("open its blocks")
    study.check_unlocked()
    size = study.config.charter.block_cases
    if not size or study.config.stored_format < SPLIT_FORMAT:
        problem = "the charter has no blocks"
        raise StudyError(problem, study.path, "Set block_cases: ratui charter STUDY --set FILE --reason TEXT")
    for rater in raters:
        if rater not in study.config.active_raters:
            known = ", ".join(study.config.active_raters)
            problem = f"{clean_text(rater)} is not a rater of this study, or has left"
            raise StudyError(problem, study.path, f"Its raters are: {known}")
    with act_as_owner(study.folder, "films"), FileLock(study.folder.file("import.lock")):
        found, waiting, read = _find_blocks(study)
        repeats = load_repeats(study)
        opened: dict[str, dict[str, int]] = {}
        for each in found:
            if each.rater in raters if raters else each.is_done:
                left = waiting[each.rater]
                # A repeat waits until its original is in an earlier block; at the end the rest is opened in any case.
                ready = [case for case in left if case not in repeats or repeats[case].original not in left] or left
                is_late = len(left) <= _LAST_BLOCKS * size
                first = (
                    {repeats[case].original for case in left if case in repeats} & {*left} if is_late else set[str]()
                )
                for case in _draw_block(study.as_rater(each.rater), ready, first, size, read[each.rater], repeats):
                    opened.setdefault(case, {})[each.rater] = each.block + 1
        for case, blocks in sorted(opened.items()):  # by name: the times of the files tell nothing of the draw
            study.save_case(study.case(case), blocks=blocks)
    return tuple(_find_blocks(study)[0])


def _draw_block(
    view: Study,
    ready: Sequence[str],
    first: Collection[str],
    size: int,
    read: Mapping[str, int],
    repeats: Mapping[str, Repeat],
) -> list[str]:
    """Draw a block of `size` cases, such that each repeat in it is far enough behind its original.

    If no such block is found, it is the one of those drawn with the largest distance.

    Parameters
    ----------
    view
        The study in the view of the rater.
    ready
        Cases that may be drawn.
    first
        Those of them that are drawn before the others.
    size
        Number of cases of a block.
    read
        The rater's cases in open blocks, with their blocks.
    repeats
        The hidden repeats.
    """
    draw = random.SystemRandom()
    places = {case: place for place, case in enumerate(sort_for_reading(view, sorted({*read, *ready})))}
    before = sorted(read, key=lambda case: (read[case], places[case]))
    best: list[str] = []
    farthest = 0
    for _ in range(_MOST_DRAWS):
        drawn = draw.sample(sorted(first), min(size, len(first)))
        others = [case for case in ready if case not in first]
        drawn += draw.sample(others, min(size - len(drawn), len(others)))
        originals = {case: repeats[case].original for case in drawn if case in repeats}
        distance = find_shortest_distance([*before, *sorted(drawn, key=places.__getitem__)], originals)
        if distance > farthest:
            best, farthest = drawn, distance
        if distance >= MIN_DISTANCE:
            break
    return best


def _find_blocks(study: Study) -> tuple[list[RaterBlocks], Mapping[str, list[str]], Mapping[str, Mapping[str, int]]]:
    """Return the blocks of each active rater, and by rater the cases that wait and those that are open.

    A case waits if it is in no block yet and was not begun. An open case has the number of its block; 0 if it was begun
    without one.
    """
    blocks: dict[str, dict[str, int]] = {rater: {} for rater in study.config.active_raters}
    for case in study.cases():
        try:
            for rater, block in study.film_list(case).blocks.items():
                if rater in blocks:
                    blocks[rater][case] = block
        except RatuiError:
            continue  # the check reports it
    found, waiting, read = [], {}, {}
    for rater, known in blocks.items():
        states = [state for state in study.states(rater) if state.stage != "unreadable"]
        is_open = [state for state in states if state.is_open or not study.config.charter.block_cases]
        waiting[rater] = [state.case for state in states if state not in is_open]
        read[rater] = {state.case: known.get(state.case, 0) for state in is_open}
        signed = sum(state.stage == "signed" for state in is_open)
        block = max(known.values(), default=0)
        found.append(RaterBlocks(rater, block, len(is_open), signed, len(waiting[rater])))
    return found, waiting, read
