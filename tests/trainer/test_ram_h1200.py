"""Folders in the layout of RAM-H1200: scores, boxes, split, samples, and the benchmark from the folder to the report."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from ratui.detection.joint_naming import Candidate
from ratui.detection.joint_network import Detection
from ratui.errors import TrainError
from ratui.imaging import normalize_intensity
from ratui.scheme import load_scheme
from tests.support.engineers_page import command_lines, invoke
from tests.trainer.synthetic import make_hands, quiet
from trainer.cli import commands
from trainer.data.coco_file import LeftOut
from trainer.data.pairs import crop_joint
from trainer.data.ram_h1200 import RamSet, read_ram_h1200, read_scores
from trainer.data.ram_samples import make_status_samples
from trainer.evaluation.evaluate_detector import evaluate_named_boxes
from trainer.evaluation.evaluate_status import evaluate_status
from trainer.training.lineage import DataUsed, Lineage, digest_names, read_lineage

pytestmark = pytest.mark.slow

SCHEME = load_scheme("mtss-hands")
ERO, JSN = "_annotation_be_scores.json", "_annotation_jsn_scores.json"
ERO_KEYS = {
    "BE_R": "RAD",
    "BE_U": "ULN",
    "BE_IP": "IP1",
    "BE_L": "LUN",
    "BE_S": "NAV",
    "BE_Tm": "MULT",
    "BE_CMC-T": "CMC1",
    "BE_MCP-T": "MCP1",
    "BE_MCP-I": "MCP2",
    "BE_MCP-M": "MCP3",
    "BE_MCP-R": "MCP4",
    "BE_MCP-S": "MCP5",
    "BE_PIP-I": "PIP2",
    "BE_PIP-M": "PIP3",
    "BE_PIP-R": "PIP4",
    "BE_PIP-S": "PIP5",
}
JSN_KEYS = {
    "JSN_CMC-M": "CMC3",
    "JSN_CMC-R": "CMC4",
    "JSN_CMC-S": "CMC5",
    "JSN_SC": "CAP-NAV-LUN",
    "JSN_SR": "RC",
    "JSN_STT": "MULT-NAV",
    **{f"JSN_{key[3:]}": joint for key, joint in ERO_KEYS.items() if joint[:3] in ("MCP", "PIP")},
}


@pytest.fixture
def own_set(ram_set: Path, tmp_path: Path) -> Path:
    """Return a copy that a test may change."""
    return Path(shutil.copytree(ram_set, tmp_path / "set", ignore=shutil.ignore_patterns("*.bmp")))


def scores_file(folder: Path, part: str = "test", name: str = ERO) -> Path:
    return next(file for file in folder.rglob(name) if file.parent.name == part)


def change(file: Path, edit: Callable[[Any], Any]) -> None:
    content = json.loads(file.read_text())
    edited = edit(content)
    file.write_text(json.dumps(content if edited is None else edited))


def read(folder: Path, **options: Any) -> RamSet:
    return read_ram_h1200(folder, SCHEME, **options)


def names(data: RamSet, part: str) -> list[str]:
    return sorted(image.hand.image.name for image in data.part(part))


class TestScores:
    def read(self, folder: Path, raw: object, scale: str = "ERO") -> tuple[dict[str, dict[str, int]], tuple[str, ...]]:
        (folder / "scores.json").write_text(raw if isinstance(raw, str) else json.dumps(raw))
        left_out = LeftOut()
        return read_scores(folder / "scores.json", scale, SCHEME, left_out), left_out.describe()

    @pytest.mark.parametrize(("scale", "keys", "top"), [("ERO", ERO_KEYS, 5), ("JSN", JSN_KEYS, 4)])
    def test_all_keys_and_grades(self, tmp_path: Path, scale: str, keys: dict[str, str], top: int) -> None:
        grades = {key: number % (top + 1) for number, key in enumerate(keys)}
        found, notices = self.read(tmp_path, {"a/b.x.bmp": grades}, scale)
        assert found == {"b.x": {joint: grades[key] for key, joint in keys.items()}}
        assert notices == ()
        with pytest.raises(TrainError, match=f"is {top + 1}, not a grade from 0 to {top}"):
            self.read(tmp_path, {"b.bmp": {next(iter(keys)): top + 1}}, scale)

    def test_missing_scores_are_left_out_and_counted(self, tmp_path: Path) -> None:
        grades: dict[str, Any] = dict.fromkeys(ERO_KEYS, 1)
        found, notices = self.read(tmp_path, {"a.bmp": {**grades, "BE_R": None}, "b.bmp": {"BE_U": 2, "total": 9}})
        assert set(ERO_KEYS.values()) - found["a"].keys() == {"RAD"}
        assert found["b"] == {"ULN": 2}
        assert notices[0].startswith("16 scores left out: there is no ERO score of this joint (BE_R, ")
        assert notices[1] == "1 score left out: the key is of no joint with ERO (total)"

    @pytest.mark.parametrize("value", [3, 3.0, "3"])
    def test_a_grade_as_number_or_text(self, tmp_path: Path, value: object) -> None:
        assert self.read(tmp_path, {"a": {"BE_R": value}})[0] == {"a": {"RAD": 3}}

    @pytest.mark.parametrize("value", [-1, 6, 2.5, "x", "", True, [1], 10**30])
    def test_another_value_is_refused_with_its_place(self, tmp_path: Path, value: object) -> None:
        with pytest.raises(TrainError, match=r"BE_R of the image a\.bmp is .*, not a grade from 0 to 5"):
            self.read(tmp_path, {"a.bmp": {"BE_R": value}})

    @pytest.mark.parametrize(
        ("raw", "message"),
        [
            ('{"a.bmp": {}, "a.bmp": {}}', r"the key a\.bmp is there twice"),
            ('{"a.bmp": {"BE_R": 1, "BE_R": 2}}', "the key BE_R is there twice"),
            ({"a.bmp": {}, "x/a.png": {}}, "two entries are of the image a"),
            ({"a.bmp": 3}, "no scores by image"),
            ([], "no scores by image"),
            ("{", "the scores can't be read"),
        ],
    )
    def test_a_damaged_file(self, tmp_path: Path, raw: object, message: str) -> None:
        with pytest.raises(TrainError, match=message):
            self.read(tmp_path, raw)


class TestSet:
    def test_the_parts_boxes_and_grades(self, ram_set: Path) -> None:
        data = read(ram_set)
        assert data.has_official_split
        assert [names(data, part) for part in ("train", "val", "test")] == [
            ["p0_L.bmp", "p0_R.bmp"],
            ["p1_L.bmp", "p1_R.bmp"],
            ["p2_L.bmp", "p2_R.bmp"],
        ]
        assert data.split.train == ("p0", "p1")
        assert data.split.test == ("p2",)
        assert data.notices == ()
        content = json.loads(next(ram_set.rglob("test/*.coco.json")).read_text())
        category = {item["name"]: item["id"] for item in content["categories"]}
        scores = json.loads(scores_file(ram_set).read_text())["p2_R.bmp"]
        image = next(each for each in data.images if each.hand.image.name == "p2_R.bmp")
        assert image.hand.side == "R"
        for name, joint in (("R", "RAD"), ("L", "LUN"), ("S", "NAV"), ("MCP-I", "MCP2"), ("SR", "RC")):
            x, y, width, height = next(
                item["bbox"]
                for item in content["annotations"]
                if item["image_id"] == 1 and item["category_id"] == category[name]
            )
            assert image.boxes[joint] == pytest.approx((x, y, x + width, y + height), abs=0.01)
        assert {joint: grade for (joint, scale), grade in image.grades.items() if scale == "ERO"} == {
            joint: scores[key] for key, joint in ERO_KEYS.items()
        }

    def test_without_a_split_both_hands_of_a_patient_stay_together(self, own_set: Path) -> None:
        for part, other in (("train", "a"), ("val", "b"), ("test", "c")):
            for at in [at for at in own_set.rglob(part) if at.is_dir()]:
                at.rename(at.with_name(other))
        data = read(own_set, held_out=0.5, validation=0.5, seed=1)
        assert not data.has_official_split
        sides = [data.patients(part) for part in ("train", "val", "test")]
        assert sorted(sum(sides, ())) == ["p0", "p1", "p2"], "each patient is in one part"
        assert data.patients("test")
        assert data.patients("train")
        grouped = {name: len(names(data, name)) for name in ("train", "val", "test")}
        assert grouped == {name: 2 * len(data.patients(name)) for name in grouped}

    def test_a_test_image_is_never_trained_on(self, own_set: Path) -> None:
        """The scores of p0 state test, its boxes state train."""
        scores = json.loads(scores_file(own_set, "train").read_text())
        change(scores_file(own_set, "train"), lambda content: {"p0_L.bmp": content["p0_L.bmp"]})
        change(scores_file(own_set, "test"), lambda content: {**content, "p0_R.bmp": scores["p0_R.bmp"]})
        data = read(own_set)
        assert names(data, "train") == ["p0_L.bmp"]
        assert "p0_R.bmp" in names(data, "test")
        assert data.notices == (
            "the set's split has 1 patients in training and in test, by the names of the image files: p0",
        )

    def test_images_in_no_part_are_left_out_and_counted(self, own_set: Path) -> None:
        for at in [at for at in own_set.rglob("train") if at.is_dir()]:
            at.rename(at.with_name("more"))
        data = read(own_set)
        assert not names(data, "train")
        assert "2 images left out: it is in no part of the split (p0_L, p0_R)" in data.notices

    def test_patients_from_a_table(self, own_set: Path, tmp_path: Path) -> None:
        rows = [
            f"p{number}_{side}_bmp.rf.0a1b2c.png,{'q' if number < 2 else number}"
            for number in range(3)
            for side in "LR"
        ]
        (tmp_path / "people.csv").write_text("file,patient\n" + "\n".join(rows))
        data = read(own_set, patients=tmp_path / "people.csv")
        assert data.split.train == ("q",)
        assert data.split.test == ("2",)
        assert data.patient_rule == "the table of patients"

    def test_scores_of_unknown_images(self, own_set: Path) -> None:
        change(scores_file(own_set), lambda content: {**content, "z9_L.bmp": {"BE_R": 1, "BE_U": 2}})
        with pytest.raises(TrainError, match="1 of 7 images with scores have no usable boxes: z9_L"):
            read(own_set)
        data = read(own_set, skip_unknown=True)
        assert len(data.images) == 6
        assert "2 scores left out: their image has no usable boxes (z9_L)" in data.notices

    def test_scores_of_an_image_in_two_files(self, own_set: Path) -> None:
        known = json.loads(scores_file(own_set, "train").read_text())
        change(scores_file(own_set), lambda content: {**content, "p0_L.bmp": known["p0_L.bmp"]})
        with pytest.raises(TrainError, match="the image p0_L has ERO scores in two files"):
            read(own_set)

    def test_an_image_in_two_coco_files(self, own_set: Path) -> None:
        file = next(own_set.rglob("test/*.coco.json"))
        shutil.copy(file, file.with_name("again.json"))
        with pytest.raises(TrainError, match="another COCO file has the image p2_L too"):
            read(own_set)

    def test_a_score_without_a_box_is_counted(self, own_set: Path) -> None:
        def drop_radius(content: Any) -> None:
            radius = next(item["id"] for item in content["categories"] if item["name"] == "R")
            content["annotations"] = [item for item in content["annotations"] if item["category_id"] != radius]

        change(next(own_set.rglob("test/*.coco.json")), drop_radius)
        assert read(own_set).notices == ("2 scores left out: their joint has no box (R)",)

    @pytest.mark.parametrize(
        ("pattern", "message"),
        [
            ("*scores.json", "it has no file _annotation_be_scores.json or"),
            ("*.coco.json", "it has no COCO file with boxes of finger joints"),
            ("test/*scores.json", "the part test of the split has no scores"),
        ],
    )
    def test_a_folder_that_lacks_a_part(self, own_set: Path, pattern: str, message: str) -> None:
        for file in own_set.rglob(pattern):
            file.unlink()
        with pytest.raises(TrainError, match=message):
            read(own_set)
        with pytest.raises(TrainError, match="there is no such folder"):
            read(own_set / "none")

    def test_samples(self, ram_set: Path, tmp_path: Path) -> None:
        images = read(ram_set).part("test")[1:2]
        samples = make_status_samples(images, [images[0].boxes], SCHEME, tmp_path, quiet)
        assert len(samples.crops) == 22
        assert set(samples.cases) == {"p2"}
        assert samples.crops.shape == (22, 2, 72, 72)
        row = samples.sites.index("R.RAD")
        levels = normalize_intensity(np.asarray(Image.open(images[0].hand.image.file)).astype(np.uint16))
        assert np.array_equal(samples.crops[row, 0], crop_joint(levels, images[0].boxes["RAD"], mirrored=True))
        assert np.array_equal(samples.crops[row, 0], samples.crops[row, 1])
        assert samples.labels[row].tolist() == [[[images[0].grades["RAD", "ERO"], -1], [-1, -1]]]
        assert samples.max_grades[row].tolist() == [5, -1]
        assert samples.group_names[samples.groups[row]] == "wrist"


class TestMeasures:
    def test_known_values(self) -> None:
        """Patient a: read 0 0 1 2, predicted 0 1 1 0. Patient b: read 2 2, predicted 2 1."""
        read = np.array([0, 0, 1, 2, 2, 2])
        predicted = np.array([0, 1, 1, 0, 2, 1])
        found = evaluate_status(
            "ERO", read, predicted, list("aaaabb"), 4, np.random.default_rng(0), usual=2, published={"accuracy": 0.7}
        )
        values = {metric.name.removeprefix("ERO, "): metric for metric in found}
        # Squared errors 0 1 0 4 0 1: 6. By chance: all 36 pairs of a read and a predicted grade have 14 + 3 + 33 = 50.
        assert values["quadratic weighted kappa"].value == pytest.approx(1 - 6 / (50 / 6))
        assert values["mean absolute error"].value == pytest.approx(4 / 6)
        assert values["accuracy"].value == pytest.approx(3 / 6)
        assert values["balanced accuracy"].value == pytest.approx((1 / 2 + 1 + 1 / 3) / 3)
        # Shares up to grade 0: 2/6 read and 2/6 predicted; up to 1: 3/6 and 5/6; up to 2: all.
        assert values["Wasserstein distance of the grades"].value == pytest.approx(2 / 6)
        assert values["accuracy"].baseline == pytest.approx(3 / 6)
        assert values["mean absolute error"].baseline == pytest.approx(5 / 6)
        assert values["quadratic weighted kappa"].baseline == pytest.approx(0)
        assert (values["accuracy"].paper, values["mean absolute error"].paper) == (0.7, None)
        # Of two patients a resample is aa, ab or bb: the interval reaches from patient a to patient b.
        assert (values["mean absolute error"].low, values["mean absolute error"].high) == pytest.approx((0.5, 0.75))

    def test_one_patient_has_no_interval(self) -> None:
        found = evaluate_status("ERO", np.array([0, 1]), np.array([0, 1]), ["a", "a"], 2, np.random.default_rng(0))
        assert all(np.isnan(metric.low) for metric in found)

    def test_boxes_by_name(self) -> None:
        """One box is right, one is half a box away, one has another name, and one was not found."""

        def detection(x: float, kind: str) -> Detection:
            return Detection(Candidate(x, 10.0, 20.0, kind, 1.0), 0.0)

        hands = make_hands(("a", "b"), [[[0, 0, 20, 20], [40, 0, 60, 20]]] * 2, np.full((2, 2), np.nan))
        found = [
            {"PIP2": detection(10, "PIP"), "MCP3": detection(60, "MCP")},
            {"MCP3": detection(10, "MCP")},
        ]
        share, mean = evaluate_named_boxes(hands, found, np.random.default_rng(0))
        assert share.value == pytest.approx(1 / 4)
        assert mean.value == pytest.approx((1 + 1 / 3 + 0 + 0) / 4)


def test_patients_that_an_ancestor_has_seen() -> None:
    parent = Lineage("scorer", data=(DataUsed.of_ram_h1200("x", 4, ("p1", "p2"), ""),))
    child = Lineage.from_record(Lineage("scorer", parent=parent).to_record())
    assert child.seen_patients(("p2", "p3")) == {"p2"}
    assert "p2" not in json.dumps(child.to_record()), "names of patients are not stored"
    assert not Lineage("scorer", data=(DataUsed.of_study("s", 1, digest_names(("p2",)), ""),)).seen_patients(("p2",))


FAST = ("--detector-epochs", "1", "--scorer-epochs", "2", "--width", "4", "--device", "cpu")


def run(folder: Path, out: Path, *more: str) -> Result:
    return CliRunner().invoke(commands, ["benchmark", "ram-h1200", str(folder), "--out", str(out), *FAST, *more])


def test_a_folder_becomes_a_report(
    ram_set: Path, own_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "RAM-H1200").symlink_to(ram_set)
    out = tmp_path / "ram"
    (line,) = command_lines("ratui-train benchmark")
    result = invoke(line, *FAST)
    assert result.exit_code == 0, result.output
    assert (out / "report.md").read_text() in result.stdout
    report = json.loads((out / "report.json").read_text())
    assert report["parts"]["test"] == {"images": 2, "patients": 1}
    assert report["official_split"]
    published = {each["name"]: each["published"] for each in report["all_joints"]}
    assert published["ERO, quadratic weighted kappa"] == 0.591
    assert published["JSN, quadratic weighted kappa"] == 0.634
    assert "of other trainings, on the real RAM-H1200" in result.stdout
    assert len(published) == 10
    fingers = report["finger_joints"]
    assert (fingers["found"], fingers["scored"]) == (20, 20), (
        "the shipped detector finds each joint of a simulated hand"
    )
    assert len(fingers["detector_boxes"]) == len(fingers["true_boxes"]) == 10
    assert all(each["published"] is None for each in fingers["true_boxes"])
    named, overlap = report["detector"]
    assert named["value"] > 0.9
    assert overlap["value"] > 0.7
    counts = {(each["joint"], each["scale"]): each["count"] for each in report["joints"]}
    assert counts == {
        **{(joint, "ERO"): 2 for joint in ERO_KEYS.values()},
        **{(joint, "JSN"): 2 for joint in JSN_KEYS.values()},
    }
    for model in ("detector", "scorer"):
        assert "RAM-H1200, digest of its files" in (out / model / "model-card.md").read_text()
        assert read_lineage(out / model / "model.pt").seen_patients(("p0", "p1", "p2")) == {"p0", "p1"}

    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in out.rglob("*.pt")}
    assert run(ram_set, out).exit_code == 0
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in out.rglob("*.pt")} == before, (
        "nothing is trained again"
    )
    assert json.loads((out / "report.json").read_text()) == report
    other = run(ram_set, out, "--loss", "ce")
    assert "this run has other settings: loss: cumulative before, ce now" in str(other.exception)
    for at in [at for at in own_set.rglob("t*") if at.is_dir()]:
        at.rename(at.with_name({"train": "test-", "test": "train-"}[at.name]))
    for at in [at for at in own_set.rglob("t*-") if at.is_dir()]:
        at.rename(at.with_name(at.name[:-1]))
    turned = run(own_set, tmp_path / "new", "--detector-weights", str(out / "detector" / "model.pt"))
    assert "these weights have learned from 1 patients of the test: p0" in str(turned.exception)


def test_an_impossible_request(ram_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, message in (
        (["--loss", "best"], "no loss named best"),
        (["--decision", "best"], "no decision named"),
    ):
        result = run(ram_set, tmp_path / "out", *arguments)
        assert message in str(result.exception)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "a benchmark uses one process" in str(run(ram_set, tmp_path / "out").exception)
    assert not (tmp_path / "out").exists()
