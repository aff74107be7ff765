"""A measurement that needs no images of bones: the difference of the mean grey levels in two boxes."""

from __future__ import annotations

from dataclasses import dataclass, field

from ratui.imaging import Box, Film

__all__ = ["FakeChange", "FakeMeasure", "failing_joint_space_change", "fake_joint_space_change"]


@dataclass(frozen=True)
class FakeChange:
    """A result with the fields of `ratui.imaging.JointSpaceChange`."""

    pixels: float
    mm: float | None
    sd: float
    confidence: float
    is_reliable: bool
    reason: str = ""


def fake_joint_space_change(film_a: Film, box_a: Box, film_b: Film, box_b: Box) -> FakeChange:
    """Return the difference of the mean grey levels as pixels, exactly negated for exchanged films."""
    levels = [
        float(film.pixels[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)].mean())
        for film, box in ((film_a, box_a), (film_b, box_b))
    ]
    change = (levels[1] - levels[0]) / 1000
    return FakeChange(change, 0.8 * change, 0.05, 0.9, is_reliable=True)


def failing_joint_space_change(film_a: Film, box_a: Box, film_b: Film, box_b: Box) -> FakeChange:
    """Return `fake_joint_space_change`, but no value for some of the boxes."""
    if int(box_a.x0 * 7) % 5 + int(box_b.x0 * 7) % 5 > 6:
        return FakeChange(float("nan"), None, float("nan"), 0.1, is_reliable=False, reason="bones")
    return fake_joint_space_change(film_a, box_a, film_b, box_b)


@dataclass
class FakeMeasure:
    """Calls `fake_joint_space_change`, counts the calls, and can end like an interrupt after some of them."""

    interrupt_after: int = 10**9
    calls: list[tuple[Box, Box]] = field(default_factory=list)

    def __call__(self, film_a: Film, box_a: Box, film_b: Film, box_b: Box) -> FakeChange:
        """Measure two films."""
        if len(self.calls) >= self.interrupt_after:
            raise KeyboardInterrupt
        self.calls.append((box_a, box_b))
        return fake_joint_space_change(film_a, box_a, film_b, box_b)
