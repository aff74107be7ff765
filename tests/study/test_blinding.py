"""In a blinded study, nothing that a rater can read reveals which film is the earlier one."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from ratui.errors import StoreError, StudyError
from ratui.reading import Field, GradeEntry, enter
from ratui.scheme import load_scheme
from ratui.study import Case, FilmRecord, Region, RegionSource, Study
from ratui.study.config_files import CONSENSUS
from ratui.study.evidence import write_root
from ratui.study.film_files import write_films
from ratui.study.model_results.predictions import load_predictions, load_unblinded_predictions, save_predictions
from ratui.study.store import read_intact, write_tables
from ratui.study.study_config import _append_seal
from ratui.study.visits import FilmList, Visit, continue_positions, film_to_public_record
from tests.films import confirm_template, make_study
from tests.model_answers import answer
from tests.tui.readings import store_reading

CASES = 160
AT_CHANCE = range(CASES // 2 - 32, CASES // 2 + 33)
"""Five standard deviations around half of the cases."""


def record(name: str, time: int, side: str = "L") -> FilmRecord:
    return FilmRecord(name, time, side, "hand", 9, 9, day=400 * time, digest=f"pixels of {name}")


class TestFilesForRaters:
    def test_they_contain_no_time_point_and_no_secret(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, blinded=True)
        (case,) = study.cases()
        public = study.path / "films" / case / "films.json"
        films = json.loads(public.read_text())["films"].values()
        known = {"id", "side", "view", "rows", "columns", "spacing", "spacing_source", "file", "note", "aspect", "sum"}
        assert [set(film) for film in films] == [known] * 4
        assert [film["id"] for film in films] == sorted(film["id"] for film in films)
        assert "secret" not in (study.path / "study.toml").read_text()
        assert study.config.secret == ""

    def test_headers_of_films_contain_no_date_and_differ_in_hashed_uids_only(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, blinded=True)
        (case,) = study.cases()
        headers = []
        for film in sorted(study.case(case).films, key=lambda film: film.time):
            dataset = pydicom.dcmread(study.film_path(case, film.id))
            elements = [element for element in dataset.iterall() if element.value not in (None, "")]
            assert not [element for element in elements if element.VR in ("DA", "TM", "DT", "AS")]
            headers.append(
                {str(each.tag): str(each.value) for each in elements if each.VR != "UI" and each.keyword != "PixelData"}
            )
            uids = [str(each.value) for each in elements if each.VR == "UI" and "Class" not in each.keyword]
            assert all(uid.startswith("2.25.") for uid in uids), uids
        for early, late in zip(headers[:2], headers[2:], strict=True):
            assert early == late

    def test_they_do_not_change_if_the_visits_are_exchanged(self, tmp_path: Path) -> None:
        """Exchange the visits behind the back of all files of raters: no byte of them depends on it."""
        study = make_study(tmp_path, blinded=True)
        (case,) = study.cases()
        with study.as_rater("anna").open_reading("anna", case) as session:
            session.save(enter(session.reading, Field("L.MCP2", "ERO", 0), GradeEntry(1)))
        before = study.reading("anna", case)
        shown = study.as_rater("anna").reading("anna", case)
        file = study.path / "private" / "visits" / f"{case}.json"
        stored = read_intact(file)
        assert stored is not None
        write_tables(file, {"visits": [{**each, "visit": 1 - each["visit"]} for each in stored.tables["visits"]]})
        assert study.as_rater("anna").reading("anna", case) == shown
        after = study.reading("anna", case)
        assert before is not None
        assert after is not None
        assert {field._replace(time=1 - field.time): value for field, value in before.values.items()} == after.values
        assert after.order == before.order[::-1]

    def test_regions_and_proposals_are_sorted_by_film(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, blinded=True, regions=False)
        (case,) = study.cases()
        confirm_template(study, case, "anna")
        films = study.case(case).films
        proposed = [Region("L.MCP2", film.id, None, RegionSource.MODEL, model="m") for film in films]
        study.save_proposals("m", case, proposed)
        for inside in (f"regions/{case}.json", f"proposals/m/{case}.json"):
            stored = read_intact(study.path / inside)
            assert stored is not None
            names = [each["film"] for each in stored.tables["regions"]]
            assert names == sorted(names)

    def test_predictions_name_films_instead_of_time_points(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, blinded=True)
        (case,) = study.cases()
        given = answer("L.MCP2", "ERO", 1, 3, 5)
        for exchanged in (False, True):
            save_predictions(study, "m", case, [given.exchanged() if exchanged else given])
            stored = read_intact(study.path / "models" / "m" / "answers" / f"{case}.json")
            assert stored is not None
            (found,) = stored.tables["answers"]
            assert found["films"] == sorted(found["films"])
            assert load_predictions(study, case) == (given.exchanged() if exchanged else given,)
        store_reading(study, case, signed=True)
        reading = study.reading("anna", case)
        assert reading is not None
        (shown,) = load_unblinded_predictions(study.as_rater("anna"), "anna", case)
        assert shown == (given if reading.order == (1, 0) else given.exchanged())

    def test_neither_journals_nor_roots_reveal_the_films_of_an_earlier_import(self, tmp_path: Path) -> None:
        """Try out each part of a film list against all checksums of earlier lists."""
        study = Study.create(tmp_path / "s", "fingers", ["anna"], blinded=True)
        films = record("early", 0), record("late", 1)
        study.save_case(Case("C-1", films[:1]))
        write_root(study)
        study.save_case(Case("C-1", films))
        public = b"".join(file.read_bytes() for name in ("journal", "seals") for file in (study.path / name).iterdir())
        assert b"films/C-1/films.json" in public
        assert not any(film.id.encode() in public for film in films)
        file = study.path / "films" / "C-1" / "films.json"
        assert hashlib.sha256(file.read_bytes()).hexdigest().encode() in public, "the journal contains digests of lists"
        stored = read_intact(file)
        assert stored is not None
        listed = study.film_list("C-1")
        for row in listed.records:
            positions = dict.fromkeys(listed.positions, ((str(row["id"]),),))
            tables = FilmList("C-1", (row,), positions).to_tables()
            for tried in (tables, {"salt": stored.tables["salt"], **tables}):
                write_tables(file, tried)
                assert hashlib.sha256(file.read_bytes()).hexdigest().encode() not in public

    @pytest.mark.parametrize("rewrite", [False, True], ids=["imported together", "one film added later"])
    def test_file_times_numbers_and_places_are_at_chance(self, tmp_path: Path, rewrite: bool) -> None:
        study = Study.create(tmp_path / "s", "fingers", ["anna", "bert"], blinded=True)
        firsts: dict[str, int] = dict.fromkeys(("name", "inode", "place", "list", "anna", "bert"), 0)
        changes: list[int] = []
        for number in range(CASES):
            names = (os.urandom(6).hex(), os.urandom(6).hex())
            films = tuple(record(name, time) for time, name in enumerate(names))
            case = Case(f"C-{number}", films)
            if rewrite:
                early = Case(case.id, films[:1])
                write_films(study.folder, early, {names[0]: b"film"}, rewrite=True)
                study.save_case(early)
                write_films(study.folder, case, {names[1]: b"film"}, rewrite=True)
            else:
                write_films(study.folder, case, dict.fromkeys(names, b"film"), rewrite=True)
            study.save_case(case)
            folder = study.path / "films" / case.id
            found = {name: (folder / f"{name}.dcm").stat() for name in names}
            assert len({(each.st_mtime_ns, each.st_mode, each.st_uid) for each in found.values()}) == 1
            entries = [name.removesuffix(".dcm") for name in os.listdir(folder) if name.endswith(".dcm")]  # noqa: PTH208
            first: dict[str, str] = {
                "name": min(names),
                "inode": min(names, key=lambda name: found[name].st_ino),
                "place": entries[0],
                "list": str(study.film_list(case.id).records[0]["id"]),
                "anna": study.positions(case.id)["anna"][0][0],
                "bert": study.positions(case.id)["bert"][0][0],
            }
            for clue, name in first.items():
                firsts[clue] += name == names[0]
            changes.append(found[names[0]].st_ctime_ns - found[names[1]].st_ctime_ns)
        assert {clue: count for clue, count in firsts.items() if count not in AT_CHANCE} == {}
        unequal = [change > 0 for change in changes if change]
        assert abs(2 * sum(unequal) - len(unequal)) <= 5 * len(unequal) ** 0.5  # five standard deviations

    def test_a_later_visit_gets_a_new_order_and_another_film_of_a_visit_does_not(self) -> None:
        visits = {"a": 0, "b": 1, "c": 2}
        before = continue_positions({}, visits, [f"r{n}" for n in range(40)], blinded=True)
        more = continue_positions(before, {**visits, "d": 1}, before, blinded=True)
        assert [[films[0] for films in more[rater]] for rater in more] == [
            [films[0] for films in before[rater]] for rater in before
        ]
        assert all(("b", "d") in positions for positions in more.values())
        assert len(set(before.values())) == 6, "all orders of three visits occur"
        later = continue_positions(before, {**visits, "e": 3}, before, blinded=True)
        assert {len(positions) for positions in later.values()} == {4}
        assert len({positions.index(("e",)) for positions in later.values()}) == 4


class TestRatersView:
    def test_it_shows_positions(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, blinded=True)
        (case,) = study.cases()
        for rater in ("anna", "bert"):
            seen = study.as_rater(rater)
            films = seen.case(case).films
            assert {film.day for film in films} == {None}
            positions = study.positions(case)[rater]
            assert {film.id: film.time for film in films} == {
                film: place for place, each in enumerate(positions) for film in each
            }
            assert seen.order(rater, case) == (0, 1)
            assert study.case(case).order_of(positions) == study.order(rater, case)

    def test_entries_are_at_the_same_films_in_both_views(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, blinded=True, patients=6)
        orders = set()
        for case in study.cases():
            seen = study.as_rater("anna")
            with seen.open_reading("anna", case) as session:
                left = Field("L.MCP2", "ERO", 0)
                session.save(enter(session.reading, left, GradeEntry(4)))
            full = study.reading("anna", case)
            assert full is not None
            orders.add(full.order)
            assert full.values == {left._replace(time=full.order[0]): GradeEntry(4)}
            assert full.positions == study.positions(case)["anna"]
            with study.open_reading("anna", case) as session:
                session.save(enter(session.reading, Field("L.MCP2", "ERO", full.order[1]), GradeEntry(5)))
            again = seen.reading("anna", case)
            assert again is not None
            assert again.values == {left: GradeEntry(4), left._replace(time=1): GradeEntry(5)}
        assert len(orders) == 2, "six cases in one order: the test says nothing; run it again"

    def test_it_contains_no_other_readings(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, blinded=True)
        (case,) = study.cases()
        store_reading(study, case, rater="bert", signed=True)
        with pytest.raises(StudyError, match="view of anna contains no other"):
            study.as_rater("anna").reading("bert", case)
        with pytest.raises(StudyError, match="only managers"):
            study.as_rater("anna").signed_readings(case)
        with pytest.raises(StudyError, match="not a rater"):
            study.as_rater("eve")

    def test_a_reading_of_exchanged_films_is_reported(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, blinded=True)
        (case,) = study.cases()
        seen = study.as_rater("anna")
        with seen.open_reading("anna", case) as session:
            session.save(enter(session.reading, Field("L.MCP2", "ERO", 0), GradeEntry(4)))
        file = study.reading_path("anna", case)
        stored = read_intact(file)
        assert stored is not None
        (meta,) = stored.tables["meta"]
        write_tables(file, {**stored.tables, "meta": [{**meta, "positions": meta["positions"][::-1]}]})
        with pytest.raises(StoreError, match="films at other positions"):
            seen.reading("anna", case)

    def test_a_whole_session_opens_no_private_file(self, tmp_path: Path) -> None:
        """Watch every file that a process opens, from the worklist through a case to its signature."""
        study = make_study(tmp_path, blinded=True, patients=2)
        case = study.cases()[0]
        store_reading(study, case, joints=19)
        save_predictions(study, "m", case, [answer("L.MCP2", "ERO", 1, 3, 5)])
        (study.path / "private" / "visits" / f"{case}.json").write_bytes(b"whoever reads this fails")
        script = (
            "import asyncio, os, sys\n"
            "opened = []\n"
            "def watch(event, arguments):\n"
            "    if event in ('open', 'os.listdir', 'os.scandir', 'os.rename', 'os.remove') and arguments:\n"
            "        opened.append(os.fsdecode(arguments[0]) if isinstance(arguments[0], (str, bytes)) else '')\n"
            "sys.addaudithook(watch)\n"
            "from pathlib import Path\n"
            "from ratui.study import Study\n"
            "from tests.tui.conftest import reading_as, settle\n"
            "async def read():\n"
            "    study = Study.open(Path(sys.argv[1]))\n"
            "    async with reading_as(study, 'anna', case=sys.argv[2]) as pilot:\n"
            "        await settle(pilot)\n"
            "        for key in '0' * 12:\n"
            "            await pilot.press(key)\n"
            "        await settle(pilot)\n"
            "        await pilot.press('s')\n"
            "        await settle(pilot)\n"
            "        seen = pilot.app.study.reading('anna', sys.argv[2])\n"
            "        assert len(seen.values) == len(seen.fields), seen\n"
            "asyncio.run(read())\n"
            "assert any('films.json' in name for name in opened), 'the watch sees nothing'\n"
            "print([name for name in opened if {'private', 'visits'} & set(name.split('/')[-2:])])\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(study.path), case],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "[]"


def damage(study: Study, case: str, change: Callable[[list[dict[str, object]]], list[dict[str, object]]]) -> None:
    file = study.path / "private" / "visits" / f"{case}.json"
    stored = read_intact(file)
    assert stored is not None
    write_tables(file, {"visits": change(stored.tables["visits"])})


class TestFormat:
    """The file format provides for up to eight visits, missing ones, and cases that only some raters read."""

    def test_up_to_eight_visits_are_stored_and_read(self, tmp_path: Path) -> None:
        study = Study.create(tmp_path / "s", "fingers", ["anna"], blinded=True)
        films = tuple(record(f"film{visit}{side}", visit, side) for visit in range(8) for side in "LR")
        study.save_case(Case("C-1", films))
        again = Study.open(study.path)
        assert again.case("C-1").times == tuple(range(8))
        assert len(again.positions("C-1")["anna"]) == 8
        assert again.case("C-1").unreadable_reason(study.scheme) == ""
        state = again.as_rater("anna").state("anna", "C-1")
        assert (state.stage, state.total, state.joints_total) == ("regions", 8 * 38, 20)
        with again.as_rater("anna").open_reading("anna", "C-1") as session:
            assert session.reading.order == tuple(range(8))
            assert len(session.reading.fields) == 8 * 38

    def test_a_ninth_visit_is_no_valid_file(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="between 0 and 7"):
            Visit.from_record({"film": "a", "visit": 8, "day": None, "pixels": ""})
        config = Study.create(tmp_path / "s", "fingers", ["anna"], blinded=True).config
        films = [film_to_public_record(record(f"f{n}", n % 8), with_times=False) for n in range(9)]
        positions = [{"rater": "anna", "positions": [[film["id"]] for film in films]}]
        with pytest.raises(ValueError, match="9 positions"):
            FilmList.from_tables("C-1", {"films": films, "positions": positions}, config, load_scheme("fingers"))

    def test_a_case_without_its_first_visits_is_read_like_any_other(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, blinded=True)
        (case,) = study.cases()
        damage(study, case, lambda visits: [{**each, "visit": (2, 5)[each["visit"]]} for each in visits])  # type: ignore[index]
        study = Study.open(study.path)
        assert study.case(case).times == (0, 1)
        assert {film.visit for film in study.case(case).films} == {2, 5}
        store_reading(study.as_rater("anna"), case, signed=True)
        reading = study.reading("anna", case)
        assert reading is not None
        assert sorted(reading.order) == [0, 1]
        study.save_case(study.case(case))
        assert {visit.visit for visit in study.visits(case).values()} == {2, 5}, "saving keeps the numbers of visits"

    def test_digests_of_pixels_stay_when_a_case_is_saved_again(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, blinded=True)
        (case,) = study.cases()
        before = study.visits(case)
        assert all(visit.pixels for visit in before.values())
        study.save_case(study.case(case))
        assert study.visits(case) == before

    @pytest.mark.parametrize(
        "change",
        [
            lambda visits: visits[1:],
            lambda visits: [{**visits[0], "film": "another"}, *visits[1:]],
            lambda visits: [{**each, "visit": "0"} for each in visits],
            lambda visits: [{**each, "visit": True} for each in visits],
            lambda visits: [{"film": each["film"]} for each in visits],
        ],
    )
    def test_visits_that_are_not_those_of_the_films_are_reported(
        self, tmp_path: Path, change: Callable[[list[dict[str, object]]], list[dict[str, object]]]
    ) -> None:
        study = make_study(tmp_path, blinded=True)
        (case,) = study.cases()
        damage(study, case, change)
        with pytest.raises(StoreError):
            Study.open(study.path).case(case)
        assert Study.open(study.path).as_rater("anna").case(case).films, "the rater can go on"

    @pytest.mark.parametrize(
        "positions",
        [[["a"]], [["a"], ["b"], []], [["a", "b"], ["b"]], [["a"], ["c"]], [["a"], ["b", "b"]], [], "ab", [1, 2], None],
    )
    def test_positions_that_are_not_those_of_the_films_are_rejected(self, tmp_path: Path, positions: object) -> None:
        study = Study.create(tmp_path / "s", "fingers", ["anna"], blinded=True)
        study.save_case(Case("C-1", (record("a", 0), record("b", 1))))
        file = study.path / "films" / "C-1" / "films.json"
        stored = read_intact(file)
        assert stored is not None
        write_tables(file, {**stored.tables, "positions": [{"rater": "anna", "positions": positions}]})
        with pytest.raises(StoreError, match="not a list of films"):
            Study.open(study.path).as_rater("anna").case("C-1")

    def test_a_case_without_positions_of_a_rater_is_not_assigned_to_them(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, blinded=True)
        (case,) = study.cases()
        positions = {rater: each for rater, each in study.positions(case).items() if rater != "bert"}
        listed = study.film_list(case)
        write_tables(study.path / "films" / case / "films.json", replace(listed, positions=positions).to_tables())
        study = Study.open(study.path)
        assert study.raters_of(case) == ("anna",)
        assert CONSENSUS in study.positions(case)
        with pytest.raises(StudyError, match="not assigned to bert"), study.as_rater("bert").open_reading("bert", case):
            pass


@pytest.mark.parametrize("value", ['"yes"', "1", '"true"', "[]"])
def test_blinded_is_true_or_false_and_nothing_else(tmp_path: Path, value: str) -> None:
    study = Study.create(tmp_path / "s", "fingers", ["anna"], blinded=True)
    file = study.path / "study.toml"
    text = file.read_text().replace("blinded = true", f"blinded = {value}")
    assert text != file.read_text()
    file.write_bytes(_append_seal(text[: text.index("# SHA-256 of all lines")].encode()))
    with pytest.raises(StudyError, match="blinded must be true or false"):
        Study.open(study.path)
