"""COCO files as other programs write them, and damaged ones: what is read, what is left out, and the stated reasons."""

import codecs
import json
import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ratui.errors import TrainError
from ratui.imaging import Box
from ratui.scheme import load_scheme
from trainer.data.coco_file import CocoFile, patient_of_name, read_coco_file, read_patients
from trainer.data.coco_names import UNCLEAR, parse_joint_names

SCHEME = load_scheme("mtss-hands")
WIDTH, HEIGHT = 40, 60


def content(**changes: Any) -> dict[str, Any]:
    """Return two images with two boxes each, as pycocotools reads them."""
    return {
        "images": [
            {"id": number, "file_name": f"p1_{side}.png", "width": WIDTH, "height": HEIGHT}
            for number, side in ((1, "L"), (2, "R"))
        ],
        "categories": [{"id": 1, "name": "MCP2"}, {"id": 2, "name": "PIP3"}],
        "annotations": [
            {"id": 10 * image + category, "image_id": image, "category_id": category, "bbox": [4, 6, 8, 10]}
            for image in (1, 2)
            for category in (1, 2)
        ],
        **changes,
    }


def read(folder: Path, raw: object, **options: Any) -> CocoFile:
    for name in ("p1_L.png", "p1_R.png"):
        if not (folder / name).exists():
            Image.new("L", (WIDTH, HEIGHT), 90).save(folder / name)
    (folder / "boxes.json").write_text(raw if isinstance(raw, str) else json.dumps(raw), encoding="utf-8")
    return read_coco_file(folder / "boxes.json", SCHEME, **options)


def counts(found: CocoFile) -> tuple[int, int]:
    return len(found.images), sum(len(image.boxes) for image in found.images)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "joint"),
        [
            ("MCP2", "MCP2"),
            ("mcp-2", "MCP2"),
            ("Right PIP 3", "PIP3"),
            ("L_MCP_V", "MCP5"),
            ("PIP-IV joint", "PIP4"),
            ("IP", "IP1"),
            ("MP1", "MCP1"),
            ("MCP", "MCP"),
            ("PIP", "PIP"),
            ("MCP R", "MCP"),
            ("index MCP", "MCP2"),
            ("PIP little finger left", "PIP5"),
            ("MCP-I", UNCLEAR),
            ("DIP2", None),
            ("radius", None),
            ("MCP9", None),
            ("MCP2 erosion", None),
            ("", None),
        ],
    )
    def test_a_single_name(self, name: str, joint: str | None) -> None:
        assert parse_joint_names([name], SCHEME) == {name: joint}

    def test_the_names_of_ram_h1200(self) -> None:
        fingers = [f"MCP-{letter}" for letter in "TIMRS"] + [f"PIP-{letter}" for letter in "IMRS"] + ["IP"]
        wrist = ["CMC-T", "CMC-M", "CMC-R", "CMC-S", "R", "U", "L", "S", "Tm", "STT", "SC", "SR"]
        read = parse_joint_names([*wrist, *fingers], SCHEME)
        digits = {"T": "1", "I": "2", "M": "3", "R": "4", "S": "5"}
        assert {name: read[name] for name in fingers} == {
            **{name: name[:3] + digits[name[-1]] for name in fingers if name != "IP"},
            "IP": "IP1",
        }
        assert {read[name] for name in wrist} == {None}

    def test_roman_numerals(self) -> None:
        names = [f"MCP-{numeral}" for numeral in ("I", "II", "III", "IV", "V")]
        assert list(parse_joint_names(names, SCHEME).values()) == ["MCP1", "MCP2", "MCP3", "MCP4", "MCP5"]

    def test_roman_numerals_and_letters_together_are_refused(self) -> None:
        with pytest.raises(TrainError, match="by Roman numerals and by letters"):
            parse_joint_names(["MCP-I", "MCP-IV", "PIP-S"], SCHEME)


