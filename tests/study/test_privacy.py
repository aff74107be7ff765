"""An identity planted in every part of a film leaves no trace except in the key."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.datadict import dictionary_VR, tag_for_keyword

from ratui.cli.main import commands, main
from ratui.imaging import read_film
from ratui.imaging.film import LookupTable, Window
from ratui.reading import (
    Field,
    GradeEntry,
    NotAssessableEntry,
    enter,
    find_next_open_field,
    set_note,
    sign,
    toggle_flag,
)
from ratui.study import InProcessConverter, KeyFile, Study, import_films
from ratui.study.campaign.display_tests import add_display_tests
from ratui.study.importing.reader.burned_in_text import seems_to_contain_text
from ratui.study.importing.reader.deidentification import make_uid
from tests.films import confirm_template, film_file, make_study
from tests.planted import BORN, DAYS, PATIENT, SECRET, TEXT, UID, everything, planted, png, traces, with_comment
from tests.study.conftest import RunRatui
from tests.study.test_display_tests import TEST

pytestmark = pytest.mark.slow

# Every command that prints or writes data of a study, run on a study that was imported from planted films.
# {out} is a folder; the test searches every byte of it, and of the printed output.
OVER_A_STUDY: tuple[tuple[str, ...], ...] = (
    ("status", "{study}"),
    ("status", "{study}", "--html", "{out}/status.html", "--csv", "{out}/status.csv"),
    ("status", "{study}", "--json"),
    ("propose", "{study}"),
    ("measure", "{study}", "--workers", "1"),
    ("quality", "{study}", "--queries", "{out}/queries.csv"),
    ("agreement", "{study}", "--missing", "carried", "--plots", "{out}/plots"),
    ("agreement", "{study}", "--missing", "carried", "--json"),
    ("adjudicate", "{study}", "--missing", "carried", "--list"),
    ("adjudicate", "{study}", "--missing", "carried", "--list", "--json"),
    *(
        ("export", "{study}", f"{{out}}/{form}", "--format", form, "--missing", "carried")
        for form in ("csv", "parquet", "json", "coco", "adam", "redcap", "mk", "sr", "gsps")
    ),
    ("report", "{study}", "{out}/report.html", "--missing", "carried"),
    ("raters", "{study}"),
    ("blocks", "{study}"),
    ("audit", "{study}"),
    ("audit", "{study}", "--json"),
    ("audit", "{study}", "--csv", "{out}/audit.csv"),
    ("charter", "{study}"),
    ("charter", "{study}", "--json"),
    ("charter", "{study}", "--html", "{out}/charter.html"),
    ("repeats", "{study}", "--list"),
    ("seal", "{study}"),
    ("check", "{study}"),
    ("backup", "{study}", "{out}/backup.zip"),
    ("package", "{study}", "{out}/package.zip", "--for", "anna"),
    ("restore", "{out}/backup.zip", "{out}/restored"),
    ("merge", "{study}", "{out}/restored", "--rater", "anna"),
)
# Commands without such output, and those that other tests below run, or those in tests/pacs.
NOT_OVER_A_STUDY = {
    "new",
    "import",
    "read",
    "demo",
    "doctor",
    "keys",
    "practise",
    "withdraw",
    "turn",
    "fetch",
    "receive",
    "send",
    "simulate",
    "lock",
}


def test_every_command_is_in_a_list() -> None:
    """Ensure that each new command is added to one of the two lists above."""
    assert set(commands.commands) == {*(command for command, *_ in OVER_A_STUDY), *NOT_OVER_A_STUDY}


def test_the_search_finds_the_planted_identity(tmp_path: Path) -> None:
    planted(tmp_path / "h", DAYS[0], 1)
    png(tmp_path / "h" / "a.png")
    found = traces(everything(tmp_path / "h"))
    assert {text.split(" as ")[0] for text in found} >= {SECRET, UID, BORN, DAYS[0]}
    import base64
    import hashlib

    for data in (
        SECRET.upper().encode(),
        base64.b64encode(b"by " + SECRET.encode()),
        hashlib.sha256(PATIENT.encode()).hexdigest().encode(),
        b"C-" + base64.b32encode(hashlib.md5(PATIENT.encode()).digest()),
    ):
        assert traces(data), data


def read_and_sign(study: Study) -> int:
    """Read and sign cases, so that readings occur in the study and all results; return the number of cases."""
    cases = [case for case in study.cases() if not study.case(case).unreadable_reason(study.scheme)]
    for case in cases:
        confirm_template(study, case, "anna")
        for grade, rater in enumerate(study.config.raters):
            with study.open_reading(rater, case) as session:
                reading = session.reading
                while field := find_next_open_field(reading):
                    reading = enter(reading, field, GradeEntry(grade))
                session.save(sign(reading, timestamp=datetime.now(UTC)))
    return len(cases)


@pytest.fixture
def extras() -> None:
    """Skip the test if packages for some exports are missing, because their output could not be searched."""
    for name in ("highdicom", "pyarrow", "matplotlib"):
        pytest.importorskip(name, reason="pip install 'ratui[results]'")


@pytest.mark.usefixtures("extras")
def test_no_trace_in_study_exports_or_terminal(tmp_path: Path, run_ratui: RunRatui) -> None:
    hospital = tmp_path / "hospital"
    for number, (patient, day) in enumerate((p, d) for p in (PATIENT, f"{SECRET}-78") for d in DAYS):
        planted(hospital, day, number, patient=patient)
    planted(hospital, DAYS[1], 5, bad=True)
    with_comment(planted(tmp_path / "aside", DAYS[0], 6, side="R"), hospital)
    (hospital / f"{SECRET}.dcm").write_text(f"a letter about {SECRET}")
    png(hospital / f"{SECRET}.png")
    manifest = tmp_path / "hospital" / "films.csv"
    manifest.write_text(f"file,patient,time,side\n{SECRET}.png,{SECRET}-88,0,L\n")
    study, key, out = tmp_path / "study", tmp_path / "keys" / "key.json", tmp_path / "out"
    printed = run_ratui("new", study, "--rater", "anna", "--rater", "bert", "--scheme", "fingers")
    first = run_ratui("import", study, hospital, "--no-propose", "--key", key)
    second = run_ratui("import", study, "--manifest", manifest, "--no-propose", "--key", key)
    assert b"5 films of 2 cases imported, 4 files refused" in first
    assert b"1 film of 1 case imported" in second  # the PNG file
    assert read_and_sign(Study.open(study)) == 3
    add_display_tests(Study.open(study), "anna", [TEST])
    out.mkdir()
    for command in OVER_A_STUDY:
        printed += run_ratui(*(each.format(study=study, out=out) for each in command))
    printed += first + second
    assert traces(printed.replace(str(tmp_path).encode(), b"")) == []
    assert list(out.rglob("display_tests.csv"))
    assert list(out.rglob("display_trials.csv"))
    for folder in (study, out):
        assert list(folder.rglob("*"))
        assert traces(everything(folder)) == []
    assert SECRET in key.read_text()  # otherwise the search would prove nothing
    lists = list(key.parent.glob("*.csv"))
    assert any(SECRET in each.read_text() for each in lists)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (key, *lists))


@pytest.mark.usefixtures("extras")
def test_no_command_reveals_an_unsigned_reading(tmp_path: Path, run_ratui: RunRatui) -> None:
    """Run the commands of managers and other raters while Anna reads: only her progress may be visible."""
    study = make_study(tmp_path)
    case, out = study.cases()[0], tmp_path / "out"
    with study.open_reading("anna", case) as session:
        reading = enter(session.reading, Field("L.MCP2", "ERO", 0), GradeEntry(3))
        reading = enter(reading, Field("R.PIP3", "ERO", 1), NotAssessableEntry("replaced"))
        session.save(set_note(toggle_flag(reading, "L.MCP4"), "L.MCP2", "a doubtful margin"))
    out.mkdir()
    output = b""
    for command in OVER_A_STUDY:
        output += run_ratui(*(each.format(study=study.path, out=out) for each in command), code=None)
        if command[0] == "backup":
            (out / "backup.zip").rename(tmp_path / "backup.zip")  # contains everything; only its owner can read it
            break
    output += everything(out)
    assert b"anna" in output  # the names of raters are no secret
    for secret in (b"doubtful", b"L.MCP2", b"R.PIP3", b"L.MCP4", b"replaced"):
        assert secret not in output, secret


@pytest.mark.parametrize(
    "row",
    [
        f"../{SECRET}.png,P,0,L",
        f"{SECRET}.png,P,8,L",
        f"{SECRET}.png,P,0,{SECRET}",
        f"{SECRET}.png,P,0,L\n{SECRET}.png,P,1,L",
        f'{SECRET}.png,"{SECRET},0,L',
    ],
)
def test_a_wrong_manifest_names_its_line_and_nobody(
    tmp_path: Path, row: str, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    Study.create(tmp_path / "study", "fingers", ["anna"])
    (tmp_path / "films.csv").write_text(f"file,patient,time,side\n{row}\n")
    arguments = ("import", tmp_path / "study", "--manifest", tmp_path / "films.csv", "--key", tmp_path / "k")
    monkeypatch.setattr(sys, "argv", ["ratui", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    printed = b"".join(capfdbinary.readouterr())
    assert b"ratui: " in printed
    assert traces(printed.replace(str(tmp_path).encode(), b"")) == []


def _process(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "ratui", *map(str, arguments)], capture_output=True, env={**os.environ, **environment}
    )


def test_a_fault_of_the_program_names_nobody(tmp_path: Path) -> None:
    """Raise an error whose text is the patient's name during an import."""
    planted(tmp_path / "h", DAYS[0], 1)
    Study.create(tmp_path / "study", "fingers", ["anna"])
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import ratui.study.importing.persons.pseudonyms as p\n"
        "def fail(self, patient):\n    raise KeyError(f'no such patient: {patient}')\n"
        "p.KeyFile.assign_case = fail\n"
    )
    path = os.pathsep.join([str(tmp_path / "site"), str(Path.cwd())])
    state = str(tmp_path / "state")
    done = _process(
        "import", tmp_path / "study", tmp_path / "h", "--key", tmp_path / "k", PYTHONPATH=path, XDG_STATE_HOME=state
    )
    assert done.returncode == 70
    assert b"saved entries are safe" in done.stderr
    (log,) = (tmp_path / "state").rglob("ratui.log")
    assert b"KeyError" in log.read_bytes()
    assert b"importer.py" in log.read_bytes()
    assert traces(done.stdout + done.stderr + log.read_bytes()) == []


