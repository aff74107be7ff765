"""Average precision against that of pycocotools, and its bootstrap."""

import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest

from ratui.detection.joint_naming import Candidate
from ratui.detection.joint_network import Detection
from tests.trainer.synthetic import make_hands
from trainer.evaluation import average_precision as module
from trainer.evaluation.average_precision import ImageBoxes, average_precision, bootstrap_average_precision
from trainer.evaluation.evaluate_detector import evaluate_detections

RNG = np.random.default_rng


def random_images(seed: int, count: int = 12) -> list[ImageBoxes]:
    """Return images with boxes that are found almost, twice, as another kind, or not at all, and with false boxes."""
    rng = RNG(seed)
    images = []
    for number in range(count):
        n = int(rng.integers(0, 7))
        corner = rng.uniform(0, 200, (n, 2))
        truth = np.concatenate([corner, corner + rng.uniform(15, 25, (n, 2))], axis=1)
        kinds = rng.integers(0, 2, n)
        chosen = np.flatnonzero(rng.random(n) < 0.8)
        chosen = np.concatenate([chosen, chosen[rng.random(len(chosen)) < 0.3]])
        false = rng.uniform(0, 200, (int(rng.integers(0, 3)), 2))
        boxes = np.concatenate(
            [truth[chosen] + rng.normal(0, 2, (len(chosen), 4)), np.concatenate([false, false + 20], axis=1)]
        )
        found = np.concatenate(
            [np.where(rng.random(len(chosen)) < 0.1, 1 - kinds[chosen], kinds[chosen]), false[:, 0] > 90]
        )
        images.append(
            ImageBoxes(f"P{number // 2}", truth, kinds, boxes, found.astype(np.int64), rng.random(len(boxes)))
        )
    return images


def by_pycocotools(images: list[ImageBoxes]) -> np.ndarray:
    """Return the AP at each threshold, computed by pycocotools."""
    coco, evaluation = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")

    def sized(box: np.ndarray) -> list[float]:
        return [*box[:2], *(box[2:] - box[:2])]

    truth = coco.COCO()
    truth.dataset = {
        "images": [{"id": number} for number in range(1, len(images) + 1)],
        "categories": [{"id": 0}, {"id": 1}],
        "annotations": [
            {"image_id": number, "category_id": int(kind), "bbox": sized(box), "area": 1.0, "iscrowd": 0}
            for number, image in enumerate(images, start=1)
            for kind, box in zip(image.true_kinds, image.true_boxes, strict=True)
        ],
    }
    for number, each in enumerate(truth.dataset["annotations"], start=1):
        each["id"] = number
    found = [
        {"image_id": number, "category_id": int(kind), "bbox": sized(box), "score": float(score)}
        for number, image in enumerate(images, start=1)
        for kind, box, score in zip(image.kinds, image.boxes, image.scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        run = evaluation.COCOeval(truth, truth.loadRes(found), "bbox")
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"][:, :, :, 0, 2]  # threshold, recall, category
    has_category = (precision > -1).all(axis=(0, 1))
    return np.asarray(precision[:, :, has_category].mean(axis=(1, 2)))


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_that_of_pycocotools(seed: int) -> None:
    images = random_images(seed)
    found = average_precision(images)
    assert found == pytest.approx(by_pycocotools(images), abs=1e-9)
    assert 0.2 < found[0] < 1
    assert found[-1] < found[0]


def test_known_value() -> None:
    """Best first: a box beside all, two right ones, one on a joint that is taken; one of three joints is not found."""
    joints = np.array([[0.0, 0, 20, 20], [50, 0, 70, 20], [0, 50, 20, 70]])
    false = np.array([[100.0, 100, 120, 120]])

    def image(truth: np.ndarray, boxes: list[np.ndarray], scores: list[float]) -> ImageBoxes:
        kinds = np.zeros(3, np.int64)
        return ImageBoxes("P", truth, kinds[: len(truth)], np.array(boxes), kinds[: len(boxes)], np.array(scores))

    images = [
        image(joints[:2], [joints[0], joints[0] + 1], [0.8, 0.6]),
        image(joints[2:], [false[0], joints[2]], [0.9, 0.7]),
    ]
    # The precision is 0, 1/2, 2/3 and 1/2. Up to a recall of 2/3, at 67 of 101 levels, the best one that follows is 2/3.
    assert average_precision(images) == pytest.approx([67 / 101 * 2 / 3] * 10)


def test_a_kind_without_a_true_box_does_not_count() -> None:
    images = [replace(image, true_kinds=np.zeros_like(image.true_kinds)) for image in random_images(3)]
    assert average_precision(images) == pytest.approx(by_pycocotools(images), abs=1e-9)
    assert np.isnan(average_precision([])).all()


def test_a_resample_counts_each_patient_as_often_as_it_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    images = random_images(1, count=6)  # of three patients
    draws = np.array([[0, 1, 2], [0, 0, 2], [1, 1, 1]])
    monkeypatch.setattr(module, "draw_resamples", lambda patients, rng, resamples: draws[:, :patients])
    seen: list[np.ndarray] = []
    monkeypatch.setattr(module, "percentile_interval", lambda values: seen.append(values) or (0.0, 1.0))
    ap50, ap = bootstrap_average_precision(images, RNG(0))
    whole, single = average_precision(images), average_precision([each for each in images if each.patient == "P1"])
    assert (ap50.value, ap.value) == pytest.approx((whole[0], whole.mean()))
    assert [seen[0][0], seen[0][2]] == pytest.approx([whole[0], single[0]])
    assert [seen[1][0], seen[1][2]] == pytest.approx([whole.mean(), single.mean()])
    assert seen[0][1] not in (seen[0][0], seen[0][2])


def test_joints_without_a_known_box_are_no_errors_of_the_detector() -> None:
    square = [100.0, 100.0, 120.0, 120.0]
    hands = make_hands(("A",), [[square, [np.nan] * 4]], [[0, 0]])
    joint = Detection(Candidate(110, 110, 20, "PIP", 0.5), 0.1)
    other = Detection(Candidate(210, 210, 20, "PIP", 0.9), 0.1)

    def measure(name: str) -> float:
        _, more = evaluate_detections(hands, [{"PIP2": joint, name: other}], RNG(0))
        return next(each.value for each in more if each.name == "AP50")

    assert measure("MCP3") == 1.0  # its box is unknown
    assert measure("PIP4") == pytest.approx(0.5)
