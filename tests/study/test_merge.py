"""Merge of a copy of a study from another site, which speaks only for the raters it is named for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ratui import files as disk
from ratui.errors import StudyError
from ratui.imaging import Box
from ratui.reading import GradeEntry, enter, find_next_open_field, reopen, sign
from ratui.study import InProcessConverter, Region, RegionSource, Study, import_films
from ratui.study.check import check_study
from ratui.study.config import reseal_settings
from ratui.study.merge import MergeResult, merge
from ratui.study.store import open_seal, seal
from tests.films import confirm_template, hospital, make_study
from tests.study.test_moving import read_on

ROOT = os.geteuid() == 0
EVIL = "\x1b]0;x\x07\x1b[2J\u202e"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make_study(tmp_path, patients=2)


def elsewhere(study: Study, tmp_path: Path, name: str = "site") -> Study:
    shutil.copytree(study.path, tmp_path / name)
    return Study.open(tmp_path / name)


def outcomes(done: list[MergeResult]) -> list[tuple[str, str]]:
    return [(item.outcome, item.item.split()[0]) for item in done]


def files(study: Study) -> dict[str, bytes]:
    """Return every file of a study without locks and indices."""
    found = (path for path in study.path.rglob("*") if path.is_file())
    return {
        str(path.relative_to(study.path)): path.read_bytes()
        for path in found
        if not path.name.endswith(".lock") and not path.name.startswith(".")
    }


def sign_all(study: Study, rater: str) -> None:
    with study.open_reading(rater, study.cases()[0]) as session:
        reading = session.reading
        while field := find_next_open_field(reading):
            reading = enter(reading, field, GradeEntry(0))
        session.save(sign(reading, timestamp=datetime.now(UTC)))


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the tables of a sealed file, seal it again, and write both copies."""
    sealed = open_seal(path.read_bytes())
    change(sealed.tables)
    data = seal(sealed.tables, sealed.sealed_as)
    for each in (path, disk.second_copy_path(path)):
        each.write_bytes(data)


