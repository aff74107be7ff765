"""Examinations and time points: visits past midnight, implausible dates, films of unknown days."""

from datetime import date
from itertools import permutations
from pathlib import Path

import pytest

from ratui.study.importing import FilmHeader
from ratui.study.importing.headers.dates import DatedFilm, date_film, parse_date
from ratui.study.importing.planning.visits import PersonTimes, TimePoint, assign_time_points

TODAY = date(2024, 6, 1)


def film(study: str = "", day: str = "", time: str = "", **more: str) -> DatedFilm:
    """Return a dated film with a Study Instance UID and an acquisition."""
    dates = {"AcquisitionDate": day, "AcquisitionTime": time, **more}
    return date_film(FilmHeader(study_uid=study, dates={key: text for key, text in dates.items() if text}), TODAY)


def times(*films: DatedFilm, **more: object) -> list[int | None]:
    """Return the time point of each film, after a proof that the order of the films makes no difference."""
    return [point.time for point in points(*films, **more)]


def points(*films: DatedFilm, **more: object) -> list[TimePoint]:
    paths = {Path(str(number)): each for number, each in enumerate(films)}
    results: list[PersonTimes] = []
    for order in permutations(paths):
        ordered = {path: paths[path] for path in order}
        results.append(assign_time_points(ordered, {}, **more))  # type: ignore[arg-type]
    assert all(result == results[0] for result in results)
    return [results[0].films[path] for path in paths]


class TestDates:
    @pytest.mark.parametrize("text", ["20200302", "2020.03.02", "2020-03-02", "20200302101112.5", "2020030210+0100"])
    def test_valid_forms(self, text: str) -> None:
        assert parse_date(text) == date(2020, 3, 2)

    @pytest.mark.parametrize(
        "text", ["", "20200230", "202003", "20200302\\20210302", "2020030", "00000000", "٢٠٢٠٠٣٠٢"]
    )
    def test_other_texts_are_no_date(self, text: str) -> None:
        assert parse_date(text) is None

    @pytest.mark.parametrize(
        ("dates", "problem"),
        [
            ({"day": "20990101"}, "AcquisitionDate is in the future"),
            ({"day": "19490101"}, "before 1950"),
            ({"day": "19000101"}, "before 1950"),
            ({"day": "19700101"}, "a clock without power"),
            ({"StudyDate": "19700101"}, "a clock without power"),
            ({"day": "20200302", "StudyDate": "20210302"}, "AcquisitionDate and StudyDate are more than 2 days apart"),
            ({"StudyDate": "20200302", "ContentDate": "20210302"}, "StudyDate and ContentDate are"),
            (
                {"StudyDate": "20210302", "DateOfSecondaryCapture": "20200302"},
                "DateOfSecondaryCapture and StudyDate are",
            ),
            ({"DateOfSecondaryCapture": "20200302"}, "its only date is that of its digitisation"),
            (
                {"StudyDate": "20200302", "DateOfSecondaryCapture": "20990302"},
                "DateOfSecondaryCapture is in the future",
            ),
            ({"day": "19700101", "ContentDate": "19700101", "StudyDate": "20200302"}, "a clock without power"),
            ({"day": "20200302", "SeriesDate": "20200302", "StudyDate": "20210302"}, "are more than 2 days apart"),
            ({"day": "20210302", "StudyDate": "20210302", "ContentDate": "20200302"}, "are more than 2 days apart"),
            ({}, "it has no date"),
            ({"day": "20209999"}, "it has no date"),
        ],
    )
    def test_an_implausible_date_does_not_decide(self, dates: dict[str, str], problem: str) -> None:
        doubtful = film(**dates)
        assert problem in doubtful.doubt
        (point,) = points(doubtful)
        assert point.time is None

    @pytest.mark.parametrize(
        ("elements", "problem"),
        [
            ({"ConversionType": "SI"}, "digitised"),
            ({"NominalScannedPixelSpacing": "0.1\\0.1"}, "digitised"),
            ({"LongitudinalTemporalInformationModified": "REMOVED"}, "its dates were removed"),
            ({"PatientAge": "052Y"}, "does not fit the age"),
            ({"PatientAge": "068Y"}, "does not fit the age"),
            ({"PatientAge": "058Y"}, ""),
            ({"PatientAge": "062Y"}, ""),
            ({"PatientAge": "000Y"}, ""),
            ({"LongitudinalTemporalInformationModified": "MODIFIED"}, ""),
            ({"LongitudinalTemporalInformationModified": "UNMODIFIED"}, ""),
            ({"ConversionType": "DI"}, ""),
        ],
    )
    def test_other_elements_make_a_date_doubtful(self, elements: dict[str, str], problem: str) -> None:
        header = FilmHeader(birth_date="19600102", dates={"StudyDate": "20200302"}, elements=elements)
        found = date_film(header, TODAY)
        assert problem in found.doubt
        assert bool(found.doubt) == bool(problem)

    @pytest.mark.parametrize(("change", "is_doubtful"), [("MODIFIED", True), ("REMOVED", True), ("", False)])
    def test_a_first_of_january_of_an_anonymised_film_is_doubtful(self, change: str, is_doubtful: bool) -> None:
        elements = {"LongitudinalTemporalInformationModified": change}
        found = date_film(FilmHeader(dates={"StudyDate": "20210101"}, elements=elements), TODAY)
        assert ("1 January" in found.doubt) == is_doubtful

    @pytest.mark.parametrize("wrong", ["19691231", "19000101", "19700101", "19800101", "20000101", "20990101"])
    @pytest.mark.parametrize("element", ["StudyDate", "SeriesDate", "ContentDate", "AcquisitionDate"])
    def test_one_implausible_date_does_not_count_against_two_that_agree(self, element: str, wrong: str) -> None:
        dates = dict.fromkeys(("StudyDate", "SeriesDate", "ContentDate", "AcquisitionDate"), "20200302")
        found = date_film(FilmHeader(dates=dates | {element: wrong}), TODAY)
        assert (found.day, found.doubt) == (date(2020, 3, 2), "")

    def test_the_content_date_of_a_copy_does_not_count(self) -> None:
        found = film(day="20200302", StudyDate="20200302", ContentDate="20230415")
        assert (found.day, found.doubt) == (date(2020, 3, 2), "")

    def test_the_date_of_the_digitisation_shows_that_the_others_are_older(self) -> None:
        dates = {"StudyDate": "19990302", "DateOfSecondaryCapture": "20050302"}
        found = date_film(FilmHeader(dates=dates, elements={"ConversionType": "DF"}), TODAY)
        assert (found.day, found.doubt) == (date(1999, 3, 2), "")
        same = dates | {"DateOfSecondaryCapture": "19990302"}
        assert "digitised" in date_film(FilmHeader(dates=same, elements={"ConversionType": "DF"}), TODAY).doubt

    def test_a_film_before_the_birth_is_doubtful(self) -> None:
        header = FilmHeader(birth_date="19600101", dates={"StudyDate": "19590101"})
        assert "not after the birth" in date_film(header, TODAY).doubt

    def test_a_digitised_film_is_doubtful(self) -> None:
        header = FilmHeader(dates={"StudyDate": "20200302"}, elements={"ConversionType": "DF"})
        assert "digitised" in date_film(header, TODAY).doubt

    def test_tomorrow_is_no_future_in_another_time_zone(self) -> None:
        assert not film(day="20240602").doubt

    def test_dates_two_days_apart_agree(self) -> None:
        assert not film(day="20200302", StudyDate="20200229").doubt


