"""Predictions of a scorer for the cases of a study.

A rater sees the predictions for a case only after signing their own reading of it: screens call
`load_unblinded_predictions`. Predictions are never readings, and no total of a rater includes them.

Predictions are in a sealed table file per case. Table ``meta`` has one record: ``format`` (2), ``model`` (name of the run)
and ``scheme`` (digest of the study's scheme). Table ``answers`` has one record for each scale of each site and each pair of
its films. Its ``films`` are the IDs of the two films, sorted, and the other values are in the order of these films. So the
file, which raters can read, does not reveal which film is the earlier one. In format 1 the values were in the order of the
time points.
Table ``single``, which may be missing, has one record for each scale of each site that the model has seen on one film only.
Table ``domain``, which may be missing, has the verdict of the model on each film; see `model_domain`.
"""

from __future__ import annotations

import math
import stat
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ratui.errors import SchemeError, StoreError, clean_text
from ratui.files import check_name
from ratui.reading import Field
from ratui.stored_values import ODD_VALUE_ERRORS, as_integer, as_list, as_number, as_text
from ratui.study.case import Case
from ratui.study.intact import read_or_note
from ratui.study.layout import list_models
from ratui.study.model_results.model_domain import DomainVerdict, verdict_from_record, verdict_to_record
from ratui.study.store import StudyFile, StudyLock, read_intact, write_tables
from ratui.study.study import Study

__all__ = [
    "FilmPrediction",
    "Prediction",
    "intact_expected_grades",
    "list_prediction_models",
    "load_expected_grades",
    "load_film_predictions",
    "load_film_verdicts",
    "load_predictions",
    "load_unblinded_film_predictions",
    "load_unblinded_film_verdicts",
    "load_unblinded_predictions",
    "save_predictions",
]

_FORMAT = 2
_REMEDY = "Run ratui-train propose again"


@dataclass(frozen=True)
class Prediction:
    """A model's prediction for one scale of one site at two time points. There is one for each pair of its visits.

    Attributes
    ----------
    site, scale
        Key of the site and name of the scale.
    grades
        Predicted grades at both time points, the earlier first. In a rater's view of a blinded study: at both positions.
    probabilities
        For each time point the probability of each grade from 0 on; they add up to 1.
    change
        Predicted change, which may differ from the difference of `grades`.
    uncertainty
        Expected absolute error of `change`, in grades.
    times
        The two time points, the earlier first; in a rater's view of a blinded study the two positions.
    """

    site: str
    scale: str
    grades: tuple[int, int]
    probabilities: tuple[tuple[float, ...], tuple[float, ...]]
    change: int
    uncertainty: float
    times: tuple[int, int] = (0, 1)

    def expected(self, place: int) -> float:
        """Return the mean grade at ``times[place]`` under the predicted probabilities."""
        return math.fsum(grade * probability for grade, probability in enumerate(self.probabilities[place]))

    def exchanged(self) -> Prediction:
        """Return the prediction with the values of the two time points exchanged."""
        return replace(self, grades=self.grades[::-1], probabilities=self.probabilities[::-1], change=-self.change)

    def to_record(self) -> dict[str, Any]:
        """Return the prediction as it is stored, under the keys of the file format."""
        return {
            "site": self.site,
            "scale": self.scale,
            "grades": self.grades,
            "chances": self.probabilities,
            "change": self.change,
            "doubt": self.uncertainty,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], where: object = "") -> Prediction:
        """Return the prediction in a stored record. Raises StoreError, naming the file `where`."""
        try:
            earlier, later = (
                tuple(as_number(value, 0.0, 1.0 + 1e-6) for value in as_list(time))
                for time in as_list(record["chances"])
            )
            first, second = (as_integer(grade, 0, 1000) for grade in as_list(record["grades"]))
            prediction = cls(
                as_text(record["site"]),
                as_text(record["scale"]),
                (first, second),
                (earlier, later),
                as_integer(record["change"], -1000, 1000),
                as_number(record["doubt"]),
            )
        except ODD_VALUE_ERRORS as error:
            raise StoreError(f"not a prediction of a model: {clean_text(error)}", where, _REMEDY) from error
        for grade, values in zip(prediction.grades, prediction.probabilities, strict=True):
            _check_probabilities(grade, values, where)
        return prediction


