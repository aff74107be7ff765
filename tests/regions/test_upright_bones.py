"""The expected direction of the proximal bone of a joint, from the boxes of the joints around it."""

from __future__ import annotations

import numpy as np
import pytest

from ratui.imaging import Box, make_rotation
from ratui.regions.upright_bones import expect_bone

HAND = {
    "MCP2": (132.3, 144.8),
    "MCP3": (108.7, 145.5),
    "MCP4": (87.9, 156.0),
    "MCP5": (71.0, 173.2),
    "MCP1": (161.5, 181.8),
}
HAND |= {"PIP2": (126.0, 104.0), "IP1": (181.0, 160.5)}


def boxes(degrees: float = 0.0, side: str = "L", scale: float = 5.0) -> dict[str, Box]:
    """Return boxes of a hand that is turned clockwise by `degrees`; its thumb is at the right if it is a left one."""
    turned = make_rotation(degrees, (100.0, 150.0))
    placed = {name: turned @ [200.0 - x if side == "R" else x, y, 1.0] for name, (x, y) in HAND.items()}
    return {name: Box.from_centre(float(x) * scale, float(y) * scale, 20.0 * scale) for name, (x, y) in placed.items()}


def direction(base: tuple[float, float], head: tuple[float, float]) -> float:
    return float(np.degrees(np.arctan2(head[0] - base[0], base[1] - head[1])))


@pytest.mark.parametrize("side", ["L", "R"])
@pytest.mark.parametrize("degrees", [0.0, 35.0, -80.0])
def test_directions_follow_the_hand(side: str, degrees: float) -> None:
    sign = 1 if side == "L" else -1
    for joint, base in (
        ("PIP2", HAND["MCP2"]),
        ("IP1", HAND["MCP1"]),
        ("MCP5", (94.1, 216.0)),
        ("MCP1", (139.5, 221.0)),
    ):
        found = expect_bone(joint, side, boxes(degrees, side))
        assert found is not None
        wanted = sign * direction(base, HAND[joint]) + degrees
        assert (found.angle - wanted + 180) % 360 - 180 == pytest.approx(0.0, abs=0.1)


def test_the_thumb_is_found_where_it_is() -> None:
    placed = boxes()
    bent = placed | {"MCP1": placed["MCP1"].shift(60, 60)}
    found, before = expect_bone("MCP1", "L", bent), expect_bone("MCP1", "L", placed)
    assert found is not None
    assert before is not None
    assert found.angle > before.angle + 5
    assert found.reach > 15, "the base was only estimated"


def test_the_shaft_ends_before_the_next_joint() -> None:
    found = expect_bone("PIP2", "L", boxes())
    assert found is not None
    length = np.hypot(HAND["PIP2"][0] - HAND["MCP2"][0], HAND["PIP2"][1] - HAND["MCP2"][1]) / 20.0
    assert found.along[1] <= length
    near = {"PIP2": Box(0, 0, 100, 100), "MCP2": Box(0, 90, 100, 190)}
    short = expect_bone("PIP2", "L", near)
    assert short is not None
    assert 0.2 < short.along[1] - short.along[0] < 0.6


def test_with_fewer_boxes_less_is_known() -> None:
    placed = boxes(20.0)
    alone = expect_bone("PIP2", "L", {"PIP2": placed["PIP2"]})
    finger = expect_bone("MCP2", "L", {name: placed[name] for name in ("MCP2", "PIP2")})
    hand = expect_bone("MCP2", "L", placed)
    between = expect_bone("PIP2", "L", placed)
    assert alone
    assert finger
    assert hand
    assert between
    assert alone.reach > finger.reach > hand.reach > between.reach
    assert alone.angle == 0.0
    assert finger.angle == pytest.approx(direction(HAND["MCP2"], HAND["PIP2"]) + 20.0, abs=0.1)


def test_toes_are_found_too() -> None:
    toes = {"MTP1": (126.1, 82.2), "MTP2": (100.6, 77.1), "MTP3": (84.6, 79.9), "FIP1": (120.0, 52.0)}
    placed = {name: Box.from_centre(4 * x, 4 * y, 80) for name, (x, y) in toes.items()}
    found, big = expect_bone("MTP2", "L", placed), expect_bone("FIP1", "L", placed)
    assert found
    assert big
    assert found.angle == pytest.approx(direction((102.6, 151.6), toes["MTP2"]), abs=0.2)
    assert big.angle == pytest.approx(direction(toes["MTP1"], toes["FIP1"]), abs=0.1)


def test_pixels_that_are_not_square_do_not_change_the_direction() -> None:
    flat = {name: box.scale(1.0, 1 / 0.7) for name, box in boxes(30.0).items()}
    for joint in ("PIP2", "MCP4"):
        found, wanted = expect_bone(joint, "L", flat, 0.7), expect_bone(joint, "L", boxes(30.0))
        assert found
        assert wanted
        assert found.angle == pytest.approx(wanted.angle, abs=0.1)


@pytest.mark.parametrize("joint", ["RC", "CMC3", "NAV", "KNEE"])
def test_a_joint_without_a_long_bone_has_none(joint: str) -> None:
    placed = boxes()
    assert expect_bone(joint, "L", placed | {joint: placed["MCP3"]}) is None
    assert expect_bone("MCP3", "L", {}) is None
