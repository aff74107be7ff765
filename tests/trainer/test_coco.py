"""COCO files of joint boxes from other programs: named by joint or by kind, with either hand or without a side."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ratui.errors import TrainError
from ratui.imaging import Box, Film
from ratui.phantom import PhantomFilm, render, simulate_patient
from ratui.results.export.coco import build_coco
from ratui.results.export.signed_readings import ExportSource
from ratui.results.released import ReleasedReadings
from ratui.scheme import load_scheme
from ratui.study import Study
from trainer.data.coco import load_coco_hands
from trainer.data.hands import HandSamples, crop_hand, load_hand_samples

pytestmark = pytest.mark.slow

SCHEME = load_scheme("mtss-hands")
T = Image.Transpose
FINGERS = [joint.id for joint in SCHEME.joints if joint.group in ("PIP", "MCP")]


@cache
def film(side: Any = "L", columns: int = 330) -> PhantomFilm:
    patient = simulate_patient(np.random.default_rng(4), SCHEME, severity=0.5)
    return render(patient, side, 0, np.random.default_rng(5), size=(400, columns))


def dataset(folder: Path, shown: PhantomFilm, call: Any, **changes: Any) -> Path:
    """Return a COCO file of one picture; ``call(site)`` returns the category of a site, or None."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray((shown.pixels >> 4).astype(np.uint8)).save(folder / "a.png")
    names = sorted({call(site) for site in shown.boxes if call(site)})
    boxes = [
        {
            "image_id": 7,
            "category_id": names.index(call(site)) + 1,
            "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
        }
        for site, box in shown.boxes.items()
        if call(site)
    ]
    content = {
        "images": [{"id": 7, "file_name": "a.png", "width": shown.pixels.shape[1], "height": shown.pixels.shape[0]}],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
        "annotations": boxes,
        **changes,
    }
    (folder / "boxes.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "boxes.json"


def read(path: Path) -> HandSamples:
    return load_coco_hands(path, SCHEME, path.parent / "samples", lambda *_: None)


def boxes_are(samples: HandSamples, row: int, shown: PhantomFilm, side: str) -> None:
    for column, joint in enumerate(samples.joints):
        back = samples.frames[row].to_film(Box(*samples.boxes[row, column].tolist()))
        assert back == pytest.approx(shown.boxes[f"{side}.{joint}"], abs=0.1)


@pytest.mark.parametrize("side", ["L", "R"])
@pytest.mark.parametrize("by_kind", [False, True])
def test_a_hand_whose_joints_are_named_or_only_their_kind(tmp_path: Path, side: str, by_kind: bool) -> None:
    shown = film(side)
    kinds = {joint.id: joint.group for joint in SCHEME.joints}

    def call(site: str) -> str | None:
        return (kinds[site[2:]] if by_kind else site[2:]) if site[2:] in FINGERS else "carpus"

    samples = read(dataset(tmp_path, shown, call))
    assert samples.sides == (side,)
    boxes_are(samples, 0, shown, side)
    assert np.isnan(samples.findings).all(), "such a file knows no findings"


def test_both_hands_on_one_picture(tmp_path: Path) -> None:
    shown = film("B", 660)
    samples = read(dataset(tmp_path, shown, lambda site: site[2:] if site[2:] in FINGERS else None))
    assert sorted(samples.sides) == ["L", "R"]
    for row, side in enumerate(samples.sides):
        boxes_are(samples, row, shown, side)


def test_a_box_becomes_a_square_with_the_same_centre(tmp_path: Path) -> None:
    shown = film()
    path = dataset(tmp_path, shown, lambda site: site[2:] if site[2:] in FINGERS else None)
    raw = json.loads(path.read_text())
    for item in raw["annotations"]:
        x, y, width, height = item["bbox"]
        item["bbox"] = [x - 2, y + 1, width + 4, height - 2]
    path.write_text(json.dumps(raw))
    samples = read(path)
    sides = samples.boxes[0, :, 2:] - samples.boxes[0, :, :2]
    assert sides[:, 0] == pytest.approx(sides[:, 1], abs=1e-3)
    first = samples.frames[0].to_film(Box(*samples.boxes[0, 0].tolist()))
    true = shown.boxes[f"L.{samples.joints[0]}"]
    assert first[0] + first[2] == pytest.approx(true[0] + true[2], abs=0.1)
    assert first[2] - first[0] == pytest.approx(true[2] - true[0] + 1, abs=0.1)


RAM_NAMES = {
    **{f"MCP{n}": f"MCP-{letter}" for n, letter in enumerate("TIMRS", 1)},
    **{f"PIP{n}": f"PIP-{letter}" for n, letter in enumerate("IMRS", 2)},
    "IP1": "IP",
}


def test_the_ten_joints_of_ram_h1200_keep_their_names(tmp_path: Path) -> None:
    """Its names end in letters of fingers, some of which are also Roman numerals or sides; its wrist joints are left out."""
    shown, said = film(), list[str]()
    wrist = iter(("CMC-T", "CMC-M", "R", "U", "L", "S", "Tm", "STT", "SC", "SR") * 5)
    path = dataset(tmp_path, shown, lambda site: RAM_NAMES.get(site[2:]) or next(wrist))
    samples = load_coco_hands(path, SCHEME, tmp_path / "samples", lambda *_: None, notify=said.append)
    assert len(samples.images) == 1
    assert np.isfinite(samples.boxes).all(), "all ten joints have a box"
    boxes_are(samples, 0, shown, "L")
    left = len(shown.boxes) - len(RAM_NAMES)
    assert said[0].startswith(f"boxes.json: {left} boxes left out: their category is no finger joint (")
    assert said[1] == "boxes.json: 1 hand of 1 patient, known from the names of the image files"


@pytest.mark.parametrize("drawn_on", ["the turned image", "the stored image"])
@pytest.mark.parametrize(("orientation", "suffix"), [(5, "png"), (6, "tif"), (7, "png"), (8, "tif")])
def test_boxes_of_a_photograph_that_is_shown_turned(
    tmp_path: Path, orientation: int, drawn_on: str, suffix: str
) -> None:
    """The size in the file tells whether boxes were drawn on the stored image or on the turned one."""
    shown = film()
    path = dataset(tmp_path, shown, lambda site: site[2:] if site[2:] in FINGERS else None)
    undo = {5: T.TRANSPOSE, 6: T.ROTATE_90, 7: T.TRANSVERSE, 8: T.ROTATE_270}[orientation]
    picture = Image.open(tmp_path / "a.png").transpose(undo)
    exif = Image.Exif()
    exif[274] = orientation
    (tmp_path / "a.png").unlink()
    picture.save(tmp_path / f"a.{suffix}", exif=exif)
    raw = json.loads(path.read_text())
    raw["images"][0]["file_name"] = f"a.{suffix}"
    if drawn_on == "the stored image":
        raw["images"][0] |= {"width": picture.width, "height": picture.height}
        for item in raw["annotations"]:
            item["bbox"] = stored_box(item["bbox"], orientation, picture.size)
    path.write_text(json.dumps(raw))
    samples = read(path)
    assert samples.sides == ("L",)
    boxes_are(samples, 0, shown, "L")
    grey = Film((shown.pixels >> 4).astype(np.uint16), 16)
    assert np.array_equal(samples.images[0], crop_hand(grey, samples.frames[0])), "the pixels are turned as well"


def stored_box(bbox: list[float], orientation: int, stored: tuple[int, int]) -> list[float]:
    """Return a box of the shown image on the stored one, from the corners of both.

    The stored rows and columns run along these edges of the shown image (EXIF 2.3, tag 274): 5 left and top, 6 right and
    top, 7 right and bottom, 8 left and bottom.
    """
    x, y, width, height = bbox
    columns, rows = stored
    left = {5: y, 6: y, 7: columns - y - height, 8: columns - y - height}[orientation]
    top = {5: x, 6: rows - x - width, 7: rows - x - width, 8: x}[orientation]
    return [left, top, height, width]


def test_a_file_without_a_usable_hand_names_the_reasons(tmp_path: Path) -> None:
    path = dataset(tmp_path, film(), lambda site: site[2:] if site[2:] in FINGERS else None)
    raw = json.loads(path.read_text())
    raw["annotations"] = raw["annotations"][:3]
    path.write_text(json.dumps(raw))
    with pytest.raises(TrainError, match=r"no image shows the joints of a hand: 3 boxes left out: they fit no hand"):
        read(path)


def test_an_invalid_picture_is_named(tmp_path: Path) -> None:
    path = dataset(tmp_path, film(), lambda site: site[2:] if site[2:] in FINGERS else None)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(TrainError, match=r"1 image left out: it can't be read \(a.png\)"):
        read(path)
    (tmp_path / "boxes.json").write_text("[")
    with pytest.raises(TrainError, match="not JSON"):
        read(path)


def test_regions_that_ratui_exported_come_back(phantom_study: Study, tmp_path: Path) -> None:
    """Train another installation's detector from an exported study: the boxes and hands must be equal."""
    readings: dict[str, Any] = {case: {} for case in phantom_study.cases()}
    source = ExportSource(phantom_study, ReleasedReadings((), readings, {}, {}))
    (tmp_path / "films").symlink_to(phantom_study.path / "films")
    (tmp_path / "exports").mkdir()
    path = tmp_path / "exports" / "coco.json"
    path.write_text(json.dumps(build_coco(source)), encoding="utf-8")
    back = load_coco_hands(path, phantom_study.scheme, tmp_path / "a", lambda *_: None)
    own = load_hand_samples(phantom_study, phantom_study.cases(), tmp_path / "b", lambda *_: None)
    assert len(back.films) == len(own.films)
    for row, film in enumerate(back.films):
        mine = own.films.index(film)
        assert back.sides[row] == own.sides[mine]
        assert np.allclose(back.boxes[row], own.boxes[mine], atol=0.02)
        assert np.array_equal(back.images[row], own.images[mine])
