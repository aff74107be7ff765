"""The detector: learning within half a minute, initial weights, hands and threshold."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, smooth_l1_loss

from ratui.demo.simulate import Simulation, simulate_study
from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE, normalise_levels
from ratui.detection.hand_finder import FoundHand, _even_out_sizes, find_hands
from ratui.detection.joint_naming import Candidate
from ratui.detection.joint_network import Detection
from ratui.errors import TrainError
from ratui.imaging import Box, Film
from ratui.phantom import render, simulate_patient
from ratui.regions.proposals import _by_side
from ratui.scheme import load_scheme
from ratui.study import FilmRecord
from tests.support.dot_detector import DotDetector
from tests.support.in_process import draw_films_in_this_process
from trainer.data.augmentation import augment_hands, downsample
from trainer.data.hands import HandSamples, load_hand_samples
from trainer.data.phantoms import simulate_hands
from trainer.models.backbones import build_ssd
from trainer.models.checkpoint_files import save_checkpoint
from trainer.models.detector import JointDetector, build_detector, detect, load_detector
from trainer.models.refiner import JointCrops, Refiner, RefinerOutput, crop_joints, draw_joint_crops, refiner_loss
from trainer.shipped import SHIPPED
from trainer.training import detector_batches
from trainer.training.detector_calibration import measure_box_sizes, pick_threshold
from trainer.training.detector_training import fit_detector, split_validation
from trainer.training.loop import TrainingPlan
from trainer.training.processes import ProcessGroup

pytestmark = pytest.mark.slow

SCHEME = load_scheme("fingers")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> HandSamples:
    """Return 36 hands of as many patients, half of them severely ill. Their wrists are left out, to save time."""
    hands = simulate_hands(36, tmp_path_factory.mktemp("drawn"), lambda *_: None, scheme=SCHEME, seed=11)
    return replace(hands, wrists=None)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    size = np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0)
    shared = float(size.prod())
    return shared / float((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - shared)


class TestLearning:
    @pytest.mark.slow
    def test_the_first_stage_soon_beats_average_boxes(
        self, drawn: HandSamples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Train without augmentation, which needs far longer; the test only shows that the detector learns."""
        monkeypatch.setattr(detector_batches, "augment_hands", lambda images, boxes, generator: (images, boxes))
        learn, held = split_validation(drawn, 0.2)
        model = fit_detector(
            [learn], [], TrainingPlan(epochs=4, rate=3e-3), tmp_path / "run", CPU, ProcessGroup(), batch=2
        ).eval()  # fmt: skip
        usual = np.nanmean(learn.boxes, axis=0)
        ours, trivial = [], []
        for row, found in enumerate(detect(model, held.images, threshold=0.2)):
            boxes = [np.array(detection.box) for detection in found]
            for column in range(len(held.joints)):
                true = held.boxes[row, column]
                trivial.append(overlap(usual[column], true))
                ours.append(max((overlap(box, true) for box in boxes), default=0.0))
        assert np.mean(ours) > np.mean(trivial) + 0.15, (np.mean(ours), np.mean(trivial))

    @pytest.mark.slow
    def test_the_refiner_soon_adapts_to_another_size_of_boxes(self, drawn: HandSamples, tmp_path: Path) -> None:
        """Adapt the detector that comes with ratui to raters whose boxes are a quarter larger."""
        middle = (drawn.boxes[..., :2] + drawn.boxes[..., 2:]) / 2
        half = (drawn.boxes[..., 2:] - drawn.boxes[..., :2]) / 2 * 1.25
        larger = replace(drawn, boxes=np.concatenate([middle - half, middle + half], axis=2))
        learn, held = split_validation(larger, 0.2)
        generator = torch.Generator().manual_seed(0)
        seen = make_joint_crops(held, list(range(len(held.images))) * 2, generator)
        placed = torch.isfinite(seen.moves).all(dim=1)

        def off(model: JointDetector) -> float:
            with torch.inference_mode():
                return float((model.detail(seen.crops).moves - seen.moves)[placed, 2].mean())

        before = load_detector(SHIPPED, CPU)
        plan = TrainingPlan(epochs=5, rate=1e-3)
        after = fit_detector(
            [learn], [], plan, tmp_path / "run", CPU, ProcessGroup(), batch=6, weights=SHIPPED, refiner_only=True
        )
        assert off(before) < -0.05, "ratui's own boxes are smaller"
        assert abs(off(after)) < 0.5 * abs(off(before)), (off(after), off(before))
        for name, weight in before.ssd.state_dict().items():
            assert torch.equal(after.ssd.state_dict()[name], weight), f"{name}: only the second look was to learn"

    def test_training_the_refiner_alone_needs_a_detector(self, drawn: HandSamples, tmp_path: Path) -> None:
        with pytest.raises(TrainError, match="shipped"):
            fit_detector([drawn], [], TrainingPlan(epochs=1), tmp_path, CPU, ProcessGroup(), batch=6, refiner_only=True)


