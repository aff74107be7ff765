"""Examinations: a study of simulated patients that raters read with the ordinary command, and its truth in another file.

Apart from the films, the study contains neither the truth nor its seed, nor anything computed from them.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ratui.errors import StoreError, StudyError, clean_text
from ratui.files import file_digest, file_mode, make_folder
from ratui.practice.simulated_study import ProgressCallback, SimulatedCases, create_simulated_study
from ratui.practice.truth import KnownAnswer, Truth, make_answer
from ratui.reading import Field, FindingEntry
from ratui.scheme import Scheme
from ratui.stored_values import ODD_VALUE_ERRORS, as_integer, as_text
from ratui.study import Study
from ratui.study.campaign.charter import Qualification, read_qualification
from ratui.study.film_files import read_intact_film_data
from ratui.study.intact import intact_case
from ratui.study.store import read_intact, write_tables

__all__ = [
    "DEFAULT_MARKS",
    "Examination",
    "check_examination_fits",
    "make_default_marks",
    "make_examination",
    "open_examination",
]

DEFAULT_MARKS = Qualification(icc_status=0.8, icc_change=0.6, kappa=0.6)
"""Marks of an examination for which none are given. A choice of this project, not a rule of the score."""
_FORMAT = 1
_MAKE_FITTING = "Make another examination with: ratui practise --make-exam FOLDER --for STUDY"


@dataclass(frozen=True)
class Examination:
    """The manager's part of an examination.

    Attributes
    ----------
    study
        Random ID of the examination's study.
    marks
        The marks to reach.
    truth
        The known answers.
    films
        SHA-256 of the file of each film, by case and film.
    digest
        SHA-256 of the file of the truth.
    """

    study: str
    marks: Qualification
    truth: Truth
    films: Mapping[tuple[str, str], str]
    digest: str = field(default="")

    @property
    def visits(self) -> int:
        """Number of visits of the patients."""
        return 1 + max(each.time for known in self.truth.values() for each in known)


def make_default_marks(visits: int) -> Qualification:
    """Return the marks of an examination with this number of visits for which none are given."""
    return DEFAULT_MARKS if visits > 1 else replace(DEFAULT_MARKS, icc_change=None)


def make_examination(
    folder: Path,
    truth_file: Path,
    scheme: Scheme | str,
    raters: Sequence[str],
    *,
    cases: int,
    seed: int | None = None,
    marks: Qualification | None = None,
    blinded: bool = False,
    group: str = "",
    managers: str = "",
    size: tuple[int, int] = (1250, 1024),
    visits: int = 2,
    visit_names: Sequence[str] = (),
    progress: ProgressCallback,
) -> tuple[Study, Examination]:
    """Create the study of an examination in `folder`, and write its truth to `truth_file`, readable by its owner alone.

    Parameters
    ----------
    folder
        Folder of the study, new or empty.
    truth_file
        New file outside of `folder`.
    scheme, raters
        Scoring scheme, and IDs of the raters.
    cases
        Number of cases, 3 or more: statistics of fewer are not defined.
    seed
        Seed of the patients; drawn and kept secret if None. It determines the truth.
    marks
        The marks to reach; `make_default_marks` if None.
    blinded
        Do not show the order of the films.
    group
        Unix group of the raters, if they use accounts of their own; empty for none.
    managers
        Unix group whose members may mark the examination, beside its owner; empty for none.
    size
        (rows, columns) of a film in pixels.
    visits, visit_names
        Number of visits of each patient, 1 to 8, and their names, which may be empty.
    progress
        Called with (stage, done, total).

    Raises
    ------
    StudyError, StoreError
        If the files cannot be created.
    """
    folder, truth_file = Path(folder), Path(truth_file)
    if truth_file.absolute().is_relative_to(folder.absolute()):
        raise StudyError("raters could read the truth there", truth_file, "Choose a file outside of the examination")
    if truth_file.parent.is_dir() and file_mode(truth_file.parent) != 0o600:
        raise StudyError("its folder is shared with a group", truth_file, "Choose a folder of your own for the truth")
    if truth_file.exists():
        raise StudyError("there is such a file already", truth_file, "Choose another file for the truth")
    if cases < 3:
        raise StudyError(f"{cases} cases are too few for an examination", folder, "Take 3 or more")
    marks = marks or make_default_marks(visits)
    if visits == 1 and (marks.icc_change is not None or marks.sdc is not None):
        problem = "an examination of one visit has no change, so it can't have marks for ICC of change or SDC"
        raise StudyError(problem, folder, "Leave these marks out, or take more visits")
    drawn = secrets.randbits(128) if seed is None else seed
    simulated = SimulatedCases(cases, drawn, size=size, visits=visits, visit_names=tuple(visit_names))
    study, truth = create_simulated_study(
        folder,
        scheme,
        raters,
        simulated,
        title="Examination",
        blinded=blinded,
        group=group,
        managers=managers,
        progress=progress,
    )
    films = {(case, film.id): film.file for case in study.cases() for film in study.case(case).films}
    examination = Examination(study.config.id, marks, truth, films)
    make_folder(truth_file.absolute().parent)
    write_tables(truth_file.absolute(), _to_tables(examination))
    return study, open_examination(truth_file, study)


def _to_tables(examination: Examination) -> dict[str, list[dict[str, Any]]]:
    marks = {name: value for name, value in vars(examination.marks).items() if value is not None and name != "required"}
    answers = [
        {
            "case": case,
            "site": each.site,
            "scale": each.scale,
            "time": each.time,
            "grade": int(answer.score or 0),
            "finding": answer.entry.finding if isinstance(answer.entry, FindingEntry) else "",
        }
        for case, known in sorted(examination.truth.items())
        for each, answer in sorted(known.items())
    ]
    films = [{"case": case, "film": film, "file": digest} for (case, film), digest in sorted(examination.films.items())]
    meta = {"format": _FORMAT, "study": examination.study, "marks": marks}
    return {"examination": [meta], "films": films, "answers": answers}


def open_examination(truth_file: Path, study: Study) -> Examination:
    """Return the truth in `truth_file`, after a check that it answers each field of `study` and every film is unchanged.

    Raises
    ------
    StudyError
        If it is the truth of another examination or lacks answers, or a film of the study was changed, added or withdrawn.
    StoreError
        If the file is missing or damaged.
    """
    path = Path(truth_file).absolute()
    stored = read_intact(path)
    if stored is None:
        raise StoreError("there is no such file", path, "Give the file that ratui practise --make-exam has written")
    try:
        examination = _from_tables(stored.tables, study.scheme, file_digest(path))
    except (*ODD_VALUE_ERRORS, StudyError) as error:
        problem = f"not the truth of an examination: {clean_text(error)}"
        raise StoreError(problem, path, "Give the file that ratui practise --make-exam has written") from error
    if examination.study != study.config.id:
        raise StudyError("it is the truth of another examination", path, "Give the file that was made with this study")
    _check_films(study, examination)
    return examination


def check_examination_fits(examination: Examination, exam: Study, study: Study) -> None:
    """Raise StudyError if `examination`, whose study is `exam`, has another scheme or number of visits than `study`."""
    if exam.config.scheme != study.config.scheme:
        name, other = exam.scheme.name, study.scheme.name
        problem = f"the scheme of the examination is {name}, that of this study {other}"
        if name == other:
            problem = f"the examination has another version of the scheme {name} than this study"
        raise StudyError(problem, study.path, _MAKE_FITTING)
    expected = count_planned_visits(study)
    if examination.visits != expected:
        problem = f"the number of visits of the examination is {examination.visits}, that of this study {expected}"
        raise StudyError(problem, study.path, _MAKE_FITTING)


def count_planned_visits(study: Study) -> int:
    """Return the number of visits in the charter of `study`, else the largest number of a case; 2 if there is no film.

    A case whose list of films is damaged is left out: the check reports it.
    """
    cases = filter(None, (intact_case(study, case) for case in study.cases()))
    return len(study.config.charter.visits) or max(
        (1 + film.number for case in cases for film in case.films), default=2
    )


def _from_tables(tables: Mapping[str, Any], scheme: Scheme, digest: str) -> Examination:
    (meta,) = tables["examination"]
    as_integer(meta["format"], 1, _FORMAT)
    sites = {site.key: site for site in scheme.sites}
    truth: dict[str, dict[Field, KnownAnswer]] = {}
    for each in tables["answers"]:
        site, scale = sites[as_text(each["site"])], as_text(each["scale"])
        grade = as_integer(each["grade"], 0, site.joint.max_grade(scale))
        answer = make_answer(scheme, site, scale, grade, as_text(each["finding"]))
        truth.setdefault(as_text(each["case"]), {})[Field(site.key, scale, as_integer(each["time"], 0, 7))] = answer
    films = {(as_text(each["case"]), as_text(each["film"])): as_text(each["file"]) for each in tables["films"]}
    return Examination(as_text(meta["study"]), read_qualification(meta["marks"]), truth, films, digest)


def _check_films(study: Study, examination: Examination) -> None:
    """Raise StudyError if films or fields of `study` are not those of the examination; the file of each film is read."""
    films = {(name, film.id): film.file for name in study.cases() for film in study.case(name).films}
    if films != dict(examination.films):
        raise StudyError("its films are not those of the examination", study.path, "Make a new examination")
    for name in study.cases():
        case = study.case(name)
        fields = {
            Field(slot.site, scale, slot.time)
            for slot, _ in case.slots(study.scheme)
            for scale in study.scheme.site(slot.site).joint.scales
        }
        if examination.truth.get(name, {}).keys() != fields:
            problem = f"the truth does not have one answer for each field of the case {name}"
            raise StudyError(problem, study.path, "Give the file that ratui practise --make-exam has written")
        for film in case.films:
            read_intact_film_data(study.folder, case, film.id)
