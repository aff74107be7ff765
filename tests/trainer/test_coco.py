"""COCO files of joint boxes from other programs: named by joint or by kind, with either hand or without a side."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ratui.errors import TrainError
from ratui.imaging import Box
from ratui.phantom import PhantomFilm, render, simulate_patient
from ratui.results.export.coco import build_coco
from ratui.results.export.signed_readings import ExportSource
from ratui.results.released import ReleasedReadings
from ratui.scheme import load_scheme
from ratui.study import Study
from trainer.data.coco import load_coco_hands, parse_joint_name
from trainer.data.hands import HandSamples, load_hand_samples

pytestmark = pytest.mark.slow

SCHEME = load_scheme("mtss-hands")
FINGERS = [joint.id for joint in SCHEME.joints if joint.group in ("PIP", "MCP")]


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
        ("DIP2", None),
        ("radius", None),
        ("MCP9", None),
        ("", None),
    ],
)
def test_names_of_categories(name: str, joint: str | None) -> None:
    assert parse_joint_name(name, SCHEME) == joint


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"categories": [{"id": 1, "name": "cat"}], "annotations": []}, "no category is a finger joint: cat"),
        ({"annotations": []}, "no image shows the joints of a hand"),
        ({"annotations": [{"image_id": 7}]}, "not a COCO file"),
        ({"annotations": [{"image_id": 7, "category_id": 1, "bbox": ["x", 1, 2, 3]}]}, "not a COCO file"),
        ({"images": [{"id": 7, "file_name": "b.png"}]}, "b.png is missing"),
        ({"images": [{"id": 7, "file_name": "../../etc/passwd"}]}, "outside of the file's folder"),
        ({"images": [{"id": 7, "file_name": "/etc/passwd"}]}, "outside of the file's folder"),
    ],
)
def test_an_invalid_file_gives_the_reason(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    path = dataset(tmp_path, film(), lambda site: site[2:] if site[2:] in FINGERS else None, **changes)
    with pytest.raises(TrainError, match=says):
        read(path)


def test_an_invalid_picture_is_named(tmp_path: Path) -> None:
    path = dataset(tmp_path, film(), lambda site: site[2:] if site[2:] in FINGERS else None)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(TrainError, match="can't be read"):
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