class TestWhatStays:
    def take(self, tmp_path: Path, source: Path) -> pydicom.Dataset:
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        import_films(study, [source], key=tmp_path / "key.json", converter=InProcessConverter())
        (path,) = study.path.rglob("*.dcm")
        return pydicom.dcmread(path)

    def test_the_greys(self, tmp_path: Path) -> None:
        source = planted(tmp_path / "h", DAYS[0], 1)
        before = read_film(source)
        self.take(tmp_path, source)
        after = read_film(next((tmp_path / "study").rglob("*.dcm")))
        assert np.array_equal(before.pixels, after.pixels)
        table, window = after.contrasts
        assert isinstance(table, LookupTable)
        assert table.name == ""
        assert isinstance(before.contrasts[0], LookupTable)
        assert np.array_equal(table.values, before.contrasts[0].values)
        assert window == Window(1800, 3000)
        assert after.spacing == before.spacing

    def test_only_allowed_elements(self, tmp_path: Path) -> None:
        new = self.take(tmp_path, planted(tmp_path / "h", DAYS[0], 1))
        assert not any(element.tag.is_private for element in new.iterall())
        assert not any(element.tag.group in (0x6000, 0x0029) for element in new)
        assert new.PatientIdentityRemoved == "YES"
        assert new.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
        assert new.preamble == b"\0" * 128
        words = {e.keyword for e in new if e.VR in TEXT and e.value not in ("", None)}
        assert words == {
            "Modality",
            "PatientName",
            "PatientID",
            "PatientIdentityRemoved",
            "DeidentificationMethod",
            "Laterality",
            "LongitudinalTemporalInformationModified",
            "PhotometricInterpretation",
            "RescaleType",
            "VOILUTFunction",
            "LossyImageCompression",
        }
        assert all(dictionary_VR(tag_for_keyword(word)) in TEXT for word in words)  # type: ignore[arg-type]

    def test_uids_are_replaced_consistently(self, tmp_path: Path) -> None:
        folder = tmp_path / "h"
        planted(folder, DAYS[0], 1)
        planted(folder, DAYS[1], 2)
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        import_films(study, [folder], key=tmp_path / "key.json", converter=InProcessConverter())
        one, two = (pydicom.dcmread(path) for path in sorted(study.path.rglob("*.dcm")))
        assert one.StudyInstanceUID == two.StudyInstanceUID  # both films had the same UID
        assert one.SOPInstanceUID != two.SOPInstanceUID
        key = KeyFile.open(study, tmp_path / "key.json").uid_key
        assert one.StudyInstanceUID == make_uid(key, "StudyInstanceUID", study.cases()[0], f"{UID}.0")
        assert make_uid(b"another key", "StudyInstanceUID", study.cases()[0], f"{UID}.0") != one.StudyInstanceUID
        assert len(one.StudyInstanceUID) <= 64