class TestReadings:
    def test_readings_of_all_sites_are_merged(self, study: Study, tmp_path: Path) -> None:
        one, two = elsewhere(study, tmp_path, "one"), elsewhere(study, tmp_path, "two")
        read_on(one, "anna")
        read_on(two, "bert", 5)
        assert outcomes(merge(study, one.path, ["anna"])) == [("added", "reading")]
        assert outcomes(merge(study, two.path, ["bert"])) == [("added", "reading")]
        case = study.cases()[0]
        assert study.reading("anna", case) == one.reading("anna", case)
        assert study.reading("bert", case) == two.reading("bert", case)
        assert check_study(study.path).is_intact
        assert merge(study, one.path, ["anna"]) == []

    @pytest.mark.parametrize("blinded", [False, True])
    def test_a_reading_that_went_on_elsewhere_is_continued(self, tmp_path: Path, blinded: bool) -> None:
        study = make_study(tmp_path, blinded=blinded)
        read_on(study, "anna")
        site = elsewhere(study, tmp_path)
        read_on(site, "anna", 2)
        (item,) = merge(study, site.path, ["anna"])
        assert (item.outcome, item.reason) == ("continued", "2 entries more")
        case = study.cases()[0]
        assert study.reading("anna", case) == site.reading("anna", case)
        with study.open_reading("anna", case) as session:
            assert len(session.reading.log) == 5

    def test_a_reading_that_continued_here_stays(self, study: Study, tmp_path: Path) -> None:
        read_on(study, "anna")
        site = elsewhere(study, tmp_path)
        read_on(study, "anna", 2)
        assert merge(study, site.path, ["anna"]) == []

    def test_a_reading_that_continued_in_both_places_is_a_conflict(self, study: Study, tmp_path: Path) -> None:
        read_on(study, "anna", 3)
        site = elsewhere(study, tmp_path)
        read_on(study, "anna", 1, grade=1)
        read_on(site, "anna", 4, grade=2)
        before = files(study)
        (item,) = merge(study, site.path, ["anna"])
        assert item.outcome == "conflict"
        assert "after entry 3" in item.reason
        assert files(study) == before

    def test_a_reading_signed_here_is_neither_reopened_nor_changed(self, study: Study, tmp_path: Path) -> None:
        sign_all(study, "anna")
        site = elsewhere(study, tmp_path)
        with site.open_reading("anna", site.cases()[0]) as session:
            session.save(reopen(session.reading, "wrong hand", timestamp=datetime.now(UTC)))
        before = files(study)
        (item,) = merge(study, site.path, ["anna"])
        assert (item.outcome, "signed here" in item.reason) == ("conflict", True)
        assert files(study) == before

    def test_a_reading_signed_elsewhere_is_taken_over_once(self, study: Study, tmp_path: Path) -> None:
        read_on(study, "anna")
        site = elsewhere(study, tmp_path)
        sign_all(site, "anna")
        assert outcomes(merge(study, site.path, ["anna"])) == [("continued", "reading")]
        reading = study.reading("anna", study.cases()[0])
        assert reading is not None
        assert reading.signed_at
        assert merge(study, site.path, ["anna"]) == []

    def test_an_open_reading_is_not_changed(self, study: Study, tmp_path: Path) -> None:
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        with study.open_reading("anna", study.cases()[0]):
            (item,) = merge(study, site.path, ["anna"])
        assert (item.outcome, "open" in item.reason) == ("conflict", True)
        assert study.reading("anna", study.cases()[0]) is None

    def test_a_dry_run_writes_nothing(self, study: Study, tmp_path: Path) -> None:
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        before = files(study)
        assert outcomes(merge(study, site.path, ["anna"], dry_run=True)) == [("added", "reading")]
        assert files(study) == before

    def test_damage_in_the_other_study_is_a_conflict(self, study: Study, tmp_path: Path) -> None:
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        read_on(site, "bert")
        path = site.reading_path("anna", site.cases()[0])
        for each in (path, disk.second_copy_path(path)):
            each.write_bytes(each.read_bytes()[:-5])
        done = merge(study, site.path, ["anna", "bert"])
        assert outcomes(done) == [("conflict", "reading"), ("added", "reading")]

    def test_an_intact_second_copy_is_read(self, study: Study, tmp_path: Path) -> None:
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        site.reading_path("anna", site.cases()[0]).unlink()
        assert outcomes(merge(study, site.path, ["anna"])) == [("added", "reading")]


class TestNamedRaters:
    def test_readings_of_others_are_not_taken_over(self, study: Study, tmp_path: Path) -> None:
        read_on(study, "bert")
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        read_on(site, "bert", 2)
        before = study.reading("bert", study.cases()[0])
        assert outcomes(merge(study, site.path, ["anna"])) == [("added", "reading"), ("skipped", "readings")]
        assert study.reading("bert", study.cases()[0]) == before

    def test_no_raters_and_settings_are_taken_over(self, study: Study, tmp_path: Path) -> None:
        site = elsewhere(study, tmp_path)
        text = (site.path / "study.toml").read_text().replace('["anna", "bert"]', '["anna", "bert", "cleo"]')
        (site.path / "study.toml").write_text(text)
        reseal_settings(site.path)
        site = Study.open(site.path)
        read_on(site, "cleo")
        before = files(study)
        assert outcomes(merge(study, site.path, ["anna"])) == [("skipped", "readings")]
        with pytest.raises(StudyError, match="cleo is not a rater"):
            merge(study, site.path, ["cleo"])
        assert files(study) == before

    def test_another_study_is_refused(self, study: Study, tmp_path: Path) -> None:
        other = Study.create(tmp_path / "other", "fingers", ["anna"])
        with pytest.raises(StudyError, match="another study"):
            merge(study, other.path, ["anna"])
        with pytest.raises(StudyError, match="the study itself"):
            merge(study, study.path, ["anna"])
        site = elsewhere(study, tmp_path)
        text = (site.path / "study.toml").read_text().replace("blinded = false", "blinded = true")
        (site.path / "study.toml").write_text(text)
        reseal_settings(site.path)
        with pytest.raises(StudyError, match="blinded"):
            merge(study, site.path, ["anna"])

    def test_models_and_their_proposals_are_not_taken_over(self, study: Study, tmp_path: Path) -> None:
        first, second = study.cases()
        film = study.case(first).films[0].id
        study.save_proposals("detector", first, [])
        site = elsewhere(study, tmp_path)
        box = Box(1.0, 1.0, 5.0, 5.0)
        for case in (first, second):
            region = Region("L.MCP2", film, box, RegionSource.MODEL, model="detector")
            site.save_proposals("detector", case, [region])
        before = files(study)
        assert merge(study, site.path, ["anna"]) == []
        assert files(study) == before


