"""Measuring a study: which joints and visits, what is kept from before, interrupts, unreadable films, and processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner, Result

import ratui.imaging
from ratui.cli.main import commands
from ratui.errors import StoreError, StudyError
from ratui.imaging.joint_space import Unreliable
from ratui.results.joint_space import find_successive_changes
from ratui.results.joint_space_measuring import list_measured_sites, list_visit_pairs, measure_joint_spaces
from ratui.study import InProcessConverter, RegionSource, Study, StudyLocked, import_films
from ratui.study.campaign.audit import list_audit_entries
from ratui.study.campaign.study_closing import lock_study
from ratui.study.joint_spaces.joint_space import (
    JOINT_SPACE,
    OUTDATED,
    PRIVATE_JOINT_SPACE,
    REASONS,
    load_joint_space,
    load_published_joint_space,
)
from ratui.study.store import StudyFile, read_intact, write_tables
from tests.films import confirm_template, film_file, make_study
from tests.support.fake_joint_space import FakeChange, FakeMeasure, fake_joint_space_change
from tests.tui.readings import store_reading

JOINTS = 20


def measure(study: Study, **options: object) -> tuple[FakeMeasure, list[str]]:
    """Measure `study` in this process; return the measurement with its calls, and the failures."""
    fake = FakeMeasure()
    summary = measure_joint_spaces(study, fake, workers=1, **options)  # type: ignore[arg-type]
    assert summary.measured == len(fake.calls)
    return fake, summary.failures


def move_box(study: Study, case: str, site: str, time: int) -> None:
    film = next(each for each in study.case(case).films if each.time == time and each.side == site[0])
    regions = [
        replace(each, box=each.box._replace(x1=each.box.x1 + 1))
        if (each.site, each.film) == (site, film.id) and each.box is not None
        else each
        for each in study.regions(case)
    ]
    study.save_regions(case, regions)


def change_record(file: StudyFile, table: str, record: dict[str, object]) -> None:
    """Change the first record of a stored table."""
    stored = read_intact(file)
    assert stored is not None
    tables = {name: [dict(each) for each in records] for name, records in stored.tables.items()}
    tables[table][0].update(record)
    write_tables(file, tables)


def test_the_pairs_are_successive_visits_and_those_with_the_baseline() -> None:
    assert list_visit_pairs(()) == list_visit_pairs((0,)) == ()
    assert list_visit_pairs((0, 1)) == ((0, 1),)
    assert list_visit_pairs((0, 1, 2, 3)) == ((0, 1), (0, 2), (0, 3), (1, 2), (2, 3))
    assert list_visit_pairs((1, 3, 4)) == ((1, 3), (1, 4), (3, 4))
    assert len(list_visit_pairs(range(8))) == 7 + 6


def test_a_visit_that_does_not_show_a_joint_is_skipped_for_it(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "study", "fingers", ["anna"])
    for number in range(4):
        film_file(tmp_path / "in" / f"a{number}.dcm", day=f"202{number}0302", seed=number)
    import_films(study, [tmp_path / "in"], key=tmp_path / "key.json", converter=InProcessConverter(), visits=4)
    (case,) = study.cases()
    confirm_template(study, case, "anna")
    ids = {film.id: film.time for film in study.case(case).films}
    absent = {("MCP2", 2), ("MCP3", 0)}
    regions = study.regions(case)
    study.save_regions(case, [each for each in regions if (each.site[2:], ids[each.film]) not in absent])
    measure(study)
    found = load_joint_space(study, case)
    times = {joint: [each.times for each in found if each.site[2:] == joint] for joint in ("MCP2", "MCP3", "MCP4")}
    assert times == {
        "MCP2": [(0, 1), (0, 3), (1, 3)],
        "MCP3": [(1, 2), (1, 3), (2, 3)],
        "MCP4": [(0, 1), (0, 2), (0, 3), (1, 2), (2, 3)],
    }
    successive = [each.times for each in find_successive_changes(found) if each.site[2:] == "MCP2"]
    assert successive == [(0, 1), (1, 3)]


def test_each_finger_joint_is_measured_with_the_earlier_film_first(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    seen: list[tuple[int, int]] = []
    summary = measure_joint_spaces(
        study, fake_joint_space_change, workers=1, on_progress=lambda *each: seen.append(each)
    )
    assert (summary.measured, summary.kept, summary.reliable, summary.cases) == (JOINTS, 0, JOINTS, 1)
    assert seen == [(0, 1), (1, 1)]
    found = load_joint_space(study, case)
    assert [each.site for each in found] == [site.key for site in list_measured_sites(study.scheme)]
    boxes = {(region.site, region.film): region.box for region in study.regions(case)}
    times = {film.id: film.time for film in study.case(case).films}
    for each in found:
        earlier, later = (study.film(case, film) for film in each.films)
        assert each.times == tuple(times[film] for film in each.films) == (0, 1)
        box_a, box_b = (boxes[each.site, film] for film in each.films)
        assert box_a is not None
        assert box_b is not None
        expected = fake_joint_space_change(earlier, box_a, later, box_b)
        assert each.mm == pytest.approx(expected.mm)
        assert each.pixels == pytest.approx(expected.pixels)


def test_only_what_has_changed_is_measured_again(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=2)
    first, second = study.cases()
    assert len(measure(study)[0].calls) == 2 * JOINTS
    stamp = (study.path / JOINT_SPACE / f"{first}.json").stat().st_mtime_ns
    assert len(measure(study)[0].calls) == 0
    move_box(study, second, "L.MCP2", 1)
    assert [each.reason for each in load_joint_space(study, second) if not each.is_reliable] == [OUTDATED]
    assert len(measure(study)[0].calls) == 1
    assert all(each.is_reliable for each in load_joint_space(study, second))
    assert (study.path / JOINT_SPACE / f"{first}.json").stat().st_mtime_ns == stamp
    assert len(measure(study, cases=[first], again=True)[0].calls) == JOINTS


def test_joints_without_two_boxes_are_left_out_and_proposed_boxes_count(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    measure(study)
    regions = {(each.site, each.film): each for each in study.regions(case)}
    film = next(each.id for each in study.case(case).films if each.side == "L")
    absent = replace(regions["L.MCP2", film], box=None)
    kept = [each for key, each in regions.items() if key not in {("L.MCP2", film), ("L.MCP3", film)}]
    study.save_regions(case, [*kept, absent])
    measure(study)
    assert not {"L.MCP2", "L.MCP3"} & {each.site for each in load_joint_space(study, case)}
    assert len(load_joint_space(study, case)) == JOINTS - 2
    proposed = [
        replace(each, source=RegionSource.MODEL, confirmed_by="", model="m")
        for key, each in regions.items()
        if key in {("L.MCP2", film), ("L.MCP3", film)}
    ]
    study.save_proposals("m", case, proposed)
    assert len(measure(study)[0].calls) == 1
    assert {each.site for each in load_joint_space(study, case)} >= {"L.MCP3"}


def test_an_interrupt_loses_only_the_pair_in_work(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    with pytest.raises(KeyboardInterrupt):
        measure_joint_spaces(study, FakeMeasure(interrupt_after=JOINTS // 2 + 3), workers=1)
    assert len(load_joint_space(study, case)) == JOINTS // 2
    assert len(measure(study)[0].calls) == JOINTS // 2
    assert len(load_joint_space(study, case)) == JOINTS
    with pytest.raises(KeyboardInterrupt):
        measure_joint_spaces(study, FakeMeasure(interrupt_after=JOINTS // 2 + 3), workers=1, again=True)
    assert len(load_joint_space(study, case)) == JOINTS, "nor does a repeated run lose what was measured before"


def test_an_unreadable_film_gives_one_line_and_the_others_are_measured(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=2)
    first, second = study.cases()
    film = next(each.id for each in study.case(first).films if each.side == "L")
    study.film_path(first, film).write_bytes(b"no film")
    fake, failures = measure(study)
    assert len(fake.calls) == JOINTS + JOINTS // 2
    assert len(failures) == 1
    assert failures[0].startswith(f"{first}, film {film}: ")
    assert {each.site[0] for each in load_joint_space(study, first)} == {"R"}
    assert len(load_joint_space(study, second)) == JOINTS


def test_a_damaged_file_of_one_case_stops_only_that_case(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=2)
    first, second = study.cases()
    for file in (study.path / "regions").glob(f"{first}.json*"):
        file.write_bytes(b"damaged")
    _, failures = measure(study)
    assert [each.partition(":")[0] for each in failures] == [first]
    assert len(load_joint_space(study, second)) == JOINTS


@pytest.mark.parametrize("with_boxes", [True, False])
@pytest.mark.parametrize("record", [("meta", {"scheme": "0" * 64}), ("changes", {"films": ["a", "b"]})])
def test_measurements_that_are_not_of_this_study_are_replaced(
    tmp_path: Path, record: tuple[str, dict[str, object]], with_boxes: bool
) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    measure(study)
    change_record(study.folder.file(f"{JOINT_SPACE}/{case}.json"), *record)
    with pytest.raises(StoreError) as raised:
        load_joint_space(study, case)
    assert raised.value.remedy == "Run ratui measure again"
    if not with_boxes:
        study.save_regions(case, [])
    count = JOINTS if with_boxes else 0
    fake, failures = measure(study)
    assert (len(fake.calls), failures, len(load_joint_space(study, case))) == (count, [], count)


def test_measurements_of_a_newer_format_are_kept(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    measure(study)
    change_record(study.folder.file(f"{JOINT_SPACE}/{case}.json"), "meta", {"format": 9})
    stored = (study.path / JOINT_SPACE / f"{case}.json").read_bytes()
    assert measure(study, again=True)[1] == [f"{case}: the measurements have format 9"]
    assert (study.path / JOINT_SPACE / f"{case}.json").read_bytes() == stored


def test_three_visits_give_all_pairs_and_one_visit_none(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "study", "fingers", ["anna"])
    for number, day in enumerate(("20200302", "20210504", "20220606")):
        film_file(tmp_path / "in" / f"a{number}.dcm", patient="A", day=day, seed=number)
    film_file(tmp_path / "in" / "b.dcm", patient="B", seed=9)
    import_films(study, [tmp_path / "in"], key=tmp_path / "key.json", converter=InProcessConverter(), visits=3)
    for case in study.cases():
        confirm_template(study, case, "anna")
    measure(study)
    by_visits = {len(study.case(case).times): load_joint_space(study, case) for case in study.cases()}
    assert by_visits[1] == ()
    (first, *_) = {each.site for each in by_visits[3]}
    changes = {each.times: each.mm or 0.0 for each in by_visits[3] if each.site == first}
    assert [*changes] == [(0, 1), (0, 2), (1, 2)]
    assert changes[0, 2] == pytest.approx(changes[0, 1] + changes[1, 2])
    (single,) = [case for case in study.cases() if len(study.case(case).times) == 1]
    assert not (study.path / JOINT_SPACE / f"{single}.json").exists()
    (case,) = {*study.cases()} - {single}
    film = next(each.id for each in study.case(case).films if each.time == 0)
    study.film_path(case, film).unlink()
    assert [each.partition(":")[0] for each in measure(study, again=True)[1]] == [f"{case}, film {film}"]


def test_a_blinded_study_publishes_a_case_once_all_its_raters_have_signed(tmp_path: Path) -> None:
    study = make_study(tmp_path, blinded=True)
    (case,) = study.cases()
    store_reading(study, case, {}, rater="anna", signed=True)
    measure(study)
    assert (study.path / PRIVATE_JOINT_SPACE / f"{case}.json").exists()
    assert not (study.path / "models" / "joint-space").exists()
    assert load_published_joint_space(study.as_rater("anna"), case) == ()
    store_reading(study, case, {}, rater="bert", signed=True)
    assert len(measure(study)[0].calls) == 0
    assert len(load_published_joint_space(study.as_rater("anna"), case)) == JOINTS


@pytest.mark.parametrize("blinded", [False, True])
def test_the_command_says_which_cases_are_released(tmp_path: Path, run: Callable[..., Result], blinded: bool) -> None:
    study = make_study(tmp_path, blinded=blinded, raters=("anna",))
    store_reading(study, study.cases()[0], {}, rater="anna", signed=True)
    assert ("released: raters may see those of 1 case" in run(study.path).output) is blinded


def test_values_that_are_not_finite_are_none_and_reasons_are_counted(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    nan = float("nan")

    def fail(*_: object) -> FakeChange:
        return FakeChange(nan, None, nan, 0.0, is_reliable=False, reason="overlap")

    summary = measure_joint_spaces(study, fail, workers=1)
    assert (summary.reliable, dict(summary.reasons)) == (0, {"overlap": JOINTS})
    assert {(each.pixels, each.mm, each.sd, each.is_reliable) for each in load_joint_space(study, case)} == {
        (None, None, None, False)
    }


def test_each_reason_of_the_measurement_has_words() -> None:
    assert {*get_args(Unreliable)} - {""} == {*REASONS} - {OUTDATED}


def test_unknown_cases_raters_and_locked_studies_are_refused(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    with pytest.raises(StudyError, match="no case"):
        measure(study, cases=["C-none"])
    with pytest.raises(StudyError, match="managers"):
        measure(study.as_rater("anna"))
    lock_study(study, "the study has ended")
    fake = FakeMeasure()
    with pytest.raises(StudyLocked):
        measure_joint_spaces(Study.open(study.path), fake, workers=1)
    assert fake.calls == [], "it is refused before anything is measured"


def test_processes_give_the_same_measurements(tmp_path: Path) -> None:
    one, two = make_study(tmp_path / "one"), make_study(tmp_path / "two")
    (case,) = one.cases()
    measure_joint_spaces(one, fake_joint_space_change, workers=1)
    assert measure_joint_spaces(two, fake_joint_space_change, workers=2).measured == JOINTS
    assert load_joint_space(one, case) == load_joint_space(two, case)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Return a function that runs ``ratui measure`` with the fake measurement."""
    monkeypatch.setattr(ratui.imaging, "joint_space_change", fake_joint_space_change)
    return lambda *words: CliRunner().invoke(commands, ["measure", *map(str, words), "--workers", "1"])