class TestWriters:
    """The fields that each program writes; all state the same two images and four boxes."""

    def test_cvat(self, tmp_path: Path) -> None:
        (tmp_path / "annotations").mkdir()
        (tmp_path / "images" / "default" / "clinic").mkdir(parents=True)
        raw = content(
            licenses=[{"name": "", "id": 0, "url": ""}],
            info={"contributor": "", "date_created": "", "description": "", "url": "", "version": "", "year": ""},
        )
        for item in raw["images"]:
            Image.new("L", (WIDTH, HEIGHT)).save(tmp_path / "images" / "default" / "clinic" / item["file_name"])
            item |= {"file_name": f"clinic/{item['file_name']}", "license": 0, "coco_url": "", "date_captured": 0}
        for item in raw["annotations"]:
            attributes = {"occluded": False, "rotation": 0.0, "track_id": 0, "keyframe": True}
            item |= {"segmentation": [], "area": 80.0, "iscrowd": 0, "attributes": attributes}
        path = tmp_path / "annotations" / "instances_default.json"
        path.write_text(json.dumps(raw))
        assert counts(read_coco_file(path, SCHEME)) == (2, 4)

    def test_label_studio(self, tmp_path: Path) -> None:
        """IDs begin at 0, and a file name has the folder, with backslashes on Windows."""
        raw = content(info={"year": 2026, "version": "1.0", "contributor": "Label Studio"})
        for item in [*raw["images"], *raw["categories"]]:
            item["id"] -= 1
        for item in raw["annotations"]:
            item |= {"image_id": item["image_id"] - 1, "category_id": item["category_id"] - 1, "ignore": 0}
            item |= {"segmentation": [], "iscrowd": 0, "area": 80}
        for item, slash in zip(raw["images"], ("/", "\\"), strict=True):
            item["file_name"] = f"images{slash}{item['file_name']}"
        (tmp_path / "images").mkdir()
        for name in ("p1_L.png", "p1_R.png"):
            Image.new("L", (WIDTH, HEIGHT)).save(tmp_path / "images" / name)
        found = read(tmp_path, raw)
        assert counts(found) == (2, 4)
        assert {image.file.parent.name for image in found.images} == {"images"}

    def test_x_anylabeling(self, tmp_path: Path) -> None:
        raw = content(licenses=[], info={"contributor": "CVHub"})
        raw["categories"] = [
            {"id": 0, "name": "_background_", "supercategory": ""},
            *({**item, "supercategory": ""} for item in raw["categories"]),
        ]
        for item in raw["images"]:
            item |= {"license": 0, "flickr_url": "", "coco_url": "", "date_captured": ""}
        for item in raw["annotations"]:
            item |= {"ignore": 0, "iscrowd": 0, "area": 80, "segmentation": [[4, 6, 12, 6, 12, 16, 4, 16]]}
        found = read(tmp_path, raw)
        assert counts(found) == (2, 4)
        assert found.left_out.describe() == ()

    def test_pycocotools(self, tmp_path: Path) -> None:
        """Outlines are coded by run lengths, and boxes are measured from them."""
        raw = content(info={"description": "hands"}, licenses=[])
        for item in raw["annotations"]:
            item |= {"bbox": [float(value) for value in item["bbox"]], "area": 80.0, "iscrowd": 0}
            item |= {"segmentation": {"size": [HEIGHT, WIDTH], "counts": "PPYo1"}}
        found = read(tmp_path, raw)
        assert counts(found) == (2, 4)
        assert found.images[0].boxes[0] == ("MCP2", Box(3.5, 6.5, 12.5, 15.5))
        assert found.left_out.describe() == ()

    def test_ids_as_text(self, tmp_path: Path) -> None:
        raw = content()
        for item in raw["images"]:
            item["id"] = str(item["id"])
        for item in raw["annotations"]:
            item["category_id"] = float(item["category_id"])
        found = read(tmp_path, raw)
        assert counts(found) == (2, 4)
        assert found.images[0].boxes[0] == ("MCP2", Box(3.5, 6.5, 12.5, 15.5))

    @pytest.mark.parametrize("mark", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE])
    def test_a_byte_order_mark(self, tmp_path: Path, mark: bytes) -> None:
        read(tmp_path, content())
        code = "utf-8" if mark == codecs.BOM_UTF8 else "utf-16-le"
        (tmp_path / "boxes.json").write_bytes(mark + json.dumps(content()).encode(code))
        assert counts(read_coco_file(tmp_path / "boxes.json", SCHEME)) == (2, 4)