class TestRegions:
    def test_regions_of_named_raters_are_added(self, study: Study, tmp_path: Path) -> None:
        first, second = study.cases()
        for file in (study.path / "regions").glob("*"):
            file.unlink()
        site = elsewhere(study, tmp_path)
        confirm_template(site, first, "anna")
        confirm_template(site, second, "bert")
        assert outcomes(merge(study, site.path, ["anna"])) == [("added", "regions")] * 4
        assert sorted(study.regions(first), key=str) == sorted(site.regions(first), key=str)
        assert study.regions(second) == ()

    def test_boxes_confirmed_here_stay(self, study: Study, tmp_path: Path) -> None:
        site = elsewhere(study, tmp_path)
        case = study.cases()[0]
        first, second, *rest = site.regions(case)
        assert first.film == second.film
        site.save_regions(case, [replace(first, box=Box(1.0, 1.0, 5.0, 5.0)), replace(second, box=None), *rest])
        before = files(study)
        (item,) = merge(study, site.path, ["anna"])
        assert (item.outcome, item.reason) == ("conflict", "2 boxes differ; those here stay")
        assert files(study) == before

    def test_boxes_that_two_raters_confirmed_alike_are_no_conflict(self, study: Study, tmp_path: Path) -> None:
        site = elsewhere(study, tmp_path)
        case = study.cases()[0]
        site.save_regions(
            case,
            [replace(region, confirmed_by="bert", source=RegionSource.REGISTERED) for region in site.regions(case)],
        )
        assert merge(study, site.path, ["anna", "bert"]) == []

    def test_a_box_that_is_not_confirmed_here_is_confirmed_but_not_moved(self, study: Study, tmp_path: Path) -> None:
        site = elsewhere(study, tmp_path)
        case = study.cases()[0]
        first, second, *rest = study.regions(case)
        study.save_regions(case, [replace(first, confirmed_by=""), replace(second, confirmed_by=""), *rest])
        site.save_regions(case, [first, replace(second, box=Box(1.0, 1.0, 5.0, 5.0)), *rest])
        assert outcomes(merge(study, site.path, ["anna"])) == [("added", "regions"), ("conflict", "regions")]
        now = {(region.site, region.film): region for region in study.regions(case)}
        assert now[first.site, first.film] == first
        assert now[second.site, second.film] == replace(second, confirmed_by="")

    @pytest.mark.parametrize(
        "values",
        [
            {"box": [0.0, 0.0, 1e300, 5.0]},
            {"box": [5000.0, 0.0, 5001.0, 5.0]},
            {"box": [1.0, 2.0, 3.0]},
            {"box": "box"},
            {"confidence": "high"},
            {"confidence": 7},
            {"source": EVIL},
            {"source": "a model of another kind"},
            {"site": {}},
            {"by": ["anna"]},
        ],
        ids=str,
    )
    def test_an_impossible_region_is_a_conflict(self, study: Study, tmp_path: Path, values: dict[str, Any]) -> None:
        case = study.cases()[0]
        site = elsewhere(study, tmp_path)
        (study.path / "regions" / f"{case}.json").unlink()
        (study.path / "regions" / f"{case}.json.bak").unlink()
        rewrite(site.path / "regions" / f"{case}.json", lambda tables: tables["regions"]["1"].update(values))
        before = files(study)
        done = merge(study, site.path, ["anna"])
        if values == {"by": ["anna"]} or values == {"site": {}}:
            # Such a region is nobody's; the others are taken over.
            assert {item.outcome for item in done} == {"added"}
            assert len(study.regions(case)) == len(site.regions(study.cases()[1])) - 1
            return
        assert outcomes(done) == [("conflict", "regions")]
        assert files(study) == before