def test_the_command_prints_what_was_measured(tmp_path: Path, run: Callable[..., Result]) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    done = run(study.path)
    assert done.exit_code == 0, done.output
    assert "20 changes of joint spaces measured, 0 kept from before, in 1 case" in done.output
    assert "reliable: 20 of 20 (100 %)" in done.output
    assert "0 changes of joint spaces measured, 20 kept" in run(study.path, "--case", case).output
    assert "20 changes of joint spaces measured" in run(study.path, "--again").output
    film = study.case(case).films[0].id
    study.film_path(case, film).unlink()
    failed = run(study.path, "--again")
    assert failed.exit_code == 1
    assert "10 changes of joint spaces measured, 10 kept from before" in failed.output, "those of the film still hold"
    assert "reliable: 20 of 20" in failed.output
    assert f"not measured: {case}, film {film}: there is no such file" in failed.output
    study.save_regions(case, [])
    assert "no finger joint has boxes on films of two visits" in run(study.path).output
    assert load_joint_space(study, case) == ()


def test_the_audit_trail_has_one_line_for_a_run_and_one_for_each_case(
    tmp_path: Path, run: Callable[..., Result]
) -> None:
    study = make_study(tmp_path, patients=2)
    for _ in range(2):
        run(study.path)
        for case in study.cases():
            for site in ("L.MCP2", "R.MCP2"):
                move_box(study, case, site, 0)
    runs = [each for each in list_audit_entries(study) if each.action == "joint spaces measured"]
    assert [each.detail for each in runs] == [
        "40 measured, 0 kept, 40 of them reliable, in 2 cases",
        "4 measured, 36 kept, 40 of them reliable, in 2 cases",
    ]
    for case in study.cases():
        short, full = (
            [each for each in found if each.action.startswith("measured joint spaces") and each.subject == case]
            for found in (list_audit_entries(study), list_audit_entries(study, with_entries=True))
        )
        assert [each.action.rpartition(" ")[2] for each in short] == ["created", "changed"]
        assert all(each.detail.endswith(", 2 writes") for each in short)
        digests = [tuple(each.detail.removesuffix(", 2 writes").split(" -> ")) for each in (*full, *short)]
        assert len(full) == 4, "each write on request"
        assert [before for before, _ in digests[1:4]] == [after for _, after in digests[:3]]
        assert digests[4:] == [(digests[0][0], digests[1][1]), (digests[2][0], digests[3][1])]