@dataclass(frozen=True)
class FilmPrediction:
    """A model's prediction for one scale of a site that it has seen at one time point only. It says nothing on the change.

    Attributes
    ----------
    site, scale
        Key of the site and name of the scale.
    time
        Time point of the film. In a rater's view of a blinded study: its position.
    grade
        Predicted grade.
    probabilities
        Probability of each grade from 0 on; they add up to 1.
    uncertainty
        Expected absolute error of `grade`, in grades.
    """

    site: str
    scale: str
    time: int
    grade: int
    probabilities: tuple[float, ...]
    uncertainty: float

    @property
    def expected(self) -> float:
        """The mean grade under the predicted probabilities."""
        return math.fsum(grade * probability for grade, probability in enumerate(self.probabilities))

    def to_record(self, film: str) -> dict[str, Any]:
        """Return the prediction as it is stored, with the ID of its film in place of the time point."""
        return {
            "site": self.site,
            "scale": self.scale,
            "film": film,
            "grade": self.grade,
            "chances": self.probabilities,
            "doubt": self.uncertainty,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], times: Mapping[str, int], where: object = "") -> FilmPrediction:
        """Return the prediction in a stored record; `times` has the time point of each film of the case.

        Raises StoreError, naming the file `where`, for anything else.
        """
        try:
            prediction = cls(
                as_text(record["site"]),
                as_text(record["scale"]),
                times.get(as_text(record["film"]), -1),
                as_integer(record["grade"], 0, 1000),
                tuple(as_number(value, 0.0, 1.0 + 1e-6) for value in as_list(record["chances"])),
                as_number(record["doubt"]),
            )
        except ODD_VALUE_ERRORS as error:
            raise StoreError(f"not a prediction of a model: {clean_text(error)}", where, _REMEDY) from error
        if prediction.time < 0:
            raise StoreError("the film of a prediction is not one of the case", where, _REMEDY)
        _check_probabilities(prediction.grade, prediction.probabilities, where)
        return prediction


def _check_probabilities(grade: int, values: Sequence[float], where: object) -> None:
    if not (0 <= grade < len(values) and abs(math.fsum(values) - 1) < 1e-3):
        raise StoreError("the probabilities of a prediction do not fit its grade", where, _REMEDY)


def save_predictions(
    study: Study,
    run: str,
    case: str,
    found: Iterable[Prediction],
    single: Iterable[FilmPrediction] = (),
    verdicts: Mapping[str, DomainVerdict] | None = None,
) -> None:
    """Replace the predictions of the scorer `run` for `case`.

    `single` are those of single films, `verdicts` the model's verdicts by film ID. Raises StoreError.
    """
    file = _file(study, run, case)
    read_intact(file)  # raises an error for a file of a newer format, which must not be replaced
    meta = {"format": _FORMAT, "model": run, "scheme": study.config.scheme}
    films = study.case(case)
    tables = {"meta": [meta], "answers": [_to_stored(prediction, films, study, file.path) for prediction in found]}
    if records := [_to_single_record(prediction, films, study, file.path) for prediction in single]:
        tables["single"] = records
    if verdicts:
        tables["domain"] = [verdict_to_record(film, verdicts[film]) for film in sorted(verdicts)]
    with StudyLock(study.folder).shared():
        write_tables(file, tables)


def list_prediction_models(study: Study) -> tuple[str, ...]:
    """Return the names of the scorers that have predictions in the study, the newest last."""
    found = {run: study.folder.find(f"models/{run}/answers") for run in list_models(study.folder, "models")}
    ranked = sorted(
        (answers.st_mtime_ns, run) for run, answers in found.items() if answers and stat.S_ISDIR(answers.st_mode)
    )
    return tuple(run for _, run in ranked)