class TestPseudonyms:
    def test_nobody_without_the_key_can_compute_them(self, tmp_path: Path) -> None:
        ids = set()
        for number in range(3):
            study = Study.create(tmp_path / f"s{number}", "fingers", ["anna"])
            ids.add(KeyFile.open(study, tmp_path / f"k{number}").assign_case("P1"))
        assert len(ids) == 3

    def test_a_changed_letter_in_the_key_is_reported_and_repaired(self, tmp_path: Path) -> None:
        study = Study.create(tmp_path / "s", "fingers", ["anna"])
        keys = KeyFile.open(study, tmp_path / "k" / "key.json")
        case = keys.assign_case("P1")
        keys.save(study)
        text = keys.path.read_text()
        keys.path.write_text(text.replace('"P1"', '"P2"'))
        again = KeyFile.open(study, keys.path)
        assert "second copy" in again.notice
        assert again.find_case("P1") == case

    def test_a_key_file_of_format_1_is_read(self, tmp_path: Path) -> None:
        import json

        study = Study.create(tmp_path / "s", "fingers", ["anna"])
        old = {"study": study.config.id, "salt": "ab" * 32, "cases": {"P1": "C-OLD"}}
        (tmp_path / "key.json").write_text(json.dumps(old))
        assert KeyFile.open(study, tmp_path / "key.json").assign_case("P1") == "C-OLD"