class TestLeftOut:
    """One item that can't be used costs only itself, and the reason is stated."""

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"bbox": None}, "1 box left out: they have no bbox"),
            ({"bbox": []}, "1 box left out: they have no bbox"),
            ({"bbox": [1, 2, 3]}, "1 box left out: their bbox is not four finite numbers"),
            ({"bbox": ["1", 2, 3, 4]}, "1 box left out: their bbox is not four finite numbers"),
            ({"bbox": [math.inf, 2, 3, 4]}, "1 box left out: their bbox is not four finite numbers"),
            ({"bbox": [1, 2, math.nan, 4]}, "1 box left out: their bbox is not four finite numbers"),
            ({"bbox": [1, 2, 10**400, 4]}, "1 box left out: their bbox is not four finite numbers"),
            ({"bbox": {"x": 1}}, "1 box left out: their bbox is not four finite numbers"),
            ({"bbox": [10, 10, -5, 5]}, "1 box left out: they are not larger than one pixel"),
            ({"bbox": [0.1, 0.1, 0.2, 0.2]}, "1 box left out: they are not larger than one pixel"),
            ({"bbox": [-90, 2, 30, 30]}, "1 box left out: their centre is outside of the image (p1_L.png)"),
            ({"iscrowd": 1}, "1 box left out: they are marked as a crowd"),
            ({"image_id": 77}, "1 box left out: their image is unknown (77)"),
            ({"image_id": None}, "1 box left out: their image or category is not stated or unknown (1)"),
            ({"image_id": [1]}, "1 box left out: their image or category is not stated or unknown (1)"),
            ({"category_id": 9}, "1 box left out: their image or category is not stated or unknown (9)"),
            ({"category_id": {}}, "1 box left out: their image or category is not stated or unknown"),
        ],
    )
    def test_a_box(self, tmp_path: Path, change: dict[str, Any], reason: str) -> None:
        raw = content()
        raw["annotations"][0] |= change
        found = read(tmp_path, raw)
        assert counts(found) == (2, 3)
        assert found.left_out.describe() == (reason,)

    def test_an_annotation_without_a_box_or_that_is_no_object(self, tmp_path: Path) -> None:
        raw = content()
        del raw["annotations"][0]["bbox"]
        raw["annotations"][0]["segmentation"] = [[1, 1, 9, 1, 9, 9]]
        raw["annotations"][1] = 5
        found = read(tmp_path, raw)
        assert counts(found) == (1, 2)
        assert found.left_out.describe() == (
            "1 box left out: they have no bbox",
            "1 box left out: their image or category is not stated or unknown",
        )

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"file_name": "b.png"}, "1 image left out: the image b.png is missing (b.png)"),
            ({"file_name": "../a.png"}, "1 image left out: it is outside of the file's folder (../a.png)"),
            ({"file_name": "C:\\a.png"}, "1 image left out: it is outside of the file's folder (C:\\a.png)"),
            ({"file_name": "/etc/passwd"}, "1 image left out: it is outside of the file's folder (/etc/passwd)"),
            ({"file_name": "boxes.json"}, "1 image left out: it can't be read (boxes.json)"),
            (
                {"width": 80, "height": 120},
                "1 image left out: the file states 80 × 120 pixels, but the image has 40 × 60 (p1_L.png)",
            ),
            ({"file_name": ["a"]}, "1 image left out: it has no ID or no file name"),
            ({"id": 2}, "1 image left out: two images have this ID (2)"),
        ],
    )
    def test_an_image(self, tmp_path: Path, change: dict[str, Any], reason: str) -> None:
        raw = content()
        raw["images"][0] |= change
        found = read(tmp_path, raw)
        assert reason in found.left_out.describe()
        if change == {"id": 2}:
            assert counts(found) == (0, 0), "the boxes of ID 2 can be of either image"
        else:
            assert counts(found) == (1, 2)
            assert found.images[0].file.name == "p1_R.png"

    def test_an_image_without_a_stated_size_is_used(self, tmp_path: Path) -> None:
        raw = content()
        del raw["images"][0]["width"]
        raw["images"][1]["height"] = 0
        assert counts(read(tmp_path, raw)) == (2, 4)

    @pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
    @pytest.mark.parametrize("case", ["no size", "square", "of Label Studio"])
    def test_an_orientation_that_leaves_the_boxes_open(self, tmp_path: Path, orientation: int, case: str) -> None:
        if case == "of Label Studio" and orientation < 5:
            return
        raw = content()
        size = (50, 50) if case == "square" else (WIDTH, HEIGHT)
        exif = Image.Exif()
        exif[274] = orientation
        Image.new("L", size, 90).save(tmp_path / "p1_L.png", exif=exif)
        raw["images"][0] |= {"width": size[0], "height": size[1]}
        if case == "no size":
            del raw["images"][0]["width"]
        if case == "of Label Studio":
            raw["info"] = {"contributor": "Label Studio"}
        found = read(tmp_path, raw)
        assert counts(found) == (1, 2)
        reason = f"its EXIF orientation {orientation} leaves open whether boxes were drawn on the turned image"
        assert found.left_out.describe() == (f"1 image left out: {reason} (p1_L.png)",)