def load_predictions(study: Study, case: str, *, run: str | None = None) -> tuple[Prediction, ...]:
    """Return the predictions of the scorer `run`, or of the newest one that has any, for `case`; empty if none has.

    For managers, and for an adjudicator after their own answer; raters get `load_unblinded_predictions`. Raises StoreError
    for a damaged file.
    """
    return _load(study, case, run)[0]


def load_film_predictions(study: Study, case: str, *, run: str | None = None) -> tuple[FilmPrediction, ...]:
    """Return the predictions for joints that the model has seen on one film only, as `load_predictions` does.

    Raises StoreError.
    """
    return _load(study, case, run)[1]


def load_film_verdicts(study: Study, case: str, *, run: str | None = None) -> dict[str, DomainVerdict]:
    """Return the verdict of the scorer `run`, or of the newest one that has scored `case`, on each film by its ID.

    Empty if the scorer made none. Raises StoreError.
    """
    for model in (run,) if run else reversed(list_prediction_models(study)):
        file = _file(study, model, case)
        stored = read_intact(file, unsealed=False)
        if stored is not None:
            return dict(verdict_from_record(record, file.path) for record in stored.tables.get("domain", []))
    return {}


def load_unblinded_film_verdicts(study: Study, rater: str, case: str) -> dict[str, DomainVerdict]:
    """Return `load_film_verdicts` for a rater who has signed `case`, and none before that. Raises StoreError."""
    return load_film_verdicts(study, case) if _has_signed(study, rater, case) else {}


def _load(study: Study, case: str, run: str | None) -> tuple[tuple[Prediction, ...], tuple[FilmPrediction, ...]]:
    for model in (run,) if run else reversed(list_prediction_models(study)):
        file = _file(study, model, case)
        stored = read_intact(file, unsealed=False)
        if stored is not None:
            number = _check_meta(stored.tables.get("meta", []), study, model, file.path)
            answers = stored.tables.get("answers", [])
            if number == 1:
                found = tuple(Prediction.from_record(record, file.path) for record in answers)
                _check_joints(found, study, file.path)
                # Until format 2 of a study, the film list itself contains the time points.
                earlier = study.film_list(case).to_case()
                answers = [_to_stored(prediction, earlier, study, file.path) for prediction in found]
            films = study.case(case)
            found = tuple(_from_stored(record, films, file.path) for record in answers)
            times = {film.id: film.time for film in films.films}
            records = stored.tables.get("single", [])
            single = tuple(FilmPrediction.from_record(record, times, file.path) for record in records)
            _check_joints((*found, *single), study, file.path)
            return found, single
    return (), ()


def _to_stored(prediction: Prediction, case: Case, study: Study, file: object) -> dict[str, Any]:
    """Return `prediction` as stored, with the films of its site in `case` instead of time points. Raises StoreError."""
    try:
        site = study.scheme.site(prediction.site)
    except SchemeError as error:
        raise StoreError(error.problem, file, error.remedy) from error
    films = [film.id for time in prediction.times if (film := case.film(time, site.side, site.part, study.scheme))]
    if len(films) != 2:
        raise StoreError(f"{clean_text(prediction.site)} has no two films", file, _REMEDY)
    return {**(prediction if films == sorted(films) else prediction.exchanged()).to_record(), "films": sorted(films)}


def _to_single_record(prediction: FilmPrediction, case: Case, study: Study, file: object) -> dict[str, Any]:
    """Return `prediction` as stored. Raises StoreError if the case has no film of its site at its time point."""
    try:
        site = study.scheme.site(prediction.site)
    except SchemeError as error:
        raise StoreError(error.problem, file, error.remedy) from error
    film = case.film(prediction.time, site.side, site.part, study.scheme)
    if film is None:
        raise StoreError(f"{clean_text(prediction.site)} has no film", file, _REMEDY)
    return prediction.to_record(film.id)


