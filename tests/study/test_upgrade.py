"""A blinded study of format 2, kept from the version that wrote it, is read, continued and converted to format 3."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ratui.errors import StoreError
from ratui.files import second_copy_path
from ratui.reading import GradeEntry, Reading, enter, find_next_open_field
from ratui.study import Study
from ratui.study.check import check_study
from ratui.study.check.access import close_to_others
from ratui.study.model_results.predictions import load_predictions, load_unblinded_predictions
from ratui.study.store import StudyFolder, read_intact

HERE = Path(__file__).parent
KEPT = HERE / "format2_blinded"
EXPECTED: dict[str, dict[str, Any]] = json.loads((KEPT / "expected.json").read_text())
"""Values that the version that wrote the study read from it."""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    copy_kept(tmp_path / "study")
    return Study.open(tmp_path / "study")


def copy_kept(folder: Path) -> None:
    """Copy the study, with the second copies, which are not kept."""
    shutil.copytree(KEPT, folder, ignore=shutil.ignore_patterns("expected.json"))
    for file in [*folder.rglob("*.json"), *folder.rglob("*.toml")]:
        shutil.copyfile(file, second_copy_path(file))
    close_to_others(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def values_of(reading: Reading | None) -> list[list[object]]:
    assert reading is not None
    return sorted(
        [field.site, field.scale, field.time, value.grade]
        for field, value in reading.values.items()
        if isinstance(value, GradeEntry)
    )


def check_readings(study: Study) -> None:
    """Compare all readings and films with what the version that wrote them read."""
    for key, wanted in EXPECTED.items():
        rater, case = key.split("/")
        reading = study.reading(rater, case)
        assert reading is not None
        assert list(reading.order) == wanted["order"], key
        assert values_of(reading) == wanted["values"], key
        assert (bool(reading.signed_at), len(reading.log)) == (wanted["signed"], wanted["log"])
        assert {film.id: [film.time, film.day] for film in study.case(case).films} == wanted["films"]
        assert study.order(rater, case) == reading.order
        (first, _), (second, _) = load_predictions(study, case)[0].grades, load_predictions(study, case)[1].grades
        assert (first, second) == (1, 0), "the earlier grades"
    assert not study.notices


def shown(study: Study) -> dict[str, tuple[object, ...]]:
    """Return what each rater sees: answers by position, and the film at each position."""
    result: dict[str, tuple[object, ...]] = {}
    for key in EXPECTED:
        rater, case = key.split("/")
        seen = study.as_rater(rater)
        reading = seen.reading(rater, case)
        films = {film.id: film.time for film in seen.case(case).films}
        result[key] = (values_of(reading), films, load_unblinded_predictions(seen, rater, case))
    return result


class TestWithoutConversion:
    def test_it_is_read_as_before_and_no_file_changes(self, study: Study) -> None:
        before = contents(study.path)
        check_readings(study)
        shown(study)
        after = contents(study.path)
        assert {name: after.get(name) for name in before} == before

    def test_a_rater_continues(self, study: Study) -> None:
        key = next(key for key, wanted in EXPECTED.items() if not wanted["signed"])
        rater, case = key.split("/")
        seen = study.as_rater(rater)
        with seen.open_reading(rater, case) as session:
            field = find_next_open_field(session.reading)
            assert field is not None
            session.save(enter(session.reading, field, GradeEntry(1)))
        reading = Study.open(study.path).reading(rater, case)
        time = EXPECTED[key]["order"][field.time]
        assert values_of(reading) == sorted([*EXPECTED[key]["values"], [field.site, field.scale, time, 1]])
        stored = read_intact(study.reading_path(rater, case))
        assert stored is not None
        assert stored.tables["meta"][0]["format"] == 4
        assert Study.open(study.path).config.stored_format == 2

    def test_another_film_can_be_added(self, study: Study) -> None:
        case = study.case(study.cases()[0])
        positions = study.positions(case.id)
        study.save_case(replace(case, films=(*case.films, replace(case.films[0], id="another", side="R"))))
        assert [[name for name in at if name != "another"] for at in study.positions(case.id)["anna"]] == [
            list(at) for at in positions["anna"]
        ]
        assert not (study.path / "private").exists()


class TestConversion:
    def test_check_reports_it_and_repair_converts_it(self, study: Study) -> None:
        before = shown(study)
        report = check_study(study.path)
        (fault,) = report.faults
        assert fault.problem == "raters can read the order of the visits (format 2)"
        report = check_study(study.path, repair=True)
        assert not report.unrepaired
        converted = Study.open(study.path)
        assert (converted.config.stored_format, converted.config.secret) == (3, "")
        check_readings(converted)
        assert shown(converted) == before
        assert check_study(study.path).is_intact
        assert not [note for note in check_study(study.path).notes if "earlier format" in note]

    def test_no_file_of_raters_states_the_order_any_more(self, study: Study) -> None:
        secret = study.config.secret
        assert secret
        check_study(study.path, repair=True)
        for path in study.path.rglob("*"):
            if not path.is_file() or "private" in path.parts:
                continue
            data = path.read_bytes()
            assert secret.encode() not in data, path
            assert b'"day"' not in data, path
            assert b'"order"' not in data, path
            assert path.parts[-3] != "films" or path.suffix != ".json" or b'"time"' not in data, path
        for case in study.cases():
            names = [each.film for each in Study.open(study.path).regions(case)]
            assert names == sorted(names)
            times = {path.stat().st_mtime_ns for path in (study.path / "films" / case).glob("*.dcm")}
            assert len(times) == 1

    @pytest.mark.parametrize("step", range(0, 40, 3))
    def test_it_can_be_interrupted_at_every_write(
        self, study: Study, step: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = shown(study)
        write, left = StudyFolder.write, [step]

        def fail_later(self: StudyFolder, inside: str, data: bytes, **options: Any) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise StoreError("the disk is full", inside)
            write(self, inside, data, **options)

        with monkeypatch.context() as patch:
            patch.setattr(StudyFolder, "write", fail_later)
            report = check_study(study.path, repair=True)
        if left[0] >= 0:
            assert not report.unrepaired
            return
        check_readings(Study.open(study.path))
        assert shown(Study.open(study.path)) == before
        check_study(study.path, repair=True)
        assert Study.open(study.path).config.stored_format == 3
        check_readings(Study.open(study.path))
        assert shown(Study.open(study.path)) == before
        assert check_study(study.path).is_intact

    def test_what_a_reading_shows_counts_more_than_the_secret(self, study: Study) -> None:
        """Exchange the secret: raters of readings that are begun go on with the order in which they began."""
        from ratui.study.config_files import write_settings

        write_settings(study.folder, replace(study.config, secret="another"))
        before = {key: value[0] for key, value in shown(Study.open(study.path)).items()}
        assert before == {key: value[0] for key, value in shown(study).items()}
        check_study(study.path, repair=True)
        converted = Study.open(study.path)
        for key, wanted in EXPECTED.items():
            rater, case = key.split("/")
            assert list(converted.order(rater, case)) == wanted["order"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as other accounts")
class TestAccounts:
    OWNER, ANNA, BERT, GROUP = 20_000, 20_001, 20_002, 1

    @pytest.fixture
    def shared(self) -> Iterator[Path]:
        """Yield the study with an owner and two raters, each with an account of their own."""
        from ratui.study.config_files import write_settings

        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            path = Path(folder) / "study"
            copy_kept(path)
            study = Study.open(path)
            write_settings(study.folder, replace(study.config, group="daemon"))
            close_to_others(path, "daemon")
            for each in (path, *path.rglob("*")):
                parts = each.relative_to(path).parts
                rater = parts[1] if len(parts) > 1 and parts[0] == "readings" else ""
                os.chown(each, {"anna": self.ANNA, "bert": self.BERT}.get(rater, self.OWNER), self.GROUP)
            close_to_others(path, "daemon")
            yield path

    def check_as(self, uid: int, path: Path, *, repair: bool) -> str:
        script = (
            "import os, sys\nfrom pathlib import Path\nfrom ratui.study.check import check_study\n"
            f"os.setgroups([{self.GROUP}]); os.setgid({self.GROUP}); os.setuid({uid})\n"
            f"report = check_study(Path(sys.argv[1]), repair={repair})\n"
            "print(*(f'{f.problem} {f.repaired} {f.advice}' for f in report.faults), *report.notes, sep='\\n')\n"
        )
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "XDG_CACHE_HOME": "/nonexistent"}
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def test_a_rater_can_not_convert_it(self, shared: Path) -> None:
        before = contents(shared)
        found = self.check_as(self.ANNA, shared, repair=True)
        assert "only the study's owner can convert it" in found
        after = contents(shared)
        assert {name: after.get(name) for name in before} == before

    def test_the_owner_converts_all_but_the_readings_of_others_and_root_these(self, shared: Path) -> None:
        before = shown(Study.open(shared))
        found = self.check_as(self.OWNER, shared, repair=True)
        assert "True" in found
        assert f"{len(EXPECTED)} readings of other accounts" in found
        assert Study.open(shared).config.stored_format == 3
        assert shown(Study.open(shared)) == before
        assert (shared / "private").stat().st_mode & 0o777 == 0o700
        assert (shared / "private").stat().st_uid == self.OWNER
        assert f"{len(EXPECTED)} readings of other accounts" in self.check_as(self.OWNER, shared, repair=False)
        check_study(shared, repair=True)
        assert "earlier format" not in self.check_as(self.OWNER, shared, repair=False)
        assert shown(Study.open(shared)) == before
        for rater, uid in (("anna", self.ANNA), ("bert", self.BERT)):
            assert {path.stat().st_uid for path in (shared / "readings" / rater).iterdir()} == {uid}
        assert check_study(shared).is_intact