def _log(tables: dict[str, Any]) -> dict[str, Any]:
    return tables["log"]["1"]  # type: ignore[no-any-return]


HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    "another rater": lambda t: t["meta"]["1"].update(rater="bert"),
    "another case": lambda t: t["meta"]["1"].update(case="C-1"),
    "another scheme": lambda t: t["meta"]["1"].update(scheme="mtss"),
    "fewer joints": lambda t: t["meta"]["1"].update(sites=t["meta"]["1"]["sites"][:3]),
    "no joint": lambda t: t["meta"]["1"].update(sites=[]),
    "unknown films": lambda t: t["meta"]["1"].update(positions=[["x"], ["y"]]),
    "films exchanged": lambda t: t["meta"]["1"].update(positions=t["meta"]["1"]["positions"][::-1]),
    "another blinding": lambda t: t["meta"]["1"].update(blinded=True),
    "signed but open": lambda t: t["meta"]["1"].update(signed="2026-01-01T00:00:00.000+00:00"),
    "escape sequence in a note": lambda t: t["meta"]["1"].update(notes={"L.MCP2": EVIL}),
    "escape sequence as a key": lambda t: _log(t).update(key=EVIL),
    "escape sequence in a value": lambda t: t["meta"]["1"].update({EVIL: 1}),
    "a display of another kind": lambda t: t["meta"]["1"].update(displays=[{"protocol": 1}]),
    "an impossible display": lambda t: t["meta"]["1"].update(
        displays=[{"protocol": "kitty", "entries": 1, "below": 2, "least": 1.0}]
    ),
    "seconds are text": lambda t: t["meta"]["1"].update(seconds="12"),
    "seconds are negative": lambda t: t["meta"]["1"].update(seconds=-5.0),
    "seconds are huge": lambda t: t["meta"]["1"].update(seconds=1e300),
    "a time without a zone": lambda t: _log(t).update(at="2026-01-01T00:00:00.000"),
    "an unknown command": lambda t: _log(t).update(kind="erase"),
    "another log": lambda t: _log(t).update(number=2),
    "another grade": lambda t: t["fields"]["1"].update(grade=4),
    "a grade that does not exist": lambda t: t["fields"]["1"].update(grade=400),
    "a newer format": lambda t: t["meta"]["1"].update(format=99),
    "a format of another kind": lambda t: t["meta"]["1"].update(format=[1]),
    "more values": lambda t: t["meta"]["1"].update(more="x"),
    "a table more": lambda t: t.update(more={"1": {"a": "x"}}),
    "no meta": lambda t: t.update(meta={}),
    "two metas": lambda t: t["meta"].update({"2": t["meta"]["1"]}),
    "lists as tables": lambda t: t["meta"]["1"].update(notes=[]),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_forged_reading_with_a_valid_seal_is_a_conflict(
    study: Study, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    site = elsewhere(study, tmp_path)
    read_on(site, "anna")
    rewrite(site.reading_path("anna", site.cases()[0]), change)
    before = files(study)
    assert outcomes(merge(study, site.path, ["anna"])) == [("conflict", "reading")]
    assert files(study) == before


class TestForeignFiles:
    """Let the other copy contain what no study contains. Nothing hangs, and nothing outside of it is read."""

    def replaced(self, path: Path) -> Path:
        """Remove both copies of a file and return its path."""
        for each in (path, disk.second_copy_path(path)):
            each.unlink(missing_ok=True)
        return path

    @pytest.mark.parametrize("kind", ["link", "fifo", "sparse", "folder", "deep", "numbers", "nan"])
    @pytest.mark.parametrize("which", ["reading", "regions"])
    def test_a_file_of_another_kind_is_a_conflict(self, study: Study, tmp_path: Path, kind: str, which: str) -> None:
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        case = site.cases()[0]
        path = site.reading_path("anna", case) if which == "reading" else site.path / "regions" / f"{case}.json"
        intact = path.read_bytes()
        self.replaced(path)
        if kind == "link":
            (tmp_path / "outside.json").write_bytes(intact)
            path.symlink_to(tmp_path / "outside.json")
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "sparse":
            with path.open("wb") as file:
                file.truncate(1 << 40)
        elif kind == "folder":
            path.mkdir()
        elif kind == "deep":
            path.write_bytes(b"[" * 1_000_000)
        elif kind == "numbers":
            path.write_bytes(b'{"log": ' + b"9" * 10_000 + b"}")
        else:
            path.write_bytes(_sealed_text(b'{"meta":{"1":{"seconds":NaN,"sum":"0"}}', path))
        before = files(study)
        begun = time.monotonic()
        done = merge(study, site.path, ["anna"])
        assert time.monotonic() - begun < 10
        if which == "reading":
            assert outcomes(done) == [("conflict", "reading")]
            assert files(study) == before
        else:
            assert outcomes(done) == [("conflict", "regions"), ("added", "reading")]
            assert study.regions(case) == Study.open(study.path).regions(case) != ()

    @pytest.mark.parametrize("folder", ["readings", "readings/anna", "regions"])
    def test_a_folder_that_is_a_link_is_not_entered(self, study: Study, tmp_path: Path, folder: str) -> None:
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        (site.path / folder).rename(tmp_path / "outside")
        (site.path / folder).symlink_to(tmp_path / "outside")
        before = files(study)
        done = merge(study, site.path, ["anna"])
        assert "added" not in {item.outcome for item in done if item.item.split()[0] == folder.split("/")[0]}
        if folder != "regions":
            assert files(study) == before

    def test_odd_names_are_counted_and_printed_safely(self, study: Study, tmp_path: Path) -> None:
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        (site.path / "readings" / f"x{EVIL}").mkdir()
        for number in range(300):
            (site.path / "readings" / "anna" / f"{EVIL}{number}.json").write_bytes(b"{}")
        (site.path / "readings" / "anna" / "-.json").write_bytes(b"{}")
        done = merge(study, site.path, ["anna"])
        assert outcomes(done) == [("added", "reading"), ("conflict", "readings"), ("skipped", "readings")]
        assert "and 296 more" in done[1].reason
        assert all((item.item + item.reason).isprintable() for item in done)

    def test_too_many_files_are_not_listed(self, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from ratui.study import foreign_copy

        monkeypatch.setattr(foreign_copy, "_MOST_FILES", 50)
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        for number in range(60):
            (site.path / "readings" / "anna" / f"{number}.json").write_bytes(b"{}")
        (item,) = merge(study, site.path, ["anna"])
        assert (item.outcome, "too many files" in item.reason) == ("conflict", True)

    def test_a_copy_that_changes_meanwhile_adds_nothing_that_was_not_checked(
        self, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Replace the file by a forged one after each read."""
        site = elsewhere(study, tmp_path)
        read_on(site, "anna")
        path = site.reading_path("anna", site.cases()[0])
        intact = path.read_bytes()
        from ratui.study.store.folder import StudyFolder

        original = StudyFolder.read

        def read(folder: StudyFolder, inside: str, *args: Any, **more: Any) -> bytes:
            data = original(folder, inside, *args, **more)
            if folder.path == site.path and inside.startswith("readings"):
                path.write_bytes(json.dumps({"meta": {}}).encode())
            return data

        monkeypatch.setattr(StudyFolder, "read", read)
        assert outcomes(merge(study, site.path, ["anna"])) == [("added", "reading")]
        assert study.reading_path("anna", study.cases()[0]).read_bytes() == intact


def _sealed_text(start: bytes, path: Path) -> bytes:
    """Return a file with a valid seal over tables that `seal` would refuse."""
    import hashlib

    last = f',"seal":{{"1":{{"format":2,"of":"{path.parent.name}/{path.stem}","counts":{{}},"head":"","check":"",'
    text = start + last.encode()
    return text + b'"sum":"' + hashlib.sha256(text).hexdigest().encode() + b'"}}}'


@pytest.mark.slow
@pytest.mark.skipif(not ROOT, reason="needs root, to act as other accounts")
class TestOtherAccounts:
    @pytest.fixture
    def shared(self, tmp_path: Path) -> Iterator[Study]:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            study = Study.create(Path(folder) / "study", "fingers", ["anna", "bert"], group="daemon")
            import_films(study, [hospital(tmp_path / "h")], key=tmp_path / "key.json", converter=InProcessConverter())
            confirm_template(study, study.cases()[0], "anna")
            yield study

    def act(self, uid: int, study: Study, code: str) -> str:
        """Run `code` as an account of the group, and return its error or an empty text."""
        script = (
            "import os, sys\nfrom pathlib import Path\nfrom ratui.study import Study\nfrom ratui.study.merge import merge\n"
            "from tests.study.test_moving import read_on\n"
            f"os.setgroups([1]); os.setgid(1); os.setuid({uid})\n"
            "study = Study.open(Path(sys.argv[1]))\n"
            "try:\n    exec(sys.argv[2])\nexcept Exception as error:\n    print(error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(study.path), code],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def test_what_root_merges_belongs_to_the_rater_who_continues(self, shared: Study, tmp_path: Path) -> None:
        assert self.act(20_001, shared, "read_on(study, 'anna')") == ""
        site = elsewhere(shared, tmp_path)
        read_on(site, "anna", 2)
        assert outcomes(merge(shared, site.path, ["anna"])) == [("continued", "reading")]
        assert {path.stat().st_uid for path in (shared.path / "readings" / "anna").iterdir()} == {20_001}
        assert self.act(20_001, shared, "read_on(study, 'anna')") == ""
        reading = shared.reading("anna", shared.cases()[0])
        assert reading is not None
        assert len(reading.log) == 8

    def test_an_account_merges_only_its_own_readings(self, shared: Study, tmp_path: Path) -> None:
        assert self.act(20_001, shared, "read_on(study, 'anna')") == ""
        site = elsewhere(shared, tmp_path)
        read_on(site, "anna", 2)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            shutil.copytree(site.path, Path(folder) / "copy")
            for path in Path(folder).rglob("*"):
                path.chmod(0o755 if path.is_dir() else 0o644)
            code = f"print(*(item.outcome for item in merge(study, Path({folder!r}) / 'copy', ['anna'])))"
            assert "belong to the account number 20001" in self.act(20_002, shared, code)
            assert self.act(20_001, shared, code) == "continued"

    def test_a_rater_who_replaces_the_folder_by_a_link_gains_nothing(self, shared: Study, tmp_path: Path) -> None:
        """Root merges into a folder of the rater that leads to root's own files."""
        assert self.act(20_001, shared, "read_on(study, 'anna')") == ""
        site = elsewhere(shared, tmp_path)
        read_on(site, "anna", 2)
        mine = shared.path.parent / "mine"
        mine.mkdir(mode=0o700)
        code = "at = study.path / 'readings'; (at / 'anna').rename(at / 'old'); (at / 'anna').symlink_to({!r})"
        assert self.act(20_001, shared, code.format(str(mine))) == ""
        assert outcomes(merge(shared, site.path, ["anna"])) == [
            ("conflict", "reading"),
        ]
        assert list(mine.iterdir()) == []
