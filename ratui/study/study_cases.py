"""The cases of a study with their films: with time points for managers, or with positions as one rater sees them.

A plain study shows no answers of others. `results.adjudication` and `practice` replace the methods that return them.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from ratui.errors import RatuiError, StudyError, clean_text
from ratui.files import check_name
from ratui.imaging import Film, Orientation
from ratui.reading import Entry, Field, Reading
from ratui.scheme import Scheme
from ratui.study.accounts import is_manager
from ratui.study.case import Case, FilmRecord
from ratui.study.case_store import CaseStore
from ratui.study.config_files import CONSENSUS, StudyConfig
from ratui.study.film_files import load_film
from ratui.study.readings.reading_permission import check_window
from ratui.study.readings.restored import find_reading
from ratui.study.region_store import RegionStore
from ratui.study.store import StudyFolder
from ratui.study.visits import FilmList, Positions, Visit
from ratui.study.worklist import CaseState, StudyFiles

__all__ = ["AnswerSummary", "RevealedAnswers", "StudyCases"]

RevealedAnswers: TypeAlias = Literal["", "raters", "truth", "reference"]
"""Origin of the answers that are shown: the raters in an adjudication, the truth or a reference in practice; or none."""


@dataclass(frozen=True)
class AnswerSummary:
    """The agreement of all answers so far with the known ones.

    Attributes
    ----------
    joints
        Number of joints answered.
    kappa
        Quadratic-weighted kappa, the mean over the scales; None if it is not defined yet.
    difference
        Mean of the rater's minus the known score, in grades; None before the first score.
    """

    joints: int
    kappa: float | None
    difference: float | None


class StudyCases(RegionStore):
    """The cases of a study; the base class of `Study`.

    Parameters
    ----------
    path
        The study's folder.
    config, scheme
        Settings and scheme of the study.
    view
        Rater whose view of the study this is; empty for the view with time points.
    folder
        The study's folder, through which its files are opened.
    """

    reveals: RevealedAnswers = ""
    """Origin of the answers that `load_other_answers` returns."""

    def __init__(self, path: Path, config: StudyConfig, scheme: Scheme, view: str, folder: StudyFolder) -> None:
        super().__init__(folder, config, scheme)
        self.path = path
        self.view = view
        """Rater whose view of the study this is; empty for the view with time points."""
        self._is_manager: bool | None = None
        read = weakref.WeakMethod(self._read)  # a cycle would keep the folder open after the last use of the study
        orientations = weakref.WeakMethod(self.orientations)
        self._case_store = CaseStore(
            self.folder,
            lambda file: read()(file),  # type: ignore[misc]
            lambda case: orientations()(case),  # type: ignore[misc]
            self._study_lock,
            scheme,
        )

    @property
    def is_manager(self) -> bool:
        """True if this account manages the study: its owner, root, and members of its group of managers."""
        if self._is_manager is None:
            self._is_manager = is_manager(self.folder, self.config.managers)
        return self._is_manager and not self.view

    def check_manager(self, action: str) -> None:
        """Raise StudyError unless this account manages the study; `action`, such as "train on it", is for its text."""
        if not self.is_manager:
            group, remedy = self.config.managers, "Ask the study's owner"
            if group:
                remedy = f"Ask the study's owner or a member of the group {group}"
            raise StudyError(f"only managers of the study may {action}", self.path, remedy)

    def cases(self) -> tuple[str, ...]:
        """Return the names of all cases, sorted; in a rater's view of those that the rater reads."""
        found = StudyFiles(self.folder).cases
        return (
            tuple(case for case in found if self._is_read(case))
            if self.view and (self.config.has_assignments or self.config.charter.block_cases)
            else found
        )

    def _is_read(self, case: str) -> bool:
        """Return whether the rater of this view reads `case`. A case that can't be read counts: its screen says why."""
        try:
            return self.view in self.positions(case) and self.is_open(self.view, case)
        except RatuiError:
            return True

    def is_open(self, rater: str, case: str) -> bool:
        """Return whether `case` is in a block that is open for `rater`, or was begun. The adjudicator has no blocks."""
        if rater == CONSENSUS or not self.config.charter.block_cases or rater in self.film_list(case).blocks:
            return True
        return self.folder.exists(find_reading(self.folder, rater, case).inside)

    def _is_listed(self, rater: str, state: CaseState) -> bool:
        """Return whether a worklist contains the case of `state`. A rater's view leaves out blocks that are not open."""
        is_hidden = self.view and rater != CONSENSUS and self.config.charter.block_cases and not state.is_open
        return state.stage == "unreadable" or (state.stage != "unassigned" and not is_hidden)

    def check_open(self, rater: str, case: str) -> None:
        """Raise StudyError if `rater` does not read `case`, or the charter does not permit it now: block and days."""
        if rater != CONSENSUS:
            self._positions_of(rater, case)
            block = self.film_list(case).blocks.get(rater, 0)
            check_window(self.config, case, block, is_open=self.is_open(rater, case))

    def case(self, id: str) -> Case:
        """Return the case named `id`.

        Raises StudyError if there is none, if it is not assigned to the rater of this view, or if only managers may know
        its time points.
        """
        return self.shown_case(self.view, id) if self.view else self._case_store.case(id, self.config)

    def shown_case(self, rater: str, id: str) -> Case:
        """Return a case as `rater` sees it, with positions in place of time points. Raises StudyError as `case` does."""
        return self._case_store.shown_case(rater, id, self.config)

    def unordered_case(self, id: str) -> Case:
        """Return a case with its films at the positions of one rater, for uses that don't depend on their order.

        These are the positions of the consensus, or in a package those of the rater. Raises StudyError as `case` does.
        """
        known = self.positions(id)
        return self.shown_case(CONSENSUS if CONSENSUS in known else next(iter(known), CONSENSUS), id)

    def film_list(self, case: str) -> FilmList:
        """Return the part of `case` that every member of the study may read. Raises StudyError if there is none."""
        return self._case_store.film_list(case, self.config)

    def positions(self, case: str) -> Mapping[str, Positions]:
        """Return the films at each position on the screen, by rater, for the raters who read `case`."""
        return self.film_list(case).positions

    def raters_of(self, case: str) -> tuple[str, ...]:
        """Return the raters who read `case`, in the order of the study's raters."""
        positions = self.positions(case)
        return tuple(rater for rater in self.config.raters if rater in positions)

    def displayed_films(self, case: str) -> Mapping[str, FilmRecord]:
        """Return the films of `case` by ID, in their orientations, with the time point 0. Raises StudyError."""
        found = self._case_store.displayed_films(case, self.config)
        return {film.id: film for film in found}

    def visits(self, case: str) -> Mapping[str, Visit]:
        """Return the visits of the films of `case`, by film, for managers; empty up to format 2. Raises StudyError."""
        return self._case_store.visits(case)

    def save_case(
        self,
        case: Case,
        *,
        positions: Mapping[str, Positions] | None = None,
        split: bool = False,
        blocks: Mapping[str, int] | None = None,
    ) -> None:
        """Store the list of films of `case`. Raises StoreError.

        Raters keep the order in which they see the time points, or that of `positions` if given. In a blinded study the
        order of a new case is drawn at random. `split` stores the visits in the private folder, as format 3 does, even if
        the study has an earlier format. `blocks` are the numbers of the reading blocks to open the case in, by rater.
        """
        assert not self.view, "a rater's view does not know the time points"
        self._case_store.save(case, self.config, positions, split=split, blocks=blocks)

    def draw_missing_positions(self) -> int:
        """Draw the order of the films for raters who were added to a study; return the number of changed cases.

        If only some raters read each case, nothing changes: new raters read new cases. Raises StoreError, StudyError.
        """
        if self.config.raters_per_case:
            return 0
        missing = [case for case in self.cases() if not self.positions(case).keys() >= {*self.config.active_raters}]
        for case in missing:
            self.save_case(self.case(case))
        return len(missing)

    def film_path(self, case: str, film: str) -> Path:
        """Return the path of the file of one film."""
        return self.path / "films" / check_name(case, "case") / f"{check_name(film, 'film')}.dcm"

    def film(self, case: str, film: str, orientation: Orientation | None = None) -> Film:
        """Return one film, decoded, in its recorded orientation or in `orientation`.

        Raises FilmError if it can't be read or is not the file that was imported.
        """
        return load_film(self.folder, self.case(case), check_name(film, "film"), orientation)

    def order(self, rater: str, case: str) -> tuple[int, ...]:
        """Return the time points in the order in which `rater` sees them, left first.

        In a rater's view these are the positions themselves. Raises StudyError as `case` does, and if the case is not
        assigned to the rater.
        """
        return self.case(case).order_of(self._positions_of(rater, case))

    def _positions_of(self, rater: str, case: str) -> Positions:
        positions = self.positions(case).get(rater)
        if positions is None:
            raise StudyError(f"it is not assigned to {clean_text(rater)}", case, "Ask a manager of the study")
        return positions

    # Answers of others, which a study may show to a rater who has answered the joint.

    def load_other_answers(self, case: str, site: str) -> tuple[Mapping[Field, Entry], ...]:
        """Return the answers of others at `site`; empty in a plain study."""
        return ()

    def list_review_sites(self, case: str) -> frozenset[str] | None:
        """Return the keys of the sites that the review before signing may list; None for all."""
        return None

    def summarize_answers(self, reading: Reading) -> AnswerSummary | None:
        """Return the agreement so far, with `reading` as it stands now; None outside practice."""
        return None
