"""Conversion of bone and soft tissue to grey levels: X-rays, scatter, blur, noise, and the processing of vendors.

`MachineSettings` describe one machine on one day. They are drawn from wide ranges, so that a model trained on many of
them tolerates an unknown machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from ratui.phantom.anatomy import Array
from ratui.phantom.texture import noise

__all__ = ["TOP", "MachineSettings", "draw_machine", "expose", "vary_machine"]

_F = np.float32
TOP = 4095
"""Maximum grey level (12 bits)."""
_REDUCTION = 8  # low-frequency terms are computed on an image reduced by this factor
_STEPS, _REACH = 8192, 1.6  # steps of the response table, and its range relative to a high level of the film
_BLOCK = 64  # rows


@dataclass(frozen=True)
class MachineSettings:
    """Settings of an X-ray machine and its image processing.

    Attributes
    ----------
    flesh, bone
        Levels per mm of soft tissue and of cortical bone.
    base, heel
        Constant level, and coefficients of the heel effect.
    scatter
        Proportion of scattered radiation.
    blur
        Standard deviation of the detector's blur, mm.
    local, wide
        Strength of the local contrast equalization, and its radius in mm.
    edge, fine
        Strength of the edge enhancement, and its radius in mm.
    curve, shape
        Response curve (``knee``, ``sigmoid`` or ``gamma``) and its parameter.
    top
        Level of the brightest parts, relative to the maximum.
    noise_kind, grain
        Kind of `noise`; its amplitude in levels, constant and relative to the signal.
    lines
        Grid lines: strength, period and phase in pixels, and True if vertical.
    """

    flesh: float
    bone: float
    base: float
    heel: tuple[float, float, float]
    scatter: float
    blur: float
    local: float
    wide: float
    edge: float
    fine: float
    curve: str
    shape: float
    top: float
    noise_kind: int
    grain: tuple[float, float]
    lines: tuple[float, float, float, bool]


def draw_machine(rng: np.random.Generator) -> MachineSettings:
    """Draw the settings of a machine."""
    plain = rng.random() < 0.35  # a film or plate without any processing
    curve = str(rng.choice(["knee", "sigmoid", "gamma"], p=[0.55, 0.15, 0.30]))
    shape = {"knee": rng.uniform(0.4, 1.7), "sigmoid": rng.uniform(2.5, 6.5), "gamma": np.exp(rng.normal(-0.3, 0.3))}
    lines = (
        (rng.uniform(1.5, 9.0), rng.uniform(2.6, 9.0), rng.uniform(0, 6.3)) if rng.random() < 0.1 else (0.0, 4.0, 0.0)
    )
    return MachineSettings(
        flesh=float(rng.uniform(9, 34)),
        bone=float(np.exp(rng.normal(np.log(122), 0.28))),
        base=float(rng.uniform(60, 620)),
        heel=tuple(float(v) for v in rng.normal(0, [90, 80, 40])),  # type: ignore[arg-type]
        scatter=float(rng.uniform(0.03, 0.32)),
        blur=float(abs(rng.normal(0.09, 0.07))),
        local=0.0 if plain else float(rng.uniform(0.05, 0.7)),
        wide=float(np.exp(rng.uniform(np.log(3.0), np.log(26.0)))),
        edge=0.0 if plain or rng.random() < 0.35 else float(rng.uniform(0.2, 1.9)),
        fine=float(rng.uniform(0.35, 1.3)),
        curve=curve,
        shape=float(shape[curve]),
        top=float(rng.uniform(0.62, 1.05)),
        noise_kind=int(rng.integers(0, 4)),
        grain=(float(np.exp(rng.normal(np.log(9), 0.6))), float(rng.uniform(0.0, 0.016))),
        lines=(*(float(v) for v in lines), bool(rng.random() < 0.5)),  # type: ignore[arg-type]
    )


def vary_machine(machine: MachineSettings, rng: np.random.Generator) -> MachineSettings:
    """Return the settings of the same machine on another day: other exposure and position, same processing."""
    dose = float(np.exp(rng.normal(0.0, 0.12)))
    return replace(
        machine,
        flesh=machine.flesh * float(np.exp(rng.normal(0.0, 0.06))),
        bone=machine.bone * float(np.exp(rng.normal(0.0, 0.06))),
        base=machine.base * float(np.exp(rng.normal(0.0, 0.15))),
        heel=tuple(float(v) for v in np.asarray(machine.heel) * rng.normal(1.0, 0.3, 3)),  # type: ignore[arg-type]
        scatter=machine.scatter * float(np.exp(rng.normal(0.0, 0.15))),
        blur=abs(machine.blur + float(rng.normal(0.0, 0.02))),
        top=float(np.clip(machine.top * rng.normal(1.0, 0.05), 0.5, 1.1)),
        grain=(machine.grain[0] / dose, machine.grain[1] / dose),
    )


def expose(
    mineral: Array, soft: Array, mm: float, machine: MachineSettings, rng: np.random.Generator
) -> npt.NDArray[np.uint16]:
    """Return grey levels from 0 to `TOP`, with bright bone and the shape of `mineral`.

    Parameters
    ----------
    mineral
        Cortical bone in mm, shape (rows, columns).
    soft
        Soft tissue in mm, of any shape; it is resized.
    mm
        Pixel size in mm.
    machine
        Settings of the machine.
    rng
        Generator of the noise.
    """
    rows, columns = mineral.shape
    flesh = cv2.resize(soft * _F(machine.flesh), (columns, rows), interpolation=cv2.INTER_LINEAR)
    signal = np.asarray(cv2.scaleAdd(mineral, machine.bone, flesh), _F)
    sigma = machine.blur / mm
    if sigma > 0.25:
        signal = np.asarray(cv2.GaussianBlur(signal, (0, 0), sigma))
    if machine.edge:
        side = 2 * round(machine.fine / mm) + 1
        if side > 1:
            smooth = cv2.blur(signal, (side, side))
            signal = np.asarray(cv2.addWeighted(signal, 1 + machine.edge, smooth, -machine.edge, 0.0))
    slow, bright = _low_frequency_terms(signal, mm, machine)
    haze = np.asarray(cv2.resize(slow, (columns, rows), interpolation=cv2.INTER_LINEAR))
    grain = noise(machine.noise_kind)
    top, left, flip = int(rng.integers(0, 2048)), int(rng.integers(0, 2048)), bool(rng.random() < 0.5)
    waves = _grid_lines(machine, columns if machine.lines[3] else rows)
    table = _response_curve(machine)
    scale = _F((_STEPS - 1) / (_REACH * max(1.08 * bright, 200.0)))
    levels = np.empty((rows, columns), np.uint16)
    for first in range(0, rows, _BLOCK):  # blocks that fit into the processor's cache
        part = slice(first, min(first + _BLOCK, rows))
        block = signal[part] + haze[part]
        block += _quantum_noise(grain, block, machine.grain, top + first, left, flip)
        if waves is not None:
            block += waves[None, :] if machine.lines[3] else waves[part, None]
        block *= scale
        np.clip(block, 0, _STEPS - 1, out=block)
        table.take(block.astype(np.uint16), out=levels[part])
    return levels


def _low_frequency_terms(signal: Array, mm: float, machine: MachineSettings) -> tuple[Array, float]:
    """Return scatter, heel effect and local contrast on a reduced image, and a high level of the whole film."""
    rows, columns = signal.shape
    shape = (max(2, rows // _REDUCTION), max(2, columns // _REDUCTION))
    small = np.asarray(cv2.resize(signal, shape[::-1], interpolation=cv2.INTER_AREA), _F)
    unit = mm * rows / shape[0]
    slow = np.asarray(cv2.GaussianBlur(small, (0, 0), max(14.0 / unit, 0.5)), _F) * _F(machine.scatter)
    if machine.local:
        slow -= np.asarray(cv2.GaussianBlur(small, (0, 0), max(machine.wide / unit, 0.5)), _F) * _F(machine.local)
    y = np.linspace(-1, 1, shape[0], dtype=_F)[:, None]
    x = np.linspace(-1, 1, shape[1], dtype=_F)[None, :]
    slow += _F(machine.base) + _F(machine.heel[0]) * y + _F(machine.heel[1]) * x + _F(machine.heel[2]) * x * y
    return slow, float(np.percentile(small + slow, 98.5))


def _quantum_noise(tile: Array, block: Array, grain: tuple[float, float], top: int, left: int, flip: bool) -> Array:
    """Return quantum noise for `block`, stronger where less light arrives; `top` and `left` are offsets in the tile."""
    rows = np.arange(top, top + block.shape[0]) & 2047
    piece = tile[::-1][rows] if flip else tile[rows]
    width = block.shape[1]
    amount = block * _F(grain[1])
    amount += _F(grain[0])
    done = 0
    while done < width:
        begin = (left + done) & 2047
        count = min(2048 - begin, width - done)
        amount[:, done : done + count] *= piece[:, begin : begin + count]
        done += count
    return amount


def _grid_lines(machine: MachineSettings, count: int) -> Array | None:
    """Return the faint lines of a scatter grid along one side of the film, or None."""
    strength, period, phase, _ = machine.lines
    if not strength:
        return None
    return np.asarray(_F(strength) * np.sin(np.arange(count, dtype=_F) * _F(6.2832 / period) + _F(phase)), _F)


def _response_curve(machine: MachineSettings) -> npt.NDArray[np.uint16]:
    """Return the response table: grey levels for `_STEPS` equal steps of the signal."""
    t = np.linspace(0, _REACH, _STEPS)
    if machine.curve == "knee":
        answer = (1 - np.exp(-t / machine.shape)) / (1 - np.exp(-1 / machine.shape))
    elif machine.curve == "sigmoid":
        edge = 1 / (1 + np.exp(machine.shape * 0.5))
        answer = (1 / (1 + np.exp(-machine.shape * (t - 0.5))) - edge) / (1 - 2 * edge)
    else:
        answer = t**machine.shape
    return np.asarray(np.clip(answer * machine.top * TOP, 0, TOP).astype(np.uint16))
