"""Measure the changes of joint spaces in a whole study, in several processes, and save them case by case.

Every joint of the fingers with a box on both films of a pair of visits is measured: successive visits, and the baseline with
each later visit. What was measured before is kept while its films and boxes are the same.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, islice, pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ratui.detection.finger_joints import JOINT_KINDS
from ratui.errors import FilmError, RatuiError, StudyError
from ratui.imaging import Box, Film
from ratui.pool_worker import prepare_worker
from ratui.scheme import Scheme, Site
from ratui.study import Case, FilmRecord, Study
from ratui.study.accounts import act_as_owner
from ratui.study.config_files import SPLIT_FORMAT
from ratui.study.film_files import load_film
from ratui.study.joint_spaces.joint_space import (
    ImpossibleMeasurementsError,
    MeasuredChange,
    digest_inputs,
    hides_joint_space,
    read_joint_space,
    save_joint_space,
    shown_boxes,
)
from ratui.study.joint_spaces.joint_space_release import publish_released_joint_space, withdraw_unreleased_joint_space
from ratui.study.layout import PRIVATE
from ratui.study.store import StudyFolder

if TYPE_CHECKING:
    from ratui.imaging import JointSpaceChange

__all__ = [
    "Measure",
    "MeasureSummary",
    "count_default_workers",
    "list_measured_sites",
    "list_visit_pairs",
    "measure_joint_spaces",
]

Measure: TypeAlias = Callable[[Film, Box, Film, Box], "JointSpaceChange"]
"""Measures one joint on two films, as `ratui.imaging.joint_space_change` does."""
_Key: TypeAlias = tuple[str, frozenset[str]]
"""Site, and the IDs of both films."""
_MOST_WORKERS = 8
"""Largest default number of processes: each holds two films."""


@dataclass
class MeasureSummary:
    """Counts and messages of `measure_joint_spaces`.

    Attributes
    ----------
    cases
        Number of cases with measurements.
    measured, kept
        Numbers of measurements that were made, and of those that were made before and still hold.
    reliable
        Number of all these that are reliable.
    reasons
        Number of the others by reason, see `ratui.study.joint_spaces.joint_space.REASONS`.
    failures
        A line for each film, or case, that can't be read.
    released
        Number of cases whose measurements raters may see, in a study that hides them until release; None in any other one.
    """

    cases: int = 0
    measured: int = 0
    kept: int = 0
    reliable: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    released: int | None = None


@dataclass(frozen=True)
class _Task:
    """The joints to measure on one pair of films, which are sorted by ID; `joints` are sites with their two boxes."""

    case: Case
    films: tuple[FilmRecord, FilmRecord]
    joints: tuple[tuple[str, Box, Box], ...]

    @property
    def key(self) -> frozenset[str]:
        """IDs of both films."""
        return frozenset(film.id for film in self.films)


@dataclass
class _CasePlan:
    """The valid measurements of a case by site and films, the number of its tasks that are not done, and of new ones."""

    found: dict[_Key, MeasuredChange]
    waiting: int
    measured: int = 0


@dataclass(frozen=True)
class _Result:
    """The measurements of a task, or the ID of a film that can't be read, with the problem."""

    found: tuple[MeasuredChange, ...]
    film: str = ""
    problem: str = ""


def list_measured_sites(scheme: Scheme) -> tuple[Site, ...]:
    """Return the sites of `scheme` that can be measured: the joints of the fingers."""
    return tuple(site for site in scheme.sites if site.joint.group in JOINT_KINDS)