def make_joint_crops(samples: HandSamples, rows: list[int], generator: torch.Generator) -> JointCrops:
    images = torch.from_numpy(np.stack([samples.images[row] for row in rows]))[:, None].float() / 255
    boxes, findings = torch.from_numpy(samples.boxes[rows]), torch.from_numpy(samples.findings[rows])
    return draw_joint_crops(images, boxes, findings, torch.from_numpy(samples.kinds), generator)


def dots(
    boxes: np.ndarray, kinds: np.ndarray, shape: tuple[int, int] = (FINE_SIZE, FINE_SIZE), *, rings: bool = False
) -> np.ndarray:  # fmt: skip
    """Draw a disc at the centre of each box (pixels), a quarter as wide; knuckles may be rings."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    picture = np.zeros(shape, np.float32)
    for box, kind in zip(boxes, kinds, strict=True):
        if np.isfinite(box).all():
            off = np.hypot(x - (box[0] + box[2]) / 2, y - (box[1] + box[3]) / 2)
            wide = (box[2] - box[0]) / 8
            picture[(off < wide) & (off >= wide / 2 * (rings and kind == 1))] = 1.0
    return picture


class TestAugmentation:
    def test_boxes_move_with_the_picture(self, drawn: HandSamples, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("trainer.data.augmentation._vary_exposure", lambda images, noise, draws: images)
        boxes = torch.from_numpy(drawn.boxes[:6])
        images = torch.from_numpy(np.stack([dots(box.numpy() * 3, drawn.kinds) for box in boxes]))[:, None]
        moved, placed = augment_hands(downsample(images), boxes, torch.Generator().manual_seed(3))
        seen = 0
        for image, hand in zip(moved, placed, strict=True):
            for x0, y0, x1, y1 in hand[torch.isfinite(hand).all(dim=1)].tolist():
                x, y = int((x0 + x1) / 2), int((y0 + y1) / 2)
                assert image[0, y, x] > 0.25, "the middle of the box shows the middle of the joint"
                seen += 1
        assert seen > 30

    def test_a_crop_gives_the_offset_of_its_joint(self, drawn: HandSamples, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("trainer.models.refiner._vary_exposure", lambda crops, noise, draws: crops)
        boxes = torch.from_numpy(drawn.boxes[:4])
        images = torch.from_numpy(np.stack([dots(box.numpy() * 3, drawn.kinds) for box in boxes]))[:, None]
        joint_crops = draw_joint_crops(
            images, boxes, torch.zeros(boxes.shape[:2]), torch.from_numpy(drawn.kinds), torch.Generator().manual_seed(5)
        )
        placed = torch.isfinite(joint_crops.moves).all(dim=1)
        assert placed.sum() == 16
        for crop, move in zip(joint_crops.crops[placed], joint_crops.moves[placed], strict=True):
            x, y = ((move[:2] * 2 / 1.5 + 1) / 2 * 80).long().tolist()
            assert crop[0, y, x] > 0.5, "where the joint is said to lie, it lies"
        assert (joint_crops.kinds[~placed] <= 0).all()

    def test_joints_with_a_finding_come_more_often(self, drawn: HandSamples) -> None:
        boxes = torch.from_numpy(drawn.boxes[:1]).repeat(200, 1, 1)
        findings = torch.zeros(200, 10)
        findings[:, 3] = 1
        joint_crops = draw_joint_crops(
            torch.zeros(200, 1, FINE_SIZE, FINE_SIZE),
            boxes,
            findings,
            torch.from_numpy(drawn.kinds),
            torch.Generator().manual_seed(0),
        )
        seen = float((joint_crops.findings.reshape(200, -1) == 1).any(dim=1).float().mean())
        assert seen > 0.5, "by chance it would be 0.28: four joints of ten, seven in ten of them near enough to tell"

    def test_an_unknown_finding_teaches_nothing(self) -> None:
        near = Refiner()
        crops = torch.rand(3, 1, 80, 80)
        nothing = torch.full((3,), torch.nan)
        joint_crops = JointCrops(crops, nothing[:, None].expand(-1, 3), nothing, torch.full((3,), -1))
        loss = refiner_loss(near(crops), joint_crops)
        loss.backward()
        assert float(loss.detach()) == 0.0
        assert all(p.grad is not None and not p.grad.any() for p in near.parameters())

    def test_the_loss_is_a_mean_over_the_crops_with_a_known_target(self) -> None:
        draw = torch.Generator().manual_seed(0)
        seen = RefinerOutput(*(torch.randn(6, *shape, generator=draw) for shape in ((3,), (), (3,))))
        moves, findings = torch.randn(6, 3, generator=draw) * 0.1, torch.tensor([1.0, 0, torch.nan, 1, torch.nan, 0])
        moves[1] = torch.nan
        kinds = torch.tensor([0, 1, 2, -1, 2, -1])
        placed, judged, named = (torch.tensor(rows) for rows in ([0, 2, 3, 4, 5], [0, 1, 3, 5], [0, 1, 2, 4]))
        wanted = 8 * smooth_l1_loss(seen.moves[placed], moves[placed], beta=0.05)
        wanted += binary_cross_entropy_with_logits(seen.finding[judged], findings[judged])
        wanted += 0.5 * cross_entropy(seen.kind[named], kinds[named])
        torch.testing.assert_close(refiner_loss(seen, JointCrops(torch.empty(6, 1), moves, findings, kinds)), wanted)

    def test_the_refiner_crops_the_same_place(self) -> None:
        image = torch.rand(1, 1, FINE_SIZE, FINE_SIZE)
        crop = crop_joints(image, torch.tensor([[[100.0, 120.0]]]), torch.tensor([[80 / 1.5 / 3]]))
        x, y = 100 * 3 - 40, 120 * 3 - 40
        assert torch.allclose(crop[0, 0], image[0, 0, y : y + 80, x : x + 80], atol=1e-3)


class TestThreshold:
    @pytest.mark.parametrize("seed", range(5))
    def test_joints_without_a_finding_stay_below_it(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        true = rng.random(2000) < 0.06
        said = np.clip(rng.normal(np.where(true, 0.7, 0.2), 0.15), 0, 1)
        threshold = pick_threshold(said, true)
        assert (said[~true] < threshold).mean() >= 0.993
        assert (said[true] >= threshold).mean() > 0.5

    @pytest.mark.parametrize("true", [[False] * 4, [True] * 4, []])
    def test_without_findings_it_is_one_half(self, true: list[bool]) -> None:
        assert pick_threshold(np.linspace(0, 1, len(true)), np.array(true, bool)) == 0.5

    def test_it_is_stored_with_the_weights_and_follows_the_model(self, tmp_path: Path) -> None:
        torch.manual_seed(1)
        model = JointDetector().eval()
        image = np.random.default_rng(0).integers(0, 255, (1, FINE_SIZE, FINE_SIZE)).astype(np.uint8)
        before = detect(model, image, threshold=0.0)[0]
        assert before
        model.threshold.fill_(0.9)
        save_checkpoint(tmp_path / "model.pt", {"model": model.state_dict(), "about": {"backbone": "small"}})
        again = build_detector(tmp_path / "model.pt").eval()
        after = detect(again, image, threshold=0.0)[0]
        for one, other in zip(before, after, strict=True):
            assert one.candidate == other.candidate
            assert (other.finding >= 0.5) == (one.finding >= 0.9)


class TestSizes:
    def hand(self, sizes: list[float]) -> FoundHand:
        joints = ("PIP2", "PIP3", "PIP4", "MCP2", "MCP3", "MCP4")
        return FoundHand(
            "L",
            {j: Detection(Candidate(0, 0, size, j[:3], 0.9), 0.0) for j, size in zip(joints, sizes, strict=True)},
            0.0,
        )

    def test_boxes_are_as_uniform_as_those_of_the_training(self) -> None:
        model = JointDetector()
        model.habit.copy_(torch.tensor([float(np.log(1.25)), 0.0]))
        even = _even_out_sizes(model, self.hand([20.0, 21.0, 19.0, 25.0, 24.0, 27.0]))
        assert [round(d.candidate.size, 3) for d in even.joints.values()] == [20.0] * 3 + [25.0] * 3

    def test_boxes_that_differ_by_joint_keep_their_sizes(self) -> None:
        model = JointDetector()
        model.habit.copy_(torch.tensor([0.2, 5.0]))
        sizes = [20.0, 30.0, 15.0, 25.0, 24.0, 40.0]
        kept = _even_out_sizes(model, self.hand(sizes))
        assert [d.candidate.size for d in kept.joints.values()] == pytest.approx(sizes, rel=1e-3)

    def test_the_uniformity_is_estimated_from_the_boxes(self, drawn: HandSamples) -> None:
        larger, strays = measure_box_sizes([drawn])
        assert larger == pytest.approx(np.log(21 / 17), abs=1e-3)
        assert strays < 1e-3
        rng = np.random.default_rng(0)
        half = (drawn.boxes[..., 2:] - drawn.boxes[..., :2]) / 2 * np.exp(rng.normal(0, 0.1, (36, 10, 1)))
        middle = (drawn.boxes[..., 2:] + drawn.boxes[..., :2]) / 2
        uneven = replace(drawn, boxes=np.concatenate([middle - half, middle + half], axis=2).astype(np.float32))
        assert measure_box_sizes([uneven])[1] == pytest.approx(0.1, rel=0.2)


class TestBackbones:
    @pytest.mark.parametrize("name", ["small", "ssdlite", pytest.param("ssd300-vgg16", marks=pytest.mark.slow)])
    def test_each_takes_a_step_and_is_restored_from_a_file(self, name: str, tmp_path: Path) -> None:
        torch.manual_seed(0)
        model = JointDetector(name)
        boxes = torch.tensor([[100.0, 100, 120, 120], [200, 150, 224, 174]])
        targets = boxes.expand(2, -1, -1), torch.tensor([1, 2]).expand(2, -1)
        nothing = torch.full((2,), torch.nan)
        joint_crops = JointCrops(
            torch.rand(2, 1, 80, 80), nothing[:, None].expand(-1, 3), nothing, torch.tensor([1, 2])
        )
        model(torch.rand(2, 1, COARSE_SIZE, COARSE_SIZE), targets, joint_crops).backward()
        assert all(p.grad is not None for p in model.ssd.parameters())
        save_checkpoint(tmp_path / "model.pt", {"model": model.state_dict(), "about": {"backbone": name}})
        again = build_detector(tmp_path / "model.pt")
        assert again.backbone_name == name
        image = np.zeros((1, FINE_SIZE, FINE_SIZE), np.uint8)
        assert isinstance(detect(again.eval(), image)[0], list)

    def test_weights_of_a_whole_ssd_of_torchvision_start_the_backbone(self, tmp_path: Path) -> None:
        from torchvision.models.detection import ssdlite320_mobilenet_v3_large

        theirs = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=91).state_dict()
        torch.save(theirs, tmp_path / "theirs.pth")
        model = build_detector(tmp_path / "theirs.pth", "ssdlite").ssd.state_dict()
        assert all(torch.equal(model[key], value) for key, value in theirs.items() if key.startswith("backbone."))
        head = [key for key in theirs if "classification_head" in key and theirs[key].shape != model[key].shape]
        assert head, "its classes are others, and so that head is drawn anew"

    def test_weights_of_another_backbone_are_refused(self, tmp_path: Path) -> None:
        torch.save(build_ssd("small").state_dict(), tmp_path / "small.pth")
        with pytest.raises(TrainError, match="only 0% of the backbone"):
            build_detector(tmp_path / "small.pth", "ssdlite")

    @pytest.mark.parametrize("content", [b"", b"no weights", [1, 2], {"a": 1}])
    def test_an_invalid_file_of_weights_is_rejected(self, tmp_path: Path, content: object) -> None:
        path = tmp_path / "w.pth"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        with pytest.raises(TrainError):
            build_detector(path, "ssdlite")
        with pytest.raises(TrainError, match="no such file"):
            build_detector(tmp_path / "none.pth", "ssdlite")

    def test_an_unknown_one_is_refused(self) -> None:
        with pytest.raises(TrainError, match="no backbone named resnet"):
            JointDetector("resnet")


class TestFindingHands:
    def picture(self, side: str, **how: bool) -> tuple[np.ndarray, Mapping[str, tuple[float, float, float, float]]]:
        patient = simulate_patient(np.random.default_rng(8), SCHEME, severity=0.3)
        shape = (700, 1140) if side == "B" else (700, 560)
        film = render(patient, side, 0, np.random.default_rng(9), size=shape, **how)  # type: ignore[arg-type]
        kinds = np.array([int("MCP" in site) for site in film.boxes])
        return dots(np.array(list(film.boxes.values())), kinds, shape, rings=True), film.boxes

    def right(self, hand: FoundHand, boxes: Mapping[str, tuple[float, float, float, float]]) -> None:
        assert len(hand.joints) == 10
        for joint, found in hand.joints.items():
            x0, y0, x1, y1 = boxes[f"{hand.side}.{joint}"]
            assert (found.candidate.x, found.candidate.y) == pytest.approx(((x0 + x1) / 2, (y0 + y1) / 2), abs=1.2)

    @pytest.mark.parametrize("side", ["L", "R"])
    def test_one_hand_of_either_side(self, side: str) -> None:
        levels, boxes = self.picture(side)
        (hand,) = find_hands(DotDetector(), levels, SCHEME)
        assert hand.side == side
        self.right(hand, boxes)

    @pytest.mark.parametrize("left_first", [True, False])
    def test_both_hands_in_either_order(self, left_first: bool) -> None:
        levels, boxes = self.picture("B", left_first=left_first)
        hands = find_hands(DotDetector(), levels, SCHEME, max_hands=2)
        assert sorted(hand.side for hand in hands) == ["L", "R"]
        for hand in hands:
            self.right(hand, boxes)

    def test_an_empty_film_shows_none(self) -> None:
        assert find_hands(DotDetector(), np.zeros((300, 200), np.float32), SCHEME) == []


def test_a_film_of_one_hand_is_of_the_side_that_its_record_says() -> None:
    left, right = FoundHand("L", {}, 0.0), FoundHand("R", {}, 0.0)
    one = FilmRecord("f", 0, "L", "hand", 100, 80)
    assert _by_side(one, [right]) == {"L": right}
    assert _by_side(one, []) == {"L": None}
    assert _by_side(replace(one, side="B"), [right, left]) == {"L": left, "R": right}
    assert _by_side(replace(one, side="B"), [right]) == {"L": None, "R": right}


def test_films_of_both_hands_give_two_hands_to_learn_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_films_in_this_process(monkeypatch)
    what = Simulation(2, {"ada": "mixed"}, size=(400, 330), seed=3, both_hands_share=1.0)
    study = simulate_study(tmp_path / "s", what, key=tmp_path / "k.json", progress=lambda *_: None).study
    samples = load_hand_samples(study, study.cases(), tmp_path, lambda *_: None)
    assert samples.sides == ("L", "R") * 4
    regions = {(r.site, r.film): r.box for case in study.cases() for r in study.regions(case)}
    for row, frame in enumerate(samples.frames):
        for column, joint in enumerate(samples.joints):
            back = frame.to_film(Box(*samples.boxes[row, column].tolist()))
            assert back == pytest.approx(regions[f"{samples.sides[row]}.{joint}", samples.films[row]], abs=0.05)


def test_levels_have_bone_bright_whatever_the_film_stores() -> None:
    pixels = np.arange(64, dtype=np.uint16).reshape(8, 8)
    area = Box(0.0, 0.0, 8.0, 8.0)
    assert np.allclose(
        normalise_levels(Film(pixels, 12), area), 1 - normalise_levels(Film(pixels, 12, is_inverted=True), area)
    )