class TestBurnedIn:
    def film(self) -> "np.ndarray[Any, np.dtype[np.uint16]]":
        rng = np.random.default_rng(1)
        y, x = np.mgrid[0:600, 0:500]
        smooth = 1500 + 900 * np.sin(x / 60) * np.cos(y / 80)
        return np.clip(smooth + rng.normal(0, 40, (600, 500)), 0, 4000).astype(np.uint16)

    def write(self, pixels: "np.ndarray[Any, np.dtype[np.uint16]]", text: str, level: int) -> None:
        from PIL import ImageDraw, ImageFont

        mask = Image.new("L", (pixels.shape[1], pixels.shape[0]))
        ImageDraw.Draw(mask).text((20, 30), text, fill=255, font=ImageFont.load_default(24))
        pixels[np.asarray(mask) > 128] = level

    @pytest.mark.parametrize("level", [4095, 0])
    def test_a_burned_in_name_is_detected(self, level: int) -> None:
        pixels = self.film() + np.uint16(50)
        self.write(pixels, "MUSTERFRAU ERIKA", level)
        assert seems_to_contain_text(pixels)

    @pytest.mark.parametrize("text", ["", "L", "R 12"])
    def test_a_film_or_a_marker_is_no_name(self, text: str) -> None:
        pixels = self.film()
        self.write(pixels, text, 4095)
        assert not seems_to_contain_text(pixels)

    def test_the_import_warns(self, tmp_path: Path) -> None:
        film_file(tmp_path / "h" / "a.dcm", BurnedInAnnotation="YES")
        study = Study.create(tmp_path / "study", "fingers", ["anna"])
        report = import_films(study, [tmp_path / "h"], key=tmp_path / "key.json", converter=InProcessConverter())
        assert "burned into the picture" in report.imported[0].note
        (case,) = study.cases()
        assert study.case(case).films[0].note == report.imported[0].note
