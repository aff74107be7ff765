"""Commands that say what comes out of a study."""

import csv
import io
import json
from pathlib import Path

from tests.cli.test_commands import fails, ratui
from tests.films import make_study
from tests.tui.readings import store


class TestStatus:
    def test_tells_stage_minutes_and_what_is_missing(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        store(study, study.cases()[0], rater="anna", signed=True, seconds=240)
        done = ratui("status", study.path)
        assert done.returncode == 0, done.stderr
        assert "signed 76/76 4.0 min" in done.stdout
        assert "bert: 76 fields in 20 joints" in done.stdout

    def test_csv_and_json_say_the_same(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        store(study, study.cases()[0], rater="anna", signed=True, seconds=90)
        rows = list(csv.DictReader(io.StringIO(ratui("status", study.path, "--csv", "-").stdout)))
        document = json.loads(ratui("status", study.path, "--json").stdout)
        assert [{k: str(v) for k, v in row.items()} for row in document["cases"]] == rows
        assert rows[0]["minutes"] == "1.5"

    def test_html_opens_alone(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        done = ratui("status", study.path, "--html", tmp_path / "status.html")
        assert done.returncode == 0, done.stderr
        text = (tmp_path / "status.html").read_text()
        assert text.startswith("<!DOCTYPE html>")
        assert study.cases()[0] in text

    def test_a_place_that_cannot_be_written_is_one_message(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (tmp_path / "file").write_text("")
        assert "can't be written" in fails("status", study.path, "--csv", tmp_path / "file" / "x.csv")
