"""Simulated patients have possible readings, their films show the true damage, and raters err as their kind describes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest

from ratui.imaging import read_film
from ratui.phantom import RATERS, PhantomPatient, render, write_patient_films
from ratui.reading import Field, FindingEntry, GradeEntry, enter, find_next_open_field, find_problems, start_reading
from ratui.scheme import load_scheme
from tests.phantom.hands import patient

FINGERS = load_scheme("fingers")
SMALL = (420, 344)


@pytest.mark.parametrize("kind", RATERS)
@pytest.mark.parametrize("scheme", ["fingers", "mtss-hands"])
def test_the_answers_of_a_rater_can_be_entered(kind: str, scheme: str) -> None:
    rng = np.random.default_rng(5)
    for seed in range(8):
        sick = patient(seed, severity=2.5, scheme=scheme)
        given = RATERS[kind].read(sick, rng)
        reading = start_reading(sick.scheme, "C-1", "sim", sick.scheme.sites)
        while field := find_next_open_field(reading):
            finding = given.findings.get((field.site, field.time))
            joint = sick.scheme.site(field.site).joint
            fixes = finding and field.scale in joint.scales_fixed_by(sick.scheme.finding(finding))
            entry = FindingEntry(finding) if finding and fixes else GradeEntry(given.grades[tuple(field)])
            reading = enter(reading, field, entry)
        assert find_problems(reading) == ()
        assert {f.site for f in map(Field._make, given.grades)} <= {s.key for s in sick.scheme.sites}


def test_the_share_of_damaged_joints_is_realistic() -> None:
    changes, found = [], []
    for seed in range(150):
        sick = patient(seed, severity=None)
        for site in FINGERS.sites:
            changes.append(sick.grades[site.key, "ERO", 1] - sick.grades[site.key, "ERO", 0])
            found.append((site.key, 1) in sick.findings)
    assert 0.2 < np.mean(np.abs(changes)) < 0.5
    assert 0.015 < np.mean(found) < 0.08
    assert min(changes) < 0  # repair is real


def test_a_film_is_the_same_for_the_same_generator() -> None:
    first, second = (render(patient(), "L", 0, np.random.default_rng(3), size=SMALL) for _ in range(2))
    assert np.array_equal(first.pixels, second.pixels)
    assert first.boxes == second.boxes


@pytest.mark.parametrize("seed", range(12))
def test_every_box_lies_on_the_film(seed: int) -> None:
    for side in ("L", "R"):
        film = render(patient(seed, severity=None), side, 1, np.random.default_rng(seed), size=SMALL)
        assert set(film.boxes) == {site.key for site in FINGERS.sites if site.side == side}
        for x0, y0, x1, y1 in film.boxes.values():
            assert 0 <= (x0 + x1) / 2 <= SMALL[1]
            assert 0 <= (y0 + y1) / 2 <= SMALL[0]


def test_a_right_hand_has_its_thumb_at_the_left() -> None:
    for side, sign in (("L", 1), ("R", -1)):
        film = render(patient(), side, 0, np.random.default_rng(1), size=SMALL)
        thumb, little = (film.boxes[f"{side}.MCP{n}"][0] for n in (1, 5))
        assert (thumb - little) * sign > 0


def with_grade(sick: PhantomPatient, site: str, scale: str, grade: int) -> PhantomPatient:
    return replace(sick, grades={**sick.grades, (site, scale, 0): grade}, findings={})


def test_an_erosion_removes_mineral_at_its_joint_only() -> None:
    healthy = patient(4, severity=0.0)
    films = [
        render(with_grade(healthy, "L.MCP3", "ERO", g), "L", 0, np.random.default_rng(9), size=(840, 688))
        for g in (0, 3)
    ]
    lost = films[0].pixels.astype(float) - films[1].pixels
    x0, y0, x1, y1 = (round(v) for v in films[0].boxes["L.MCP3"])
    inside = np.zeros(lost.shape, bool)
    inside[y0:y1, x0:x1] = True
    assert lost[inside].mean() > 12
    assert abs(lost[~inside]).mean() < 3


def test_a_joint_space_narrows_with_its_grade() -> None:
    """Measure the darkest level between the two bone ends, which rises as the space closes."""
    healthy = patient(4, severity=0.0)
    darkest = []
    for grade in (0, 2, 4):
        film = render(with_grade(healthy, "L.PIP3", "JSN", grade), "L", 0, np.random.default_rng(9), size=(1250, 1024))
        x0, y0, x1, y1 = film.boxes["L.PIP3"]
        x, y, half = round((x0 + x1) / 2), round((y0 + y1) / 2), round((y1 - y0) / 4)
        darkest.append(film.pixels[y - half : y + half, x - 4 : x + 5].mean(axis=1).min())
    assert darkest[0] < darkest[1] < darkest[2]


def test_films_arrive_as_a_hospital_sends_them(tmp_path: Path) -> None:
    films = write_patient_films(
        patient(),
        tmp_path,
        np.random.default_rng(1),
        name="0007",
        dates=[date(2020, 1, 2), date(2021, 1, 2)],
        size=SMALL,
    )
    assert [(film.side, film.time) for film in films] == [("L", 0), ("R", 0), ("L", 1), ("R", 1)]
    header = pydicom.dcmread(films[1].path)
    assert (header.BitsStored, header.Laterality, header.StudyDate) == (12, "R", "20200102")
    assert header.PatientName == "PHANTOM^0007"
    assert read_film(films[1].path).pixels.max() <= 4095