class TestFilesThatAreRefused:
    @pytest.mark.parametrize(
        ("raw", "says"),
        [
            ("[", "not JSON"),
            ("[]", "not a COCO file"),
            ({}, "no list of categories"),
            (content(annotations={}), "no list of annotations"),
            (content(categories=[{"id": 1, "name": "cat"}]), "no category is a finger joint: cat"),
            (content(categories=[], annotations=[]), "no category is a finger joint: the file has none"),
            (content(categories=[{"id": 1, "name": "MCP-I"}]), "no category is a finger joint: MCP-I"),
            (
                content(categories=[{"id": 1, "name": "MCP1"}, {"id": "1", "name": "MCP2"}]),
                "two categories have the ID 1",
            ),
            (
                content(categories=[{"id": 1, "name": "MCP-II"}, {"id": 2, "name": "PIP-S"}]),
                "by Roman numerals and by letters",
            ),
        ],
    )
    def test_the_reason(self, tmp_path: Path, raw: object, says: str) -> None:
        with pytest.raises(TrainError, match=says):
            read(tmp_path, raw)


class TestPatients:
    def patients(self, found: CocoFile) -> list[str]:
        return [image.patient for image in found.images]

    @pytest.mark.parametrize(
        ("name", "patient"),
        [
            ("p017_L_v1.png", "p017"),
            ("p017_R_v2.png", "p017"),
            ("set/p017-left-hand.JPG", "p017"),
            ("p017 baseline.dcm", "p017"),
            ("2021_0034.png", "2021_0034"),
            ("a\\b\\p3_RH_followup2.tif", "p3"),
            ("L.png", "L"),
        ],
    )
    def test_by_name(self, name: str, patient: str) -> None:
        assert patient_of_name(name) == patient

    def test_both_hands_of_a_patient_by_name(self, tmp_path: Path) -> None:
        found = read(tmp_path, content())
        assert self.patients(found) == ["p1", "p1"]
        assert found.patient_rule == "the names of the image files"

    @pytest.mark.parametrize("place", ["patient_id", "extra"])
    def test_by_a_field_of_the_file(self, tmp_path: Path, place: str) -> None:
        raw = content()
        for item, patient in zip(raw["images"], (8, "x"), strict=True):
            item |= {"extra": {"patient": patient}} if place == "extra" else {"patient_id": patient}
        found = read(tmp_path, raw)
        assert self.patients(found) == ["8", "x"]
        assert found.patient_rule == "a field of the file"
        del raw["images"][0]["extra" if place == "extra" else "patient_id"]
        assert self.patients(read(tmp_path, raw)) == ["p1", "p1"], "a field that only some images have is not used"

    def test_by_the_original_name(self, tmp_path: Path) -> None:
        raw = content()
        raw["images"][0]["extra"] = {"name": "q9_R.bmp"}
        assert self.patients(read(tmp_path, raw)) == ["q9", "p1"]

    def test_by_a_table(self, tmp_path: Path) -> None:
        (tmp_path / "table.csv").write_text("\ufefffile,patient\np1_L.png,anna\nx/p1_R.png, bert \n", encoding="utf-8")
        found = read(tmp_path, content(), patients=read_patients(tmp_path / "table.csv"))
        assert self.patients(found) == ["anna", "bert"]
        assert found.patient_rule == "the table of patients"
        with pytest.raises(TrainError, match=r"the table of patients lacks the image p1_R.png"):
            read(tmp_path, content(), patients={"p1_L.png": "anna"})

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("name,id\na,b\n", "no table of patients"),
            ("file,patient\na.png\n", "no table of patients"),
            ("file,patient\na.png,\n", "a file has no patient"),
            ("file,patient\na.png,1\nb/a.png,2\n", "a file is listed twice"),
            ("", "a file has no patient"),
        ],
    )
    def test_a_damaged_table(self, tmp_path: Path, text: str, says: str) -> None:
        (tmp_path / "table.csv").write_text(text)
        with pytest.raises(TrainError, match=says):
            read_patients(tmp_path / "table.csv")
