"""The quality of films: each fault is found on degraded films, good ones raise no alarm, and nothing reveals the order."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner

from ratui.cli.main import commands
from ratui.errors import StudyError
from ratui.imaging import Box, Film, SpacingSource, write_film
from ratui.imaging.joint_quality import measure_joints
from ratui.phantom import PhantomFilm, render, simulate_patient
from ratui.results.film_quality import (
    _SPACING_TEXTS,
    FilmQuality,
    find_quality_problems,
    make_query_table,
    measure_quality,
)
from ratui.scheme import load_scheme
from ratui.study import FilmRecord, InProcessConverter, Region, RegionSource, Study, import_films
from tests.films import film_file

Pixels = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def phantoms() -> list[PhantomFilm]:
    """Return films of six simulated patients, of other seeds than those from which the limits were chosen."""
    scheme, films = load_scheme("fingers"), []
    for seed in range(6):
        rng = np.random.default_rng(7_000 + seed)
        films.append(render(simulate_patient(rng, scheme), "LR"[seed % 2], seed % 2, rng))  # type: ignore[arg-type]
    return films


def kinds(film: PhantomFilm, pixels: Pixels | None = None) -> set[str]:
    """Return the kinds of problems of a film, with other `pixels` if given."""
    values = film.pixels if pixels is None else np.clip(np.rint(pixels), 0, 4095).astype(np.uint16)
    record = FilmRecord("a", 0, film.side, "hand", *film.pixels.shape, spacing=film.spacing)
    decoded = Film(values, 12, spacing=film.spacing)
    joints = measure_joints(decoded, film.boxes.values())
    return {problem.kind for problem in find_quality_problems(record, decoded, joints, is_template=False)} - {"coarse"}


def degrade(film: PhantomFilm, how: str) -> Pixels:
    """Return the pixels of `film`, degraded in one way; the noise of the film stays as it is."""
    pixels = film.pixels.astype(np.float32)
    noise = pixels - cv2.GaussianBlur(pixels, (0, 0), 1.0)
    inside = np.concatenate(
        [pixels[int(y0) : int(y1), int(x0) : int(x1)].ravel() for x0, y0, x1, y1 in film.boxes.values()]
    )
    low, high = np.percentile(inside, [2, 98])
    mm = film.spacing[0]
    if how == "blurred":
        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), 0.6 / mm) + 0.5 * noise)
    if how == "motion":
        length = int(1.8 / mm) | 1
        return np.asarray(cv2.blur(pixels, (length, 1)) + 0.5 * noise)
    if how == "too bright":
        return pixels + 4095 - float(np.percentile(inside, 40))
    if how == "too dark":
        return pixels - float(np.percentile(inside, 70))
    if how == "noisy":
        return pixels + np.random.default_rng(1).normal(0, 0.2 * (high - low), pixels.shape).astype(np.float32)
    assert how == "low contrast"
    return 1000 + (pixels - low) * (30 / (high - low))


def test_good_films_raise_no_alarm(phantoms: list[PhantomFilm]) -> None:
    assert [kinds(film) for film in phantoms] == [set()] * len(phantoms)


@pytest.mark.parametrize("how", ["blurred", "motion", "too bright", "too dark", "noisy", "low contrast"])
def test_each_degraded_film_raises_its_alarm(phantoms: list[PhantomFilm], how: str) -> None:
    found = [kinds(film, degrade(film, how)) for film in phantoms]
    assert [how in each for each in found] == [True] * len(phantoms), found


@pytest.fixture
def study(tmp_path: Path, phantoms: list[PhantomFilm]) -> Study:
    """Return a study of one case: the first film of the left hand at both time points, the second one 8 bits and lossy."""
    film = phantoms[0]
    for time, day in enumerate(("20200302", "20210504")):
        pixels = film.pixels if time == 0 else film.pixels // 16
        write_film(
            tmp_path / "h" / f"{time}.dcm" if (tmp_path / "h").is_dir() else _make(tmp_path / "h") / f"{time}.dcm",
            pixels,
            spacing=film.spacing if time == 0 else None,
            laterality="L",
            attributes={
                "PatientID": "P1",
                "StudyDate": day,
                "BitsStored": 12 if time == 0 else 8,
                "HighBit": 11 if time == 0 else 7,
                "LossyImageCompression": "00" if time == 0 else "01",
            },
        )
    study = Study.create(tmp_path / "study", "fingers", ["anna"])
    report = import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
    assert len(report.imported) == 2, report.rejected
    return study


def _make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def by_time(study: Study) -> dict[int | None, FilmQuality]:
    return {int(film.visit != "baseline"): film for film in measure_quality(study)}


def test_what_a_header_says_is_reported(study: Study, phantoms: list[PhantomFilm]) -> None:
    assert set(SpacingSource) == set(_SPACING_TEXTS)
    found = by_time(study)
    assert {problem.kind for problem in found[0].problems} <= {"coarse"}
    assert {"no spacing", "lossy", "8 bits"} <= {problem.kind for problem in found[1].problems}
    assert found[0].spacing == f"{phantoms[0].spacing[0]:.2f} mm per pixel, at the detector, not calibrated"
    assert found[1].spacing == ""
    assert found[0].boxes == "template"
    assert "usual places" in found[0].format_line()


def test_joints_at_the_edge_absent_or_not_found_are_named(study: Study, phantoms: list[PhantomFilm]) -> None:
    (name,) = study.cases()
    first, second = sorted(study.case(name).films, key=lambda film: film.time)
    boxes = {key: box for key, box in phantoms[0].boxes.items() if key in {site.key for site in study.scheme.sites}}

    def region(film: FilmRecord, site: str, box: Box | None, by: str = "") -> Region:
        source = RegionSource.RATER if by else RegionSource.MODEL
        return Region(site, film.id, box, source, by, None, None if by else "finder")

    tip = Box(boxes["L.PIP3"].x0, -boxes["L.PIP3"].height / 2, boxes["L.PIP3"].x1, boxes["L.PIP3"].height / 2)
    edge = Box(tip.x0, -tip.height / 10, tip.x1, tip.height * 0.9)
    found = [region(first, site, {"L.PIP3": tip, "L.PIP2": edge}.get(site, box)) for site, box in boxes.items()]
    found += [region(second, site, box) for site, box in boxes.items() if site != "L.MCP5"]
    study.save_proposals("finder", name, found)
    texts = {time: [problem.text for problem in film.problems] for time, film in by_time(study).items()}
    assert "joints cut off or not on the film: PIP3" in texts[0]
    assert "joints that the model has not found: MCP5" in texts[1]
    assert by_time(study)[0].boxes == "proposed"
    study.save_regions(
        name, [region(first, site, None if site == "L.IP1" else box, "anna") for site, box in boxes.items()]
    )
    film = by_time(study)[0]
    assert [problem.text for problem in film.problems if problem.kind == "cut off"] == [
        "joints cut off or not on the film: IP1"
    ], "what a rater has confirmed counts, not the proposal"
    assert film.boxes == "confirmed"


def test_a_damaged_film_is_named_and_the_others_are_measured(study: Study) -> None:
    (name,) = study.cases()
    film = study.case(name).films[0].id
    path = study.film_path(name, film)
    path.write_bytes(path.read_bytes()[:-1000])
    found = {each.film: each for each in measure_quality(study)}
    assert [problem.kind for problem in found[film].problems] == ["unreadable"]
    assert sum(each.joints is not None for each in found.values()) == 1


def test_a_damaged_case_is_named_and_the_others_are_measured(study: Study, tmp_path: Path) -> None:
    film_file(tmp_path / "more" / "a.dcm", patient="P2")
    import_films(study, [tmp_path / "more"], key=tmp_path / "key.json", converter=InProcessConverter())
    for name in study.cases():
        study.save_regions(name, [])
    damaged, intact = study.cases()
    for path in (study.path / "regions").glob(f"{damaged}.json*"):
        path.write_text("{")
    found = measure_quality(study)
    assert {film.case for film in found} == {damaged, intact}
    assert [film.problems[0].kind for film in found if film.case == damaged] == ["unreadable"]
    assert "unreadable" not in {problem.kind for film in found if film.case == intact for problem in film.problems}


def test_a_study_without_films_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no film"):
        measure_quality(Study.create(tmp_path / "empty", "fingers", ["anna"]))


def test_the_query_list_asks_in_plain_words(study: Study) -> None:
    done = CliRunner().invoke(commands, ["quality", str(study.path), "--queries", "-"], catch_exceptions=False)
    assert done.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    asked = {row["reason"]: row["action"] for row in rows}
    assert asked["compressed with loss"] == "Ask for the original file without lossy compression"
    assert asked["the size of a pixel is unknown"].startswith("Ask for the original DICOM file")
    assert "8 bits per pixel" not in asked, "it needs no question"
    assert all(row["case"] and row["film"] for row in rows)
    assert [int(row["query"]) for row in rows] == list(range(1, len(rows) + 1))


def test_the_command_prints_one_line_per_film(study: Study) -> None:
    done = CliRunner().invoke(commands, ["quality", str(study.path)], catch_exceptions=False)
    lines = done.stdout.splitlines()
    assert len([line for line in lines if line.startswith("C-")]) == 2
    assert lines[-1].startswith("2 films, ")


def test_an_unknown_case_is_an_error(study: Study) -> None:
    with pytest.raises(StudyError, match="there is no case"):
        measure_quality(study, ["C-NONE"])


def test_nothing_reveals_the_order_in_a_blinded_study(tmp_path: Path, study: Study) -> None:
    """Exchange the time points of all films: not a byte of the output changes."""
    (name,) = study.cases()
    films = study.case(name)
    blinded = Study.create(tmp_path / "blinded", "fingers", ["anna"], blinded=True)
    outputs = []
    for times in ((0, 1), (1, 0)):
        case = replace(films, films=tuple(replace(film, time=times[film.time]) for film in films.films))
        for film in case.films:
            target = blinded.film_path(name, film.id)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(study.film_path(name, film.id).read_bytes())
        blinded.save_case(case)
        found = measure_quality(blinded)
        outputs.append(("\n".join(film.format_line() for film in found), make_query_table(found)))
        assert {film.time for film in blinded.case(name).films} == {0, 1}
    assert outputs[0] == outputs[1]
    assert "time" not in str(outputs)
