"""The augmentation of hands and of pairs against the same transforms in NumPy, with the same random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates, uniform_filter
from torch import Tensor

from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE
from trainer.data import augmentation, pair_augmentation
from trainer.data.augmentation import augment_hands, downsample
from trainer.data.joint_styles import STYLE, list_style_ranges, vary_style
from trainer.data.pair_augmentation import augment_pairs
from trainer.data.random_draws import Ranges, draw_noise
from trainer.models import refiner

COUNT, SIDE = 48, 32
CPU = torch.device("cpu")


class Uniform:
    """Random numbers from 0 to 1 that a test reads again in the order of the draws."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(4)
        self.draws: list[np.ndarray] = []

    def draw(self, ranges: Ranges, count: int = COUNT, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Take the place of `draw_uniform`."""
        drawn = {}
        for name, (low, high, *shape) in ranges.items():
            self.draws.append(self.rng.random((count, *map(int, shape))))
            drawn[name] = torch.from_numpy(self.draws[-1]) * (high - low) + low
        return drawn

    def read(self) -> Callable[..., Any]:
        """Return a function that takes the next draw, scales it from `low` to `high`, and returns that of one image."""
        draws: Iterator[np.ndarray] = iter(self.draws)

        def take(low: float, high: float) -> np.ndarray:
            return np.squeeze(next(draws)) * (high - low) + low

        return take


def make_images(count: int = COUNT, side: int = SIDE) -> np.ndarray:
    return uniform_filter(np.random.default_rng(1).random((count, side, side)), (0, 3, 3))


def places(side: int) -> np.ndarray:
    """Return the centres of the pixels, (side · side, 2) as x and y, where the image reaches from −1 to 1."""
    line = (np.arange(side) + 0.5) * 2 / side - 1
    return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def sample(image: np.ndarray, at: np.ndarray, mode: str) -> np.ndarray:
    """Return the image at these places by linear interpolation."""
    x, y = ((at + 1) * len(image) / 2 - 0.5).T
    return np.asarray(map_coordinates(image, [y, x], order=1, mode=mode, prefilter=False))


def test_hands_and_boxes_are_turned_scaled_moved_and_mirrored_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    uniform = Uniform()
    monkeypatch.setattr(augmentation, "draw_uniform", uniform.draw)
    monkeypatch.setattr(augmentation, "_collimate", lambda images, boxes, r: images)
    monkeypatch.setattr(augmentation, "_vary_exposure", lambda images, noise, r: images)
    images, rng = make_images(), np.random.default_rng(2)
    corner, size = rng.uniform(-4, SIDE, (COUNT, 5, 2)), rng.uniform(2, 12, (COUNT, 5, 2))
    boxes = np.concatenate([corner, corner + size], axis=2)
    boxes[:, 4] = np.nan
    moved, placed = augment_hands(torch.from_numpy(images)[:, None], torch.from_numpy(boxes), torch.Generator())
    read = uniform.read()
    far = read(0, 1) < 0.35
    angle, usual = read(-0.8, 0.8), read(-0.25, 0.25)
    angle = np.where(far, angle, usual)
    scale, usual = read(-0.9, 0.35), read(-0.22, 0.2)
    scale = np.exp(np.where(far, scale, usual))
    shift = read(-1, 1) * (np.maximum(1 - scale, 0) * 0.75 + 0.12)[:, None]
    flip = np.where(read(0, 1) < 0.5, -1, 1)
    ground, level = read(0, 1), read(0, 1)
    ground = np.where(ground < 0.75, 0, level)
    seen = 0
    for n in range(COUNT):
        cos, sin = np.cos(angle[n]), np.sin(angle[n])
        turn = scale[n] * np.array([[cos, -sin], [sin, cos]]) @ np.diag([flip[n], 1])
        before = (places(SIDE) - shift[n]) @ np.linalg.inv(turn).T
        wanted = sample(images[n] - ground[n], before, "grid-constant") + ground[n]
        assert moved[n, 0].numpy().ravel() == pytest.approx(wanted, abs=1e-6)
        for (x0, y0, x1, y1), found in zip(boxes[n], placed[n].numpy(), strict=True):
            middle = turn @ (np.array([x0 + x1, y0 + y1]) / SIDE - 1) + shift[n]
            middle = (middle + 1) * SIDE / 2
            half = np.array([x1 - x0, y1 - y0]) / 2 * scale[n]
            if np.isnan(x0) or middle.min() < 4 or middle.max() > SIDE - 4:
                assert np.isnan(found).all()
                continue
            seen += 1
            assert found == pytest.approx(np.clip([*(middle - half), *(middle + half)], 0, SIDE), abs=1e-4)
    assert seen > COUNT


def test_collimators_cover_a_third_of_the_hands_and_no_joint() -> None:
    uniform, images = Uniform(), make_images() * 0.01 + 0.5
    rng = np.random.default_rng(3)
    # A box in the middle of each image, some of them near to its border, and a joint that is not on the film.
    corner = rng.uniform(0, SIDE / 2, (COUNT, 2))
    boxes = np.stack([np.concatenate([corner, rng.uniform(SIDE / 2, SIDE, (COUNT, 2))], axis=1)] * 2, axis=1)
    boxes[:, 1] = np.nan
    found = augmentation._collimate(
        torch.from_numpy(images)[:, None], torch.from_numpy(boxes), uniform.draw(augmentation._BORDERS)
    )
    read = uniform.read()
    wide, wanted = read(-0.06, 0.14) * SIDE, read(0, 1) < 0.35
    is_dark, dark, bright = read(0, 1) < 0.8, read(0, 0.12), read(0.7, 1)
    line = np.arange(SIDE) + 0.5
    covered = 0
    for n in range(COUNT):
        left, top, right, bottom = wide[n] if wanted[n] else [-1] * 4
        x0, y0, x1, y1 = boxes[n, 0]
        across = (line > min(left, x0 - 3)) & (line < max(SIDE - right, x1 + 3))
        down = (line > min(top, y0 - 3)) & (line < max(SIDE - bottom, y1 + 3))
        expected = np.where(down[:, None] & across, images[n], dark[n] if is_dark[n] else bright[n])
        assert found[n, 0].numpy() == pytest.approx(expected)
        covered += not (down.all() and across.all())
    assert covered > 4


def test_a_hand_without_a_box_may_be_covered_at_each_side() -> None:
    images, boxes = torch.full((COUNT, 1, SIDE, SIDE), 0.5), torch.full((COUNT, 2, 4), torch.nan)
    draws = {
        name: torch.full((COUNT, *map(int, shape)), high * 0.3)
        for name, (_, high, *shape) in augmentation._BORDERS.items()
    }
    found = augmentation._collimate(images, boxes, draws)
    line = np.arange(SIDE) + 0.5
    inside = (line > 0.14 * 0.3 * SIDE) & (line < SIDE - 0.14 * 0.3 * SIDE)
    assert ((found[0, 0] == 0.5).numpy() == (inside[:, None] & inside)).all()


def test_exposures_differ_by_gamma_contrast_haze_blur_noise_and_polarity() -> None:
    uniform, images = Uniform(), make_images() * 4 - 1.5
    assert images.min() < 0
    assert images.max() > 1.5
    noise = np.random.default_rng(5).normal(size=(COUNT, SIDE, SIDE))
    draws = uniform.draw({**augmentation._EXPOSURE, **augmentation._NOISE})
    found = augmentation._vary_exposure(torch.from_numpy(images)[:, None], torch.from_numpy(noise)[:, None], draws)
    read = uniform.read()
    gamma, down, across = np.exp(read(-0.7, 0.7)), read(-0.12, 0.12), read(-0.12, 0.12)
    contrast, offset, blur, strength = read(0.55, 1.2), read(-0.1, 0.2), read(-0.7, 1.0), read(0.0, 1.0)
    inverted = read(0, 1) < 0.08
    assert 0 < inverted.sum() < COUNT
    line = np.linspace(-1, 1, SIDE)
    inside = uniform_filter(np.ones((SIDE, SIDE)), 3, mode="constant")
    for n in range(COUNT):
        picture = np.clip(images[n], 1e-4, 1) ** gamma[n] * contrast[n] + offset[n]
        picture += down[n] * line[:, None] + across[n] * line
        mean = uniform_filter(picture, 3, mode="constant") / inside  # of the neighbours inside of the image
        picture += blur[n] * (mean - picture)
        picture = np.clip(picture + noise[n] * strength[n] ** 2 * 0.07, 0, 1)
        assert found[n, 0].numpy() == pytest.approx(1 - picture if inverted[n] else picture, abs=1e-6)


def test_hands_are_moved_first_then_covered_then_exposed(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    for name in ("_collimate", "_vary_exposure"):
        monkeypatch.setattr(augmentation, name, lambda images, *_, name=name: steps.append(name) or images)
    augment_hands(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 4), torch.Generator())
    assert steps == ["_collimate", "_vary_exposure"]


def test_the_noise_of_hands_is_drawn_between_the_other_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    noise = torch.rand(3, 1, 8, 8)
    monkeypatch.setattr(augmentation, "draw_noise", lambda *asked: given.append(asked) or noise)
    monkeypatch.setattr(augmentation, "_vary_exposure", lambda images, noise, r: (given.append((noise, r)), images)[1])
    one, two = (torch.Generator().manual_seed(7) for _ in range(2))
    augment_hands(torch.zeros(3, 1, 8, 8), torch.zeros(3, 1, 4), one)
    asked, (used, drawn) = given  # type: ignore[misc]
    assert asked == ((3, 1, 8, 8), one, CPU)
    assert used is noise
    for name, (low, high, *shape) in {
        **augmentation._POSE,
        **augmentation._BORDERS,
        **augmentation._EXPOSURE,
        **augmentation._NOISE,
    }.items():
        assert torch.equal(drawn[name], torch.rand(3, *map(int, shape), generator=two) * (high - low) + low)


def test_noise_on_a_cpu_is_that_of_the_generator() -> None:
    one, two = (torch.Generator().manual_seed(7) for _ in range(2))
    assert torch.equal(draw_noise((2, 3), one, CPU), torch.randn(2, 3, generator=two))


def test_noise_on_a_gpu_is_that_of_a_seed_of_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    make, randn, gpu = torch.Generator, torch.randn, torch.device("cuda")
    one, two = (make().manual_seed(7) for _ in range(2))
    with monkeypatch.context() as patch:  # a generator of the CPU takes the place of one of the GPU
        patch.setattr(torch, "Generator", lambda device: asked.append(device) or make())
        patch.setattr(
            torch, "randn", lambda *shape, generator, device: asked.append(device) or randn(*shape, generator=generator)
        )
        noise = draw_noise((2, 3), one, gpu)
    seed = int(torch.randint(2**62, (1,), generator=two))
    assert asked == [gpu, gpu]
    assert torch.equal(noise, torch.randn(2, 3, generator=make().manual_seed(seed)))


def test_a_coarse_image_has_the_means_of_the_fine_one() -> None:
    fine = np.random.default_rng(0).random((1, FINE_SIZE, FINE_SIZE)).astype(np.float32)
    means = fine.reshape(1, COARSE_SIZE, 3, COARSE_SIZE, 3).mean(axis=(2, 4))
    assert np.allclose(downsample(torch.from_numpy(fine)[None])[0], means, atol=1e-6)


@pytest.mark.parametrize("side", [None, 12])
def test_both_crops_of_a_pair_are_moved_and_get_noise_as_documented(
    monkeypatch: pytest.MonkeyPatch, side: int | None
) -> None:
    uniform, whole = Uniform(), 16
    given: list[Any] = []
    monkeypatch.setattr(pair_augmentation, "draw_uniform", uniform.draw)
    monkeypatch.setattr(pair_augmentation, "vary_style", lambda *args: given.append(args) or args[0].clone())
    crops = make_images(2 * COUNT, whole).reshape(COUNT, 2, whole, whole)
    found = augment_pairs(torch.from_numpy(crops), torch.Generator().manual_seed(9), side=side)
    side = side or whole
    own = torch.Generator().manual_seed(int(torch.randint(2**62, (1,), generator=torch.Generator().manual_seed(9))))
    texture = torch.randn(COUNT, 3, side // 2, side // 2, generator=own).numpy()
    noise = torch.randn(COUNT, 2, side, side, generator=own).numpy()
    read = uniform.read()
    angle = read(-0.25, 0.25)[:, None] + read(-0.06, 0.06)
    scale = np.exp(read(-0.12, 0.12)[:, None] + read(-0.04, 0.04))
    shift = read(-0.05, 0.05)[:, None] + read(-0.03, 0.03)
    flip = np.where(read(0, 1) < 0.5, -1, 1)
    shared = {name: read(low, high) for name, (low, high) in STYLE.items()}
    of_film = {name: read(*(0.3 * (high - low) / 2 * np.array([-1, 1]))) for name, (low, high) in STYLE.items()}
    strength = 0.22 * (read(0, 1)[:, None] ** 2 + read(0, 0.4) ** 2)
    ((pictures, style, grain),) = given
    for name in STYLE:
        wanted = shared[name][:, None] + of_film[name]
        assert style[name].numpy() == pytest.approx(wanted.reshape(2 * COUNT, *wanted.shape[2:]), abs=1e-6)
    assert grain.numpy().ravel() == pytest.approx((texture[:, :1] + 0.4 * texture[:, 1:]).ravel(), abs=1e-6)
    for n, time in np.ndindex(COUNT, 2):
        cos, sin = np.cos(angle[n, time]), np.sin(angle[n, time])
        turn = scale[n, time] * np.array([[cos, -sin], [sin, cos]]) @ np.diag([flip[n], 1])
        picture = sample(crops[n, time], places(side) @ turn.T + shift[n, time], "nearest")
        assert pictures[2 * n + time].numpy().ravel() == pytest.approx(picture, abs=1e-6)
        picture = picture + strength[n, time] * picture.std(ddof=1) * noise[n, time].ravel()
        assert found[n, time].numpy().ravel() == pytest.approx(picture, abs=1e-5)


def test_styles_differ_by_gamma_texture_detail_gain_and_haze() -> None:
    uniform, images, rng = Uniform(), make_images() * 2 - 0.5, np.random.default_rng(6)
    assert images.min() < 0
    assert images.max() > 1
    texture = rng.normal(size=(COUNT, SIDE // 2, SIDE // 2))
    draws = uniform.draw(list_style_ranges())
    found = vary_style(torch.from_numpy(images)[:, None], draws, torch.from_numpy(texture)[:, None])
    read = uniform.read()
    gamma, fine, middle, low = (np.exp(read(*STYLE[name])) for name in ("gamma", "fine", "middle", "low"))
    haze, gain, amount = (read(*STYLE[name]) for name in ("haze", "gain", "texture"))

    def enlarge(knots: np.ndarray) -> np.ndarray:
        field = torch.from_numpy(knots)[None, None]
        field = torch.nn.functional.interpolate(field, size=(SIDE, SIDE), mode="bicubic", align_corners=True)
        return field[0, 0].numpy()

    def soften(picture: np.ndarray, side: int) -> np.ndarray:
        """Return the means of the neighbours inside of the picture."""
        inside = uniform_filter(np.ones_like(picture), side, mode="constant")
        return np.asarray(uniform_filter(picture, side, mode="constant") / inside)

    for n in range(COUNT):
        picture = np.clip(images[n], 1e-4, 1) ** gamma[n]
        mean, spread = picture.mean(), picture.std(ddof=1)
        grain = 0.5 * texture[n] + 1.5 * uniform_filter(texture[n], 3, mode="constant")
        grain = sample(grain, places(SIDE), "nearest").reshape(SIDE, SIDE)
        picture = picture + picture * grain * 0.45 * amount[n] ** 2 * spread / (mean + 0.02)
        soft = soften(picture, 3)
        softer = soften(soft, 7)
        picture = mean + fine[n] * (picture - soft) + middle[n] * (soft - softer) + low[n] * (softer - mean)
        picture = picture * np.exp(enlarge(gain[n])) + spread * enlarge(haze[n])
        assert found[n, 0].numpy() == pytest.approx(picture, abs=1e-5)


def test_the_styles_of_both_films_are_alike_but_not_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Tensor]] = []
    monkeypatch.setattr(
        pair_augmentation, "vary_style", lambda pictures, style, texture: given.append(style) or pictures
    )
    augment_pairs(torch.rand(200, 2, 8, 8), torch.Generator().manual_seed(0))
    for name, values in given[0].items():
        one, other = values.reshape(200, 2, -1).unbind(dim=1)
        ratio = float((one - other).std() / one.std())
        assert 0.2 < ratio < 0.6, name


def test_crops_of_the_refiner_get_a_style_noise_and_sometimes_the_other_polarity() -> None:
    uniform, hands, each = Uniform(), 8, 6
    crops = torch.from_numpy(make_images(hands * each, 16))[:, None]
    noise, texture = torch.randn(hands * each, 1, 16, 16), torch.randn(hands * each, 1, 8, 8)
    ranges = {**list_style_ranges(each), "noise": (0.0, 1.0, each), "inverted": (0, 1, each)}
    draws = uniform.draw(ranges, hands)
    found = refiner._vary_exposure(crops, (noise, texture), draws)
    styled = vary_style(crops, {name: draws[name].flatten(0, 1) for name in STYLE}, texture)
    strength, inverted = (draws[name].reshape(-1, 1, 1, 1) for name in ("noise", "inverted"))
    wanted = styled + noise * strength**2 * 0.07
    assert torch.allclose(found, torch.where(inverted < 0.06, 1 - wanted, wanted))
    assert 0 < int((inverted < 0.06).sum()) < hands * each