def _from_stored(record: Mapping[str, Any], case: Case, file: object) -> Prediction:
    """Return the prediction in a stored record, in the order of the time points of `case`. Raises StoreError."""
    prediction = Prediction.from_record(record, file)
    known = {film.id: film.time for film in case.films}
    try:
        times = [known.get(as_text(film), -1) for film in as_list(record["films"])]
    except ODD_VALUE_ERRORS as error:
        raise StoreError(f"not a prediction of a model: {clean_text(error)}", file, _REMEDY) from error
    if len(times) != 2 or -1 in times or times[0] == times[1]:
        raise StoreError("the films of a prediction are not those of the case", file, _REMEDY)
    first, second = times
    if first < second:
        return replace(prediction, times=(first, second))
    return replace(prediction.exchanged(), times=(second, first))


def load_expected_grades(study: Study, run: str, case: str) -> Mapping[Field, float]:
    """Return the mean grade that the scorer `run` predicts for each field of `case`. Raises StoreError.

    Of a site with more than two visits, it is the mean over all pairs with that visit.
    """
    found, single = _load(study, case, run)
    expected: dict[Field, list[float]] = defaultdict(list)
    for prediction in found:
        for place, time in enumerate(prediction.times):
            expected[Field(prediction.site, prediction.scale, time)].append(prediction.expected(place))
    alone = {Field(each.site, each.scale, each.time): each.expected for each in single}
    return alone | {field: sum(grades) / len(grades) for field, grades in expected.items()}


def intact_expected_grades(study: Study, run: str, case: str) -> Mapping[Field, float]:
    """Return `load_expected_grades`; without any, and with a notice of the study, if the file can't be read."""
    file = _file(study, run, case)
    return read_or_note(study, file.path, lambda: load_expected_grades(study, run, case), {})


def load_unblinded_predictions(study: Study, rater: str, case: str) -> tuple[Prediction, ...]:
    """Return the predictions for a rater who has signed `case`, and none before that. Raises StoreError."""
    return load_predictions(study, case) if _has_signed(study, rater, case) else ()


def load_unblinded_film_predictions(study: Study, rater: str, case: str) -> tuple[FilmPrediction, ...]:
    """Return `load_film_predictions` for a rater who has signed `case`, and none before that. Raises StoreError."""
    return load_film_predictions(study, case) if _has_signed(study, rater, case) else ()


def _has_signed(study: Study, rater: str, case: str) -> bool:
    reading = study.reading(rater, case)
    return reading is not None and reading.signed_at is not None


def _file(study: Study, run: str, case: str) -> StudyFile:
    return study.folder.file(f"models/{check_name(run, 'model')}/answers/{check_name(case, 'case')}.json")


def _check_meta(meta: Sequence[Mapping[str, Any]], study: Study, run: str, file: object) -> int:
    """Return the file's format. Raises StoreError unless the file is of this model and of this study's scheme."""
    about = meta[0] if len(meta) == 1 else {}
    if about.get("format") not in (1, _FORMAT):
        raise StoreError(f"the predictions have format {clean_text(about.get('format'))}", file, "Update ratui")
    if about.get("model") != run or about.get("scheme") != study.config.scheme:
        raise StoreError("they are of another model or scheme", file, _REMEDY)
    return int(about["format"])


def _check_joints(found: Sequence[Prediction | FilmPrediction], study: Study, file: object) -> None:
    """Raise StoreError unless each prediction has a scale of its site and a probability for each of its grades."""
    for prediction in found:
        try:
            top = study.scheme.site(prediction.site).joint.max_grade(prediction.scale)
        except (SchemeError, KeyError) as error:
            raise StoreError(
                f"no {clean_text(prediction.scale)} at {clean_text(prediction.site)}",
                file,
                _REMEDY,
            ) from error
        tables = prediction.probabilities if isinstance(prediction, Prediction) else (prediction.probabilities,)
        if any(len(values) != top + 1 for values in tables):
            raise StoreError("the probabilities of a prediction do not fit its scale", file, _REMEDY)
