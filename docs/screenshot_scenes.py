"""The screens of which `make_screenshots.py` makes pictures, and the simulated studies that they show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pydicom

from ratui.demo.simulate import SimulatedStudy, Simulation, simulate_study
from ratui.phantom import simulate_patient, write_patient_films
from ratui.practice.examination import make_examination
from ratui.practice.simulated_study import import_written_films, save_true_boxes
from ratui.reading import Field, FindingEntry, GradeEntry, Reading, enter, enter_normal, set_note, sign, toggle_flag
from ratui.scheme import load_scheme
from ratui.study import KeyFile, Study
from ratui.study.model_results.model_reports import (
    Evaluation,
    Heading,
    Paragraph,
    Picture,
    ReportTable,
    save_evaluation,
)

__all__ = ["DOCUMENTED", "SESSIONS", "Session", "make_studies"]

AT = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)
_SIZE = (700, 574)
"""Rows and columns of the films of the smaller studies."""


@dataclass(frozen=True)
class Session:
    """One start of ratui.

    Attributes
    ----------
    arguments
        Arguments of the program. ``{here}`` is a copy of the folder of studies, ``{begun}`` and others are cases.
    screens
        Names of the screens, with the keys, as xdotool names them, pressed before each.
    folder
        Name of the folder of studies, made by `make_studies`.
    recent
        Paths of the studies that the user opened before, and their raters.
    program
        What Python runs with the arguments: options before them.
    """

    arguments: tuple[str, ...]
    screens: tuple[tuple[str, tuple[str, ...]], ...]
    folder: str = "hands"
    recent: tuple[tuple[str, str], ...] = ()
    program: tuple[str, ...] = ("-m", "ratui")


def _go_to(joint: str) -> tuple[str, ...]:
    """Return the keys that go to `joint` on the scoring screen."""
    return ("slash", *joint, "Return")


_RESULTS = str(Path(__file__).with_name("reading_test_results.py"))
_READ = ("read", "{here}/study", "--rater", "anna")
_RECENT = (
    ("{here}/study", "anna"),
    ("{home}/visits/study", "anna"),
    ("{home}/empty/study", "anna"),
    ("{home}/feet/study", "ben"),
    ("/media/transfer/rheumatology/trial-2019/follow-up-of-early-arthritis/hands-of-all-centres", "anna"),
)
SESSIONS = (
    Session((), (("start", ()), ("start-open", ("o",)), ("start-help", ("Escape", "question")))),
    Session((), (("start-recent", ()), ("start-recent-lost", ("End", "Return"))), recent=_RECENT),
    Session(("demo",), (("tour", ()), ("tour-second", ("0",)))),
    Session(
        _READ,
        (
            ("worklist", ()),
            ("worklist-filtered", tuple("sign")),
            ("worklist-help", ("Escape", "question")),
            ("contact-sheet", ("Escape", "Tab")),
            ("evaluation", ("Escape", "ctrl+e")),
            ("evaluation-picture", ("Right",)),
            ("worklist-colours", ("Escape", "ctrl+p", *"colour")),
        ),
    ),
    Session(
        (*_READ, "--case", "{begun}"),
        (
            ("scoring", ()),
            ("scoring-entered", ("1",)),
            ("scoring-help", ("question",)),
            ("scoring-reasons", ("Escape", "x")),
            ("scoring-note", ("Escape", "m", *"cyst")),
            ("scoring-whole-film", ("Escape", "v")),
            ("scoring-difference", ("v", "d")),
            ("scoring-commands", ("d", "ctrl+p")),
            ("overview", ("Escape", "o")),
            ("regions", ("Escape", "r")),
        ),
    ),
    Session(
        (*_READ, "--case", "{full}"),
        (
            ("second-look", ()),
            ("second-look-changed", ("3",)),
            ("second-look-help", ("question",)),
        ),
    ),
    Session(
        (*_READ, "--case", "{full}"),
        (("overview-to-sign", ("Return", "Return")), ("overview-signed-now", ("S",))),
    ),
    Session(
        (*_READ, "--case", "{signed}"),
        (
            ("overview-signed", ()),
            ("read-only", ("Down", "Return")),
            ("reopening", ("Escape", "R", *"wrong")),
        ),
    ),
    Session(
        _READ, (("worklist-blinded", ()), ("scoring-blinded", ("Return",)), ("whole-film-blinded", ("v",))), "blinded"
    ),
    Session(_READ, (("worklist-empty", ()),), "empty"),
    Session(
        _READ,
        (
            ("worklist-signed", ()),
            ("contact-sheet-visits", ("Tab",)),
            ("contact-sheet-score", ("o",)),
            ("contact-sheet-change", ("o",)),
        ),
        "visits",
    ),
    Session(
        (*_READ, "--case", "{feet}"),
        (("regions-wrist", ()), ("regions-feet", ("Next",) * 4)),
        "feet",
    ),
    Session((*_READ, "--case", "{read_feet}"), (("overview-feet", ()),), "feet"),
    Session((*_READ, "--case", "{read_wrist}"), (("overview-wrist", ()),), "wrist"),
    Session((*_READ, "--case", "{read_visits}"), (("overview-visits", ()),), "blinded"),
    Session(
        (*_READ, "--case", "{unread_feet}"),
        (
            ("scoring-wrist", (*_go_to("lmcp5"), "0", "0", "0", "0")),
            ("scoring-wrist-reasons", ("x",)),
            ("scoring-long-finding", ("r", *"xrxr")),
            ("scoring-feet", (*_go_to("rmtp1"), "4")),
            ("whole-film-feet", ("v",)),
        ),
        "feet",
    ),
    Session(
        _READ,
        (
            ("scoring-three-visits", ("Return",)),
            ("scoring-three-visits-entered", ("0", "2")),
            ("overview-three-visits", ("o",)),
            ("scoring-missing-film", ("Escape", *_go_to("rpip2"))),
            ("scoring-missing-film-whole", ("v",)),
            ("overview-missing-film", ("v", "o")),
        ),
        "missing",
    ),
    Session(
        ("adjudicate", "{here}/study", "--threshold", "0"),
        (("adjudication-list", ()), ("adjudication", ("Return",)), ("adjudication-answers", tuple("0000"))),
    ),
    Session(
        ("import", "{here}/study", "{here}/films", "--review", "--key", "{here}/key.json"),
        (
            ("import", ()),
            ("import-next", ("n",)),
            ("import-all", ("a",)),
            ("import-path", ("p",)),
            ("import-dates", ("n", "d")),
            ("import-help", ("question",)),
        ),
        "import",
    ),
    Session(
        ("practise", "--cases", "1", "--rows", "700", "--seed", "3", "--scheme", "fingers"),
        (("practice", ()), ("practice-answer", tuple("0000")), ("practice-overview", ("o",))),
    ),
    Session(
        ("practise", "--exam", "{here}/study", "--rater", "anna"),
        (("examination-list", ()), ("examination", ("Return",)), ("examination-signed", ("Return", "Return", "S"))),
        "examination",
    ),
    Session(
        ("practise", "--mark", "{here}/study", "--truth", "{truth}"),
        (("examination-result", ()),),
        "examination",
    ),
    Session(
        ("doctor", "--reading-test", "--seed", "5"),
        (
            ("reading-test", ()),
            ("reading-test-example", ("Return",)),
            ("reading-test-trial", ("Return", "Return", "Return")),
            ("reading-test-answer", ("1",)),
        ),
    ),
    *(
        Session((name,), ((f"reading-test-{name}", ("Return", "Return", "1", "1")),), program=(_RESULTS,))
        for name in ("reached", "not-reached", "left")
    ),
    Session(("doctor",), (("doctor", ()),)),
)
DOCUMENTED = {"scoring-entered": "scoring", "worklist": "worklist", "overview-to-sign": "overview"}
"""Screens that the documentation shows, with the names of their pictures."""


def make_studies(folder: Path) -> dict[str, str]:
    """Write the folders that the sessions name into `folder`. Return the names of the cases that the sessions open."""
    read_visits = _make_blinded(folder / "blinded")
    read_feet, unread_feet, feet = _make_feet(folder / "feet")
    read_wrist = _make_wrist(folder / "wrist")
    _make_import(folder / "import")
    _make_visits(folder / "visits")
    Study.create(folder / "empty" / "study", "fingers", ["anna"], title="New study")
    _make_missing(folder / "missing")
    _make_examination(folder)
    made = {"feet": feet, "read_feet": read_feet, "read_wrist": read_wrist, "read_visits": read_visits}
    made |= {"unread_feet": unread_feet, "truth": str(folder / "truth.json")}
    return {**made, **_make_hands(folder / "hands")}


def _make_hands(folder: Path) -> dict[str, str]:
    """Make a study of four patients: one signed, one full, one begun, one untouched. Return the names of the first three."""
    raters = {"anna": "shared-shift", "ben": "mixed"}
    simulation = Simulation(4, raters, size=(1400, 1148), seed=7, title="Simulated hands")
    # Ben has confirmed the regions of all cases but the last.
    simulate_study(
        folder / "study",
        simulation,
        key=folder.parent / "hands.json",
        progress=lambda *_: None,
        unread={"anna": 3, "ben": 1},
    )
    study = Study.open(folder / "study")
    signed, full, begun, _ = study.cases()
    for case, change in ((full, _fill), (begun, _begin)):
        with study.open_reading("anna", case) as session:
            session.save(change(session.reading), seconds=240.0)
    picture = Path(__file__).parent / "loop-calibration.png"
    blocks = (
        Heading("Errors of the scorer", 1),
        Paragraph("The mean error of the change was measured on simulated patients, for raters of three kinds. " * 3),
        ReportTable(("measure", "here", "raters"), (("ERO, mean error", "0.21", "0.18"), ("JSN", "0.31", "0.26"))),
        Heading("Calibration"),
        Picture(picture.name, picture.read_bytes(), "Calibration of the two scales"),
    )
    save_evaluation(study, Evaluation("scorer", AT, (signed,), blocks))
    return {"signed": signed, "full": full, "begun": begun}


def _fill(reading: Reading) -> Reading:
    for place, time_point in enumerate(reading.order):
        reading = enter(reading, Field("L.MCP2", "ERO", time_point), FindingEntry("ankylosis"), timestamp=AT)
        reading = enter(reading, Field("L.MCP3", "ERO", time_point), GradeEntry(1 + place), timestamp=AT)
    for site in reading.sites:
        if any(field not in reading.values for field in reading.joint_fields(site.key)):
            reading = enter_normal(reading, site.key, timestamp=AT)
    return reading


def _begin(reading: Reading) -> Reading:
    for site in ("L.IP1", "L.PIP2", "L.PIP3"):
        reading = enter_normal(reading, site, timestamp=AT)
    reading = set_note(reading, "L.PIP2", "cyst or erosion?", timestamp=AT)
    return toggle_flag(reading, "L.PIP2", timestamp=AT)


def _make_blinded(folder: Path) -> str:
    """Make a blinded study of three visits: one case signed, one with confirmed regions. Return the name of the first."""
    simulation = Simulation(
        2, {"anna": "mixed"}, size=_SIZE, seed=3, scheme="mtss-hands", title="Blinded", visits=3, blinded=True
    )
    made = _simulate(folder, simulation, unread=1)
    signed, untouched = made.study.cases()
    made.confirm_regions(untouched, "anna", np.random.default_rng(3))
    return signed


def _make_visits(folder: Path) -> None:
    """Make a study of three patients with seven visits, all signed."""
    simulation = Simulation(3, {"anna": "mixed"}, size=_SIZE, seed=11, title="Seven visits", visits=7)
    simulate_study(folder / "study", simulation, key=folder.parent / "visits.json", progress=lambda *_: None)


def _make_feet(folder: Path) -> list[str]:
    """Make a study of hands and feet: one case signed, one with confirmed regions, one without. Return their names."""
    simulation = Simulation(3, {"anna": "mixed"}, size=_SIZE, seed=5, scheme="mtss", title="Hands and feet")
    made = _simulate(folder, simulation, unread=2)
    names = made.study.cases()
    made.confirm_regions(names[1], "anna", np.random.default_rng(5))
    return names


def _make_missing(folder: Path) -> None:
    """Make a study of one patient with three visits, without the film of the right hand at the second."""
    study, films = Study.create(folder / "study", "fingers", ["anna"], title="Three visits"), folder / "films"
    key, dates = folder / "key.json", (date(2019, 3, 2), date(2020, 5, 4), date(2022, 6, 7))
    rng = np.random.default_rng(8)
    patient = simulate_patient(rng, study.scheme, severity=1.2, visits=3)
    written = write_patient_films(patient, films, rng, name="0000", dates=dates, size=_SIZE)
    missing = next(film for film in written if (film.time, film.side) == (1, "R"))
    missing.path.unlink()
    written.remove(missing)
    KeyFile.create(key, secret=b"three visits").save(study)
    (case,) = import_written_films(study, films, [written], key=key, progress=lambda *_: None, visits=3)
    save_true_boxes(study, study.case(case), written, "anna")


def _make_examination(folder: Path) -> None:
    """Make an examination that Ben has finished and of which Anna has filled the first case."""
    (folder / "examination").mkdir()
    study, examination = make_examination(
        folder / "examination" / "study",
        folder / "truth.json",
        "fingers",
        ["anna", "ben"],
        cases=3,
        seed=1,
        size=_SIZE,
        progress=lambda *_: None,
    )
    for case, truth in examination.truth.items():
        with study.open_reading("ben", case) as session:
            reading = session.reading
            for field, answer in truth.items():
                reading = enter(reading, field, answer.entry, timestamp=AT)
            session.save(sign(reading, timestamp=AT), seconds=240.0)
    with study.open_reading("anna", study.cases()[0]) as session:
        session.save(_fill(session.reading), seconds=240.0)


def _make_wrist(folder: Path) -> str:
    """Make a study of one signed case with wrists. Return its name."""
    simulation = Simulation(1, {"anna": "mixed"}, size=_SIZE, seed=6, scheme="mtss-hands", title="Wrists")
    return _simulate(folder, simulation, unread=0).study.cases()[0]


def _simulate(folder: Path, simulation: Simulation, *, unread: int) -> SimulatedStudy:
    """Make a study of `anna`, who leaves the last `unread` cases."""
    key = folder.with_suffix(".json")
    return simulate_study(folder / "study", simulation, key=key, progress=lambda *_: None, unread={"anna": unread})


def _make_import(folder: Path) -> None:
    """Make an empty study, and films of three patients: two films that compete, one without a side, and three dates."""
    Study.create(folder / "study", "fingers", ["anna"], title="New films")
    scheme, films = load_scheme("fingers"), folder / "films"
    dates = (date(2019, 3, 2), date(2020, 5, 4), date(2022, 6, 7))
    for number, visits in enumerate((2, 2, 3)):
        rng = np.random.default_rng(number)
        patient = simulate_patient(rng, scheme, visits=visits)
        for part in ("first", "second")[: 2 - min(number, 1)]:  # the first patient has two films of each date
            name, own = f"{number:04d}", films / part
            write_patient_films(patient, own, rng, name=name, dates=dates[:visits], size=_SIZE, sides=("L",))
            (own / f"{name}_truth.json").unlink()
    without_side = next((films / "first").glob("0001*.dcm"))
    film = pydicom.dcmread(without_side)
    for attribute in (
        "ImageLaterality",
        "Laterality",
        "SeriesDescription",
        "StudyDescription",
        "AnatomicRegionSequence",
    ):
        if attribute in film:
            delattr(film, attribute)
    film.save_as(without_side)