class TestVisits:
    def test_one_study_past_midnight_is_one_visit(self) -> None:
        films = [film("1.2", "20200302", "235800"), film("1.2", "20200303", "000400"), film("1.3", "20210504")]
        assert times(*films) == [0, 0, 1]
        assert points(*films)[1].exam_date == date(2020, 3, 2)

    def test_one_study_past_midnight_without_clock_times_is_one_visit(self) -> None:
        assert times(film("1.2", "20200302"), film("1.2", "20200303")) == [0, 0]

    def test_two_studies_past_midnight_are_one_visit(self) -> None:
        assert times(film("1.2", "20200302", "2350"), film("1.3", "20200303", "001000")) == [0, 0]

    def test_two_studies_of_one_day_are_one_visit(self) -> None:
        assert times(film("1.2", "20200302"), film("1.3", "20200302"), film("1.4", "20190302")) == [1, 1, 0]

    def test_one_study_uid_of_two_years_is_two_visits(self) -> None:
        assert times(film("1.2", "20200302"), film("1.2", "20210302")) == [0, 1]

    @pytest.mark.parametrize("clock", ["", "120000"])
    @pytest.mark.parametrize("day", ["20200303", "20200304", "20200309"])
    def test_studies_of_two_dates_within_a_week_are_doubtful(self, clock: str, day: str) -> None:
        found = points(film("1.2", "20200302", clock), film("1.3", day, clock), film("1.4", "20210504"))
        assert [point.time for point in found] == [None] * 3
        assert all("two dates within a week" in point.doubt for point in found[:2])
        assert "order of the days is uncertain" in found[2].doubt

    def test_studies_more_than_a_week_apart_are_two_visits(self) -> None:
        assert times(film("1.2", "20200302"), film("1.3", "20200310")) == [0, 1]

    def test_one_study_of_three_days_is_doubtful(self) -> None:
        found = points(*(film("1.2", f"2020030{day}") for day in (1, 2, 3)))
        assert all("more than two days in a row" in point.doubt for point in found)


class TestTimePoints:
    def test_three_dates_wait_for_a_choice(self) -> None:
        found = points(film(day="20200302"), film(day="20210302"), film(day="20220302"))
        assert all(point.awaits_dates and "has 3 dates" in point.doubt for point in found)

    def test_a_film_of_unknown_day_makes_the_order_uncertain(self) -> None:
        found = points(film("1.2", "20210302"), film("1.3"))
        assert [point.time for point in found] == [None, None]
        assert "order of the days is uncertain" in found[0].doubt

    def test_a_film_of_unknown_day_in_a_known_study_makes_nothing_uncertain(self) -> None:
        certain, doubtful = points(film("1.2", "20210302"), film("1.2"))
        assert (certain.time, certain.doubt) == (0, "")
        assert (doubtful.time, bool(doubtful.doubt)) == (0, True)

    def test_a_film_of_unknown_day_leaves_two_certain_dates_certain(self) -> None:
        assert times(film("1.2", "20210302"), film("1.3", "20200302"), film("1.4")) == [1, 0, None]

    def test_dates_of_an_earlier_import_are_used(self) -> None:
        known = (date(2020, 3, 2), date(2021, 3, 2))
        assert times(film(day="20210302"), known=known) == [1]
        (point,) = points(film(day="20220302"), known=known, is_in_study=True)
        assert "with two visits of other days" in point.doubt

    def test_a_manifest_decides_for_all_films_of_a_day(self) -> None:
        films = {Path("a"): film(day="20200302"), Path("b"): film(day="20200302"), Path("c"): film(day="20210302")}
        found = assign_time_points(films, {Path("a"): 1})
        assert found.films[Path("b")].time == 1
        assert "the manifest names visits" in found.films[Path("c")].doubt
        assert assign_time_points(films, {Path("a"): 0}).films[Path("c")].time == 1