def list_visit_pairs(times: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return the pairs of a joint's time points that are measured: successive ones, and the first with each later one."""
    return tuple(sorted({*pairwise(times), *((times[0], later) for later in times[1:])}))


def measure_joint_spaces(
    study: Study,
    measure: Measure,
    *,
    cases: Iterable[str] | None = None,
    again: bool = False,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> MeasureSummary:
    """Measure all joints of a study and save the measurements.

    Each pair of films is saved when it is measured, so that an interrupted run loses at most the pairs in work. A film that
    can't be read, or a damaged file of a case, adds a line to the summary; the others are measured.

    Parameters
    ----------
    study
        The study. Only its managers may measure it; in a study that hides them until release, only its owner, whose
        private folder gets the measurements.
    measure
        The measurement. With more than one worker, a function of a module, which other processes can import.
    cases
        Cases to measure; None for all.
    again
        Also measure again what was measured before.
    workers
        Number of processes; None for one for each processor, up to 8. With 1, this process measures.
    on_progress
        Called with (cases done, cases in all).

    Raises
    ------
    StudyError
        If this account may not do it, a case does not exist, or a process ended unexpectedly.
    StoreError
        If the study is locked, or measurements can't be saved.
    """
    study.check_manager("measure its joints")
    study.check_unlocked()
    if study.config.stored_format < SPLIT_FORMAT:
        problem = "films and time points are not yet stored apart"
        raise StudyError(problem, study.path, "Convert it with: ratui check STUDY --repair")
    names = study.cases() if cases is None else tuple(sorted(set(cases)))
    for name in names if cases is not None else ():
        study.film_list(name)  # raises an error for an unknown case
    withdraw_unreleased_joint_space(study)
    run = _Run(study, again, len(names), on_progress)
    tasks = run.plan(names)
    first = list(islice(tasks, 2))
    count = count_default_workers() if workers is None else max(workers, 1)
    try:
        with closing(_run_tasks(study.path, chain(first, tasks), measure, count if len(first) > 1 else 1)) as results:
            for task, result in results:
                run.add(task, result)
    except BrokenProcessPool as error:
        problem = "a process that measures has ended, perhaps because there was not enough memory"
        raise StudyError(problem, study.path, "Run it again with --workers 1; what was measured is saved") from error
    finally:
        _load_film.cache_clear()
    if hides_joint_space(study):
        run.summary.released = publish_released_joint_space(study)
    return run.summary


def count_default_workers() -> int:
    """Return the number of processors that this process may use, at most 8."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, _MOST_WORKERS)


class _Run:
    """One run over the cases of a study: it plans the tasks of each case, and saves their results."""

    def __init__(self, study: Study, again: bool, total: int, on_progress: Callable[[int, int], None]) -> None:
        self.summary = MeasureSummary()
        self._study = study
        self._again = again
        self._done, self._total = 0, total
        self._on_progress = on_progress
        self._sites = list_measured_sites(study.scheme)
        self._plans: dict[str, _CasePlan] = {}
        self._unreadable: set[tuple[str, str]] = set()
        self._is_hidden = hides_joint_space(study)
        on_progress(0, total)

    def plan(self, names: Iterable[str]) -> Iterator[_Task]:
        """Yield the tasks of the cases, one case after the other; a case without any is finished at once."""
        for name in names:
            try:
                case = self._study.case(name)
                known, tasks = self._plan_case(case)
            except RatuiError as error:  # a damaged file of one case stops nothing but that case
                self.summary.failures.append(f"{name}: {error.problem}")
                self._finish()
                continue
            self._plans[name] = _CasePlan(known, len(tasks))
            if not tasks:
                self._save(name)
                self._count(name)
            yield from tasks

    def _plan_case(self, case: Case) -> tuple[dict[_Key, MeasuredChange], list[_Task]]:
        """Return the measurements that still hold, and the tasks. Raises RatuiError."""
        boxes = shown_boxes(self._study.regions(case), self._study.proposals(case))
        stored = {(each.site, frozenset(each.films)): each for each in self._read_stored(case.id) or ()}
        valid: dict[_Key, MeasuredChange] = {}
        joints: dict[tuple[FilmRecord, FilmRecord], list[tuple[str, Box, Box]]] = {}
        for site in self._sites:
            found = {time: case.film(time, site.side, site.part, self._study.scheme) for time in case.times}
            shown = {time: film for time, film in found.items() if film is not None and (site.key, film.id) in boxes}
            for times in list_visit_pairs(tuple(shown)):
                films = sorted((shown[time] for time in times), key=lambda film: film.id)
                places = [boxes[site.key, film.id] for film in films]
                key = site.key, frozenset(film.id for film in films)
                before = stored.get(key)
                if before is not None and before.inputs == digest_inputs(films, places):
                    valid[key] = before  # also if it is measured again: nothing is lost by an interrupt
                if key not in valid or self._again:
                    joints.setdefault((films[0], films[1]), []).append((site.key, places[0], places[1]))
        return valid, [_Task(case, films, tuple(each)) for films, each in joints.items()]

    def add(self, task: _Task, result: _Result) -> None:
        """Save the result of a task. Raises StoreError."""
        name = task.case.id
        plan = self._plans[name]
        plan.found.update(((each.site, task.key), each) for each in result.found)
        plan.waiting -= 1
        plan.measured += len(result.found)
        self.summary.measured += len(result.found)
        if result.film and (name, result.film) not in self._unreadable:
            self._unreadable.add((name, result.film))
            self.summary.failures.append(f"{name}, film {result.film}: {result.problem}")
        self._save(name)
        if not plan.waiting:
            self._count(name)

    def _save(self, name: str) -> None:
        found = self._plans[name].found.values()
        if found or self._read_stored(name) != ():  # a case without a pair gets no file
            # As root, act as the owner, because a file of root would exclude the owner and the members of its group.
            with act_as_owner(self._study.folder, PRIVATE if self._is_hidden else "models"):
                save_joint_space(self._study, name, found)

    def _read_stored(self, name: str) -> tuple[MeasuredChange, ...] | None:
        """Return the stored measurements; None for impossible ones, which new ones replace. Raises StoreError."""
        try:
            return read_joint_space(self._study, name)
        except ImpossibleMeasurementsError:
            return None

    def _count(self, name: str) -> None:
        plan = self._plans.pop(name)
        found = plan.found.values()
        self.summary.kept += len(found) - plan.measured
        self.summary.cases += bool(found)
        self.summary.reliable += sum(each.is_reliable for each in found)
        self.summary.reasons.update(each.reason for each in found if not each.is_reliable)
        self._finish()

    def _finish(self) -> None:
        self._done += 1
        self._on_progress(self._done, self._total)


# Work of the processes.


def _run_tasks(
    path: Path, tasks: Iterator[_Task], measure: Measure, workers: int
) -> Generator[tuple[_Task, _Result]]:  # fmt: skip
    """Yield the result of each task, in any order. Only a few tasks wait at a time, so that memory stays bounded."""
    if workers == 1:
        for task in tasks:
            yield task, _measure_task(path, task, measure)
        return
    # Spawn, do not fork: a fork copies locks that the caller's threads may hold, and the child would wait for ever.
    with ProcessPoolExecutor(workers, get_context("spawn"), _start_worker) as pool:
        waiting: dict[Future[_Result], _Task] = {}
        try:
            for task in tasks:
                waiting[pool.submit(_measure_task, path, task, measure)] = task
                if len(waiting) >= 2 * workers:
                    yield from _take_finished(waiting)
            while waiting:
                yield from _take_finished(waiting)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # otherwise the pool would finish all tasks before it ends
            raise


def _take_finished(waiting: dict[Future[_Result], _Task]) -> Iterator[tuple[_Task, _Result]]:
    """Wait until a task is done; yield those that are, and remove them from `waiting`."""
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        yield waiting.pop(future), future.result()


def _start_worker() -> None:
    """Prepare a worker, which uses one processor only."""
    import cv2  # imported here, because loading takes time

    prepare_worker()
    cv2.setNumThreads(1)


@lru_cache(maxsize=1)
def _open_folder(path: Path) -> StudyFolder:
    return StudyFolder(path)


@lru_cache(maxsize=2)
def _load_film(path: Path, case: Case, film: str) -> Film:
    """Return a film as it is displayed; the last two stay in memory, because pairs share films. Raises FilmError."""
    return load_film(_open_folder(path), case, film)


def _measure_task(path: Path, task: _Task, measure: Measure) -> _Result:
    """Return the measurements of one pair of films of the study in the folder `path`."""
    films: list[Film] = []
    for record in task.films:
        try:
            films.append(_load_film(path, task.case, record.id))
        except FilmError as error:
            return _Result((), record.id, error.problem)
    return _Result(
        tuple(
            _to_measured(measure(films[0], first, films[1], second), site, task.films, (first, second))
            for site, first, second in task.joints
        )
    )


def _to_measured(
    change: JointSpaceChange, site: str, films: tuple[FilmRecord, FilmRecord], boxes: tuple[Box, Box]
) -> MeasuredChange:
    """Return the measurement as it is stored; a value that is not finite is none."""
    pixels, mm, sd = (
        None if value is None or not math.isfinite(value) else float(value)
        for value in (change.pixels, change.mm, change.sd)
    )
    return MeasuredChange(
        site,
        (films[0].id, films[1].id),
        pixels,
        mm,
        sd,
        float(change.confidence),
        bool(change.is_reliable),
        change.reason,
        digest_inputs(films, boxes),
    )
